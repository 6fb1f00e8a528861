"""The budget of codes: charged if a code was sent or may have been, and never otherwise."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles import ManualClock, ScriptedTransport, a_text, code, password, the_tokens

from oncegate import (
    CodeBudget,
    ForgotPassword,
    RequestContext,
    RequestNewCode,
    SealingKeys,
    SignIn,
    SignUp,
    SignUpForm,
    StoreUnavailable,
    SubmitPassword,
    SubmitUsername,
    WaysIn,
)
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    Change,
    CheckPassword,
    FlowId,
    NotSent,
    Outcome,
    OutcomeUnknown,
    PasswordReset,
    RecordStore,
    Rejected,
    RejectionReason,
    SignUpConfirmation,
    StartSignIn,
    StoredRecord,
    next_row,
    open_row,
)
from oncegate.budget import UserName, _row_key, password_tag, same_name
from oncegate.challenges import Delivery
from oncegate_stores import MemoryStore, SQLiteStore

CONTEXT = RequestContext(source_address="192.0.2.1")
BUDGET = CodeBudget(per_user=1, per_source=1)


def reason_after(*outcomes: Outcome, answers: bool = False) -> str | None:
    """Return why a second sign-in from the same source is suppressed after a first with outcomes."""
    transport = ScriptedTransport(*outcomes, a_text())
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), clock=ManualClock(), budget=BUDGET, listeners=[]
    )
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    if answers:
        sign_in.send(step, code(), context=CONTEXT)
    calls = len(transport.calls)
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    assert len(transport.calls) - calls == (0 if step.reason else 1)
    return step.reason.code if step.reason else None


def test_sent_code_is_charged() -> None:
    assert reason_after(a_text()) == "too_many_codes"


def test_unknown_outcome_of_a_sending_call_is_charged() -> None:
    assert reason_after(OutcomeUnknown()) == "too_many_codes"


@pytest.mark.parametrize("cause", ["unreachable", "throttled"])
def test_call_that_was_not_sent_is_not_charged(cause: str) -> None:
    assert reason_after(NotSent.model_validate({"cause": cause})) is None


@pytest.mark.parametrize("reason", [RejectionReason.WRONG_CREDENTIALS, RejectionReason.LOCKED])
def test_rejected_password_is_not_charged(reason: RejectionReason) -> None:
    assert reason_after(Rejected(reason=reason)) is None


def test_challenge_without_a_delivery_is_not_charged() -> None:
    app = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None)
    assert reason_after(app) is None


def test_unknown_outcome_of_a_code_check_is_not_charged() -> None:
    """`CheckCode` cannot send a code, so an authenticator's lost reply charges nothing."""
    app = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None)
    assert reason_after(app, OutcomeUnknown(), answers=True) is None


def test_accepted_code_is_charged_once_only() -> None:
    """The code was charged when it was sent, not again when it was accepted."""
    transport = ScriptedTransport(a_text(), the_tokens(), a_text())
    budget = CodeBudget(per_user=9, per_source=2)
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), clock=ManualClock(), budget=budget, listeners=[]
    )
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    sign_in.send(step, code(), context=CONTEXT)
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    assert step.state == "awaiting_mfa"


def test_source_is_limited_also_for_a_password_without_a_name() -> None:
    """After a wrong password, the name is the flow's."""
    wrong = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    transport = ScriptedTransport(a_text(), wrong, a_text(), a_text())
    budget = CodeBudget(per_user=9, per_source=2)
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), clock=ManualClock(), budget=budget, listeners=[]
    )
    sign_in.send(sign_in.start(), password(), context=CONTEXT)  # tells whose name it is
    asked = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    sign_in.send(sign_in.start(), password(), context=CONTEXT)
    again = SubmitPassword(password="another")
    step = sign_in.send(asked, again, context=CONTEXT)
    assert step.reason
    assert step.reason.code == "too_many_codes"
    assert len(transport.calls) == 3


