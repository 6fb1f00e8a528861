"""`AccountSite`: what the account's pages and its JSON API share: the driver, the flow and the offers.

The flow of a browser is in a cookie of its own, which is bound to the user: a flow of another user in
the same browser is not taken up.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any, Final, get_args

from oncegate import (
    InvalidInput,
    Misconfigured,
    OncegateError,
    SignedOut,
    Step,
    StepRef,
    StoreUnavailable,
    Unreachable,
)
from oncegate.account import (
    OFFER_EVERY,
    RECENT_WITHIN,
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
from oncegate_web.http import Cookie, Request, Response
from oncegate_web.site import Site

_SAVE_SECONDS: Final = 30.0
"""Seconds from the outcome of a change to the end of what follows it, while the store is slow."""

_CHANGED_PASSWORD: Final = {ChangePassword.done, "change_outcome_unknown"}
"""Messages after which the password has changed, or may have changed."""

_KEPT_SECONDS: Final = 3600.0
"""How long the browser has a flow after its code has expired: so that the page says so."""

_KEPT_IN: Final = {AccountState.MANAGING, AccountState.CONFIRMING_ADDRESS}
"""States that decide how long the browser has a flow."""

_SETTLED: Final = {AccountState.MANAGING.value, AccountState.CLOSED.value}
"""States in which no change is under way."""

_ACTING: ContextVar[Session | None] = ContextVar("oncegate_acting", default=None)
"""Whose account the current request changes."""


class AccountSite(Site):
    """A `Site` whose users change their accounts.

    Args:
        recent_within: seconds after a sign-in within which a credential can be changed.
        offer: what a user without a second factor has offered after a sign-in.
        offer_every: seconds between two offers to a user.
        mfa_required: whether the pool requires MFA.
        **more: those of `Site`.
    """

    def __init__(
        self,
        *,
        recent_within: float = RECENT_WITHIN,
        offer: Iterable[OfferedFactor] = (),
        offer_every: float = OFFER_EVERY,
        mfa_required: bool = False,
        **more: Any,
    ) -> None:
        self.offer = _checked_offer(offer, mfa_required=mfa_required)
        super().__init__(recent_within=recent_within, **more)
        driver = more["driver"]  # with the clock and the listeners of the sign-in
        known = signature(Account).parameters
        self._account = Account(
            transport=more["transport"],
            store=more["store"],
            keys=self._keys,
            recent_within=recent_within,
            offer_every=offer_every,
            mfa_required=mfa_required,
            **{
                **{name: value for name, value in driver.items() if name in known},
                "listeners": [*driver["listeners"], _note_change],
            },
        )
        self.mfa_required = mfa_required
        self._longest_change = more["transport"].max_call_seconds + _SAVE_SECONDS

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
                patience = patience if has_place else 0.0
                # Not by the cookie alone: the browser's next user could change it.
                step = self._account.get(own.text, patience=patience, owner=user.sub or None)
                if isinstance(step.state, AccountState) and step.state is not AccountState.CLOSED:
                    if step.state is AccountState.CONFIRMING_ADDRESS:
                        response.cookies.append(self._account_flow_cookie(request, step, user))
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
                return self.account_step(request, response, user)
            event = OfferFactor(factors=offer)
        change = partial(self._change, request, user, own, event, version, browser)
        if isinstance(event, ChangePassword):
            step = self._ending_others(request, user, change)
        else:
            step = change()
        is_late = step.state is AccountState.CLOSED and step.reason is not None
        if not isinstance(step.state, AccountState) or (is_late and self._goes_on(user)):
            # The flow has expired, or was closed before this session began.
            step = self._account.start()
            self._set_account_flow(request, response, step, user)
            return step.model_copy(update={"reason": message("not_allowed")})
        if step.state in _KEPT_IN:
            response.cookies.append(self._account_flow_cookie(request, step, user))
        if step.state is AccountState.CLOSED:
            self._close(request, response, user, step)
        return step

    def _goes_on(self, user: User) -> bool:
        """Return whether Cognito takes the user's tokens: a closed flow does not tell of new ones."""
        try:
            self._account.overview(user.tokens.access_token)
        except SignedOut:
            return False
        except OncegateError:
            return True  # an outage ends no session
        return True

    def _change(
        self,
        request: Request,
        user: User,
        own: FlowId,
        event: AccountEvent,
        version: int,
        browser: BrowserContext,
    ) -> Step:
        context = self.contexts.of(request, browser)
        with self._waiting.place(own.key) as has_place:
            if not has_place:
                context = replace(context, patience=0.0)
            with _acting(Session(self._session_name(request), user)):
                return self._account.send(
                    StepRef(own.text, version), event, user.tokens.access_token, context=context
                )

    def _ending_others(self, request: Request, user: User, change: Callable[[], Step]) -> Step:
        """Change the password, and end the user's other sessions.

        That they are to end is noted before the call: it holds also if this worker is killed.
        """
        session_id = self._session_id(request)
        is_expected = self.is_recent(user) and self._sessions.expect_end_of_others(
            session_id, self._longest_change
        )
        try:
            step = change()
        except (InvalidInput, Unreachable):  # nothing was sent: the token could not be verified
            if is_expected:
                self._sessions.expect_no_end_of_others(session_id)
            raise
        if step.state is not AccountState.CLOSED:
            self._end_after(request, step, is_expected=is_expected)
        return step

    def _end_after(self, request: Request, step: Step, *, is_expected: bool) -> None:
        """End the user's other sessions if the password has changed, or may have changed.

        Args:
            request: brought the change of the password.
            step: the step after it.
            is_expected: whether this request has noted that they are to end.
        """
        session_id = self._session_id(request)
        # A late click is answered with a reason; sessions that have begun since go on.
        told = step.message.code if step.message and not step.reason else ""
        has_changed = told in _CHANGED_PASSWORD
        # If the store fails here, they end with a later request: the password has changed in any case.
        with suppress(StoreUnavailable):
            if has_changed:
                self._sessions.end_others(session_id, context_of(request))
            if has_changed or is_expected:
                self._sessions.expect_no_end_of_others(session_id)

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

    def _close(self, request: Request, response: Response, user: User, step: Step) -> None:
        """End the sessions whose tokens Cognito no longer takes."""
        if step.message and step.message.code != "signed_out_elsewhere" and user.sub:
            self._sessions.end_user(user.sub)
        self.end_session(request, response)
        for name in self._account_names(request):
            response.cookies.append(self._cookie(name, None, request))

    def end_session(self, request: Request, response: Response) -> None:
        """See `Site.end_session`. An offer that was not answered ends with the session."""
        super().end_session(request, response)
        for name in self._account_names(request):
            flow_id = request.cookies[self._name(name, request)].partition(".")[0]
            with suppress(OncegateError):
                if self._account.get(flow_id).state is AccountState.OFFERING_FACTOR:
                    response.cookies.append(self._cookie(name, None, request))

    # ── the cookie ──

    def _set_account_flow(
        self, request: Request, response: Response, step: Step, user: User
    ) -> None:
        """Bind a flow to the browser and the user; see `Site.set_flow`."""
        made = self._account_flow_cookie(request, step, user)
        response.cookies.append(made)
        for name in self._account_names(request):
            if self._name(name, request) != made.name:
                response.cookies.append(self._cookie(name, None, request))

    def _account_flow_cookie(self, request: Request, step: Step, user: User) -> Cookie:
        """Return the cookie of a flow.

        While a code for an address is under way, it outlives the browser: the code is valid for a day,
        and another one would be a second message.
        """
        flow, max_age = FlowId.parse(step.flow_id), None
        if step.state is AccountState.CONFIRMING_ADDRESS and step.expires_at:
            max_age = int(step.expires_at.timestamp() - self.now() + _KEPT_SECONDS)
        name = f"{self._account_cookie}.{flow.key[:8]}"
        return self._cookie(name, _bound(flow, user), request, max_age)

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
        return None if step.state in _SETTLED else step

    def _may_offer(self, user: User) -> bool:
        """Whether anything is offered to a user: those of other identity providers have no factors."""
        return bool(self.offer) and "identities" not in user.claims


def _note_change(transition: Transition, /) -> None:
    """Note a change that Cognito accepted. A listener (`oncegate.adapters.Listener`)."""
    acting, message = _ACTING.get(), transition.message
    is_change = not transition.suppressed and transition.target in _SETTLED and message
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


def _checked_offer(
    offer: Iterable[OfferedFactor], *, mfa_required: bool
) -> tuple[OfferedFactor, ...]:
    found = () if isinstance(offer, str) else tuple(offer)
    if isinstance(offer, str) or any(one not in get_args(OfferedFactor) for one in found):
        raise Misconfigured('offer is a list of "authenticator" and "passkey"')
    if found and mfa_required:
        raise Misconfigured(
            "offer is for pools whose MFA is optional: if required, each sign-in has a second step; "
            "leave out offer or mfa_required"
        )
    return found
