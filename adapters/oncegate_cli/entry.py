"""Entry point of the ``oncegate`` command: names a missing extra before it imports anything else."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or exit with the name of the extra that it needs."""
    try:
        from oncegate_cli.main import run
    except ModuleNotFoundError as error:
        from oncegate import MissingExtra

        sys.exit(f"oncegate: {error.name} is {MissingExtra('cli')}")
    sys.exit(run())
