"""`OncegateAuth`: router, dependencies, OpenAPI, `AuthenticationMiddleware`, prefixes, lifespan."""

# Annotations are evaluated here, and not text: FastAPI could not look up the names of a function in them.
import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import httpx
import pytest
from fastapi import (
    APIRouter,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    Response,
    Security,
    WebSocket,
)
from fastapi.responses import JSONResponse
from openapi_spec_validator import validate
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.websockets import WebSocketDisconnect
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import web_for
from tests.web.outages import FaultyStore
from tests.web.pages import Visit
from tests.web.starlette_client import TestClient
from tests.web.test_sessions import ScriptedTokens

from oncegate import InvalidToken, Misconfigured
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_stores import MemoryStore
from oncegate_web import User, WebSignIn
from oncegate_web.fastapi import (
    CurrentUser,
    Forbidden,
    NotSignedIn,
    OncegateAuth,
    OncegateBackend,
    current_user,
    mount,
)
from oncegate_web.fastapi._scope import Installed, Seen
from oncegate_web.http import Fields
from oncegate_web.testing import session_cookies

ORIGIN = "https://shop.example"
LIVE = "wss://shop.example/live"
FOREIGN = "https://other.example"
HTML = {"accept": "text/html"}


def token(use: str = "access", **claims: Any) -> str:
    """Return a token that `Verifier` accepts if it is an access token."""
    body = json.dumps({"token_use": use, "sub": "1", "username": "ana", **claims}).encode()
    return f"e30.{base64.urlsafe_b64encode(body).decode().rstrip('=')}."


class Verifier(ScriptedTokens):
    """Knows the tokens of `token`, without signatures."""

    def verify(self, token: str, use: str = "access") -> Any:
        super().verify(token)
        if "." not in token:  # of `the_tokens`
            return {"sub": "1", "username": "ana"}
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if claims["token_use"] != use:
            raise InvalidToken("not an access token")
        return claims


def a_web(*outcomes: Any, tokens: ScriptedTokens | None = None, **more: Any) -> WebSignIn:
    transport = ScriptedTransport(*outcomes)
    transport.token_service = tokens or Verifier()
    return web_for(transport, **more)


def an_auth(**more: Any) -> OncegateAuth:
    return OncegateAuth(a_web(**more))


def install(auth: OncegateAuth, app: FastAPI | None = None, prefix: str = "/auth") -> FastAPI:
    app = app or FastAPI()
    auth.install(app)
    app.include_router(auth.router, prefix=prefix)
    return app


def shop(auth: OncegateAuth) -> FastAPI:
    """Return a service with a route for each kind of guard."""
    app = install(auth)
    users = auth.current_user()

    @app.get("/orders", responses=auth.responses)
    async def orders(user: Annotated[User, Security(users)]) -> dict[str, str]:
        return {"user": user.username}

    @app.post("/orders")
    def order(user: Annotated[User, Security(users)]) -> dict[str, str]:
        return {"ordered by": user.username}

    @app.delete("/orders")
    def drop(user: Annotated[User, Security(users, scopes=["orders/write"])]) -> dict[str, str]:
        return {"dropped by": user.username}

    @app.get("/staff")
    def staff(
        user: Annotated[User, Security(auth.current_user(groups=["staff", "boss"]))],
    ) -> dict[str, str]:
        return {"staff": user.username}

    @app.get("/perhaps")
    def perhaps(
        user: Annotated[User | None, Security(auth.current_user(optional=True))],
    ) -> dict[str, str | None]:
        return {"user": user.username if user else None}

    @app.get("/recent")
    @app.post("/recent")
    def recent(
        user: Annotated[User, Security(auth.current_user(recent=300))],
    ) -> dict[str, str]:
        return {"user": user.username}

    @app.post("/bye")
    async def bye(request: Request, response: Response) -> dict[str, str | None]:
        return {"logout_url": await auth.end_session(request, response)}

    @app.websocket("/live")
    async def live(socket: WebSocket, user: Annotated[User, Security(users)]) -> None:
        await socket.accept()
        await socket.send_text(user.username)
        await socket.close()

    return app


@pytest.fixture
def auth() -> OncegateAuth:
    return an_auth()


@pytest.fixture
def client(auth: OncegateAuth) -> Iterator[TestClient]:
    with opened(shop(auth)) as client:
        yield client


@contextmanager
def opened(app: Any, base_url: str = ORIGIN, **more: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url=base_url, follow_redirects=False, **more) as client:
        yield client


def sign_in(client: TestClient, auth: OncegateAuth, *groups: str, **more: Any) -> None:
    client.cookies.update(session_cookies(auth.web, "ana", groups=groups, is_secure=True, **more))


def type_in(client: TestClient, first: str = "/auth/") -> list[httpx.Response]:
    """Sign ana in by the pages, with two clicks on the last one, and return the answers to them.

    The browser is what it was before the first click when the second one leaves.
    """
    visit = Visit(client, first)
    visit.open()
    visit.say("submit_password", username="ana", password="Correct-horse-1")
    form = visit.page.forms["submit-code"]
    before, answers = dict(client.cookies), []
    for _ in range(2):
        client.cookies.clear()
        client.cookies.update(before)
        answers.append(visit.post(form.action, {**form.values, "code": "123456"}))
    return answers


