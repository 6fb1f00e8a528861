"""The driver's limits: codes and guesses are reserved before the call, and settled after it.

Both are saved with the flow, in one trip to the store: what is reserved with the write-ahead, and what
is settled with the outcome. A row that another worker has changed meanwhile is not saved with it; it is
loaded and saved by itself, before the call. A worker that dies in between leaves the reservation, for a
code may have been sent.

Like the script, these are generators of effects.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Final, Literal, NamedTuple

from oncegate._seal import SealingKeys
from oncegate._watched import STORE_FAILURES
from oncegate.budget import (
    OFFER_EVERY,
    REMEMBERED,
    Account,
    Alias,
    CodeBudget,
    Guesses,
    GuessLimit,
    LatestAddress,
    UserName,
    offers_to,
    password_tag,
    same_name,
)
from oncegate.challenges import (
    NAMING_EVENTS,
    AccountChange,
    AddAuthenticator,
    AddPasskey,
    AddressVerification,
    AnyEvent,
    AuthenticatorSetup,
    Call,
    Cancel,
    ChangeAddress,
    CheckAnswer,
    CheckCode,
    ChooseFactor,
    CodeChallenge,
    ConfirmAccount,
    ConfirmAddress,
    ConfirmAuthenticator,
    ConfirmSignUp,
    CustomChallenge,
    Factor,
    FactorChoice,
    FindFactors,
    ForgotPassword,
    OfferFactor,
    PasskeyChallenge,
    PasswordChallenge,
    RecoveryChallenge,
    RememberDevice,
    RequestCode,
    ResetPassword,
    ResetPasswordWith,
    SignInWith,
    SignUp,
    SignUpRequest,
    SubmitAddress,
    SubmitAnswer,
    SubmitAuthorization,
    SubmitCode,
    SubmitPasskey,
    SubmitPassword,
)
from oncegate.challenges._base import plain_phone_number
from oncegate.context import RequestContext
from oncegate.driver._received import Received, Rows, Updated
from oncegate.driver.effects import Effect, Load, Swap
from oncegate.machine.guards import answer_was_wrong, is_imitated
from oncegate.outcomes import (
    ChallengeIssued,
    Confirmed,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate.ports import Change, Clock, StoredRecord
from oncegate.record import Flow
from oncegate.states import FlowState

_TRIES = 8
_NOT_SENT: Final = frozenset({Factor.TOTP, Factor.PASSKEY, Factor.PASSWORD})
_WRONG: Final = frozenset(
    {
        RejectionReason.WRONG_CODE,
        RejectionReason.WRONG_CREDENTIALS,
        RejectionReason.CHALLENGE_DEAD,
        RejectionReason.LOCKED,
    }
)

Result = Generator[Effect, Any, bool]
CodesRemain = Generator[Effect, Any, tuple[bool, bool]]
Refusal = Literal[
    "too_many_codes", "too_many_guesses", "offered_before", "address_replaced", "unreachable"
]


class Charge(NamedTuple):
    """What a call uses up, and has to be saved before it.

    Attributes:
        key: the row's key in the store.
        most: largest number that the row can count.
        allows: whether the row has one left.
        charged: returns the row with one more.
        refusal: cause of `NotSent` if the row has none left. Each kind of charge has its own.
        account: the budget, with the time of the charge; None for a guess and for a note of an address.
    """

    key: str
    most: int
    allows: Callable[[StoredRecord | None], bool]
    charged: Updated
    refusal: Refusal
    account: tuple[Account, float] | None = None


class Plan(NamedTuple):
    """The charges of one call, and which of them were saved with its write-ahead.

    Attributes:
        charges: for each row one.
        names: users that the budgets are of.
        saved: for each charge whether it was saved with the flow; empty if none was tried.
    """

    charges: tuple[Charge, ...] = ()
    names: tuple[UserName, ...] = ()
    saved: tuple[bool, ...] = ()

    def changes(self, rows: Rows) -> list[Change]:
        """Return the changes to save with the flow; none if a row has nothing left."""
        if not all(charge.allows(rows.get(charge.key)) for charge in self.charges):
            return []
        return [rows.change(charge.key, charge.charged) for charge in self.charges]

    def divided(self) -> tuple[Reserved, list[Charge]]:
        """Return what was saved with the flow, and the charges that were not."""
        reserved, remaining = Reserved(names=self.names), list[Charge]()
        saved = self.saved or (False,) * len(self.charges)
        for charge, is_saved in zip(self.charges, saved, strict=True):
            if is_saved:
                reserved = reserved.with_charge(charge)
            else:
                remaining.append(charge)
        return reserved, remaining


class Reserved(NamedTuple):
    """What was charged before a call.

    Attributes:
        accounts: each with the time of its charge, in seconds since the epoch.
        names: users that the accounts are of.
        is_guess: whether a guess was counted.
        offer: the account of an offer, with the time of its charge.
    """

    accounts: tuple[tuple[Account, float], ...] = ()
    names: tuple[UserName, ...] = ()
    is_guess: bool = False
    offer: tuple[Account, float] | None = None

    def with_charge(self, charge: Charge) -> Reserved:
        """Return what is charged after one more charge."""
        match charge.refusal:
            case "too_many_guesses":
                return self._replace(is_guess=True)
            case "offered_before":
                return self._replace(offer=charge.account)
            case "address_replaced":
                return self  # it counts nothing, so nothing of it is settled
        assert charge.account is not None
        return self._replace(accounts=(*self.accounts, charge.account))


class Adjustment(NamedTuple):
    """A row that has to be changed after a call."""

    key: str
    updated: Updated


class Permit:
    """What a transport asks within a call once it knows the user (`RequestContext.may_send`).

    Args:
        limits: the limits.
        flow: the flow in flight.
        reserved: what is charged already.
        rows: the event's.
        perform: performs an effect.

    Attributes:
        reserved: what is charged now.
        has_failed: whether the store did not answer, so that nothing may be sent.
    """

    def __init__(
        self,
        limits: Limits,
        flow: Flow,
        reserved: Reserved,
        rows: Rows,
        perform: Callable[[Effect], Any],
    ) -> None:
        self.reserved = reserved
        self.has_failed = False
        self._limits = limits
        self._flow = flow
        self._rows = rows
        self._perform = perform

    def __call__(self, user: str) -> bool:
        script = self._limits.reserve_for(user, self._flow, self.reserved, self._rows)
        result: Any = None
        while True:
            try:
                effect = script.send(result)
            except StopIteration as end:
                self.reserved = end.value or self.reserved
                return end.value is not None
            try:
                result = self._perform(effect)
            except STORE_FAILURES:
                self.has_failed = True
                return False


class Limits:
    """The limits of one sign-in.

    Args:
        budget: limits of codes; None for no limit.
        guesses: limits of wrong codes; None for no limit.
        keys: the application's.
        clock: tells the time.
        reveals_existing_users: whether signing up tells that a name is taken.

    Attributes:
        offer_every: seconds between two offers of a second factor to one user.
    """

    offer_every = OFFER_EVERY

    def __init__(
        self,
        budget: CodeBudget | None,
        guesses: GuessLimit | None,
        keys: SealingKeys,
        clock: Clock,
        *,
        reveals_existing_users: bool,
    ) -> None:
        self._reveals = reveals_existing_users
        self._budget = budget
        self._guesses = guesses
        self._keys = keys
        self._clock = clock
        remembered = lru_cache(maxsize=REMEMBERED)
        self._aliases = remembered(lambda typed: Alias.of(typed, keys))
        self._accounts = remembered(lambda name, tag: budget and budget.of_user(name, tag, keys))
        self._source_accounts = remembered(
            lambda address, with_password: (
                budget and budget.of_source(address, keys, with_password=with_password)
            )
        )

    def tag_of(self, received: Received) -> str:
        """Return the tag of the password in an event; empty if it has none."""
        event, rows = received.event, received.rows
        if not isinstance(event, SubmitPassword):
            return ""
        if rows.tag is None:
            rows.tag = password_tag(event.password.get_secret_value(), self._keys)
        return rows.tag

    def keys_for(self, received: Received, typed: str = "") -> tuple[str, ...]:
        """Return the keys of the rows that an event needs, as far as it tells the user.

        They are the same whether or not there is such a user.

        Args:
            received: the event. Only one that can name a user, and an offer, need any.
            typed: the name as the machine takes it, such as the flow's after a wrong password. If it
                is the event's own, none are returned: they are loaded. Default: the event's own.
        """
        event, context = received.event, received.context
        if isinstance(event, OfferFactor) and context.signed_in:
            return (self._offers_to(context.signed_in.sub).key,)
        if not isinstance(event, NAMING_EVENTS) or (typed and typed == event.username):
            return ()
        typed = typed or event.username or ""
        if not typed:
            return ()
        alias = self._alias(typed)
        if self._budget is None:
            return (alias.key,) if context.known_users else ()
        tags = {self.tag_of(received)}
        if context.known_users and not isinstance(event, SubmitPassword):
            tags.add(_browser_tag(is_known=True))
        names = [UserName.typed(typed)]
        if isinstance(event, SignUp):
            names += _addresses(event.attributes)
        keys = [self._account(name, tag).key for tag in sorted(tags) for name in names]
        with_password = isinstance(event, SubmitPassword)
        source = self._account_of_source(context.source_address, with_password=with_password)
        return (alias.key, *keys, *([source.key] if source else ()))

    def related_to(self, flow: Flow, received: Received) -> tuple[str, ...]:
        """Return the keys of the rows that the next event of a flow is likely to need."""
        if flow.is_in_flight or flow.challenge is None:
            return ()
        related = list[str]()
        if self._budget is not None:
            names, _ = self._known_names(flow.username, flow, received.rows)
            if flow.username:
                related.append(self._alias(flow.username).key)
            if isinstance(flow.challenge, RecoveryChallenge) and flow.username:
                names = (*names, _named_beside(names, flow.username))
            related += [self._account(name, _tag_of(flow)).key for name in names]
            if account := self._source(flow, received.context, None):
                related.append(account.key)
        if guesses := self._guesses_of(flow):
            related.append(guesses.key)
        if isinstance(flow.challenge, AddressVerification):
            related.append(self._latest_address(flow, flow.challenge.attribute).key)
        return tuple(related)

    def plan(self, flow: Flow, call: Call, rows: Rows) -> Generator[Effect, Any, Plan]:
        """Return what a call will use up.

        Args:
            flow: the flow in flight.
            call: the call.
            rows: the event's.
        """
        charges = list[Charge]()
        names: tuple[UserName, ...] = ()
        if self._budget is not None and _can_send(call):
            names, _ = yield from self._names(flow.username, flow, rows)
            if isinstance(flow.challenge, SignUpRequest):
                names = (*names, *_addresses(flow.challenge.attributes))
            if isinstance(flow.challenge, AddressVerification):
                names = (*names, UserName.address(flow.challenge.address))
            charges += [self._code(name, flow) for name in names]
        guesses = self._guesses_of(flow)
        if guesses is not None and _is_guess(call):
            charges.append(self._guess(guesses))
        if isinstance(flow.challenge, AddressVerification):
            charges.append(self._note_of_address(flow, flow.challenge, call))
        if isinstance(call, FindFactors) and flow.owner:
            offer = self._offers_to(flow.owner)
            charges.append(self._charge_of(offer, "offered_before"))
        return Plan(tuple(charges), names)

    def take(
        self, plan: Plan | None, flow: Flow, call: Call, rows: Rows
    ) -> Generator[Effect, Any, tuple[Reserved, Refusal | None]]:
        """Charge what a call will use up, as far as it was not saved with the flow.

        Args:
            plan: the call's; None if there is none yet.
            flow: the flow in flight.
            call: the call.
            rows: the event's.

        Returns:
            What is charged now, and why the call must not be made.
        """
        reserved = Reserved()
        try:
            if plan is None:
                plan = yield from self.plan(flow, call, rows)
            reserved, remaining = plan.divided()
            if plan.saved:  # then another worker has changed the rows of these
                yield from self._look_up([charge.key for charge in remaining], rows)
            for charge in remaining:
                if not (yield from self._charge(charge, rows)):
                    return reserved, charge.refusal
                reserved = reserved.with_charge(charge)
        except STORE_FAILURES:
            return reserved, "unreachable"
        return reserved, None

    def settle(
        self, reserved: Reserved, flow: Flow, outcome: Outcome, received: Received
    ) -> list[Adjustment]:
        """Return what settles a call: to be saved with its outcome.

        Args:
            reserved: what is charged.
            flow: the flow in flight, before the outcome.
            outcome: outcome of the call.
            received: the event.
        """
        return [
            *(self._settle_guess(flow, outcome) if reserved.is_guess else ()),
            *self._settle_offer(reserved, outcome),
            *self._settle_code(reserved, flow, outcome, received),
        ]

    def adjust(self, adjustments: Iterable[Adjustment], rows: Rows) -> Generator[Effect, Any, None]:
        """Save what was not saved with the flow. A store that does not answer leaves the rest."""
        with suppress(*STORE_FAILURES):
            for adjustment in adjustments:
                for _ in range(_TRIES):
                    yield from self._look_up([adjustment.key], rows)
                    change = rows.change(*adjustment)
                    if (yield from self._swap(change, rows)):
                        break

    # ── codes ──

    def codes_remain(self, flow: Flow, received: Received) -> CodesRemain:
        """Return whether an event may cause a code, and whether its browser is known to the user."""
        event, context, rows = received.event, received.context, received.rows
        if not _can_cause_a_code(flow, event):
            return True, flow.from_known_browser
        is_first = isinstance(event, NAMING_EVENTS)
        if self._budget is None and not context.known_users:
            return True, flow.from_known_browser and not is_first
        typed, tag, is_known = _name_in(event, flow), _tag_of(flow), flow.from_known_browser
        if typed != flow.username and flow.challenge:  # it is another user's
            flow = flow.model_copy(update={"challenge": None})
        yield from self._look_up(self.keys_for(received, typed), rows)
        names, users = yield from self._names(typed, flow, rows)
        if is_first:
            # Two users may differ in the spelling of their names alone.
            is_known = typed in context.known_users or (
                len(users) == 1 and users[0] in context.known_users
            )
            tag = self.tag_of(received) or _browser_tag(is_known)
        if self._budget is None:
            return True, is_known
        if isinstance(event, SignUp):
            names = (*names, *_addresses(event.attributes))
        if isinstance(event, SubmitAddress):
            names = (*names, UserName.address(event.address))
        accounts = [self._account(name, tag) for name in names]
        source = self._source(flow, context, event)
        if flow.challenge is not None or not isinstance(event, SubmitPassword):
            wanted = (*accounts, *([source] if source else ()))
            beside = [_named_beside(names, typed)] if _is_by_alias(flow) and typed else []
            wanted = (*wanted, *(self._account(name, tag) for name in beside))
            yield from self._look_up([account.key for account in wanted], rows)
        # With a password, the budgets of the user's own name came with the alias (`_learn`) if it was
        # the password before. Otherwise they are taken to be full: if they are not, charging them finds
        # out, which takes as long for the stand-in of an unknown user.
        now = self._clock.now()
        if not all(account.remains(rows.get(account.key), now) for account in accounts):
            return False, is_known
        remains = source is None or source.remains(rows.get(source.key), now)
        # With a password, a code is sent only to some users. No other user is refused for the codes of
        # others at the same address, and none in the user's own browser. The row is read in any case,
        # so that the time of the answer tells nothing.
        is_exempt = is_known or (isinstance(event, SubmitPassword) and not users)
        return remains or is_exempt, is_known

    def _source(
        self, flow: Flow, context: RequestContext, event: AnyEvent | None
    ) -> Account | None:
        with_password = isinstance(event, SubmitPassword) or bool(_password_tag_of(flow))
        return self._account_of_source(context.source_address, with_password=with_password)

    # These are called several times for an event, with the same names.

    def _account(self, name: UserName, tag: str) -> Account:
        """Return the budget of a user; there is a budget."""
        account = self._accounts(name, tag)
        assert account is not None
        return account

    def _account_of_source(self, address: str | None, *, with_password: bool) -> Account | None:
        """Return the budget of a source address; None if it is not limited."""
        return self._source_accounts(address, with_password)

    def _alias(self, typed: str) -> Alias:
        """Return the row of a typed name."""
        return self._aliases(typed)

    def _code(self, name: UserName, flow: Flow) -> Charge:
        assert self._budget is not None
        account = self._account(name, _tag_of(flow))
        return self._charge_of(account, "too_many_codes")

    def _charge_of(self, account: Account, refusal: Refusal) -> Charge:
        now = self._clock.now()
        return Charge(
            account.key,
            account.limit,
            partial(account.remains, now=now),
            partial(account.charged, now=now),
            refusal,
            (account, now),
        )

    def reserve_for(
        self, user: str, flow: Flow, reserved: Reserved, rows: Rows
    ) -> Generator[Effect, Any, Reserved | None]:
        """Charge the budget of the user's own name too; return None if it is used up.

        Args:
            user: the name, as the transport has just learned it.
            flow: the flow in flight.
            reserved: what is charged already.
            rows: the event's.
        """
        name = UserName.own(user)
        if self._budget is None or not reserved.accounts:
            return reserved
        if name in reserved.names:
            # Charged already. The same work for another row: its time would tell a known alias.
            name = _made_up(flow.username)
        charge = self._code(name, flow)
        if not (yield from self._charge(charge, rows)):
            return None
        return reserved.with_charge(charge)._replace(names=(*reserved.names, name))

    def _settle_code(
        self, reserved: Reserved, flow: Flow, outcome: Outcome, received: Received
    ) -> Iterable[Adjustment]:
        """Give the reservation back if nothing was sent; otherwise charge who else is concerned."""
        if self._budget is None or not reserved.accounts:
            return
        challenge = outcome.challenge if isinstance(outcome, ChallengeIssued) else None
        is_sent = challenge is not None and challenge.delivery is not None
        # Of a new account, whether or not there was an address to send it to: a taken name has no more.
        is_sent = is_sent or (challenge is not None and isinstance(flow.challenge, SignUpRequest))
        reason = outcome.reason if isinstance(outcome, Rejected) else None
        if is_imitated(flow.challenge, reason, reveals_existing_users=self._reveals):
            challenge, is_sent = flow.challenge, True  # counts like a code that was sent
        now = self._clock.now()
        if not (is_sent or _may_be_sent(flow, outcome)):
            yield from self._refunds(reserved, flow, outcome, now)
            return
        if challenge is not None:
            name = UserName.own(challenge.username)
            if isinstance(flow.challenge, RecoveryChallenge):
                name = _named_beside(reserved.names, flow.username)
            own = self._account(name, _tag_of(flow))
            if name not in reserved.names:
                yield Adjustment(own.key, partial(own.charged, now=now))
            # A challenge that was not Cognito's has the name that was typed.
            is_told = not isinstance(flow.challenge, (SignUpRequest, RecoveryChallenge))
            if flow.username and is_told and not flow.owner:
                yield from self._learn(flow.username, challenge.username, own, now, received.rows)
        source_account = self._source(flow, received.context, None)
        if source_account is not None:
            yield Adjustment(source_account.key, partial(source_account.charged, now=now))

    def _refunds(
        self, reserved: Reserved, flow: Flow, outcome: Outcome, now: float
    ) -> Iterable[Adjustment]:
        """Give back what a call was charged that sent nothing."""
        # The user's own stays charged: each address that is tried tells whether it has an account.
        kept = self._code(UserName.own(flow.own_name), flow).key if _is_taken(outcome) else ""
        for account, at in reserved.accounts:
            if account.key != kept:
                yield Adjustment(account.key, partial(account.refunded, charged_at=at, now=now))

    def _names(
        self, typed: str, flow: Flow, rows: Rows
    ) -> Generator[Effect, Any, tuple[tuple[UserName, ...], tuple[str, ...]]]:
        """Return the names that a code counts against, and the users that codes were sent to."""
        if _is_by_alias(flow) and typed:
            yield from self._look_up([self._alias(typed).key], rows)
        return self._known_names(typed, flow, rows)

    def _known_names(
        self, typed: str, flow: Flow, rows: Rows
    ) -> tuple[tuple[UserName, ...], tuple[str, ...]]:
        """Return the same, from the rows of the event.

        There are always two or more, so that the work for an unknown name is that for a known one.
        """
        challenge = flow.challenge
        if flow.owner:
            return (UserName.own(flow.own_name),), (flow.own_name,)
        if challenge is not None and not _is_by_alias(flow):
            users: tuple[str, ...] = (challenge.username,)
        elif typed:
            alias = self._alias(typed)
            users = alias.users(rows.get(alias.key))
            if challenge is not None and (flow.own_name or challenge.username != typed):
                users = tuple(dict.fromkeys((challenge.username, *users)))
        else:
            return (), ()
        names = [UserName.typed(typed)] if typed else []
        own = map(UserName.own, users) if users else (_stand_in(typed),)
        return (*names, *own), users

    def _learn(
        self, typed: str, user: str, own: Account, now: float, rows: Rows
    ) -> Iterable[Adjustment]:
        """Note which user a typed name stands for, and the budget that a next sign-in needs."""
        alias = self._alias(typed)
        row = rows.get(alias.key)
        if row is None or user not in alias.users(row) or own.key not in row.related:
            yield Adjustment(
                alias.key, partial(alias.written, user=user, now=now, related=(own.key,))
            )

    # ── guesses ──

    def guesses_remain(self, flow: Flow, received: Received) -> Result:
        """Return whether a code or answer of this user is taken now."""
        if not isinstance(received.event, (SubmitCode, SubmitAnswer, ResetPassword)):
            return True
        guesses = self._guesses_of(flow)
        if guesses is None:
            return True
        yield from self._look_up([guesses.key], received.rows)
        return guesses.allows(received.rows.get(guesses.key), self._clock.now())

    def _guess(self, guesses: Guesses) -> Charge:
        now = self._clock.now()
        return Charge(
            guesses.key,
            guesses.limit.most,
            partial(guesses.allows, now=now),
            partial(guesses.counted, now=now, by=1),
            "too_many_guesses",
        )

    def _settle_guess(self, flow: Flow, outcome: Outcome) -> Iterable[Adjustment]:
        """Forget the wrong codes after a right one, and a guess that was none."""
        guesses = self._guesses_of(flow)
        if guesses is None or _is_wrong(flow, outcome):
            return
        by = 0 if isinstance(outcome, (ChallengeIssued, TokensIssued, Confirmed)) else -1
        yield Adjustment(guesses.key, partial(guesses.counted, now=self._clock.now(), by=by))

    def _guesses_of(self, flow: Flow) -> Guesses | None:
        tag = _browser_tag(flow.from_known_browser)
        match flow.challenge:
            case CodeChallenge(is_first_factor=is_first):
                kind = f"first factor{tag}" if is_first else "second factor"
            case CustomChallenge():
                kind = "custom after a password" if flow.account_tag else f"custom{tag}"
            case RecoveryChallenge():
                kind = f"recovery{tag}"
            case AuthenticatorSetup():
                kind = "account"
            case AddressVerification(attribute=attribute, address=address):
                # Of each address apart: a right code for an own one, or of an own app, must not give
                # back the guesses at a code that was sent to another user's address.
                kind = f"{attribute} {same_name(address)}"
            case _:
                return None
        if self._guesses is None:
            return None
        name = UserName.own(flow.challenge.username)
        if isinstance(flow.challenge, RecoveryChallenge) and name.text == flow.username:
            name = UserName.typed(flow.username)  # it may be an alias
        return self._guesses.of_user(name, kind, self._keys)

    # ── addresses ──

    def _note_of_address(self, flow: Flow, wish: AddressVerification, call: Call) -> Charge:
        """Note the address that a user changes to, and refuse a call about an earlier one."""
        latest, now = self._latest_address(flow, wish.attribute), self._clock.now()
        is_new = isinstance(call, ChangeAddress)
        return Charge(
            latest.key,
            1,
            lambda row: is_new or latest.allows(row, address=wish.address, now=now),
            partial(latest.written, address=wish.address, now=now),
            "address_replaced",
        )

    def _latest_address(self, flow: Flow, attribute: str) -> LatestAddress:
        return LatestAddress.of_user(flow.owner or "", attribute, self._keys)

    # ── offers ──

    def offer_is_due(self, received: Received) -> bool:
        """Return whether a second factor may be offered to the user; its row is loaded."""
        user = received.context.signed_in
        if not isinstance(received.event, OfferFactor) or user is None:
            return False
        account = self._offers_to(user.sub)
        return account.remains(received.rows.get(account.key), self._clock.now())

    def _settle_offer(self, reserved: Reserved, outcome: Outcome) -> Iterable[Adjustment]:
        """Give an offer back that could not be made, so that the next sign-in makes it."""
        if reserved.offer is None or isinstance(outcome, (ChallengeIssued, Confirmed)):
            return
        account, at = reserved.offer
        now = self._clock.now()
        yield Adjustment(account.key, partial(account.refunded, charged_at=at, now=now))

    def _offers_to(self, owner: str) -> Account:
        """Return the account of the offers to a user, by the user's ID (sub)."""
        return offers_to(owner, self.offer_every, self._keys)

    # ── rows ──

    def _look_up(self, keys: Iterable[str], rows: Rows) -> Generator[Effect, Any, None]:
        """Load the rows that the event has not seen, in one trip."""
        missing = tuple(dict.fromkeys(key for key in keys if key not in rows))
        if missing:
            rows.add(missing, (yield Load(missing)))

    def _charge(self, charge: Charge, rows: Rows) -> Result:
        """Charge a row if it has one left; a busy row is taken to be used up."""
        for _ in range(_TRIES * charge.most):
            if not charge.allows(rows.get(charge.key)):
                return False
            if (yield from self._swap(rows.change(charge.key, charge.charged), rows)):
                return True
            yield from self._look_up([charge.key], rows)
        return False

    def _swap(self, change: Change, rows: Rows) -> Result:
        saved: bool = (yield Swap((change,)))[0]
        rows.note(change, saved=saved)
        return saved


