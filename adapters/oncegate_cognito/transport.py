"""`CognitoTransport`: oncegate's calls as requests to Cognito. Extra: ``oncegate[cognito]``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, get_args

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

import oncegate_cognito.challenges  # noqa: F401 - registers how to parse and answer each challenge
from oncegate import Misconfigured
from oncegate.adapters import (
    Call,
    ChangeAddress,
    CodeChallenge,
    ConfirmAddress,
    ConfirmAuthenticator,
    DeleteDevice,
    DeletePasskey,
    DeleteUser,
    EndSessions,
    FindFactors,
    Finding,
    Outcome,
    OutcomeUnknown,
    RegisterPasskey,
    Rejected,
    RejectionReason,
    ReplacePassword,
    RequestContext,
    SendAddressCode,
    SetFactor,
    StartAuthenticator,
    StartPasskey,
    WaysIn,
    check_count,
    check_flag,
    check_seconds,
    check_text,
)
from oncegate_cognito._app_client import AppClient
from oncegate_cognito._checks import check_set_up, safely
from oncegate_cognito._context import ContextSettings
from oncegate_cognito._deadlines import limited
from oncegate_cognito._pool_checks import settings_findings
from oncegate_cognito._registry import performer_of
from oncegate_cognito._requests import AuthFlow, Requests
from oncegate_cognito._responses import MALFORMED
from oncegate_cognito.errors import NOT_COGNITO, ends_tokens, name_of, outcome_of_exception
from oncegate_cognito.managed_login import ManagedLogin
from oncegate_cognito.srp import BadParameters
from oncegate_cognito.tokens import CognitoTokenService

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

_OF_A_USER = (
    *(StartAuthenticator, ConfirmAuthenticator, ChangeAddress, SendAddressCode, ConfirmAddress),
    *(StartPasskey, RegisterPasskey, SetFactor, ReplacePassword, DeletePasskey, DeleteDevice),
    *(EndSessions, DeleteUser, FindFactors),
)
"""The calls that an access token authorises."""

_AUTH_FLOWS = get_args(AuthFlow)
_PASSWORDLESS = ("USER_AUTH", "CUSTOM_AUTH")

_MAX_TOKEN_TIMEOUT = 25.0
"""Other workers take over a session's renewal after 30 seconds (`oncegate_web`)."""


