"""The exception tree. Each name says what the caller can do about it.

::

    OncegateError
    ├── InvalidInput        what came from outside is malformed: ask the user again
    │   └── InvalidToken    a token is forged, expired or for another client: answer 401
    ├── RecordUnreadable    a stored flow cannot be opened: start a new flow
    │   └── RecordTooNew    a later release wrote it: leave it to that release's workers
    ├── StoreUnavailable    the store did not answer: the flow is untouched, try later
    ├── SignedOut           the session has ended: sign in again
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
    """Input from outside (a flow ID, an event, a seed file) is malformed."""


class InvalidToken(InvalidInput):
    """A token is invalid: its signature, time, issuer, client, use, groups or scopes.

    Args:
        message: what is wrong, for the log. It does not quote the token.
        reason: the same as a code: ``"malformed"``, ``"signature"``, ``"expired"``, ``"issuer"``,
            ``"use"``, ``"client"``, ``"groups"`` or ``"scopes"``. The last two belong to a valid token
            of a user who lacks a right: answer 403, otherwise 401.
    """

    def __init__(self, message: str = "not a valid token", reason: str = "malformed") -> None:
        super().__init__(message)
        self.reason = reason


class SignedOut(OncegateError):
    """The session has ended: its refresh token is revoked, expired, or was used elsewhere.

    Args:
        reason: ``"ended"``, or ``"reused"`` if an older refresh token was used again, which can mean
            that it was stolen.
    """

    def __init__(self, reason: str = "ended") -> None:
        super().__init__(f"the session has ended ({reason}): sign in again")
        self.reason = reason


class Unreachable(OncegateError):
    """Cognito was not reached, or did not answer. Try again later."""


class RecordUnreadable(OncegateError):
    """A stored record is corrupt, or sealed with another key or for another flow. It is not changed."""


class RecordTooNew(RecordUnreadable):
    """A later release wrote the stored flow, and this one does not know its state or challenge.

    During a rolling deployment, answer "try again in a moment" and keep the flow's cookie.
    """


class StoreUnavailable(OncegateError):
    """The store failed. Nothing was decided; send the same event again later."""


class Misconfigured(OncegateError):
    """The application's configuration cannot work, or would break a promise."""


class MissingExtra(Misconfigured):
    """An adapter needs a package that is not installed.

    Args:
        extra: the name of the extra, as in ``pip install 'oncegate[extra]'``.
    """

    def __init__(self, extra: str) -> None:
        super().__init__(f"not installed; run: pip install 'oncegate[{extra}]'")
        self.extra = extra
