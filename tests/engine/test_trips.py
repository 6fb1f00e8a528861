"""Trips to the store: how many an event takes with all limits, and what is saved together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from tests.doubles import ManualClock, ScriptedTransport, a_text, code, password, the_tokens

from oncegate import (
    Cancel,
    CodeBudget,
    ConfirmAccount,
    Event,
    ForgotPassword,
    Misconfigured,
    RequestContext,
    RequestNewCode,
    SealingKeys,
    SignIn,
    Step,
    SubmitUsername,
)
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    Change,
    FlowId,
    Outcome,
    PasswordReset,
    Rejected,
    RejectionReason,
    StoredRecord,
)
from oncegate.budget import UserName, password_tag
from oncegate.driver._limits import Charge, Plan
from oncegate.driver._received import Rows
from oncegate_stores import MemoryStore

KEYS = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")
OFFICE = RequestContext(source_address="203.0.113.7")
RESET = ChallengeIssued(challenge=PasswordReset(username="the-pools-own-name"))
WRONG_CODE = Rejected(reason=RejectionReason.WRONG_CODE)


class BatchingStore:
    """Keeps rows in memory, and notes the keys of each trip.

    Attributes:
        trips: for each trip ``load`` or ``save`` and the keys.
        before_save: called once, before the next save.
    """

    def __init__(self) -> None:
        self.trips = list[tuple[str, list[str]]]()
        self.before_save: Callable[[], object] | None = None
        self._rows = MemoryStore()
        self._related = dict[str, tuple[str, ...]]()

    def load(self, key: str) -> StoredRecord | None:
        return self.load_many([key]).get(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        return self.swap_many([Change(key, expected, row)])[0]

    def load_many(self, keys: Sequence[str]) -> Mapping[str, StoredRecord]:
        self.trips.append(("load", list(keys)))
        related = [other for key in keys for other in self._related.get(key, ())]
        return {
            key: row._replace(related=self._related.get(key, ()) if key in keys else ())
            for key in (*keys, *related)
            if (row := self._rows.load(key))
        }

    def swap_many(self, changes: Sequence[Change]) -> Sequence[bool]:
        if self.before_save:
            act, self.before_save = self.before_save, None
            act()
        self.trips.append(("save", [change.key for change in changes]))
        if not self._saved(changes[0]):
            return [False] * len(changes)
        return [True, *map(self._saved, changes[1:])]

    def _saved(self, change: Change) -> bool:
        is_saved = self._rows.swap(*change)
        if is_saved:
            self._related[change.key] = change.row.related
        return is_saved

    def epoch(self, key: str) -> str:
        return self._rows.epoch(key)

    def now(self) -> float:
        return self._rows.now()

    def forget_relations(self) -> None:
        self._related.clear()

    def versions(self, keys: Sequence[str]) -> dict[str, int]:
        return {key: row.version for key in keys if (row := self._rows.load(key))}

    def row(self, key: str) -> StoredRecord | None:
        return self._rows.load(key)


class Setting:
    """Workers that share a store, a clock and a transport."""

    def __init__(self, *outcomes: Outcome | Callable[[Call], Outcome], **more: Any) -> None:
        self.store = BatchingStore()
        self.clock = ManualClock()
        self.transport = ScriptedTransport(*outcomes)
        self.transport.is_passwordless = True
        self.more = {"keys": KEYS, "new_code_cooldown": 0.0, **more}
        self.worker = self.another_worker()

    def another_worker(self, transport: ScriptedTransport | None = None) -> SignIn:
        return SignIn(
            transport=transport or self.transport,
            store=self.store,
            clock=self.clock,
            listeners=[],
            **self.more,
        )

    def send(self, event: Event, step: Step | None = None, worker: SignIn | None = None) -> Step:
        """Send an event; afterwards the store has the trips of this event alone."""
        step = step or self.worker.start()
        self.store.trips.clear()
        return (worker or self.worker).send(step, event, context=OFFICE)

    @property
    def trips(self) -> list[str]:
        return [kind for kind, _ in self.store.trips]


CALL = ["load", "save", "save"]


def test_first_event_takes_three_trips() -> None:
    setting = Setting(a_text())
    assert setting.send(password()).state == "awaiting_mfa"
    assert setting.trips == CALL


def test_new_flow_is_not_loaded() -> None:
    setting = Setting(a_text(), budget=None, guess_limit=None)
    assert setting.send(password()).state == "awaiting_mfa"
    assert setting.trips == ["save", "save"]


def test_user_who_signs_in_again_takes_three_trips() -> None:
    setting = Setting(a_text(), the_tokens(), a_text(), the_tokens())
    for _ in range(2):
        step = setting.send(password())
        assert setting.trips == CALL
        assert setting.send(code(), step).state == "authenticated"
        assert setting.trips == CALL


def test_alias_of_a_release_that_related_nothing_is_written_anew() -> None:
    setting = Setting(a_text(), a_text(), a_text())
    setting.send(password())
    setting.store.forget_relations()
    setting.send(password())
    assert setting.send(password()).state == "awaiting_mfa"
    assert setting.trips == CALL


def test_rejected_password_takes_three_trips() -> None:
    setting = Setting(Rejected(reason=RejectionReason.WRONG_CREDENTIALS))
    assert setting.send(password()).message
    assert setting.trips == CALL


def test_transport_that_asks_takes_one_trip_more() -> None:
    class Asking(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            assert context.may_send("the-pools-own-name")
            return a_text()

    setting = Setting()
    worker = setting.another_worker(Asking())
    assert setting.send(password(), worker=worker).state == "awaiting_mfa"
    assert setting.trips == ["load", "save", "save", "save"]


@pytest.mark.parametrize("is_same_worker", [True, False])
def test_wrong_and_right_code_take_three_trips_on_any_worker(is_same_worker: bool) -> None:
    setting = Setting(a_text(), WRONG_CODE, the_tokens())
    worker = setting.worker if is_same_worker else setting.another_worker()
    step = setting.send(password())
    step = setting.send(code("111111"), step, worker)
    assert step.message
    assert setting.trips == CALL
    assert setting.send(code(), step, worker).state == "authenticated"
    assert setting.trips == CALL


def test_new_code_takes_three_trips() -> None:
    setting = Setting(RESET, RESET)
    step = setting.send(ForgotPassword(username="ana"))
    assert setting.send(RequestNewCode(), step).state == "awaiting_reset"
    assert setting.trips == CALL


def test_event_without_a_call_takes_two_trips() -> None:
    setting = Setting(a_text())
    step = setting.send(password())
    assert setting.send(Cancel(), step).state == "failed"
    assert setting.trips == ["load", "save"]
    setting = Setting(Rejected(reason=RejectionReason.SIGN_UP_NOT_CONFIRMED))
    step = setting.send(password())
    assert setting.send(ConfirmAccount(), step).state == "awaiting_confirmation"
    assert setting.trips == ["load", "save"]


@pytest.mark.parametrize("name", ["ana", "unknown"])
@pytest.mark.parametrize("kind", [SubmitUsername, ForgotPassword])
def test_event_with_a_name_alone_looks_once_more(
    kind: type[SubmitUsername | ForgotPassword], name: str
) -> None:
    """For a known alias and an unknown name, so that the time does not tell who exists (P6)."""
    outcome = RESET if kind is ForgotPassword else a_text()
    setting = Setting(a_text(), outcome)
    setting.send(password())
    setting.send(kind(username=name))
    assert setting.trips == ["load", "load", "save", "save"]


# ── what is saved together ──


def test_charges_are_saved_with_the_write_ahead_and_after_it() -> None:
    seen = list[list[tuple[str, list[str]]]]()

    def called(_: Call) -> Outcome:
        seen.append(list(setting.store.trips))
        return a_text()

    setting = Setting(called)
    flow_key = FlowId.parse(setting.send(password()).flow_id).key
    (before_the_call,) = seen
    (kind, keys) = before_the_call[-1]
    assert (kind, keys[0]) == ("save", flow_key)
    assert len(keys) == len(set(keys)) == 3, (
        "the name as typed, and the stand-in for the user's own"
    )
    assert [kind for kind, _ in before_the_call] == ["load", "save"]
    assert all(keys[0] == flow_key for kind, keys in setting.store.trips if kind == "save")


def test_losing_double_click_charges_nothing() -> None:
    setting = Setting(a_text())
    step = setting.worker.start()
    versions = dict[str, int]()

    def first_click() -> None:
        other = setting.another_worker()
        assert other.send(step, password(), context=OFFICE).state == "awaiting_mfa"
        saved = {key for kind, keys in setting.store.trips if kind == "save" for key in keys}
        versions.update(setting.store.versions(list(saved)))

    setting.store.before_save = first_click
    result = setting.send(password(), step)
    assert result.reason
    assert result.reason.code == "stale"
    assert len(setting.transport.calls) == 1
    assert len(versions) > 3
    assert setting.store.versions(list(versions)) == versions


@pytest.mark.parametrize(("limit", "calls"), [(1, 1), (2, 2)])
def test_row_that_another_worker_changed_is_charged_by_itself_before_the_call(
    limit: int, calls: int
) -> None:
    """The flow is saved, and the charge beside it is not: the other worker's code counts."""
    before_calls = list[list[tuple[str, list[str]]]]()

    def called(_: Call) -> Outcome:
        before_calls.append(list(setting.store.trips))
        return a_text()

    setting = Setting(called, called, budget=CodeBudget(per_user=limit))
    other = setting.another_worker()
    setting.store.before_save = lambda: other.send(other.start(), password(), context=OFFICE)
    step = setting.send(password())
    assert len(setting.transport.calls) == calls
    if calls == limit == 1:
        assert step.message
        assert step.message.code == "too_many_codes"
        return
    kinds = [(kind, len(keys)) for kind, keys in before_calls[1]]
    # Neither row was saved with the flow: both are looked up, and each is saved.
    assert kinds[-4:] == [("save", 3), ("load", 2), ("save", 1), ("save", 1)]
    step = setting.send(password())
    assert step.reason
    assert step.reason.code == "too_many_codes"


