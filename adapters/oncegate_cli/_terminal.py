"""`Terminal`: shows steps and prompts for their fields. Knows neither Cognito nor any event by name."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import segno
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from oncegate import Action, Event, Factor, InvalidInput, Step
from oncegate.adapters import TEXTS, Field, InvalidEvent, parse_event


class NoMoreInput(Exception):
    """Standard input ended before the sign-in did."""


class _Word(Exception):
    """The user typed the word of another action.

    Attributes:
        event: type of the action's event.
    """

    def __init__(self, action: Action) -> None:
        super().__init__(action.event)
        self.action = action


class Terminal:
    """Prompts the user, or reads lines if standard input is not a terminal.

    Everything is shown on standard error, so that standard output has nothing but results.

    A step's main action is what the terminal prompts for. The other actions are typed words, such as
    "new", which count only where digits are expected: a password can be any word. Where a username is
    expected, only words with a slash count. If the main action needs no typing, an empty line sends it.

    Args:
        answers: values known in advance, by field name. Each is used once, so a refused value is
            prompted for.
        aside: returns what to show beside each step.

    Attributes:
        is_interactive: whether standard input is a terminal.
    """

    def __init__(
        self,
        answers: Mapping[str, str] | None = None,
        aside: Callable[[], RenderableType] | None = None,
    ) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._answers = dict(answers or {})
        self._aside = aside
        self.is_interactive = sys.stdin.isatty()
        if isinstance(sys.stdin, io.TextIOWrapper):
            # Bytes that are no UTF-8 are refused by the engine, not with a traceback.
            sys.stdin.reconfigure(errors="surrogateescape")

    def show(self, step: Step) -> None:
        """Show a step."""
        panel = Panel(_body(step), title=step.title, title_align="left")
        if not self._aside:
            self._console.print(panel)
            return
        beside = Table.grid(expand=True, padding=(0, 1))
        beside.add_column(ratio=3)
        beside.add_column(ratio=2)
        beside.add_row(panel, self._aside())
        self._console.print(beside)

    def ask(self, step: Step) -> Event:
        """Prompt for the fields of a step's main action until they make an event.

        Args:
            step: a step with actions.

        Raises:
            NoMoreInput: standard input has ended.
        """
        action, words = step.actions[0], words_of(step)
        while True:
            values: dict[str, object] = {}
            try:
                if not action.fields and action.is_main:
                    self._confirm(action, words)
                self._read(values, action.fields, words)
                return parse_event({"type": action.event, **values})
            except _Word as typed:
                action, words = typed.action, {}
            except (InvalidInput, UnicodeDecodeError) as error:
                self._console.print(Text(TEXTS["notice.invalid_input"], style="red"))
                # Only what is wrong is asked for again: the next line is not for another field.
                wrong = error.fields if isinstance(error, InvalidEvent) else {}
                valid = values.keys() - wrong.keys() if wrong else ()
                self._answers |= {name: str(values[name]) for name in valid if name != "attributes"}

    def _confirm(self, action: Action, words: dict[str, Action]) -> None:
        """Wait for an empty line, or for the word of another action."""
        line = self._line(action.label, default="").strip()
        if line in words:
            raise _Word(words[line])
        if line:
            raise InvalidInput("neither an empty line nor a word of an action")

    def _read(
        self, values: dict[str, object], fields: tuple[Field, ...], words: dict[str, Action]
    ) -> None:
        """Add the values of fields, which are known in advance or prompted for."""
        for field in fields:
            value = self._answers.pop(field.name, None) or self._value(field)
            if value.strip() in words and _takes_word(field, value.strip()):
                raise _Word(words[value.strip()])
            group, _, name = field.name.partition(".")
            if name:
                grouped = values.setdefault(group, {})
                assert isinstance(grouped, dict)
                grouped[name] = value
            else:
                values[field.name] = value

    def _value(self, field: Field) -> str:
        if field.type == "passkey":
            self._console.print(Text(TEXTS["terminal.no_passkeys"]))
            raise NoMoreInput
        choices = [choice.value for choice in field.choices]
        default = field.value or (choices[0] if choices else None)
        return self._line(field.label, choices=choices, default=default, is_secret=field.secret)

    def _line(
        self,
        label: str,
        *,
        choices: list[str] | None = None,
        default: str | None = None,
        is_secret: bool = False,
    ) -> str:
        """Prompt for one line, or read it; an empty one is the default, if there is one."""
        if not self.is_interactive:
            line = sys.stdin.readline()
            if not line:
                raise self._input_ended()
            return line.rstrip("\r\n")
        try:
            return Prompt.ask(
                Text(label),
                console=self._console,
                password=is_secret,
                choices=choices or None,
                default=... if default is None else default,  # type: ignore[arg-type]
                show_default=bool(default),
            )
        except EOFError:
            raise self._input_ended() from None

    def _input_ended(self) -> NoMoreInput:
        self._console.print(Text(TEXTS["terminal.input_ended"], style="red"))
        return NoMoreInput()


def words_of(step: Step) -> dict[str, Action]:
    """Return the actions that the user can choose by typing a word, by that word.

    They are all but the main one that have a word in `oncegate.messages.TEXTS`, if the main action has
    an input in which that word cannot be mistaken for a value, or needs no typing.
    """
    main, *others = step.actions or (None,)
    if main is None:
        return {}
    words = {TEXTS.get(f"terminal.word.{action.event}", ""): action for action in others}
    return {
        word: action
        for word, action in words.items()
        if word and (not main.fields or any(_takes_word(field, word) for field in main.fields))
    }


def _takes_word(field: Field, word: str) -> bool:
    is_name = field.autocomplete == "username"
    return word.startswith("/") if is_name else field.inputmode == "numeric"


def _body(step: Step) -> RenderableType:
    lines: list[RenderableType] = []
    for message in filter(None, (step.message, step.reason)):
        lines.append(Text(message.text, style="yellow"))
        lines.extend([Text(message.detail)] if message.detail else ())
    if step.delivery:
        sent = TEXTS.get(f"hint.sent_{step.delivery.medium.lower()}", TEXTS["hint.sent"])
        lines.append(Text(sent.format(destination=step.delivery.destination)))
    elif step.challenge == Factor.TOTP:
        lines.append(Text(TEXTS["hint.totp_code"]))
    if step.totp:
        lines.append(Text(TEXTS["hint.totp_scan"]))
        lines.append(Text(_qr_code(step.totp.uri)))
        lines.append(Text(f"{TEXTS['hint.totp_secret']}: {step.totp.secret}"))
        lines.append(Text(TEXTS["hint.totp_enter"]))
    for name, value in (step.parameters or {}).items():
        lines.append(Text(f"{name}: {value}"))
    lines.extend(map(Text, _offers(step)))
    for field in step.fields:
        lines.extend(
            Text(_with_hint(f"{one.value}: {one.label}", one.hint)) for one in field.choices
        )
        lines.extend(Text(f"- {rule.label}") for rule in field.rules)
        lines.extend([Text(f"{field.label}: {field.hint}")] if field.hint else ())
    if step.expires_at and step.attempts_left is not None:
        left = f"{_attempts(step.attempts_left)} {_time_left(step.expires_at)}"
        lines.append(Text(left.strip(), style="dim"))
    if step.tokens:
        valid = TEXTS["terminal.token_valid"].format(seconds=step.tokens.expires_in)
        lines.append(Text(valid))
    return Group(*lines) if lines else Text("")


def _offers(step: Step) -> Iterator[str]:
    """Yield what the user can do instead of typing values."""
    if step.actions and not step.fields:
        yield TEXTS["terminal.press_enter"].format(label=step.actions[0].label)
    for word, action in words_of(step).items():
        yield _offer(word, action)


def _offer(word: str, action: Action) -> str:
    seconds = _seconds_until(action.available_at) if action.available_at else 0
    code = "terminal.type_for_later" if seconds else "terminal.type_for"
    time = f"{seconds // 60}:{seconds % 60:02d}"
    offer = TEXTS[code].format(word=word, label=action.label, time=time)
    return _with_hint(offer, action.hint)


def _with_hint(text: str, hint: str) -> str:
    return f"{text} ({hint})" if hint else text


def _attempts(count: int) -> str:
    return TEXTS["hint.attempts.one" if count == 1 else "hint.attempts"].format(count=count)


def _time_left(ends: datetime) -> str:
    """Return how long an answer is taken, in whole minutes; nothing for an hour or more."""
    minutes = _seconds_until(ends) // 60
    if minutes >= 60:
        return ""
    form = {0: ".last", 1: ".one"}.get(minutes, "")
    return TEXTS[f"hint.time_left{form}"].format(count=minutes)


def _seconds_until(moment: datetime) -> int:
    return max(0, int((moment - datetime.now(UTC)).total_seconds()))


def _qr_code(uri: str) -> str:
    drawn = io.StringIO()
    segno.make(uri, error="l").terminal(drawn, compact=True)
    return drawn.getvalue()
