"""pycognito's whole public API, unchanged from PyPI, against the sandbox.

Each exercise declares the methods that it covers. A run fails if one of them was not called, and the
last test fails if pycognito has a public method that no exercise covers.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import jwt
import pyotp
import pytest
import requests
from botocore.exceptions import ClientError
from pycognito import Cognito, GroupObj, UserObj, aws_srp
from pycognito.aws_srp import AWSSRP
from pycognito.exceptions import (
    ForceChangePasswordException,
    SMSMFAChallengeException,
    SoftwareTokenMFAChallengeException,
    TokenVerificationException,
)
from pycognito.utils import RequestsSrpAuth, TokenType

from oncegate_sandbox import PoolSeed, Sandbox, Seed

PASSWORD, NEW = "Correct-horse-1", "Better-horse-2"
CLASSES = (Cognito, UserObj, GroupObj, AWSSRP, RequestsSrpAuth)


def public_methods() -> set[str]:
    """Return the names of all public methods and properties, such as ``Cognito.authenticate``."""
    found = {
        f"{kind.__name__}.{name}"
        for kind in CLASSES
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (callable(member) or isinstance(member, property | staticmethod))
        and not inspect.isclass(member)
    }
    return found | {"RequestsSrpAuth.__call__"}


class World:
    """One pool for all exercises. Each has users of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.pool_id, self.client_id = sandbox.pool_id, sandbox.client_id
        self.boto: Any = boto3.client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=sandbox.endpoint,
            aws_access_key_id="unused",
            aws_secret_access_key="unused",
        )
        self._numbers = itertools.count(1)

    def client(self, username: str | None = None, **more: Any) -> Any:
        """Return pycognito's client of a user. Making a boto3 client takes a while: all share one."""
        return Cognito(
            self.pool_id,
            self.client_id,
            username=username,
            session=_Shared(self.boto),
            boto3_client_kwargs={"endpoint_url": self.sandbox.endpoint},
            **more,
        )

    def user(self, *, password: str = PASSWORD, permanent: bool = True, **attributes: str) -> Any:
        """Return the client of a new user."""
        number = next(self._numbers)
        name = f"user{number}"
        given = {"email": f"{name}@example.com", "email_verified": "true"} | attributes
        named: Any = {"UserPoolId": self.pool_id, "Username": name}
        self.boto.admin_create_user(
            UserAttributes=[{"Name": key, "Value": value} for key, value in given.items()],
            TemporaryPassword=password,
            MessageAction="SUPPRESS",
            **named,
        )
        if permanent:
            self.boto.admin_set_user_password(Password=password, Permanent=True, **named)
        return self.client(name)

    def signed_in(self, **attributes: Any) -> Any:
        user = self.user(**attributes)
        user.admin_authenticate(PASSWORD)
        return user

    def code(self) -> str:
        return self.sandbox.messages()[-1].code

    def srp(self, user: Any, **more: Any) -> Any:
        return AWSSRP(
            username=user.username,
            password=PASSWORD,
            pool_id=self.pool_id,
            client_id=self.client_id,
            client=self.boto,
            **more,
        )


class _Shared:
    """Stands for a boto3 session: its clients are one client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def client(self, _: str, **__: Any) -> Any:
        return self._client


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    pool = PoolSeed(custom_attributes=("team",), first_factors=(), providers=())
    with Sandbox(Seed(pool=pool)) as sandbox:
        yield World(sandbox)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The public methods that were called, as the test goes on."""
    names: set[str] = set()

    def recorded(full: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **more: Any) -> Any:
            names.add(full)
            return function(*args, **more)

        return call

    for full in public_methods():
        kind = next(one for one in CLASSES if full.startswith(f"{one.__name__}."))
        name = full.partition(".")[2]
        member = vars(kind)[name]
        if isinstance(member, staticmethod):
            wrapped: Any = staticmethod(recorded(full, member.__func__))
        elif isinstance(member, property):
            wrapped = property(recorded(full, member.fget or pytest.fail))
        else:
            wrapped = recorded(full, member)
        monkeypatch.setattr(kind, name, wrapped)
    return names