def _is_by_alias(flow: Flow) -> bool:
    """Whether only `Alias` can tell whose own name the typed one is."""
    is_recovery = isinstance(flow.challenge, RecoveryChallenge)
    return not flow.owner and (flow.challenge is None or is_recovery)


def _stand_in(typed: str) -> UserName:
    """The name in place of a user's own, while it is not known whether there is such a user."""
    return UserName.own(f"\0{same_name(typed)}")


def _made_up(typed: str) -> UserName:
    """The name to charge in place of one that is charged already, so that it takes the same time.

    It is the same for each event, because that of an unknown user is: a row that is stored takes more
    trips than a new one.
    """
    return UserName.own(f"\0\0{same_name(typed)}")


def _named_beside(names: Iterable[UserName], typed: str) -> UserName:
    """The name that a code without a password counts against beside others.

    Cognito does not tell the user's own, so it is the one that was typed. If that is charged already, it
    is a known alias.
    """
    own = UserName.own(typed)
    return _made_up(typed) if own in names else own


def _name_in(event: AnyEvent, flow: Flow) -> str:
    """The name of the user whom an event is about, as the machine takes it."""
    is_named = flow.state is FlowState.IDLE or isinstance(event, (ForgotPassword, SignUp))
    named = event.username if is_named and isinstance(event, NAMING_EVENTS) else None
    return named or flow.username


