"""`oncegate signup`, `forgot-password` and `signin --with`: the other ways in, with scripted input."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import httpx
import pytest
import typer
from pydantic import SecretStr
from tests.cli.scripts import Lines, options

from oncegate import PasswordPolicy, Provider, SignIn, Tokens, WaysIn
from oncegate.adapters import (
    AuthorizeWith,
    Call,
    ChallengeIssued,
    ExchangeCode,
    Outcome,
    ProviderChallenge,
    TokensIssued,
)
from oncegate.testing import ScriptedTransport
from oncegate_cli import _adapters
from oncegate_cli._browser import browser_at
from oncegate_cli._options import Exit
from oncegate_cli._signin import sign_in_at
from oncegate_cli._terminal import Terminal
from oncegate_cli.main import run
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore

STATE, CODE = "the-state-of-this-flow", "the-code-of-the-provider"
ACCEPTED = f"code={CODE}&state={STATE}"
DENIED = f"error=access_denied&error_description=User+said+no&state={STATE}"


@pytest.fixture
def oncegate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


class Run:
    """Runs the command in this process.

    Attributes:
        shown: what the last run wrote on standard error.
        result: the JSON that it printed, without its tokens.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.shown = ""
        self.result: dict[str, Any] = {}

    def __call__(self, *arguments: str, lines: tuple[str | Callable[[], str], ...] = ()) -> int:
        self._monkeypatch.setattr(sys, "stdin", Lines(*lines))
        self._capsys.readouterr()
        code = run([*arguments, "--json"])
        out, self.shown = self._capsys.readouterr()
        self.result = json.loads(out) if out else {}
        return code


class TestSignUp:
    def test_new_account_is_confirmed_with_one_code_and_signed_in(
        self, oncegate: Run, sandbox: Sandbox
    ) -> None:
        code = oncegate(
            "signup", *options(sandbox), "--attribute", "email",
            lines=("zoe", "zoe@example.com", "Correct-horse-1", lambda: sandbox.messages()[-1].code),
        )  # fmt: skip
        assert code == Exit.SIGNED_IN
        assert oncegate.result["state"] == "authenticated"
        assert [message.destination for message in sandbox.messages()] == ["zoe@example.com"]
        assert sandbox.calls()["SignUp"] == 1

    def test_refused_password_is_entered_again_in_the_form_filled_in(
        self, oncegate: Run, sandbox: Sandbox
    ) -> None:
        again = ("", "", "Correct-horse-1")  # the defaults: name and email of before
        code = oncegate(
            "signup", *options(sandbox), "--attribute", "email",
            lines=("zoe", "zoe@example.com", "weak", *again, lambda: sandbox.messages()[-1].code),
        )  # fmt: skip
        assert code == Exit.SIGNED_IN
        assert "Use a longer password." in oncegate.shown
        assert sandbox.calls()["SignUp"] == 2
        assert len(sandbox.messages()) == 1

    def test_account_without_a_password_signs_in(self, oncegate: Run, sandbox: Sandbox) -> None:
        code = oncegate(
            "signup", *options(sandbox), "--attribute", "email", "--passwordless",
            lines=("zoe", "zoe@example.com", lambda: sandbox.messages()[-1].code),
        )  # fmt: skip
        assert code == Exit.SIGNED_IN
        assert len(sandbox.messages()) == 1

    def test_taken_name_is_shown_as_a_new_one(self, oncegate: Run, sandbox: Sandbox) -> None:
        shown = {}
        for name in ("ana", "zoe"):
            code = oncegate(
                "signup", *options(sandbox), "--username", name, "--attribute", "email",
                lines=(f"{name}@example.com", "Correct-horse-1"),
            )  # fmt: skip
            assert code == Exit.REFUSED  # the input ended before the code
            shown[name] = (oncegate.shown, oncegate.result)
        assert shown["ana"] == shown["zoe"]
        assert "We’ve sent you a code." in oncegate.shown

    def test_lost_response_exits_with_3_and_creates_one_account(
        self, oncegate: Run, sandbox: Sandbox
    ) -> None:
        sandbox.lose_next_response("SignUp")
        code = oncegate(
            "signup", *options(sandbox), "--attribute", "email",
            lines=("zoe", "zoe@example.com", "Correct-horse-1", "zoe", "zoe@example.com"),
        )  # fmt: skip
        assert code == Exit.UNREACHABLE
        assert oncegate.result["message"]["code"] == "sign_up_outcome_unknown"
        assert sandbox.calls()["SignUp"] == 1
        assert len(sandbox.messages()) == 1

    def test_name_that_is_no_attribute_exits_with_2(self, oncegate: Run) -> None:
        code = oncegate(
            "signup", "--pool-id", "us-east-1_P1", "--client-id", "c1", "--attribute", "e mail"
        )
        assert code == Exit.USAGE
        assert "--attribute" in oncegate.shown


