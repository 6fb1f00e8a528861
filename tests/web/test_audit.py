"""The audit log of a web application: sign-ins, sessions and refusals, in every framework."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock, ScriptedTransport, a_text, the_tokens
from tests.web.example_apps import KEY, client_of, web_for
from tests.web.pages import Visit
from tests.web.test_sessions import TOKENS, ScriptedTokens, sessions

from oncegate import CodeBudget, LogListener, SealingKeys, SignedOut
from oncegate.adapters import Rejected, RejectionReason
from oncegate.audit import AuditLog

SENT = {
    "accept": "application/json",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "x-request-id": "r-7",
}
ANA = {"username": "ana", "password": "Correct-horse-1"}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    caplog.set_level(logging.INFO, "oncegate.audit")

    def read() -> list[dict[str, Any]]:
        return [json.loads(r.getMessage()) for r in caplog.records if r.name == "oncegate.audit"]

    return read


class _Tokens(ScriptedTokens):
    """Its tokens say that the user has just signed in, as Cognito's do."""

    def verify(self, token: str, use: str = "access") -> Any:
        return {**super().verify(token, use), "auth_time": int(ManualClock().now())}


def _web(*outcomes: Any, **more: Any) -> Any:
    transport = ScriptedTransport(*outcomes)
    transport.token_service = _Tokens()
    return web_for(transport, **{"audit": True, **more})


def _browser(client: httpx.Client) -> httpx.Client:
    return httpx.Client(transport=client._transport, base_url=client.base_url, headers=SENT)


def _send(browser: httpx.Client, version: int, event: str, **fields: str) -> Any:
    body = {"type": event, "version": version, **fields}
    return browser.post("/auth/flows/current/events", json=body).json()


def _signed_in(client: httpx.Client) -> httpx.Client:
    browser = _browser(client)
    browser.post("/auth/flows")
    step = _send(browser, 0, "submit_password", **ANA)
    _send(browser, step["version"], "submit_code", code="123456")
    assert browser.get("/auth/session").status_code == 200
    return browser


def test_each_line_of_a_sign_in_says_who_from_where_and_by_which_request(
    framework: str, lines: Any
) -> None:
    web = _web(a_text(username="ana"), the_tokens())
    with client_of(framework, web) as client:
        browser = _signed_in(client)
        browser.delete("/auth/session")
    assert [line["event"] for line in lines()] == [
        "submit_password",
        "challenge_issued",
        "submit_code",
        "tokens_issued",
        "session_handed_over",
        "signed_out",
    ]
    for line in lines():
        assert line["user"] == web.audit.pseudonym("ana")
        assert line["request"] == "r-7"
        assert line["agent"] == "Firefox"
        assert line["address"]
    text = json.dumps(lines())
    for hidden in ("Correct-horse", "123456", '"ana"', "X11", *browser.cookies.values()):
        assert hidden not in text


