"""Steps: what a user interface is given, enough to draw itself without knowing Cognito.

A step never holds a secret but for the one that hands the tokens over, whose repr hides them and
whose JSON leaves them out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as ModelField

from oncegate.challenge import (
    CustomChallenge,
    Delivery,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
    PasskeyChallenge,
    TotpSetup,
)
from oncegate.flow import Flow, FlowState
from oncegate.machine import events_allowed
from oncegate.messages import TEXTS
from oncegate.outcomes import Tokens


class Choice(BaseModel):
    """One of the values a field can take."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    value: str
    label: str


class Field(BaseModel):
    """One thing for the person to fill in. Names are those of the event's own fields.

    Attributes:
        type: an HTML input type, or ``"choice"`` where ``choices`` lists what may be picked, or
            ``"passkey"``: what the browser answers to `Step.passkey_options`, as JSON.
        autocomplete: an HTML autofill token (HTML Living Standard, 4.10.18.7).
        inputmode: the keyboard a phone should show.
        pattern: a regular expression for the whole value; spaces in codes are taken out first.
        secret: whether to hide what is typed and never show it again.
        value: what to show in it already; never for a secret.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    name: str
    label: str
    type: Literal["text", "password", "email", "tel", "choice", "passkey"]
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

    model_config = ConfigDict(defer_build=True, frozen=True)

    code: str
    text: str
    detail: str = ""


class TotpSecret(BaseModel):
    """What an authenticator app is set up with. For the user's eyes; the repr hides it.

    Attributes:
        secret: in base32, to be typed.
        uri: ``otpauth://``, to be drawn as a QR code.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    secret: str = ModelField(repr=False)
    uri: str = ModelField(repr=False)


