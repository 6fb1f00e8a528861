"""The session goes to the browser that gave the accepted answer, and to no other (P7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Program, Visit, flow_cookie
from tests.web.test_sessions import ScriptedTokens

from oncegate.adapters import (
    CheckPassword,
    Device,
    DeviceRegistered,
    DeviceRemembered,
    FlowId,
    NewDevice,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}
Interface = Callable[[httpx.Client], Any]


@pytest.fixture(params=[Visit, Program], ids=["pages", "json"])
def interface(request: pytest.FixtureRequest) -> Any:
    return request.param


def _browser(client: httpx.Client, cookies: dict[str, str] | None = None) -> httpx.Client:
    """Return another browser at the same application, with these cookies."""
    browser = httpx.Client(
        transport=client._transport,
        base_url=client.base_url,
        headers={"accept": "text/html", "accept-language": "en"},
    )
    for name, value in (cookies or {}).items():
        browser.cookies.set(name, value, domain=client.base_url.host)
    return browser


def _session(client: httpx.Client) -> str | None:
    found = [one.value for one in client.cookies.jar if "oncegate_session" in one.name]
    return "".join(value or "" for value in found) or None


def _is_signed_in(client: httpx.Client) -> bool:
    return client.get("/orders").status_code == 200


def _offers_device() -> list[Any]:
    device = Device.model_validate(
        {"username": "ana", "typed": "ana", "key": "device-key", "group_key": "g", "password": "p"}
    )
    new_device = NewDevice(key="device-key", group_key="group")
    return [
        a_text(),
        TokensIssued(tokens=the_tokens().tokens, new_device=new_device),
        DeviceRegistered(device=device, ask_user=True),
    ]


def _tries_all(thief: httpx.Client) -> None:
    """Ask for a session in every way that needs no answer."""
    thief.get("/auth/")
    thief.get("/auth/flows/current")
    thief.get("/auth/session")
    for version in range(8):
        for event in (
            {"type": "cancel"},
            {"type": "request_new_code"},
            {"type": "remember_device", "remember": True},
            {"type": "submit_code", "code": "654321"},
            {"type": "submit_password", "username": "ana", "password": "not hers"},
        ):
            thief.post("/auth/flows/current/events", json={**event, "version": version})
    page = Visit(thief)
    page.open()
    for name, form in page.page.forms.items():
        if name != "start":
            page.post(form.action, {**form.values, "code": "654321"})
            break


@pytest.mark.parametrize("ends_in", ["authenticated", "offering_device"])
def test_noted_flow_id_receives_no_session(
    framework: str, interface: Interface, ends_in: str
) -> None:
    outcomes = [a_text(), the_tokens()] if ends_in == "authenticated" else _offers_device()
    with client_of(framework, web_for(ScriptedTransport(*outcomes))) as client:
        victim = interface(client)
        victim.open()
        noted = dict(client.cookies)
        assert _session(client) is None
        victim.say("submit_password", **ANA)
        victim.say("submit_code", **CODE)
        assert _is_signed_in(client)
        thief = _browser(client, noted)
        _tries_all(thief)
        assert _session(thief) is None
        assert not _is_signed_in(thief)
        assert _is_signed_in(client)


def test_second_click_and_reposted_form_receive_the_same_session(
    framework: str, interface: Interface
) -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        user = interface(client)
        user.open()
        user.say("submit_password", **ANA)
        before = dict(client.cookies)
        user.say("submit_code", **CODE)
        for _ in range(3):
            again = interface(_browser(client, before))
            again.last = user.last
            assert again.say_again() == "authenticated"
            assert _session(again.client) == _session(client)
            assert _is_signed_in(again.client)
        assert len(transport.calls) == 2


def _that_lost_the_response(client: httpx.Client, interface: Interface) -> Any:
    user = interface(client)
    user.open()
    user.say("submit_password", **ANA)
    before = dict(client.cookies)
    user.say("submit_code", **CODE)
    return interface(_browser(client, before))


def test_lost_response_asks_for_the_same_answer_once_more(
    framework: str, interface: Interface
) -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        user = _that_lost_the_response(client, interface)
        user.open()
        assert "once more" in user.shown()
        assert _session(user.client) is None
        user.say("submit_code", code="654321")
        assert _session(user.client) is None
        user.say("submit_code", **CODE)
        assert _session(user.client) == _session(client)
        assert _is_signed_in(user.client)
        assert len(transport.calls) == 2


def test_five_wrong_answers_refuse_the_right_one(framework: str, interface: Interface) -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        user = _that_lost_the_response(client, interface)
        user.open()
        for number in range(5):
            user.say("submit_code", code=f"00000{number}")
        thief = _browser(client, dict(user.client.cookies))
        event = {"type": "submit_code", **CODE, "version": 4}
        thief.post("/auth/flows/current/events", json=event)
        assert _session(thief) is None
        assert len(transport.calls) == 2


@pytest.mark.parametrize("kind", ["server", "cookie"])
def test_flow_of_an_ended_session_receives_none(
    framework: str, interface: Interface, kind: str
) -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    with client_of(framework, web_for(transport, sessions=kind)) as client:
        user = interface(client)
        user.open()
        user.say("submit_password", **ANA)
        before = dict(client.cookies)
        user.say("submit_code", **CODE)
        assert _is_signed_in(client)
        copied = dict(client.cookies)
        assert client.delete("/auth/session").status_code == 204
        again = interface(_browser(client, before))
        again.last = user.last
        again.say_again()
        assert not _is_signed_in(again.client)
        assert not _is_signed_in(_browser(client, copied))


def test_answer_about_the_device_leads_on(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport(*_offers_device()))) as client:
        user = Visit(client)
        user.open()
        user.say("submit_password", **ANA)
        assert user.say("submit_code", **CODE) == "offering_device"
        session = _session(client)
        assert _is_signed_in(client)
        form = user.page.forms["remember-device"]
        answer = user.post(form.action, {**form.values, "remember": "false"})
        assert answer.headers["location"] == "/"
        assert _session(client) == session


# ── one browser ──


@pytest.mark.parametrize("kind", ["server", "cookie"])
def test_new_sign_in_ends_the_session_before_it(
    framework: str, interface: Interface, kind: str
) -> None:
    transport = ScriptedTransport(a_text(), the_tokens(), a_text(), the_tokens())
    with client_of(framework, web_for(transport, sessions=kind)) as client:
        for number in range(2):
            if number:
                copied = _browser(client, dict(client.cookies))
                assert _is_signed_in(copied)
                assert client.post("/auth/flows").status_code == 201
            user = interface(client)
            user.open()
            user.say("submit_password", **ANA)
            user.say("submit_code", **CODE)
            assert _is_signed_in(client)
        assert not _is_signed_in(copied)


@pytest.mark.parametrize("kind", ["server", "cookie"])
@pytest.mark.parametrize("keeps", [True, False])
def test_session_cookie_outlives_the_browser_only_by_choice(
    framework: str, interface: Interface, kind: str, keeps: bool
) -> None:
    chosen: dict[str, Any] = {}
    if keeps:
        chosen = {"_keep_signed_in": "on"} if interface is Visit else {"keep_signed_in": True}
    transport = ScriptedTransport(a_text(), the_tokens())
    with client_of(framework, web_for(transport, sessions=kind)) as client:
        user = interface(client)
        user.open()
        user.say("submit_password", **ANA, **chosen)
        user.say("submit_code", **CODE)
        assert _is_signed_in(client)
        sessions = [one for one in client.cookies.jar if "oncegate_session" in one.name]
        assert {one.expires is not None for one in sessions} == {keeps}


def test_choice_to_stay_signed_in_is_forgotten_with_the_username(framework: str) -> None:
    rejected = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    transport = ScriptedTransport(rejected, a_text(), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        user = Program(client)
        user.open()
        chosen: dict[str, Any] = {"keep_signed_in": True}
        assert user.say("submit_password", **ANA, **chosen) == "idle"
        assert user.say("submit_password", username="bob", password="x") == "awaiting_mfa"
        assert user.say("submit_code", **CODE) == "authenticated"
        (session,) = [one for one in client.cookies.jar if "oncegate_session" in one.name]
        assert session.expires is None


def test_cookie_to_stay_signed_in_of_another_flow_is_ignored(framework: str) -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
        planted = FlowId.new(0.0).digest("keep signed in")
        client.cookies.set("oncegate_keep", planted, domain=client.base_url.host)
        user.say("submit_code", **CODE)
        (session,) = [one for one in client.cookies.jar if "oncegate_session" in one.name]
        assert session.expires is None


# ── several sign-ins with one key and one store ──

OTHERS: dict[str, dict[str, str]] = {
    "client": {"app_id": "another"},
    "mount": {"name": "staff"},
}


@pytest.mark.parametrize("kind", ["server", "cookie"])
@pytest.mark.parametrize("other", OTHERS)
def test_nothing_of_one_sign_in_opens_in_another(framework: str, other: str, kind: str) -> None:
    """Neither flows nor sessions nor devices, whatever names a thief gives to the cookies."""
    store = MemoryStore()
    name = OTHERS[other].get("name", "oncegate")
    transport = ScriptedTransport(*_offers_device())
    web = web_for(transport, store=store, sessions=kind)
    seen: dict[str, str] = {}
    with client_of(framework, web) as client:
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
        user.say("submit_code", **CODE)
        user.say("remember_device", remember="true")
        assert _is_signed_in(client)
        flow, body = client.cookies[flow_cookie(client)], user.last
        seen = {
            cookie.replace("oncegate_", f"{name}_"): value
            for cookie, value in dict(client.cookies).items()
        }
        assert f"{name}_device" in seen
    second = ScriptedTransport(a_text(), the_tokens())
    second.app_id = OTHERS[other].get("app_id", second.app_id)
    with client_of(framework, web_for(second, store=store, sessions=kind, name=name)) as client:
        thief = _browser(client, seen)
        assert not _is_signed_in(thief)
        answer = thief.get("/auth/flows/current")
        assert answer.status_code >= 400 or answer.json()["state"] != "authenticated"
        assert body is not None
        thief.post("/auth/flows/current/events", json=body[1])
        assert not _is_signed_in(thief)
        assert flow not in thief.get("/auth/").text
        devices = {one: value for one, value in seen.items() if one.endswith("_device")}
        user = Program(_browser(client, devices))
        user.open()
        user.say("submit_password", **ANA)
        (call,) = second.calls
        assert isinstance(call, CheckPassword)
        assert call.device_key is None


def test_cookies_are_named_after_the_sign_in(framework: str) -> None:
    web = web_for(ScriptedTransport(a_text(), the_tokens()), name="staff")
    with client_of(framework, web) as client:
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
        user.say("submit_code", **CODE)
        ours = {name for name in dict(client.cookies) if name not in {"session", "csrftoken"}}
        assert ours == {flow_cookie(client, "staff"), "staff_session"}


@pytest.mark.parametrize(
    ("language", "label"), [("en", "Keep me signed in"), ("de", "Angemeldet bleiben")]
)
def test_first_page_offers_to_stay_signed_in_and_does_not_choose_it(
    framework: str, language: str, label: str
) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text()))) as client:
        client.headers["accept-language"] = language
        user = Visit(client)
        user.open()
        assert label in user.shown()
        assert "_keep_signed_in" not in user.page.forms["submit-password"].values, "not checked"
        user.say("submit_password", **ANA)
        assert label not in user.shown()


def test_page_after_a_sign_in_by_the_api_says_that_the_user_is_signed_in(framework: str) -> None:
    """The flow's cookie is still there; the browser has the session all the same."""
    with client_of(framework, web_for(ScriptedTransport(a_text(), the_tokens()))) as client:
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
        assert user.say("submit_code", **CODE) == "authenticated"
        visit = Visit(client)
        visit.open()
        assert list(visit.page.forms) == ["sign-out"]
        assert Visit(client, "/auth/?next=/orders").open() == "authenticated"
        assert not flow_cookie(client)
        client.delete("/auth/session")
        assert visit.open() == "idle"


