"""Offering a second factor to a user who has none (GetUserAuthFactors)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate._secret import Secret
from oncegate.challenges._base import CallBase, ChallengeBase, EventBase
from oncegate.states import AccountState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow

OfferedFactor = Literal["authenticator", "passkey"]
"""What can be offered."""

OFFER_SECONDS = 900.0
"""Seconds for which an offer stands."""

OfferedFactors = Annotated[tuple[OfferedFactor, ...], ModelField(min_length=1, max_length=2)]


class FactorOffer(ChallengeBase):
    """The user has no second factor, and is asked whether to add one.

    Attributes:
        factors: what is offered.
    """

    kind: Literal["FACTOR_OFFER"] = "FACTOR_OFFER"
    session: Secret = SecretStr("")
    valid_for: float = ModelField(default=OFFER_SECONDS, gt=0, le=OFFER_SECONDS)
    factors: OfferedFactors

    @property
    def waits_in(self) -> AccountState:
        return AccountState.OFFERING_FACTOR

    def main_event(self, flow: Flow) -> str:
        return f"add_{self.factors[0]}"


class OfferFactor(EventBase):
    """Offer a second factor if the user has none, and if none was offered a short time ago.

    The application sends it after a sign-in. No user interface shows it.

    Attributes:
        factors: what to offer, in this order.
    """

    machine_event: ClassVar[str] = "offer_factor"
    type: Literal["offer_factor"] = "offer_factor"
    factors: OfferedFactors = ("authenticator", "passkey")

    def call(self, flow: Flow, memory: InMemory) -> FindFactors:
        return FindFactors(
            username=flow.own_name, factors=self.factors, access_token=memory.access_token
        )


class FindFactors(CallBase):
    """Find out whether the user has a second factor or a passkey.

    Attributes:
        username: the pool's own name for the user.
        factors: what to offer to a user who has neither.
    """

    username: str
    factors: OfferedFactors
    access_token: SecretStr
