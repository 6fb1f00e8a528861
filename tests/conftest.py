"""Fixtures that several folders of tests use, and the rule that in CI nothing is skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock
from tests.servers import PostgresServer, RedisServer

from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox

NEEDS = dict(line.split() for line in Path(__file__).with_name("parts").read_text().splitlines())
"""Programs that tests need, each with the Debian package that has it; `tests/run` installs them."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program): skipped where the program is missing")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the explorer and the killer went through, in figures."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    told = [one for report in calls for one in report.user_properties]
    explored = [value for name, value in told if name == "explored"]
    if explored:
        schedules, states = (sum(row[column] for row in explored) for column in (1, 2))
        terminalreporter.write_line(
            f"explorer: {schedules} schedules and {states} states of {len(explored)} scripts"
        )
    for line in (value for name, value in told if name == "killed"):
        terminalreporter.write_line(line)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        program = marker.args[0]
        if not shutil.which(program):
            reason = f"needs {program}: apt-get install {NEEDS[program]}"
            if os.environ.get("CI"):
                pytest.fail(f"in CI nothing is skipped; {reason}")
            pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A local Cognito of the test's own, with the demo users."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def transport(sandbox: Sandbox) -> CognitoTransport:
    return CognitoTransport(
        pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
    )


@pytest.fixture
def controls(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client for the paths below ``/_sandbox``."""
    with httpx.Client(base_url=f"{sandbox.endpoint}/_sandbox") as client:
        yield client
