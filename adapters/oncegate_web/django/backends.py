"""`CognitoBackend`: which user of Django a user of a pool is. Override its methods to change it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    router,
    transaction,
)
from django.db.models import QuerySet
from django.http import HttpRequest

from oncegate.adapters import logger
from oncegate_web._user import User
from oncegate_web.django.models import CognitoAccount

_POOL_ID = re.compile(r"[\w-]+_[0-9A-Za-z]+")
_NAMES = {"given_name": "first_name", "family_name": "last_name"}

_TRIES = 5
"""Times that a new user is created if the database rolls it back for another request's sake."""

_RETRY_WITHIN = 5.0
"""Seconds after which it is not tried again: a locked file of SQLite is waited for 5 s each time."""

Claims = Mapping[str, Any]


class CognitoBackend(ModelBackend):  # type: ignore[misc]
    """Finds or creates the user of Django for a user who has signed in at Cognito.

    Users are found by pool and ``sub``, never by email address: every caller can sign up with
    any address.
    Permissions are those of Django, as in ``ModelBackend``. Users who are not active are refused.

    To change a rule, override a method, and name the subclass in ``AUTHENTICATION_BACKENDS``. ``claims``
    are those of the ID token, whose signature was verified. A program that sends a bearer token has an
    access token only: then ``claims["token_use"]`` is ``"access"``, and there is no name and no address.
    """

    def authenticate(
        self,
        request: HttpRequest | None,  # noqa: ARG002 - for subclasses
        cognito_user: User | None = None,
        **_: Any,
    ) -> Any | None:
        """Return the user of Django, or None to refuse.

        Args:
            request: the request, if there is one.
            cognito_user: the user of the pool.
            **_: what other backends take, and ``username`` for the receivers of ``user_login_failed``.
        """
        if cognito_user is None:
            return None
        if not cognito_user.sub:
            logger().error(
                "user refused",
                reason="the session has no verified claims",
                cure="use a transport with a token service, such as CognitoTransport",
            )
            return None
        if not self.verify_claims(cognito_user.claims):
            return None
        try:
            user = self._find_or_create(cognito_user.claims)
        except (OperationalError, ProgrammingError):
            logger().error(
                "account not read",
                reason="the database failed, or it has no table of CognitoAccount",
                cure="run manage.py migrate; if the table is there, see the database's error",
            )
            raise
        return user if user is not None and self.user_can_authenticate(user) else None

    async def aauthenticate(
        self, request: HttpRequest | None, cognito_user: User | None = None, **_: Any
    ) -> Any | None:
        """See `authenticate`."""
        return await sync_to_async(self.authenticate)(request, cognito_user=cognito_user)

    def verify_claims(self, claims: Claims) -> bool:  # noqa: ARG002
        """Return whether this user may sign in at all. Default: yes.

        Args:
            claims: verified claims.
        """
        return True

    def filter_users_by_claims(self, claims: Claims) -> QuerySet[Any]:  # noqa: ARG002
        """Return existing users of Django who are this user, at the first sign-in. Default: none.

        One user is connected with the account; with several, the sign-in is refused. If you compare
        email addresses, require ``claims["email_verified"]``: otherwise a caller can sign up as
        another user.

        Args:
            claims: verified claims.
        """
        return get_user_model()._default_manager.none()

    def create_user(self, claims: Claims) -> Any | None:
        """Create a user at the first sign-in, or return None to refuse users who do not exist yet.

        Args:
            claims: verified claims.
        """
        model = get_user_model()
        user = model(**{model.USERNAME_FIELD: self.get_username(claims)})
        user.set_unusable_password()
        user.save()
        if claims.get("token_use") != "access":
            self.update_user(user, claims)
        return user

    def update_user(self, user: Any, claims: Claims) -> None:
        """Copy claims to a user, at each sign-in. Default: verified email address, first and last name.

        It is not called for bearer tokens, which lack these claims. No groups and no ``is_staff`` are
        copied unless you do.

        Args:
            user: the user of Django, who is saved already.
            claims: verified claims.
        """
        wanted = {ours: claims[name] for name, ours in _NAMES.items() if claims.get(name)}
        if claims.get("email") and _is_true(claims.get("email_verified")):
            wanted[user.get_email_field_name()] = claims["email"]
        changed = [
            name
            for name, value in wanted.items()
            if hasattr(user, name) and getattr(user, name) != value
        ]
        for name in changed:
            setattr(user, name, wanted[name])
        if changed:
            user.save(update_fields=changed)

    def get_username(self, claims: Claims) -> str:
        """Return the username of a new user.

        Default: the pool's username if it is free, otherwise the ``sub``. If the model's USERNAME_FIELD
        is the email address, that address, which has to be verified.

        Args:
            claims: verified claims.

        Raises:
            ValueError: there is no verified email address.
        """
        model = get_user_model()
        if model.get_email_field_name() == model.USERNAME_FIELD:
            if claims.get("email") and _is_true(claims.get("email_verified")):
                return str(claims["email"])
            raise ValueError("no verified email address")
        name = str(claims.get("cognito:username") or claims.get("username") or claims["sub"])
        is_taken = model._default_manager.filter(**{model.USERNAME_FIELD: name}).exists()
        return str(claims["sub"]) if is_taken else name

    def _find_or_create(self, claims: Claims) -> Any | None:
        key = {"issuer": _pool_of(claims), "subject": str(claims["sub"])}
        tries, until = 0, time.monotonic() + _RETRY_WITHIN
        while (found := self._account(key)) is None:
            tries += 1
            try:
                with transaction.atomic(using=router.db_for_write(CognitoAccount)):
                    return self._connected_user(claims, key)
            except (IntegrityError, ValueError, DataError) as error:
                # Another worker has created the account, or a user with this name exists.
                found = self._account(key)
                if found is None:
                    _log_refusal(error)
                return found.user if found else None
            except OperationalError as error:
                # A second click creates the same user, and databases roll one of both back. SQLite does
                # so without any wait if both have read before they write: "database is locked".
                has_tried = tries == _TRIES or time.monotonic() > until
                if has_tried or "lock" not in str(error):
                    raise
                time.sleep(tries * 0.02)
        if claims.get("token_use") != "access":
            self._update(found.user, claims)
        return found.user

    def _account(self, key: dict[str, str]) -> CognitoAccount | None:
        found: CognitoAccount | None = (
            CognitoAccount.objects.select_related("user").filter(**key).first()
        )
        return found

    def _connected_user(self, claims: Claims, key: dict[str, str]) -> Any | None:
        found = list(self.filter_users_by_claims(claims)[:2])
        if len(found) > 1:
            raise ValueError("filter_users_by_claims returned more than one user")
        user = found[0] if found else self.create_user(claims)
        if user is not None:
            CognitoAccount.objects.create(user=user, **key)
            if found and claims.get("token_use") != "access":
                self.update_user(user, claims)
        return user

    def _update(self, user: Any, claims: Claims) -> None:
        """Update a user; if that fails, such as for an address that another user has, sign in anyway."""
        try:
            with transaction.atomic(using=router.db_for_write(type(user))):
                self.update_user(user, claims)
        except (IntegrityError, DataError) as error:
            user.refresh_from_db()
            logger().error(
                "user not updated",
                error=type(error).__name__,
                cure="override CognitoBackend.update_user; it sets what the database refuses",
            )


def _log_refusal(error: Exception) -> None:
    logger().error(
        "user refused",
        error=type(error).__name__,
        # A message of the database may have an email address.
        reason=str(error) if isinstance(error, ValueError) else "the database refused the new user",
        cure="override get_username, create_user or filter_users_by_claims of CognitoBackend",
    )


def _pool_of(claims: Claims) -> str:
    """Return the user pool ID, or the whole ``iss`` if it has none."""
    issuer = str(claims.get("iss", ""))
    pool_id = issuer.rpartition("/")[2]
    return pool_id if _POOL_ID.fullmatch(pool_id) else issuer


def _is_true(claim: object) -> bool:
    """Return whether a claim says true: identity providers' values arrive as text."""
    return claim is True or claim == "true"
