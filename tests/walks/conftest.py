"""The `walk` fixture: starts a sandbox and a driver for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.walks.walker import Walk, Walker

from oncegate import SignIn
from oncegate_cognito import CognitoTransport, ManagedLogin
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed
from oncegate_stores import MemoryStore


@pytest.fixture
def walk() -> Iterator[Walker]:
    with ExitStack() as running:

        def start(
            *users: UserSeed,
            pool: dict[str, Any] | None = None,
            transport_type: type[CognitoTransport] = CognitoTransport,
            sign_in: dict[str, Any] | None = None,
            redirect_uri: str | None = None,
            **transport: Any,
        ) -> Walk:
            seed = Seed(pool=PoolSeed.model_validate(pool or {}), users=users)
            sandbox = running.enter_context(Sandbox(seed))
            if redirect_uri:
                transport["managed_login"] = ManagedLogin(sandbox.endpoint, redirect_uri)
            made = transport_type(
                pool_id=sandbox.pool_id,
                client_id=sandbox.client_id,
                client_secret=seed.pool.client_secret,
                endpoint_url=sandbox.endpoint,
                **transport,
            )
            settings = {"store": MemoryStore(), **(sign_in or {})}
            return Walk(sandbox, SignIn(transport=made, **settings))

        yield start
