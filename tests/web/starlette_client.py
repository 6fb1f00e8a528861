"""Starlette's test client, with httpx or httpx2, whichever is installed."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # Starlette 1.10 wants httpx2; the oldest one that the extra allows has httpx.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

__all__ = ["TestClient"]
