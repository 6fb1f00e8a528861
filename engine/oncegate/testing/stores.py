"""The conformance suite of stores."""

from __future__ import annotations

import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from oncegate._batches import batched
from oncegate.challenges import (
    CodeChallenge,
    Delivery,
    Event,
    Factor,
    SubmitCode,
    SubmitPassword,
)
from oncegate.context import RequestContext
from oncegate.driver.sync import SignIn
from oncegate.outcomes import ChallengeIssued, Outcome, Rejected, RejectionReason, TokensIssued
from oncegate.ports import BatchStore, Change, RecordStore, StoredRecord
from oncegate.step import Step
from oncegate.testing.transports import ScriptedTransport
from oncegate.tokens import Tokens

_CODE_SENT = ChallengeIssued(
    challenge=CodeChallenge(
        kind=Factor.SMS,
        session="s" * 40,
        username="the-pools-own-name",
        delivery=Delivery(medium="SMS", destination="+*******1234"),
    )
)
_TOKENS = TokensIssued(tokens=Tokens(access_token="access", id_token="id", refresh_token="refresh"))


def _key() -> str:
    return uuid.uuid4().hex


def _row(version: int, sealed: bytes = b"\x00sealed\xff", ends_in: float = 3600.0) -> StoredRecord:
    return StoredRecord(version, sealed, time.time() + ends_in)


