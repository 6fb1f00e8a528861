"""The pytest plugin: its fixtures in other projects' tests, and its cost when they are not used."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from tests.guides import block

import oncegate_sandbox
from oncegate_sandbox import Sandbox
from oncegate_sandbox.testing import CognitoPool

pytest_plugins = ["pytester"]

SIGN_IN = """
def sign_in(cognito, username="ana"):
    return cognito.client.initiate_auth(
        ClientId=cognito.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": "Correct-horse-1"},
    )
"""


def run(pytester: pytest.Pytester, source: str, **expected: int) -> str:
    """Run a test file of another project, and return its output."""
    pytester.makepyfile(source if "def sign_in" in source else SIGN_IN + source)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(**expected)
    return result.stdout.str()


def test_entry_point_names_the_plugin() -> None:
    (entry,) = importlib.metadata.entry_points(group="pytest11", name="oncegate_sandbox")
    assert entry.value == "oncegate_sandbox.pytest_plugin"


def test_loaded_plugin_imports_nothing_but_pytest() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import oncegate_sandbox.pytest_plugin; "
        "print(sorted(name for name in set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['oncegate_sandbox', 'oncegate_sandbox.pytest_plugin']"


def test_every_public_name_can_be_imported() -> None:
    for name in oncegate_sandbox.__all__:
        value = getattr(oncegate_sandbox, name)
        assert getattr(value, "__name__", name) == name
    with pytest.raises(ImportError):
        exec("from oncegate_sandbox import NoSuchName")


def test_code_is_sent_once_and_signs_in(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
def test_sign_in(cognito, inbox):
    cognito.add_user("ana", phone_number="+15550001234", mfa=["SMS_MFA"])
    challenge = sign_in(cognito)
    assert inbox.sent_once("ana")
    answer = {"USERNAME": "ana", "SMS_MFA_CODE": inbox.code_for("ana")}
    done = cognito.client.respond_to_auth_challenge(
        ClientId=cognito.client_id,
        ChallengeName=challenge["ChallengeName"],
        Session=challenge["Session"],
        ChallengeResponses=answer,
    )
    assert done["AuthenticationResult"]["AccessToken"]
    assert inbox.sent_once("ana", purpose="SMS_MFA")
    assert cognito.calls() == {"InitiateAuth": 1, "RespondToAuthChallenge": 1}
""",
        passed=1,
    )


def test_example_of_the_guide_passes(pytester: pytest.Pytester) -> None:
    test = "tests/sandbox/test_plugin.py::test_example_of_the_guide_passes"
    run(pytester, block("adapters/oncegate_sandbox/README.md", test), passed=2)


def test_each_test_begins_with_the_seed(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
import pytest

@pytest.mark.parametrize("run", [1, 2])
def test_again(cognito, inbox, run):
    assert inbox.sent_nothing()
    assert cognito.calls() == {}
    cognito.add_user("ana", phone_number="+15550001234", mfa=["SMS_MFA"])
    sign_in(cognito)
    cognito.order("InitiateAuth", code="TooManyRequestsException", times=5)
    cognito.advance(900)
""",
        passed=2,
    )


def test_unmodified_code_uses_the_pool_by_its_environment(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
import os
import boto3

def test_users(cognito):
    client = boto3.client("cognito-idp")
    client.sign_up(ClientId=cognito.client_id, Username="bob", Password="Correct-horse-1",
                   UserAttributes=[{"Name": "email", "Value": "bob@example.com"}])
    assert cognito.user("bob").status == "UNCONFIRMED"
    assert os.environ["AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"] == cognito.endpoint_url

def test_environment_is_restored():
    assert "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER" not in os.environ
""",
        passed=2,
    )


