"""The request context that the command sends with each event."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from oncegate import SignIn, __version__
from oncegate.adapters import CheckPassword, NotSent
from oncegate.testing import ScriptedTransport
from oncegate_cli._account import metadata as metadata_of
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


def test_call_has_the_metadata_of_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("ana\nsome password\n"))
    transport = ScriptedTransport(NotSent(cause="unreachable"))
    metadata = metadata_of(["tenant=a=b", "empty="])
    sign_in_at(Terminal(), SignIn(transport=transport, store=MemoryStore()), metadata)
    assert transport.contexts[0].client_metadata == {"tenant": "a=b", "empty": ""}


@pytest.mark.parametrize("item", ["tenant", "=value", "", "tenant=\udcff"])
def test_metadata_without_a_name_or_value_is_a_usage_error(item: str) -> None:
    with pytest.raises(typer.BadParameter):
        metadata_of([item])


def test_invalid_field_alone_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "ana\n\udcff\nsome password\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    transport = ScriptedTransport(NotSent(cause="unreachable"))
    sign_in_at(Terminal(), SignIn(transport=transport, store=MemoryStore()))
    (call,) = transport.calls
    assert isinstance(call, CheckPassword)
    assert (call.username, call.password.get_secret_value()) == ("ana", "some password")
