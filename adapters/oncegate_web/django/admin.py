"""The admin's list of Cognito accounts: to find a user by ``sub``, and to disconnect an account."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from oncegate_web.django.models import CognitoAccount


@admin.register(CognitoAccount)
class CognitoAccountAdmin(admin.ModelAdmin):  # type: ignore[misc]
    """A list without forms: accounts are made by signing in."""

    list_display = ("user", "issuer", "subject")
    list_select_related = ("user",)
    search_fields = ("subject",)
    readonly_fields = ("user", "issuer", "subject")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False
