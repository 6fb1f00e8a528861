"""The sessions of a user: listed, ended one by one, by another browser, everywhere, and by a reset."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock
from tests.web.example_apps import KEY, client_of, web_at
from tests.web.test_sessions import TOKENS, ScriptedTokens, sessions

from oncegate import RequestContext, SealingKeys, Tokens, Unreachable
from oncegate.adapters import StoredRecord
from oncegate_sandbox import Sandbox, Seed, UserSeed
from oncegate_stores import MemoryStore
from oncegate_web._session_list import MOST_SESSIONS

FAY = {"username": "fay", "password": "Correct-horse-6"}
GIL = {"username": "gil", "password": "Correct-horse-7"}
SEED = Seed(users=tuple(UserSeed.model_validate(user) for user in (FAY, GIL)))
LAPTOP = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"


class Application:
    """An application in one framework, at a sandbox, with a clock that both have."""

    def __init__(self, framework: str, sandbox: Sandbox, client: httpx.Client, web: Any) -> None:
        self.framework, self.sandbox, self.client, self.web = framework, sandbox, client, web

    def browser(self, user_agent: str = LAPTOP) -> httpx.Client:
        return httpx.Client(
            transport=self.client._transport,
            base_url=self.client.base_url,
            headers={"accept": "application/json", "user-agent": user_agent},
        )

    def signed_in(self, user_agent: str = LAPTOP, **who: str) -> httpx.Client:
        browser = self.browser(user_agent)
        browser.post("/auth/flows")
        event = {"type": "submit_password", "version": 0, **(who or FAY)}
        step = browser.post("/auth/flows/current/events", json=event).json()
        assert step["state"] == "authenticated", step
        return browser


@contextmanager
def _application(framework: str, **more: Any) -> Iterator[Application]:
    with Sandbox(SEED) as sandbox:
        web = web_at(sandbox, **more)
        with client_of(framework, web) as client:
            yield Application(framework, sandbox, client, web)


@pytest.fixture(params=["server", "cookie"])
def application(request: pytest.FixtureRequest, framework: str) -> Iterator[Application]:
    with _application(framework, sessions=request.param, session_recheck=0) as made:
        yield made


def _listed(browser: httpx.Client) -> list[dict[str, Any]]:
    answer = browser.get("/auth/sessions")
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["sessions"]
    return listed


def _is_signed_in(browser: httpx.Client) -> bool:
    return browser.get("/orders").status_code == 200


def test_user_sees_all_sessions_with_their_browsers(application: Application) -> None:
    laptop = application.signed_in()
    phone = application.signed_in(PHONE)
    other = application.signed_in(**GIL)
    listed = _listed(phone)
    assert [(one["browser"], one["platform"], one["is_current"]) for one in listed] == [
        ("Chrome", "Android", True),
        ("Firefox", "Windows", False),
    ]
    assert all(one["begun_at"] <= one["seen_at"] for one in listed)
    assert [one["is_current"] for one in _listed(laptop)] == [False, True]
    assert len(_listed(other)) == 1


def test_user_ends_one_session_from_another_browser(application: Application) -> None:
    laptop, phone = application.signed_in(), application.signed_in(PHONE)
    lost = next(one["name"] for one in _listed(laptop) if not one["is_current"])
    assert laptop.delete(f"/auth/sessions/{lost}").status_code == 204
    assert len(_listed(laptop)) == 1
    assert application.sandbox.calls().get("RevokeToken", 0) == 0, (
        "only its cookie opens the tokens"
    )
    assert not _is_signed_in(phone)
    assert not _is_signed_in(phone)
    assert application.sandbox.calls()["RevokeToken"] == 1
    assert _is_signed_in(laptop)
    assert laptop.delete(f"/auth/sessions/{lost}").status_code == 404


def test_user_ends_the_own_session_by_name(application: Application) -> None:
    laptop = application.signed_in()
    own = next(one["name"] for one in _listed(laptop))
    assert laptop.delete(f"/auth/sessions/{own}").status_code == 204
    assert laptop.get("/auth/session").status_code == 401
    assert application.sandbox.calls()["RevokeToken"] == 1


def test_session_of_another_user_is_neither_listed_nor_ended(application: Application) -> None:
    victim = application.signed_in()
    thief = application.signed_in(**GIL)
    name = _listed(victim)[0]["name"]
    assert name not in str(_listed(thief))
    assert thief.delete(f"/auth/sessions/{name}").status_code == 404
    for made_up in ("x", "0" * 32, name.upper()):
        assert thief.delete(f"/auth/sessions/{made_up}").status_code == 404
    assert _is_signed_in(victim)


def test_name_of_a_session_opens_nothing(application: Application) -> None:
    laptop = application.signed_in()
    name = _listed(laptop)[0]["name"]
    thief = application.browser()
    for cookie in laptop.cookies:
        thief.cookies.set(cookie, name, domain="shop.localhost")
    assert not _is_signed_in(thief)
    assert thief.get("/auth/sessions").status_code == 401


def test_user_signs_out_everywhere(application: Application) -> None:
    browsers = [application.signed_in() for _ in range(3)]
    other = application.signed_in(**GIL)
    assert browsers[0].delete("/auth/sessions").status_code == 204
    assert [_is_signed_in(browser) for browser in browsers] == [False, False, False]
    assert application.sandbox.calls()["GlobalSignOut"] == 1
    assert _is_signed_in(other)


def test_visitor_without_a_session_is_refused(application: Application) -> None:
    visitor = application.browser()
    for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", "/" + "0" * 32)):
        assert visitor.request(method, f"/auth/sessions{path}").status_code == 401


def test_empty_name_ends_nothing(application: Application) -> None:
    laptop = application.signed_in()
    assert laptop.delete("/auth/sessions/").status_code == 404
    assert _is_signed_in(laptop)


def test_another_site_cannot_end_sessions(application: Application) -> None:
    laptop = application.signed_in()
    name = _listed(laptop)[0]["name"]
    for path in ("", f"/{name}"):
        answer = laptop.delete(f"/auth/sessions{path}", headers={"origin": "https://other.example"})
        assert answer.status_code == 403
    assert _is_signed_in(laptop)


def test_sign_out_takes_the_session_off_the_list(application: Application) -> None:
    laptop, phone = application.signed_in(), application.signed_in(PHONE)
    phone.delete("/auth/session")
    assert [one["browser"] for one in _listed(laptop)] == ["Firefox"]


def test_session_that_another_one_replaced_is_off_the_list(application: Application) -> None:
    laptop = application.signed_in()
    laptop.post("/auth/flows")
    laptop.post("/auth/flows/current/events", json={"type": "submit_password", "version": 0, **FAY})
    assert len(_listed(laptop)) == 1


# ── sessions that end with what happens to the user ──


def _boto(sandbox: Sandbox) -> Any:
    import boto3

    return boto3.client(
        "cognito-idp",
        endpoint_url=sandbox.endpoint,
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


def test_disabled_user_is_signed_out_at_the_next_check(application: Application) -> None:
    laptop = application.signed_in()
    assert _is_signed_in(laptop)
    of_pool = {"UserPoolId": application.sandbox.pool_id, "Username": "fay"}
    _boto(application.sandbox).admin_disable_user(**of_pool)
    assert not _is_signed_in(laptop)
    _boto(application.sandbox).admin_enable_user(**of_pool)
    assert not _is_signed_in(laptop), "it has ended"


def test_administrator_signs_a_user_out(application: Application) -> None:
    laptop = application.signed_in()
    of_pool = {"UserPoolId": application.sandbox.pool_id, "Username": "fay"}
    _boto(application.sandbox).admin_user_global_sign_out(**of_pool)
    assert not _is_signed_in(laptop)


def test_password_reset_ends_the_other_sessions(application: Application) -> None:
    """Sessions that began with the old password end."""
    thief = application.signed_in()
    other = application.signed_in(**GIL)
    of_pool = {"UserPoolId": application.sandbox.pool_id, "Username": "fay"}
    _boto(application.sandbox).admin_set_user_password(
        **of_pool, Password="Temporary-1", Permanent=False
    )
    assert _is_signed_in(thief), "Cognito's tokens stay valid"
    browser = application.browser()
    browser.post("/auth/flows")
    sent: dict[str, Any] = {"username": "fay", "password": "Temporary-1"}
    step = _send(browser, 0, "submit_password", **sent)
    assert step["state"] == "awaiting_new_password"
    assert step["password_changed"] is False
    step = _send(browser, step["version"], "submit_new_password", new_password="Correct-horse-9")
    assert (step["state"], step["password_changed"]) == ("authenticated", True)
    assert _is_signed_in(browser)
    assert not _is_signed_in(thief)
    assert _is_signed_in(other)


def test_application_ends_the_sessions_of_a_user(application: Application) -> None:
    laptop, phone = application.signed_in(), application.signed_in(PHONE)
    other = application.signed_in(**GIL)
    user = laptop.get("/auth/session").json()["claims"]["sub"]
    assert application.web.end_sessions_of(user) == 2
    assert [_is_signed_in(one) for one in (laptop, phone, other)] == [False, False, True]
    assert application.web.end_sessions_of(user) == 0


def _send(browser: httpx.Client, version: int, event: str, **fields: Any) -> dict[str, Any]:
    body = {"type": event, "version": version, **fields}
    step: dict[str, Any] = browser.post("/auth/flows/current/events", json=body).json()
    return step


# ── without Cognito ──

KEYS = SealingKeys(KEY)
FROM_LAPTOP = RequestContext(source_address="192.0.2.7", user_agent=LAPTOP)


def _entered(own: Any, context: RequestContext = FROM_LAPTOP) -> str:
    session_id: str = own.create(TOKENS)
    own.enter(session_id, own.get(session_id), context)
    return session_id


def test_list_says_where_and_when_a_session_was_seen_last() -> None:
    own = sessions(ScriptedTokens(), KEYS, recheck=None)
    session_id = _entered(own)
    began_at = own.clock.now()
    for seconds in (299, 1):
        own.clock.advance(seconds)
        elsewhere = RequestContext(source_address="198.51.100.9", user_agent=PHONE)
        assert own.find(session_id, context=elsewhere) is not None
        (listed,) = own.listed(session_id)
        if seconds == 299:
            assert (listed.seen_at, listed.address) == (began_at, "192.0.2.7")
    assert (listed.begun_at, listed.seen_at) == (began_at, began_at + 300)
    assert (listed.address, listed.browser, listed.platform) == (
        "198.51.100.9",
        "Chrome",
        "Android",
    )


def test_rows_of_a_list_show_nothing_to_a_reader_of_the_store() -> None:
    store = MemoryStore()
    own = sessions(ScriptedTokens(), KEYS, store=store)
    _entered(own)
    rows = [row.sealed for row in store._rows.values()]
    assert len(rows) == 2
    for told in (b"192.0.2.7", b"Firefox", TOKENS.access_token.encode()):
        assert not any(told in row for row in rows)


def test_session_from_before_a_key_was_introduced_is_listed_once_it_was_used() -> None:
    store = MemoryStore()
    before = sessions(ScriptedTokens(), SealingKeys(None, KEY), store=store)
    after = sessions(ScriptedTokens(), SealingKeys(KEY, accept_unkeyed=True), store=store)
    session_id = _entered(before)
    assert after.find(session_id) is not None
    assert len(after.listed(session_id)) == 1


@pytest.mark.parametrize("keys", [None, SealingKeys(None, KEY)], ids=["none", "only opens"])
def test_without_a_key_that_seals_there_is_no_list(keys: Any) -> None:
    store = MemoryStore()
    own = sessions(ScriptedTokens(), keys, store=store)
    session_id = _entered(own)
    assert own.find(session_id) is not None
    assert own.listed(session_id) == []
    assert len(store._rows) == 1


def test_sessions_entered_at_once_are_all_listed() -> None:
    own = sessions(ScriptedTokens(), KEYS)
    with ThreadPoolExecutor(10) as browsers:
        ids = list(browsers.map(lambda _: _entered(own), range(20)))
    assert len(own.listed(ids[0])) == 20


def test_one_session_too_many_ends_the_one_unseen_for_longest() -> None:
    own = sessions(ScriptedTokens(), KEYS)
    ids = []
    for _ in range(MOST_SESSIONS):
        ids.append(_entered(own))
        own.clock.advance(1)
    own.end(ids[5])
    ids.append(_entered(own))
    assert all(own.find(one) for one in ids if one != ids[5]), "there was a place"
    own.clock.advance(1)
    ids.append(_entered(own))
    assert own.find(ids[0]) is None
    assert own.find(ids[1]) is not None
    assert len(own.listed(ids[-1])) == MOST_SESSIONS


def test_session_in_use_is_ended_whatever_its_idle_limit_is() -> None:
    """The list is told every five minutes only."""
    own = sessions(ScriptedTokens(), KEYS, idle=600.0, recheck=None)
    session_id = _entered(own)
    for _ in range(4):
        own.clock.advance(590)
        assert own.find(session_id) is not None
        own.clock.advance(9)
        assert len(own.listed(session_id)) == 1
        assert own.find(session_id) is not None
    own.clock.advance(580)
    assert len(own.end_user("1")) == 1
    assert own.find(session_id) is None


def test_session_whose_user_is_verified_later_is_listed_then_and_ends_the_others_it_owes() -> None:
    """The pool's public keys could not be fetched when the user signed in with a new password."""
    service = ScriptedTokens()
    own = sessions(service, KEYS)
    thief = _entered(own)
    service.keys_are_unreachable = True
    session_id = _entered(own)
    own.end_others(session_id)
    assert own.find(thief) is not None
    service.keys_are_unreachable = False
    assert own.find(session_id) is not None
    assert [one.name for one in own.listed(session_id)] == [own._parse(session_id).key]
    assert own.find(thief) is None


