"""The table of texts: kinds of messages, forms by number, and variants by what users sign in with."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from oncegate.adapters import EVENT_TYPES, MESSAGE_CODES, TEXTS, Factor, kind_of
from oncegate.messages import _KINDS
from oncegate.record import _MESSAGES_1

NOTICES = [code for code in TEXTS if code.startswith("notice.")]
VARIANTS = [code for code in TEXTS if code.count(".") == 2 and code.endswith((".email", ".phone"))]
MESSAGES = [f"message.{code}" for code in MESSAGE_CODES]


def placeholders(code: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(TEXTS[code]) if name}


def test_every_message_and_notice_has_a_kind() -> None:
    assert {kind_of(code) for code in (*MESSAGES, *NOTICES)} == {"error", "info", "good"}
    assert _KINDS.keys() <= {*MESSAGES, *NOTICES}, "a kind of no text"
    assert "error" not in _KINDS.values(), "an error needs no entry"


def test_message_that_only_asks_to_sign_in_again_after_time_is_information() -> None:
    for code in (*MESSAGES, *NOTICES):
        if "timed out" in TEXTS[code] or "has expired" in TEXTS[code]:
            assert kind_of(code) == "info", code
        if re.search("incorrect|couldn’t|isn’t working", TEXTS[code], re.IGNORECASE):
            assert kind_of(code) == "error", code


def test_code_of_a_later_release_is_an_error() -> None:
    assert kind_of("message.of_a_later_release") == "error"


@pytest.mark.parametrize("code", VARIANTS)
def test_variant_by_what_users_sign_in_with_has_both_forms_and_the_general_one(code: str) -> None:
    general = code.rpartition(".")[0]
    assert {general, f"{general}.email", f"{general}.phone"} <= TEXTS.keys()
    assert placeholders(code) == placeholders(general)
    assert general.removeprefix("message.") in MESSAGE_CODES or general == "field.username"
    assert code.removeprefix("message.") not in MESSAGE_CODES, "no program receives a variant"


@pytest.mark.parametrize("code", [code for code in TEXTS if code.endswith(".one")])
def test_text_for_one_has_a_text_for_more(code: str) -> None:
    many = code.removesuffix(".one")
    assert "count" in placeholders(many)
    assert placeholders(code) <= placeholders(many) - {"count"}


def test_busy_texts_are_of_events() -> None:
    busy = {code.removeprefix("busy.") for code in TEXTS if code.startswith("busy.")}
    assert busy - {"other"} <= {kind.machine_event for kind in EVENT_TYPES}


def test_hints_of_factors_are_of_factors() -> None:
    hints = [code for code in TEXTS if code.startswith("factor.") and code.endswith(".hint")]
    assert {code.split(".")[1] for code in hints} == set(Factor) - {Factor.PASSWORD}


def test_message_of_a_refused_password_is_shown_by_0_1_too() -> None:
    """0.1 fails on a message that it does not know."""
    rules = {code for code in MESSAGE_CODES if code.startswith("password_") and "_for_" not in code}
    rules -= {"password_reset_required", "password_missing", "password_was_changed"}
    assert len(rules) == 6
    assert {_MESSAGES_1.get(code) for code in rules} == {"new_password_refused"}
