"""Codes that are sent on request, outside a sign-in: to confirm a sign-up or to reset a password."""

from __future__ import annotations

import hmac

from pydantic import Field

from oncegate import Factor
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import ClientRequest, Json
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.inbox import masked_name, new_code

_WRONG = "Invalid verification code provided, please try again."
_EXPIRED = "Invalid code provided, please request a code again."


class UsernameRequest(ClientRequest):
    """A request that names a user."""

    username: str = Field(alias="Username", min_length=1)
    secret_hash: str | None = Field(default=None, alias="SecretHash")


def user_of(pool: PoolState, request: UsernameRequest) -> User | None:
    """Return the user of a request; None for an unknown user.

    Raises:
        CognitoError: the client or its secret hash is wrong, or the user is unknown and the pool
            reveals it.
    """
    pool.check_client(request.client_id)
    pool.check_secret_hash(
        request.secret_hash, request.username, "Unable to verify secret hash for client"
    )
    user = pool.users.find(request.username)
    if user is None and not pool.seed.prevent_user_existence_errors:
        raise CognitoError("UserNotFoundException", "Username/client id combination not found.")
    return user


def send_code(pool: PoolState, user: User | None, name: str, purpose: str, seconds: float) -> Json:
    """Send a code that is valid for ``seconds``; imitate it for an unknown user."""
    if user is None:
        medium, destination = "EMAIL", masked_name(name)
    else:
        user.code, user.code_ends = new_code(Factor.SMS), pool.clock.now() + seconds
        factor = Factor.EMAIL if "email" in user.attributes else Factor.SMS
        medium, destination = pool.deliver(user, factor, user.code, purpose)
    details = {
        "DeliveryMedium": medium,
        "Destination": destination,
        "AttributeName": "email" if medium == "EMAIL" else "phone_number",
    }
    return {"CodeDeliveryDetails": details}


def use_code(pool: PoolState, user: User | None, code: str) -> User:
    """Check a code, mark it as used, and return its user.

    Raises:
        CognitoError: the code is wrong or has expired.
    """
    if user is None or user.code is None or pool.clock.now() >= user.code_ends:
        raise CognitoError("ExpiredCodeException", _EXPIRED)
    if not hmac.compare_digest(user.code.encode(), code.encode()):
        raise CognitoError("CodeMismatchException", _WRONG)
    user.code = None
    return user