@pytest.mark.parametrize("change", ["first deployment", "second deployment", "back"])
def test_sessions_are_listed_while_a_key_is_replaced(change: str) -> None:
    other = "Wk7sPz0RbT4mYcE9vNqL2xHdG6uJfA1oSi8KrQe5MwU"
    before, after = {
        "first deployment": (SealingKeys(KEY), SealingKeys(KEY, other)),
        "second deployment": (SealingKeys(KEY, other), SealingKeys(other, KEY)),
        "back": (SealingKeys(other, KEY), SealingKeys(KEY, other)),
    }[change]
    store = MemoryStore()
    old, new = (sessions(ScriptedTokens(), keys, store=store) for keys in (before, after))
    first, second = _entered(old), _entered(new)
    assert len(new.listed(second)) == 2
    assert new.end_others(second) == 1
    assert new.find(first) is None
    assert new.find(second) is not None


def test_session_ended_during_its_renewal_stays_ended_and_its_new_token_is_revoked() -> None:
    fresh = Tokens(access_token="next", refresh_token="rotated")
    service = ScriptedTokens()
    own = sessions(service, KEYS, lifetime=1e6)
    phone, laptop = _entered(own), _entered(own)
    (name,) = {one.name for one in own.listed(laptop)} - {own._parse(laptop).key}

    def renew(tokens: Tokens) -> Tokens:
        assert own.end_listed(laptop, name)
        return fresh

    own.clock.advance(3600 - 30)
    assert own.find(laptop) is not None
    service.renew = renew  # type: ignore[method-assign]
    assert own.find(phone) is None
    assert [one.refresh_token for one in service.revoked] == ["rotated", "refresh"]
    assert own.find(phone) is None


