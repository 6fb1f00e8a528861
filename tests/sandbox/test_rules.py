"""The table of rules: every rule has a source or is marked as inferred, and the guide lists it."""

from __future__ import annotations

import ast
import io
import os
import tokenize
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.quality.tables import (
    FOLDER,
    GUIDE,
    RULES,
    guide,
    operations,
    table_of_operations,
    table_of_rules,
)

from oncegate_sandbox._model import service_model
from oncegate_sandbox._rules import Rule, rule, rules

MODULES = sorted(path for path in FOLDER.rglob("*.py") if path.name != "_rules.py")


def test_rules_are_served_with_their_sources(control: httpx.Client) -> None:
    served = {one["id"]: one for one in control.get("/rules").json()}
    assert served.keys() == {one.id for one in rules()}
    assert served["trigger-raises"] == {
        "id": "trigger-raises",
        "what": "If a hook raises, the call fails: UserLambdaValidationException, 'PreSignUp failed "
        "with error X.'.",
        "source": "amplify-flutter#1051; AWS developer guide, pre sign-up Lambda trigger",
        "inferred": False,
        "module": "oncegate_sandbox._triggers",
    }


@pytest.mark.parametrize("one", rules(), ids=lambda one: one.id)
def test_rule_is_a_sentence_with_a_source(one: Rule) -> None:
    assert one.what.rstrip("'").endswith(".")
    assert one.source or one.inferred
    assert "|" not in one.what + one.source  # it would end a cell of the table


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_inference_in_the_code_has_a_rule(path: Path) -> None:
    """A comment that says *inferred* is a rule that real pools may not follow."""
    module = ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
    registered = Counter(one.module for one in rules() if one.inferred)[module]
    noted = inferences(path.read_text("utf-8"))
    assert len(noted) <= registered, f"lines {noted} name {len(noted)} inferences"


def inferences(source: str) -> list[int]:
    """Return the lines of the comments and docstrings, except the module's, that say *inferred*."""
    comments = [
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and "inferred" in token.string
    ]
    docstrings = [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        if "inferred" in (ast.get_docstring(node) or "")
    ]
    return sorted(comments + docstrings)


def test_inference_in_a_comment_or_a_docstring_is_noticed() -> None:
    source = 'x = 1  # this is inferred\n\ndef f():\n    """That it raises is inferred."""\n'
    assert inferences(source) == [1, 3]


@pytest.mark.parametrize(
    ("path", "made"), [(RULES, table_of_rules), (GUIDE, guide)], ids=["rules", "operations"]
)
def test_generated_table_is_up_to_date(path: Path, made: Callable[[], str]) -> None:
    """If it is not, it is renewed, except in CI: look at the change and commit it."""
    written, expected = path.read_text("utf-8"), made()
    if written != expected and not os.environ.get("CI"):
        path.write_text(expected, "utf-8")
    assert written == expected, f"{path.name} was out of date; run python -m tests.quality.tables"


def test_guide_has_the_table_of_the_operations() -> None:
    assert table_of_operations() in guide()


def test_operations_are_those_of_the_service_model() -> None:
    assert operations() <= set(service_model().operation_names)
    assert {"InitiateAuth", "CreateUserPool", "AdminCreateUser", "SignUp"} <= operations()


def test_rule_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        rule("no-source", "Something happens.")


def test_id_of_another_module_is_refused() -> None:
    with pytest.raises(ValueError, match="has a rule of this name"):
        rule("trigger-raises", "Something happens.", source="nowhere")
