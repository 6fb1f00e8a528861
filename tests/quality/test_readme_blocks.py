"""The examples and links of all guides: examples compile, marked ones run, names and links exist.

A Python block after the line ``<!-- run -->`` is executed. The marked blocks of one file share their
names, in order. A comment after ``print(…)`` is the expected output, with … for any text. Classes whose
name begins with ``Test`` are run as tests.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.doubles import a_text, the_tokens

import oncegate_cognito
from oncegate.testing import ScriptedTransport

ROOT = Path(__file__).parents[2]
GUIDES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "engine/README.md",
    *sorted(ROOT.glob("adapters/*/README.md")),
    ROOT / "tests/benchmarks/README.md",
]
ADAPTERS = sorted(path.name for path in ROOT.glob("adapters/oncegate_*") if path.is_dir())

_BLOCK = re.compile(
    r"(?P<run><!-- run -->\n+)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_PRINT = re.compile(r"^\s*print\(.*\)  # (?P<output>.+)$", re.MULTILINE)

each_guide = pytest.mark.parametrize(
    "guide", GUIDES, ids=[str(path.relative_to(ROOT)) for path in GUIDES]
)


class Block(NamedTuple):
    """A Python block of a guide."""

    code: str
    is_run: bool
    name: str


def blocks(guide: Path) -> list[Block]:
    text = guide.read_text("utf-8")
    return [
        Block(
            found["code"],
            bool(found["run"]),
            f"{guide.relative_to(ROOT)}:{text.count(chr(10), 0, found.start('code')) + 1}",
        )
        for found in _BLOCK.finditer(text)
    ]


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
def test_example_compiles(guide: Path) -> None:
    for block in blocks(guide):
        compile(block.code, block.name, "exec")


@each_guide
def test_example_imports_names_that_exist(guide: Path) -> None:
    missing = [
        f"{block.name}: {node.module}.{alias.name}"
        for block in blocks(guide)
        for node in ast.walk(ast.parse(block.code))
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
    names: dict[str, Any] = {"__name__": "example"}
    for block in blocks(guide):
        if block.is_run:
            exec(compile(block.code, block.name, "exec"), names)
            printed = capsys.readouterr().out.splitlines()
            expected = expected_output(block.code)
            assert len(printed) == len(expected), (block.name, printed)
            assert all(map(matches, expected, printed)), (block.name, printed)
    run_suites(names)


def test_first_example_of_the_readme_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = blocks(ROOT / "README.md")[0]
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


def test_readme_has_at_most_250_lines() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 250


def test_output_that_differs_from_its_comment_is_noticed() -> None:
    assert matches("authenticated …", "authenticated Bearer")
    assert not matches("authenticated …", "failed")
    assert expected_output("print(1)  # 1\nprint(2)\n") == ["1"]
