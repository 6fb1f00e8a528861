"""The request context that the command sends with each event."""

from __future__ import annotations

import io
import sys

import pytest

from oncegate import SignIn, __version__
from oncegate.adapters import NotSent
from oncegate.testing import ScriptedTransport
from oncegate_cli._options import Exit
from oncegate_cli._signin import sign_in_at
from oncegate_cli._terminal import Terminal
from oncegate_stores import MemoryStore


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "de_AT.UTF-8"}, "de-AT"),
        ({"LANG": "de_AT.UTF-8", "LC_ALL": "fr_FR@euro"}, "fr-FR"),
        ({"LANG": "C.UTF-8"}, ""),
        ({}, ""),
    ],
)
def test_call_has_user_agent_and_language_of_environment(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdin", io.StringIO("ana\nsome password\n"))
    transport = ScriptedTransport(NotSent(cause="unreachable"))
    code, _ = sign_in_at(Terminal(), SignIn(transport=transport, store=MemoryStore()))
    assert code is Exit.UNREACHABLE
    (context,) = transport.contexts
    assert context.user_agent == f"oncegate/{__version__}"
    assert context.language == language
