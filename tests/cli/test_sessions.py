"""`oncegate login`, `status`, `token`, `logout` and `devices`: one session, and one code for it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import keyring
import pexpect
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as ForgetfulKeyring
from pydantic import SecretStr
from tests.cli.scripts import Done, InMemory, Lines, command, options

from oncegate import SignedOut, Tokens
from oncegate_cli import _adapters, _sessions
from oncegate_cli._options import Account, Exit
from oncegate_cli._sessions import KeptSession, SessionFile
from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed
from oncegate_sandbox.faults import Fault

REFRESH = "GetTokensFromRefreshToken"
SLOTS = 1280
"""Characters of an entry of Windows' keyring: 2560 bytes in UTF-16."""


class Locked(InMemory):
    """A keyring that the user does not unlock."""

    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked("Correct-horse-9")


@pytest.fixture(autouse=True)
def system_keyring() -> Iterator[InMemory]:
    before = keyring.get_keyring()
    made = InMemory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


class ReadOnly(InMemory):
    """A keyring in which nothing can be stored."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.PasswordSetError("Correct-horse-9")


@pytest.fixture
def oncegate(sandbox: Sandbox) -> Shell:
    return Shell(sandbox)


class Shell:
    """Runs commands against a sandbox, as a script does.

    Args:
        sandbox: the sandbox.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.account = Account(
            sandbox.pool_id, sandbox.client_id, sandbox.endpoint, None, "USER_SRP_AUTH"
        )

    def __call__(
        self, name: str, *more: str, lines: tuple[str | Callable[[], str], ...] = ()
    ) -> Done:
        return command(name, *options(self.sandbox), *more, lines=lines)

    def login(self, *more: str) -> Done:
        """Sign ana in, with a code by SMS."""
        return self(
            "login", "--username", "ana", *more,
            lines=("Correct-horse-1", lambda: self.sandbox.messages()[-1].code),
        )  # fmt: skip

    @property
    def file(self) -> SessionFile:
        return SessionFile(self.account)

    @property
    def kept(self) -> KeptSession:
        found = self.file.load()
        assert found is not None
        return found

    def expire(self, seconds_left: float = 0.0) -> None:
        """Make the kept access token one that expires in some seconds."""
        file = self.file
        session = file.load()
        assert session is not None
        issued_at = time.time() - session.tokens.expires_in + seconds_left
        file.save(session.model_copy(update={"issued_at": issued_at}))


