"""Signals: what an application is told of a sign-in, once each, after it was saved.

They reach the host in two ways: `oncegate_web.Response.signals`, for the integrations, and the hooks of
`oncegate_web.WebSignIn`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import iscoroutinefunction

from oncegate import Misconfigured
from oncegate.adapters import AccountState, Transition, logger
from oncegate_web._about import about
from oncegate_web._user import User
from oncegate_web.http import Request


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """The browser receives a session with this response, and had it not before.

    Attributes:
        name: name of the session, which opens nothing.
        user: who has signed in.
        is_first: whether the application is told for the first time. A second click on the last page
            receives the same session once more.
    """

    name: str
    user: User
    is_first: bool


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The browser's session has ended: by a sign-out, or by another sign-in in the same browser.

    Attributes:
        name: name of the session.
        user: who was signed in.
    """

    name: str
    user: User


@dataclass(frozen=True, slots=True)
class SignInFailed:
    """Cognito rejected what the user sent.

    Attributes:
        username: the pool's own name if it is known, otherwise the name that was typed: it may be that
            of no user.
        code: code of the message, such as ``wrong_credentials``.
    """

    username: str = field(repr=False)
    code: str


@dataclass(frozen=True, slots=True)
class CodeSent:
    """Cognito has sent a code.

    Attributes:
        username: as in `SignInFailed`.
        medium: how, such as ``SMS`` or ``EMAIL``.
    """

    username: str = field(repr=False)
    medium: str


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Cognito has accepted a change of the user's account.

    Attributes:
        name: name of the session in which it was made.
        user: whose account it is.
        change: code of the message, such as ``password_was_changed``, ``authenticator_added``,
            ``address_verified``, ``passkey_removed`` or ``account_deleted``.
    """

    name: str
    user: User
    change: str


Signal = SessionBegan | SessionEnded | SignInFailed | CodeSent | AccountChanged

_OF_ACCOUNT = frozenset(AccountState)
"""States of the flows that are no sign-ins."""

_COLLECTED: ContextVar[list[Signal] | None] = ContextVar("oncegate_signals", default=None)


@contextmanager
def collecting() -> Iterator[list[Signal]]:
    """Yield the list of what is noted for this request, also if it fails afterwards."""
    found: list[Signal] = []
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


def note(signal: Signal) -> None:
    """Note a signal of this request."""
    found = _COLLECTED.get()
    if found is not None:
        found.append(signal)


def collect(transition: Transition, /) -> None:
    """Note what a transition means to the application. A listener (`oncegate.adapters.Listener`)."""
    if transition.suppressed:
        return
    if transition.delivered:
        note(CodeSent(transition.user, transition.delivered))
    # Without a message nothing failed for the user: an unknown user's reset goes on like any other's.
    is_sign_in = transition.source not in _OF_ACCOUNT
    if is_sign_in and transition.cause == "rejected" and transition.message:
        note(SignInFailed(transition.user, transition.message))


@dataclass(frozen=True, slots=True)
class Hooks:
    """The application's functions; `oncegate_web.WebSignIn` documents them."""

    on_signed_in: Callable[[User, Request], object] | None = None
    on_signed_out: Callable[[User, Request], object] | None = None
    on_sign_in_failed: Callable[[SignInFailed, Request], object] | None = None
    on_code_sent: Callable[[CodeSent, Request], object] | None = None
    on_account_changed: Callable[[AccountChanged, Request], object] | None = None

    def __post_init__(self) -> None:
        for name, hook in (
            ("on_signed_in", self.on_signed_in),
            ("on_signed_out", self.on_signed_out),
            ("on_sign_in_failed", self.on_sign_in_failed),
            ("on_code_sent", self.on_code_sent),
            ("on_account_changed", self.on_account_changed),
        ):
            if hook is not None and (not callable(hook) or iscoroutinefunction(hook)):
                raise Misconfigured(f"{name} is a function, and no async one")

    def call(self, request: Request, signals: Iterable[Signal]) -> None:
        """Call the hooks of the signals of a request. What they raise is logged: it is too late."""
        for signal in signals:
            try:
                self._call(request, signal)
            except Exception as error:  # noqa: BLE001 - whatever an application's function raises
                effect = "the sign-in goes on"
                logger().error(
                    "hook failed", hook=type(signal).__name__, effect=effect, **about(error)
                )

    def _call(self, request: Request, signal: Signal) -> None:
        match signal:
            case SessionBegan():
                if self.on_signed_in and signal.is_first:
                    self.on_signed_in(signal.user, request)
            case SessionEnded():
                if self.on_signed_out:
                    self.on_signed_out(signal.user, request)
            case _:
                self._pass_on(request, signal)

    def _pass_on(self, request: Request, signal: SignInFailed | CodeSent | AccountChanged) -> None:
        """Call the hook of a signal that is passed on as it is."""
        match signal:
            case SignInFailed():
                if self.on_sign_in_failed:
                    self.on_sign_in_failed(signal, request)
            case CodeSent():
                if self.on_code_sent:
                    self.on_code_sent(signal, request)
            case AccountChanged():
                if self.on_account_changed:
                    self.on_account_changed(signal, request)
