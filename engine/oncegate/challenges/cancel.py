"""Giving up: the one event that answers no challenge."""

from __future__ import annotations

from typing import ClassVar, Literal

from oncegate.challenges._base import EventBase


class Cancel(EventBase):
    """The user gives up. The flow ends; a new one can be started."""

    machine_event: ClassVar[str] = "cancel"
    ends_flow: ClassVar[bool] = True
    type: Literal["cancel"] = "cancel"
