"""`ManagedLogin`: the settings of a user pool's domain, with its OAuth endpoints. Extra: ``oauth``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from oncegate import Misconfigured
from oncegate_cognito._boto import is_loopback

_SCOPES: Final = ("openid", "email", "profile", "aws.cognito.signin.user.admin")


@dataclass(frozen=True)
class ManagedLogin:
    """The domain of a user pool, for signing in with identity providers.

    Args:
        domain: URL of the pool's domain, such as ``https://auth.example.com`` or
            ``https://example.auth.eu-west-1.amazoncognito.com``.
        redirect_uri: absolute URL to which the browser comes back: exactly one of the app client's
            CallbackURLs.
        logout_uri: absolute URL to which the browser comes back from ``/logout``: exactly one of the
            app client's LogoutURLs. Default: the URL that the application names when a user signs out.
        scopes: scopes to ask for. ``openid`` is required, since the ID token says who the user is.
            Without ``aws.cognito.signin.user.admin``, `oncegate.adapters.TokenService` can neither
            check the session nor sign out everywhere.

    Raises:
        Misconfigured: a setting is no such URL, or http on another host, or the scopes lack
            ``openid``. Whether the domain may be http on another host is the transport's setting.
    """

    domain: str
    redirect_uri: str
    logout_uri: str | None = None
    scopes: tuple[str, ...] = _SCOPES

    def __post_init__(self) -> None:
        parts = urlsplit(_checked("domain", self.domain, allow_insecure=True))
        if parts.path not in {"", "/"} or parts.query:
            raise Misconfigured("domain of ManagedLogin has a path: leave it out")
        _checked("redirect_uri", self.redirect_uri)
        if self.logout_uri is not None:
            _checked("logout_uri", self.logout_uri)
        if isinstance(self.scopes, str) or not all(
            isinstance(one, str) and one and not set(one) & set(" \t\n") for one in self.scopes
        ):
            raise Misconfigured("scopes of ManagedLogin have to be names, each without blanks")
        if "openid" not in self.scopes:
            raise Misconfigured(
                "scopes of ManagedLogin lack openid: without it there is no ID token"
            )

    def check_domain(self, *, allow_insecure: bool) -> None:
        """Raise `Misconfigured` if the domain is http on another host and that is not allowed."""
        _checked("domain", self.domain, allow_insecure=allow_insecure)


def _checked(name: str, url: object, *, allow_insecure: bool = False) -> str:
    """Return a setting's URL.

    Raises:
        Misconfigured: it is not absolute, has a fragment (RFC 6749, 3.1.2), or is neither https nor
            http on this machine.
    """
    text = url if isinstance(url, str) else ""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"} or "#" in text or text != text.strip():
        raise Misconfigured(
            f"{name} of ManagedLogin has to be an absolute URL without a fragment, such as "
            "https://auth.example.com"
        )
    if parts.scheme == "http" and not (allow_insecure or is_loopback(host)):
        raise Misconfigured(
            f"{name} of ManagedLogin has to be https, and is http: codes and tokens would cross the "
            "network in plain. A local Cognito on another host of a trusted network needs "
            "allow_insecure_endpoint=True"
        )
    return text
