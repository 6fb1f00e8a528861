"""Steps: what a user interface is given, enough to draw itself without knowing Cognito.

A step never holds a secret, except for the one step that hands the tokens over: its repr hides them,
and its JSON leaves them out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, computed_field
from pydantic import Field as ModelField

from oncegate.challenges import (
    ACCOUNT_EVENT_TYPES,
    EVENT_TYPES,
    AnyEvent,
    AuthenticatorSetup,
    CustomChallenge,
    Delivery,
    Event,
    FormField,
    PasskeyChallenge,
    PasskeyRegistration,
    PasswordRule,
    ProviderChallenge,
    TotpSetup,
)
from oncegate.context import StepRef
from oncegate.machine.advance import allowed_events
from oncegate.messages import TEXTS, Kind, kind_of
from oncegate.password_policy import PasswordPolicy
from oncegate.record import Flow
from oncegate.states import AnyState, FlowState
from oncegate.tokens import Tokens
from oncegate.ways_in import WaysIn

_WAYS_IN: Final = WaysIn()
_NO_VALUES: Final[Mapping[str, str]] = MappingProxyType({})
_Model = TypeVar("_Model", bound=BaseModel)


class Action(BaseModel):
    """Something that the user can do at a step.

    Attributes:
        event: type of the event that does it, such as ``"submit_code"``.
        label: text of its button.
        label_code: the label's code in `oncegate.messages.TEXTS`.
        hint: what to read before the action, in one sentence; empty if there is nothing.
        hint_code: the hint's code.
        fields: inputs, named like the fields of the event.
        is_main: whether the step's page is for this action. The main action comes first.
        ends_flow: whether the user gives up with it.
        beside: name of the main action's field that a page offers it beside; empty for none.
        summary: text under which a page folds its form up, if it is not the main one.
        summary_code: the summary's code.
        title: heading of the page that its form has for itself, to which the summary leads; empty if it
            has none.
        title_code: the title's code.
        available_at: earliest time for it, with a time zone; None if it is available now.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    event: str
    label: str
    label_code: str = ModelField(default="", exclude=True)
    hint: str = ""
    hint_code: str = ModelField(default="", exclude=True)
    fields: tuple[FormField, ...] = ()
    is_main: bool = False
    ends_flow: bool = ModelField(default=False, exclude=True)
    beside: str = ModelField(default="", exclude=True)
    summary: str = ModelField(default="", exclude=True)
    summary_code: str = ModelField(default="", exclude=True)
    title: str = ModelField(default="", exclude=True)
    title_code: str = ModelField(default="", exclude=True)
    available_at: datetime | None = None


class Message(BaseModel):
    """What to tell the user.

    Attributes:
        code: stable, for programs (`oncegate.messages.TEXTS`, without ``message.``).
        kind: how it is shown: ``"error"``, ``"info"`` or ``"good"`` (`oncegate.messages.kind_of`).
        text: English text.
        detail: Cognito's own words, if they are for users; the name of a challenge or attribute.
        field: name of the field of the main action that the message is about; None if it is about none.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    code: str
    text: str
    detail: str = ""
    field: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def kind(self) -> Kind:
        return kind_of(f"message.{self.code}")


class TotpSecret(BaseModel):
    """What an authenticator app is set up with. For the user only; the repr hides it.

    Attributes:
        secret: base32, to be typed.
        uri: ``otpauth://``, to be drawn as a QR code.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    secret: str = ModelField(repr=False)
    uri: str = ModelField(repr=False)


