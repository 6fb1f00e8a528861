"""Steps: enough for a user interface to draw a page, and never a secret.

The fields and labels of each action are tested with its challenge (`tests/challenges`).
"""

from __future__ import annotations

from typing import get_args

from pydantic import SecretStr
from tests.doubles import a_text, password, the_tokens
from tests.flows import AT_REST, SETUP, asks, walk

from oncegate import (
    Action,
    Cancel,
    Event,
    FlowState,
    PasswordPolicy,
    RequestNewCode,
    ResetPassword,
    Step,
    SubmitCode,
    SubmitNewPassword,
)
from oncegate.adapters import (
    TEXTS,
    ChallengeIssued,
    Choice,
    CodeChallenge,
    Field,
    NewPasswordChallenge,
    message,
)
from oncegate.driver.script import EXPIRED
from oncegate.machine.advance import EVENTS, advance, allowed_events
from oncegate.machine.chart import SignInMachine
from oncegate.record import Flow
from oncegate.step import step_of

FLOW_ID = "A" * 32


def at(*outcomes: ChallengeIssued) -> Step:
    flow = advance(Flow(), password(), now=0)
    for outcome in outcomes:
        flow = advance(flow, outcome, now=0)
    return step_of(FLOW_ID, flow)


def test_expired_flow_has_failed_without_actions() -> None:
    step = step_of(FLOW_ID, EXPIRED)
    assert (step.state, step.events, step.fields) == (FlowState.FAILED, (), ())


def test_step_with_tokens_hides_them() -> None:
    tokens = the_tokens().tokens
    step = step_of(FLOW_ID, Flow(state=FlowState.AUTHENTICATED), tokens=tokens)
    for text in (repr(step), str(step), step.model_dump_json(), str(step.model_dump())):
        assert tokens.access_token not in text
        assert "refresh" not in text
    assert FLOW_ID not in repr(step), "the flow ID opens the record, so no repr shows it"


def test_session_of_cognito_is_not_shown() -> None:
    step = at(a_text("a-secret-session-of-cognito"))
    assert "a-secret-session" not in f"{step!r} {step.model_dump_json()}"


def test_wrong_password_and_unknown_user_have_the_same_text() -> None:
    assert "exist" not in " ".join(TEXTS.values())
    assert TEXTS["message.wrong_credentials"] == "Incorrect username or password."


def test_step_offers_what_the_chart_allows() -> None:
    by_value = {state.value: state for state in SignInMachine.states}
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        with_transition = {
            name for t in by_value[flow.state].transitions for name in str(t.event).split()
        }
        hidden = with_transition & set(EVENTS) - set(step.events)
        # The guards of these depend on the flow alone, so the step leaves them out while one is closed.
        assert hidden <= {
            *("submit_username", "choose_factor", "request_new_code"),
            *("confirm_account", "sign_up", "sign_in_with"),
        }
        assert set(step.events) <= with_transition


def test_fields_of_a_step_are_those_of_its_main_action() -> None:
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        names = {field.name.partition(".")[0] for field in step.fields}
        (model,) = [model for model in get_args(Event) if model.machine_event == step.events[0]]
        assert names <= set(model.model_fields), step.state


def test_every_action_has_its_event_label_and_fields() -> None:
    types = {model.machine_event: model for model in get_args(Event)}
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        assert [action.event for action in step.actions] == list(step.events)
        assert [action.is_main for action in step.actions] == [
            number == 0 for number in range(len(step.actions))
        ]
        for action in step.actions:
            assert action.label == TEXTS[action.label_code]
            names = {field.name.partition(".")[0] for field in action.fields}
            assert names <= set(types[action.event].model_fields)
            required = {n for n, f in types[action.event].model_fields.items() if f.is_required()}
            assert required <= names, f"{step.state}: {action.event} cannot be filled in"


def test_action_during_a_cooldown_has_the_time_of_its_end() -> None:
    flow = AT_REST[FlowState.AWAITING_MFA].model_copy(update={"new_code_at": 1030.0})
    available = {a.event: a.available_at for a in step_of(FLOW_ID, flow).actions}
    assert available["submit_code"] is None
    assert available["request_new_code"] is not None
    assert available["request_new_code"].timestamp() == 1030.0


def test_every_state_has_a_title_of_its_own() -> None:
    titles = {step_of(FLOW_ID, flow).title for flow in AT_REST.values()}
    assert len(titles) == len(AT_REST)


MORE_AT_REST = (
    walk(password(), asks(NewPasswordChallenge, required_attributes=["phone_number"])),
    walk(password(), SETUP),
)


