"""moto's tests that were verified against AWS, unchanged from PyPI, against the sandbox.

moto marks them with `aws_verified`: its authors ran them against a real user pool. They call boto3 and
pycognito. `moto_suite/at_sandbox.py` has the plugin that directs them to the sandbox.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from oncegate_sandbox import Sandbox

NOT_PASSED = {"failure", "error", "skipped"}
SUITE = Path(__file__).with_name("moto_suite")
VERIFIED = (
    "test_authorize_user_with_force_password_change_status",
    "test_forgot_password_with_email_delivery_details",
    "test_group_in_access_token",
    "test_initiate_auth_REFRESH_TOKEN",
    "test_initiate_auth_USER_PASSWORD_AUTH",
    "test_initiate_auth_USER_PASSWORD_AUTH_with_email",
    "test_initiate_mfa_auth_USER_PASSWORD_AUTH_with_FORCE_CHANGE_PASSWORD_status",
    "test_jti_in_tokens",
    "test_scope_in_access_token",
    "test_sign_up",
    "test_sign_up_with_unverified_email",
    "test_sign_up_with_verified_but_not_supplied_email",
    "test_sign_up_with_verified_email",
    "test_user_authentication_flow_mfa_on",
    "test_user_authentication_flow_mfa_optional",
)


def test_all_tests_that_moto_verified_at_aws_pass(moto_tests: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    # Neither this process's settings nor its plugins.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MOTO_", "PYTEST_"))
    }
    with Sandbox() as sandbox:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-m", "aws_verified", "-p", "at_sandbox"),
                *("-p", "no:cacheprovider", f"--junitxml={report}", "tests/test_cognitoidp"),
            ],
            cwd=moto_tests,
            env={
                **environment,
                "PYTHONPATH": str(SUITE),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "MOTO_TEST_ALLOW_AWS_REQUEST": "true",
                "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": sandbox.endpoint,
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        assert sandbox.calls()["CreateUserPool"] == len(VERIFIED), "moto's mock answered"
    cases = {case.attrib["name"]: case for case in ET.parse(report).iter("testcase")}
    assert sorted(cases) == sorted(VERIFIED)
    failures = [
        f"{name}: {child.text or child.tag}"
        for name, case in cases.items()
        for child in case
        if child.tag in NOT_PASSED
    ]
    assert not failures, "\n\n".join(failures)
