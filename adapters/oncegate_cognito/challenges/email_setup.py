"""Setting up codes by email: the answer to MFA_SETUP, with the address."""

from __future__ import annotations

from oncegate.adapters import Outcome, RequestCode
from oncegate_cognito._requests import Requests


def request_code(call: RequestCode, requests: Requests) -> Outcome:
    """Give the address; Cognito sends the first code to it."""
    # MFA_SETUP names the answer EMAIL (amplify-js).
    answer = {"EMAIL": call.email} if call.email else {"ANSWER": call.factor.value}
    return requests.answer(call, answer)