class TestLogin:
    def test_one_code_serves_all_commands_of_a_session(self, oncegate: Shell) -> None:
        assert oncegate.login().code == Exit.SIGNED_IN
        tokens = {oncegate("token").out for _ in range(3)}
        assert len(tokens) == 1
        assert oncegate("status").code == Exit.SIGNED_IN
        assert command("devices", "list", *options(oncegate.sandbox)).code == Exit.SIGNED_IN
        assert len(oncegate.sandbox.messages()) == 1
        assert oncegate.sandbox.calls()["InitiateAuth"] == 1

    def test_second_login_sends_no_code_and_says_who_is_signed_in(self, oncegate: Shell) -> None:
        oncegate.login()
        for more in ((), ("--username", "ana"), ("--username", "ana@example.com")):
            done = oncegate("login", *more)
            assert done.code == Exit.SIGNED_IN
            assert "You are signed in as ana. No code was sent." in done.err
        assert oncegate.sandbox.calls()["InitiateAuth"] == 1

    def test_output_has_no_token_unless_it_is_asked_for(self, oncegate: Shell) -> None:
        done = oncegate.login()
        assert done.out == ""
        assert "eyJ" not in done.err
        assert "Signed in as ana." in done.err
        again = oncegate("login", "--json")
        assert list(again.json()) == ["state", "message", "tokens"]
        assert again.json()["state"] == "authenticated"
        assert again.json()["tokens"]["access_token"] == oncegate.kept.tokens.access_token

    def test_first_login_prints_the_json_of_signin(self, oncegate: Shell) -> None:
        shown = oncegate.login("--json").json()
        assert list(shown) == ["state", "message", "tokens"]
        assert shown["tokens"] == oncegate.kept.tokens.model_dump()

    def test_other_user_replaces_the_session_and_its_tokens_are_revoked(
        self, oncegate: Shell
    ) -> None:
        oncegate.login()
        of_ana = oncegate.kept.tokens
        done = oncegate("login", "--username", "fay", lines=("Correct-horse-6",))
        assert done.code == Exit.SIGNED_IN
        assert "ana was signed out." in done.err
        assert oncegate.kept.username == "fay"
        with pytest.raises(SignedOut):
            _adapters.service(oncegate.account).check(of_ana)

    def test_session_is_of_the_user_who_signed_in_and_not_of_the_one_named_first(
        self, oncegate: Shell
    ) -> None:
        lines = ("wrong-horse-1", "fay", "Correct-horse-6")
        assert oncegate("login", "--username", "ana", lines=lines).code == Exit.SIGNED_IN
        assert oncegate.kept.username == "fay"
        assert oncegate("token", "--username", "ana").code == Exit.SIGN_IN_FIRST
        assert oncegate("token", "--username", "fay").code == Exit.SIGNED_IN

    def test_refused_sign_in_leaves_the_session_before(self, oncegate: Shell) -> None:
        oncegate.login()
        before = oncegate.kept
        done = oncegate("login", "--username", "fay", lines=("wrong-horse-6",))
        assert done.code == Exit.REFUSED
        assert oncegate.kept == before

    def test_session_that_ended_elsewhere_is_signed_in_anew(self, oncegate: Shell) -> None:
        oncegate.login()
        _adapters.service(oncegate.account).revoke(oncegate.kept.tokens)
        assert oncegate.login().code == Exit.SIGNED_IN
        assert len(oncegate.sandbox.messages()) == 2
        assert oncegate("status").code == Exit.SIGNED_IN

    def test_signin_keeps_nothing_and_signs_in_each_time(
        self, oncegate: Shell, app_folder: Path, system_keyring: InMemory
    ) -> None:
        for _ in range(2):
            done = oncegate(
                "signin", "--username", "fay", "--json", lines=("Correct-horse-6",)
            )  # fmt: skip
            assert done.json()["tokens"]["refresh_token"]
        assert oncegate.sandbox.calls()["InitiateAuth"] == 2
        assert list(app_folder.glob("session-*")) == []
        assert system_keyring.stored == {}

    def test_profiles_have_sessions_of_their_own(self, oncegate: Shell, app_folder: Path) -> None:
        app_folder.mkdir()
        (app_folder / "config.toml").write_text("[profile.staff]\n")
        oncegate.login()
        done = oncegate("token", "--profile", "staff")
        assert done.code == Exit.SIGN_IN_FIRST
        assert done.err == "sign in first: oncegate login --profile staff\n"


