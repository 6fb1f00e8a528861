"""The seam to a host with a user of its own: sessions, signals, hooks, sign-out, and guards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from traceback import walk_tb
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.doubles import ManualClock, a_text, the_tokens
from tests.web.example_apps import InLoop, client_of, web_at, web_for
from tests.web.outages import TokenDouble, transport_with
from tests.web.pages import Program, Visit

from oncegate import InvalidToken, Misconfigured, StoreUnavailable, Unreachable
from oncegate.adapters import Rejected, RejectionReason, Transition
from oncegate.testing import ScriptedTransport
from oncegate_sandbox import Sandbox
from oncegate_web import (
    CodeSent,
    Request,
    Response,
    SessionBegan,
    SessionEnded,
    SignInFailed,
    User,
    WebSignIn,
)
from oncegate_web._signals import collect, collecting
from oncegate_web.http import Fields, without_cookies
from oncegate_web.testing import session_cookies, sign_in

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}


class Told:
    """What the hooks of a sign-in were told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Any]] = []

    @property
    def hooks(self) -> dict[str, Any]:
        def noting(name: str) -> Any:
            return lambda subject, request: self.all.append((name, subject))

        names = ("on_signed_in", "on_signed_out", "on_sign_in_failed", "on_code_sent")
        return {name: noting(name) for name in names}

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.all]


@contextmanager
def told(
    framework: str, *outcomes: Any, **more: Any
) -> Iterator[tuple[httpx.Client, Told, WebSignIn]]:
    seen = Told()
    web = web_for(ScriptedTransport(*outcomes), **seen.hooks, **more)
    with client_of(framework, web) as client:
        yield client, seen, web


def _sent(web: WebSignIn, client: httpx.Client, path: str, **form: str) -> Response:
    """Post a form to the core, as an integration does, and keep the cookies."""
    response = web.respond(_request(client, path, "POST", form))
    for cookie in response.cookies:
        client.cookies.set(cookie.name, cookie.value or "", "shop.localhost")
    return response


def _request(
    client: httpx.Client | None, path: str = "/", method: str = "GET", form: Any = None, **more: Any
) -> Request:
    jar: Any = client.cookies.jar if client else []
    cookies = "; ".join(f"{one.name}={one.value}" for one in jar if one.value)
    return Request(
        method=method,
        path=path,
        prefix="/auth",
        host="shop.localhost",
        headers=Fields({"cookie": cookies, "accept": "text/html"}),
        form=Fields(form or {}),
        **more,
    )


INTERFACES = {"pages": Visit, "api": Program}


@pytest.mark.parametrize("sessions", ["server", "cookie"])
@pytest.mark.parametrize("interface", INTERFACES)
def test_application_is_told_of_each_thing_once(
    framework: str, interface: str, sessions: str
) -> None:
    wrong = Rejected(reason=RejectionReason.WRONG_CODE)
    outcomes = (a_text(username="ana"), wrong, the_tokens())
    with told(framework, *outcomes, sessions=sessions) as (client, seen, _):
        user: Any = INTERFACES[interface](client)
        user.open()
        for event, fields in (
            ("submit_password", ANA),
            ("submit_code", {"code": "000000"}),
            ("submit_code", CODE),
        ):
            user.say(event, **fields)
            user.say_again()
            user.open()
        assert seen.names == ["on_code_sent", "on_sign_in_failed", "on_signed_in"]
        assert seen.all[0][1] == CodeSent("ana", "SMS")
        assert seen.all[1][1] == SignInFailed("ana", "wrong_code")
        if interface == "pages":
            user.open()
            user.say("sign_out")
        else:
            client.delete("/auth/session")
        client.delete("/auth/session")
        assert seen.names[3:] == ["on_signed_out"]


def test_user_who_signs_out_everywhere_is_told_once(framework: str) -> None:
    with told(framework, a_text(), the_tokens()) as (client, seen, _):
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
        user.say("submit_code", **CODE)
        client.delete("/auth/sessions")
        assert seen.names == ["on_code_sent", "on_signed_in", "on_signed_out"]


