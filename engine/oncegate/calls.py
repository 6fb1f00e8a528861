"""Calls: what the driver asks of a transport, one or more for each in-flight state.

A transport makes each call exactly once and reports one outcome. Secrets live here only while the
call is under way; a call is never stored.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

from oncegate.challenge import (
    CodeChallenge,
    CustomChallenge,
    DeviceChallenge,
    DeviceOffer,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
    PasskeyChallenge,
    PasswordChallenge,
    PasswordReset,
    SignUpConfirmation,
    TotpSetup,
)
from oncegate.device import Device, NewDevice
from oncegate.events import (
    Event,
    ResetPassword,
    SubmitAnswer,
    SubmitCode,
    SubmitEmail,
    SubmitNewPassword,
    SubmitPasskey,
    SubmitUsername,
)
from oncegate.flow import Flow, FlowState
from oncegate.outcomes import Tokens


class _Call(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)


class CheckPassword(_Call):
    """Prove the password. Cognito may send a code as a side effect.

    Attributes:
        challenge: the one that asked for the password; None where the sign-in begins with it.
        device_key: of the device this is, where it is known.
    """

    username: str
    password: SecretStr
    challenge: PasswordChallenge | FactorChoice | None = None
    device_key: str | None = None


class StartSignIn(_Call):
    """Begin with the username alone. Cognito may send a code as a side effect.

    Attributes:
        preferred: the first factor to go for.
        session: of a sign-up confirmed just now, which stands in for the first factor.
        access_token: of an earlier sign-in that is to be stepped up.
    """

    username: str
    preferred: Factor | None = None
    session: SecretStr | None = None
    access_token: SecretStr | None = None
    device_key: str | None = None


class RequestCode(_Call):
    """Answer the choice of a factor. Cognito sends a code where it is SMS or email.

    Attributes:
        email: the address to set up, where that is what was chosen.
    """

    challenge: FactorChoice
    factor: Factor
    email: str | None = None
    device_key: str | None = None


class CheckCode(_Call):
    """Answer a challenge with a code. Good for one try of the session where the code is right."""

    challenge: CodeChallenge | TotpSetup
    code: SecretStr
    device_key: str | None = None


class CheckPasskey(_Call):
    """Answer a challenge with what the browser's authenticator signed."""

    challenge: PasskeyChallenge
    credential: SecretStr
    device_key: str | None = None


class CheckAnswer(_Call):
    """Answer a custom challenge. The pool's Lambda may send a code as a side effect."""

    challenge: CustomChallenge
    answer: SecretStr
    device_key: str | None = None


class SetPassword(_Call):
    """Replace a temporary password. Cognito may send a code as a side effect."""

    challenge: NewPasswordChallenge
    new_password: SecretStr
    attributes: dict[str, str]
    device_key: str | None = None


class SendCode(_Call):
    """Have a code sent, to confirm a sign-up or to reset a password."""

    challenge: SignUpConfirmation | PasswordReset


class ConfirmSignUp(_Call):
    """Confirm a sign-up with its code."""

    challenge: SignUpConfirmation
    code: SecretStr


class ResetPasswordWith(_Call):
    """Set a new password with the code that was sent for it."""

    challenge: PasswordReset
    code: SecretStr
    new_password: SecretStr


class CheckDevice(_Call):
    """Prove that this is a device that Cognito remembers. Never sends a code."""

    challenge: DeviceChallenge
    device: Device


class RegisterDevice(_Call):
    """Make Cognito know this device: ConfirmDevice with a secret made here.

    Attributes:
        username: the pool's own name for the user.
        typed: the name the user typed.
    """

    new_device: NewDevice
    username: str
    typed: str
    access_token: SecretStr


class MarkRemembered(_Call):
    """Let this device stand in for the second factor from now on."""

    device_key: str
    access_token: SecretStr


Call = (
    CheckPassword
    | StartSignIn
    | RequestCode
    | CheckCode
    | CheckPasskey
    | CheckAnswer
    | SetPassword
    | SendCode
    | ConfirmSignUp
    | ResetPasswordWith
    | CheckDevice
    | RegisterDevice
    | MarkRemembered
)

CAN_SEND = (CheckPassword, StartSignIn, RequestCode, CheckAnswer, SetPassword, SendCode)
"""The calls that can make Cognito send a code."""


