"""The account's page and its JSON API, at a sandbox that counts messages.

Everything is double-clicked and reloaded. What a framework's adapter or its templates can get wrong is
tried in each framework, what the kind of session decides with both kinds, and the rest in one framework.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest
from tests.walks.authenticator import Authenticator
from tests.web.example_apps import FRAMEWORKS, client_of, web_at, web_for
from tests.web.pages import PageReader, Visit

from oncegate import InvalidToken, Misconfigured, PasswordPolicy, StoreUnavailable, Unreachable
from oncegate.adapters import TEXTS, FlowId, SystemClock, kind_of
from oncegate.driver.account import AccountDriver
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Fault, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_sandbox._cognito import Cognito
from oncegate_web._session_list import ListedSession, SessionList
from oncegate_web._sessions import StoreSessions
from oncegate_web._translations import Identifier

FAY = {"username": "fay", "password": "Correct-horse-6"}
WITH_SMS = {**FAY, "phone_number": "+15550001234", "mfa": ["SMS_MFA"]}
GIL = {"username": "gil", "password": "Correct-horse-7"}
NEW = "Better-horse-66"
PAGE = "/auth/account"
JSON = {"accept": "application/json"}
FLASK = "flask"


PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the worker runs any more."""


def _killed(*given: Any, **more: Any) -> Any:
    raise Killed


def _too_busy(*given: Any) -> Any:
    raise StoreUnavailable("the session is too busy to be ended")


def _invalid_token(*given: Any) -> Any:
    raise InvalidToken("expired")


def _without_keys(*given: Any) -> Any:
    raise Unreachable("the pool's public keys could not be fetched")


