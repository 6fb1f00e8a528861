"""Creating an account: SignUp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError
from pydantic import SecretStr

from oncegate.adapters import (
    ChallengeIssued,
    Confirmed,
    CreateAccount,
    Outcome,
    SignUpConfirmation,
)
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.challenges._recovery import delivery_of

# The account exists, and its code was not sent. API reference, SignUp: "When you get this exception in
# the response, the user is successfully created and is in an UNCONFIRMED state."
_CREATED_WITHOUT_A_CODE: Final = frozenset(
    {"LimitExceededException", "CodeDeliveryFailureException"}
)


@performs(CreateAccount)
def create_account(call: CreateAccount, requests: Requests) -> Outcome:
    """Create the account. If its code could not be sent, the user can request a new one."""
    wanted, password = call.challenge, call.password
    request = requests.named(wanted.username)
    request["UserAttributes"] = [
        {"Name": name, "Value": value} for name, value in wanted.attributes.items()
    ]
    if password is not None:
        request["Password"] = password.get_secret_value()
    response: Mapping[str, Any] = {}
    try:
        response = requests.send("sign_up", **request)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _CREATED_WITHOUT_A_CODE:
            raise
    # Only USER_AUTH can begin with it, and it may end sooner than the code.
    session = response.get("Session") if requests.auth_flow == "USER_AUTH" else None
    if response.get("UserConfirmed"):
        return Confirmed(session=SecretStr(session) if session else None)
    return ChallengeIssued(
        challenge=SignUpConfirmation(
            username=wanted.username,
            session=SecretStr(session or ""),
            session_valid_for=requests.valid_for,
            delivery=delivery_of(response) if "CodeDeliveryDetails" in response else None,
        )
    )
