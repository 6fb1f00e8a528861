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
    ForgotPassword,
    RequestNewCode,
    ResetPassword,
    SignUp,
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
        event: Event = Terminal().ask(asked)
        return event

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


FORGOT = Action(
    event="forgot_password",
    label="Send code",
    hint="We’ll send you a code.",
    summary="Forgot password?",
    title="Reset your password",
    fields=(Field(name="username", label="Username", type="text", autocomplete="username"),),
)
PASSWORD = Field(name="password", label="Password", type="password", secret=True)
SIGN_IN = main("submit_password", *FORGOT.fields, PASSWORD)


def test_word_with_a_slash_at_username_prompt_leads_to_its_form(
    answer: Callable[..., Event], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(step(SIGN_IN, FORGOT), "/forgot", "ana") == ForgotPassword(username="ana")
    shown = capsys.readouterr().err
    assert "─ Reset your password ─" in shown
    assert "We’ll send you a code." in shown


def test_known_username_leaves_no_prompt_for_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = step(SIGN_IN, FORGOT)
    assert words_of(asked) == {"/forgot": FORGOT}
    assert words_of(asked, known={"username"}) == {}
    terminal = Terminal({"username": "ana"})
    terminal.show(asked)
    assert "/forgot" not in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("/forgot\n"))
    event = terminal.ask(asked)
    assert isinstance(event, SubmitPassword)
    assert event.password.get_secret_value() == "/forgot"


def test_action_that_the_caller_names_is_prompted_for_without_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("/forgot\n"))
    asked = step(SIGN_IN, FORGOT)
    terminal = Terminal()
    terminal.show(asked, "forgot_password")
    shown = capsys.readouterr().err
    assert "─ Reset your password ─" in shown
    assert "/forgot" not in shown
    assert terminal.ask(asked, "forgot_password") == ForgotPassword(username="/forgot")


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (FORGOT, "Reset your password (We’ll send you a code.)"),
        (FORGOT.model_copy(update={"title": "", "hint": ""}), "Forgot password?"),
        (FORGOT.model_copy(update={"title": "", "hint": "", "summary": ""}), "Send code"),
        (
            Action(
                event="sign_in_with",
                label="Continue",
                fields=(
                    Field(
                        name="provider",
                        label="Sign in with",
                        type="choice",
                        style="buttons",
                        choices=(
                            Choice(value="Google", label="Continue with Google"),
                            Choice(value="SignInWithApple", label="Continue with Apple"),
                        ),
                    ),
                ),
            ),
            "Continue with Google, Continue with Apple",
        ),
    ],
    ids=["title", "summary", "label", "buttons"],
)
def test_word_is_shown_with_the_name_of_its_action(
    action: Action, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Terminal().show(step(SIGN_IN, action))
    assert f"for: {name} " in capsys.readouterr().err


def form(*, password_is_required: bool) -> Step:
    """Return the step of a new account."""
    fields = (
        Field(name="username", label="Username", type="text"),
        Field(name="attributes.email", label="Email", type="email", value="ana@example.com"),
        Field(
            name="password",
            label="Password",
            type="password",
            secret=True,
            required=password_is_required,
        ),
    )
    return step(main("sign_up", *fields), state=FlowState.SIGNING_UP)


def test_empty_line_is_the_value_of_before_or_nothing_if_none_is_required(
    answer: Callable[..., Event],
) -> None:
    event = answer(form(password_is_required=False), "ana", "", "")
    assert event == SignUp(username="ana", attributes={"email": "ana@example.com"})


def test_invalid_field_of_a_form_alone_is_entered_again(answer: Callable[..., Event]) -> None:
    event = answer(form(password_is_required=True), "a" * 129, "b@example.com", "secret", "ana")
    expected = SignUp(username="ana", password="secret", attributes={"email": "b@example.com"})
    assert event == expected
