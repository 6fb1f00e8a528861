"""The password: the usual first factor. Also the answer to PASSWORD and PASSWORD_SRP of USER_AUTH."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import SecretStr

from oncegate._secret import Secret
from oncegate.challenges._base import (
    CallBase,
    ChallengeBase,
    EventBase,
    Factor,
    Field,
    PasswordText,
    UsernameText,
    field,
)
from oncegate.challenges.factor_choice import FactorChoice
from oncegate.challenges.username import StartSignIn, username_field
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class PasswordChallenge(ChallengeBase):
    """Cognito knows the username and asks for the password (USER_AUTH), or the user chose it.

    Attributes:
        session: Cognito's session. Empty if the user chose the password instead of another challenge:
            the sign-in begins anew with it.
        srp: whether it is to be proven by SRP.
        available: other first factors of the user; begin anew with one of them (`ChooseFactor`).
    """

    kind: Literal["PASSWORD"] = "PASSWORD"
    session: Secret = SecretStr("")
    srp: bool = True
    available: tuple[Factor, ...] = ()

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_PASSWORD

    @property
    def choices(self) -> tuple[Factor, ...]:
        return self.available


class SubmitPassword(EventBase):
    """The first factor: a username, or an alias of it, and a password.

    Attributes:
        username: may be left out if the flow knows it.
    """

    machine_event: ClassVar[str] = "submit_password"
    type: Literal["submit_password"] = "submit_password"
    username: UsernameText | None = None
    password: PasswordText

    if TYPE_CHECKING:

        def __init__(self, *, password: str | SecretStr, username: str | None = None) -> None: ...

    @property
    def answered_with(self) -> tuple[str, ...]:
        return (self.password.get_secret_value(),)

    @property
    def first_factor(self) -> SecretStr:
        return self.password

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        password = password_field("password", "current-password")
        return (username_field(flow), password) if flow.state is FlowState.IDLE else (password,)


class CheckPassword(CallBase):
    """Prove the password. Cognito may send a code as a side effect.

    Attributes:
        challenge: the challenge that asked for the password; None if the sign-in begins with it.
        device_key: key of the device that signs in, if it is known.
    """

    can_send: ClassVar[bool] = True

    username: str
    password: SecretStr
    challenge: PasswordChallenge | FactorChoice | None = None
    device_key: str | None = None


def first_factor_call(flow: Flow, memory: InMemory) -> CheckPassword | StartSignIn:
    """Return the call of a flow in `checking_password`.

    Without a password, the sign-in starts with the session of a confirmed sign-up.
    """
    challenge = flow.challenge
    assert challenge is None or isinstance(challenge, (PasswordChallenge, FactorChoice))
    password = memory.password or flow.retained_password
    if password is None:
        return StartSignIn(
            username=flow.username, session=flow.start_session, device_key=flow.device_key
        )
    if challenge is not None and not challenge.session.get_secret_value():
        challenge = None
    return CheckPassword(
        username=flow.username, password=password, challenge=challenge, device_key=flow.device_key
    )


def password_field(name: str, autocomplete: str, text: str = "") -> Field:
    """Return an input for a password, current or new.

    Args:
        name: the event's field.
        autocomplete: HTML autofill token.
        text: what follows ``field.`` in the code of the label. Default: the name.
    """
    return field(name, text or name, type="password", autocomplete=autocomplete, secret=True)
