"""SRP exchanges of passwords and of devices, from the verifier challenge to its answer."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import (
    SESSION_EXPIRED,
    SESSION_FOREIGN,
    WRONG_PASSWORD,
    invalid_parameter,
    not_authorized,
)
from oncegate_sandbox.srp import ServerSrp, Verifier

# "must be answered within seconds" (service model); the number of seconds is inferred.
_VERIFIER_SECONDS = 30.0
_TIMESTAMP = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"[1-9]\d? \d\d:\d\d:\d\d UTC \d{4}"
)

rule(
    "srp-seconds",
    "PASSWORD_VERIFIER must be answered within 30 seconds.",
    source="the service model says: within seconds",
    inferred=True,
)
rule(
    "srp-timestamp",
    "A TIMESTAMP of another format, of a wrong weekday or of another day is refused as a wrong "
    "password.",
    source="ministack#1758, measured; the words are inferred",
    inferred=True,
)
rule(
    "srp-secret-block",
    "An unknown SECRET_BLOCK is 'Incorrect username or password.'",
    source="ministack#1758, measured",
)
rule(
    "srp-no-session",
    "The response to InitiateAuth with USER_SRP_AUTH has no Session.",
    source="ministack#1758, measured",
)


@dataclass
class SrpExchange:
    """One exchange. Its secret block identifies it.

    Attributes:
        challenge: ``ChallengeName`` that answers it: a device's proof is no password.
        user: None for an unknown user.
        name: the username as given.
        group: first part of the signed text: the pool's name, or the device's group key.
        identity: second part of the signed text: the user's own name, or the device's key.
        session: ``Session`` of the challenge.
        expires_at: Unix time.
        caller: request that began the exchange.
        then: returns the next response after a right password, given the user and the caller.
    """

    challenge: str
    srp: ServerSrp
    user: User | None
    name: str
    group: str
    identity: str
    session: str
    expires_at: float
    caller: Caller
    then: Callable[[User, Caller], Json]


class SrpExchanges:
    """All exchanges of a pool that have begun.

    Args:
        clock: the sandbox's clock.
    """

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._by_block: dict[str, SrpExchange] = {}

    def issue(
        self,
        challenge: str,
        verifier: Verifier,
        public_a: str | None,
        parameters: dict[str, str],
        *,
        has_session: bool = True,
        **exchange: Any,
    ) -> Json:
        """Begin an exchange, and return the response that issues its challenge.

        Args:
            challenge: ``ChallengeName``.
            verifier: verifier of the password or of the device's secret.
            public_a: SRP_A in hexadecimal.
            parameters: further ``ChallengeParameters``.
            has_session: whether the response has a ``Session``.
            exchange: further fields of the `SrpExchange`.

        Raises:
            CognitoError: SRP_A is missing or invalid.
        """
        if not public_a:
            raise invalid_parameter("Missing required parameter SRP_A")
        try:
            srp = ServerSrp(verifier, int(public_a, 16))
        except ValueError:
            raise invalid_parameter("SRP_A is not valid") from None
        now = self._clock.now()
        block = base64.b64encode(secrets.token_bytes(1024)).decode()
        session = "AYABe" + secrets.token_urlsafe(1100)
        self._by_block = {k: e for k, e in self._by_block.items() if e.expires_at > now - 60}
        self._by_block[block] = SrpExchange(
            challenge=challenge,
            srp=srp,
            session=session,
            expires_at=now + _VERIFIER_SECONDS,
            **exchange,
        )
        return {
            "ChallengeName": challenge,
            **({"Session": session} if has_session else {}),
            "ChallengeParameters": {
                "SALT": f"{verifier.salt:x}",
                "SRP_B": f"{srp.public:x}",
                "SECRET_BLOCK": block,
                **parameters,
            },
        }

    def check(self, request: RespondToAuthChallenge) -> tuple[SrpExchange, bool]:
        """End an exchange, and return it with whether its signature is right.

        Raises:
            CognitoError: the exchange is unknown or has expired, or a parameter is missing or
                malformed.
        """
        answer = request.responses
        block = required(answer, "PASSWORD_CLAIM_SECRET_BLOCK")
        timestamp = required(answer, "TIMESTAMP")
        # The block identifies the exchange: pycognito sends no session. A session that is sent must
        # be the one of the challenge.
        exchange = self._by_block.pop(block, None)
        if exchange is None:
            raise not_authorized(WRONG_PASSWORD)
        if request.challenge != exchange.challenge or request.session not in {
            None,
            "",
            exchange.session,
        }:
            raise not_authorized(SESSION_FOREIGN)
        if self._clock.now() >= exchange.expires_at:
            raise not_authorized(SESSION_EXPIRED)
        try:
            claim = required(answer, "PASSWORD_CLAIM_SIGNATURE")
            signature = base64.b64decode(claim, validate=True)
        except binascii.Error:
            raise invalid_parameter("PASSWORD_CLAIM_SIGNATURE is not valid") from None
        signed = (exchange.group + exchange.identity).encode() + base64.b64decode(block)
        is_right = exchange.srp.accepts(signature, signed + timestamp.encode())
        return exchange, is_right and _is_of_now(timestamp)


def _is_of_now(timestamp: str) -> bool:
    """Whether a TIMESTAMP has its format, the weekday of its date, and the year of today."""
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    # The sandbox's clock can be ahead, but clients have their own.
    now = datetime.now(UTC)
    try:
        given = datetime.strptime(timestamp, "%a %b %d %H:%M:%S UTC %Y").replace(tzinfo=UTC)
    except ValueError:
        return False
    return given.strftime("%a") == timestamp[:3] and abs(given - now) < timedelta(days=1)
