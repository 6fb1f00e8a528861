"""The flow: the record of one attempt to sign in, and the only thing that is ever stored.

A `Flow` is frozen. The machine changes a copy and the driver saves that copy under the next
version. A code is never in it. The session of the challenge is, and for as long as they are needed the
secret of an authenticator that is being set up, a password that the application opted to keep, or
tokens that wait for an answer about the device: which is why the record is stored sealed
(`oncegate.seal`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from oncegate.challenge import Challenge, Factor
from oncegate.secret import Secret


class FlowState(StrEnum):
    """Every state of the machine, by the name that is stored and shown."""

    IDLE = "idle"
    CHECKING_PASSWORD = "checking_password"
    PASSWORD_VERIFIED = "password_verified"
    CHOOSING_FIRST_FACTOR = "choosing_first_factor"
    AWAITING_PASSWORD = "awaiting_password"
    REQUESTING_CODE = "requesting_code"
    AWAITING_MFA = "awaiting_mfa"
    SETTING_UP_TOTP = "setting_up_totp"
    SETTING_UP_EMAIL = "setting_up_email"
    AWAITING_PASSKEY = "awaiting_passkey"
    AWAITING_ANSWER = "awaiting_answer"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    CHECKING_CODE = "checking_code"
    AWAITING_NEW_PASSWORD = "awaiting_new_password"
    AWAITING_RESET = "awaiting_reset"
    SETTING_PASSWORD = "setting_password"
    CHECKING_DEVICE = "checking_device"
    REGISTERING_DEVICE = "registering_device"
    OFFERING_DEVICE = "offering_device"
    REMEMBERING_DEVICE = "remembering_device"
    AUTHENTICATED = "authenticated"
    FAILED = "failed"


IN_FLIGHT = frozenset(
    {
        FlowState.CHECKING_PASSWORD,
        FlowState.REQUESTING_CODE,
        FlowState.CHECKING_CODE,
        FlowState.SETTING_PASSWORD,
        FlowState.CHECKING_DEVICE,
        FlowState.REGISTERING_DEVICE,
        FlowState.REMEMBERING_DEVICE,
    }
)
"""The states in which a call to Cognito is under way, or was when its worker died."""

FINAL = frozenset({FlowState.AUTHENTICATED, FlowState.FAILED})

ANSWERS_PER_CHALLENGE = 5
"""Wrong codes allowed. Cognito has no limit of its own (six wrong EMAIL_OTP codes: public reports)."""

NEW_CODES_PER_FLOW = 5
"""How often a new code may be asked for in one flow."""


class Flow(BaseModel):
    """One attempt to sign in.

    Attributes:
        version: counts saves; 0 is a flow that has never been saved. Compare-and-swap goes by it.
        username: as typed; shown again, and sent with the first call only.
        challenge: what Cognito asks for now.
        challenge_id: the version that brought the challenge, so that no two challenges are equal.
        attempts_left: answers that the challenge still takes.
        tried: digests of the answers to this challenge that have left, newest last.
        factor: the factor that the user chose last.
        is_passwordless: whether the transport can begin with a username alone.
        kept_password: the password, where the application opted in to new codes by one click; never
            longer than the challenge lives.
        start_session: with which the next sign-in may start in the place of a first factor.
        again: the factor for which a new code was asked, until it is there.
        new_code_at: when a new code may be asked for, in seconds since the epoch.
        new_codes_left: how many more may be asked for in this flow.
        device_key: of the device that the call under way, or the last one, was made from.
        remember_device: the user's answer to the offer to remember this device, if given ahead.
        lease_until: when a call under way counts as orphaned, in seconds since the epoch.
        challenge_ends: when Cognito takes no more answers, in seconds since the epoch.
        saved_at: when this version was made, in seconds since the epoch.
        message: what the user is to be told: a key of `oncegate.messages`.
        detail: Cognito's own words, where they are fit for the user.
        session_name: what the host's session keeper calls the session, once signed in.
    """

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    version: int = Field(default=0, ge=0)
    state: FlowState = FlowState.IDLE
    username: str = ""
    challenge: Challenge | None = None
    challenge_id: int = 0
    attempts_left: int = Field(default=ANSWERS_PER_CHALLENGE, ge=0)
    tried: tuple[str, ...] = ()
    factor: Factor | None = None
    is_passwordless: bool = False
    kept_password: Secret | None = None
    start_session: Secret | None = None
    again: Factor | None = None
    new_code_at: float | None = None
    new_codes_left: int = NEW_CODES_PER_FLOW
    device_key: str | None = None
    remember_device: bool | None = None
    lease_until: float | None = None
    challenge_ends: float | None = None
    saved_at: float = 0.0
    message: str | None = None
    detail: str = ""
    session_name: str | None = None

    @property
    def is_in_flight(self) -> bool:
        return self.state in IN_FLIGHT

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def deadline(self) -> float | None:
        """When the state stops being good: the end of the lease in flight, of the challenge at rest."""
        return self.lease_until if self.is_in_flight else self.challenge_ends
