"""`DynamoDBStore` against moto's DynamoDB: conformance, lost tables, faults, credentials, forks."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from boto3.session import Session
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from tests.servers import free_port
from werkzeug.serving import WSGIRequestHandler, make_server

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import RecordStore, StoredRecord, check_store
from oncegate.testing import StoreConformance
from oncegate_stores import DynamoDBStore, store_from_url

REGION = "eu-west-1"
Fault = Callable[[str, Callable[..., list[bytes]], Any, Any], list[bytes]]


class MotoServer:
    """moto's server, with one request at a time, faults, a clock and a list of operations.

    DynamoDB's conditional writes are atomic. moto's are not: it checks the condition, and writes later,
    so that two requests at the same moment can both win.

    Attributes:
        fault: answers a request in moto's place, if it is set.
        clock: seconds that are added to the time of its answers.
        operations: operations that were requested.
        credentials: IDs of the access keys that signed the requests.
    """

    def __init__(self) -> None:
        self._app: Any = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.fault: Fault | None = None
        self.clock = 0.0
        self.operations: list[str] = []
        self.credentials: set[str] = set()
        self.table = ""
        self.client: Any = None
        moto = self

        class Handler(WSGIRequestHandler):
            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate((timestamp or time.time()) + moto.clock, usegmt=True)

            def log(self, *_: Any) -> None: ...

        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[2]

        def apply(start: Any = start_response) -> list[bytes]:
            return list(self._app(environ, start))

        with self._lock:
            self.operations.append(operation)
            signer = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
            self.credentials.add(signer[1] if signer else "")
            if self.fault:
                return self.fault(operation, apply, environ, start_response)
            return apply()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def reply(start: Any, status: str, body: dict[str, Any]) -> list[bytes]:
    text = json.dumps(body).encode()
    kind = "application/x-amz-json-1.0"
    start(status, [("Content-Type", kind), ("Content-Length", str(len(text)))])
    return [text]


def refuse(code: str, text: str = "", *, only: str = "", times: int = 1_000, **more: Any) -> Fault:
    """Return a fault that answers with an error, and changes nothing."""
    left = [times]

    def answer(operation: str, apply: Callable[..., list[bytes]], environ: Any, start: Any) -> Any:
        if not left[0] or only not in operation:
            return apply()
        left[0] -= 1
        body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": text, **more}
        return reply(start, "400 Bad Request", body)

    return answer


def lose_answers(*, times: int = 1, how: str = "cut") -> Fault:
    """Return a fault that applies a write, and loses its answer."""
    left = [times]

    def answer(operation: str, apply: Callable[..., list[bytes]], environ: Any, start: Any) -> Any:
        is_write = operation in {"PutItem", "TransactWriteItems"}
        if not left[0] or not is_write:
            return apply()
        left[0] -= 1
        if how == "cut":
            body = apply()
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return body
        apply(lambda *_: None)
        return reply(start, "500 Internal Server Error", {})

    return answer


@pytest.fixture(scope="module")
def running() -> Iterator[MotoServer]:
    moto = MotoServer()
    yield moto
    moto.stop()


@pytest.fixture
def server(running: MotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MotoServer:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unused")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    running.fault, running.clock = None, 0.0
    running.operations.clear()
    running.credentials.clear()
    return running


@pytest.fixture
def table(server: MotoServer) -> str:
    """Return a table for all tests that use keys of their own."""
    if not server.table:
        server.table = new_table(server)
    server.operations.clear()
    server.credentials.clear()
    return server.table


def new_table(server: MotoServer) -> str:
    name = f"flows-{uuid.uuid4().hex}"
    worker(server, name).create_table()
    return name


def worker(server: MotoServer, table: str, timeout: float = 2.0) -> DynamoDBStore:
    """Return a store as another process has it that shares one client: to make one takes long."""
    if server.client is None:
        server.client = boto3_client(server, retries={"mode": "standard", "total_max_attempts": 3})
    return DynamoDBStore(table, timeout=timeout, client=server.client)


def connect(server: MotoServer, table: str) -> DynamoDBStore:
    """Return a store that makes its own client."""
    return DynamoDBStore(table, region=REGION, endpoint_url=server.url)


def boto3_client(server: MotoServer, **options: Any) -> Any:
    return Session(region_name=REGION).client(
        "dynamodb", endpoint_url=server.url, config=Config(**options)
    )


def row(version: int = 1, sealed: bytes = b"sealed", epoch: str | None = None) -> StoredRecord:
    return StoredRecord(version, sealed, time.time() + 3600, epoch=epoch)


def new_key() -> str:
    return uuid.uuid4().hex


class TestDynamoDB(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_table(self, server: MotoServer, table: str) -> None:
        self.server, self.table = server, table

    def make(self) -> RecordStore:
        return worker(self.server, self.table)

    def lose(self) -> bool:
        self.server.client.delete_table(TableName=self.table)
        worker(self.server, self.table).create_table()
        return True

    def test_created_table_has_ttl_enabled(self) -> None:
        ttl = self.server.client.describe_time_to_live(TableName=self.table)[
            "TimeToLiveDescription"
        ]
        assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "drop_at")


class TestLostTable:
    @pytest.fixture
    def table(self, server: MotoServer) -> str:
        return new_table(server)

    def restore(self, server: MotoServer, table: str, items: list[Any]) -> None:
        """Delete the table, and create it again from a backup."""
        client = boto3_client(server)
        client.delete_table(TableName=table)
        worker(server, table).create_table()
        for item in items:
            client.put_item(TableName=table, Item=item)

    def test_restored_table_has_another_epoch(self, server: MotoServer, table: str) -> None:
        store, key = worker(server, table), new_key()
        before = store.epoch(key)
        assert store.swap(key, 0, row(1, b"one", before))
        backup = server.client.scan(TableName=table)["Items"]
        assert store.swap(key, 1, row(2, b"two", before))
        self.restore(server, table, backup)
        for store in (worker(server, table), worker(server, table)):
            loaded = store.load(key)
            assert loaded is not None
            assert loaded.version == 1, "an older row is back"
            assert not store.swap(key, 1, row(2, b"again", before))
            assert store.epoch(key) != before

    def test_worker_that_saw_no_table_notices_a_restored_one(
        self, server: MotoServer, table: str
    ) -> None:
        store, key, client = worker(server, table), new_key(), server.client
        before = store.epoch(key)
        assert store.swap(key, 0, row(1, b"one", before))
        backup = client.scan(TableName=table)["Items"]
        client.delete_table(TableName=table)
        with pytest.raises(Misconfigured, match=f"no table {table} in region {REGION}"):
            store.load(key)
        worker(server, table).create_table()
        for item in backup:
            client.put_item(TableName=table, Item=item)
        assert not store.swap(key, 1, row(2, b"again", before))
        assert store.epoch(key) != before

    def test_idle_worker_notices_a_restored_table_after_a_minute(
        self, server: MotoServer, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, key = worker(server, table), new_key()
        before = store.epoch(key)
        assert store.swap(key, 0, row(1, b"one", before))
        self.restore(server, table, server.client.scan(TableName=table)["Items"])
        later = time.monotonic() + 61
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert not store.swap(key, 1, row(2, b"again", before))
        assert store.epoch(key) != before

    def test_replica_of_another_region_has_another_epoch(
        self, server: MotoServer, table: str
    ) -> None:
        here, key = worker(server, table), new_key()
        there = DynamoDBStore(table, region="us-east-1", endpoint_url=server.url)
        there.create_table()
        before = here.epoch(key)
        other = Session(region_name="us-east-1").client("dynamodb", endpoint_url=server.url)
        for source, target in ((server.client, other), (other, server.client)):
            assert here.epoch(key) == before
            for item in source.scan(TableName=table)["Items"]:
                target.put_item(TableName=table, Item=item)  # as a global table does
            assert there.epoch(key) != before
            assert not there.swap(key, 0, row(1, b"one", before))
        assert worker(server, table).epoch(key) == before

    def test_workers_agree_on_the_epoch_of_a_new_table(
        self, server: MotoServer, table: str
    ) -> None:
        key, together = new_key(), threading.Barrier(6)

        def ask(_: int) -> str:
            store = worker(server, table)
            together.wait()
            return store.epoch(key)

        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(ask, range(6)))) == 1


class TestRepeatedRequests:
    @pytest.mark.parametrize("how", ["cut", "500"])
    @pytest.mark.parametrize("has_epoch", [False, True])
    def test_swap_whose_answer_is_lost_succeeds(
        self, server: MotoServer, table: str, how: str, has_epoch: bool
    ) -> None:
        store, key = worker(server, table), new_key()
        epoch = store.epoch(key) if has_epoch else None
        server.fault = lose_answers(how=how)
        assert store.swap(key, 0, row(1, b"one", epoch)) is True
        server.fault = lose_answers(how=how)
        assert store.swap(key, 1, row(2, b"two", epoch)) is True
        assert store.swap(key, 1, row(2, b"three", epoch)) is False

    def test_own_client_that_repeats_is_safe(self, server: MotoServer, table: str) -> None:
        client = boto3_client(server, retries={"mode": "standard", "total_max_attempts": 5})
        store, key = DynamoDBStore(table, client=client), new_key()
        server.fault = lose_answers(times=3)
        assert store.swap(key, 0, row(1, b"one", store.epoch(key))) is True

    @pytest.mark.parametrize("code", ["TransactionConflict", "ProvisionedThroughputExceeded"])
    def test_cancelled_transaction_is_repeated(
        self, server: MotoServer, table: str, code: str
    ) -> None:
        store, key = worker(server, table), new_key()
        epoch = store.epoch(key)
        reasons = [{"Code": code, "Message": "busy"}, {"Code": "None"}]
        server.fault = refuse(
            "TransactionCanceledException",
            only="TransactWriteItems",
            times=3,
            CancellationReasons=reasons,
        )
        assert store.swap(key, 0, row(1, b"one", epoch)) is True
        server.fault = refuse(
            "TransactionCanceledException", only="TransactWriteItems", CancellationReasons=reasons
        )
        store = worker(server, table, timeout=0.5)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"busy|throttle"):
            store.swap(key, 1, row(2, b"two", epoch))
        assert time.monotonic() - started < 3

    @pytest.mark.parametrize("operation", ["load", "swap"])
    def test_throttled_table_is_asked_again_and_then_unavailable(
        self, server: MotoServer, table: str, operation: str
    ) -> None:
        store, key = connect(server, table), new_key()

        def work() -> Any:
            return store.load(key) if operation == "load" else store.swap(key, 0, row())

        store.epoch(key)
        code = "ProvisionedThroughputExceededException"
        name = {"load": "BatchGetItem", "swap": "PutItem"}[operation]
        server.fault = refuse(code, only=name, times=1)
        work()
        server.operations.clear()
        server.fault = refuse(code, only=name)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=f"{code}.*raise its capacity"):
            work()
        assert server.operations.count(name) == 3
        assert time.monotonic() - started < 5

    def test_keys_that_were_not_read_are_read_again(self, server: MotoServer, table: str) -> None:
        store, key = worker(server, table, timeout=1.0), new_key()
        store.swap(key, 0, row())
        unread = [{"key": {"S": key}}]
        left = [2]

        def throttle(
            operation: str, apply: Callable[..., list[bytes]], environ: Any, start: Any
        ) -> Any:
            if operation != "BatchGetItem" or not left[0]:
                return apply()
            left[0] -= 1
            body = {"Responses": {table: []}, "UnprocessedKeys": {table: {"Keys": unread}}}
            return reply(start, "200 OK", body)

        server.fault = throttle
        assert store.load(key) is not None
        left[0] = 1_000
        with pytest.raises(StoreUnavailable, match="throttles"):
            store.load(key)

    def test_silent_server_is_given_up_in_time(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            store = DynamoDBStore(
                "flows",
                timeout=0.3,
                client=botocore.session.Session().create_client(
                    "dynamodb",
                    region_name=REGION,
                    endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
                    aws_access_key_id="unused",
                    aws_secret_access_key="unused",
                    config=Config(read_timeout=0.3, retries={"total_max_attempts": 1}),
                ),
            )
            started = time.monotonic()
            with pytest.raises(StoreUnavailable, match="ReadTimeoutError"):
                store.load(new_key())
            assert time.monotonic() - started < 4

    def test_epoch_that_is_known_outlives_an_outage(self, server: MotoServer, table: str) -> None:
        store, key = worker(server, table, timeout=0.5), new_key()
        known = store.epoch(key)
        server.fault = refuse("InternalServerError")
        time.sleep(1.1)
        assert store.epoch(key) == known
        with pytest.raises(StoreUnavailable, match="InternalServerError"):
            worker(server, table, timeout=0.5).epoch(key)


def test_url_makes_a_store_that_works(server: MotoServer, table: str) -> None:
    url = f"dynamodb://{table}?region={REGION}&endpoint_url={server.url}&timeout=5"
    store, key = store_from_url(url), new_key()
    assert store.swap(key, 0, row(1, b"one", store.epoch(key)))
    loaded = store.load(key)
    assert loaded is not None
    assert loaded.sealed == b"one"


class TestClock:
    @pytest.mark.parametrize("ahead", [0.0, 1.0, 300.0, -86_400.0])
    def test_time_is_that_of_the_answers(
        self, server: MotoServer, table: str, ahead: float
    ) -> None:
        server.clock = ahead
        store = worker(server, table)
        wanted = ahead if abs(ahead) > 1 else 0.0
        assert abs(store.now() - time.time() - wanted) < (2 if wanted else 0.001)
        server.clock = 0.0
        store.load(new_key())
        assert abs(store.now() - time.time()) < 0.001

    def test_refusals_tell_the_time(self, server: MotoServer, table: str) -> None:
        server.clock = 900.0
        server.fault = refuse("InvalidSignatureException", "Signature expired")
        store = worker(server, table)
        with pytest.raises(Misconfigured, match=r"this machine's clock differs by -90\d s"):
            store.load(new_key())
        assert abs(store.now() - time.time() - 900) < 2

    def test_time_without_an_answer_is_this_machines(self, server: MotoServer) -> None:
        store = DynamoDBStore(
            "t", region=REGION, endpoint_url=f"http://127.0.0.1:{free_port()}", timeout=0.2
        )
        assert abs(store.now() - time.time()) < 0.1


class TestMisconfigured:
    def test_denied_action_names_it_and_the_policy(self, server: MotoServer, table: str) -> None:
        server.fault = refuse(
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/web/i-1 is not authorized to perform: "
            f"dynamodb:BatchGetItem on resource: arn:aws:dynamodb:{REGION}:123456789012:table/{table}",
            only="BatchGetItem",
        )
        with pytest.raises(Misconfigured) as refused:
            worker(server, table).load(new_key())
        text = str(refused.value)
        assert "dynamodb:BatchGetItem on table" in text
        assert f"arn:aws:dynamodb:{REGION}:ACCOUNT:table/{table}" in text
        assert "123456789012" not in text

    def test_policy_in_the_message_names_every_action_that_is_used(
        self, server: MotoServer, table: str
    ) -> None:
        store, key = worker(server, table), new_key()
        store.load(key)
        store.swap(key, 0, row(1, b"one", store.epoch(key)))
        store.swap(new_key(), 0, row())
        used = {
            name.replace("TransactWriteItems", "ConditionCheckItem") for name in server.operations
        }
        server.fault = refuse("AccessDeniedException")
        with pytest.raises(Misconfigured) as refused:
            store.load(key)
        assert set(re.findall(r"dynamodb:([A-Z]\w+)", str(refused.value))) == used

    @pytest.mark.parametrize("code", ["UnrecognizedClientException", "ExpiredTokenException"])
    def test_refused_credentials_are_misconfigured(
        self, server: MotoServer, table: str, code: str
    ) -> None:
        server.fault = refuse(code, "The security token included in the request is invalid.")
        with pytest.raises(Misconfigured, match=rf"{code}\): give the process an IAM role"):
            worker(server, table).load(new_key())

    def test_missing_table_says_how_to_create_it(self, server: MotoServer) -> None:
        with pytest.raises(Misconfigured, match=r"no table absent in region .*create_table"):
            worker(server, "absent").load(new_key())

    def test_table_with_another_key_is_misconfigured(self, server: MotoServer) -> None:
        name = f"other-{uuid.uuid4().hex}"
        server.client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        with pytest.raises(Misconfigured, match="needs the partition key `key`"):
            worker(server, name).load(new_key())

    def test_missing_region_is_misconfigured(self, server: MotoServer) -> None:
        with pytest.raises(Misconfigured, match="pass region=, or set AWS_REGION"):
            DynamoDBStore("flows", endpoint_url=server.url).load(new_key())

    def test_missing_credentials_are_misconfigured_until_they_come(
        self, server: MotoServer, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        store = connect(server, table)
        with pytest.raises(Misconfigured, match="give the process an IAM role"):
            store.load(new_key())
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "late")
        assert store.load(new_key()) is None
        assert server.credentials == {"late"}

    def test_unreachable_endpoint_is_unavailable_without_its_url(self, server: MotoServer) -> None:
        port = free_port()
        store = DynamoDBStore(
            "t", region=REGION, endpoint_url=f"http://127.0.0.1:{port}", timeout=0.2
        )
        with pytest.raises(StoreUnavailable, match="EndpointConnectionError") as refused:
            store.load(new_key())
        assert str(port) not in str(refused.value)

    @pytest.mark.parametrize(
        "url",
        [
            "dynamodb://",
            "dynamodb://t?regoin=x",
            "dynamodb://t?timeout=soon",
            "dynamodb://t?timeout=0",
        ],
    )
    def test_wrong_url_is_misconfigured(self, url: str) -> None:
        with pytest.raises(
            Misconfigured, match=r"dynamodb://|timeout has to be a number of seconds"
        ):
            store_from_url(url)


class TestFindings:
    """What `oncegate check` tells of a table."""

    @pytest.fixture
    def table(self, server: MotoServer) -> str:
        return new_table(server)

    def test_table_that_was_created_here_is_well(self, server: MotoServer, table: str) -> None:
        found = check_store(worker(server, table))
        assert {finding.status for finding in found} == {"ok"}
        assert [finding.check for finding in found[-2:]] == ["DynamoDB table", "DynamoDB TTL"]
        assert f"{table} in {REGION}, billed on demand" in found[-2].text

    def test_table_without_ttl_fails_with_the_command(self, server: MotoServer) -> None:
        name = f"plain-{uuid.uuid4().hex}"
        boto3_client(server).create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 7},
        )
        store = worker(server, name)
        table, ttl = store.findings()
        assert "by capacity, 5 reads and 7 writes a second" in table.text
        assert ttl.status == "failed"
        assert f"update-time-to-live --table-name {name}" in ttl.cure
        command = ttl.cure.split("--time-to-live-specification ")[1].split(",")
        enabled, attribute = (part.partition("=")[2] for part in command)
        server.client.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"Enabled": enabled == "true", "AttributeName": attribute},
        )
        assert [finding.status for finding in store.findings()] == ["ok", "ok"]

    def test_role_that_may_not_see_ttl_is_a_warning(self, server: MotoServer, table: str) -> None:
        server.fault = refuse("AccessDeniedException", only="DescribeTimeToLive")
        *_, ttl = check_store(worker(server, table))
        assert ttl.status == "warning"
        assert "allow dynamodb:DescribeTimeToLive" in ttl.cure

    def test_missing_table_is_one_failed_finding(self, server: MotoServer) -> None:
        (finding,) = check_store(worker(server, "absent"))
        assert finding.status == "failed"
        assert "create_table()" in finding.text


class RoleCredentials(BaseHTTPRequestHandler):
    """Hands out the credentials of a container's role, as ECS, EKS and Lambda do."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        body = {"AccessKeyId": "role", "SecretAccessKey": "s", "Token": "t", "Expiration": until}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None: ...