def test_translated_step_has_no_english_left() -> None:
    def translate(code: str, **values: object) -> str:
        return f"<{code}>" if not values else f"<{code} {values}>"

    hints, rules = 0, []
    for flow in (*AT_REST.values(), *MORE_AT_REST):
        step = step_of(FLOW_ID, flow, reason="stale", password_policy=PasswordPolicy())
        step = step.translated(translate)
        fields = [field for action in step.actions for field in action.fields]
        choices = [choice for field in fields for choice in field.choices]
        parts: list[Action | Field | Choice] = [*step.actions, *fields, *choices]
        rules += [rule.label for field in fields for rule in field.rules]
        texts = [step.title, *(part.label for part in parts)]
        texts += [message.text for message in (step.message, step.reason) if message]
        told = [part.hint for part in parts if part.hint]
        hints += len(told)
        assert all(text.startswith("<") for text in (*texts, *told, *rules)), texts
    assert hints >= 4
    assert "<rule.length {'count': 8}>" in rules


def test_step_that_has_the_texts_already_is_not_copied() -> None:
    step = at(a_text())
    assert step.translated(lambda code, **values: TEXTS[code].format(**values)) is step


def test_json_of_a_step_has_actions_and_no_label_codes() -> None:
    data = at(a_text()).model_dump(mode="json")
    assert data["events"] == [action["event"] for action in data["actions"]]
    assert data["fields"] == data["actions"][0]["fields"]
    assert not [
        name for name in ("label_code", "hint_code", "style", "values") if name in str(data)
    ]


def test_username_is_what_was_typed_and_not_in_the_repr() -> None:
    assert step_of(FLOW_ID, Flow()).username == ""
    flow = walk(password(), asks(CodeChallenge, kind="SMS_MFA", username="pool-name-of-ana"))
    step = step_of(FLOW_ID, flow)
    assert step.username == step.model_dump(mode="json")["username"] == "ana"
    assert "ana" not in repr(step).replace("pool-name-of-ana", "")
    assert "pool-name-of-ana" not in step.model_dump_json()


def test_new_code_that_needs_the_password_says_so_before() -> None:
    code_page = AT_REST[FlowState.AWAITING_MFA]
    first_factor = walk(password(), a_text(is_first_factor=True))
    retained = code_page.model_copy(update={"retained_password": SecretStr("p")})
    hints = {
        name: {one.event: one.hint_code for one in step_of(FLOW_ID, flow).actions}
        for name, flow in {
            "code": code_page,
            "first factor": first_factor,
            "retained": retained,
            "confirmation": AT_REST[FlowState.AWAITING_CONFIRMATION],
        }.items()
    }
    assert hints == {
        "code": {
            "submit_code": "",
            "request_new_code": "hint.new_code_needs_password",
            "cancel": "",
        },
        "first factor": {"submit_code": "", "request_new_code": "", "cancel": ""},
        "retained": {"submit_code": "", "request_new_code": "", "cancel": ""},
        "confirmation": {"submit_code": "", "request_new_code": "", "cancel": ""},
    }
    # What the hint says is what the machine does.
    assert walk(RequestNewCode(), flow=code_page).state is FlowState.IDLE
    assert walk(RequestNewCode(), flow=first_factor).state is not FlowState.IDLE
    assert walk(RequestNewCode(), flow=retained).state is not FlowState.IDLE


def test_event_is_shown_with_the_state_that_it_leads_to() -> None:
    """For every state, event and way in: what is predicted from the flow alone is what happens."""
    new_password = {"new_password": "Better-horse-2"}
    events: dict[str, Event] = {
        "submit_code": SubmitCode(code="123456"),
        "submit_new_password": SubmitNewPassword.model_validate(new_password),
        "reset_password": ResetPassword.model_validate({"code": "123456", **new_password}),
        "request_new_code": RequestNewCode(),
        "cancel": Cancel(),
    }
    seen = set()
    for flow in (*AT_REST.values(), *MORE_AT_REST):
        for event, target in allowed_events(flow).items():
            if event in events:
                assert walk(events[event], flow=flow).state is target, (flow.state, event)
                seen.add(event)
    assert seen == set(events)


def test_message_has_the_kind_of_its_code() -> None:
    kinds = {code: message(code).kind for code in ("wrong_code", "flow_expired", "confirmed")}
    assert kinds == {"wrong_code": "error", "flow_expired": "info", "confirmed": "good"}
    assert message("confirmed").model_dump(mode="json")["kind"] == "good"
