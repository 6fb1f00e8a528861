"""pytest fixtures: ``cognito``, a running user pool, and ``inbox``, the messages that it sent.

pytest loads this module in every run, so it imports nothing but pytest until a fixture is used. A
project's own fixtures of the same names take precedence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from oncegate_sandbox.seed import Seed
    from oncegate_sandbox.server import Sandbox
    from oncegate_sandbox.testing import CognitoPool, Inbox


@pytest.fixture(scope="session")
def cognito_seed() -> Seed | Path | None:
    """Settings and users of the pool: override it with a `Seed` or the path of a seed file."""
    return None


@pytest.fixture(scope="session")
def cognito_server(cognito_seed: Seed | Path | None) -> Iterator[Sandbox]:
    """The server, which all tests of a process share."""
    try:
        from oncegate_sandbox.testing import start
    except ImportError as error:
        pytest.fail(f"{error}: run pip install 'oncegate[sandbox]'", pytrace=False)
    with start(cognito_seed) as running:
        yield running


@pytest.fixture
def cognito(cognito_server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> CognitoPool:
    """A user pool in the state of its seed, at the real time, with an empty inbox.

    During the test, environment variables make AWS's SDKs and CLI use it instead of AWS, with
    credentials that are invalid elsewhere.
    """
    from oncegate_sandbox.testing import CognitoPool

    cognito_server.reset()
    pool = CognitoPool(cognito_server)
    for name, value in pool.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return pool


@pytest.fixture
def inbox(cognito: CognitoPool) -> Inbox:
    """The messages that the pool has sent, with assertions."""
    return cognito.inbox
