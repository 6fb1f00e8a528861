"""A browser has one flow, whatever its scripts do; and what the API says of it is what a page shows."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock, ScriptedTransport, a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Visit
from tests.web.test_sessions import ScriptedTokens

from oncegate import SignedOut
from oncegate.adapters import Rejected, RejectionReason, SystemClock

ANA = {"username": "ana", "password": "Correct-horse-1"}


def _browser(client: httpx.Client, **headers: str) -> httpx.Client:
    headers = {"accept": "application/json", **headers}
    return httpx.Client(transport=client._transport, base_url=client.base_url, headers=headers)


def _send(browser: httpx.Client, step: Any, event: str, **fields: str) -> httpx.Response:
    body = {"type": event, "version": step["version"], **fields}
    return browser.post(f"/auth/flows/{step['flow_id']}/events", json=body)


def _status(browser: httpx.Client, wait: int = 0) -> Any:
    answer = browser.get("/auth/status", params={"wait": wait})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_browser_that_starts_again_gets_its_own_flow(framework: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        browser = _browser(client)
        first = browser.post("/auth/flows")
        again = browser.post("/auth/flows")
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["flow_id"] == again.json()["flow_id"]
        _send(browser, first.json(), "submit_password", **ANA)
        assert browser.post("/auth/flows").json()["state"] == "awaiting_mfa"


def test_two_starts_at_once_and_an_event_for_each_send_one_code(framework: str) -> None:
    """Two tabs, or two handlers: both found no flow, and the browser keeps the last cookie."""
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        other, browser = _browser(client), _browser(client)
        lost, kept = other.post("/auth/flows").json(), browser.post("/auth/flows").json()
        for step in (lost, kept, lost):
            answer = _send(browser, step, "submit_password", **ANA)
            assert (answer.status_code, answer.json()["state"]) == (200, "awaiting_mfa")
            assert answer.json()["flow_id"] == kept["flow_id"]
        assert len(transport.calls) == 1


def test_event_for_the_stored_flow_of_another_browser_is_not_found(framework: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        other, browser = _browser(client), _browser(client)
        step = other.post("/auth/flows").json()
        step = _send(other, step, "submit_password", **ANA).json()
        browser.post("/auth/flows")
        assert _send(browser, step, "submit_code", code="123456").status_code == 404
        assert len(transport.calls) == 1


@pytest.mark.parametrize("name", ["current0", "x" * 32, "0" * 31, "0" * 33])
def test_name_that_no_flow_can_have_is_not_found(framework: str, name: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        browser = _browser(client)
        browser.post("/auth/flows")
        step = {"flow_id": name, "version": 0}
        assert _send(browser, step, "submit_password", **ANA).status_code == 404


def test_flow_that_another_key_issued_is_not_found(framework: str) -> None:
    """After a leaked key was replaced: an application begins anew, instead of an error."""
    with client_of(framework, web_for(ScriptedTransport())) as client:
        browser = _browser(client)
        browser.cookies.set("oncegate_flow", "A" * 43, domain="shop.localhost")
        for answer in (
            browser.get("/auth/flows/current"),
            _send(browser, {"flow_id": "current", "version": 0}, "submit_password", **ANA),
            _send(browser, {"flow_id": "0" * 32, "version": 0}, "cancel"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "no_such_flow")
        assert _status(browser)["step"]["state"] == "idle"
        assert browser.post("/auth/flows").status_code == 200


@pytest.mark.parametrize("end", ["cancelled", "refused", "signed in", "expired"])
def test_flow_that_is_over_is_followed_by_a_new_one(framework: str, end: str) -> None:
    clock = ManualClock()
    outcomes: dict[str, list[Any]] = {
        "cancelled": [a_text()],
        "refused": [Rejected(reason=RejectionReason.FIREWALL)],
        "signed in": [a_text(), the_tokens()],
        "expired": [a_text()],
    }
    with client_of(framework, web_for(ScriptedTransport(*outcomes[end]), clock=clock)) as client:
        browser = _browser(client)
        first = browser.post("/auth/flows").json()
        step = _send(browser, first, "submit_password", **ANA).json()
        match end:
            case "cancelled":
                assert _send(browser, step, "cancel").json()["state"] == "failed"
            case "signed in":
                _send(browser, step, "submit_code", code="123456")
                browser.delete("/auth/session")
            case "expired":
                clock.advance(3601)
        again = browser.post("/auth/flows")
        assert again.status_code == 201
        assert again.json()["flow_id"] != first["flow_id"]
        assert again.json()["state"] == "idle"


# ── status ──


def test_status_of_a_visitor_is_the_first_step_and_sets_its_cookie(framework: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        browser = _browser(client)
        status = _status(browser)
        assert (status["user"], status["step"]["state"]) == (None, "idle")
        assert _status(browser)["step"]["flow_id"] == status["step"]["flow_id"]
        _send(browser, status["step"], "submit_password", **ANA)
        status = _status(browser)
        assert (status["user"], status["step"]["state"]) == (None, "awaiting_mfa")


def _signed_in(framework: str, client: httpx.Client) -> httpx.Client:
    browser = _browser(client)
    step = browser.post("/auth/flows").json()
    step = _send(browser, step, "submit_password", **ANA).json()
    assert _send(browser, step, "submit_code", code="123456").json()["state"] == "authenticated"
    return browser


def test_status_of_a_user_names_the_user_and_offers_nothing(framework: str) -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    transport.token_service = ScriptedTokens()
    with client_of(framework, web_for(transport)) as client:
        status = _status(_signed_in(framework, client))
        assert status["user"]["username"] == "ana"
        assert (status["step"]["state"], status["step"]["actions"]) == ("authenticated", [])


def test_status_after_the_session_ended_elsewhere_is_a_new_sign_in(framework: str) -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    transport.token_service = ScriptedTokens()
    with client_of(framework, web_for(transport, session_recheck=0)) as client:
        browser = _signed_in(framework, client)
        transport.token_service.check_fails_with = SignedOut()
        status = _status(browser)
        assert (status["user"], status["step"]["state"]) == (None, "idle")
        assert browser.post("/auth/flows").json()["state"] == "idle"
        page = _browser(client, accept="text/html")
        page.cookies = browser.cookies
        assert Visit(page).open() == "idle"


def test_status_after_a_lost_response_asks_for_the_same_answer(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text(), the_tokens()))) as client:
        browser = _browser(client)
        step = browser.post("/auth/flows").json()
        step = _send(browser, step, "submit_password", **ANA).json()
        before = dict(browser.cookies)
        _send(browser, step, "submit_code", code="123456")
        reopened = _browser(client)
        for name, value in before.items():
            reopened.cookies.set(name, value, domain="shop.localhost")
        status = _status(reopened)
        assert status["user"] is None
        assert [one["event"] for one in status["step"]["actions"]] == ["submit_code"]


def test_status_waits_for_a_call_under_way() -> None:
    answer = threading.Event()

    def slow(_: Any) -> Any:
        answer.wait(10)
        return a_text()

    web = web_for(ScriptedTransport(slow), clock=SystemClock())
    with client_of("flask", web) as client:
        browser = _browser(client)
        step = browser.post("/auth/flows").json()
        sending = threading.Thread(
            target=_send, args=(browser, step, "submit_password"), kwargs=ANA
        )
        sending.start()
        while _status(browser)["step"]["state"] != "checking_password":
            pass
        threading.Timer(0.3, answer.set).start()
        assert _status(browser, wait=10)["step"]["state"] == "awaiting_mfa"
        sending.join()


@pytest.mark.parametrize("wait", ["-1", "x", "1e9", "", "999999999", "²"])
def test_wait_that_is_no_number_of_seconds_is_ignored_or_bounded(wait: str) -> None:
    with client_of("fastapi", web_for(ScriptedTransport())) as client:
        assert _browser(client).get("/auth/status", params={"wait": wait}).status_code == 200


# ── words and times ──


@pytest.mark.parametrize("typed", ["12a456", "x", "", "1" * 200])
def test_mistyped_code_is_a_step_with_a_reason(framework: str, typed: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        browser = _browser(client, **{"accept-language": "de"})
        step = _send(browser, browser.post("/auth/flows").json(), "submit_password", **ANA).json()
        answer = _send(browser, step, "submit_code", code=typed)
        assert answer.status_code == 200
        assert answer.json()["reason"] == {
            "code": "invalid_input",
            "text": "Prüfen Sie Ihre Eingabe.",
            "detail": "",
        }
        assert answer.json()["version"] == step["version"]
        assert len(transport.calls) == 1


def test_problem_has_a_text_for_the_user_and_one_for_each_field(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        browser = _browser(client, **{"accept-language": "de"})
        step = browser.post("/auth/flows").json()
        answer = browser.post(
            f"/auth/flows/{step['flow_id']}/events",
            json={"type": "submit_password", "version": 0, "username": ["ana"]},
        )
        assert answer.status_code == 422
        assert answer.json()["message"] == "Prüfen Sie Ihre Eingabe."
        assert answer.json()["fields"] == {
            "username": "Prüfen Sie dieses Feld.",
            "password": "Füllen Sie dieses Feld aus.",
        }
        for path, text in {
            "/auth/session": "Melden Sie sich an, um fortzufahren.",
            "/orders": "Melden Sie sich an, um fortzufahren.",
            "/auth/flows/x": "Ihre Anmeldung",
            "/auth/session/x": "Unter dieser Adresse",
        }.items():
            answer = browser.get(path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["message"].startswith(text)


def test_times_are_given_in_seconds_from_now_too(framework: str) -> None:
    clock = ManualClock()
    with client_of(framework, web_for(ScriptedTransport(a_text()), clock=clock)) as client:
        browser = _browser(client)
        step = _send(browser, browser.post("/auth/flows").json(), "submit_password", **ANA).json()
        new_code = next(one for one in step["actions"] if one["event"] == "request_new_code")
        assert (step["expires_in"], step["new_code_in"], new_code["available_in"]) == (180, 30, 30)
        clock.advance(12.5)
        step = _status(browser)["step"]
        assert (step["expires_in"], step["new_code_in"]) == (168, 18)
        assert step["actions"][0]["available_in"] is None
