"""Where the ``oncegate`` command begins: it says what is missing before anything else is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say which extra it needs."""
    try:
        from oncegate_cli.main import run
    except ModuleNotFoundError as error:
        from oncegate import MissingExtra

        sys.exit(f"oncegate: {error.name} is {MissingExtra('cli')}")
    sys.exit(run())
