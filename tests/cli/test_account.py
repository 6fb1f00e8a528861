"""`oncegate account …`: each change with its codes counted, run twice, killed, and at once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import boto3
import keyring
import pexpect
import pyotp
import pytest
from tests.cli.scripts import Done, InMemory, Lines, command, options

from oncegate_cli import _adapters, _sessions
from oncegate_cli._options import Account, Exit
from oncegate_cli._sessions import SessionFile
from oncegate_cli.main import run as run_command
from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_sandbox.faults import Fault

PHONE = "+15550007777"
PASSWORD = "Correct-horse-6"
ONCEGATE = [sys.executable, "-m", "oncegate_cli"]


@pytest.fixture(autouse=True)
def system_keyring() -> Iterator[InMemory]:
    before = keyring.get_keyring()
    made = InMemory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


class Shell:
    """Runs commands of fay, who is signed in and has no second factor.

    Args:
        sandbox: the sandbox.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.named = Account(
            sandbox.pool_id, sandbox.client_id, sandbox.endpoint, None, "USER_SRP_AUTH"
        )
        self.file = SessionFile(self.named)

    def login(self, *more: str, password: str = PASSWORD, user: str = "fay") -> Done:
        done = command(
            *("login", *options(self.sandbox), "--username", user, *more), lines=(password,)
        )
        assert done.code == Exit.SIGNED_IN, done.err
        return done

    def __call__(self, *arguments: str, lines: tuple[str | Callable[[], str], ...] = ()) -> Done:
        """Run ``oncegate account …``."""
        name, *rest = arguments or ("show",)
        return command("account", name, *options(self.sandbox), *rest, lines=lines)

    @property
    def sent(self) -> int:
        return len(self.sandbox.messages())

    @property
    def code(self) -> str:
        return self.sandbox.messages()[-1].code

    @property
    def token(self) -> str:
        kept = self.file.load()
        assert kept is not None
        return kept.tokens.access_token

    def shown(self) -> Any:
        return self("show", "--json").json()


@pytest.fixture
def account(sandbox: Sandbox) -> Shell:
    shell = Shell(sandbox)
    shell.login()
    return shell


class TestOverview:
    def test_name_of_the_group_alone_shows_the_account(self, account: Shell) -> None:
        done = command("account", *options(account.sandbox), "--json")
        assert done.code == 0
        assert done.json() == {
            "username": "fay",
            "addresses": {},
            "second_factors": [],
            "preferred": None,
            "passkeys": [],
            "devices": [],
            "has_password": True,
        }
        assert done.err == ""

    def test_for_users_it_is_a_list(self, account: Shell) -> None:
        account("set-phone", PHONE, lines=(lambda: account.code,))
        account("use-factor", "sms")
        done = account()
        assert done.code == 0
        assert f"phone number            {PHONE}\n" in done.out
        assert "second factors          sms\n" in done.out
        assert "asked for first         sms\n" in done.out

    def test_address_without_a_code_is_not_verified(self, account: Shell) -> None:
        account("set-email", "fay@example.com", lines=("cancel",))
        shown = account.shown()["addresses"]
        assert shown == {"email": {"value": "fay@example.com", "verified": False}}
        assert "email                   fay@example.com (not verified)\n" in account().out

    @pytest.mark.parametrize("name", [["show"], ["set-phone", PHONE], ["delete", "--yes"]])
    def test_without_a_session_the_exit_code_is_4(self, name: list[str], sandbox: Sandbox) -> None:
        done = Shell(sandbox)(*name)
        assert done.code == Exit.SIGN_IN_FIRST
        assert "sign in first: oncegate login" in done.err
        assert not sandbox.calls()

    def test_session_of_another_user_is_not_used(self, account: Shell) -> None:
        done = account("delete", "--yes", "--username", "ana")
        assert done.code == Exit.SIGN_IN_FIRST
        assert "The session is of fay, not of ana." in done.err
        assert account.sandbox.calls().get("DeleteUser", 0) == 0


