"""``manage.py check``: each mistake of settings and URLs has an error with its cure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.web.django_project import MIDDLEWARE, SETTINGS, Project, project_of, web_of
from tests.web.test_django import shop_urls

from oncegate import Misconfigured

OURS = "oncegate_web.django.middleware.OncegateMiddleware"
POOL: dict[str, Any] = {
    "POOL_ID": "eu-west-1_aBcDeFgHi",
    "CLIENT_ID": "1abcdefghijklmnopqrstuvwx",
    "STORE": "memory://",
}


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with project_of(web_of("ana"), urls=shop_urls) as running:
        yield running


def found(deploy: bool = False, **overrides: Any) -> list[Any]:
    from django.core.checks import run_checks
    from django.test import override_settings

    with override_settings(**{"DEBUG": True, **overrides}):
        return [
            one
            for one in run_checks(include_deployment_checks=deploy)
            if str(one.id).startswith("oncegate.")
        ]


def ids(messages: list[Any]) -> list[str]:
    return sorted(one.id.removeprefix("oncegate.") for one in messages)


def test_right_settings_have_no_finding(project: Project) -> None:
    assert found() == []
    assert found(ONCEGATE={"default": POOL}) == []
    assert found(ONCEGATE="example_project.web") == []


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (None, "ONCEGATE is missing"),
        ({}, "ONCEGATE is missing"),
        (POOL, "no alias 'default'"),
        ({"default": 1}, "neither a dictionary nor a dotted path"),
        ({"eu": POOL}, "no alias 'default'"),
        ({"default": "shop.nowhere.web"}, "'shop.nowhere.web' cannot be imported"),
        ({"default": "tests.web.django_project.ANA"}, "is no WebSignIn"),
        ({"default": {**POOL, "POOL": 1}}, 'ONCEGATE["default"]: POOL is no setting'),
        ({"default": {**POOL, "POOL_ID": ""}}, "POOL_ID is empty"),
        ({"default": {k: POOL[k] for k in ("POOL_ID", "STORE")}}, "CLIENT_ID is missing"),
        ({"default": {**POOL, "STORE": "memroy://"}}, 'ONCEGATE["default"]: no store'),
        ({"default": {**POOL, "AUTH_FLOW": "PASSWORD"}}, "AUTH_FLOW is wrong"),
        ({"default": {**POOL, "TRUSTED_PROXIES": "one"}}, "TRUSTED_PROXIES"),
        (
            {"default": {**POOL, "TRUSTED_PROXY": 1}},
            "TRUSTED_PROXY is no setting (did you mean TRUSTED_PROXIES?)",
        ),
        ({"default": {**POOL, "LOGIN_REDIRECT": "no-such-name"}}, "no-such-name"),
        ({"default": {**POOL, "OPTIONS": {"brnd": 1}}}, "brnd"),
        ({"default": {**POOL, "IDENTIFIER": "mail"}}, "IDENTIFIER is wrong"),
        ({"default": POOL, "eu/1": POOL}, "name must be"),
    ],
)
def test_wrong_setting_is_an_error_that_names_it(project: Project, setting: Any, says: str) -> None:
    messages = [one for one in found(ONCEGATE=setting) if one.id == "oncegate.E001"]
    assert len(messages) == 1
    assert says in messages[0].msg
    assert messages[0].hint


def test_secret_key_is_in_no_message(project: Project) -> None:
    pool = {**POOL, "CLIENT_SECRET": ["planted-secret"], "STORE": 5, "KEYS": "planted-short"}
    text = repr(found(ONCEGATE={"default": pool}))
    assert "CLIENT_SECRET" in text
    assert "planted" not in text


def test_missing_and_misplaced_middleware_is_an_error(project: Project) -> None:
    without = [one for one in MIDDLEWARE if one != OURS]
    session, auth = (
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    )
    assert ids(found(MIDDLEWARE=without)) == ["E002"]
    assert ids(found(MIDDLEWARE=[OURS, *without])) == ["E002", "E002"]  # before both
    assert ids(found(MIDDLEWARE=[*without, OURS])) == ["E002"]  # after LoginRequiredMiddleware
    assert ids(found(MIDDLEWARE=[*MIDDLEWARE, OURS])) == ["E002"]
    assert ids(found(MIDDLEWARE=[one for one in MIDDLEWARE if one != auth])) == ["E002"]
    assert ids(found(MIDDLEWARE=[one for one in MIDDLEWARE if one != session])) == ["E002"]
    short = [one.replace(".middleware.Once", ".Once") for one in MIDDLEWARE]
    assert found(MIDDLEWARE=short) == []


def test_misplaced_middleware_says_so_at_run_time(project: Project) -> None:
    from django.core.exceptions import ImproperlyConfigured
    from django.test import Client, override_settings

    with (
        override_settings(MIDDLEWARE=[OURS]),
        pytest.raises(ImproperlyConfigured, match="after"),
    ):
        Client(headers={"host": "localhost"}).get("/who")


def test_missing_backend_is_an_error(project: Project) -> None:
    assert ids(found(AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"])) == [
        "E003"
    ]
    assert ids(found(AUTHENTICATION_BACKENDS=["shop.nowhere.Backend"])) == ["E003"]
    assert found(AUTHENTICATION_BACKENDS=["tests.web.django_backends.StaffBackend"]) == []


def test_memory_as_the_store_in_production_is_an_error(project: Project) -> None:
    assert ids(found(ONCEGATE={"default": POOL}, DEBUG=False)) == ["E004"]
    assert found(ONCEGATE={"default": {**POOL, "STORE": "redis://localhost"}}, DEBUG=False) == []


def test_missing_app_of_django_is_an_error(project: Project) -> None:
    apps = [one for one in SETTINGS["INSTALLED_APPS"] if one != "django.contrib.sessions"]
    assert ids(found(INSTALLED_APPS=apps)) == ["E005"]


def test_two_aliases_with_one_cookie_name_are_an_error(project: Project) -> None:
    both = {"default": POOL, "eu": {**POOL, "NAME": "oncegate"}}
    assert "E007" in ids(found(ONCEGATE=both))
    assert "E007" not in ids(found(ONCEGATE={**both, "eu": POOL}))


def test_proxies_and_plain_http_are_warned_of(project: Project) -> None:
    proxied = {"default": {**POOL, "TRUSTED_PROXIES": 1}}
    assert ids(found(ONCEGATE=proxied)) == []  # a development server
    shared = {"STORE": "redis://localhost"}
    proxied["default"] |= shared
    assert ids(found(ONCEGATE=proxied, DEBUG=False)) == ["W006"]
    header = ("HTTP_X_FORWARDED_PROTO", "https")
    assert found(ONCEGATE=proxied, DEBUG=False, SECURE_PROXY_SSL_HEADER=header) == []
    insecure = {"default": {**POOL, **shared, "ALLOW_INSECURE": True}}
    assert ids(found(ONCEGATE=insecure, DEBUG=False)) == ["W008"]
    secure = {"default": {**POOL, **shared, "SECURE": True}}
    assert ids(found(ONCEGATE=secure, deploy=True)) == ["W006"]  # the session's cookie
    assert found(ONCEGATE=secure, deploy=True, SESSION_COOKIE_SECURE=True) == []
    plain = {"default": {**POOL, **shared}}
    assert ids(found(ONCEGATE=plain, deploy=True, SESSION_COOKIE_SECURE=True)) == ["W006"]


def test_login_url_elsewhere_is_warned_of(project: Project) -> None:
    assert ids(found(LOGIN_URL="/accounts/login/")) == ["W005"]
    assert ids(found(LOGIN_URL="login")) == ["W005"]
    assert found(LOGIN_URL="/auth/") == []


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([], ["E009"]),
        ([("auth/", None), ("sign-in/", None)], ["E009"]),
        ([("auth/", None), ("eu/", "eu")], ["E009"]),
        ([("auth", None)], ["E009"]),
        ([("auth/", None)], []),
        ([("<slug:tenant>/auth/", None)], ["W005"]),
    ],
)
def test_wrong_urls_are_errors(
    project: Project, mounts: list[Any], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.urls import clear_url_caches, include, path

    patterns = [
        path(at, include("oncegate_web.django.urls", namespace=namespace))
        for at, namespace in mounts
    ]
    monkeypatch.setattr(sys.modules["example_project"], "urlpatterns", patterns)
    clear_url_caches()
    try:
        assert ids(found()) == expected
    finally:
        monkeypatch.undo()
        clear_url_caches()


def test_alias_without_a_mount_is_warned_of(project: Project) -> None:
    assert ids(found(ONCEGATE={"default": POOL, "eu": POOL})) == ["W010"]


def test_missing_table_is_warned_of(project: Project) -> None:
    from django.core.checks import run_checks
    from django.db import connection

    from oncegate_web.django.models import CognitoAccount

    def of_database() -> list[Any]:
        return [
            one
            for one in run_checks(tags=["database"], databases=["default"])
            if str(one.id).startswith("oncegate.")
        ]

    assert of_database() == []
    with connection.schema_editor() as editor:
        editor.delete_model(CognitoAccount)
    try:
        assert ids(of_database()) == ["W012"]
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(CognitoAccount)


def test_settings_are_read_again_after_override_settings(project: Project) -> None:
    from django.test import override_settings

    from oncegate_web.django import web_sign_in as web

    with override_settings(ONCEGATE={"default": POOL}):
        first = web()
        assert web() is first
        with override_settings(ONCEGATE={"default": {**POOL, "NAME": "other"}}):
            assert web().name == "other"
        assert web().name == "oncegate"
    with override_settings(ONCEGATE={"default": POOL, "eu": POOL}):
        assert web("eu").name == "oncegate-eu"


@pytest.mark.slow
def test_manage_py_check_fails_without_the_setting() -> None:
    """As a newcomer sees it: a process of its own, an app and nothing else."""
    program = (
        "import sys; from django.conf import settings; settings.configure(SECRET_KEY='x' * 50,"
        " INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes',"
        " 'django.contrib.sessions', 'oncegate_web.django']);"
        " from django.core.management import execute_from_command_line as run;"
        " run(['manage.py', 'check'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 1
    for code in ("E001", "E002", "E003"):
        assert f"oncegate.{code}" in done.stderr


def test_login_url_below_the_pages_that_is_no_page_is_warned_of(project: Project) -> None:
    """Django's default is such a one if the pages are at ``accounts/``."""
    assert ids(found(LOGIN_URL="/auth/login/")) == ["W005"]
    assert ids(found(LOGIN_URL="/auth/sign-out")) == ["W005"]
    assert found(LOGIN_URL="oncegate:login") == []


def test_account_page_has_a_name(project: Project) -> None:
    from django.urls import reverse

    assert reverse("oncegate:account") == "/auth/account"


def test_backend_without_its_app_is_an_error_at_start(project: Project) -> None:
    """Django's checks of the app do not run then: users would sign in, and no view would know them."""
    from django.test import override_settings

    from oncegate_web.django.middleware import OncegateMiddleware

    apps = [one for one in SETTINGS["INSTALLED_APPS"] if one != "oncegate_web.django"]
    with override_settings(INSTALLED_APPS=apps):
        with pytest.raises(Misconfigured, match=r"'oncegate_web\.django' is not in INSTALLED_APPS"):
            OncegateMiddleware(lambda _: None)
        with override_settings(
            AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"]
        ):
            OncegateMiddleware(lambda _: None)
