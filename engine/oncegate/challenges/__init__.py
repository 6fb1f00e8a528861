"""What Cognito can ask for: one file for each challenge.

A file holds all that the engine knows of one challenge: its model, the state in which the flow waits
for the answer, the user's event with its form fields, the call, and whether the call can send a code.
The challenge's ``kind`` is Cognito's own ``ChallengeName`` (botocore's service model,
``ChallengeNameType``), or a name of ours if Cognito asks by refusing (a sign-up to confirm, a
password to reset) or by registering a device.

Events that answer no challenge (`username`, `cancel`), and what two challenges share (`recovery`), have
files of their own. This module lists them all: a new challenge is an import, and one line in each of the
three unions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from oncegate.challenges._base import (
    SECOND_FACTORS,
    Choice,
    Delivery,
    Factor,
    InvalidEvent,
    PasswordRule,
)
from oncegate.challenges._base import Field as FormField
from oncegate.challenges.account_changes import (
    AccountChange,
    ChangePassword,
    DeleteAccount,
    DeleteDevice,
    DeletePasskey,
    DeleteUser,
    EndSessions,
    ForgetDevice,
    RemovePasskey,
    ReplacePassword,
    SetFactor,
    SignOutEverywhere,
    UseFactor,
)
from oncegate.challenges.address import (
    AddressVerification,
    ChangeAddress,
    ConfirmAddress,
    SendAddressCode,
    SubmitAddress,
)
from oncegate.challenges.authenticator import (
    AddAuthenticator,
    AuthenticatorSetup,
    ConfirmAuthenticator,
    StartAuthenticator,
)
from oncegate.challenges.cancel import Cancel
from oncegate.challenges.code import CheckCode, CodeChallenge, SubmitCode
from oncegate.challenges.confirm_sign_up import ConfirmAccount, ConfirmSignUp, SignUpConfirmation
from oncegate.challenges.custom import CheckAnswer, CustomChallenge, SubmitAnswer
from oncegate.challenges.device import (
    CheckDevice,
    DeviceChallenge,
    DeviceOffer,
    MarkRemembered,
    RegisterDevice,
    RememberDevice,
    register_call,
    remember_call,
)
from oncegate.challenges.email_setup import SubmitEmail
from oncegate.challenges.factor_choice import ChooseFactor, FactorChoice, RequestCode
from oncegate.challenges.factor_offer import (
    FactorOffer,
    FindFactors,
    OfferedFactor,
    OfferFactor,
)
from oncegate.challenges.new_password import NewPasswordChallenge, SetPassword, SubmitNewPassword
from oncegate.challenges.passkey import CheckPasskey, PasskeyChallenge, SubmitPasskey
from oncegate.challenges.passkey_registration import (
    AddPasskey,
    PasskeyRegistration,
    RegisterPasskey,
    StartPasskey,
)
from oncegate.challenges.password import (
    CheckPassword,
    PasswordChallenge,
    SubmitPassword,
    first_factor_call,
)
from oncegate.challenges.provider import (
    AuthorizeWith,
    ExchangeCode,
    ProviderChallenge,
    SignInWith,
    SubmitAuthorization,
)
from oncegate.challenges.recovery import RecoveryChallenge, RequestNewCode, SendCode
from oncegate.challenges.reset_password import (
    ForgotPassword,
    PasswordReset,
    ResetPassword,
    ResetPasswordWith,
)
from oncegate.challenges.sign_up import CreateAccount, SignUp, SignUpRequest
from oncegate.challenges.totp_setup import TotpSetup
from oncegate.challenges.unknown import UnknownChallenge
from oncegate.challenges.username import StartSignIn, SubmitUsername, start_call
from oncegate.devices import Device, NewDevice
from oncegate.states import AccountState, FlowState
from oncegate.tokens import Tokens

if TYPE_CHECKING:
    from oncegate.record import Flow

__all__ = [
    "ACCOUNT_EVENT_TYPES",
    "CHALLENGE_KINDS",
    "EVENT_TYPES",
    "NAMING_EVENTS",
    "SECOND_FACTORS",
    "AccountChange",
    "AccountEvent",
    "AddAuthenticator",
    "AddPasskey",
    "AddressVerification",
    "AnyEvent",
    "AuthenticatorSetup",
    "AuthorizeWith",
    "Call",
    "Cancel",
    "Challenge",
    "ChangeAddress",
    "ChangePassword",
    "CheckAnswer",
    "CheckCode",
    "CheckDevice",
    "CheckPasskey",
    "CheckPassword",
    "Choice",
    "ChooseFactor",
    "CodeChallenge",
    "ConfirmAccount",
    "ConfirmAddress",
    "ConfirmAuthenticator",
    "ConfirmSignUp",
    "CreateAccount",
    "CustomChallenge",
    "DeleteAccount",
    "DeleteDevice",
    "DeletePasskey",
    "DeleteUser",
    "Delivery",
    "DeviceChallenge",
    "DeviceOffer",
    "EndSessions",
    "Event",
    "ExchangeCode",
    "Factor",
    "FactorChoice",
    "FactorOffer",
    "FindFactors",
    "ForgetDevice",
    "ForgotPassword",
    "FormField",
    "InMemory",
    "InvalidEvent",
    "MarkRemembered",
    "NewPasswordChallenge",
    "OfferFactor",
    "OfferedFactor",
    "PasskeyChallenge",
    "PasskeyRegistration",
    "PasswordChallenge",
    "PasswordReset",
    "PasswordRule",
    "ProviderChallenge",
    "RecoveryChallenge",
    "RegisterDevice",
    "RegisterPasskey",
    "RememberDevice",
    "RemovePasskey",
    "ReplacePassword",
    "RequestCode",
    "RequestNewCode",
    "ResetPassword",
    "ResetPasswordWith",
    "SendAddressCode",
    "SendCode",
    "SetFactor",
    "SetPassword",
    "SignInWith",
    "SignOutEverywhere",
    "SignUp",
    "SignUpConfirmation",
    "SignUpRequest",
    "SignedIn",
    "StartAuthenticator",
    "StartPasskey",
    "StartSignIn",
    "SubmitAddress",
    "SubmitAnswer",
    "SubmitAuthorization",
    "SubmitCode",
    "SubmitEmail",
    "SubmitNewPassword",
    "SubmitPasskey",
    "SubmitPassword",
    "SubmitUsername",
    "TotpSetup",
    "UnknownChallenge",
    "UseFactor",
    "account_event_adapter",
    "call_for",
    "event_adapter",
    "parse_account_event",
    "parse_event",
]

_E = TypeVar("_E")

Challenge = Annotated[
    CodeChallenge
    | FactorChoice
    | PasswordChallenge
    | PasskeyChallenge
    | CustomChallenge
    | TotpSetup
    | NewPasswordChallenge
    | DeviceChallenge
    | SignUpConfirmation
    | PasswordReset
    | SignUpRequest
    | ProviderChallenge
    | DeviceOffer
    | AuthenticatorSetup
    | AddressVerification
    | PasskeyRegistration
    | FactorOffer
    | UnknownChallenge,
    Field(discriminator="kind"),
]

Event = (
    SubmitUsername
    | SubmitPassword
    | SubmitEmail
    | SubmitCode
    | SubmitPasskey
    | SubmitAnswer
    | SubmitNewPassword
    | ResetPassword
    | RememberDevice
    | ChooseFactor
    | ForgotPassword
    | ConfirmAccount
    | SignInWith
    | SubmitAuthorization
    | SignUp
    | RequestNewCode
    | Cancel
)

AccountEvent = (
    SubmitCode
    | SubmitPasskey
    | RequestNewCode
    | AddAuthenticator
    | SubmitAddress
    | AddPasskey
    | UseFactor
    | ChangePassword
    | RemovePasskey
    | ForgetDevice
    | SignOutEverywhere
    | DeleteAccount
    | OfferFactor
    | Cancel
)
"""What a signed-in user does with the account."""

AnyEvent = Event | AccountEvent

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
    | CreateAccount
    | AuthorizeWith
    | ExchangeCode
    | CheckDevice
    | RegisterDevice
    | MarkRemembered
    | StartAuthenticator
    | ConfirmAuthenticator
    | ChangeAddress
    | SendAddressCode
    | ConfirmAddress
    | StartPasskey
    | RegisterPasskey
    | FindFactors
    | SetFactor
    | ReplacePassword
    | DeletePasskey
    | DeleteDevice
    | EndSessions
    | DeleteUser
)

CHALLENGE_KINDS: Final = frozenset(
    str(kind)
    for challenge in get_args(get_args(Challenge)[0])
    for kind in get_args(challenge.model_fields["kind"].annotation)
)
"""The ``kind`` of every challenge that this release knows."""

EVENT_TYPES: Final = get_args(Event)
"""The user's events. If a state accepts several, the first of them is what its page is for."""

