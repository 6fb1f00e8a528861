"""The choice of a factor: SELECT_CHALLENGE for the first (USER_AUTH), SELECT_MFA_TYPE for the second."""

from __future__ import annotations

import json
from collections.abc import Mapping

from oncegate import Factor
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._signing_in import Attempt
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import AuthFlow, Challenge
from oncegate_sandbox.challenges.code import Code
from oncegate_sandbox.challenges.confirm_sign_up import ConfirmSignUp
from oncegate_sandbox.errors import CognitoError, invalid_parameter

rule(
    "user-auth-shape",
    "After USER_AUTH, ChallengeParameters of EMAIL_OTP and SMS_OTP have CODE_DELIVERY_ members only, "
    "those of WEB_AUTHN CREDENTIAL_REQUEST_OPTIONS, those of SELECT_CHALLENGE are empty. Clients "
    "answer with the name that was typed, and SECRET_HASH over it.",
    source="a recorded pool; API reference, InitiateAuth, examples 1 and 2",
)
rule(
    "user-auth-one-factor",
    "A user without a password who has one factor gets its challenge at once, and the code.",
    source="a transcript of the AWS CLI",
)
rule(
    "user-auth-preference",
    "A PREFERRED_CHALLENGE that the user does not have is answered by SELECT_CHALLENGE.",
    source="API reference, InitiateAuth, AuthParameters",
)
rule(
    "user-auth-password-needs-answer",
    "PREFERRED_CHALLENGE PASSWORD or PASSWORD_SRP without PASSWORD or SRP_A asks for it by a challenge "
    "of that name.",
    inferred=True,
)


class FactorChoice(Challenge):
    """Offers the factors of a user, and begins with the chosen one."""

    names = ("SELECT_CHALLENGE", "SELECT_MFA_TYPE")

    def auth_flows(self) -> Mapping[str, AuthFlow]:
        return {"USER_AUTH": self._begin_user_auth}

    def _begin_user_auth(self, attempt: Attempt) -> Json:
        """Issue the preferred challenge if it is available, else the choice."""
        user, given = attempt.user, attempt.given
        if attempt.session:
            return self.sign_in.challenge(ConfirmSignUp).sign_in_with(
                user, attempt.session, attempt.caller
            )
        if given.get("ACCESS_TOKEN") and not given.get("TARGET_ACR_VALUES"):
            raise invalid_parameter("ACCESS_TOKEN requires TARGET_ACR_VALUES")
        if given.get("ACCESS_TOKEN"):
            bearer = self.pool.bearer(given["ACCESS_TOKEN"] or "")
            if bearer is not user:
                raise invalid_parameter("USERNAME does not match ACCESS_TOKEN")
        preferred = given.get("PREFERRED_CHALLENGE") or ""
        available = self.sign_in.first_factors(user, attempt.name)
        if preferred in available or (user is None and preferred in self._imitated()):
            return self._begin_with(preferred, attempt)
        self.sign_in.check_status(user, attempt.client)
        if not preferred and len(available) == 1:
            return self._begin_with(available[0], attempt)
        return self.open_first("SELECT_CHALLENGE", attempt, {})

    def _imitated(self) -> set[str]:
        """The challenges that an unknown user can prefer: those of the pool."""
        return {
            factor
            for factor in ("PASSWORD_SRP", "PASSWORD", *self.pool.settings.first_factors)
            if any(factor in one.first_factors(None) for one in self.sign_in.challenges)
        }

    def _begin_with(self, factor: str, attempt: Attempt) -> Json:
        for challenge in self.sign_in.challenges:
            if factor in challenge.first_factors(attempt.user):
                return challenge.begin(factor, attempt)
        raise invalid_parameter(f"{factor} is not an available challenge")

    def is_due(self, user: User, caller: Caller) -> bool:
        del caller
        factors = self.pool.second_factors(user)
        return user.preferred not in factors and len(factors) > 1

    def issue(self, user: User, caller: Caller) -> Json:
        offered = [factor.value for factor in self.pool.second_factors(user)]
        parameters = {"MFAS_CAN_CHOOSE": json.dumps(offered, separators=(",", ":"))}
        return self.open("SELECT_MFA_TYPE", user, parameters, caller)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        if request.challenge == "SELECT_MFA_TYPE":
            return self._choose_second(session, request.responses.get("ANSWER"))
        chosen = required(request.responses, "ANSWER")
        if chosen not in self.sign_in.first_factors(session.user, session.name):
            raise invalid_parameter(f"{chosen} is not an available challenge")
        session.used = True
        return self._begin_with(
            chosen,
            Attempt(session.origin, session.user, session.name, request.responses),
        )

    def _choose_second(self, session: Session, chosen: str | None) -> Json:
        user = session.owner
        if chosen not in {factor.value for factor in self.pool.second_factors(user)}:
            raise CognitoError("MFAMethodNotFoundException", "No such MFA method for the user.")
        session.used = True
        return self.sign_in.challenge(Code).send(user, Factor(chosen), session.origin)
