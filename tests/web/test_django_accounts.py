"""`CognitoBackend`: accounts, hooks, races, and what bearer tokens must not change."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.web.django_project import POOL, Pool, Project, project_of, sign_in, token_of, web_of
from tests.web.test_django import shop_urls

from oncegate_web import User

KEY = {"issuer": "eu-west-1_aBcDeFgHi", "subject": "sub-ana"}


@pytest.fixture
def project() -> Iterator[Project]:
    with project_of(web_of("ana"), urls=shop_urls) as running:
        yield running


def cognito_user(
    username: str = "ana", use: str = "id", groups: list[str] | None = None, **claims: Any
) -> User:
    more = {"cognito:groups": groups} if groups else {}
    found = Pool(**claims, **more).verifies(f"{use} {username}")
    return User(username=username, claims=found, tokens=token_of(username))


def authenticated(user: User, backend: str = "") -> Any:
    from django.contrib.auth import authenticate
    from django.test import override_settings

    path = f"tests.web.django_backends.{backend}" if backend else ""
    backends = [path or "oncegate_web.django.backends.CognitoBackend"]
    with override_settings(AUTHENTICATION_BACKENDS=backends):
        return authenticate(None, cognito_user=user)


def test_account_is_found_by_pool_and_sub(project: Project) -> None:
    from oncegate_web.django.models import CognitoAccount

    first = authenticated(cognito_user())
    assert authenticated(cognito_user(email="new@example.com")) == first
    again = authenticated(
        cognito_user(iss="https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi")
    )
    assert again == first
    assert CognitoAccount.objects.get(**KEY).user == first
    elsewhere = authenticated(cognito_user(iss=f"{POOL}2"))
    assert elsewhere != first
    assert elsewhere.get_username() == "sub-ana"  # the name is taken
    assert not first.has_usable_password()


def test_same_address_of_another_account_is_another_user(project: Project) -> None:
    from django.contrib.auth.models import User as DjangoUser

    boss = DjangoUser.objects.create_user("boss", email="ana@example.com")
    assert authenticated(cognito_user()) != boss


@pytest.mark.parametrize(("verified", "is_boss"), [(True, True), (False, False)])
def test_hook_connects_an_existing_user(project: Project, verified: bool, is_boss: bool) -> None:
    from django.contrib.auth.models import User as DjangoUser

    boss = DjangoUser.objects.create_user("boss", email="ana@example.com")
    user = cognito_user(email_verified=verified)
    assert (authenticated(user, "ByAddressBackend") == boss) is is_boss
    boss.refresh_from_db()
    assert (boss.first_name == "Ana") is is_boss


def test_hook_that_finds_two_users_refuses(project: Project, caplog: Any) -> None:
    from django.contrib.auth.models import User as DjangoUser

    for name in ("boss", "boss2"):
        DjangoUser.objects.create_user(name, email="ana@example.com")
    assert authenticated(cognito_user(), "ByAddressBackend") is None
    assert "more than one user" in caplog.text
    assert "ana@example.com" not in caplog.text


def test_address_that_is_not_verified_is_not_copied(project: Project) -> None:
    assert authenticated(cognito_user(email_verified=False)).email == ""


def test_claims_are_copied_at_each_sign_in_and_by_no_bearer_token(project: Project) -> None:
    user = authenticated(cognito_user())
    assert (user.email, user.first_name) == ("ana@example.com", "Ana")
    authenticated(cognito_user(email="new@example.com"))
    authenticated(cognito_user(use="access"))
    user.refresh_from_db()
    assert (user.email, user.first_name) == ("new@example.com", "Ana")
    ben = authenticated(cognito_user("ben", use="access"))
    assert (ben.get_username(), ben.email) == ("ben", "")


def test_groups_reach_django_by_the_hook_only(project: Project) -> None:
    from django.contrib.auth.models import Group

    Group.objects.create(name="editors")
    user = cognito_user(groups=["staff", "editors", "unknown"])
    plain = authenticated(user)
    assert (plain.is_staff, plain.groups.count()) == (False, 0)
    mapped = authenticated(user, "StaffBackend")
    assert (mapped.is_staff, [one.name for one in mapped.groups.all()]) == (True, ["editors"])
    authenticated(cognito_user(use="access"), "StaffBackend")  # a token without groups
    mapped.refresh_from_db()
    assert mapped.is_staff


def test_two_workers_create_one_user(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib.auth.models import User as DjangoUser

    from oncegate_web.django.backends import CognitoBackend

    looked_up: list[Any] = []
    was = CognitoBackend._account

    def late(self: Any, key: dict[str, str]) -> Any:
        found = was(self, key)
        if not looked_up:
            looked_up.append(key)
            authenticated(cognito_user())  # the other worker, between look-up and creation
        return found

    monkeypatch.setattr(CognitoBackend, "_account", late)
    user = authenticated(cognito_user())
    assert user is not None
    assert DjangoUser.objects.count() == 1


def test_two_requests_that_lock_each_other_out_sign_one_user_in(project: Project) -> None:
    from django.contrib.auth.models import User as DjangoUser
    from django.db import connection
    from tests.web.django_backends import MeetingBackend

    backend = MeetingBackend()

    def sign_in_once(_: int) -> Any:
        try:
            return backend.authenticate(None, cognito_user=cognito_user())
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(sign_in_once, range(2))
    assert backend.locked_out, "neither was rolled back"
    assert one == other == DjangoUser.objects.get()


@pytest.mark.parametrize(("seconds", "tries"), [(60, 5), (0, 1)])
def test_database_that_stays_locked_fails_the_sign_in_after_some_tries_or_one_long_wait(
    project: Project, monkeypatch: pytest.MonkeyPatch, seconds: float, tries: int
) -> None:
    from django.db import OperationalError

    from oncegate_web.django import backends

    tried = []

    def locked(_: Any, claims: Any) -> None:
        tried.append(claims)
        raise OperationalError("database is locked")

    monkeypatch.setattr(backends, "_RETRY_WITHIN", seconds)
    monkeypatch.setattr(backends.CognitoBackend, "create_user", locked)
    with pytest.raises(OperationalError):
        authenticated(cognito_user())
    assert len(tried) == tries


def test_user_without_verified_claims_is_refused_with_a_reason(
    project: Project, caplog: Any
) -> None:
    assert authenticated(User(username="", claims={}, tokens=token_of("ana"))) is None
    assert "token service" in caplog.text


def test_missing_table_is_logged_with_the_cure(caplog: Any) -> None:
    from django.db import connection

    from oncegate_web.django.models import CognitoAccount

    with project_of(web_of("ana"), urls=shop_urls) as project, project.browser() as client:
        with connection.schema_editor() as editor:
            editor.delete_model(CognitoAccount)
        try:
            answer = sign_in(client)
        finally:
            with connection.schema_editor() as editor:
                editor.create_model(CognitoAccount)
        assert answer.status_code == 500
    assert "manage.py migrate" in caplog.text


def test_migrations_are_complete(project: Project) -> None:
    from django.core.management import call_command

    said = io.StringIO()
    call_command("makemigrations", "oncegate", check=True, dry_run=True, stdout=said)
    assert "No changes" in said.getvalue()