Exercise = Callable[[World, pytest.MonkeyPatch], None]
EXERCISES: dict[str, tuple[Exercise, set[str]]] = {}


def covers(*names: str) -> Callable[[Exercise], Exercise]:
    """Declare the methods that an exercise covers. Without a class it is `Cognito`."""

    def register(exercise: Exercise) -> Exercise:
        full = {name if "." in name else f"Cognito.{name}" for name in names}
        EXERCISES[exercise.__name__] = (exercise, full)
        return exercise

    return register


# ── exercises ──


@covers("authenticate", "user_pool_url", "get_keys", "get_key", "verify_token", "verify_tokens")
def signs_in_with_srp(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    with pytest.raises(ClientError, match="Incorrect username or password"):
        user.authenticate("wrong")
    user.authenticate(PASSWORD, client_metadata={"language": "de"})
    user.verify_tokens()
    assert user.id_claims["email"] == f"{user.username}@example.com"
    with pytest.raises(TokenVerificationException):
        user.verify_token(user.access_token, "id_token", "id")


@covers("admin_authenticate", "check_token", "renew_access_token")
def renews(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    user.admin_authenticate(PASSWORD)
    before = user.access_token
    assert user.check_token() is False
    user.renew_access_token()
    assert user.access_token != before
    expired = jwt.encode({"exp": 1}, "0" * 32)
    user.access_token = expired
    assert user.check_token() is True
    assert user.access_token != expired, "a new one"


@covers("logout", "switch_session")
def signs_out(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.signed_in()
    token = user.access_token
    user.switch_session(_Shared(world.boto))
    user.logout()
    assert user.access_token is None
    with pytest.raises(ClientError, match="Access Token has been revoked"):
        world.boto.get_user(AccessToken=token)


@covers(
    "set_base_attributes",
    "add_custom_attributes",
    "register",
    "resend_confirmation_code",
    "confirm_sign_up",
)
def signs_up(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.client("sara")
    user.set_base_attributes(email="sara@example.com", given_name="Sara")
    user.add_custom_attributes(team="red")
    with pytest.raises(ClientError, match="InvalidPasswordException"):
        user.register("sara", "short")
    made = user.register("sara", PASSWORD, client_metadata={"from": "peers"})
    assert made["UserConfirmed"] is False
    assert made["CodeDeliveryDetails"]["Destination"] == "s***@e***"
    user.resend_confirmation_code("sara")
    with pytest.raises(ClientError, match="CodeMismatchException"):
        user.confirm_sign_up("000000" if world.code() != "000000" else "000001")
    user.confirm_sign_up(world.code())
    user.authenticate(PASSWORD)
    assert user.id_claims["custom:team"] == "red"


@covers("admin_confirm_sign_up")
def is_confirmed_by_an_administrator(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.client("sam")
    user.set_base_attributes(email="sam@example.com")
    user.register("sam", PASSWORD)
    with pytest.raises(ClientError, match="UserNotConfirmedException"):
        user.authenticate(PASSWORD)
    user.admin_confirm_sign_up()
    user.authenticate(PASSWORD)


@covers("new_password_challenge", "AWSSRP.set_new_password_challenge", "AWSSRP.authenticate_user")
def replaces_a_temporary_password(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user(permanent=False)
    with pytest.raises(ForceChangePasswordException):
        user.authenticate(PASSWORD)
    user.new_password_challenge(PASSWORD, NEW)
    assert user.access_claims["username"] == user.username


@covers("get_user", "get_user_obj", "update_profile", "UserObj.save", "UserObj.delete")
def changes_the_own_profile(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.signed_in(given_name="Before")
    profile = user.get_user(attr_map={"given_name": "first_name"})
    assert (profile.first_name, profile.email_verified) == ("Before", True)
    profile.first_name = "After"
    profile.save()
    assert user.get_user().given_name == "After"
    user.update_profile({"custom:team": "blue"})
    assert user.admin_get_user().sub == profile.sub
    profile.delete()
    with pytest.raises(ClientError, match="UserNotFoundException"):
        user.admin_get_user()


@covers("admin_get_user", "admin_update_profile", "get_users", "admin_delete_user")
def is_changed_by_an_administrator(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    found = user.admin_get_user()
    assert (found.enabled, found.user_status) == (True, "CONFIRMED")
    user.admin_update_profile({"nickname": "Nick"})
    profile = user.admin_get_user()
    profile.nickname = "Nicky"
    profile.save(admin=True)
    assert user.admin_get_user().nickname == "Nicky"
    for _number in range(61 - len(user.get_users())):
        world.user(permanent=False)
    assert len(user.get_users()) > 60, "two pages"
    profile.delete(admin=True)
    assert user.username not in {one.username for one in user.get_users()}


@covers("admin_create_user", "delete_user")
def is_created_by_an_administrator(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.client("tess")
    made = user.admin_create_user("tess", PASSWORD, email="tess@example.com", given_name="Tess")
    assert made["User"]["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    with pytest.raises(ClientError, match="UsernameExistsException"):
        user.admin_create_user("tess", email="tess@example.com")
    user.new_password_challenge(PASSWORD, NEW)
    user.delete_user()
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        user.authenticate(NEW)


@covers("admin_create_user")
def gets_a_password_by_email(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.client("theo")
    invited = {"DesiredDeliveryMediums": ["EMAIL"]}
    user.admin_create_user("theo", additional_kwargs=invited, email="theo@example.com")
    user.new_password_challenge(world.code(), NEW)
    assert user.access_token


@covers("send_verification", "validate_verification")
def verifies_the_email_address(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.signed_in(email_verified="false")
    assert user.get_user().email_verified is False
    user.send_verification()
    user.validate_verification(world.code())
    assert user.get_user().email_verified is True


@covers("initiate_forgot_password", "confirm_forgot_password")
def resets_a_forgotten_password(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    user.initiate_forgot_password()
    user.confirm_forgot_password(world.code(), NEW)
    user.authenticate(NEW)


@covers("admin_reset_password")
def is_reset_by_an_administrator(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    user.admin_reset_password(user.username)
    assert user.admin_get_user().user_status == "RESET_REQUIRED"
    user.confirm_forgot_password(world.code(), NEW)
    user.admin_authenticate(NEW)


@covers("change_password")
def changes_the_password(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.signed_in()
    with pytest.raises(ClientError, match="Incorrect username or password"):
        user.change_password("wrong-Horse-1", NEW)
    user.change_password(PASSWORD, NEW)
    user.admin_authenticate(NEW)


@covers(
    "get_group",
    "get_groups",
    "get_group_obj",
    "admin_add_user_to_group",
    "admin_remove_user_from_group",
    "admin_list_groups_for_user",
)
def has_groups(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    world.boto.create_group(
        UserPoolId=world.pool_id, GroupName="staff", Description="All staff", Precedence=3
    )
    group = user.get_group("staff")
    assert (group.group_name, group.description, group.precedence) == ("staff", "All staff", 3)
    assert [one.group_name for one in user.get_groups()] == ["staff"]
    user.admin_add_user_to_group(user.username, "staff")
    assert user.admin_list_groups_for_user(user.username) == ["staff"]
    user.admin_authenticate(PASSWORD)
    assert user.access_claims["cognito:groups"] == ["staff"]
    user.admin_remove_user_from_group(user.username, "staff")
    assert user.admin_list_groups_for_user(user.username) == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        user.get_group("none")


@covers("admin_disable_user", "admin_enable_user")
def is_disabled_and_enabled(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.signed_in()
    user.admin_disable_user(user.username)
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        user.renew_access_token()
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        user.authenticate(PASSWORD)
    user.admin_enable_user(user.username)
    user.authenticate(PASSWORD)


@covers(
    "admin_create_identity_provider",
    "admin_describe_identity_provider",
    "admin_update_identity_provider",
)
def has_identity_providers(world: World, _: pytest.MonkeyPatch) -> None:
    admin, pool_id = world.client(), world.pool_id
    details = {"client_id": "1", "client_secret": "2", "authorize_scopes": "openid"}
    admin.admin_create_identity_provider(
        pool_id, "Google", "Google", details, AttributeMapping={"email": "email"}
    )
    found = admin.admin_describe_identity_provider(pool_id, "Google")["IdentityProvider"]
    assert found["AttributeMapping"] == {"email": "email", "username": "sub"}
    admin.admin_update_identity_provider(
        pool_id, "Google", ProviderDetails={**details, "client_id": "3"}
    )
    found = admin.admin_describe_identity_provider(pool_id, "Google")["IdentityProvider"]
    assert found["ProviderDetails"]["client_id"] == "3"


@covers("describe_user_pool_client", "admin_update_user_pool_client")
def has_app_clients(world: World, _: pytest.MonkeyPatch) -> None:
    admin, pool_id = world.client(), world.pool_id
    made = world.boto.create_user_pool_client(UserPoolId=pool_id, ClientName="app")
    client_id = made["UserPoolClient"]["ClientId"]
    admin.admin_update_user_pool_client(pool_id, client_id, ClientName="renamed")
    found = admin.describe_user_pool_client(pool_id, client_id)
    assert (found["ClientName"], found["ClientId"]) == ("renamed", client_id)


@covers(
    "associate_software_token",
    "verify_software_token",
    "set_user_mfa_preference",
    "respond_to_software_token_mfa_challenge",
)
def uses_an_authenticator_app(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.signed_in()
    app = pyotp.TOTP(user.associate_software_token())
    assert user.verify_software_token(app.now(), "an app") is True
    user.set_user_mfa_preference(False, True, "SOFTWARE_TOKEN")
    with pytest.raises(SoftwareTokenMFAChallengeException) as challenge:
        user.authenticate(PASSWORD)
    tokens = challenge.value.get_tokens()
    world.sandbox.advance(30)  # Cognito accepts each code once
    user.respond_to_software_token_mfa_challenge(app.at(int(time.time()) + 30), tokens)
    user.set_user_mfa_preference(False, False)
    user.authenticate(PASSWORD)


@covers("respond_to_sms_mfa_challenge")
def uses_codes_by_sms(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.signed_in(phone_number="+15550001234", phone_number_verified="true")
    user.set_user_mfa_preference(True, False, "SMS")
    with pytest.raises(SMSMFAChallengeException):
        user.authenticate(PASSWORD)
    user.respond_to_sms_mfa_challenge(world.code())
    assert user.access_claims["username"] == user.username


@covers(
    "AWSSRP.generate_random_small_a",
    "AWSSRP.calculate_a",
    "AWSSRP.get_auth_params",
    "AWSSRP.get_secret_hash",
    "AWSSRP.get_cognito_formatted_timestamp",
    "AWSSRP.process_challenge",
    "AWSSRP.get_password_authentication_key",
)
def takes_part_in_the_srp_exchange(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    client = world.boto.create_user_pool_client(
        UserPoolId=world.pool_id, ClientName="secret", GenerateSecret=True
    )["UserPoolClient"]
    aws = AWSSRP(
        username=user.username,
        password=PASSWORD,
        pool_id=world.pool_id,
        client_id=client["ClientId"],
        client_secret=client["ClientSecret"],
        client=world.boto,
    )
    given = aws.get_auth_params()
    assert given["SECRET_HASH"] == AWSSRP.get_secret_hash(
        user.username, client["ClientId"], client["ClientSecret"]
    )
    asked = world.boto.initiate_auth(
        ClientId=client["ClientId"], AuthFlow="USER_SRP_AUTH", AuthParameters=given
    )
    answer = aws.process_challenge(asked["ChallengeParameters"], given)

    def respond(**changed: str) -> Any:
        return world.boto.respond_to_auth_challenge(
            ClientId=client["ClientId"],
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses=answer | changed,
        )

    with pytest.raises(ClientError, match="SecretHash does not match"):
        respond(SECRET_HASH="wrong")
    assert respond()["AuthenticationResult"]["AccessToken"]


@covers(
    "AWSSRP.confirm_device",
    "AWSSRP.update_device_status",
    "AWSSRP.process_device_challenge",
    "AWSSRP.get_device_authentication_key",
    "AWSSRP.forget_device",
)
def uses_a_remembered_device(world: World, patch: pytest.MonkeyPatch) -> None:
    # pycognito always sends these to Amazon's address, whatever its client's endpoint.
    post = aws_srp.requests.post
    patch.setattr(aws_srp.requests, "post", lambda _, **more: post(world.sandbox.endpoint, **more))
    tracking = world.boto.create_user_pool(
        PoolName="tracking",
        MfaConfiguration="OPTIONAL",
        SmsConfiguration={"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"},
        DeviceConfiguration={"ChallengeRequiredOnNewDevice": True},
    )["UserPool"]["Id"]
    client = world.boto.create_user_pool_client(UserPoolId=tracking, ClientName="app")
    patch.setattr(world, "pool_id", tracking)
    patch.setattr(world, "client_id", client["UserPoolClient"]["ClientId"])
    user = world.user(phone_number="+15550004321", phone_number_verified="true")
    aws = world.srp(user)
    tokens = aws.authenticate_user()
    response, password = aws.confirm_device(tokens, "a laptop")
    assert response.json() == {"UserConfirmationNecessary": False}
    access = tokens["AuthenticationResult"]["AccessToken"]
    assert "200" in aws.update_device_status(True, access, aws.device_key)
    world.boto.set_user_mfa_preference(
        AccessToken=access, SMSMfaSettings={"Enabled": True, "PreferredMfa": True}
    )
    sent = len(world.sandbox.messages())
    again = world.srp(
        user,
        device_key=aws.device_key,
        device_group_key=aws.device_group_key,
        device_password=password,
    )
    assert again.authenticate_user()["AuthenticationResult"]["AccessToken"]
    assert len(world.sandbox.messages()) == sent, "the device replaced the code"
    assert "200" in aws.forget_device(access, aws.device_key)
    with pytest.raises(SMSMFAChallengeException):
        world.srp(user).authenticate_user()


@covers("RequestsSrpAuth.__call__")
def authorises_requests(world: World, _: pytest.MonkeyPatch) -> None:
    user = world.user()
    for kind in TokenType:
        auth = RequestsSrpAuth(
            username=user.username,
            password=PASSWORD,
            user_pool_id=world.pool_id,
            client_id=world.client_id,
            user_pool_region="us-east-1",
            boto3_client_kwargs={"endpoint_url": world.sandbox.endpoint},
            auth_token_type=kind,
        )
        request = requests.Request("GET", "http://127.0.0.1/", auth=auth).prepare()
        scheme, token = request.headers["Authorization"].split()
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (scheme, claims["token_use"]) == ("Bearer", kind.value.removesuffix("_token"))


@pytest.mark.parametrize("name", EXERCISES)
def test_exercise_works_against_the_sandbox(
    name: str, world: World, called: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "unused")
    exercise, declared = EXERCISES[name]
    exercise(world, monkeypatch)
    assert declared <= called


def test_every_public_method_is_exercised() -> None:
    exercised = {name for _, declared in EXERCISES.values() for name in declared}
    assert exercised == public_methods()
