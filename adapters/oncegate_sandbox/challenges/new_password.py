"""NEW_PASSWORD_REQUIRED: a temporary password is to be replaced."""

from __future__ import annotations

import json

from oncegate_sandbox._password_policy import check_policy
from oncegate_sandbox._sessions import Session
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import invalid_parameter

_PREFIX = "userAttributes."


class NewPassword(Challenge):
    """Sets the new password and the attributes that the pool requires."""

    names = ("NEW_PASSWORD_REQUIRED",)

    def is_due(self, user: User, device_key: str | None) -> bool:
        del device_key
        return user.status == "FORCE_CHANGE_PASSWORD"

    def issue(self, user: User, device_key: str | None) -> Json:
        required_names = self.pool.seed.required_attributes
        missing = [name for name in required_names if name not in user.attributes]
        parameters = {
            "requiredAttributes": json.dumps([_PREFIX + name for name in missing]),
            "userAttributes": json.dumps(user.attributes),
        }
        return self.open("NEW_PASSWORD_REQUIRED", user, parameters, device_key=device_key)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        user = session.owner
        password = required(request.responses, "NEW_PASSWORD")
        given = {
            name.removeprefix(_PREFIX): value
            for name, value in request.responses.items()
            if name.startswith(_PREFIX) and value
        }
        for name in self.pool.seed.required_attributes:
            if name not in user.attributes and name not in given:
                raise invalid_parameter(
                    f"Invalid user attributes: {name}: The attribute is required"
                )
        check_policy(password)
        session.used = True
        user.attributes |= given
        user.set_password(password)
        return self.sign_in.next_step(user, session.device_key)
