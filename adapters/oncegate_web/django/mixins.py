"""Mixins for class-based views; for all else, Django's own work: ``django.contrib.auth.mixins``."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import AccessMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseBase

from oncegate_web.django._current import current_user


class GroupRequiredMixin(AccessMixin):  # type: ignore[misc]
    """Only users in one of the groups of the pool see the view; others see a 403.

    Attributes:
        group_required: name of a group (the claim ``cognito:groups``), or several.
    """

    group_required: str | tuple[str, ...] = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        groups = (
            (self.group_required,) if isinstance(self.group_required, str) else self.group_required
        )
        if not groups:
            raise ImproperlyConfigured(f"{type(self).__name__} has no group_required")
        user = current_user(request)
        if user is None or not set(groups) & set(user.groups):
            answer: HttpResponseBase = self.handle_no_permission()
            return answer
        answer = super().dispatch(request, *args, **kwargs)
        return answer  # noqa: RET504 - Django has no types
