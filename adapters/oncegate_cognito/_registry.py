"""Which function parses a challenge of Cognito's, and which performs a call.

Each file in `oncegate_cognito.challenges` registers its functions here, with two decorators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from oncegate import Factor
from oncegate.adapters import Call, Challenge, Outcome, Rejected

if TYPE_CHECKING:
    from oncegate_cognito._requests import Requests


@dataclass(frozen=True, slots=True)
class ReceivedChallenge:
    """A challenge in a response of InitiateAuth or RespondToAuthChallenge.

    Attributes:
        name: Cognito's ChallengeName.
        parameters: its ChallengeParameters.
        available: names in AvailableChallenges.
        common: what every challenge of ours has: session, username and valid_for.
        replaces_password: whether a code that was sent with it replaces the password.
    """

    name: str
    parameters: Mapping[str, str]
    available: Sequence[str]
    common: Mapping[str, Any] = field(repr=False)
    replaces_password: bool


PASSWORD_SRP: Final = "PASSWORD_SRP"

_FIRST_FACTORS: Final = (Factor.PASSKEY, Factor.EMAIL, Factor.SMS_OTP, Factor.PASSWORD)


def first_factors(names: Sequence[str]) -> tuple[Factor, ...]:
    """Return the first factors in AvailableChallenges that this release knows, in our order."""
    offered = {Factor.PASSWORD if name == PASSWORD_SRP else name for name in names}
    return tuple(factor for factor in _FIRST_FACTORS if factor in offered)


def others_than(received: ReceivedChallenge) -> tuple[Factor, ...]:
    """Return the user's first factors beside the one of the challenge."""
    (own,) = first_factors([received.name]) or (None,)
    return tuple(factor for factor in first_factors(received.available) if factor is not own)


C = TypeVar("C", bound=Call)
Parser = Callable[[ReceivedChallenge], Challenge | Rejected]
Performer = Callable[[C, "Requests"], Outcome]

_parsers: dict[str, Parser] = {}
_performers: dict[tuple[type, type | None], Performer[Any]] = {}


def parses(*names: str) -> Callable[[Parser], Parser]:
    """Register a parser.

    The parser returns a rejection if the user can give no answer. It may raise AttributeError, KeyError,
    TypeError or ValueError if it cannot understand the challenge.

    Args:
        *names: values of ChallengeName that it parses.
    """

    def register(parser: Parser) -> Parser:
        for name in names:
            assert name not in _parsers, name
            _parsers[name] = parser
        return parser

    return register


def performs(
    call: type[C], challenge: type | None = None
) -> Callable[[Performer[C]], Performer[C]]:
    """Register the function that performs a call.

    It may raise botocore's exceptions.

    Args:
        call: type of the call.
        challenge: type of the challenge that the call answers, if calls of one type are performed
            differently for different challenges.
    """

    def register(performer: Performer[C]) -> Performer[C]:
        assert (call, challenge) not in _performers, (call, challenge)
        _performers[call, challenge] = performer
        return performer

    return register


def parser_of(name: str) -> Parser | None:
    """Return the parser for a ChallengeName; None if this release does not know the challenge."""
    return _parsers.get(name)


def performer_of(call: Call) -> Performer[Any]:
    """Return the function that performs a call."""
    kind = type(call)
    found = _performers.get((kind, type(getattr(call, "challenge", None))))
    return found or _performers[kind, None]