class CognitoTransport:
    """Signs in to one app client of one user pool. Thread-safe: make one and share it.

    Args:
        pool_id: user pool ID, such as ``eu-west-1_aBcDeFgHi``.
        client_id: app client ID.
        client_secret: app client secret, if the client has one.
        endpoint_url: URL of a local Cognito. Default: Cognito itself.
        allow_insecure_endpoint: whether the endpoint may be http on another host than this one.
        auth_flow: how a sign-in begins. Only USER_PASSWORD_AUTH sends the password; the others prove
            it by SRP. With USER_AUTH the user chooses the first factor, with CUSTOM_AUTH the pool's
            Lambda does: both can begin without a password.
        allow_plain_password: whether the password may also be sent with the other flows, if Cognito
            asks for PASSWORD and not for PASSWORD_SRP. Otherwise the sign-in ends as misconfigured,
            so that a server in the place of Cognito cannot ask for passwords. A new password is
            always sent: Cognito has no other way to set one.
        auth_session_minutes: the app client's AuthSessionValidity, 3 to 15 minutes.
        acr_values: TARGET_ACR_VALUES of USER_AUTH, if a sign-in has to reach a level.
        max_age: MAX_AGE of USER_AUTH, in seconds.
        totp_issuer: name of the account in authenticator apps; also FriendlyDeviceName.
        device_name: name of users' devices in `ListDevices`. Default: the browser and the platform of
            `RequestContext.user_agent`, such as ``Firefox on Windows``; without one, ``oncegate``.
        client_metadata: ClientMetadata of every request, for the pool's Lambda triggers. An event adds
            its own, which takes precedence: `RequestContext.client_metadata`.
        language_key: name in ClientMetadata of `RequestContext.language`; None to leave it out.
            Default: ``language``.
        send_source_address: whether public operations send `RequestContext.source_address` to threat
            protection (UserContextData). Cognito takes it from app clients with a secret and
            EnablePropagateAdditionalUserContextData only. Default: if there is a client secret.
        analytics_endpoint_id: AnalyticsEndpointId of AnalyticsMetadata.
        force_alias_creation: ForceAliasCreation of ConfirmSignUp: whether a user who confirms takes an
            email address or a phone number that another user has as an alias.
        managed_login: the pool's domain and the app client's URLs, to sign in with identity providers.
            Extra: ``oauth``.
        ways_in: what the first step offers beside the sign-in: resets, sign-up, providers, passkeys.
            Default: `WaysIn()`.
        region: AWS region that requests go to, such as that of a replica. Default: the one in
            ``pool_id``.
        issuer: the only ``iss`` of tokens to accept; see `TokenVerifier`.
        jwks_url: URL of the pool's public keys; see `TokenVerifier`.
        leeway: allowed difference between this machine's clock and Cognito's for tokens, in seconds.
        connect_timeout: limit for opening a connection, in seconds: DNS, all addresses of the name,
            and TLS.
        read_timeout: limit for the wait for a response, in seconds. It includes the pool's Lambda
            triggers, each of which may take 5 seconds.
        call_timeout: limit for a whole call, in seconds: all of its requests, repetitions and waits
            together. No request leaves after it.
        token_timeout: limit for a whole call of `token_service`, in seconds, and for fetching the
            pool's public keys. At most 25.
        client: boto3 client to use instead of a new one; it must not repeat requests. Its own
            timeouts hold, within ``call_timeout``.

    Raises:
        Misconfigured: a setting is invalid, the client would repeat requests or cannot be given a
            limit, the endpoint (of ``endpoint_url``, of the client or of AWS_ENDPOINT_URL) or the
            domain is http on another host, or ``ways_in`` needs a domain or another ``auth_flow``.
        MissingExtra: managed login needs Authlib, and it is not installed.
    """

    _requests_type: type[Requests] = Requests
    _is_signed = False

    def __init__(
        self,
        *,
        pool_id: str,
        client_id: str,
        client_secret: str | SecretStr | None = None,
        endpoint_url: str | None = None,
        allow_insecure_endpoint: bool = False,
        auth_flow: AuthFlow = "USER_SRP_AUTH",
        allow_plain_password: bool = False,
        auth_session_minutes: float = 3.0,
        acr_values: str | None = None,
        max_age: int | None = None,
        totp_issuer: str = "Cognito",
        device_name: str | None = None,
        client_metadata: Mapping[str, str] | None = None,
        language_key: str | None = "language",
        send_source_address: bool | None = None,
        analytics_endpoint_id: str | None = None,
        force_alias_creation: bool = False,
        managed_login: ManagedLogin | None = None,
        ways_in: WaysIn | None = None,
        region: str | None = None,
        issuer: str | None = None,
        jwks_url: str | None = None,
        leeway: float = 0.0,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        call_timeout: float = 15.0,
        token_timeout: float = 10.0,
        client: CognitoIdentityProviderClient | None = None,
    ) -> None:
        if auth_flow not in _AUTH_FLOWS:
            raise Misconfigured(f"auth_flow has to be one of {', '.join(_AUTH_FLOWS)}")
        if not (isinstance(auth_session_minutes, (int, float)) and 3 <= auth_session_minutes <= 15):
            raise Misconfigured("auth_session_minutes has to be from 3 to 15")
        check_flag("allow_plain_password", allow_plain_password)
        check_seconds("call_timeout", call_timeout)
        check_seconds("token_timeout", token_timeout, most=_MAX_TOKEN_TIMEOUT)
        check_text("totp_issuer", totp_issuer)
        if acr_values is not None:
            check_text("acr_values", acr_values)
        if max_age is not None:
            check_count("max_age", max_age)  # of seconds
        if device_name is not None:
            check_text("device_name", device_name, most=1024)  # DeviceNameType of the service model
        ways_in = WaysIn() if ways_in is None else ways_in
        _check_ways_in(ways_in, auth_flow, managed_login)
        app = AppClient(
            pool_id=pool_id,
            client_id=client_id,
            client_secret=client_secret,
            endpoint_url=endpoint_url,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            client=client,
            allow_insecure_endpoint=allow_insecure_endpoint,
            signed=self._is_signed,
            region=region,
            managed_login=managed_login,
            context=ContextSettings(
                client_metadata={} if client_metadata is None else client_metadata,
                language_key=language_key,
                analytics_endpoint_id=analytics_endpoint_id,
                force_alias_creation=force_alias_creation,
                send_source_address=(
                    client_secret is not None
                    if send_source_address is None
                    else send_source_address
                ),
            ),
        )
        levels = {
            "TARGET_ACR_VALUES": acr_values,
            "MAX_AGE": None if max_age is None else str(max_age),
        }
        self._app = app
        self._call_timeout = float(call_timeout)
        self._ways_in = ways_in
        self._token_service = CognitoTokenService(
            app,
            timeout=token_timeout,
            issuer=issuer,
            jwks_url=jwks_url,
            leeway=leeway,
        )
        self._requests = self._requests_type(
            app,
            auth_flow=auth_flow,
            can_send_password=allow_plain_password or auth_flow == "USER_PASSWORD_AUTH",
            valid_for=auth_session_minutes * 60,
            levels={name: value for name, value in levels.items() if value},
            totp_issuer=totp_issuer,
            device_name=device_name,
            verifier=self._token_service.verifier,
        )

    def __repr__(self) -> str:
        flow = self._requests.auth_flow
        return f"{type(self).__name__}(pool={self._app.pool_name!r}, auth_flow={flow!r})"

    @property
    def app_id(self) -> str:
        """User pool ID and app client ID, separated by a slash."""
        return f"{self._app.pool_id}/{self._app.client_id}"

    @property
    def max_call_seconds(self) -> float:
        """See `oncegate.adapters.Transport.max_call_seconds`."""
        return self._call_timeout

    @property
    def is_passwordless(self) -> bool:
        """See `oncegate.adapters.Transport.is_passwordless`."""
        return self._requests.auth_flow in _PASSWORDLESS

    @property
    def ways_in(self) -> WaysIn:
        """See `oncegate.adapters.Transport.ways_in`."""
        return self._ways_in

    @property
    def token_service(self) -> CognitoTokenService:
        """Renews, revokes and verifies the tokens of this app client."""
        return self._token_service

    def check(self, *, read_pool: bool = False) -> list[Finding]:
        """See `oncegate.adapters.Transport.check`.

        The user pool, this machine's clock, the app client, its secret, ``auth_flow``, token
        revocation, and managed login with its URLs, scopes and providers. It signs in with a random
        name that no user has: the pool's triggers may run for it.

        Args:
            read_pool: whether to read the settings of the pool and the app client as well, with the
                AWS credentials that boto3 finds.
        """
        found = check_set_up(
            self._app,
            self._token_service.verifier,
            self._perform,
            self._requests.auth_flow,
            self._ways_in,
        )
        if read_pool:
            settings = partial(
                settings_findings, self._app, self._requests.valid_for, self._ways_in
            )
            found += safely("settings", settings)
        return found

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        """See `oncegate.adapters.Transport.perform`."""
        outcome = self._perform(call, context)
        self._app.set_up_log.report(type(call).__name__, outcome)
        return outcome

    def _perform(self, call: Call, context: RequestContext) -> Outcome:
        try:
            with limited(self._call_timeout, context.deadline):
                return performer_of(call)(call, self._requests.within(context))
        except BadParameters as bad:
            return Rejected(reason=RejectionReason.MISCONFIGURED, detail=f"{bad} ({NOT_COGNITO})")
        except (ClientError, BotoCoreError) as failure:
            if isinstance(call, _OF_A_USER) and ends_tokens(failure):
                detail = f"{name_of(failure)}: the access token has ended"
                return Rejected(reason=RejectionReason.SIGNED_OUT, detail=detail)
            challenge = getattr(call, "challenge", None)
            return outcome_of_exception(
                failure,
                challenge.kind if challenge else "",
                is_first_factor=isinstance(challenge, CodeChallenge) and challenge.is_first_factor,
            )
        except MALFORMED as failure:
            return OutcomeUnknown(detail=f"malformed response: {type(failure).__name__}")


def _check_ways_in(
    ways_in: WaysIn, auth_flow: AuthFlow, managed_login: ManagedLogin | None
) -> None:
    """Raise `Misconfigured` if a way in leads nowhere with the other settings."""
    if ways_in.providers and managed_login is None:
        raise Misconfigured(
            "WaysIn.providers needs the pool's domain: pass "
            "managed_login=ManagedLogin(domain=…, redirect_uri=…)"
        )
    if ways_in.passkey and auth_flow != "USER_AUTH":
        raise Misconfigured('WaysIn.passkey needs auth_flow="USER_AUTH"')
    form = ways_in.sign_up
    if form and form.password != "required" and auth_flow not in _PASSWORDLESS:
        raise Misconfigured(
            f"SignUpForm.password={form.password!r} creates accounts that cannot sign in "
            f'with {auth_flow}: pass auth_flow="USER_AUTH", or require a password'
        )