class Step(BaseModel):
    """Where a flow is, and what can be done there.

    Attributes:
        flow_id: identifies the flow. It also opens the stored record, so treat it as a password: it is
            not in the repr, and logs use another name for the flow.
        version: the flow's version. `SignIn.send` takes the step, or `StepRef`, so that it recognises
            late and repeated events.
        state: the machine's state.
        username: the name that the user typed; empty before that. Never the pool's own name.
        title: heading for the step.
        title_code: the title's code in `oncegate.messages.TEXTS`.
        actions: the user's possible actions; the main one first.
        events: the events of the actions.
        fields: the fields of the main action.
        delivery: destination of the code.
        challenge: Cognito's name for what it asks.
        challenge_id: differs between any two challenges of a flow.
        attempts_left: answers that the challenge still takes, if it counts them.
        expires_at: end of the challenge, time zone aware.
        new_code_at: earliest time for a new code, with a time zone; None if there can be none.
        new_codes_left: number of further new codes that the flow may request; None if there can be none.
        passkey_options: options for ``navigator.credentials.get``, as JSON (WebAuthn's
            PublicKeyCredentialRequestOptionsJSON).
        passkey_creation: options for ``navigator.credentials.create``, as JSON (WebAuthn's
            PublicKeyCredentialCreationOptionsJSON).
        authorize_url: where the browser goes to sign in with an identity provider.
        totp: secret for an authenticator app.
        parameters: public parameters of a custom challenge, from the pool's Lambda.
        message: why the flow is here.
        reason: why the event that was sent changed nothing; None if it did.
        password_changed: whether the user has set a new password in this flow. Then the user's other
            sessions should end when this one begins.
        tokens: the tokens, if the driver has no session keeper, on the step that hands them over: the
            one that `SignIn.send` returns for the accepted answer. `SignIn.get` never returns them.
        session_id: the session keeper's ID of the session, on the steps that hand it over: those that
            `SignIn.send` returns for the accepted answer, sent the first time or again. `SignIn.get`
            never returns it, so a caller who only knows the flow ID receives no session. It may
            open the session, so neither repr nor JSON has it.
        session_mark: `mark_of` the ID of the flow's session, on every step from then on.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    flow_id: str = ModelField(repr=False)
    version: int
    state: AnyState
    username: str = ModelField(default="", repr=False)
    title: str = ""
    title_code: str = ModelField(default="", exclude=True)
    actions: tuple[Action, ...] = ()
    delivery: Delivery | None = None
    challenge: str | None = None
    challenge_id: int | None = None
    attempts_left: int | None = None
    expires_at: datetime | None = None
    new_code_at: datetime | None = None
    new_codes_left: int | None = None
    passkey_options: str | None = None
    passkey_creation: str | None = None
    authorize_url: str | None = ModelField(default=None, repr=False)
    totp: TotpSecret | None = None
    parameters: dict[str, str] | None = None
    message: Message | None = None
    reason: Message | None = None
    password_changed: bool = False
    tokens: Tokens | None = ModelField(default=None, repr=False, exclude=True)
    session_id: str | None = ModelField(default=None, repr=False, exclude=True)
    session_mark: str | None = ModelField(default=None, repr=False, exclude=True)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def events(self) -> tuple[str, ...]:
        return tuple(action.event for action in self.actions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def fields(self) -> tuple[FormField, ...]:
        return self.actions[0].fields if self.actions else ()

    @property
    def ref(self) -> StepRef:
        """The step's identity, for a user interface that does not keep the step."""
        return StepRef(self.flow_id, self.version)

    def translated(self, translate: Callable[..., str]) -> Step:
        """Return the step with all its texts in another language.

        Args:
            translate: returns the text of a code of `oncegate.messages.TEXTS`, with the values of its
                placeholders: ``translate("rule.length", count=8)``.
        """

        def labelled(part: Any, values: Mapping[str, str] = _NO_VALUES, **more: Any) -> Any:
            label = translate(part.label_code, **values) if part.label_code else part.label
            hint = translate(part.hint_code) if part.hint_code else part.hint
            return _changed(part, label=label, hint=hint, **more)

        def ruled(rule: PasswordRule) -> PasswordRule:
            return _changed(rule, label=translate(rule.label_code, **rule.values))

        def told(message: Message | None) -> Message | None:
            if message is None:
                return None
            return _changed(message, text=translate(f"message.{message.code}"))

        actions = tuple(
            labelled(
                action,
                summary=translate(action.summary_code) if action.summary_code else "",
                title=translate(action.title_code) if action.title_code else "",
                fields=tuple(
                    labelled(
                        field,
                        choices=tuple(labelled(one, one.values) for one in field.choices),
                        rules=tuple(map(ruled, field.rules)),
                    )
                    for field in action.fields
                ),
            )
            for action in self.actions
        )
        return _changed(
            self,
            title=translate(self.title_code),
            actions=actions,
            message=told(self.message),
            reason=told(self.reason),
        )


def _changed(model: _Model, **values: Any) -> _Model:
    """Return a copy with other values, or the model itself if it has these already, as in English."""
    for name, value in values.items():
        # Tuples are equal at once if they have the same models.
        if getattr(model, name) != value:
            return model.model_copy(update=values)
    return model