def refused(client: TestClient, **headers: str) -> int:
    """Return the code with which the handshake of the websocket is refused."""
    with (
        pytest.raises(WebSocketDisconnect) as found,
        client.websocket_connect(LIVE, headers=headers),
    ):
        pass
    return found.value.code


def bearer(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


# ── who is signed in ──


def test_page_in_a_browser_is_redirected_and_a_script_gets_401(client: TestClient) -> None:
    answer = client.get("/orders?a=1", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/?next=/orders%3Fa%3D1")
    for answer in (client.get("/orders"), client.post("/orders")):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_signed_in"
        assert "private" in answer.headers["cache-control"]
        assert "Cookie" in answer.headers["vary"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_form_of_a_browser_without_a_user_gets_a_page_that_leads_back(
    client: TestClient, language: str
) -> None:
    headers = {**HTML, "accept-language": language, "referer": f"{ORIGIN}/basket?a=1"}
    answer = client.post("/orders", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"]
    assert ("Sign in to continue." in answer.text) is (language == "en")
    assert 'href="/auth/?next=/basket%3Fa%3D1"' in answer.text
    elsewhere = client.post("/orders", headers={**HTML, "referer": f"{FOREIGN}/basket"})
    assert 'href="/auth/"' in elsewhere.text


def test_session_and_access_token_are_accepted(client: TestClient, auth: OncegateAuth) -> None:
    assert client.get("/orders", headers=bearer(token())).json() == {"user": "ana"}
    sign_in(client, auth)
    answer = client.get("/orders")
    assert answer.json() == {"user": "ana"}
    assert "private" in answer.headers["cache-control"]


@pytest.mark.parametrize("sent", [token("id"), "forged", ""])
@pytest.mark.parametrize("path", ["/orders", "/perhaps"])
def test_invalid_token_is_refused_even_beside_a_session(
    client: TestClient, auth: OncegateAuth, sent: str, path: str
) -> None:
    auth.web._site._sessions._tokens.invalid.add("forged")  # type: ignore[union-attr]
    auth.web._site._sessions._tokens.invalid.add("")  # type: ignore[union-attr]
    sign_in(client, auth)
    answer = client.get(path, headers={**bearer(sent), **HTML})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_user_may_be_optional(client: TestClient, auth: OncegateAuth) -> None:
    assert client.get("/perhaps").json() == {"user": None}
    sign_in(client, auth)
    assert client.get("/perhaps").json() == {"user": "ana"}


def test_user_without_the_group_is_refused(client: TestClient, auth: OncegateAuth) -> None:
    assert client.get("/staff").status_code == 401
    sign_in(client, auth, "clerks")
    answer = client.get("/staff")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert "text/html" in client.get("/staff", headers=HTML).headers["content-type"]
    sign_in(client, auth, "boss")
    assert client.get("/staff").json() == {"staff": "ana"}


def test_access_token_without_the_scope_is_refused(client: TestClient, auth: OncegateAuth) -> None:
    for headers, cookies in (
        (bearer(token(scope="orders/read")), {}),
        ({}, session_cookies(auth.web, scopes=["orders/read"], is_secure=True)),
    ):
        client.cookies.clear()
        client.cookies.update(cookies)
        answer = client.delete("/orders", headers=headers)
        assert answer.status_code == 403
        asks = 'Bearer error="insufficient_scope", scope="orders/write"'
        assert answer.headers["www-authenticate"] == asks
    client.cookies.clear()
    granted = bearer(token(scope="orders/read orders/write"))
    assert client.delete("/orders", headers=granted).json() == {"dropped by": "ana"}
    sign_in(client, auth, scopes=["orders/write"])
    assert client.delete("/orders").json() == {"dropped by": "ana"}


def test_user_who_signed_in_long_ago_signs_in_again(auth: OncegateAuth, client: TestClient) -> None:
    now = auth.web._site.now()
    sign_in(client, auth, claims={"auth_time": int(now) - 301})
    assert client.get("/recent", headers=HTML).headers["location"] == (
        "/auth/?again=1&next=/recent"
    )
    assert 'max_age="300"' in client.get("/recent").headers["www-authenticate"]
    form = client.post("/recent", headers={**HTML, "referer": f"{ORIGIN}/basket"})
    assert form.status_code == 401
    assert 'href="/auth/?again=1&amp;next=/basket"' in form.text
    assert 'max_age="300"' in form.headers["www-authenticate"]
    sign_in(client, auth, claims={"auth_time": int(now) - 299})
    assert client.get("/recent").json() == {"user": "ana"}


def test_same_arguments_return_the_same_dependency(auth: OncegateAuth) -> None:
    assert auth.current_user() is auth.current_user(optional=False, groups=[])
    assert auth.current_user(groups=["a"]) is auth.current_user(groups=("a",))
    assert auth.current_user(groups=["a"]) is not auth.current_user()
    with pytest.raises(Misconfigured, match=r"\['staff'\]"):
        auth.current_user(groups="staff")


def test_dependency_can_be_overridden(client: TestClient, auth: OncegateAuth) -> None:
    bob = User("bob", {}, the_tokens().tokens)
    app: Any = client.app
    app.dependency_overrides[auth.current_user()] = lambda: bob
    assert client.get("/orders").json() == {"user": "bob"}


def test_user_is_read_once_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = an_auth()
    app = install(auth)
    app.add_middleware(AuthenticationMiddleware, backend=OncegateBackend(auth))

    @app.get("/staff", dependencies=[Security(auth.current_user(optional=True))])
    def staff(user: Annotated[User, Security(auth.current_user(groups=["staff"]))]) -> str:
        return user.username

    reads = []
    read = auth.web._site.session

    def counted(request: Any) -> Any:
        reads.append(request)
        return read(request)

    monkeypatch.setattr(auth.web._site, "session", counted)
    with opened(app) as client:
        sign_in(client, auth, "staff")
        assert client.get("/staff").json() == "ana"
    assert len(reads) == 1


# ── other origins ──


def test_request_with_a_session_from_another_origin_changes_nothing(
    client: TestClient, auth: OncegateAuth
) -> None:
    sign_in(client, auth)
    for headers in ({"origin": FOREIGN}, {"origin": ORIGIN, "sec-fetch-site": "same-site"}):
        answer = client.post("/orders", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        assert client.get("/orders", headers=headers).status_code == 200
    for headers in ({"origin": ORIGIN}, {}):
        assert client.post("/orders", headers=headers).status_code == 200
    client.cookies.clear()
    # A token is not sent by the browser itself.
    answer = client.post("/orders", headers={"origin": FOREIGN, **bearer(token())})
    assert answer.json() == {"ordered by": "ana"}


def test_origin_of_the_settings_may_change_something() -> None:
    auth = an_auth(origins=[FOREIGN])
    with opened(shop(auth)) as client:
        sign_in(client, auth)
        headers = {"origin": FOREIGN, "sec-fetch-site": "same-site"}
        assert client.post("/orders", headers=headers).status_code == 200


def test_websocket_has_a_user_of_its_own_origin_only(
    client: TestClient, auth: OncegateAuth
) -> None:
    def live(**headers: str) -> str:
        with client.websocket_connect(LIVE, headers=headers) as socket:
            return socket.receive_text()

    assert refused(client, origin=ORIGIN) == 1008
    assert refused(client, **bearer(token("id"))) == 1008
    assert live(**bearer(token())) == "ana"
    sign_in(client, auth)
    assert live(origin=ORIGIN) == "ana"
    assert refused(client, origin=FOREIGN) == 1008


# ── log-out of the application's own ──


def test_own_log_out_ends_the_session_and_revokes_its_tokens() -> None:
    tokens = Verifier()
    auth = OncegateAuth(a_web(a_text(username="ana"), the_tokens(), tokens=tokens))
    with opened(shop(auth)) as client:
        type_in(client)
        stolen = dict(client.cookies)
        assert client.post("/bye", headers={"origin": FOREIGN}).status_code == 403
        assert client.get("/orders").status_code == 200
        answer = client.post("/bye")
        assert answer.json() == {"logout_url": None}
        assert "__Host-oncegate_session=" in answer.headers["set-cookie"]
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert len(tokens.revoked) == 1
        client.cookies.clear()
        client.cookies.update(stolen)
        assert client.get("/orders").status_code == 401
        assert client.post("/bye").status_code == 200


def test_own_log_out_says_where_managed_login_ends_its_session() -> None:
    class Managed(Verifier):
        def logout_url(self, tokens: Any, return_to: str) -> str | None:
            return f"https://login.example.com/logout?to={return_to}"

    auth = an_auth(tokens=Managed())
    with opened(shop(auth)) as client:
        sign_in(client, auth)
        there = client.post("/bye").json()["logout_url"]
        assert there == "https://login.example.com/logout?to=https://shop.example/auth/"


def test_own_log_out_during_an_outage_says_so_and_ends_nothing() -> None:
    store = FaultyStore()
    auth = an_auth(store=store)
    with opened(shop(auth)) as client:
        sign_in(client, auth)
        store.goes_down()
        answer = client.post("/bye")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert client.cookies


# ── two clicks on the last page, and hooks ──


def test_second_click_on_the_last_page_signs_in_once() -> None:
    told = []
    auth = OncegateAuth(
        a_web(
            a_text(username="ana"),
            the_tokens(),
            on_signed_in=lambda user, request: told.append(request.native.url.path),
        )
    )
    with opened(shop(auth)) as client:
        answers = type_in(client, "/auth/?next=/orders")
        assert [one.headers["location"] for one in answers] == ["/orders", "/orders"]
        assert client.get("/orders").json() == {"user": "ana"}
    assert told == ["/auth/"]


# ── refusals, and the application's own handlers ──


def test_own_handler_for_http_exceptions_comes_first(auth: OncegateAuth) -> None:
    app = shop(auth)

    @app.exception_handler(HTTPException)
    def own(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"own": error.detail}, error.status_code, error.headers)

    with opened(app) as client:
        answer = client.get("/orders")
        assert (answer.status_code, answer.json()) == (401, {"own": "sign in first"})
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "private" in answer.headers["cache-control"]
        assert client.get("/orders", headers=HTML).headers["location"] == "/auth/?next=/orders"


@pytest.mark.parametrize("handled", [401, NotSignedIn])
def test_own_handler_for_one_refusal_comes_first(auth: OncegateAuth, handled: Any) -> None:
    app = shop(auth)

    async def own(request: Request, error: Exception) -> Response:
        return PlainTextResponse("ours", 401)

    app.add_exception_handler(handled, own)
    with opened(app) as client:
        assert client.get("/orders").text == "ours"
        sign_in(client, auth)
        assert client.get("/staff").json()["code"] == "forbidden"


def test_refusals_are_http_exceptions() -> None:
    assert issubclass(NotSignedIn, HTTPException)
    assert issubclass(Forbidden, HTTPException)


@pytest.mark.parametrize("path", ["/orders", "/perhaps", "/staff"])
def test_user_that_cannot_be_determined_is_answered_with_503(path: str) -> None:
    store = FaultyStore()
    auth = an_auth(store=store)
    with opened(shop(auth)) as client:
        sign_in(client, auth, "staff")
        store.goes_down()
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert refused(client, origin=ORIGIN) == 1013


def test_token_whose_keys_are_unreachable_is_answered_with_503(
    auth: OncegateAuth, client: TestClient
) -> None:
    auth.web._site._sessions._tokens.keys_are_unreachable = True  # type: ignore[union-attr]
    answer = client.get("/orders", headers=bearer(token()))
    assert answer.status_code == 503


# ── OpenAPI ──


class Step(BaseModel):
    """A model of the application, with the name of one of ours."""

    own: int


def test_openapi_shows_both_schemes_401_and_403(auth: OncegateAuth) -> None:
    app = shop(auth)
    document = app.openapi()
    validate(document)
    schemes = document["components"]["securitySchemes"]
    assert schemes["oncegateSession"]["in"] == "cookie"
    assert schemes["oncegateSession"]["name"] == "oncegate_session"
    assert schemes["oncegateBearer"]["scheme"] == "bearer"
    orders = document["paths"]["/orders"]
    assert {name for one in orders["get"]["security"] for name in one} == {
        "oncegateSession",
        "oncegateBearer",
    }
    assert len(orders["get"]["security"]) == 2, "either one"
    assert {"401", "403", "503"} <= set(orders["get"]["responses"])
    assert "/auth/" not in document["paths"]


def test_api_is_in_the_openapi_document_of_the_application() -> None:
    auth, staff = an_auth(), an_auth(name="staff")
    app = install(staff, install(auth), prefix="/staff/auth")

    @app.get("/own")
    def own() -> Step:
        return Step(own=1)

    document = app.openapi()
    validate(document)
    schemas = document["components"]["schemas"]
    assert set(schemas["Step"]["properties"]) == {"own"}
    assert "actions" in schemas["OncegateStep"]["properties"]
    operations = [
        one["operationId"] for path in document["paths"].values() for one in path.values()
    ]
    assert len(operations) == len(set(operations))
    event = document["paths"]["/auth/flows/{id}/events"]["post"]
    sent = event["requestBody"]["content"]["application/json"]["schema"]
    assert sent == {"$ref": "#/components/schemas/OncegateEvent"}
    assert set(event["responses"]) >= {"200", "403", "404", "413", "415", "422", "429", "503"}
    assert document["paths"]["/staff/auth/session"]["get"]["operationId"] == "staff_getSession"


def without_none(schema: Any) -> Any:
    """Return a schema as FastAPI shows it, without defaults that are null."""
    if isinstance(schema, dict):
        return {key: without_none(one) for key, one in schema.items() if one is not None}
    return [without_none(one) for one in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("account", [False, True])
def test_openapi_describes_the_same_schemas_as_the_api_itself(account: bool) -> None:
    transport = CognitoTransport(pool_id="eu-west-1_aBcDeFgHi", client_id="1example")
    auth = OncegateAuth(web_for(transport, account=account))
    with opened(install(auth)) as client:
        own = client.get("/auth/openapi.json").json()
        host = client.get("/openapi.json").json()
    renamed = json.loads(
        json.dumps(own["components"]["schemas"]).replace("#/components/schemas/", "#/…/Oncegate")
    )
    found = json.loads(
        json.dumps(host["components"]["schemas"]).replace("#/components/schemas/", "#/…/")
    )
    for name, schema in renamed.items():
        shown = {key: one for key, one in found[f"Oncegate{name}"].items() if "x-" not in key}
        assert shown == without_none(schema), name
    ours = {path.removeprefix("/auth") for path in host["paths"]}
    assert ours == set(own["paths"])
    assert ("/account/events" in ours) is account
    validate(host)


def test_names_of_the_routes_make_addresses() -> None:
    auth, staff = an_auth(), an_auth(name="staff")
    app = install(staff, install(auth), prefix="/staff/auth")
    assert app.url_path_for("oncegate:login") == "/auth/"
    assert app.url_path_for("oncegate:logout") == "/auth/sign-out"
    assert app.url_path_for("oncegate:api-session") == "/auth/session"
    assert app.url_path_for("staff:login") == "/staff/auth/"


# ── AuthenticationMiddleware ──


def guarded(auth: OncegateAuth) -> Starlette:
    """Return an application of Starlette, without FastAPI."""

    @requires("authenticated", redirect="oncegate:login")
    async def orders(request: Any) -> Response:
        user = request.user
        return JSONResponse([user.display_name, user.identity, user.is_authenticated])

    @requires(["authenticated", "staff"])
    def staff(request: Any) -> Response:
        return JSONResponse(request.auth.scopes)

    @requires("orders/write")
    async def write(request: Any) -> Response:
        return JSONResponse("written")

    async def health(request: Any) -> Response:
        return PlainTextResponse(str(request.user.is_authenticated))

    app = Starlette(
        routes=[
            Mount("/auth", routes=auth.routes),
            Route("/orders", orders),
            Route("/staff", staff),
            Route("/write", write, methods=["GET", "POST"]),
            Route("/health", health),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=OncegateBackend(auth))],
        lifespan=auth.lifespan,
    )

    @requires("authenticated")
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.display_name)
        await websocket.close()

    app.router.add_websocket_route("/live", live)
    auth.install(app)
    return app


def test_authentication_middleware_knows_user_groups_and_scopes(auth: OncegateAuth) -> None:
    with opened(guarded(auth)) as client:
        answer = client.get("/orders")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("https://shop.example/auth/?next=http")
        assert client.get("/health").text == "False"
        assert client.get("/staff").status_code == 403
        sign_in(client, auth, "staff", scopes=["orders/write"], claims={"name": "Ana"})
        answer = client.get("/orders")
        assert answer.json() == ["Ana", "sub-ana", True]
        assert "private" in answer.headers["cache-control"]
        assert client.get("/staff").json() == ["authenticated", "staff", "orders/write"]
        assert client.get("/write").json() == "written"
        assert client.post("/write", headers={"origin": FOREIGN}).status_code == 403
        with client.websocket_connect(LIVE, headers={"origin": ORIGIN}) as socket:
            assert socket.receive_text() == "Ana"
        assert refused(client, origin=FOREIGN)
        client.cookies.clear()
        assert client.get("/health", headers=bearer(token())).text == "True"
        assert client.get("/health", headers=bearer(token("id"))).text == "False"


def test_redirect_of_requires_leads_back() -> None:
    """Starlette sends the whole address as ``next``."""
    auth = OncegateAuth(a_web(a_text(username="ana"), the_tokens()))
    with opened(guarded(auth), headers=HTML) as client:
        answer = type_in(client, client.get("/orders?a=1").headers["location"])[-1]
        assert answer.headers["location"] == "/orders?a=1"


def test_middleware_that_cannot_determine_the_user_answers_503() -> None:
    store = FaultyStore()
    auth = an_auth(store=store)
    with opened(guarded(auth)) as client:
        sign_in(client, auth)
        store.goes_down()
        for headers in (HTML, {}):
            answer = client.get("/orders", headers=headers)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
            assert "try again later" not in answer.text
        assert "working right now" in client.get("/auth/", headers=HTML).text
        assert client.get("/auth/static/page.css").status_code == 200
        assert client.get("/auth/openapi.json").status_code == 200, "it needs no user"


def test_static_file_depends_on_no_user(
    auth: OncegateAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(guarded(auth)) as client:
        sign_in(client, auth)
        monkeypatch.setattr(auth.web._site, "session", lambda request: pytest.fail("was read"))
        assert "private" not in client.get("/auth/static/page.css").headers["cache-control"]


def test_starlette_without_fastapi_signs_in_and_out() -> None:
    web = a_web(a_text(username="ana"), the_tokens())
    app = Starlette()
    auth = mount(app, web, prefix="/auth")
    assert app.url_path_for("oncegate:api-session") == "/auth/session"
    with opened(app, headers=HTML) as client:
        type_in(client)
        assert client.get("/auth/session").json()["username"] == "ana"
        assert client.delete("/auth/session").status_code == 204
    assert auth.web is web


# ── prefixes, sub-applications, several sign-ins ──


def _behind_stripping_proxy(app: Any, prefix: str) -> Any:
    """A proxy that strips a prefix, which the server does not know."""

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope["path"] = scope["path"].removeprefix(prefix)
        await app(scope, receive, send)

    return proxy


@pytest.mark.parametrize("way", ["--root-path", "FastAPI(root_path=)", "both", "app.mount"])
@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_application_below_a_prefix_has_the_whole_prefix_in_its_links(way: str) -> None:
    auth = an_auth()
    in_app = FastAPI(root_path="/app") if way in {"FastAPI(root_path=)", "both"} else FastAPI()
    app: Any = install(auth, in_app)

    @in_app.get("/orders")
    def orders(user: Annotated[User, Security(auth.current_user())]) -> str:
        return user.username

    root_path = ""
    if way == "app.mount":
        outer = FastAPI()
        outer.mount("/app", app)
        app = outer
    elif way == "FastAPI(root_path=)":
        app = _behind_stripping_proxy(app, "/app")
    else:
        root_path = "/app"  # uvicorn adds it to the path
    with TestClient(
        app, base_url=ORIGIN, root_path=root_path, follow_redirects=False, headers=HTML
    ) as client:
        location = client.get("/app/orders?a=1").headers["location"]
        assert location == "/app/auth/?next=/app/orders%3Fa%3D1"
        page = client.get("/app/auth/").text
        assert 'action="/app/auth/"' in page
        assert 'href="/app/auth/static/page.css?v=' in page
        sign_in(client, auth)
        assert client.get("/app/orders").json() == "ana"
        assert client.get("/app/auth/session").json()["username"] == "ana"


@pytest.mark.parametrize("installed_in", ["outer", "inner"])
def test_sub_application_has_the_user_wherever_the_router_is(installed_in: str) -> None:
    auth = an_auth()
    outer, inner = FastAPI(), FastAPI()
    outer.mount("/api", inner)
    install(auth, outer if installed_in == "outer" else inner)

    @inner.get("/orders")
    def orders(user: Annotated[User, Security(auth.current_user())]) -> str:
        return user.username

    there = "/auth" if installed_in == "outer" else "/api/auth"
    with opened(outer) as client:
        answer = client.get("/api/orders", headers=HTML)
        assert answer.headers["location"] == f"{there}/?next=/api/orders"
        assert client.get("/api/orders").json()["code"] == "not_signed_in"
        assert f'action="{there}/"' in client.get(f"{there}/", headers=HTML).text
        sign_in(client, auth)
        answer = client.get("/api/orders")
        assert answer.json() == "ana"
        assert "private" in answer.headers["cache-control"]


def test_router_may_be_in_a_router_with_a_prefix(auth: OncegateAuth) -> None:
    app, api = FastAPI(), APIRouter(prefix="/v1")
    auth.install(app)
    api.include_router(auth.router, prefix="/auth")
    app.include_router(api, prefix="/api")
    with opened(app, headers=HTML) as client:
        assert 'action="/api/v1/auth/"' in client.get("/api/v1/auth/").text
        assert client.get("/api/v1/auth/session").status_code == 401
        answer = client.get("/api/v1/auth")
        assert answer.headers["location"] == "https://shop.example/api/v1/auth/"


def test_two_sign_ins_do_not_sign_each_other_in_or_out() -> None:
    store = MemoryStore()
    customers, staff = an_auth(store=store), an_auth(store=store, name="staff")
    app = install(staff, install(customers), prefix="/staff/auth")

    @app.get("/orders")
    def orders(user: Annotated[User, Security(customers.current_user())]) -> str:
        return user.username

    @app.get("/staff/orders")
    def all_orders(user: Annotated[User, Security(staff.current_user())]) -> str:
        return user.username

    @app.get("/any")
    def anyone(user: CurrentUser) -> str:
        return user.username

    with opened(app) as client:
        client.cookies.update(session_cookies(customers.web, "ana", is_secure=True))
        assert client.get("/orders").json() == "ana"
        answer = client.get("/staff/orders", headers=HTML)
        assert answer.headers["location"] == "/staff/auth/?next=/staff/orders"
        client.cookies.update(session_cookies(staff.web, "bob", is_secure=True))
        assert client.get("/orders").json() == "ana"
        assert client.get("/staff/orders").json() == "bob"
        assert client.delete("/staff/auth/session").status_code == 204
        assert client.get("/staff/orders").status_code == 401
        assert client.get("/orders").json() == "ana"
        with pytest.raises(Misconfigured, match="several sign-ins, oncegate, staff"):
            client.get("/any")


def test_two_sign_ins_of_one_name_are_refused(auth: OncegateAuth) -> None:
    app = install(auth)
    auth.install(app)  # the same one may be installed twice
    with pytest.raises(Misconfigured, match=r'WebSignIn\(name="staff"\)'):
        an_auth().install(app)
    outer = FastAPI()
    outer.mount("/inner", app)
    install(an_auth(), outer, prefix="/outer")
    with opened(outer) as client, pytest.raises(Misconfigured, match="two sign-ins are named"):
        client.get("/inner/auth/")


# ── mistakes ──


def test_router_without_install_says_what_to_do(auth: OncegateAuth) -> None:
    app = FastAPI()
    app.include_router(auth.router, prefix="/auth")
    with pytest.raises(Misconfigured, match=r"auth\.install\(app\)"), opened(app):
        pass
    with pytest.raises(Misconfigured, match=r"auth\.install\(app\)"):
        TestClient(app, base_url=ORIGIN).get("/auth/")


@pytest.mark.parametrize("prefix", [None, ""])
def test_install_without_routes_says_what_to_do(auth: OncegateAuth, prefix: str | None) -> None:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)
    if prefix is not None:
        app.include_router(auth.router, prefix=prefix)
    with pytest.raises(Misconfigured, match=r'include_router\(auth\.router, prefix="/auth"\)'):
        opened(app).__enter__()


def test_install_in_a_running_application_says_what_to_do(auth: OncegateAuth) -> None:
    app = FastAPI()
    TestClient(app).get("/")
    with pytest.raises(Misconfigured, match="before the application's first request"):
        auth.install(app)


def test_something_else_than_a_sign_in_is_refused() -> None:
    with pytest.raises(Misconfigured, match="web_sign_in"):
        OncegateAuth("web")  # type: ignore[arg-type]


def test_dependency_that_was_not_called_is_refused(auth: OncegateAuth) -> None:
    """Otherwise each request would have a function, which looks like a user."""
    app = install(auth)
    with pytest.raises(Misconfigured, match=r"Security\(auth\.current_user\(\)\)"):

        @app.get("/orders")
        def orders(user: Annotated[User, Security(auth.current_user)]) -> None: ...


def test_router_of_fastapi_in_starlette_says_what_to_do(auth: OncegateAuth) -> None:
    app = Starlette(routes=[Mount("/auth", app=auth.router)])
    auth.install(app)
    with pytest.raises(Misconfigured, match=r"routes=auth\.routes"):
        TestClient(app, base_url=ORIGIN).get("/auth/")


def test_mounted_router_works_in_fastapi(auth: OncegateAuth) -> None:
    app = FastAPI()
    auth.install(app)
    app.mount("/auth", auth.router)
    with opened(app, headers=HTML) as client:
        assert 'action="/auth/"' in client.get("/auth/").text
        assert client.get("/auth/session").json()["code"] == "not_signed_in"


def test_guard_for_all_routes_lets_users_sign_in(auth: OncegateAuth) -> None:
    app = FastAPI(dependencies=[Security(auth.current_user())])
    install(auth, app)
    app.get("/orders")(lambda: "orders")
    with opened(app, headers=HTML) as client:
        assert client.get("/orders").headers["location"] == "/auth/?next=/orders"
        assert client.post("/auth/flows").status_code == 201
        assert client.get("/auth/").status_code == 200
        assert client.get("/auth/static/page.css").status_code == 200


def test_dependency_of_the_router_is_called_for_pages_and_api(auth: OncegateAuth) -> None:
    def limit() -> None:
        raise HTTPException(429, "slow down")

    app = FastAPI()
    auth.install(app)
    app.include_router(auth.router, prefix="/auth", dependencies=[Depends(limit)])
    with opened(app) as client:
        assert client.get("/auth/").status_code == 429
        assert client.post("/auth/flows").status_code == 429


# ── cookies, middleware, threads ──


def test_body_of_a_form_is_seen_by_the_sign_in_alone() -> None:
    """Error reporters read the body of each request before FastAPI calls the endpoint."""
    bodies: list[bytes] = []

    async def peek(request: Request) -> None:
        bodies.append(await request.body())

    auth = OncegateAuth(a_web(a_text(username="ana"), the_tokens()))
    app = FastAPI()
    auth.install(app)
    app.include_router(auth.router, prefix="/auth", dependencies=[Depends(peek)])
    with opened(app, headers=HTML) as client:
        type_in(client)
        assert client.get("/auth/session").json()["username"] == "ana"
    assert len(bodies) > 5
    assert set(bodies) == {b""}


def test_refusal_has_our_format_if_an_error_reporter_wraps_the_handlers(
    auth: OncegateAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentry replaces the handlers in the middleware by its own, which call them."""
    begin = ExceptionMiddleware.__init__

    def wrapped(handler: Any) -> Any:
        async def call(request: Any, error: Any) -> Any:
            return await handler(request, error)

        return call

    def wrapping(self: Any, *args: Any, **named: Any) -> None:
        begin(self, *args, **named)
        self._exception_handlers = {
            error: wrapped(handler) for error, handler in self._exception_handlers.items()
        }

    monkeypatch.setattr(ExceptionMiddleware, "__init__", wrapping)
    with opened(shop(auth)) as client:
        assert client.get("/orders").json()["code"] == "not_signed_in"


def test_application_never_has_the_cookies(auth: OncegateAuth) -> None:
    app = shop(auth)
    seen: list[str] = []

    async def look(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        seen.append(request.headers.get("cookie", ""))
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=look)
    app.add_middleware(AuthenticationMiddleware, backend=OncegateBackend(auth))
    with opened(app) as client:
        sign_in(client, auth)
        client.cookies.set("theme", "dark")
        for path in ("/orders", "/auth/session", "/nowhere"):
            client.get(path)
        with client.websocket_connect(LIVE, headers={"origin": ORIGIN}) as socket:
            assert socket.receive_text() == "ana"
    assert seen == ["theme=dark"] * 3


def test_strictest_middleware_around_the_sign_in() -> None:
    auth = OncegateAuth(a_web(a_text(username="ana"), the_tokens()))
    app = shop(auth)

    async def touch(request: Request, call_next: Any) -> Any:
        request.session["seen"] = request.session.get("seen", 0) + 1
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=touch)
    app.add_middleware(SessionMiddleware, secret_key="x", same_site="strict", https_only=True)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    app.add_middleware(CORSMiddleware, allow_origins=[FOREIGN], allow_credentials=True)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["shop.example"])
    app.add_middleware(HTTPSRedirectMiddleware)
    app.add_middleware(AuthenticationMiddleware, backend=OncegateBackend(auth))
    with opened(app, headers=HTML) as client:
        answer = type_in(client, client.get("/orders").headers["location"])[-1]
        assert answer.headers["location"] == "/orders"
        answer = client.get("/orders")
        assert answer.json() == {"user": "ana"}
        assert answer.headers["content-encoding"] == "gzip"
        assert "__Host-oncegate_session" in client.cookies


REQUEST = ContextVar("request", default="")


@pytest.mark.parametrize("kind", ["asgi", "base"])
def test_context_variables_of_a_middleware_reach_the_hooks(kind: str) -> None:
    told: list[tuple[str, str]] = []

    def note(user: User, request: Any) -> None:
        told.append((REQUEST.get(), threading.current_thread().name))

    auth = an_auth(on_signed_out=note)
    app = shop(auth)

    async def name(request: Request, call_next: Any) -> Any:
        REQUEST.set("r1")
        return await call_next(request)

    class Named:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            REQUEST.set("r1")
            await self.app(scope, receive, send)

    if kind == "asgi":
        app.add_middleware(Named)
    else:
        app.add_middleware(BaseHTTPMiddleware, dispatch=name)
    with opened(app) as client:
        sign_in(client, auth)
        client.post("/bye")
    ((request, thread),) = told
    assert request == "r1"
    assert thread.startswith("oncegate")


def test_waiting_store_does_not_block_the_event_loop() -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        is_slow = False

        def load(self, key: str) -> Any:
            if self.is_slow:
                entered.set()
                assert go_on.wait(10)
            return super().load(key)

    store = Slow()
    auth = an_auth(store=store)
    app = shop(auth)
    app.get("/health")(lambda: "ok")
    cookies = session_cookies(auth.web, is_secure=True)
    store.is_slow = True

    async def both() -> tuple[int, int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
            waiting = asyncio.create_task(client.get("/orders", headers={"cookie": cookie}))
            await asyncio.to_thread(entered.wait, 10)
            health = await client.get("/health")
            go_on.set()
            return health.status_code, (await waiting).status_code

    assert asyncio.run(both()) == (200, 200)


def test_lifespan_ends_the_threads_beside_that_of_the_application(auth: OncegateAuth) -> None:
    events = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[None]:
        events.append("started")
        yield
        events.append("stopped")

    app = FastAPI(lifespan=own)
    install(auth, app)
    app.get("/orders", dependencies=[Security(auth.current_user())])(lambda: "orders")

    def running() -> set[threading.Thread]:
        return {one for one in threading.enumerate() if one.name.startswith("oncegate-user")}

    before = running()
    for _ in range(2):  # an application may start again, as in tests
        with opened(app) as client:
            assert client.get("/orders").status_code == 401
            assert running() - before
        assert not running() - before
    assert events == ["started", "stopped"] * 2


def test_language_of_the_application_wins() -> None:
    def choose(connection: HTTPConnection) -> str | None:
        lang: str | None = connection.query_params.get("lang")
        return lang

    auth = OncegateAuth(a_web(), language=choose)
    with opened(install(auth), headers={**HTML, "accept-language": "en"}) as client:
        assert 'lang="de"' in client.get("/auth/?lang=de").text
        assert 'lang="en"' in client.get("/auth/").text


def test_module_level_dependency_serves_the_one_sign_in() -> None:
    app = FastAPI()
    auth = mount(app, a_web())

    @app.get("/perhaps")
    def perhaps(user: Annotated[User | None, Depends(current_user)]) -> str | None:
        return user.username if user else None

    @app.get("/orders")
    def orders(user: CurrentUser) -> str:
        return user.username

    with opened(app) as client:
        assert client.get("/perhaps").json() is None
        assert client.get("/orders").status_code == 401
        assert client.get("/orders", headers=bearer(token())).json() == "ana"
        sign_in(client, auth)
        assert client.get("/perhaps").json() == client.get("/orders").json() == "ana"


@pytest.mark.parametrize(
    ("root", "path", "seen"),
    [
        ("", "/orders", "/orders"),
        ("/app", "/app/orders", "/orders"),
        ("/app", "/orders", "/orders"),
        ("/app", "/apple", "/apple"),
        ("/app", "/app", ""),
        ("/app/", "/app/orders", "/orders"),
    ],
)
def test_path_in_the_application_is_the_one_below_the_root_path(
    auth: OncegateAuth, root: str, path: str, seen: str
) -> None:
    scope = {"path": path, "root_path": root}
    assert Seen(Installed(auth, install(auth)), scope, Fields()).path == seen
