"""A code sent by SMS or email, or shown by an authenticator app.

SMS_MFA, EMAIL_OTP, SMS_OTP and SOFTWARE_TOKEN_MFA.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from oncegate import Factor
from oncegate_sandbox._sessions import Session
from oncegate_sandbox._signing_in import Attempt
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import WRONG_CODE, CognitoError
from oncegate_sandbox.inbox import masked, masked_name, new_code

_RESPONSES = {
    Factor.SMS: "SMS_MFA_CODE",
    Factor.EMAIL: "EMAIL_OTP_CODE",
    Factor.TOTP: "SOFTWARE_TOKEN_MFA_CODE",
    Factor.SMS_OTP: "SMS_OTP_CODE",
}
_FIRST_FACTORS = {Factor.EMAIL: "email", Factor.SMS_OTP: "phone_number"}


class Code(Challenge):
    """Sends codes and checks them."""

    names = tuple(factor.value for factor in _RESPONSES)

    def first_factors(self, user: User | None) -> Sequence[str]:
        has = user.attributes if user else {}
        return [factor.value for factor, attribute in _FIRST_FACTORS.items() if attribute in has]

    def begin(self, factor: str, attempt: Attempt) -> Json:
        assert attempt.user is not None  # only passwords are available to an unknown user
        response = self.send(attempt.user, Factor(factor), attempt.device_key, is_first=True)
        return {**response, "AvailableChallenges": [factor]}

    def imitates(self, factor: str) -> bool:
        """Whether the sandbox imitates this first factor for an unknown user."""
        return factor in _FIRST_FACTORS

    def imitate(self, name: str, factor: Factor) -> Json:
        """Issue a challenge without a code, so as not to reveal that the user is unknown.

        Source: public reports.
        """
        now = self.pool.clock.now()
        session = self.pool.sessions.open(factor.value, None, now, is_first=True)
        return {
            "ChallengeName": factor.value,
            "Session": session.text,
            "ChallengeParameters": {"USERNAME": name, **_delivery(factor, masked_name(name))},
            "AvailableChallenges": [factor.value],
        }

    def is_due(self, user: User, device_key: str | None) -> bool:
        del device_key
        factors = self.pool.second_factors(user)
        return bool(factors) and (user.preferred is not None or len(factors) == 1)

    def issue(self, user: User, device_key: str | None) -> Json:
        factor = user.preferred or self.pool.second_factors(user)[0]
        return self.send(user, factor, device_key)

    def send(
        self, user: User, factor: Factor, device_key: str | None, *, is_first: bool = False
    ) -> Json:
        """Issue the challenge of a factor, and send its code unless an app shows it."""
        if factor is Factor.TOTP:
            parameters = {"FRIENDLY_DEVICE_NAME": "Authenticator"}
            return self.open(factor.value, user, parameters, device_key=device_key)
        code = new_code(factor)
        response = self.open(
            factor.value,
            user,
            _delivery(factor, masked(user.destination(factor) or "")),
            code=code,
            device_key=device_key,
            is_first=is_first,
        )
        self.pool.deliver(user, factor, code, factor.value)
        return response

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        factor = Factor(request.challenge)
        code = required(request.responses, _RESPONSES[factor])
        user = session.user
        if user is None:
            raise CognitoError("CodeMismatchException", WRONG_CODE)
        if factor is Factor.TOTP:
            user.use_totp_code(code, self.pool.clock.now())
        elif not hmac.compare_digest((session.code or "").encode(), code.encode()):
            # The session stays open, and the number of attempts has no limit: public reports.
            raise CognitoError("CodeMismatchException", WRONG_CODE)
        session.used = True
        if session.is_first:
            self.sign_in.check_status(user)
        answered_as = request.responses["USERNAME"]
        return self.sign_in.complete(user, session.device_key, answered_as=answered_as)


def _delivery(factor: Factor, destination: str) -> dict[str, str]:
    return {
        "CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL" if factor is Factor.EMAIL else "SMS",
        "CODE_DELIVERY_DESTINATION": destination,
    }
