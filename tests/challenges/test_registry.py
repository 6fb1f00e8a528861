"""The package's lists are complete: each challenge, event and call is in one file and has tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import oncegate.adapters
import oncegate.challenges
from oncegate.challenges import ACCOUNT_EVENT_TYPES, EVENT_TYPES, AnyEvent, Call, Challenge

PACKAGE = Path(oncegate.challenges.__file__).parent
FILES = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_"))
CHALLENGES: tuple[Any, ...] = get_args(get_args(Challenge)[0])
CALLS: tuple[Any, ...] = get_args(Call)
EVENTS = tuple(dict.fromkeys((*EVENT_TYPES, *ACCOUNT_EVENT_TYPES)))
MEMBERS = (*CHALLENGES, *EVENTS, *CALLS)


def defining_files(name: str) -> list[str]:
    """Return the files of the package that define a class of this name."""
    return [
        file
        for file in FILES
        for node in ast.parse((PACKAGE / f"{file}.py").read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]


def subclasses(base: type) -> Iterator[type]:
    """Yield all classes of the package below a base class."""
    kinds: list[type] = base.__subclasses__()
    for kind in kinds:
        if kind.__module__.startswith("oncegate.challenges."):
            yield kind
        yield from subclasses(kind)


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.__name__)
def test_member_is_defined_in_exactly_one_file(member: type) -> None:
    (file,) = defining_files(member.__name__)
    assert member.__module__ == f"oncegate.challenges.{file}"


@pytest.mark.parametrize("file", FILES)
def test_file_has_a_test_file_of_its_name(file: str) -> None:
    assert Path(__file__).with_name(f"test_{file}.py").is_file()


def test_test_file_has_a_file_of_its_name() -> None:
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert tests - {"registry"} == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_file_defines_a_member(file: str) -> None:
    assert any(member.__module__ == f"oncegate.challenges.{file}" for member in MEMBERS)


@pytest.mark.parametrize(
    ("base", "union"),
    [(union[0].__base__, union) for union in (CHALLENGES, get_args(AnyEvent), CALLS)],
    ids=["challenges", "events", "calls"],
)
def test_union_lists_every_class(base: type, union: tuple[type, ...]) -> None:
    shared = {"RecoveryChallenge", "AccountChange"}
    assert {kind.__name__ for kind in subclasses(base)} - shared == {k.__name__ for k in union}
    assert len(set(union)) == len(union)


def test_kinds_and_types_are_unique() -> None:
    kinds = [kind for one in CHALLENGES for kind in get_args(one.model_fields["kind"].annotation)]
    types = [one.model_fields["type"].default for one in EVENTS]
    assert len(set(kinds)) == len(kinds)
    assert len(set(types)) == len(types)
    assert types == [one.machine_event for one in EVENTS]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.__name__)
def test_adapter_authors_can_import_it(member: type) -> None:
    if member in EVENT_TYPES:
        assert getattr(oncegate, member.__name__) is member
    else:
        assert getattr(oncegate.adapters, member.__name__) is member
