"""`DynamoDBStore`: records in DynamoDB, for any number of workers. Extra: ``oncegate[dynamodb]``."""

from __future__ import annotations

import os
import random
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

# Not boto3: it adds a fifth to the time of an import, and nothing that is needed here.
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import SSLError as BotoSSLError

from oncegate import Misconfigured, OncegateError, StoreUnavailable
from oncegate.adapters import Change, Finding, RowByRow, StoredRecord, check_seconds, check_text

_ATTEMPTS = 3
"""Attempts for one request: swaps can be repeated, because a store recognises its own row."""

_FRESH = 1.0
"""Seconds for which a known epoch is returned without a request."""

_DESCRIBED_FOR = 60.0
"""Seconds between two looks at which table has the name: to restore one takes AWS minutes."""

_DESCRIBED_AT_MOST = 300.0
"""Seconds for which the last look is used while the next one fails."""

_UNIT = 2.0
"""Seconds of difference that count as none: DynamoDB tells the time in whole seconds."""

_KEY_SCHEMA = [{"AttributeName": "key", "KeyType": "HASH"}]
_ACTIONS = ("BatchGetItem", "ConditionCheckItem", "DescribeTable", "PutItem")
_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
# The message of a denied action also names the account and the role.
_DENIED_ACTION = re.compile(r"perform: (dynamodb:\w+)")


class _Epoch(NamedTuple):
    """What is known of the epoch of a group of keys."""

    name: str
    at: float


class _Table(NamedTuple):
    """Which table has the name, by an ID that DynamoDB gives to each table that is created."""

    id: str
    at: float


