"""`store_from_url`: a store by its address, for settings that are one line of text."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from oncegate import Misconfigured
from oncegate.adapters import RecordStore
from oncegate_stores.memory import MemoryStore
from oncegate_stores.sqlite import SQLiteStore


def store_from_url(url: str) -> RecordStore:
    """Make a store.

    Args:
        url: ``memory://``, ``sqlite:///path/to/flows.db``, ``redis://host:6379/0`` (or ``rediss``,
            ``valkey``, ``unix``), ``postgresql://user:password@host/database``, or
            ``dynamodb://table?region=eu-west-1`` (with ``&endpoint_url=…`` for a stand-in).

    Raises:
        Misconfigured: it is none of these; the message does not repeat it, for the password in it.
        MissingExtra: what the store needs is not installed.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Misconfigured("a store's URL that is no URL") from None
    match parts.scheme:
        case "memory":
            return MemoryStore()
        case "sqlite":
            path = unquote(parts.path).removeprefix("/")
            if not path:
                raise Misconfigured("a SQLite store needs a path, as in sqlite:///flows.db")
            return SQLiteStore(path)
        case "redis" | "rediss" | "valkey" | "valkeys" | "unix":
            from oncegate_stores import RedisStore

            return RedisStore(url.replace("valkey", "redis", 1))
        case "postgresql" | "postgres":
            from oncegate_stores import PostgresStore

            return PostgresStore(url)
        case "dynamodb":
            from oncegate_stores import DynamoDBStore

            asked = dict(parse_qsl(parts.query))
            return DynamoDBStore(
                parts.netloc, region=asked.get("region"), endpoint_url=asked.get("endpoint_url")
            )
    raise Misconfigured("a store's URL begins with memory, sqlite, redis, postgresql or dynamodb")
