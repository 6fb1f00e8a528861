"""A browser has one flow, whatever its scripts do; and what the API says of it is what a page shows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import product
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock, ScriptedTransport, a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import PageReader, Visit
from tests.web.test_sessions import ScriptedTokens

from oncegate import SignedOut, SignIn
from oncegate.adapters import (
    ChallengeIssued,
    Device,
    DeviceRegistered,
    NewDevice,
    PasskeyChallenge,
    Rejected,
    RejectionReason,
    SystemClock,
    TokensIssued,
)
from oncegate_stores import MemoryStore
from oncegate_web._waiting import PLACES

ANA = {"username": "ana", "password": "Correct-horse-1"}


def _browser(client: httpx.Client, **headers: str) -> httpx.Client:
    headers = {"accept": "application/json", **headers}
    return httpx.Client(transport=client._transport, base_url=client.base_url, headers=headers)


def _send(browser: httpx.Client, step: Any, event: str, **fields: str | bool) -> httpx.Response:
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


# ── starts at once ──

KINDS = {
    "start": ("POST", "/auth/flows"),
    "status": ("GET", "/auth/status"),
    "page": ("GET", "/auth/"),
}


class Wire:
    """A browser between whose requests and answers the network lets any time pass."""

    def __init__(self, client: httpx.Client, cookies: dict[str, str]) -> None:
        self.client = client
        self.cookies = dict(cookies)  # in the order in which they arrived

    def depart(self, method: str, path: str, **more: Any) -> Callable[[], httpx.Response]:
        """Send a request with the cookies of now; return a function that lets the server answer it."""
        browser = _browser(
            self.client, cookie="; ".join("=".join(one) for one in self.cookies.items())
        )
        return lambda: browser.request(method, path, **more)

    def begin(self, kind: str) -> Callable[[], httpx.Response]:
        accept = "text/html" if kind == "page" else "application/json"
        return self.depart(*KINDS[kind], headers={"accept": accept})

    def arrive(self, answer: httpx.Response) -> None:
        assert answer.is_success, answer.text
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, value = cookie.strip().partition(";")[0].partition("=")
            self.cookies.pop(name, None) if "max-age=0" in cookie.lower() else None
            if value.strip('"'):
                self.cookies[name] = value

    def submit(self, begun: httpx.Response) -> Callable[[], httpx.Response]:
        """Send the password from the page or with the step of an answer."""
        if begun.headers["content-type"].startswith("text/html"):
            form = PageReader(begun.text).forms["submit-password"]
            headers = {"origin": str(self.client.base_url).rstrip("/"), "accept": "text/html"}
            return self.depart("POST", form.action, data={**form.values, **ANA}, headers=headers)
        step = begun.json().get("step") or begun.json()
        body = {"type": "submit_password", "version": step["version"], **ANA}
        return self.depart("POST", f"/auth/flows/{step['flow_id']}/events", json=body)


@pytest.mark.parametrize("before", ["no flow", "an expired flow"])
@pytest.mark.parametrize("kinds", ["start start", "status status", "page page", "page start"])
def test_flows_begun_at_once_send_one_code_in_every_order(
    framework: str, kinds: str, before: str
) -> None:
    """Both tabs leave before an answer arrives; then each submits when its own answer is there."""
    # Which answer arrives first, whether the first event leaves before the other answer arrives, and
    # which event the server processes first.
    for first, leaves_early, is_overtaken in product((0, 1), (True, False), (True, False)):
        transport, clock = ScriptedTransport(*[a_text()] * 4), ManualClock()
        with client_of(framework, web_for(transport, clock=clock)) as client:
            earlier = _browser(client)
            if before == "an expired flow":
                step = earlier.post("/auth/flows").json()
                _send(earlier, step, "submit_password", **ANA)
                clock.advance(3601)
            sent_before = len(transport.calls)
            tabs = Wire(client, dict(earlier.cookies))
            requests = [tabs.begin(kind) for kind in kinds.split()]
            answers = [answer() for answer in requests]
            begun = [answers[first], answers[1 - first]]
            tabs.arrive(begun[0])
            events = [tabs.submit(begun[0])] if leaves_early else []
            tabs.arrive(begun[1])
            events += [tabs.submit(one) for one in begun[len(events) :]]
            seen = [event() for event in (reversed(events) if is_overtaken else events)]
            assert [one.status_code < 400 for one in seen] == [True, True]
            assert len(transport.calls) - sent_before == 1
            status = tabs.depart("GET", "/auth/status")().json()
            assert status["step"]["state"] == "awaiting_mfa"


@pytest.mark.parametrize("used", [0, 1])
def test_either_of_two_pages_that_were_opened_at_once_signs_in(framework: str, used: int) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        tabs = Wire(client, {})
        pages = [answer() for answer in (tabs.begin("page"), tabs.begin("page"))]
        for page in pages:
            tabs.arrive(page)
        for page in (pages[used], pages[1 - used]):  # the second one is late, which is no error
            answer = tabs.submit(page)()
            assert (answer.status_code, answer.headers["location"]) == (303, "/auth/")
            shown = tabs.depart("GET", "/auth/", headers={"accept": "text/html"})()
            assert PageReader(shown.text).state == "awaiting_mfa"
        assert len(transport.calls) == 1


def test_step_of_another_flow_of_the_browser_is_that_of_its_own(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        tabs = Wire(client, {"oncegate_flowchart": "x"})
        answers = [answer() for answer in (tabs.begin("start"), tabs.begin("start"))]
        for answer in answers:
            tabs.arrive(answer)
        own, other = (answer.json()["flow_id"] for answer in answers)
        for name in (own, other, "current"):
            assert tabs.depart("GET", f"/auth/flows/{name}")().json()["flow_id"] == own
        assert tabs.depart("GET", f"/auth/flows/{'0' * 32}")().status_code == 404
        tabs.arrive(tabs.depart("DELETE", "/auth/session")())
        assert tabs.cookies == {"oncegate_flowchart": "x"}, "the application's own"


def test_release_that_works_beside_0_1_has_one_cookie(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport(), record_schema=1)) as client:
        browser = _browser(client)
        step = browser.post("/auth/flows").json()
        assert set(browser.cookies) == {"oncegate_flow"}
        assert browser.post("/auth/flows").json()["flow_id"] == step["flow_id"]


def test_late_event_of_a_flow_that_is_gone_does_nothing_to_another_one(framework: str) -> None:
    """An old tab: its flow has expired and was deleted, and another tab has begun the next one."""
    clock, store = ManualClock(), MemoryStore()
    transport = ScriptedTransport(*[a_text()] * 4)
    web = web_for(transport, clock=clock, store=store, retain_password=True)
    with client_of(framework, web) as client:
        browser = _browser(client)
        old = _send(browser, browser.post("/auth/flows").json(), "submit_password", **ANA).json()
        clock.advance(3601)
        step = _send(browser, _status(browser)["step"], "submit_password", **ANA).json()
        clock.advance(40)
        store._rows.pop(old["flow_id"])
        for event in (
            {"event": "cancel"},
            {"event": "request_new_code"},
            {"event": "submit_code", "code": "x"},
        ):
            answer = _send(browser, old, **event)
            assert answer.status_code in {404, 422}
        assert _status(browser)["step"]["version"] == step["version"]
        assert len(transport.calls) == 2


def test_invalid_event_of_a_flow_that_is_not_stored_is_a_problem(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        browser = _browser(client)
        browser.post("/auth/flows")
        answer = _send(browser, {"flow_id": "1" * 32, "version": 0}, "submit_code", code="x")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_event")


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


def test_user_who_answers_the_question_of_a_device_is_signed_in_for_every_request(
    framework: str,
) -> None:
    """The answer to that question hands over no session, because the browser has it."""
    device = {"username": "ana", "typed": "ana", "key": "device-key", "group_key": "g"}
    transport = ScriptedTransport(
        a_text(),
        TokensIssued(
            tokens=the_tokens().tokens, new_device=NewDevice(key="device-key", group_key="g")
        ),
        DeviceRegistered(device=Device(**device, password="p"), ask_user=True),
    )
    transport.token_service = ScriptedTokens()
    with client_of(framework, web_for(transport)) as client:
        browser = _browser(client)
        step = _send(browser, browser.post("/auth/flows").json(), "submit_password", **ANA).json()
        step = _send(browser, step, "submit_code", code="123456").json()
        # The user has a session already, and the step is still that of the live flow.
        status = _status(browser)
        assert (status["user"]["username"], status["step"]["state"]) == ("ana", "offering_device")
        answer = _send(browser, step, "remember_device", remember="false").json()
        for shown in (answer, browser.get("/auth/flows/current").json(), _status(browser)["step"]):
            assert (shown["state"], shown["actions"], shown["message"]) == (
                "authenticated",
                [],
                None,
            )
        again = _send(browser, step, "remember_device", remember="false").json()
        assert (again["state"], again["actions"]) == ("authenticated", [])


def test_status_after_a_flow_that_failed_says_why_and_begins_anew(framework: str) -> None:
    transport = ScriptedTransport(Rejected(reason=RejectionReason.FIREWALL))
    with client_of(framework, web_for(transport)) as client:
        browser = _browser(client, **{"accept-language": "de"})
        first = browser.post("/auth/flows").json()
        failed = _send(browser, first, "submit_password", **ANA).json()
        assert failed["state"] == "failed"
        step = _status(browser)["step"]
        assert (step["state"], step["message"]) == ("idle", failed["message"])
        assert step["flow_id"] != first["flow_id"]
        assert _status(browser)["step"] == {**step, "message": None}


def test_status_after_a_flow_has_expired_says_so_and_begins_anew(framework: str) -> None:
    clock = ManualClock()
    with client_of(framework, web_for(ScriptedTransport(), clock=clock)) as client:
        browser = _browser(client)
        assert _status(browser)["step"]["message"] is None
        clock.advance(3601)
        step = _status(browser)["step"]
        assert (step["state"], step["message"]["code"]) == ("idle", "flow_expired")


def test_status_after_an_answer_that_cannot_be_repeated_was_lost_begins_anew(
    framework: str,
) -> None:
    """An authenticator signs each challenge anew, so nothing can be asked for once more."""
    passkey = PasskeyChallenge(session="s" * 30, username="ana", options="{}")
    transport = ScriptedTransport(ChallengeIssued(challenge=passkey), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        browser = _browser(client)
        step = browser.post("/auth/flows").json()
        step = _send(browser, step, "submit_password", **ANA).json()
        assert step["state"] == "awaiting_passkey"
        lost = _browser(client, cookie="; ".join("=".join(one) for one in browser.cookies.items()))
        assert (
            _send(lost, step, "submit_passkey", credential='{"id": "x"}').json()["state"]
            == "authenticated"
        )
        assert _status(browser)["step"]["state"] == "idle"


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


@pytest.mark.parametrize("path", ["status", "flows/current"])
@pytest.mark.parametrize(
    ("wait", "patience"),
    [
        *(("5", 5.0), ("20", 20.0), ("999999999", 20.0)),
        *(("-1", 0.0), ("x", 0.0), ("1e9", 0.0), ("", 0.0), ("²", 0.0)),
    ],
)
def test_wait_is_bounded_and_what_is_no_number_of_seconds_is_ignored(
    path: str, wait: str, patience: float, monkeypatch: Any
) -> None:
    asked = []

    def get(driver: SignIn, flow_id: str, *, patience: float = 0.0) -> Any:
        asked.append(patience)
        return real(driver, flow_id)

    real = SignIn.get
    with client_of("fastapi", web_for(ScriptedTransport())) as client:
        browser = _browser(client)
        browser.post("/auth/flows")
        monkeypatch.setattr(SignIn, "get", get)
        assert browser.get(f"/auth/{path}", params={"wait": wait}).status_code == 200
    assert asked == [patience]


def test_more_requests_than_places_are_answered_at_once() -> None:
    """Threads stay free, however many tabs wait for one call."""
    answer = threading.Event()

    def slow(_: Any) -> Any:
        answer.wait(20)
        return a_text()

    web = web_for(ScriptedTransport(slow), clock=SystemClock())
    with client_of("flask", web) as client, ThreadPoolExecutor(10) as threads:
        browser = _browser(client)
        step = browser.post("/auth/flows").json()
        sending = threads.submit(_send, browser, step, "submit_password", **ANA)
        while _status(browser)["step"]["state"] != "checking_password":
            pass
        waiting = [
            threads.submit(browser.get, f"/auth/{path}", params={"wait": 15})
            for path in ["status", "flows/current"] * 4
        ]
        early, _ = wait(waiting, timeout=3)
        assert len(early) == len(waiting) - (PLACES - 1)
        answer.set()
        sending.result()
        shown = [one.result().json() for one in set(waiting) - early]
        assert {one.get("step", one)["state"] for one in shown} == {"awaiting_mfa"}


def test_start_says_where_the_flow_is(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        browser = _browser(client)
        made = browser.post("/auth/flows")
        assert made.headers["location"] == f"/auth/flows/{made.json()['flow_id']}"
        for path in (made.headers["location"], "/auth/flows/current"):
            assert browser.get(path).json() == made.json()


def test_event_can_name_the_current_flow(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text(), the_tokens()))) as client:
        browser = _browser(client)
        step = {**browser.post("/auth/flows").json(), "flow_id": "current"}
        step = {**_send(browser, step, "submit_password", **ANA).json(), "flow_id": "current"}
        assert _send(browser, step, "submit_code", code="123456").json()["state"] == "authenticated"


@pytest.mark.parametrize("kept", [True, False])
def test_choice_to_stay_signed_in_can_come_with_a_later_event(framework: str, kept: bool) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text(), the_tokens()))) as client:
        browser = _browser(client)
        step = browser.post("/auth/flows").json()
        step = _send(browser, step, "submit_password", keep_signed_in=not kept, **ANA).json()
        answer = _send(browser, step, "submit_code", keep_signed_in=kept, code="123456")
        (session,) = (
            one for one in answer.headers.get_list("set-cookie") if "oncegate_session" in one
        )
        assert ("max-age" in session.lower()) is kept


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
            "kind": "error",
            "text": "Prüfen Sie Ihre Eingabe.",
            "detail": "",
            "field": "code",
        }
        assert answer.json()["version"] == step["version"]
        assert len(transport.calls) == 1


@pytest.mark.parametrize("sent", [{"code": 123456}, {"code": None}, {}])
def test_code_that_is_no_text_is_a_problem_of_the_program(framework: str, sent: Any) -> None:
    """The user has entered nothing wrong, and could not mend it."""
    with client_of(framework, web_for(ScriptedTransport(a_text()))) as client:
        browser = _browser(client)
        step = _send(browser, browser.post("/auth/flows").json(), "submit_password", **ANA).json()
        answer = _send(browser, step, "submit_code", **sent)
        assert answer.status_code == 422
        assert answer.json()["code"] == "invalid_event"
        assert set(answer.json()["fields"]) == {"code"}


def test_mistyped_code_beside_another_mistake_is_a_problem_with_both(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text()))) as client:
        browser = _browser(client)
        step = _send(browser, browser.post("/auth/flows").json(), "submit_password", **ANA).json()
        answer = _send(browser, step, "reset_password", code="x")
        assert answer.status_code == 422
        assert set(answer.json()["fields"]) == {"code", "new_password"}


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
        clock.advance(30)
        step = _status(browser)["step"]
        assert (step["expires_in"], step["new_code_in"]) == (138, 0)
        clock.advance(-30)
        step = _status(browser)["step"]
        assert step["actions"][0]["available_in"] is None