def test_session_that_another_browser_ended_is_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = sessions(ScriptedTokens(), KEYS)
    phone, laptop = _entered(own), _entered(own)
    (name,) = {one.name for one in own.listed(laptop)} - {own._parse(laptop).key}
    assert own.end_listed(laptop, name)
    assert own.find(phone) is None
    assert [line.message for line in caplog.records if line.levelno >= logging.ERROR] == []


def test_end_that_is_expected_during_a_renewal_is_not_forgotten() -> None:
    service = ScriptedTokens()
    own = sessions(service, KEYS, lifetime=1e6)
    phone, laptop = _entered(own), _entered(own)

    def renew(tokens: Tokens) -> Tokens:
        assert own.expect_end_of_others(laptop, 45)
        assert not own.expect_end_of_others(laptop, 0)
        return Tokens(access_token="next")

    own.clock.advance(3600 - 30)
    service.renew = renew  # type: ignore[method-assign]
    assert own.find(laptop) is not None
    assert own.get(phone) is not None
    own.clock.advance(45)
    assert own.find(laptop) is not None
    assert own.get(phone) is None


def test_sign_out_everywhere_that_cognito_does_not_answer_can_be_tried_again() -> None:
    service = ScriptedTokens()
    own = sessions(service, KEYS)
    phone, laptop = _entered(own), _entered(own)
    asked: list[Tokens] = []

    def fails(tokens: Tokens) -> None:
        asked.append(tokens)
        if len(asked) == 1:
            raise Unreachable("no")

    service.sign_out_everywhere = fails  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        own.end_everywhere(laptop)
    assert own.find(phone) is None
    assert own.find(laptop) is not None
    own.end_everywhere(laptop)
    assert own.find(laptop) is None
    assert len(asked) == 2


def test_full_store_of_one_user_does_not_break_sign_out() -> None:
    """Another worker keeps changing the list: the session ends all the same."""

    class Busy(MemoryStore):
        busy_key = ""

        def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
            return key != self.busy_key and super().swap(key, expected, row)

    store = Busy()
    own = sessions(ScriptedTokens(), KEYS, store=store)
    session_id = _entered(own)
    store.busy_key = own._list._row_keys("1")[0]
    own.end(session_id)
    assert own.find(session_id) is None
    assert own._list.of("1") == []


def test_lists_of_two_sign_ins_are_apart() -> None:
    store = MemoryStore()
    shop = sessions(ScriptedTokens(), KEYS.bound_to("shop"), store=store)
    staff = sessions(ScriptedTokens(), KEYS.bound_to("staff"), store=store)
    assert ManualClock().now() == shop.clock.now()
    first, second = _entered(shop), _entered(staff)
    assert len(shop.listed(first)) == len(staff.listed(second)) == 1
