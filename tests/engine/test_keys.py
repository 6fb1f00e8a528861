"""The application's key: random ones are accepted, and what can be guessed is not."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from oncegate import Misconfigured, SealingKeys
from oncegate._keys import check_key
from oncegate.adapters import new_key

WEAK = (
    *("for the demo only", "sixteen characters or more, from your settings", "short"),
    *("a key that is long enough", "x" * 64, "ab" * 32, "0" * 43, "deadbeef" * 8),
    *("abcdefghijklmnopqrstuvwxyz012345", "0123456789" * 5, "qwertyuiopasdfghjklzxcvbnm123456"),
    *("correcthorsebatterystaple correct horse", "CorrectHorseBatteryStapleCorrect"),
    *("password" * 6, "P4ssw0rdP4ssw0rd!!P4ssw0rd", "secret" * 8),
    *("django-insecure-a8d7f6g5h4j3k2l1qwe98zxc76", "change-me-please-change-me-please-now"),
    *("thisisaverylongsecretkeyforproduction2026", "my-super-secret-key-1234567890-abcdef"),
    *("Schlüssel für den Laden, streng geheim", "ключ для магазина очень секретный"),
)
ALPHANUMERIC = string.ascii_letters + string.digits
RANDOM: dict[str, Callable[[], str]] = {
    "32 bytes, base64url": lambda: secrets.token_urlsafe(32),
    "32 bytes, base64": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "32 bytes, hexadecimal": lambda: secrets.token_hex(32),
    "16 bytes, hexadecimal": lambda: secrets.token_hex(16),
    "32 alphanumeric characters": lambda: "".join(secrets.choice(ALPHANUMERIC) for _ in range(32)),
}


@pytest.mark.parametrize("key", WEAK)
def test_key_that_can_be_guessed_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(Misconfigured, match="oncegate key") as error:
        SealingKeys(key)
    assert key not in str(error.value)


@pytest.mark.parametrize("kind", RANDOM)
def test_random_key_is_accepted(kind: str) -> None:
    refused = 0
    for _ in range(300):
        try:
            check_key(RANDOM[kind]())
        except Misconfigured:
            refused += 1
    assert refused <= 6, "a few look like words"


def test_new_keys_are_accepted_and_differ() -> None:
    keys = {new_key() for _ in range(300)}
    assert len(keys) == 300
    for key in keys:
        check_key(key)
        assert len(key) == 43


def test_no_literal_key_of_a_guide_is_accepted() -> None:
    """Examples read the key from the environment, so that none is copied into production."""
    root = Path(__file__).parents[2]
    for guide in [root / "README.md", *root.glob("*/*/README.md"), root / "engine/README.md"]:
        assert 'keys="' not in guide.read_text("utf-8"), guide
