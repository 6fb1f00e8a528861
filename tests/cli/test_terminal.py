"""The real command in a real terminal: prompts, typed words, the phone, a resize, Ctrl-C."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pexpect
import pyotp
import pytest

from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed


@pytest.fixture
def spawn() -> Iterator[Any]:
    made: list[Any] = []

    def start(*arguments: str) -> Any:
        terminal = pexpect.spawn(
            sys.executable,
            ["-m", "oncegate_cli", *arguments],
            encoding="utf-8",
            timeout=30,
            dimensions=(30, 100),
        )
        made.append(terminal)
        return terminal

    yield start
    for terminal in made:
        terminal.close(force=True)


def end_of(terminal: Any) -> int:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return int(terminal.exitstatus)


def test_interactive_demo_signs_in(spawn: Any) -> None:
    terminal = spawn("demo")
    terminal.expect("Sign in as .*ana.* with .*Correct-horse-1")
    terminal.expect("no messages")
    terminal.expect("Username")
    terminal.sendline("ana")
    terminal.expect("Password")
    terminal.sendline("Correct-horse-1")
    terminal.expect(r"We texted a code to \+\*{7}1234")
    terminal.expect("Code:")
    shown = re.findall(r"Your code is (\d{6})", terminal.before)
    assert len(shown) == 1
    assert "Correct-horse-1" not in terminal.before
    terminal.sendline(f"{shown[0][:3]} {shown[0][3:]}")
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0


def test_wrong_code_can_be_corrected(spawn: Any) -> None:
    terminal = spawn("demo")
    terminal.expect("Username")
    terminal.sendline("ana")
    terminal.expect("Password")
    terminal.sendline("Correct-horse-1")
    terminal.expect(r"Your code is (\d{6})")
    right = terminal.match.group(1)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    terminal.expect("Code:")
    terminal.sendline("what?")
    terminal.expect("Check what you entered")
    terminal.expect("Code:")
    terminal.sendline(wrong)
    terminal.expect("That code is incorrect")
    terminal.expect("You have 4 tries left. Enter it within")
    terminal.expect("Code:")
    terminal.sendline(wrong)
    terminal.expect("already tried that code")
    terminal.expect("You have 4 tries left. Enter it within")
    terminal.expect("Code:")
    terminal.sendline(right)
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0


def test_choice_of_factor_is_prompted(spawn: Any, sandbox: Sandbox) -> None:
    terminal = spawn(
        "signin", "--pool-id", sandbox.pool_id, "--client-id", sandbox.client_id,
        "--endpoint-url", sandbox.endpoint, "--username", "dora",
    )  # fmt: skip
    terminal.expect("Password")
    terminal.sendline("Correct-horse-4")
    terminal.expect("Verify it’s you")
    terminal.sendline("EMAIL_OTP")
    terminal.expect("We emailed a code to")
    terminal.expect("Code:")
    (message,) = sandbox.messages()
    terminal.sendline(message.code)
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0


def test_weak_new_password_is_prompted_again(spawn: Any, sandbox: Sandbox) -> None:
    terminal = spawn(
        "signin", "--pool-id", sandbox.pool_id, "--client-id", sandbox.client_id,
        "--endpoint-url", sandbox.endpoint, "--username", "emil",
    )  # fmt: skip
    terminal.expect("Password")
    terminal.sendline("Correct-horse-5")
    terminal.expect("New password")
    terminal.sendline("weak")
    terminal.expect("Use a longer password")
    terminal.expect("New password")
    terminal.sendline("Better-horse-9")
    terminal.expect("Code:")
    terminal.sendline(sandbox.messages()[-1].code)
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0


def test_lost_response_is_reported_and_user_starts_over(spawn: Any, sandbox: Sandbox) -> None:
    sandbox.lose_next_response("RespondToAuthChallenge")
    terminal = spawn(
        "signin", "--pool-id", sandbox.pool_id, "--client-id", sandbox.client_id,
        "--endpoint-url", sandbox.endpoint, "--username", "ana",
    )  # fmt: skip
    terminal.expect("Password")
    terminal.sendline("Correct-horse-1")
    terminal.expect("The connection broke off")
    assert len(sandbox.messages()) == 1
    terminal.expect("Username")
    terminal.sendline("")  # the default is the name entered before
    terminal.expect("Password")
    terminal.sendline("Correct-horse-1")
    terminal.expect("Code:")
    terminal.sendline(sandbox.messages()[-1].code)
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0


@pytest.mark.parametrize("prompt", ["Username", "Password"])
def test_ctrl_c_exits_with_130_without_traceback(spawn: Any, prompt: str) -> None:
    terminal = spawn("demo")
    terminal.expect("Username")
    if prompt == "Password":
        terminal.sendline("ana")
        terminal.expect("Password")
        terminal.waitnoecho(5)
        assert not terminal.getecho()
    terminal.sendintr()
    terminal.expect("interrupted")
    assert end_of(terminal) == 130
    assert "Traceback" not in terminal.before


def test_ctrl_c_restores_echo(spawn: Any) -> None:
    """In a shell, which continues after the command."""
    shell = pexpect.spawn("/bin/sh", encoding="utf-8", timeout=30)
    shell.sendline(f"PS1='$ '; {sys.executable} -m oncegate_cli demo")
    shell.expect("Username")
    shell.sendline("ana")
    shell.expect("Password")
    shell.waitnoecho(5)
    assert not shell.getecho()
    shell.sendintr()
    shell.expect("interrupted")
    shell.sendline("echo code $?; stty -a | grep -o ' echo '")
    shell.expect("code 130")
    shell.expect(" echo ")
    shell.close(force=True)


def test_resize_does_not_disturb_prompts(spawn: Any) -> None:
    terminal = spawn("demo")
    terminal.expect("Username")
    terminal.setwinsize(24, 60)
    terminal.sendline("ana")
    terminal.expect("Password")
    terminal.setwinsize(40, 140)
    terminal.sendline("Correct-horse-1")
    terminal.expect(r"Your code is (\d{6})")
    right = terminal.match.group(1)
    terminal.expect("Code:")
    terminal.setwinsize(10, 30)
    terminal.sendline(right)
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0
    assert "Traceback" not in terminal.before


def test_authenticator_app_is_set_up(spawn: Any) -> None:
    user = UserSeed.model_validate({"username": "ivo", "password": "Correct-horse-9"})
    with Sandbox(Seed(pool=PoolSeed(mfa="on"), users=(user,))) as sandbox:
        terminal = spawn(
            "signin", "--pool-id", sandbox.pool_id, "--client-id", sandbox.client_id,
            "--endpoint-url", sandbox.endpoint, "--username", "ivo",
        )  # fmt: skip
        terminal.expect("Password")
        terminal.sendline("Correct-horse-9")
        terminal.expect("Set up a second step")
        terminal.sendline("SOFTWARE_TOKEN_MFA")
        terminal.expect("▄")  # the QR code
        terminal.expect(r"Enter this key:[\s│]+([A-Z2-7]+)[\s│]")
        app = pyotp.TOTP(terminal.match.group(1))
        terminal.expect("Enter the code the app shows")
        terminal.expect("Code:")
        terminal.sendline(app.now())
        terminal.expect("You’re signed in")
        assert end_of(terminal) == 0


def test_typed_word_requests_first_confirmation_code(spawn: Any) -> None:
    user = UserSeed.model_validate(
        {
            "username": "gus",
            "password": "Correct-horse-9",
            "status": "UNCONFIRMED",
            "email": "gus@example.com",
        }
    )
    with Sandbox(Seed(users=(user,))) as sandbox:
        terminal = spawn(
            "signin", "--pool-id", sandbox.pool_id, "--client-id", sandbox.client_id,
            "--endpoint-url", sandbox.endpoint, "--username", "gus",
        )  # fmt: skip
        terminal.expect("Password")
        terminal.sendline("Correct-horse-9")
        terminal.expect("Incorrect username or password")
        terminal.expect("Type “/confirm” for: Confirm a new account")
        terminal.sendline("/confirm")
        terminal.expect("Type “new” for: Send code")
        assert sandbox.messages() == ()
        terminal.expect("Code")
        terminal.sendline("new")
        terminal.expect("If this account can receive a code")
        terminal.expect("Code")
        terminal.sendline(sandbox.messages()[-1].code)
        terminal.expect("You can sign in now")
        terminal.sendline("gus")
        terminal.sendline("Correct-horse-9")
        terminal.expect("You’re signed in")
        assert end_of(terminal) == 0


def test_typed_word_sends_the_code_of_a_reset(spawn: Any, sandbox: Sandbox) -> None:
    terminal = spawn(
        "signin", "--pool-id", sandbox.pool_id, "--client-id", sandbox.client_id,
        "--endpoint-url", sandbox.endpoint, "--username", "ana",
    )  # fmt: skip
    terminal.expect("Password")
    terminal.sendline("wrong-horse-1")
    terminal.expect("Type “/forgot” for: Reset your password")
    terminal.sendline("/forgot")
    terminal.expect("Then you choose a new password")
    terminal.expect("Username")
    assert sandbox.messages() == ()
    terminal.sendline("")  # the default is the name entered before
    terminal.expect("If this account can receive a code")
    terminal.expect("Code:")
    (message,) = sandbox.messages()
    terminal.sendline(message.code)
    terminal.expect("New password:")
    terminal.sendline("Better-horse-9")
    terminal.expect("Check your phone")
    terminal.expect("Code:")
    terminal.sendline(sandbox.messages()[-1].code)
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0


def test_typed_word_creates_an_account(spawn: Any) -> None:
    terminal = spawn("demo")
    terminal.expect("Type “/signup” for: Create your account")
    terminal.expect("Username")
    terminal.sendline("/signup")
    terminal.expect("Create your account")
    terminal.expect("- At least 8 characters")
    terminal.expect("Username")
    terminal.sendline("zoe")
    terminal.expect("Email")
    terminal.sendline("zoe@example.com")
    terminal.expect("Password")
    terminal.waitnoecho(5)
    terminal.sendline("Correct-horse-9")
    terminal.expect("We’ve sent you a code")
    terminal.expect(r"Your code is (\d{6})")
    code = terminal.match.group(1)
    terminal.expect("Code:")
    terminal.sendline(code)
    terminal.expect("You’re signed in")
    assert end_of(terminal) == 0