class TestAddresses:
    def test_number_is_verified_with_one_code(self, account: Shell) -> None:
        done = account("set-phone", "+1 555 000 7777", "--json", lines=(lambda: account.code,))
        assert done.code == 0, done.err
        assert done.json()["message"]["code"] == "address_verified"
        assert account.sent == 1
        assert account.shown()["addresses"] == {"phone_number": {"value": PHONE, "verified": True}}

    def test_email_address_is_verified_with_one_code(self, account: Shell) -> None:
        done = account("set-email", "fay@example.com", lines=(lambda: account.code,))
        assert done.code == 0, done.err
        assert account.sent == 1
        assert account.shown()["addresses"]["email"]["verified"]

    def test_command_run_again_goes_on_with_the_code_that_was_sent(self, account: Shell) -> None:
        assert account("set-phone", PHONE).code == Exit.REFUSED
        assert account("set-phone", PHONE).code == Exit.REFUSED
        assert account("set-phone", "+1 555 000 7777", lines=(account.code,)).code == 0
        assert account.sent == 1

    def test_command_run_again_after_it_was_done_sends_nothing(self, account: Shell) -> None:
        account("set-phone", PHONE, lines=(lambda: account.code,))
        done = account("set-phone", PHONE)
        assert done.code == 0
        assert "No code was sent." in done.err
        assert account.sent == 1

    def test_another_change_in_between_costs_no_code(self, account: Shell) -> None:
        account("set-phone", PHONE)
        first = account.code
        account("add-authenticator")
        account("set-email", "fay@example.com", lines=(lambda: account.code,))
        assert account("set-phone", PHONE, lines=(first,)).code == 0
        assert account.sent == 2

    def test_wrong_code_is_asked_for_again(self, account: Shell) -> None:
        done = account("set-phone", PHONE, lines=("000000", lambda: account.code))
        assert done.code == 0
        assert "That code is incorrect." in done.err
        assert account.sent == 1

    def test_new_code_waits_for_the_cooldown(self, account: Shell) -> None:
        done = account("set-phone", PHONE, lines=("new", lambda: account.code))
        assert done.code == 0, done.err
        assert "A code was just sent." in done.err
        assert account.sent == 1

    def test_given_up_is_refused_and_nothing_is_said_of_success(self, account: Shell) -> None:
        done = account("set-phone", PHONE, "--json", lines=("cancel",))
        assert done.code == Exit.REFUSED
        assert done.json() == {"state": "managing", "message": None}
        assert done.err.endswith("Cancelled.\n")
        assert "╭─ Cancel" not in done.err, "no empty frame"

    def test_lost_response_sends_one_code_which_the_next_command_takes(
        self, account: Shell
    ) -> None:
        account.sandbox.lose_next_response("UpdateUserAttributes")
        done = account("set-phone", PHONE, "--json")
        assert done.code == Exit.UNREACHABLE
        assert done.json()["message"]["code"] == "address_outcome_unknown"
        assert account("set-phone", PHONE, lines=(account.code,)).code == 0
        assert account.sent == 1

    @pytest.mark.parametrize("value", ["555", "no", ""])
    def test_malformed_number_is_asked_for_by_usage_or_refused(
        self, value: str, account: Shell
    ) -> None:
        done = account("set-phone", value)
        assert done.code in {Exit.USAGE, Exit.REFUSED}
        assert account.sent == 0

    def test_commands_at_once_send_one_code(self, account: Shell) -> None:
        """Threads of one process, with the locks of files that processes take."""
        codes: list[int] = []

        def code() -> str:
            until = time.monotonic() + 20
            while not account.sent and time.monotonic() < until:
                time.sleep(0.01)
            return account.code

        def run() -> None:
            codes.append(run_command(["account", "set-phone", *options(account.sandbox), PHONE]))

        stdin = Lines(*[code] * 20)
        with mock.patch.object(sys, "stdin", stdin):
            threads = [threading.Thread(target=run) for _ in range(4)]
            for one in threads:
                one.start()
            for one in threads:
                one.join()
        assert codes == [0] * 4
        assert account.sent == 1

    def test_another_number_replaces_the_wish(self, account: Shell) -> None:
        account("set-phone", PHONE)
        done = account("set-phone", "+15550008888", lines=(lambda: account.code,))
        assert done.code == 0
        assert [one.destination for one in account.sandbox.messages()] == [PHONE, "+15550008888"]
        assert account.shown()["addresses"]["phone_number"]["value"] == "+15550008888"