class TestStorage:
    def test_file_is_sealed_and_private_and_the_key_fits_every_keyring(
        self, oncegate: Shell, app_folder: Path, system_keyring: InMemory
    ) -> None:
        oncegate.login()
        (path,) = app_folder.glob("session-*.json")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(app_folder.stat().st_mode) == 0o700
        tokens = oncegate.kept.tokens
        assert "eyJ" not in path.read_text()
        for secret in (tokens.access_token, tokens.refresh_token):
            assert secret is not None
            assert secret not in path.read_text()
        (key,) = system_keyring.stored.values()
        assert len(key) < SLOTS

    def test_renewal_writes_nothing_to_the_keyring(
        self, oncegate: Shell, system_keyring: InMemory
    ) -> None:
        oncegate.login()
        oncegate.expire()
        before = dict(system_keyring.stored)
        assert oncegate("token").code == Exit.SIGNED_IN
        assert system_keyring.stored == before
        assert "eyJ" not in oncegate.file.path.read_text()

    @pytest.mark.parametrize("broken", [NoKeyring, ForgetfulKeyring, Locked, ReadOnly])
    def test_keyring_that_does_not_work_is_an_error_before_anything_is_sent(
        self, broken: type[KeyringBackend], oncegate: Shell
    ) -> None:
        keyring.set_keyring(broken())
        done = oncegate.login()
        assert done.code == Exit.USAGE
        assert "keyring" in done.err
        assert "--insecure-storage" in done.err
        assert "Correct-horse" not in done.err
        assert not oncegate.sandbox.calls()

    def test_keyring_package_that_is_not_installed_names_both_cures(
        self, oncegate: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "keyring", None)
        done = oncegate.login()
        assert done.code == Exit.USAGE
        shown = " ".join(done.err.split())
        assert "pip install 'oncegate[keyring]'" in shown
        assert "--insecure-storage" in shown
        assert not oncegate.sandbox.calls()
        assert oncegate.login("--insecure-storage").code == Exit.SIGNED_IN

    def test_session_that_cannot_be_saved_is_revoked(
        self, oncegate: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(_adapters, "replace_private", full)
        done = oncegate.login("--json")
        assert (done.code, done.out) == (Exit.USAGE, "")
        assert "No space left on device" in " ".join(done.err.split())
        assert oncegate.sandbox.calls()["RevokeToken"] == 1

    def test_session_that_another_command_replaced_is_not_forgotten(self, oncegate: Shell) -> None:
        oncegate.login()
        before = oncegate.kept
        oncegate("login", "--username", "fay", lines=("Correct-horse-6",))
        _sessions.forget(oncegate.file, before)
        assert oncegate.kept.username == "fay"

    def test_folder_that_cannot_be_written_is_an_error_before_anything_is_sent(
        self, oncegate: Shell, app_folder: Path
    ) -> None:
        app_folder.write_text("a file, and no folder")
        for more in ((), ("--insecure-storage",)):
            done = oncegate.login(*more)
            assert done.code == Exit.USAGE
            assert str(app_folder) in done.err
        assert not oncegate.sandbox.calls()

    def test_lock_that_cannot_be_made_is_an_error_before_anything_is_sent(
        self, oncegate: Shell, app_folder: Path
    ) -> None:
        oncegate.file.path.with_suffix(".lock").mkdir(parents=True)
        for more in ((), ("--insecure-storage",)):
            done = oncegate.login(*more)
            assert done.code == Exit.USAGE
            assert f"{app_folder}: Is a directory" in " ".join(done.err.split())
        assert not oncegate.sandbox.calls()

    def test_file_that_cannot_be_read_or_removed_is_no_traceback(self, oncegate: Shell) -> None:
        oncegate.file.path.mkdir(parents=True)
        for name in ("token", "status", "login", "logout"):
            assert oncegate(name).code == Exit.USAGE
        assert not oncegate.sandbox.calls()

    def test_plain_file_only_if_asked_for_serves_without_a_keyring(
        self, oncegate: Shell, app_folder: Path
    ) -> None:
        keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
        done = oncegate.login("--insecure-storage")
        assert done.code == Exit.SIGNED_IN
        assert "in plain text" in done.err
        (path,) = app_folder.glob("session-*.json")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert oncegate("token").out.startswith("eyJ")
        oncegate.expire()
        assert oncegate("token").code == Exit.SIGNED_IN
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
    def test_file_that_others_can_read_is_refused_with_the_cure(self, oncegate: Shell) -> None:
        oncegate.login("--insecure-storage")
        path = oncegate.file.path
        path.chmod(0o640)
        done = oncegate("token")
        assert (done.code, done.out) == (Exit.USAGE, "")
        shown = " ".join(done.err.split())
        assert "other users of this machine can read" in shown
        assert "oncegate logout" in shown
        assert "chmod 600" in shown
        assert oncegate.login().code == Exit.USAGE
        assert len(oncegate.sandbox.messages()) == 1
        # The tokens may be in other hands: signing out is what has to work.
        assert oncegate("logout").code == Exit.SIGNED_IN
        assert oncegate.sandbox.calls()["RevokeToken"] == 1
        assert not path.exists()

    @pytest.mark.skipif(os.name == "nt", reason="owners of POSIX")
    def test_file_of_another_user_is_refused(
        self, oncegate: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        oncegate.login()
        monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
        done = oncegate("token")
        assert done.code == Exit.USAGE
        assert "belongs to another user" in " ".join(done.err.split())

    @pytest.mark.parametrize(
        "damage", [lambda text: "", lambda text: text[:-20], lambda text: text.replace("A", "B")]
    )
    def test_damaged_file_counts_as_none(
        self, damage: Callable[[str], str], oncegate: Shell
    ) -> None:
        oncegate.login()
        path = oncegate.file.path
        path.write_text(damage(path.read_text()))
        assert oncegate("token").code == Exit.SIGN_IN_FIRST
        assert oncegate.login().code == Exit.SIGNED_IN
        assert oncegate("token").code == Exit.SIGNED_IN

    def test_file_moved_to_another_profile_does_not_open(
        self, oncegate: Shell, system_keyring: InMemory
    ) -> None:
        oncegate.login()
        path = oncegate.file.path
        other = SessionFile(oncegate.account._replace(profile="staff"))
        key = system_keyring.stored["oncegate", path.stem]
        system_keyring.stored["oncegate", other.path.stem] = key
        path.rename(other.path)
        assert other.load() is None

    @pytest.mark.parametrize("entry", [None, "", "a word"])
    def test_session_whose_key_is_gone_counts_as_none(
        self, entry: str | None, oncegate: Shell, system_keyring: InMemory
    ) -> None:
        oncegate.login()
        system_keyring.stored.clear()
        if entry is not None:
            system_keyring.stored["oncegate", oncegate.file.path.stem] = entry
        assert oncegate("token").code == Exit.SIGN_IN_FIRST

    def test_keyring_that_is_locked_later_is_an_error_and_logout_forgets_all_the_same(
        self, oncegate: Shell
    ) -> None:
        oncegate.login()
        keyring.set_keyring(Locked())
        assert oncegate("token").code == Exit.USAGE
        done = oncegate("logout")
        assert done.code == Exit.UNREACHABLE
        assert "not revoked" in done.err
        assert not oncegate.file.path.exists()

    def test_plain_file_replaces_a_session_that_the_keyring_does_not_open(
        self, oncegate: Shell
    ) -> None:
        oncegate.login()
        keyring.set_keyring(Locked())
        assert oncegate.login().code == Exit.USAGE
        assert len(oncegate.sandbox.messages()) == 1
        assert oncegate.login("--insecure-storage").code == Exit.SIGNED_IN
        assert oncegate("token").code == Exit.SIGNED_IN

    def test_tokens_of_one_endpoint_are_not_those_of_another(self, oncegate: Shell) -> None:
        oncegate.login()
        with Sandbox() as other:
            assert other.pool_id == oncegate.sandbox.pool_id
            assert Shell(other)("token").code == Exit.SIGN_IN_FIRST
            assert not other.calls()

    def test_reprs_hide_the_tokens(self, oncegate: Shell) -> None:
        oncegate.login()
        assert "eyJ" not in repr(oncegate.kept)
        assert "eyJ" not in repr(oncegate.file.__dict__)

    def test_client_secret_comes_from_the_keyring_or_the_environment(
        self, system_keyring: InMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        secret = "aSecretOfTheAppClientOf30Chars"
        seed = Seed(pool=PoolSeed(client_secret=SecretStr(secret)), users=DEMO_SEED.users)
        with Sandbox(seed) as sandbox:
            shell = Shell(sandbox)
            assert shell.login().code == Exit.REFUSED
            name = f"client-secret {sandbox.pool_id} {sandbox.client_id}"
            system_keyring.stored["oncegate", name] = secret
            assert shell.login().code == Exit.SIGNED_IN
            shell.expire()
            assert shell("token").code == Exit.SIGNED_IN
            system_keyring.stored["oncegate", name] = secret[::-1]
            monkeypatch.setenv("ONCEGATE_CLIENT_SECRET", secret)
            shell.expire()
            assert shell("token").code == Exit.SIGNED_IN


class TestToken:
    def test_token_alone_is_on_standard_output(self, oncegate: Shell) -> None:
        oncegate.login()
        done = oncegate("token")
        assert done.out == f"{oncegate.kept.tokens.access_token}\n"
        assert done.err == ""
        of_id = oncegate("token", "--id").out.strip()
        claims = jwt.decode(of_id, options={"verify_signature": False})
        assert (claims["token_use"], claims["cognito:username"]) == ("id", "ana")

    def test_json_has_the_token_and_its_end(self, oncegate: Shell) -> None:
        oncegate.login()
        shown = oncegate("token", "--json").json()
        assert list(shown) == ["token", "token_type", "expires_at"]
        assert shown["token"] == oncegate.kept.tokens.access_token

    def test_fresh_token_needs_no_call(self, oncegate: Shell) -> None:
        oncegate.login()
        before = oncegate.sandbox.calls()
        oncegate("token")
        assert oncegate.sandbox.calls() == before

    def test_fresh_token_does_not_wait_for_a_renewal(
        self, oncegate: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        oncegate.login()
        monkeypatch.setattr(_sessions, "_LOCK_TIMEOUT", 0.05)
        with oncegate.file.locked():
            assert oncegate("token").code == Exit.SIGNED_IN

    def test_without_a_session_exits_with_4(self, oncegate: Shell) -> None:
        done = oncegate("token")
        assert (done.code, done.out) == (Exit.SIGN_IN_FIRST, "")
        assert done.err == "sign in first: oncegate login\n"
        assert not oncegate.sandbox.calls()

    @pytest.mark.parametrize("rotates", [False, True])
    def test_token_that_is_about_to_expire_is_renewed_once(self, rotates: bool) -> None:
        seed = Seed(pool=PoolSeed(refresh_rotation=rotates), users=DEMO_SEED.users)
        with Sandbox(seed) as sandbox:
            shell = Shell(sandbox)
            shell.login()
            for count in (1, 2):
                shell.expire(seconds_left=30.0)
                first, second = shell("token"), shell("token")
                assert first.code == second.code == Exit.SIGNED_IN
                assert first.out == second.out
                assert sandbox.calls()[REFRESH] == count
            assert len(sandbox.messages()) == 1

    def test_valid_token_is_printed_if_it_cannot_be_renewed_now(self, oncegate: Shell) -> None:
        oncegate.login()
        before = oncegate("token").out
        oncegate.expire(seconds_left=30.0)
        oncegate.sandbox.order(Fault(operation=REFRESH, kind="throttle", times=9))
        assert oncegate("token").out == before

    def test_expired_token_that_cannot_be_renewed_now_exits_with_3(self, oncegate: Shell) -> None:
        oncegate.login()
        oncegate.expire()
        oncegate.sandbox.order(Fault(operation=REFRESH, kind="waf"))
        done = oncegate("token")
        assert (done.code, done.out) == (Exit.UNREACHABLE, "")
        assert oncegate("token").code == Exit.SIGNED_IN

    def test_token_from_the_future_is_renewed(self, oncegate: Shell) -> None:
        oncegate.login()
        oncegate.expire(seconds_left=99 * 3600.0)  # the clock was wrong at the sign-in
        assert oncegate("token").out == oncegate("token").out
        assert oncegate.sandbox.calls()[REFRESH] == 1

    def test_ended_session_exits_with_4_and_is_forgotten(
        self, oncegate: Shell, system_keyring: InMemory
    ) -> None:
        oncegate.login()
        _adapters.service(oncegate.account).revoke(oncegate.kept.tokens)
        oncegate.expire()
        for _ in range(2):
            assert oncegate("token").code == Exit.SIGN_IN_FIRST
        assert oncegate.sandbox.calls()[REFRESH] == 1
        assert not oncegate.file.path.exists()
        assert system_keyring.stored == {}

    def test_token_of_another_user_than_the_named_one_exits_with_4(self, oncegate: Shell) -> None:
        oncegate.login()
        done = oncegate("token", "--username", "fay")
        assert (done.code, done.out) == (Exit.SIGN_IN_FIRST, "")
        assert "The session is of ana, not of fay." in done.err

    @pytest.mark.parametrize(("rotates", "code"), [(False, 0), (True, 4)])
    def test_kill_between_renewal_and_saving_leaves_no_traceback(
        self, rotates: bool, code: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seed = Seed(pool=PoolSeed(refresh_rotation=rotates), users=DEMO_SEED.users)
        with Sandbox(seed) as sandbox:
            shell = Shell(sandbox)
            shell.login()
            shell.expire()
            with monkeypatch.context() as dying:
                dying.setattr(SessionFile, "save", _killed)
                with pytest.raises(Killed):
                    shell("token")
            assert sandbox.calls()[REFRESH] == 1
            done = shell("token")
            assert done.code == code
            assert "Traceback" not in done.err

    @pytest.mark.slow
    def test_two_commands_at_once_renew_once(self) -> None:
        seed = Seed(pool=PoolSeed(refresh_rotation=True), users=DEMO_SEED.users)
        with Sandbox(seed) as sandbox:
            shell = Shell(sandbox)
            shell.login("--insecure-storage")
            shell.expire()
            sandbox.order(Fault(operation=REFRESH, kind="delay", seconds=1.0))
            arguments = [sys.executable, "-m", "oncegate_cli", "token", *options(sandbox)]
            processes = [
                subprocess.Popen(
                    arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
                for _ in range(2)
            ]
            outs = [process.communicate(timeout=60) for process in processes]
            assert [process.returncode for process in processes] == [0, 0], outs
            assert outs[0] == outs[1]
            assert sandbox.calls()[REFRESH] == 1

    def test_command_that_renews_for_too_long_is_reported(
        self, oncegate: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        oncegate.login()
        oncegate.expire()
        monkeypatch.setattr(_sessions, "_LOCK_TIMEOUT", 0.05)
        with oncegate.file.locked():
            done = oncegate("token")
        assert done.code == Exit.UNREACHABLE
        assert "another command" in done.err
        assert oncegate("token").code == Exit.SIGNED_IN


class Killed(BaseException):
    """The process ends here."""


def _killed(*_: Any) -> None:
    raise Killed


class TestStatus:
    def test_facts_have_no_secret(self, oncegate: Shell) -> None:
        oncegate.login()
        shown = oncegate("status", "--json").json()
        assert shown["signed_in"] is True
        assert (shown["username"], shown["profile"]) == ("ana", "default")
        assert shown["pool_id"] == oncegate.sandbox.pool_id
        assert shown["can_be_renewed"] is True
        assert str(oncegate.file.path) in shown["stored_in"]
        plain = oncegate("status")
        tokens = oncegate.kept.tokens
        for secret in (tokens.access_token, tokens.id_token, tokens.refresh_token):
            assert secret is not None
            assert secret not in plain.out + plain.err + json.dumps(shown)
        assert "ana" in plain.out

    def test_without_a_session_exits_with_4(self, oncegate: Shell) -> None:
        done = oncegate("status", "--json")
        assert done.code == Exit.SIGN_IN_FIRST
        assert done.json()["signed_in"] is False
        assert "sign in first" in done.err

    def test_session_that_ended_elsewhere_exits_with_4(self, oncegate: Shell) -> None:
        oncegate.login()
        _adapters.service(oncegate.account).sign_out_everywhere(oncegate.kept.tokens)
        assert oncegate("status").code == Exit.SIGN_IN_FIRST
        assert not oncegate.file.path.exists()

    def test_tokens_without_the_scope_of_the_check_are_a_session(self, oncegate: Shell) -> None:
        oncegate.login()
        words = "Access Token does not have required scopes"
        refusal = Fault(
            operation="GetUser", kind="error", code="NotAuthorizedException", message=words
        )
        oncegate.sandbox.order(refusal)
        assert oncegate("status").code == Exit.SIGNED_IN

    def test_cognito_that_does_not_answer_ends_no_session(self, oncegate: Shell) -> None:
        oncegate.login()
        oncegate.sandbox.order(Fault(operation="GetUser", kind="waf"))
        assert oncegate("status").code == Exit.UNREACHABLE
        assert oncegate("status").code == Exit.SIGNED_IN


class TestLogout:
    def test_tokens_are_revoked_and_forgotten(
        self, oncegate: Shell, system_keyring: InMemory
    ) -> None:
        oncegate.login()
        tokens = oncegate.kept.tokens
        done = oncegate("logout", "--json")
        assert done.code == Exit.SIGNED_IN
        assert done.json() == {"was_signed_in": True, "revoked": True, "logout_url": None}
        assert "ana is signed out" in done.err
        with pytest.raises(SignedOut):
            _adapters.service(oncegate.account).renew(tokens)
        assert oncegate("token").code == Exit.SIGN_IN_FIRST
        assert system_keyring.stored == {}

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(operation="RevokeToken", kind="waf"),
            Fault(operation="RevokeToken", kind="error", code="UnsupportedOperationException"),
        ],
        ids=["outage", "set-up"],
    )
    def test_revocation_that_failed_is_said_and_the_session_forgotten(
        self, fault: Fault, oncegate: Shell
    ) -> None:
        oncegate.login()
        oncegate.sandbox.order(fault)
        done = oncegate("logout", "--json")
        assert done.code == Exit.UNREACHABLE
        assert done.json()["revoked"] is False
        assert "The tokens were not revoked, and are valid until they expire" in done.err
        assert oncegate("token").code == Exit.SIGN_IN_FIRST

    def test_interrupted_logout_forgets_the_session(
        self, oncegate: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        oncegate.login()

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(_adapters, "service", interrupted)
        assert oncegate("logout").code == Exit.INTERRUPTED
        assert not oncegate.file.path.exists()

    def test_without_a_session_says_so(self, oncegate: Shell) -> None:
        done = oncegate("logout", "--json")
        assert done.code == Exit.SIGNED_IN
        assert done.json() == {"was_signed_in": False, "revoked": False, "logout_url": None}
        assert "You are not signed in." in done.err


class TestDevices:
    @pytest.fixture
    def tracking(self) -> Iterator[Shell]:
        seed = Seed(pool=PoolSeed(device_tracking="opt_in"), users=DEMO_SEED.users)
        with Sandbox(seed) as running:
            yield Shell(running)

    def test_kept_session_lists_and_forgets_a_device_without_a_code(self, tracking: Shell) -> None:
        tracking.login("--remember-device")
        (listed,) = command("devices", "list", *options(tracking.sandbox), "--json").json()
        done = command("devices", "forget", listed["key"], *options(tracking.sandbox), "--json")
        assert done.json() == []
        assert len(tracking.sandbox.messages()) == 1
        assert _adapters.device_vault(tracking.account).find("ana") is None

    def test_script_without_a_session_and_a_username_exits_with_4(self, oncegate: Shell) -> None:
        done = command("devices", "list", *options(oncegate.sandbox), lines=("ana", "x"))
        assert done.code == Exit.SIGN_IN_FIRST
        assert not oncegate.sandbox.calls()

    def test_named_user_who_is_not_signed_in_signs_in_and_nothing_is_kept(
        self, oncegate: Shell
    ) -> None:
        oncegate.login()
        done = command(
            "devices", "list", *options(oncegate.sandbox), "--username", "fay", "--json",
            lines=("Correct-horse-6",),
        )  # fmt: skip
        assert done.json() == []
        assert oncegate.sandbox.calls()["InitiateAuth"] == 2
        assert oncegate.kept.username == "ana"


class TestPasswordFromStandardInput:
    def test_first_line_is_the_password_and_the_next_the_code(self, oncegate: Shell) -> None:
        done = oncegate(
            "login", "--username", "ana", "--password-stdin",
            lines=("Correct-horse-1", lambda: oncegate.sandbox.messages()[-1].code),
        )  # fmt: skip
        assert done.code == Exit.SIGNED_IN
        assert "Correct-horse-1" not in done.out + done.err

    def test_wrong_password_is_sent_once(self, oncegate: Shell) -> None:
        for name in ("login", "signin"):
            done = oncegate(
                name, "--username", "ana", "--password-stdin", lines=("wrong-horse-1",)
            )  # fmt: skip
            assert done.code == Exit.REFUSED
        assert oncegate.sandbox.calls()["InitiateAuth"] == 2

    def test_missing_username_is_a_usage_error(self, oncegate: Shell) -> None:
        done = oncegate("login", "--password-stdin", lines=("Correct-horse-1",))
        assert done.code == Exit.USAGE
        assert "--username" in done.err
        assert not oncegate.sandbox.calls()

    def test_terminal_prompts_instead(
        self, oncegate: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Lines, "isatty", lambda _: True)
        done = oncegate("login", "--username", "ana", "--password-stdin")
        assert done.code == Exit.USAGE
        assert "standard input is a terminal" in " ".join(done.err.replace("│", " ").split())

    def test_provider_needs_no_password(self, oncegate: Shell) -> None:
        done = oncegate("login", "--username", "ana", "--with", "Google", "--password-stdin")
        assert done.code == Exit.USAGE
        assert not oncegate.sandbox.calls()


@pytest.mark.slow
def test_user_at_a_terminal_logs_in_once_and_sees_no_token(sandbox: Sandbox) -> None:
    arguments = ["-m", "oncegate_cli", "login", *options(sandbox), "--insecure-storage"]
    terminal = pexpect.spawn(sys.executable, arguments, encoding="utf-8", timeout=30)
    terminal.expect("Username")
    terminal.sendline("ana")
    terminal.expect("Password")
    terminal.sendline("Correct-horse-1")
    terminal.expect("Code:")
    terminal.sendline(sandbox.messages()[-1].code)
    terminal.expect("Signed in as ana")
    terminal.expect(pexpect.EOF)
    assert "eyJ" not in str(terminal.before)
    terminal.close()
    assert terminal.exitstatus == 0
    done = command("login", *options(sandbox), "--username", "ana")
    assert done.code == Exit.SIGNED_IN
    assert len(sandbox.messages()) == 1


def test_session_of_a_plain_account_has_the_typed_name() -> None:
    account = Account("us-east-1_P1", "c1", None, None, "USER_SRP_AUTH")
    session = KeptSession.of(Tokens(access_token="no JWT"), account, typed="ana")
    assert session.username == "ana"
    assert session.is_of("ana")
    assert session.is_of(None)
    assert not session.is_of("fay")
