"""What users are told, by a stable code. The one place for words; translations go by the code.

No message tells whether a user exists: a wrong password and an unknown user share their words, and
so do the ways a set-up can be wrong.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

TEXTS: Final = MappingProxyType(
    {
        # Why a flow is where it is.
        "wrong_credentials": "The username or the password is not right.",
        "locked": "Too many attempts. Wait a little, then try again.",
        "wrong_code": "That code is not right. Check it and try again.",
        "code_already_used": "That code has been used. Wait for your app to show the next one.",
        "code_expired": "That code has expired. Sign in again to get a new one.",
        "challenge_dead": "This sign-in has taken too long. Sign in again.",
        "challenge_expired": "The time to answer has passed. Sign in again.",
        "too_many_wrong_codes": "Too many wrong codes. Start a new sign-in.",
        "new_password_refused": "That password does not meet the rules.",
        "factor_unusable": "That way of confirming cannot be used. Choose another.",
        "password_reset_required": "Your password has to be reset first. A code can be sent to you.",
        "sign_up_not_confirmed": (
            "Your sign-up has to be confirmed first. Enter the code you were sent, or ask for one."
        ),
        "confirmed": "That is done. Sign in now.",
        "password_for_new_code": "Enter your password once more to get a new code.",
        "device_forgotten": "This device is no longer remembered. Sign in again.",
        "administrator_must_act": "An administrator has to reset your password.",
        "trigger_refused": "This sign-in was not accepted.",
        "firewall": "This sign-in was not accepted.",
        "misconfigured": "Sign-in does not work at the moment.",
        "unknown_challenge": "This account asks for something that is not supported here.",
        "unreachable": "The sign-in service could not be reached. Nothing was sent; try again.",
        "throttled": "The sign-in service is busy. Nothing was sent; try again in a moment.",
        "stalled": "That took too long to set out. Nothing was sent; try again.",
        "outcome_unknown": (
            "We could not learn what came of that. If a code reaches you, it can no longer be used. "
            "Sign in again."
        ),
        "cancelled": "The sign-in was cancelled.",
        "flow_expired": "This sign-in is too old. Start a new one.",
        # Why an event changed nothing.
        "stale": "That has been sent already.",
        "already_tried": "That code was tried already. Enter another one.",
        "not_offered": "Choose one of those that are offered.",
        "username_missing": "Enter your username.",
        "too_soon": "Wait a little for the code on its way before you ask for a new one.",
        "no_more_codes": "No more codes can be sent for this sign-in. Start a new one later.",
        "too_many_codes": "Too many codes have been sent. Try again later.",
        "in_flight": "One moment: your last answer is being checked.",
        "signed_in": "You are signed in.",
        "finished": "This sign-in is over.",
        "not_allowed": "That cannot be done at this point.",
    }
)
