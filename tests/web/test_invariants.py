"""The web adapter draws steps from their actions: it knows no event by name, and uses declared ports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import oncegate_web
from oncegate import RememberDevice
from oncegate.adapters import EVENT_TYPES

ROOT = Path(oncegate_web.__file__).parent
FILES = [
    path
    for path in sorted(ROOT.rglob("*"))
    # oncegate.d.ts declares the events of the API, and the catalogues have a text for each.
    if path.suffix in {".py", ".js", ".html", ".css"}
]
# `sign_up=` is a way in of the transport, too. "remember_device" is also the name of a field, of a code.
EVENTS = [event.machine_event for event in EVENT_TYPES if event is not RememberDevice]
NAMES = re.compile(
    rf"(?<![\w.])({'|'.join(EVENTS)}|{'|'.join(name.replace('_', '-') for name in EVENTS)})(?![\w(=-])"
)


def test_search_finds_event_names() -> None:
    for text in ('if "cancel" in step.events', "#submit-code {", "event == 'request_new_code'"):
        assert NAMES.search(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_adapter_knows_no_event_by_name(path: Path) -> None:
    found = NAMES.findall(path.read_text())
    assert found == [], found


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.py")), ids=lambda path: path.name)
def test_adapter_reaches_nothing_by_getattr_or_entry_point(path: Path) -> None:
    assert not re.search(r"\bgetattr\(|load_entry_point|import_module", path.read_text())
