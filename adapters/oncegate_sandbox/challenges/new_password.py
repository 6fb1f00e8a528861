"""NEW_PASSWORD_REQUIRED: a temporary password is to be replaced."""

from __future__ import annotations

import json
from dataclasses import replace

from oncegate_sandbox._attributes import check_change
from oncegate_sandbox._password_policy import check_new_password
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import invalid_parameter, not_authorized

_PREFIX = "userAttributes."

rule(
    "temporary-password-expires",
    "After TemporaryPasswordValidityDays a temporary password is rejected: 'Temporary password has "
    "expired and must be reset by an administrator.'. That the password is checked first is "
    "inferred.",
    source="API reference, PasswordPolicyType; public reports of the words",
    inferred=True,
)
rule(
    "new-password-attributes",
    "NEW_PASSWORD_REQUIRED takes the required attributes that the user lacks: 'Invalid attributes "
    "given, X is missing'.",
    source="pmill/aws-cognito#25",
)
rule(
    "new-password-provided",
    "An email address or a phone number that the user has cannot be sent again: 'Cannot modify an "
    "already provided email'.",
    source="recorded answer of AdminRespondToAuthChallenge; many reports",
)


class NewPassword(Challenge):
    """Sets the new password and the attributes that the pool requires."""

    names = ("NEW_PASSWORD_REQUIRED",)

    def is_due(self, user: User, caller: Caller) -> bool:
        del caller
        return user.status == "FORCE_CHANGE_PASSWORD"

    def issue(self, user: User, caller: Caller) -> Json:
        if user.temporary_until is not None and self.pool.clock.now() >= user.temporary_until:
            raise not_authorized(
                "Temporary password has expired and must be reset by an administrator."
            )
        parameters = {
            "requiredAttributes": json.dumps([_PREFIX + name for name in self._missing(user)]),
            "userAttributes": json.dumps(user.attributes),
        }
        return self.open("NEW_PASSWORD_REQUIRED", user, parameters, caller)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        user, settings = session.owner, self.pool.settings
        password = required(request.responses, "NEW_PASSWORD")
        given = {
            name.removeprefix(_PREFIX): value
            for name, value in request.responses.items()
            if name.startswith(_PREFIX) and value
        }
        if missing := [name for name in self._missing(user) if name not in given]:
            verb = "is" if len(missing) == 1 else "are"
            raise invalid_parameter(
                f"Invalid attributes given, {' and '.join(missing)} {verb} missing"
            )
        for name in ("email", "phone_number"):
            if name in given and user.attributes.get(name):
                raise not_authorized(f"Cannot modify an already provided {name}")
        check_change(settings, user, given)
        check_new_password(settings.password_policy, password, user=user)
        session.used = True
        user.attributes |= given
        user.set_password(password)
        user.modified_at = self.pool.clock.now()
        caller = replace(session.origin, token_source="TokenGeneration_NewPasswordChallenge")  # noqa: S106
        return self.sign_in.next_step(user, caller)

    def _missing(self, user: User) -> list[str]:
        required_names = self.pool.settings.required_attributes
        return [name for name in required_names if not user.attributes.get(name)]