class StoreConformance:
    """What the driver relies on when it saves before it sends. Each test uses new keys."""

    def make(self) -> RecordStore:
        """Return the store under test, each time on the same data."""
        raise NotImplementedError

    def test_unknown_key_loads_nothing(self) -> None:
        assert self.make().load(_key()) is None

    def test_saved_row_is_loaded(self) -> None:
        store, key, row = self.make(), _key(), _row(1)
        assert store.swap(key, 0, row) is True
        loaded = store.load(key)
        assert loaded == row
        assert isinstance(loaded, StoredRecord)

    def test_second_first_save_is_refused(self) -> None:
        store, key, row = self.make(), _key(), _row(1)
        assert store.swap(key, 0, row)
        assert store.swap(key, 0, _row(1, b"second")) is False
        assert store.load(key) == row

    def test_swap_with_another_version_is_refused(self) -> None:
        store, key, two = self.make(), _key(), _row(2, b"two")
        store.swap(key, 0, _row(1))
        assert store.swap(key, 1, two)
        for stale in (0, 1, 3):
            assert not store.swap(key, stale, _row(9, b"nine"))
        assert store.load(key) == two

    def test_swap_of_a_missing_row_is_refused(self) -> None:
        store, key = self.make(), _key()
        assert not store.swap(key, 1, _row(2))
        assert store.load(key) is None

    def test_rows_are_independent(self) -> None:
        store, key, other, row = self.make(), _key(), _key(), _row(1, b"other")
        store.swap(key, 0, _row(1, b"one"))
        store.swap(other, 0, row)
        store.swap(key, 1, _row(2, b"two"))
        assert store.load(other) == row

    def test_row_that_need_not_be_durable_is_saved(self) -> None:
        store, key = self.make(), _key()
        for version in range(4):
            row = _row(version + 1)._replace(durable=version % 2 == 1)
            assert store.swap(key, version, row)
            assert not store.swap(key, version, row._replace(sealed=b"another"))
            loaded = store.load(key)
            assert loaded is not None
            assert loaded[:3] == row[:3]

    def test_row_of_four_kilobytes_of_any_bytes_is_saved(self) -> None:
        store, key, row = self.make(), _key(), _row(1, bytes(range(256)) * 16)
        store.swap(key, 0, row)
        assert store.load(key) == row

    def test_another_worker_sees_a_save_at_once(self) -> None:
        here, there, key = self.make(), self.make(), _key()
        row = _row(1)
        if not self.is_shared:
            return
        here.swap(key, 0, row)
        assert there.load(key) == row
        assert not there.swap(key, 0, _row(1, b"another"))
        assert there.swap(key, 1, _row(2))
        assert not here.swap(key, 1, _row(2, b"another"))

    is_shared = True
    """Whether two stores that `make` returned see each other's rows."""

    def test_concurrent_swaps_of_one_version_have_one_winner(self) -> None:
        threads, versions = 8, 20
        store, key = self.make(), _key()
        together = threading.Barrier(threads, timeout=60)  # if one of them fails

        def race(name: int) -> list[int]:
            won = []
            for version in range(versions):
                together.wait()
                if store.swap(key, version, _row(version + 1, str(name).encode())):
                    won.append(version)
            return won

        with ThreadPoolExecutor(threads) as pool:
            won = [version for result in pool.map(race, range(threads)) for version in result]
        assert sorted(won) == list(range(versions))
        last = store.load(key)
        assert last is not None
        assert last.version == versions

    def test_repeated_save_of_the_same_row_is_recognised(self) -> None:
        store, key = self.make(), _key()
        for version in range(3):
            row = _row(version + 1, f"sealed {version}".encode())
            assert store.swap(key, version, row) is True
            assert store.swap(key, version, row) is True
        assert store.swap(key, 3, _row(4, b"four"))
        assert not store.swap(key, 2, row)
        loaded = store.load(key)
        assert loaded is not None
        assert loaded[:2] == (4, b"four")

    # ── several rows at once ──

    def _batches(self) -> BatchStore:
        return batched(self.make())

    def test_several_rows_are_loaded_at_once(self) -> None:
        store, keys = self._batches(), [_key() for _ in range(16)]
        rows = {key: _row(1, key.encode()) for key in keys[::2]}
        for key, row in rows.items():
            assert store.swap(key, 0, row)
        loaded = store.load_many(keys)
        assert dict(loaded) == rows
        assert all(isinstance(row, StoredRecord) for row in loaded.values())
        assert dict(store.load_many([keys[1], keys[3]])) == {}
        assert dict(store.load_many([keys[0], keys[0]])) == {keys[0]: rows[keys[0]]}

    def test_loading_several_tells_the_epoch_of_the_first(self) -> None:
        store, keys = self._batches(), [_key() for _ in range(3)]
        store.load_many(keys)
        assert store.epoch(keys[0]) == self._batches().epoch(keys[0]) or not self.is_shared
        assert store.swap(keys[0], 0, _row(1)._replace(epoch=store.epoch(keys[0])))

    def test_only_related_rows_come_with_the_wanted_ones(self) -> None:
        store, first, other = self._batches(), _key(), _key()
        near, missing, far = _key(), _key(), _key()
        store.swap(near, 0, _row(1, b"near")._replace(related=(far,)))
        for key in (far, other):
            store.swap(key, 0, _row(1, b"far"))
        for version, related in enumerate(((missing, near), (near,), (), (missing,), (near,))):
            row = _row(version + 1)._replace(related=related)
            assert store.swap(first, version, row)
            loaded = store.load_many([first])
            assert {first} <= loaded.keys() <= {first, *related} - {missing}
            assert loaded[first][:3] == row[:3]
            # It names the related rows only if they were looked up, so that a missing one is known.
            assert loaded[first].related in {(), related}
            if near in related and loaded[first].related:
                assert loaded[near] == store.load(near)
            alone = store.load(first)
            assert alone is not None
            assert alone[:3] == row[:3]
        assert {first, other} <= store.load_many([other, first]).keys() <= {first, other, near}

    def test_several_rows_are_saved_at_once(self) -> None:
        store, keys = self._batches(), [_key() for _ in range(8)]
        for version in range(3):
            rows = {key: _row(version + 1, f"{key} {version}".encode()) for key in keys}
            rows[keys[1]] = rows[keys[1]]._replace(durable=False)
            changes = [Change(key, version, row) for key, row in rows.items()]
            for _ in range(2):  # the second time, each row is recognised
                assert list(store.swap_many(changes)) == [True] * 8
            loaded = store.load_many(keys)
            assert {key: row[:3] for key, row in loaded.items()} == {
                key: row[:3] for key, row in rows.items()
            }

    def test_first_row_that_is_not_saved_stops_the_others(self) -> None:
        store, first, other = self._batches(), _key(), _key()
        for expected in (1, 7):
            changes = [Change(first, expected, _row(8)), Change(other, 0, _row(1))]
            assert list(store.swap_many(changes)) == [False, False]
        store.swap(first, 0, _row(1))
        for expected in (0, 2):
            changes = [Change(first, expected, _row(8)), Change(other, 0, _row(1))]
            assert list(store.swap_many(changes)) == [False, False]
        assert store.load(other) is None
        assert list(store.swap_many([Change(first, 1, _row(2)), Change(other, 0, _row(1))])) == [
            True,
            True,
        ]

    def test_each_other_row_has_a_condition_of_its_own(self) -> None:
        store = self._batches()
        first, behind, fresh, ahead, missing = (_key() for _ in range(5))
        store.swap(behind, 0, _row(1, b"of another worker"))
        store.swap(ahead, 0, _row(1))
        changes = [
            Change(first, 0, _row(1)),
            Change(behind, 0, _row(1, b"ours")),
            Change(fresh, 0, _row(1, b"fresh")),
            Change(missing, 1, _row(2, b"missing")),
            Change(ahead, 1, _row(2, b"ahead")),
        ]
        for _ in range(2):
            assert list(store.swap_many(changes)) == [True, False, True, False, True]
        stored = store.load_many([change.key for change in changes])
        assert {key: row.sealed for key, row in stored.items()} == {
            first: b"\x00sealed\xff",
            behind: b"of another worker",
            fresh: b"fresh",
            ahead: b"ahead",
        }

    def test_first_row_under_another_epoch_stops_the_others(self) -> None:
        store, first, other = self._batches(), _key(), _key()
        epoch = store.epoch(first)
        gone = f"{int(epoch, 16) ^ 1:08x}"
        changes = [Change(first, 0, _row(1)._replace(epoch=gone)), Change(other, 0, _row(1))]
        assert list(store.swap_many(changes)) == [False, False]
        assert dict(store.load_many([first, other])) == {}
        changes[0] = Change(first, 0, _row(1)._replace(epoch=epoch))
        assert list(store.swap_many(changes)) == [True, True]
        other_epoch = f"{int(store.epoch(other), 16) ^ 1:08x}"
        changes = [
            Change(first, 1, _row(2)._replace(epoch=epoch)),
            Change(other, 1, _row(2)._replace(epoch=other_epoch)),
        ]
        assert list(store.swap_many(changes)) == [True, False]

    def test_concurrent_saves_of_the_same_rows_each_have_one_winner(self) -> None:
        """The first row is each thread's own; the others are common to all, in two orders."""
        threads, versions = 4, 10
        store, common = self._batches(), [_key() for _ in range(4)]
        together = threading.Barrier(threads, timeout=60)

        def race(name: int) -> list[tuple[str, int]]:
            own, won = _key(), []
            for version in range(versions):
                together.wait()
                order = common if name % 2 else common[::-1]
                changes = [
                    Change(key, version, _row(version + 1, f"{name}".encode()))
                    for key in (own, *order)
                ]
                saved = store.swap_many(changes)
                assert saved[0]
                won += [
                    (key, version) for key, is_won in zip(order, saved[1:], strict=True) if is_won
                ]
            return won

        with ThreadPoolExecutor(threads) as pool:
            won = [one for result in pool.map(race, range(threads)) for one in result]
        assert sorted(won) == sorted(
            (key, version) for key in common for version in range(versions)
        )

    # ── round trips of a sign-in ──

    def requests(self) -> int | None:
        """Return the number of requests that the stores of `make` have sent; None if it is unknown."""
        return None

    def test_event_takes_three_round_trips_with_a_call_and_two_without(self) -> None:
        """Load, save, and save the outcome of the call; with all limits, on two workers."""
        if self.requests() is None:
            return
        transport = ScriptedTransport()
        here = self._used_worker(transport)
        there = self._used_worker(transport) if self.is_shared else here
        context = RequestContext(source_address="203.0.113.7")

        def sent(
            worker: SignIn, step: Step, event: Event, outcome: Outcome | None, state: str
        ) -> Step:
            if outcome:
                transport.outcomes.append(outcome)
            before = self.requests() or 0
            result = worker.send(step, event, context=context)
            trips = (self.requests() or 0) - before
            assert result.state == state
            assert trips <= (3 if outcome else 2), f"{trips} round trips for {event.type}"
            return result

        code, password = SubmitCode(code="123456"), SubmitPassword(username="ana", password="x")
        wrong = Rejected(reason=RejectionReason.WRONG_CODE)
        for worker in (here, there):
            step = sent(here, here.start(), password, _CODE_SENT, "awaiting_mfa")
            step = sent(worker, step, SubmitCode(code="000000"), wrong, "awaiting_mfa")
            done = sent(worker, step, code, _TOKENS, "authenticated")
            for late in (step, done):
                sent(here, late, code, None, "authenticated")
            before = self.requests() or 0
            here.get(done.flow_id)
            assert (self.requests() or 0) - before <= 1
            step = here.start()
            sent(worker, step, password, Rejected(reason=RejectionReason.WRONG_CREDENTIALS), "idle")

    def _used_worker(self, transport: ScriptedTransport) -> SignIn:
        """Return a sign-in whose store is connected, has its tables, and has deleted expired rows."""
        store = self.make()
        sign_in = SignIn(transport=transport, store=store)
        sign_in.get(sign_in.start().flow_id)
        store.swap(_key(), 0, _row(1))
        return sign_in

    # ── losses, and clocks ──

    def test_epoch_is_eight_hexadecimal_digits_and_stays(self) -> None:
        store, key = self.make(), _key()
        epoch = store.epoch(key)
        assert re.fullmatch("[0-9a-f]{8}", epoch)
        store.swap(key, 0, _row(1))
        store.load(key)
        assert store.epoch(key) == epoch
        if self.is_shared:
            assert self.make().epoch(key) == epoch

    def test_swap_under_the_epoch_is_saved(self) -> None:
        store, key = self.make(), _key()
        row = _row(1)._replace(epoch=store.epoch(key))
        assert store.swap(key, 0, row)
        assert store.load(key) == row._replace(epoch=None)
        assert store.swap(key, 1, _row(2, b"two")._replace(epoch=store.epoch(key)))

    def test_swap_under_another_epoch_is_refused(self) -> None:
        store, key, saved = self.make(), _key(), _key()
        other = f"{int(store.epoch(key), 16) ^ 1:08x}"
        store.swap(saved, 0, _row(1))
        assert store.swap(key, 0, _row(1)._replace(epoch=other)) is False
        assert store.load(key) is None
        assert store.swap(saved, 1, _row(2)._replace(epoch=other)) is False
        loaded = store.load(saved)
        assert loaded is not None
        assert loaded.version == 1

    def test_epoch_changes_when_the_store_loses_its_data(self) -> None:
        store, key, lost = self.make(), _key(), _key()
        before = store.epoch(key)
        store.swap(lost, 0, _row(1)._replace(epoch=before))
        if not self.lose():
            return
        again = self.make() if not self.is_shared else store
        assert again.load(lost) is None
        assert again.epoch(lost) != before
        assert not again.swap(lost, 0, _row(1)._replace(epoch=before))

    def lose(self) -> bool:
        """Make the store lose what it has acknowledged; return False if it cannot."""
        return False

    def test_time_is_that_of_the_store(self) -> None:
        assert abs(self.make().now() - time.time()) < 2
