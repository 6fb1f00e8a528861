"""The challenges that the sandbox issues: one file for each.

A file holds all that the sandbox knows of one challenge: when it is due, how it is issued, how its
answer is checked, and the operations that belong to it. The files have the names of those in
``oncegate.challenges``.

This module lists them. A new challenge is one file and one line in `CHALLENGES`.
"""

from __future__ import annotations

from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.challenges.code import Code
from oncegate_sandbox.challenges.confirm_sign_up import ConfirmSignUp
from oncegate_sandbox.challenges.custom import Custom
from oncegate_sandbox.challenges.device import RememberedDevice
from oncegate_sandbox.challenges.email_setup import EmailSetup
from oncegate_sandbox.challenges.factor_choice import FactorChoice
from oncegate_sandbox.challenges.new_password import NewPassword
from oncegate_sandbox.challenges.passkey import Passkeys
from oncegate_sandbox.challenges.password import Password
from oncegate_sandbox.challenges.reset_password import ResetPassword
from oncegate_sandbox.challenges.totp_setup import TotpSetup

CHALLENGES: tuple[type[Challenge], ...] = (
    Password,
    Passkeys,
    Custom,
    NewPassword,
    RememberedDevice,
    TotpSetup,
    EmailSetup,
    Code,
    FactorChoice,
    ConfirmSignUp,
    ResetPassword,
)
"""All challenges. After the first factor, the first one here that is due is issued."""

__all__ = ["CHALLENGES", "Challenge"]
