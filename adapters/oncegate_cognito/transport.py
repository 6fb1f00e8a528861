"""`CognitoTransport`: oncegate's calls as requests to Cognito. Extra: ``oncegate[cognito]``."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from oncegate import Misconfigured, NotSent, Outcome, Refusal, Rejected
from oncegate.calls import Call, CheckCode, CheckPassword, RequestCode, SetPassword
from oncegate_cognito.challenges import answer_of, outcome_of, user_id
from oncegate_cognito.client import check_client, make_client, outcome_of_failure
from oncegate_cognito.srp import BadParameters, ClientSrp

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

_TRIES = 2
_LONGEST_WAIT = 1.0
# PASSWORD_VERIFIER makes the first factor two requests; everything else is one.
_MOST_REQUESTS = 2

# UserPoolIdType and ClientIdType of botocore's service model.
_POOL_ID = re.compile(r"(?P<region>[\w-]+)_(?P<name>[0-9a-zA-Z]+)")
_CLIENT_ID = re.compile(r"[\w+]{1,128}")


class CognitoTransport:
    """Signs in to one app client of one user pool. Thread-safe: make one and share it.

    Args:
        pool_id: such as ``eu-west-1_aBcDeFgHi``.
        client_id: of the app client.
        client_secret: where the app client has one.
        endpoint_url: of something that stands in for Cognito; None for Cognito.
        auth_flow: how the password is proven. USER_SRP_AUTH never sends it.
        auth_session_minutes: the app client's AuthSessionValidity, 3 to 15.
        connect_timeout: seconds.
        read_timeout: seconds. Triggers count: Cognito gives each of them up to 5.
        client: a boto3 client of your own; it must not repeat requests.

    Raises:
        Misconfigured: an id is malformed, or the client would repeat requests.
    """

    def __init__(
        self,
        *,
        pool_id: str,
        client_id: str,
        client_secret: str | SecretStr | None = None,
        endpoint_url: str | None = None,
        auth_flow: Literal["USER_SRP_AUTH", "USER_PASSWORD_AUTH"] = "USER_SRP_AUTH",
        auth_session_minutes: float = 3.0,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        client: CognitoIdentityProviderClient | None = None,
    ) -> None:
        pool = _POOL_ID.fullmatch(pool_id)
        if not pool:
            raise Misconfigured("pool_id has to look like eu-west-1_aBcDeFgHi")
        if not _CLIENT_ID.fullmatch(client_id):
            raise Misconfigured("client_id has to be letters and digits")
        if auth_flow not in {"USER_SRP_AUTH", "USER_PASSWORD_AUTH"}:
            raise Misconfigured("auth_flow has to be USER_SRP_AUTH or USER_PASSWORD_AUTH")
        if not 3 <= auth_session_minutes <= 15:
            raise Misconfigured("auth_session_minutes has to be from 3 to 15")
        self._pool_name = pool["name"]
        self._client_id = client_id
        self._secret = SecretStr(client_secret) if isinstance(client_secret, str) else client_secret
        self._auth_flow = auth_flow
        self._valid_for = auth_session_minutes * 60
        if client is None:
            client = make_client(
                pool["region"],
                endpoint_url,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
            )
        check_client(client)
        self._client = client
        config: Any = client.meta.config
        one_request = _TRIES * (config.connect_timeout + _LONGEST_WAIT) + config.read_timeout
        self._longest_call = float(_MOST_REQUESTS * one_request)

    def __repr__(self) -> str:
        return f"CognitoTransport(pool={self._pool_name!r}, auth_flow={self._auth_flow!r})"

    @property
    def longest_call(self) -> float:
        """See `oncegate.Transport.longest_call`."""
        return self._longest_call

    def make(self, call: Call) -> Outcome:
        """See `oncegate.Transport.make`."""
        try:
            if isinstance(call, CheckPassword):
                return self._check_password(call)
            return self._answer(call)
        except BadParameters as bad:
            return Rejected(refusal=Refusal.MISCONFIGURED, detail=str(bad))
        except (ClientError, BotoCoreError) as failure:
            return outcome_of_failure(failure)

    def _check_password(self, call: CheckPassword) -> Outcome:
        password = call.password.get_secret_value()
        names = {"USERNAME": call.username, **self._secret_hash(call.username)}
        if self._auth_flow == "USER_PASSWORD_AUTH":
            response = self._initiate({**names, "PASSWORD": password})
            return self._outcome(response, call.username)
        srp = ClientSrp()
        response = self._initiate({**names, "SRP_A": srp.public_hex})
        if response.get("ChallengeName") != "PASSWORD_VERIFIER":
            return self._outcome(response, call.username)
        parameters = response["ChallengeParameters"]
        user = user_id(parameters, call.username)
        claim = srp.claim(
            group=self._pool_name,
            user=user,
            password=password,
            salt=parameters.get("SALT", ""),
            server_public=parameters.get("SRP_B", ""),
            secret_block=parameters.get("SECRET_BLOCK", ""),
            now=datetime.now(UTC),
        )
        response = self._respond(
            "PASSWORD_VERIFIER",
            # Some clients get by without it, the block carrying the state; it is sent where it came.
            response.get("Session"),
            user,
            {
                "PASSWORD_CLAIM_SIGNATURE": claim.signature,
                "PASSWORD_CLAIM_SECRET_BLOCK": claim.secret_block,
                "TIMESTAMP": claim.timestamp,
            },
        )
        return self._outcome(response, user)

    def _answer(self, call: RequestCode | CheckCode | SetPassword) -> Outcome:
        challenge = call.challenge
        session = challenge.session.get_secret_value()
        response = self._respond(challenge.kind, session, challenge.username, answer_of(call))
        return self._outcome(response, challenge.username)

    def _outcome(self, response: Any, username: str) -> Outcome:
        return outcome_of(response, username=username, valid_for=self._valid_for)

    # ── requests ──

    def _initiate(self, parameters: dict[str, str]) -> Any:
        return _once(
            lambda: self._client.initiate_auth(
                AuthFlow=self._auth_flow, ClientId=self._client_id, AuthParameters=parameters
            )
        )

    def _respond(
        self, challenge: str, session: str | None, username: str, answer: dict[str, str]
    ) -> Any:
        responses = {"USERNAME": username, **self._secret_hash(username), **answer}
        given: dict[str, Any] = {"Session": session} if session else {}
        return _once(
            lambda: self._client.respond_to_auth_challenge(
                ClientId=self._client_id,
                ChallengeName=challenge,  # type: ignore[arg-type]
                ChallengeResponses=responses,
                **given,
            )
        )

    def _secret_hash(self, username: str) -> dict[str, str]:
        if self._secret is None:
            return {}
        key = self._secret.get_secret_value().encode()
        digest = hmac.digest(key, (username + self._client_id).encode(), "sha256")
        return {"SECRET_HASH": base64.b64encode(digest).decode()}


def _had_no_effect(failure: BaseException) -> bool:
    return isinstance(failure, Exception) and isinstance(outcome_of_failure(failure), NotSent)


def _once(request: Callable[[], Any]) -> Any:
    """Make a request once; again only while it provably had no effect."""
    tries = Retrying(
        retry=retry_if_exception(_had_no_effect),
        stop=stop_after_attempt(_TRIES),
        wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_WAIT),
        reraise=True,
    )
    return tries(request)