class Later(SystemClock):
    """The system's clock, and as much later as a test needs."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class Account:
    """A user's browser on the account's page."""

    def __init__(self, sandbox: Sandbox, client: httpx.Client, changes: list[str]) -> None:
        self.sandbox, self.changes, self.client = sandbox, changes, client
        self.visit = Visit(client, PAGE)

    @property
    def page(self) -> PageReader:
        return self.visit.page

    @property
    def at(self) -> str:
        """Path and query of the page that is shown."""
        assert self.visit.response is not None
        url = self.visit.response.url
        return f"{url.path}?{url.query.decode()}" if url.query else url.path

    @property
    def messages(self) -> int:
        return len(self.sandbox.messages())

    @property
    def secret(self) -> str:
        """The secret for an authenticator app that the page shows."""
        (secret,) = set(re.findall(r"secret=([A-Z2-7]+)", self.visit.shown()))
        return str(secret)

    @property
    def totp(self) -> str:
        return pyotp.TOTP(self.secret).now()

    @property
    def code(self) -> str:
        return self.sandbox.messages()[-1].code

    def sign_in(self, **who: str) -> None:
        """Sign in by the page, which leads to the account."""
        self.visit.open()
        response = self.visit.post(*self.visit.filled("submit-password", **(who or FAY)))
        assert response.status_code == 303, response.text
        assert response.headers["location"].startswith(PAGE)
        self.open()

    def sign_in_by_sms(self) -> None:
        """Sign in as `WITH_SMS`."""
        self.visit.open()
        self.visit.say("submit_password", **FAY)
        assert self.visit.say("submit_code", code=self.code) == "managing"

    def open(self, query: str = "") -> str:
        return self.visit._shown(self.client.get(PAGE + query))

    def do(self, form: str, **fields: str) -> str:
        """Fill in a form and click its button twice; then reload the page."""
        self.visit.last = self.visit.filled(form, **fields)
        first = self.visit.say_again()
        assert self.visit.say_again() == first
        assert self.visit._shown(self.client.get(self.at)) == first
        return first

    def again(self) -> str:
        return self.visit.say_again()

    def has(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(PAGE, headers=JSON).json()["account"]
        return found


@contextmanager
def account_of(
    framework: str = FLASK,
    *,
    pool: dict[str, Any] | None = None,
    who: dict[str, Any] | None = None,
    **more: Any,
) -> Iterator[Account]:
    users = tuple(UserSeed.model_validate(one) for one in (who or FAY, GIL))
    with Sandbox(Seed(pool=PoolSeed.model_validate(pool or {}), users=users)) as sandbox:
        changes: list[str] = []
        hook = lambda changed, request: changes.append(changed.change)  # noqa: E731
        web = web_at(sandbox, account=True, on_account_changed=hook, **more)
        with client_of(framework, web) as client:
            yield Account(sandbox, client, changes)


def _with(*kinds: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("account", kinds, indirect=True, ids="-".join)


IN_EACH_FRAMEWORK = _with(*((name, "server") for name in FRAMEWORKS), ("fastapi", "cookie"))
WITH_EACH_KIND_OF_SESSION = _with((FLASK, "server"), (FLASK, "cookie"))


@pytest.fixture
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """A user who has just signed in, in one framework unless a test is marked."""
    framework, sessions = getattr(request, "param", (FLASK, "server"))
    with account_of(framework, sessions=sessions, place_of=lambda at: f"near {at}") as made:
        made.sign_in()
        yield made


def another_browser(account: Account) -> Account:
    client = httpx.Client(
        transport=account.client._transport,
        base_url=account.client.base_url,
        headers={"accept": "text/html", "accept-language": "en"},
    )
    return Account(account.sandbox, client, account.changes)


def is_signed_in(account: Account) -> bool:
    return account.client.get("/orders").status_code == 200


def test_without_an_account_page_there_is_none(framework: str) -> None:
    web = web_for(ScriptedTransport())
    with client_of(framework, web) as client:
        assert client.get(PAGE).status_code == 404
        assert client.get(PAGE, headers=JSON).status_code == 404
        assert client.post(f"{PAGE}/events", json={}, headers=JSON).status_code == 404


def test_nobody_is_asked_to_sign_in_first(framework: str) -> None:
    with account_of(framework) as account:
        answer = account.client.get(f"{PAGE}?for=change_password")
        assert answer.status_code == 303
        target = urlsplit(answer.headers["location"])
        assert target.path == "/auth/"
        assert parse_qs(target.query)["next"] == [f"{PAGE}?for=change_password"]
        assert account.client.get(PAGE, headers=JSON).status_code == 401
        posted = account.client.post(f"{PAGE}/events", json={"type": "add_passkey"}, headers=JSON)
        assert posted.status_code == 401
        assert account.client.post(PAGE, data={"_event": "delete_account"}).status_code == 303
        assert not list(account.client.cookies.jar)


@IN_EACH_FRAMEWORK
def test_page_shows_what_the_account_has(account: Account) -> None:
    assert account.page.heading == "Your account"
    assert "fay" in account.page.text
    assert account.page.state == "managing"
    assert "This browser" in account.page.text
    assert account.has() == {
        "username": "fay",
        "addresses": {},
        "verified": [],
        "second_factors": [],
        "preferred": None,
        "passkeys": [],
        "devices": [],
        "has_password": True,
    }


def test_page_of_a_user_who_is_signed_in_leads_to_the_account() -> None:
    with account_of() as account:
        account.sign_in()
        account.visit._shown(account.client.get("/auth/"))
        assert account.visit.follow("Your account") == "managing"
    with client_of(FLASK, web_for(ScriptedTransport())) as client:
        assert "account" not in client.get("/auth/").text


@IN_EACH_FRAMEWORK
def test_authenticator_is_added_once(account: Account) -> None:
    account.visit.follow("Add an authenticator app")
    assert account.do("add-authenticator", name="Phone") == "confirming_authenticator"
    secret = account.secret
    assert account.do("submit-code", code="000000") == "confirming_authenticator"
    assert "That code is incorrect." in account.page.text
    assert account.secret == secret
    assert account.do("submit-code", code=account.totp) == "managing"
    assert "Your authenticator app is set up." in account.page.text
    assert "In use" in account.page.text, "Cognito asks for the only one"
    assert "Another choice" not in account.page.text
    assert "Replace the authenticator app" in account.page.links
    assert "Add an authenticator app" not in account.page.links
    assert account.has()["second_factors"] == ["SOFTWARE_TOKEN_MFA"]
    assert account.changes == ["authenticator_added"]
    assert account.sandbox.calls()["AssociateSoftwareToken"] == 1
    assert account.sandbox.calls()["VerifySoftwareToken"] == 2


def test_setup_can_be_given_up(account: Account) -> None:
    account.visit.follow("Add an authenticator app")
    account.do("add-authenticator")
    assert account.do("cancel") == "managing"
    assert "Add an authenticator app" in account.page.links
    assert account.changes == []


def test_last_second_factor_of_a_pool_with_mfa_cannot_be_turned_off() -> None:
    with account_of(who=WITH_SMS, pool={"mfa": "on"}, mfa_required=True) as account:
        account.sign_in_by_sms()
        account.open()
        assert _changes(account) == ["use-factor-SMS_MFA-preferred"]
        off = {"type": "use_factor", "factor": "SMS_MFA", "use": "off", "version": 0}
        for _ in range(2):
            step = account.client.post(f"{PAGE}/events", json=off, headers=JSON).json()
            assert (step["state"], step["reason"]["code"]) == ("managing", "last_factor")
        form = account.page.forms["use-factor-SMS_MFA-preferred"]
        account.visit.last = form.action, {**form.values, "use": "off"}
        account.again()
        assert "Set up another one first." in account.page.text
        assert account.has()["second_factors"] == ["SMS_MFA"]
        assert account.sandbox.calls().get("SetUserMFAPreference", 0) == 0
        account.visit.follow("Add an authenticator app")
        account.do("add-authenticator")
        account.do("submit-code", code=account.totp)
        both = "use-factor-SMS_MFA-off", "use-factor-SOFTWARE_TOKEN_MFA-off"
        assert set(both) <= set(_changes(account))
        assert account.do(both[0]) == "managing"
        assert account.has()["second_factors"] == ["SOFTWARE_TOKEN_MFA"]
        assert both[1] not in _changes(account)


def test_last_second_factor_stays_while_cognito_does_not_say_which_there_are() -> None:
    with account_of(who=WITH_SMS, pool={"mfa": "on"}, mfa_required=True) as account:
        account.sign_in_by_sms()
        off = {"type": "use_factor", "factor": "SMS_MFA", "use": "off", "version": 0}
        account.client.get(PAGE, headers=JSON)
        account.sandbox.order(Fault(operation="GetUser", kind="http_500", times=9))
        step = account.client.post(f"{PAGE}/events", json=off, headers=JSON).json()
        assert (step["state"], step["reason"]["code"]) == ("managing", "unreachable")
        assert account.sandbox.calls().get("SetUserMFAPreference", 0) == 0


def test_last_second_factor_stays_if_the_pool_cannot_be_asked_which_there_are() -> None:
    """Part of what the account has needs a set-up that the change itself does without."""
    with account_of(who=WITH_SMS, pool={"mfa": "on"}, mfa_required=True) as account:
        account.sign_in_by_sms()
        off = {"type": "use_factor", "factor": "SMS_MFA", "use": "off", "version": 0}
        account.client.get(PAGE, headers=JSON)
        refused = "OperationNotEnabledException"
        account.sandbox.order(
            Fault(operation="ListWebAuthnCredentials", kind="error", code=refused, times=9)
        )
        step = account.client.post(f"{PAGE}/events", json=off, headers=JSON).json()
        assert (step["state"], step["reason"]["code"]) == ("managing", "change_unavailable")
        assert account.sandbox.calls().get("SetUserMFAPreference", 0) == 0


def test_user_who_was_signed_out_elsewhere_turns_no_second_factor_off() -> None:
    with account_of(who=WITH_SMS, pool={"mfa": "on"}, mfa_required=True) as account:
        account.sign_in_by_sms()
        account.client.get(PAGE, headers=JSON)
        account.sandbox.order(
            Fault(operation="GetUser", kind="error", code="NotAuthorizedException", times=9)
        )
        account.sandbox.order(
            Fault(
                operation="SetUserMFAPreference",
                kind="error",
                code="NotAuthorizedException",
                message="Access Token has been revoked",
            )
        )
        off = {"type": "use_factor", "factor": "SMS_MFA", "use": "off", "version": 0}
        step = account.client.post(f"{PAGE}/events", json=off, headers=JSON).json()
        assert (step["state"], step["message"]["code"]) == ("closed", "signed_out_elsewhere")


def _changes(account: Account) -> list[str]:
    """Return the buttons that change a second factor."""
    return [name for name in account.page.forms if name.startswith("use-factor-")]


@IN_EACH_FRAMEWORK
def test_address_gets_one_code_and_becomes_a_factor(account: Account) -> None:
    account.open("?for=submit_address&attribute=phone_number")
    assert account.page.heading == "Your phone number"
    assert account.do("submit-address", address="+1 555 000 7777") == "confirming_address"
    assert account.messages == 1
    assert account.sandbox.messages()[0].destination == "+15550007777"
    assert "+*******7777" in account.page.text
    assert account.do("submit-code", code="000000") == "confirming_address"
    assert account.do("submit-code", code=account.code) == "managing"
    assert account.messages == 1
    assert account.has()["verified"] == ["phone_number"]
    assert account.do("use-factor-SMS_MFA-preferred") == "managing"
    assert account.has()["preferred"] == "SMS_MFA"
    assert account.do("use-factor-SMS_MFA-off") == "managing"
    assert account.has()["second_factors"] == []
    assert account.changes == ["address_verified", "factor_changed", "factor_changed"]
    assert account.messages == 1


@pytest.mark.parametrize("sessions", ["server", "cookie"])
def test_code_for_an_address_works_as_long_as_cognito_takes_it(sessions: str) -> None:
    clock = Later()
    with account_of(clock=clock, sessions=sessions) as account:
        account.sign_in()
        account.open("?for=submit_address&attribute=phone_number")
        answer = account.visit.post(*account.visit.filled("submit-address", address="+15550007777"))
        assert _seconds_of_flow(answer) > 86400
        assert _seconds_of_flow(account.client.get(answer.headers["location"])) > 86400
        clock.ahead = 23.9 * 3600
        account.sandbox.advance(23.9 * 3600)
        if sessions == "cookie":  # they end with the access token
            account.sign_in()
        assert account.open() == "confirming_address"
        assert account.do("submit-code", code="000000") == "confirming_address"
        clock.ahead += 240
        account.sandbox.advance(240)
        answer = account.visit.post(*account.visit.filled("submit-code", code=account.code))
        assert _seconds_of_flow(answer) == 0
        assert "notice=address_verified" in answer.headers["location"]
        assert account.has()["verified"] == ["phone_number"]
        assert account.messages == 1


def test_account_names_the_new_email_address_at_once() -> None:
    with account_of(who={**FAY, "email": "old@example.com"}) as account:
        account.sign_in()
        assert account.page.text.count("old@example.com") == 2
        account.visit.follow("Change")
        account.do("submit-address", address="new@example.com")
        account.do("submit-code", code=account.code)
        assert "old@example.com" not in account.page.text
        assert account.page.text.count("new@example.com") == 2


def test_code_for_an_address_that_has_expired_is_named() -> None:
    clock = Later()
    with account_of(clock=clock) as account:
        account.sign_in()
        account.open("?for=submit_address&attribute=phone_number")
        account.do("submit-address", address="+15550007777")
        clock.ahead = 24 * 3600 + 60
        account.sandbox.advance(24 * 3600 + 60)
        assert account.open() == "managing"
        assert "That took too long. Start again." in account.page.text
        assert account.messages == 1


def test_flow_without_a_code_under_way_ends_an_hour_after_its_last_change() -> None:
    clock = Later()
    with account_of(clock=clock) as account:
        account.sign_in()
        step = account.client.get(PAGE, headers=JSON).json()["step"]
        account.open("?for=add_authenticator")
        account.do("add-authenticator")
        account.do("cancel")
        clock.ahead = 3700
        account.sandbox.advance(3700)
        after = account.client.get(PAGE, headers=JSON).json()["step"]
        assert after["flow_id"] != step["flow_id"]


def _seconds_of_flow(answer: httpx.Response) -> int:
    """Return how long the browser has the flow of the account; 0 for as long as it is open."""
    (cookie,) = (
        one for one in answer.headers.get_list("set-cookie") if one.startswith("oncegate_account.")
    )
    found = re.search(r"Max-Age=([0-9]+)", cookie, re.IGNORECASE)
    return int(found[1]) if found else 0


def test_address_that_is_none_is_asked_for_again(account: Account) -> None:
    account.open("?for=submit_address&attribute=phone_number")
    form = account.page.forms["submit-address"]
    for address, text in (("", "Fill in this field."), ("555", "country code")):
        answer = account.visit.post(form.action, {**form.values, "address": address})
        shown = account.client.get(answer.headers["location"]) if answer.is_redirect else answer
        assert text in shown.text, shown.text
        assert shown.status_code in {200, 422}
    assert account.messages == 0


@IN_EACH_FRAMEWORK
def test_password_is_changed_and_other_sessions_end(account: Account) -> None:
    other = another_browser(account)
    other.sign_in()
    account.visit.follow("Change password")
    assert account.do("change-password", password="wrong", new_password=NEW) == "managing"
    assert "Your current password is incorrect." in account.page.text
    assert account.page.heading == "Change password"
    assert is_signed_in(other)
    assert account.do("change-password", password=FAY["password"], new_password=NEW) == "managing"
    assert "Your password was changed." in account.page.text
    assert NEW not in account.visit.shown()
    assert is_signed_in(account)
    assert not is_signed_in(other)
    assert account.changes == ["password_was_changed"]
    other.sign_in(username="fay", password=NEW)
    # A click that comes late ends no session that has begun since.
    account.again()
    assert is_signed_in(other)
    assert account.sandbox.calls()["ChangePassword"] == 2


@WITH_EACH_KIND_OF_SESSION
def test_password_that_may_have_changed_ends_the_other_sessions(account: Account) -> None:
    other = another_browser(account)
    other.sign_in()
    account.visit.follow("Change password")
    account.sandbox.order(Fault(operation="ChangePassword", kind="drop_response"))
    form = account.visit.filled("change-password", password=FAY["password"], new_password=NEW)
    account.visit.last = form
    assert account.again() == "managing"
    assert "Check whether the change was made before you try again." in account.page.text
    assert is_signed_in(account)
    assert not is_signed_in(other)
    other.sign_in(username="fay", password=NEW)
    account.again()
    assert is_signed_in(other)
    assert account.sandbox.calls()["ChangePassword"] == 1


@pytest.mark.parametrize("sessions", ["server", "cookie"])
@pytest.mark.parametrize("dies", ["in the call", "after it"])
def test_worker_killed_at_a_change_of_the_password_ends_the_other_sessions_later(
    dies: str, sessions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Later()
    with account_of(clock=clock, sessions=sessions) as account:
        account.sign_in()
        other = another_browser(account)
        other.sign_in()
        account.visit.follow("Change password")
        form = account.visit.filled("change-password", password=FAY["password"], new_password=NEW)
        owner, name = (
            (CognitoTransport, "perform")
            if dies == "in the call"
            else (StoreSessions, "end_others")
        )
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, _killed)
            with pytest.raises(Killed):
                account.visit.post(*form)
        assert is_signed_in(account)
        assert is_signed_in(other)
        clock.ahead = 60
        assert is_signed_in(account)
        assert not is_signed_in(other)
        third = another_browser(account)
        password = FAY["password"] if dies == "in the call" else NEW
        third.sign_in(username="fay", password=password)
        assert is_signed_in(account)
        assert is_signed_in(third)


@pytest.mark.parametrize("password", [FAY["password"], "wrong"], ids=["right", "wrong"])
def test_change_of_the_password_after_a_killed_worker_settles_what_that_one_has_left(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Later()
    with account_of(clock=clock) as account:
        account.sign_in()
        account.visit.follow("Change password")
        form = account.visit.filled("change-password", password=password, new_password=NEW)
        with monkeypatch.context() as patch:
            patch.setattr(CognitoTransport, "perform", _killed)
            with pytest.raises(Killed):
                account.visit.post(*form)
        clock.ahead = 40  # the lease of the call has ended
        account.open("?for=change_password")
        account.visit.post(
            *account.visit.filled("change-password", password=password, new_password=NEW)
        )
        other = another_browser(account)
        is_changed = password != "wrong"
        other.sign_in(username="fay", password=NEW if is_changed else FAY["password"])
        clock.ahead = 100
        assert is_signed_in(account)
        assert is_signed_in(other) is is_changed  # otherwise the first one may have changed it


def test_other_sessions_end_later_if_the_store_fails_after_the_password_was_changed() -> None:
    clock = Later()
    with account_of(clock=clock) as account:
        account.sign_in()
        other = another_browser(account)
        other.sign_in()
        account.visit.follow("Change password")
        form = account.visit.filled("change-password", password=FAY["password"], new_password=NEW)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SessionList, "end", _too_busy)
            answer = account.visit.post(*form)
        assert "password_was_changed" in answer.headers["location"]
        assert is_signed_in(other)
        clock.ahead = 60
        assert is_signed_in(account)
        assert not is_signed_in(other)


@pytest.mark.parametrize("refused", ["wrong_password", "sign_in_again", "invalid_token", "no_keys"])
def test_password_that_has_not_changed_ends_no_session(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Later()
    with account_of(clock=clock) as account:
        account.sign_in()
        other = another_browser(account)
        other.sign_in()
        account.visit.follow("Change password")
        form = account.visit.filled("change-password", password="wrong", new_password=NEW)
        if refused == "sign_in_again":
            clock.ahead = 400
            account.sandbox.advance(400)
        with monkeypatch.context() as patch:
            if refused == "invalid_token":
                patch.setattr(AccountDriver, "_signed_in", _invalid_token)
                event = {"type": "change_password", "version": 0, "new_password": NEW}
                posted = account.client.post(f"{PAGE}/events", json=event, headers=JSON)
                assert (posted.status_code, posted.json()["code"]) == (401, "not_signed_in")
            if refused == "no_keys":
                patch.setattr(AccountDriver, "_signed_in", _without_keys)
            answer = account.visit.post(*form)
        told = {"wrong_password": "wrong_password", "no_keys": "request_failed"}
        assert told.get(refused, "again=1") in answer.headers["location"]
        clock.ahead += 60
        assert is_signed_in(account)
        assert is_signed_in(other)


@pytest.mark.parametrize(
    ("identifier", "name"),
    [("username", "fay"), ("email", "fay@example.com"), ("phone", "+15550001234")],
)
def test_password_managers_learn_whose_password_is_changed(
    identifier: Identifier, name: str
) -> None:
    attributes = {"email": "fay@example.com", "phone_number": "+15550001234"}
    who = {**FAY, "attributes": attributes}
    with account_of(who=who, identifier=identifier) as account:
        account.sign_in()
        account.visit.follow("Change password")
        hidden = re.findall(
            r'<input hidden [^>]*autocomplete="username"[^>]*>', account.visit.shown()
        )
        assert [re.findall('value="([^"]*)"', one) for one in hidden] == [[name]]


def test_date_is_not_broken_into_two_lines(account: Account) -> None:
    date = r"\d{4}\u2011\d\d\u2011\d\d\u00a0\d\d:\d\d\u00a0UTC"
    assert re.search(f"Last used {date}", account.visit.shown())


def test_rules_of_a_new_password_are_shown() -> None:
    with account_of(password_policy=PasswordPolicy(minimum_length=14)) as account:
        account.sign_in()
        account.visit.follow("Change password")
        assert "At least 14 characters" in account.page.text


@IN_EACH_FRAMEWORK
def test_missing_passwords_are_marked(account: Account) -> None:
    account.visit.follow("Change password")
    answer = account.visit.post(
        *account.visit.filled("change-password", password="", new_password="")
    )
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 2
    assert account.sandbox.calls().get("ChangePassword", 0) == 0


def test_passkey_is_removed_once() -> None:
    passkeys = [Authenticator().seed(), Authenticator().seed()]
    with account_of(who={**FAY, "passkeys": passkeys}) as account:
        account.sign_in()
        first, second = (one["key"] for one in account.has()["passkeys"])
        assert account.do(f"remove-passkey-{first}") == "managing"
        assert "The passkey was removed." in account.page.text
        assert [one["key"] for one in account.has()["passkeys"]] == [second]
        assert account.changes == ["passkey_removed"]
        assert account.sandbox.calls()["DeleteWebAuthnCredential"] == 1


def test_device_is_forgotten_once() -> None:
    with account_of(who=WITH_SMS, pool={"device_tracking": "always"}) as account:
        account.sign_in_by_sms()
        account.open()
        (device,) = account.has()["devices"]
        assert account.do(f"forget-device-{device['key']}") == "managing"
        assert account.has()["devices"] == []
        assert account.changes == ["device_was_forgotten"]
        assert account.sandbox.calls()["ForgetDevice"] == 1


@WITH_EACH_KIND_OF_SESSION
def test_session_is_ended_from_the_page(account: Account) -> None:
    other = another_browser(account)
    other.sign_in()
    account.open()
    listed = account.client.get("/auth/sessions", headers=JSON).json()["sessions"]
    (name,) = (one["name"] for one in listed if not one["is_current"])
    assert account.do(f"end-session-{name}") == "managing"
    assert not is_signed_in(other)
    assert is_signed_in(account)


@WITH_EACH_KIND_OF_SESSION
def test_sessions_are_listed_with_device_place_and_times(account: Account) -> None:
    browser = another_browser(account)
    browser.client.headers["user-agent"] = PHONE
    browser.sign_in()
    account.open()
    listed = account.client.get("/auth/sessions", headers=JSON).json()["sessions"]
    other = next(one for one in listed if not one["is_current"])
    assert other["place"] == f"near {other['address']}"
    assert [one["place"] for one in listed] == [f"near {one['address']}" for one in listed]
    begun, seen = (datetime.fromisoformat(other[name]) for name in ("begun_at", "seen_at"))
    details = (
        f"{other['place']} · {other['address']} · "
        f"Signed in {begun:%Y-%m-%d %H:%M} UTC · Last used {seen:%Y-%m-%d %H:%M} UTC"
    )
    # The page does not break a date into two lines.
    text = account.page.text.replace("\u2011", "-").replace("\u00a0", " ")
    assert "Chrome on Android" in text
    assert details in text
    assert account.page.text.count("This browser · ") == 1
    unknown = another_browser(account)
    unknown.client.headers["user-agent"] = "Lynx/2.9"
    unknown.sign_in()
    account.open()
    assert "Unknown browser" in account.page.text


@pytest.mark.parametrize("found", [ValueError("no such address"), None, "x" * 500], ids=str)
def test_place_that_cannot_be_found_is_left_out(found: Any) -> None:
    def place_of(address: str) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    with account_of(place_of=place_of) as account:
        account.sign_in()
        (listed,) = account.client.get("/auth/sessions", headers=JSON).json()["sessions"]
        assert listed["place"] == ("x" * 100 if isinstance(found, str) else "")
        assert account.page.state == "managing"


def test_place_is_not_stored() -> None:
    session = ListedSession(name="a", begun_at=1, seen_at=1, ends_at=2, place="Zurich")
    assert "Zurich" not in str(session.model_dump())


def test_another_session_is_ended_after_a_recent_sign_in_only() -> None:
    with _old_sign_in() as account:
        other = another_browser(account)
        other.sign_in()
        account.open()
        listed = account.client.get("/auth/sessions", headers=JSON).json()["sessions"]
        (name,) = (one["name"] for one in listed if not one["is_current"])
        refused = account.client.delete(f"/auth/sessions/{name}", headers=JSON)
        assert (refused.status_code, refused.json()["code"]) == (403, "sign_in_again")
        assert refused.json()["message"] == "Sign in again to make this change."
        form = f"end-session-{name}"
        assert account.do(form) == "idle"
        assert "Sign in again to make this change." in account.page.text
        assert is_signed_in(other)
        answer = account.visit.post(*account.visit.filled("submit-password", **FAY))
        assert answer.headers["location"] == PAGE
        account.open()
        assert account.do(form) == "managing"
        assert not is_signed_in(other)
        assert is_signed_in(account)


def test_own_session_and_all_sessions_end_after_an_old_sign_in() -> None:
    with _old_sign_in() as account:
        other = another_browser(account)
        other.sign_in()
        (own,) = (
            one["name"]
            for one in account.client.get("/auth/sessions", headers=JSON).json()["sessions"]
            if one["is_current"]
        )
        assert account.client.delete(f"/auth/sessions/{own}", headers=JSON).status_code == 204
        assert not is_signed_in(account)
        assert is_signed_in(other)
    with _old_sign_in() as account:
        other = another_browser(account)
        other.sign_in()
        account.open()
        assert account.do("sign-out-everywhere") == "idle"
        assert not is_signed_in(other)
    with _old_sign_in() as account:
        assert account.client.delete("/auth/sessions", headers=JSON).status_code == 204
        assert account.sandbox.calls()["GlobalSignOut"] == 1


@IN_EACH_FRAMEWORK
def test_own_session_ends_like_a_sign_out(account: Account) -> None:
    listed = account.client.get("/auth/sessions", headers=JSON).json()["sessions"]
    assert account.do(f"end-session-{listed[0]['name']}") == "idle"
    assert not is_signed_in(account)


@IN_EACH_FRAMEWORK
def test_sign_out_everywhere_ends_all_sessions(account: Account) -> None:
    other = another_browser(account)
    other.sign_in()
    account.open()
    assert account.do("sign-out-everywhere") == "idle"
    assert not is_signed_in(account)
    assert not is_signed_in(other)
    assert account.changes == ["signed_out_everywhere"]
    assert account.sandbox.calls()["GlobalSignOut"] == 1
    assert [one.name for one in account.client.cookies.jar if "account" in one.name] == []


@IN_EACH_FRAMEWORK
def test_account_is_deleted_once(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    account.visit.follow("Delete account")
    form = account.page.forms["delete-account"]
    answer = account.visit.post(form.action, form.values)
    assert answer.headers["location"] == "/auth/?notice=account_deleted"
    shown = PageReader(account.client.get(answer.headers["location"]).text)
    assert "Your account and its data were deleted." in shown.text
    assert account.visit.post(form.action, form.values).status_code == 303
    assert not is_signed_in(account)
    assert account.changes == ["account_deleted"]
    assert account.sandbox.calls()["DeleteUser"] == 1
    assert [line.message for line in caplog.records if line.levelno >= logging.ERROR] == []


def test_second_click_without_the_first_answer_tells_the_same() -> None:
    """A browser drops the answer to a first click; its second one has the old cookies."""
    with account_of() as account:
        account.sign_in()
        account.visit.follow("Delete account")
        form = account.page.forms["delete-account"]
        cookies = dict(account.client.cookies)
        account.visit.post(form.action, form.values)
        account.client.cookies.update(cookies)
        again = account.visit.post(form.action, form.values)
        assert again.headers["location"] == "/auth/?notice=account_deleted"


@IN_EACH_FRAMEWORK
def test_form_without_its_token_changes_nothing(account: Account) -> None:
    account.visit.follow("Delete account")
    form = account.page.forms["delete-account"]
    for token in ("", "0" * 24):
        answer = account.visit.post(form.action, {**form.values, "_token": token})
        assert answer.headers["location"] == f"{PAGE}?notice=page_outdated"
    other_site = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert account.client.post(PAGE, data=form.values, headers=other_site).status_code == 403
    event = {"type": "delete_account", "version": 0}
    posted = account.client.post(f"{PAGE}/events", json=event, headers=other_site)
    assert posted.status_code == 403
    assert account.client.post(f"{PAGE}/events", data=form.values, headers=JSON).status_code == 415
    assert is_signed_in(account)
    assert account.changes == []


def test_flow_of_another_user_of_the_browser_is_not_taken_up(account: Account) -> None:
    account.open("?for=submit_address&attribute=phone_number")
    account.do("submit-address", address="+15550007777")
    form = account.page.forms["submit-code"]
    assert account.client.delete("/auth/session").status_code == 204
    account.sign_in(**GIL)
    assert account.page.state == "managing"
    answer = account.visit.post(form.action, {**form.values, "code": account.code})
    assert answer.headers["location"] == f"{PAGE}?notice=page_outdated"
    assert account.has()["verified"] == []
    account.open()
    assert account.page.state == "managing"
    assert account.messages == 1


def test_flow_that_another_user_binds_to_an_own_session_shows_nothing(account: Account) -> None:
    """The cookie of a flow outlives the session: the browser's next user can read it."""
    account.open("?for=add_authenticator")
    account.do("add-authenticator")
    secret = account.secret
    (left,) = [one for one in account.client.cookies.jar if "_account." in one.name]
    flow = FlowId.parse(str(left.value).partition(".")[0])
    other = another_browser(account)
    other.sign_in(**GIL)
    sub = other.client.get("/auth/session", headers=JSON).json()["claims"]["sub"]
    kept = {one.name: one.value for one in other.client.cookies.jar if "_account." not in one.name}
    other.client.cookies.clear()
    kept[left.name] = f"{flow.text}.{flow.digest('account of', sub)}"
    cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}
    event = {"type": "cancel", "version": 2}
    for answer in (
        other.client.get(PAGE, headers=cookies),
        other.client.get(PAGE, headers=JSON | cookies),
        other.client.post(f"{PAGE}/events", json=event, headers=JSON | cookies),
        other.client.post(f"{PAGE}/events", json=event | {"version": 0}, headers=JSON | cookies),
    ):
        assert answer.status_code == 200
        assert secret not in answer.text
        assert "managing" in answer.text
    account.open()
    assert account.secret == secret


