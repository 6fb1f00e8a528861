"""The examples and links of all guides: examples compile, marked ones run, names and links exist.

Every block is tested; `tests.guides` says how. The executed blocks of one file share their names, in
order. A comment after ``print(…)`` is the expected output, with … for any text. Classes whose name begins
with ``Test`` are run as tests.
"""

from __future__ import annotations

import ast
import importlib
import logging
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.doubles import a_text, the_tokens
from tests.guides import GUIDES, ROOT, Block, block, blocks

import oncegate
import oncegate_cognito
from oncegate.adapters import EVENT_TYPES, TEXTS, new_key
from oncegate.testing import ScriptedTransport
from oncegate_sandbox import PoolSeed, UserSeed

ADAPTERS = sorted(path.name for path in ROOT.glob("adapters/oncegate_*") if path.is_dir())

_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_PRINT = re.compile(r"^\s*print\(.*\)  # (?P<output>.+)$", re.MULTILINE)

each_guide = pytest.mark.parametrize(
    "guide", GUIDES, ids=[str(path.relative_to(ROOT)) for path in GUIDES]
)


def python_blocks(guide: Path) -> list[Block]:
    return [one for one in blocks(guide) if one.language == "python"]


def expected_output(code: str) -> list[str]:
    return [found["output"] for found in _PRINT.finditer(code)]


def matches(expected: str, printed: str) -> bool:
    pattern = ".*".join(map(re.escape, expected.split("…")))
    return re.fullmatch(pattern, printed) is not None


def anchors(guide: Path) -> set[str]:
    """Return the anchors of a file's headings, as GitHub makes them."""
    text = _FENCED.sub("", guide.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def run_suites(names: dict[str, Any]) -> None:
    """Run the conformance suites that a guide defines."""
    suites = [value for name, value in names.items() if name.startswith("Test")]
    for suite in suites:
        for method in dir(suite):
            if method.startswith("test_"):
                case = suite()
                getattr(case, "setup_method", lambda: None)()
                getattr(case, method)()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapter_has_a_guide(adapter: str) -> None:
    assert ROOT / f"adapters/{adapter}/README.md" in GUIDES


@each_guide
def test_every_block_is_tested(guide: Path) -> None:
    """It is run, quoted from a file that tests use, or taken by the test that it names."""
    untested = [f"{one.name}: {why}" for one in blocks(guide) if (why := why_untested(one))]
    assert untested == []


def why_untested(shown: Block) -> str:
    if shown.mark == "run":
        return "" if shown.language == "python" else "only Python is run"
    if shown.mark.startswith("test: "):
        path, _, name = shown.mark.removeprefix("test: ").partition("::")
        source = (ROOT / path).read_text("utf-8") if (ROOT / path).is_file() else ""
        has_test = re.search(rf"def {name.rpartition('::')[2]}\b", source)
        takes_it = "block(" in source or "README" in source
        return "" if has_test and takes_it else f"{shown.mark} does not take it"
    if not (shown.mark and (ROOT / shown.mark).is_file()):
        return "no comment before it says how it is tested"
    quoted = (ROOT / shown.mark).read_text("utf-8")
    return "" if shown.code in quoted else f"differs from {shown.mark}"


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        ("", "no comment"),
        ("pytest", "no comment"),
        ("tests/guides.py", "differs"),
        ("test: tests/quality/test_readme_blocks.py::test_of_another_name", "does not take it"),
    ],
)
def test_block_without_a_test_is_noticed(mark: str, why: str) -> None:
    assert why in why_untested(Block("x = 1\n", "python", mark, "README.md:1"))


@each_guide
def test_example_compiles(guide: Path) -> None:
    for one in python_blocks(guide):
        compile(one.code, one.name, "exec")


