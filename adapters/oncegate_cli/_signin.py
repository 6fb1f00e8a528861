"""``oncegate signin``, ``signup`` and ``forgot-password``: from the first prompt to an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from oncegate import Event, FlowState, RequestContext, SignIn, Step, __version__
from oncegate_cli._browser import Browser
from oncegate_cli._options import Exit
from oncegate_cli._terminal import NoMoreInput, Terminal

_MAX_PASSWORDS = 3
_ASKED_AGAIN = frozenset({"password_for_new_code", "password_for_other_factor"})


def sign_in_at(
    terminal: Terminal,
    sign_in: SignIn,
    client_metadata: Mapping[str, str] | None = None,
    *,
    first: str = "",
    browser: Browser | None = None,
) -> tuple[Exit, Step]:
    """Lead one user through one flow.

    Args:
        terminal: shows the steps and prompts.
        sign_in: the driver.
        client_metadata: ClientMetadata of each request.
        first: event of the first step's action to begin with, such as ``"sign_up"``. Default: the main
            one.
        browser: goes to identity providers. Default: none is offered.

    Returns:
        The exit code and the last step.
    """
    context = context_of(client_metadata)
    start = step = sign_in.start()
    passwords = 0
    while step.actions:
        if is_outage(step, terminal):
            return Exit.UNREACHABLE, step
        if step.state is FlowState.IDLE and not _is_asked_again(step):
            if passwords == _MAX_PASSWORDS:
                return Exit.REFUSED, step
            passwords += 1
        asked = first if step.version == start.version else ""
        terminal.show(step, asked)
        try:
            event = _event_at(step, asked, terminal, browser)
        except NoMoreInput:
            return Exit.REFUSED, step
        step = sign_in.send(step, event, context=context) if event else sign_in.get(step.flow_id)
    return (Exit.SIGNED_IN if step.state is FlowState.AUTHENTICATED else Exit.REFUSED), step


def context_of(client_metadata: Mapping[str, str] | None = None) -> RequestContext:
    """Return the context of this command's requests.

    Args:
        client_metadata: ClientMetadata of each request.
    """
    return RequestContext(
        user_agent=f"oncegate/{__version__}",
        language=_language(),
        client_metadata=client_metadata or {},
    )


def is_outage(step: Step, terminal: Terminal) -> bool:
    """Whether trying later may help. A user at a terminal goes on after an unknown outcome."""
    code = step.message.code if step.message else ""
    is_unknown = code.endswith("outcome_unknown") and not terminal.is_interactive
    return is_unknown or code in {"unreachable", "throttled"}


def _is_asked_again(step: Step) -> bool:
    """Whether the password was right before, so that this is no further try."""
    return step.message is not None and step.message.code in _ASKED_AGAIN


def _event_at(step: Step, asked: str, terminal: Terminal, browser: Browser | None) -> Event | None:
    """Return the event from the terminal, or from the browser; None if the step expired before."""
    if browser and step.authorize_url:
        return browser.answer(step)
    event: Event = terminal.ask(step, asked)
    return event


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
