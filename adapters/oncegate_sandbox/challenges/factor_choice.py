"""The choice of a factor: SELECT_CHALLENGE for the first (USER_AUTH), SELECT_MFA_TYPE for the second."""

from __future__ import annotations

import json
from collections.abc import Mapping

from oncegate import Factor
from oncegate_sandbox._sessions import Session
from oncegate_sandbox._signing_in import Attempt
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import AuthFlow, Challenge
from oncegate_sandbox.challenges.code import Code
from oncegate_sandbox.challenges.confirm_sign_up import ConfirmSignUp
from oncegate_sandbox.challenges.password import Password
from oncegate_sandbox.errors import CognitoError, invalid_parameter


class FactorChoice(Challenge):
    """Offers the factors of a user, and begins with the chosen one."""

    names = ("SELECT_CHALLENGE", "SELECT_MFA_TYPE")

    def auth_flows(self) -> Mapping[str, AuthFlow]:
        return {"USER_AUTH": self._begin_user_auth}

    def _begin_user_auth(self, attempt: Attempt) -> Json:
        """Issue the preferred challenge if it is available, else the choice."""
        user, given = attempt.user, attempt.given
        if attempt.session:
            return self.sign_in.challenge(ConfirmSignUp).sign_in_with(user, attempt.session)
        preferred = given.get("PREFERRED_CHALLENGE") or ""
        if given.get("ACCESS_TOKEN") and not given.get("TARGET_ACR_VALUES"):
            raise invalid_parameter("ACCESS_TOKEN requires TARGET_ACR_VALUES")
        if given.get("ACCESS_TOKEN"):
            bearer = self.pool.bearer(given["ACCESS_TOKEN"] or "")
            if bearer is not user:
                raise invalid_parameter("USERNAME does not match ACCESS_TOKEN")
        code = self.sign_in.challenge(Code)
        if user is None and code.imitates(preferred):
            return code.imitate(attempt.name, Factor(preferred))
        available = self._available(user)
        if preferred in available:
            return self._begin_with(preferred, attempt)
        session = self.pool.sessions.open(
            "SELECT_CHALLENGE",
            user,
            self.pool.clock.now(),
            device_key=attempt.device_key,
            notes={"name": attempt.name},
        )
        return {
            "ChallengeName": "SELECT_CHALLENGE",
            "Session": session.text,
            "ChallengeParameters": {"USERNAME": user.username if user else attempt.name},
            "AvailableChallenges": available,
        }

    def _available(self, user: User | None) -> list[str]:
        passwords = self.sign_in.challenge(Password).first_factors(user)
        if user is None or user.status == "FORCE_CHANGE_PASSWORD":
            # [reports] for a temporary password; inferred for an unknown user.
            return list(passwords)
        offered = {name for one in self.sign_in.challenges for name in one.first_factors(user)}
        return [*passwords, *(name for name in self.pool.seed.first_factors if name in offered)]

    def _begin_with(self, factor: str, attempt: Attempt) -> Json:
        for challenge in self.sign_in.challenges:
            if factor in challenge.first_factors(attempt.user):
                return challenge.begin(factor, attempt)
        raise invalid_parameter(f"{factor} is not an available challenge")

    def is_due(self, user: User, device_key: str | None) -> bool:
        del device_key
        return user.preferred is None and len(self.pool.second_factors(user)) > 1

    def issue(self, user: User, device_key: str | None) -> Json:
        offered = json.dumps([factor.value for factor in self.pool.second_factors(user)])
        parameters = {"MFAS_CAN_CHOOSE": offered}
        return self.open("SELECT_MFA_TYPE", user, parameters, device_key=device_key)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        if request.challenge == "SELECT_MFA_TYPE":
            return self._choose_second(session, request.responses.get("ANSWER"))
        chosen = required(request.responses, "ANSWER")
        if chosen not in self._available(session.user):
            raise invalid_parameter(f"{chosen} is not an available challenge")
        session.used = True
        name = session.notes["name"]
        return self._begin_with(
            chosen, Attempt(session.user, name, request.responses, session.device_key)
        )

    def _choose_second(self, session: Session, chosen: str | None) -> Json:
        user = session.owner
        if chosen not in {factor.value for factor in user.factors}:
            raise CognitoError("MFAMethodNotFoundException", "No such MFA method for the user.")
        session.used = True
        return self.sign_in.challenge(Code).send(user, Factor(chosen), session.device_key)
