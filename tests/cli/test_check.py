"""`oncegate check`, and the check of a store that a readiness probe calls."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from redis import Redis
from tests.servers import RedisServer, free_port

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import Finding, RecordStore, StoredRecord, check_store
from oncegate_cli._check import report
from oncegate_cli.main import run
from oncegate_otel import MeteredStore
from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed
from oncegate_stores import MemoryStore, PostgresStore


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def check(*arguments: str) -> Done:
    """Run the command in this process: to start another one takes longer than all the checks."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(["check", *arguments])
    return Done(code, out.getvalue(), err.getvalue())


def pool_options(sandbox: Sandbox) -> list[str]:
    return ["--pool-id", sandbox.pool_id, "--endpoint-url", sandbox.endpoint]


def statuses(found: Iterable[Finding]) -> dict[str, str]:
    return {finding.check: finding.status for finding in found}


def test_statements_of_a_finding_can_be_copied_and_forge_no_other_finding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = f"run this:\n{PostgresStore.SCHEMA}ok      forged\x1b[2J"
    report([Finding("store answers", "failed", text, "run it")], as_json=False)
    first, *others = capsys.readouterr().out.rstrip("\n").split("\n")
    assert first == "failed  store answers: run this:"
    assert all(line.startswith(" " * 8) for line in others)
    assert PostgresStore.SCHEMA in "".join(f"{line[8:]}\n" for line in others)
    assert "\x1b" not in "".join(others)


