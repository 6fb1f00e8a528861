"""System checks: each mistake of the settings and the URLs is an error, with what to do about it.

``manage.py check`` and ``runserver`` print them. ``manage.py check --deploy`` has those about HTTPS,
``manage.py check --database default`` the one about the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.db import connections
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, URLResolver, get_resolver, resolve
from django.utils.module_loading import import_string

from oncegate import OncegateError
from oncegate_web.django._aliases import (
    DEFAULT,
    aliases,
    cookie_name,
    settings_of,
    trusted_proxies,
    web_sign_in,
    where,
)

_MIDDLEWARE = "oncegate_web.django.middleware.OncegateMiddleware"
_BACKEND = "oncegate_web.django.backends.CognitoBackend"
_APPS = ("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions")
_BEFORE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)
_AFTER = "django.contrib.auth.middleware.LoginRequiredMiddleware"
_INCLUDE = 'path("accounts/", include("oncegate_web.django.urls"))'


def register() -> None:
    """Register the checks."""
    for check in (check_settings, check_apps, check_middleware, check_backend, check_urls):
        checks.register(check, "oncegate")
    checks.register(check_login_url, "oncegate")
    checks.register(check_https, Tags.security, deploy=True)
    checks.register(check_table, Tags.database)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check each entry of ``ONCEGATE``: E001, E004, E007, and W008."""
    try:
        found = aliases()
    except OncegateError as error:
        return [_error(1, str(error), "The README of oncegate_web/django has all settings.")]
    problems: list[CheckMessage] = []
    names: dict[str, list[str]] = {}
    for alias, entry in found.items():
        try:
            trusted_proxies(alias)
            web_sign_in(alias)
        except (OncegateError, NoReverseMatch) as error:
            text = str(error)
            text = text if where(alias) in text else f"{where(alias)}: {text}"
            problems.append(_error(1, text, "Correct the setting; no user can sign in until then."))
            continue
        names.setdefault(cookie_name(alias), []).append(alias)
        if isinstance(entry, Mapping):
            problems += _of_entry(alias)
    for name, same in names.items():
        if len(same) > 1:
            problems.append(
                _error(
                    7,
                    f"{' and '.join(map(where, same))} have the same cookies, named {name!r}, and sign "
                    "each other out",
                    'Set "NAME" to another name in each, or leave it out.',
                )
            )
    return problems


def _of_entry(alias: str) -> Iterator[CheckMessage]:
    given = settings_of(alias)
    if not settings.DEBUG and given.store.get_secret_value().startswith("memory:"):
        yield _error(
            4,
            f"{where(alias)}: the store is this process's memory, and DEBUG is False",
            "With two workers, users would get two codes. Set STORE to a shared store, such as "
            '"redis://localhost:6379/0" or "sqlite:///flows.db".',
        )
    if given.allow_insecure and not settings.DEBUG:
        yield _warning(
            8,
            f"{where(alias)}: ALLOW_INSECURE is True, and DEBUG is False",
            "Everybody on the network can read passwords. Serve the pages by HTTPS, and remove it.",
        )
    is_declared = settings.SECURE_PROXY_SSL_HEADER or given.secure or settings.DEBUG
    if trusted_proxies(alias) and not is_declared:
        yield _warning(
            6,
            f"{where(alias)}: TRUSTED_PROXIES says that there is a proxy, but SECURE_PROXY_SSL_HEADER "
            "is not set",
            "If the proxy ends TLS, set SECURE_PROXY_SSL_HEADER = "
            '("HTTP_X_FORWARDED_PROTO", "https"); otherwise the pages are refused as plain HTTP.',
        )


def check_apps(**_: Any) -> list[CheckMessage]:
    """Check that Django's apps are there: E005."""
    return [
        _error(5, f"{app!r} is not in INSTALLED_APPS", f"Add {app!r}; the users are stored there.")
        for app in _APPS
        if not apps.is_installed(app)
    ]


def check_middleware(**_: Any) -> list[CheckMessage]:
    """Check that the middleware is there, and its place: E002."""
    given = list(settings.MIDDLEWARE)
    places = [number for number, path in enumerate(given) if _is_ours(path)]
    if not places:
        return [
            _error(
                2,
                "OncegateMiddleware is not in MIDDLEWARE, so request.user never follows the session",
                f'Add "{_MIDDLEWARE}" after AuthenticationMiddleware.',
            )
        ]
    if len(places) > 1:
        return [_error(2, "OncegateMiddleware is in MIDDLEWARE twice", "Remove one of them.")]
    problems: list[CheckMessage] = []
    for path in _BEFORE:
        if path not in given:
            problems.append(_error(2, f"{path} is not in MIDDLEWARE", f'Add "{path}".'))
        elif given.index(path) > places[0]:
            problems.append(
                _error(2, f"OncegateMiddleware is before {path}", "Move it behind, in MIDDLEWARE.")
            )
    if _AFTER in given and given.index(_AFTER) < places[0]:
        problems.append(
            _error(
                2,
                f"OncegateMiddleware is after {_AFTER}",
                "Move it before that one, which asks for request.user first.",
            )
        )
    return problems


def _is_ours(path: str) -> bool:
    from oncegate_web.django.middleware import OncegateMiddleware

    try:
        found = import_string(path)
    except ImportError:
        return False  # Django says so itself
    return isinstance(found, type) and issubclass(found, OncegateMiddleware)