def test_second_click_on_the_last_page_gets_the_session_but_is_not_the_first(
    framework: str,
) -> None:
    with told(framework, a_text(), the_tokens()) as (client, seen, web):
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        values = {**form.values, **CODE}
        clicks = [web.respond(_request(client, "/", "POST", values)) for _ in range(2)]
        began = [one.signals[0] for one in clicks]
        assert [one.is_first for one in began] == [True, False]
        assert began[0].name == began[1].name
        assert all(began[0].name not in (one.value or "") for one in clicks[0].cookies)
        assert seen.names == ["on_code_sent", "on_signed_in"]


def test_session_that_the_browser_has_is_no_news() -> None:
    with told("flask", a_text(), the_tokens()) as (client, _, web):
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        values = {**form.values, **CODE}
        first = _sent(web, client, "/", **values)
        assert [type(one) for one in first.signals] == [SessionBegan]
        again = web.respond(_request(client, "/", "POST", values))
        assert again.signals == []
        assert web.respond(_request(client)).signals == []


def test_sign_in_in_place_of_another_says_who_left_and_who_came() -> None:
    with told("flask", *[a_text(), the_tokens()] * 2) as (client, seen, web):
        for _ in range(2):
            visit = Visit(client, "/auth/?again=1")
            assert visit.open() == "idle"
            visit.say("submit_password", **ANA)
            form = visit.page.forms["submit-code"]
            response = _sent(web, client, "/", **{**form.values, **CODE})
        assert [type(one) for one in response.signals] == [SessionEnded, SessionBegan]
        assert seen.names[-2:] == ["on_signed_out", "on_signed_in"]