ACCOUNT_EVENT_TYPES: Final = get_args(AccountEvent)
"""The events of a signed-in user, in the same order of importance."""

NAMING_EVENTS: Final = (SubmitUsername, SubmitPassword, ForgotPassword, SignUp)
"""The events in which the user names an account."""


class SignedIn(BaseModel):
    """The signed-in user whose account an event changes: from an access token that was verified.

    Attributes:
        username: the pool's own name for the user.
        sub: the user's ID.
        signed_in_at: time of the sign-in (auth_time), in seconds since the epoch.
        is_recent: whether that is recent enough to change a credential.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)

    access_token: SecretStr
    username: str
    sub: str
    signed_in_at: float
    is_recent: bool


class InMemory(NamedTuple):
    """What a worker holds in memory while it processes one event. None of it is stored.

    Attributes:
        event: the user's event.
        password: first factor that the event brought.
        device: the user's device in the vault.
        tokens: once they are issued.
        new_device: issued with the tokens.
        username: the pool's own name for the user, once it is known.
        budget_remains: whether user and source may cause another code.
        guesses_remain: whether a code of this user is taken now.
        offer_is_due: whether a second factor may be offered to this user now.
        from_known_browser: whether the user has signed in before in the browser of the event.
        signed_in: the user who changes the account; None in a sign-in.
        worker: name of this process; may be empty.
    """

    event: AnyEvent
    password: SecretStr | None = None
    device: Device | None = None
    tokens: Tokens | None = None
    new_device: NewDevice | None = None
    username: str = ""
    budget_remains: bool = True
    guesses_remain: bool = True
    offer_is_due: bool = False
    from_known_browser: bool = False
    signed_in: SignedIn | None = None
    worker: str = ""

    @property
    def access_token(self) -> SecretStr:
        """The token of the user who changes the account."""
        assert self.signed_in is not None
        return self.signed_in.access_token


def call_for(flow: Flow, memory: InMemory) -> Call:
    """Return the call that an in-flight flow is about to make.

    Args:
        flow: a saved flow in flight.
        memory: the worker's memory of this event.
    """
    match flow.state:
        case FlowState.CHECKING_PASSWORD:
            return first_factor_call(flow, memory)
        case FlowState.REGISTERING_DEVICE:
            return register_call(flow, memory)
        case FlowState.REMEMBERING_DEVICE:
            return remember_call(flow, memory)
    if flow.challenge is None and isinstance(flow.state, AccountState):
        assert isinstance(memory.event, (AddAuthenticator, AddPasskey, AccountChange, OfferFactor))
        return memory.event.call(flow, memory)
    if flow.challenge is None:
        return start_call(flow, memory)
    return flow.challenge.call(flow, memory)


@cache
def event_adapter() -> TypeAdapter[Event]:
    """Return the validator of all events of a sign-in, which also knows their JSON schema."""
    # Built on first use, like the models, to keep importing oncegate fast.
    return TypeAdapter(Annotated[Event, Field(discriminator="type")])


@cache
def account_event_adapter() -> TypeAdapter[AccountEvent]:
    """Return the validator of all events of a signed-in user."""
    return TypeAdapter(Annotated[AccountEvent, Field(discriminator="type")])


def parse_event(data: str | bytes | Mapping[str, object]) -> Event:
    """Parse an event from JSON text or a mapping, as a browser sends it.

    Args:
        data: such as ``{"type": "submit_code", "code": "123 456"}``.

    Raises:
        InvalidInput: names the invalid fields and why, never their values.
    """
    return _parsed(event_adapter(), data)


def parse_account_event(data: str | bytes | Mapping[str, object]) -> AccountEvent:
    """Parse the event of a signed-in user in the same way.

    Args:
        data: such as ``{"type": "add_passkey"}``.

    Raises:
        InvalidInput: names the invalid fields and why, never their values.
    """
    return _parsed(account_event_adapter(), data)


def _parsed(adapter: TypeAdapter[_E], data: str | bytes | Mapping[str, object]) -> _E:
    try:
        if isinstance(data, Mapping):
            return adapter.validate_python(dict(data))
        return adapter.validate_json(data)
    except ValidationError as error:
        # `from None`: pydantic's error holds what was typed.
        raise InvalidEvent(error) from None
