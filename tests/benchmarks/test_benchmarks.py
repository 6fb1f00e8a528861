"""All benchmark rows run, and the counts of codes hold. No timing is tested."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.benchmarks import __main__ as table
from tests.benchmarks import user_existence
from tests.benchmarks.lost_responses import measured
from tests.benchmarks.observed import ObservedBatches, observed
from tests.benchmarks.side_by_side import Clock, Row, Times, cpu_seconds_of
from tests.benchmarks.visitors import visits
from tests.guides import ROOT, block

from oncegate.adapters import BatchStore, Change, StoredRecord
from oncegate.budget import DEFAULT_BUDGET
from oncegate_stores import MemoryStore, SQLiteStore

ROW = Row("a row", "1 ms", "2 ms", 0.5, "≤ 1", True)


def test_lost_responses_cause_one_code_with_oncegate_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unused")
    boto3, pycognito, oncegate = measured()
    assert oncegate.codes == 1
    assert boto3.codes > 1
    assert pycognito.requests > oncegate.requests


def test_user_existence_table_has_both_users(capsys: pytest.CaptureFixture[str]) -> None:
    user_existence.main(2)
    assert "unknown user" in capsys.readouterr().out


def test_commands_of_the_guide_exist() -> None:
    guide = block(
        "tests/benchmarks/README.md",
        "tests/benchmarks/test_benchmarks.py::test_commands_of_the_guide_exist",
    )
    for line in guide.splitlines():
        _, *words = line.partition(" #")[0].split()
        if words[0] == "-m":
            assert words[1] == "tests.benchmarks"
            assert set(words[2:]) - {"--quick"} <= table.ROWS.keys()
        else:
            assert (ROOT / words[0]).is_file()


def test_unknown_row_name_exits_with_the_names() -> None:
    with pytest.raises(SystemExit, match="no such row: nope; there are machine"):
        table.main(["nope", "srp"])


# ── rows ──


def marked(name: str) -> object:
    """Return a row's name, marked with the programs that it needs."""
    needs = [pytest.mark.needs(program) for program in table.PROGRAMS.get(name, ())]
    return pytest.param(name, marks=needs)


# A cold start takes ten seconds, and is tested in tests/deployments.
@pytest.mark.parametrize("name", [marked(name) for name in table.ROWS if name != "cold_start"])
def test_quick_row_prints_a_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether a target is reached is for the reader of the table."""
    code = table.main(["--quick", name])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "ratio" in printed
    assert "skipped" not in printed


def test_row_whose_program_is_missing_is_skipped_and_the_others_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table, "ROWS", {"redis": lambda _: [ROW], "event": lambda _: [ROW]})
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert table.main([]) == 0
    printed = capsys.readouterr().out
    assert "redis skipped: redis-server is missing (apt-get install redis-server)" in printed
    assert printed.count("a row") == 1


def test_row_that_fails_is_reported_and_the_others_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: bool) -> Iterator[Row]:
        yield ROW
        raise OSError("the disk is full")

    monkeypatch.setattr(table, "ROWS", {"fails": fails, "works": lambda _: [ROW]})
    assert table.main([]) == 1
    printed = capsys.readouterr().out
    assert "fails failed: OSError: the disk is full" in printed
    assert printed.count("a row") == 2  # also the one before the failure


def test_every_program_that_a_row_needs_has_a_package() -> None:
    named = {line.split()[0] for line in (ROOT / "tests/parts").read_text().splitlines()}
    assert {program for needed in table.PROGRAMS.values() for program in needed} <= named
    assert table.PROGRAMS.keys() <= table.ROWS.keys()


def test_rows_measure_the_default_limits_and_listeners() -> None:
    without = {
        file.name
        for file in Path(table.__file__).parent.glob("*.py")
        if "budget=None" in file.read_text() or "listeners=[]" in file.read_text()
    }
    # A client to compare with; and a script that is about something else. This file has the words, too.
    assert without == {"client.py", "user_existence.py", Path(__file__).name}


# ── measuring ──


def test_visitor_stays_within_the_default_budget() -> None:
    taken = 1000
    who = visits(taken)
    names = [next(who)[0].username for _ in range(taken)]
    assert max(map(names.count, set(names))) < DEFAULT_BUDGET.per_user
    assert len({request.source_address for _, request in (next(who) for _ in range(250))}) == 250


def test_clock_leaves_out_a_block() -> None:
    now = iter([10.0, 11.0, 14.0, 15.0])
    clock = Clock(lambda: next(now))
    began = clock()
    with clock.left_out():
        pass
    assert clock() - began == 2.0


def test_clock_leaves_out_a_block_within_another_once() -> None:
    """A row leaves out reads from sockets, and the request for a code, which has such reads."""
    now = iter([10.0, 11.0, 12.0, 14.0, 15.0, 17.0])
    clock = Clock(lambda: next(now))
    began = clock()
    with clock.left_out(), clock.left_out():
        pass
    assert clock() - began == 3.0


def test_times_have_the_quartiles() -> None:
    assert Times.of([1e-3, 2e-3, 3e-3, 4e-3, 5e-3]) == (3e-3, 2e-3, 4e-3)
    assert str(Times.of([1e-3, 2e-3, 3e-3, 4e-3, 5e-3])) == "3 ms (2–4)"


BURNS_IN_A_THREAD = """
import threading, time

def burn():
    while time.thread_time() < 0.05:
        pass

input()
thread = threading.Thread(target=burn)
thread.start()
thread.join()
print("ended", flush=True)
input()
"""


def test_cpu_time_of_a_process_includes_threads_that_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BURNS_IN_A_THREAD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        began = cpu_seconds_of(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ended\n"
        assert cpu_seconds_of(process.pid) - began >= 0.05
        process.kill()


def test_requests_of_several_rows_count_as_one(tmp_path: Path) -> None:
    row = StoredRecord(1, b"12345", time.time() + 60)
    changes = [Change(f"{number:032x}", 0, row) for number in range(2)]
    store = observed(SQLiteStore(tmp_path / "flows.db"))
    assert isinstance(store, ObservedBatches)
    store.swap_many(changes)
    store.load_many([key for key, _, _ in changes])
    assert [trip[:3] for trip in store.trips] == [("save", 2, 10), ("load", 2, 0)]
    assert not isinstance(observed(MemoryStore()), BatchStore)