def test_late_click_on_what_ended_all_sessions_ends_no_later_one(account: Account) -> None:
    form = account.page.forms["sign-out-everywhere"]
    kept = [one for one in account.client.cookies.jar if "_account." in one.name]
    account.visit.post(form.action, form.values)
    for one in kept:  # the browser has not received the answer
        account.client.cookies.jar.set_cookie(one)
    account.visit.open()
    sign_in = account.page.forms["submit-password"]
    account.visit.post(sign_in.action, {**sign_in.values, **FAY})
    other = another_browser(account)
    other.sign_in()
    answer = account.visit.post(form.action, form.values)
    assert answer.headers["location"] == f"{PAGE}?notice=page_outdated"
    assert is_signed_in(account)
    assert is_signed_in(other)
    assert account.sandbox.calls()["GlobalSignOut"] == 1


def test_link_does_not_tell_of_a_change_that_was_not_made() -> None:
    good = [name for name in TEXTS if name.startswith("message.") and kind_of(name) == "good"]
    assert len(good) > 9
    with account_of() as account:
        account.sign_in()
        for name in good:
            account.open(f"?notice={name.removeprefix('message.')}")
            assert TEXTS[name] not in account.page.text, name
        account.visit.follow("Change password")
        account.do("change-password", password=FAY["password"], new_password=NEW)
        assert TEXTS["message.password_was_changed"] in account.page.text