def test_new_code_that_was_not_sent_is_not_charged() -> None:
    """The challenge still shows the delivery of the code before, which was charged already."""
    reset = PasswordReset(
        username="ana", delivery=Delivery(medium="SMS", destination="+*******1234")
    )
    transport = ScriptedTransport(
        Rejected(reason=RejectionReason.PASSWORD_RESET_REQUIRED),
        ChallengeIssued(challenge=reset),
        NotSent(cause="throttled"),
        a_text(),
    )
    sign_in = SignIn(
        transport=transport,
        store=MemoryStore(),
        clock=ManualClock(),
        budget=CodeBudget(per_user=9, per_source=2),
        new_code_cooldown=0,
        listeners=[],
    )
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    step = sign_in.send(step, ForgotPassword(), context=CONTEXT)
    step = sign_in.send(step, RequestNewCode(), context=CONTEXT)
    assert step.reason is None
    assert len(transport.calls) == 3
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    assert step.state == "awaiting_mfa"


def test_new_accounts_with_one_address_share_its_budget() -> None:
    """Otherwise one caller could have any number of codes sent to a person's phone."""
    sent = Delivery(medium="SMS", destination="+*******1234")
    issued = ChallengeIssued(challenge=SignUpConfirmation(username="u", delivery=sent))
    transport = ScriptedTransport(issued, issued, issued)
    transport.ways_in = WaysIn(sign_up=SignUpForm(attributes=("phone_number",)))
    sign_in = SignIn(
        transport=transport,
        store=MemoryStore(),
        clock=ManualClock(),
        budget=CodeBudget(per_user=2),
        listeners=[],
    )
    seen = []
    for number, phone in enumerate(["+1 555 000 1234", "+15550001234", "+15550001234", "+1555"]):
        event = SignUp(username=f"new-{number}", password="p", attributes={"phone_number": phone})
        step = sign_in.send(sign_in.start(), event)
        seen.append(step.reason.code if step.reason else step.state.value)
    assert seen[2:] == ["too_many_codes", "awaiting_confirmation"]
    assert len(transport.calls) == 3


def test_taken_name_that_is_told_costs_its_user_no_code() -> None:
    taken = Rejected(reason=RejectionReason.USERNAME_TAKEN)
    reset = ChallengeIssued(challenge=PasswordReset(username="ana"))
    transport = ScriptedTransport(taken, taken, taken, reset)
    transport.ways_in = WaysIn(sign_up=SignUpForm())
    sign_in = SignIn(
        transport=transport,
        store=MemoryStore(),
        clock=ManualClock(),
        budget=CodeBudget(per_user=1),
        reveal_existing_users=True,
        listeners=[],
    )
    for _ in range(3):
        step = sign_in.send(sign_in.start(), SignUp(username="ana", password="p"))
        assert step.state == "signing_up"
    assert sign_in.send(sign_in.start(), ForgotPassword(username="ana")).state == "awaiting_reset"


def test_browser_that_knows_one_user_is_not_known_to_another() -> None:
    """Otherwise a caller could use up what is kept for a user's own browser."""
    transport = ScriptedTransport(
        Rejected(reason=RejectionReason.INPUT_REFUSED),
        Rejected(reason=RejectionReason.USERNAME_TAKEN),
        ChallengeIssued(challenge=PasswordReset(username="ana")),
    )
    transport.ways_in = WaysIn(sign_up=SignUpForm())
    sign_in = SignIn(
        transport=transport,
        store=MemoryStore(),
        clock=ManualClock(),
        budget=CodeBudget(per_user=1),
        listeners=[],
    )
    mallory = replace(CONTEXT, known_users=frozenset({"mallory"}))
    step = sign_in.start()
    for name in ("mallory", "ana"):
        step = sign_in.send(step, SignUp(username=name, password="p"), context=mallory)
    assert step.state == "awaiting_confirmation"
    own = replace(CONTEXT, known_users=frozenset({"ana"}))
    step = sign_in.send(sign_in.start(), ForgotPassword(username="ana"), context=own)
    assert (step.state, step.reason) == ("awaiting_reset", None)


# ── over all flows, names and workers ──