def check_backend(**_: Any) -> list[CheckMessage]:
    """Check that the backend is there: E003."""
    from oncegate_web.django.backends import CognitoBackend

    for path in settings.AUTHENTICATION_BACKENDS:
        try:
            found = import_string(path)
        except ImportError as error:
            return [_error(3, f"AUTHENTICATION_BACKENDS: {error}", "Correct the dotted path.")]
        if isinstance(found, type) and issubclass(found, CognitoBackend):
            return _of_user_model()
    return [
        _error(
            3,
            "no CognitoBackend is in AUTHENTICATION_BACKENDS, so every sign-in ends with a 403",
            f'Add "{_BACKEND}", or a subclass of it.',
        )
    ]


def _of_user_model() -> list[CheckMessage]:
    model = get_user_model()
    if hasattr(model, "set_unusable_password") and hasattr(model, "get_session_auth_hash"):
        return []
    return [
        _error(
            3,
            f"{settings.AUTH_USER_MODEL} is no subclass of AbstractBaseUser",
            "Derive the user model from django.contrib.auth.base_user.AbstractBaseUser.",
        )
    ]


def check_urls(**_: Any) -> list[CheckMessage]:
    """Check where the pages are mounted: E009."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    mounted = list(_mounts(get_resolver().url_patterns, ""))
    try:
        known = list(aliases())
    except OncegateError:
        return []  # E001
    if not mounted:
        return [_error(9, "the pages are not mounted", f"Add {_INCLUDE} to the URLs.")]
    return [*_of_namespaces(mounted, known), *_of_routes(mounted)]


def _of_namespaces(mounted: list[tuple[str, str]], known: list[str]) -> Iterator[CheckMessage]:
    for alias, number in Counter(alias for alias, _ in mounted).items():
        if number > 1:
            yield _error(
                9,
                f"oncegate_web.django.urls is included {number} times as {alias!r}",
                "Include it once. For another pool, add an alias to ONCEGATE, and "
                'namespace="ALIAS" to include().',
            )
        if alias not in known:
            yield _error(
                9,
                f"the namespace {alias!r} is no alias of ONCEGATE",
                f"Add {where(alias)}, or remove the namespace. There are {', '.join(known)}.",
            )
    for alias in known:
        if alias not in {mount for mount, _ in mounted}:
            yield _warning(
                10,
                f"{where(alias)} is not mounted",
                f'Add path("…/", include("oncegate_web.django.urls", namespace="{alias}")).',
            )


def _of_routes(mounted: list[tuple[str, str]]) -> Iterator[CheckMessage]:
    for alias, route in mounted:
        if route and not route.endswith("/"):
            yield _error(
                9,
                f"{alias!r} is mounted at {route!r}, without a slash at the end",
                f'Write path("{route}/", …): otherwise a page is at "{route}flows".',
            )


def _mounts(patterns: Iterable[Any], route: str) -> Iterator[tuple[str, str]]:
    """Yield alias and route of each place at which the pages are included."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            below = route + str(pattern.pattern)
            if pattern.app_name == "oncegate":
                name = pattern.namespace
                yield (DEFAULT if name == "oncegate" else name), below
            else:
                yield from _mounts(pattern.url_patterns, below)


def check_login_url(**_: Any) -> list[CheckMessage]:
    """Check that ``LOGIN_URL`` leads to the pages: W005."""
    if not getattr(settings, "ROOT_URLCONF", None) or callable(settings.LOGIN_URL):
        return []
    if not list(_mounts(get_resolver().url_patterns, "")):
        return []  # E009
    try:
        match = resolve(resolve_url(settings.LOGIN_URL))
    except (NoReverseMatch, Resolver404, ValueError):
        match = None
    is_page = match is not None and getattr(match.func, "is_oncegate", False)
    if is_page and match.url_name == "login":  # and no other address below the mount point
        return []
    return [
        _warning(
            5,
            f"LOGIN_URL is {str(settings.LOGIN_URL)!r}, so login_required does not lead to the pages",
            'Set LOGIN_URL = "oncegate:login".',
        )
    ]


def check_https(**_: Any) -> list[CheckMessage]:
    """Check that HTTPS is declared: W006."""
    problems: list[CheckMessage] = []
    try:
        given = {alias for alias, entry in aliases().items() if isinstance(entry, Mapping)}
        is_told = any(settings_of(alias).secure for alias in given)
    except OncegateError:
        return []  # E001
    if not (is_told or settings.SECURE_PROXY_SSL_HEADER or settings.SECURE_SSL_REDIRECT):
        problems.append(
            _warning(
                6,
                "neither SECURE_PROXY_SSL_HEADER nor SECURE_SSL_REDIRECT is set",
                "If a proxy ends TLS, the pages are refused as plain HTTP until you set "
                'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"). If the server itself '
                'has the certificate, set "SECURE": True in ONCEGATE.',
            )
        )
    if not settings.SESSION_COOKIE_SECURE:
        problems.append(
            _warning(
                6,
                "SESSION_COOKIE_SECURE is False: browsers send that cookie over plain HTTP too",
                "Set SESSION_COOKIE_SECURE = True.",
            )
        )
    return problems


def check_table(*, databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that the table of the accounts is there: W012. A warning: ``migrate`` checks too."""
    from django.db import router

    from oncegate_web.django.models import CognitoAccount

    name = router.db_for_write(CognitoAccount)
    if name not in (databases or ()):
        return []
    if CognitoAccount._meta.db_table in connections[name].introspection.table_names():
        return []
    return [
        _warning(
            12,
            f"the database {name!r} has no table of CognitoAccount, so no user can sign in",
            "Run manage.py migrate.",
        )
    ]


def _error(number: int, text: str, hint: str) -> CheckMessage:
    return Error(_sentence(text), hint=hint, id=f"oncegate.E{number:03}")


def _warning(number: int, text: str, hint: str) -> CheckMessage:
    return checks.Warning(_sentence(text), hint=hint, id=f"oncegate.W{number:03}")


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."