def _addresses(attributes: Mapping[str, str]) -> tuple[UserName, ...]:
    """The addresses of a new account: many accounts with one address are many codes to it."""
    found = (attributes.get("email", ""), plain_phone_number(attributes.get("phone_number", "")))
    return tuple(UserName.address(address) for address in found if address)


def _tag_of(flow: Flow) -> str:
    if flow.owner:
        return " signed in"  # no caller who is not can use these up
    return _password_tag_of(flow) or _browser_tag(flow.from_known_browser)


def _password_tag_of(flow: Flow) -> str:
    """The tag of the password that a code is sent for; empty if Cognito has not checked any.

    A caller could send each request with another password.
    """
    if flow.state is FlowState.CHECKING_PASSWORD:
        return flow.account_tag
    match flow.challenge:
        case RecoveryChallenge() | SignUpRequest() | PasskeyChallenge() | PasswordChallenge():
            return ""
        case FactorChoice(kind="SELECT_CHALLENGE") | CodeChallenge(is_first_factor=True):
            return ""
        case _:
            return flow.account_tag


def _browser_tag(is_known: bool) -> str:
    """Return what tells a user's own browser from others, for codes that need no password.

    One tag for all of a user's browsers: with one for each, every new browser would add codes.
    """
    return " known browser" if is_known else ""


