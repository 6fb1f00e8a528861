"""The effects of the account machine alone. The rest is those of the sign-in (`effects`)."""

from __future__ import annotations

from typing import Final

from oncegate.challenges import (
    ACCOUNT_EVENT_TYPES,
    AccountChange,
    AddressVerification,
    Delivery,
    SubmitAddress,
)
from oncegate.machine.effects import Effects
from oncegate.outcomes import ChallengeIssued, NotSent, Rejected
from oncegate.states import AccountState

_ADDED: Final = {
    "AUTHENTICATOR_SETUP": "authenticator_added",
    "VERIFY_ADDRESS": "address_verified",
    "PASSKEY_REGISTRATION": "passkey_added",
}
"""What is told once a challenge was answered, by its kind."""

_DONE: Final = {
    kind.machine_event: kind.done for kind in ACCOUNT_EVENT_TYPES if issubclass(kind, AccountChange)
}
"""What is told once a change was made, by its event."""

_WORDS: Final = {
    **dict.fromkeys(("refused", "trigger_refused", "firewall", "blocked"), "change_refused"),
    **dict.fromkeys(("factor_unusable", "administrator_must_act"), "change_refused"),
    **dict.fromkeys(("challenge_dead", "code_expired"), "setup_expired"),
    "misconfigured": "change_unavailable",
    "too_many_wrong_codes": "setup_ended",
    "username_taken": "address_taken",
    "wrong_credentials": "wrong_password",
    "wrong_code": "setup_ended",
}
"""What is told instead of a message that is about a sign-in."""


class AccountEffects(Effects):
    """The changes that `oncegate.machine.account.AccountMachine` makes to a flow."""

    def write_address_ahead(self) -> None:
        """Write ahead the change of an address, to which Cognito sends a code."""
        trigger = self.model.trigger
        assert isinstance(trigger, SubmitAddress)
        wish = AddressVerification(
            username=self.model.flow.own_name,
            attribute=trigger.attribute,
            address=trigger.address,
        )
        self._set_challenge(wish, self.model.now)
        self.write_new_code_ahead()

    def write_accepted_offer_ahead(self) -> None:
        """Write ahead the setup of what was offered, and drop the offer."""
        self._drop_challenge()
        self.write_ahead()

    def offer_factors(self) -> None:
        """Offer a second factor to a user who has none."""
        trigger = self.model.trigger
        if isinstance(trigger, ChallengeIssued):
            self._set_challenge(trigger.challenge, self.model.flow.saved_at)

    def record_change(self) -> None:
        """Record what is to be confirmed, or that the change was made."""
        context, trigger = self.model, self.model.trigger
        before = context.challenge
        if isinstance(trigger, ChallengeIssued):
            self._set_challenge(trigger.challenge, context.flow.saved_at)
            if trigger.challenge.delivery is not None:
                self._start_cooldown()
            return
        event = context.inputs.answer_event
        done = _DONE.get(event, "address_changed")
        if before is not None and context.state is AccountState.CHECKING_SETUP:
            done = _ADDED[before.kind]
        self._drop_challenge(message=done)

    def expect_address_code(self) -> None:
        """Wait for a code that may have been sent: it works whether or not the answer arrived."""
        challenge = self.model.challenge
        assert isinstance(challenge, AddressVerification)
        medium = "SMS" if challenge.attribute == "phone_number" else "EMAIL"
        delivery = challenge.delivery or Delivery(medium=medium, destination="")
        expected = challenge.model_copy(update={"delivery": delivery})
        self._set_challenge(expected, self.model.flow.saved_at)
        self._start_cooldown()
        self.model.change(message="address_outcome_unknown")

    def note_change_not_sent(self) -> None:
        """Record why the call had no effect. A new address that was not sent is forgotten."""
        trigger, challenge = self.model.trigger, self.model.challenge
        assert isinstance(trigger, NotSent)
        if challenge is not None and challenge.delivery is None:
            self._drop_challenge()
        self.model.change(message=trigger.cause)

    def give_up_rejected(self) -> None:
        """Go back, and tell the user why the change was refused."""
        trigger = self.model.trigger
        assert isinstance(trigger, Rejected)
        self.note_rejection()
        message = self.model.flow.message or ""
        self._drop_challenge(message=_WORDS.get(message, message))

    def give_up_unknown(self) -> None:
        """Go back after a call whose outcome is unknown: it is not repeated."""
        self._drop_challenge(message="change_outcome_unknown")

    def give_up_expired(self) -> None:
        """Go back after the challenge's deadline."""
        self._drop_challenge(message="setup_expired")

    def go_back(self) -> None:
        """Go back without a message: the user gave up, or has asked for nothing."""
        self._drop_challenge(message=None, detail="")

    def close_signed_out(self) -> None:
        """End the flow: its user is signed out."""
        self._drop_challenge(message="signed_out_elsewhere")
