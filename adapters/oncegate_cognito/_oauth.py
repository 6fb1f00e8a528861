"""The OAuth endpoints of a user pool's domain, with Authlib for the protocol (RFC 6749, RFC 7636).

Authlib builds and reads the messages. They leave over connections like those of all other calls, which
keep to the limit of a call, so that a request is known to have left or not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlencode

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from pydantic import SecretStr

from oncegate import MissingExtra
from oncegate.adapters import THREADS
from oncegate_cognito._boto import unlogged
from oncegate_cognito._connections import limit_session
from oncegate_cognito.errors import MalformedResponse
from oncegate_cognito.managed_login import ManagedLogin

# AWS developer guide, "Managed login localization".
_LANGUAGES: Final = (
    *("de", "en", "es", "fr", "id", "it", "ja", "ko"),
    *("pt-BR", "zh-CN", "zh-TW"),
)


class ManagedLoginClient:
    """One app client at the endpoints of managed login. Thread-safe.

    Args:
        settings: the domain and the app client's URLs.
        client_id: app client ID.
        secret: app client secret; None for a client without one.
        connect_timeout: limit for opening a connection, in seconds.
        read_timeout: limit for the wait for a response, in seconds.
        proxies: proxies by scheme. None: those of the environment.
        allow_insecure: whether the domain may be http on another host.

    Attributes:
        settings: the domain and the app client's URLs.
        timeout: limit for the wait for a response, in seconds.

    Raises:
        Misconfigured: the domain is http on another host.
        MissingExtra: Authlib is not installed.
    """

    def __init__(
        self,
        settings: ManagedLogin,
        *,
        client_id: str,
        secret: SecretStr | None,
        connect_timeout: float,
        read_timeout: float,
        proxies: Mapping[str, str] | None = None,
        allow_insecure: bool = False,
    ) -> None:
        settings.check_domain(allow_insecure=allow_insecure)
        try:
            from authlib.oauth2 import OAuth2Client, OAuth2Error
        except ImportError as error:
            raise MissingExtra("oauth") from error
        self._client_class, self._error_class = OAuth2Client, OAuth2Error
        self.settings = settings
        self.timeout = read_timeout
        self._client_id = client_id
        self._secret = secret
        self._domain = settings.domain.rstrip("/")
        self._session = _Session(
            _Http(
                proxies=get_environ_proxies(self._domain) if proxies is None else proxies,
                timeouts=(connect_timeout, read_timeout),
            )
        )

    def authorize_url(
        self, *, provider: str | None, state: str, verifier: str, nonce: str, language: str
    ) -> str:
        """Return the URL of a request to the authorization endpoint, for the user's browser.

        Args:
            provider: Cognito's name of the identity provider, or ``COGNITO`` for the pool's own pages
                (AWS developer guide, "The redirect and authorization endpoint"); None to have the user
                choose there.
            state: what the browser brings back.
            verifier: secret whose SHA-256 is in the request (PKCE).
            nonce: what the ID token repeats.
            language: the user's language tag; empty if it is not known.
        """
        more = {"lang": tag} if (tag := _page_language(language)) else {}
        if provider is not None:
            more["identity_provider"] = provider
        url, _ = self._oauth().create_authorization_url(
            f"{self._domain}/oauth2/authorize",
            state=state,
            code_verifier=verifier,
            nonce=nonce,
            **more,
        )
        return cast("str", url)

    def exchange(self, *, code: str, verifier: str) -> Mapping[str, Any]:
        """Return the response of the token endpoint to a code. The request is sent once.

        Raises:
            ClientError: the endpoint answered with an error, whose name is the code; or with something
                else, whose status is the code.
            BotoCoreError: it did not answer, or not as a token endpoint.
        """
        try:
            answer = self._oauth().fetch_token(
                f"{self._domain}/oauth2/token",
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
            )
        except self._error_class as error:
            failure = _failure(str(error.error), str(error.description or ""), 400)
        else:
            return cast("Mapping[str, Any]", answer)
        raise failure  # not within `except`: the frames of its context hold the request

    def redirect_of(self, url: str) -> tuple[int, str]:
        """Return the status of what the domain answers to a browser, and where it would go next.

        Args:
            url: URL of the domain; the request is sent once, without cookies.

        Raises:
            BotoCoreError: there is no response.
        """
        return self._session.get(url)

    def logout_url(self, return_to: str) -> str:
        """Return the URL that ends managed login's session in the user's browser.

        AWS developer guide, "The managed login sign-out endpoint".

        Args:
            return_to: URL to come back to, if the settings have none.
        """
        query = {"client_id": self._client_id, "logout_uri": self.settings.logout_uri or return_to}
        return f"{self._domain}/logout?{urlencode(query)}"

    def _oauth(self) -> Any:
        # For each request: it remembers the tokens.
        return self._client_class(
            self._session,
            client_id=self._client_id,
            client_secret=self._secret.get_secret_value() if self._secret else None,
            scope=" ".join(self.settings.scopes),
            redirect_uri=self.settings.redirect_uri,
            code_challenge_method="S256",
        )


class _Http:
    """botocore's HTTP session: proxies, certificates, and no redirects; with limited connections."""

    def __init__(self, *, proxies: Mapping[str, str], timeouts: tuple[float, float]) -> None:
        bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
        settings: Any = {"verify": bundle or True, "timeout": timeouts}
        self._session = URLLib3Session(
            proxies=dict(proxies), max_pool_connections=THREADS, **settings
        )
        limit_session(self._session)

    def post(self, *, url: str, headers: Mapping[str, str], body: str) -> Any:
        return self._session.send(AWSRequest("POST", url, headers=headers, data=body).prepare())

    def get(self, *, url: str) -> Any:
        return self._session.send(AWSRequest("GET", url).prepare())

    def close(self) -> None:
        self._session.close()


class _Answer(NamedTuple):
    """What Authlib needs of a response."""

    status_code: int
    content: dict[str, Any]

    def json(self) -> dict[str, Any]:
        return self.content


class _Session:
    """What Authlib needs of an HTTP session."""

    def __init__(self, http: _Http) -> None:
        self._http: Any = unlogged(cast("Any", http))

    def get(self, url: str) -> tuple[int, str]:
        """Return the status and the ``Location`` of a response; redirects are not followed."""
        response = self._http.get(url=url)
        return int(response.status_code), str(response.headers.get("location") or "")

    def post(self, url: str, *, data: Mapping[str, str], headers: Any, auth: Any) -> _Answer:
        """Send a request once.

        Raises:
            ClientError: the response is neither tokens nor an error of OAuth.
            BotoCoreError: there is no response, or it is not JSON.
        """
        url, headers, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        response = self._http.post(url=url, headers=headers, body=body)
        status, content = int(response.status_code), _json_object(response.content)
        is_error = isinstance((content or {}).get("error"), str)
        if status == 429 or status >= 500 or (status != 200 and not is_error):
            raise _failure(str(status), "", status)
        if content is None:
            raise MalformedResponse(cause="not JSON")
        return _Answer(status, content)


def _failure(code: str, message: str, status: int) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "oauth2/token")


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _page_language(tag: str) -> str:
    """Return the language of managed login's pages for a language tag; empty if they have none."""
    wanted = tag.lower()
    primary = wanted.partition("-")[0]
    for language in _LANGUAGES:
        if language.lower() in {wanted, primary}:
            return language
    return next((one for one in _LANGUAGES if one.startswith(f"{primary}-")), "") if primary else ""