class TestCommand:
    def test_working_set_up_exits_with_0(self, sandbox: Sandbox) -> None:
        done = check(
            "--store", "memory://", *pool_options(sandbox), "--client-id", sandbox.client_id
        )
        assert done.returncode == 0, done.stdout + done.stderr
        checks = [line.partition(":")[0].split(maxsplit=1) for line in done.stdout.splitlines()]
        names = {name: status for status, name in checks}
        assert names.keys() >= {
            "store answers", "store saves", "store's epoch", "clocks",
            "user pool", "clock", "app client", "user existence", "token revocation",
        }  # fmt: skip
        assert "failed" not in names.values()

    def test_check_sends_nothing_and_checks_no_password(self, sandbox: Sandbox) -> None:
        for flow in ("USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH"):
            options = [*pool_options(sandbox), "--client-id", sandbox.client_id]
            assert check(*options, "--auth-flow", flow).returncode == 0
        assert sandbox.calls() == {"InitiateAuth": 3, "RevokeToken": 3}
        assert sandbox.messages() == ()

    def test_json_has_status_and_cure_of_each_check(self, sandbox: Sandbox) -> None:
        done = check(*pool_options(sandbox), "--client-id", "nosuchclient", "--json")
        assert done.returncode == 1
        found = json.loads(done.stdout)
        assert {frozenset(finding) for finding in found} == {
            frozenset({"check", "status", "text", "cure"})
        }
        client = found[-1]
        assert (client["check"], client["status"]) == ("app client", "failed")
        assert "app client ID" in client["cure"]

    def test_missing_pool_exits_with_1_and_the_cure(self, sandbox: Sandbox) -> None:
        done = check("--pool-id", "us-east-1_Missing", "--endpoint-url", sandbox.endpoint)
        assert done.returncode == 1
        assert done.stdout.startswith("failed  user pool: Cognito has no such pool")
        assert "check the user pool ID" in done.stdout

    def test_unreachable_cognito_exits_with_1(self) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        done = check("--pool-id", "us-east-1_P1", "--client-id", "c", "--endpoint-url", url)
        assert done.returncode == 1
        assert "no answer (ConnectionRefusedError)" in done.stdout
        assert len(done.stdout.splitlines()) == 1, "what depends on it is not tried"

    def test_flow_that_the_client_does_not_allow_fails(self) -> None:
        seed = Seed(pool=PoolSeed(auth_flows=("ALLOW_USER_SRP_AUTH",)))
        with Sandbox(seed) as sandbox:
            options = [*pool_options(sandbox), "--client-id", sandbox.client_id]
            done = check(*options, "--auth-flow", "CUSTOM_AUTH")
        assert done.returncode == 1
        assert "CUSTOM_AUTH is not enabled" in done.stdout
        assert "add the flow to the app client's ExplicitAuthFlows" in done.stdout

    def test_client_that_tells_which_users_exist_is_a_warning(self) -> None:
        seed = Seed(pool=PoolSeed(prevent_user_existence_errors=False), users=DEMO_SEED.users)
        with Sandbox(seed) as cognito:
            options = [*pool_options(cognito), "--client-id", cognito.client_id]
            done = check(*options)
        assert done.returncode == 0
        assert "warning user existence" in done.stdout
        assert "PreventUserExistenceErrors" in done.stdout

    def test_callback_that_is_not_registered_fails_with_the_cure(self) -> None:
        seed = Seed(pool=PoolSeed(callback_urls=("https://app.example.com/auth/callback",)))
        with Sandbox(seed) as cognito:
            options = [*pool_options(cognito), "--client-id", cognito.client_id]
            right = check(*options, "--redirect-uri", "https://app.example.com/auth/callback")
            wrong = check(*options, "--redirect-uri", "https://app.example.com/callback")
        assert right.returncode == 0, right.stdout + right.stderr
        assert "ok      managed login" in right.stdout
        assert wrong.returncode == 1
        assert "failed  redirect_uri: redirect_mismatch" in wrong.stdout
        assert (
            "add https://app.example.com/callback to the app client's CallbackURLs" in wrong.stdout
        )

    def test_pool_that_is_read_has_more_findings(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
        options = [*pool_options(sandbox), "--client-id", sandbox.client_id]
        done = check(*options, "--read-pool")
        assert done.returncode == 0, done.stdout
        assert "ok      settings" in done.stdout
        assert "settings" not in check(*options).stdout

    def test_application_is_checked_with_its_own_settings(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module: Any = ModuleType("shop_of_test_check")
        module.web = SimpleNamespace(
            check_set_up=lambda: [Finding("cookies", "failed", "not secure", "serve HTTPS")]
        )
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setenv("ONCEGATE_POOL_ID", "us-east-1_NotAsked1")
        done = check("--app", f"{module.__name__}:web")
        assert done.returncode == 1
        assert done.stdout == "failed  cookies: not secure → serve HTTPS\n"

    def test_application_whose_import_raises_is_a_usage_error_without_its_words(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "broken_of_test_check.py").write_text("raise RuntimeError('hunter22')")
        monkeypatch.syspath_prepend(tmp_path)
        done = check("--app", "broken_of_test_check:web")
        assert done.returncode == 2
        assert "raises RuntimeError" in done.stderr
        assert "hunter22" not in done.stderr

    def test_clock_that_differs_from_cognitos_is_a_warning(self) -> None:
        with Answering('{"keys": [{}]}', behind=90.0) as url:
            done = check("--pool-id", "us-east-1_P1", "--endpoint-url", url)
        assert done.returncode == 0
        assert re.search(r"warning clock: this machine is (89|9\d) s ahead of Cognito", done.stdout)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ([], "--store"),
            (["--store", "nope://user:hunter22@x"], "no store for this URL"),
            (["--store", "memory://", "--client-id", "c"], "--pool-id"),
            (
                ["--pool-id", "us-east-1_P1", "--redirect-uri", "https://a/auth/callback"],
                "--client-id",
            ),
            (
                ["--pool-id", "us-east-1_P1", "--client-id", "c", "--redirect-uri", "https://a/b"],
                "--domain",
            ),
            (["--app", "nocolon"], "MODULE:NAME"),
            (["--app", "no_such_module:web"], "no_such_module raises ModuleNotFoundError"),
            (["--app", "tests.cli.scripts:web"], "has no web"),
            (["--app", "tests.cli.scripts:Lines"], "no WebSignIn"),
            (["--pool-id", "nope"], "pool_id"),
            (["--pool-id", "us-east-1_P1", "--endpoint-url", "http://10.0.0.1"], "https"),
        ],
    )
    def test_usage_errors_exit_with_2(self, arguments: list[str], says: str) -> None:
        done = check(*arguments)
        assert done.returncode == 2
        assert says in done.stderr
        assert "hunter22" not in done.stderr

    def test_store_that_does_not_answer_exits_with_1_without_its_url(self) -> None:
        url = f"postgresql://user:hunter22@127.0.0.1:{free_port()}/flows"
        done = check("--store", url)
        assert done.returncode == 1
        assert done.stdout.startswith("failed  store answers: PostgreSQL")
        assert "hunter22" not in done.stdout + done.stderr

    def test_store_can_come_from_the_environment(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "oncegate_cli", "check", "--json"],
            env={**os.environ, "ONCEGATE_STORE": "memory://"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0
        assert json.loads(done.stdout)[0]["check"] == "store answers"

    @pytest.mark.needs("redis-server")
    def test_redis_that_evicts_fails_with_the_cure(self, redis_server: RedisServer) -> None:
        client = Redis.from_url(redis_server.url)
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "volatile-lru")
        try:
            done = check("--store", redis_server.url)
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
            client.close()
        assert done.returncode == 1
        assert "CONFIG SET maxmemory-policy noeviction" in done.stdout