def test_own_fixtures_of_the_project_take_precedence(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
import pytest

@pytest.fixture
def cognito():
    return "own"

@pytest.fixture
def inbox():
    return "own"

def test_own(cognito, inbox):
    assert cognito == inbox == "own"
""",
        passed=1,
    )


def test_seed_can_be_overridden(pytester: pytest.Pytester) -> None:
    pytester.makefile(
        ".toml",
        pool="""
        [pool]
        id = "eu-west-1_aBcDeFgHi"
        [[users]]
        username = "cleo"
        password = "Correct-horse-1"
        mfa = ["SOFTWARE_TOKEN_MFA"]
        totp_secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        """,
    )
    run(
        pytester,
        """
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def cognito_seed():
    return Path(__file__).with_name("pool.toml")

def test_seeded(cognito):
    assert (cognito.pool_id, cognito.region) == ("eu-west-1_aBcDeFgHi", "eu-west-1")
    assert cognito.seed.users[0].username == "cleo"
    challenge = sign_in(cognito, "cleo")
    done = cognito.client.respond_to_auth_challenge(
        ClientId=cognito.client_id,
        ChallengeName="SOFTWARE_TOKEN_MFA",
        Session=challenge["Session"],
        ChallengeResponses={"USERNAME": "cleo", "SOFTWARE_TOKEN_MFA_CODE": cognito.totp_code("cleo")},
    )
    assert done["AuthenticationResult"]
""",
        passed=1,
    )


def test_failed_assertion_says_what_was_sent(pytester: pytest.Pytester) -> None:
    output = run(
        pytester,
        """
import pytest

@pytest.fixture
def ana(cognito):
    cognito.add_user("ana", phone_number="+15550001234", mfa=["SMS_MFA"])
    sign_in(cognito)
    sign_in(cognito)

def test_twice(ana, inbox):
    inbox.sent_once("ana")

def test_something(ana, inbox):
    inbox.sent_nothing("ana")

def test_nobody(ana, inbox):
    inbox.code_for("bob")

def test_purpose(ana, inbox):
    inbox.sent_once("ana", purpose="ForgotPassword")
""",
        failed=4,
    )
    assert "AssertionError: expected 1 messages to 'ana', got 2; sent so far:" in output
    assert "SMS to 'ana' at +15550001234: SMS_MFA" in output
    assert "calls: InitiateAuth 2" in output
    assert "expected no message to 'ana', got 2" in output
    assert "no code was sent to 'bob'" in output
    assert "expected 1 ForgotPassword messages to 'ana', got 0" in output
    assert "_summary" not in output  # the traceback ends in the test


def test_missing_extra_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "oncegate_sandbox.testing", None)
    output = run(pytester, "def test_any(cognito): ...", errors=1)
    assert "pip install 'oncegate[sandbox]'" in output


def test_invalid_user_or_fault_is_rejected(shared: Sandbox) -> None:
    pool = CognitoPool(shared)
    with pytest.raises(ValueError, match="requires phone_number"):
        pool.add_user("zoe", mfa=["SMS_MFA"])
    with pytest.raises(ValueError, match="has this name"):
        pool.add_user("ana")
    with pytest.raises(ValueError, match="NoSuchException"):
        pool.order("InitiateAuth", code="NoSuchException")


def test_tokens_of_an_earlier_test_keep_their_keys(shared: Sandbox) -> None:
    """A verifier that lives as long as the test run has the pool's keys in its cache."""
    before = shared.pool.tokens.jwks()
    shared.reset()
    assert shared.pool.tokens.jwks() == before


def test_inbox_assertions_pass_if_they_hold(shared: Sandbox, tmp_path: Path) -> None:
    inbox = CognitoPool(shared).inbox
    assert inbox.sent_nothing()
    shared.pool.inbox.deliver("ana", "SMS", "+15550001234", "123456", "SMS_MFA", 0)
    assert inbox.sent_once("ana")
    assert inbox.sent("ana", times=1, purpose="SMS_MFA")
    assert inbox.sent_nothing("bob")
    assert inbox.code_for("ana") == "123456"
    inbox.clear()
    assert inbox.sent_nothing()


def test_fixture_goes_around_proxies_and_profiles(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of a developer's machine that would keep boto3 from the sandbox."""
    for name, value in {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "intranet.example",
        "no_proxy": "intranet.example",
        "AWS_PROFILE": "missing",
        "AWS_DEFAULT_PROFILE": "missing",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }.items():
        monkeypatch.setenv(name, value)
    run(
        pytester,
        """
import os
import boto3

def test_client(cognito):
    client = boto3.session.Session().client("cognito-idp")
    assert client.list_users(UserPoolId=cognito.pool_id)["Users"] == []
    for name in ("NO_PROXY", "no_proxy"):
        assert os.environ[name] == "intranet.example,127.0.0.1,localhost"
""",
        passed=1,
    )


def test_inbox_finds_messages_by_address_too(pytester: pytest.Pytester) -> None:
    """`sent_nothing` must not pass because the user was named by an alias."""
    run(
        pytester,
        """
import pytest

def test_address(cognito, inbox):
    cognito.add_user("bob", email="bob@example.com")
    cognito.client.forgot_password(ClientId=cognito.client_id, Username="bob@example.com")
    assert inbox.sent_once("bob@example.com", purpose="RESET_PASSWORD")
    assert inbox.code_for("bob") == inbox.code_for("bob@example.com")
    with pytest.raises(AssertionError):
        inbox.sent_nothing("bob@example.com")
""",
        passed=1,
    )


def test_user_of_another_pool_is_found_by_its_id(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
import pytest
from oncegate import InvalidInput

def test_user(cognito):
    pool_id = cognito.client.create_user_pool(PoolName="shop")["UserPool"]["Id"]
    cognito.client.admin_create_user(UserPoolId=pool_id, Username="zoe")
    assert cognito.user("zoe", pool_id=pool_id).status == "FORCE_CHANGE_PASSWORD"
    with pytest.raises(InvalidInput, match=f"in the pool {cognito.pool_id}: 'zoe'.*pass pool_id="):
        cognito.user("zoe")
    with pytest.raises(InvalidInput, match="no such pool.*us-east-1_Nothing"):
        cognito.user("zoe", pool_id="us-east-1_Nothing")
""",
        passed=1,
    )


def test_added_user_with_an_address_as_name_can_get_codes_there(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
import pytest
from oncegate_sandbox import PoolSeed, Seed

@pytest.fixture(scope="session")
def cognito_seed():
    return Seed(pool=PoolSeed(username_attributes=("email", "phone_number")))

def test_addresses(cognito, inbox):
    ana = cognito.add_user("ana@example.com", mfa=["EMAIL_OTP"])
    assert ana.attributes["email"] == "ana@example.com"
    assert cognito.add_user("+15550001234").attributes["phone_number"] == "+15550001234"
    assert sign_in(cognito, "ana@example.com")["ChallengeName"] == "EMAIL_OTP"
    assert inbox.sent_once("ana@example.com")
""",
        passed=1,
    )