class TestForgotPassword:
    def test_password_is_reset_with_one_code_and_signs_in(
        self, oncegate: Run, sandbox: Sandbox
    ) -> None:
        def code() -> str:
            return sandbox.messages()[-1].code

        arguments = ("forgot-password", *options(sandbox), "--username", "ana")
        assert oncegate(*arguments, lines=(code, "Better-horse-9", code)) == Exit.SIGNED_IN
        reset, second_factor = sandbox.messages()
        assert (reset.purpose, second_factor.purpose) == ("RESET_PASSWORD", "SMS_MFA")
        assert sandbox.calls()["ForgotPassword"] == 1

    def test_unknown_user_is_shown_as_a_known_one(self, oncegate: Run, sandbox: Sandbox) -> None:
        shown = []
        for name in ("ana", "fay", "nobody"):  # fay has no address for a code
            code = oncegate("forgot-password", *options(sandbox), "--username", name)
            assert code == Exit.REFUSED
            shown.append((oncegate.shown, oncegate.result))
        assert shown[0] == shown[1] == shown[2]
        assert [message.username for message in sandbox.messages()] == ["ana"]
        assert "If this account can receive a code, we’ve sent one." in oncegate.shown

    def test_lost_response_exits_with_3_without_a_second_code(
        self, oncegate: Run, sandbox: Sandbox
    ) -> None:
        sandbox.lose_next_response("ForgotPassword")
        code = oncegate("forgot-password", *options(sandbox), lines=("ana", "ana"))
        assert code == Exit.UNREACHABLE
        assert oncegate.result["message"]["code"] == "recovery_outcome_unknown"
        assert len(sandbox.messages()) == 1


