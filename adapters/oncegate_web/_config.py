"""What the settings of a sign-in and the arguments of `WebSignIn` have in common."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def split(text: str) -> list[str]:
    """Return the items of a list that is text with commas, as in a variable of the environment."""
    return [part.strip() for part in text.split(",") if part.strip()]


def meant(given: str, known: Iterable[str]) -> str:
    """Return a hint at the name that is almost the given one; empty if there is none."""
    return "".join(f" (did you mean {one}?)" for one in get_close_matches(given, known, n=1))
