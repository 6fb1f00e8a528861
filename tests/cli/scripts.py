"""Standard input of a script."""

from __future__ import annotations

from collections.abc import Callable


class Lines:
    """Standard input that is no terminal.

    Args:
        lines: the lines. A function is called when its line is read, such as for a code that has
            arrived by then.
    """

    def __init__(self, *lines: str | Callable[[], str]) -> None:
        self._lines = iter(lines)

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        line = next(self._lines, None)
        if line is None:
            return ""
        return f"{line() if callable(line) else line}\n"
