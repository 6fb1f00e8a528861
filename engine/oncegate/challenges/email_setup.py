"""Setting up codes by email during sign-in (MFA_SETUP with EMAIL_OTP).

The challenge is still `FactorChoice`: the chosen factor only needs an address before it is requested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from oncegate.challenges._base import EmailText, EventBase, Field, field

if TYPE_CHECKING:
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class SubmitEmail(EventBase):
    """The address for codes by email. Cognito sends the first code to it at once."""

    machine_event: ClassVar[str] = "submit_email"
    type: Literal["submit_email"] = "submit_email"
    email: EmailText

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (field("email", "email", type="email", autocomplete="email", inputmode="email"),)
