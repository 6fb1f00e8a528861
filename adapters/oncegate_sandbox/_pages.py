"""Pages of a list: a limit, and a token for the next page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from oncegate_sandbox._wire import Json
from oncegate_sandbox.errors import invalid_parameter

_T = TypeVar("_T")
_LARGEST = 60


@dataclass(frozen=True)
class Page(Generic[_T]):
    """One page.

    Attributes:
        items: the items of the page.
        next_token: token of the next page; None on the last one.
    """

    items: list[_T]
    next_token: str | None

    def answer(self, name: str, items: list[Json], token_name: str) -> Json:
        """Return the response: the items, and the token unless this is the last page."""
        return {name: items} | ({token_name: self.next_token} if self.next_token else {})


def page_of(
    items: Sequence[_T], limit: int | None, token: str | None, *, largest: int = _LARGEST
) -> Page[_T]:
    """Return a page of a list.

    Args:
        items: the whole list.
        limit: number of items of a page. None or 0: as many as possible.
        token: token of the page. None: the first page.
        largest: greatest number of items of a page. Default: 60.

    Raises:
        CognitoError: the token is invalid.
    """
    start, size = _position(token), limit or largest
    more = start + size < len(items)
    following = base64.urlsafe_b64encode(str(start + size).encode()).decode() if more else None
    return Page(list(items[start : start + size]), following)


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return max(int(base64.urlsafe_b64decode(token)), 0)
    except (binascii.Error, ValueError):
        raise invalid_parameter("Invalid pagination token") from None