def _can_cause_a_code(flow: Flow, event: AnyEvent) -> bool:
    if isinstance(event, ChooseFactor):
        # A sign-in that begins anew can send, whatever factor the user prefers.
        begins = event.factor is not Factor.PASSWORD and not isinstance(
            flow.challenge, FactorChoice
        )
        return begins or event.factor not in _NOT_SENT
    if isinstance(event, SubmitCode):
        return isinstance(flow.challenge, RecoveryChallenge)  # a sign-in follows
    if isinstance(event, (AddAuthenticator, AddPasskey, AccountChange, OfferFactor)):
        return False
    return not isinstance(
        event,
        (SubmitPasskey, RememberDevice, ConfirmAccount, SignInWith, SubmitAuthorization, Cancel),
    )


def _can_send(call: Call) -> bool:
    if isinstance(call, RequestCode):
        return call.factor not in _NOT_SENT
    return call.can_send


def _is_guess(call: Call) -> bool:
    return isinstance(
        call,
        (
            *(CheckCode, CheckAnswer, ConfirmSignUp, ResetPasswordWith),
            *(ConfirmAuthenticator, ConfirmAddress),
        ),
    )


def _may_be_sent(flow: Flow, outcome: Outcome) -> bool:
    """Whether a call that can send may have sent a code, though its outcome does not say so."""
    if isinstance(flow.challenge, AddressVerification):
        # An answer of another call does not say that no code was sent.
        return not isinstance(outcome, (Confirmed, Rejected, NotSent))
    return isinstance(outcome, OutcomeUnknown) and outcome.can_have_sent


def _is_taken(outcome: Outcome) -> bool:
    """Whether a new address is another account's."""
    return isinstance(outcome, Rejected) and outcome.message == "address_taken"


def _is_wrong(flow: Flow, outcome: Outcome) -> bool:
    """Whether a guess was wrong, or may have been."""
    if isinstance(outcome, Rejected):
        return outcome.reason in _WRONG or answer_was_wrong(flow.challenge, outcome.reason)
    # A pool's Lambda may answer a wrong answer with its next question.
    is_next_question = isinstance(outcome, ChallengeIssued) and isinstance(
        flow.challenge, CustomChallenge
    )
    return is_next_question or isinstance(outcome, OutcomeUnknown)
