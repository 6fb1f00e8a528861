"""The commands as scripts use them: exit codes, JSON, and lines on standard input."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.cli.scripts import command, options

import oncegate
from oncegate_cli._adapters import needs_extra
from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed

ONCEGATE = [sys.executable, "-m", "oncegate_cli"]


def run(
    *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process: to start another one takes longer than most commands."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        done = command(*arguments, lines=tuple(stdin.splitlines()))
    return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)


class TestSignIn:
    def test_password_without_mfa_signs_in(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), "--json", stdin="fay\nCorrect-horse-6\n")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["state"] == "authenticated"
        assert set(result["tokens"]) >= {"access_token", "id_token", "refresh_token"}

    def test_password_and_code_sign_in(self, sandbox: Sandbox) -> None:
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

    def test_output_for_users_has_no_token(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), stdin="fay\nCorrect-horse-6\n")
        assert done.returncode == 0
        assert "eyJ" not in done.stdout + done.stderr
        assert "You’re signed in" in done.stderr
        assert "Correct-horse-6" not in done.stdout + done.stderr

    def test_wrong_password_exits_with_1(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), "--json", stdin="ana\nwrong\n")
        assert done.returncode == 1
        result = json.loads(done.stdout)
        assert result["message"]["code"] == "wrong_credentials"
        assert result["tokens"] is None

    def test_end_of_input_exits_with_1_and_says_so(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), "--username", "ana")
        assert done.returncode == 1
        assert "The input ended too early." in done.stderr

    @pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
    def test_input_that_is_no_utf_8_is_refused_without_traceback(
        self, errors: str, sandbox: Sandbox
    ) -> None:
        done = subprocess.run(
            [*ONCEGATE, "signin", *options(sandbox)],
            input=b"ana\n\xff\xe9\n",
            capture_output=True,
            timeout=60,
            env={**os.environ, "PYTHONIOENCODING": f"utf-8:{errors}"},
        )
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert b"Check what you entered." in done.stderr
        assert not sandbox.calls()

    @pytest.mark.parametrize(
        "option", [["--username", b"\xff"], ["--client-metadata", b"a=\xff"]], ids=str
    )
    def test_option_that_is_no_utf_8_exits_with_2(self, option: Any, sandbox: Sandbox) -> None:
        done = subprocess.run(
            [*ONCEGATE, "signin", *options(sandbox), *option], capture_output=True, timeout=60
        )
        assert done.returncode == 2
        assert b"not UTF-8" in done.stderr
        assert b"Traceback" not in done.stderr
        assert not sandbox.calls()

    def test_profile_that_does_not_exist_is_not_needed(self, sandbox: Sandbox) -> None:
        """Case 15."""
        done = run(
            *("signin", *options(sandbox), "--json"),
            stdin="fay\nCorrect-horse-6\n",
            env={**os.environ, "AWS_PROFILE": "nosuch"},
        )
        assert done.returncode == 0, done.stderr

    def test_third_wrong_password_ends_the_command(self, sandbox: Sandbox) -> None:
        done = run("signin", *options(sandbox), "--json", stdin="ana\nwrong\n" * 9)
        assert done.returncode == 1
        assert sandbox.calls()["InitiateAuth"] == 3

    def test_unreachable_cognito_exits_with_3(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        done = run(
            "signin", "--pool-id", "us-east-1_P1", "--client-id", "c1", "--endpoint-url",
            f"http://127.0.0.1:{port}", "--json", stdin="ana\nx\n",
        )  # fmt: skip
        assert done.returncode == 3
        assert json.loads(done.stdout)["message"]["code"] == "unreachable"

    def test_lost_response_exits_with_3_without_a_second_code(self, sandbox: Sandbox) -> None:
        sandbox.lose_next_response("RespondToAuthChallenge")
        done = run("signin", *options(sandbox), "--json", stdin="ana\nCorrect-horse-1\n")
        assert done.returncode == 3
        assert json.loads(done.stdout)["message"]["code"] == "outcome_unknown"
        assert len(sandbox.messages()) == 1

    def test_app_client_can_come_from_environment(self, sandbox: Sandbox) -> None:
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

    def sign_in(self, sandbox: Sandbox, *arguments: str) -> Any:
        """Run a command, answer a code if one is asked for, and return the JSON that was printed."""
        typed = ("Correct-horse-1", lambda: sandbox.messages()[-1].code)
        done = command(*arguments, *options(sandbox), "--username", "ana", "--json", lines=typed)
        assert done.code == 0, done.err
        return done.json()

    def test_remembered_device_replaces_code_until_forgotten(self, tracking: Sandbox) -> None:
        self.sign_in(tracking, "signin", "--remember-device")
        assert len(tracking.messages()) == 1
        self.sign_in(tracking, "signin")
        assert len(tracking.messages()) == 1, "the device replaced the code"
        (listed,) = self.sign_in(tracking, "devices", "list")
        assert listed["name"] == "oncegate"
        assert self.sign_in(tracking, "devices", "forget", listed["key"]) == []
        self.sign_in(tracking, "signin")
        assert len(tracking.messages()) == 2

    def test_forget_without_key_is_a_usage_error(self, tracking: Sandbox) -> None:
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
        ["diagram", "sessions"],
        ["signin", "--pool-id", "us-east-1_P1", "--client-id", "c1", "--auth-flow", "GUESS"],
    ],
    ids=" ".join,
)
def test_invalid_usage_exits_with_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_no_option_takes_a_password_as_its_value() -> None:
    for name in ("login", "signin"):
        shown = run(name, "--help").stdout
        options = re.findall(r"--\S*(?:password|code|token|secret)\S*(?: <\S+>)?", shown)
        assert options == ["--password-stdin"]


@pytest.mark.parametrize(
    "command",
    [[], ["signin"], ["signup"], ["forgot-password"], ["sandbox"], ["demo"], ["diagram"]],
    ids=str,
)
def test_help_lists_options(command: list[str]) -> None:
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

    def test_ready_sandbox_prints_one_json_line(self, running: subprocess.Popen[str]) -> None:
        assert running.stdout is not None
        about = json.loads(running.stdout.readline())
        assert list(about) == ["endpoint", "pool_id", "client_id"]
        assert httpx.get(f"{about['endpoint']}/_sandbox/messages").json() == []

    @pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
    def test_signal_stops_sandbox_without_traceback(
        self, running: subprocess.Popen[str], kind: signal.Signals
    ) -> None:
        assert running.stdout is not None
        about = json.loads(running.stdout.readline())
        httpx.get(f"{about['endpoint']}/_sandbox/calls")
        running.send_signal(kind)
        out, err = running.communicate(timeout=20)
        assert out == ""
        assert "Traceback" not in err
        assert running.returncode == (130 if kind is signal.SIGINT else -signal.SIGTERM)

    def test_ready_sandbox_prints_plain_line_by_default(self) -> None:
        line, hint = self._printed("sandbox", "--port", "0")
        assert "http://127.0.0.1:" in line
        assert "us-east-1_" in line
        assert "ana" in hint
        assert "Correct-horse-1" in hint
        assert f"{line.split()[1]}/_sandbox/messages" in hint

    def test_seeded_sandbox_names_no_user_of_the_demo(self, tmp_path: Path) -> None:
        seed = tmp_path / "pool.toml"
        seed.write_text('[[users]]\nusername = "mia"\npassword = "Correct-horse-9"\n')
        _, hint = self._printed("sandbox", "--port", "0", "--seed", str(seed))
        assert "ana" not in hint
        assert "/_sandbox/messages" in hint

    def _printed(self, *arguments: str) -> tuple[str, str]:
        """Return the first lines on stdout and stderr."""
        process = subprocess.Popen(
            [*ONCEGATE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        lines = process.stdout.readline(), process.stderr.readline()
        process.kill()
        process.communicate()
        return lines


class TestDemo:
    @pytest.mark.parametrize("arguments", [["--auto"], []], ids=["auto", "no terminal"])
    def test_unattended_demo_sends_one_code_per_challenge(self, arguments: list[str]) -> None:
        done = run("demo", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        plain, twice, lost = json.loads(done.stdout)
        assert (plain["texts"], plain["calls"], plain["final_state"]) == (1, 3, "authenticated")
        assert (twice["texts"], twice["calls"], twice["final_state"]) == (1, 3, "authenticated")
        assert (lost["texts"], lost["calls"], lost["final_state"]) == (1, 2, "idle")

    def test_printed_url_accepts_connections_at_once(self) -> None:
        with subprocess.Popen(
            [*ONCEGATE, "demo", "--web", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                url = urlsplit(json.loads(process.stdout.readline())["url"])
                # A raw socket first: a browser, or httpx, is slow enough to hide a late listener.
                socket.create_connection(("127.0.0.1", url.port or 0)).close()
                assert httpx.get(url.geturl()).status_code == 200
            finally:
                process.terminate()

    def test_unattended_demo_prints_a_table(self) -> None:
        done = run("demo", "--auto", env={**os.environ, "COLUMNS": "120"})
        assert done.returncode == 0
        for heading in ("scene", "calls made", "texts sent", "final state"):
            assert heading in done.stdout


@pytest.mark.parametrize("is_verbose", [False, True])
def test_transitions_are_logged_in_the_terminal_on_request_only(is_verbose: bool) -> None:
    options = ["--pool-id", "eu-west-1_aBcDeFgHi", "--client-id", "1example23456789"]
    done = subprocess.run(
        [
            *ONCEGATE, *["--verbose"] * is_verbose, "signin", *options,
            *("--endpoint-url", "http://localhost:1", "--username", "ana", "--password-stdin"),
        ],
        input="Correct-horse-1\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "Nothing was sent" in done.stderr
    assert ('"event": "transition"' in done.stderr) is is_verbose


def test_closed_pipe_prints_no_error() -> None:
    for line in ("demo --auto", "diagram", "diagram --format table --json"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{' '.join(ONCEGATE)} {line} | true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""


@pytest.mark.parametrize("form", ["mermaid", "table"])
def test_diagram_prints_plain_and_json(form: str) -> None:
    plain = run("diagram", "--format", form)
    assert "awaiting_mfa" in plain.stdout or "Awaiting mfa" in plain.stdout
    as_json = json.loads(run("diagram", "--format", form, "--json").stdout)
    assert as_json["format"] == form
    assert as_json["diagram"].strip() == plain.stdout.strip()
    assert as_json["machine"] == "sign_in"


def test_diagram_of_the_account_is_the_one_in_the_folder() -> None:
    stored = (Path(__file__).parents[2] / "diagrams" / "account.mmd").read_text("utf-8")
    assert run("diagram", "account").stdout.strip() == stored.strip()
    as_json = json.loads(run("diagram", "account", "--json").stdout)
    assert (as_json["machine"], as_json["diagram"]) == ("account", stored)
    assert run("diagram", "sign_in").stdout == run("diagram").stdout


def test_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.strip()) == (0, oncegate.__version__)


class TestMissingExtra:
    @pytest.mark.parametrize(
        ("package", "command", "extra"),
        [
            ("uvicorn", ["sandbox"], "sandbox"),
            ("fastapi", ["demo", "--web"], "fastapi"),
            ("boto3", ["signin", "--pool-id", "us-east-1_P1", "--client-id", "c1"], "cognito"),
            (
                "authlib",
                [
                    "signin",
                    "--pool-id",
                    "us-east-1_P1",
                    "--client-id",
                    "c1",
                    "--with",
                    "Google",
                    "--domain",
                    "https://auth.example.com",
                    "--callback-port",
                    "0",
                ],
                "oauth",
            ),
            ("segno", ["demo"], "cli"),
            ("typer", ["--help"], "cli"),
        ],
    )
    def test_missing_package_names_its_extra(
        self, package: str, command: list[str], extra: str
    ) -> None:
        program = (
            f"import sys; sys.modules[{package!r}] = None; sys.argv = ['oncegate', *{command!r}]; "
            "from oncegate_cli.entry import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
        )
        assert done.returncode in {1, 2}
        assert f"pip install 'oncegate[{extra}]'" in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr

    def test_missing_module_of_oncegate_is_not_an_extra(self) -> None:
        with pytest.raises(ModuleNotFoundError), needs_extra("sandbox"):
            import_module("oncegate_sandbox.no_such_module")
