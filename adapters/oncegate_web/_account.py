"""`AccountSite`: what the account's pages and its JSON API share: the driver, the flow and the offers.

The flow of a browser is in a cookie of its own, which is bound to the user: a flow of another user in
the same browser is not taken up.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from inspect import signature
from typing import Any, Final, get_args

from oncegate import InvalidInput, Misconfigured, OncegateError, SignedOut, Step, StepRef
from oncegate.account import (
    Account,
    AccountEvent,
    AccountOverview,
    AccountState,
    ChangePassword,
    OfferedFactor,
    OfferFactor,
)
from oncegate.adapters import FlowId, Transition, kind_of, message
from oncegate_web._context import BrowserContext, context_of
from oncegate_web._signals import AccountChanged, note
from oncegate_web._user import Session, User
from oncegate_web.http import Request, Response
from oncegate_web.site import Site

_DONE: Final = {AccountState.MANAGING.value, AccountState.CLOSED.value}

_ACTING: ContextVar[Session | None] = ContextVar("oncegate_acting", default=None)
"""Whose account the current request changes."""


class AccountSite(Site):
    """A `Site` whose users change their accounts.

    Args:
        recent_within: seconds after a sign-in within which a credential can be changed.
        offer: what a user without a second factor has offered after a sign-in.
        offer_every: seconds between two offers to a user.
        **more: those of `Site`.
    """

    def __init__(
        self,
        *,
        recent_within: float,
        offer: Iterable[OfferedFactor] = (),
        offer_every: float,
        **more: Any,
    ) -> None:
        self.offer = _checked_offer(offer)
        super().__init__(**more)
        driver = more["driver"]  # with the clock and the listeners of the sign-in
        known = signature(Account).parameters
        self._account = Account(
            transport=more["transport"],
            store=more["store"],
            keys=self._keys,
            recent_within=recent_within,
            offer_every=offer_every,
            **{
                **{name: value for name, value in driver.items() if name in known},
                "listeners": [*driver["listeners"], _note_change],
            },
        )
        self.recent_within = recent_within

    # ── flows ──

    def account_step(
        self, request: Request, response: Response, user: User, patience: float = 0.0
    ) -> Step:
        """Return the step of the user's flow in this browser; begin a flow if there is none.

        Args:
            request: the browser's request.
            response: gets the cookie of a new flow.
            user: who is signed in.
            patience: seconds to wait while a call to Cognito is under way.
        """
        own = self._account_flow_of(request, user)
        if own is not None:
            with suppress(InvalidInput), self._waiting.place(own.key) as has_place:
                step = self._account.get(own.text, patience=patience if has_place else 0.0)
                if isinstance(step.state, AccountState) and step.state is not AccountState.CLOSED:
                    return step
        step = self._account.start()
        self._set_account_flow(request, response, step, user)
        return step

    def account_tokens(self, request: Request, user: User) -> list[str]:
        """Return what a form may have posted: a token for each flow that the browser has."""
        return [flow.digest("csrf") for flow in self._account_flows_of(request, user)]

    def closed_step(self, request: Request) -> Step | None:
        """Return the last step of a browser's flow that is closed; None if it has none.

        For the second click on what has ended the session: the browser may not have the first answer.
        """
        for value in self._account_values(request):
            with suppress(OncegateError):
                step = self._account.get(value.partition(".")[0])
                if step.state is AccountState.CLOSED:
                    return step
        return None

    def change_account(
        self,
        request: Request,
        response: Response,
        user: User,
        event: AccountEvent,
        version: int,
        browser: BrowserContext,
    ) -> Step:
        """Send an event to the user's flow, and end the sessions that end with it.

        Args:
            request: brought the event.
            response: loses the session's cookies if the session has ended.
            user: who is signed in.
            event: the user's event.
            version: version of the step that the user saw.
            browser: what came with the event.

        Raises:
            InvalidInput: the browser has no flow of this user.
        """
        own = self._account_flow_of(request, user)
        if own is None:
            raise InvalidInput("this browser has no flow of this user")
        if isinstance(event, OfferFactor):
            offer = tuple(one for one in event.factors if one in self.offer)
            if not (offer and self._may_offer(user)):
                return self._account.get(own.text)
            event = OfferFactor(factors=offer)
        context = self.contexts.of(request, browser)
        with self._waiting.place(own.key) as has_place:
            if not has_place:
                context = replace(context, patience=0.0)
            with _acting(Session(self._session_name(request), user)):
                step = self._account.send(
                    StepRef(own.text, version), event, user.tokens.access_token, context=context
                )
        if not isinstance(step.state, AccountState):  # the flow has expired
            step = self._account.start()
            self._set_account_flow(request, response, step, user)
            return step.model_copy(update={"reason": message("not_allowed")})
        if step.state is AccountState.CLOSED:
            self._close(request, response, user, step)
        elif isinstance(event, ChangePassword) and _is_done(step, event.done):
            self._sessions.end_others(self._session_id(request), context_of(request))
        return step

    def overview(self, request: Request, response: Response, user: User) -> AccountOverview | None:
        """Return what the account has; None if the user was signed out at Cognito.

        Args:
            request: the browser's request.
            response: loses the session's cookies if the session has ended.
            user: who is signed in.

        Raises:
            Unreachable: Cognito did not answer.
            Misconfigured: the access token lacks the scope ``aws.cognito.signin.user.admin``.
        """
        try:
            return self._account.overview(user.tokens.access_token)
        except SignedOut:
            self.end_session(request, response)
            return None

    def is_recent(self, user: User) -> bool:
        """Return whether the sign-in is recent enough to change a credential."""
        time = user.auth_time
        return time is not None and self.now() - time.timestamp() <= self.recent_within

    def _close(self, request: Request, response: Response, user: User, step: Step) -> None:
        """End the sessions whose tokens Cognito no longer takes."""
        if step.message and step.message.code != "signed_out_elsewhere" and user.sub:
            self._sessions.end_user(user.sub)
        self.end_session(request, response)

    def end_session(self, request: Request, response: Response) -> None:
        """See `Site.end_session`. What was begun, or offered, ends with the session."""
        super().end_session(request, response)
        for name in self._account_names(request):
            response.cookies.append(self._cookie(name, None, request))

    # ── the cookie ──

    def _set_account_flow(
        self, request: Request, response: Response, step: Step, user: User
    ) -> None:
        """Bind a flow to the browser and the user; see `Site.set_flow`."""
        flow = FlowId.parse(step.flow_id)
        made = f"{self._account_cookie}.{flow.key[:8]}"
        response.cookies.append(self._cookie(made, _bound(flow, user), request))
        for name in self._account_names(request):
            if name != made:
                response.cookies.append(self._cookie(name, None, request))

    def _account_flow_of(self, request: Request, user: User) -> FlowId | None:
        return next(iter(self._account_flows_of(request, user)), None)

    def _account_flows_of(self, request: Request, user: User) -> list[FlowId]:
        """Return the flows of a user that the browser was given, the first one first."""
        found = []
        for value in self._account_values(request):
            with suppress(InvalidInput):
                flow = FlowId.parse(value.partition(".")[0])
                if hmac.compare_digest(value.encode(), _bound(flow, user).encode()):
                    found.append(flow)
        return found

    def _account_values(self, request: Request) -> list[str]:
        return [request.cookies[self._name(name, request)] for name in self._account_names(request)]

    def _account_names(self, request: Request) -> list[str]:
        """Return the names of the account's cookies, in the order of the request."""
        own = self._name(self._account_cookie, request)
        return [
            f"{self._account_cookie}{name.removeprefix(own)}"
            for name, _ in request.cookies.items()
            if name.startswith(f"{own}.")
        ]

    # ── offers ──

    def offered(self, request: Request, response: Response, user: User) -> Step | None:
        """Offer a second factor after a sign-in, and return what the user has to answer, if anything.

        A user who comes back before the offer, or a setup, is answered returns to it.

        Args:
            request: the browser's request.
            response: gets the cookie of a new flow.
            user: who is signed in.
        """
        try:
            step = self.account_step(request, response, user)
            if step.state is AccountState.MANAGING and self._may_offer(user):
                step = self._account.send(
                    step,
                    OfferFactor(factors=self.offer),
                    user.tokens.access_token,
                    context=self.contexts.of(request, BrowserContext()),
                )
        except OncegateError:
            return None  # an offer is not worth an error
        return None if step.state in _DONE else step

    def _may_offer(self, user: User) -> bool:
        """Whether anything is offered to a user: those of other identity providers have no factors."""
        return bool(self.offer) and "identities" not in user.claims


def _note_change(transition: Transition, /) -> None:
    """Note a change that Cognito accepted. A listener (`oncegate.adapters.Listener`)."""
    acting, message = _ACTING.get(), transition.message
    is_change = not transition.suppressed and transition.target in _DONE and message
    if acting and is_change and kind_of(f"message.{message}") == "good":
        note(AccountChanged(acting.name, acting.user, str(message)))


@contextmanager
def _acting(session: Session) -> Iterator[None]:
    token = _ACTING.set(session)
    try:
        yield
    finally:
        _ACTING.reset(token)


def _bound(flow: FlowId, user: User) -> str:
    """Return the value of the cookie of a flow."""
    return f"{flow.text}.{flow.digest('account of', user.get_id())}"


def _is_done(step: Step, code: str) -> bool:
    return step.reason is None and step.message is not None and step.message.code == code


def _checked_offer(offer: Iterable[OfferedFactor]) -> tuple[OfferedFactor, ...]:
    found = () if isinstance(offer, str) else tuple(offer)
    if isinstance(offer, str) or any(one not in get_args(OfferedFactor) for one in found):
        raise Misconfigured('offer is a list of "authenticator" and "passkey"')
    return found