class Answering:
    """An HTTP server with one answer and a clock of its own."""

    def __init__(self, body: str, *, behind: float) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate(time.time() - behind, usegmt=True)

            def log_message(self, *_: Any) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Overwriting(MemoryStore):
    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        self._rows[key] = row._replace(epoch=None)
        return True


class Dropping(MemoryStore):
    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        return True


class Forgetful(MemoryStore):
    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        loaded = self.load(key)
        return loaded is None and super().swap(key, expected, row)


class IgnoringEpochs(MemoryStore):
    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        return super().swap(key, expected, row._replace(epoch=None))


class Late(MemoryStore):
    def now(self) -> float:
        return time.time() - 90


class Raising(MemoryStore):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def load(self, key: str) -> StoredRecord | None:
        raise self.error


class Talkative(MemoryStore):
    def findings(self) -> Iterable[Finding]:
        yield Finding("setting", "warning", "off", "switch it on")
        raise StoreUnavailable("it went away")


class TestStore:
    def test_working_store_is_ok(self) -> None:
        found = statuses(check_store(MemoryStore()))
        names = ("store answers", "store saves", "store's epoch", "clocks")
        assert {name: found[name] for name in names} == dict.fromkeys(names, "ok")

    @pytest.mark.parametrize(
        ("store", "check", "says"),
        [
            (Overwriting(), "store saves", "replaces a row that exists"),
            (Dropping(), "store saves", "is not found"),
            (Forgetful(), "store saves", "does not recognise its own row"),
            (IgnoringEpochs(), "store's epoch", "of another epoch is saved"),
        ],
    )
    def test_store_that_breaks_its_contract_fails(
        self, store: RecordStore, check: str, says: str
    ) -> None:
        found = {finding.check: finding for finding in check_store(store)}
        assert found[check].status == "failed"
        assert says in found[check].text

    def test_clock_that_differs_from_the_stores_is_a_warning(self) -> None:
        found = {finding.check: finding for finding in check_store(Late())}
        assert found["clocks"].status == "warning"
        assert found["clocks"].text == "this machine is 90 s ahead of the store"
        assert "NTP" in found["clocks"].cure

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (Misconfigured("no table: CREATE TABLE …"), "CREATE TABLE"),
            (StoreUnavailable("Redis did not answer"), "did not answer"),
            (ValueError("redis://user:hunter22@host"), "ValueError"),
        ],
    )
    def test_store_that_raises_is_one_failed_finding(self, error: Exception, says: str) -> None:
        (finding,) = check_store(Raising(error))
        assert finding.status == "failed"
        assert says in finding.text
        assert "hunter22" not in finding.text

    def test_findings_of_the_store_follow_also_of_a_metered_one(self) -> None:
        for store in (Talkative(), MeteredStore(Talkative())):
            *_, own, failed = check_store(store)
            assert own == Finding("setting", "warning", "off", "switch it on")
            assert (failed.status, failed.text) == ("failed", "it went away")

    def test_check_leaves_a_row_for_a_minute_only(self) -> None:
        store = MemoryStore()
        check_store(store)
        assert all(row.expires_at < time.time() + 61 for row in store._rows.values())