def test_password_that_another_way_asks_for_again_is_no_further_try(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, right = ("dora", "wrong-horse-4"), ("dora", "Correct-horse-4")
    lines = Lines(
        *(*wrong, *wrong, *right, "SMS_MFA", "other", "EMAIL_OTP", *right),
        lambda: sandbox.messages()[-1].code,
    )
    monkeypatch.setattr(sys, "stdin", lines)
    # The password is not retained, so another way takes it again.
    sign_in = SignIn(transport=_adapters.local_transport(sandbox), store=MemoryStore())
    code, _ = sign_in_at(Terminal(), sign_in)
    assert code is Exit.SIGNED_IN
    shown = capsys.readouterr().err
    assert "Type “other” for: Try another way" in shown
    assert "Enter your password again to use another way." in shown
    assert [message.medium for message in sandbox.messages()] == ["SMS", "EMAIL"]


@pytest.mark.parametrize("command", ["signup", "forgot-password"])
def test_command_has_no_option_for_a_secret(command: str, oncegate: Run) -> None:
    for option in ("--password", "--code", "--new-password"):
        assert oncegate(command, option, "x") == Exit.USAGE
        assert "No such option" in oncegate.shown


def issued(provider: str, url: str, valid_for: float = 900.0) -> ChallengeIssued:
    return ChallengeIssued(
        challenge=ProviderChallenge(
            provider=provider,
            url=url,
            state=SecretStr(STATE),
            verifier=SecretStr("the-verifier"),
            nonce=SecretStr("the-nonce"),
            valid_for=valid_for,
        )
    )


class AtProvider:
    """A transport whose provider answers in the browser, and that browser.

    Args:
        visits: for each time that the command opens the browser, the queries that it brings back,
            separated by blanks. Default: once, with the code.

    Attributes:
        calls: the calls of the transport.
        opened: the addresses that the command opened.
    """

    def __init__(self, *visits: str) -> None:
        self._visits = iter(visits or (ACCEPTED,))
        self.calls: list[Call] = []
        self.opened: list[str] = []

    def transport(self, *_: object, redirect_uri: str, ways_in: WaysIn, **__: object) -> Any:
        def answer(call: Call) -> Outcome:
            if not isinstance(call, AuthorizeWith):
                tokens = Tokens(access_token="access", id_token="id", expires_in=3600)
                return TokensIssued(tokens=tokens)
            query = f"{'scope=openid&' * 20}redirect_uri={quote(redirect_uri, safe='')}"
            url = f"https://auth.example.com/oauth2/authorize?{query}&nonce={len(self.calls)}"
            return issued(call.provider, url)

        transport = ScriptedTransport(answer, answer, answer, answer)
        transport.ways_in = ways_in
        self.calls = transport.calls
        return transport

    def open(self, url: str) -> None:
        """Do as a browser does whose user answers at once."""
        self.opened.append(url)
        (address,) = parse_qs(urlsplit(url).query)["redirect_uri"]
        queries = next(self._visits).split()

        def come_back() -> None:
            for query in queries:
                httpx.get(f"{address}?{query}")

        threading.Thread(target=come_back).start()


@pytest.fixture
def at_provider(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AtProvider]:
    def make(*visits: str) -> AtProvider:
        made = AtProvider(*visits)
        monkeypatch.setattr(_adapters, "cognito_transport", made.transport)
        monkeypatch.setattr(typer, "launch", made.open)
        return made

    return make


WITH_GOOGLE = (
    *("signin", "--pool-id", "us-east-1_P1", "--client-id", "c1", "--with", "Google"),
    *("--domain", "https://auth.example.com", "--callback-port", "0"),
)


class TestProviders:
    def test_code_of_the_browser_signs_in(
        self, oncegate: Run, at_provider: Callable[..., AtProvider]
    ) -> None:
        made = at_provider()
        assert oncegate(*WITH_GOOGLE) == Exit.SIGNED_IN
        assert oncegate.result["tokens"]["access_token"] == "access"
        assert [type(call) for call in made.calls] == [AuthorizeWith, ExchangeCode]
        (address,) = made.opened
        assert address in oncegate.shown.splitlines()
        assert CODE not in oncegate.shown

    def test_answer_of_another_sign_in_is_not_exchanged(
        self, oncegate: Run, at_provider: Callable[..., AtProvider]
    ) -> None:
        made = at_provider(f"code=forged&state={STATE[::-1]} {ACCEPTED}")
        assert oncegate(*WITH_GOOGLE) == Exit.SIGNED_IN
        _, exchange = made.calls
        assert isinstance(exchange, ExchangeCode)
        assert exchange.code.get_secret_value() == CODE
        assert "That answer belongs to another sign-in." in oncegate.shown
        assert len(made.opened) == 1

    def test_user_who_refuses_exits_with_1(
        self, oncegate: Run, at_provider: Callable[..., AtProvider]
    ) -> None:
        made = at_provider(DENIED)
        assert oncegate(*WITH_GOOGLE) == Exit.REFUSED
        assert oncegate.result["state"] == "idle"
        assert oncegate.result["message"]["code"] == "provider_denied"
        assert [type(call) for call in made.calls] == [AuthorizeWith]

    def test_user_who_refused_tries_again_with_a_word(
        self, oncegate: Run, at_provider: Callable[..., AtProvider]
    ) -> None:
        made = at_provider(DENIED, ACCEPTED)
        by_default = ""
        assert oncegate(*WITH_GOOGLE, lines=("/with", by_default)) == Exit.SIGNED_IN
        assert "Type “/with” for: Continue with Google" in oncegate.shown
        assert "Type “/forgot” for: Reset your password" in oncegate.shown
        assert [type(call) for call in made.calls] == [AuthorizeWith, AuthorizeWith, ExchangeCode]
        assert len(set(made.opened)) == 2

    def test_browser_is_not_opened_if_the_user_opens_it(
        self, oncegate: Run, at_provider: Callable[..., AtProvider], monkeypatch: Any
    ) -> None:
        made = at_provider()
        show = Terminal.show

        def opened_by_user(terminal: Terminal, step: Any, event: str = "") -> None:
            show(terminal, step, event)
            if step.authorize_url:
                made.open(step.authorize_url)

        monkeypatch.setattr(Terminal, "show", opened_by_user)
        monkeypatch.setattr(typer, "launch", lambda _: pytest.fail("the browser was opened"))
        assert oncegate(*WITH_GOOGLE, "--no-browser") == Exit.SIGNED_IN

    def test_port_that_is_in_use_exits_with_2(self, oncegate: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            assert oncegate(*WITH_GOOGLE[:-1], port) == Exit.USAGE
        assert f"cannot listen on port {port}" in oncegate.shown

    def test_provider_without_a_domain_exits_with_2(self, oncegate: Run) -> None:
        assert oncegate(*WITH_GOOGLE[:7]) == Exit.USAGE
        assert "--domain" in oncegate.shown

    def test_name_that_is_no_provider_exits_with_2(self, oncegate: Run) -> None:
        arguments = [*WITH_GOOGLE]
        arguments[6] = "G" * 33
        assert oncegate(*arguments) == Exit.USAGE
        assert "--with" in oncegate.shown

    def test_browser_that_does_not_come_back_ends_with_the_step(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def authorize(call: Call) -> Outcome:
            assert isinstance(call, AuthorizeWith)
            return issued(call.provider, "https://auth.example.com/", valid_for=0.2)

        transport = ScriptedTransport(authorize)
        transport.ways_in = WaysIn(providers=(Provider(name="Google"),))
        monkeypatch.setattr(sys, "stdin", Lines("Google"))
        with browser_at(0, opens=False) as browser:
            code, step = sign_in_at(
                Terminal(), SignIn(transport=transport, store=MemoryStore()),
                first="sign_in_with", browser=browser,
            )  # fmt: skip
        assert code is Exit.REFUSED
        assert step.message is not None
        assert step.message.code == "challenge_expired"


class TestProvidersOfTheSandbox:
    @pytest.fixture
    def google(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Return what sets the button that the user clicks on the provider's page."""

        def click(button: str) -> None:
            def visit(url: str) -> None:
                with httpx.Client(follow_redirects=True) as browser:
                    page = browser.get(url)
                    form = re.search(r'<form method="post" action="([^"]+)"', page.text)
                    assert form is not None
                    address = urljoin(url, unescape(form[1]))
                    entered = {"email": "zoe@example.com", "action": button}
                    assert "Go back to the terminal." in browser.post(address, data=entered).text

            def launch(url: str) -> None:
                threading.Thread(target=visit, args=(url,)).start()

            monkeypatch.setattr(typer, "launch", launch)

        return click

    def test_user_of_the_provider_signs_in_without_a_code(
        self, oncegate: Run, google: Callable[[str], None], sandbox: Sandbox
    ) -> None:
        google("continue")
        arguments = ("signin", *options(sandbox), "--with", "Google", "--callback-port", "0")
        assert oncegate(*arguments) == Exit.SIGNED_IN
        assert oncegate.result["tokens"]["by_managed_login"] is True
        assert sandbox.calls()["oauth2/token"] == 1
        assert sandbox.messages() == ()

    def test_user_who_denies_exits_with_1(
        self, oncegate: Run, google: Callable[[str], None], sandbox: Sandbox
    ) -> None:
        google("deny")
        arguments = ("signin", *options(sandbox), "--with", "Google", "--callback-port", "0")
        assert oncegate(*arguments) == Exit.REFUSED
        assert oncegate.result["message"]["code"] == "provider_denied"
        assert "oauth2/token" not in sandbox.calls()

    def test_logout_ends_the_session_of_managed_login_in_the_browser(
        self,
        oncegate: Run,
        google: Callable[[str], None],
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        google("continue")
        arguments = ("--with", "Google", "--callback-port", "0", "--insecure-storage")
        assert oncegate("login", *options(sandbox), *arguments) == Exit.SIGNED_IN
        assert "Signed in as Google_" in oncegate.shown
        opened, pages = [], []

        def visit(url: str) -> None:
            opened.append(url)
            pages.append(httpx.get(url, follow_redirects=True).text)

        visits = []

        def launch(url: str) -> None:
            visits.append(threading.Thread(target=visit, args=(url,)))
            visits[-1].start()

        monkeypatch.setattr(typer, "launch", launch)
        assert oncegate("logout", *options(sandbox)) == Exit.SIGNED_IN
        for one in visits:
            one.join(20)  # the command may end before the browser has read the page
        assert opened == [oncegate.result["logout_url"]]
        assert oncegate.result["revoked"] is True
        assert opened[0] in oncegate.shown.splitlines()
        assert "Go back to the terminal." in pages[0]

    def test_logout_opens_the_address_if_the_port_is_in_use(
        self, oncegate: Run, google: Callable[[str], None], sandbox: Sandbox, monkeypatch: Any
    ) -> None:
        google("continue")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        arguments = ("--with", "Google", "--callback-port", str(port), "--insecure-storage")
        assert oncegate("login", *options(sandbox), *arguments) == Exit.SIGNED_IN
        opened: list[str] = []
        monkeypatch.setattr(typer, "launch", opened.append)
        with socket.create_server(("127.0.0.1", port)):
            assert oncegate("logout", *options(sandbox)) == Exit.SIGNED_IN
        assert opened == [oncegate.result["logout_url"]]

    def test_logout_with_no_browser_prints_the_address_alone(
        self, oncegate: Run, google: Callable[[str], None], sandbox: Sandbox, monkeypatch: Any
    ) -> None:
        google("continue")
        arguments = ("--with", "Google", "--callback-port", "0", "--insecure-storage")
        oncegate("login", *options(sandbox), *arguments)
        monkeypatch.setattr(typer, "launch", lambda _: pytest.fail("the browser was opened"))
        assert oncegate("logout", *options(sandbox), "--no-browser") == Exit.SIGNED_IN
        assert oncegate.result["logout_url"] in oncegate.shown.splitlines()


class TestReadPool:
    @pytest.fixture(autouse=True)
    def credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "sandbox")

    def test_form_has_what_the_pool_requires(self, oncegate: Run, sandbox: Sandbox) -> None:
        code = oncegate(
            "signup", *options(sandbox), "--read-pool",
            lines=("zoe", "zoe@example.com", "Correct-horse-1", lambda: sandbox.messages()[-1].code),
        )  # fmt: skip
        assert code == Exit.SIGNED_IN
        assert "- At least 8 characters" in oncegate.shown

    def test_first_step_of_signin_offers_an_account(self, oncegate: Run, sandbox: Sandbox) -> None:
        code = oncegate(
            "signin", *options(sandbox), "--read-pool",
            lines=("/signup", "zoe", "zoe@example.com", "Correct-horse-1",
                   lambda: sandbox.messages()[-1].code),
        )  # fmt: skip
        assert code == Exit.SIGNED_IN
        assert "Type “/signup” for: Create your account" in oncegate.shown
        assert "─ Create your account ─" in oncegate.shown
        assert sandbox.calls()["SignUp"] == 1

    @pytest.mark.parametrize("command", ["signup", "forgot-password"])
    def test_pool_of_administrators_exits_with_2(
        self, command: str, oncegate: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = (WaysIn(password_reset=False, sign_up=None), PasswordPolicy())
        monkeypatch.setattr(_adapters, "pool_settings", lambda _: settings)
        assert oncegate(command, *options(sandbox), "--read-pool") == Exit.USAGE
        assert "administrators" in oncegate.shown
        assert not sandbox.calls()