class TestSignInThatIsNotRecent:
    @pytest.fixture(autouse=True)
    def never_recent(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Make every sign-in too long ago; the function changes how long ago it may be, in seconds."""
        made = _adapters.account_driver

        def within(seconds: float) -> None:
            def driver(*given: Any) -> Any:
                found = made(*given)
                found._recent_within = seconds
                return found

            monkeypatch.setattr(_adapters, "account_driver", driver)

        within(-1.0)
        return within

    @pytest.mark.parametrize(
        "arguments",
        [
            ["set-phone", PHONE],
            ["add-authenticator"],
            ["use-factor", "totp"],
            ["remove-passkey", "a"],
            ["delete", "--yes"],
        ],
        ids=lambda arguments: arguments[0],
    )
    def test_it_exits_with_4_and_names_the_command(
        self, arguments: list[str], account: Shell
    ) -> None:
        done = account(*arguments, "--json")
        assert done.code == Exit.SIGN_IN_FIRST
        assert done.json()["message"]["code"] == "sign_in_again"
        assert "sign in again: oncegate login --again" in done.err
        assert account.sent == 0

    def test_login_again_replaces_the_session_and_the_change_is_made(
        self, account: Shell, never_recent: Callable[[float], None]
    ) -> None:
        account("set-phone", PHONE)
        before = account.token
        done = command("login", *options(account.sandbox), "--again", lines=(PASSWORD,))
        assert done.code == 0, done.err
        assert "fay was signed out" not in done.err
        assert account.token != before
        never_recent(300.0)
        assert account("set-phone", PHONE, lines=(lambda: account.code,)).code == 0

    def test_code_that_was_sent_before_counts_after_a_further_sign_in(
        self, account: Shell, never_recent: Callable[[float], None]
    ) -> None:
        never_recent(300.0)
        account("set-phone", PHONE)
        account.login("--again")
        never_recent(-1.0)  # a code needs no recent sign-in
        assert account("set-phone", PHONE, lines=(account.code,)).code == 0
        assert account.sent == 1


class TestFactors:
    def add_authenticator(self, account: Shell, *more: str) -> Done:
        return account(
            *("add-authenticator", *more), lines=(lambda: pyotp.TOTP(_secret_of(account)).now(),)
        )

    def test_authenticator_is_added_with_the_first_code(self, account: Shell) -> None:
        done = self.add_authenticator(account, "--name", "Phone")
        assert done.code == 0, done.err
        assert "Scan this QR code." in done.err
        assert "Your authenticator app is set up." in done.err
        assert account.shown()["second_factors"] == ["totp"]

    def test_command_run_again_shows_the_same_secret(self, account: Shell) -> None:
        first = account("add-authenticator")
        again = account("add-authenticator")
        assert first.code == again.code == Exit.REFUSED
        assert account.sandbox.calls()["AssociateSoftwareToken"] == 1
        assert _secret_of(account) in again.err.replace("\n", "")

    def test_factors_are_chosen_and_turned_off(self, account: Shell) -> None:
        self.add_authenticator(account)
        account("set-phone", PHONE, lines=(lambda: account.code,))
        assert account("use-factor", "sms").code == 0
        assert account.shown()["preferred"] == "sms"
        assert account("use-factor", "sms", "--as", "enabled").code == 0
        assert account("use-factor", "totp", "--as", "off").code == 0
        assert account.shown()["second_factors"] == ["sms"]

    def test_factor_that_the_user_does_not_have_is_refused(self, account: Shell) -> None:
        done = account("use-factor", "sms", "--json")
        assert done.code == Exit.REFUSED
        assert done.json()["message"]["code"] == "factor_not_set_up"


def _secret_of(account: Shell) -> str:
    """Return the secret that an authenticator app would scan."""
    kept = account.file.load()
    assert kept is not None
    driver = _adapters.account_driver(account.named, account.file.path.with_suffix(".sqlite"))
    step = driver.get(kept.changes["authenticator"].flow_id)
    assert step.totp is not None
    return step.totp.secret


class TestPassword:
    def test_it_is_changed_from_standard_input(self, account: Shell) -> None:
        done = account("change-password", "--password-stdin", lines=(PASSWORD, "Better-horse-6"))
        assert done.code == 0, done.err
        assert "Your password was changed." in done.err
        assert "horse" not in done.out + done.err
        account.login("--again", password="Better-horse-6")

    def test_wrong_password_is_refused(self, account: Shell) -> None:
        done = account("change-password", "--json", lines=("wrong", "Better-horse-6"))
        assert done.code == Exit.REFUSED
        assert done.json()["message"]["code"] == "wrong_password"

    def test_account_without_a_password_has_none_to_enter(self) -> None:
        user = UserSeed(username="nora", email="nora@example.com", status="CONFIRMED")
        with Sandbox(Seed(users=(user,))) as sandbox:
            account = Shell(sandbox)
            done = command(
                *("login", *options(sandbox), "--username", "nora", "--auth-flow", "USER_AUTH"),
                lines=(lambda: account.code,),
            )
            assert done.code == 0, done.err
            assert account("change-password", lines=("Better-horse-6",)).code == 0
            account.login("--again", user="nora", password="Better-horse-6")

    def test_input_that_ends_changes_nothing(self, account: Shell) -> None:
        done = account("change-password", lines=(PASSWORD,))
        assert done.code == Exit.REFUSED
        assert "ChangePassword" not in account.sandbox.calls()


class TestDevicesAndPasskeys:
    def test_device_is_listed_and_forgotten_here_too(self) -> None:
        seed = Seed(pool=PoolSeed(device_tracking="opt_in"), users=DEMO_SEED.users)
        with Sandbox(seed) as sandbox:
            account = Shell(sandbox)
            command(
                *("login", *options(sandbox), "--username", "ana", "--remember-device"),
                lines=("Correct-horse-1", lambda: account.code),
            )
            (device,) = account("devices", "--json").json()
            assert device["name"] == "oncegate"
            assert _adapters.device_vault(account.named).find("ana")
            assert account("forget-device", device["key"]).code == 0
            assert not _adapters.device_vault(account.named).find("ana")
            assert account("devices", "--json").json() == []
            command(
                *("login", *options(sandbox), "--username", "ana", "--again"),
                lines=("Correct-horse-1", lambda: account.code),
            )
            assert account.sent == 2

    def test_there_are_no_passkeys(self, account: Shell) -> None:
        assert account("passkeys", "--json").json() == []
        assert account("passkeys").code == 0

    @pytest.mark.parametrize("kind", ["passkey", "device"])
    def test_mistyped_key_is_no_success(self, kind: str, account: Shell) -> None:
        change = {"passkey": "remove-passkey", "device": "forget-device"}[kind]
        done = account(change, "no-such-key", "--json")
        assert (done.code, done.json()) == (1, {"state": "managing", "message": None})
        assert f"There is no {kind} with this key. List the keys: oncegate account" in done.err


class TestOutages:
    @pytest.mark.parametrize("at_a_terminal", [False, True])
    def test_outcome_that_is_unknown_exits_with_3(
        self, at_a_terminal: bool, account: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        TestFactors().add_authenticator(account)
        monkeypatch.setattr(Lines, "isatty", lambda _: at_a_terminal)
        account.sandbox.lose_next_response("SetUserMFAPreference")
        done = account("use-factor", "totp", "--json")
        assert done.code == Exit.UNREACHABLE
        assert done.json()["message"]["code"] == "change_outcome_unknown"

    def test_cognito_that_is_busy_exits_with_3_and_nothing_is_sent(self, account: Shell) -> None:
        account.sandbox.order(Fault(operation="UpdateUserAttributes", kind="throttle", times=9))
        done = account("set-phone", PHONE, "--json")
        assert done.code == Exit.UNREACHABLE
        assert done.json()["message"]["code"] == "throttled"
        assert account.sent == 0

    def test_token_that_is_none_is_to_be_replaced(self, account: Shell) -> None:
        kept = account.file.load()
        assert kept is not None
        tokens = kept.tokens.model_copy(update={"access_token": kept.tokens.access_token + "x"})
        account.file.save(kept.model_copy(update={"tokens": tokens}))
        done = account("use-factor", "totp")
        assert done.code == Exit.SIGN_IN_FIRST
        assert "sign in first: oncegate login" in done.err


class TestEnds:
    def test_sign_out_everywhere_ends_this_session_as_well(self, account: Shell) -> None:
        done = account("sign-out-everywhere")
        assert done.code == 0, done.err
        assert "You’re signed out on every device." in done.err
        assert account.file.load() is None
        assert account().code == Exit.SIGN_IN_FIRST

    def test_session_that_ended_elsewhere_is_forgotten(self, account: Shell) -> None:
        client = boto3.client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=account.sandbox.endpoint,
            aws_access_key_id="unused",
            aws_secret_access_key="unused",
        )
        client.global_sign_out(AccessToken=account.token)
        for arguments in (["use-factor", "totp"], ["show"]):
            done = account(*arguments)
            assert done.code == Exit.SIGN_IN_FIRST
        assert account.file.load() is None

    def test_account_is_deleted_only_with_yes(self, account: Shell) -> None:
        done = account("delete")
        assert done.code == Exit.USAGE
        assert "--yes" in done.err
        assert "DeleteUser" not in account.sandbox.calls()
        assert account("delete", "--yes").code == 0
        assert account.file.load() is None
        gone = command(
            "signin", *options(account.sandbox), "--username", "fay", "--json", lines=(PASSWORD,)
        )
        assert gone.code == Exit.REFUSED


class TestWhatIsStored:
    def test_neither_file_has_number_secret_or_flow_id(self, account: Shell) -> None:
        account("set-phone", PHONE)
        account("add-authenticator")
        kept = account.file.load()
        assert kept is not None
        secrets = [
            PHONE, PHONE[1:], _secret_of(account), account.token,
            *(one.flow_id for one in kept.changes.values()),
        ]  # fmt: skip
        files = [one for one in account.file.path.parent.iterdir() if one.is_file()]
        assert {".json", ".sqlite"} <= {one.suffix for one in files}
        for one in files:
            content = one.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], one
            assert one.stat().st_mode & 0o077 == 0, one
        assert PHONE not in repr(kept)
        assert kept.changes["phone_number"].flow_id not in repr(kept)

    def test_flow_of_another_user_is_not_taken_over(self, account: Shell) -> None:
        account("set-phone", PHONE)
        command(
            "login", *options(account.sandbox), "--username", "ana",
            lines=("Correct-horse-1", lambda: account.code),
        )  # fmt: skip
        kept = account.file.load()
        assert kept is not None
        assert kept.username == "ana"
        assert kept.changes == {}

    def test_flow_that_is_gone_begins_anew(self, account: Shell) -> None:
        account("set-phone", PHONE)
        for file in account.file.path.parent.glob("*.sqlite*"):
            file.unlink()
        done = account("set-phone", PHONE, lines=(lambda: account.code,))
        assert done.code == 0, done.err
        assert account.sent == 2

    def test_begun_change_lives_as_long_as_its_code(self, account: Shell) -> None:
        account("set-phone", PHONE)
        with sqlite3.connect(account.file.path.with_suffix(".sqlite")) as database:
            (expires_at,) = database.execute(
                "SELECT max(expires_at) FROM oncegate_flows WHERE version > 1"
            ).fetchone()
        database.close()
        assert expires_at - time.time() > 86000, "Cognito takes the code for 24 hours"

    def test_session_that_began_a_change_meanwhile_is_forgotten_all_the_same(
        self, account: Shell
    ) -> None:
        before = account.file.load()
        assert before is not None
        account("set-phone", PHONE)
        _sessions.forget(account.file, before)
        assert account.file.load() is None

    def test_session_of_an_earlier_release_has_no_changes(self, account: Shell) -> None:
        kept = account.file.load()
        assert kept is not None
        plain = json.loads(kept.model_dump_json())
        del plain["changes"]
        assert _sessions.KeptSession.model_validate(plain) == kept


@pytest.mark.slow
def test_command_that_is_killed_sends_one_code_and_the_next_one_takes_it(sandbox: Sandbox) -> None:
    arguments = ["login", *options(sandbox), "--username", "fay", "--insecure-storage"]
    assert command(*arguments, lines=(PASSWORD,)).code == 0
    sent = sandbox.messages
    killed = subprocess.Popen(
        [*ONCEGATE, "account", "set-phone", *options(sandbox), PHONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 30
    while not sent() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    done = command(
        "account", "set-phone", *options(sandbox), PHONE, lines=(lambda: sent()[-1].code,)
    )
    assert done.code == 0, done.err
    assert len(sent()) == 1


@pytest.mark.slow
def test_user_at_a_terminal_sets_up_a_phone_and_an_authenticator(sandbox: Sandbox) -> None:
    arguments = ["login", *options(sandbox), "--username", "fay", "--insecure-storage"]
    assert command(*arguments, lines=(PASSWORD,)).code == 0

    def terminal(*arguments: str) -> Any:
        return pexpect.spawn(
            sys.executable,
            ["-m", "oncegate_cli", "account", arguments[0], *options(sandbox), *arguments[1:]],
            encoding="utf-8",
            timeout=30,
            dimensions=(60, 120),
        )

    def end(one: Any) -> int:
        one.expect(pexpect.EOF)
        one.close()
        return int(one.exitstatus)

    interrupted = terminal("set-phone", PHONE)
    interrupted.expect(r"We texted a code to \+\*{7}7777")
    interrupted.expect("Code:")
    interrupted.sendintr()
    assert end(interrupted) == Exit.INTERRUPTED
    phone = terminal("set-phone", PHONE)
    phone.expect("Type “new”")
    phone.expect("Code:")
    phone.sendline("000000")
    phone.expect("That code is incorrect.")
    phone.expect("Code:")
    phone.sendline(sandbox.messages()[-1].code)
    phone.expect("Your new email address or phone number is confirmed.")
    assert end(phone) == 0
    assert len(sandbox.messages()) == 1

    app = terminal("add-authenticator")
    app.expect("Scan this QR code.")
    app.expect(r"Enter this key: ([A-Z2-7\s│]+?)\s*│\s*\r?\n[^A-Z]*(?:Code|You|Enter)")
    secret = "".join(c for c in app.match.group(1) if c.isalnum())
    app.expect("Code:")
    app.sendline(pyotp.TOTP(secret).now())
    app.expect("Your authenticator app is set up.")
    assert end(app) == 0

    gone = terminal("delete")
    gone.expect("Delete the account of fay for good")
    gone.sendline("n")
    assert end(gone) == Exit.REFUSED
    gone = terminal("delete")
    gone.expect("for good")
    gone.sendline("y")
    gone.expect("Your account and its data were deleted.")
    assert end(gone) == 0
    assert len(sandbox.messages()) == 1
