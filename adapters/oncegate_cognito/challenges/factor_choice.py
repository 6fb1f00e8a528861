"""Choosing a factor: SELECT_CHALLENGE, SELECT_MFA_TYPE and MFA_SETUP."""

from __future__ import annotations

import json
from collections.abc import Sequence

from oncegate import Factor
from oncegate.adapters import (
    SECOND_FACTORS,
    FactorChoice,
    Outcome,
    Rejected,
    RejectionReason,
    RequestCode,
)
from oncegate_cognito._registry import (
    PASSWORD_SRP,
    ReceivedChallenge,
    first_factors,
    parses,
    performs,
)
from oncegate_cognito._requests import Requests
from oncegate_cognito.challenges import email_setup, totp_setup

# The user cannot give a phone number during sign-in, so SMS cannot be set up.
_SET_UP = {Factor.TOTP: totp_setup.request_secret, Factor.EMAIL: email_setup.request_code}


@parses("SELECT_MFA_TYPE")
def parse_second_factors(received: ReceivedChallenge) -> FactorChoice:
    """Return the choice of a second factor."""
    names = json.loads(received.parameters["MFAS_CAN_CHOOSE"])
    return FactorChoice(
        kind="SELECT_MFA_TYPE", factors=_known(names, SECOND_FACTORS), **received.common
    )


@parses("MFA_SETUP")
def parse_factors_to_set_up(received: ReceivedChallenge) -> FactorChoice | Rejected:
    """Return the choice of a second factor to set up.

    Codes by SMS cannot be set up here: the user needs a phone number, which an administrator adds
    (amplify-flutter#95).
    """
    names = json.loads(received.parameters["MFAS_CAN_SETUP"])
    factors = _known(names, tuple(_SET_UP))
    if names and set(names) <= {Factor.SMS.value}:
        detail = (
            "MFA_SETUP offers SMS only: add a phone number to the user, or allow another factor"
        )
        return Rejected(reason=RejectionReason.SECOND_FACTOR_MISSING, detail=detail)
    return FactorChoice(kind="MFA_SETUP", factors=factors, **received.common)


@parses("SELECT_CHALLENGE")
def parse_first_factors(received: ReceivedChallenge) -> FactorChoice:
    """Return the choice of a first factor."""
    return FactorChoice(
        kind="SELECT_CHALLENGE",
        factors=first_factors(received.available),
        password_by_srp=PASSWORD_SRP in received.available,
        **received.common,
    )


@performs(RequestCode)
def request(call: RequestCode, requests: Requests) -> Outcome:
    """Answer the choice. Cognito sends a code if the factor is SMS or email."""
    challenge = call.challenge
    if challenge.kind == "MFA_SETUP":
        return _SET_UP[call.factor](call, requests)
    return requests.answer(
        call,
        {"ANSWER": call.factor.value},
        replaces_password=challenge.kind == "SELECT_CHALLENGE",
    )


def _known(names: Sequence[str], factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """Return the factors that are offered and that this release knows."""
    offered = set(names)
    return tuple(factor for factor in factors if factor.value in offered)
