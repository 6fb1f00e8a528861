"""A new phone number or email address of an account, verified by a code that Cognito sends to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr, ValidationInfo, field_validator

from oncegate._secret import Secret
from oncegate.challenges._attributes import attribute_field
from oncegate.challenges._base import (
    AttributeValue,
    CallBase,
    ChallengeBase,
    EventBase,
    Field,
    choice,
    field,
    plain_phone_number,
)
from oncegate.challenges.code import SubmitCode
from oncegate.challenges.recovery import RequestNewCode
from oncegate.states import AccountState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn

AddressName = Literal["email", "phone_number"]

_SHORTEST: Final = 3


class AddressVerification(ChallengeBase):
    """Cognito sent a code to a new address, or to the one that is not verified yet.

    The code is valid for 24 hours (AWS developer guide, "Verifying updates to email addresses and phone
    numbers"), and works outside any session.

    Attributes:
        attribute: Cognito's name of the address.
        address: the address.
    """

    kind: Literal["VERIFY_ADDRESS"] = "VERIFY_ADDRESS"
    session: Secret = SecretStr("")
    valid_for: float = ModelField(default=86400.0, gt=0, le=86400)
    attribute: AddressName
    address: str = ModelField(default="", repr=False)

    @property
    def waits_in(self) -> AccountState:
        return AccountState.CONFIRMING_ADDRESS

    @property
    def takes_code(self) -> bool:
        return True

    @property
    def has_arrived(self) -> bool:
        """Whether Cognito has told where it sent a code, and so has this address."""
        return self.delivery is not None and self.delivery.destination != ""

    def call(
        self, flow: Flow, memory: InMemory
    ) -> ChangeAddress | SendAddressCode | ConfirmAddress:
        token = memory.access_token
        match memory.event:
            case SubmitCode(code=code):
                return ConfirmAddress(challenge=self, code=code, access_token=token)
            case RequestNewCode() if self.has_arrived:
                return SendAddressCode(challenge=self, access_token=token)
        # Cognito may have another address: it would send the code there.
        return ChangeAddress(challenge=self, access_token=token)


class SubmitAddress(EventBase):
    """Change a phone number or an email address. Cognito sends a code to the new one at once.

    Attributes:
        attribute: ``"email"`` or ``"phone_number"``.
        address: the new address. A phone number starts with ``+`` and the country code (E.164).
    """

    machine_event: ClassVar[str] = "submit_address"
    type: Literal["submit_address"] = "submit_address"
    attribute: AddressName
    address: AttributeValue = ModelField(repr=False)

    @field_validator("address", mode="after")
    @classmethod
    def _as_cognito_takes_it(cls, address: str, info: ValidationInfo) -> str:
        is_phone = info.data.get("attribute") == "phone_number"
        plain = plain_phone_number(address) if is_phone else address.strip()
        # Of what is sent: a blank value deletes the address (API reference, UpdateUserAttributes).
        if len(plain) < _SHORTEST:
            raise ValueError("an address has three characters or more")
        return plain

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        kinds = [
            choice(name, attribute_field(name).label_code) for name in ("phone_number", "email")
        ]
        return (
            field("attribute", "address_kind", type="choice", choices=tuple(kinds)),
            field("address", "address"),
        )


class ChangeAddress(CallBase):
    """Change an address. Cognito sends a code to the new one."""

    can_send: ClassVar[bool] = True

    challenge: AddressVerification
    access_token: SecretStr


class SendAddressCode(CallBase):
    """Have Cognito send another code to an address."""

    can_send: ClassVar[bool] = True

    challenge: AddressVerification
    access_token: SecretStr


class ConfirmAddress(CallBase):
    """Verify an address with its code."""

    challenge: AddressVerification
    code: SecretStr
    access_token: SecretStr
