"""Backends of a project with rules of its own. Importable once Django's apps are loaded."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import OperationalError
from django.db.models import QuerySet

from oncegate_web.django.backends import CognitoBackend


class NobodyBackend(CognitoBackend):
    def verify_claims(self, claims: Mapping[str, Any]) -> bool:
        return False


class StaffBackend(CognitoBackend):
    """The group ``staff`` of the pool is Django's ``is_staff``, and the others are Django's groups."""

    def update_user(self, user: Any, claims: Mapping[str, Any]) -> None:
        super().update_user(user, claims)
        groups = claims.get("cognito:groups", [])
        user.is_staff = "staff" in groups
        user.save(update_fields=["is_staff"])
        user.groups.set(Group.objects.filter(name__in=groups))


class ByAddressBackend(CognitoBackend):
    def filter_users_by_claims(self, claims: Mapping[str, Any]) -> QuerySet[Any]:
        if not claims.get("email_verified"):
            return User.objects.none()
        return User.objects.filter(email=claims["email"])


class MeetingBackend(CognitoBackend):
    """Two requests have both read before either writes, as after a double click."""

    def __init__(self) -> None:
        self.locked_out = 0
        self._have_read = threading.Barrier(2)
        self._met: set[int] = set()

    def create_user(self, claims: Mapping[str, Any]) -> Any:
        User.objects.filter(username=self.get_username(claims)).exists()
        if threading.get_ident() not in self._met:
            self._met.add(threading.get_ident())
            self._have_read.wait(5)
        try:
            return super().create_user(claims)
        except OperationalError:
            self.locked_out += 1
            raise
