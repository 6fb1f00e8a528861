"""Finds what other packages provide for the ports, by their entry points.

An application names a store by URL, for example. Third parties' adapters are found the same way as
ours: an entry point in the group ``oncegate.<kind>``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from oncegate.errors import Misconfigured, MissingExtra


def load_entry_point(group: str, name: str, extra: str) -> Any:
    """Load what a package provides under a name.

    Args:
        group: such as ``"stores"``, for the entry points ``oncegate.stores``.
        name: such as ``"redis"``.
        extra: oncegate's extra that installs its requirements.

    Raises:
        MissingExtra: a package that it needs is not installed.
        Misconfigured: no package provides it.
    """
    for entry in entry_points(group=f"oncegate.{group}", name=name):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            raise MissingExtra(extra) from error
    raise Misconfigured(f"no installed package provides {name!r} for oncegate.{group}")
