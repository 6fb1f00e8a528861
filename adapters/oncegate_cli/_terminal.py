"""`Terminal`: shows steps and prompts for their fields. Knows neither Cognito nor any event by name."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import segno
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from oncegate import Action, Factor, InvalidInput, Step
from oncegate.adapters import TEXTS, Field, InvalidEvent, parse_event

_OPEN_BROWSER: Final = "Open this address in a browser on this computer:"


class NoMoreInput(Exception):
    """Standard input ended too early."""


class _Word(Exception):
    """The user typed the word of another action.

    Attributes:
        action: the action.
    """

    def __init__(self, action: Action) -> None:
        super().__init__(action.event)
        self.action = action


class Terminal:
    """Prompts the user, or reads lines if standard input is not a terminal.

    Everything is shown on standard error, so that standard output has nothing but results.

    A step's main action is what the terminal prompts for, unless the caller names another one. The other
    actions are typed words, such as "new", which count only where digits are expected: a password can be
    any word. Where a username is expected, only words with a slash count. If the main action needs no
    typing, an empty line sends it.

    Args:
        answers: values known in advance, by field name. Each is used once, so a refused value is
            prompted for.
        aside: returns what to show beside each step.
        parse: makes an event of its type and its fields. Default: one of a sign-in.

    Attributes:
        is_interactive: whether standard input is a terminal.
    """

    def __init__(
        self,
        answers: Mapping[str, str] | None = None,
        aside: Callable[[], RenderableType] | None = None,
        parse: Callable[[dict[str, object]], Any] = parse_event,
    ) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._answers = dict(answers or {})
        self._aside = aside
        self._parse = parse
        self.is_interactive = sys.stdin.isatty()
        if isinstance(sys.stdin, io.TextIOWrapper):
            # Bytes that are no UTF-8 are refused by the engine, not with a traceback.
            sys.stdin.reconfigure(errors="surrogateescape")

    def read_answer(self, name: str) -> None:
        """Read a line of standard input, which is no terminal, as the value of a field."""
        self._answers[name] = sys.stdin.readline().rstrip("\r\n")

    def show(self, step: Step, event: str = "") -> None:
        """Show a step.

        Args:
            step: the step.
            event: event of the action that `ask` will prompt for. Default: the main one.
        """
        action = _action_of(step, event)
        title = action.title if action and action.title else step.title
        panel = _panel(_body(step, action, self._words(step, action)), title)
        if self._aside:
            beside = Table.grid(expand=True, padding=(0, 1))
            beside.add_column(ratio=3)
            beside.add_column(ratio=2)
            beside.add_row(panel, self._aside())
            self._console.print(beside)
        else:
            self._console.print(panel)
        if step.authorize_url:
            # In one line and without a frame, to be copied or clicked.
            self._console.print(Text(step.authorize_url), soft_wrap=True)

    def ask(self, step: Step, event: str = "") -> Any:
        """Prompt for the fields of an action until they make an event.

        Args:
            step: a step with actions.
            event: event of the action. Default: the main one.

        Returns:
            The event, as `parse` made it.

        Raises:
            NoMoreInput: standard input has ended.
        """
        action = _action_of(step, event)
        assert action is not None
        words = self._words(step, action)
        while True:
            values: dict[str, str] = {}
            try:
                if not action.fields and action.is_main:
                    self._confirm(action, words)
                self._read(values, action.fields, words)
                return self._parse({"type": action.event, **_grouped(values)})
            except _Word as typed:
                action, words = typed.action, {}
                if action.fields:
                    self._console.print(_panel(_form(action), action.title or action.label))
            except (InvalidInput, UnicodeDecodeError) as error:
                self._console.print(Text(TEXTS["notice.invalid_input"], style="red"))
                # Only what is wrong is asked for again: the next line is not for another field.
                wrong = error.fields if isinstance(error, InvalidEvent) else {}
                valid = values.keys() - wrong.keys() if wrong else ()
                self._answers |= {name: values[name] for name in valid}

    def _words(self, step: Step, action: Action | None) -> dict[str, Action]:
        """The words that can be typed while an action is prompted for, each with its own action."""
        is_main = action is not None and action.is_main
        return words_of(step, known=self._answers.keys()) if is_main else {}

    def _confirm(self, action: Action, words: dict[str, Action]) -> None:
        """Wait for an empty line, or for the word of another action."""
        line = self._line(action.label, default="").strip()
        if line in words:
            raise _Word(words[line])
        if line:
            raise InvalidInput("neither an empty line nor a word of an action")

    def _read(
        self, values: dict[str, str], fields: tuple[Field, ...], words: dict[str, Action]
    ) -> None:
        """Add the values of fields, which are known in advance or prompted for, by name."""
        for field in fields:
            value = self._answers.pop(field.name, None) or self._value(field)
            if value.strip() in words and _takes_word(field, value.strip()):
                raise _Word(words[value.strip()])
            if value or field.required:
                values[field.name] = value

    def _value(self, field: Field) -> str:
        if field.type == "passkey":
            self._console.print(Text(TEXTS["terminal.no_passkeys"]))
            raise NoMoreInput
        choices = [choice.value for choice in field.choices]
        default: str | None = field.value
        if not default and field.required:
            default = choices[0] if choices else None
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
            return line.rstrip("\r\n") or default or ""
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


def words_of(step: Step, known: Collection[str] = ()) -> dict[str, Action]:
    """Return the actions that the user can choose by typing a word, by that word.

    They are all but the main one that have a word in `oncegate.messages.TEXTS`, if the main action has
    an input in which that word cannot be mistaken for a value, or needs no typing.

    Args:
        step: the step.
        known: names of the fields that are not prompted for.
    """
    main, *others = step.actions or (None,)
    if main is None:
        return {}
    words = {TEXTS.get(f"terminal.word.{action.event}", ""): action for action in others}
    prompted = [field for field in main.fields if field.name not in known]
    return {
        word: action
        for word, action in words.items()
        if word and (not main.fields or any(_takes_word(field, word) for field in prompted))
    }


def _takes_word(field: Field, word: str) -> bool:
    is_name = field.autocomplete == "username"
    return word.startswith("/") if is_name else field.inputmode == "numeric"


def _action_of(step: Step, event: str) -> Action | None:
    """The action of an event; by default the main one, if there is any."""
    return next((one for one in step.actions if one.event == event or not event), None)


def _grouped(values: Mapping[str, str]) -> dict[str, object]:
    """The fields of an event: those with a dot in their name, such as user attributes, are a group."""
    event: dict[str, object] = {}
    for name, value in values.items():
        group, _, inner = name.partition(".")
        if inner:
            grouped = event.setdefault(group, {})
            assert isinstance(grouped, dict)
            grouped[inner] = value
        else:
            event[name] = value
    return event


def _panel(lines: Iterable[RenderableType], title: str) -> Panel:
    return Panel(Group(*lines), title=title, title_align="left")


def _body(step: Step, action: Action | None, words: Mapping[str, Action]) -> Iterator[Text]:
    yield from _state_of(step)
    if action and action.is_main and not action.fields and not step.authorize_url:
        yield Text(TEXTS["terminal.press_enter"].format(label=action.label))
    for word, other in words.items():
        yield Text(_offer(word, other))
    if action:
        yield from _form(action)
    if step.expires_at and step.attempts_left is not None:
        left = f"{_attempts(step.attempts_left)} {_time_left(step.expires_at)}"
        yield Text(left.strip(), style="dim")
    if step.tokens:
        yield Text(TEXTS["terminal.token_valid"].format(seconds=step.tokens.expires_in))


def _state_of(step: Step) -> Iterator[Text]:
    """Why the flow is where it is, and what was sent or has to be set up there."""
    for message in filter(None, (step.message, step.reason)):
        yield Text(message.text, style="yellow")
        if message.detail:
            yield Text(message.detail)
    # Where a code may have gone is not told once a message says what to do.
    if step.delivery and (step.delivery.medium or not step.message):
        sent = TEXTS.get(f"hint.sent_{step.delivery.medium.lower()}", TEXTS["hint.sent"])
        yield Text(sent.format(destination=step.delivery.destination))
    elif step.challenge == Factor.TOTP:
        yield Text(TEXTS["hint.totp_code"])
    if step.totp:
        yield Text(TEXTS["hint.totp_scan"])
        yield Text(_qr_code(step.totp.uri))
        yield Text(f"{TEXTS['hint.totp_secret']}: {step.totp.secret}")
        yield Text(TEXTS["hint.totp_enter"])
    for name, value in (step.parameters or {}).items():
        yield Text(f"{name}: {value}")
    if step.authorize_url:
        yield Text(_OPEN_BROWSER)


def _form(action: Action) -> Iterator[Text]:
    """What there is to read before an action's fields are prompted for."""
    if action.hint and not action.is_main:
        yield Text(action.hint)
    for field in action.fields:
        for one in field.choices:
            yield Text(_with_hint(f"{one.value}: {one.label}", one.hint))
        for rule in field.rules:
            yield Text(f"- {rule.label}")
        if field.hint:
            yield Text(f"{field.label}: {field.hint}")


def _offer(word: str, action: Action) -> str:
    seconds = _seconds_until(action.available_at) if action.available_at else 0
    code = "terminal.type_for_later" if seconds else "terminal.type_for"
    time = f"{seconds // 60}:{seconds % 60:02d}"
    return _with_hint(TEXTS[code].format(word=word, label=_name_of(action), time=time), action.hint)


def _name_of(action: Action) -> str:
    """What an action is called beside the main one: by its own page, by a summary, or by its buttons."""
    buttons = [
        one.label for field in action.fields if field.style == "buttons" for one in field.choices
    ]
    return action.title or action.summary or ", ".join(buttons) or action.label


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