def test_two_tabs_share_one_flow(account: Account) -> None:
    account.open("?for=submit_address&attribute=phone_number")
    first = account.page.forms["submit-address"]
    account.open("?for=submit_address&attribute=email")
    second = account.page.forms["submit-address"]
    account.visit.post(first.action, {**first.values, "address": "+15550007777"})
    account.visit.post(second.action, {**second.values, "address": "fay@example.com"})
    assert account.messages == 1
    account.open()
    assert account.page.state == "confirming_address"
    assert "7777" in account.page.text


def test_change_in_an_outdated_tab_is_not_called_done(account: Account) -> None:
    account.visit.follow("Change password")
    outdated = account.page.forms["change-password"]
    account.open("?for=add_authenticator")
    account.do("add-authenticator")
    account.do("submit-code", code=account.totp)
    values = {**outdated.values, "password": FAY["password"], "new_password": NEW}
    answer = account.visit.post(outdated.action, values)
    assert answer.headers["location"] == f"{PAGE}?notice=page_outdated"
    assert account.sandbox.calls().get("ChangePassword", 0) == 0


@WITH_EACH_KIND_OF_SESSION
def test_token_that_was_revoked_meanwhile_ends_the_session(account: Account) -> None:
    other = another_browser(account)
    other.sign_in()
    other.do("sign-out-everywhere")
    answer = account.client.get(PAGE)
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == "/auth/"
    assert not is_signed_in(account)