# ── the device's cookie, which replaces the second factor ──


def _device(client: httpx.Client) -> str | None:
    found = [one.value for one in client.cookies.jar if "oncegate_device" in one.name]
    return found[0] if found else None


@pytest.mark.parametrize("asks_user", [False, True], ids=["always", "opt_in"])
def test_noted_flow_id_receives_no_device(
    framework: str, interface: Interface, asks_user: bool
) -> None:
    offered = _offers_device()
    offered[-1] = offered[-1].model_copy(update={"ask_user": asks_user})
    transport = ScriptedTransport(*offered, *[DeviceRemembered()] * 3)
    with client_of(framework, web_for(transport)) as client:
        victim = interface(client)
        victim.open()
        noted = dict(client.cookies)
        victim.say("submit_password", **ANA)
        victim.say("submit_code", **CODE)
        assert _device(client)
        thief = _browser(client, noted)
        _tries_all(thief)
        assert _device(thief) is None
        assert _session(thief) is None


def test_second_click_receives_the_device_of_the_first(
    framework: str, interface: Interface
) -> None:
    """The browser sees only the response to the last click."""
    with client_of(framework, web_for(ScriptedTransport(*_offers_device()))) as client:
        user = interface(client)
        user.open()
        user.say("submit_password", **ANA)
        before = dict(client.cookies)
        user.say("submit_code", **CODE)
        again = interface(_browser(client, before))
        again.last = user.last
        again.say_again()
        assert _device(again.client) == _device(client)


