"""Draws steps on a terminal and asks for what they need. Knows steps and events, not Cognito."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import segno
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from oncegate import Event, InvalidInput, RequestNewCode, Step
from oncegate.adapters import Field, parse_event

_TITLES = {
    "idle": "Sign in",
    "password_verified": "Confirm it is you",
    "choosing_first_factor": "How do you want to sign in?",
    "awaiting_password": "Enter your password",
    "awaiting_mfa": "Enter the code",
    "setting_up_totp": "Set up your authenticator app",
    "setting_up_email": "Set up your email",
    "awaiting_passkey": "Use your passkey",
    "awaiting_answer": "One more question",
    "awaiting_confirmation": "Confirm your sign-up",
    "awaiting_reset": "Reset your password",
    "offering_device": "Remember this device?",
    "awaiting_new_password": "Choose a new password",
    "authenticated": "Signed in",
    "failed": "Not signed in",
}


NEW = "new"
"""Typed in the place of a code, it asks for a new one."""


class NoMoreInput(Exception):
    """Standard input ended before the sign-in did."""


class _NewCode(Exception):
    """A new code was asked for in the place of one."""


class Terminal:
    """Asks a person, or reads lines where standard input is no terminal.

    Everything is drawn on standard error, so that standard output is left to results.

    Args:
        answers: what is known already, by field name; asked for only if it is refused.
        aside: what to draw beside each step.
    """

    def __init__(
        self,
        answers: dict[str, str] | None = None,
        aside: Callable[[], RenderableType] | None = None,
    ) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._answers = dict(answers or {})
        self._aside = aside
        self.is_interactive = sys.stdin.isatty()

    def show(self, step: Step) -> None:
        """Draw a step."""
        panel = Panel(_body(step), title=_TITLES.get(step.state, step.state), title_align="left")
        if not self._aside:
            self._console.print(panel)
            return
        beside = Table.grid(expand=True, padding=(0, 1))
        beside.add_column(ratio=3)
        beside.add_column(ratio=2)
        beside.add_row(panel, self._aside())
        self._console.print(beside)

    def ask(self, step: Step, **more: object) -> Event:
        """Ask for a step's fields until they make an event.

        Args:
            step: one that waits for a person.
            more: fields of the event that are not asked for.

        Raises:
            NoMoreInput: standard input has ended.
        """
        kind = step.events[0]
        while True:
            try:
                return parse_event({"type": kind, **more, **self._values(step)})
            except _NewCode:
                return RequestNewCode()
            except InvalidInput as error:
                self._console.print(Text(f"{error}", style="red"))

    def _values(self, step: Step) -> dict[str, object]:
        values: dict[str, object] = {}
        for field in step.fields:
            value = self._answers.pop(field.name, None) or self._value(field)
            if value == NEW and field.name == "code" and "request_new_code" in step.events:
                raise _NewCode
            group, _, name = field.name.partition(".")
            if name:
                grouped = values.setdefault(group, {})
                assert isinstance(grouped, dict)
                grouped[name] = value
            else:
                values[field.name] = value
        return values

    def _value(self, field: Field) -> str:
        if field.type == "passkey":
            self._console.print(Text("A terminal has no passkeys: sign in with a browser."))
            raise NoMoreInput
        if not self.is_interactive:
            line = sys.stdin.readline()
            if not line:
                raise NoMoreInput
            return line.rstrip("\r\n")
        choices = [choice.value for choice in field.choices]
        try:
            return Prompt.ask(
                Text(field.label),
                console=self._console,
                password=field.secret,
                choices=choices or None,
                default=field.value or (choices[0] if choices else ...),  # type: ignore[arg-type]
            )
        except EOFError:
            raise NoMoreInput from None


def _body(step: Step) -> RenderableType:
    lines: list[RenderableType] = []
    if step.message:
        lines.append(Text(step.message.text, style="yellow"))
        if step.message.detail:
            lines.append(Text(step.message.detail))
    if step.reason:
        lines.append(Text(step.reason.text, style="yellow"))
    if step.delivery:
        lines.append(Text(f"{step.delivery.medium} sent to {step.delivery.destination}"))
    if step.totp:
        lines.append(Text(_qr_code(step.totp.uri)))
        lines.append(Text(f"or enter this by hand: {step.totp.secret}"))
    for name, value in (step.parameters or {}).items():
        lines.append(Text(f"{name}: {value}"))
    if "request_new_code" in step.events:
        lines.append(Text(f'Type "{NEW}" to have a {"new " if step.delivery else ""}code sent.'))
    choices = (choice for field in step.fields for choice in field.choices)
    lines.extend(Text(f"{choice.value}: {choice.label}") for choice in choices)
    if step.expires_at and step.attempts_left is not None:
        seconds = max(0, int((step.expires_at - datetime.now(UTC)).total_seconds()))
        left = f"{seconds // 60}:{seconds % 60:02d} min and {step.attempts_left} attempts left"
        lines.append(Text(left, style="dim"))
    if step.tokens:
        lines.append(Text(f"The access token is good for {step.tokens.expires_in} seconds."))
    return Group(*lines) if lines else Text("")


def _qr_code(uri: str) -> str:
    drawn = io.StringIO()
    segno.make(uri, error="l").terminal(drawn, compact=True)
    return drawn.getvalue()
