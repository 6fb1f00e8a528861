"""What an extra installs: all that the guide's application imports, or the guide names the rest."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.guides import ROOT

FRAMEWORKS = ("django", "fastapi", "flask")


def installed_by(extras: set[str]) -> set[str]:
    """Return the distributions that ``pip install 'oncegate[…]'`` installs."""
    found: set[str] = set()
    waiting = [Requirement(f"oncegate[{','.join(sorted(extras))}]")]
    seen = set()
    while waiting:
        wanted = waiting.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        for line in distribution(wanted.name).requires or ():
            needed = Requirement(line)
            environments = [{"extra": extra} for extra in (*wanted.extras, "")]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                waiting.append(needed)
    return found


def imported_by(folder: Path) -> set[str]:
    """Return the distributions that the modules of an application import; not its tests."""
    modules = set()
    for path in folder.rglob("*.py"):
        if path.name.startswith("test"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    known = packages_distributions()
    return {
        canonicalize_name(known[module][0])
        for module in modules - sys.stdlib_module_names
        if module in known
    }


def named_in(guide: Path) -> tuple[set[str], set[str]]:
    """Return the extras of a guide's ``pip install``, and all words, of which some are packages."""
    text = guide.read_text("utf-8")
    found = re.search(r"pip install '[^']*oncegate\[([a-z,]+)\]'", text)
    assert found is not None
    return set(found[1].split(",")), set(
        map(canonicalize_name, re.findall(r"[A-Za-z][\w-]+", text))
    )


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_application_of_the_guide_needs_nothing_else(framework: str) -> None:
    extras, words = named_in(ROOT / f"adapters/oncegate_web/{framework}/README.md")
    imported = imported_by(ROOT / "tests/examples" / framework)
    assert framework in imported
    assert imported - installed_by(extras) - words == set()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_extra_of_a_framework_alone_signs_in(framework: str) -> None:
    """With SQLite: `oncegate_web.settings` makes a transport and a store."""
    assert {framework, "boto3", "pydantic-settings", "jinja2"} <= installed_by({framework})


def test_package_that_no_extra_installs_is_noticed() -> None:
    assert "sqlalchemy" not in installed_by({"flask"})
    assert "redis" not in installed_by({"flask"})
    assert "redis" in installed_by({"flask", "redis"})
