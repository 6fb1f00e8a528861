"""`read_pool`: a user pool's own settings, instead of a second copy in the application; `check_pool`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from oncegate import Misconfigured, PasswordPolicy, SignUpForm, Unreachable, WaysIn
from oncegate.adapters import Finding, Rejected, check_seconds
from oncegate_cognito._app_client import checked_region, parse_pool_id
from oncegate_cognito._boto import check_client, check_endpoint, make_client, unlogged
from oncegate_cognito._checks import check_keys, safely
from oncegate_cognito._connections import limit_connections
from oncegate_cognito._deadlines import limited
from oncegate_cognito._responses import MALFORMED
from oncegate_cognito.errors import MalformedResponse, name_of, outcome_of_exception
from oncegate_cognito.tokens import TokenVerifier

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

_IAM: Final = (
    "allow cognito-idp:DescribeUserPool on the pool to the AWS credentials of this process"
)
_CODES: Final = frozenset({"EMAIL_OTP", "SMS_OTP"})


@dataclass(frozen=True)
class PoolSettings:
    """What a user pool requires of its users, for `oncegate.SignIn` and `oncegate.WaysIn`.

    Attributes:
        password_policy: the rules for new passwords.
        sign_up: the form of a new account, with a password; None if only administrators create
            accounts.
        passwordless: whether the pool also has accounts without a password, whose users sign in with
            a code (USER_AUTH). Then `oncegate.SignUpForm.password` can be ``"optional"``.
        password_reset: whether users may reset a forgotten password; False if account recovery is by
            administrators only.
    """

    password_policy: PasswordPolicy
    sign_up: SignUpForm | None
    passwordless: bool
    password_reset: bool

    @property
    def ways_in(self) -> WaysIn:
        """The same for a transport. Providers and passkeys are the app client's: add them."""
        return WaysIn(password_reset=self.password_reset, sign_up=self.sign_up)


def read_pool(
    pool_id: str,
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    allow_insecure_endpoint: bool = False,
    timeout: float = 10.0,
    client: CognitoIdentityProviderClient | None = None,
) -> PoolSettings:
    """Read a user pool's settings (DescribeUserPool). Call it once, when the application starts.

    Args:
        pool_id: user pool ID, such as ``eu-west-1_aBcDeFgHi``.
        region: AWS region that the request goes to. Default: the one in ``pool_id``.
        endpoint_url: URL of a local Cognito. Default: Cognito itself.
        allow_insecure_endpoint: whether the endpoint may be http on another host than this one.
        timeout: limit for the whole call, in seconds.
        client: boto3 client to use instead of a new one; it must not repeat requests. A new one signs
            with the credentials that boto3 finds.

    Returns:
        The settings. The form has the attributes that the pool requires, without the one that users
        sign in with. If the pool verifies an attribute, one that it verifies is among them, since
        otherwise no code could be sent.

    Raises:
        Misconfigured: a setting is invalid, there is no such pool, there are no AWS credentials, or
            their IAM policy does not allow the operation.
        Unreachable: Cognito did not answer, or throttled the request: try again later.
    """
    own_region, _ = parse_pool_id(pool_id)
    check_seconds("timeout", timeout)
    if endpoint_url is not None:
        check_endpoint(endpoint_url, allow_insecure=allow_insecure_endpoint)
    if client is None:
        client = make_client(
            checked_region(region) or own_region,
            endpoint_url,
            connect_timeout=min(3.0, timeout),
            read_timeout=timeout,
            signed=True,
        )
    check_client(client)
    limit_connections(client)
    try:
        with limited(timeout):
            return settings_of(unlogged(client).describe_user_pool(UserPoolId=pool_id)["UserPool"])
    except (ClientError, BotoCoreError) as failure:
        error = _error_of(failure)
    except MALFORMED as failure:
        error = Unreachable(f"Cognito's response is malformed: {type(failure).__name__}")
    raise error  # not within `except`: the frames of its context hold the credentials


def check_pool(
    pool_id: str,
    *,
    endpoint_url: str | None = None,
    allow_insecure_endpoint: bool = False,
) -> list[Finding]:
    """Return whether a user pool exists, and what this machine's clock shows. Needs no credentials.

    `CognitoTransport.check` begins with it.

    Args:
        pool_id: user pool ID, such as ``eu-west-1_aBcDeFgHi``.
        endpoint_url: URL of a local Cognito. Default: Cognito itself.
        allow_insecure_endpoint: whether the endpoint may be http on another host than this one.

    Raises:
        Misconfigured: the pool ID or the endpoint is malformed.
    """
    verifier = TokenVerifier(
        pool_id=pool_id,
        client_id="unused",
        endpoint_url=endpoint_url,
        allow_insecure_endpoint=allow_insecure_endpoint,
    )
    return safely("user pool", lambda: check_keys(verifier.keys_urls))


def _error_of(failure: Exception) -> Misconfigured | Unreachable:
    outcome = outcome_of_exception(failure)
    detail = str(getattr(outcome, "detail", "")) or name_of(failure)
    if isinstance(outcome, Rejected):
        # Credentials do not help if there is no such pool.
        cure = "" if detail.startswith("ResourceNotFoundException") else f" ({_IAM})"
        return Misconfigured(f"the settings of the pool cannot be read: {detail}{cure}")
    what = "malformed" if isinstance(failure, MalformedResponse) else "none"
    return Unreachable(f"the settings of the pool cannot be read, response: {what}: {detail}")


def settings_of(pool: Mapping[str, Any]) -> PoolSettings:
    """Return what a pool requires of its users, of DescribeUserPool's response."""
    policies = pool.get("Policies") or {}
    by_administrators = pool.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly", False)
    recovery = pool.get("AccountRecoverySetting", {}).get("RecoveryMechanisms", [])
    factors = policies.get("SignInPolicy", {}).get("AllowedFirstAuthFactors", [])
    return PoolSettings(
        password_policy=_policy_of(policies.get("PasswordPolicy") or {}),
        sign_up=None if by_administrators else _form_of(pool),
        passwordless=bool(_CODES & set(factors)),
        password_reset=[one["Name"] for one in recovery] != ["admin_only"],
    )


def _policy_of(found: Mapping[str, Any]) -> PasswordPolicy:
    return PasswordPolicy(
        minimum_length=found.get("MinimumLength", 8),
        require_uppercase=found.get("RequireUppercase", False),
        require_lowercase=found.get("RequireLowercase", False),
        require_numbers=found.get("RequireNumbers", False),
        require_symbols=found.get("RequireSymbols", False),
    )


def _form_of(pool: Mapping[str, Any]) -> SignUpForm:
    usernames = pool.get("UsernameAttributes") or []
    # With two, the user chooses which of them is the username: the pool may require the other.
    given = set(usernames) if len(usernames) == 1 else set()
    names = [
        one["Name"]
        for one in pool.get("SchemaAttributes", [])
        if one.get("Required") and one["Name"] not in {"sub", *given}
    ]
    verified = pool.get("AutoVerifiedAttributes") or []
    if verified and not {*names, *usernames} & set(verified):
        names.append(min(verified))  # email, if it is one of them
    return SignUpForm(attributes=tuple(names))
