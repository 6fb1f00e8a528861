"""The tokens of signed-in users: verified, renewed and revoked.

The claims and how to check them: AWS developer guide, "Verifying JSON web tokens".
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import jwt
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from oncegate import (
    Factor,
    InvalidToken,
    Misconfigured,
    OncegateError,
    RequestContext,
    SignedOut,
    Tokens,
    Unreachable,
)
from oncegate.adapters import (
    SECOND_FACTORS,
    AccountOverview,
    ListedDevice,
    ListedPasskey,
    Outcome,
    Rejected,
    RejectionReason,
    check_flag,
    check_seconds,
    logger,
)
from oncegate_cognito._app_client import (
    AppClient,
    check_client_id,
    checked_region,
)
from oncegate_cognito._boto import check_endpoint
from oncegate_cognito._deadlines import (
    clocks,
    current_limit,
    limited,
    run_in_time,
    seconds_since,
)
from oncegate_cognito._issuers import issuers_of
from oncegate_cognito._responses import tokens_of
from oncegate_cognito.errors import MalformedResponse, ends_tokens, name_of, outcome_of_exception

_Result = TypeVar("_Result")

_ADDRESSES: Final = ("email", "phone_number")
TokenUse = Literal["access", "id"]

_RETRY_AFTER = 1.0
"""Seconds after a failed fetch of the public keys for which none is tried again."""

_NEW_KEYS_AFTER = 10.0
"""Seconds between fetches for tokens with an unknown key, which any caller can send."""

_LONGEST_ISSUER = 200
"""Characters of an unknown issuer that an error quotes."""


class TokenVerifier:
    """Verifies access and ID tokens. Thread-safe: make one and share it.

    `CognitoTokenService.verify` is one with the transport's settings. Use this class directly in a
    service that only accepts tokens.

    Args:
        pool_id: user pool ID, such as ``eu-west-1_aBcDeFgHi``.
        client_id: ID of the app client, or of several whose tokens are accepted.
        endpoint_url: URL of a local Cognito. Default: Cognito itself.
        issuer: the only ``iss`` to accept. Default: every one that Cognito uses for this pool, in all
            partitions of AWS and for both IssuerTypes, ORIGINAL and UPDATED; for a local Cognito also
            the endpoint, by any name of this machine.
        jwks_url: URL of the pool's public keys. Default: ``/.well-known/jwks.json`` of the token's
            issuer, or of the local Cognito.
        region: region of a replica of the pool, or several: with IssuerType ORIGINAL, each has an
            issuer of its own. Default: only the pool's own region.
        leeway: allowed difference between this machine's clock and Cognito's, in seconds.
        keys_for: seconds for which the pool's public keys are cached. A token with an unknown key
            fetches them anew, at most every 10 seconds.
        timeout: limit for fetching them, in seconds, however slowly they arrive. If they cannot be
            fetched, tokens whose key is not cached are `Unreachable` for the next second, and then the
            keys are fetched anew.
        allow_insecure_endpoint: whether they may come over plain http from another host.

    Raises:
        Misconfigured: the pool ID is malformed, there is no client ID, the issuer is no URL, or the
            endpoint or the URL of the keys is not secure.
    """

    def __init__(
        self,
        *,
        pool_id: str,
        client_id: str | Collection[str],
        endpoint_url: str | None = None,
        issuer: str | None = None,
        jwks_url: str | None = None,
        region: str | Collection[str] | None = None,
        leeway: float = 0.0,
        keys_for: float = 3600.0,
        timeout: float = 5.0,
        allow_insecure_endpoint: bool = False,
    ) -> None:
        check_flag("allow_insecure_endpoint", allow_insecure_endpoint)
        if endpoint_url is not None:
            check_endpoint(endpoint_url, allow_insecure=allow_insecure_endpoint)
        self._client_ids = _texts(client_id or ())
        if not self._client_ids:
            raise Misconfigured("client_id is empty: is the variable set that it comes from?")
        for one in self._client_ids:
            check_client_id(one)
        check_seconds("keys_for", keys_for)
        check_seconds("timeout", timeout)
        check_seconds("leeway", leeway, or_none_at_all=True)
        self._leeway = leeway
        regions = _texts(region)
        for one in regions:
            checked_region(one)
        urls = issuers_of(
            pool_id,
            regions=regions,
            issuer=issuer or None,
            jwks_url=jwks_url or None,
            endpoint_url=endpoint_url,
            allow_insecure=allow_insecure_endpoint,
        )
        try:
            keys = {url: _Keys(url, keys_for, timeout) for url in set(urls.values())}
        except jwt.PyJWTError as error:
            raise Misconfigured(f"issuer, jwks_url or keys_for: {error}") from None
        self._keys = {accepted: keys[url] for accepted, url in urls.items()}

    @property
    def keys_urls(self) -> tuple[str, ...]:
        """The URLs of the pool's public keys: one for each host that issues its tokens."""
        return tuple(dict.fromkeys(keys.uri for keys in self._keys.values()))

    def verify(
        self,
        token: str,
        use: TokenUse = "access",
        *,
        groups: str | Collection[str] | None = None,
        scopes: str | Collection[str] | None = None,
    ) -> dict[str, Any]:
        """Verify a token and return its claims.

        Args:
            token: the token that a client sent.
            use: expected ``token_use``.
            groups: groups of which the user has to be in at least one (``cognito:groups``). None: any
                user.
            scopes: scopes of which the access token has to have at least one. None: any.

        Raises:
            InvalidToken: it is forged, expired, or for another client or use, or the user lacks the
                groups or scopes. The message says why, `InvalidToken.reason` says it as a code.
                Neither quotes the token, except another issuer.
            Unreachable: the pool's public keys could not be fetched.
        """
        result = self.checked(token, use, groups=groups, scopes=scopes)
        del token  # error reporters store the local variables of a traceback
        return _returned(result)

    def checked(
        self,
        token: str,
        use: TokenUse,
        *,
        groups: str | Collection[str] | None = None,
        scopes: str | Collection[str] | None = None,
    ) -> dict[str, Any] | OncegateError:
        """Return the claims, or the error that `verify` raises: no frame of it has the token."""
        try:
            claims = self._signed_claims(token)
        except _OtherIssuer as error:
            accepted = ", ".join(self._keys)
            return InvalidToken(
                f"its issuer {error.issuer} is none of {accepted}: check pool_id=, region= and issuer=",
                "issuer",
            )
        except jwt.PyJWKClientConnectionError:
            return Unreachable("the pool's public keys could not be fetched")
        except jwt.PyJWTError as error:
            reason = next(
                (r for kind, r in _REASONS.items() if isinstance(error, kind)), "malformed"
            )
            return InvalidToken(f"not a valid token: {type(error).__name__}", reason)
        except ValueError as error:  # text that is no Unicode
            return InvalidToken(f"not a valid token: {type(error).__name__}")
        if claims["token_use"] != use:
            return InvalidToken(f"not a token for {use}", "use")
        # Only an ID token has an audience; an access token names its client itself.
        client = claims.get("aud" if use == "id" else "client_id")
        if not isinstance(client, str) or client not in self._client_ids:
            return InvalidToken("not a token for this app client", "client")
        if groups is not None and not _has_any(claims.get("cognito:groups"), groups):
            return InvalidToken("the user is in none of the groups", "groups")
        if scopes is not None and not _has_any(str(claims.get("scope", "")).split(), scopes):
            return InvalidToken("the token has none of the scopes", "scopes")
        return claims

    def _signed_claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token after checking its signature and times.

        The issuer is read before the signature is checked, and only to look up which keys to use.

        Raises:
            _OtherIssuer: it is not from an issuer of the pool.
            jwt.PyJWTError: the token is invalid, or the keys could not be fetched.
        """
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        issuer, key_id = unverified["payload"].get("iss"), unverified["header"].get("kid")
        if "iss" not in unverified["payload"]:
            raise jwt.MissingRequiredClaimError("iss")
        keys = self._keys.get(issuer) if isinstance(issuer, str) else None
        if keys is None:
            raise _OtherIssuer(issuer)
        if not isinstance(key_id, str):
            raise jwt.DecodeError("no kid")
        claims: dict[str, Any] = jwt.decode(
            token,
            keys.get_signing_key(key_id),
            algorithms=["RS256"],
            issuer=issuer,
            leeway=self._leeway,
            options={
                "require": ["exp", "iss", "token_use"],
                "verify_aud": False,  # checked by the caller, with client_id of access tokens
                # RFC 7519, 4.1.6 gives iat no part in this. A clock that is a second behind
                # Cognito's must not refuse a token that was just issued.
                "verify_iat": False,
            },
        )
        return claims


class _OtherIssuer(Exception):
    """A token's ``iss`` is none of those that are accepted.

    Args:
        issuer: the claim, which any caller can write.

    Attributes:
        issuer: what the log may have of it.
    """

    def __init__(self, issuer: object) -> None:
        super().__init__()
        self.issuer = ascii(issuer)[:_LONGEST_ISSUER]


_REASONS: Final[dict[type[jwt.PyJWTError], str]] = {
    jwt.ExpiredSignatureError: "expired",
    jwt.InvalidSignatureError: "signature",
    jwt.InvalidAlgorithmError: "signature",
    jwt.PyJWKClientError: "signature",  # no such key
}


def _texts(given: str | Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    try:
        return tuple(given or ())
    except TypeError:
        raise Misconfigured("client_id and region have to be text, or several") from None


def _has_any(held: object, wanted: str | Collection[str]) -> bool:
    return isinstance(held, list) and not set(_texts(wanted)).isdisjoint(map(str, held))


def trusted() -> ssl.SSLContext | None:
    """Return the authorities that the environment names for botocore: Cognito also serves the keys.

    Raises:
        Misconfigured: the file cannot be used.
    """
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    if not bundle:
        return None
    try:
        return _context(bundle, Path(bundle).stat().st_mtime_ns)
    except OSError as error:  # ssl.SSLError is one
        raise Misconfigured(
            f"AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE cannot be used: {type(error).__name__}"
        ) from None


@cache
def _context(bundle: str, _changed_at: int) -> ssl.SSLContext:
    # Reading the authorities takes 20 ms, and each transport makes two or more fetchers.
    return ssl.create_default_context(cafile=bundle)


class _Keys(jwt.PyJWKClient):
    """Fetches an issuer's public keys in bounded time, and understands no other response.

    PyJWT fetches them under a lock. Its own timeout is for each packet, so that a slow server holds
    that lock, and with it all who verify a token.

    Args:
        url: URL of the keys.
        keys_for: seconds for which they are cached.
        timeout: limit for fetching them, in seconds.
    """

    _failed_at: tuple[float, float] | None = None

    def __init__(self, url: str, keys_for: float, timeout: float) -> None:
        super().__init__(url, lifespan=keys_for, timeout=timeout, cooldown_duration=_NEW_KEYS_AFTER)
        # It has no cache, so that nothing is cached that is not checked yet.
        self._fetcher = jwt.PyJWKClient(
            url, cache_jwk_set=False, timeout=timeout, ssl_context=trusted()
        )

    def get_signing_key(self, kid: str) -> jwt.PyJWK:
        """Return a key. During a call, no longer than the call may take: others hold the lock."""
        limit = current_limit()
        if limit is None:
            return super().get_signing_key(kid)
        find = super().get_signing_key
        try:
            return run_in_time((id(self), kid), lambda: find(kid), limit.remaining())
        except TimeoutError:
            raise jwt.PyJWKClientConnectionError("not in time") from None

    def fetch_data(self) -> Any:
        """Return the keys; what was cached before stays cached if they cannot be fetched."""
        if self._failed_at and seconds_since(self._failed_at) < _RETRY_AFTER:
            raise jwt.PyJWKClientConnectionError("they could not be fetched a moment ago")
        try:
            keys = run_in_time((id(self), self.uri), self._fetcher.fetch_data, self.timeout)
            if not any(key.get("kid") for key in keys["keys"]):
                raise ValueError("no keys")
        except Exception as failure:  # noqa: BLE001 - a page instead of keys, or none at all
            self._failed_at = clocks()
            raise jwt.PyJWKClientConnectionError(type(failure).__name__) from None
        return keys


class CognitoTokenService:
    """Renews, revokes and verifies the tokens of one app client. Thread-safe.

    An application gets it as ``CognitoTransport(…).token_service``.

    Args:
        app: app client that issued the tokens.
        timeout: limit for a whole call, in seconds: all of its requests and waits together.
        issuer: see `TokenVerifier`.
        jwks_url: see `TokenVerifier`.
        leeway: see `TokenVerifier`.

    Attributes:
        verifier: verifies the tokens.
    """

    def __init__(
        self,
        app: AppClient,
        *,
        timeout: float = 10.0,
        issuer: str | None = None,
        jwks_url: str | None = None,
        leeway: float = 0.0,
    ) -> None:
        self._app = app
        self._timeout = float(timeout)
        self._log = logger()
        # A client that was given, or AWS_ENDPOINT_URL, can have its own endpoint.
        effective = app.endpoint_url or getattr(app.boto.meta, "endpoint_url", None)
        self.verifier = TokenVerifier(
            timeout=min(5.0, timeout),
            pool_id=app.pool_id,
            client_id=app.client_id,
            endpoint_url=effective,
            issuer=issuer,
            jwks_url=jwks_url,
            region=app.region,
            leeway=leeway,
            allow_insecure_endpoint=app.allow_insecure_endpoint,
        )

    @property
    def max_call_seconds(self) -> float:
        """Upper bound for the duration of one call, in seconds."""
        return self._timeout

    def renew(self, tokens: Tokens) -> Tokens:
        """See `oncegate.adapters.TokenService.renew`."""
        if not tokens.refresh_token:
            raise SignedOut
        # Works with and without refresh token rotation. If the response of a rotation is lost, the
        # pool's grace period accepts the old token once more.
        fresh = self._call(
            lambda: tokens_of(
                self._boto.get_tokens_from_refresh_token(
                    RefreshToken=tokens.refresh_token,
                    **({"DeviceKey": tokens.device_key} if tokens.device_key else {}),
                    **self._client_credentials(),
                    **self._metadata("get_tokens_from_refresh_token"),
                )["AuthenticationResult"]
            )
        )
        return fresh.model_copy(
            update={
                "refresh_token": fresh.refresh_token or tokens.refresh_token,
                "device_key": tokens.device_key,
                "by_managed_login": tokens.by_managed_login,
            }
        )

    def revoke(self, tokens: Tokens) -> None:
        """See `oncegate.adapters.TokenService.revoke`. Does nothing without a refresh token."""
        if tokens.refresh_token:
            self._call(
                lambda: self._boto.revoke_token(
                    Token=tokens.refresh_token, **self._client_credentials()
                )
            )

    def check(self, tokens: Tokens) -> None:
        """See `oncegate.adapters.TokenService.check`. Calls GetUser."""
        self._call(lambda: self._boto.get_user(AccessToken=tokens.access_token)["Username"])

    def verify(
        self,
        token: str,
        use: TokenUse = "access",
        *,
        groups: str | Collection[str] | None = None,
        scopes: str | Collection[str] | None = None,
    ) -> dict[str, Any]:
        """See `oncegate.adapters.TokenService.verify`, and `TokenVerifier.verify` for the rights."""
        result = self.verifier.checked(token, use, groups=groups, scopes=scopes)
        del token
        return _returned(result)

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        """End every session of this user (GlobalSignOut); raises what `renew` raises."""
        self._call(lambda: self._boto.global_sign_out(AccessToken=tokens.access_token))

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        """See `oncegate.adapters.TokenService.devices`."""
        return self._call(partial(self._all_devices, tokens))

    def _all_devices(self, tokens: Tokens) -> list[ListedDevice]:
        found: list[ListedDevice] = []
        more: dict[str, str] = {}
        while True:
            page = self._boto.list_devices(AccessToken=tokens.access_token, Limit=60, **more)
            for device in page.get("Devices", []):
                names = {item["Name"]: item["Value"] for item in device.get("DeviceAttributes", [])}
                name = names.get("device_name", "")
                last = device.get("DeviceLastAuthenticatedDate")
                found.append(ListedDevice(device["DeviceKey"], name, last))
            if not page.get("PaginationToken"):
                return found
            more = {"PaginationToken": page["PaginationToken"]}

    def overview(self, access_token: str) -> AccountOverview:
        """See `oncegate.adapters.AccountService.overview`."""
        return self._call(partial(self._overview, access_token))

    def _overview(self, token: str) -> AccountOverview:
        user = self._boto.get_user(AccessToken=token)
        attributes = {one["Name"]: one["Value"] for one in user.get("UserAttributes", [])}
        factors = user.get("UserMFASettingList", [])
        preferred = user.get("PreferredMfaSetting")
        configured = self._boto.get_user_auth_factors(AccessToken=token)
        return AccountOverview(
            username=user["Username"],
            addresses={name: attributes[name] for name in _ADDRESSES if name in attributes},
            verified=frozenset(
                name for name in _ADDRESSES if attributes.get(f"{name}_verified") == "true"
            ),
            second_factors=tuple(factor for factor in SECOND_FACTORS if factor in factors),
            preferred=Factor(preferred) if preferred in SECOND_FACTORS else None,
            passkeys=tuple(self._all_passkeys(token)),
            devices=tuple(self._all_devices(Tokens(access_token=token))),
            has_password="PASSWORD" in configured.get("ConfiguredUserAuthFactors", []),
        )

    def _all_passkeys(self, token: str) -> Iterator[ListedPasskey]:
        more: dict[str, str] = {}
        while True:
            page = self._boto.list_web_authn_credentials(AccessToken=token, **more)
            for one in page.get("Credentials", []):
                name = one.get("FriendlyCredentialName", "")
                yield ListedPasskey(one["CredentialId"], name, one.get("CreatedAt"))
            if not page.get("NextToken"):
                return
            more = {"NextToken": page["NextToken"]}

    def logout_url(self, tokens: Tokens, return_to: str) -> str | None:
        """See `oncegate.adapters.TokenService.logout_url`; `ManagedLogin.logout_uri` comes first."""
        login = self._app.managed_login
        return login.logout_url(return_to) if login and tokens.by_managed_login else None

    def forget_device(self, tokens: Tokens, key: str) -> None:
        """See `oncegate.adapters.TokenService.forget_device`. One that is unknown is forgotten."""
        self._call(partial(self._forget_device, tokens, key))

    def _forget_device(self, tokens: Tokens, key: str) -> None:
        try:
            self._boto.forget_device(AccessToken=tokens.access_token, DeviceKey=key)
        except ClientError as failure:
            is_malformed = "'deviceKey'" in failure.response.get("Error", {}).get("Message", "")
            is_unknown = _is_rejected(
                outcome_of_exception(failure), RejectionReason.DEVICE_FORGOTTEN
            )
            if not (is_malformed or is_unknown):
                raise

    def _call(self, operation: Callable[[], _Result]) -> _Result:
        """Return what a call to Cognito returns; raise what `TokenService` declares.

        The error is raised outside of ``except``, so that it leads to none of the frames that held
        the request: error reporters store the local variables of a traceback, and botocore's messages
        can quote the request.

        Args:
            operation: makes the call, and reads its response. Its own frame is none of those of the
                error.
        """
        try:
            with limited(self._timeout):
                return operation()
        except Exception as failure:  # noqa: BLE001 - whatever it is, the frames below hold tokens
            error, name = _error_of(failure), getattr(failure, "operation_name", "")
            outcome = outcome_of_exception(failure)
        if isinstance(error, Misconfigured):
            self._log.error("set-up refused by Cognito", operation=name, reason=str(error))
        elif isinstance(error, Unreachable):
            self._app.set_up_log.report(name, outcome)
        raise error

    def _metadata(self, method: str) -> dict[str, Any]:
        """Return the ClientMetadata of a request that no user's request causes."""
        return self._app.sent_context.of(method, RequestContext())

    @property
    def _boto(self) -> Any:
        return self._app.boto

    def _client_credentials(self) -> dict[str, str]:
        if self._app.secret is None:
            return {"ClientId": self._app.client_id}
        return {
            "ClientId": self._app.client_id,
            "ClientSecret": self._app.secret.get_secret_value(),
        }