KEYS = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")
OFFICE = RequestContext(source_address="203.0.113.7")


class Pool:
    """A pool in which ana has several names, and cleo an authenticator app."""

    NAMES = ("ana", "ana@example.com", "+15550001234", "7b1c-sub")

    def __init__(self, **more: Any) -> None:
        self.sent = 0
        self.store: RecordStore = MemoryStore()
        self.clock = ManualClock()
        self.lock = threading.Lock()
        self.lost = False
        self.own_names_are_exact = False
        self.more = {"budget": CodeBudget(), "keys": KEYS, **more}
        self.sign_in = self.made()

    def made(self) -> SignIn:
        transport = ScriptedTransport(*[self.perform] * 2000)
        transport.is_passwordless = True
        return SignIn(
            transport=transport, store=self.store, clock=self.clock, listeners=[], **self.more
        )

    def perform(self, call: Call) -> Outcome:
        assert isinstance(call, (CheckPassword, StartSignIn))
        if self.lost:
            return OutcomeUnknown(can_have_sent=False)
        if isinstance(call, CheckPassword) and call.password.get_secret_value() != "right":
            return Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
        name = same_name(call.username)
        if name == "cleo":
            return a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None, username="cleo")
        with self.lock:
            self.sent += 1
        # Cognito answers for an unknown user as for any other (PreventUserExistenceErrors).
        user = "ana-own" if name in self.NAMES else name
        if self.own_names_are_exact:
            user = call.username
        return a_text(username=user)

    def enter(self, name: str, secret: str = "right", context: RequestContext = OFFICE) -> str:
        event = SubmitPassword(username=name, password=secret)
        step = self.sign_in.send(self.sign_in.start(), event, context=context)
        return step.reason.code if step.reason else step.state

    def begin(self, name: str, *known_users: str, context: RequestContext | None = None) -> str:
        context = context or RequestContext(known_users=frozenset(known_users))
        event = SubmitUsername(username=name)
        step = self.sign_in.send(self.sign_in.start(), event, context=context)
        return step.reason.code if step.reason else step.state


SPELLINGS = ("ana", "ANA", "ａｎａ", "a\u200bna", " ana ", "an\u00ada")


def test_spellings_of_one_name_share_a_budget() -> None:
    pool = Pool()
    for _ in range(5):
        for spelling in SPELLINGS:
            pool.enter(spelling)
    assert pool.sent == 10


def test_names_of_one_user_share_a_budget_once_they_are_known() -> None:
    """A name is known from its first code on, so each new one adds one code at most, once."""
    pool = Pool()
    for name in Pool.NAMES:
        pool.enter(name)
    for _ in range(10):
        for name in Pool.NAMES:
            pool.enter(name)
    assert pool.sent == 10
    pool.clock.advance(3601)
    for _ in range(10):
        for name in Pool.NAMES:
            pool.enter(name)
    assert pool.sent == 20


def test_budget_without_a_password_holds_for_all_names() -> None:
    pool = Pool()
    for _ in range(10):
        for name in Pool.NAMES:
            pool.begin(name)
    assert pool.sent == 10