class TestProcesses:
    def test_constructor_asks_for_no_credentials_and_the_role_signs(
        self, server: MotoServer, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        roles = HTTPServer(("127.0.0.1", 0), RoleCredentials)
        threading.Thread(target=roles.serve_forever, daemon=True).start()
        monkeypatch.setenv(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{roles.server_port}/role"
        )
        try:
            store = connect(server, table)
            assert RoleCredentials.asked == 0
            server.credentials.clear()
            store.load(new_key())
        finally:
            roles.shutdown()
            roles.server_close()
        assert RoleCredentials.asked == 1
        assert server.credentials == {"role"}

    def test_import_and_constructor_load_no_boto3_and_open_no_socket(self) -> None:
        program = (
            "import sys, socket\n"
            "def no(*_): raise SystemExit('connected')\n"
            "socket.socket.connect = socket.getaddrinfo = no\n"
            "from oncegate_stores import DynamoDBStore\n"
            "DynamoDBStore('flows', region='eu-west-1')\n"
            "sys.exit('boto3' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", program]).returncode == 0

    @pytest.mark.parametrize("is_own", [False, True])
    def test_forked_workers_share_no_connection(
        self, server: MotoServer, table: str, is_own: bool
    ) -> None:
        client = boto3_client(server) if is_own else None
        store = DynamoDBStore(table, region=REGION, endpoint_url=server.url, client=client)
        store.epoch("0" * 32)
        http, closed = store._client._endpoint.http_session, list[bool]()
        close = http.close

        def record_and_close() -> None:
            closed.append(True)
            close()

        http.close = record_and_close  # drops the connections that a fork inherits

        def work() -> bool:
            for number in range(15):
                key = f"{number:02x}" + new_key()[2:]
                mine = row(1, os.urandom(16), store.epoch(key))
                if not store.swap(key, 0, mine):
                    return False
                loaded = store.load(key)
                if loaded is None or loaded.sealed != mine.sealed:
                    return False
            return True

        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    store.load("0" * 32)
                    is_new = store._client._endpoint.http_session is not http
                    code = 0 if work() and (is_new or closed) else 1
                finally:
                    os._exit(code)
            children.append(child)
        assert work()
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
