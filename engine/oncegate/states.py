"""Every state of the two machines, by the name that is stored and shown."""

from __future__ import annotations

from enum import StrEnum


class FlowState(StrEnum):
    """The state of a flow. Its challenge says what it waits for (`oncegate.challenges`)."""

    # At rest: the user's turn.
    IDLE = "idle"
    PASSWORD_VERIFIED = "password_verified"
    CHOOSING_FIRST_FACTOR = "choosing_first_factor"
    AWAITING_PASSWORD = "awaiting_password"
    AWAITING_MFA = "awaiting_mfa"
    SETTING_UP_TOTP = "setting_up_totp"
    SETTING_UP_EMAIL = "setting_up_email"
    AWAITING_PASSKEY = "awaiting_passkey"
    AWAITING_ANSWER = "awaiting_answer"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    AWAITING_NEW_PASSWORD = "awaiting_new_password"
    AWAITING_RESET = "awaiting_reset"
    SIGNING_UP = "signing_up"
    AWAITING_PROVIDER = "awaiting_provider"
    OFFERING_DEVICE = "offering_device"

    # Final.
    AUTHENTICATED = "authenticated"
    FAILED = "failed"

    # In flight: a call to Cognito is under way.
    CHECKING_PASSWORD = "checking_password"
    REQUESTING_CHALLENGE = "requesting_challenge"
    CHECKING_ANSWER = "checking_answer"
    SETTING_PASSWORD = "setting_password"
    CREATING_ACCOUNT = "creating_account"
    EXCHANGING_CODE = "exchanging_code"
    CHECKING_DEVICE = "checking_device"
    REGISTERING_DEVICE = "registering_device"
    REMEMBERING_DEVICE = "remembering_device"

    # The junction: passed through within one transition, never stored.
    DECIDING = "deciding"


class AccountState(StrEnum):
    """The state of a flow in which a signed-in user changes the account."""

    # At rest: the user's turn.
    MANAGING = "managing"
    CONFIRMING_AUTHENTICATOR = "confirming_authenticator"
    CONFIRMING_ADDRESS = "confirming_address"
    REGISTERING_PASSKEY = "registering_passkey"
    OFFERING_FACTOR = "offering_factor"

    # Final.
    CLOSED = "closed"

    # In flight: a call to Cognito is under way.
    REQUESTING_SETUP = "requesting_setup"
    CHECKING_SETUP = "checking_setup"
    CHANGING = "changing"
    FINDING_FACTORS = "finding_factors"

    # The junction: passed through within one transition, never stored.
    SETTLING = "settling"


AnyState = FlowState | AccountState

IN_FLIGHT: frozenset[AnyState] = frozenset(
    {
        FlowState.CHECKING_PASSWORD,
        FlowState.REQUESTING_CHALLENGE,
        FlowState.CHECKING_ANSWER,
        FlowState.SETTING_PASSWORD,
        FlowState.CREATING_ACCOUNT,
        FlowState.EXCHANGING_CODE,
        FlowState.CHECKING_DEVICE,
        FlowState.REGISTERING_DEVICE,
        FlowState.REMEMBERING_DEVICE,
        AccountState.REQUESTING_SETUP,
        AccountState.CHECKING_SETUP,
        AccountState.CHANGING,
        AccountState.FINDING_FACTORS,
    }
)
"""The states in which a call to Cognito is under way, or was when its worker died."""

FINAL: frozenset[AnyState] = frozenset(
    {FlowState.AUTHENTICATED, FlowState.FAILED, AccountState.CLOSED}
)
"""The states that no event leaves."""