@each_guide
def test_example_imports_names_that_exist(guide: Path) -> None:
    missing = [
        f"{one.name}: {node.module}.{alias.name}"
        for one in python_blocks(guide)
        for node in ast.walk(ast.parse(one.code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("oncegate")
        for alias in node.names
        if not hasattr(importlib.import_module(node.module or ""), alias.name)
    ]
    assert missing == []


@each_guide
def test_marked_example_runs(
    guide: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONCEGATE_KEYS", new_key())
    monkeypatch.setattr(logging.root, "handlers", [])
    names: dict[str, Any] = {"__name__": "example"}
    for one in python_blocks(guide):
        if one.mark == "run":
            exec(compile(one.code, one.name, "exec"), names)
            printed = capsys.readouterr().out.splitlines()
            expected = expected_output(one.code)
            assert len(printed) == len(expected), (one.name, printed)
            assert all(map(matches, expected, printed)), (one.name, printed)
    run_suites(names)


HERE = "tests/quality/test_readme_blocks.py"


@pytest.mark.slow
def test_first_command_of_the_readme_shows_the_main_job() -> None:
    """`tests/run` has made the virtual environment in the same way. Without a terminal, it runs by itself."""
    test = "test_first_command_of_the_readme_shows_the_main_job"
    *_, install, demo = block("README.md", f"{HERE}::{test}").strip().split(" && ")
    (extra,) = re.findall(r"'\.\[(\w+)\]'", install)
    assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text("utf-8")
    done = subprocess.run(
        ["sh", "-ec", demo], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "authenticated" in done.stdout


def test_second_command_of_the_readme_is_that_of_ci() -> None:
    test = "test_second_command_of_the_readme_is_that_of_ci"
    command = block("README.md", f"{HERE}::{test}").strip()
    assert f"\n{command} " in (ROOT / ".ci/run").read_text("utf-8")
    assert (ROOT / command).is_file()


def test_first_example_of_the_readme_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = python_blocks(ROOT / "README.md")[0]
    arguments: list[dict[str, str]] = []

    def scripted(**given: str) -> ScriptedTransport:
        arguments.append(given)
        return ScriptedTransport(a_text(), the_tokens())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(oncegate_cognito, "CognitoTransport", scripted)
    exec(compile(first.code, first.name, "exec"), {})
    printed, expected = capsys.readouterr().out.splitlines(), expected_output(first.code)
    assert len(expected) == 2
    assert all(map(matches, expected, printed)), printed
    assert [sorted(given) for given in arguments] == [["client_id", "pool_id"]]
    assert len(first.code.splitlines()) == 12


@each_guide
def test_relative_link_has_a_target(guide: Path) -> None:
    broken = []
    for found in _LINK.finditer(_FENCED.sub("", guide.read_text("utf-8"))):
        target, _, anchor = found["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        path = (guide.parent / target).resolve() if target else guide
        is_guide = path.suffix == ".md" and path.is_file()
        if not path.exists() or (anchor and is_guide and anchor not in anchors(path)):
            broken.append(found["target"])
    assert broken == []


def section(guide: Path, heading: str) -> list[list[str]]:
    """Return the code words of each column of the tables in a section, row by row."""
    text = guide.read_text("utf-8")
    start = text.index(f"\n## {heading}\n")
    end = text.find("\n## ", start + 1)
    rows = [line for line in text[start:end].splitlines() if line.startswith("| ")]
    return [[" ".join(re.findall(r"`([^`]+)`", cell)) for cell in row.split(" | ")] for row in rows]


def words(rows: list[list[str]], column: int) -> set[str]:
    return {word for row in rows if len(row) > column for word in row[column].split()}


def test_challenges_of_the_readme_name_states_and_events_of_the_engine() -> None:
    rows = section(ROOT / "README.md", "Supported challenges")
    assert words(rows, 1) <= {state.value for state in oncegate.FlowState}
    named = {event for event in words(rows, 2) if hasattr(oncegate, event)}
    assert named == words(rows, 2)
    others = {"SubmitUsername", "RememberDevice", "Cancel"}  # no challenge asks for these
    assert named | others == {event.__name__ for event in EVENT_TYPES}


def test_errors_of_the_readme_are_the_exception_tree() -> None:
    named = words(section(ROOT / "engine/README.md", "Errors"), 0)
    tree = {name for name in oncegate.__all__ if _is_error(getattr(oncegate, name))}
    assert named == tree


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def test_error_table_of_the_transport_names_codes_of_messages() -> None:
    rows = section(ROOT / "adapters/oncegate_cognito/README.md", "Errors of Cognito")
    codes = words(rows, 1)
    assert codes
    assert {f"message.{code}" for code in codes} <= TEXTS.keys()


@pytest.mark.parametrize(("model", "ignored"), [(PoolSeed, set()), (UserSeed, {"passkeys"})])
def test_seed_reference_names_every_key(model: type[BaseModel], ignored: set[str]) -> None:
    rows = section(ROOT / "adapters/oncegate_sandbox/README.md", "Seed reference")
    named = {word.strip(",") for word in words(rows, 0)}
    assert model.model_fields.keys() - ignored <= named


def test_counters_of_the_guide_are_those_of_the_listener() -> None:
    rows = section(ROOT / "adapters/oncegate_otel/README.md", "Counters")
    counted = oncegate.CountingListener().counts()
    assert words(rows, 0) == {f"oncegate.{name}" for name in counted}


def test_readme_has_at_most_250_lines() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 250


def test_output_that_differs_from_its_comment_is_noticed() -> None:
    assert matches("authenticated …", "authenticated Bearer")
    assert not matches("authenticated …", "failed")
    assert expected_output("print(1)  # 1\nprint(2)\n") == ["1"]
