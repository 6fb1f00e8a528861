"""The driver's limits: codes and guesses are reserved before the call, and settled after it.

Like the script, these are generators of effects. A worker that dies in between leaves the reservation,
for a code may have been sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple

from oncegate._seal import SealingKeys
from oncegate._watched import STORE_FAILURES
from oncegate.budget import (
    Account,
    Alias,
    CodeBudget,
    Guesses,
    GuessLimit,
    UserName,
    password_tag,
    same_name,
)
from oncegate.challenges import (
    NAMING_EVENTS,
    Call,
    Cancel,
    CheckAnswer,
    CheckCode,
    ChooseFactor,
    CodeChallenge,
    ConfirmAccount,
    ConfirmSignUp,
    CustomChallenge,
    Event,
    Factor,
    FactorChoice,
    ForgotPassword,
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
    SubmitAnswer,
    SubmitAuthorization,
    SubmitCode,
    SubmitPasskey,
    SubmitPassword,
)
from oncegate.challenges._base import plain_phone_number
from oncegate.context import RequestContext
from oncegate.driver.effects import Effect, Load, Swap
from oncegate.machine.guards import answer_was_wrong, is_imitated
from oncegate.outcomes import (
    ChallengeIssued,
    Confirmed,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate.ports import Clock, StoredRecord
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


class Reserved(NamedTuple):
    """A code that was charged before its call.

    Attributes:
        accounts: each with the time of its charge, in seconds since the epoch.
        names: users that the accounts are of.
        is_guess: whether the guess, if the call is one, was counted.
    """

    accounts: tuple[tuple[Account, float], ...] = ()
    names: tuple[UserName, ...] = ()
    is_guess: bool = False


class Permit:
    """What a transport asks within a call once it knows the user (`RequestContext.may_send`).

    Args:
        limits: the limits.
        flow: the flow in flight.
        reserved: what is charged already.
        perform: performs an effect.

    Attributes:
        reserved: what is charged now.
        has_failed: whether the store did not answer, so that nothing may be sent.
    """

    def __init__(
        self, limits: Limits, flow: Flow, reserved: Reserved, perform: Callable[[Effect], Any]
    ) -> None:
        self.reserved = reserved
        self.has_failed = False
        self._limits = limits
        self._flow = flow
        self._perform = perform

    def __call__(self, user: str) -> bool:
        script = self._limits.reserve_for(user, self._flow, self.reserved)
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
    """

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

    def tag_of(self, event: Event) -> str:
        """Return the tag of the password in an event; empty if it has none."""
        if not isinstance(event, SubmitPassword):
            return ""
        return password_tag(event.password.get_secret_value(), self._keys)

    def reserve(
        self, flow: Flow, call: Call
    ) -> Generator[
        Effect, Any, tuple[Reserved, Literal["too_many_codes", "too_many_guesses"] | None]
    ]:
        """Charge what a call may use up; return what was charged, and why the call must not be made."""
        reserved = yield from self._reserve_code(flow, call)
        if reserved is None:
            return Reserved(), "too_many_codes"
        if not (yield from self._reserve_guess(flow, call)):
            return reserved, "too_many_guesses"
        return reserved._replace(is_guess=_is_guess(call)), None

    def settle(
        self, reserved: Reserved, flow: Flow, outcome: Outcome, source: str | None
    ) -> Generator[Effect, Any, None]:
        """Settle what `reserve` charged. A store that does not answer leaves the reservation.

        Args:
            reserved: what is charged.
            flow: the flow in flight, before the outcome.
            outcome: outcome of the call.
            source: address of the client.
        """
        with suppress(*STORE_FAILURES):
            if reserved.is_guess:
                yield from self._settle_guess(flow, outcome)
            yield from self._settle_code(reserved, flow, outcome, source)

    # ── codes ──

    def codes_remain(self, flow: Flow, event: Event, context: RequestContext) -> CodesRemain:
        """Return whether an event may cause a code, and whether its browser is known to the user."""
        if not _can_cause_a_code(flow, event):
            return True, flow.from_known_browser
        is_first = isinstance(event, NAMING_EVENTS)
        if self._budget is None and not context.known_users:
            return True, flow.from_known_browser and not is_first
        typed, tag, is_known = _name_in(event, flow), _tag_of(flow), flow.from_known_browser
        if typed != flow.username:  # then what the flow knows is of another user
            flow = flow.model_copy(update={"challenge": None, "own_name": ""})
        names, users = yield from self._names(typed, flow)
        if is_first:
            # Two users may differ in the spelling of their names alone.
            is_known = typed in context.known_users or (
                len(users) == 1 and users[0] in context.known_users
            )
            tag = self.tag_of(event) or _browser_tag(is_known)
        if self._budget is None:
            return True, is_known
        if isinstance(event, SignUp):
            names = (*names, *_addresses(event.attributes))
        for name in names:
            if not (yield from self._remains(self._budget.of_user(name, tag, self._keys))):
                return False, is_known
        account = self._source(flow, context.source_address, event)
        remains = account is None or (yield from self._remains(account))
        # With a password, a code is sent only to some users. No other user is refused for the codes of
        # others at the same address, and none in the user's own browser. The row is read in any case,
        # so that the time of the answer tells nothing.
        is_exempt = is_known or (isinstance(event, SubmitPassword) and not users)
        return remains or is_exempt, is_known

    def _source(self, flow: Flow, address: str | None, event: Event | None) -> Account | None:
        if self._budget is None:
            return None
        with_password = isinstance(event, SubmitPassword) or bool(_password_tag_of(flow))
        return self._budget.of_source(address, self._keys, with_password=with_password)

    def _reserve_code(self, flow: Flow, call: Call) -> Generator[Effect, Any, Reserved | None]:
        """Charge the user's budget before a call that can send; return None if it is used up."""
        if self._budget is None or not _can_send(call):
            return Reserved()
        names, _ = yield from self._names(flow.username, flow)
        if isinstance(flow.challenge, SignUpRequest):
            names = (*names, *_addresses(flow.challenge.attributes))
        taken: list[tuple[Account, float]] = []
        for name in names:
            account = self._budget.of_user(name, _tag_of(flow), self._keys)
            at = self._clock.now()
            if not (yield from self._charge(account, at)):
                yield from self._refund(taken)
                return None
            taken.append((account, at))
        return Reserved(tuple(taken), tuple(names))

    def reserve_for(
        self, user: str, flow: Flow, reserved: Reserved
    ) -> Generator[Effect, Any, Reserved | None]:
        """Charge the budget of the user's own name too; return None if it is used up.

        Args:
            user: the name, as the transport has just learned it.
            flow: the flow in flight.
            reserved: what is charged already.
        """
        name = UserName.own(user)
        if self._budget is None or not reserved.accounts:
            return reserved
        if name in reserved.names:
            # Charged already. The same work for another row: its time would tell a known alias.
            name = UserName.own(f"\0{user}")
        account = self._budget.of_user(name, _tag_of(flow), self._keys)
        at = self._clock.now()
        if not (yield from self._charge(account, at)):
            return None
        accounts, names = (*reserved.accounts, (account, at)), (*reserved.names, name)
        return reserved._replace(accounts=accounts, names=names)

    def _settle_code(
        self, reserved: Reserved, flow: Flow, outcome: Outcome, source: str | None
    ) -> Generator[Effect, Any, None]:
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
        may_be_sent = isinstance(outcome, OutcomeUnknown) and outcome.can_have_sent
        if not (is_sent or may_be_sent):
            yield from self._refund(reserved.accounts)
            return
        now = self._clock.now()
        if challenge is not None:
            name = UserName.own(challenge.username)
            if name not in reserved.names:
                own = self._budget.of_user(name, _tag_of(flow), self._keys)
                yield from self._update(own.key, lambda row: own.charged(row, now))
            # A challenge that was not Cognito's has the name that was typed.
            is_told = not isinstance(flow.challenge, (SignUpRequest, RecoveryChallenge))
            if flow.username and is_told:
                yield from self._learn(flow.username, challenge.username, now)
        account = self._source(flow, source, None)
        if account is not None:
            yield from self._update(account.key, lambda row: account.charged(row, now))

    def _names(
        self, typed: str, flow: Flow
    ) -> Generator[Effect, Any, tuple[tuple[UserName, ...], tuple[str, ...]]]:
        """Return the names that a code counts against, and the users that codes were sent to.

        There are always two or more, so that the work for an unknown name is that for a known one.
        """
        challenge = flow.challenge
        if challenge is not None and not isinstance(challenge, RecoveryChallenge):
            users: tuple[str, ...] = (challenge.username,)
        elif typed:
            alias = Alias.of(typed, self._keys)
            users = alias.users((yield Load(alias.key)))
            if challenge is not None and (flow.own_name or challenge.username != typed):
                users = tuple(dict.fromkeys((challenge.username, *users)))
        else:
            return (), ()
        names = [UserName.typed(typed)] if typed else []
        own = users or (f"\0{same_name(typed)}",)
        return (*names, *map(UserName.own, own)), users

    def _learn(self, typed: str, user: str, now: float) -> Generator[Effect, Any, None]:
        alias = Alias.of(typed, self._keys)
        row: StoredRecord | None = yield Load(alias.key)
        if user not in alias.users(row):
            yield Swap(alias.key, row.version if row else 0, alias.written(row, user, now))

    def _remains(self, account: Account) -> Result:
        row: StoredRecord | None = yield Load(account.key)
        return account.remains(row, self._clock.now())

    def _charge(self, account: Account, at: float) -> Result:
        """Charge an account if something remains; a busy row is taken to be used up."""
        for _ in range(_TRIES * account.limit):
            row: StoredRecord | None = yield Load(account.key)
            if not account.remains(row, at):
                return False
            if (yield Swap(account.key, row.version if row else 0, account.charged(row, at))):
                return True
        return False

    def _refund(self, taken: Iterable[tuple[Account, float]]) -> Generator[Effect, Any, None]:
        for account, at in taken:
            yield from self._update(account.key, self._refunded(account, at))

    def _refunded(
        self, account: Account, at: float
    ) -> Callable[[StoredRecord | None], StoredRecord]:
        return lambda row: account.refunded(row, at, self._clock.now())

    # ── guesses ──

    def guesses_remain(self, flow: Flow, event: Event) -> Result:
        """Return whether a code or answer of this user is taken now."""
        if not isinstance(event, (SubmitCode, SubmitAnswer, ResetPassword)):
            return True
        guesses = self._guesses_of(flow)
        if guesses is None:
            return True
        return guesses.allows((yield Load(guesses.key)), self._clock.now())

    def _reserve_guess(self, flow: Flow, call: Call) -> Result:
        """Count a guess before the call; return False if it must not be made."""
        guesses = self._guesses_of(flow)
        if guesses is None or not _is_guess(call):
            return True
        for _ in range(_TRIES * guesses.limit.most):
            row: StoredRecord | None = yield Load(guesses.key)
            now = self._clock.now()
            if not guesses.allows(row, now):
                return False
            counted = guesses.counted(row, now, by=1)
            if (yield Swap(guesses.key, row.version if row else 0, counted)):
                return True
        return False

    def _settle_guess(self, flow: Flow, outcome: Outcome) -> Generator[Effect, Any, None]:
        """Forget the wrong codes after a right one, and a guess that was none."""
        guesses = self._guesses_of(flow)
        if guesses is None or _is_wrong(flow, outcome):
            return
        by = 0 if isinstance(outcome, (ChallengeIssued, TokensIssued, Confirmed)) else -1
        yield from self._update(
            guesses.key, lambda row: guesses.counted(row, self._clock.now(), by=by)
        )

    def _guesses_of(self, flow: Flow) -> Guesses | None:
        tag = _browser_tag(flow.from_known_browser)
        match flow.challenge:
            case CodeChallenge(is_first_factor=is_first):
                kind = f"first factor{tag}" if is_first else "second factor"
            case CustomChallenge():
                kind = "custom after a password" if flow.account_tag else f"custom{tag}"
            case RecoveryChallenge():
                kind = f"recovery{tag}"
            case _:
                return None
        if self._guesses is None:
            return None
        name = UserName.own(flow.challenge.username)
        if isinstance(flow.challenge, RecoveryChallenge) and name.text == flow.username:
            name = UserName.typed(flow.username)  # it may be an alias
        return self._guesses.of_user(name, kind, self._keys)

    # ── rows ──

    def _update(
        self, key: str, updated: Callable[[StoredRecord | None], StoredRecord]
    ) -> Generator[Effect, Any, None]:
        for _ in range(_TRIES):
            row: StoredRecord | None = yield Load(key)
            if (yield Swap(key, row.version if row else 0, updated(row))):
                return


