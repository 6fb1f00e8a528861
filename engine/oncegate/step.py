"""Steps: what a user interface is given, enough to draw itself without knowing Cognito.

A step never holds a secret but for the one that hands the tokens over, whose repr hides them and
whose JSON leaves them out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as ModelField

from oncegate.challenge import CodeChallenge, Delivery, Factor, FactorChoice, NewPasswordChallenge
from oncegate.flow import Flow, FlowState
from oncegate.machine import events_allowed
from oncegate.messages import TEXTS
from oncegate.outcomes import Tokens


class Choice(BaseModel):
    """One of the values a field can take."""

    model_config = ConfigDict(frozen=True)

    value: str
    label: str


class Field(BaseModel):
    """One thing for the person to fill in. Names are those of the event's own fields.

    Attributes:
        type: an HTML input type, or ``"choice"`` where ``choices`` lists what may be picked.
        autocomplete: an HTML autofill token (HTML Living Standard, 4.10.18.7).
        inputmode: the keyboard a phone should show.
        pattern: a regular expression for the whole value; spaces in codes are taken out first.
        secret: whether to hide what is typed and never show it again.
        value: what to show in it already; never for a secret.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    type: Literal["text", "password", "email", "tel", "choice"]
    autocomplete: str = "off"
    inputmode: Literal["text", "numeric", "email", "tel"] = "text"
    pattern: str | None = None
    secret: bool = False
    required: bool = True
    value: str = ""
    choices: tuple[Choice, ...] = ()


class Message(BaseModel):
    """What to tell the person.

    Attributes:
        code: stable, for programs and translations (`oncegate.messages`).
        text: in English.
        detail: Cognito's own words, where they are fit for users; the name of a challenge.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    text: str
    detail: str = ""


class Step(BaseModel):
    """Where a flow is, and what can be done there.

    Attributes:
        flow_id: the name by which the flow is driven. It also opens the stored record, so treat it
            as a password: it is not in the repr, and logs have another name for the flow.
        version: of the flow; send it back with the event, so that a late event is recognised.
        state: one of the machine's states, by name.
        fields: what to fill in.
        events: what may be sent now.
        delivery: where a code went.
        challenge: Cognito's name for what is asked, where something is.
        challenge_id: differs between any two challenges of a flow.
        attempts_left: answers the challenge still takes, where it counts them.
        expires_at: when the challenge ends, with a time zone.
        message: why the flow is here.
        reason: why the event that was sent changed nothing; None where it did.
        tokens: on the one step that hands them over; None on every other.
        session_name: what the host's session keeper calls the session, once signed in.
    """

    model_config = ConfigDict(frozen=True)

    flow_id: str = ModelField(repr=False)
    version: int
    state: FlowState
    fields: tuple[Field, ...] = ()
    events: tuple[str, ...] = ()
    delivery: Delivery | None = None
    challenge: str | None = None
    challenge_id: int | None = None
    attempts_left: int | None = None
    expires_at: datetime | None = None
    message: Message | None = None
    reason: Message | None = None
    tokens: Tokens | None = ModelField(default=None, repr=False, exclude=True)
    session_name: str | None = None


def message(code: str, detail: str = "") -> Message:
    """The message of a code, in English."""
    return Message(code=code, text=TEXTS[code], detail=detail)


def step_of(
    flow_id: str, flow: Flow, *, reason: str | None = None, tokens: Tokens | None = None
) -> Step:
    """Draw the step of a flow.

    Args:
        flow_id: the name that the caller drives it by.
        flow: as it is stored.
        reason: why the event that was offered changed nothing.
        tokens: to hand over; only ever just after Cognito issued them.
    """
    challenge = flow.challenge
    is_code = isinstance(challenge, CodeChallenge)
    return Step(
        flow_id=flow_id,
        version=flow.version,
        state=flow.state,
        fields=_fields(flow),
        events=events_allowed(flow),
        delivery=challenge.delivery if isinstance(challenge, CodeChallenge) else None,
        challenge=str(challenge.kind) if challenge else None,
        challenge_id=flow.challenge_id if challenge else None,
        attempts_left=flow.attempts_left if is_code else None,
        expires_at=datetime.fromtimestamp(flow.challenge_ends, UTC)
        if flow.challenge_ends
        else None,
        message=message(flow.message, flow.detail) if flow.message else None,
        reason=message(reason) if reason else None,
        tokens=tokens,
        session_name=flow.session_name,
    )


_FACTOR_LABELS = {
    Factor.SMS: "Text message",
    Factor.EMAIL: "Email",
    Factor.TOTP: "Authenticator app",
}

_CODE_LABELS = {
    Factor.SMS: "Code from the text message",
    Factor.EMAIL: "Code from the email",
    Factor.TOTP: "Code from your authenticator app",
}

# The attributes that have a keyboard and an autofill token of their own (OIDC Core 5.1).
_ATTRIBUTE_INPUTS: dict[str, Literal["email", "tel"]] = {"email": "email", "phone_number": "tel"}


def _fields(flow: Flow) -> tuple[Field, ...]:
    challenge = flow.challenge
    if flow.state is FlowState.IDLE:
        return (
            Field(
                name="username",
                label="Username",
                type="text",
                autocomplete="username",
                value=flow.username,
            ),
            Field(
                name="password",
                label="Password",
                type="password",
                autocomplete="current-password",
                secret=True,
            ),
        )
    if flow.state is FlowState.AWAITING_MFA and isinstance(challenge, CodeChallenge):
        return (
            Field(
                name="code",
                label=_CODE_LABELS[challenge.kind],
                type="text",
                autocomplete="one-time-code",
                inputmode="numeric",
                pattern=rf"[0-9]{{{challenge.digits}}}",
            ),
        )
    if flow.state is FlowState.PASSWORD_VERIFIED and isinstance(challenge, FactorChoice):
        choices = tuple(Choice(value=f, label=_FACTOR_LABELS[f]) for f in challenge.factors)
        return (
            Field(name="factor", label="How to confirm it is you", type="choice", choices=choices),
        )
    if flow.state is FlowState.AWAITING_NEW_PASSWORD and isinstance(
        challenge, NewPasswordChallenge
    ):
        return (
            Field(
                name="new_password",
                label="New password",
                type="password",
                autocomplete="new-password",
                secret=True,
            ),
            *(_attribute(name) for name in challenge.required_attributes),
        )
    return ()


def _attribute(name: str) -> Field:
    kind = _ATTRIBUTE_INPUTS.get(name, "text")
    return Field(
        name=f"attributes.{name}",
        label=name.removeprefix("custom:").replace("_", " ").capitalize(),
        type=kind,
        inputmode=kind,
        autocomplete="on" if kind == "text" else kind,
    )