@contextmanager
def _old_sign_in(**more: Any) -> Iterator[Account]:
    clock = Later()
    with account_of(clock=clock, **more) as account:
        account.sign_in()
        account.sandbox.advance(400)
        clock.ahead = 400
        yield account


@pytest.mark.parametrize(
    "query", ["?for=change_password", "?for=submit_address&attribute=phone_number"]
)
def test_old_sign_in_leads_to_a_new_one_and_back(query: str) -> None:
    with _old_sign_in() as account:
        assert account.open() == "managing"  # to look at it needs none
        assert account.open(query) == "idle"
        assert "Sign in again to make this change." in account.page.text
        answer = account.visit.post(*account.visit.filled("submit-password", **FAY))
        assert answer.headers["location"] == f"{PAGE}{query}"
        assert account.open(query) == "managing"
        assert set(account.page.forms) & {"change-password", "submit-address"}


def test_button_after_an_old_sign_in_changes_nothing() -> None:
    clock = Later()
    phone = {**FAY, "phone_number": "+15550001234"}
    with account_of(clock=clock, who=phone) as account:
        account.sign_in()
        form = account.page.forms["use-factor-SMS_MFA-preferred"]
        account.sandbox.advance(400)
        clock.ahead = 400
        for _ in range(2):
            answer = account.visit.post(form.action, form.values)
            query = parse_qs(urlsplit(answer.headers["location"]).query)
            assert query["again"] == ["1"]
            assert query["next"] == [PAGE]
        assert account.has()["second_factors"] == []
        assert account.changes == []
        event = {"type": "change_password", "version": 0, "password": "x", "new_password": NEW}
        step = account.client.post(f"{PAGE}/events", json=event, headers=JSON).json()
        assert step["reason"]["code"] == "sign_in_again"


