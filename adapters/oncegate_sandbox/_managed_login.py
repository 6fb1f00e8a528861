"""Managed login: the endpoints of a user pool's domain, first of all those that browsers open.

The sandbox's own address stands for the domains of all pools; the app client finds the pool. Source: AWS
developer guide, "User pool endpoints and managed login reference".
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from authlib.common.urls import add_params_to_uri

from oncegate_sandbox._attributes import is_email
from oncegate_sandbox._clients import AppClient, is_registered
from oncegate_sandbox._cognito import Cognito
from oncegate_sandbox._identity_providers import provider_of_identifier
from oncegate_sandbox._managed_login_pages import (
    choice_page,
    code_page,
    provider_page,
    sign_in_page,
)
from oncegate_sandbox._oauth import EndpointRequest, Refused, described, json_error
from oncegate_sandbox._rules import rule
from oncegate_sandbox._token_endpoints import TokenEndpoints, can_go_on
from oncegate_sandbox._tokens import Authorization
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import MFA_LOCKED, CognitoError
from oncegate_sandbox.faults import OAUTH_ERRORS, Reply
from oncegate_sandbox.pool import Pool

COOKIE = "cognito"
_POOL_ITSELF: Final = "COGNITO"
_SESSION_SECONDS = 3600
_OIDC_SCOPES: Final = frozenset({"email", "phone", "profile"})
_UNAVAILABLE = "Login option is not available. Please try another one"
_ANSWERS: Final = {
    "SMS_MFA": ("SMS_MFA_CODE", "We sent a code by SMS to {}."),
    "EMAIL_OTP": ("EMAIL_OTP_CODE", "We sent a code by email to {}."),
    "SOFTWARE_TOKEN_MFA": ("SOFTWARE_TOKEN_MFA_CODE", "Open your authenticator app."),
    "SELECT_MFA_TYPE": ("ANSWER", ""),
}
_ABOUT_CODES: Final = {"CodeMismatchException", "ExpiredCodeException"}
_FACTORS: Final = {
    "SMS_MFA": "Code by SMS",
    "EMAIL_OTP": "Code by email",
    "SOFTWARE_TOKEN_MFA": "Authenticator app",
}

rule(
    "authorize-unknown-client",
    "An unknown client or redirect URI never redirects to the application, but to /error?error="
    "redirect_mismatch&client_id=… or error=invalid_request, a page with status 400.",
    source="aws-aspnet-cognito-identity-provider#167; public reports of the second URL",
)
rule(
    "authorize-errors",
    "Other errors return to the redirect URI, with error_description, state and error, in this order.",
    source="amplify-js#14063; AWS developer guide, authorize endpoint",
)
rule(
    "authorize-client-not-enabled",
    "A client without AllowedOAuthFlowsUserPoolClient is error=invalid_request, 'Client is not enabled "
    "for OAuth2.0 flows.'; one without the flow 'code' is unauthorized_client.",
    source="amazon-cognito-auth-js#159; AWS developer guide, authorize endpoint",
)
rule(
    "authorize-code-only",
    "Only response_type=code is played: token, the implicit grant, is unauthorized_client for every "
    "client.",
    source="the sandbox's own limit",
)
rule(
    "authorize-pkce",
    "PKCE takes S256 only. A challenge without a method, a method without a challenge, and another "
    "method are error=invalid_request.",
    source="AWS developer guide, authorize endpoint",
)
rule(
    "authorize-scope",
    "A scope that the client may not have is error=invalid_request, 'invalid_scope', and so are email, "
    "phone and profile without openid. No scope means all of the client's.",
    source="public reports of the callback's URL; AWS developer guide, authorize endpoint",
)
rule(
    "authorize-provider",
    "A provider that the client may not use is an error page: 'Login option is not available. Please "
    "try another one'. If the client has one provider only, the chooser is skipped.",
    source="public reports of these words; that the chooser is skipped is inferred",
    inferred=True,
)
rule(
    "authorize-prompt",
    "prompt=none without a session is error=login_required; prompt=login asks again.",
    source="AWS developer guide, authorize endpoint; OpenID Connect Core 1.0, 3.1.2.1",
)
rule(
    "managed-login-session",
    "The cookie 'cognito' of managed login signs the user in for an hour without asking. If the request "
    "names a provider, the session must be of that provider.",
    source="AWS on re:Post, hosted UI session length; that the provider must match is inferred",
    inferred=True,
)
rule(
    "provider-denies",
    "A provider's error is passed on as it is: access_denied, and Apple's user_cancelled_authorize.",
    source="amplify-flutter#7350, #7077; the description is inferred",
    inferred=True,
)
rule(
    "provider-refused",
    "What a trigger or the user pool refuses after a provider's sign-in is error=invalid_request with "
    "the words as error_description.",
    source="amplify-js#14063, amplify-swift#2226",
)
rule(
    "endpoint-throttled",
    "The fault throttle answers 429 at an endpoint of managed login.",
    inferred=True,
)
rule(
    "logout-endpoint",
    "/logout ends the session of managed login and redirects to a logout_uri of the client's "
    "LogoutURLs, or, with redirect_uri, to the sign-in page. Neither is an error page: 'Required String "
    'parameter "redirect_uri" is not present\'; another URL is redirect_mismatch.',
    source="AWS developer guide, logout endpoint; public reports of the words; the last is inferred",
    inferred=True,
)


@dataclass(frozen=True, repr=False)
class _SignInRequest:
    """A valid request of ``/oauth2/authorize``.

    Attributes:
        provider: name of the identity provider, ``COGNITO``, or None for the chooser.
        challenge: ``code_challenge`` (RFC 7636). Empty without PKCE.
    """

    pool: Pool
    client: AppClient
    redirect_uri: str
    state: str | None
    scopes: tuple[str, ...]
    nonce: str | None
    challenge: str
    provider: str | None
    prompt: frozenset[str]
    hint: str

    def accepts(self, provider: str) -> bool:
        """Whether a session that began with a provider answers this request."""
        return self.provider in {None, provider}

    def back(self, **parameters: str) -> Reply:
        """Return the redirect to the application, with its state."""
        return _redirect(_callback(self.redirect_uri, self.state, parameters))


@dataclass
class _Session:
    """A session of managed login.

    Attributes:
        provider: name of the provider that signed in the user, or ``COGNITO``.
        since: Unix time of the sign-in.
    """

    user: User
    provider: str
    since: float


class ManagedLogin:
    """The endpoints.

    Args:
        cognito: the pools.
        clock: the sandbox's clock.
        is_secure: whether browsers reach the sandbox by HTTPS.
    """

    def __init__(self, cognito: Cognito, clock: SandboxClock, *, is_secure: bool) -> None:
        self._cognito = cognito
        self._clock = clock
        self._is_secure = is_secure
        self._sessions: dict[str, _Session] = {}
        self._tokens = TokenEndpoints(cognito, clock)
        self._endpoints: dict[str, Callable[[EndpointRequest], Reply]] = {
            "oauth2/authorize": self._authorize,
            "login": self._log_in,
            "oauth2/idpresponse": self._return_from_provider,
            "oauth2/token": self._tokens.token,
            "oauth2/userInfo": self._tokens.user_info,
            "oauth2/revoke": self._tokens.revoke,
            "logout": self._log_out,
        }

    def reset(self) -> None:
        """Forget all sessions and codes."""
        self._sessions.clear()
        self._tokens.reset()

    def perform(self, endpoint: str, request: EndpointRequest) -> Reply:
        """Answer a request.

        Args:
            endpoint: name of the endpoint; see `oncegate_sandbox.faults.ENDPOINTS`.
            request: the request.
        """
        try:
            return self._endpoints[endpoint](request)
        except Refused as refused:
            return refused.reply

    def refuse(self, endpoint: str, request: EndpointRequest, error: CognitoError) -> Reply:
        """Return what a client gets instead of an answer: the error of a fault that was ordered.

        At the endpoints of browsers, an error of OAuth 2.0 returns to the application.
        """
        if error.code not in OAUTH_ERRORS or endpoint not in _OF_BROWSERS:
            status = 429 if error.code == "TooManyRequestsException" else error.status
            return json_error(error.code, error.message, status)
        try:
            parsed = self._sign_in_request(request.query)
        except Refused as refused:
            return refused.reply
        return parsed.back(**described(error.message), error=error.code)

    def _authorize(self, request: EndpointRequest) -> Reply:
        parsed = self._sign_in_request(request.query)
        session = self._session(request, parsed.pool)
        if session and "login" not in parsed.prompt and parsed.accepts(session.provider):
            return self._issue_code(parsed, session)
        if "none" in parsed.prompt:
            return parsed.back(error="login_required")
        return self._page(parsed, request.query)

    def _log_in(self, request: EndpointRequest) -> Reply:
        """Show managed login's own pages, and check what the user enters there."""
        if request.method == "GET":
            return self._authorize(request)
        parsed, form = self._sign_in_request(request.query), request.form
        if _POOL_ITSELF not in parsed.client.providers:
            raise Refused(_to_error_page(_UNAVAILABLE, parsed.client.id))
        name, signing_in = form.get("username", ""), parsed.pool.signing_in
        answered = form.get("challenge", "")
        try:
            if answered in _ANSWERS:
                answer = {"USERNAME": name, _ANSWERS[answered][0]: form.get("code", "")}
                response = signing_in.respond(
                    RespondToAuthChallenge(
                        ClientId=parsed.client.id,
                        ChallengeName=answered,
                        Session=form.get("session"),
                        ChallengeResponses=answer,
                    )
                )
            else:
                response = signing_in.begin_at_managed_login(
                    parsed.client, name, form.get("password", "")
                )
        except CognitoError as error:
            if error.code in _ABOUT_CODES or error.message == MFA_LOCKED:
                return _challenge_page(request.query, parsed, dict(form), error.message)
            return self._page(parsed, request.query, username=name, message=error.message)
        if user := response.get("SignedIn"):
            return self._signed_in(parsed, user, _POOL_ITSELF)
        fields = {
            "challenge": response["ChallengeName"],
            "session": response["Session"],
            "username": response["ChallengeParameters"].get("USER_ID_FOR_SRP", name),
            "destination": response["ChallengeParameters"].get("CODE_DELIVERY_DESTINATION", ""),
            "choices": response["ChallengeParameters"].get("MFAS_CAN_CHOOSE", "[]"),
        }
        if fields["challenge"] not in _ANSWERS:
            message = f"Managed login of the sandbox has no page for {fields['challenge']}."
            return self._page(parsed, request.query, username=name, message=message)
        return _challenge_page(request.query, parsed, fields)

    def _return_from_provider(self, request: EndpointRequest) -> Reply:
        """Take what the user answers on the page that stands for a provider."""
        parsed, email = self._sign_in_request(request.query), request.form.get("email", "")
        provider = parsed.pool.providers.get(parsed.provider or "")
        if provider is None:
            raise Refused(_to_error_page("invalid_request", parsed.client.id))
        name = provider["ProviderName"]
        if request.form.get("action") == "deny":
            is_apple = provider["ProviderType"] == "SignInWithApple"
            code = "user_cancelled_authorize" if is_apple else "access_denied"
            return parsed.back(error_description="User denied access", error=code)
        if not is_email(email):
            message = "Enter an email address."
            return self._page(parsed, request.query, username=email, message=message)
        try:
            user = parsed.pool.federation.sign_in(provider, email, parsed.client)
        except CognitoError as error:
            return parsed.back(error_description=error.message, error="invalid_request")
        return self._signed_in(parsed, user, name)

    def _page(
        self,
        parsed: _SignInRequest,
        query: Mapping[str, str],
        *,
        username: str = "",
        message: str = "",
    ) -> Reply:
        """Return the page of the provider, or the chooser with the pool's own form."""
        username = username or parsed.hint
        if parsed.provider not in {None, _POOL_ITSELF}:
            return provider_page(
                parsed.provider or "",
                action=f"/oauth2/idpresponse?{urlencode(query)}",
                back=parsed.redirect_uri,
                email=username,
                message=message,
            )
        offered = parsed.client.providers if parsed.provider is None else ()
        links = {
            name: f"/oauth2/authorize?{urlencode({**query, 'identity_provider': name})}"
            for name in offered
            if name in parsed.pool.providers
        }
        return sign_in_page(
            action=f"/login?{urlencode(query)}",
            back=parsed.redirect_uri,
            links=links,
            has_form=_POOL_ITSELF in parsed.client.providers,
            username=username,
            message=message,
        )

    def _sign_in_request(self, query: Mapping[str, str]) -> _SignInRequest:
        """Check a request of ``/oauth2/authorize``.

        Raises:
            Refused: it is invalid.
        """
        pool, client = self._client(query)
        redirect_uri, state = query.get("redirect_uri", ""), query.get("state")
        if not redirect_uri:
            raise Refused(_to_error_page("invalid_request", client.id))
        if not is_registered(redirect_uri, client.callback_urls) or "#" in redirect_uri:
            raise Refused(_to_error_page("redirect_mismatch", client.id))

        def refused(error: str, description: str = "") -> Refused:
            parameters = {**described(description), "error": error}
            return Refused(_redirect(_callback(redirect_uri, state, parameters)))

        if not client.uses_managed_login:
            raise refused("invalid_request", "Client is not enabled for OAuth2.0 flows.")
        if query.get("response_type") not in {"code", "token"}:
            raise refused("invalid_request")
        if query["response_type"] == "token" or "code" not in client.oauth_flows:
            raise refused("unauthorized_client")
        challenge = query.get("code_challenge", "")
        method = query.get("code_challenge_method", "")
        if bool(challenge) != bool(method) or method not in {"", "S256"}:
            raise refused("invalid_request")
        scopes = tuple(dict.fromkeys(query.get("scope", "").split())) or client.oauth_scopes
        needs_openid = _OIDC_SCOPES & set(scopes) and "openid" not in scopes
        if needs_openid or not set(scopes) <= set(client.oauth_scopes):
            raise refused("invalid_request", "invalid_scope")
        return _SignInRequest(
            pool=pool,
            client=client,
            redirect_uri=redirect_uri,
            state=state,
            scopes=scopes,
            nonce=query.get("nonce"),
            challenge=challenge,
            provider=_provider(pool, client, query),
            prompt=frozenset(query.get("prompt", "").split()),
            hint=query.get("login_hint", ""),
        )

    def _client(self, query: Mapping[str, str]) -> tuple[Pool, AppClient]:
        """Return the app client that a page's request names.

        Raises:
            Refused: there is none.
        """
        client_id = query.get("client_id", "")
        try:
            pool = self._cognito.pool_of({"ClientId": client_id})
            return pool, pool.client(client_id)
        except CognitoError:
            raise Refused(_to_error_page("invalid_request", client_id)) from None

    def _signed_in(self, parsed: _SignInRequest, user: User, provider: str) -> Reply:
        """Begin a session of managed login, and return to the application with a code."""
        session = _Session(user, provider, self._clock.now())
        key = secrets.token_urlsafe(32)
        self._sessions[key] = session
        reply = self._issue_code(parsed, session)
        return Reply(
            reply.status,
            reply.body,
            headers={**reply.headers, "Set-Cookie": self._cookie(key, _SESSION_SECONDS)},
        )

    def _issue_code(self, parsed: _SignInRequest, session: _Session) -> Reply:
        authorization = Authorization(parsed.scopes, session.since, nonce=parsed.nonce)
        code = self._tokens.new_code(
            session.user,
            parsed.client,
            redirect_uri=parsed.redirect_uri,
            challenge=parsed.challenge,
            authorization=authorization,
        )
        return parsed.back(code=code)

    def _session(self, request: EndpointRequest, pool: Pool) -> _Session | None:
        """Return the session of a browser with a pool, unless it has ended."""
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        if session is None:
            return None
        is_current = self._clock.now() < session.since + _SESSION_SECONDS
        return session if is_current and can_go_on(pool, session.user) else None

    def _cookie(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._is_secure else ""
        return f"{COOKIE}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def _log_out(self, request: EndpointRequest) -> Reply:
        _, client = self._client(request.query)
        logout_uri = request.query.get("logout_uri")
        redirect_uri = request.query.get("redirect_uri")
        if logout_uri:
            if not is_registered(logout_uri, client.logout_urls):
                raise Refused(_to_error_page("redirect_mismatch", client.id))
            target = logout_uri
        elif redirect_uri:
            self._sign_in_request(request.query)
            target = f"/login?{urlencode(request.query)}"
        else:
            words = "Required String parameter 'redirect_uri' is not present"
            raise Refused(_to_error_page(words, client.id))
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        reply = _redirect(target)
        return Reply(
            reply.status, b"", headers={**reply.headers, "Set-Cookie": self._cookie("", 0)}
        )


_OF_BROWSERS: Final = frozenset({"oauth2/authorize", "login", "oauth2/idpresponse"})


def openid_configuration(pool: Pool, endpoint: str) -> Json:
    """Return the metadata of a pool: OpenID Connect Discovery 1.0, with what Cognito lists.

    Cognito lists no code_challenge_methods_supported, although it takes S256.

    Args:
        pool: the pool.
        endpoint: URL by which clients reach the sandbox.
    """
    return {
        "authorization_endpoint": f"{endpoint}/oauth2/authorize",
        "end_session_endpoint": f"{endpoint}/logout",
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": pool.tokens.issuer,
        "jwks_uri": f"{endpoint}/{pool.id}/.well-known/jwks.json",
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": f"{endpoint}/oauth2/revoke",
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": f"{endpoint}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": f"{endpoint}/oauth2/userInfo",
    }


def _provider(pool: Pool, client: AppClient, query: Mapping[str, str]) -> str | None:
    """Return the provider that a request asks for; None if the user is to choose.

    Raises:
        Refused: the app client cannot use the provider, or none at all.
    """
    name = query.get("identity_provider")
    if identifier := query.get("idp_identifier"):
        found = provider_of_identifier(pool, identifier)
        name = found["ProviderName"] if found else identifier
    usable = [one for one in client.providers if one == _POOL_ITSELF or one in pool.providers]
    if not usable or (name and name not in usable):
        raise Refused(_to_error_page(_UNAVAILABLE, client.id))
    return name or (usable[0] if len(usable) == 1 else None)


def _challenge_page(
    query: Mapping[str, str], parsed: _SignInRequest, fields: Mapping[str, str], message: str = ""
) -> Reply:
    """Return the page for a second factor, with what its form has to send back."""
    action = f"/login?{urlencode(query)}"
    hidden = {name: value for name, value in fields.items() if name not in {"code", "choices"}}
    if fields["challenge"] == "SELECT_MFA_TYPE":
        factors = {one: _FACTORS[one] for one in json.loads(fields["choices"])}
        return choice_page(action=action, back=parsed.redirect_uri, hidden=hidden, factors=factors)
    hint = _ANSWERS[fields["challenge"]][1].format(fields.get("destination", ""))
    return code_page(
        action=action, back=parsed.redirect_uri, hidden=hidden, hint=hint, message=message
    )


# ── replies ──


def _redirect(url: str) -> Reply:
    return Reply(302, b"", headers={"Location": url, "Cache-Control": "no-store"})


def _callback(url: str, state: str | None, parameters: Mapping[str, str]) -> str:
    """Return the URL of the application with parameters, and with its state in Cognito's place."""
    ordered = [(name, value) for name, value in parameters.items() if name != "error"]
    if state is not None:
        ordered.append(("state", state))
    ordered += [(name, value) for name, value in parameters.items() if name == "error"]
    uri: str = add_params_to_uri(url, ordered)
    return uri


def _to_error_page(error: str, client_id: str) -> Reply:
    parameters = {"error": error} | ({"client_id": client_id} if client_id else {})
    return _redirect(f"/error?{urlencode(parameters)}")
