"""Checks of the settings of a user pool and an app client, read with AWS credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from oncegate import WaysIn
from oncegate.adapters import Finding
from oncegate_cognito._app_client import AppClient
from oncegate_cognito._boto import make_client, unlogged
from oncegate_cognito._connections import limit_connections
from oncegate_cognito._deadlines import limited
from oncegate_cognito.errors import outcome_of_exception, words_and_cure
from oncegate_cognito.pool import PoolSettings, settings_of

_IAM: Final = (
    "allow cognito-idp:DescribeUserPool and cognito-idp:DescribeUserPoolClient on the pool to the AWS "
    "credentials of this process"
)
_CONNECT_SECONDS: Final = 3.0


def settings_findings(app: AppClient, session_seconds: float, ways_in: WaysIn) -> Iterator[Finding]:
    """Return what the settings show that no request without credentials does.

    Args:
        app: the app client.
        session_seconds: lifetime of a session that the transport expects, in seconds.
        ways_in: what the first step offers.
    """
    try:
        with limited(app.read_timeout):
            boto: Any = _signed_client(app)
            named = {"UserPoolId": app.pool_id}
            client = boto.describe_user_pool_client(**named, ClientId=app.client_id)
            client = client["UserPoolClient"]
            pool = boto.describe_user_pool(**named)["UserPool"]
    except (ClientError, BotoCoreError) as failure:
        words, cure = words_and_cure(str(getattr(outcome_of_exception(failure), "detail", "")))
        is_missing = words.startswith("ResourceNotFoundException")
        yield Finding("settings", "failed", words, cure if is_missing else _IAM)
        return
    found = [
        *_client_findings(client, session_seconds),
        *_pool_findings(pool, client, ways_in),
    ]
    yield from found or [Finding("settings", "ok", "those of the pool and the app client fit")]


def _signed_client(app: AppClient) -> Any:
    client = make_client(
        app.region,
        app.endpoint_url,
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=app.read_timeout,
        signed=True,
    )
    limit_connections(client)
    return unlogged(client)


def _client_findings(client: Any, session_seconds: float) -> Iterator[Finding]:
    minutes = client.get("AuthSessionValidity", 3)
    if minutes * 60 != session_seconds:
        yield Finding(
            "AuthSessionValidity",
            "warning",
            f"the app client's is {minutes} minutes, the transport's {session_seconds / 60:g}",
            f"pass auth_session_minutes={minutes}",
        )
    if not client.get("EnableTokenRevocation", True):
        yield Finding(
            "EnableTokenRevocation",
            "warning",
            "signing out leaves refresh tokens valid",
            "turn on EnableTokenRevocation for the app client",
        )


def _pool_findings(pool: Any, client: Any, ways_in: WaysIn) -> Iterator[Finding]:
    settings = settings_of(pool)
    if ways_in.password_reset and not settings.password_reset:
        yield Finding(
            "password reset",
            "warning",
            "only administrators reset passwords in this pool",
            "pass WaysIn(password_reset=False), or change AccountRecoverySetting",
        )
    factors = pool.get("Policies", {}).get("SignInPolicy", {}).get("AllowedFirstAuthFactors", [])
    if ways_in.passkey and "WEB_AUTHN" not in factors:
        yield Finding(
            "passkeys",
            "failed",
            "the pool has no passkeys",
            "add WEB_AUTHN to AllowedFirstAuthFactors, or leave WaysIn.passkey out",
        )
    if ways_in.sign_up is not None:
        yield from _sign_up_findings(settings, client, ways_in.sign_up.attributes)


def _sign_up_findings(
    settings: PoolSettings, client: Any, attributes: tuple[str, ...]
) -> Iterator[Finding]:
    if settings.sign_up is None:
        yield Finding(
            "sign-up",
            "failed",
            "only administrators create accounts in this pool",
            "let users create accounts (AllowAdminCreateUserOnly), or leave WaysIn.sign_up out",
        )
        return
    if missing := [one for one in settings.sign_up.attributes if one not in attributes]:
        yield Finding(
            "sign-up",
            "failed",
            f"the form lacks what the pool requires: {', '.join(missing)}",
            "add it to SignUpForm.attributes, or use read_pool()",
        )
    writable = client.get("WriteAttributes")
    refused = [one for one in attributes if writable and one not in writable]
    if refused:
        yield Finding(
            "sign-up",
            "failed",
            f"the app client may not write {', '.join(refused)}",
            "add it to the app client's WriteAttributes",
        )
