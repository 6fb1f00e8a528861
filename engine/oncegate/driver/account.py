"""`Account` and `AsyncAccount`: the drivers for what a signed-in user changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pydantic import SecretStr

from oncegate._passkey_names import PasskeyNames
from oncegate._seal import FlowId, SealingKeys
from oncegate._settings import check_flag, check_seconds
from oncegate._watched import STORE_FAILURES
from oncegate.budget import (
    DEFAULT_BUDGET,
    DEFAULT_GUESS_LIMIT,
    OFFER_EVERY,
    CodeBudget,
    GuessLimit,
)
from oncegate.challenges import (
    ACCOUNT_EVENT_TYPES,
    AccountEvent,
    Call,
    DeletePasskey,
    DeleteUser,
    RegisterPasskey,
    SignedIn,
    UseFactor,
)
from oncegate.context import RequestContext, StepRef
from oncegate.driver._limits import Adjustment
from oncegate.driver._received import Received
from oncegate.driver.asyncio import AsyncRunner
from oncegate.driver.effects import Load
from oncegate.driver.script import EXPIRED, Driver, Script
from oncegate.driver.sync import Runner
from oncegate.errors import InvalidInput, InvalidToken, Misconfigured, SignedOut, Unreachable
from oncegate.outcomes import Confirmed, Outcome
from oncegate.overview import AccountOverview, ListedPasskey
from oncegate.password_policy import PasswordPolicy
from oncegate.ports import AccountService, Clock, Listener, RecordStore, TokenService, Transport
from oncegate.record import NEW_CODES_PER_FLOW, Flow
from oncegate.states import AccountState
from oncegate.step import Step

RECENT_WITHIN: Final = 300.0
"""Seconds after a sign-in within which a credential can be changed."""


class AccountDriver(Driver):
    """What `Account` and `AsyncAccount` share."""

    _event_types = ACCOUNT_EVENT_TYPES
    _events = "AccountEvent"

    _recent_within: float
    _mfa_required: bool

    def __init__(
        self,
        *,
        transport: Transport,
        store: RecordStore,
        listeners: Iterable[Listener] | None = None,
        clock: Clock | None = None,
        lifetime: float = 3600.0,
        patience: float = 10.0,
        recent_within: float = RECENT_WITHIN,
        mfa_required: bool = False,
        password_policy: PasswordPolicy | None = None,
        new_code_cooldown: float = 30.0,
        new_codes_per_flow: int = NEW_CODES_PER_FLOW,
        budget: CodeBudget | None = DEFAULT_BUDGET,
        guess_limit: GuessLimit | None = DEFAULT_GUESS_LIMIT,
        keys: SealingKeys | None = None,
        offer_every: float = OFFER_EVERY,
    ) -> None:
        """Configure the changes of accounts.

        Args:
            transport: performs the calls; its `Transport.token_service` verifies the access tokens.
            store: stores the flows; the sign-in's will do.
            listeners: called with every transition. None: one that logs.
            clock: tells the time. None: the store's.
            lifetime: seconds that a flow, and its row in the store, live after the last change, and
                after the deadline of what it waits for.
            patience: seconds that a repeated event waits for the step of the first one.
            recent_within: seconds after a sign-in within which a credential can be changed.
            mfa_required: whether the pool requires MFA (``ON``). Then a user's only second factor cannot
                be turned off: with the password alone, the next sign-in would set up a new one.
            password_policy: the pool's policy, whose rules users read before they choose a password.
            new_code_cooldown: seconds between a code and the earliest request for the next.
            new_codes_per_flow: number of codes that one flow may request.
            budget: limits of codes for one user over all flows; None for no limit.
            guess_limit: limits of consecutive wrong codes of one user over all flows; None for no limit.
            keys: the application's, to seal records in addition to each flow's own key.
            offer_every: seconds between two offers of a second factor to one user (`OfferFactor`).

        Raises:
            Misconfigured: the transport has no token service, or cannot change accounts, or another
                argument is not what it has to be.
        """
        super().__init__(
            transport=transport,
            store=store,
            listeners=listeners,
            clock=clock,
            lifetime=lifetime,
            patience=patience,
            password_policy=password_policy,
            new_code_cooldown=new_code_cooldown,
            new_codes_per_flow=new_codes_per_flow,
            budget=budget,
            guess_limit=guess_limit,
            keys=keys,
        )
        service = transport.token_service
        if not isinstance(service, AccountService):
            raise Misconfigured(
                "this transport cannot read accounts: use CognitoTransport, or one whose token_service "
                "is an oncegate.adapters.AccountService"
            )
        self._tokens: TokenService = service
        self._accounts: AccountService = service
        self._recent_within = recent_within
        self._limits.offer_every = offer_every
        check_seconds("recent_within", recent_within)
        check_seconds("offer_every", offer_every)
        check_flag("mfa_required", mfa_required)
        self._mfa_required = mfa_required
        self._unsaved = self._unsaved.model_copy(update={"state": AccountState.MANAGING})

    def changing(
        self,
        step: Step | StepRef,
        event: AccountEvent,
        access_token: SecretStr,
        context: RequestContext | None = None,
    ) -> Script:
        """The script of `Account.send`."""
        received = self._received(step, event, context)
        signed_in = self._signed_in(access_token)
        received = received._replace(context=replace(received.context, signed_in=signed_in))
        if reason := self._why_kept(event, access_token):
            flow = yield from self._current(received.flow_id)
            return (yield from self._suppress(received, flow, reason))
        return (yield from self._handling(received))

    def _why_kept(self, event: AccountEvent, access_token: SecretStr) -> str:
        """Return why a second factor is not turned off; empty if nothing speaks against the event."""
        if not (self._mfa_required and isinstance(event, UseFactor) and event.use == "off"):
            return ""
        try:
            has = self._accounts.overview(access_token.get_secret_value())
        except Unreachable:
            return "unreachable"
        except SignedOut:
            return ""  # the change itself says so
        except Misconfigured:
            # Of more than the change needs, so the change could go through.
            return "change_unavailable"
        return "last_factor" if has.second_factors == (event.factor,) else ""

    def reading(self, access_token: SecretStr) -> AccountOverview:
        """Return what `Account.overview` does."""
        has = self._accounts.overview(access_token.get_secret_value())
        return has._replace(passkeys=self._named(has.passkeys, access_token))

    def _named(
        self, passkeys: tuple[ListedPasskey, ...], access_token: SecretStr
    ) -> tuple[ListedPasskey, ...]:
        """Return passkeys with the names that their user has given them."""
        if not passkeys:
            return ()
        try:
            names = PasskeyNames.of(self._signed_in(access_token).sub, self._row_keys)
            row = self.perform(Load((names.key,))).get(names.key)
        except (*STORE_FAILURES, InvalidToken, Unreachable):
            return passkeys  # Cognito's names will do
        given = names.names(row)
        return tuple(one._replace(name=given.get(one.key, one.name)) for one in passkeys)

    def _noted(self, flow: Flow, call: Call, outcome: Outcome) -> Iterable[Adjustment]:
        if flow.owner is None or not isinstance(outcome, Confirmed):
            return
        names, now = PasskeyNames.of(flow.owner, self._row_keys), self._clock.now()
        match call:
            case RegisterPasskey() if call.challenge.name and call.passkey:
                yield Adjustment(
                    names.key,
                    partial(names.named, passkey=call.passkey, name=call.challenge.name, now=now),
                )
            case DeletePasskey():
                yield Adjustment(names.key, partial(names.removed, passkey=call.key, now=now))
            case DeleteUser():
                yield Adjustment(names.key, partial(names.forgotten, now=now))

    def _used_until(self, flow: Flow) -> float:
        # The code for an address outlives the lifetime: it has to be taken as long as Cognito does.
        return max(flow.saved_at, flow.challenge_ends or 0.0)

    def getting(self, flow_id: str, patience: float = 0.0, owner: str | None = None) -> Script:
        """The script of `Account.get`."""
        parsed = FlowId.parse(flow_id, self._keys)
        flow = yield from self._at_rest(parsed, RequestContext(patience=patience))
        return self._step(parsed.text, EXPIRED if _is_foreign(flow, owner) else flow)

    def _suppress(self, received: Received, flow: Flow, reason: str) -> Script:
        user = received.context.signed_in
        if user is not None and _is_foreign(flow, user.sub):
            # Not even its step is for this user: it can have the secret of an authenticator app.
            flow, reason = EXPIRED, "not_this_user"
        return (yield from super()._suppress(received, flow, reason))

    def _claimed(self, flow: Flow, context: RequestContext) -> Flow:
        user = context.signed_in
        if user is None or flow.version or flow.owner:
            return flow
        return flow.model_copy(update={"owner": user.sub, "own_name": user.username})

    def _signed_in(self, access_token: SecretStr) -> SignedIn:
        claims = self._tokens.verify(access_token.get_secret_value(), "access")
        try:
            at = float(claims["auth_time"])
            username, sub = str(claims["username"]), str(claims["sub"])
        except (KeyError, TypeError, ValueError):
            raise InvalidToken("claims") from None
        return SignedIn(
            access_token=access_token,
            username=username,
            sub=sub,
            signed_in_at=at,
            is_recent=self._clock.now() - at <= self._recent_within,
        )


class Account(AccountDriver, Runner):
    """Changes the accounts of signed-in users, one flow for each user and browser. Safe to share.

    Example:
        >>> step = account.start()
        >>> step = account.send(step, AddAuthenticator(), access_token)
        >>> step.totp.uri
        'otpauth://totp/…'
    """

    def start(self) -> Step:
        """Begin a flow. Nothing is stored and nothing is sent before its first event."""
        return self.starting()

    def get(self, flow_id: str, *, patience: float = 0.0, owner: str | None = None) -> Step:
        """Return the current step of a flow; see `SignIn.get`.

        It takes no access token: a caller that has the flow's ID sees the step, and with it the secret
        of an authenticator app that is being set up. So treat the ID as a secret of the user's browser,
        and pass the user who is signed in there. To change anything takes the token.

        Args:
            flow_id: the flow.
            patience: seconds to wait while a call is under way.
            owner: claim ``sub`` of the user who is signed in. A flow of another user is shown as one
                that has expired. None: whosever it is.
        """
        return self._run(self.getting(flow_id, patience, owner))

    def send(
        self,
        step: Step | StepRef,
        event: AccountEvent,
        access_token: str | SecretStr,
        *,
        context: RequestContext | None = None,
    ) -> Step:
        """Send an event to a flow; see `SignIn.send`.

        Args:
            step: the step that the event answers.
            event: the user's event.
            access_token: of the user, with the scope ``aws.cognito.signin.user.admin``.
            context: the request that brought the event.

        Raises:
            InvalidToken: the access token is not valid.
            InvalidInput: not a step, or not an event.
            RecordUnreadable: the stored record is corrupt, or sealed with other keys.
            StoreUnavailable: the store did not answer.
            Unreachable: the pool's public keys could not be fetched.
        """
        token = _hidden(access_token)
        del access_token  # error reporters store the local variables of a traceback
        return self._run(self.changing(step, event, token, context))

    def overview(self, access_token: str | SecretStr) -> AccountOverview:
        """Return what the account has: factors, addresses, passkeys and devices.

        Raises:
            SignedOut: the token was revoked, or the user was disabled or deleted.
            Unreachable: Cognito did not answer.
            Misconfigured: Cognito refused because of the set-up.
        """
        token = _hidden(access_token)
        del access_token
        return self.reading(token)


class AsyncAccount(AccountDriver, AsyncRunner):
    """`Account` for asyncio: store and transport run on threads, so the event loop is never blocked."""

    async def start(self) -> Step:
        """See `Account.start`."""
        return await self._on_a_thread(self.starting)

    async def get(self, flow_id: str, *, patience: float = 0.0, owner: str | None = None) -> Step:
        """See `Account.get`."""
        return await self._run(self.getting(flow_id, patience, owner))

    async def send(
        self,
        step: Step | StepRef,
        event: AccountEvent,
        access_token: str | SecretStr,
        *,
        context: RequestContext | None = None,
    ) -> Step:
        """See `Account.send`."""
        # Here, because a generator starts late: `request_id` is in force now.
        own = context or RequestContext()
        token = _hidden(access_token)
        del access_token
        return await self._run(self.changing(step, event, token, own))

    async def overview(self, access_token: str | SecretStr) -> AccountOverview:
        """See `Account.overview`."""
        token = _hidden(access_token)
        del access_token
        return await self._on_a_thread(lambda: self.reading(token))


def _is_foreign(flow: Flow, sub: str | None) -> bool:
    """Whether a flow is of another user than the one with an ID; never if there is no ID."""
    return sub is not None and flow.owner not in {None, sub}


def _hidden(token: Any) -> SecretStr:
    hidden = SecretStr(token) if isinstance(token, str) else token
    if not isinstance(hidden, SecretStr) or not hidden.get_secret_value():
        raise InvalidInput("access_token has to be the user's access token")
    return hidden