class DynamoDBStore:
    """Stores one item per record: swapped by conditional writes, deleted by the table's TTL.

    DynamoDB loses no acknowledged write. A table can be deleted and created again, restored from a
    backup, or replaced by its replica in another region: then its epoch changes. The epoch is an item
    of the table, one for each region and each of 256 groups of keys, and names the table's ID. A swap
    with an epoch is a transaction that checks this item.

    Nothing connects, and no credentials are looked for, before the first use.

    Args:
        table: table name. It needs the partition key ``key`` (a string) and TTL on the attribute
            ``drop_at``, as `create_table` creates it.
        region: AWS region, such as ``eu-west-1``. Default: that of the environment.
        endpoint_url: URL of a DynamoDB replacement, for tests. Default: DynamoDB.
        timeout: seconds to wait for an answer. A connection is waited for at most one second, and a
            request is made up to three times.
        client: your own boto3 client for DynamoDB; it may repeat requests. Default: one made from the
            above, with the credentials that botocore finds, such as those of an IAM role.

    Raises:
        Misconfigured: there is no table name, or the timeout is no number of seconds.
    """

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        timeout: float = 2.0,
        client: Any = None,
    ) -> None:
        check_text("table", table)
        check_seconds("timeout", timeout)
        self._name = table
        self._region = region
        self._endpoint_url = endpoint_url
        self._timeout = timeout
        self._own_client = client
        self._lock = threading.Lock()
        self._client: Any = None
        self._pid = 0
        self._table: _Table | None = None
        self._epochs: dict[str, _Epoch] = {}
        self._skew: float | None = None

    # ── the port ──

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self.load_many((key,)).get(key)

    def load_many(self, keys: Sequence[str]) -> dict[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`. It returns no related rows."""
        table = self._current_table()
        epoch = _epoch_key(self._region_name(), keys[0])
        items = self._get(*dict.fromkeys(keys), epoch)
        self._learn(keys[0], items.pop(epoch, None), table)
        return {
            key: StoredRecord(
                int(item["version"]["N"]),
                bytes(item["sealed"]["B"]),
                float(item["expires_at"]["S"]),
            )
            for key, item in items.items()
        }

    def swap_many(self, changes: Sequence[Change]) -> list[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`. Each row takes a request.

        One transaction for all would cost twice the write units, and fail if any row is in another.
        """
        return RowByRow(self).swap_many(changes)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        put: dict[str, Any] = {
            "TableName": self._name,
            "Item": {
                "key": {"S": key},
                "version": {"N": str(row.version)},
                "sealed": {"B": row.sealed},
                # As text, to keep every digit. TTL needs whole seconds, and may act days late.
                "expires_at": {"S": repr(row.expires_at)},
                "drop_at": {"N": str(int(row.expires_at) + 1)},
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if expected == 0:
            put["ConditionExpression"] = "attribute_not_exists(version)"
        else:
            put["ConditionExpression"] = "version = :expected"
            put["ExpressionAttributeValues"] = {":expected": {"N": str(expected)}}
        if row.epoch is not None:
            return self._swap_within_epoch(key, row, row.epoch, put)
        try:
            self._call("put_item", **put)
        except _ConditionFailed as failed:
            return _is_row(failed.items[0], row)
        return True

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        known = self._epochs.get(_group(key))
        if known is None or time.monotonic() - known.at > _FRESH:
            try:
                known = self._ask_for_epoch(key)
            except StoreUnavailable:
                if known is None:
                    raise
        return known.name

    def now(self) -> float:
        """See `oncegate.adapters.RecordStore.now`."""
        if self._skew is None:
            with suppress(OncegateError):
                self._current_table()
        return time.time() + (self._skew or 0.0)

    def create_table(self) -> None:
        """Create the table, billed on demand, with its TTL, and wait until it exists.

        Raises:
            Misconfigured: the table exists, or a right is missing.
            StoreUnavailable: DynamoDB did not answer.
        """
        self._call(
            "create_table",
            TableName=self._name,
            KeySchema=_KEY_SCHEMA,
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self._connected().get_waiter("table_exists").wait(TableName=self._name)
        self._call(
            "update_time_to_live",
            TableName=self._name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "drop_at"},
        )

    def findings(self) -> Iterator[Finding]:
        """See `oncegate.adapters.InspectedStore.findings`."""
        table = self._call("describe_table", TableName=self._name)["Table"]
        billed = "on demand"
        if table.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
            capacity = table["ProvisionedThroughput"]
            billed = (
                f"by capacity, {capacity['ReadCapacityUnits']} reads and "
                f"{capacity['WriteCapacityUnits']} writes a second"
            )
        yield Finding(
            "DynamoDB table", "ok", f"{self._name} in {self._region_name()}, billed {billed}"
        )
        if table.get("Replicas"):
            yield Finding(
                "DynamoDB replicas",
                "warning",
                "the table has replicas in other regions",
                "let all workers use one region: a flow is over in any other",
            )
        yield self._ttl_finding()

    def _ttl_finding(self) -> Finding:
        try:
            answer = self._call("describe_time_to_live", TableName=self._name)
        except Misconfigured:
            return Finding(
                "DynamoDB TTL",
                "warning",
                "this role may not see whether expired items are deleted",
                "allow dynamodb:DescribeTimeToLive, or look at it in the console",
            )
        ttl = answer["TimeToLiveDescription"]
        is_on = ttl["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}
        if is_on and ttl.get("AttributeName") == "drop_at":
            return Finding("DynamoDB TTL", "ok", "expired items are deleted")
        return Finding(
            "DynamoDB TTL",
            "failed",
            "expired items are not deleted: the table grows without limit",
            f"aws dynamodb update-time-to-live --table-name {self._name} "
            "--time-to-live-specification Enabled=true,AttributeName=drop_at",
        )

    # ── the epoch ──

    def _swap_within_epoch(
        self, key: str, row: StoredRecord, epoch: str, put: dict[str, Any]
    ) -> bool:
        table = self._current_table()
        check = {
            "TableName": self._name,
            "Key": {"key": {"S": _epoch_key(self._region_name(), key)}},
            "ConditionExpression": "epoch = :epoch AND table_id = :table",
            "ExpressionAttributeValues": {":epoch": {"S": epoch}, ":table": {"S": table.id}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        items = [{"ConditionCheck": check}, {"Put": put}]
        try:
            self._call("transact_write_items", TransactItems=items)
        except _ConditionFailed as failed:
            if failed.codes[0] == _FAILED:
                self._learn(key, failed.items[0], table)
                return False
            self._know(key, epoch)
            return _is_row(failed.items[1], row)
        self._know(key, epoch)
        return True

    def _ask_for_epoch(self, key: str) -> _Epoch:
        """Read the epoch of a key. If the table has none, or another table's, make one."""
        table = self._current_table()
        name = _epoch_key(self._region_name(), key)
        item = self._get(name).get(name)
        if item is None:
            self._table = None  # the table may be a new one
            table = self._current_table()
        while not self._learn(key, item, table):
            made = {
                "key": {"S": name},
                "epoch": {"S": secrets.token_hex(4)},
                "table_id": {"S": table.id},
            }
            put: dict[str, Any] = {
                "ConditionExpression": "attribute_not_exists(epoch)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
            if item is not None:
                put["ConditionExpression"] = "epoch = :old"
                put["ExpressionAttributeValues"] = {":old": item["epoch"]}
            try:
                self._call("put_item", TableName=self._name, Item=made, **put)
                item = made
            except _ConditionFailed as failed:  # another worker was first, or it was our own
                item = failed.items[0]
        return self._epochs[_group(key)]

    def _learn(self, key: str, item: Mapping[str, Any] | None, table: _Table) -> bool:
        """Keep the epoch in an item; forget what is known if it is missing or another table's."""
        if item is None or item["table_id"]["S"] != table.id:
            self._epochs.pop(_group(key), None)
            return False
        self._know(key, item["epoch"]["S"])
        return True

    def _know(self, key: str, epoch: str) -> None:
        self._epochs[_group(key)] = _Epoch(epoch, time.monotonic())

    def _current_table(self) -> _Table:
        """Return which table has the name now, as of at most a minute ago."""
        known, now = self._table, time.monotonic()
        if known is not None and now - known.at < _DESCRIBED_FOR:
            return known
        try:
            found = self._call("describe_table", TableName=self._name)["Table"]
        except StoreUnavailable:
            if known is None or now - known.at > _DESCRIBED_AT_MOST:
                raise
            return known
        if found["KeySchema"] != _KEY_SCHEMA:
            raise Misconfigured(
                f"table {self._name} needs the partition key `key` (a string) and no sort key"
            )
        # Replacements of DynamoDB may have no TableId.
        created = found["CreationDateTime"].timestamp()
        self._table = _Table(found.get("TableId") or f"{found.get('TableArn')} {created}", now)
        return self._table

    # ── requests ──

    def _get(self, *keys: str) -> dict[str, Any]:
        wanted = [{"key": {"S": key}} for key in keys]
        found: dict[str, Any] = {}
        until = time.monotonic() + self._timeout
        while wanted:
            answer = self._call(
                "batch_get_item",
                RequestItems={self._name: {"Keys": wanted, "ConsistentRead": True}},
            )
            for items in answer["Responses"].values():
                found |= {item["key"]["S"]: item for item in items}
            # Throttled keys come back without an error.
            wanted = [
                key
                for request in answer.get("UnprocessedKeys", {}).values()
                for key in request["Keys"]
            ]
            if wanted:
                _pause(until, "ProvisionedThroughputExceeded")
        return found

    def _call(self, operation: str, **request: Any) -> Any:
        """Make a request, and read the time from the answer.

        Raises:
            _ConditionFailed: a condition was false.
            Misconfigured: a table, a right or a setting is missing.
            StoreUnavailable: DynamoDB did not answer, or is busy.
        """
        client = self._connected()
        until = time.monotonic() + self._timeout
        while True:
            sent_at = time.time()
            try:
                answer = getattr(client, operation)(**request)
            except ClientError as error:
                self._read_clock(error.response, sent_at)
                cancelled = _cancellation(error)
                if cancelled is None:
                    raise self._refusal(error) from error
                if not _BUSY & set(cancelled.codes):
                    raise cancelled from None
                # Another transaction had an item, or its partition is busy: nothing was changed.
                _pause(until, *cancelled.codes)
                continue
            except NoCredentialsError as error:
                self._client = None  # looks for them again: a role's can come late
                raise self._failure(error) from error
            except BotoCoreError as error:
                raise self._failure(error) from error
            self._read_clock(answer, sent_at)
            return answer

    def _connected(self) -> Any:
        """Return the client of this process."""
        if self._client is not None and self._pid == os.getpid():
            return self._client
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client = self._connect()
                self._pid = os.getpid()
        return self._client

    def _connect(self) -> Any:
        if self._own_client is not None:
            if self._client is not None:
                self._own_client.close()  # a fork inherited its connections; it opens new ones
            return self._own_client
        config = Config(
            connect_timeout=min(1.0, self._timeout),
            read_timeout=self._timeout,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=64,
            tcp_keepalive=True,
        )
        try:
            return botocore.session.Session().create_client(
                "dynamodb",
                region_name=self._region,
                endpoint_url=self._endpoint_url,
                config=config,
            )
        except (BotoCoreError, ValueError) as error:
            raise self._failure(error) from error

    def _region_name(self) -> str:
        return str(self._connected().meta.region_name)

    def _read_clock(self, answer: Mapping[str, Any], sent_at: float) -> None:
        received_at = time.time()
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        # A slow answer tells little about the time.
        if date is None or (self._skew is not None and received_at - sent_at > 1.0):
            return
        with suppress(ValueError):
            # The header has whole seconds: on average half a second is missing.
            told = parsedate_to_datetime(date).timestamp() + 0.5
            skew = told - (sent_at + received_at) / 2
            self._skew = skew if abs(skew) >= _UNIT else 0.0

    # ── errors ──

    def _refusal(self, error: ClientError) -> OncegateError:
        details = error.response.get("Error", {})
        code, text = details.get("Code", ""), details.get("Message", "")
        if code in _THROTTLED:
            return _throttled(code)
        if code in {"AccessDeniedException", "AccessDenied"}:
            denied = _DENIED_ACTION.search(text)
            return Misconfigured(
                f"DynamoDB denied {denied[1] if denied else 'access'} on table {self._name}: allow "
                f"{', '.join(f'dynamodb:{action}' for action in _ACTIONS)} on "
                f"arn:aws:dynamodb:{self._region_name()}:ACCOUNT:table/{self._name} in the IAM policy "
                "of the role"
            )
        if code in _BAD_CREDENTIALS:
            skew = f"; this machine's clock differs by {-self._skew:+.0f} s" if self._skew else ""
            return Misconfigured(
                f"DynamoDB does not accept the AWS credentials ({code}){skew}: give the process an IAM "
                "role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if code == "ResourceNotFoundException":
            self._table = None
            self._epochs.clear()
            return Misconfigured(
                f"DynamoDB has no table {self._name} in region {self._region_name()}: create it with "
                "DynamoDBStore.create_table(), or with the partition key `key` (S) and TTL on `drop_at`"
            )
        if code in {"ValidationException", "ResourceInUseException"}:
            return Misconfigured(f"DynamoDB: {code} for table {self._name}")
        return StoreUnavailable(f"DynamoDB failed: {code}")

    def _failure(self, error: Exception) -> OncegateError:
        # Only the type: the message of a connection error can contain the URL.
        name = type(error).__name__
        match error:
            case NoRegionError():
                return Misconfigured("no AWS region: pass region=, or set AWS_REGION")
            case NoCredentialsError() | PartialCredentialsError():
                return Misconfigured(
                    "no AWS credentials: give the process an IAM role, or set AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY"
                )
            case ProfileNotFound() | ConfigNotFound() | ValueError():
                return Misconfigured(f"the AWS configuration is invalid: {name}")
            case BotoSSLError():
                return StoreUnavailable(f"DynamoDB: TLS failed ({name}): check the CA certificates")
        return StoreUnavailable(f"DynamoDB did not answer: {name}")


_FAILED = "ConditionalCheckFailed"
_BUSY = frozenset({"TransactionConflict", *_THROTTLED})
"""Why a part of a transaction was not tried."""


class _ConditionFailed(Exception):
    """A condition was false.

    Args:
        codes: why, for each operation of the request; ``"None"`` for one that had no part in it.
        items: the item that is stored, for each operation; None if there is none.
    """

    def __init__(self, codes: list[str], items: list[Mapping[str, Any] | None]) -> None:
        super().__init__(codes)
        self.codes = codes
        self.items = items


def _cancellation(error: ClientError) -> _ConditionFailed | None:
    """Return why a write was not made; None for other errors."""
    code = error.response.get("Error", {}).get("Code")
    answer: Any = error.response
    if code == "ConditionalCheckFailedException":
        return _ConditionFailed([_FAILED], [answer.get("Item")])
    if code == "TransactionConflictException":
        return _ConditionFailed(["TransactionConflict"], [None])
    if code != "TransactionCanceledException":
        return None
    reasons = answer.get("CancellationReasons") or []
    codes = [reason.get("Code", "None") for reason in reasons]
    if not {_FAILED, *_BUSY} & set(codes):
        return None
    return _ConditionFailed(codes, [reason.get("Item") for reason in reasons])


def _pause(until: float, *codes: str) -> None:
    """Wait before the same request, or raise `StoreUnavailable` if it was made for long enough."""
    throttled = next((code for code in codes if code in _THROTTLED), None)
    if time.monotonic() >= until:
        if throttled:
            raise _throttled(throttled)
        raise StoreUnavailable("DynamoDB: other transactions have kept the record busy")
    time.sleep(random.uniform(0.01, 0.2 if throttled else 0.05))  # noqa: S311 - no secret


def _throttled(code: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"DynamoDB throttles the table ({code}): raise its capacity, or bill it on demand"
    )


def _is_row(item: Mapping[str, Any] | None, row: StoredRecord) -> bool:
    """Whether a stored item is this row: an attempt was applied, and its answer was lost."""
    return (
        item is not None
        and item["version"]["N"] == str(row.version)
        and bytes(item["sealed"]["B"]) == row.sealed
    )


def _group(key: str) -> str:
    # Transactions that check the same item at the same time are refused, so there are 256 of them.
    return key[:2]


def _epoch_key(region: str, key: str) -> str:
    # A replica in another region can lack the latest writes, so that each region has its own epoch.
    return f"epoch {region} {_group(key)}"