# ── a session of before, and a response that was lost ──


def test_older_session_of_the_browser_is_not_taken_for_that_of_the_flow(framework: str) -> None:
    transport = ScriptedTransport(a_text(), the_tokens(), a_text(), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        first = Program(client)
        first.open()
        first.say("submit_password", **ANA)
        first.say("submit_code", **CODE)
        client.cookies.delete(flow_cookie(client))
        second = Program(client)
        second.open()
        second.say("submit_password", username="gil", password="Correct-horse-7")
        before = dict(client.cookies)
        second.say("submit_code", **CODE)
        lost = _browser(client, before)  # with the first session, and without the response
        page = Visit(lost)
        page.open()
        assert "submit-code" in page.page.forms, page.page.text
        status = lost.get("/auth/status").json()
        assert [one["event"] for one in status["step"]["actions"]] == ["submit_code"]
        page.say("submit_code", **CODE)
        assert _session(lost) == _session(client)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_of_every_kind_are_protected(framework: str, scheme: str) -> None:
    """OWASP ASVS 5.0, 3.3.1 to 3.3.4."""
    transport = ScriptedTransport(*_offers_device())
    transport.token_service = ScriptedTokens()
    with client_of(framework, web_for(transport), f"{scheme}://shop.localhost") as client:
        seen: list[str] = []
        client.event_hooks["response"].append(
            lambda response: seen.extend(response.headers.get_list("set-cookie"))
        )
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA, _keep_signed_in="on")
        visit.say("submit_code", **CODE)
    set_here = {one.partition("=")[0].strip(): one for one in seen if "oncegate" in one}
    set_here = {name.partition(".")[0]: one for name, one in set_here.items()}
    prefix = "__Host-" if scheme == "https" else ""
    kinds = ("flow", "session", "device", "keep", "known")
    assert set(set_here) == {f"{prefix}oncegate_{kind}" for kind in kinds}
    for cookie in set_here.values():
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"httponly", "samesite=lax", "path=/"} <= parts
        assert ("secure" in parts) is (scheme == "https")
        assert "domain" not in cookie.lower()
        assert "ana" not in cookie.partition(";")[0].partition("=")[2].lower().split("_")
