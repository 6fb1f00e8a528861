"""Which user of Django a user of the pool is, and what is copied."""

from collections.abc import Mapping
from typing import Any

from oncegate_web.django.backends import CognitoBackend


class ShopBackend(CognitoBackend):
    """Copies the name, and makes members of the group ``staff`` of the pool staff of the admin."""

    def update_user(self, user: Any, claims: Mapping[str, Any]) -> None:
        super().update_user(user, claims)
        user.full_name = claims.get("name", "")
        user.is_staff = user.is_superuser = "staff" in claims.get("cognito:groups", [])
        user.save(update_fields=["full_name", "is_staff", "is_superuser"])