def test_step_up_of_the_pool_leads_back_and_the_change_goes_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """USER_AUTH with the level and the age that the pool has to check."""
    wanted: list[Any] = []
    perform = Cognito.perform

    def noted(self: Cognito, operation: str, request: dict[str, Any]) -> Any:
        if operation == "InitiateAuth" and request["AuthFlow"] == "USER_AUTH":
            given = request["AuthParameters"]
            wanted.append((given.get("TARGET_ACR_VALUES"), given.get("MAX_AGE")))
        return perform(self, operation, request)

    monkeypatch.setattr(Cognito, "perform", noted)
    level, clock = "urn:cognito:loa:3", Later()
    step_up: dict[str, Any] = {"auth_flow": "USER_AUTH", "acr_values": level, "max_age": 300}
    with account_of(who=WITH_SMS, clock=clock, **step_up) as account:

        def sign_in_with_a_code() -> None:
            account.visit.say("submit_username", username="fay")
            assert account.visit.say("choose_factor", factor="PASSWORD") == "awaiting_password"
            assert account.visit.say("submit_password", password=FAY["password"]) == "awaiting_mfa"
            assert account.visit.say("submit_code", code=account.code) == "managing"

        account.visit.open()
        sign_in_with_a_code()
        account.open()
        clock.ahead = 400
        account.sandbox.advance(400)
        query = "?for=change_password"
        assert account.open(query) == "idle"
        assert "Sign in again to make this change." in account.page.text
        sign_in_with_a_code()
        assert account.at == f"{PAGE}{query}"
        assert account.client.get("/auth/session", headers=JSON).json()["claims"]["acr"] == level
        form = account.do("change-password", password=FAY["password"], new_password=NEW)
        assert form == "managing"
        assert account.changes == ["password_was_changed"]
        assert account.messages == 2
        assert set(wanted) == {(level, "300")}


