"""``oncegate check``: prints what the checks of a set-up have found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.text import Text

from oncegate import Misconfigured, OncegateError
from oncegate.adapters import Finding
from oncegate_cli._options import printable

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


@runtime_checkable
class Checked(Protocol):
    """An application's sign-in; `oncegate_web.WebSignIn` is one."""

    def check_set_up(self) -> list[Finding]:
        """Return what can be seen of its set-up. It raises nothing."""
        ...


def sign_in_of(path: str) -> Checked:
    """Import an application's sign-in.

    Args:
        path: ``MODULE:NAME``; the module is looked for in the current folder first.

    Raises:
        Misconfigured: there is no such module or name, importing it raises, or it is no sign-in.
    """
    name, colon, attributes = path.partition(":")
    if not (name and colon and attributes):
        raise Misconfigured(f"--app has to be MODULE:NAME, such as shop.auth:web, and is {path}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    problem = ""
    try:
        found = import_module(name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except OncegateError:
        raise  # its message says what to do
    except AttributeError:
        problem = f"{name} has no {attributes}"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the application's own code
        problem = f"importing {name} raises {type(error).__name__}: try python -c 'import {name}'"
    if problem:
        raise Misconfigured(f"--app: {problem}")
    if isinstance(found, type) or not isinstance(found, Checked):
        raise Misconfigured(
            f"--app: {path} is no WebSignIn: name one, such as signin:web, or the web of an extension"
        )
    return found


def report(findings: Iterable[Finding], *, as_json: bool) -> bool:
    """Print one line for each finding; return whether no check failed.

    Args:
        findings: the findings.
        as_json: whether to print JSON.
    """
    found = list(findings)
    if as_json:
        print(json.dumps([finding._asdict() for finding in found]))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for finding in found:
            console.print(_line(finding))
    return all(finding.status != "failed" for finding in found)


def _line(finding: Finding) -> Text:
    cure = f" → {finding.cure}" if finding.cure else ""
    return Text.assemble(
        (f"{finding.status:<8}", _STYLES[finding.status]),
        # Statements to run have lines. Each is indented, so that none can look like another finding.
        "\n        ".join(map(printable, f"{finding.check}: {finding.text}{cure}".split("\n"))),
    )
