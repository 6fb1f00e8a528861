"""Choosing a factor: the first one, the second, or one to set up.

Cognito's SELECT_CHALLENGE, SELECT_MFA_TYPE and MFA_SETUP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField

from oncegate.challenges._base import (
    CallBase,
    ChallengeBase,
    EventBase,
    Factor,
    Field,
    choice,
    field,
)
from oncegate.messages import TEXTS
from oncegate.states import AnyState, FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class FactorChoice(ChallengeBase):
    """The user chooses a factor. Answering with SMS or email makes Cognito send a code.

    Attributes:
        password_by_srp: whether PASSWORD, if it is one of the factors, may be proven by SRP.
    """

    kind: Literal["SELECT_MFA_TYPE", "SELECT_CHALLENGE", "MFA_SETUP"] = "SELECT_MFA_TYPE"
    factors: tuple[Factor, ...] = ModelField(min_length=1)
    password_by_srp: bool = True

    @property
    def waits_in(self) -> FlowState:
        if self.kind == "SELECT_CHALLENGE":
            return FlowState.CHOOSING_FIRST_FACTOR
        return FlowState.PASSWORD_VERIFIED

    @property
    def choices(self) -> tuple[Factor, ...]:
        return self.factors

    def call(self, flow: Flow, memory: InMemory) -> RequestCode:
        from oncegate.challenges.email_setup import SubmitEmail

        assert flow.factor is not None
        event = memory.event
        return RequestCode(
            challenge=self,
            factor=flow.factor,
            typed=flow.username,
            email=event.email if isinstance(event, SubmitEmail) else None,
            device_key=flow.device_key,
        )


class ChooseFactor(EventBase):
    """The factor to use. Choosing SMS or email makes Cognito send the code.

    Also the way from one first factor to another: the sign-in begins anew, and the challenge before can
    no longer be answered.
    """

    machine_event: ClassVar[str] = "choose_factor"
    type: Literal["choose_factor"] = "choose_factor"
    factor: Factor

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        choices = tuple(
            choice(factor, f"factor.{factor}", _hint_code(factor, flow))
            for factor in offered_factors(flow)
        )
        return (field("factor", "factor", type="choice", choices=choices),)

    @classmethod
    def label_code(cls, flow: Flow) -> str:
        is_asked = flow.challenge is not None and flow.state is flow.challenge.waits_in
        is_asked = is_asked and isinstance(flow.challenge, FactorChoice)
        return "action.choose_factor" if is_asked else "action.choose_factor.another"

    @classmethod
    def hint_code(cls, target: AnyState) -> str:
        return "hint.new_code_needs_password" if target is FlowState.IDLE else ""


def _hint_code(factor: Factor, flow: Flow) -> str:
    """The code of what choosing a factor leads to; empty if the table does not say."""
    challenge = flow.challenge
    is_set_up = isinstance(challenge, FactorChoice) and challenge.kind == "MFA_SETUP"
    # To set up an authenticator app is not to use it.
    if is_set_up and factor is not Factor.EMAIL:
        return ""
    code = f"factor.{factor}.hint"
    return code if code in TEXTS else ""


def offered_factors(flow: Flow) -> tuple[Factor, ...]:
    """Return the factors that the user can choose at the flow's step."""
    choices = flow.challenge.choices if flow.challenge else ()
    # Two states wait for what the user has chosen already.
    of_state: dict[AnyState, Factor] = {
        FlowState.AWAITING_PASSWORD: Factor.PASSWORD,
        FlowState.SETTING_UP_EMAIL: Factor.EMAIL,
    }
    chosen = of_state.get(flow.state)
    return tuple(factor for factor in choices if factor is not chosen)


class RequestCode(CallBase):
    """Answer the choice of a factor. Cognito sends a code if it is SMS or email.

    Attributes:
        typed: name that the user typed, to label an authenticator app; empty if it is not known.
        email: address to set up, if email is the factor to set up.
    """

    can_send: ClassVar[bool] = True

    challenge: FactorChoice
    factor: Factor
    typed: str = ""
    email: str | None = None
    device_key: str | None = None
