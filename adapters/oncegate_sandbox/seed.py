"""The seed: settings and users of the sandbox's pool, as objects or as a TOML file."""

from __future__ import annotations

import base64
import binascii
import tomllib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from oncegate import Factor, InvalidInput


class _Seed(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


AuthFlow = Literal[
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
]


class PasswordPolicySeed(_Seed):
    """The ``[pool.password_policy]`` table. The defaults are those of a new user pool.

    Attributes:
        minimum_length: number of characters, 6 to 99. Default: 8.
        require_numbers: whether a digit is required. Default: True.
        require_uppercase: whether an upper-case letter is required. Default: True.
        require_lowercase: whether a lower-case letter is required. Default: True.
        require_symbols: whether a special character is required. Default: True.
        temporary_password_days: days for which a temporary password is valid. Default: 7.
        history: number of former passwords that cannot be used again. Default: 0.
    """

    minimum_length: int = Field(default=8, ge=6, le=99)
    require_numbers: bool = True
    require_uppercase: bool = True
    require_lowercase: bool = True
    require_symbols: bool = True
    temporary_password_days: int = Field(default=7, ge=1, le=365)
    history: int = Field(default=0, ge=0, le=24)


class PoolSeed(_Seed):
    """The ``[pool]`` table.

    Attributes:
        id: user pool ID.
        client_id: app client ID.
        mfa: whether second factors are off, optional for each user, or required of all users.
            Default: ``optional``.
        device_tracking: whether devices are tracked always, if the user agrees (``opt_in``), or not.
            Default: ``off``.
        client_secret: secret of the app client. Default: none, a public client.
        auth_session_minutes: AuthSessionValidity in minutes, 3 to 15. Default: 3.
        remembered_devices_skip_mfa: whether a remembered device replaces the second factor
            (ChallengeRequiredOnNewDevice of the service model). Default: True.
        refresh_rotation: whether each refresh token is valid for one refresh. Default: False.
        rotation_grace_seconds: seconds for which a replaced refresh token stays valid, at most 60.
            Default: 0.
        first_factors: first factors that USER_AUTH can offer beside the password. Default: all.
        relying_party: host name for passkeys. Its pages can use any port. Default: ``localhost``.
        custom_auth: Python source that answers CUSTOM_AUTH; see
            `oncegate_sandbox.challenges.custom`. Default: none, CUSTOM_AUTH is not enabled.
        prevent_user_existence_errors: whether responses hide that a user is unknown. Default: True.
        wrong_totp_ends_session: whether a wrong authenticator code uses up the session: clients
            disagree on what Cognito does. Default: False.
        required_attributes: attributes that NEW_PASSWORD_REQUIRED requires of users who lack them.
            Default: none.
        issuer: ``iss`` of tokens: the sandbox's endpoint, or as AWS's (``aws``), for verifiers that know
            no other. They have to be given the JWKS, or its URL below the endpoint. Default:
            ``endpoint``.
        issuer_type: form of AWS's ``iss`` (IssuerType). Default: ``ORIGINAL``.
        pre_token_version: version of the event of PreTokenGeneration. Default: ``V1_0``.
        case_sensitive: whether the case of usernames and aliases counts. Default: True.
        username_attributes: attributes that stand for the username at sign-up, ``email`` or
            ``phone_number``. Default: none; both are aliases of the username.
        custom_attributes: names of custom attributes, with or without ``custom:``. Those of the
            seed's users are added. Default: none.
        password_policy: what new passwords must meet. Default: the policy of a new user pool.
        sign_up: whether users can sign up themselves. Default: True.
        passkey_user_verification: ``preferred`` or ``required``. Default: ``preferred``.
        passkeys_satisfy_mfa: whether a passkey with user verification counts as two factors
            (FactorConfiguration of the service model). Default: False.
        auth_flows: ExplicitAuthFlows of the app client, without the older names. Default: all flows.
        providers: names of identity providers that the app client can use, such as ``Google``,
            ``SignInWithApple`` or one of your own (OIDC). A page of the sandbox stands for each. The
            pool itself (``COGNITO``) is always allowed. Default: ``Google``.
        oauth_scopes: scopes that the app client can ask for at managed login. Default: all that Cognito
            reserves.
        callback_urls: URLs that managed login can return to after a sign-in, each compared character by
            character. Default: every URL of ``localhost`` and ``127.0.0.1``.
        logout_urls: URLs that managed login can return to after a sign-out. Default: as
            ``callback_urls``.
        triggers: hooks that stand for the pool's Lambda functions: Python source, or functions by the
            name of the trigger; see `oncegate_sandbox._triggers`. Default: none.
        trigger_timeout_seconds: seconds until an attempt to call a hook counts as timed out. After
            three, the call fails. Default: 5, as in Cognito.
    """

    id: str = Field(default="us-east-1_Sandbox01", pattern=r"^[\w-]+_[0-9a-zA-Z]+$")
    client_id: str = Field(default="1sandboxclient2oncegate34", pattern=r"^[\w+]{1,128}$")
    mfa: Literal["off", "optional", "on"] = "optional"
    device_tracking: Literal["off", "always", "opt_in"] = "off"
    client_secret: SecretStr | None = Field(default=None, min_length=1)
    auth_session_minutes: float = Field(default=3, ge=3, le=15)
    remembered_devices_skip_mfa: bool = True
    refresh_rotation: bool = False
    rotation_grace_seconds: float = Field(default=0, ge=0, le=60)
    first_factors: tuple[Literal["EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"], ...] = (
        "EMAIL_OTP",
        "SMS_OTP",
        "WEB_AUTHN",
    )
    relying_party: str = "localhost"
    custom_auth: str | None = Field(default=None, max_length=65536)
    prevent_user_existence_errors: bool = True
    wrong_totp_ends_session: bool = False
    required_attributes: tuple[str, ...] = ()
    issuer: Literal["endpoint", "aws"] = "endpoint"
    issuer_type: Literal["ORIGINAL", "UPDATED"] = "ORIGINAL"
    pre_token_version: Literal["V1_0", "V2_0", "V3_0"] = "V1_0"
    case_sensitive: bool = True
    username_attributes: tuple[Literal["email", "phone_number"], ...] = ()
    custom_attributes: tuple[str, ...] = ()
    password_policy: PasswordPolicySeed = PasswordPolicySeed()
    sign_up: bool = True
    passkey_user_verification: Literal["preferred", "required"] = "preferred"
    passkeys_satisfy_mfa: bool = False
    auth_flows: tuple[AuthFlow, ...] | None = None
    providers: tuple[Annotated[str, Field(pattern=r"^[^_\s][^_\s]{0,31}$")], ...] = ("Google",)
    oauth_scopes: tuple[str, ...] = (
        "openid",
        "email",
        "phone",
        "profile",
        "aws.cognito.signin.user.admin",
    )
    callback_urls: tuple[str, ...] | None = None
    logout_urls: tuple[str, ...] | None = None
    triggers: str | dict[str, Callable[..., Any]] | None = None
    trigger_timeout_seconds: float = Field(default=5.0, gt=0, le=60)


class PasskeySeed(_Seed):
    """One ``[[users.passkeys]]`` table.

    Attributes:
        id: credential ID in URL-safe base64.
        public_key: COSE key (RFC 9052) in URL-safe base64.
    """

    id: str = Field(min_length=1)
    public_key: str = Field(min_length=1)


class UserSeed(_Seed):
    """One ``[[users]]`` table.

    Attributes:
        username: the user's own name. An address that stands for the username in the pool is also the
            attribute of its kind, as after SignUp.
        password: permanent or temporary password, according to ``status``. Default: empty, the user
            has no password and signs in with first-factor codes or passkeys.
        status: UserStatus of the service model. Default: ``CONFIRMED``.
        phone_number: in E.164 format. Default: none.
        email: email address. Default: none.
        phone_number_verified: whether the phone number was verified. Default: True.
        email_verified: whether the email address was verified. Default: True.
        attributes: further attributes, such as ``given_name`` or ``custom:team``. Default: none.
        groups: names of the user's groups, which are created. Default: none.
        enabled: whether no administrator has disabled the user. Default: True.
        mfa: second factors that are enabled. Default: none.
        preferred_mfa: the preferred one of ``mfa``. Default: none, the user chooses.
        totp_secret: shared secret of the authenticator app, in base32. Default: none.
        passkeys: passkeys that are registered. Default: none.
    """

    username: str = Field(min_length=1, max_length=128)
    password: SecretStr = Field(default=SecretStr(""), max_length=256)
    status: Literal["CONFIRMED", "UNCONFIRMED", "FORCE_CHANGE_PASSWORD", "RESET_REQUIRED"] = (
        "CONFIRMED"
    )
    phone_number: str | None = Field(default=None, pattern=r"^\+[0-9]{5,15}$")
    email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$")
    phone_number_verified: bool = True
    email_verified: bool = True
    attributes: dict[str, str] = {}
    groups: tuple[str, ...] = ()
    enabled: bool = True
    mfa: tuple[Factor, ...] = ()
    preferred_mfa: Factor | None = None
    totp_secret: SecretStr | None = None
    passkeys: tuple[PasskeySeed, ...] = ()

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        if not (self.password or self.email or self.phone_number or self.passkeys):
            raise ValueError("password is required: the user has no other way to sign in")
        return self

    @model_validator(mode="after")
    def _factors_can_work(self) -> Self:
        needs = {
            Factor.SMS: ("phone_number", self.phone_number),
            Factor.EMAIL: ("email", self.email),
            Factor.TOTP: ("totp_secret", self.totp_secret),
        }
        for factor in self.mfa:
            if factor not in needs:
                raise ValueError(f"{factor.value} is not a second factor")
            name, value = needs[factor]
            if not value:
                raise ValueError(f"{factor.value} requires {name}")
        if self.preferred_mfa and self.preferred_mfa not in self.mfa:
            raise ValueError("preferred_mfa must be one of mfa")
        if self.totp_secret:
            try:
                base64.b32decode(self.totp_secret.get_secret_value(), casefold=True)
            except binascii.Error:
                raise ValueError("totp_secret must be base32") from None
        return self


def address_in(username: str, username_attributes: Collection[str]) -> dict[str, str]:
    """Return the attribute that a username is, as ``{"email": …}``; empty if it is a plain name.

    Args:
        username: the user's name in a seed.
        username_attributes: attributes that stand for the username in the pool.
    """
    formats = {"email": "@" in username, "phone_number": username.startswith("+")}
    return {
        name: username for name, fits in formats.items() if fits and name in username_attributes
    }


class Seed(_Seed):
    """A seed: the contents of a seed file.

    Attributes:
        pool: settings of the pool and its app client.
        users: the pool's users. Default: none.
    """

    pool: PoolSeed = PoolSeed()
    users: tuple[UserSeed, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [
            name
            for user in self.users
            for name in {
                name if self.pool.case_sensitive else name.casefold()
                for name, can_sign_in in (
                    (user.username, True),
                    (user.email, user.email_verified),
                    (user.phone_number, user.phone_number_verified),
                )
                if name and can_sign_in
            }
        ]
        if len(set(names)) != len(names):
            raise ValueError(
                "usernames, verified emails and verified phone numbers must be unique: each can sign in"
            )
        return self


def load_seed(path: Path) -> Seed:
    """Read a seed file.

    Raises:
        InvalidInput: the file cannot be read or is invalid. The message names the line or key.
    """
    try:
        return Seed.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path}: invalid TOML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {_of_toml(problem['msg'])}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidInput(f"{path}: {problems}") from None


def _of_toml(message: str) -> str:
    """Return a message of pydantic in the terms of TOML, which has lists and no tuples."""
    return message.replace("valid tuple", "valid list")


DEMO_SEED = Seed(
    users=(
        UserSeed(
            username="ana",
            password=SecretStr("Correct-horse-1"),
            phone_number="+15550001234",
            email="ana@example.com",
            mfa=(Factor.SMS,),
        ),
        UserSeed(
            username="ben",
            password=SecretStr("Correct-horse-2"),
            email="ben@example.com",
            mfa=(Factor.EMAIL,),
        ),
        UserSeed(
            username="cleo",
            password=SecretStr("Correct-horse-3"),
            email="cleo@example.com",
            mfa=(Factor.TOTP,),
            totp_secret=SecretStr("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
        ),
        UserSeed(
            username="dora",
            password=SecretStr("Correct-horse-4"),
            phone_number="+15550004321",
            email="dora@example.com",
            mfa=(Factor.SMS, Factor.EMAIL, Factor.TOTP),
            totp_secret=SecretStr("KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"),
        ),
        UserSeed(
            username="emil",
            password=SecretStr("Correct-horse-5"),
            status="FORCE_CHANGE_PASSWORD",
            phone_number="+15550005678",
            mfa=(Factor.SMS,),
        ),
        UserSeed(username="fay", password=SecretStr("Correct-horse-6")),
    )
)
"""The default seed: one user for each way of signing in."""