def test_charges_are_not_saved_if_one_of_them_is_refused() -> None:
    """Otherwise the others would have to be given back."""
    accounts = [
        CodeBudget(per_user=1).of_user(UserName.typed(name), "", KEYS) for name in ("ana", "bob")
    ]
    rows, now = Rows(), 1_800_000_000.0
    rows.add([accounts[0].key], {accounts[0].key: accounts[0].charged(None, now)})
    charges = [
        Charge(
            account.key,
            account.limit,
            partial(account.remains, now=now),
            partial(account.charged, now=now),
            "too_many_codes",
            (account, now),
        )
        for account in accounts
    ]
    assert Plan(tuple(charges)).changes(rows) == []
    assert len(Plan((charges[1],)).changes(rows)) == 1


@pytest.mark.parametrize("used_up", ["typed", "own"])
def test_refused_charge_gives_back_what_was_saved_beside_it(used_up: str) -> None:
    """Of the name as typed and the user's own, another worker uses up one, before or after the other."""
    budget = CodeBudget(per_user=1)
    setting = Setting(a_text(), budget=budget)
    event = password()
    setting.send(event)
    setting.clock.advance(3601)
    keys = KEYS.bound_to(setting.transport.app_id)
    tag = password_tag(event.password.get_secret_value(), keys)
    names = {"typed": UserName.typed("ana"), "own": UserName.own("the-pools-own-name")}
    accounts = {kind: budget.of_user(name, tag, keys) for kind, name in names.items()}

    def use_up() -> None:
        account = accounts[used_up]
        row = setting.store.row(account.key)
        assert row is not None
        assert setting.store.swap(
            account.key, row.version, account.charged(row, setting.clock.now())
        )

    setting.store.before_save = use_up
    step = setting.send(event)
    assert step.message
    assert step.message.code == "too_many_codes"
    assert len(setting.transport.calls) == 1, "only the first sign-in's"
    left = {
        kind: account.remains(setting.store.row(account.key), setting.clock.now())
        for kind, account in accounts.items()
    }
    assert left == {"typed": used_up != "typed", "own": used_up != "own"}


@pytest.mark.parametrize("is_late", [False, True])
def test_limit_on_a_server_that_is_set_up_wrongly_does_not_hold_the_flow(is_late: bool) -> None:
    """Such as one server of a cluster that evicts. The flow, on another server, is saved."""

    class Sharded(MemoryStore):
        is_wrong = not is_late

        def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
            if self.is_wrong and row.epoch is None:
                raise Misconfigured("it may evict")
            return super().swap(key, expected, row)

    store = Sharded()

    def called(_: Call) -> Outcome:
        store.is_wrong = True
        return a_text()

    transport = ScriptedTransport(called)
    worker = SignIn(transport=transport, store=store, clock=ManualClock(), listeners=[], keys=KEYS)
    step = worker.send(worker.start(), password(), context=OFFICE)
    assert step.state == ("awaiting_mfa" if is_late else "idle")
    assert len(transport.calls) == is_late