REFUSALS: dict[str, tuple[int, Callable[[httpx.Client], httpx.Response]]] = {
    "cross_site": (
        403,
        lambda browser: browser.post("/auth/flows", headers={"origin": "https://evil.example"}),
    ),
    "too_large": (413, lambda browser: browser.post("/auth/flows", content=b" " * 70_000)),
    "too_many_requests": (429, lambda browser: browser.post("/auth/flows")),
    "insecure_connection": (
        403,
        lambda browser: browser.get("/auth/", headers={"host": "shop.example"}),
    ),
    "page_outdated": (
        303,
        lambda browser: browser.post(
            "/auth/sign-out",
            data={"_token": "guess"},
        ),
    ),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_refused_request_is_a_line(framework: str, lines: Any, reason: str) -> None:
    status, ask = REFUSALS[reason]
    web = _web(rate_limit=lambda _: reason != "too_many_requests")
    with client_of(framework, web) as client:
        assert ask(_browser(client)).status_code == status
    (line,) = lines()
    assert {name: line[name] for name in ("event", "reason", "status", "request", "agent")} == {
        "event": "refused",
        "reason": reason,
        "status": status,
        "request": "r-7",
        "agent": "Firefox",
    }


def test_form_with_a_wrong_token_is_a_line(framework: str, lines: Any) -> None:
    with client_of(framework, _web()) as client:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        visit.post(form.action, {**form.values, "_token": "guess"})
    assert [line["reason"] for line in lines()] == ["page_outdated"]


def test_reached_limit_is_a_line(framework: str, lines: Any) -> None:
    web = _web(a_text(username="ana"), budget=CodeBudget(per_user=1))
    with client_of(framework, web) as client:
        for _ in range(2):
            browser = _browser(client)
            browser.post("/auth/flows")
            _send(browser, 0, "submit_password", **ANA)
    assert (lines()[-1]["event"], lines()[-1]["reason"]) == ("submit_password", "too_many_codes")
    assert lines()[-1]["address"]
    assert lines()[-1]["user"] == web.audit.pseudonym("ana")


def test_line_of_a_reached_limit_names_the_user_of_the_event(lines: Any) -> None:
    wrong = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    web = _web(wrong, a_text(username="ana"), budget=CodeBudget(per_user=1))
    with client_of("flask", web) as client:
        other = _browser(client)
        first = _browser(client)
        first.post("/auth/flows")
        step = _send(first, 0, "submit_password", username="fay", password="wrong")
        other.post("/auth/flows")
        _send(other, 0, "submit_password", **ANA)
        _send(first, step["version"], "submit_password", **ANA)
    assert lines()[-1]["reason"] == "too_many_codes"
    assert lines()[-1]["user"] == web.audit.pseudonym("ana")


def test_all_lines_of_a_sign_in_by_an_alias_but_the_first_have_one_pseudonym(lines: Any) -> None:
    web = _web(a_text(username="ana"), the_tokens())
    with client_of("flask", web) as client:
        browser = _browser(client)
        browser.post("/auth/flows")
        step = _send(
            browser, 0, "submit_password", username="ana@example.com", password="Correct-horse-1"
        )
        _send(browser, step["version"], "submit_code", code="123456")
    assert {line["user"] for line in lines()[1:]} == {web.audit.pseudonym("ana")}
    assert lines()[0]["user"] == web.audit.pseudonym("ana@example.com")


def test_lines_tell_why_a_user_got_several_codes_as_the_guide_says(lines: Any) -> None:
    web = _web(
        *[a_text(username="ana")] * 3,
        retain_password=True,
        new_code_cooldown=0,
        new_codes_per_flow=1,
    )
    with client_of("flask", web) as client:
        first, second = _browser(client), _browser(client)
        for browser in (first, second):
            browser.post("/auth/flows")
            step = _send(browser, 0, "submit_password", **ANA)
            _send(browser, 0, "submit_password", **ANA)  # a double click
        step = first.get("/auth/flows/current").json()
        _send(first, step["version"], "request_new_code")
    sent = [line for line in lines() if line["delivered"]]
    assert {line["user"] for line in sent} == {web.audit.pseudonym("ana")}
    assert [line["delivered"] for line in sent] == ["SMS", "SMS", "SMS"]
    of_one, of_the_other, again = (line["flow"] for line in sent)
    assert of_one == again != of_the_other
    assert [line["event"] for line in lines() if line["flow"] == of_one] == [
        *("submit_password", "challenge_issued", "submit_password"),
        *("request_new_code", "challenge_issued"),
    ]


def test_sessions_that_a_user_ends_are_lines(framework: str, lines: Any) -> None:
    web = _web(*[a_text(username="ana"), the_tokens()] * 3)
    with client_of(framework, web) as client:
        here, there = _signed_in(client), _signed_in(client)
        listed = here.get("/auth/sessions").json()["sessions"]
        name = next(one["name"] for one in listed if not one["is_current"])
        assert here.delete(f"/auth/sessions/{name}").status_code == 204
        last = lines()[-1]
        assert (last["event"], last["ended"]) == ("other_session_ended", name[:12])
        assert there.get("/auth/session").status_code == 401
        assert web.end_sessions_of("1") == 1
        assert here.get("/auth/session").status_code == 401
        last = next(line for line in reversed(lines()) if line["event"] == "sessions_ended")
        assert (last["number"], last["user"]) == (1, web.audit.pseudonym("ana"))
        assert web.end_sessions_of("ana") == 0
        assert [line["event"] for line in lines()].count("sessions_ended") == 1


def test_audit_is_off_unless_it_is_switched_on(framework: str, lines: Any) -> None:
    with client_of(framework, _web(a_text(username="ana"), the_tokens(), audit=False)) as client:
        _signed_in(client).delete("/auth/session")
        _browser(client).post("/auth/flows", headers={"origin": "https://evil.example"})
    assert lines() == []


@pytest.mark.parametrize("given", [None, [], [LogListener()]], ids=["default", "none", "own"])
def test_audit_log_is_added_to_the_listeners(given: Any, lines: Any) -> None:
    more = {} if given is None else {"listeners": given}
    web = web_for(ScriptedTransport(a_text(username="ana")), audit=True, **more)
    with client_of("flask", web) as client:
        browser = _browser(client)
        browser.post("/auth/flows")
        _send(browser, 0, "submit_password", **ANA)
    assert [line["event"] for line in lines()] == ["submit_password", "challenge_issued"]


# ── sessions that end by themselves ──


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("check", "ended_at_cognito"),
        ("ended", "refresh_ended"),
        ("reused", "refresh_reused"),
    ],
)
def test_session_that_cognito_ends_is_a_line(lines: Any, how: str, reason: str) -> None:
    service = ScriptedTokens(SignedOut("reused" if how == "reused" else "ended"))
    audit = AuditLog(SealingKeys(KEY))
    own = sessions(service, SealingKeys(KEY), audit=audit)
    session_id = own.create(TOKENS)
    if how == "check":
        service.check_fails_with = SignedOut()
        own.clock.advance(300)
    else:
        own.clock.advance(3600)
    assert own.find(session_id) is None
    assert [(line["event"], line["reason"]) for line in lines()] == [("session_ended", reason)]
    assert lines()[0]["user"] == audit.pseudonym("ana")


def test_pseudonyms_of_all_keys_are_known_while_one_is_replaced() -> None:
    other = "Wk7sPz0RbT4mYcE9vNqL2xHdG6uJfA1oSi8KrQe5MwU"
    before, after = AuditLog(SealingKeys(KEY)), AuditLog(SealingKeys(other, KEY))
    assert after.pseudonym("ana") != before.pseudonym("ana")
    assert set(after.pseudonyms("ana")) == {before.pseudonym("ana"), after.pseudonym("ana")}


def test_lines_cost_nothing_while_the_logger_is_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "oncegate.audit")

    class Keys(SealingKeys):
        def row_keys(self, *names: str) -> list[str]:
            raise AssertionError(names)

    AuditLog(Keys(KEY)).write("signed_out", user="ana")
    caplog.set_level(logging.INFO, "oncegate.audit")
    with pytest.raises(AssertionError):
        AuditLog(Keys(KEY)).write("signed_out", user="ana")