def message(code: str, detail: str = "", field: str | None = None) -> Message:
    """Return the message of a code, in English."""
    return Message(code=code, text=TEXTS[f"message.{code}"], detail=detail, field=field)


def step_of(
    flow_id: str,
    flow: Flow,
    *,
    reason: str | None = None,
    tokens: Tokens | None = None,
    hands_over: bool = False,
    password_policy: PasswordPolicy | None = None,
    ways_in: WaysIn = _WAYS_IN,
) -> Step:
    """Return the step of a flow.

    Args:
        flow_id: the caller's ID of it.
        flow: the stored flow.
        reason: why the event that was sent changed nothing.
        tokens: tokens to hand over, just after Cognito issued them.
        hands_over: whether the event that was sent carried the accepted answer, so that the step has
            the session's ID.
        password_policy: the policy whose rules are shown for a new password.
        ways_in: what the first step offers beside the sign-in.
    """
    challenge = flow.challenge
    is_missed = flow.state is FlowState.AUTHENTICATED and bool(flow.session_id) and not hands_over
    repeatable = _repeatable(flow) if is_missed else None
    if is_missed:
        code = "confirm_answer" if repeatable else "not_confirmed"
        flow = flow.model_copy(update={"message": code})
    title_code = _title_code(flow)
    actions = _actions(flow, ways_in, _rules(password_policy), repeatable)
    new_code = next((one for one in actions if one.event == "request_new_code"), None)
    if reason and challenge is not None:
        reason = challenge.messages.get(reason, reason)
    return Step(
        flow_id=flow_id,
        version=flow.version,
        state=flow.state,
        username=flow.username,
        title=TEXTS[title_code],
        title_code=title_code,
        actions=actions,
        delivery=challenge.delivery if challenge else None,
        challenge=str(challenge.kind) if challenge else None,
        challenge_id=flow.challenge_id if challenge else None,
        attempts_left=_attempts_left(flow, repeatable),
        expires_at=_time(flow.challenge_ends) if flow.challenge_ends else None,
        new_code_at=_time(flow.new_code_at or flow.saved_at) if new_code else None,
        new_codes_left=flow.new_codes_left if new_code else None,
        passkey_options=challenge.options if isinstance(challenge, PasskeyChallenge) else None,
        passkey_creation=challenge.options if isinstance(challenge, PasskeyRegistration) else None,
        authorize_url=challenge.url if isinstance(challenge, ProviderChallenge) else None,
        totp=_totp(challenge) if isinstance(challenge, _WITH_TOTP) else None,
        parameters=challenge.parameters if isinstance(challenge, CustomChallenge) else None,
        message=_message_of(flow, actions),
        reason=message(reason, field=_field_of(reason, flow, actions)) if reason else None,
        password_changed=flow.password_changed,
        tokens=tokens,
        session_id=flow.session_id if hands_over else None,
        session_mark=mark_of(flow.session_id) if flow.session_id else None,
    )


