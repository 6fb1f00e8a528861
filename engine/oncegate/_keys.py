"""The strength of the application's key.

A guess of a key can be tested offline, at any speed, so at least 128 bits are required (OWASP ASVS 5.0,
11.2.3). How a text was chosen cannot be measured. The estimate counts what continues or repeats what
precedes it as nothing, and text that looks like words is refused: estimators for passwords, such as
zxcvbn, need a dictionary for that and end far below 128 bits.
"""

from __future__ import annotations

import math
import re
import secrets
import unicodedata
from itertools import pairwise

from oncegate.errors import Misconfigured

_NEEDED_BITS = 128
_KEY_BYTES = 32
_FEWEST_DIFFERENT = 8
# Random text repeats six characters once in 10,000 keys of 16 bytes; English text, far more often.
_REPETITION = 6
_STEPS = 4
_SHARE_OF_WORDS = 0.6
_SHARE_OF_VOWELS = 0.28  # random letters have 0.19, English text 0.38
_SHARE_OF_SEPARATE_WORDS = 0.7

_DJANGO_PLACEHOLDER = "django-insecure-"
_HEX = re.compile(r"[0-9A-Fa-f]+")
_WORD = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z][a-z]{3,}|[A-Z]{4,}")
_SEPARATE_WORD = re.compile(r"(?<![^\W_])[^\W\d_]{2,}(?![^\W_])")
_DIGIT_AS_LETTER = re.compile(
    r"(?<=[a-z]{2})[013457@$](?=[a-z]{2})|(?<=\b[a-z])[013457@$](?=[a-z]{2})"
)
_CLASSES = ((re.compile(r"[0-9]"), 10), (re.compile(r"[a-z]"), 26), (re.compile(r"[A-Z]"), 26))
_OTHERS = 32
_ROWS = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"),
    *("1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik", "azertyuiop", "qsdfghjklm", "qwertzuiop", "yxcvbnm"),
)
_NEIGHBOURS = frozenset(pair for row in _ROWS for a, b in pairwise(row) for pair in (a + b, b + a))


def new_key() -> str:
    """Return a new key: 32 random bytes in URL-safe base64, 43 characters."""
    while True:
        key = secrets.token_urlsafe(_KEY_BYTES)
        if _reason_against(key) is None:  # about one in 1,000 looks like words
            return key


def check_key(key: str) -> None:
    """Check that the application's key cannot be guessed.

    Args:
        key: 32 random bytes as `oncegate key` prints them, or other text with at least 128 bits by
            estimate, such as 16 or more random bytes in hexadecimal.

    Raises:
        Misconfigured: it is too short, repeats itself, or is built from words. The message does not
            quote it.
    """
    reason = _reason_against(key)
    if reason:
        raise Misconfigured(
            f"the application's key is too weak: {reason}; make one with `oncegate key`, and pass it "
            "from a secret manager or the environment"
        )


def _reason_against(key: str) -> str | None:
    if key.lower().startswith(_DJANGO_PLACEHOLDER):
        return "it is the placeholder that django-admin startproject writes"
    if len(set(key)) < _FEWEST_DIFFERENT:
        return f"it has fewer than {_FEWEST_DIFFERENT} different characters"
    if not _HEX.fullmatch(key) and _is_a_phrase(key):
        return "it is built from words"
    if _estimated_bits(key) < _NEEDED_BITS:
        return f"it has less than {_NEEDED_BITS} bits by estimate"
    return None


def _is_a_phrase(key: str) -> bool:
    spelled = _DIGIT_AS_LETTER.sub("o", key)
    of_text = sum(map(str.isalnum, spelled)) or 1
    letters = [char for char in unicodedata.normalize("NFKD", spelled.lower()) if char.isalpha()]
    vowels = sum(char in "aeiou" for char in letters)
    if vowels < len(letters) * _SHARE_OF_VOWELS:
        # Letters of other alphabets are words too: random keys have none.
        return sum(not char.isascii() for char in key) > len(key) / 2
    in_words = sum(map(len, _WORD.findall(spelled)))
    separate = [word for word in _SEPARATE_WORD.findall(spelled) if len(word) > 1]
    return (
        in_words > of_text * _SHARE_OF_WORDS
        or sum(map(len, separate)) > of_text * _SHARE_OF_SEPARATE_WORDS
    )


def _estimated_bits(key: str) -> float:
    """Return the bits of the characters that do not follow from those before them."""
    is_hex = bool(_HEX.fullmatch(key))
    each = 4.0 if is_hex else _bits_of_a_character(key)
    return (len(key) - len(_predictable(key.lower(), with_keyboard=not is_hex))) * each


def _bits_of_a_character(key: str) -> float:
    known = [(found, size) for form, size in _CLASSES if (found := form.findall(key))]
    others = len(key) - sum(len(found) for found, _ in known)
    # The two signs of URL-safe base64 do not make it a text with all signs.
    signs = 0 if not others else 2 if not re.search(r"[^0-9A-Za-z_-]", key) else _OTHERS
    return math.log2(sum(size for _, size in known) + signs)


def _predictable(text: str, *, with_keyboard: bool) -> set[int]:
    """Return the positions that repeat or continue what precedes them."""
    found: set[int] = set()
    for start in range(1, len(text) - _REPETITION + 1):
        end = start + _REPETITION
        if text[start:end] in text[: end - 1]:
            found.update(range(start, end))
    steps = 0
    last = None
    for index in range(1, len(text)):
        step = ord(text[index]) - ord(text[index - 1])
        if with_keyboard and text[index - 1 : index + 1] in _NEIGHBOURS:
            step = 1
        steps = steps + 1 if step == last and abs(step) <= 1 else int(abs(step) <= 1)
        last = step
        if steps >= _STEPS:
            found.update(range(index - steps + 1, index + 1))
    return found
