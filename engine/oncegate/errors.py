"""The exception tree. Each name says what the caller can do about it.

::

    OncegateError
    ├── InvalidInput        what came from outside is malformed: show it again, ask again
    ├── RecordUnreadable    a stored flow cannot be opened: start a new flow
    ├── StoreUnavailable    the store did not answer: the flow is untouched, try later
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


class RecordUnreadable(OncegateError):
    """A stored flow is corrupt, foreign or sealed for another flow. It is left as it is."""


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
