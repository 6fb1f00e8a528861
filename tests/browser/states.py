"""Every page that there is, drawn from flows that the machine brings to the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.doubles import a_text, code, password
from tests.flows import (
    ACCOUNT_FLOWS,
    AT_REST,
    CHOICE,
    FIRST,
    FLOWS,
    IN_FLIGHT_FLOWS,
    NEW_PASSWORD_EVENT,
    NOW,
    SETUP,
    UNKNOWN,
    asks,
    change,
    rejected,
    walk,
)

from oncegate import (
    ChooseFactor,
    Factor,
    FlowState,
    PasswordPolicy,
    Provider,
    RequestNewCode,
    SignUpForm,
    Step,
    SubmitAnswer,
    SubmitAuthorization,
    WaysIn,
)
from oncegate.account import (
    AccountOverview,
    AddAuthenticator,
    AddPasskey,
    ListedDevice,
    ListedPasskey,
)
from oncegate.adapters import (
    AuthenticatorSetup,
    ChallengeIssued,
    Confirmed,
    CustomChallenge,
    Delivery,
    NewPasswordChallenge,
    NotSent,
    OutcomeUnknown,
    PasskeyChallenge,
    PasskeyRegistration,
    PasswordChallenge,
    Rejected,
    RejectionReason,
    TotpSetup,
)
from oncegate.record import Flow
from oncegate.step import step_of
from oncegate_web._account_pages import AccountPages
from oncegate_web._session_list import ListedSession
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
DEFAULT = WaysIn()
WAYS_IN = WaysIn(
    sign_up=SignUpForm(attributes=("given_name", "phone_number")),
    providers=(Provider(name="Google"), Provider(name="SignInWithApple")),
)
PASSKEY = WAYS_IN.model_copy(update={"passkey": True})
DENIED = SubmitAuthorization(state="s", error="access_denied")
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
    """A flow with what is said beside it, the action whose own page is shown, and the settings."""

    flow: Flow
    notice: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    waited: int = 0
    own: str = ""
    ways_in: WaysIn = DEFAULT


def _with_delivery(outcome: ChallengeIssued) -> ChallengeIssued:
    return ChallengeIssued(challenge=outcome.challenge.model_copy(update={"delivery": MAIL}))


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
    "reset-password": Shown(FLOWS["reset before a code was sent"]),
    "reset-password-sent": Shown(_sent(FlowState.AWAITING_RESET)),
    "ways-in": Shown(Flow(), ways_in=WAYS_IN),
    "ways-in-name-first": Shown(Flow(is_passwordless=True), ways_in=PASSKEY),
    "forgot-password": Shown(Flow(), own="forgot_password"),
    "forgot-password-refused": Shown(
        Flow(username="ana@example.com"), own="forgot_password", notice="too_many_codes"
    ),
    "sign-up": Shown(Flow(), own="sign_up", ways_in=WAYS_IN),
    "sign-up-nothing-typed": Shown(
        Flow(),
        own="sign_up",
        ways_in=WAYS_IN,
        problems=(("username", "missing"), ("password", "missing")),
    ),
    "sign-up-taken": Shown(
        AT_REST[FlowState.SIGNING_UP].model_copy(update={"message": "username_taken"}),
        ways_in=WAYS_IN,
    ),
    "at-provider": Shown(AT_REST[FlowState.AWAITING_PROVIDER], ways_in=WAYS_IN),
    "provider-denied": Shown(
        walk(DENIED, flow=AT_REST[FlowState.AWAITING_PROVIDER]), ways_in=WAYS_IN
    ),
    "other-factor": Shown(FLOWS["second factor with another way"]),
    "other-factor-password": Shown(
        walk(ChooseFactor(factor=Factor.TOTP), flow=FLOWS["second factor with another way"])
    ),
    "remember-device": Shown(AT_REST[FlowState.OFFERING_DEVICE]),
    "waiting": Shown(IN_FLIGHT_FLOWS[FlowState.CHECKING_ANSWER]),
    "waiting-long": Shown(IN_FLIGHT_FLOWS[FlowState.CHECKING_ANSWER], waited=12),
    "failed": Shown(_after(UNKNOWN)),
    "too-many-wrong-codes": Shown(_after(TEXT, *[code(), WRONG] * 5)),
}
"""Each page of a step, by the name of its picture."""

OTHERS: dict[str, Callable[[PageBuilder], Page]] = {
    "elsewhere": lambda builder: builder.elsewhere("/auth/?waited=0"),
    "signed-in": lambda builder: builder.signed_in("ana@example.com", "/orders"),
    "not-found": lambda builder: builder.error("not_found"),
    "outage": lambda builder: builder.error("store_unavailable", link="/auth/"),
}
"""Pages without a step."""

NOTHING = AccountOverview(
    username="ana",
    addresses={"email": "ana@example.com"},
    verified=frozenset({"email"}),
    second_factors=(),
    preferred=None,
    passkeys=(),
    devices=(),
    has_password=True,
)
EVERYTHING = NOTHING._replace(
    addresses={"email": "ana@example.com", "phone_number": "+491512345678"},
    verified=frozenset({"email", "phone_number"}),
    second_factors=(Factor.TOTP, Factor.SMS),
    preferred=Factor.TOTP,
    passkeys=(
        ListedPasskey("key-1", "iCloud Keychain", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ListedPasskey("key-2", "", None),
    ),
    devices=(
        ListedDevice("device-1", "Firefox on Linux", datetime(2026, 3, 4, 18, 5, tzinfo=UTC)),
    ),
)
SESSIONS = [
    ListedSession(
        name=name, begun_at=NOW, seen_at=NOW - ago, ends_at=NOW + 9e5, address=address,
        browser=browser, platform=platform,
    )
    for name, ago, address, browser, platform in (
        ("own", 60.0, "203.0.113.7", "Firefox", "Linux"),
        ("phone", 7200.0, "2001:db8:85a3::8a2e:370:7334", "Safari", "iPhone"),
        ("unknown", 86400.0, "", "", ""),
    )
]  # fmt: skip
_PASSKEY_OPTIONS = '{"challenge": "AAAA", "pubKeyCredParams": []}'
_CONFIRMING_APP = change(AddAuthenticator(), asks(AuthenticatorSetup, secret=SECRET, uri=URI))
_CONFIRMING_ADDRESS = _waits(ACCOUNT_FLOWS["confirming_address"])
_REGISTERING = change(AddPasskey(), asks(PasskeyRegistration, options=_PASSKEY_OPTIONS))


def _step(flow: Flow = ACCOUNT_FLOWS["managing"]) -> Step:
    return step_of("0" * 32, flow, password_policy=PasswordPolicy())


def _account(has: AccountOverview, notice: str = "") -> Callable[[AccountPages], Page]:
    sessions = ("own", SESSIONS if has is EVERYTHING else SESSIONS[:1])
    return lambda pages: pages.account(
        _step(), has, sessions, name="ana@example.com", notice=notice
    )


def _change(event: str, **more: Any) -> Callable[[AccountPages], Page]:
    username = "ana@example.com" if event == "change_password" else ""
    return lambda pages: pages.change(_step(), event, username=username, **more)


def _setup(flow: Flow, notice: str = "") -> Callable[[AccountPages], Page]:
    return lambda pages: pages.setup(_step(flow), notice=notice)


ACCOUNT: dict[str, Callable[[AccountPages], Page]] = {
    "account": _account(EVERYTHING),
    "account-new": _account(NOTHING),
    "account-changed": _account(EVERYTHING, "factor_changed"),
    "account-authenticator": _change("add_authenticator"),
    "account-authenticator-code": _setup(_CONFIRMING_APP),
    "account-phone": _change("submit_address", attribute="phone_number", address="+491512345678"),
    "account-email-taken": _change(
        "submit_address", attribute="email", address="ana@example.com", notice="address_taken"
    ),
    "account-address-code": _setup(_CONFIRMING_ADDRESS),
    "account-passkey-name": _change("add_passkey"),
    "account-passkey": _setup(_REGISTERING),
    "account-password": _change("change_password"),
    "account-password-wrong": _change("change_password", notice="wrong_password"),
    "account-password-missing": _change(
        "change_password", problems={"password": "missing", "new_password": "missing"}
    ),
    "account-first-password": _change("change_password", has_password=False),
    "account-delete": _change("delete_account"),
    "account-offer": lambda pages: pages.offer(_step(ACCOUNT_FLOWS["offering_factor"])),
    "account-waiting": _setup(ACCOUNT_FLOWS["checking an address"]),
}
"""Pages of the account."""

NAMES = (*STATES, *OTHERS, *ACCOUNT)


def builder(
    language: str = "en",
    *,
    look: Look = LOOK,
    identifier: Identifier = "email",
    locales: tuple[Path, ...] = (),
    waited: int = 0,
    kind: type[PageBuilder] = PageBuilder,
    action: str = "/auth/",
) -> PageBuilder:
    """Return a builder of pages."""
    return kind(
        Translators(locales, identifier).best((language,)),
        action=action,
        prefix="/auth",
        hidden={"_token": "0" * 32},
        look=look,
        identifier=identifier,
        reference="Reference: 3f2a9c04d1e7",
        waited=waited,
        now=datetime.fromtimestamp(NOW, UTC),
    )


def template_of(page: Page) -> str:
    """Return the name of a page's template."""
    return "oncegate/account.html" if page.sections else "oncegate/page.html"


def page_of(name: str, language: str = "en", **more: Any) -> Page:
    """Return a page.

    Args:
        name: one of `NAMES`.
        language: BCP 47 tag.
        more: further arguments of `builder`.
    """
    if name in OTHERS:
        return OTHERS[name](builder(language, **more))
    if name in ACCOUNT:
        pages = builder(language, kind=AccountPages, action="/auth/account", **more)
        assert isinstance(pages, AccountPages)
        return ACCOUNT[name](pages)
    shown = STATES[name]
    flow = shown.flow
    if flow.username:
        flow = flow.model_copy(update={"username": "ana@example.com"})
    step = step_of("the flow", flow, password_policy=PasswordPolicy(), ways_in=shown.ways_in)
    made = builder(language, waited=shown.waited, **more)
    typed = {"username": "ana@example.com"} if flow.username else {}
    return made.step(
        step, own=shown.own, notice=shown.notice, typed=typed, problems=dict(shown.problems)
    )
