"""The setting ``ONCEGATE``: the sign-ins of a project, by alias, as ``CACHES`` and ``DATABASES``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.shortcuts import resolve_url
from django.utils.module_loading import import_string

from oncegate import Misconfigured
from oncegate.adapters import check_count
from oncegate_web._web import WebSignIn

if TYPE_CHECKING:
    from oncegate_web.settings import Settings

DEFAULT: Final = "default"
BRIDGE: Final = "oncegate_web.django"
_REREAD = {
    *("ONCEGATE", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "LOCALE_PATHS"),
    *("LOGIN_REDIRECT_URL", "LOGOUT_REDIRECT_URL"),
}
_EXAMPLE = 'ONCEGATE = {"default": {"POOL_ID": …, "CLIENT_ID": …, "STORE": "redis://…"}}'

_lock = RLock()
_made: dict[str, WebSignIn] = {}
_checked: tuple[object, dict[str, str | Mapping[str, Any]]] = (None, {})
"""The setting ``ONCEGATE`` that was checked last, and its entries: each request asks for them often."""


def is_bridged() -> bool:
    """Return whether Django's own users are signed in, and not only Cognito's."""
    return bool(apps.is_installed(BRIDGE))


def check_bridge() -> None:
    """Raise `Misconfigured` if the backend is configured, and its app is not.

    Users would sign in with Cognito, and no view would know them.
    """
    backends = settings.AUTHENTICATION_BACKENDS
    if not is_bridged() and any(path.startswith(f"{BRIDGE}.") for path in backends):
        raise Misconfigured(
            f"{BRIDGE!r} is not in INSTALLED_APPS, and a backend of AUTHENTICATION_BACKENDS needs it; "
            "add it, and run migrate"
        )


def where(alias: str) -> str:
    """Return how to name an entry of ``ONCEGATE`` in messages."""
    return f'ONCEGATE["{alias}"]'


def aliases() -> dict[str, str | Mapping[str, Any]]:
    """Return the entries of the setting ``ONCEGATE``, by alias.

    Raises:
        Misconfigured: it is missing, or is neither a dotted path nor such a dictionary.
    """
    global _checked
    given = getattr(settings, "ONCEGATE", None)
    before, entries = _checked
    if given is None or given is not before:
        entries = _entries(given)
        _checked = (given, entries)
    return entries


def _entries(given: object) -> dict[str, str | Mapping[str, Any]]:
    if isinstance(given, str) and given:
        return {DEFAULT: given}
    if not isinstance(given, Mapping) or not given:
        raise Misconfigured(
            f'ONCEGATE is missing: set {_EXAMPLE}, or the dotted path of a WebSignIn, "shop.signin.web"'
        )
    for alias, entry in given.items():
        if not isinstance(entry, (str, Mapping)):
            raise Misconfigured(
                f"{where(alias)} is neither a dictionary nor a dotted path: set {_EXAMPLE}"
            )
    if DEFAULT not in given:
        raise Misconfigured(f"ONCEGATE has no alias {DEFAULT!r}: set {_EXAMPLE}")
    return dict(given)


def settings_of(alias: str) -> Settings:
    """Return the settings of an alias that has a dictionary.

    Raises:
        Misconfigured: a setting is missing, unknown or invalid.
    """
    from oncegate_web.settings import settings_from  # it needs further extras

    given = _entry(alias)
    assert not isinstance(given, str)
    entry = dict(given)
    if alias != DEFAULT:
        entry.setdefault("NAME", f"oncegate-{alias}")
    return settings_from(entry, where=where(alias), others=["TRUSTED_PROXIES"])


def cookie_name(alias: str) -> str:
    """Return the name in the cookies of a sign-in, without making the sign-in."""
    made = _made.get(alias)
    if made is not None:
        return made.name
    return web_sign_in(alias).name if isinstance(_entry(alias), str) else settings_of(alias).name


def trusted_proxies(alias: str) -> int:
    """Return the number of proxies in front of the server that set X-Forwarded-For.

    Raises:
        Misconfigured: it is not a number from 0.
    """
    entry = _entry(alias)
    number = 0 if isinstance(entry, str) else entry.get("TRUSTED_PROXIES", 0)
    check_count(f"{where(alias)}: TRUSTED_PROXIES, the number of proxies in front,", number)
    return number


def web_sign_in(alias: str = DEFAULT) -> WebSignIn:
    """Return the sign-in of an alias, which is made at first use.

    Raises:
        Misconfigured: the setting is missing or invalid.
    """
    entry = _entry(alias)
    if isinstance(entry, str):
        return _prepared(_imported(alias, entry))
    with _lock:
        if alias not in _made:
            _made[alias] = _prepared(_built(alias))
        return _made[alias]


def _entry(alias: str) -> str | Mapping[str, Any]:
    found = aliases()
    if alias not in found:
        raise Misconfigured(
            f"{where(alias)} is missing: the namespace of include() is an alias of ONCEGATE, which has "
            f"{', '.join(sorted(found))}"
        )
    return found[alias]


def _imported(alias: str, path: str) -> WebSignIn:
    try:
        found = import_string(path)
    except ImportError as error:
        raise Misconfigured(f"{where(alias)}: {path!r} cannot be imported: {error}") from error
    if not isinstance(found, WebSignIn):
        raise Misconfigured(f"{where(alias)}: {path!r} is no WebSignIn")
    return found


def _built(alias: str) -> WebSignIn:
    from oncegate_web.settings import keys_from

    given = settings_of(alias)
    fallbacks = settings.SECRET_KEY_FALLBACKS
    more: dict[str, Any] = {}
    if "login_redirect" in given.model_fields_set:
        more["home"] = resolve_url(given.login_redirect)
    elif settings.is_overridden("LOGIN_REDIRECT_URL"):
        more["home"] = resolve_url(settings.LOGIN_REDIRECT_URL)
    after = given.logout_redirect or settings.LOGOUT_REDIRECT_URL
    if after:
        more["after_sign_out"] = resolve_url(after)
    if "locales" not in given.options:
        more["locales"] = [Path(folder) for folder in settings.LOCALE_PATHS]
    return given.web_sign_in(default_keys=keys_from(settings.SECRET_KEY, *fallbacks), **more)


def _prepared(made: WebSignIn) -> WebSignIn:
    from oncegate_web.django._rendering import render

    if is_bridged() or apps.is_installed("oncegate_web"):
        made.use_renderer(render)
    if is_bridged():
        made.announce_sessions()
    return made


def _forget(*, setting: str, **_: Any) -> None:
    """Read the settings again after ``override_settings`` in a test."""
    if setting in _REREAD:
        with _lock:
            _made.clear()


setting_changed.connect(_forget)