def test_hook_that_raises_is_logged_and_the_user_is_signed_in(
    framework: str, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(user: User, request: Request) -> None:
        raise RuntimeError("Correct-horse-1")

    web = web_for(ScriptedTransport(a_text(), the_tokens()), on_signed_in=hook)
    with client_of(framework, web) as client, caplog.at_level(logging.ERROR, "oncegate"):
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        assert visit.say("submit_code", **CODE) == "authenticated"
    (line,) = caplog.messages
    assert "hook failed" in line
    assert "RuntimeError" in line
    assert "test_host.py" in line
    assert "Correct-horse-1" not in line


# ── the user of a session ──


@pytest.mark.parametrize("sessions", ["server", "cookie"])
def test_made_up_session_is_a_user_with_groups_and_scopes(framework: str, sessions: str) -> None:
    web = web_for(ScriptedTransport(), sessions=sessions)
    with client_of(framework, web) as client:
        assert client.get("/orders").status_code == 303
        made = session_cookies(
            web,
            "bob",
            groups=["staff", "buyers"],
            scopes=["orders/read"],
            claims={"email": "bob@example.com"},
        )
        client.cookies.update(made)
        assert client.get("/orders").json() == {"user": "bob"}
        assert client.get("/auth/session").json()["username"] == "bob"
        session = web.session(_request(client))
        assert session is not None
        user = session.user
        assert (user.groups, user.scopes) == (("staff", "buyers"), ("orders/read",))
        assert (user.sub, user.get_id()) == ("sub-bob", "sub-bob")
        assert user.display_name == "bob@example.com"
        assert (user.is_authenticated, user.is_active, user.is_anonymous) == (True, True, False)
        assert session.name not in str(made)


def test_user_without_verified_claims_has_a_name_of_none() -> None:
    user = User("", {}, the_tokens().tokens)
    assert (user.sub, user.groups, user.scopes, user.auth_time) == ("", (), (), None)


@pytest.mark.parametrize("claims", [{}, {"auth_time": "soon"}, {"auth_time": 0}])
def test_sign_in_without_a_time_or_long_ago_is_not_recent(claims: dict[str, Any]) -> None:
    web = web_for(ScriptedTransport(), clock=ManualClock(1_700_000_000.0))
    assert not web.is_recent(User("ana", claims, the_tokens().tokens), 300)


def test_recent_sign_in_is_one_of_the_last_seconds() -> None:
    web = web_for(ScriptedTransport(), clock=ManualClock(1_700_000_000.0))
    user = User("ana", {"auth_time": 1_699_999_700}, the_tokens().tokens)
    assert user.auth_time == datetime(2023, 11, 14, 22, 8, 20, tzinfo=UTC)
    assert web.is_recent(user, 300)
    assert not web.is_recent(user, 299)


def test_end_of_the_session_by_the_host_revokes_and_deletes_the_cookies(sandbox: Sandbox) -> None:
    sandbox.reset()
    seen = Told()
    web = web_at(sandbox, **seen.hooks)
    with client_of("flask", web) as client:
        sign_in(client, "ana", "Correct-horse-1", lambda: sandbox.messages()[-1].code)
        assert client.get("/orders").json() == {"user": "ana"}
        response = web.end_session(_request(client))
        assert response.status == 204
        assert {one.name for one in response.cookies if one.value is None} >= {"oncegate_session"}
        assert [type(one) for one in response.signals] == [SessionEnded]
        assert sandbox.calls()["RevokeToken"] == 1
        assert web.end_session(_request(client)).signals == []
        assert client.get("/orders").status_code == 303
        assert seen.names == ["on_code_sent", "on_signed_in", "on_signed_out"]


def test_access_token_as_bearer_is_its_user_and_an_id_token_is_nobody(sandbox: Sandbox) -> None:
    sandbox.reset()
    web = web_at(sandbox)
    with client_of("flask", web) as client:
        sign_in(client, "ana", "Correct-horse-1", lambda: sandbox.messages()[-1].code)
        session = web.session(_request(client))
        assert session is not None
    tokens = session.user.tokens
    user = web.bearer_user(tokens.access_token)
    assert (user.username, user.sub) == ("ana", session.user.sub)
    assert user.scopes == ("aws.cognito.signin.user.admin",)
    assert tokens.id_token is not None
    for token in (tokens.id_token, tokens.access_token[:-3], "x", ""):
        with pytest.raises(InvalidToken):
            web.bearer_user(token)


# ── the way on ──


@pytest.mark.parametrize(
    ("target", "onward"),
    [
        ("/orders?a=1", "/orders?a=1"),
        ("http://shop.localhost/orders", "/orders"),
        ("/bücher 1", "/b%C3%BCcher%201"),
        ("http://shop.localhost/bücher", "/b%C3%BCcher"),
        ("http://shop.localhost", "/"),
        ("https://shop.localhost/orders", "/"),
        ("http://shop.localhost.evil.example/orders", "/"),
        ("http://shop.localhost//evil.example", "/"),
        ("http://shop.localhost@evil.example/", "/"),
        ("//evil.example", "/"),
    ],
)
def test_next_is_a_path_or_an_address_of_the_own_origin(
    framework: str, target: str, onward: str
) -> None:
    web = web_for(ScriptedTransport(a_text(), the_tokens()))
    with client_of(framework, web) as client:
        visit = Visit(client)
        visit._shown(client.get("/auth/", params={"next": target}))
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        answer = visit.post(form.action, {**form.values, **CODE})
        assert answer.headers["location"] == onward


def test_signed_in_user_is_not_redirected_for_ever(framework: str) -> None:
    """A host's own guard that refuses this user leads back to the sign-in."""
    web = web_for(ScriptedTransport())
    with client_of(framework, web) as client:
        client.cookies.update(session_cookies(web))
        visit = Visit(client, "/auth/?next=/admin")
        assert visit.open() == "authenticated"
        assert visit.page.links["Continue"] == "/admin"
        assert list(visit.page.forms) == ["sign-out"]


def test_signed_in_user_is_redirected_if_the_application_wants_it(framework: str) -> None:
    web = web_for(ScriptedTransport(), redirect_authenticated_user=True, home="/orders")
    with client_of(framework, web) as client:
        client.cookies.update(session_cookies(web))
        assert client.get("/auth/?next=/x").headers["location"] == "/x"
        assert client.get("/auth/").headers["location"] == "/orders"


# ── signing out from the application's own layout ──


@pytest.mark.parametrize(
    ("headers", "ends"),
    [
        ({"origin": "http://shop.localhost"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_form_of_the_host_signs_out_and_that_of_another_site_does_not(
    framework: str, headers: dict[str, str], ends: bool
) -> None:
    web = web_for(ScriptedTransport(), home="/orders", after_sign_out="/bye")
    with client_of(framework, web) as client:
        client.cookies.update(session_cookies(web))
        answer = client.post("/auth/sign-out", headers=headers)
        assert (client.get("/orders").status_code == 303) is ends
        if ends:
            assert answer.headers["location"] == "/bye"


@pytest.mark.parametrize(("target", "leads_to"), [("/shop", "/shop"), ("//evil.example", "/")])
def test_sign_out_leads_to_the_page_that_the_form_names(
    framework: str, target: str, leads_to: str
) -> None:
    web = web_for(ScriptedTransport())
    with client_of(framework, web) as client:
        client.cookies.update(session_cookies(web))
        headers = {"origin": "http://shop.localhost"}
        answer = client.post("/auth/sign-out", params={"next": target}, headers=headers)
        assert answer.headers["location"] == leads_to


def test_link_to_sign_out_asks_first(framework: str) -> None:
    web = web_for(ScriptedTransport())
    with client_of(framework, web) as client:
        client.cookies.update(session_cookies(web))
        visit = Visit(client, "/auth/sign-out?next=/shop")
        assert visit.open() == "authenticated"
        assert client.get("/orders").status_code == 200
        answer = visit.post(
            visit.page.forms["sign-out"].action, visit.page.forms["sign-out"].values
        )
        assert answer.headers["location"] == "/shop"
        assert client.get("/orders").status_code == 303
        assert client.get("/auth/sign-out?next=/shop").headers["location"] == "/shop"


# ── guards ──


def test_user_without_a_right_gets_a_page_or_a_problem() -> None:
    web = web_for(ScriptedTransport())
    page = web.forbidden(_request(None, "/admin"))
    assert (page.status, page.content_type) == (403, "text/html; charset=utf-8")
    assert "You don’t have access" in page.body.decode()
    assert 'href="/auth/"' in page.body.decode()
    script = Request("GET", "/admin", prefix="/auth", host="shop.localhost")
    problem = web.forbidden(script)
    assert (problem.status, problem.content_type) == (403, "application/problem+json")
    assert b'"forbidden"' in problem.body
    for answer in (page, problem):
        assert "no-store" in answer.headers["Cache-Control"]


def test_user_who_has_to_sign_in_again_sees_the_form_although_signed_in(framework: str) -> None:
    web = web_for(ScriptedTransport(a_text(), the_tokens()))
    with client_of(framework, web) as client:
        client.cookies.update(session_cookies(web))
        visit = Visit(client, web.sign_in_again(_request(client, "/account")).headers["Location"])
        assert visit.open() == "idle"
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        answer = visit.post(form.action, {**form.values, **CODE})
        assert answer.headers["location"] == "/account"


def test_language_of_the_host_wins_over_that_of_the_browser() -> None:
    web = web_for(ScriptedTransport())
    headers = Fields({"accept": "text/html", "accept-language": "en"})
    request = Request("GET", "/", prefix="/auth", host="localhost", headers=headers, language="de")
    assert 'lang="de"' in web.respond(request).body.decode()
    other = Request("GET", "/", prefix="/auth", host="localhost", headers=headers, language="xx")
    assert 'lang="en"' in web.respond(other).body.decode()


def test_session_is_announced_although_the_store_failed_once(sandbox: Sandbox) -> None:
    """The write that notes it may not be applied; then the answer is 503, and the next click tells."""
    from oncegate_stores import MemoryStore

    class Failing(MemoryStore):
        fails = False

        def swap(self, key: str, expected: int, row: Any) -> bool:
            if self.fails:
                raise StoreUnavailable("full")
            return super().swap(key, expected, row)

    store, seen = Failing(), Told()
    web = web_for(ScriptedTransport(a_text(), the_tokens()), store=store, **seen.hooks)
    with client_of("flask", web) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        values = {**form.values, **CODE}
        real = web._site._sessions.announce

        def down(session_id: str | None) -> bool:
            store.fails = True
            try:
                return real(session_id)
            finally:
                store.fails = False

        web._site._sessions.announce = down  # type: ignore[method-assign]
        assert _sent(web, client, "/", **values).signals[1:] == []
        web._site._sessions.announce = real  # type: ignore[method-assign]
        assert _sent(web, client, "/", **values).signals[0].is_first
    assert seen.names.count("on_signed_in") == 1


# ── two applications on one host ──


def _application(name: str, sessions: Any, store: Any = None) -> WebSignIn:
    key = f"{name}-Xk3mZ8qPvR5tLw9dHs2jYf7bNc4gKe6aq3Fh0pL8"
    more: Any = {"store": store} if store else {}
    return web_for(ScriptedTransport(), keys=key, sessions=sessions, **more)


@pytest.mark.parametrize("sessions", ["server", "cookie"])
def test_cookie_of_another_application_on_the_host_is_told_with_the_cure_once(
    sessions: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Cookies do not differ by port, so both have the same one (RFC 6265, 8.5)."""
    ours, theirs = _application("ours", sessions), _application("theirs", sessions)
    with client_of("flask", ours) as client, caplog.at_level(logging.WARNING, "oncegate"):
        client.cookies.update(session_cookies(theirs))
        for _ in range(3):
            assert client.get("/orders").status_code == 303
    (line,) = caplog.messages
    assert "WebSignIn(name=" in line


def test_browser_without_a_session_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    web = _application("ours", "server")
    with client_of("flask", web) as client, caplog.at_level(logging.WARNING, "oncegate"):
        client.get("/orders")
        client.cookies.update(session_cookies(web))
        assert client.get("/orders").status_code == 200
        client.delete("/auth/session")
        client.get("/orders")
    assert caplog.messages == []


@pytest.mark.parametrize("sessions", ["server", "cookie"])
def test_sign_ins_of_two_names_do_not_sign_each_other_out(sessions: Any) -> None:
    shop = web_for(ScriptedTransport(), sessions=sessions)
    staff = web_for(ScriptedTransport(), sessions=sessions, name="staff")
    with client_of("flask", shop) as client:
        client.cookies.update(session_cookies(shop, "ana"))
        client.cookies.update(session_cookies(staff, "bob"))
        for web, name in ((shop, "ana"), (staff, "bob")):
            user = web.user_of(_request(client))
            assert user is not None
            assert user.username == name
        client.delete("/auth/session")
        assert shop.user_of(_request(client)) is None
        assert staff.user_of(_request(client)) is not None


# ── guards of forms ──


@pytest.mark.parametrize(
    ("method", "referer", "onward"),
    [
        ("GET", "http://shop.localhost/other", "/cart"),
        ("POST", "http://shop.localhost/other?a=1", "/other?a=1"),
        ("POST", "http://evil.example/other", ""),
        ("POST", "http://shop.localhost.evil.example/other", ""),
        ("POST", "", ""),
    ],
)
def test_form_of_a_user_who_has_to_sign_in_leads_back_to_its_page(
    method: str, referer: str, onward: str
) -> None:
    """The path of a form may take only POST, so it is no page to return to."""
    web = web_for(ScriptedTransport())
    headers = Fields({"accept": "text/html", "referer": referer})
    request = Request(method, "/cart", prefix="/auth", host="shop.localhost", headers=headers)
    for answer in (web.sign_in_first(request), web.sign_in_again(request)):
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert query.get("next", [""]) == [onward]


def test_limit_of_the_host_is_answered_with_a_redirect_or_a_problem() -> None:
    web = web_for(ScriptedTransport())
    form = web.too_many_requests(_request(None, "/", "POST"))
    assert form.status == 303
    script = Request("POST", "/flows", prefix="/auth", host="shop.localhost")
    problem = web.too_many_requests(script)
    assert (problem.status, problem.headers["Retry-After"]) == (429, "60")


# ── names of sign-ins, one of which begins like the other ──


@pytest.mark.parametrize(
    ("header", "name", "left"),
    [
        ("shop_session=a; shop_admin_session=b; x=c", "shop", "shop_admin_session=b; x=c"),
        ("shop_session=a; shop_admin_session=b", "shop_admin", "shop_session=a"),
        (
            "__Host-shop_flow.1a2b=a; __Host-shop_admin_flow.1a2b=b",
            "shop",
            "__Host-shop_admin_flow.1a2b=b",
        ),
        ("shop_session.0=a; shop_session.1=b; shop_sessions=c", "shop", "shop_sessions=c"),
        ("shop_keep=a; shop_device=b; shop_known=c; shop_next=d", "shop", ""),
    ],
)
def test_cookies_of_one_sign_in_are_taken_and_those_of_another_stay(
    header: str, name: str, left: str
) -> None:
    assert without_cookies(header, name) == left


@pytest.mark.parametrize("inner_name", ["staff", "shop_admin"])
@pytest.mark.parametrize("is_staff", [False, True])
def test_sub_application_has_its_own_sign_in(inner_name: str, is_staff: bool) -> None:
    from fastapi import FastAPI, Security

    from oncegate_web.fastapi import mount

    shop, staff = (web_for(ScriptedTransport(), name=name) for name in ("shop", inner_name))
    inner, app = FastAPI(), FastAPI()
    auth = mount(inner, staff)

    @inner.get("/x")
    def x(user: User = Security(auth.current_user())) -> dict[str, str]:  # noqa: B008
        return {"user": user.username}

    mount(app, shop)
    app.mount("/admin", inner)
    with httpx.Client(transport=InLoop(app), base_url="http://localhost") as client:
        client.cookies.update(session_cookies(staff if is_staff else shop, "bob"))
        assert client.get("/admin/x").status_code == (200 if is_staff else 401)


# ── what fails around a signal ──


def test_sign_out_is_told_although_the_request_failed_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = Told()
    web = web_for(ScriptedTransport(), **seen.hooks)
    with client_of("flask", web) as client:
        client.cookies.update(session_cookies(web))

        def fail(*_: object) -> None:
            raise StoreUnavailable("down")

        monkeypatch.setattr(web._site, "set_flow", fail)
        assert client.delete("/auth/session").status_code == 503
    assert seen.names == ["on_signed_out"]


@pytest.mark.parametrize("hook", ["print", 5])
def test_hook_that_cannot_be_called_is_refused(hook: Any) -> None:
    with pytest.raises(Misconfigured, match="on_signed_in"):
        web_for(ScriptedTransport(), on_signed_in=hook)


def test_async_hook_is_refused_because_nothing_would_await_it() -> None:
    async def hook(user: User, request: Request) -> None: ...

    with pytest.raises(Misconfigured, match="no async one"):
        web_for(ScriptedTransport(), on_code_sent=hook)


def test_rejection_of_which_the_user_is_not_told_is_no_failure() -> None:
    """A reset for an unknown user goes on like that of any other (P6)."""
    rejected = Transition("f", "requesting_reset", "awaiting_reset", "rejected", 2, 0.0, None, "")
    with collecting() as signals:
        collect(rejected)
        collect(rejected._replace(message="wrong_code", suppressed="stale", delivered="SMS"))
        assert signals == []
        collect(rejected._replace(message="wrong_code", user="ana"))
    assert signals == [SignInFailed("ana", "wrong_code")]


def test_check_of_a_transport_that_raises_is_a_finding() -> None:
    transport = ScriptedTransport()

    def fail() -> list[Any]:
        raise RuntimeError("a mistake")

    transport.check = fail  # type: ignore[method-assign]
    found = [one for one in web_for(transport).check_set_up() if one.status == "failed"]
    assert [one.check for one in found] == ["transport"]
    assert found[0].cure


# ── bearer tokens that any caller can send ──


class Verifier(TokenDouble):
    def __init__(self, *, kind: type[Exception]) -> None:
        super().__init__()
        self.kind = kind

    def verify(self, token: str, use: str = "access") -> Any:
        raise self.kind("of the verification")


@pytest.mark.parametrize(
    ("raised", "told_as"), [(InvalidToken, InvalidToken), (KeyError, Unreachable)]
)
def test_error_about_a_bearer_token_has_no_frame_with_it(
    raised: type[Exception], told_as: type[Exception]
) -> None:
    transport = transport_with(Verifier(kind=raised))
    web = web_for(transport)
    try:
        web.bearer_user("the-planted-token")
    except told_as as error:
        traceback = error.__traceback__
    ours = [
        frame.f_locals
        for frame, _ in walk_tb(traceback)
        if "oncegate_web" in frame.f_code.co_filename
    ]
    assert ours
    assert "the-planted-token" not in str(ours)


def test_many_invalid_bearer_tokens_do_not_hold_up_valid_ones(sandbox: Sandbox) -> None:
    """Any caller can send them, without an account."""
    sandbox.reset()
    web = web_at(sandbox)
    with client_of("flask", web) as client:
        sign_in(client, "fay", "Correct-horse-6")
        session = web.session(_request(client))
        assert session is not None
    token = session.user.tokens.access_token
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            with suppress(InvalidToken):
                web.bearer_user(token[:-2])

    callers = [threading.Thread(target=flood) for _ in range(40)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(5):
            assert web.bearer_user(token).username == "fay"
    finally:
        stop.set()
        for caller in callers:
            caller.join()