class Step(BaseModel):
    """Where a flow is, and what can be done there.

    Attributes:
        flow_id: the name by which the flow is driven. It also opens the stored record, so treat it
            as a password: it is not in the repr, and logs have another name for the flow.
        version: of the flow; send it back with the event, so that a late event is recognised.
        state: one of the machine's states, by name.
        fields: what to fill in, for the first of the events.
        events: what may be sent now; the first is what the page is for.
        delivery: where a code went.
        challenge: Cognito's name for what is asked, where something is.
        challenge_id: differs between any two challenges of a flow.
        attempts_left: answers the challenge still takes, where it counts them.
        expires_at: when the challenge ends, with a time zone.
        new_code_at: when a new code may be asked for, with a time zone; None where it may not.
        new_codes_left: how many more may be asked for, where one may.
        passkey_options: for ``navigator.credentials.get``, as JSON (WebAuthn's
            PublicKeyCredentialRequestOptionsJSON).
        totp: what an authenticator app is to be set up with.
        parameters: what the pool's Lambda made public of a custom challenge.
        message: why the flow is here.
        reason: why the event that was sent changed nothing; None where it did.
        tokens: on the one step that hands them over; None on every other.
        session_name: what the host's session keeper calls the session, once signed in.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

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
    new_code_at: datetime | None = None
    new_codes_left: int | None = None
    passkey_options: str | None = None
    totp: TotpSecret | None = None
    parameters: dict[str, str] | None = None
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
    events = events_allowed(flow)
    may_ask = "request_new_code" in events
    return Step(
        flow_id=flow_id,
        version=flow.version,
        state=flow.state,
        fields=_fields(flow, events),
        events=events,
        delivery=getattr(challenge, "delivery", None),
        challenge=str(challenge.kind) if challenge else None,
        challenge_id=flow.challenge_id if challenge else None,
        attempts_left=flow.attempts_left if hasattr(challenge, "digits") else None,
        expires_at=_time(flow.challenge_ends) if flow.challenge_ends else None,
        new_code_at=_time(flow.new_code_at or flow.saved_at) if may_ask else None,
        new_codes_left=flow.new_codes_left if may_ask else None,
        passkey_options=challenge.options if isinstance(challenge, PasskeyChallenge) else None,
        totp=_totp(challenge) if isinstance(challenge, TotpSetup) else None,
        parameters=challenge.parameters if isinstance(challenge, CustomChallenge) else None,
        message=message(flow.message, flow.detail) if flow.message else None,
        reason=message(reason) if reason else None,
        tokens=tokens,
        session_name=flow.session_name,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _totp(challenge: TotpSetup) -> TotpSecret:
    return TotpSecret(
        secret=challenge.secret.get_secret_value(), uri=challenge.uri.get_secret_value()
    )


_FACTOR_LABELS = {
    Factor.SMS: "Text message",
    Factor.EMAIL: "Email",
    Factor.TOTP: "Authenticator app",
    Factor.SMS_OTP: "Text message",
    Factor.PASSKEY: "Passkey",
    Factor.PASSWORD: "Password",
}

_CODE_LABELS = {
    Factor.SMS: "Code from the text message",
    Factor.EMAIL: "Code from the email",
    Factor.TOTP: "Code from your authenticator app",
    Factor.SMS_OTP: "Code from the text message",
    "TOTP_SETUP": "Code from your authenticator app",
}

# The attributes that have a keyboard and an autofill token of their own (OIDC Core 5.1).
_ATTRIBUTE_INPUTS: dict[str, Literal["email", "tel"]] = {"email": "email", "phone_number": "tel"}


def _fields(flow: Flow, events: tuple[str, ...]) -> tuple[Field, ...]:  # noqa: C901 - a row an event
    """What to fill in for the first of the events: the fields of that event, by their names."""
    match events[0] if events else None:
        case "submit_username":
            return (_username(flow),)
        case "submit_password":
            username = (_username(flow),) if flow.state is FlowState.IDLE else ()
            return (*username, _password("password", "Password", "current-password"))
        case "choose_factor":
            return (_choice(flow),)
        case "submit_email":
            return (
                Field(
                    name="email",
                    label="Email",
                    type="email",
                    autocomplete="email",
                    inputmode="email",
                ),
            )
        case "submit_code":
            return (_code(flow),)
        case "submit_passkey":
            return (Field(name="credential", label="Passkey", type="passkey", secret=True),)
        case "submit_answer":
            return (Field(name="answer", label="Answer", type="text", secret=True),)
        case "reset_password":
            return (_code(flow), _password("new_password", "New password", "new-password"))
        case "remember_device":
            return (
                Field(
                    name="remember",
                    label="Remember this device?",
                    type="choice",
                    choices=(Choice(value="true", label="Yes"), Choice(value="false", label="No")),
                ),
            )
        case "submit_new_password":
            challenge = flow.challenge
            assert isinstance(challenge, NewPasswordChallenge)
            return (
                _password("new_password", "New password", "new-password"),
                *(_attribute(name) for name in challenge.required_attributes),
            )
    return ()


def _username(flow: Flow) -> Field:
    return Field(
        name="username",
        label="Username",
        type="text",
        autocomplete="username",
        value=flow.username,
    )


def _password(name: str, label: str, autocomplete: str) -> Field:
    return Field(name=name, label=label, type="password", autocomplete=autocomplete, secret=True)


def _code(flow: Flow) -> Field:
    challenge = flow.challenge
    return Field(
        name="code",
        label=_CODE_LABELS.get(str(challenge.kind) if challenge else "", "Code"),
        type="text",
        autocomplete="one-time-code",
        inputmode="numeric",
        pattern=rf"[0-9]{{{getattr(challenge, 'digits', 6)}}}",
    )


def _choice(flow: Flow) -> Field:
    assert isinstance(flow.challenge, FactorChoice)
    choices = tuple(Choice(value=f, label=_FACTOR_LABELS[f]) for f in flow.challenge.factors)
    return Field(name="factor", label="How to confirm it is you", type="choice", choices=choices)


def _attribute(name: str) -> Field:
    kind = _ATTRIBUTE_INPUTS.get(name, "text")
    return Field(
        name=f"attributes.{name}",
        label=name.removeprefix("custom:").replace("_", " ").capitalize(),
        type=kind,
        inputmode=kind,
        autocomplete="on" if kind == "text" else kind,
    )
