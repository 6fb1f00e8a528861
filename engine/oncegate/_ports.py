"""Checks of the objects that an application passes to a driver."""

from __future__ import annotations

from collections.abc import Iterable

from oncegate._settings import check_function, check_port
from oncegate.errors import Misconfigured
from oncegate.ports import Clock, DeviceVault, Listener, RecordStore, SessionKeeper, Transport


def check_ports(
    transport: object,
    store: object,
    *,
    keeper: object = None,
    vault: object = None,
    clock: object = None,
) -> None:
    """Raise `Misconfigured` unless each object has its port's methods. The last three may be None."""
    check_port("transport", transport, Transport, instead="a transport, as CognitoTransport(…) is")
    example = 'a store, as SQLiteStore("flows.db") and store_from_url(…) are'
    check_port("store", store, RecordStore, instead=example)
    optional = (
        ("keeper", keeper, SessionKeeper, "an object with the method create, or None"),
        ("vault", vault, DeviceVault, "a device vault, or None"),
        ("clock", clock, Clock, "an object with the methods now and sleep, or None"),
    )
    for name, value, port, instead in optional:
        if value is not None:
            check_port(name, value, port, instead=instead)


def checked_listeners(listeners: Iterable[Listener] | None) -> tuple[Listener, ...] | None:
    """Return listeners, or None; raise `Misconfigured` if one is no function."""
    if listeners is None:
        return None
    if not isinstance(listeners, Iterable):
        raise Misconfigured("listeners has to be a list of functions, or None for one that logs")
    found = tuple(listeners)
    for listener in found:
        check_function("each of the listeners", listener)
    return found