def _name_in(event: Event, flow: Flow) -> str:
    """The name of the user whom an event is about, as the machine takes it."""
    is_named = flow.state is FlowState.IDLE or isinstance(event, (ForgotPassword, SignUp))
    named = event.username if is_named and isinstance(event, NAMING_EVENTS) else None
    return named or flow.username


def _addresses(attributes: Mapping[str, str]) -> tuple[UserName, ...]:
    """The addresses of a new account: many accounts with one address are many codes to it."""
    found = (attributes.get("email", ""), plain_phone_number(attributes.get("phone_number", "")))
    return tuple(UserName.address(address) for address in found if address)


def _tag_of(flow: Flow) -> str:
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


def _can_cause_a_code(flow: Flow, event: Event) -> bool:
    if isinstance(event, ChooseFactor):
        # A sign-in that begins anew can send, whatever factor the user prefers.
        begins = event.factor is not Factor.PASSWORD and not isinstance(
            flow.challenge, FactorChoice
        )
        return begins or event.factor not in _NOT_SENT
    if isinstance(event, SubmitCode):
        return isinstance(flow.challenge, RecoveryChallenge)  # a sign-in follows
    return not isinstance(
        event,
        (SubmitPasskey, RememberDevice, ConfirmAccount, SignInWith, SubmitAuthorization, Cancel),
    )


def _can_send(call: Call) -> bool:
    if isinstance(call, RequestCode):
        return call.factor not in _NOT_SENT
    return call.can_send


def _is_guess(call: Call) -> bool:
    return isinstance(call, (CheckCode, CheckAnswer, ConfirmSignUp, ResetPasswordWith))


def _is_wrong(flow: Flow, outcome: Outcome) -> bool:
    """Whether a guess was wrong, or may have been."""
    if isinstance(outcome, Rejected):
        return outcome.reason in _WRONG or answer_was_wrong(flow.challenge, outcome.reason)
    # A pool's Lambda may answer a wrong answer with its next question.
    is_next_question = isinstance(outcome, ChallengeIssued) and isinstance(
        flow.challenge, CustomChallenge
    )
    return is_next_question or isinstance(outcome, OutcomeUnknown)