class Carried(BaseModel):
    """What a worker carries from call to call within one event, in memory only.

    Attributes:
        event: what the person said.
        password: the first factor that the event brought.
        device: that the vault has for this user.
        tokens: once they are issued.
        new_device: that came with them.
        username: the pool's own name for the user, once it is known.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)

    event: Event
    password: SecretStr | None = None
    device: Device | None = None
    tokens: Tokens | None = None
    new_device: NewDevice | None = None
    username: str = ""


def call_for(flow: Flow, carried: Carried) -> Call:  # noqa: C901 - one row for each call
    """The call that an in-flight flow is about to make.

    Args:
        flow: in flight, and saved.
        carried: what the worker has in memory.
    """
    event, challenge, key = carried.event, flow.challenge, flow.device_key
    match flow.state, challenge, event:
        case FlowState.CHECKING_PASSWORD, (PasswordChallenge() | FactorChoice() | None), _:
            return _first_factor(flow, carried)
        case FlowState.REQUESTING_CODE, (SignUpConfirmation() | PasswordReset()), _:
            return SendCode(challenge=challenge)
        case FlowState.REQUESTING_CODE, FactorChoice(), _ if flow.factor:
            email = event.email if isinstance(event, SubmitEmail) else None
            return RequestCode(challenge=challenge, factor=flow.factor, email=email, device_key=key)
        case FlowState.REQUESTING_CODE, None, _:
            return StartSignIn(
                username=flow.username,
                preferred=flow.again or flow.factor,
                access_token=event.access_token if isinstance(event, SubmitUsername) else None,
                device_key=key,
            )
        case FlowState.CHECKING_CODE, (CodeChallenge() | TotpSetup()), SubmitCode():
            return CheckCode(challenge=challenge, code=event.code, device_key=key)
        case FlowState.CHECKING_CODE, SignUpConfirmation(), SubmitCode():
            return ConfirmSignUp(challenge=challenge, code=event.code)
        case FlowState.CHECKING_CODE, PasskeyChallenge(), SubmitPasskey():
            return CheckPasskey(challenge=challenge, credential=event.credential, device_key=key)
        case FlowState.CHECKING_CODE, CustomChallenge(), SubmitAnswer():
            return CheckAnswer(challenge=challenge, answer=event.answer, device_key=key)
        case FlowState.SETTING_PASSWORD, NewPasswordChallenge(), SubmitNewPassword():
            return SetPassword(
                challenge=challenge,
                new_password=event.new_password,
                attributes=event.attributes,
                device_key=key,
            )
        case FlowState.SETTING_PASSWORD, PasswordReset(), ResetPassword():
            return ResetPasswordWith(
                challenge=challenge, code=event.code, new_password=event.new_password
            )
        case FlowState.CHECKING_DEVICE, DeviceChallenge(), _ if carried.device:
            return CheckDevice(challenge=challenge, device=carried.device)
        case FlowState.REGISTERING_DEVICE, _, _ if carried.new_device and carried.tokens:
            return RegisterDevice(
                new_device=carried.new_device,
                username=carried.username,
                typed=flow.username,
                access_token=SecretStr(carried.tokens.access_token),
            )
        case FlowState.REMEMBERING_DEVICE, DeviceOffer(), _:
            return MarkRemembered(
                device_key=challenge.device_key, access_token=challenge.access_token
            )
        case FlowState.REMEMBERING_DEVICE, _, _ if carried.new_device and carried.tokens:
            return MarkRemembered(
                device_key=carried.new_device.key,
                access_token=SecretStr(carried.tokens.access_token),
            )
    raise AssertionError(f"{flow.state} has no call")  # the machine lets nothing else pass


def _first_factor(flow: Flow, carried: Carried) -> CheckPassword | StartSignIn:
    challenge = flow.challenge
    assert challenge is None or isinstance(challenge, (PasswordChallenge, FactorChoice))
    password = carried.password or flow.kept_password
    if password is None:
        return StartSignIn(
            username=flow.username, session=flow.start_session, device_key=flow.device_key
        )
    return CheckPassword(
        username=flow.username, password=password, challenge=challenge, device_key=flow.device_key
    )
