"""The flow: the record of one attempt to sign in, or of changes of an account. Nothing else is stored.

A `Flow` is frozen. The machine changes a copy and the driver saves that copy as the next version.
A code is never in it. The challenge's session is, and for as long as they are needed the secret of an
authenticator app that is being set up, a password that the application chose to retain, or tokens
that wait for an answer about the device. So the record is stored sealed (`oncegate._seal`).

**Schema numbers.** Each stored record says by which schema it was written. A worker of this release
reads schema 1 (0.1) and 2 (this release), and records of later ones as far as it knows their states
and challenges: fields that it does not know are kept and written back. `write_record` can still write
schema 1, for a rolling deployment beside workers of 0.1.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, ValidationInfo, model_validator

from oncegate._secret import REVEAL, Secret
from oncegate._stored import FROM_STORE, StoredModel
from oncegate.challenges import CHALLENGE_KINDS, Challenge, Factor
from oncegate.errors import RecordTooNew, RecordUnreadable
from oncegate.states import FINAL, IN_FLIGHT, AccountState, AnyState, FlowState

SCHEMA: Final = 2
"""The schema that this release writes."""

SchemaNumber = Literal[1, 2]

ATTEMPTS_PER_CHALLENGE = 5
"""Wrong codes allowed. Cognito has no limit of its own (six wrong EMAIL_OTP codes: public reports)."""

NEW_CODES_PER_FLOW = 5
"""How often a new code may be requested in one flow."""

HANDOVERS_PER_FLOW = 5
"""How often the accepted answer may be repeated, right or wrong, to receive the session again."""

_NOT_IN_1: Final = (
    *("schema_number", "accepted_event", "accepted_digest", "handovers_left", "account_tag"),
    *("from_known_browser", "password_changed", "worker", "sent_factors", "own_name"),
    "owner",
)

# Names of schema 1, and what became of them.
_FIELDS_1: Final = {
    "tried": "attempted_digests",
    "kept_password": "retained_password",
    "again": "preselected_factor",
    "session_name": "session_id",
}
_STATES_1: Final = {"requesting_code": "requesting_challenge", "checking_code": "checking_answer"}


_MESSAGES_1: Final = {
    "answer_outcome_unknown": "outcome_unknown",
    "address_taken": "new_password_refused",
    "answer_failed": "wrong_credentials",
    "answer_refused": "wrong_credentials",
    "attribute_refused": "new_password_refused",
    "attributes_missing": "new_password_refused",
    "blocked": "trigger_refused",
    "code_used": "code_already_used",
    "email_refused": "new_password_refused",
    "input_refused": "new_password_refused",
    "limit_exceeded": "throttled",
    "new_password_spaces": "new_password_refused",
    "too_many_guesses": "locked",
    "not_accepted": "wrong_code",
    "password_needs_lowercase": "new_password_refused",
    "password_needs_number": "new_password_refused",
    "password_needs_symbol": "new_password_refused",
    "password_needs_uppercase": "new_password_refused",
    "password_too_short": "new_password_refused",
    "password_used_before": "new_password_refused",
    "password_for_other_factor": "password_for_new_code",
    "password_missing": "new_password_refused",
    "phone_number_refused": "new_password_refused",
    "not_this_sign_in": "stale",
    "provider_address_taken": "wrong_credentials",
    "provider_denied": "cancelled",
    "provider_failed": "wrong_credentials",
    "recovery_refused": "wrong_credentials",
    "recovery_outcome_unknown": "outcome_unknown",
    "refused": "trigger_refused",
    "recovery_unavailable": "factor_unusable",
    "second_factor_missing": "administrator_must_act",
    "sign_up_outcome_unknown": "outcome_unknown",
    "sign_up_refused": "trigger_refused",
    "sign_up_sent": "sign_up_not_confirmed",
    "too_many_wrong_answers": "too_many_wrong_codes",
    "username_taken": "wrong_credentials",
    "username_refused": "wrong_credentials",
    "wrong_answer": "wrong_code",
}
"""Messages that 0.1 does not know, and its nearest. It fails on an unknown one."""


class Flow(StoredModel):
    """One attempt to sign in, or the changes that a signed-in user makes to the account.

    Attributes:
        schema_number: schema that the record was written by.
        version: counts saves; 0 is a flow that was never saved. Compare-and-swap uses it.
        username: name as typed; shown again, and sent with the first call only.
        own_name: the pool's own name for the user, if a rejected sign-in has told it; filled up with
            blanks, so that records of known and unknown users have one size.
        challenge: the challenge to answer now.
        challenge_id: version that brought the challenge, so that no two challenges are equal.
        attempts_left: number of answers that the challenge still takes.
        attempted_digests: keyed digests of the answers to this challenge that were sent, newest last.
        factor: factor that the user chose last.
        is_passwordless: whether the transport can begin with a username alone.
        retained_password: the password, if the application opted in to new codes by one click; never
            longer than the challenge lives.
        start_session: the next sign-in may start with it instead of a first factor.
        preselected_factor: factor for which a new code was requested, until it is issued.
        new_code_at: earliest time for a new code, in seconds since the epoch. It only grows.
        new_codes_left: number of further new codes that this flow may request.
        sent_factors: factors whose codes were sent in this flow.
        account_tag: tag of the password that was entered, by which codes are counted
            (`oncegate.budget.password_tag`).
        owner: ID (sub) of the signed-in user whose account it changes; None for a sign-in.
        from_known_browser: whether this user has signed in before in the browser that the username came
            from.
        password_changed: whether the user has set a new password in this flow, or may have.
        device_key: key of the device that the last call was made from.
        remember_device: the user's answer about remembering this device, if given in advance.
        lease_until: end of the lease of a call under way, in seconds since the epoch.
        worker: name of the process that makes the call under way; empty if it has none.
        challenge_ends: deadline for answers, in seconds since the epoch.
        saved_at: time of this version, in seconds since the epoch.
        message: message for the user: a code of `oncegate.messages.TEXTS`, without ``message.``.
        detail: Cognito's own words, if they are for the user.
        session_id: the session keeper's ID of the session, once the user is signed in.
        accepted_event: type of the event whose answer Cognito accepted last, and issued tokens for.
        accepted_digest: keyed digest of that answer. Only a request with the same one receives the
            session.
        handovers_left: number of further requests whose answer is compared with it.
    """

    schema_number: int = Field(default=SCHEMA, ge=1)
    version: int = Field(default=0, ge=0)
    state: AnyState = FlowState.IDLE
    username: str = ""
    own_name: str = ""
    challenge: Challenge | None = None
    challenge_id: int = 0
    attempts_left: int = Field(default=ATTEMPTS_PER_CHALLENGE, ge=0)
    attempted_digests: tuple[str, ...] = ()
    factor: Factor | None = None
    is_passwordless: bool = False
    retained_password: Secret | None = None
    start_session: Secret | None = None
    preselected_factor: Factor | None = None
    new_code_at: float | None = None
    new_codes_left: int = NEW_CODES_PER_FLOW
    sent_factors: tuple[Factor, ...] = ()
    account_tag: str = ""
    owner: str | None = None
    from_known_browser: bool = False
    password_changed: bool = False
    device_key: str | None = None
    remember_device: bool | None = None
    lease_until: float | None = None
    worker: str = ""
    challenge_ends: float | None = None
    saved_at: float = 0.0
    message: str | None = None
    detail: str = ""
    session_id: str | None = Field(default=None, repr=False)
    accepted_event: str | None = None
    accepted_digest: str | None = None
    handovers_left: int = Field(default=HANDOVERS_PER_FLOW, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, data: Any, info: ValidationInfo) -> Any:
        is_schema_1 = isinstance(data, dict) and "schema_number" not in data
        if info.context is not FROM_STORE or not is_schema_1:
            return data
        upgraded = {_FIELDS_1.get(name, name): value for name, value in data.items()}
        state = upgraded.get("state", FlowState.IDLE)
        return {**upgraded, "state": _STATES_1.get(state, state)}

    @property
    def is_in_flight(self) -> bool:
        return self.state in IN_FLIGHT

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def deadline(self) -> float | None:
        """When the state expires: the end of the lease in flight, of the challenge at rest."""
        return self.lease_until if self.is_in_flight else self.challenge_ends


def write_record(flow: Flow, schema: SchemaNumber = SCHEMA) -> bytes:
    """Return a flow as JSON, with its secrets. Only to be sealed.

    Args:
        flow: the flow.
        schema: 1 if workers of 0.1 have to read it. Fields that schema 1 does not have are left out.
    """
    if schema != 1:
        return flow.model_dump_json(context=REVEAL, exclude_none=True).encode()
    data = flow.model_dump(mode="json", context=REVEAL, exclude_none=True)
    for field in (*(flow.model_extra or {}), *_NOT_IN_1):
        data.pop(field, None)
    data.get("challenge", {}).pop("available", None)
    if "message" in data:
        data["message"] = _MESSAGES_1.get(data["message"], data["message"])
    data["state"] = {new: old for old, new in _STATES_1.items()}.get(data["state"], data["state"])
    for old, new in _FIELDS_1.items():
        if new in data:
            data[old] = data.pop(new)
    return json.dumps(data).encode()


def read_record(plain: bytes) -> Flow:
    """Return the flow that `write_record` wrote, of this or another release.

    Raises:
        RecordTooNew: a later release wrote it, and uses a state or challenge unknown here.
        RecordUnreadable: it is not a flow.
    """
    try:
        return Flow.model_validate_json(plain, context=FROM_STORE)
    except ValidationError:
        # `from None`: the validation error holds what could be read of the record.
        if _is_of_a_later_release(plain):
            raise RecordTooNew("a later release of oncegate wrote this flow") from None
        raise RecordUnreadable("the stored flow is invalid") from None


def _is_of_a_later_release(plain: bytes) -> bool:
    """Whether a record has a schema, state or challenge that this release does not know.

    The seal proves that a worker of the application wrote it, so it is not made up.
    """
    try:
        data = json.loads(plain)
        number, state, challenge = (data.get(k) for k in ("schema_number", "state", "challenge"))
        kind = challenge.get("kind") if challenge else None
    except (ValueError, AttributeError):
        return False
    return (
        (type(number) is int and number > SCHEMA)
        or (isinstance(state, str) and state not in {*FlowState, *AccountState, *_STATES_1})
        or (isinstance(kind, str) and kind not in CHALLENGE_KINDS)
    )
