"""Sessions of the command, when commands run at once, are killed, or find what no command has written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.cli.scripts import InMemory, command, options
from tests.cli.test_sessions import Shell, oncegate, system_keyring

from oncegate import Tokens
from oncegate_cli import _adapters, _sessions
from oncegate_cli._sessions import KeptSession, SessionFile

__all__ = ["oncegate", "system_keyring"]  # fixtures


def _session() -> KeptSession:
    now, tokens = time.time(), Tokens(access_token="x", expires_in=3600)
    return KeptSession(username="ana", tokens=tokens, signed_in_at=now, issued_at=now)


def test_logout_while_the_code_is_typed_does_not_lose_the_new_session(oncegate: Shell) -> None:
    def code() -> str:
        oncegate("logout")  # in another terminal; it removes the key from the keyring
        return oncegate.sandbox.messages()[-1].code

    assert oncegate("login", "--username", "ana", lines=("Correct-horse-1", code)).code == 0
    assert oncegate("token").code == 0
    assert len(oncegate.sandbox.messages()) == 1


def test_two_first_logins_at_once_can_read_what_they_saved(oncegate: Shell) -> None:
    """Both find no key in the keyring."""
    files = [SessionFile(oncegate.account) for _ in range(2)]
    both = threading.Barrier(2)
    real = InMemory.get_password

    def get(self: InMemory, service: str, name: str) -> str | None:
        found = real(self, service, name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(InMemory, "get_password", real)
            with suppress(threading.BrokenBarrierError):  # the other one waits for the lock
                both.wait(0.5)
        return found

    with mock.patch.object(InMemory, "get_password", get):
        threads = [
            threading.Thread(target=file.prepare, kwargs={"insecure": False}) for file in files
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for file in files:
        _sessions.keep(file, oncegate.account, _session())
        assert SessionFile(oncegate.account).load() is not None


@pytest.mark.parametrize("more", [(), ("--insecure-storage",)], ids=["keyring", "plain"])
def test_logout_during_a_renewal_leaves_no_session(
    oncegate: Shell, app_folder: Path, more: tuple[str, ...]
) -> None:
    oncegate.login(*more)
    oncegate.expire(10)
    real, at_cognito, go = _adapters.renewed, threading.Event(), threading.Event()

    def slow(account: Any, tokens: Any, *, issued_at: float, save: Any) -> Any:
        def later(renewed: Tokens) -> None:
            at_cognito.set()
            go.wait(10)
            save(renewed)

        return real(account, tokens, issued_at=issued_at, save=later)

    with mock.patch.object(_adapters, "renewed", slow):
        renewal = threading.Thread(target=_sessions.current, args=(oncegate.file, oncegate.account))
        renewal.start()
        assert at_cognito.wait(10)
        threading.Timer(0.3, go.set).start()
        assert oncegate("logout").code == 0
        renewal.join()
    assert list(app_folder.glob("session-*.json*")) == []
    assert oncegate("token").code == 4


def test_killed_command_leaves_no_tokens_after_a_logout(oncegate: Shell, app_folder: Path) -> None:
    oncegate.login("--insecure-storage")
    file, session = oncegate.file, oncegate.kept
    child = os.fork()
    if child == 0:  # killed before the new file replaces the old one
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign]
        file.save(session)
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(app_folder.glob("session-*.json*"))) == 2
    oncegate("logout")
    assert list(app_folder.glob("session-*.json*")) == []


@pytest.mark.parametrize("key", ["", "short", "é" * 40, "a\x00b"])
def test_key_of_the_keyring_that_is_none_is_replaced_before_a_code_is_sent(
    oncegate: Shell, system_keyring: InMemory, key: str
) -> None:
    system_keyring.stored["oncegate", oncegate.file.path.stem] = key
    assert oncegate.login().code == 0
    assert oncegate("status").code == 0
    assert len(oncegate.sandbox.messages()) == 1


GARBAGE = [
    b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"session": 5}', b'{"sealed": "\xc3\xa9"}',
    b'{"sealed": 5}', b'{"sealed": "!!!"}', b'{"session": {}, "sealed": "x"}', b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_file_that_no_command_has_written_is_no_session(oncegate: Shell, garbage: bytes) -> None:
    path = oncegate.file.path
    path.parent.mkdir(mode=0o700)
    for name, code in (("status", 4), ("token", 4), ("logout", 0)):
        path.write_bytes(garbage)
        path.chmod(0o600)
        assert oncegate(name).code == code
    assert oncegate.login().code == 0


PROFILES = [
    b"profile = 3", b"profile = []", b"[profile]\na = 1", b"[profile.default]\npool_id = 1979-05-27",
    b"[profile.default]\ncallback_port = 1e400", b"a=" + b"[" * 3000, b"\x00", b"a = " + b"9" * 20_000,
    b'[profile.default]\n"client_secret" = "s3cret"', b'[profile."\\u001b]0;x"]\n',
]  # fmt: skip


@pytest.mark.parametrize("garbage", PROFILES, ids=range(len(PROFILES)))
@pytest.mark.parametrize("profile", ["default", "other"])
def test_file_of_profiles_that_is_wrong_is_told_without_its_secrets(
    app_folder: Path, garbage: bytes, profile: str
) -> None:
    app_folder.mkdir(mode=0o700)
    (app_folder / "config.toml").write_bytes(garbage)
    done = command("token", "--profile", profile)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "s3cret" not in done.err
    assert "\x1b" not in done.err


def test_control_characters_of_a_username_do_not_reach_the_terminal(oncegate: Shell) -> None:
    evil = "ana\x1b]0;owned\x07\x1b[2J\x9b31m\r\nSigned in as root"
    for arguments in (("status",), ("login",), ("token", "--username", "bob"), ("logout",)):
        oncegate.login()
        oncegate.file.save(oncegate.kept.model_copy(update={"username": evil}))
        done = oncegate(*arguments)
        assert not {"\x1b", "\x07", "\x9b"} & set(done.out + done.err), arguments


@pytest.mark.slow
@pytest.mark.parametrize("stream", [">/dev/full", ">&-"])
def test_result_that_cannot_be_written_is_an_error_without_traceback(
    oncegate: Shell, stream: str
) -> None:
    oncegate.login("--insecure-storage")
    words = [sys.executable, "-m", "oncegate_cli", "token", *options(oncegate.sandbox)]
    shell = f'"$@" {stream}'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "standard output" in done.stderr
