"""Flows in every state, brought there by the machine, and every trigger, for tests of the machine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, SecretStr
from statemachine.factory import StateMachineMetaclass
from tests.doubles import a_text, code, password, the_tokens

from oncegate import (
    Cancel,
    ChooseFactor,
    ConfirmAccount,
    Factor,
    FlowState,
    ForgotPassword,
    Provider,
    RememberDevice,
    RequestNewCode,
    ResetPassword,
    SignInWith,
    SignUp,
    SignUpForm,
    SubmitAnswer,
    SubmitAuthorization,
    SubmitEmail,
    SubmitNewPassword,
    SubmitPasskey,
    SubmitUsername,
    WaysIn,
)
from oncegate.adapters import (
    SECOND_FACTORS,
    ChallengeIssued,
    Confirmed,
    CustomChallenge,
    Device,
    DeviceChallenge,
    DeviceOffer,
    DeviceRegistered,
    DeviceRemembered,
    FactorChoice,
    NewDevice,
    NewPasswordChallenge,
    NotSent,
    Outcome,
    OutcomeUnknown,
    PasskeyChallenge,
    PasswordChallenge,
    PasswordReset,
    ProviderChallenge,
    Rejected,
    RejectionReason,
    SignUpConfirmation,
    TotpSetup,
    UnknownChallenge,
)
from oncegate.challenges import (
    AddAuthenticator,
    AddPasskey,
    AddressVerification,
    AnyEvent,
    AuthenticatorSetup,
    ChangePassword,
    DeleteAccount,
    Delivery,
    FactorOffer,
    ForgetDevice,
    OfferFactor,
    PasskeyRegistration,
    RemovePasskey,
    SignOutEverywhere,
    SubmitAddress,
    UseFactor,
)
from oncegate.machine.account import AccountMachine
from oncegate.machine.advance import advance
from oncegate.machine.chart import SignInMachine
from oncegate.machine.context import TIME_PASSED, GuardInputs, Policy
from oncegate.machine.engine import CompiledChart
from oncegate.record import Flow
from oncegate.states import AccountState

NOW = 1000.0
LEASE = 40.0
WAYS_IN = WaysIn(sign_up=SignUpForm(attributes=("email",)), providers=(Provider(name="Google"),))
POLICY = Policy(lease=LEASE, ways_in=WAYS_IN)
EMPTY = GuardInputs()
COMMON = {"session": "s" * 40, "username": "u"}
CHOICE = ChallengeIssued(
    challenge=FactorChoice.model_validate({**COMMON, "factors": list(SECOND_FACTORS)})
)
NEW_PASSWORD = ChallengeIssued(challenge=NewPasswordChallenge.model_validate(COMMON))
UNKNOWN = ChallengeIssued(
    challenge=UnknownChallenge.model_validate({**COMMON, "name": "MAGIC_LINK"})
)
NEW_PASSWORD_EVENT = SubmitNewPassword.model_validate({"new_password": "Better-horse-2"})


def walk(
    *triggers: AnyEvent | Outcome, flow: Flow | None = None, inputs: GuardInputs = EMPTY
) -> Flow:
    """Return a flow after triggers, one after another.

    Args:
        triggers: events and outcomes; each event answers the current step.
        flow: flow to start from. None: a new one.
        inputs: what the worker holds in memory.
    """
    flow = flow or Flow()
    for index, trigger in enumerate(triggers):
        flow = advance(
            flow, trigger, now=NOW, policy=POLICY, inputs=inputs, digest=f"digest {index}"
        )
    return flow


def rejected(reason: RejectionReason) -> Rejected:
    """Return a rejection with a detail."""
    return Rejected(reason=reason, detail="Cognito's words")


def asks(model: type[BaseModel], **more: object) -> ChallengeIssued:
    """Return the outcome that brings a challenge of this model."""
    return ChallengeIssued.model_validate({"challenge": model.model_validate({**COMMON, **more})})


GUARDS = frozenset(
    name
    for state in SignInMachine.states
    for transition in state.transitions
    for guard in transition.cond
    for name in str(guard).split(" and ")
)
"""Every guard on any transition, by name."""

FIRST = asks(FactorChoice, kind="SELECT_CHALLENGE", factors=[Factor.EMAIL, Factor.PASSWORD])
SETUP = asks(FactorChoice, kind="MFA_SETUP", factors=[Factor.TOTP, Factor.EMAIL])
TOTP_SETUP = asks(TotpSetup, secret="ABC", uri="otpauth://totp/x")
DEVICE = asks(DeviceChallenge)
KEY = "us-east-1_device"
A_DEVICE = Device(username="u", key=KEY, group_key="g", password=SecretStr("p"))
REGISTERED = DeviceRegistered(device=A_DEVICE, ask_user=True)
INPUTS = GuardInputs(device_key=KEY, has_vault=True, tokens=the_tokens().tokens)
NEW_DEVICE = the_tokens().model_copy(update={"new_device": NewDevice(key=KEY, group_key="g")})
REGISTERING = walk(password(), NEW_DEVICE, inputs=INPUTS)

RESET = ChallengeIssued(challenge=PasswordReset(username="ana"))
SIGN_UP = SignUp(
    username="ana", password="Correct-horse-1", attributes={"email": "ana@example.com"}
)
CONFIRMATION = ChallengeIssued(
    challenge=SignUpConfirmation(username="ana", session=SecretStr("session of the sign-up"))
)
PROVIDER = asks(
    ProviderChallenge, provider="Google", url="https://a.test/", state="s", verifier="v", nonce="n"
)
AUTHORIZATION = SubmitAuthorization(state="s", code="authorization code")
OTHERS: dict[str, Any] = {"available": (Factor.SMS_OTP, Factor.PASSWORD)}

AT_REST = {
    FlowState.IDLE: walk(password(), rejected(RejectionReason.WRONG_CREDENTIALS)),
    FlowState.PASSWORD_VERIFIED: walk(password(), CHOICE),
    FlowState.CHOOSING_FIRST_FACTOR: walk(password(), FIRST),
    FlowState.AWAITING_PASSWORD: walk(password(), FIRST, ChooseFactor(factor=Factor.PASSWORD)),
    FlowState.AWAITING_MFA: walk(password(), a_text()),
    FlowState.SETTING_UP_TOTP: walk(password(), TOTP_SETUP),
    FlowState.SETTING_UP_EMAIL: walk(password(), SETUP, ChooseFactor(factor=Factor.EMAIL)),
    FlowState.AWAITING_PASSKEY: walk(password(), asks(PasskeyChallenge, options="{}")),
    FlowState.AWAITING_ANSWER: walk(password(), asks(CustomChallenge)),
    FlowState.AWAITING_CONFIRMATION: walk(
        password(), rejected(RejectionReason.SIGN_UP_NOT_CONFIRMED), ConfirmAccount()
    ),
    FlowState.AWAITING_NEW_PASSWORD: walk(password(), NEW_PASSWORD),
    FlowState.AWAITING_RESET: walk(ForgotPassword(username="ana"), RESET),
    FlowState.SIGNING_UP: walk(SIGN_UP, rejected(RejectionReason.INPUT_REFUSED)),
    FlowState.AWAITING_PROVIDER: walk(SignInWith(provider="Google"), PROVIDER),
    FlowState.OFFERING_DEVICE: walk(REGISTERED, flow=REGISTERING, inputs=INPUTS),
}
IN_FLIGHT_FLOWS = {
    FlowState.CHECKING_PASSWORD: walk(password()),
    FlowState.REQUESTING_CHALLENGE: walk(password(), CHOICE, ChooseFactor(factor=Factor.SMS)),
    FlowState.CHECKING_ANSWER: walk(password(), a_text(), code()),
    FlowState.SETTING_PASSWORD: walk(password(), NEW_PASSWORD, NEW_PASSWORD_EVENT),
    FlowState.CREATING_ACCOUNT: walk(SIGN_UP),
    FlowState.EXCHANGING_CODE: walk(AUTHORIZATION, flow=AT_REST[FlowState.AWAITING_PROVIDER]),
}
DEVICE_FLOWS = {
    FlowState.CHECKING_DEVICE: walk(password(), DEVICE, inputs=INPUTS),
    FlowState.REGISTERING_DEVICE: REGISTERING,
    FlowState.REMEMBERING_DEVICE: walk(
        RememberDevice(), flow=AT_REST[FlowState.OFFERING_DEVICE], inputs=INPUTS
    ),
}


FLOWS: dict[str, Flow] = {
    **{state.value: flow for state, flow in {**AT_REST, **IN_FLIGHT_FLOWS, **DEVICE_FLOWS}.items()},
    "idle": Flow(),
    "rejected sign-in": AT_REST[FlowState.IDLE],
    "second factor with another way": walk(
        password(), CHOICE, ChooseFactor(factor=Factor.SMS), a_text()
    ),
    "choosing what to set up": walk(password(), SETUP),
    "code as first factor": walk(password(), a_text(is_first_factor=True)),
    "code from an app": walk(password(), a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None)),
    "app as first factor": walk(
        password(), a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None, is_first_factor=True)
    ),
    "code with another way": walk(
        password(), a_text(kind=Factor.EMAIL, is_first_factor=True, **OTHERS)
    ),
    "passkey with another way": walk(password(), asks(PasskeyChallenge, options="{}", **OTHERS)),
    "password with another way": walk(password(), asks(PasswordChallenge, **OTHERS)),
    "requesting an email": walk(
        SubmitEmail(email="ana@example.com"), flow=AT_REST[FlowState.SETTING_UP_EMAIL]
    ),
    "remembering unasked": walk(
        REGISTERED,
        flow=REGISTERING.model_copy(update={"remember_device": True}),
        inputs=INPUTS,
    ),
    "sending a recovery code": walk(RequestNewCode(), flow=AT_REST[FlowState.AWAITING_RESET]),
    "reset before a code was sent": walk(
        ForgotPassword(username="ana"), NotSent(cause="throttled")
    ),
    "new account": walk(SIGN_UP, CONFIRMATION),
    "asking a provider": walk(SignInWith(provider="Google")),
    "checking a recovery code": walk(code(), flow=AT_REST[FlowState.AWAITING_CONFIRMATION]),
    "resetting": walk(
        ResetPassword(code="123456", new_password="Better-horse-2"),
        flow=AT_REST[FlowState.AWAITING_RESET],
    ),
}
TRIGGERS: dict[str, Any] = {
    "submit_username": SubmitUsername(username="ana"),
    "submit_password": password(),
    "password alone": password().model_copy(update={"username": None}),
    "choose password": ChooseFactor(factor=Factor.PASSWORD),
    "choose email": ChooseFactor(factor=Factor.EMAIL),
    "choose totp": ChooseFactor(factor=Factor.TOTP),
    "choose text": ChooseFactor(factor=Factor.SMS_OTP),
    "choose passkey": ChooseFactor(factor=Factor.PASSKEY),
    "submit_email": SubmitEmail(email="ana@example.com"),
    "submit_code": code(),
    "submit_passkey": SubmitPasskey(credential={}),
    "submit_answer": SubmitAnswer(answer="42"),
    "submit_new_password": SubmitNewPassword(new_password="Better-horse-2"),
    "reset_password": ResetPassword(code="123456", new_password="Better-horse-2"),
    "remember": RememberDevice(),
    "do not remember": RememberDevice(remember=False),
    "request_new_code": RequestNewCode(),
    "forgot_password": ForgotPassword(username="ana"),
    "forgot alone": ForgotPassword(),
    "sign_up": SIGN_UP,
    "sign_up without a password": SIGN_UP.model_copy(update={"password": None}),
    "sign_up without an address": SIGN_UP.model_copy(update={"attributes": {"email": " "}}),
    "sign_in_with": SignInWith(provider="Google"),
    "sign in with another": SignInWith(provider="Facebook"),
    "submit_authorization": AUTHORIZATION,
    "authorization of another": SubmitAuthorization(state="other", code="authorization code"),
    "authorization denied": SubmitAuthorization(state="s", error="access_denied"),
    "authorization failed": SubmitAuthorization(state="s", error="invalid_request"),
    "denied of another": SubmitAuthorization(state="other", error="access_denied"),
    "choose sms": ChooseFactor(factor=Factor.SMS),
    "confirm_account": ConfirmAccount(),
    "cancel": Cancel(),
    "code is asked": a_text(),
    "a choice is asked": CHOICE,
    "first factor is asked": FIRST,
    "set-up is asked": SETUP,
    "totp set-up is asked": TOTP_SETUP,
    "new password is asked": NEW_PASSWORD,
    "password is asked": asks(PasswordChallenge),
    "passkey is asked": asks(PasskeyChallenge, options="{}"),
    "reset is asked": RESET,
    "confirmation is asked": CONFIRMATION,
    "provider is asked": PROVIDER,
    "answer is asked": asks(CustomChallenge),
    "device is asked": DEVICE,
    "unknown is asked": UNKNOWN,
    "offer is asked": asks(DeviceOffer, device_key=KEY, access_token="a"),
    "tokens": the_tokens(),
    "tokens for a new device": NEW_DEVICE,
    "confirmed": Confirmed(),
    "registered, asks": REGISTERED,
    "registered": REGISTERED.model_copy(update={"ask_user": False}),
    "remembered": DeviceRemembered(),
    "not_sent": NotSent(cause="throttled"),
    "unknown": OutcomeUnknown(),
    "time_passed": TIME_PASSED,
    **{reason.value: Rejected(reason=reason) for reason in RejectionReason},
}
"""Every event of a user, every outcome, and time, by the names that tests use."""


# ── the account of a signed-in user ──

OWNER = "7d4c2a0e-sub"
OWN_INPUTS = GuardInputs(owner=OWNER, sign_in_is_recent=True, offer_is_due=True)
NEW_ADDRESS = SubmitAddress(attribute="email", address="new@example.com")
APP_SETUP = asks(AuthenticatorSetup, secret="ABC", uri="otpauth://totp/x")
PASSKEY_SETUP = asks(PasskeyRegistration, options="{}")
OFFER = asks(FactorOffer, factors=("authenticator", "passkey"))
ADDRESS_CODE = asks(
    AddressVerification,
    attribute="email",
    address="new@example.com",
    delivery=Delivery(medium="EMAIL", destination="n***@e***"),
)
MANAGING = Flow(state=AccountState.MANAGING, owner=OWNER, own_name="u")


def change(*triggers: Any, flow: Flow = MANAGING) -> Flow:
    """Return the flow of an account after events of its owner, and outcomes."""
    return walk(*triggers, flow=flow, inputs=OWN_INPUTS)


CONFIRMING = {
    "confirming_authenticator": change(AddAuthenticator(), APP_SETUP),
    "confirming_address": change(NEW_ADDRESS, ADDRESS_CODE),
    "registering_passkey": change(AddPasskey(), PASSKEY_SETUP),
}
ACCOUNT_FLOWS: dict[str, Flow] = {
    "managing": MANAGING,
    **CONFIRMING,
    "offering_factor": change(OfferFactor(), OFFER),
    "finding factors": change(OfferFactor()),
    "requesting an app": change(AddAuthenticator()),
    "requesting an address": change(NEW_ADDRESS),
    "requesting another code": change(RequestNewCode(), flow=CONFIRMING["confirming_address"]),
    "requesting a passkey": change(AddPasskey()),
    "checking an app": change(code(), flow=CONFIRMING["confirming_authenticator"]),
    "checking an address": change(code(), flow=CONFIRMING["confirming_address"]),
    "checking a passkey": change(
        SubmitPasskey(credential={}), flow=CONFIRMING["registering_passkey"]
    ),
    "changing": change(UseFactor(factor=Factor.TOTP)),
    "closed": change(SignOutEverywhere(), rejected(RejectionReason.SIGNED_OUT)),
}
ACCOUNT_TRIGGERS: dict[str, Any] = {
    "submit_code": code(),
    "submit_passkey": SubmitPasskey(credential={}),
    "request_new_code": RequestNewCode(),
    "add_authenticator": AddAuthenticator(),
    "submit_address": NEW_ADDRESS,
    "add_passkey": AddPasskey(),
    "use_factor": UseFactor(factor=Factor.TOTP),
    "change_password": ChangePassword(password="Old-horse-1", new_password="Better-horse-2"),
    "remove_passkey": RemovePasskey(key="k"),
    "forget_device": ForgetDevice(key=KEY),
    "sign_out_everywhere": SignOutEverywhere(),
    "delete_account": DeleteAccount(),
    "offer_factor": OfferFactor(),
    "cancel": Cancel(),
    "app is asked": APP_SETUP,
    "address code is asked": ADDRESS_CODE,
    "passkey is asked": PASSKEY_SETUP,
    "factor is offered": OFFER,
    "code of a sign-in is asked": a_text(),
    "tokens": the_tokens(),
    "confirmed": Confirmed(),
    "not_sent": NotSent(cause="throttled"),
    "unknown": OutcomeUnknown(),
    "time_passed": TIME_PASSED,
    **{reason.value: Rejected(reason=reason) for reason in RejectionReason},
}
"""Every event of a signed-in user, every outcome, and time, by the names that tests use."""


def chart_with(**guards: Callable[..., bool]) -> CompiledChart[SignInMachine]:
    """Return the compiled chart with some guards replaced, by name."""
    changed: Any = StateMachineMetaclass("Changed", (SignInMachine,), dict(guards))
    return CompiledChart(changed)


def account_chart_with(**guards: Callable[..., bool]) -> CompiledChart[AccountMachine]:
    """Return the compiled chart of the account with some guards replaced, by name."""
    changed: Any = StateMachineMetaclass("Changed", (AccountMachine,), dict(guards))
    return CompiledChart(changed)


def constant(guard: str, answer: bool) -> Callable[..., bool]:
    """Return a guard that always gives this answer, with the parameters of the real one."""
    if "target" in inspect.signature(getattr(SignInMachine, guard)).parameters:
        return lambda self, target: answer
    return lambda self: answer
