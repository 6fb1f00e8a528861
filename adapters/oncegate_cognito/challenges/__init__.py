"""How each challenge of Cognito's is parsed and answered: one file for each, named as in the engine.

A file registers, with `parses`, the function that makes a challenge of ours from Cognito's, and, with
`performs`, the function that performs its calls. This module imports them all. A new challenge is one
more file and one more name in the import.
"""

from oncegate_cognito.challenges import (
    account_changes,
    address,
    authenticator,
    code,
    confirm_sign_up,
    custom,
    device,
    factor_choice,
    factor_offer,
    new_password,
    passkey,
    passkey_registration,
    password,
    provider,
    reset_password,
    sign_up,
    totp_setup,
    username,
)

__all__ = [
    "account_changes",
    "address",
    "authenticator",
    "code",
    "confirm_sign_up",
    "custom",
    "device",
    "factor_choice",
    "factor_offer",
    "new_password",
    "passkey",
    "passkey_registration",
    "password",
    "provider",
    "reset_password",
    "sign_up",
    "totp_setup",
    "username",
]
