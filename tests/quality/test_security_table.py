"""The tables of SECURITY.md: complete, with tests that exist, and with the defaults of the code."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cognito.test_registry import challenge_names
from tests.web.example_apps import web_for

import oncegate_cognito.transport  # noqa: F401 - registers all challenges
from oncegate import CodeBudget, SignIn
from oncegate.budget import GuessLimit
from oncegate.testing import ScriptedTransport
from oncegate_cognito._registry import parser_of
from oncegate_web import Request, WebSignIn
from oncegate_web._session_list import MOST_SESSIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")

ASVS = {
    "3.1": 1,
    "3.2": 3,
    "3.3": 5,
    "3.4": 8,
    "3.5": 8,
    "3.6": 1,
    "3.7": 5,
    "6.1": 3,
    "6.2": 12,
    "6.3": 8,
    "6.4": 6,
    "6.5": 8,
    "6.6": 4,
    "6.7": 2,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 3,
    "7.6": 2,
    "9.1": 3,
    "9.2": 4,
}
"""How many requirements each section has: OWASP ASVS 5.0.0, chapters V3, V6, V7 and V9."""

NIST = {
    *("2.1.2", "2.1.3", "2.2.2", "2.2.3", "3.1.1.2", "3.1.3.1", "3.1.3.2", "3.1.3.3", "3.1.4.2"),
    *("3.1.5.2", "3.1.6.2", "3.2.2", "3.2.12", "4.2.1.2", "4.6", "5.1", "5.1.1", "5.1.2", "5.2"),
    "5.3",
}
"""Sections of NIST SP 800-63B-4 about throttling, passwords, codes and sessions."""


class Row(NamedTuple):
    """A row of the tables of standards."""

    chapter: str
    number: str
    short: str
    status: str
    evidence: str

    @property
    def tests(self) -> list[str]:
        """Names of tests: ``path::name``. After another, ``::name`` is of the same file and class."""
        named: list[str] = []
        for text in re.findall(r"`([^`]*::[^`]*)`", self.evidence):
            named.append(named[-1].rpartition("::")[0] + text if text.startswith("::") else text)
        return named

    @property
    def files(self) -> list[str]:
        return [name.partition("::")[0] for name in re.findall(r"`(tests/[^`]*)`", self.evidence)]


def section(title: str) -> str:
    """Return the text below a heading of the second level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def table(text: str) -> list[list[str]]:
    """Return the rows of a table, without its two heading rows."""
    return [cells(line) for line in text.splitlines() if line.startswith("| ")][2:]


def _rows() -> list[Row]:
    found = []
    for part in re.split(r"^### ", section("Standards"), flags=re.MULTILINE)[1:]:
        chapter = part.split(" ", 1)[0]
        found += [Row(chapter, *row) for row in table(part)]
    return found


ROWS = _rows()
each_row = pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.chapter}-{row.number}-{at}" for at, row in enumerate(ROWS)]
)


@cache
def _tests_of(path: str) -> frozenset[str]:
    """Return the tests of a file: ``name``, or ``Class::name``."""
    names: set[str] = set()
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{name}" for name in _functions(node.body)}
        else:
            names |= _functions([node])
    return frozenset(names)


def _functions(nodes: list[ast.stmt]) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in nodes if isinstance(node, kinds) and node.name[:5] == "test_"}


@pytest.mark.parametrize("chapter", ["V3", "V6", "V7", "V9"])
def test_every_requirement_of_asvs_has_one_row(chapter: str) -> None:
    required = [
        f"{part}.{number}"
        for part, most in ASVS.items()
        for number in range(1, most + 1)
        if part.startswith(f"{chapter[1]}.")
    ]
    assert [row.number for row in ROWS if row.chapter == chapter] == required


def test_every_section_of_nist_has_a_row() -> None:
    rows = Counter(row.number for row in ROWS if row.chapter == "NIST")
    assert set(rows) == NIST
    assert len(ROWS) == sum(ASVS.values()) + sum(rows.values())


@each_row
def test_row_has_a_status_and_a_test_or_a_reason(row: Row) -> None:
    assert row.status in {"holds", "does not", "not ours"}
    assert 2 <= len(row.short.split()) <= 10
    if row.status == "holds":
        assert row.tests
    else:
        assert len(row.evidence) > 10


@each_row
def test_named_test_exists(row: Row) -> None:
    for name in row.files:
        assert (ROOT / name).is_file()
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in _tests_of(path), f"{test}: no such test"


def test_renamed_test_is_noticed() -> None:
    row = Row("V3", "3.1.1", "", "holds", "`tests/quality/test_security_table.py::test_gone`")
    with pytest.raises(AssertionError, match="no such test"):
        test_named_test_exists(row)


def test_lines_are_short_enough_to_read() -> None:
    assert [line for line in TEXT.splitlines() if len(line) > 200] == []


# ── the documented limits ──

_SECONDS = {"": 1, "s": 1, "h": 3600, "days": 86400}
_OWNERS: dict[str, Any] = {
    "CodeBudget": CodeBudget(),
    "GuessLimit": GuessLimit(),
    "SignIn": SignIn,
    "WebSignIn": WebSignIn,
}


def _default(owner: str, name: str) -> Any:
    if owner in {"SignIn", "WebSignIn"}:
        return inspect.signature(_OWNERS[owner]).parameters[name].default
    return getattr(_OWNERS[owner], name)


@pytest.mark.parametrize("row", table(section("Limits"))[:-1], ids=lambda row: row[-1].strip("`"))
def test_documented_limits_are_the_defaults(row: list[str]) -> None:
    _, default, setting = row
    owner, _, names = setting.strip("`)").partition("(")
    written = [
        float(number) * _SECONDS[unit]
        for number, unit in re.findall(r"(\d+)(?: (s|h|days)\b)?", default)
    ]
    assert written == [_default(owner, name) for name in names.split(", ")]


def test_number_of_parallel_sessions_is_documented() -> None:
    what, number, setting = table(section("Limits"))[-1]
    assert what.startswith("sessions of one user")
    assert (int(number), setting) == (MOST_SESSIONS, "fixed")


def test_every_limit_is_documented() -> None:
    documented = " ".join(row[-1] for row in table(section("Limits")))
    for limit in (CodeBudget, GuessLimit):
        for name in set(limit._fields) - {"counts_private_sources"}:
            assert re.search(rf"{limit.__name__}\([^)]*\b{name}\b", documented), name


# ── other documents that the standards require ──


def test_every_challenge_is_a_documented_way_to_sign_in() -> None:
    rows = table(section("Ways to sign in"))
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert documented == set(challenge_names())
    assert all(parser_of(name) for name in documented)


def test_browser_features_in_use_are_documented() -> None:
    features = section("Browsers")
    web = web_for(ScriptedTransport())
    response = web.respond(Request(method="POST", path="/flows", host="localhost", is_secure=True))
    in_use = {name for name in response.headers if re.search("Policy|Options|Security", name)}
    assert len(in_use) >= 4
    assert [name for name in in_use if f"`{name}`" not in features] == []
    (cookie,) = response.cookies
    assert cookie.name.startswith("__Host-")
    for attribute in ("__Host-", "HttpOnly", "SameSite", "Secure"):
        assert f"`{attribute}`" in features
