"""Rows that are found by a name: what is written is read, by workers of this and of the last change."""

from __future__ import annotations

import json

import pytest

from oncegate._rows import next_row, open_row
from oncegate.adapters import SealingKeys

KEY, PLACE = "a" * 32, f"{'a' * 32}/1".encode()
KEYS = {
    "sealed": SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"),
    "not sealed": SealingKeys(None),
}


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


VALUES = [
    pytest.param(value, id=name)
    for name, value in {
        "times": [1764325000.1, 0.1 + 0.2, -0.0, 1e300],
        "names": ["ana", "Åsa", "\0", "\U0001f511"],
        "lone surrogate": ["host-\udcff", {"\ud800": 1}],
        "deep": nested(300),
        "large": 10**40,
        "nothing": None,
        "dictionary": {"a": [True, None, "x"], "b": {}},
    }.items()
]


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_is_read(value: object, keys: SealingKeys) -> None:
    row = next_row(KEY, None, value, 1e10, keys)
    assert open_row(KEY, row, keys) == value
    assert open_row(KEY, next_row(KEY, row, value, 1e10, keys), keys) == value


@pytest.mark.parametrize("value", VALUES)
def test_rows_of_the_standard_library_are_read_and_the_other_way_round(value: object) -> None:
    keys = KEYS["sealed"]
    row = next_row(KEY, None, value, 1e10, keys)
    assert json.loads(keys.unseal(row.sealed, PLACE)) == value
    before = row._replace(sealed=keys.seal(json.dumps(value).encode(), PLACE))
    assert open_row(KEY, before, keys) == value


@pytest.mark.parametrize("text", [b"", b"{", b"nul", b'"\xff"', b"[" * 100_000])
def test_row_without_json_is_as_none(text: bytes) -> None:
    keys = KEYS["sealed"]
    row = next_row(KEY, None, 1, 1e10, keys)
    assert open_row(KEY, row._replace(sealed=keys.seal(text, PLACE)), keys) is None
