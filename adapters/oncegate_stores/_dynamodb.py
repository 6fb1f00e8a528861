"""`DynamoDBStore`: records in DynamoDB, for any number of workers. Extra: ``oncegate[dynamodb]``."""

from __future__ import annotations

from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from oncegate import StoreUnavailable
from oncegate.adapters import StoredRecord


class DynamoDBStore:
    """Stores one item per record: swapped by a conditional write, deleted by the table's TTL.

    The table needs the partition key ``key`` (a string) and TTL on the attribute ``drop_at``, as
    `create_table` creates it.

    Args:
        table: table name.
        region: AWS region, such as ``eu-west-1``. Default: boto3's own.
        endpoint_url: URL of a DynamoDB replacement, for tests. Default: DynamoDB.
        timeout: seconds to wait for a connection, and for an answer.
        client: your own boto3 client; it must not retry writes. Default: one made from the above.
    """

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        timeout: float = 3.0,
        client: Any = None,
    ) -> None:
        self._table = table
        config = Config(
            connect_timeout=timeout,
            read_timeout=timeout,
            # A retry of a write that succeeded would look like a swap that another worker won.
            retries={"mode": "standard", "total_max_attempts": 1},
        )
        self._db = client or Session(region_name=region).client(
            "dynamodb", region_name=region, endpoint_url=endpoint_url, config=config
        )

    def create_table(self) -> None:
        """Create the table with its TTL, and wait until it exists."""
        self._db.create_table(
            TableName=self._table,
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self._db.get_waiter("table_exists").wait(TableName=self._table)
        self._db.update_time_to_live(
            TableName=self._table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "drop_at"},
        )

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        try:
            found = self._db.get_item(
                TableName=self._table, Key={"key": {"S": key}}, ConsistentRead=True
            )
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error
        item = found.get("Item")
        if item is None:
            return None
        return StoredRecord(
            int(item["version"]["N"]), bytes(item["sealed"]["B"]), float(item["expires_at"]["S"])
        )

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        item: dict[str, Any] = {
            "key": {"S": key},
            "version": {"N": str(row.version)},
            "sealed": {"B": row.sealed},
            # As text, to keep every digit. TTL needs whole seconds, and may act days late.
            "expires_at": {"S": repr(row.expires_at)},
            "drop_at": {"N": str(int(row.expires_at) + 1)},
        }
        condition: dict[str, Any] = {
            "ConditionExpression": "version = :expected",
            "ExpressionAttributeValues": {":expected": {"N": str(expected)}},
        }
        if expected == 0:
            condition = {"ConditionExpression": "attribute_not_exists(version)"}
        try:
            self._db.put_item(TableName=self._table, Item=item, **condition)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                return False
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return True

    def durable_since(self) -> float:
        """Return 0.0: DynamoDB loses no acknowledged write."""
        return 0.0


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"DynamoDB did not answer: {type(error).__name__}")
