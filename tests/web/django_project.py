"""A Django project with ``django.contrib.auth``, in the process of the tests.

Django has one project in a process, so this one overrides the settings of `django_app`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from tests.doubles import a_text
from tests.web.example_apps import django_app, web_for
from tests.web.outages import TokenDouble, transport_with
from tests.web.pages import Visit

from oncegate import Tokens
from oncegate.adapters import TokensIssued
from oncegate_web import WebSignIn

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}
POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "oncegate_web.django.middleware.OncegateMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
OPEN = [one for one in MIDDLEWARE if "LoginRequired" not in one]
SETTINGS: dict[str, Any] = {
    "INSTALLED_APPS": [
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "oncegate_web.django",
    ],
    "MIDDLEWARE": MIDDLEWARE,
    "AUTHENTICATION_BACKENDS": [
        "django.contrib.auth.backends.ModelBackend",
        "oncegate_web.django.backends.CognitoBackend",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    "LOGIN_URL": "oncegate:login",
    "ONCEGATE": {"default": "example_project.web"},
}


def mails_to_admins() -> dict[str, Any]:
    """Return the settings with which Django keeps emails to the admins in ``mail.outbox``."""
    import django

    backend, address = "django.core.mail.backends.locmem.EmailBackend", "a@example.com"
    if django.VERSION < (6, 1):
        return {"EMAIL_BACKEND": backend, "ADMINS": [("a", address)]}
    return {"MAILERS": {"default": {"BACKEND": backend}}, "ADMINS": [address]}


class Project:
    """The project, and what its receivers were told."""

    def __init__(self) -> None:
        self.app: Any = None
        self.told: list[tuple[str, Any]] = []

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    @contextmanager
    def browser(self, base_url: str = "http://shop.localhost") -> Iterator[httpx.Client]:
        headers = {"accept": "text/html", "accept-language": "en"}
        transport = httpx.WSGITransport(app=self.app)
        with httpx.Client(transport=transport, base_url=base_url, headers=headers) as client:
            yield client


@contextmanager
def project_of(
    *webs: WebSignIn, urls: Callable[[], list[Any]], **overrides: Any
) -> Iterator[Project]:
    """Run the project: each sign-in is ``example_project.web``, ``example_project.web2``, …

    Args:
        *webs: the sign-ins.
        urls: returns the URL patterns; is called once the apps are loaded.
        **overrides: settings.
    """
    from django.core.cache import cache
    from django.core.wsgi import get_wsgi_application
    from django.db import connections
    from django.test import override_settings
    from django.urls import clear_url_caches

    django_app(webs[0])
    project: Any = sys.modules["example_project"]
    for number, web in enumerate(webs[1:], start=2):
        setattr(project, f"web{number}", web)
    cache.clear()
    made = Project()
    with ExitStack() as stack:
        stack.callback(connections.close_all)
        stack.enter_context(_closing_connections_of_threads())
        stack.enter_context(override_settings(**{**SETTINGS, **overrides}))
        _migrate()
        project.urlpatterns = urls()
        clear_url_caches()
        stack.enter_context(_told(made))
        made.app = get_wsgi_application()
        yield made


@contextmanager
def _closing_connections_of_threads() -> Iterator[None]:
    """Close the connections of other threads, such as those of async views.

    Django leaves connections to a database in memory open. Python 3.13 warns about them.
    """
    from django.db import connections
    from django.db.backends.signals import connection_created

    made: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        made.append(connection)

    connection_created.connect(note)
    try:
        yield
    finally:
        connection_created.disconnect(note)
        for one in made:
            if one is not connections[one.alias] and one.connection is not None:
                one.connection.close()


def _migrate() -> None:
    """Make the tables, once in a process, and empty those that tests write."""
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.models import Session
    from django.core.management import call_command
    from django.db import connection

    if Session._meta.db_table not in connection.introspection.table_names():
        call_command("migrate", verbosity=0, skip_checks=True)
    for model in (User, Group, Session):
        model.objects.all().delete()


@contextmanager
def _told(project: Project) -> Iterator[None]:
    from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

    from oncegate_web.django.signals import code_sent, session_ended

    signals = {
        "in": user_logged_in,
        "out": user_logged_out,
        "failed": user_login_failed,
        "code": code_sent,
        "ended": session_ended,
    }

    def receiver(name: str) -> Any:
        def receive(**given: Any) -> None:
            user = given.get("user") or given.get("credentials") or given.get("medium")
            project.told.append((name, user))

        return receive

    connected = {name: receiver(name) for name in signals}
    for name, signal in signals.items():
        signal.connect(connected[name], weak=False)
    try:
        yield
    finally:
        for name, signal in signals.items():
            signal.disconnect(connected[name])


def token_of(username: str) -> Tokens:
    return Tokens(
        access_token=f"access {username}", id_token=f"id {username}", refresh_token="refresh"
    )


def issued(username: str = "ana") -> TokensIssued:
    return TokensIssued(tokens=token_of(username))


class Pool(TokenDouble):
    """The token service of a pool, with claims for any username."""

    def __init__(self, **claims: Any) -> None:
        super().__init__()
        self.claims = claims
        self.verifies = self._verify

    def _verify(self, token: str) -> dict[str, Any]:
        use, _, username = token.partition(" ")
        common = {"sub": f"sub-{username}", "iss": POOL, "auth_time": 1_700_000_000}
        if use == "access":
            return {**common, "token_use": "access", "username": username}
        found = {**common, "token_use": "id", "cognito:username": username}
        return {
            **found,
            "email": f"{username}@example.com",
            "email_verified": True,
            "given_name": username.title(),
            **self.claims,
        }


def web_of(*usernames: str, pool: Pool | None = None, **more: Any) -> WebSignIn:
    """Return a sign-in of users who get a text each."""
    outcomes = [one for name in usernames for one in (a_text(), issued(name))]
    return web_for(transport_with(pool or Pool(), *outcomes), **more)


Form = tuple[str, dict[str, str]]


def at_code(client: httpx.Client, at: str = "/auth/", username: str = "ana") -> Form:
    """Go as far as the code, and return the filled form of the last page."""
    visit = Visit(client, at)
    visit.open()
    visit.say("submit_password", username=username, password="Correct-horse-1")
    form = visit.page.forms["submit-code"]
    return form.action, {**form.values, **CODE}


def click(client: httpx.Client, form: Form) -> httpx.Response:
    """Post a form."""
    return Visit(client).post(*form)


def sign_in(client: httpx.Client, at: str = "/auth/", username: str = "ana") -> httpx.Response:
    """Sign a user in by the pages, and return the answer to the code."""
    return click(client, at_code(client, at, username))
