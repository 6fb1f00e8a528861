"""A code sent by SMS or email, or shown by an authenticator app.

SMS_MFA, EMAIL_OTP, SMS_OTP and SOFTWARE_TOKEN_MFA.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from oncegate import Factor
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._signing_in import Attempt, SigningIn
from oncegate_sandbox._users import Lockout, User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import MFA_LOCKED, WRONG_CODE, CognitoError
from oncegate_sandbox.inbox import imitated, masked

_RESPONSES: Final = {
    Factor.SMS: "SMS_MFA_CODE",
    Factor.EMAIL: "EMAIL_OTP_CODE",
    Factor.TOTP: "SOFTWARE_TOKEN_MFA_CODE",
    Factor.SMS_OTP: "SMS_OTP_CODE",
}
_METHODS: Final = {
    Factor.SMS: "sms",
    Factor.SMS_OTP: "sms",
    Factor.EMAIL: "email_otp",
    Factor.TOTP: "otp",
}
"""Values of ``amr``: AWS developer guide, authentication levels with ACR and AMR claims."""
_FIRST_FACTORS: Final = {Factor.EMAIL: "email", Factor.SMS_OTP: "phone_number"}
_FIRST_DIGITS, _SECOND_DIGITS = 8, 6

rule(
    "code-digits",
    "A code that is the first factor has 8 digits, by email and by SMS; one of MFA has 6.",
    source="amplify-js#14428, the maintainer; API reference, InitiateAuth, example 2",
)
rule(
    "mfa-lock-out",
    "From the fifth wrong MFA code on, the user is locked for 1 second, and for twice as long after "
    "each further one: NotAuthorizedException. The challenge and its session stay. The count is "
    "forgotten after 15 minutes without a try.",
    source="AWS developer guide, MFA; two public products for the words; the schedule is that of "
    "passwords",
    inferred=True,
)
rule(
    "first-factor-codes-unlimited",
    "Wrong codes of a first factor lock no user out: six in a row were taken.",
    source="a recorded pool",
)
rule(
    "totp-session",
    "Whether a wrong authenticator code uses up the session is a setting of the seed "
    "(wrong_totp_ends_session).",
    source="two clients say that it does, one that it does not",
    inferred=True,
)


class Code(Challenge):
    """Sends codes and checks them."""

    names = tuple(factor.value for factor in _RESPONSES)

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        self._lockouts: dict[str, Lockout] = {}

    def first_factors(self, user: User | None) -> Sequence[str]:
        return [
            factor.value
            for factor, attribute in _FIRST_FACTORS.items()
            if user is None or attribute in user.attributes
        ]

    def begin(self, factor: str, attempt: Attempt) -> Json:
        user, kind = attempt.user, Factor(factor)
        self.sign_in.check_status(user, attempt.client)
        if user is None:
            # A challenge without a code, so as not to reveal that the user is unknown: public reports.
            medium = "EMAIL" if kind is Factor.EMAIL else "SMS"
            destination = imitated(attempt.name, medium)
            return self.open_first(factor, attempt, _delivery(kind, destination))
        code = _new_code(_FIRST_DIGITS)
        destination = masked(user.destination(kind) or "")
        response = self.open_first(factor, attempt, _delivery(kind, destination), code=code)
        self._deliver(user, kind, code, attempt.caller)
        return response

    def is_due(self, user: User, caller: Caller) -> bool:
        del caller
        factors = self.pool.second_factors(user)
        return user.preferred in factors or len(factors) == 1

    def issue(self, user: User, caller: Caller) -> Json:
        factors = self.pool.second_factors(user)
        preferred = user.preferred if user.preferred in factors else None
        return self.send(user, preferred or factors[0], caller)

    def send(self, user: User, factor: Factor, caller: Caller) -> Json:
        """Issue the challenge of a second factor, and send its code unless an app shows it."""
        if factor is Factor.TOTP:
            parameters = {"FRIENDLY_DEVICE_NAME": "Authenticator"}
            return self.open(factor.value, user, parameters, caller)
        code = _new_code(_SECOND_DIGITS)
        parameters = _delivery(factor, masked(user.destination(factor) or ""))
        response = self.open(factor.value, user, parameters, caller, code=code)
        self._deliver(user, factor, code, caller)
        return response

    def _deliver(self, user: User, factor: Factor, code: str, caller: Caller) -> None:
        self.pool.deliver(
            user,
            factor,
            code,
            factor.value,
            client_id=caller.client.id,
            metadata=caller.metadata,
        )

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        code = required(request.responses, _RESPONSES[Factor(request.challenge)])
        user = session.user
        if user is None:
            raise CognitoError("CodeMismatchException", WRONG_CODE)
        if session.is_first:
            _compare(session, code)
        else:
            self._check_second(session, user, code)
        session.used = True
        if session.is_first:
            self.sign_in.check_status(user, session.client)
            self.sign_in.check_enabled(user, session.client)
        answered_as = request.responses["USERNAME"]
        if session.is_first and answered_as == session.name:
            answered_as = None
        caller = session.origin.proving(_METHODS[Factor(request.challenge)])
        return self.sign_in.complete(user, caller, answered_as=answered_as)

    def _check_second(self, session: Session, user: User, code: str) -> None:
        """Check a code of MFA, and count a wrong one.

        Raises:
            CognitoError: the code is wrong or was used before, or the user is locked out.
        """
        now = self.pool.clock.now()
        lockout = self._lockouts.setdefault(user.username, Lockout())
        lockout.check(now, MFA_LOCKED)
        try:
            if session.challenge == Factor.TOTP:
                user.use_totp_code(code, now)
            else:
                _compare(session, code)
        except CognitoError as error:
            if error.code == "CodeMismatchException":
                lockout.count_wrong(now)
                is_totp = session.challenge == Factor.TOTP
                session.used = is_totp and self.pool.seed.wrong_totp_ends_session
            raise
        lockout.reset()


def _compare(session: Session, code: str) -> None:
    """Compare a code with the one that was sent. The session takes another one if it is wrong.

    Raises:
        CognitoError: the code is wrong.
    """
    if not hmac.compare_digest((session.code or "").encode(), code.encode()):
        raise CognitoError("CodeMismatchException", WRONG_CODE)


def _new_code(digits: int) -> str:
    return f"{secrets.randbelow(10**digits):0{digits}d}"


def _delivery(factor: Factor, destination: str) -> dict[str, str]:
    return {
        "CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL" if factor is Factor.EMAIL else "SMS",
        "CODE_DELIVERY_DESTINATION": destination,
    }
