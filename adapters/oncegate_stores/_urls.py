"""`store_from_url`: makes a store from a URL, for configuration files and environment variables."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from oncegate import Misconfigured, MissingExtra
from oncegate.adapters import RecordStore, load_entry_point
from oncegate_stores._memory import MemoryStore
from oncegate_stores._sqlite import SQLiteStore

_REDIS = {"redis", "rediss", "unix", "valkey", "valkeys"}


def store_from_url(url: str) -> RecordStore:
    """Make a store from its URL.

    Args:
        url: ``memory://``, ``sqlite:///path/to/flows.db``, ``redis://host:6379/0`` (`RedisStore` has
            those for TLS, Sentinel and Cluster), ``postgresql://user:password@host/database``, or
            ``dynamodb://table?region=eu-west-1`` (with ``&endpoint_url=…`` for a replacement). Any
            other scheme names an entry point of the group ``oncegate.stores``, which is called with
            the URL.

    Raises:
        Misconfigured: the URL is malformed, or no installed package provides a store for its scheme.
            The message does not contain the URL, which may include a password.
        MissingExtra: a package that the store needs is not installed.
    """
    if not isinstance(url, str) or not url:
        raise Misconfigured("no store URL was given: is the variable set that it comes from?")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Misconfigured("invalid store URL") from None
    match parts.scheme:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return _sqlite(url, parts)
        case scheme if scheme.partition("+")[0] in _REDIS:
            return _redis(url)
        case "postgresql" | "postgres":
            from oncegate_stores import PostgresStore

            return PostgresStore(url)
        case "dynamodb":
            return _dynamodb(parts)
    return _third_party(parts.scheme, url)


def _sqlite(url: str, parts: SplitResult) -> RecordStore:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    path, timeout = unquote(parts.path).removeprefix("/"), _seconds(options.pop("timeout", "5"))
    # With fewer, it is not clear whether the path is absolute.
    has_slashes = url.partition(":")[2].startswith("///")
    if not path or not has_slashes or parts.fragment or options:
        raise Misconfigured(
            "an SQLite store needs a path, as in sqlite:///flows.db or sqlite:////var/lib/flows.db (# "
            "is %23, ? is %3F), and takes the option timeout (seconds)"
        )
    return SQLiteStore(path, timeout=timeout)


def _redis(url: str) -> RecordStore:
    from oncegate_stores import RedisStore

    return RedisStore(url)


def _dynamodb(parts: SplitResult) -> RecordStore:
    from oncegate_stores import DynamoDBStore

    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    timeout = _seconds(options.pop("timeout", "2"))
    region, endpoint_url = options.pop("region", None), options.pop("endpoint_url", None)
    if not parts.netloc or options:
        raise Misconfigured(
            "a DynamoDB store needs a table, as in dynamodb://flows?region=eu-west-1, and takes the "
            "options region, endpoint_url and timeout (seconds)"
        )
    return DynamoDBStore(parts.netloc, region=region, endpoint_url=endpoint_url, timeout=timeout)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Misconfigured("the store's URL: timeout has to be a number of seconds") from None


def _third_party(scheme: str, url: str) -> RecordStore:
    try:
        make = load_entry_point("stores", scheme, scheme)
    except MissingExtra as error:
        raise Misconfigured(
            "the store for this URL needs a package that is not installed"
        ) from error
    except Misconfigured:
        raise Misconfigured(
            "no store for this URL: use memory, sqlite, redis, postgresql or dynamodb, or install a "
            "package that provides the scheme as an entry point of oncegate.stores"
        ) from None
    store: RecordStore = make(url)
    return store
