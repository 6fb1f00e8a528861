"""All benchmark rows run, and the counts of codes hold. No timing is tested."""

from __future__ import annotations

import pytest
from tests.benchmarks import __main__ as table
from tests.benchmarks import user_existence
from tests.benchmarks.lost_responses import measured
from tests.guides import ROOT, block


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


ON_REDIS = [
    pytest.param(name, marks=pytest.mark.needs("redis-server")) for name in ("pending", "web")
]


@pytest.mark.parametrize(
    "name",
    [
        "machine",
        "own_calls",
        "srp",
        "event",
        "sign_in",
        "at_once",
        "imports",
        "help",
        *ON_REDIS,
    ],
)
def test_quick_row_prints_a_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether a target is reached is for the reader of the table."""
    table.main(["--quick", name])
    assert "ratio" in capsys.readouterr().out
