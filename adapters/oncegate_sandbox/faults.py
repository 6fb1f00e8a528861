"""Faults: the ways in which a call can go wrong, on order."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Fault(BaseModel):
    """One order, as ``POST /_sandbox/faults`` takes it.

    Attributes:
        operation: such as ``RespondToAuthChallenge``; ``*`` for any.
        kind: ``drop_response``: carried out, then the connection is closed without a byte.
            ``http_500``: carried out, then InternalErrorException. ``delay``: carried out, then
            answered after ``seconds``. ``throttle``: not carried out, TooManyRequestsException.
            ``refuse``: not carried out, the connection is closed without a byte.
        times: how many calls it is for.
        seconds: of a delay.
    """

    model_config = ConfigDict(extra="forbid")

    operation: str = Field(default="*", min_length=1)
    kind: Literal["drop_response", "delay", "http_500", "throttle", "refuse"]
    times: int = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=600)


class Faults:
    """The orders that are still to be carried out, oldest first."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._orders.append(fault)

    def take(self, operation: str) -> Fault | None:
        """The fault that this call is to have, counted down."""
        for index, fault in enumerate(self._orders):
            if fault.operation in {"*", operation}:
                if fault.times > 1:
                    self._orders[index] = fault.model_copy(update={"times": fault.times - 1})
                else:
                    del self._orders[index]
                return fault
        return None

    def pending(self) -> list[Fault]:
        return list(self._orders)

    def clear(self) -> None:
        self._orders.clear()
