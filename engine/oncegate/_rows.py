"""Rows that are found by a name instead of an ID: budgets, aliases, the lists of a user's sessions.

Each holds one JSON value, sealed under the application's key and bound to its place and version.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from oncegate._seal import SealingKeys
from oncegate.errors import RecordUnreadable
from oncegate.ports import StoredRecord


def open_row(key: str, row: StoredRecord | None, keys: SealingKeys) -> Any:
    """Return the value in a row; None if there is no row, or none that can be read.

    Args:
        key: the row's key in the store (`SealingKeys.row_key`).
        row: what the store returned.
        keys: the application's.
    """
    if row is None:
        return None
    try:
        if keys.can_seal:
            return _read(keys.unseal(row.sealed, f"{key}/{row.version}".encode()))
        return _read(row.sealed)["value"]
    except (RecordUnreadable, ValueError, RecursionError, TypeError, KeyError):
        return None


def next_row(
    key: str,
    row: StoredRecord | None,
    value: object,
    ends: float,
    keys: SealingKeys,
    *,
    durable: bool = False,
) -> StoredRecord:
    """Return the next version of a row, with another value.

    Args:
        key: the row's key in the store.
        row: what the store returned.
        value: text, numbers, True, False, None, and lists of these and dictionaries by text.
        ends: seconds since the epoch after which the store may delete the row.
        keys: the application's. Without one that seals, the row is not sealed.
        durable: see `StoredRecord`.
    """
    version = (row.version if row else 0) + 1
    if keys.can_seal:
        sealed = keys.seal(_written(value), f"{key}/{version}".encode())
    else:
        # A store takes a row with equal bytes for its own. No two saves may have equal ones.
        sealed = _written({"value": value, "save": secrets.token_hex(8)})
    return StoredRecord(version, sealed, ends, durable=durable)


# pydantic's JSON takes a tenth of the time. It refuses lone surrogates, such as in a header, and deep
# nesting; the standard library's does not.


def _written(value: object) -> bytes:
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value).encode()


def _read(text: bytes) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)
