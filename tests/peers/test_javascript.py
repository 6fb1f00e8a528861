"""amazon-cognito-identity-js, unchanged from npm, signs in to the sandbox and remembers a device."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jwt
import pytest

from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed


@pytest.mark.needs("npm")
@pytest.mark.needs("node")
def test_remembered_device_needs_no_second_code(request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(
        "javascript"
    )  # requested here, so that the markers are evaluated first
    seed = Seed(pool=PoolSeed(device_tracking="opt_in"), users=DEMO_SEED.users)
    with Sandbox(seed) as sandbox:
        done = subprocess.run(
            ["node", "sign_in.cjs", sandbox.endpoint, sandbox.pool_id, sandbox.client_id],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        printed = json.loads(done.stdout)
        assert printed["asked"] is True
        assert len(sandbox.messages()) == 1, "the second sign-in needed no code"
        for token in printed["tokens"]:
            claims = jwt.decode(token, options={"verify_signature": False})
            assert claims["username"] == "ana"
        assert sandbox.calls()["UpdateDeviceStatus"] == 1
