"""Finds words and phrases that the writing guide in CONTRIBUTING.md replaces.

    python -m tests.quality.english                        everything, with counts per folder
    python -m tests.quality.english adapters/oncegate_web  one folder or file, each finding

It reads comments and docstrings of Python files, comments of shell and TOML files, and Markdown
outside code blocks.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = ("engine", "adapters", "tests", ".ci")
_OWN = {"english.py", "test_english.py"}  # these quote what they ban

BANNED = {
    r"arrows?": "transition",
    r"leads? (on|elsewhere)": "moves the flow on; takes another transition",
    r"rooms?|houses?": "integration; layout",
    r"workbench|desks?|bench": "a standard term",
    r"at hand|in hand": "available; in memory",
    r"journeys?": "recovery; confirmation; scenario",
    r"apolog(y|ies)": "error page",
    r"(say|says|said|tell|tells|told) what came of|(what|which) (came|comes) of": "outcome; result",
    r"of no use": "invalid",
    r"spoil(s|ed|t)?": "tainted; invalid",
    r"texted|a text (is|was) on its way": "sent by SMS",
    r"mailed": "emailed; sent by email",
    r"mailbox(es)?": "email address",
    r"but for": "except",
    r"held against": "compared with; counted against",
    r"taken for": "treated as",
    r"go(es)? by": "uses",
    r"(is|are|was) over": "has ended; has expired",
    r"likewise|besides": "also",
    r"as (it|they) comes?": "by default",
    r"some(body|one)|no(body| one)|any(body|one)|every(body|one)|who(so)?ever": (
        "user; worker; caller; application"
    ),
    r"strangers?": "unknown user; unknown caller",
    r"the same sums": "the same computation",
    r"made of": "built from; consists of",
    r"told from": "distinguished from",
    r"good for": "valid for; suited to",
    r"where (there (is|are)|none|nothing|no|it (has|can|cannot|does|asks|wants|may))": "if; when",
    r"were (it|they) (to|not)": "if",
    r"the person": "the user",
    r"let go of": "released; closed",
}
"""Regular expressions for whole words, and what to write instead."""

_GAP = r"[\s#>]+"  # a phrase may continue on the next line
_BANNED = re.compile(
    "|".join(
        rf"(?P<b{number}>\b(?:{pattern.replace(' ', _GAP)})\b)"
        for number, pattern in enumerate(BANNED)
    ),
    re.IGNORECASE,
)
_ADVICE = tuple(BANNED.values())
_CODE = re.compile(r"`[^`]*`|\"[^\"\n]*\"|\]\([^)]*\)")
_FENCE = re.compile(r"\s*(```|~~~)")


class Finding(NamedTuple):
    """A banned phrase."""

    path: Path
    line: int
    phrase: str
    advice: str

    def __str__(self) -> str:
        name = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return f"{name}:{self.line}: {self.phrase!r}: write {self.advice}"


def findings(path: Path) -> list[Finding]:
    """Return the banned phrases of a file, or of all files in a folder, by name and line."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file() and _is_ours(file))
        return [finding for file in sorted(files) for finding in findings(file)]
    found = []
    for line, prose in _prose(path):
        text = _CODE.sub(lambda code: re.sub(r"[^\n]", "·", code[0]), prose)
        for match in _BANNED.finditer(text):
            phrase = " ".join(match[0].replace("#", " ").split())
            at = line + text.count("\n", 0, match.start())
            found.append(Finding(path, at, phrase, _ADVICE[int(str(match.lastgroup)[1:])]))
    return sorted(found, key=lambda finding: finding.line)


def _is_ours(path: Path) -> bool:
    return path.name not in _OWN and not {"__pycache__", "node_modules"} & set(path.parts)


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield blocks of prose, each with the number of its first line."""
    if path.suffix not in {".py", ".md", ".toml", ".sh"} and path.name != "run":
        return
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from _docstrings(text)
        yield from _comments(text)
    elif path.suffix == ".md":
        yield from _markdown(text)
    else:
        for number, line in enumerate(text.splitlines(), start=1):
            if found := re.search(r"(^|\s)#\s(.*)", line):
                yield number, found[2]


def _docstrings(text: str) -> Iterator[tuple[int, str]]:
    """Yield docstrings of modules, classes and functions, and strings that document an attribute."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            continue
        if isinstance(node.value.value, str):
            # By whole lines: ast.get_source_segment splits the file anew for each.
            literal = "".join(lines[node.lineno - 1 : node.end_lineno]).strip()
            yield node.lineno, literal.strip("rR\"'")


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield comments; those on lines that follow each other are one block."""
    first, last, block = 0, -1, ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] == last + 1:
            block += "\n" + token.string
        else:
            if block:
                yield first, block
            first, block = token.start[0], token.string
        last = token.start[0]
    if block:
        yield first, block


def _markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield paragraphs outside code blocks."""
    is_code = False
    first, block = 0, ""
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        is_fence = bool(_FENCE.match(line))
        is_code ^= is_fence
        if line.strip() and not is_code and not is_fence:
            first = first if block else number
            block += f"\n{line}" if block else line
        elif block:
            yield first, block
            block = ""


def main(arguments: list[str]) -> int:
    """Print the findings of files and folders; without arguments, the counts of all folders."""
    if arguments:
        found = [finding for name in arguments for finding in findings(Path(name).resolve())]
        print(*found, sep="\n", end="\n" if found else "")
    else:
        found = everything()
        parts = (finding.path.relative_to(ROOT).parts[:2] for finding in found)
        for folder, count in sorted(Counter("/".join(part) for part in parts).items()):
            print(f"{count:5} {folder}")
    print(f"{len(found)} banned phrases")
    return bool(found)


def everything() -> list[Finding]:
    """Return the findings of the whole repository."""
    paths = (
        [ROOT / name for name in FOLDERS] + sorted(ROOT.glob("*.md")) + [ROOT / "pyproject.toml"]
    )
    return [finding for path in paths for finding in findings(path)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
