"""``oncegate demo``: a local Cognito, a sign-in and the user's phone in one terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from oncegate import Event, PasswordPolicy, SignIn, Step, SubmitCode, SubmitPassword
from oncegate.testing import LocalCognito
from oncegate_cli._adapters import local_transport, memory_store

if TYPE_CHECKING:
    from oncegate_sandbox import Sandbox

USERNAME, PASSWORD = "ana", "Correct-horse-1"
"""A user of every sandbox without a seed file."""

HINT = f"Sign in as {USERNAME} with {PASSWORD}; the code arrives on the phone."


def sign_in_to(cognito: Sandbox) -> SignIn:
    """Make a driver for a local Cognito."""
    return SignIn(
        transport=local_transport(cognito),
        store=memory_store(),
        retain_password=True,  # so that a new account comes out signed in
        password_policy=PasswordPolicy(),
    )


def phone(cognito: LocalCognito) -> RenderableType:
    """Draw the user's phone with every message that it received."""
    lines = Text()
    for message in cognito.messages():
        lines.append(f"{message.sent_at:%H:%M:%S} ", style="dim")
        lines.append(f"{message.medium} to {message.destination}\n", style="dim")
        lines.append(f"Your code is {message.code}\n", style="bold green")
    return Panel(lines or Text("no messages", style="dim"), title="phone")


class Scene(NamedTuple):
    """The result of one scene.

    Attributes:
        scene: what happens in it.
        calls: number of requests that reached Cognito.
        texts: number of messages that reached the phone; each scene is one challenge.
        final_state: state of the flow at the end.
    """

    scene: str
    calls: int
    texts: int
    final_state: str


def play(cognito: Sandbox) -> list[Scene]:
    """Play three scenes: a plain sign-in, a double click, and a lost response."""
    return [
        _scene(cognito, "a plain sign-in", _plain),
        _scene(cognito, "submit clicked twice at once, on both pages", _twice),
        _scene(cognito, "the response is lost after the message was sent", _lost),
    ]


def _scene(cognito: Sandbox, name: str, act: Callable[[Sandbox, SignIn], Step]) -> Scene:
    calls, texts = sum(cognito.calls().values()), len(cognito.messages())
    step = act(cognito, sign_in_to(cognito))
    return Scene(
        scene=name,
        calls=sum(cognito.calls().values()) - calls,
        texts=len(cognito.messages()) - texts,
        final_state=step.state.value,
    )


def _password() -> SubmitPassword:
    return SubmitPassword(username=USERNAME, password=PASSWORD)


def _code(cognito: LocalCognito) -> SubmitCode:
    return SubmitCode(code=cognito.messages()[-1].code)


def _plain(cognito: LocalCognito, sign_in: SignIn) -> Step:
    step = sign_in.start()
    step = sign_in.send(step, _password())
    return sign_in.send(step, _code(cognito))


def _twice(cognito: LocalCognito, sign_in: SignIn) -> Step:
    step = _clicked_twice(sign_in, sign_in.start(), _password())
    return _clicked_twice(sign_in, step, _code(cognito))


def _clicked_twice(sign_in: SignIn, step: Step, event: Event) -> Step:
    together = threading.Barrier(2)

    def click() -> Step:
        together.wait()
        return sign_in.send(step, event)

    with ThreadPoolExecutor(2) as clicks:
        first, second = clicks.submit(click), clicks.submit(click)
    assert first.result().state == second.result().state
    return first.result()


def _lost(cognito: LocalCognito, sign_in: SignIn) -> Step:
    cognito.lose_next_response("RespondToAuthChallenge")
    step = sign_in.start()
    return sign_in.send(step, _password())


def table(scenes: list[Scene]) -> Table:
    """Return the scenes as a table to print."""
    drawn = Table(title="A code is only ever sent once per challenge")
    for heading in ("scene", "calls made", "texts sent", "final state"):
        drawn.add_column(
            heading, justify="left" if heading in {"scene", "final state"} else "right"
        )
    for scene in scenes:
        drawn.add_row(*(str(value) for value in scene))
    return drawn