def test_parallel_flows_do_not_exceed_the_budget() -> None:
    pool = Pool()
    barrier = threading.Barrier(30)

    def enter() -> None:
        barrier.wait()
        pool.enter("ana")

    threads = [threading.Thread(target=enter) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.sent == 10


def test_unknown_and_known_name_are_refused_after_the_same_number() -> None:
    for start in ("begin", "enter"):
        pool = Pool()
        known = [getattr(pool, start)("ana@example.com") for _ in range(12)]
        unknown = [getattr(pool, start)("nobody@example.com") for _ in range(12)]
        assert known == unknown
        assert known[-1] == "too_many_codes"


def test_caller_without_the_password_neither_locks_out_nor_learns_anything() -> None:
    pool = Pool()
    for number in range(50):
        assert pool.enter("ana", f"guess {number}") == "idle"
    assert [pool.enter("ana") for _ in range(10)] == ["awaiting_mfa"] * 10
    assert pool.enter("ana") == "too_many_codes"
    assert pool.enter("ana", "guess") == pool.enter("nobody", "guess") == "idle"


def test_codes_requested_by_name_alone_do_not_use_up_those_after_the_password() -> None:
    pool = Pool()
    for _ in range(12):
        pool.begin("ana")
    assert pool.enter("ana") == "awaiting_mfa"


def test_strangers_do_not_use_up_the_codes_of_the_users_own_browser() -> None:
    """Codes that need no password (P8). All browsers of a user have one budget together."""
    pool = Pool()
    assert [pool.begin("ana@example.com") for _ in range(11)][-1] == "too_many_codes"
    assert pool.begin("ana@example.com", "cleo") == "too_many_codes", "another user's browser"
    assert [pool.begin("ANA@example.com", "ana-own") for _ in range(10)] == ["awaiting_mfa"] * 10
    assert pool.begin("ana@example.com", "ana-own") == "too_many_codes"
    assert pool.sent == 20


# Two users of a pool whose names differ in spelling alone.
TWINS = [("dora", "Dora"), ("dora", "ｄｏｒａ")]


@pytest.mark.parametrize(("name", "twin"), TWINS)
def test_browser_known_to_one_user_is_not_known_to_another_spelled_alike(
    name: str, twin: str
) -> None:
    pool = Pool()
    pool.own_names_are_exact = True
    assert pool.begin(twin, twin) == "awaiting_mfa"
    while pool.begin(name) != "too_many_codes":
        pass
    sent = pool.sent
    for _ in range(12):
        pool.begin(name, twin)
    assert pool.sent == sent
    assert [pool.begin(name, name) for _ in range(9)] == ["awaiting_mfa"] * 9


def test_codes_without_a_password_do_not_use_up_a_source_for_passwords() -> None:
    pool = Pool(budget=CodeBudget(per_source=5))
    for number in range(8):
        pool.begin(f"made up {number}", context=OFFICE)
    assert pool.begin("bob", context=OFFICE) == "too_many_codes"
    assert pool.enter("ana") == "awaiting_mfa"
    assert pool.enter("ana", "wrong") == pool.enter("unknown", "wrong") == "idle"


def test_known_browser_is_not_refused_for_its_source() -> None:
    pool = Pool(budget=CodeBudget(per_source=2))
    assert pool.begin("ana", context=OFFICE) == "awaiting_mfa"
    for number in range(3):
        pool.begin(f"made up {number}", context=OFFICE)
    assert pool.begin("bob", context=OFFICE) == "too_many_codes"
    known = replace(OFFICE, known_users=frozenset({"ana-own"}))
    assert pool.begin("ana", context=known) == "awaiting_mfa"


class CountingStore(MemoryStore):
    """Counts its operations."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def load(self, key: str) -> StoredRecord | None:
        self.operations += 1
        return super().load(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        self.operations += 1
        return super().swap(key, expected, row)


class CountingSQLiteStore(SQLiteStore):
    """Counts its operations, each on several rows."""

    operations = 0

    def load_many(self, keys: Sequence[str]) -> dict[str, StoredRecord]:
        self.operations += 1
        return dict(super().load_many(keys))

    def swap_many(self, changes: Sequence[Change]) -> list[bool]:
        self.operations += 1
        return list(super().swap_many(changes))


def test_known_alias_costs_the_work_of_an_unknown_name_within_a_call_too() -> None:
    store = CountingStore()

    class Asking(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            assert isinstance(call, CheckPassword)
            user = "ana-own" if call.username == "ana@example.com" else call.username
            assert context.may_send(user)
            if call.password.get_secret_value() == "right":
                return a_text(username=user)
            return Rejected(reason=RejectionReason.WRONG_CREDENTIALS)

    sign_in = SignIn(transport=Asking(), store=store, keys=KEYS, clock=ManualClock(), listeners=[])
    sign_in.send(sign_in.start(), SubmitPassword(username="ana@example.com", password="right"))
    work = []
    for name in ("ana@example.com", "unknown@example.com"):
        before = store.operations
        sign_in.send(sign_in.start(), SubmitPassword(username=name, password="wrong"))
        work.append(store.operations - before)
    assert work[0] == work[1]


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_known_alias_costs_the_work_of_an_unknown_name(attempts: int, tmp_path: Path) -> None:
    """Otherwise the time of the answer tells who is a user (P6), also at a repeated attempt."""
    for store in (CountingStore(), CountingSQLiteStore(tmp_path / "flows.db")):
        pool = Pool()
        pool.store = store
        pool.sign_in = pool.made()
        pool.enter("ana@example.com")
        work = []
        for name in ("ana@example.com", "unknown@example.com"):
            before = store.operations
            for _ in range(attempts):
                pool.enter(name, "wrong")
            work.append(store.operations - before)
        assert work[0] == work[1]


def test_store_that_fails_within_a_call_costs_no_code() -> None:
    """The transport asks for the user's own name, and the store does not answer."""
    store = FailingStore()

    class Asking(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            self.calls.append(call)
            store.fails = len(self.calls) <= 12
            may_send = context.may_send("ana-own")
            store.fails = False
            return a_text(username="ana-own") if may_send else NotSent(cause="too_many_codes")

    sign_in = SignIn(transport=Asking(), store=store, keys=KEYS, clock=ManualClock(), listeners=[])
    states = []
    for _ in range(23):
        step = sign_in.send(sign_in.start(), password(username="ana@example.com"))
        code = step.message or step.reason
        states.append(code.code if code else step.state)
    assert states == ["unreachable"] * 12 + ["awaiting_mfa"] * 10 + ["too_many_codes"]


class FailingStore(MemoryStore):
    fails = False

    def load(self, key: str) -> StoredRecord | None:
        if self.fails:
            raise StoreUnavailable("down")
        return super().load(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        if self.fails:
            raise StoreUnavailable("down")
        return super().swap(key, expected, row)


def test_reservation_within_a_call_is_given_back_if_nothing_was_sent() -> None:
    class Asking(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            self.calls.append(call)
            assert context.may_send("ana-own")
            return a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None, username="ana-own")

    sign_in = SignIn(
        transport=Asking(), store=MemoryStore(), keys=KEYS, clock=ManualClock(), listeners=[]
    )
    for _ in range(25):
        step = sign_in.send(sign_in.start(), password(username="ana@example.com"))
        assert step.state == "awaiting_mfa"


def test_limit_reached_within_a_call_is_logged_as_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Asking(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            return NotSent(cause="too_many_codes")

    sign_in = SignIn(transport=Asking(), store=MemoryStore(), clock=ManualClock())
    sign_in.send(sign_in.start(), password(username="ana"))
    assert [r.levelname for r in caplog.records if "too_many_codes" in r.getMessage()] == [
        "WARNING"
    ]


def test_known_browser_of_one_user_says_nothing_about_the_next_in_the_same_flow() -> None:
    pool = Pool(budget=None)
    step = pool.sign_in.start()
    step = pool.sign_in.send(
        step,
        SubmitPassword(username="eve", password="wrong"),
        context=RequestContext(known_users=frozenset({"eve"})),
    )
    pool.sign_in.send(step, SubmitUsername(username="ana"))
    rows = [
        FlowId.parse(step.flow_id).unseal(row.sealed, row.version, KEYS.bound_to("scripted"))
        for row in [pool.store.load(FlowId.parse(step.flow_id).key)]
        if row
    ]
    assert [row.from_known_browser for row in rows] == [False]


def test_lost_reply_of_the_first_half_of_srp_costs_nothing() -> None:
    pool = Pool()
    pool.lost = True
    for _ in range(20):
        assert pool.enter("ana") == "idle"
    pool.lost = False
    assert pool.enter("ana") == "awaiting_mfa"


# ── sources ──


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("198.51.100.7:1000", "198.51.100.7"),
        (" 198.51.100.7", "198.51.100.7"),
        ("[2001:db8::1]:443", "2001:db8::2"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_port_and_blanks_make_no_other_source(address: str, same: str) -> None:
    assert len(addresses(address, same)) == 1


def addresses(*texts: str) -> set[str | None]:
    budget = CodeBudget()
    accounts = [budget.of_source(text, KEYS) for text in texts]
    return {account.key if account else None for account in accounts}


def test_ipv6_counts_by_network_and_mapped_ipv4_as_ipv4() -> None:
    assert len(addresses("2001:db8::1", "2001:db8::ffff", "2001:db8:0:0:9::1")) == 1
    assert len(addresses("2001:db8::1", "2001:db8:0:1::1")) == 2
    assert len(addresses("203.0.113.7", "::ffff:203.0.113.7")) == 1


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "100.64.0.1"],
)
def test_private_source_is_not_limited_unless_the_host_says_so(address: str) -> None:
    assert CodeBudget().of_source(address, KEYS) is None
    assert CodeBudget(counts_private_sources=True).of_source(address, KEYS) is not None


def test_default_serves_an_office_and_then_refuses() -> None:
    pool = Pool()
    for number in range(300):
        assert pool.enter(f"user-{number}") == "awaiting_mfa"
    assert pool.enter("user-0") == "too_many_codes"
    assert pool.enter("user-0", context=RequestContext(source_address="203.0.113.8")) != (
        "too_many_codes"
    )
    # Cleo has an authenticator app: the codes of others at her address do not concern her.
    assert pool.enter("cleo") == "awaiting_mfa"


@given(st.text(st.characters(max_codepoint=0x7F)) | st.text())
def test_plain_name_is_folded_like_any_other(name: str) -> None:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = "".join(char for char in folded if unicodedata.category(char)[0] != "C")
    assert same_name(name) == visible.strip()


def test_password_is_not_remembered() -> None:
    """The keys of rows are, with the names that they are of."""
    before = _row_key.cache_info(), same_name.cache_info()
    assert password_tag("a password of its own", KEYS)
    assert (_row_key.cache_info(), same_name.cache_info()) == before


@pytest.mark.parametrize("keys", [KEYS, SealingKeys(None)])
def test_row_of_a_busy_source_stays_under_four_kilobytes(keys: SealingKeys) -> None:
    """What `StoredRecord` promises to stores."""
    account = CodeBudget().of_source("203.0.113.7", keys)
    assert account is not None
    row = None
    for number in range(310):
        row = account.charged(row, 1_800_000_000 + number * 1.2345678)
        assert len(row.sealed) < 4096
    assert not account.remains(row, 1_800_000_400.0)


def test_charge_is_given_back_whatever_its_fraction_of_a_second() -> None:
    account = CodeBudget(per_user=1).of_user(UserName.typed("ana"), "", KEYS)
    for hundredths in range(100):
        at = 1_800_000_000 + hundredths / 100 + 0.001
        row = account.charged(None, at)
        assert not account.remains(row, at)
        assert account.remains(account.refunded(row, charged_at=at, now=at), at)


def test_row_of_the_release_before_is_read_and_written_for_it() -> None:
    """Its workers store a JSON list of times with all their digits, and give back what is equal."""
    account = CodeBudget(per_user=2).of_user(UserName.typed("ana"), "", KEYS)
    at = 1_800_000_000.123456
    row = next_row(account.key, None, [at], at + 3600, KEYS)
    assert account.remains(row, at)
    row = account.charged(row, at + 1)
    assert not account.remains(row, at + 1)
    times = open_row(account.key, row, KEYS)
    assert times == [at, 1_800_000_001.1]


def test_reached_limit_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    pool = Pool(budget=CodeBudget(per_user=1))
    sign_in = SignIn(
        transport=ScriptedTransport(*[pool.perform] * 3),
        store=pool.store,
        clock=pool.clock,
        budget=CodeBudget(per_user=1),
    )
    for _ in range(2):
        sign_in.send(sign_in.start(), SubmitPassword(username="ana", password="right"))
    (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "too_many_codes" in line.getMessage()
    assert "ana" not in line.getMessage()
