"""The diagrams in ``diagrams/`` show the chart as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from oncegate import FlowState
from oncegate.machine.account import AccountMachine
from oncegate.machine.advance import EVENTS
from oncegate.machine.chart import SignInMachine
from oncegate.states import IN_FLIGHT, AccountState
from oncegate_cli._diagram import (
    ACCOUNT_FILES,
    EVERYDAY_PATH,
    FILES,
    GROUPS,
    OF_EACH_EVENT,
    draw,
    draw_account,
    extracts,
    full,
    full_account,
    group,
    is_drawn,
    is_drawn_of_account,
    is_in_group,
    label_of,
    overview,
    transitions,
    write_all,
)
from oncegate_cli._options import Format
from oncegate_cli._picture import Kind, Picture, mermaid

DIAGRAMS = Path(__file__).parents[2] / "diagrams"
REDRAW = "stale: run `oncegate diagram --write diagrams`"
EXTRACTS = pytest.mark.parametrize("picture", list(extracts()), ids=lambda picture: picture.name)


def words_of(svg: str) -> set[str]:
    """Return the words in a picture; their positions differ between versions of graphviz."""
    return {text.strip() for element in ET.fromstring(svg).iter() for text in element.itertext()}


def stored_words(picture: Picture) -> set[str]:
    return words_of((DIAGRAMS / f"{picture.name}.svg").read_text("utf-8"))


@pytest.mark.parametrize("form", [Format.MERMAID, Format.TABLE])
def test_stored_chart_is_current(form: Format) -> None:
    assert (DIAGRAMS / FILES[form]).read_text("utf-8") == draw(form), REDRAW


@pytest.mark.parametrize("form", [Format.MERMAID, Format.TABLE])
def test_stored_chart_of_the_account_is_current(form: Format) -> None:
    assert (DIAGRAMS / ACCOUNT_FILES[form]).read_text("utf-8") == draw_account(form), REDRAW


@EXTRACTS
def test_stored_extract_is_current(picture: Picture) -> None:
    stored = (DIAGRAMS / f"{picture.name}.mmd").read_text("utf-8")
    assert stored == mermaid(picture), REDRAW


@pytest.mark.parametrize(
    "picture", [full(), full_account(), *extracts()], ids=lambda picture: picture.name
)
def test_stored_svg_has_every_node_and_label(picture: Picture) -> None:
    words = stored_words(picture)
    expected = {line for node in picture.nodes for line in node.lines}
    expected |= {line for edge in picture.edges for line in edge.lines}
    assert expected <= words, REDRAW
    known = {
        *expected,
        *(node.name for node in picture.nodes),
        *(line.strip() for line in picture.caption),
        "",
    }
    assert {word for word in words if re.fullmatch(r"\[?[a-z_]+\]?", word)} <= known, REDRAW


def test_diagrams_folder_has_no_other_files() -> None:
    expected = {*FILES.values(), *ACCOUNT_FILES.values()}
    expected |= {f"{one.name}.{suffix}" for one in extracts() for suffix in ("mmd", "svg")}
    assert {path.name for path in DIAGRAMS.iterdir() if path.is_file()} == expected


@pytest.mark.parametrize(
    ("chart", "states"), [(SignInMachine, FlowState), (AccountMachine, AccountState)]
)
def test_transitions_are_all_of_the_chart(chart: Any, states: type[StrEnum]) -> None:
    listed = [
        (state.value, str(event) if event else None, transition.target.value)
        for state in chart.states
        for transition in state.transitions
        for event in (list(transition.events) or [None])
        if transition.target is not None
    ]
    drawn = [
        (state, one.event, one.transition.target)
        for state in states
        for one in transitions(state)  # type: ignore[arg-type]
    ]
    assert sorted(drawn, key=str) == sorted(listed, key=str)


def test_transition_outside_the_picture_of_the_account_ends_as_its_caption_says() -> None:
    hidden = [
        one for state in AccountState for one in transitions(state) if not is_drawn_of_account(one)
    ]
    assert {(one.event, one.transition.target) for one in hidden} == {
        ("cancel", AccountState.MANAGING),
        ("rejected", AccountState.MANAGING),
        ("rejected", AccountState.CLOSED),
        ("unknown", AccountState.MANAGING),
        ("time_passed", AccountState.MANAGING),
        ("accepted", AccountState.MANAGING),
        ("not_sent", AccountState.MANAGING),
    }
    # What Cognito has accepted leads through the junction, and so does what was not sent.
    assert {one.transition.guards for one in hidden if one.event == "accepted"} == {()}
    unsent = [
        state
        for state in AccountState
        for one in transitions(state)
        if one in hidden and one.event == "not_sent"
    ]
    assert unsent == [AccountState.FINDING_FACTORS]


def test_picture_of_the_account_leaves_out_what_guards_each_event() -> None:
    for state in AccountState:
        for one in transitions(state):
            guards = set(one.transition.guards)
            left_out = guards & OF_EACH_EVENT
            unless_sent = {"step_is_current"} if "code_not_sent" in guards else set()
            assert left_out == (OF_EACH_EVENT - unless_sent if one.event in EVENTS else set())


def test_picture_of_the_account_has_every_event_with_its_guards() -> None:
    edges = {(edge.source, edge.target): edge.lines for edge in full_account().edges}
    for one in (one for state in AccountState for one in transitions(state)):
        if not is_drawn_of_account(one):
            continue
        lines = edges[one.transition.source, one.transition.target]
        shown = [f"[{guard}]" for guard in one.transition.guards if guard not in OF_EACH_EVENT]
        if one.event is None:
            assert list(lines) == (shown or ["otherwise"])
            continue
        # Two transitions of an event can lead to the same state.
        drawn = [
            _guards_after(lines, at)
            for at, line in enumerate(lines)
            if line.strip(",") == one.event
        ]
        assert shown in drawn


def _guards_after(lines: Sequence[str], at: int) -> list[str]:
    """Return the guards below the event of a line, which it can share with the events that follow."""
    while lines[at].endswith(","):
        at += 1
    return list(takewhile(lambda line: line.startswith("["), lines[at + 1 :]))


def test_transition_outside_full_picture_leads_to_idle_or_failed() -> None:
    hidden = [one for state in FlowState for one in transitions(state) if not is_drawn(one)]
    assert {one.transition.target for one in hidden} == {FlowState.IDLE, FlowState.FAILED}


class TestGroups:
    def test_each_state_is_in_a_group(self) -> None:
        chart = {state.value for state in SignInMachine.states}
        assert {state for states in GROUPS.values() for state in states} == chart

    def test_only_calls_are_in_two_groups(self) -> None:
        grouped = [state for states in GROUPS.values() for state in states]
        assert {state for state in grouped if grouped.count(state) > 1} <= IN_FLIGHT

    @pytest.mark.parametrize("state", FlowState)
    def test_each_transition_is_in_the_picture_of_its_source(self, state: FlowState) -> None:
        for name, states in GROUPS.items():
            edges = {(edge.source, edge.target): edge.lines for edge in group(name).edges}
            for one in transitions(state) if state in states else ():
                ends = (one.transition.source, one.transition.target)
                if is_in_group(one):
                    lines = " ".join(edges[ends])
                    assert " ".join(label_of(one)) in lines

    def test_transition_outside_group_pictures_ends_for_a_common_reason(self) -> None:
        hidden = [one for state in FlowState for one in transitions(state) if not is_in_group(one)]
        assert {(one.event, one.transition.target) for one in hidden} == {
            ("cancel", FlowState.FAILED),
            ("time_passed", FlowState.IDLE),
            ("unknown", FlowState.IDLE),
        }

    def test_each_user_state_shows_how_it_is_entered(self) -> None:
        for name, states in GROUPS.items():
            entered = {edge.target for edge in group(name).edges}
            waits = set(states) - IN_FLIGHT - {FlowState.DECIDING}
            assert waits <= entered

    def test_junction_numbers_its_transitions_in_order(self) -> None:
        numbers = [int(edge.lines[0].partition(".")[0]) for edge in group("junction").edges]
        assert numbers == list(range(1, len(transitions(FlowState.DECIDING)) + 1))


class TestOverview:
    def test_everyday_path_is_marked_and_nothing_else(self) -> None:
        marked = {(edge.source, edge.target) for edge in overview().edges if edge.is_main}
        assert marked == set(pairwise(EVERYDAY_PATH))

    def test_each_state_is_shown_except_shared_calls(self) -> None:
        shown = {line for node in overview().nodes for line in node.lines}
        hidden = {state.value for state in FlowState} - shown
        assert hidden == {FlowState.REQUESTING_CHALLENGE, FlowState.SETTING_PASSWORD}
        assert len(overview().nodes) <= 14

    def test_junction_is_linked_with_each_group_both_ways(self) -> None:
        edges = overview().edges
        linked = {edge.target for edge in edges if edge.is_both_ways}
        assert linked == {node.name for node in overview().nodes if node.kind is Kind.GROUP}
        assert {edge.source for edge in edges if edge.is_both_ways} == {FlowState.DECIDING}

    def test_stored_svg_is_legible_at_880_pixels(self) -> None:
        svg = (DIAGRAMS / "overview.svg").read_text("utf-8")
        shown = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ', svg)
        assert shown is not None
        sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)"', svg)}
        assert sizes
        assert min(sizes) * 880 / float(shown[1]) >= 13


@EXTRACTS
def test_mermaid_defines_each_node_that_an_edge_names(picture: Picture) -> None:
    names = {node.name for node in picture.nodes}
    assert all({edge.source, edge.target} <= names for edge in picture.edges)
    text = mermaid(picture)
    assert all(f"    {name}(" in text or f"    {name}{{" in text for name in names)


@pytest.mark.needs("dot")
def test_stored_svgs_are_current(tmp_path: Path) -> None:
    written = write_all(tmp_path / "new")
    assert [path.name for path in written][: len(FILES)] == list(FILES.values())
    pictures = [path for path in written if path.suffix == ".svg"]
    assert len(pictures) == 2 + len(list(extracts()))
    for path in pictures:
        stored = (DIAGRAMS / path.name).read_text("utf-8")
        assert words_of(stored) == words_of(path.read_text("utf-8")), REDRAW
