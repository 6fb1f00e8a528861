"""``oncegate signin``: from the first prompt to an exit code."""

from __future__ import annotations

import json
import sys

from oncegate import FlowState, SignIn, Step
from oncegate_cli.options import Exit
from oncegate_cli.terminal import NoMoreInput, Terminal

_PASSWORD_TRIES = 3


def sign_in_at(
    terminal: Terminal, sign_in: SignIn, *, remember_device: bool | None = None
) -> tuple[Exit, Step]:
    """Lead one person through one flow.

    Args:
        terminal: where to draw and ask.
        sign_in: the driver.
        remember_device: the answer, given ahead, to the offer to remember this device.

    Returns:
        The exit code and the last step.
    """
    step = sign_in.start()
    passwords = 0
    while step.events:
        if step.message and step.message.code in {"unreachable", "throttled"}:
            return Exit.UNREACHABLE, step
        unknown = step.message is not None and step.message.code == "outcome_unknown"
        if unknown and not terminal.is_interactive:
            return Exit.UNREACHABLE, step
        if step.state is FlowState.IDLE:
            if passwords == _PASSWORD_TRIES:
                return Exit.REFUSED, step
            passwords += 1
        if step.message and step.message.code == "password_for_new_code":
            passwords -= 1
        terminal.show(step)
        more = {"remember_device": remember_device} if step.events[0] == "submit_code" else {}
        try:
            event = terminal.ask(step, **more)
        except NoMoreInput:
            return Exit.REFUSED, step
        step = sign_in.send(step, event)
    return (Exit.SIGNED_IN if step.state is FlowState.AUTHENTICATED else Exit.REFUSED), step


def as_json(step: Step) -> str:
    """The last step for a program, the tokens with it: it asked for them."""
    tokens = step.tokens.model_dump() if step.tokens else None
    shown = {"state", "message"}
    return json.dumps({**step.model_dump(mode="json", include=shown), "tokens": tokens})


def report(terminal: Terminal, step: Step, *, as_program: bool) -> None:
    """Say how it ended: JSON on standard output, or a last panel for a person."""
    if as_program:
        print(as_json(step), file=sys.stdout, flush=True)
    else:
        terminal.show(step)
