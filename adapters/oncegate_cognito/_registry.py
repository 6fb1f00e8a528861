"""Which function parses a challenge of Cognito's, and which performs a call.

Each file in `oncegate_cognito.challenges` registers its functions here, with two decorators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from oncegate.adapters import Call, Challenge, Outcome

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


C = TypeVar("C", bound=Call)
Parser = Callable[[ReceivedChallenge], Challenge]
Performer = Callable[[C, "Requests"], Outcome]

_parsers: dict[str, Parser] = {}
_performers: dict[tuple[type, type | None], Performer[Any]] = {}


def parses(*names: str) -> Callable[[Parser], Parser]:
    """Register a parser.

    The parser may raise AttributeError, KeyError, TypeError or ValueError if it cannot understand the
    challenge.

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
