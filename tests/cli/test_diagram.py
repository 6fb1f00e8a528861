"""The pictures in ``diagrams/`` are of the machine as it is."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from oncegate import FlowState
from oncegate.machine.chart import SignInMachine
from oncegate_cli.diagram import FILES, draw, is_drawn, label_of, write_all
from oncegate_cli.options import Format

DIAGRAMS = Path(__file__).parents[2] / "diagrams"
REDRAW = "stale: run `oncegate diagram --write diagrams`"


@pytest.mark.parametrize("form", [Format.MERMAID, Format.TABLE])
def test_they_are_not_stale(form: Format) -> None:
    assert (DIAGRAMS / FILES[form]).read_text("utf-8") == draw(form), REDRAW


def words_of(svg: str) -> set[str]:
    """The words in a picture. Where they stand differs between versions of graphviz."""
    return {text.strip() for element in ET.fromstring(svg).iter() for text in element.itertext()}


def test_the_stored_picture_shows_every_state_and_arrow() -> None:
    words = words_of((DIAGRAMS / FILES[Format.SVG]).read_text("utf-8"))
    for state in SignInMachine.states:
        assert state.value in words, REDRAW
        for transition in state.transitions:
            if is_drawn(transition):
                assert words.issuperset(label_of(transition)), REDRAW


def test_what_is_not_drawn_leads_back_or_ends_it() -> None:
    for state in SignInMachine.states:
        for transition in state.transitions:
            if not is_drawn(transition):
                assert transition.target is not None
                assert transition.target.value in {"idle", "failed"}


@pytest.mark.needs("dot")
def test_the_stored_picture_is_not_stale() -> None:
    assert words_of((DIAGRAMS / FILES[Format.SVG]).read_text("utf-8")) == words_of(
        draw(Format.SVG)
    ), REDRAW


@pytest.mark.needs("dot")
def test_all_are_written(tmp_path: Path) -> None:
    assert [path.name for path in write_all(tmp_path / "new")] == list(FILES.values())
    assert FlowState.AWAITING_MFA in (tmp_path / "new" / "sign_in.svg").read_text("utf-8")
