"""Typed words: a step's other actions, chosen by typing a word at a code prompt."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from oncegate import (
    Action,
    Cancel,
    Event,
    FlowState,
    RequestNewCode,
    ResetPassword,
    Step,
    SubmitCode,
    SubmitPassword,
)
from oncegate.adapters import TEXTS, Choice, Field, PasswordRule
from oncegate_cli._terminal import NoMoreInput, Terminal, words_of

CODE = Field(name="code", label="Code", type="text", inputmode="numeric")
FACTOR = Field(name="factor", label="Factor", type="choice")
NEW_PASSWORD = Field(name="new_password", label="New password", type="password", secret=True)
NEW_CODE = Action(event="request_new_code", label="Send a new code")
CANCEL = Action(event="cancel", label="Cancel")


def step(*actions: Action, state: FlowState = FlowState.AWAITING_MFA) -> Step:
    return Step(flow_id="f" * 32, version=2, state=state, title="Enter your code", actions=actions)


def main(event: str, *fields: Field) -> Action:
    return Action(event=event, label="Continue", fields=fields, is_main=True)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Event]:
    """Return the event that a terminal makes of a step and of lines on standard input."""

    def ask(asked: Step, *lines: str) -> Event:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return Terminal().ask(asked)

    return ask


def test_word_at_code_prompt_sends_its_event(answer: Callable[..., Event]) -> None:
    asked = step(main("submit_code", CODE), NEW_CODE, CANCEL)
    assert answer(asked, "new") == RequestNewCode()
    assert answer(asked, " cancel ") == Cancel()
    assert isinstance(answer(asked, "123 456"), SubmitCode)


def test_word_at_reset_prompt_requests_first_code(answer: Callable[..., Event]) -> None:
    asked = step(
        main("reset_password", CODE, NEW_PASSWORD), NEW_CODE, state=FlowState.AWAITING_RESET
    )
    assert answer(asked, "new") == RequestNewCode()


def test_main_action_without_fields_waits_for_an_empty_line_or_a_word(
    answer: Callable[..., Event], capsys: pytest.CaptureFixture[str]
) -> None:
    reset = Action(event="reset_password", label="Save password", fields=(CODE, NEW_PASSWORD))
    first = NEW_CODE.model_copy(update={"label": "Send code", "is_main": True})
    asked = step(first, reset, CANCEL, state=FlowState.AWAITING_RESET)
    assert answer(asked, "") == RequestNewCode()
    assert answer(asked, "cancel") == Cancel()
    typed = answer(asked, "code", "123456", "Better-horse-1")
    assert isinstance(typed, ResetPassword)
    # A code that is typed at once sends nothing: the user did not ask for a code.
    assert answer(asked, "123456", "cancel") == Cancel()
    with pytest.raises(NoMoreInput):
        answer(asked)
    capsys.readouterr()
    Terminal().show(asked)
    shown = capsys.readouterr().err
    assert "Press Enter for: Send code" in shown
    assert "Type “code” for: Save password" in shown


def test_step_shows_hints_rules_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    choices = (
        Choice(value="SMS_MFA", label="Text message", hint="We’ll text you a code."),
        Choice(value="PASSWORD", label="Password"),
    )
    rule = PasswordRule(label="A number", pattern="[0-9]")
    phone = Field(name="attributes.phone_number", label="Phone", type="tel", hint="With +1.")
    new_code = NEW_CODE.model_copy(update={"hint": "The code you have stops working."})
    asked = step(
        main(
            "submit_code",
            CODE,
            FACTOR.model_copy(update={"choices": choices}),
            NEW_PASSWORD.model_copy(update={"rules": (rule,)}),
            phone,
        ),
        new_code,
    )
    Terminal().show(asked)
    shown = capsys.readouterr().err
    assert "SMS_MFA: Text message (We’ll text you a code.)" in shown
    assert "PASSWORD: Password " in shown
    assert "- A number" in shown
    assert "Phone: With +1." in shown
    assert "Type “new” for: Send a new code (The code you have stops working.)" in shown


@pytest.mark.parametrize(
    ("attempts", "seconds", "text"),
    [
        (5, 185, "You have 5 tries left. Enter it within 3 minutes."),
        (2, 65, "You have 2 tries left. Enter it within 1 minute."),
        (1, 30, "This is your last try. Less than a minute left."),
        (3, 7200, "You have 3 tries left. "),
    ],
)
def test_step_shows_tries_and_time(
    attempts: int, seconds: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    update = {"attempts_left": attempts, "expires_at": ends}
    Terminal().show(step(main("submit_code", CODE)).model_copy(update=update))
    shown = capsys.readouterr().err
    assert text in shown
    assert "within 120" not in shown


def test_word_in_password_field_is_a_password(answer: Callable[..., Event]) -> None:
    reset = answer(step(main("reset_password", CODE, NEW_PASSWORD), NEW_CODE), "123456", "new")
    assert isinstance(reset, ResetPassword)
    assert reset.new_password.get_secret_value() == "new"
    password = Field(name="password", label="Password", type="password", secret=True)
    username = Field(name="username", label="Username", type="text")
    event = answer(step(main("submit_password", username, password), CANCEL), "cancel", "new")
    assert isinstance(event, SubmitPassword)
    assert event.username == "cancel"


def test_word_of_action_that_is_not_offered_is_invalid(answer: Callable[..., Event]) -> None:
    event = answer(step(main("submit_code", CODE), CANCEL), "new", "123456")
    assert isinstance(event, SubmitCode)


def test_step_without_code_prompt_has_no_words() -> None:
    assert words_of(step(main("choose_factor", FACTOR), CANCEL)) == {}
    assert words_of(step()) == {}


def test_action_without_a_word_cannot_be_typed() -> None:
    """One with fields, such as another factor, can: the terminal asks for them."""
    with_fields = NEW_CODE.model_copy(update={"fields": (CODE,)})
    unknown = Action(event="not_in_the_table", label="Something")
    assert words_of(step(main("submit_code", CODE), with_fields, unknown, CANCEL)) == {
        TEXTS["terminal.word.request_new_code"]: with_fields,
        TEXTS["terminal.word.cancel"]: CANCEL,
    }


def test_step_shows_title_and_words_with_their_delay(capsys: pytest.CaptureFixture[str]) -> None:
    later = datetime.now(UTC) + timedelta(seconds=25)
    waiting = NEW_CODE.model_copy(update={"available_at": later})
    Terminal().show(step(main("submit_code", CODE), waiting, CANCEL))
    shown = capsys.readouterr().err
    assert "Enter your code" in shown
    assert "Type “new” in 0:2" in shown
    assert "min for: Send a new code" in shown
    assert "Type “cancel” for: Cancel" in shown


def test_known_answer_is_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal({"code": "123456"})
    monkeypatch.setattr(sys, "stdin", io.StringIO("654321\n"))
    asked = step(main("submit_code", CODE))
    codes = [terminal.ask(asked) for _ in range(2)]
    typed = [event.code.get_secret_value() for event in codes if isinstance(event, SubmitCode)]
    assert typed == ["123456", "654321"]
