"""The commands as scripts use them: exit codes, JSON, and lines on standard input."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed

ONCEGATE = [sys.executable, "-m", "oncegate_cli"]


def run(*arguments: str, stdin: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ONCEGATE, *arguments], input=stdin, capture_output=True, text=True, timeout=60, **more
    )


def options(sandbox: Sandbox) -> list[str]:
    return [
        "--pool-id", sandbox.pool_id,
        "--client-id", sandbox.client_id,
        "--endpoint-url", sandbox.endpoint,
    ]  # fmt: skip


class TestSignIn:
    def test_signed_in(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), "--json", stdin="fay\nCorrect-horse-6\n")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["state"] == "authenticated"
        assert set(result["tokens"]) >= {"access_token", "id_token", "refresh_token"}

    def test_with_a_code(self, sandbox: Sandbox) -> None:
        process = subprocess.Popen(
            [*ONCEGATE, "signin", *options(sandbox), "--username", "ana", "--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write("Correct-horse-1\n")
        process.stdin.flush()
        until = time.monotonic() + 20
        while not sandbox.messages() and time.monotonic() < until:
            time.sleep(0.01)
        out, _ = process.communicate(f"{sandbox.messages()[-1].code}\n", timeout=20)
        assert process.returncode == 0
        assert json.loads(out)["tokens"]
        assert len(sandbox.messages()) == 1

    def test_people_see_no_token(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), stdin="fay\nCorrect-horse-6\n")
        assert done.returncode == 0
        assert "eyJ" not in done.stdout + done.stderr
        assert "Signed in" in done.stderr
        assert "Correct-horse-6" not in done.stdout + done.stderr

    def test_refused(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), "--json", stdin="ana\nwrong\n")
        assert done.returncode == 1
        result = json.loads(done.stdout)
        assert result["message"]["code"] == "wrong_credentials"
        assert result["tokens"] is None

    def test_three_wrong_passwords_are_enough(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), "--json", stdin="ana\nwrong\n" * 9)
        assert done.returncode == 1
        assert sandbox.calls()["InitiateAuth"] == 3

    def test_unreachable(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        done = run(
            "signin", "--pool-id", "us-east-1_P1", "--client-id", "c1", "--endpoint-url",
            f"http://127.0.0.1:{port}", "--json", stdin="ana\nx\n",
        )  # fmt: skip
        assert done.returncode == 3
        assert json.loads(done.stdout)["message"]["code"] == "unreachable"

    def test_a_lost_response_is_not_repeated(self, sandbox: Sandbox) -> None:
        sandbox.lose_next_response("RespondToAuthChallenge")
        done = run("signin", *options(sandbox), "--json", stdin="ana\nCorrect-horse-1\n")
        assert done.returncode == 3
        assert json.loads(done.stdout)["message"]["code"] == "outcome_unknown"
        assert len(sandbox.messages()) == 1

    def test_settings_from_the_environment(self, sandbox: Sandbox) -> None:
        environment = {
            **os.environ,
            "ONCEGATE_POOL_ID": sandbox.pool_id,
            "ONCEGATE_CLIENT_ID": sandbox.client_id,
        }
        done = run(
            "signin", "--endpoint-url", sandbox.endpoint, "--json",
            stdin="fay\nCorrect-horse-6\n", env=environment,
        )  # fmt: skip
        assert done.returncode == 0


class TestDevices:
    @pytest.fixture
    def tracking(self) -> Iterator[Sandbox]:
        seed = Seed(pool=PoolSeed(device_tracking="opt_in"), users=DEMO_SEED.users)
        with Sandbox(seed) as running:
            yield running

    def sign_in(self, sandbox: Sandbox, home: Path, *arguments: str) -> Any:
        """Answers a code where one is sent; returns what the command printed."""
        process = subprocess.Popen(
            [*ONCEGATE, *arguments, *options(sandbox), "--username", "ana", "--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
        )
        assert process.stdin is not None
        texts = len(sandbox.messages())
        process.stdin.write("Correct-horse-1\n")
        process.stdin.flush()
        until = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < until:
            if len(sandbox.messages()) > texts:
                process.stdin.write(f"{sandbox.messages()[-1].code}\n")
                process.stdin.flush()
                break
            time.sleep(0.02)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        return json.loads(out)

    def test_remembered_listed_and_forgotten(self, tracking: Sandbox, tmp_path: Path) -> None:
        self.sign_in(tracking, tmp_path, "signin", "--remember-device")
        assert len(tracking.messages()) == 1
        self.sign_in(tracking, tmp_path, "signin")
        assert len(tracking.messages()) == 1, "the device stood in for the code"
        (listed,) = self.sign_in(tracking, tmp_path, "devices", "list")
        assert listed["name"] == "oncegate"
        assert self.sign_in(tracking, tmp_path, "devices", "forget", listed["key"]) == []
        self.sign_in(tracking, tmp_path, "signin")
        assert len(tracking.messages()) == 2
        kept = list((tmp_path / "config").rglob("devices-*.json"))
        assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]

    def test_what_to_forget_has_to_be_said(self, tracking: Sandbox) -> None:
        done = run("devices", "forget", *options(tracking))
        assert done.returncode == 2
        assert "key" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["signin"],
        ["signin", "--pool-id", "nope", "--client-id", "c"],
        ["signin", "--password", "x"],
        ["no-such-command"],
        ["sandbox", "--port", "99999"],
        ["sandbox", "--seed", "/nowhere.toml"],
        ["diagram", "--format", "ascii"],
    ],
    ids=" ".join,
)
def test_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_no_password_on_the_command_line() -> None:
    assert "password" not in run("signin", "--help").stdout.lower().replace("user_password", "")


@pytest.mark.parametrize("command", [[], ["signin"], ["sandbox"], ["demo"], ["diagram"]], ids=str)
def test_help(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "--help" in done.stdout


class TestSandboxCommand:
    @pytest.fixture
    def running(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [*ONCEGATE, "sandbox", "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        yield process
        process.kill()
        process.communicate()

    def test_one_line_when_it_is_ready(self, running: subprocess.Popen[str]) -> None:
        assert running.stdout is not None
        about = json.loads(running.stdout.readline())
        assert list(about) == ["endpoint", "pool_id", "client_id"]
        assert httpx.get(f"{about['endpoint']}/_sandbox/messages").json() == []

    @pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
    def test_it_stops_cleanly(self, running: subprocess.Popen[str], kind: signal.Signals) -> None:
        assert running.stdout is not None
        about = json.loads(running.stdout.readline())
        httpx.get(f"{about['endpoint']}/_sandbox/calls")
        running.send_signal(kind)
        out, err = running.communicate(timeout=20)
        assert out == ""
        assert "Traceback" not in err
        assert running.returncode == (130 if kind is signal.SIGINT else -signal.SIGTERM)

    def test_for_people(self) -> None:
        process = subprocess.Popen(
            [*ONCEGATE, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        process.kill()
        process.communicate()
        assert "http://127.0.0.1:" in line
        assert "us-east-1_" in line


class TestDemo:
    @pytest.mark.parametrize("arguments", [["--auto"], []], ids=["auto", "no terminal"])
    def test_three_scenes(self, arguments: list[str]) -> None:
        done = run("demo", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        plain, twice, lost = json.loads(done.stdout)
        assert (plain["texts"], plain["calls"], plain["final_state"]) == (1, 3, "authenticated")
        assert (twice["texts"], twice["calls"], twice["final_state"]) == (1, 3, "authenticated")
        assert (lost["texts"], lost["calls"], lost["final_state"]) == (1, 2, "idle")

    def test_who_opens_the_page_as_soon_as_it_is_named_gets_in(self) -> None:
        with subprocess.Popen(
            [*ONCEGATE, "demo", "--web", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                url = urlsplit(json.loads(process.stdout.readline())["url"])
                # Before anything slower: a browser, or httpx, may come late enough to hide it.
                socket.create_connection(("127.0.0.1", url.port or 0)).close()
                assert httpx.get(url.geturl()).status_code == 200
            finally:
                process.terminate()

    def test_as_a_table(self) -> None:
        done = run("demo", "--auto", env={**os.environ, "COLUMNS": "120"})
        assert done.returncode == 0
        for heading in ("scene", "calls made", "texts sent", "final state"):
            assert heading in done.stdout


def test_a_closed_pipe_makes_no_noise() -> None:
    for command in ("demo --auto", "diagram", "diagram --format table --json"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{' '.join(ONCEGATE)} {command} | true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""


@pytest.mark.parametrize("form", ["mermaid", "table"])
def test_diagram(form: str) -> None:
    plain = run("diagram", "--format", form)
    assert "awaiting_mfa" in plain.stdout or "Awaiting mfa" in plain.stdout
    as_json = json.loads(run("diagram", "--format", form, "--json").stdout)
    assert as_json["format"] == form
    assert as_json["diagram"].strip() == plain.stdout.strip()
