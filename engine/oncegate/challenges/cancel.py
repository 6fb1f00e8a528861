"""Giving up: the one event that answers no challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from oncegate.challenges._base import EventBase
from oncegate.states import AccountState

if TYPE_CHECKING:
    from oncegate.record import Flow


class Cancel(EventBase):
    """The user gives up. The flow ends; a new one can be started."""

    machine_event: ClassVar[str] = "cancel"
    ends_flow: ClassVar[bool] = True
    type: Literal["cancel"] = "cancel"

    @classmethod
    def label_code(cls, flow: Flow) -> str:
        if flow.state is AccountState.OFFERING_FACTOR:
            return "choice.not_now"
        return "action.cancel_setup" if flow.owner else "action.cancel"
