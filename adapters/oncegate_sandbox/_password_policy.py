"""The policy that new passwords must meet."""

from __future__ import annotations

import re

from oncegate_sandbox._rules import rule
from oncegate_sandbox._settings import PasswordPolicy
from oncegate_sandbox._users import User
from oncegate_sandbox._validation import check_value
from oncegate_sandbox.errors import CognitoError

# Each operation has its own words for the same rules: public reports.
ON_SIGN_UP = "Password did not conform with policy"
ON_CREATION = "Password did not conform with password policy"
ON_CHANGE = "Password does not conform to policy"

# The special characters of the developer guide. A blank at an end is rejected before.
_SYMBOLS = re.escape("^$*.[]{}()?-\"!@#%&/\\,><':;|_~`+= ")

rule(
    "password-policy",
    "A new password must meet the pool's policy: InvalidPasswordException names the first rule that "
    "it breaks, such as 'Password must have uppercase characters'.",
    source="AWS developer guide, adding user pool password requirements; data-dot-all/dataall#690",
)
rule(
    "password-policy-words",
    "SignUp says 'Password did not conform with policy', AdminCreateUser 'Password did not conform "
    "with password policy', and all others 'Password does not conform to policy'.",
    source="data-dot-all/dataall#690 (AdminCreateUser); code that matches the others",
)
rule(
    "password-blank-at-an-end",
    "A password cannot begin or end with a blank.",
    source="amplify-js#869, amplify-js#3723",
)
rule(
    "password-history",
    "A password among the last ones of PasswordHistorySize is rejected: "
    "PasswordHistoryPolicyViolationException. Its words are inferred.",
    source="API reference, PasswordPolicyType",
    inferred=True,
)


def check_new_password(
    policy: PasswordPolicy,
    password: str,
    *,
    user: User | None = None,
    words: str = ON_CHANGE,
    member: str = "password",
) -> None:
    """Check a new password.

    Args:
        policy: the pool's policy.
        password: the new password.
        user: whose password it becomes. Default: none, a new user's.
        words: beginning of the message. Default: that of a changed password.
        member: name of the member that holds the password. Default: ``password``.

    Raises:
        CognitoError: InvalidPasswordException with the first rule that the password breaks,
            InvalidParameterException for a blank at an end, or
            PasswordHistoryPolicyViolationException.
    """
    check_value("PasswordType", member, password)
    rules = (
        (True, rf".{{{policy.minimum_length},}}", "Password not long enough"),
        (policy.requires_numbers, r".*[0-9]", "Password must have numeric characters"),
        (policy.requires_uppercase, r".*[A-Z]", "Password must have uppercase characters"),
        (policy.requires_lowercase, r".*[a-z]", "Password must have lowercase characters"),
        (policy.requires_symbols, f".*[{_SYMBOLS}]", "Password must have symbol characters"),
    )
    for is_required, pattern, problem in rules:
        if is_required and not re.match(pattern, password, re.DOTALL):
            raise CognitoError("InvalidPasswordException", f"{words}: {problem}")
    if user and user.used_before(password, policy.history):
        raise CognitoError(
            "PasswordHistoryPolicyViolationException", "Password has previously been used"
        )
