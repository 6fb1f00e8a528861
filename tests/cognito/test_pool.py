"""A pool's own settings, as the forms need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.cognito.conftest import DropsEverything
from tests.cognito.wire import recorded

from oncegate import Misconfigured, PasswordPolicy, SignUpForm, Unreachable, WaysIn
from oncegate_cognito._boto import make_client
from oncegate_cognito.pool import PoolSettings, read_pool
from oncegate_sandbox import PoolSeed, Sandbox, Seed

POOL_ID = "us-east-1_Pool1"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def described(**pool: Any) -> PoolSettings:
    """Return what is read of DescribeUserPool's answer."""
    client = recorded(signed=True, DescribeUserPool={"UserPool": pool})
    settings = read_pool(POOL_ID, client=client.boto)
    (sent,) = client.sent
    assert (sent.operation, sent.body) == ("DescribeUserPool", {"UserPoolId": POOL_ID})
    assert "an-access-key" in sent.headers["authorization"]
    return settings


def attribute(name: str, *, is_required: bool = True) -> dict[str, Any]:
    return {"Name": name, "Required": is_required}


def form_of(**pool: Any) -> SignUpForm:
    form = described(**pool).sign_up
    assert form is not None
    return form


def test_settings_of_a_local_pool_are_read() -> None:
    seed = PoolSeed(
        required_attributes=("email", "given_name"),
        username_attributes=("email",),
        password_policy={"minimum_length": 12, "require_symbols": False},
    )
    with Sandbox(Seed(pool=seed)) as sandbox:
        settings = read_pool(sandbox.pool_id, endpoint_url=sandbox.endpoint)
    assert settings == PoolSettings(
        password_policy=PasswordPolicy(minimum_length=12, require_symbols=False),
        sign_up=SignUpForm(attributes=("given_name",)),
        passwordless=True,
        password_reset=True,
    )
    assert settings.ways_in == WaysIn(sign_up=SignUpForm(attributes=("given_name",)))


def test_password_rules_are_those_of_the_pool() -> None:
    rules = {
        "MinimumLength": 10,
        "RequireUppercase": True,
        "RequireLowercase": False,
        "RequireNumbers": True,
        "RequireSymbols": False,
        "TemporaryPasswordValidityDays": 7,
    }
    policy = described(Policies={"PasswordPolicy": rules}).password_policy
    assert policy == PasswordPolicy(
        minimum_length=10, require_lowercase=False, require_symbols=False
    )


def test_form_has_required_attributes_without_the_sub() -> None:
    schema = [
        attribute("sub"),
        attribute("email"),
        attribute("name", is_required=False),
        attribute("birthdate"),
    ]
    assert form_of(SchemaAttributes=schema).attributes == ("email", "birthdate")


@pytest.mark.parametrize(
    ("usernames", "expected"),
    [
        ([], ("email", "phone_number")),
        (["email"], ("phone_number",)),
        (["phone_number"], ("email",)),
        (["email", "phone_number"], ("email", "phone_number")),
    ],
)
def test_attribute_that_is_the_username_is_not_asked_for_again(
    usernames: list[str], expected: tuple[str, ...]
) -> None:
    schema = [attribute("email"), attribute("phone_number")]
    form = form_of(SchemaAttributes=schema, UsernameAttributes=usernames)
    assert form.attributes == expected


@pytest.mark.parametrize(
    ("verified", "usernames", "expected"),
    [
        ([], [], ("name",)),
        (["email"], [], ("name", "email")),
        (["phone_number"], [], ("name", "phone_number")),
        (["phone_number", "email"], [], ("name", "email")),
        (["email"], ["email"], ("name",)),
    ],
)
def test_form_asks_where_the_code_is_to_be_sent(
    verified: list[str], usernames: list[str], expected: tuple[str, ...]
) -> None:
    form = form_of(
        SchemaAttributes=[attribute("name")],
        AutoVerifiedAttributes=verified,
        UsernameAttributes=usernames,
    )
    assert form.attributes == expected


def test_pool_of_administrators_has_no_sign_up() -> None:
    settings = described(AdminCreateUserConfig={"AllowAdminCreateUserOnly": True})
    assert settings.sign_up is None
    assert settings.ways_in.sign_up is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], True),
        (["verified_email"], True),
        (["verified_phone_number", "verified_email"], True),
        (["admin_only"], False),
    ],
)
def test_reset_by_administrators_only_is_not_offered(names: list[str], expected: bool) -> None:
    mechanisms = [{"Priority": n, "Name": name} for n, name in enumerate(names, 1)]
    settings = described(AccountRecoverySetting={"RecoveryMechanisms": mechanisms})
    assert settings.password_reset is expected
    assert settings.ways_in.password_reset is expected


@pytest.mark.parametrize(
    ("factors", "expected"),
    [(["PASSWORD"], False), (["PASSWORD", "WEB_AUTHN"], False), (["PASSWORD", "SMS_OTP"], True)],
)
def test_pool_whose_codes_are_first_factors_is_passwordless(
    factors: list[str], expected: bool
) -> None:
    policies = {"SignInPolicy": {"AllowedFirstAuthFactors": factors}}
    assert described(Policies=policies).passwordless is expected


# ── what goes wrong ──


def refused(answer: Mapping[str, Any]) -> None:
    client = recorded(signed=True, DescribeUserPool=answer)
    read_pool(POOL_ID, client=client.boto)


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("AccessDeniedException", "cognito-idp:DescribeUserPool"),
        ("NotAuthorizedException", "cognito-idp:DescribeUserPool"),
        ("UnrecognizedClientException", "AWS credentials"),
        ("ResourceNotFoundException", "pool_id="),
    ],
)
def test_refusal_is_misconfigured_and_says_what_to_do(code: str, cure: str) -> None:
    with pytest.raises(Misconfigured, match=cure):
        refused({"__type": code, "message": "is not authorized to perform"})


@pytest.mark.parametrize("code", ["TooManyRequestsException", "InternalErrorException"])
def test_cognito_that_cannot_answer_now_is_unreachable(code: str) -> None:
    with pytest.raises(Unreachable, match=code):
        refused({"__type": code, "message": "Rate exceeded"})


@pytest.mark.parametrize(
    "answer", [{}, {"UserPool": {"Policies": {"PasswordPolicy": {"MinimumLength": 1}}}}]
)
def test_malformed_answer_is_unreachable(answer: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="malformed"):
        refused(answer)


def test_lost_answer_is_unreachable_and_asked_for_once(dropping: DropsEverything) -> None:
    with pytest.raises(Unreachable) as error:
        read_pool(POOL_ID, endpoint_url=dropping.endpoint)
    assert dropping.requests == 1
    assert error.value.__context__ is None  # its frames hold the signed request


def test_missing_credentials_are_misconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Misconfigured, match="NoCredentialsError"):
        read_pool(POOL_ID, endpoint_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "settings",
    [
        {"pool_id": "none"},
        {"timeout": 0},
        {"endpoint_url": "http://cognito.example"},
        {"region": "nowhere"},
    ],
)
def test_setting_that_cannot_work_is_misconfigured(settings: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        read_pool(**{"pool_id": POOL_ID, **settings})


def test_client_that_repeats_requests_is_misconfigured() -> None:
    client = make_client("us-east-1", None, connect_timeout=1, read_timeout=1)
    client.meta.config.retries = {"total_max_attempts": 3}  # type: ignore[attr-defined]
    with pytest.raises(Misconfigured, match="repeats requests"):
        read_pool(POOL_ID, client=client)
