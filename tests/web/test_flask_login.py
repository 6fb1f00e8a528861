"""Flask-Login with our sessions: its guards, its user, its sign-out, its session protection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import flask_login
import httpx
import pytest
from flask import Flask, flash, get_flashed_messages, redirect, render_template_string, session
from flask_login import LoginManager, UserMixin
from flask_wtf import CSRFProtect
from pydantic import SecretStr
from tests.web.example_apps import KEY, web_at, web_for
from tests.web.outages import FaultyStore, TokenDouble, transport_with
from tests.web.pages import Visit

from oncegate import Factor, Misconfigured
from oncegate.testing import ScriptedTransport
from oncegate_sandbox import Sandbox, Seed, UserSeed
from oncegate_web import User, WebSignIn
from oncegate_web.flask import (
    Oncegate,
    current_user,
    logout_user,
    user_logged_in,
    user_logged_out,
)
from oncegate_web.flask.testing import OncegateClient

PASSWORD = "Correct-horse-1"
BASE = "http://shop.localhost"


@dataclass
class Account(UserMixin):  # type: ignore[misc]
    """A user as an application has one: with an ID of its own."""

    id: int
    username: str


class Shop:
    """An application with Flask-Login, and what its signals said."""

    def __init__(self, web: WebSignIn, *, first: str = "login_manager") -> None:
        self.web = web
        self.accounts: dict[str, Account] = {}
        self.heard: list[str] = []
        self.oncegate = Oncegate()
        self.manager = LoginManager()
        self.app = app = Flask(__name__)
        app.config.update(SECRET_KEY=KEY, TESTING=True)
        app.test_client_class = OncegateClient
        self.oncegate.user_loader(self.account_of)
        self.oncegate.use_login_manager(self.manager)
        CSRFProtect(app)
        if first == "login_manager":
            self.manager.init_app(app)
        self.oncegate.init_app(app, web=web)
        if first != "login_manager":
            self.manager.init_app(app)
        self._receivers = [self._note(name, signal) for name, signal in SIGNALS.items()]
        self._add_views()

    def account_of(self, user: User) -> Account:
        number = len(self.accounts) + 1
        return self.accounts.setdefault(user.username, Account(number, user.username))

    def _note(self, name: str, signal: Any) -> Any:
        def note(sender: Any, user: Any, **_: Any) -> None:
            self.heard.append(f"{name} {getattr(user, 'username', 'nobody')}")

        signal.connect(note, sender=self.app)
        return note

    def _add_views(self) -> None:
        app = self.app
        required, fresh = flask_login.login_required, flask_login.fresh_login_required

        def whoami() -> dict[str, Any]:
            user = flask_login.current_user
            return {"id": getattr(user, "id", None), "same": current_user == user or not user}

        def keep(thing: str) -> str:
            session["cart"] = thing
            return "kept"

        def bye() -> str:
            flask_login.logout_user()
            flash("See you")
            return f"bye {flask_login.current_user.is_authenticated}"

        app.add_url_rule("/orders", "orders", required(whoami))
        app.add_url_rule("/card", "card", fresh(lambda: "card"))
        app.add_url_rule("/", "home", whoami)
        app.add_url_rule("/keep/<thing>", "keep", keep)
        app.add_url_rule("/cart", "cart", lambda: session.get("cart", ""))
        app.add_url_rule("/bye", "bye", bye)
        app.add_url_rule("/flashed", "flashed", lambda: str(get_flashed_messages()))
        app.add_url_rule(
            "/layout",
            "layout",
            lambda: render_template_string("{{ current_user.username }}{{ csrf_token() and '' }}"),
        )


SIGNALS = {
    "ours in": user_logged_in,
    "ours out": user_logged_out,
    "theirs in": flask_login.user_logged_in,
    "theirs out": flask_login.user_logged_out,
}


@contextmanager
def browser(app: Any) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(
        transport=transport, base_url=BASE, headers={"accept": "text/html"}
    ) as client:
        yield client


def restore(client: httpx.Client, cookies: dict[str, str]) -> None:
    client.cookies.clear()
    for name, value in cookies.items():
        client.cookies.set(name, value, "shop.localhost")


def sign_in(
    client: httpx.Client,
    sandbox: Sandbox,
    username: str = "ana",
    at: str = "/auth/",
    clicks: int = 1,
) -> list[httpx.Response]:
    """Sign in by the pages, and click several times on the last one before an answer arrives."""
    visit = Visit(client, at)
    visit.open()
    visit.say("submit_password", username=username, password=PASSWORD)
    form = visit.page.forms["submit-code"]
    values = {**form.values, "code": sandbox.messages()[-1].code}
    cookies, answers = dict(client.cookies), []
    for _ in range(clicks):
        restore(client, cookies)
        answers.append(visit.post(form.action, values))
    return answers


def a_user(username: str, phone_number: str) -> UserSeed:
    return UserSeed(
        username=username,
        password=SecretStr(PASSWORD),
        phone_number=phone_number,
        mfa=(Factor.SMS,),
    )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    users = (a_user("ana", "+4915110000010"), a_user("ben", "+4915110000011"))
    with Sandbox(Seed(users=users)) as running:
        yield running


@pytest.mark.parametrize("first", ["login_manager", "oncegate"])
def test_flask_login_goes_by_our_session_in_either_order(first: str, sandbox: Sandbox) -> None:
    shop = Shop(web_at(sandbox), first=first)
    with browser(shop.app) as client:
        away = client.get("/orders")
        assert away.headers["location"] == "/auth/?next=/orders"
        assert client.get("/orders", headers={"accept": "*/*"}).status_code == 401
        (done,) = sign_in(client, sandbox, at=away.headers["location"])
        assert done.headers["location"] == "/orders"
        assert client.get("/orders").json() == {"id": 1, "same": True}
        assert client.get("/layout").text == "ana"
        assert client.get("/card").text == "card"
        assert client.get("/flashed").text == "[]", "no message of Flask-Login that is stale by now"
        assert shop.heard == ["theirs in ana", "ours in ana"]


def test_logout_user_of_flask_login_ends_the_session_at_cognito(
    sandbox: Sandbox, controls: httpx.Client
) -> None:
    shop = Shop(web_at(sandbox))
    with browser(shop.app) as client:
        sign_in(client, sandbox)
        client.get("/keep/shoes")
        cookies = dict(client.cookies)
        assert client.get("/bye").text == "bye False"
        assert controls.get("/calls").json()["RevokeToken"] == 1
        assert "oncegate_session" not in client.cookies
        assert client.get("/orders").status_code == 303
        assert client.get("/flashed").text == "['See you']"
        assert client.get("/cart").text == "shoes", "its own view decides what it forgets"
        client.get("/bye")
        assert controls.get("/calls").json()["RevokeToken"] == 1
        assert shop.heard[2:4] == ["ours out ana", "theirs out ana"] or shop.heard[2:4] == [
            "theirs out ana",
            "ours out ana",
        ]
        # A copy of both cookies opens nothing.
        restore(client, cookies)
        assert client.get("/").json()["id"] is None


def test_our_logout_user_signs_out_of_flask_login() -> None:
    shop = Shop(web_for(ScriptedTransport()))
    shop.app.add_url_rule(
        "/leave", "leave", lambda: str([logout_user(), flask_login.current_user.is_authenticated])
    )
    client = shop.app.test_client(user="ana")
    client.get("/keep/shoes")
    assert client.get("/leave").text == "[None, False]"
    assert shop.heard == ["theirs out ana", "ours out ana"]
    assert client.get("/cart").text == "shoes"
    with client.session_transaction() as stored:
        assert "_user_id" not in stored


def test_sign_out_of_the_pages_signs_out_of_flask_login(sandbox: Sandbox) -> None:
    shop = Shop(web_at(sandbox))
    with browser(shop.app) as client:
        sign_in(client, sandbox)
        client.get("/keep/shoes")
        assert client.post("/auth/sign-out", headers={"origin": BASE}).status_code == 303
        assert client.get("/").json()["id"] is None
        assert client.get("/cart").text == ""
        assert shop.heard[2:] == ["theirs out ana", "ours out ana"]


def test_two_clicks_on_the_last_page_are_one_sign_in_and_lose_nothing(sandbox: Sandbox) -> None:
    shop = Shop(web_at(sandbox))
    with browser(shop.app) as client:
        client.get("/keep/shoes")
        answers = sign_in(client, sandbox, clicks=2)
        assert shop.heard == ["theirs in ana", "ours in ana"]
        for answer in answers:  # whichever the browser keeps
            kept = dict(answer.cookies)
            with browser(shop.app) as other:
                other.cookies.update(kept)
                assert other.get("/orders").json()["id"] == 1
                assert other.get("/card").text == "card"
                assert other.get("/cart").text == "shoes"


def test_reauthentication_keeps_the_data_and_another_user_loses_it(sandbox: Sandbox) -> None:
    shop = Shop(web_at(sandbox))
    with browser(shop.app) as client:
        sign_in(client, sandbox)
        client.get("/keep/shoes")
        sign_in(client, sandbox, at="/auth/?again=1&next=/card")
        assert client.get("/cart").text == "shoes"
        assert client.get("/card").text == "card"
        assert shop.heard == ["theirs in ana", "ours in ana"] * 2
        (answer,) = sign_in(client, sandbox, "ben", at="/auth/?again=1")
        # Python's cookie jar keeps a cookie that is deleted further below in a response; browsers do not.
        cookies = answer.headers.get_list("set-cookie")
        assert [one for one in cookies if one.startswith("oncegate_session=;")] == []
        assert client.get("/cart").text == ""
        assert client.get("/").json()["id"] == 2
        assert shop.heard[-4:] == ["theirs out ana", "ours out ana", "theirs in ben", "ours in ben"]


def test_data_of_a_user_whose_session_expired_is_not_for_the_next_one(sandbox: Sandbox) -> None:
    shop = Shop(web_at(sandbox))
    with browser(shop.app) as client:
        sign_in(client, sandbox)
        client.get("/keep/shoes")
        del client.cookies["oncegate_session"]
        assert client.get("/").json()["id"] is None
        sign_in(client, sandbox, "ben")
        assert client.get("/cart").text == ""


def test_session_that_ended_elsewhere_ends_in_flask_login() -> None:
    shop = Shop(web_for(ScriptedTransport()))
    client = shop.app.test_client(user="ana")
    assert client.get("/orders").status_code == 200
    shop.web.end_sessions_of("sub-ana")
    assert client.get("/orders").status_code == 401


def test_id_of_another_user_in_flasks_session_is_replaced_with_its_data() -> None:
    shop = Shop(web_for(ScriptedTransport()))
    client = shop.app.test_client(user="ana")
    client.get("/keep/shoes")
    with client.session_transaction() as stored:
        stored["_user_id"] = "99"
    assert client.get("/orders").get_json()["id"] == 1
    assert client.get("/cart").text == ""
    assert client.get("/orders").get_json()["id"] == 1


def test_sign_out_of_managed_login_follows_logout_user() -> None:
    tokens = TokenDouble()
    tokens.logout_url = lambda *_: "https://login.example/logout"  # type: ignore[method-assign]
    shop = Shop(web_for(transport_with(tokens)))
    shop.app.add_url_rule("/go", "go", lambda: (flask_login.logout_user(), redirect("/"))[1])
    answer = shop.app.test_client(user="ana").get("/go")
    assert answer.location == "https://login.example/logout"


@pytest.mark.parametrize("protection", ["basic", "strong", None])
def test_user_stays_signed_in_when_only_flasks_session_is_lost(protection: str | None) -> None:
    """It ends with the browser; ours does not, if the user chose to stay signed in."""
    shop = Shop(web_for(ScriptedTransport()))
    shop.manager.session_protection = protection
    client = shop.app.test_client(user="ana")
    client.get("/keep/shoes")
    client.delete_cookie("session")
    assert client.get("/layout").text == "ana"
    assert client.get("/layout").text == "ana", "with a CSRF token in the session"
    assert client.get("/orders").get_json()["id"] == 1
    away = client.get("/card", headers={"accept": "text/html"})
    assert away.headers["Location"] == "/auth/?again=1&next=/card"
    assert shop.heard == []


def test_strong_protection_ends_our_session_too() -> None:
    shop = Shop(web_for(ScriptedTransport()))
    shop.app.config["SESSION_PROTECTION"] = "strong"
    client = shop.app.test_client(user="ana")
    assert client.get("/orders").status_code == 200
    stolen = client.get("/orders", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert stolen.status_code == 401
    assert client.get("/orders").status_code == 401
    assert "ours out ana" in shop.heard


def test_basic_protection_asks_for_a_fresh_login_only() -> None:
    shop = Shop(web_for(ScriptedTransport()))
    client = shop.app.test_client(user="ana")
    assert client.get("/card").text == "card"
    moved = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/orders", environ_overrides=moved).status_code == 200
    assert client.get("/card", environ_overrides=moved).status_code == 401


def test_remember_me_cookie_of_flask_login_opens_nothing_and_goes(sandbox: Sandbox) -> None:
    shop = Shop(web_at(sandbox))
    with shop.app.test_request_context():
        remembered = flask_login.encode_cookie("1")
    with browser(shop.app) as client:
        sign_in(client, sandbox)
        ours = client.cookies["oncegate_session"]
        restore(client, {"remember_token": remembered})
        assert client.get("/").json()["id"] is None
        client.cookies.set("oncegate_session", ours, "shop.localhost")
        assert client.get("/").json()["id"] == 1
        restore(client, {"remember_token": remembered})
        sign_in(client, sandbox)
        assert "remember_token" not in client.cookies
        assert client.get("/").json()["id"] == 1


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/auth/sign-out"), ("DELETE", "/auth/session")]
)
def test_remember_me_cookie_goes_with_our_own_sign_out(
    sandbox: Sandbox, method: str, path: str
) -> None:
    shop = Shop(web_at(sandbox))
    with shop.app.test_request_context():
        remembered = flask_login.encode_cookie("1")
    with browser(shop.app) as client:
        sign_in(client, sandbox)
        client.cookies.set("remember_token", remembered, "shop.localhost", "/")
        answer = client.request(method, path, headers={"origin": BASE})
        assert any(
            one.startswith("remember_token=;") for one in answer.headers.get_list("set-cookie")
        )


def test_user_whom_the_application_does_not_admit_is_told_so(sandbox: Sandbox) -> None:
    shop = Shop(web_at(sandbox))
    shop.oncegate.user_loader(lambda user: None)
    with browser(shop.app) as client:
        sign_in(client, sandbox)
        assert client.get("/orders").status_code == 403
        assert client.post("/auth/sign-out", headers={"origin": BASE}).status_code == 303
        assert client.get("/orders").status_code == 303
        assert [one for one in shop.heard if one.startswith("ours")] == []


def test_outage_is_503_for_flask_login_too() -> None:
    store = FaultyStore()
    shop = Shop(web_for(transport_with(TokenDouble()), store=store))
    shop.app.testing = False
    client = shop.app.test_client(user="ana")
    assert client.get("/orders").status_code == 200
    store.goes_down()
    for path in ("/orders", "/bye"):
        assert client.get(path).status_code == 503, path
    store.comes_back()
    assert client.get("/orders").status_code == 200
    assert shop.heard == []


def test_second_user_loader_is_refused_with_what_to_do() -> None:
    manager = LoginManager()
    manager.user_loader(lambda user_id: None)
    with pytest.raises(Misconfigured, match=r"@oncegate\.user_loader"):
        Oncegate().use_login_manager(manager)
    shop = Shop(web_for(ScriptedTransport()))
    shop.manager.user_loader(lambda user_id: None)
    with pytest.raises(Misconfigured, match=r"@oncegate\.user_loader"):
        shop.app.test_client().get("/")


def test_login_manager_without_init_app_says_what_to_do() -> None:
    oncegate, app = Oncegate(), Flask(__name__)
    oncegate.use_login_manager(LoginManager())
    oncegate.init_app(app, web=web_for(ScriptedTransport()))
    app.testing = True
    with pytest.raises(Misconfigured, match=r"login_manager.init_app\(app\)"):
        app.test_client().get("/auth/")


def test_other_application_with_the_same_objects_is_left_alone() -> None:
    """Receivers of Flask-Login's signals are for all applications of the process."""
    Shop(web_for(ScriptedTransport()))
    other, manager = Flask("other"), LoginManager()
    other.secret_key = KEY
    manager.init_app(other)
    manager.user_loader(lambda user_id: Account(int(user_id), "local"))

    @other.get("/in")
    def enter() -> str:
        flask_login.login_user(Account(7, "local"))
        return str(flask_login.current_user.id)

    other.add_url_rule("/out", "out", lambda: str(flask_login.logout_user()))
    client = other.test_client()
    assert client.get("/in").text == "7"
    assert client.get("/out").text == "True"


def test_application_with_logins_of_its_own_beside_ours_keeps_its_current_user() -> None:
    shop, manager, app = Oncegate(), LoginManager(), Flask(__name__)
    app.secret_key = KEY
    app.test_client_class = OncegateClient
    manager.init_app(app)
    manager.user_loader(lambda user_id: Account(int(user_id), "local"))
    web = web_for(ScriptedTransport())
    shop.init_app(app, web=web)
    app.add_url_rule("/", "home", lambda: render_template_string("{{ current_user.username }}"))
    app.add_url_rule("/in", "in", lambda: str(flask_login.login_user(Account(7, "local"))))
    client = app.test_client(user="ana")
    assert client.get("/").text == ""
    client.get("/in")
    assert client.get("/").text == "local"
    assert client.get("/auth/session").get_json()["username"] == "ana"
