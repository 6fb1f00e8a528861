"""Comments, docstrings and Markdown use plain technical English."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.quality.english import everything, findings


def test_prose_has_no_banned_phrase() -> None:
    assert [str(finding) for finding in everything()] == []


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.py", '"""Takes another arrow."""\n', 1),
        ("a.py", 'X = 1\n"""Held by somebody."""\n', 2),
        ("a.py", "# first\n# the lease is\n# over\nX = 1\n", 2),
        ("a.md", "# Title\n\nA code is texted\n", 3),
        ("run", "set -eu\necho  # nobody reads this\n", 2),
    ],
)
def test_banned_phrase_is_found_in_its_line(
    name: str, text: str, line: int, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert [finding.line for finding in findings(tmp_path / name)] == [line]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'X = "somebody"\nnobody = X\n'),
        ("a.py", '"""Calls `cooldown_is_over` and `nobody`; emailed."""\n'),
        ("a.md", "```\nnobody\n```\nA [link](nobody.md).\n"),
    ],
)
def test_code_is_not_prose(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert findings(tmp_path / name) == []
