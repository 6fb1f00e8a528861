"""Faults: failures that tests order for the next calls."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Fault(BaseModel):
    """One order, as ``POST /_sandbox/faults`` accepts it.

    Attributes:
        operation: name of the operation, such as ``RespondToAuthChallenge``. Default: ``*``, any.
        kind: what happens to the call. ``drop_response``: the call is performed, then the connection
            is closed without a response. ``http_500``: it is performed, then answered with
            InternalErrorException. ``delay``: it is performed, then answered after ``seconds``.
            ``throttle``: it is not performed, but answered with TooManyRequestsException.
            ``refuse``: it is not performed, and the connection is closed without a response.
        times: number of calls. Default: 1.
        seconds: duration of a delay, at most 600. Default: 0.
    """

    model_config = ConfigDict(extra="forbid")

    operation: str = Field(default="*", min_length=1)
    kind: Literal["drop_response", "delay", "http_500", "throttle", "refuse"]
    times: int = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=600)


class Faults:
    """The pending orders, oldest first."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Add an order."""
        self._orders.append(fault)

    def take(self, operation: str) -> Fault | None:
        """Return the fault of a call and count it down; None if no order matches."""
        for index, fault in enumerate(self._orders):
            if fault.operation in {"*", operation}:
                if fault.times > 1:
                    self._orders[index] = fault.model_copy(update={"times": fault.times - 1})
                else:
                    del self._orders[index]
                return fault
        return None

    def pending(self) -> list[Fault]:
        """Return the pending orders."""
        return list(self._orders)

    def clear(self) -> None:
        """Delete all orders."""
        self._orders.clear()
