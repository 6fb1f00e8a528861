"""Seed files: the one in the design is valid, and errors name the key or line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from oncegate import Factor, InvalidInput
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed, load_seed

DESIGN_EXAMPLE = """
[pool]
mfa = "optional"
device_tracking = "opt_in"
client_secret = "a-client-secret"
auth_session_minutes = 3
prevent_user_existence_errors = true

[[users]]
username = "ana"
password = "Correct-horse-1"
status = "CONFIRMED"
phone_number = "+15550001234"
email = "ana@example.com"
mfa = ["SMS_MFA"]
preferred_mfa = "SMS_MFA"
totp_secret = "JBSWY3DPEHPK3PXP"
"""


def test_seed_file_of_the_design_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "seed.toml"
    path.write_text(DESIGN_EXAMPLE, "utf-8")
    seed = load_seed(path)
    assert seed.pool.client_secret == SecretStr("a-client-secret")
    assert seed.users[0].mfa == (Factor.SMS,)
    assert "Correct-horse" not in repr(seed)
    with Sandbox.from_seed_file(path) as sandbox:
        assert sandbox.description().keys() == {"endpoint", "pool_id", "client_id"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pool", "invalid TOML"),
        ("[pool]\nmfa = 'maybe'", "pool.mfa"),
        ("[pool]\nauth_session_minutes = 99", "pool.auth_session_minutes"),
        ("[swimming]", "swimming"),
        ("[pool]\nauth_flows = 'ALLOW_USER_AUTH'", "pool.auth_flows: .*valid list"),
        ("[pool]\nclient_secret = ''", "pool.client_secret"),
        ("[[users]]\nusername = 'a'", "users.0: .*password is required"),
        ("[[users]]\nusername='a'\npassword='hunter2'\nmfa=['SMS_MFA']", "requires phone_number"),
        ("[[users]]\nusername='a'\npassword='hunter2'\nemail='x'", "users.0.email"),
        (
            "[[users]]\nusername='a'\npassword='hunter2'\ntotp_secret='1!'",
            "totp_secret must be base32",
        ),
        (
            "[[users]]\nusername='a'\npassword='hunter2'\npreferred_mfa='SMS_MFA'",
            "preferred_mfa must be one of mfa",
        ),
        ("[[users]]\nusername='a'\npassword='x'\n" * 2, "unique"),
    ],
)
def test_invalid_seed_file_is_rejected_with_its_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "seed.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=message) as error:
        load_seed(path)
    assert "hunter2" not in str(error.value)


def test_missing_seed_file_is_invalid_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        load_seed(tmp_path / "nowhere.toml")


@given(
    st.binary(max_size=300)
    | st.text(alphabet="[]=\"'.\npoluserx1{},", max_size=200).map(str.encode)
)
def test_any_file_content_loads_or_is_invalid_input(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    try:
        load_seed(path)
    except InvalidInput as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("pool", "users", "is_valid"),
    [
        ("", [("ana", ""), ("ana", "")], False),
        ("", [("ana", ""), ("Ana", "")], True),
        ("case_sensitive = false", [("ana", ""), ("Ana", "")], False),
        ("", [("ana", "email = 'a@b'"), ("bob", "email = 'a@b'")], False),
        ("", [("ana", "email = 'a@b'"), ("bob", "email = 'a@b'\nemail_verified = false")], True),
    ],
)
def test_names_that_can_sign_in_are_unique(
    pool: str, users: list[tuple[str, str]], is_valid: bool, tmp_path: Path
) -> None:
    """AWS developer guide, user attributes: an alias is unique once it is verified."""
    path = tmp_path / "seed.toml"
    tables = [f"[[users]]\nusername = '{name}'\npassword = 'x'\n{more}" for name, more in users]
    path.write_text("\n".join([f"[pool]\n{pool}", *tables]), "utf-8")
    if is_valid:
        assert len(load_seed(path).users) == 2
    else:
        with pytest.raises(InvalidInput, match="must be unique"):
            load_seed(path)


@pytest.mark.parametrize("given", [{}, {"email": "ana@example.com"}])
def test_username_that_is_an_address_is_also_the_attribute(given: dict[str, str]) -> None:
    """As after SignUp in a pool with UsernameAttributes."""
    users = (UserSeed(username="ana@example.com", password=SecretStr("Correct-horse-1"), **given),)
    pool = PoolSeed(username_attributes=("email",))
    with Sandbox(Seed(pool=pool, users=users)) as sandbox:
        found = sandbox.user("ana@example.com").attributes
    assert (found["email"], found["email_verified"]) == ("ana@example.com", "true")


def test_username_that_is_an_address_is_a_plain_name_in_other_pools() -> None:
    user = UserSeed(username="ana@example.com", password=SecretStr("Correct-horse-1"))
    with Sandbox(Seed(users=(user,))) as sandbox:
        assert "email" not in sandbox.user("ana@example.com").attributes


def test_empty_client_secret_is_refused() -> None:
    """As from a variable that is not set; None is a client without a secret."""
    with pytest.raises(ValidationError, match="client_secret"):
        PoolSeed(client_secret=SecretStr(""))
