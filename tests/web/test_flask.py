"""The Flask extension: set-up, `current_user`, guards, signals, templates, limits, mount points."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import Any

import flask_babel
import httpx
import pytest
from flask import Flask, Response, g, redirect, render_template_string, request, session, url_for
from flask_limiter import Limiter
from flask_wtf import CSRFProtect
from tests.doubles import DictStore, ManualClock, a_text, the_tokens
from tests.web.example_apps import KEY, web_at, web_for
from tests.web.outages import FaultyStore, TokenDouble, transport_with
from tests.web.pages import Visit
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from oncegate import Misconfigured, StoreUnavailable, Unreachable
from oncegate.adapters import Rejected, RejectionReason
from oncegate.testing import ScriptedTransport
from oncegate_sandbox import Sandbox
from oncegate_web import User
from oncegate_web.flask import (
    Oncegate,
    auth_required,
    code_sent,
    current_user,
    fresh_login_required,
    groups_required,
    login_required,
    logout_user,
    mount,
    scopes_required,
    user_logged_in,
    user_logged_out,
    user_login_failed,
)
from oncegate_web.flask.testing import OncegateClient
from oncegate_web.testing import session_cookies

ANA = {"username": "ana", "password": "Correct-horse-1"}
HTML = {"accept": "text/html"}
NOT_FOR_OTHERS = "private"


def an_app(**config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(SECRET_KEY=KEY, TESTING=True, **config)
    app.test_client_class = OncegateClient
    return app


def route(app: Flask, path: str, **options: Any) -> Callable[[Any], None]:
    """Add a view, whose function needs no name."""
    return lambda view: app.add_url_rule(path, path, view, **options)


def app_with(extension: Oncegate | None = None, *outcomes: Any, **more: Any) -> Flask:
    """Return an application with a sign-in and a few views."""
    app = an_app()
    extension = extension or Oncegate()
    extension.init_app(app, web=web_for(ScriptedTransport(*outcomes), **more))
    route(app, "/orders")(login_required(lambda: {"user": current_user.username}))
    route(app, "/")(lambda: "home")
    return app


@contextmanager
def browser(app: Any, base_url: str = "http://shop.localhost") -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=httpx.WSGITransport(app=app), base_url=base_url, headers=HTML
    ) as client:
        yield client


def signed_in(client: httpx.Client, at: str = "/auth/") -> Visit:
    visit = Visit(client, at)
    visit.open()
    visit.say("submit_password", **ANA)
    form = visit.page.forms["submit-code"]
    visit.post(form.action, {**form.values, "code": "123456"})
    return visit


# ── set-up ──


def test_settings_of_the_application_make_the_sign_in(sandbox: Sandbox) -> None:
    oncegate = Oncegate()

    def create_app() -> Flask:
        app = an_app(
            ONCEGATE_POOL_ID=sandbox.pool_id,
            ONCEGATE_CLIENT_ID=sandbox.client_id,
            ONCEGATE_ENDPOINT_URL=sandbox.endpoint,
            ONCEGATE_AUTH_FLOW="USER_PASSWORD_AUTH",
            ONCEGATE_STORE="memory://",
            ONCEGATE_LOGIN_REDIRECT="/orders",
        )
        oncegate.init_app(app)
        route(app, "/orders")(login_required(lambda: {"user": current_user.username}))
        return app

    first, second = create_app(), create_app()
    client: Any = first.test_client()
    client.sign_in("ana", "Correct-horse-1", lambda: sandbox.messages()[-1].code)
    assert client.get("/orders").json == {"user": "ana"}
    webs = [app.extensions["oncegate"]["oncegate"].web for app in (first, second)]
    assert webs[0] is not webs[1]
    assert second.test_client().get("/orders").status_code == 401


def test_missing_and_unknown_settings_are_named_as_flask_spells_them() -> None:
    with pytest.raises(Misconfigured, match=r"app.config: ONCEGATE_POOL_ID is missing.*_STORE"):
        Oncegate().init_app(an_app())
    with pytest.raises(Misconfigured, match=r"ONCEGATE_POOL is no setting"):
        Oncegate().init_app(an_app(ONCEGATE_POOL="eu-west-1_a"))
    with pytest.raises(Misconfigured, match=r"STAFF_POOL_ID is missing"):
        Oncegate(name="staff").init_app(an_app(ONCEGATE_POOL_ID="eu-west-1_aBcDeFgHi"))


POOL = {"POOL_ID": "eu-west-1_aBcDeFgHi", "CLIENT_ID": "1example23456789", "STORE": "memory://"}


def _config(prefix: str = "ONCEGATE", **more: Any) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in {**POOL, **more}.items()}


def test_application_without_secret_key_says_what_to_do() -> None:
    app = an_app(**_config())
    app.secret_key = None
    with pytest.raises(Misconfigured, match="SECRET_KEY is missing, or ONCEGATE_KEYS"):
        Oncegate().init_app(app)
    app.secret_key = "dev"
    with pytest.raises(Misconfigured, match="too weak"):
        Oncegate().init_app(app)
    app.config["ONCEGATE_KEYS"] = KEY
    Oncegate().init_app(app)


def test_secret_key_before_the_current_one_still_opens_sessions() -> None:
    store, old, new = (
        DictStore(),
        "9f3c07a1e5b24d6880c2fb7716ad934e",
        b"\x8f\x02\xd1\x7e\xc4\x39\xa6\x5b" + b"\x1d\xe8\x90\x4c\xf3\x26\x77\xba",
    )
    before = an_app(**_config(OPTIONS={"store": store, "clock": ManualClock()}))
    before.secret_key = old
    after = an_app(**_config(OPTIONS={"store": store, "clock": ManualClock()}))
    after.config.update(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[old])
    oncegate = Oncegate()
    for app in (before, after):
        oncegate.init_app(app)
        route(app, "/orders")(login_required(lambda: {"user": current_user.username}))
    cookies = session_cookies(before.extensions["oncegate"]["oncegate"].web, "ana")
    with browser(after) as client:
        client.cookies.update(cookies)
        assert client.get("/orders").json() == {"user": "ana"}


def test_wrong_ways_to_mount_say_how_to_do_it_right() -> None:
    web, app = web_for(ScriptedTransport()), an_app()
    wrong: list[tuple[str, Callable[[], object]]] = [
        (r"Oncegate\(\).init_app\(app\)", lambda: Oncegate(app)),  # type: ignore[arg-type]
        ('name="staff"', lambda: Oncegate(web, name="Staff.")),
        ("one Oncegate for each tenant", lambda: mount(app, web, "/<tenant>/auth")),
        ("host_matching=True", lambda: Oncegate(web).init_app(app, host="a.example")),
        ("subdomain_matching=True", lambda: Oncegate(web).init_app(app, subdomain="a")),
    ]
    for says, do in wrong:
        with pytest.raises(Misconfigured, match=says):
            do()
    Oncegate(web).init_app(app)
    app.test_client().get("/auth/")
    with pytest.raises(Misconfigured, match="answered a request already"):
        Oncegate(web_for(ScriptedTransport(), name="b"), name="b").init_app(app, url_prefix="/b")
    with pytest.raises(Misconfigured, match=r'host="app.example.com"'):
        Oncegate(web).init_app(Flask(__name__, host_matching=True, static_host="a.example"))


def test_second_mount_of_one_name_is_refused_with_what_to_do() -> None:
    app = an_app()
    mount(app, web_for(ScriptedTransport()))
    with pytest.raises(Misconfigured, match=r'Oncegate\(name="staff"\)'):
        mount(app, web_for(ScriptedTransport()), "/staff")
    with pytest.raises(Misconfigured, match=r'WebSignIn\(name="staff"\)'):
        Oncegate(web_for(ScriptedTransport()), name="staff").init_app(app, url_prefix="/staff")
    with pytest.raises(Misconfigured, match="url_prefix: /auth"):
        Oncegate(web_for(ScriptedTransport(), name="staff"), name="staff").init_app(app)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: groups_required(lambda: "view"),  # type: ignore[arg-type]
        lambda: groups_required(),
        lambda: scopes_required(lambda: "view"),  # type: ignore[arg-type]
        lambda: fresh_login_required(lambda: "view"),  # type: ignore[arg-type]
        lambda: auth_required(lambda: "view"),  # type: ignore[arg-type]
        lambda: auth_required(),
    ],
)
def test_guard_without_its_arguments_says_how_to_write_it(wrong: Callable[[], object]) -> None:
    with pytest.raises(Misconfigured, match="write @"):
        wrong()


# ── two mounts ──


def test_two_mounts_do_not_sign_each_other_out() -> None:
    app = an_app()
    shop, staff = Oncegate(), Oncegate(name="staff")
    for extension, prefix in ((shop, "/auth"), (staff, "/staff")):
        outcomes = (a_text(), the_tokens())
        web = web_for(ScriptedTransport(*outcomes), name=extension.name)
        extension.init_app(app, url_prefix=prefix, web=web)
        view = extension.login_required(lambda: {"user": "in"})
        route(app, f"/{extension.name}-page")(view)
    with browser(app) as client:
        away = client.get("/staff-page").headers["location"]
        assert away == "/staff/?next=/staff-page"
        signed_in(client, away)
        assert client.get("/staff-page").status_code == 200
        assert client.get("/oncegate-page").status_code == 303
        signed_in(client)
        assert client.get("/staff-page").status_code == 200
        assert client.get("/oncegate-page").status_code == 200
        client.delete("/auth/session")
        assert client.get("/staff-page").status_code == 200
        assert client.get("/oncegate-page").status_code == 303
    with app.test_request_context():
        assert url_for("staff.login", next="/a b?c=d") == "/staff/?next=/a+b?c%3Dd"


def test_functions_of_the_module_need_one_sign_in_or_its_name() -> None:
    app = an_app()
    for name in ("north", "south"):
        web = web_for(ScriptedTransport(), name=name)
        Oncegate(web, name=name).init_app(app, url_prefix=f"/{name}")
    route(app, "/orders")(login_required(lambda: "orders"))
    with pytest.raises(Misconfigured, match="north, south"):
        app.test_client().get("/orders")
    # Templates of an application that uses neither go on.
    with app.test_request_context():
        assert render_template_string("{{ current_user is defined }}") == "False"


def test_mounted_name_in_config_prefix_makes_a_second_sign_in() -> None:
    app = an_app(**_config(), **_config("STAFF", CLIENT_ID="2example23456789"))
    Oncegate().init_app(app)
    Oncegate(name="staff").init_app(app, url_prefix="/staff")
    found = app.extensions["oncegate"]
    assert [found[name].web.name for name in ("oncegate", "staff")] == ["oncegate", "staff"]


# ── current_user ──


def test_current_user_is_never_none_and_knows_groups_and_scopes() -> None:
    app = app_with()
    seen: list[Any] = []

    @app.get("/me")
    def me() -> str:
        seen.append((current_user.is_authenticated, bool(current_user), current_user()))
        seen.append((current_user.get_id(), current_user.groups, current_user.scopes))
        return render_template_string("{{ current_user.is_anonymous }} {{ current_user.username }}")

    assert app.test_client().get("/me").text == "True "
    assert seen[:2] == [(False, False, None), (None, (), ())]
    ana = app.test_client(user="ana", groups=["staff"], scopes=["orders/read"])
    answer = ana.get("/me")
    assert answer.text == "False ana"
    assert seen[2][:2] == (True, True)
    assert isinstance(seen[2][2], User)
    assert seen[3] == ("sub-ana", ("staff",), ("orders/read",))
    assert "Cookie" in answer.headers["Vary"]
    assert "private" in answer.headers["Cache-Control"]


def test_current_user_outside_of_a_request_is_anonymous() -> None:
    app = app_with()
    with app.app_context():
        assert not current_user.is_authenticated
        assert current_user() is None
        assert render_template_string("{{ current_user.is_authenticated }}") == "False"


def test_user_loader_gives_the_applications_own_object_once_a_request() -> None:
    oncegate, asked_for = Oncegate(), []

    @oncegate.user_loader
    def load(user: User) -> Any:
        asked_for.append(user.get_id())
        return {"name": user.username.upper()} if user.username != "ben" else None

    app = app_with(oncegate)
    route(app, "/me")(login_required(lambda: current_user["name"] + current_user["name"]))
    route(app, "/cognito")(lambda: current_user().username)
    assert app.test_client(user="ana").get("/me").text == "ANAANA"
    assert asked_for == ["sub-ana"]
    ben = app.test_client(user="ben")
    refused = ben.get("/me", headers=HTML)
    assert refused.status_code == 403, "not redirected to sign-in, where ben is signed in"
    assert ben.get("/cognito").text == "ben"
    assert not ben.get("/me").is_json or ben.get("/me").get_json()["code"] == "forbidden"


def test_inactive_user_of_the_application_is_not_admitted() -> None:
    oncegate = Oncegate()
    oncegate.user_loader(lambda user: _Account(user.username, is_active=user.username == "ana"))
    app = app_with(oncegate)
    assert app.test_client(user="ana").get("/orders").json == {"user": "ana"}
    assert app.test_client(user="ben").get("/orders").status_code == 403


class _Account:
    def __init__(self, username: str, *, is_active: bool = True) -> None:
        self.username, self.is_active = username, is_active


def test_look_after_the_view_still_makes_the_response_private() -> None:
    """A function that was registered before the extension runs after all of ours."""
    app = an_app()

    @app.after_request
    def look(response: Response) -> Response:
        response.headers["X-User"] = current_user.username
        response.headers["Cache-Control"] = "public, max-age=60"
        return response

    Oncegate(web_for(ScriptedTransport())).init_app(app)
    route(app, "/")(lambda: "home")
    answer = app.test_client(user="ana").get("/")
    assert answer.headers["X-User"] == "ana"
    assert answer.headers["Cache-Control"] == "max-age=60, private"
    assert "Cookie" in answer.headers["Vary"]
    page = app.test_client(user="ana").get("/auth/static/page.css")
    assert "private" not in page.headers["Cache-Control"]


def test_view_that_did_not_look_stays_public() -> None:
    answer = app_with().test_client(user="ana").get("/")
    assert "Cache-Control" not in answer.headers
    assert "Vary" not in answer.headers


def test_application_does_not_see_the_cookies_of_any_mount() -> None:
    app = an_app()
    for name in ("oncegate", "staff"):
        web = web_for(ScriptedTransport(), name=name)
        Oncegate(web, name=name).init_app(app, url_prefix=f"/{name}")
    route(app, "/cookies")(lambda: dict(request.cookies))
    client = app.test_client(user="ana", oncegate="staff")
    client.set_cookie("theme", "dark")
    client.set_cookie("oncegate_session", "x")
    assert client.get("/cookies").json == {"theme": "dark"}


# ── guards ──


def test_one_of_the_groups_and_all_of_the_scopes_are_needed() -> None:
    app = app_with()
    route(app, "/both")(groups_required("admins", "eu")(lambda: "both"))
    route(app, "/write")(scopes_required("orders/write", "orders/read")(lambda: "write"))
    some = app.test_client(user="ana", groups=["staff"], scopes=["orders/read"])
    more = app.test_client(
        user="ana", groups=["eu", "staff"], scopes=["orders/write", "x", "orders/read"]
    )
    for path in ("/both", "/write"):
        assert app.test_client().get(path).status_code == 401
        page = some.get(path, headers=HTML)
        assert page.status_code == 403
        assert "text/html" in page.content_type
        assert some.get(path).get_json()["code"] == "forbidden"
        assert more.get(path).status_code == 200


def test_handlers_of_the_application_answer_in_place_of_ours() -> None:
    oncegate = Oncegate()

    @oncegate.unauthorized_handler
    def nobody() -> tuple[str, int]:
        return "who are you", 418

    @oncegate.forbidden_handler
    async def no_entry() -> tuple[str, int]:
        return "not for you", 451

    app = app_with(oncegate)
    route(app, "/staff")(groups_required("staff")(lambda: "staff"))
    assert app.test_client().get("/staff").status_code == 418
    assert app.test_client(user="ana").get("/staff").status_code == 451


def test_login_that_is_not_fresh_signs_in_again_and_returns() -> None:
    app = app_with(clock=ManualClock(2_000_000_000))
    route(app, "/card")(fresh_login_required(300)(lambda: "card"))
    old = app.test_client(user="ana", claims={"auth_time": 2_000_000_000 - 301})
    new = app.test_client(user="ana", claims={"auth_time": 2_000_000_000 - 299})
    assert new.get("/card?a=b").status_code == 200
    away = old.get("/card?a=b", headers=HTML)
    assert away.headers["Location"] == "/auth/?again=1&next=/card%3Fa%3Db"
    assert 'name="password"' in old.get(away.headers["Location"], headers=HTML).text


@pytest.mark.parametrize("view", ["sync", "async"])
def test_view_is_guarded_and_keeps_its_name(view: str) -> None:
    app = app_with()

    async def asynchronous() -> str:
        """Says who."""
        return str(current_user.username)

    def synchronous() -> str:
        """Says who."""
        return str(current_user.username)

    made = login_required(asynchronous if view == "async" else synchronous)
    assert made.__name__.startswith(view)
    route(app, "/who")(made)
    assert app.test_client(user="ana").get("/who").text == "ana"
    assert app.test_client().get("/who").status_code == 401


def test_login_for_everything_leaves_our_pages_out() -> None:
    oncegate = Oncegate()
    app = app_with(oncegate, a_text(), the_tokens())

    @app.before_request
    def everybody() -> Any:
        if not (current_user.is_authenticated or oncegate.owns_request):
            return oncegate.unauthorized()
        return None

    with browser(app) as client:
        assert client.get("/").headers["location"] == "/auth/?next=/"
        assert client.get("/missing").headers["location"] == "/auth/?next=/missing"
        assert client.get("/auth/static/page.css").status_code == 200
        assert client.get("/auth/session").status_code == 401
        signed_in(client)
        assert client.get("/").text == "home"


# ── bearer tokens ──


def bearer_app(sandbox: Sandbox) -> tuple[Flask, dict[str, str]]:
    app = an_app()
    web = web_at(sandbox)
    mount(app, web)
    app.config["CAUGHT"] = []

    @app.errorhandler(Unreachable)
    def catch(error: Unreachable) -> tuple[str, int]:
        app.config["CAUGHT"].append(error)
        return "", 503

    both, token_only = auth_required("session", "token"), auth_required("token")
    route(app, "/orders", methods=["GET", "POST"])(both(lambda: {"user": current_user.username}))
    route(app, "/only")(token_only(lambda: {"user": current_user.username}))
    route(app, "/write")(token_only(scopes_required("orders/write")(lambda: "written")))
    route(app, "/admin")(both(groups_required("admins")(lambda: "admin")))
    route(app, "/fresh")(token_only(fresh_login_required(-1)(lambda: "fresh")))
    client: Any = app.test_client()
    client.sign_in("ana", "Correct-horse-1", lambda: sandbox.messages()[-1].code)
    tokens: list[Any] = []
    with app.test_request_context(headers={"cookie": _cookies(client)}):
        found = current_user()
        assert found is not None
        tokens.append(found.tokens)
    return app, {
        "access": tokens[0].access_token,
        "id": tokens[0].id_token,
        "cookies": _cookies(client),
    }


def _cookies(client: Any) -> str:
    return "; ".join(f"{one.key}={one.value}" for one in client._cookies.values())


def test_token_is_accepted_and_answered_as_rfc_6750_says(sandbox: Sandbox) -> None:
    app, tokens = bearer_app(sandbox)
    client = app.test_client()
    with_token = {"authorization": f"Bearer {tokens['access']}"}
    for path in ("/orders", "/only"):
        answer = client.get(path, headers=with_token)
        assert answer.json == {"user": "ana"}
        assert "private" in answer.headers["Cache-Control"]
        nothing = client.get(path)
        assert nothing.status_code == 401
        assert nothing.headers["WWW-Authenticate"] == "Bearer"
        for wrong in (tokens["id"], tokens["access"] + "x", "x"):
            refused = client.get(
                path, headers={"authorization": f"Bearer {wrong}", "accept": "text/html"}
            )
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
            assert refused.content_type == "application/problem+json"
    refused = client.get("/write", headers=with_token)
    assert refused.status_code == 403
    assert refused.headers["WWW-Authenticate"] == (
        'Bearer error="insufficient_scope", scope="orders/write"'
    )
    assert client.get("/admin", headers=with_token).status_code == 403
    refused = client.get("/fresh", headers=with_token)
    assert "insufficient_user_authentication" in refused.headers["WWW-Authenticate"]


def test_token_decides_before_the_session_and_needs_no_origin(sandbox: Sandbox) -> None:
    app, tokens = bearer_app(sandbox)
    session_of_ana = {"cookie": tokens["cookies"]}
    elsewhere = {"origin": "https://other.example", "sec-fetch-site": "cross-site"}
    client = app.test_client(use_cookies=False)
    assert client.get("/orders", headers=session_of_ana).status_code == 200
    assert client.get("/only", headers=session_of_ana).status_code == 401
    wrong = {**session_of_ana, "authorization": "Bearer x"}
    assert client.get("/orders", headers=wrong).status_code == 401
    assert client.post("/orders", headers={**session_of_ana, **elsewhere}).status_code == 403
    own = {**session_of_ana, "sec-fetch-site": "same-origin"}
    assert client.post("/orders", headers=own).status_code == 200
    with_token = {"authorization": f"bearer {tokens['access']}", **elsewhere}
    assert client.post("/orders", headers=with_token).status_code == 200
    away = client.get("/orders", headers=HTML)
    assert away.headers["Location"] == "/auth/?next=/orders"


def test_no_variable_of_ours_holds_a_token_when_something_fails(sandbox: Sandbox) -> None:
    """Error reporters store the variables of every frame of a traceback."""
    app, tokens = bearer_app(sandbox)
    web = app.extensions["oncegate"]["oncegate"].web

    def broken() -> str:
        raise ZeroDivisionError

    app.view_functions["/only"] = auth_required("token")(broken)
    with_token = {"authorization": f"Bearer {tokens['access']}"}
    with pytest.raises(ZeroDivisionError) as raised:
        app.test_client().get("/only", headers=with_token)
    held = [value for frame in frames_of(raised.value) for value in frame.values()]
    assert any(value is broken for value in held), "frames of ours are there"

    def unreachable(_: str) -> User:
        raise Unreachable("timed out")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "bearer_user", unreachable)
        assert app.test_client().get("/only", headers=with_token).status_code == 503
    held += [value for frame in frames_of(app.config["CAUGHT"][0]) for value in frame.values()]
    assert not [value for value in held if tokens["access"] in repr(value)]


def frames_of(error: BaseException) -> list[dict[str, Any]]:
    """Return the variables of the frames of our own files."""
    return [
        dict(frame.f_locals)
        for frame, _ in walk_tb(error.__traceback__)
        if "oncegate_web/flask" in frame.f_code.co_filename
        and not frame.f_code.co_filename.endswith(
            "_wsgi.py"
        )  # has the whole request, as servers do
    ]


# ── signals ──


class Heard:
    """What receivers were told, while it lasts."""

    def __init__(self, app: Flask) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []
        self._receivers: list[Any] = []
        signals = (code_sent, user_logged_in, user_logged_out, user_login_failed)
        for signal in signals:
            self._receivers.append(self._receiver(signal.name))
            signal.connect(self._receivers[-1], sender=app)

    def _receiver(self, name: str) -> Any:
        def receive(sender: Any, **more: Any) -> None:
            assert isinstance(sender, Flask)
            assert type(sender) is not type(current_user)
            self.all.append((name, more))

        return receive

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.all]


def test_signals_are_sent_once_each_with_the_application_as_sender() -> None:
    wrong = Rejected(reason=RejectionReason.WRONG_CODE)
    app = app_with(None, a_text(username="ana"), wrong, the_tokens())
    heard = Heard(app)
    with browser(app) as client:
        visit = Visit(client)
        visit.open()
        for event, fields in (("submit_password", ANA), ("submit_code", {"code": "000000"})):
            visit.say(event, **fields)
            visit.say_again()
        form = visit.page.forms["submit-code"]
        cookies = dict(client.cookies)
        answers = []
        for _ in range(2):  # both leave before the first answer has arrived
            client.cookies.clear()
            client.cookies.update(cookies)
            answers.append(visit.post(form.action, {**form.values, "code": "123456"}))
        assert all("oncegate_session" in one.headers["set-cookie"] for one in answers)
        assert heard.names == ["code-sent", "user-login-failed", "user-logged-in"]
        assert heard.all[0][1] == {"username": "ana", "medium": "SMS", "oncegate": "oncegate"}
        assert heard.all[1][1]["code"] == "wrong_code"
        client.delete("/auth/session")
        client.delete("/auth/session")
        assert heard.names[3:] == ["user-logged-out"]


def test_receiver_finds_the_user_as_the_current_one() -> None:
    app = app_with(None, a_text(), the_tokens())
    seen: list[tuple[bool, Any]] = []

    def note(sender: Any, user: Any, **_: Any) -> None:
        seen.append((current_user.is_authenticated, user))

    with (
        user_logged_in.connected_to(note, app),
        user_logged_out.connected_to(note, app),
        browser(app) as client,
    ):
        signed_in(client)
        client.delete("/auth/session")
    assert [one[0] for one in seen] == [True, True]
    assert all(isinstance(one[1], User) for one in seen)


def test_receiver_that_raises_is_logged_and_the_user_is_signed_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = app_with(None, a_text(), the_tokens())

    def fail(sender: Any, **_: Any) -> None:
        raise ValueError("Correct-horse" + "-1")

    with user_logged_in.connected_to(fail, app), browser(app) as client:
        with caplog.at_level(logging.ERROR, "oncegate"):
            signed_in(client)
        assert client.get("/orders").status_code == 200
    assert "hook failed" in caplog.text
    assert "horse" not in caplog.text


# ── the host's own sign-out ──


def test_own_view_signs_out_and_revokes_at_cognito(
    sandbox: Sandbox, controls: httpx.Client
) -> None:
    app = an_app()
    mount(app, web_at(sandbox))
    CSRFProtect(app)
    route(app, "/orders")(login_required(lambda: {"user": current_user.username}))

    @app.get("/bye")
    def bye() -> str:
        logout_user()
        logout_user()
        return f"bye {current_user.is_authenticated}"

    client: Any = app.test_client()
    client.sign_in("ana", "Correct-horse-1", lambda: sandbox.messages()[-1].code)
    assert client.get("/orders").status_code == 200
    assert client.get("/bye").text == "bye False"
    assert client.get("/orders").status_code == 401
    assert "oncegate_session" not in _cookies(client)
    assert controls.get("/calls").json()["RevokeToken"] == 1


def test_form_in_the_applications_layout_signs_out() -> None:
    app = app_with(None, a_text(), the_tokens())
    CSRFProtect(app)
    with browser(app) as client:
        signed_in(client)
        page = client.get("/auth/sign-out")
        assert page.status_code == 200
        assert client.get("/orders").status_code == 200, "a link signs nobody out"
        away = client.post("/auth/sign-out?next=/bye", headers={"origin": "http://shop.localhost"})
        assert away.headers["location"] == "/bye"
        assert client.get("/orders").status_code == 303
    with app.test_request_context():
        assert url_for("oncegate.logout", next="/bye") == "/auth/sign-out?next=/bye"
        assert url_for("oncegate.account") == "/auth/account"
        assert url_for("oncegate.api.session") == "/auth/session"
        assert url_for("oncegate.static", filename="oncegate.js") == "/auth/static/oncegate.js"


def test_sign_out_of_managed_login_follows_that_of_the_application() -> None:
    tokens = TokenDouble()
    tokens.logout_url = lambda *_: "https://login.example/logout"  # type: ignore[method-assign]
    app = an_app()
    mount(app, web_for(transport_with(tokens)))
    app.add_url_rule("/bye", "bye", lambda: (logout_user(), redirect("/"))[1])
    app.add_url_rule("/api/bye", "script", lambda: {"go": logout_user()})
    answer = app.test_client(user="ana").get("/bye")
    assert (answer.status_code, answer.location) == (302, "https://login.example/logout")
    assert "private" in answer.headers["Cache-Control"]
    assert app.test_client(user="ana").get("/api/bye").json == {
        "go": "https://login.example/logout"
    }
    assert app.test_client().get("/bye").location == "/"


# ── outages ──


def test_outage_is_503_in_guards_templates_and_own_layout(tmp_path: Path) -> None:
    """The layout asks who is signed in on the page that says that this is not known."""
    own = tmp_path / "oncegate" / "page.html"
    own.parent.mkdir()
    own.write_text(
        '{% extends "oncegate/_page.html" %}{% block before %}'
        "[{{ current_user.is_authenticated }}]{% endblock %}"
    )
    store = FaultyStore()
    app = Flask(__name__, template_folder=str(tmp_path))
    app.secret_key = KEY
    web = web_for(transport_with(TokenDouble()), store=store)
    mount(app, web)
    route(app, "/orders")(login_required(lambda: "orders"))
    route(app, "/bare")(lambda: render_template_string("{{ current_user.username }}"))
    route(app, "/bye")(lambda: str(logout_user()))
    with browser(app, "http://localhost") as client:
        client.cookies.update(session_cookies(web, "ana"))
        assert "[True]" in client.get("/auth/").text
        store.goes_down()
        for path in ("/orders", "/bare", "/bye"):
            answer = client.get(path)
            assert answer.status_code == 503, path
            assert "retry-after" in answer.headers
            assert "[False]" in answer.text
        page = client.get("/auth/")
        assert page.status_code == 503
        assert "[False]" in page.text


# ── templates, languages, headers ──


def test_template_of_the_application_is_rendered_by_flask(tmp_path: Path) -> None:
    own = tmp_path / "oncegate" / "page.html"
    own.parent.mkdir()
    own.write_text(
        '{% extends "oncegate/_page.html" %}'
        "{% block brand %}<a href=\"{{ url_for('home') }}\">{{ shop }}{{ page.title }}</a>{% endblock %}"
    )
    app = Flask(__name__, template_folder=str(tmp_path))
    app.add_url_rule("/", "home", lambda: "home")
    app.context_processor(lambda: {"shop": "<Corner>"})
    mount(app, web_for(ScriptedTransport()))
    page = app.test_client().get("/auth/").text
    assert '<a href="/">&lt;Corner&gt;' in page
    assert 'name="password"' in page


def test_language_is_that_of_flask_babel_or_of_the_browser() -> None:
    plain = app_with()
    german = {"accept-language": "de-AT, en;q=0.5"}
    assert plain.test_client().get("/auth/", headers=german).headers["Content-Language"] == "de"

    app = app_with()
    chosen = ["de_AT"]

    def select() -> str:
        assert current_user.username in {
            "",
            "ana",
        }  # as applications do, for the user's own language
        return chosen[0]

    flask_babel.Babel(app, locale_selector=select)
    client = app.test_client(user="ana")
    english = {"accept-language": "en", **HTML}
    assert client.get("/auth/", headers=english).headers["Content-Language"] == "de"
    assert "/auth/" in app.test_client().get("/orders", headers=english).headers["Location"]
    chosen[0] = "en"
    assert client.get("/auth/", headers=german).headers["Content-Language"] == "en"


def test_language_that_depends_on_the_user_does_not_fail_in_an_outage() -> None:
    store = FaultyStore()
    app = an_app()
    web = web_for(transport_with(TokenDouble()), store=store)
    mount(app, web)
    route(app, "/orders")(login_required(lambda: "orders"))
    flask_babel.Babel(app, locale_selector=lambda: "de" if current_user.is_anonymous else "en")
    client = app.test_client(user="ana")
    store.goes_down()
    for path in ("/orders", "/auth/"):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 503
        assert answer.headers["Content-Language"] == "de"


def test_headers_of_the_strictest_host_neither_replace_ours_nor_lose() -> None:
    app = app_with()

    @app.after_request
    def strict(response: Response) -> Response:  # as Flask-Talisman does
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        response.headers["Cache-Control"] = "public, max-age=600"
        return response

    client = app.test_client()
    page = client.get("/auth/", headers=HTML)
    assert "img-src 'self' data:" in page.headers["Content-Security-Policy"]
    assert len(page.headers.getlist("Content-Security-Policy")) == 1
    assert page.headers["Cache-Control"].startswith("no-store")
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    home = client.get("/")
    assert home.headers["Content-Security-Policy"] == "default-src 'self'"
    assert home.headers["Cache-Control"] == "public, max-age=600"


# ── CSRFProtect, Flask-Limiter ──


@pytest.mark.parametrize("order", ["before", "after"])
def test_csrf_protect_leaves_pages_and_api_out_in_either_order(order: str) -> None:
    app = an_app()
    if order == "before":
        CSRFProtect(app)
    mount(app, web_for(ScriptedTransport(a_text(), the_tokens())))
    if order == "after":
        CSRFProtect(app)
    route(app, "/orders", methods=["POST"])(lambda: "ordered")
    first = app.test_client().post("/auth/flows", json={})
    assert first.status_code == 201, "the first request of a worker"
    with browser(app) as client:
        signed_in(client)
        assert client.delete("/auth/session").status_code in {200, 204}
        assert client.post("/auth/flows", json={}).status_code == 201
        assert client.post("/orders").status_code == 400


@pytest.mark.parametrize("limited", ["blueprint", "api"])
def test_limiter_answers_with_a_page_or_a_problem(limited: str) -> None:
    oncegate = Oncegate()
    app = app_with(oncegate, a_text())
    limiter = Limiter(lambda: "all", app=app, storage_uri="memory://")
    limiter.limit("2/minute", methods=["POST"])(getattr(oncegate, limited))
    statuses = [app.test_client().post("/auth/flows", json={}) for _ in range(3)]
    assert [one.status_code for one in statuses] == [201, 201, 429]
    assert statuses[2].content_type == "application/problem+json"
    assert statuses[2].get_json()["code"] == "too_many_requests"
    assert int(statuses[2].headers["Retry-After"]) > 0
    assert app.test_client().get("/auth/").status_code == 200
    if limited == "blueprint":
        with browser(app) as client:
            visit = Visit(client)
            visit.open()
            form = visit.page.forms["submit-password"]
            for _ in range(3):
                answer = visit.post(form.action, {**form.values, **ANA})
            page = client.get(answer.headers["location"])
        assert page.headers["content-type"].startswith("text/html")
        assert "too_many_requests" in answer.headers["location"]


# ── mount points ──


def test_pages_work_below_a_script_name() -> None:
    inner = app_with(None, a_text(), the_tokens())
    inner.config["APPLICATION_ROOT"] = "/shop"
    outer = an_app()
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/shop": inner})  # type: ignore[method-assign]
    with browser(outer) as client:
        away = client.get("/shop/orders?a=b")
        assert away.headers["location"] == "/shop/auth/?next=/shop/orders%3Fa%3Db"
        visit = Visit(client, away.headers["location"])
        visit.open()
        assert "/shop/auth/static/page.css" in visit.shown()
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        done = visit.post(form.action, {**form.values, "code": "123456"})
        assert done.headers["location"] == "/shop/orders?a=b"
        assert client.get("/shop/orders").json() == {"user": ""}
        assert client.get("/orders").status_code == 404


def test_sign_in_below_a_script_name_leads_to_the_applications_first_page() -> None:
    app = an_app(**_config(), APPLICATION_ROOT="/shop")
    Oncegate().init_app(app)
    with browser(DispatcherMiddleware(Flask("outer"), {"/shop": app})) as client:
        client.cookies.update(session_cookies(app.extensions["oncegate"]["oncegate"].web, "ana"))
        assert 'href="/shop/"' in client.get("/shop/auth/").text


def test_two_applications_on_one_host_share_nothing() -> None:
    first = app_with(None, a_text(), the_tokens())
    second = app_with(None, a_text(), the_tokens(), name="second")
    first.wsgi_app = DispatcherMiddleware(first.wsgi_app, {"/second": second})  # type: ignore[method-assign]
    with browser(first) as client:
        signed_in(client)
        assert client.get("/second/orders").status_code == 303
        signed_in(client, "/second/auth/")
        client.delete("/second/auth/session")
        assert client.get("/orders").status_code == 200


@pytest.mark.parametrize("kind", ["subdomain", "host"])
def test_pages_can_be_limited_to_a_subdomain_or_a_host(kind: str) -> None:
    app: Flask
    if kind == "host":
        app = Flask(__name__, host_matching=True, static_host="app.shop.localhost")
        where: dict[str, Any] = {"host": "app.shop.localhost"}
    else:
        app = Flask(__name__, subdomain_matching=True)
        app.config["SERVER_NAME"] = "shop.localhost"
        where = {"subdomain": "app"}
    app.secret_key = KEY
    Oncegate(web_for(ScriptedTransport(a_text(), the_tokens()))).init_app(app, **where)
    app.add_url_rule("/", "home", login_required(lambda: "home"), **where)
    with browser(app, "http://app.shop.localhost") as client:
        signed_in(client)
        assert client.get("/").text == "home"
        assert client.get("/auth/session").status_code == 200
    with browser(app, "http://other.shop.localhost") as client:
        assert client.get("/auth/").status_code == 404


# ── the test client ──


def test_test_client_is_signed_in_by_http_and_https() -> None:
    app = app_with()
    client = app.test_client(user="ana")
    assert client.get("/orders").json == {"user": "ana"}
    assert client.get("/orders", base_url="https://localhost").json == {"user": "ana"}
    assert app.test_client().get("/orders").status_code == 401
    app.config["SERVER_NAME"] = "shop.localhost:8000"
    assert app.test_client(user="ben").get("/orders").json == {"user": "ben"}


def test_nothing_of_a_request_outlives_it() -> None:
    app = app_with()
    seen: list[Any] = []
    app.teardown_request(lambda _: seen.append(current_user.username))
    with app.test_client(user="ana") as client:
        client.get("/orders")
        assert g.get("oncegate_visitors")
    assert set(seen) == {"ana"}
    with app.test_request_context():
        assert not current_user.is_authenticated


def test_error_of_a_view_that_catches_the_outage_is_that_of_the_store() -> None:
    store = FaultyStore()
    app = an_app()
    web = web_for(transport_with(TokenDouble()), store=store)
    mount(app, web)
    caught: list[str] = []

    @app.errorhandler(StoreUnavailable)
    def ours(error: StoreUnavailable) -> tuple[str, int]:
        caught.append(type(error).__name__)
        return "ours", 503

    route(app, "/orders")(login_required(lambda: "orders"))
    with browser(app, "http://localhost") as client:
        client.cookies.update(session_cookies(web, "ana"))
        store.goes_down()
        answer = client.get("/orders")
    assert answer.text == "ours"
    assert "content-security-policy" not in answer.headers
    assert "private" in answer.headers["cache-control"]
    assert caught


def _app_with_cart() -> Flask:
    app = app_with()

    @app.get("/cart")
    def cart() -> dict[str, Any]:
        session.setdefault("cart", "apple")
        return dict(session)

    return app


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/auth/sign-out"), ("DELETE", "/auth/session")]
)
def test_second_click_on_sign_out_empties_the_session_too(method: str, path: str) -> None:
    """A browser keeps the cookies of the last answer."""
    app = _app_with_cart()
    with browser(app) as client:
        client.cookies.update(session_cookies(app.extensions["oncegate"]["oncegate"].web, "ana"))
        client.get("/cart")
        sent = "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar)
    for _ in range(2):
        with browser(app) as client:
            headers = {"origin": "http://shop.localhost", "cookie": sent}
            answer = client.request(method, path, headers=headers)
            removed = [one for one in answer.headers.get_list("set-cookie") if "=;" in one]
            assert any(one.startswith("session=") for one in removed)


def test_visitor_who_signs_out_keeps_the_cart() -> None:
    app = _app_with_cart()
    with browser(app) as client:
        client.get("/cart")
        client.post("/auth/sign-out", headers={"origin": "http://shop.localhost"})
        assert "session" in client.cookies
