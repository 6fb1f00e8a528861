"""``oncegate signin``: from the first prompt to an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from oncegate import FlowState, RequestContext, SignIn, Step, __version__
from oncegate_cli._options import Exit
from oncegate_cli._terminal import NoMoreInput, Terminal

_MAX_PASSWORDS = 3


def sign_in_at(
    terminal: Terminal, sign_in: SignIn, client_metadata: Mapping[str, str] | None = None
) -> tuple[Exit, Step]:
    """Lead one user through one flow.

    Args:
        terminal: shows the steps and prompts.
        sign_in: the driver.
        client_metadata: ClientMetadata of each request.

    Returns:
        The exit code and the last step.
    """
    context = RequestContext(
        user_agent=f"oncegate/{__version__}",
        language=_language(),
        client_metadata=client_metadata or {},
    )
    step = sign_in.start()
    passwords = 0
    while step.actions:
        if step.message and step.message.code in {"unreachable", "throttled"}:
            return Exit.UNREACHABLE, step
        unknown = step.message is not None and step.message.code.endswith("outcome_unknown")
        if unknown and not terminal.is_interactive:
            return Exit.UNREACHABLE, step
        if step.state is FlowState.IDLE:
            if passwords == _MAX_PASSWORDS:
                return Exit.REFUSED, step
            passwords += 1
        if step.message and step.message.code == "password_for_new_code":
            passwords -= 1
        terminal.show(step)
        try:
            event = terminal.ask(step)
        except NoMoreInput:
            return Exit.REFUSED, step
        step = sign_in.send(step, event, context=context)
    return (Exit.SIGNED_IN if step.state is FlowState.AUTHENTICATED else Exit.REFUSED), step


def as_json_text(step: Step) -> str:
    """Return the last step as JSON. It includes the tokens, which the caller asked for."""
    tokens = step.tokens.model_dump() if step.tokens else None
    shown = {"state", "message"}
    return json.dumps({**step.model_dump(mode="json", include=shown), "tokens": tokens})


def report(terminal: Terminal, step: Step, *, as_json: bool) -> None:
    """Report the last step: as JSON on standard output, or as a panel on the terminal."""
    if as_json:
        print(as_json_text(step), file=sys.stdout, flush=True)
    else:
        terminal.show(step)


def _language() -> str:
    """The BCP 47 tag of the locale in the environment, such as ``de-AT``; empty if there is none."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((value for name in names if (value := os.environ.get(name))), "")
    language = locale.partition(".")[0].partition("@")[0].replace("_", "-")
    return "" if language in {"C", "POSIX"} else language
