"""Replacing a temporary password: NEW_PASSWORD_REQUIRED."""

from __future__ import annotations

import json
from typing import Final

from oncegate.adapters import NewPasswordChallenge, Outcome, SetPassword
from oncegate_cognito._registry import ReceivedChallenge, parses, performs
from oncegate_cognito._requests import Requests

_PREFIX: Final = "userAttributes."


@parses("NEW_PASSWORD_REQUIRED")
def parse(received: ReceivedChallenge) -> NewPasswordChallenge:
    """Return the challenge, with the attributes that the pool requires."""
    names = json.loads(received.parameters.get("requiredAttributes") or "[]")
    required = tuple(name.removeprefix(_PREFIX) for name in names)
    return NewPasswordChallenge(required_attributes=required, **received.common)


@performs(SetPassword)
def set_password(call: SetPassword, requests: Requests) -> Outcome:
    """Answer the challenge with the new password and the attributes."""
    attributes = {_PREFIX + name: value for name, value in call.attributes.items()}
    return requests.answer(
        call, {"NEW_PASSWORD": call.new_password.get_secret_value(), **attributes}
    )
