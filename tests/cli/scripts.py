"""Standard input of a script, and the command in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple
from unittest import mock

from keyring.backend import KeyringBackend

from oncegate_cli.main import run
from oncegate_sandbox import Sandbox


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


class Done(NamedTuple):
    """What a command left.

    Attributes:
        code: exit code.
        out: its standard output.
        err: its standard error.
    """

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def command(*arguments: str, lines: tuple[str | Callable[[], str], ...] = ()) -> Done:
    """Run a command line in this process: to start another one takes longer than most commands."""
    with (
        mock.patch.object(sys, "stdin", Lines(*lines)),
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        code = run([*arguments])
    return Done(code, out.getvalue(), err.getvalue())


def options(sandbox: Sandbox) -> list[str]:
    """Return the options that name a sandbox's app client."""
    return [
        "--pool-id", sandbox.pool_id,
        "--client-id", sandbox.client_id,
        "--endpoint-url", sandbox.endpoint,
    ]  # fmt: skip


class InMemory(KeyringBackend):
    """A keyring of the test's own."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stored: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.stored.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.stored[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.stored[service, username]