# ── JSON ──


@IN_EACH_FRAMEWORK
def test_program_changes_the_account(account: Account) -> None:
    client = account.client
    step = client.get(PAGE, headers=JSON).json()["step"]
    assert step["state"] == "managing"
    assert len(step["flow_id"]) == 32
    event = {"type": "submit_address", "attribute": "email", "address": "fay@example.com"}
    for _ in range(2):
        answer = client.post(f"{PAGE}/events", json={**event, "version": 0}, headers=JSON)
        step = answer.json()
        assert step["state"] == "confirming_address", step
    assert account.messages == 1
    wrong = {"type": "submit_code", "version": step["version"], "code": "x"}
    assert client.post(f"{PAGE}/events", json=wrong, headers=JSON).json()["reason"]["code"] == (
        "invalid_input"
    )
    right = {**wrong, "code": account.code}
    for _ in range(2):
        step = client.post(f"{PAGE}/events", json=right, headers=JSON).json()
        assert step["state"] == "managing"
    assert account.has()["addresses"] == {"email": "fay@example.com"}
    assert account.changes == ["address_verified"]
    for bad in (b"{", b"[]", b'{"type": "add_passkey"}', b'{"type": "x", "version": 0}'):
        headers = {**JSON, "content-type": "application/json"}
        assert client.post(f"{PAGE}/events", content=bad, headers=headers).status_code == 422
    deleted = {"type": "delete_account", "version": step["version"]}
    step = client.post(f"{PAGE}/events", json=deleted, headers=JSON).json()
    assert (step["state"], step["message"]["code"]) == ("closed", "account_deleted")
    assert not is_signed_in(account)


def test_program_that_lost_the_answer_to_a_deletion_gets_it_again() -> None:
    with account_of() as account:
        account.sign_in()
        client, event = account.client, {"type": "delete_account", "version": 0}
        cookies = dict(client.cookies)
        first = client.post(f"{PAGE}/events", json=event, headers=JSON).json()
        assert (first["state"], first["message"]["code"]) == ("closed", "account_deleted")
        assert client.post(f"{PAGE}/events", json=event, headers=JSON).status_code == 401
        client.cookies.update(cookies)
        again = client.post(f"{PAGE}/events", json=event, headers=JSON)
        assert (again.status_code, again.json()["message"]) == (200, first["message"])
        assert client.get(PAGE, headers=JSON).status_code == 401
        assert account.changes == ["account_deleted"]


def test_event_of_a_flow_that_has_expired_leads_to_a_new_one() -> None:
    clock = Later()
    with account_of(clock=clock) as account:
        account.sign_in()
        account.open("?for=add_authenticator")
        account.do("add-authenticator")
        form = account.visit.filled("submit-code", code=account.totp)
        step = account.client.get(PAGE, headers=JSON).json()["step"]
        clock.ahead = 5000
        account.sandbox.advance(5000)
        event = {"type": "submit_code", "code": account.totp, "version": step["version"]}
        after = account.client.post(f"{PAGE}/events", json=event, headers=JSON).json()
        assert (after["state"], after["version"]) == ("managing", 0)
        assert after["reason"]["code"] == "not_allowed"
        assert account.client.get(PAGE, headers=JSON).json()["step"]["flow_id"] == after["flow_id"]
        assert is_signed_in(account)
        answer = account.visit.post(*form)
        assert answer.headers["location"] == f"{PAGE}?notice=page_outdated"
        assert account.changes == []


def test_offer_that_is_not_to_be_made_leads_from_an_expired_flow_to_a_new_one() -> None:
    clock = Later()
    with account_of(clock=clock) as account:
        account.sign_in()
        before = account.client.get(PAGE, headers=JSON).json()["step"]
        clock.ahead = 5000
        account.sandbox.advance(5000)
        offer = {"type": "offer_factor", "version": before["version"]}
        after = account.client.post(f"{PAGE}/events", json=offer, headers=JSON).json()
        assert (after["state"], after["version"]) == ("managing", 0)
        assert account.client.get(PAGE, headers=JSON).json()["step"]["flow_id"] == after["flow_id"]


@IN_EACH_FRAMEWORK
def test_wrong_method_says_which_are_right(account: Account) -> None:
    answer = account.client.delete(f"{PAGE}", headers=JSON)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert account.client.put(PAGE).status_code == 405


# ── what is told ──


def test_audit_has_one_line_for_each_change(caplog: pytest.LogCaptureFixture) -> None:
    with (
        account_of(audit=True) as account,
        caplog.at_level(logging.INFO, "oncegate.audit"),
    ):
        account.sign_in()
        account.visit.follow("Change password")
        caplog.clear()
        account.do("change-password", password=FAY["password"], new_password=NEW)
        lines = [json.loads(one) for one in caplog.messages]
        changed = [one for one in lines if one.get("reason") == "password_was_changed"]
        assert len(changed) == 1, lines
        assert (changed[0]["source"], changed[0]["target"]) == ("changing", "managing")
        assert NEW not in caplog.text
        assert FAY["password"] not in caplog.text


