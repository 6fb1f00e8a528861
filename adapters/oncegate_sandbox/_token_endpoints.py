"""The endpoints of managed login that applications call: token, userInfo and revoke.

Sources: AWS developer guide, "User pool endpoints and managed login reference"; RFC 6749, RFC 6750,
RFC 7009 and RFC 7636.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from authlib.oauth2.rfc6749.util import extract_basic_authorization
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._cognito import Cognito
from oncegate_sandbox._oauth import EndpointRequest, Refused, json_error, json_reply
from oncegate_sandbox._rules import rule
from oncegate_sandbox._tokens import Authorization, readable_attributes
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.faults import Reply
from oncegate_sandbox.pool import Pool

_CODE_SECONDS = 300
# Members of AuthenticationResult, by their names in OAuth 2.0.
_MEMBERS = {
    "id_token": "IdToken",
    "access_token": "AccessToken",
    "refresh_token": "RefreshToken",
    "expires_in": "ExpiresIn",
    "token_type": "TokenType",
}

rule(
    "authorization-code",
    "An authorization code is a UUID, valid for five minutes and once.",
    source="AWS developer guide, authorize endpoint and token endpoint",
)
rule(
    "authorization-code-spent",
    "A code that is sent by another client, or with another redirect URI or code_verifier, is "
    "invalid_grant, and used up.",
    source="RFC 6749, 5.2, for the error; that the code is used up is inferred",
    inferred=True,
)
rule(
    "token-client",
    "A client with a secret sends it by HTTP Basic or in the form; a wrong, missing or needless one is "
    "invalid_client. All errors of the token endpoint have status 400.",
    source="AWS developer guide, token endpoint; amazon-cognito-auth-js#206; that a needless one is an "
    "error is inferred",
    inferred=True,
)
rule(
    "token-trigger",
    "If PreTokenGeneration fails, the token endpoint answers invalid_request with its words.",
    inferred=True,
)
rule(
    "token-refresh",
    "A refresh at the token endpoint keeps the scopes, and returns a refresh token only if they rotate.",
    source="AWS developer guide, token endpoint; API reference, RefreshTokenRotationType",
)
rule(
    "user-info",
    "The userInfo endpoint returns the attributes that the scopes of the access token allow, identities "
    "and username, all as strings. Without openid: 401, 'Access token does not contain openid scope'.",
    source="AWS developer guide, userInfo endpoint; a recorded response with identities; public code "
    "that quotes the words",
)
rule(
    "revoke-endpoint",
    "The revoke endpoint answers an empty 200, also to an unknown token; invalid_request without a "
    "token or if revocation is off; unsupported_token_type for others than refresh tokens; 401 "
    "invalid_client.",
    source="AWS developer guide, revoke endpoint",
)


@dataclass(frozen=True, repr=False)
class _Code:
    """An authorization code that was issued.

    Attributes:
        user: the user who signed in.
        client: the app client that it was issued to.
        redirect_uri: URL of the application that it was sent to.
        challenge: ``code_challenge`` (RFC 7636). Empty without PKCE.
        authorization: what was granted.
        issued_at: Unix time.
    """

    user: User
    client: AppClient
    redirect_uri: str
    challenge: str
    authorization: Authorization
    issued_at: float


class TokenEndpoints:
    """The endpoints, and the authorization codes that they redeem.

    Args:
        cognito: the pools.
        clock: the sandbox's clock.
    """

    def __init__(self, cognito: Cognito, clock: SandboxClock) -> None:
        self._cognito = cognito
        self._clock = clock
        self._codes: dict[str, _Code] = {}

    def reset(self) -> None:
        """Forget all codes."""
        self._codes.clear()

    def new_code(
        self,
        user: User,
        client: AppClient,
        *,
        redirect_uri: str,
        challenge: str,
        authorization: Authorization,
    ) -> str:
        """Return a new authorization code.

        Args:
            user: the user who signed in.
            client: the app client that may redeem it.
            redirect_uri: URL of the application that it is sent to.
            challenge: ``code_challenge`` (RFC 7636). Empty without PKCE.
            authorization: what the tokens will grant.
        """
        code, now = str(uuid.uuid4()), self._clock.now()
        self._codes[code] = _Code(user, client, redirect_uri, challenge, authorization, now)
        return code

    def token(self, request: EndpointRequest) -> Reply:
        """Answer ``/oauth2/token``.

        Raises:
            Refused: the client or the code is invalid.
        """
        form = request.form
        pool, client = self._authenticated(request, status=400)
        kind = form.get("grant_type")
        if not kind:
            return json_error("invalid_request")
        if kind not in {"authorization_code", "refresh_token"}:
            return json_error("unsupported_grant_type")
        if not client.uses_managed_login or "code" not in client.oauth_flows:
            return json_error("unauthorized_client")
        try:
            if kind == "refresh_token":
                result = self._refreshed(pool, client, form)
            else:
                result = self._redeemed(pool, client, form)
        except CognitoError as error:
            if "Lambda" in error.code:
                return json_error("invalid_request", error.message)
            return json_error("invalid_grant")
        return json_reply({name: result[own] for name, own in _MEMBERS.items() if own in result})

    def _redeemed(self, pool: Pool, client: AppClient, form: Mapping[str, str]) -> Json:
        """Return the tokens of an authorization code.

        Raises:
            Refused: the code is missing, unknown, expired, used, or of another request.
            CognitoError: a trigger failed.
        """
        if not form.get("code") or not form.get("redirect_uri"):
            raise Refused(json_error("invalid_request"))
        code, now = self._codes.pop(form["code"], None), self._clock.now()
        verifier = form.get("code_verifier", "")
        is_valid = (
            code is not None
            and now < code.issued_at + _CODE_SECONDS
            and code.client is client
            and code.redirect_uri == form["redirect_uri"]
            and _is_proven(code.challenge, verifier)
            and can_go_on(pool, code.user)
        )
        if code is None or not is_valid:
            raise Refused(json_error("invalid_grant"))
        return pool.tokens.issue(
            code.user,
            client,
            now,
            source="TokenGeneration_HostedAuth",
            authorization=code.authorization,
        )

    def _refreshed(self, pool: Pool, client: AppClient, form: Mapping[str, str]) -> Json:
        if not form.get("refresh_token"):
            raise Refused(json_error("invalid_request"))
        return pool.tokens.refresh(client, form["refresh_token"], None, self._clock.now())

    def _authenticated(self, request: EndpointRequest, *, status: int) -> tuple[Pool, AppClient]:
        """Return the app client of a request, by HTTP Basic or the form, after checking its secret.

        Raises:
            Refused: the client is unknown, or its secret is wrong, missing or needless.
        """
        form = request.form
        header = {"Authorization": request.headers.get("authorization", "")}
        try:
            client_id, secret = extract_basic_authorization(header)
            if client_id is None:
                client_id, secret = form.get("client_id", ""), form.get("client_secret")
            if form.get("client_id", client_id) != client_id:
                raise ValueError("the form names another client")
            pool = self._cognito.pool_of({"ClientId": client_id})
            client = pool.client(client_id)
            pool.check_client_secret(client, secret)
        except (CognitoError, ValueError):  # a malformed header is a ValueError
            raise Refused(json_error("invalid_client", status=status)) from None
        return pool, client

    def user_info(self, request: EndpointRequest) -> Reply:
        """Answer ``/oauth2/userInfo``."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return _bearer_error(
                "invalid_request", "Bad OAuth2 request at UserInfo Endpoint", status=400
            )
        try:
            pool = self._cognito.pool_of({"AccessToken": token})
            claims = pool.tokens.claims_of(token, self._clock.now(), scope="openid")
            client = pool.client(claims["client_id"])
        except CognitoError as error:
            words = "Access token does not contain openid scope"
            is_about_scope = error.message.endswith("required scopes")
            return _bearer_error("invalid_token", words if is_about_scope else error.message)
        user = pool.users.find(claims["username"])
        if user is None:
            return _bearer_error("invalid_token", "User does not exist.")
        attributes = readable_attributes(user, client, claims["scope"].split())
        if own := user.attributes.get("identities"):
            attributes["identities"] = own
        return json_reply({"sub": user.sub, **attributes, "username": user.username})

    def revoke(self, request: EndpointRequest) -> Reply:
        """Answer ``/oauth2/revoke``.

        Raises:
            Refused: the client is invalid.
        """
        pool, client = self._authenticated(request, status=401)
        token = request.form.get("token")
        if not token:
            return json_error("invalid_request")
        try:
            pool.tokens.revoke(client, token)
        except CognitoError as error:
            is_about_kind = error.code == "UnsupportedTokenTypeException"
            return json_error("unsupported_token_type" if is_about_kind else "invalid_request")
        return Reply(200, b"")


def can_go_on(pool: Pool, user: User) -> bool:
    """Whether a user who signed in still exists and is enabled."""
    return user.is_enabled and pool.users.find(user.username) is user


def _is_proven(challenge: str, verifier: str) -> bool:
    """Whether a code verifier fits the challenge of the request (RFC 7636, 4.6)."""
    if not challenge or not verifier.isascii():
        return not challenge and not verifier
    made: str = create_s256_code_challenge(verifier)  # type: ignore[no-untyped-call]
    return bool(verifier) and hmac.compare_digest(made.encode(), challenge.encode())


def _bearer_error(error: str, description: str, *, status: int = 401) -> Reply:
    """Return an error as RFC 6750, 3, describes it."""
    reply = json_error(error, description, status)
    challenge = f'Bearer error="{error}", error_description="{description}"'
    return Reply(status, reply.body, reply.media_type, {"WWW-Authenticate": challenge}, reply.error)
