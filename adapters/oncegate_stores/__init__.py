"""Stores: where flows are kept between the steps. Each is one file and fills `oncegate.RecordStore`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oncegate import MissingExtra
from oncegate_stores.memory import MemoryStore
from oncegate_stores.sqlite import SQLiteStore
from oncegate_stores.urls import store_from_url

if TYPE_CHECKING:
    from oncegate_stores.dynamodb import DynamoDBStore
    from oncegate_stores.postgres import PostgresStore
    from oncegate_stores.redis import RedisStore

__all__ = [
    "DynamoDBStore",
    "MemoryStore",
    "PostgresStore",
    "RedisStore",
    "SQLiteStore",
    "store_from_url",
]

_ROOMS = {"DynamoDBStore": "dynamodb", "PostgresStore": "postgres", "RedisStore": "redis"}


def __getattr__(name: str) -> Any:
    """The stores that need an extra are imported when they are asked for."""
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(name)
    try:
        return getattr(import_module(f"oncegate_stores.{room}"), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(room) from error
