"""The log: one line per transition, without secrets."""

from __future__ import annotations

import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.doubles import a_text
from tests.guides import block

from oncegate import LogListener, SignIn, SubmitPassword, redact_secrets
from oncegate.adapters import (
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    Transition,
)
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore

REDACTED = "[redacted]"
SECRET = "hunter2-the-secret"
JWT = "eyJraWQiOiJ4In0.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    [
        "password", "new_password", "PASSWORD", "code", "SMS_MFA_CODE", "session", "Session",
        "access_token", "tokens", "client_secret", "SECRET_HASH", "SRP_A", "flow_id",
        "PASSWORD_CLAIM_SIGNATURE", "PasswordVerifier", "Authorization", "cookie",
    ],
)  # fmt: skip
def test_value_with_a_secret_name_is_redacted(name: str) -> None:
    for value in (SECRET, SecretStr(SECRET), [SECRET], {"deep": {name: SECRET}}, 123456):
        redacted = redact_secrets(None, "info", {"event": "x", name: value})
        assert SECRET not in repr(redacted)
        assert "123456" not in repr(redacted)


@pytest.mark.parametrize("name", ["status_code", "state", "flow", "session_id", "version"])
def test_value_with_an_ordinary_name_stays(name: str) -> None:
    assert redact_secrets(None, "info", {name: "value"}) == {name: "value"}


def test_value_that_looks_like_a_secret_is_redacted() -> None:
    event = {"event": f"got {JWT}", "body": {"a": ["x" * 300]}, "object": SecretStr(SECRET)}
    redacted = repr(redact_secrets(None, "info", event))
    assert JWT not in redacted
    assert "x" * 200 not in redacted
    assert SECRET not in redacted
    assert redacted.count(REDACTED) == 3


@given(st.text(st.sampled_from("eyJ.x /-"), max_size=250))
def test_value_is_tested_for_its_looks_whatever_its_length(text: str) -> None:
    pattern = r"eyJ[\w-]+\.[\w.-]+|[\w+/=.-]{200,}"
    expected = re.sub(pattern, REDACTED, text)
    assert redact_secrets(None, "info", {"event": text}) == {"event": expected}


@pytest.mark.parametrize("length", [199, 200])
def test_long_run_is_redacted_from_200_characters_on(length: int) -> None:
    redacted = redact_secrets(None, "info", {"event": "x" * length})
    assert (redacted["event"] == REDACTED) is (length == 200)


nested = st.recursive(
    st.text() | st.integers() | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(nested, st.sampled_from(["password", "the_token", "code"]))
def test_secret_at_any_depth_is_redacted(value: object, name: str) -> None:
    redacted = redact_secrets(None, "info", {"a": [value, {name: SECRET}], name: [value, SECRET]})
    assert SECRET not in repr(redacted)


def test_transition_is_logged_as_one_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "oncegate"):
        LogListener()(Transition("abc", "idle", "failed", "cancel", 1, 0.0, "cancelled", JWT))
    (record,) = caplog.records
    line = json.loads(record.getMessage())
    assert line["event"] == "transition"
    assert (line["flow"], line["source"], line["target"]) == ("abc", "idle", "failed")
    assert line["detail"] == REDACTED


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        (NotSent(cause="unreachable"), "WARNING"),
        (NotSent(cause="throttled"), "WARNING"),
        (Rejected(reason=RejectionReason.FIREWALL), "WARNING"),
        (OutcomeUnknown(), "WARNING"),
        (Rejected(reason=RejectionReason.WRONG_CREDENTIALS), "INFO"),
    ],
    ids=["unreachable", "throttled", "firewall", "unknown", "wrong password"],
)
def test_failure_of_cognito_is_a_warning_and_a_users_mistake_is_none(
    outcome: Outcome, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oncegate")
    sign_in = SignIn(transport=ScriptedTransport(outcome), store=MemoryStore())
    sign_in.send(sign_in.start(), SubmitPassword(username="ana", password="Correct-horse-1"))
    assert caplog.records[-1].levelname == level


@pytest.mark.parametrize(
    ("message", "level"), [("provider_failed", "WARNING"), ("provider_denied", "INFO")]
)
def test_failure_of_a_provider_is_a_warning_and_a_users_denial_is_none(
    message: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oncegate")
    said = "invalid_request: attributes required: [given_name]"
    LogListener()(
        Transition(
            "abc", "awaiting_provider", "idle", "submit_authorization", 1, 0.0, message, said
        )
    )
    assert [record.levelname for record in caplog.records] == [level]
    assert said in caplog.text


def test_line_below_the_level_costs_no_work(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Transition, "_asdict", lambda _: pytest.fail("the line was prepared"))
    with caplog.at_level(logging.WARNING, "oncegate"):
        LogListener()(Transition("abc", "idle", "idle", "cancel", 1, 0.0, None, ""))


def test_log_is_silent_without_a_handler(capfd: pytest.CaptureFixture[str]) -> None:
    LogListener()(Transition("abc", "idle", "failed", "cancel", 1, 0.0, None, ""))
    assert capfd.readouterr() == ("", "")


def test_line_of_the_guide_has_the_members_of_a_real_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    test = "tests/engine/test_log.py::test_line_of_the_guide_has_the_members_of_a_real_one"
    shown = json.loads(block("engine/README.md", test))
    caplog.set_level(logging.INFO)
    sign_in = SignIn(transport=ScriptedTransport(a_text()), store=MemoryStore())
    sign_in.send(sign_in.start(), SubmitPassword(username="ana", password="Correct-horse-1"))
    written = json.loads(caplog.messages[-1])
    assert list(shown) == list(written)
    same = ("source", "target", "cause", "version", "message", "delivered", "event", "level")
    assert {name: shown[name] for name in same} == {name: written[name] for name in same}
