"""Codes that are sent outside a sign-in: to confirm a sign-up, a new address or a reset."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Mapping

from pydantic import Field

from oncegate import Factor
from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._rules import rule
from oncegate_sandbox._state import NO_CLIENT, PoolState
from oncegate_sandbox._users import SentCode, User
from oncegate_sandbox._wire import ClientRequest, Json
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.inbox import imitated, new_code

DAY = 86400.0
"""Validity of codes that verify an address, in seconds: AWS developer guide, verifying contact
information."""
HOUR = 3600.0
"""Validity of reset codes, in seconds: AWS developer guide, on password resets."""

CONFIRM_SIGN_UP = "CONFIRM_SIGN_UP"
RESET_PASSWORD = "RESET_PASSWORD"
VERIFY = {"email": "VERIFY_EMAIL", "phone_number": "VERIFY_PHONE_NUMBER"}
"""Purposes of codes that verify an attribute."""

_WRONG = "Invalid verification code provided, please try again."
_EXPIRED = "Invalid code provided, please request a code again."
_TOO_MANY = "Attempt limit exceeded, please try after some time."
# Quotas of the developer guide: between 5 and 20 an hour, depending on the risk.
_PER_HOUR = 20

rule(
    "code-words",
    "A wrong code is CodeMismatchException, one that was never sent or has expired "
    "ExpiredCodeException.",
    source="AWS developer guide, managing user existence error responses; many reports",
)
rule(
    "code-replaced",
    "A new code makes the last one of its purpose invalid.",
    source="amplify-js#11069",
)
rule(
    "hourly-limit",
    "More than 20 requests of an operation for one user in an hour are rejected: "
    "LimitExceededException. Cognito's own limit is between 5 and 20, depending on the risk.",
    source="AWS developer guide, quotas; amplify-js#13225 (words)",
    inferred=True,
)


class UsernameRequest(ClientRequest):
    """A request that names a user."""

    username: str = Field(alias="Username", min_length=1)
    secret_hash: str | None = Field(default=None, alias="SecretHash")
    metadata: dict[str, str] | None = Field(default=None, alias="ClientMetadata")


class HourlyLimit:
    """Counts one operation's requests for each username, known or unknown."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = defaultdict(list)

    def count(self, name: str, now: float) -> None:
        """Count a request.

        Raises:
            CognitoError: there were too many within an hour.
        """
        recent = [at for at in self._times[name] if at > now - HOUR]
        if len(recent) >= _PER_HOUR:
            raise CognitoError("LimitExceededException", _TOO_MANY)
        self._times[name] = [*recent, now]


def client_of(pool: PoolState, request: UsernameRequest) -> AppClient:
    """Return the app client of a request.

    Raises:
        CognitoError: there is no such client, or its secret hash is wrong.
    """
    client = pool.client(request.client_id)
    pool.check_secret_hash(
        client, request.secret_hash, request.username, "Unable to verify secret hash for client"
    )
    return client


def user_of(pool: PoolState, request: UsernameRequest) -> User | None:
    """Return the user of a request; None for an unknown user.

    Raises:
        CognitoError: the client or its secret hash is wrong, or the user is unknown and the client
            reveals it.
    """
    client = client_of(pool, request)
    user = pool.users.find(request.username)
    if user is None and not client.prevents_user_existence_errors:
        raise CognitoError("UserNotFoundException", "Username/client id combination not found.")
    return user


def details(medium: str, destination: str) -> Json:
    """Return CodeDeliveryDetails for a masked destination."""
    return {
        "DeliveryMedium": medium,
        "Destination": destination,
        "AttributeName": "email" if medium == "EMAIL" else "phone_number",
    }


def imitated_details(name: str) -> Json:
    """Return CodeDeliveryDetails of a code that is not sent, for an unknown user."""
    return details("EMAIL", imitated(name, "EMAIL"))


def send_code(
    pool: PoolState,
    user: User,
    attribute: str,
    purpose: str,
    seconds: float,
    *,
    source: str,
    client_id: str = NO_CLIENT,
    metadata: Mapping[str, str] | None = None,
) -> Json:
    """Send a code, and return CodeDeliveryDetails.

    Args:
        pool: the pool of the user.
        user: whom the code is for.
        attribute: ``email`` or ``phone_number``. A value that waits for verification counts.
        purpose: what the code confirms.
        seconds: validity of the code.
        source: ``triggerSource`` of the CustomMessage trigger.
        client_id: app client of the request. Default: none, an administrator's request.
        metadata: ``ClientMetadata`` of the request. Default: none.

    Raises:
        CognitoError: the trigger failed.
    """
    code = new_code(Factor.SMS)
    user.codes[purpose] = SentCode(code, pool.clock.now() + seconds, attribute)
    medium, destination = pool.deliver(
        user,
        Factor.EMAIL if attribute == "email" else Factor.SMS,
        code,
        purpose,
        source=source,
        client_id=client_id,
        metadata=metadata,
        destination=user.pending.get(attribute) if purpose in VERIFY.values() else None,
    )
    return details(medium, destination)


def check_code(pool: PoolState, user: User, purpose: str, code: str) -> SentCode:
    """Check a code. It stays valid until it is removed.

    Raises:
        CognitoError: the code is wrong, was never sent, or has expired.
    """
    sent = user.codes.get(purpose)
    if sent is None or pool.clock.now() >= sent.ends:
        raise expired()
    if not hmac.compare_digest(sent.text.encode(), code.encode()):
        raise mismatch()
    return sent


def expired() -> CognitoError:
    """Return the error for a code that has expired or was never sent."""
    return CognitoError("ExpiredCodeException", _EXPIRED)


def mismatch() -> CognitoError:
    """Return the error for a wrong code."""
    return CognitoError("CodeMismatchException", _WRONG)
