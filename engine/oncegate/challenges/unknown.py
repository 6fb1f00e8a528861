"""A challenge that this release does not know."""

from __future__ import annotations

from typing import Literal

from oncegate.challenges._base import ChallengeBase


class UnknownChallenge(ChallengeBase):
    """A challenge that this release does not know. It ends the flow; the message names it."""

    kind: Literal["UNKNOWN"] = "UNKNOWN"
    name: str
