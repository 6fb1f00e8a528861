"""The audit log: one line for each transition and suppressed event, with a pseudonym for the user."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from tests.doubles import DictStore, ManualClock, ScriptedTransport, a_text, code, password

from oncegate import RequestContext, SealingKeys, SignIn
from oncegate._user_agent import browser_of, platform_of
from oncegate.audit import AuditLog

KEYS = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CONTEXT = RequestContext(source_address="203.0.113.7", user_agent=FIREFOX, request_id="r-1")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    caplog.set_level(logging.INFO, "oncegate.audit")
    sign_in = SignIn(
        transport=ScriptedTransport(a_text(username="ana-own")),
        store=DictStore(),
        clock=ManualClock(),
        listeners=[AuditLog(KEYS)],
    )
    step = sign_in.send(sign_in.start(), password(username="ana@example.com"), context=CONTEXT)
    sign_in.send(sign_in.start(), code("111111"), context=CONTEXT)
    assert step.state == "awaiting_mfa"
    return [json.loads(record.getMessage()) for record in caplog.records]


def test_each_line_says_what_who_from_where_and_by_which_request(
    lines: list[dict[str, Any]],
) -> None:
    log = AuditLog(KEYS)
    common = {"address": "203.0.113.7", "agent": "Firefox", "request": "r-1"}
    assert [
        {name: line[name] for name in ("event", "user", "target", "reason", *common)}
        for line in lines
    ] == [
        {
            **common,
            "event": "submit_password",
            "user": log.pseudonym("ana@example.com"),
            "target": "checking_password",
            "reason": "",
        },
        {
            **common,
            "event": "challenge_issued",
            "user": log.pseudonym("ana-own"),
            "target": "awaiting_mfa",
            "reason": "",
        },
        {**common, "event": "submit_code", "user": "", "target": "idle", "reason": "not_allowed"},
    ]


def test_no_line_has_a_name_or_a_secret(lines: list[dict[str, Any]]) -> None:
    text = json.dumps(lines)
    for hidden in ("ana", "example.com", "Correct-horse-1", "111111", "X11"):
        assert hidden not in text


def test_pseudonym_is_one_for_all_spellings_and_differs_by_key() -> None:
    log = AuditLog(KEYS)
    assert log.pseudonym("Ana ") == log.pseudonym("ana")
    assert log.pseudonym("ana") != log.pseudonym("bob")
    assert log.pseudonym("ana") != AuditLog(KEYS.bound_to("another application")).pseudonym("ana")


@pytest.mark.parametrize(
    ("user_agent", "family"),
    [
        (FIREFOX, "Firefox"),
        ("Mozilla/5.0 … Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge"),
        ("Mozilla/5.0 … Chrome/140.0.0.0 Safari/537.36", "Chrome"),
        ("Mozilla/5.0 … Version/18.0 Mobile/15E148 Safari/604.1", "Safari"),
        ("python-httpx/0.28", "Python"),
        ("something", "other"),
        ("", ""),
    ],
)
def test_family_of_a_browser(user_agent: str, family: str) -> None:
    assert browser_of(user_agent) == family


@pytest.mark.parametrize(
    ("user_agent", "platform"),
    [
        (FIREFOX, "Linux"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/140", "Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)", "iPhone"),
        ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X)", "iPad"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", "macOS"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Windows"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0)", "ChromeOS"),
        ("curl/8.5", "other"),
        ("", ""),
    ],
)
def test_platform_of_a_browser(user_agent: str, platform: str) -> None:
    assert platform_of(user_agent) == platform
