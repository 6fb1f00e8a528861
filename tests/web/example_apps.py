"""One small application in each framework, with the same pages, for the tests to open."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import httpx
from fastapi import Request
from jinja2.bccache import Bucket, BytecodeCache
from tests.doubles import ManualClock

from oncegate.adapters import SystemClock, Transport
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore
from oncegate_web import WebSignIn

KEY = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
FRAMEWORKS = ("fastapi", "flask", "django")
DJANGO_DATABASE = "file:django?mode=memory&cache=shared"


class Compiled(BytecodeCache):
    """Templates of Flask's applications, compiled once: each application has an environment of its own."""

    def __init__(self) -> None:
        self._codes: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._codes:
            bucket.bytecode_from_string(self._codes[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


def web_for(transport: Transport, **more: Any) -> WebSignIn:
    more.setdefault("store", MemoryStore())
    more.setdefault("clock", ManualClock())
    return WebSignIn(**{"transport": transport, "keys": KEY, "listeners": [], **more})


def web_at(sandbox: Sandbox, **more: Any) -> WebSignIn:
    """Return a sign-in to a sandbox, with the system's clock."""
    transport = CognitoTransport(
        pool_id=sandbox.pool_id,
        client_id=sandbox.client_id,
        endpoint_url=sandbox.endpoint,
        auth_flow=more.pop("auth_flow", "USER_PASSWORD_AUTH"),
        acr_values=more.pop("acr_values", None),
        max_age=more.pop("max_age", None),
    )
    return web_for(transport, **{"clock": SystemClock(), **more})


def fastapi_app(web: WebSignIn) -> Any:
    from fastapi import Depends, FastAPI

    from oncegate_web.fastapi import login_required, mount

    app = FastAPI()
    mount(app, web, prefix="/auth")

    @app.get("/orders")
    def orders(user: Any = Depends(login_required)) -> dict[str, str]:  # noqa: B008
        return {"user": user.username}

    @app.post("/upload")
    async def upload(request: Request, user: Any = Depends(login_required)) -> dict[str, int]:  # noqa: B008
        return {"bytes": len(await request.body())}

    @app.get("/")
    @app.get("/login")
    @app.get("/code")
    def home() -> dict[str, str]:
        return {"page": "home"}

    return app


def flask_app(web: WebSignIn, *, csrf: bool = True) -> Any:
    from flask import Flask, request
    from flask_wtf import CSRFProtect

    from oncegate_web.flask import current_user, login_required, mount

    app = Flask(__name__)
    app.secret_key = KEY
    app.jinja_options = {"bytecode_cache": COMPILED}
    if csrf:
        CSRFProtect(app)
    mount(app, web, prefix="/auth")

    @app.get("/orders")
    @login_required
    def orders() -> dict[str, str]:
        user = current_user()
        assert user is not None
        return {"user": user.username}

    @app.post("/upload")
    @login_required
    def upload() -> dict[str, int]:
        return {"bytes": len(request.stream.read())}

    if csrf:
        app.extensions["csrf"].exempt(upload)

    @app.get("/")
    def home() -> dict[str, str]:
        return {"page": "home"}

    return app


def django_app(web: WebSignIn) -> Any:
    """Django has one project in a process, so each application replaces the last."""
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, JsonResponse
    from django.urls import clear_url_caches, path
    from django.utils.module_loading import import_string
    from django.views.decorators.csrf import csrf_exempt

    from oncegate_web.django import current_user, login_required, mount

    project = sys.modules.setdefault("example_project", ModuleType("example_project"))
    project.web = web  # type: ignore[attr-defined]
    if not settings.configured:
        settings.configure(
            DEBUG=False,
            SECRET_KEY=KEY,
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF="example_project",
            INSTALLED_APPS=["oncegate_web"],
            MIDDLEWARE=[
                "oncegate_web.django.OncegateMiddleware",
                "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware",
            ],
            TEMPLATES=[
                {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
            ],
            # For the tests of Django's own users, which add its apps: it cannot be changed later.
            DATABASES={
                "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DJANGO_DATABASE}
            },
            ONCEGATE="example_project.web",
        )
        django.setup()

    @login_required
    def orders(request: HttpRequest) -> JsonResponse:
        user = current_user(request)
        assert user is not None
        return JsonResponse({"user": user.username})

    @login_required
    def upload(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"bytes": len(request.read())})

    def home(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"page": "home"})

    project.urlpatterns = [  # type: ignore[attr-defined]
        path("auth/", mount()),
        path("orders", orders),
        path("upload", csrf_exempt(upload)),
        path("", home),
    ]
    clear_url_caches()
    assert import_string("example_project.web") is web
    return get_wsgi_application()


APPS: dict[str, Callable[[WebSignIn], Any]] = {
    "fastapi": fastapi_app,
    "flask": flask_app,
    "django": django_app,
}


@contextmanager
def client_of(
    framework: str,
    web: WebSignIn,
    base_url: str = "http://shop.localhost",
    middleware: Callable[[Any], Any] | None = None,
) -> Iterator[httpx.Client]:
    """Return an HTTP client for an application: it keeps cookies, and follows no redirects."""
    app = APPS[framework](web)
    app = middleware(app) if middleware else app
    headers = {"accept": "text/html,application/xhtml+xml", "accept-language": "en"}
    transport: Any = InLoop(app) if framework == "fastapi" else httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url=base_url, headers=headers) as client:
        yield client


class InLoop(httpx.BaseTransport):
    """A transport to an ASGI application for a synchronous client, which httpx does not have."""

    def __init__(self, app: Any) -> None:
        self._asgi = httpx.ASGITransport(app=app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._handle(request))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.read()
        )
        answer = await self._asgi.handle_async_request(asked)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)
