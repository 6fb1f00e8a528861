"""The benchmarks run, and the one figure that is a promise holds. No timing is a test."""

from __future__ import annotations

import pytest
from tests.benchmarks import __main__ as table
from tests.benchmarks import user_existence
from tests.benchmarks.lost_responses import measured


def test_lost_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unused")
    boto3, pycognito, oncegate = measured()
    assert oncegate.texts == 1
    assert boto3.texts > 1
    assert pycognito.requests > oncegate.requests


def test_user_existence(capsys: pytest.CaptureFixture[str]) -> None:
    user_existence.main(2)
    assert "nobody" in capsys.readouterr().out


def test_a_row_that_is_none() -> None:
    with pytest.raises(SystemExit, match="no such row: nope; there are srp"):
        table.main(["nope", "srp"])


ON_REDIS = [
    pytest.param(name, marks=pytest.mark.needs("redis-server")) for name in ("pending", "web")
]


@pytest.mark.parametrize(
    "name", ["srp", "event", "sign_in", "at_once", "imports", "help", *ON_REDIS]
)
def test_the_rows_can_be_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether they reach what they are to reach is for whoever reads the table."""
    table.main(["--quick", name])
    assert "ratio" in capsys.readouterr().out