def _returned(result: dict[str, Any] | OncegateError) -> dict[str, Any]:
    if isinstance(result, OncegateError):
        raise result
    return result


def _error_of(failure: Exception) -> OncegateError:
    """Return what the caller of the service is told. Only what is about the tokens ends a session.

    Cognito also refuses calls because of a firewall, a Lambda trigger or the set-up: then the session
    goes on, and the call is made again later (franken-srp#13, amplify-js#14130).
    """
    if isinstance(failure, ParamValidationError):
        return Misconfigured("the request does not fit Cognito's API: is the client secret right?")
    if not isinstance(failure, ClientError):
        known = isinstance(failure, BotoCoreError) and not isinstance(failure, MalformedResponse)
        what = "Cognito did not answer" if known else "Cognito's response is malformed"
        return Unreachable(f"{what}: {name_of(failure)}")
    error = failure.response.get("Error", {})
    code, message = error.get("Code", ""), error.get("Message", "")
    if "required scopes" in message:
        # The token is valid, and says nothing about whether the session goes on.
        return Misconfigured("the access token needs the scope aws.cognito.signin.user.admin")
    if ends_tokens(failure):
        return SignedOut("reused" if code == "RefreshTokenReuseException" else "ended")
    outcome = outcome_of_exception(failure)
    detail = str(getattr(outcome, "detail", ""))
    if _is_rejected(outcome, RejectionReason.MISCONFIGURED):
        return Misconfigured(detail)
    return Unreachable(f"Cognito refused the call for now: {detail}")


def _is_rejected(outcome: Outcome, reason: RejectionReason) -> bool:
    return isinstance(outcome, Rejected) and outcome.reason is reason
