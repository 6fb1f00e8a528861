"""Connections to Cognito that were open when a process forked: each process has its own responses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.deployments.crowd import seed
from tests.deployments.forked import TIMES
from tests.deployments.servers import ROOT

from oncegate_sandbox import Sandbox

pytestmark = pytest.mark.slow


def test_forked_processes_share_no_connection_to_cognito() -> None:
    with Sandbox(seed(2)) as cognito:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.deployments.forked"),
                *(cognito.endpoint, cognito.pool_id, cognito.client_id),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    seen = sorted(done.stdout.splitlines())
    own = ["user0 +*********0000"] * (TIMES + 1) + ["user1 +*********0001"] * TIMES
    assert seen == own
