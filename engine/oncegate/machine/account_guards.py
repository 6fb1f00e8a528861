"""The guards of the account machine alone. The rest is those of the sign-in (`guards`)."""

from __future__ import annotations

from oncegate.challenges import (
    AddressVerification,
    AuthenticatorSetup,
    FactorOffer,
    OfferedFactor,
    PasskeyRegistration,
)
from oncegate.machine.guards import Guards
from oncegate.outcomes import ChallengeIssued, Confirmed, RejectionReason
from oncegate.states import AccountState

ENDS_ACCESS = frozenset({"sign_out_everywhere", "delete_account"})
"""The events after which the user's access token is of no more use."""


class AccountGuards(Guards):
    """The conditions of `oncegate.machine.account.AccountMachine`."""

    # ── on the user's events ──

    def user_is_the_same(self) -> bool:
        """The event came with a token of the user whose account this flow is about."""
        owner = self.model.flow.owner
        return owner is not None and owner == self.model.inputs.owner

    def sign_in_is_recent(self) -> bool:
        """The user has signed in recently enough to change a credential."""
        return self.model.inputs.sign_in_is_recent

    def offer_is_due(self) -> bool:
        """No second factor was offered to this user within the time that the application says."""
        return self.model.inputs.offer_is_due

    def authenticator_is_offered(self) -> bool:
        """The offer has an authenticator app in it."""
        return self._offers("authenticator")

    def passkey_is_offered(self) -> bool:
        """The offer has a passkey in it."""
        return self._offers("passkey")

    def _offers(self, factor: OfferedFactor) -> bool:
        challenge = self.model.challenge
        return isinstance(challenge, FactorOffer) and factor in challenge.factors

    # ── on outcomes ──

    def answer_fits_the_call(self) -> bool:
        """Cognito made the change, or the answer is what this call asks for.

        Only a change of an address can be done at once and can need a code for that address. Any other
        answer, such as a challenge of a sign-in, comes from a transport that is at fault.
        """
        state, trigger = self.model.state, self.model.trigger
        is_of_address = self.address_code_was_requested()
        if isinstance(trigger, Confirmed):
            return is_of_address or state is not AccountState.REQUESTING_SETUP
        if not isinstance(trigger, ChallengeIssued):
            return False
        if state is AccountState.FINDING_FACTORS:
            return isinstance(trigger.challenge, FactorOffer)
        asked = (
            (AddressVerification,) if is_of_address else (AuthenticatorSetup, PasskeyRegistration)
        )
        return state is AccountState.REQUESTING_SETUP and isinstance(trigger.challenge, asked)

    def access_has_ended(self) -> bool:
        """The access token was revoked, or the user was deleted, meanwhile."""
        return self.model.rejection_reason is RejectionReason.SIGNED_OUT

    def address_code_was_requested(self) -> bool:
        """The call was to send a code to an address, so one may arrive."""
        return isinstance(self.model.challenge, AddressVerification)

    def address_code_can_be_requested_again(self) -> bool:
        """Another code for an address was requested, and Cognito sends none for some time.

        The code before may still arrive.
        """
        challenge = self.model.challenge
        return (
            isinstance(challenge, AddressVerification)
            and challenge.delivery is not None
            and self.model.rejection_reason is RejectionReason.LOCKED
        )

    # ── at the junction ──

    def account_is_closed(self) -> bool:
        """The user has just ended all sessions, or deleted the account."""
        is_done = isinstance(self.model.trigger, Confirmed)
        return is_done and self.model.inputs.answer_event in ENDS_ACCESS
