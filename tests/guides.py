"""The code blocks of the guides. A comment before a block says how it is tested.

======================================  ==========================================================
``<!-- run -->``                        a Python block, executed by tests/quality/test_readme_blocks.py
``<!-- tests/web/x.py -->``             lines of that file, which a test uses
``<!-- test: tests/x/test_y.py::z -->``  what the test of that name takes from the guide, by `block`
======================================  ==========================================================
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
GUIDES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "engine/README.md",
    *sorted(ROOT.glob("adapters/*/README.md")),
    *sorted(ROOT.glob("adapters/*/*/README.md")),
    ROOT / "adapters/oncegate_web/MOVING.md",
    *sorted(ROOT.glob("tests/**/README.md")),
]

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^\n]+?) -->\n+)?^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A code block.

    Attributes:
        code: its text.
        language: such as ``python``; empty for none.
        mark: the comment before it; empty for none.
        name: guide and line, for messages.
    """

    code: str
    language: str
    mark: str
    name: str


def blocks(guide: Path) -> list[Block]:
    """Return the blocks of a guide, in order."""
    text = guide.read_text("utf-8")
    return [
        Block(
            found["code"],
            found["language"],
            found["mark"] or "",
            f"{guide.relative_to(ROOT)}:{text.count(chr(10), 0, found.start('code')) + 1}",
        )
        for found in _BLOCK.finditer(text)
    ]


def block(guide: str, test: str) -> str:
    """Return the block of a guide that a test takes, by ``path::name`` of the test."""
    (found,) = (one.code for one in blocks(ROOT / guide) if one.mark == f"test: {test}")
    return found
