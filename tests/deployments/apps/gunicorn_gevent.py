"""gunicorn's settings for gevent with --preload: patch before the application is imported."""

from __future__ import annotations

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()
