"""The issuers of a pool's tokens (``iss``), and the URLs of their public keys."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

from botocore.endpoint_provider import RuleSetStandardLibrary
from botocore.loaders import Loader

from oncegate import Misconfigured
from oncegate_cognito._app_client import parse_pool_id
from oncegate_cognito._boto import check_endpoint, is_loopback

# cognito-local is configured with 0.0.0.0, and its tokens say so.
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "0.0.0.0")  # noqa: S104 - compared, never bound
_KEYS = "/.well-known/jwks.json"
_NOT_SECURE = (
    "issuer and jwks_url have to be https URLs, or http on this machine: the public keys come from "
    "there. For a local Cognito on another host of a trusted network, pass allow_insecure_endpoint=True"
)


def issuers_of(
    pool_id: str,
    *,
    regions: Iterable[str] = (),
    issuer: str | None = None,
    jwks_url: str | None = None,
    endpoint_url: str | None = None,
    allow_insecure: bool = False,
) -> dict[str, str]:
    """Return the accepted values of ``iss``, each with the URL of the public keys.

    Without ``issuer``, these are all that Cognito uses for the pool. Both forms of IssuerType have
    hosts and a path that only Cognito serves for this pool, so that accepting both is safe; each is
    checked with the keys of its own host (aws-jwt-verify#239). An endpoint that is not AWS's, such as
    a local Cognito, serves the keys itself: none are fetched from AWS then. FIPS, dual-stack and
    PrivateLink endpoints change neither the issuer nor the keys.

    Args:
        pool_id: user pool ID.
        regions: regions of the pool's replicas. Each has an ``iss`` of its own if IssuerType is
            ORIGINAL (aws-jwt-verify#282).
        issuer: the only ``iss`` to accept. None: those of the pool.
        jwks_url: URL of the public keys. None: that of the issuer or of the endpoint.
        endpoint_url: URL that requests go to. None: Cognito itself.
        allow_insecure: whether keys may come over plain http from another host.

    Raises:
        Misconfigured: the pool ID is malformed, the issuer is no URL, or the keys' URL is not secure.
    """
    region, _ = parse_pool_id(pool_id)
    local = None if endpoint_url is None or _is_of_aws(endpoint_url, region) else endpoint_url
    if issuer:
        if not _is_url(issuer):
            raise Misconfigured(
                "issuer has to be a URL: the iss of the pool's tokens, such as "
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi"
            )
        accepted = [issuer]
    else:
        accepted = [
            _issuer("issuer-cognito-idp", region, pool_id),
            *(_issuer("cognito-idp", one, pool_id) for one in (region, *regions)),
        ]
        if local:
            accepted += (f"{url}/{pool_id}" for url in _same_machine(local))
    keys = jwks_url or (f"{local.rstrip('/')}/{pool_id}{_KEYS}" if local else None)
    found = {one: keys or one.rstrip("/") + _KEYS for one in accepted}
    for url in set(found.values()):
        try:
            check_endpoint(url, allow_insecure=allow_insecure)
        except Misconfigured:
            raise Misconfigured(_NOT_SECURE) from None
    return found


def _is_url(text: object) -> bool:
    try:
        parts = urlsplit(text if isinstance(text, str) else "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _issuer(service: str, region: str, pool_id: str) -> str:
    """Return an issuer of Cognito's; the forms are those of IssuerConfigurationType."""
    return f"https://{service}.{region}.{_suffixes(region)[0]}/{pool_id}"


@cache
def _suffixes(region: str) -> tuple[str, str]:
    """Return the DNS suffixes of a region's partition, without and with dual stack: botocore's data."""
    partition = RuleSetStandardLibrary(Loader().load_data("partitions")).aws_partition(region)
    return partition["dnsSuffix"], partition["dualStackDnsSuffix"]


def _is_of_aws(endpoint_url: str, region: str) -> bool:
    host = urlsplit(endpoint_url).hostname or ""
    return host.endswith(tuple(f".{suffix}" for suffix in _suffixes(region)))


def _same_machine(endpoint_url: str) -> list[str]:
    """Return an endpoint's URL under each name of a loopback address, if it has one of them."""
    url = endpoint_url.rstrip("/")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not is_loopback(host):
        return [url]
    rest = (f":{parts.port}" if parts.port else "") + parts.path
    return list({url: 0, **{f"{parts.scheme}://{name}{rest}": 0 for name in _LOOPBACK}})
