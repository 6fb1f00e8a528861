"""The blocks of adapters/oncegate_sandbox/README.md, as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.guides import block
from tests.servers import free_port

from oncegate_sandbox import Sandbox

pytest_plugins = ["pytester"]

GUIDE = "adapters/oncegate_sandbox/README.md"
HERE = "tests/sandbox/test_guide.py"
PORT = "9300"
"""The guide's, which another process may have."""

SEED = block(GUIDE, f"{HERE}::test_seed_of_the_guide_is_valid")


def test_seed_of_the_guide_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    path.write_text(SEED)
    with Sandbox.from_seed_file(path) as sandbox:
        assert sandbox.pool_id == tomllib.loads(SEED)["pool"]["id"]


@pytest.mark.slow
def test_command_prints_what_clients_need(tmp_path: Path) -> None:
    guide = block(GUIDE, f"{HERE}::test_command_prints_what_clients_need")
    (tmp_path / "pool.toml").write_text(SEED)
    command, _, printed = guide.partition("\n# ")
    port = str(free_port())
    words = [*command.replace(PORT, port).split()[1:]]
    with subprocess.Popen(
        [sys.executable, "-m", "oncegate_cli", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.kill()
    assert json.loads(line) == json.loads(printed.replace(PORT, port))


def test_fixture_of_the_guide_seeds_the_sandbox(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", pool=SEED)
    pytester.makeconftest(block(GUIDE, f"{HERE}::test_fixture_of_the_guide_seeds_the_sandbox"))
    pytester.makepyfile(
        f"""
        def test_pool_is_that_of_the_file(cognito):
            assert cognito.pool_id == {tomllib.loads(SEED)["pool"]["id"]!r}
        """
    )
    pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"
    ).assert_outcomes(passed=1)


@pytest.mark.slow
def test_aws_cli_reads_a_user() -> None:
    guide = block(GUIDE, f"{HERE}::test_aws_cli_reads_a_user")
    with Sandbox() as sandbox:
        port = sandbox.endpoint.rpartition(":")[2]
        folder = Path(sys.executable).parent
        printed = subprocess.run(
            ["sh", "-ec", guide.replace(PORT, port)],
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert json.loads(printed)["Username"] == "ana"


def test_provider_of_terraform_has_the_address_and_skips_what_aws_alone_has() -> None:
    """Terraform itself is in no package index that the tests use."""
    test = "test_provider_of_terraform_has_the_address_and_skips_what_aws_alone_has"
    found = dict(re.findall(r"^\s*(\w+)\s+= (.+)$", block(GUIDE, f"{HERE}::{test}"), re.MULTILINE))
    assert found["cognitoidp"] == f'"http://127.0.0.1:{PORT}"'
    assert found["skip_credentials_validation"] == found["skip_requesting_account_id"] == "true"
