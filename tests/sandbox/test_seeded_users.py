"""Users of a seed in every state, and their devices as administrators see them.

Sources: AWS developer guide, API reference.
"""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest

from oncegate import InvalidInput
from oncegate_sandbox import CognitoError, Pool, PoolSeed, SandboxClock, Seed, UserSeed, load_seed

PASSWORD = "Correct-horse-1"
CLIENT = PoolSeed().client_id
SEED = """
[[users]]
username = "ana"
email = "ana@example.com"
phone_number = "+15550001234"
phone_number_verified = false
groups = ["staff", "admins"]
attributes = { given_name = "Ana", "custom:team" = "red" }

[[users]]
username = "bob"
password = "Correct-horse-1"
email = "bob@example.com"
email_verified = false
enabled = false
"""


def pool_of(*users: UserSeed, **pool: Any) -> Pool:
    return Pool(Seed(pool=PoolSeed(**pool), users=users), "http://issuer", SandboxClock())


def ana(**keys: Any) -> UserSeed:
    return UserSeed.model_validate({"username": "ana", "password": PASSWORD, **keys})


def start(pool: Pool, flow: str = "USER_PASSWORD_AUTH", name: str = "ana", **given: str) -> Any:
    parameters = {"USERNAME": name, **({} if flow == "USER_AUTH" else {"PASSWORD": PASSWORD})}
    return pool.perform(
        "InitiateAuth",
        {"ClientId": CLIENT, "AuthFlow": flow, "AuthParameters": {**parameters, **given}},
    )


def admin(pool: Pool, operation: str, **request: Any) -> Any:
    return pool.perform(operation, {"UserPoolId": pool.id, "Username": "ana", **request})


def test_keys_of_a_seed_file_make_users_in_every_state(tmp_path: Any) -> None:
    path = tmp_path / "seed.toml"
    path.write_text(SEED, "utf-8")
    pool = Pool(load_seed(path), "http://issuer", SandboxClock())
    found = admin(pool, "AdminGetUser")
    assert {one["Name"]: one["Value"] for one in found["UserAttributes"]} == {
        "sub": pool.users.find("ana").sub,  # type: ignore[union-attr]
        "given_name": "Ana",
        "custom:team": "red",
        "email": "ana@example.com",
        "email_verified": "true",
        "phone_number": "+15550001234",
        "phone_number_verified": "false",
    }
    groups = admin(pool, "AdminListGroupsForUser")["Groups"]
    assert [group["GroupName"] for group in groups] == ["admins", "staff"]
    assert admin(pool, "AdminGetUser", Username="bob")["Enabled"] is False
    listed = pool.perform("ListUsers", {"UserPoolId": pool.id})["Users"]
    assert [user["Username"] for user in listed] == ["ana", "bob"]


def test_user_without_password_signs_in_with_a_code_only() -> None:
    """API reference, InitiateAuth: USER_AUTH"""
    pool = pool_of(UserSeed(username="ana", email="ana@example.com"))
    assert start(pool, "USER_AUTH")["ChallengeName"] == "EMAIL_OTP"
    with pytest.raises(CognitoError, match="Incorrect username or password"):
        start(pool)


def test_user_without_any_way_to_sign_in_is_rejected(tmp_path: Any) -> None:
    path = tmp_path / "seed.toml"
    path.write_text("[[users]]\nusername = 'ana'", "utf-8")
    with pytest.raises(InvalidInput, match="password is required"):
        load_seed(path)


def test_unverified_alias_does_not_sign_in() -> None:
    """AWS developer guide, customizing sign-in attributes; amazon-cognito-identity-js#148"""
    pool = pool_of(ana(email="ana@example.com", email_verified=False))
    with pytest.raises(CognitoError, match="Incorrect username or password"):
        start(pool, name="ana@example.com")
    assert "AuthenticationResult" in start(pool)


def test_groups_of_a_seed_are_in_tokens() -> None:
    """AWS developer guide, adding groups to a user pool"""
    tokens = start(pool_of(ana(groups=["staff"])))["AuthenticationResult"]
    claims = jwt.decode(tokens["AccessToken"], options={"verify_signature": False})
    assert claims["cognito:groups"] == ["staff"]


def test_temporary_password_of_a_seed_expires() -> None:
    """API reference, PasswordPolicyType: 7 days by default"""
    pool = pool_of(ana(status="FORCE_CHANGE_PASSWORD"))
    assert start(pool)["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    pool.clock.advance(7 * 86400)
    with pytest.raises(CognitoError, match="must be reset by an administrator"):
        start(pool)


class TestDevices:
    """AdminGetDevice, AdminListDevices, AdminUpdateDeviceStatus, AdminForgetDevice, GetDevice."""

    @pytest.fixture
    def pool(self) -> Pool:
        return pool_of(ana(), device_tracking="opt_in")

    def remembered(self, pool: Pool) -> dict[str, str]:
        """Sign in on a new device and confirm it."""
        result = start(pool)["AuthenticationResult"]
        number = base64.b64encode(bytes([1] * 16)).decode()
        pool.perform(
            "ConfirmDevice",
            {
                "AccessToken": result["AccessToken"],
                "DeviceKey": result["NewDeviceMetadata"]["DeviceKey"],
                "DeviceName": "browser",
                "DeviceSecretVerifierConfig": {"PasswordVerifier": number, "Salt": number},
            },
        )
        return {
            "AccessToken": result["AccessToken"],
            "DeviceKey": result["NewDeviceMetadata"]["DeviceKey"],
        }

    def status(self, device: Any) -> str:
        attributes = {one["Name"]: one["Value"] for one in device["DeviceAttributes"]}
        return str(attributes["dev:device_remembered_status"])

    def test_administrator_and_user_see_the_device(self, pool: Pool) -> None:
        own = self.remembered(pool)
        key = {"DeviceKey": own["DeviceKey"]}
        seen = admin(pool, "AdminGetDevice", **key)["Device"]
        assert seen == pool.perform("GetDevice", own)["Device"]
        assert admin(pool, "AdminListDevices")["Devices"] == [seen]
        admin(pool, "AdminUpdateDeviceStatus", DeviceRememberedStatus="remembered", **key)
        assert self.status(admin(pool, "AdminGetDevice", **key)["Device"]) == "remembered"
        admin(pool, "AdminUpdateDeviceStatus", DeviceRememberedStatus="not_remembered", **key)
        assert self.status(pool.perform("GetDevice", own)["Device"]) == "not_remembered"

    def test_forgotten_device_is_unknown(self, pool: Pool) -> None:
        """amplify-js for the words"""
        key = {"DeviceKey": self.remembered(pool)["DeviceKey"]}
        admin(pool, "AdminForgetDevice", **key)
        for operation in ("AdminGetDevice", "AdminForgetDevice", "AdminUpdateDeviceStatus"):
            with pytest.raises(CognitoError, match="Device does not exist"):
                admin(pool, operation, **key)

    def test_devices_are_listed_in_pages(self, pool: Pool) -> None:
        for _ in range(3):
            self.remembered(pool)
        first = admin(pool, "AdminListDevices", Limit=2)
        last = admin(pool, "AdminListDevices", Limit=2, PaginationToken=first["PaginationToken"])
        assert (len(first["Devices"]), len(last["Devices"])) == (2, 1)