def test_no_address_has_a_secret(account: Account) -> None:
    account.visit.follow("Add an authenticator app")
    account.do("add-authenticator")
    secret = account.secret
    form = account.page.forms["submit-code"]
    answer = account.visit.post(form.action, {**form.values, "code": "000000"})
    cookies = [one.value or "" for one in account.client.cookies.jar]
    for place in (form.action, answer.headers["location"], account.at):
        assert secret not in place
        assert not any(value in place for value in cookies)
        assert form.values["_token"] not in place
    flow = next(one.value or "" for one in account.client.cookies.jar if "_account." in one.name)
    assert flow.partition(".")[0] not in account.visit.shown()


@IN_EACH_FRAMEWORK
def test_what_others_have_named_is_escaped(account: Account) -> None:
    browser = another_browser(account)
    browser.client.headers["user-agent"] = "<script>alert(1)</script>"
    browser.sign_in()
    account.open("?for=add_authenticator&attribute=%3Cscript%3E&notice=%3Cscript%3E")
    assert "<script>" not in account.visit.shown()
    account.open("?notice=%3Cscript%3E")
    assert "<script>" not in account.visit.shown()
    assert account.visit.response is not None
    assert "frame-ancestors 'none'" in account.visit.response.headers["content-security-policy"]
    assert account.visit.response.headers["cache-control"].startswith("no-store")


def test_flask_sends_a_signal_once_for_each_change() -> None:
    from oncegate_web.flask import account_changed

    seen: list[tuple[str, str]] = []

    def receive(sender: Any, **told: Any) -> None:
        seen.append((told["user"].username, told["change"]))

    with account_changed.connected_to(receive), account_of(FLASK) as account:
        account.sign_in()
        account.visit.follow("Change password")
        account.do("change-password", password=FAY["password"], new_password=NEW)
        assert seen == [("fay", "password_was_changed")]
        assert account.changes == ["password_was_changed"]


def test_wrong_answers_are_no_failed_sign_in() -> None:
    failed: list[Any] = []
    hook = lambda told, request: failed.append(told)  # noqa: E731
    with account_of(on_sign_in_failed=hook) as account:
        account.sign_in()
        account.visit.follow("Change password")
        account.do("change-password", password="wrong", new_password=NEW)
        assert failed == []


# ── offers ──


OFFERED = f"{PAGE}?next=/orders"


def _offered(framework: str = FLASK, **more: Any) -> Any:
    return account_of(framework, offer=("authenticator", "passkey"), **more)


def _to_offer(account: Account, after: str = "/orders") -> str:
    """Sign in, and return where the browser is led."""
    visit = Visit(account.client, f"/auth/?next={after}")
    visit.open()
    answer = visit.post(*visit.filled("submit-password", **FAY))
    assert answer.headers["location"] == f"{PAGE}/offer?next={after}"
    location = account.client.get(answer.headers["location"]).headers["location"]
    if location == f"{PAGE}?next={after}":
        shown = account.client.get(location)
        account.visit.response, account.visit.page = shown, PageReader(shown.text)
    return str(location)


def test_offer_is_made_once_and_leads_on(framework: str) -> None:
    with _offered(framework) as account:
        assert _to_offer(account) == OFFERED
        assert account.page.heading == "Add a second step?"
        again = account.client.get(f"{PAGE}/offer?next=/orders")  # the way back, or a reload
        assert again.headers["location"] == OFFERED
        form = account.page.forms["cancel"]
        for _ in range(2):  # a double click
            assert account.visit.post(form.action, form.values).headers["location"] == "/orders"
        assert account.client.get(f"{PAGE}/offer?next=/orders").headers["location"] == "/orders"
        account.client.delete("/auth/session")
        assert _to_offer(account) == "/orders"
        browser = another_browser(account)
        assert _to_offer(browser) == "/orders"


def test_offer_that_is_taken_leads_on() -> None:
    with _offered() as account:
        _to_offer(account)
        form = account.page.forms["add-authenticator"]
        account.visit.last = form.action, form.values
        assert account.again() == "confirming_authenticator"
        answer = account.visit.post(*account.visit.filled("submit-code", code=account.totp))
        assert answer.headers["location"] == "/orders"
        assert account.client.get(f"{PAGE}/offer?next=/orders").headers["location"] == "/orders"


def test_offer_that_was_not_answered_ends_with_the_session() -> None:
    with _offered() as account:
        assert _to_offer(account) == OFFERED
        account.client.delete("/auth/session")
        assert _to_offer(account) == "/orders"


def test_program_makes_the_offer_by_an_event_and_is_offered_what_the_application_says() -> None:
    with account_of(offer=("passkey",)) as account:
        account.sign_in()
        step = account.client.get(PAGE, headers=JSON).json()["step"]
        for factors in (["authenticator"], ["authenticator", "passkey"]):
            offer = {"type": "offer_factor", "version": step["version"], "factors": factors}
            answer = account.client.post(f"{PAGE}/events", json=offer, headers=JSON).json()
            assert answer["reason"] is None
            assert answer["state"] == ("offering_factor" if "passkey" in factors else "managing")
        assert answer["events"] == ["add_passkey", "cancel"]


def test_offer_is_made_again_after_the_time() -> None:
    clock = Later()
    with _offered(offer_every=86400, clock=clock) as account:
        assert _to_offer(account) == OFFERED
        account.client.delete("/auth/session")
        clock.ahead = 86500
        account.sandbox.advance(86500)
        assert _to_offer(account) == OFFERED


def test_user_with_a_second_factor_is_offered_nothing() -> None:
    with _offered(who=WITH_SMS) as account:
        visit = Visit(account.client, "/auth/?next=/orders")
        visit.open()
        visit.say("submit_password", **FAY)
        answer = visit.post(*visit.filled("submit-code", code=account.code))
        assert account.client.get(answer.headers["location"]).headers["location"] == "/orders"


def test_nobody_is_offered_anything() -> None:
    with _offered() as account:
        answer = account.client.get(f"{PAGE}/offer?next=https://evil.example/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"offer": ("passkey",)}, "need account=True"),
        ({"on_account_changed": print}, "need account=True"),
        ({"mfa_required": True}, "need account=True"),
        ({"place_of": "Zurich"}, "place_of has to be a function"),
        ({"account": True, "offer": "passkey"}, "offer is a list"),
        (
            {"account": True, "offer": ("passkey",), "mfa_required": True},
            "leave out offer or mfa_req",
        ),
        ({"account": True, "offer": ("sms",)}, "offer is a list"),
        ({"account": True, "offer_every": 0}, "offer_every has to be a number"),
        ({"account": True}, "use CognitoTransport, or one whose token_service"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        web_for(ScriptedTransport(), **wrong)
