"""The username alone: how a sign-in without a password begins (USER_AUTH, CUSTOM_AUTH)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import SecretStr

from oncegate.challenges._base import (
    FIRST_FACTORS,
    CallBase,
    EventBase,
    Factor,
    Field,
    TokenText,
    UsernameText,
    choice,
    field,
)
from oncegate.challenges.provider import AuthorizeWith, SignInWith

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class SubmitUsername(EventBase):
    """Begin without a password: Cognito answers with what it accepts.

    Attributes:
        preferred: first factor to try; SMS and email send a code at once.
        access_token: the same user's token, to step an earlier sign-in up (ACCESS_TOKEN of USER_AUTH).
    """

    machine_event: ClassVar[str] = "submit_username"
    type: Literal["submit_username"] = "submit_username"
    username: UsernameText
    preferred: Factor | None = None
    access_token: TokenText | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            username: str,
            preferred: Factor | None = None,
            access_token: str | SecretStr | None = None,
        ) -> None: ...

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        if not ways_in.passkey:
            return (username_field(flow),)
        passkey = field(
            "preferred",
            "passkey",
            type="choice",
            required=False,
            choices=(choice(Factor.PASSKEY, "choice.passkey"),),
            style="buttons",
        )
        name = username_field(flow).model_copy(update={"autocomplete": "username webauthn"})
        return (name, passkey)


class StartSignIn(CallBase):
    """Begin with the username alone. Cognito may send a code as a side effect.

    Attributes:
        preferred: first factor to try.
        session: session of a sign-up that was just confirmed; it replaces the first factor.
        access_token: token of an earlier sign-in that is to be stepped up.
    """

    can_send: ClassVar[bool] = True

    username: str
    preferred: Factor | None = None
    session: SecretStr | None = None
    access_token: SecretStr | None = None
    device_key: str | None = None


def start_call(flow: Flow, memory: InMemory) -> StartSignIn | AuthorizeWith:
    """Return the call of a flow in `requesting_challenge` that has no challenge yet."""
    event = memory.event
    if isinstance(event, SignInWith):
        return AuthorizeWith(provider=event.provider)
    return StartSignIn(
        username=flow.username,
        preferred=next(
            (f for f in (flow.preselected_factor, flow.factor) if f in FIRST_FACTORS), None
        ),
        access_token=event.access_token if isinstance(event, SubmitUsername) else None,
        device_key=flow.device_key,
    )


def username_field(flow: Flow) -> Field:
    """Return the input for the username, filled in if the flow knows it."""
    return field("username", "username", autocomplete="username", value=flow.username)
