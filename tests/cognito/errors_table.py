"""The generated table of the guide: errors with a cure for the developer.

    .venv/bin/python -m tests.cognito.errors_table

writes it; ``tests/cognito/test_set_up_errors.py`` fails if it is out of date.
"""

from __future__ import annotations

import re
from pathlib import Path

from oncegate_cognito.errors import ERRORS, ErrorRow, is_logged_as_error

GUIDE = Path(__file__).parents[2] / "adapters/oncegate_cognito/README.md"
_TABLE = re.compile(r"(?<=<!-- errors -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table() -> str:
    """Return the table: errors, what the flow tells of each, whether it is an ERROR, and the cure."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in ERRORS:
        if row.cure:
            level = "ERROR" if is_logged_as_error(row) else ""
            found.setdefault((row.cure, str(row.means), level), []).append(_error(row))
    lines = ["", "| Cognito | outcome | log | cure |", "| --- | --- | --- | --- |"]
    for (cure, means, level), errors in found.items():
        lines.append(f"| {'; '.join(dict.fromkeys(errors))} | `{means}` | {level} | {cure} |")
    return "\n".join([*lines, "", ""])


def _error(row: ErrorRow) -> str:
    return f"{row.code} “{row.words}”" if row.words else row.code


def guide() -> str:
    """Return the guide with its table renewed."""
    return _TABLE.sub(lambda _: table(), GUIDE.read_text("utf-8"))


if __name__ == "__main__":
    GUIDE.write_text(guide(), "utf-8")
