"""amazon-cognito-identity-js, as it is on npm, signs in against the sandbox and remembers a device."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import jwt
import pytest

from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed

HERE = Path(__file__).with_name("javascript")


@pytest.mark.needs("npm")
@pytest.mark.needs("node")
def test_a_code_then_a_remembered_device(tmp_path: Path) -> None:
    for name in ("package.json", "sign_in.cjs"):
        shutil.copy(HERE / name, tmp_path)
    quietly = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(["npm", "install", *quietly], cwd=tmp_path, check=True, timeout=300)
    seed = Seed(pool=PoolSeed(device_tracking="opt_in"), users=DEMO_SEED.users)
    with Sandbox(seed) as sandbox:
        done = subprocess.run(
            ["node", "sign_in.cjs", sandbox.endpoint, sandbox.pool_id, sandbox.client_id],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["asked"] is True
        assert len(sandbox.messages()) == 1, "the second sign-in needed no code"
        for token in said["tokens"]:
            claims = jwt.decode(token, options={"verify_signature": False})
            assert claims["username"] == "ana"
        assert sandbox.calls()["UpdateDeviceStatus"] == 1
