"""What the settings of a sign-in and the arguments of `WebSignIn` have in common."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from oncegate import Misconfigured, SealingKeys


def split(text: str) -> list[str]:
    """Return the items of a list that is text with commas, as in a variable of the environment."""
    return [part.strip() for part in text.split(",") if part.strip()]


def split_keys(text: str) -> list[str]:
    """Return the keys of a list with commas.

    Raises:
        Misconfigured: one of several is weak. It may be a part of a key with a comma, and could be
            guessed: each key of the list opens what a browser sends.
    """
    keys = split(text)
    try:
        for key in keys[1:]:
            SealingKeys(key)
    except Misconfigured as error:
        raise Misconfigured(
            f"keys: commas separate keys, and one of these cannot be one: {error}. SealingKeys(key) "
            "takes a key with a comma, and SealingKeys(key, old) an old key that is weak"
        ) from None
    return keys


def meant(given: str, known: Iterable[str]) -> str:
    """Return a hint at the name that is almost the given one; empty if there is none."""
    return "".join(f" (did you mean {one}?)" for one in get_close_matches(given, known, n=1))
