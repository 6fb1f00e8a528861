"""Custom challenges: CUSTOM_CHALLENGE, from the pool's Lambda triggers."""

from __future__ import annotations

from oncegate.adapters import CheckAnswer, CustomChallenge, Outcome
from oncegate_cognito._registry import ReceivedChallenge, parses, performs
from oncegate_cognito._requests import Requests

# Cognito adds these to the Lambda's public parameters.
_NOT_OF_THE_LAMBDA = {"USERNAME", "USER_ID_FOR_SRP"}


@parses("CUSTOM_CHALLENGE")
def parse(received: ReceivedChallenge) -> CustomChallenge:
    """Return the challenge, with the Lambda's public parameters."""
    public = {
        name: value for name, value in received.parameters.items() if name not in _NOT_OF_THE_LAMBDA
    }
    return CustomChallenge(parameters=public, **received.common)


@performs(CheckAnswer)
def check(call: CheckAnswer, requests: Requests) -> Outcome:
    """Answer the challenge."""
    return requests.answer(call, {"ANSWER": call.answer.get_secret_value()})
