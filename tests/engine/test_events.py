"""Events from JSON: hostile input is a typed error that repeats no value.

What each event takes is tested with its challenge (`tests/challenges`).
"""

from __future__ import annotations

import contextlib
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncegate import InvalidInput, SubmitCode
from oncegate.adapters import parse_account_event, parse_event


@pytest.mark.parametrize(
    "hostile",
    [
        '{"type": "submit_password"}',
        '{"type": "submit_password", "username": "a", "password": "hunter2-secret", "extra": 1}',
        '{"type": "submit_password", "username": "'
        + "a" * 129
        + '", "password": "hunter2-secret"}',
        '{"type": "submit_password", "username": "", "password": "hunter2-secret"}',
        '{"type": "submit_password", "username": {"$ne": ""}, "password": "hunter2-secret"}',
        '{"type": "go.anything", "password": "hunter2-secret"}',
        '{"password": "hunter2-secret"}',
        "[]",
        "null",
        "{",
        "[" * 10_000,
    ],
)
def test_hostile_json_raises_an_error_without_its_values(hostile: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_event(hostile)
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(error.value)
    assert error.value.__cause__ is None
    assert len(str(error.value)) <= 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["type", "username", "password", "code", "factor", "new_password", "remember"]
        )
        | st.text(max_size=8),
        st.sampled_from(["submit_password", "submit_code", "cancel", "choose_factor"])
        | json_values,
        max_size=6,
    )
)
def test_any_data_becomes_an_event_or_a_typed_error(data: dict[str, object]) -> None:
    for form in (data, json.dumps(data)):
        with contextlib.suppress(InvalidInput):
            assert parse_event(form).type == data["type"]


def test_form_of_a_framework_is_a_mapping_and_becomes_an_event() -> None:
    form: MappingProxyType[str, str] = MappingProxyType({"type": "submit_code", "code": "123 456"})
    assert parse_event(form) == SubmitCode(code="123456")
    answer: dict[str, str] = {"type": "add_passkey"}
    assert parse_account_event(answer).type == "add_passkey"
