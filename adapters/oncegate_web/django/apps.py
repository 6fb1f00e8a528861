"""The app ``"oncegate_web.django"``, with the label ``oncegate``."""

from __future__ import annotations

from pathlib import Path

from django.apps import AppConfig


class OncegateConfig(AppConfig):  # type: ignore[misc]
    """Bridges Cognito's sessions to ``django.contrib.auth``."""

    name = "oncegate_web.django"
    label = "oncegate"
    verbose_name = "Cognito"
    default_auto_field = "django.db.models.BigAutoField"
    # The folder of oncegate_web, whose templates serve Jinja2 and Django.
    path = str(Path(__file__).parents[1])

    def ready(self) -> None:
        """Connect the receivers of Django's signals, and register the system checks."""
        from oncegate_web.django import _bridge, checks

        _bridge.connect()
        checks.register()
