"""Fixtures for several folders of tests, the search for secrets, and the rule that CI skips nothing."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.loaders import JSONFileLoader
from tests.doubles import ManualClock
from tests.hypothesis_profiles import load_profile
from tests.servers import RUNNING, PostgresServer, RedisServer

from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox

load_profile()  # CI uses new examples in each run; Hypothesis' own CI profile repeats the same ones

HERE = Path(__file__).parent
NEEDS = dict(line.split() for line in (HERE / "parts").read_text().splitlines())
"""Programs that tests need, each with its Debian package; `tests/run` installs them."""


def pytest_configure(config: pytest.Config) -> None:
    logging.getLogger("oncegate").setLevel(
        logging.DEBUG
    )  # so that the search below sees every line
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Shells ignore SIGINT in background jobs. The programs under test would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "needs(program): skipped if the program is missing")


# Tokens and sessions of the sandbox, and passwords of the tests' users.
_SECRET = re.compile(rb"eyJ[\w-]{10,}\.[\w-]{10,}|AYABe[\w-]{100,}|(Correct|Better|wrong)-horse-\d")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Search the output of each test for secrets: stdout, stderr, the log, and every store."""
    report = yield
    if report.when != "call" or not report.passed:
        return report
    written = {name: content.encode() for name, content in report.sections}
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if folder:
        written |= {path.name: path.read_bytes() for path in folder.rglob("*.db*")}
    needed = {marker.args[0] for marker in item.iter_markers("needs")}
    written |= {s.program: s.contents() for s in RUNNING if s.program in needed}
    for name, content in written.items():
        if found := _SECRET.search(content):
            report.outcome = "failed"
            report.longrepr = f"a secret was written to {name}: {found[0][:8]!r}…"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how much the explorer covered, and what the tests with killed workers counted."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    properties = [one for report in calls for one in report.user_properties]
    explored = [value for name, value in properties if name == "explored"]
    if explored:
        schedules, states = (sum(row[column] for row in explored) for column in (1, 2))
        terminalreporter.write_line(
            f"explorer: {schedules} schedules and {states} states of {len(explored)} scripts"
        )
    for line in (value for name, value in properties if name == "killed"):
        terminalreporter.write_line(line)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        program = marker.args[0]
        if not shutil.which(program):
            reason = f"needs {program}: apt-get install {NEEDS[program]}"
            if os.environ.get("CI"):
                pytest.fail(f"in CI nothing is skipped; {reason}")
            pytest.skip(reason)


UNTRACED = {
    *("benchmarks", "browser", "deployments", "explorer", "faults", "invariants"),
    *("machine", "peers", "properties", "quality", "typing"),
}
"""Folders whose tests run without coverage's tracing, which doubles the time of a long search.

Other tests cover the same lines. pytest-cov's `no_cover` stops only one of two collectors: in a process
of xdist, coverage has been started by its own patch of subprocesses, too.
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if item.path.relative_to(HERE).parts[0] not in UNTRACED:
        return (yield)
    tracing, of_threads = sys.gettrace(), threading.gettrace()
    if "coverage" not in type(tracing).__module__:
        return (yield)  # a debugger, or nothing
    of_processes = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracing)
        threading.settrace(of_threads)
        if of_processes is not None:
            os.environ["COVERAGE_PROCESS_CONFIG"] = of_processes


@pytest.fixture(autouse=True, scope="session")
def models_read_once() -> Iterator[None]:
    """Read botocore's files once: each client reads half a megabyte, in a tenth of a second.

    botocore shares them between the clients of a session, so no client changes them.
    """
    loader, read = JSONFileLoader(), cache(JSONFileLoader.load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(loader, path))
        yield


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
    """A local Cognito with the demo users, for one test."""
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
