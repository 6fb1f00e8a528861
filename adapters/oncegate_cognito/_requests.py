"""The requests that sign in: each is sent once, and repeated only if it provably had no effect."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from oncegate.adapters import (
    CheckAnswer,
    CheckCode,
    CheckPasskey,
    Outcome,
    RequestCode,
    RequestContext,
    SetPassword,
    browser_of,
    platform_of,
)
from oncegate_cognito._app_client import AppClient
from oncegate_cognito._deadlines import current_limit
from oncegate_cognito._responses import outcome_of_response
from oncegate_cognito.errors import NEVER_SENT, had_no_effect
from oncegate_cognito.srp import ClientSrp
from oncegate_cognito.tokens import TokenVerifier

AuthFlow = Literal["USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH", "CUSTOM_AUTH"]

AnswerCall = RequestCode | CheckCode | CheckPasskey | CheckAnswer | SetPassword

_UNKNOWN: Final = ("", "other")
"""What `browser_of` and `platform_of` return without a header, and for one that they do not know."""

_MAX_ATTEMPTS = 2
_MAX_WAIT = 1.0


class Requests:
    """Sends requests for one app client. Thread-safe.

    Args:
        app: app client.
        auth_flow: how a sign-in begins.
        can_send_password: whether a password may be sent, instead of proven by SRP.
        valid_for: lifetime of a session, in seconds.
        levels: TARGET_ACR_VALUES and MAX_AGE of USER_AUTH.
        totp_issuer: name of the account in authenticator apps.
        device_name: name of devices in `ListDevices`; None for that of the user's browser.
        verifier: verifies the tokens of managed login.

    Attributes:
        context: the user's request.
    """

    def __init__(
        self,
        app: AppClient,
        *,
        auth_flow: AuthFlow,
        can_send_password: bool,
        valid_for: float,
        levels: Mapping[str, str],
        totp_issuer: str,
        device_name: str | None,
        verifier: TokenVerifier,
    ) -> None:
        self.app = app
        self.verifier = verifier
        self.boto = app.boto
        self.auth_flow = auth_flow
        self.can_send_password = can_send_password
        self.valid_for = valid_for
        self.levels = levels
        self.totp_issuer = totp_issuer
        self._device_name = device_name
        self.context = RequestContext()

    def within(self, context: RequestContext) -> Self:
        """Return these requests for one request of a user."""
        own = copy(self)
        own.context = context
        return own

    @property
    def device_name(self) -> str:
        """Name of the user's device in `ListDevices`: its browser and platform, unless set."""
        if self._device_name:
            return self._device_name
        agent = self.context.user_agent
        known = [name for name in (browser_of(agent), platform_of(agent)) if name not in _UNKNOWN]
        return " on ".join(known) or "oncegate"

    def send(self, method: str, *, can_have_effect: bool = True, **request: Any) -> Any:
        """Send a request once, and again only if it provably had no effect.

        What the operation has for triggers and threat protection is added (`SentContext`).

        Args:
            method: method of the boto3 client, such as ``confirm_device``.
            can_have_effect: whether the request has an effect if it arrives. If not, it is repeated
                also if its connection had been open before and brought no response: a NAT gateway or
                a firewall has dropped it.
            **request: arguments of the operation.

        Returns:
            The response, as boto3 returns it.
        """
        operation = getattr(self.boto, method)
        request |= self.app.sent_context.of(method, self.context)
        try:
            return _REPEATING(operation, **request)
        except (ClientError, *NEVER_SENT):
            raise
        except BotoCoreError:
            if can_have_effect or not _was_reused():
                raise
        return _REPEATING(operation, **request)

    def initiate(
        self,
        username: str,
        parameters: Mapping[str, str],
        device_key: str | None,
        session: str | None = None,
        *,
        can_have_effect: bool = True,
    ) -> Any:
        """Send InitiateAuth.

        Args:
            username: name that was typed.
            parameters: AuthParameters, except USERNAME, SECRET_HASH and DEVICE_KEY.
            device_key: key of the user's device, if it is known.
            session: Session of a sign-up that was just confirmed.
            can_have_effect: see `send`.
        """
        request: dict[str, Any] = {
            "AuthFlow": self.auth_flow,
            "ClientId": self.app.client_id,
            "AuthParameters": {**self._user(username, device_key), **parameters},
        }
        if session:
            request["Session"] = session
        return self._initiate_auth(can_have_effect=can_have_effect, **request)

    def respond(
        self,
        challenge: str,
        session: str | None,
        username: str,
        answer: Mapping[str, str],
        device_key: str | None,
    ) -> Any:
        """Send RespondToAuthChallenge.

        Args:
            challenge: ChallengeName.
            session: Session of the challenge, if it has one.
            username: the pool's own name for the user.
            answer: ChallengeResponses, except USERNAME, SECRET_HASH and DEVICE_KEY.
            device_key: key of the user's device, if it is known.
        """
        request: dict[str, Any] = {
            "ClientId": self.app.client_id,
            "ChallengeName": challenge,
            "ChallengeResponses": {**self._user(username, device_key), **answer},
        }
        if session:
            request["Session"] = session
        return self._respond_to_auth_challenge(**request)

    def answer(
        self, call: AnswerCall, answer: Mapping[str, str], *, replaces_password: bool = False
    ) -> Outcome:
        """Answer the challenge of a call, and return the outcome.

        Args:
            call: answer to a challenge whose kind is a ChallengeName.
            answer: ChallengeResponses, except USERNAME, SECRET_HASH and DEVICE_KEY.
            replaces_password: whether a code that is sent replaces the password.
        """
        challenge = call.challenge
        response = self.respond(
            challenge.kind,
            challenge.session.get_secret_value(),
            challenge.username,
            answer,
            call.device_key,
        )
        return self.outcome(response, challenge.username, replaces_password=replaces_password)

    def prove(
        self,
        srp: ClientSrp,
        response: Any,
        *,
        group: str,
        identity: str,
        password: str,
        username: str,
        device_key: str | None,
    ) -> Any:
        """Answer PASSWORD_VERIFIER or DEVICE_PASSWORD_VERIFIER, which are the same computation.

        Args:
            srp: client whose SRP_A brought the challenge.
            response: the one with the challenge.
            group: name of the pool, or group key of the device.
            identity: USER_ID_FOR_SRP, or key of the device.
            password: the user's, or the device's.
            username: the pool's own name for the user.
            device_key: key of the user's device, if it is known.

        Raises:
            BadParameters: the server's parameters are malformed.
        """
        parameters = response["ChallengeParameters"]
        claim = srp.claim(
            group=group,
            user=identity,
            password=password,
            salt=parameters.get("SALT", ""),
            server_public=parameters.get("SRP_B", ""),
            secret_block=parameters.get("SECRET_BLOCK", ""),
            now=datetime.now(UTC),
        )
        return self.respond(
            response["ChallengeName"],
            # Some servers return none here, because the secret block carries the state.
            response.get("Session"),
            username,
            {
                "PASSWORD_CLAIM_SIGNATURE": claim.signature,
                "PASSWORD_CLAIM_SECRET_BLOCK": claim.secret_block,
                "TIMESTAMP": claim.timestamp,
            },
            device_key,
        )

    def outcome(
        self, response: Mapping[str, Any], username: str, *, replaces_password: bool = False
    ) -> Outcome:
        """Return the outcome in a response; see `outcome_of_response`."""
        return outcome_of_response(
            response,
            username=username,
            valid_for=self.valid_for,
            replaces_password=replaces_password,
        )

    def named(self, username: str) -> dict[str, Any]:
        """Return ClientId, Username and SecretHash, for operations outside a session."""
        hashed = self.app.secret_hash(username)
        more = {"SecretHash": hashed} if hashed else {}
        return {"ClientId": self.app.client_id, "Username": username, **more}

    def _user(self, username: str, device_key: str | None) -> dict[str, str]:
        hashed = self.app.secret_hash(username)
        return {
            "USERNAME": username,
            **({"SECRET_HASH": hashed} if hashed else {}),
            **({"DEVICE_KEY": device_key} if device_key else {}),
        }

    def _initiate_auth(self, **request: Any) -> Any:
        return self.send("initiate_auth", **request)

    def _respond_to_auth_challenge(self, **request: Any) -> Any:
        return self.send("respond_to_auth_challenge", **request)


class AdminRequests(Requests):
    """Sends AdminInitiateAuth and AdminRespondToAuthChallenge instead."""

    def _initiate_auth(self, **request: Any) -> Any:
        if request["AuthFlow"] == "USER_PASSWORD_AUTH":
            request["AuthFlow"] = "ADMIN_USER_PASSWORD_AUTH"
        return self.send("admin_initiate_auth", UserPoolId=self.app.pool_id, **request)

    def _respond_to_auth_challenge(self, **request: Any) -> Any:
        return self.send("admin_respond_to_auth_challenge", UserPoolId=self.app.pool_id, **request)


def _was_reused() -> bool:
    limit = current_limit()
    return limit is not None and limit.was_reused


def _wait(state: RetryCallState) -> float:
    limit = current_limit()
    wait: float = _BACK_OFF(state)
    return wait if limit is None else min(wait, max(0.0, limit.remaining()))


_BACK_OFF = wait_random_exponential(multiplier=0.1, max=_MAX_WAIT)
# Safe to share: tenacity's state between calls is per thread, and holds nothing of a request.
_REPEATING = Retrying(
    retry=retry_if_exception(had_no_effect),
    stop=stop_after_attempt(_MAX_ATTEMPTS),
    wait=_wait,
    reraise=True,
)
