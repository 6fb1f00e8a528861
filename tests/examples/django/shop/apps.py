"""The shop as an app."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Connects the receivers."""

    name = "shop"

    def ready(self) -> None:
        from shop import receivers  # noqa: F401 - connects them
