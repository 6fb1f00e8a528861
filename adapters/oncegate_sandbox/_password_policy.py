"""The policy that new passwords must meet."""

from __future__ import annotations

import re

from oncegate_sandbox.errors import CognitoError

# A user pool's default policy: AWS developer guide, "Adding user pool password requirements".
_RULES = (
    (r".{8,}", "Password not long enough"),
    (r".*[0-9]", "Password must have numeric characters"),
    (r".*[A-Z]", "Password must have uppercase characters"),
    (r".*[a-z]", "Password must have lowercase characters"),
    (r".*[^A-Za-z0-9]", "Password must have symbol characters"),
)


def check_policy(password: str) -> None:
    """Check a new password against the default policy.

    Raises:
        CognitoError: InvalidPasswordException, with the first rule that the password breaks.
    """
    for pattern, problem in _RULES:
        if not re.match(pattern, password, re.DOTALL):
            raise CognitoError(
                "InvalidPasswordException", f"Password does not conform to policy: {problem}"
            )
