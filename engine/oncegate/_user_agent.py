"""The family of a browser and its platform, from a User-Agent header.

Families only: a version helps to recognise a person, and a parser of all user agents is a megabyte of
patterns. A browser can claim to be any other.
"""

from __future__ import annotations

from typing import Final

# In this order: browsers name those before them, too.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", "Python"),
)

# In this order: Android names Linux, and iPhones name Mac OS X.
_PLATFORMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def browser_of(user_agent: str) -> str:
    """Return the family, such as ``"Firefox"``; ``"other"`` if unknown, empty without a header."""
    return _first(_BROWSERS, user_agent)


def platform_of(user_agent: str) -> str:
    """Return the platform, such as ``"Android"``; ``"other"`` if unknown, empty without a header."""
    return _first(_PLATFORMS, user_agent)


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    if not user_agent:
        return ""
    return next((name for token, name in names if token in user_agent), "other")
