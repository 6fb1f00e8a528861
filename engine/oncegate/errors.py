"""The exception tree. Each name says what the caller can do about it.

::

    OncegateError
    ├── InvalidInput        what came from outside is malformed: show it again, ask again
    │   └── InvalidToken    a token is forged, expired or another's: answer 401
    ├── RecordUnreadable    a stored flow cannot be opened: start a new flow
    │   └── RecordTooNew    a later release wrote it: leave it to that release's workers
    ├── StoreUnavailable    the store did not answer: the flow is untouched, try later
    ├── SignedOut           the session is over: sign in again
    ├── Unreachable         Cognito did not answer: nothing was decided, try later
    └── Misconfigured       the application's set-up is wrong: its developer must act
        └── MissingExtra    an optional part is not installed: says which extra

A double click, a reload or a late event is *not* an error: `SignIn.send` answers those with the
current step and a reason. No message here ever carries a password, a code, a session or a token.
"""

from __future__ import annotations


class OncegateError(Exception):
    """The root of every exception that oncegate raises on purpose."""


class InvalidInput(OncegateError, ValueError):
    """Something from outside (a flow id, an event, a seed file) is not what it has to be."""


class InvalidToken(InvalidInput):
    """A token does not hold: its signature, its time, its issuer, or whom and what it is for."""


class SignedOut(OncegateError):
    """The session is over: its refresh token is revoked, expired, or was used by somebody else.

    Args:
        reason: ``"ended"``, or ``"reused"`` where an older refresh token turned up once more, which
            can mean that it was stolen.
    """

    def __init__(self, reason: str = "ended") -> None:
        super().__init__(f"the session is over ({reason}): sign in again")
        self.reason = reason


class Unreachable(OncegateError):
    """Cognito was not reached, or did not answer. Try later."""


class RecordUnreadable(OncegateError):
    """A stored flow is corrupt, foreign or sealed for another flow. It is left as it is."""


class RecordTooNew(RecordUnreadable):
    """A later release wrote the stored flow, and this one does not know its state or challenge.

    During a rolling deployment, answer "try again in a moment" and keep the flow's cookie.
    """


class StoreUnavailable(OncegateError):
    """The store failed. Nothing was decided; the same event may be sent again later."""


class Misconfigured(OncegateError):
    """The application set something up that cannot work, or that would break a promise."""


class MissingExtra(Misconfigured):
    """An adapter needs a package that is not installed.

    Args:
        extra: the name of the extra, as in ``pip install 'oncegate[extra]'``.
    """

    def __init__(self, extra: str) -> None:
        super().__init__(f"not installed; run: pip install 'oncegate[{extra}]'")
        self.extra = extra
