"""Every page that there is, drawn from flows that the machine brings to the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.doubles import a_text, code, password
from tests.flows import (
    AT_REST,
    CHOICE,
    FIRST,
    IN_FLIGHT_FLOWS,
    NEW_PASSWORD_EVENT,
    NOW,
    SETUP,
    UNKNOWN,
    asks,
    rejected,
    walk,
)

from oncegate import (
    Factor,
    FlowState,
    PasswordPolicy,
    RequestNewCode,
    SubmitAnswer,
)
from oncegate.adapters import (
    ChallengeIssued,
    Confirmed,
    CustomChallenge,
    Delivery,
    NewPasswordChallenge,
    NotSent,
    OutcomeUnknown,
    PasskeyChallenge,
    PasswordChallenge,
    Rejected,
    RejectionReason,
    TotpSetup,
)
from oncegate.record import Flow
from oncegate.step import step_of
from oncegate_web._translations import Identifier, Translators
from oncegate_web.pages import Brand, Link, Look, Page, PageBuilder

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSW"
"""As long as those of Cognito: 52 characters."""

URI = f"otpauth://totp/Corner%20Shop:ana@example.com?secret={SECRET}&issuer=Corner%20Shop"
LOOK = Look(
    brand=Brand(name="Corner Shop", home="/"),
    links=(Link("Help", "/help"), Link("Privacy", "/privacy")),
)
MAIL = Delivery(medium="EMAIL", destination="a***@e***")
WRONG = rejected(RejectionReason.WRONG_CODE)
TEXT = a_text()
FIRST_FACTORS = (Factor.PASSWORD, Factor.PASSKEY, Factor.SMS_OTP)
ATTRIBUTES = ("email", "given_name", "birthdate", "phone_number", "custom:shirt_size")


def _after(*triggers: Any) -> Flow:
    return walk(password(), *triggers)


def _refused(message: str) -> Rejected:
    return Rejected(reason=RejectionReason.NEW_PASSWORD_REFUSED, message=message)


def _waits(flow: Flow) -> Flow:
    """Return the flow half a minute before the next code can be requested."""
    return flow.model_copy(update={"new_code_at": NOW + 30})


@dataclass(frozen=True)
class Shown:
    """A flow with what is said beside it."""

    flow: Flow
    notice: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    waited: int = 0


def _sent(state: FlowState) -> Flow:
    """Return a flow whose recovery code was sent."""
    challenge = AT_REST[state].challenge
    assert challenge is not None
    return _waits(walk(RequestNewCode(), ChallengeIssued(challenge=challenge), flow=AT_REST[state]))


STATES: dict[str, Shown] = {
    "sign-in": Shown(Flow()),
    "wrong-password": Shown(AT_REST[FlowState.IDLE]),
    "nothing-typed": Shown(Flow(), problems=(("username", "missing"), ("password", "missing"))),
    "name-first": Shown(Flow(is_passwordless=True)),
    "timed-out": Shown(Flow(username="ana@example.com"), notice="flow_expired"),
    "unreachable": Shown(_after(NotSent(cause="unreachable"))),
    "unknown-outcome": Shown(_after(OutcomeUnknown())),
    "new-code-password": Shown(_after(TEXT, RequestNewCode())),
    "code": Shown(_waits(_after(TEXT))),
    "code-later": Shown(_after(TEXT)),
    "code-email": Shown(_after(a_text(kind="EMAIL_OTP", delivery=MAIL))),
    "code-app": Shown(_after(a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None))),
    "code-other-way": Shown(
        _after(a_text(available=(Factor.EMAIL, Factor.PASSKEY), is_first_factor=True))
    ),
    "wrong-code": Shown(_after(TEXT, code(), WRONG)),
    "mistyped-code": Shown(_after(TEXT), problems=(("code", "value_error"),)),
    "last-try": Shown(_after(TEXT, *[code(), WRONG] * 4)),
    "too-soon": Shown(_waits(_after(TEXT)), notice="too_soon"),
    "choice": Shown(_after(CHOICE)),
    "choice-setup": Shown(_after(SETUP)),
    "first-factor": Shown(
        _after(asks(type(FIRST.challenge), kind="SELECT_CHALLENGE", factors=FIRST_FACTORS))
    ),
    "password": Shown(_after(asks(PasswordChallenge))),
    "authenticator": Shown(_after(asks(TotpSetup, secret=SECRET, uri=URI))),
    "email-setup": Shown(AT_REST[FlowState.SETTING_UP_EMAIL]),
    "new-password": Shown(_after(asks(NewPasswordChallenge))),
    "new-password-attributes": Shown(
        _after(asks(NewPasswordChallenge, required_attributes=ATTRIBUTES))
    ),
    "refused-new-password": Shown(
        _after(asks(NewPasswordChallenge), NEW_PASSWORD_EVENT, _refused("password_too_short"))
    ),
    "passkey": Shown(_after(asks(PasskeyChallenge, options='{"challenge": "AAAA"}'))),
    "question": Shown(_after(asks(CustomChallenge, parameters={"question": "Which bird?"}))),
    "wrong-answer": Shown(
        _after(
            asks(CustomChallenge, parameters={"question": "Which bird?", "hint": "It is blue."}),
            SubmitAnswer(answer="robin"),
            WRONG,
        )
    ),
    "confirm-sign-up": Shown(AT_REST[FlowState.AWAITING_CONFIRMATION]),
    "confirmed": Shown(walk(code(), Confirmed(), flow=AT_REST[FlowState.AWAITING_CONFIRMATION])),
    "confirm-sign-up-sent": Shown(_sent(FlowState.AWAITING_CONFIRMATION)),
    "reset-password": Shown(AT_REST[FlowState.AWAITING_RESET]),
    "reset-password-sent": Shown(_sent(FlowState.AWAITING_RESET)),
    "remember-device": Shown(AT_REST[FlowState.OFFERING_DEVICE]),
    "waiting": Shown(IN_FLIGHT_FLOWS[FlowState.CHECKING_ANSWER]),
    "waiting-long": Shown(IN_FLIGHT_FLOWS[FlowState.CHECKING_ANSWER], waited=12),
    "failed": Shown(_after(UNKNOWN)),
    "too-many-wrong-codes": Shown(_after(TEXT, *[code(), WRONG] * 5)),
}
"""Each page of a step, by the name of its picture."""

OTHERS: dict[str, Callable[[PageBuilder], Page]] = {
    "signed-in": lambda builder: builder.signed_in("ana@example.com", "/orders"),
    "not-found": lambda builder: builder.error("not_found"),
    "outage": lambda builder: builder.error("store_unavailable", link="/auth/"),
}
"""Pages without a step."""

NAMES = (*STATES, *OTHERS)


def builder(
    language: str = "en",
    *,
    look: Look = LOOK,
    identifier: Identifier = "email",
    locales: tuple[Path, ...] = (),
    waited: int = 0,
) -> PageBuilder:
    """Return a builder of pages."""
    return PageBuilder(
        Translators(locales, identifier).best((language,)),
        action="/auth/",
        prefix="/auth",
        hidden={"_token": "0" * 32},
        look=look,
        identifier=identifier,
        reference="Reference: 3f2a9c04d1e7",
        waited=waited,
        now=datetime.fromtimestamp(NOW, UTC),
    )


def page_of(name: str, language: str = "en", **more: Any) -> Page:
    """Return a page.

    Args:
        name: one of `NAMES`.
        language: BCP 47 tag.
        more: further arguments of `builder`.
    """
    if name in OTHERS:
        return OTHERS[name](builder(language, **more))
    shown = STATES[name]
    flow = shown.flow
    if flow.username:
        flow = flow.model_copy(update={"username": "ana@example.com"})
    step = step_of("the flow", flow, password_policy=PasswordPolicy())
    made = builder(language, waited=shown.waited, **more)
    typed = {"username": "ana@example.com"} if flow.username else {}
    return made.step(step, notice=shown.notice, typed=typed, problems=dict(shown.problems))
