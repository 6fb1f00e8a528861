"""Stores for flows, budgets and sessions. Each class implements `oncegate.adapters.RecordStore`.

`MemoryStore` and `SQLiteStore` need no extra. `RedisStore`, `PostgresStore` and `DynamoDBStore` need
the extra of their name, and are imported at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oncegate import MissingExtra
from oncegate_stores._memory import MemoryStore
from oncegate_stores._sqlite import SQLiteStore
from oncegate_stores._urls import store_from_url

if TYPE_CHECKING:
    from oncegate_stores._dynamodb import DynamoDBStore
    from oncegate_stores._postgres import PostgresStore
    from oncegate_stores._redis import RedisStore

__all__ = [
    "DynamoDBStore",
    "MemoryStore",
    "PostgresStore",
    "RedisStore",
    "SQLiteStore",
    "store_from_url",
]

_EXTRAS = {"DynamoDBStore": "dynamodb", "PostgresStore": "postgres", "RedisStore": "redis"}


def __getattr__(name: str) -> Any:
    """Import a store that needs an extra.

    Raises:
        MissingExtra: a package that the store needs is not installed.
    """
    extra = _EXTRAS.get(name)
    if extra is None:
        raise AttributeError(name)
    try:
        return getattr(import_module(f"oncegate_stores._{extra}"), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(extra) from error