def mark_of(session_id: str) -> str:
    """Return what tells one session from another and opens none: a digest of its ID."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def signed_in_step() -> Step:
    """Return a step for a user who is signed in and has no flow: there is nothing to do."""
    title_code = f"title.{FlowState.AUTHENTICATED}"
    return Step(
        flow_id="",
        version=0,
        state=FlowState.AUTHENTICATED,
        title=TEXTS[title_code],
        title_code=title_code,
    )


def _repeatable(flow: Flow) -> type[Event] | None:
    """The event whose answer receives the session, if the user can give that answer again."""
    if not (flow.accepted_digest and flow.handovers_left):
        return None
    kinds = (kind for kind in EVENT_TYPES if kind.machine_event == flow.accepted_event)
    return next((kind for kind in kinds if kind.can_be_repeated), None)


def _attempts_left(flow: Flow, repeatable: type[Event] | None) -> int | None:
    if repeatable:
        return flow.handovers_left
    return flow.attempts_left if flow.challenge and flow.challenge.takes_code else None


def _message_of(flow: Flow, actions: tuple[Action, ...]) -> Message | None:
    # A worker of a later release may have stored a code that this one does not know.
    known = flow.message is not None and f"message.{flow.message}" in TEXTS
    if not known or not flow.message:
        return None
    return message(flow.message, flow.detail, _field_of(flow.message, flow, actions))


_PASSWORDS: Final = ("new_password", "password")
_FIELDS: Final = {
    "password_missing": ("password",),
    "username_taken": ("username",),
    "wrong_code": ("code",),
    "recovery_refused": ("code",),
    "already_tried": ("code",),
    "wrong_password": ("password",),
    "address_refused": ("address",),
    "answer_already_tried": ("answer",),
    "code_already_used": ("code",),
    "code_used": ("code",),
    "new_password_refused": _PASSWORDS,
    "new_password_spaces": _PASSWORDS,
    "password_too_short": _PASSWORDS,
    "password_needs_number": _PASSWORDS,
    "password_needs_symbol": _PASSWORDS,
    "password_needs_uppercase": _PASSWORDS,
    "password_needs_lowercase": _PASSWORDS,
    "password_used_before": _PASSWORDS,
    "phone_number_refused": ("attributes.phone_number", "username", "address"),
    "email_refused": ("attributes.email", "email", "username", "address"),
    "address_taken": ("attributes.email", "attributes.phone_number", "email", "address"),
}


def _field_of(code: str, flow: Flow, actions: tuple[Action, ...]) -> str | None:
    """The field of the main action that a message is about."""
    names = (f"attributes.{flow.detail}",) if code == "attribute_refused" else _FIELDS.get(code, ())
    fields = {field.name for field in actions[0].fields} if actions else set()
    found = [name for name in names if name in fields]
    # An address that another account uses can be either of them.
    is_unclear = code == "address_taken" and len(found) > 1
    return found[0] if found and not is_unclear else None


def _title_code(flow: Flow) -> str:
    """The most specific title that there is: by message, by challenge, or by state."""
    if flow.is_in_flight:
        return "title.waiting"
    state = f"title.{flow.state}"
    by_challenge = f"{state}.{flow.challenge.kind}" if flow.challenge else ""
    return next(code for code in (f"{state}.{flow.message}", by_challenge, state) if code in TEXTS)


def _actions(
    flow: Flow,
    ways_in: WaysIn,
    rules: tuple[PasswordRule, ...],
    repeatable: type[Event] | None,
) -> tuple[Action, ...]:
    allowed = (
        {repeatable.machine_event: flow.state} if repeatable else allowed_events(flow, ways_in)
    )
    return tuple(
        _action(_KINDS[event], flow, target, ways_in, rules, is_main=number == 0)
        for number, (event, target) in enumerate(allowed.items())
    )


_KINDS: Final[Mapping[str, type[AnyEvent]]] = {
    kind.machine_event: kind for kind in (*EVENT_TYPES, *ACCOUNT_EVENT_TYPES)
}


def _action(
    kind: type[AnyEvent],
    flow: Flow,
    target: AnyState,
    ways_in: WaysIn,
    rules: tuple[PasswordRule, ...],
    *,
    is_main: bool,
) -> Action:
    label_code, hint_code = kind.label_code(flow), kind.hint_code(target)
    return Action(
        event=kind.machine_event,
        label=TEXTS[label_code],
        label_code=label_code,
        hint=TEXTS[hint_code] if hint_code else "",
        hint_code=hint_code,
        fields=tuple(_with_rules(field, rules) for field in kind.fields(flow, ways_in)),
        is_main=is_main,
        ends_flow=kind.ends_flow,
        beside=kind.beside,
        summary=TEXTS[kind.summary_code] if kind.summary_code else "",
        summary_code=kind.summary_code,
        title=TEXTS[kind.title_code] if kind.title_code else "",
        title_code=kind.title_code,
        available_at=_available_at(kind.machine_event, flow),
    )


def _with_rules(field: FormField, rules: tuple[PasswordRule, ...]) -> FormField:
    is_new_password = field.autocomplete == "new-password"
    return field.model_copy(update={"rules": rules}) if is_new_password and rules else field


def _rules(policy: PasswordPolicy | None) -> tuple[PasswordRule, ...]:
    return policy.rules if policy else ()


def _available_at(event: str, flow: Flow) -> datetime | None:
    waits = event == "request_new_code" and flow.new_code_at is not None
    return _time(flow.new_code_at) if waits and flow.new_code_at else None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_WITH_TOTP: Final = (TotpSetup, AuthenticatorSetup)


def _totp(challenge: TotpSetup | AuthenticatorSetup) -> TotpSecret:
    return TotpSecret(
        secret=challenge.secret.get_secret_value(), uri=challenge.uri.get_secret_value()
    )
