"""Events from JSON: hostile fields get a clear error that does not repeat them."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oncegate import (
    InvalidInput,
    RememberDevice,
    RequestNewCode,
    SubmitCode,
    SubmitNewPassword,
    SubmitPassword,
)
from oncegate.adapters import parse_event


@pytest.mark.parametrize("typed", ["123456", " 123 456 ", "123-456", "1 2 3 4 5 6", "123\u00a0456"])
def test_codes_with_spaces(typed: str) -> None:
    event = parse_event({"type": "submit_code", "code": typed})
    assert isinstance(event, SubmitCode)
    assert event.code.get_secret_value() == "123456"


@pytest.mark.parametrize(
    "typed", ["", "12", "abcdef", "１２３４５６", "1" * 13, None, 123456, ["1"]]
)
def test_what_is_no_code(typed: object) -> None:
    with pytest.raises(InvalidInput, match="code"):
        parse_event({"type": "submit_code", "code": typed})


def test_the_contract_names_are_all_here() -> None:
    SubmitPassword(username="ana", password="…")
    assert SubmitCode(code="123456", remember_device=True).remember_device
    assert RememberDevice().remember
    assert RequestNewCode().type == "request_new_code"


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
def test_hostile_json_is_a_typed_error_that_repeats_no_secret(hostile: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_event(hostile)
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(error.value)
    assert error.value.__cause__ is None
    assert len(str(error.value)) <= 500


def test_validation_errors_of_the_constructor_do_not_repeat_what_was_typed() -> None:
    with pytest.raises(ValidationError) as error:
        SubmitCode(code="hunter2")
    assert "hunter2" not in str(error.value)


def test_reprs_hide_secrets() -> None:
    for event in (
        SubmitPassword.model_validate({"username": "ana", "password": "hunter2"}),
        SubmitNewPassword.model_validate({"new_password": "hunter2"}),
        SubmitCode.model_validate({"code": "987654"}),
    ):
        assert "hunter2" not in f"{event!r} {event} {event.model_dump_json()}"
        assert "987654" not in f"{event!r} {event} {event.model_dump_json()}"


def test_a_new_passwords_attributes_are_bounded() -> None:
    base = {"type": "submit_new_password", "new_password": "x"}
    assert parse_event({**base, "attributes": {"custom:team": "a"}})
    for attributes in (
        {"a b": "x"},
        {"": "x"},
        {"email": "x" * 3000},
        {f"a{i}": "" for i in range(51)},
    ):
        with pytest.raises(InvalidInput):
            parse_event({**base, "attributes": attributes})


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
def test_anything_becomes_an_event_or_a_typed_error(data: dict[str, object]) -> None:
    for form in (data, json.dumps(data)):
        with contextlib.suppress(InvalidInput):
            assert parse_event(form).type == data["type"]
