"""`installed`: what other packages fill the ports with, found by their entry points.

Adapters do not import each other. One that needs another, as the command line needs a transport, asks
for it by name here, and a third party's is found in the same way.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from oncegate.errors import Misconfigured, MissingExtra


def installed(group: str, name: str, extra: str) -> Any:
    """Load what a package has put up under a name.

    Args:
        group: such as ``"stores"``, for the entry points ``oncegate.stores``.
        name: such as ``"redis"``.
        extra: of oncegate, that brings what it needs.

    Raises:
        MissingExtra: it is there, and what it needs is not installed.
        Misconfigured: nothing has that name.
    """
    for entry in entry_points(group=f"oncegate.{group}", name=name):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            raise MissingExtra(extra) from error
    raise Misconfigured(f"nothing is installed that provides {name!r} for oncegate.{group}")
