"""``oncegate diagram``: pictures and a table of each machine, generated from its class.

`full` and `full_account` have every state, `overview` is for the README, and `group` shows one group of
states with the guards of its transitions. Each is a `Picture`, which becomes Mermaid text here and SVG
in `oncegate_cli._graphviz`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from statemachine import StateChart

from oncegate import FlowState
from oncegate.account import AccountState
from oncegate.adapters import FINAL, IN_FLIGHT
from oncegate.machine.account import AccountMachine
from oncegate.machine.advance import EVENTS, chart_of
from oncegate.machine.chart import SignInMachine
from oncegate.machine.engine import CompiledTransition
from oncegate_cli._graphviz import svg
from oncegate_cli._options import Format
from oncegate_cli._picture import Edge, Kind, Node, Picture, mermaid

GROUPS: Final = MappingProxyType(
    {
        "everyday": (
            FlowState.IDLE,
            FlowState.CHECKING_PASSWORD,
            FlowState.AWAITING_MFA,
            FlowState.CHECKING_ANSWER,
            FlowState.AUTHENTICATED,
            FlowState.FAILED,
        ),
        "factors": (
            FlowState.PASSWORD_VERIFIED,
            FlowState.CHOOSING_FIRST_FACTOR,
            FlowState.AWAITING_PASSWORD,
            FlowState.AWAITING_PASSKEY,
            FlowState.AWAITING_ANSWER,
            FlowState.AWAITING_PROVIDER,
            FlowState.EXCHANGING_CODE,
            FlowState.REQUESTING_CHALLENGE,
        ),
        "setup": (
            FlowState.SETTING_UP_TOTP,
            FlowState.SETTING_UP_EMAIL,
            FlowState.AWAITING_NEW_PASSWORD,
            FlowState.SETTING_PASSWORD,
        ),
        "recovery": (
            FlowState.SIGNING_UP,
            FlowState.CREATING_ACCOUNT,
            FlowState.AWAITING_CONFIRMATION,
            FlowState.AWAITING_RESET,
            FlowState.REQUESTING_CHALLENGE,
            FlowState.SETTING_PASSWORD,
        ),
        "devices": (
            FlowState.CHECKING_DEVICE,
            FlowState.REGISTERING_DEVICE,
            FlowState.OFFERING_DEVICE,
            FlowState.REMEMBERING_DEVICE,
        ),
        "junction": (FlowState.DECIDING,),
    }
)
"""The states of each group's picture. Every state is in one; calls that two groups share are in both."""

EVERYDAY_PATH: Final = (
    FlowState.IDLE,
    FlowState.CHECKING_PASSWORD,
    FlowState.DECIDING,
    FlowState.AWAITING_MFA,
    FlowState.CHECKING_ANSWER,
    FlowState.DECIDING,
    FlowState.AUTHENTICATED,
)
"""A password, a code, and the tokens: marked in the overview."""

_TITLES = {
    "factors": "Ways to sign in",
    "setup": "Set-up",
    "recovery": "Sign-up and recovery",
    "devices": "Devices",
}
"""The groups that the overview collapses into one node."""

_OTHER_WAYS: Final = frozenset(
    {"request_new_code", "forgot_password", "confirm_account", "sign_up"}
)

_FULL_CAPTION = (
    "blue: waits for the user     dashed: a call to Cognito is in flight, saved before it left     "
    "diamond: junction, never stored",
    "Not drawn, the same everywhere: cancel leads to failed; an expired deadline, an unknown outcome "
    "and a dead challenge lead to idle; other rejections lead to failed.",
)
_GROUP_CAPTION = (
    "dashed: a call to Cognito is in flight     grey: state of another group",
    "Not drawn: cancel leads to failed; an expired deadline or an unknown outcome leads to idle.",
)
_OVERVIEW_CAPTION = (
    "Bold: the everyday path. Blue: waits for the user. Dashed: a call to Cognito, saved first.",
    "Not drawn: returns to idle (timeout, unknown outcome, wrong password), and other ways to failed.",
)

_EVENTS: Final = tuple(
    dict.fromkeys(
        str(event)
        for chart in (SignInMachine, AccountMachine)
        for state in chart.states
        for transition in state.transitions
        for event in transition.events
    )
)
"""The charts' events and outcomes, in the order of their states."""

_ACCOUNT_CAPTION = (
    "blue: waits for the user     dashed: a call to Cognito is in flight, saved before it left     "
    "diamond: junction, never stored",
    "Not drawn: cancel, an expired deadline, an unknown outcome, a rejection, an answer that does not "
    "fit the call, and an offer that was not sent lead to managing; a token that has ended "
    "leads to closed.",
    "Not shown, the same at each event of the user: user_is_the_same; and step_is_current, unless "
    "code_not_sent is shown.",
)
OF_EACH_EVENT: Final = frozenset({"step_is_current", "user_is_the_same"})
"""Guards that the picture of the account leaves out."""
_GIVES_UP: Final = frozenset(
    {"accepted", "cancel", "not_sent", "rejected", "time_passed", "unknown"}
)

FILES: Final = {
    Format.MERMAID: "sign_in.mmd",
    Format.TABLE: "sign_in.md",
    Format.SVG: "sign_in.svg",
}
ACCOUNT_FILES: Final = {
    Format.MERMAID: "account.mmd",
    Format.TABLE: "account.md",
    Format.SVG: "account.svg",
}


def draw(form: Format) -> str:
    """Return the full chart of the sign-in in one format.

    Raises:
        Misconfigured: the format is SVG, and pydot or graphviz is not installed.
    """
    return svg(full()) if form is Format.SVG else _text(SignInMachine, form)


def draw_account(form: Format) -> str:
    """Return the full chart of the account in one format.

    Raises:
        Misconfigured: the format is SVG, and pydot or graphviz is not installed.
    """
    return svg(full_account()) if form is Format.SVG else _text(AccountMachine, form)


def _text(chart: type[StateChart[Any]], form: Format) -> str:
    return f"{format(chart, 'mermaid' if form is Format.MERMAID else 'md').rstrip()}\n"


def write_all(folder: Path) -> list[Path]:
    """Write every diagram in every format into a folder.

    Args:
        folder: created if it is missing.

    Returns:
        The files.

    Raises:
        Misconfigured: pydot or graphviz is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: draw(form) for form, name in FILES.items()}
    texts |= {name: draw_account(form) for form, name in ACCOUNT_FILES.items()}
    for picture in extracts():
        texts[f"{picture.name}.mmd"] = mermaid(picture)
        texts[f"{picture.name}.svg"] = svg(picture)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return [folder / name for name in texts]


def extracts() -> Iterator[Picture]:
    """Return the pictures that show a part of the chart: the overview and one for each group."""
    yield overview()
    for name in GROUPS:
        yield group(name)


# ── the full chart ──


def full() -> Picture:
    """Return the picture of every state, with the transitions that differ between states."""
    edges = (_edge(one) for state in FlowState for one in transitions(state) if is_drawn(one))
    return Picture(
        "sign_in",
        tuple(Node(state, _kind(state), (state.value,)) for state in FlowState),
        _merged(edges),
        _FULL_CAPTION,
    )


def full_account() -> Picture:
    """Return the picture of every state of the account, without the ways to give a change up."""
    # The events between two states, by the guards that not every event has.
    events: dict[tuple[str, str], dict[tuple[str, ...], list[str]]] = {}
    for one in (one for state in AccountState for one in transitions(state)):
        if is_drawn_of_account(one):
            ends = (one.transition.source, one.transition.target)
            guards = tuple(
                f"[{name}]" for name in one.transition.guards if name not in OF_EACH_EVENT
            )
            events.setdefault(ends, {}).setdefault(guards, []).append(one.event or "")
    edges = []
    for (source, target), by_guards in events.items():
        lines: list[str] = []
        for guards, names in by_guards.items():
            lines += [f"{name}," for name in names[:-1]]
            lines += [one for one in (names[-1], *guards) if one]
        edges.append(Edge(source, target, tuple(lines) or ("otherwise",)))
    nodes = tuple(Node(state, _kind(state), (state.value,)) for state in AccountState)
    return Picture("account", nodes, tuple(edges), _ACCOUNT_CAPTION)


def is_drawn_of_account(one: Labelled) -> bool:
    """Return whether the account's chart shows a transition: all but those that give a change up."""
    ends = one.transition.target in {AccountState.MANAGING, AccountState.CLOSED}
    return not (ends and one.event in _GIVES_UP)


def transitions(state: FlowState | AccountState) -> tuple[Labelled, ...]:
    """Return all transitions from a state, in the order in which they are tried."""
    return tuple(
        Labelled(event, transition)
        for event in (*_EVENTS, None)
        for transition in chart_of(state).transitions(state, event)
    )


class Labelled(NamedTuple):
    """A transition with its event.

    Attributes:
        event: None for the transitions out of the junction.
    """

    event: str | None
    transition: CompiledTransition


def is_drawn(one: Labelled) -> bool:
    """Return whether the full chart shows a transition.

    Most transitions lead to `idle` or `failed`, for the same reasons in every state. They would hide
    the others, so the caption describes them once; the table has them all.
    """
    goes_back = one.transition.target in {FlowState.IDLE, FlowState.FAILED}
    return not goes_back or (one.event in EVENTS and one.event != "cancel")


def label_of(one: Labelled) -> tuple[str, ...]:
    """Return the lines of a transition's label: the event, and the guards below it."""
    guards = tuple(f"[{guard}]" for guard in one.transition.guards)
    return (one.event, *guards) if one.event else guards or ("otherwise",)


# ── one group ──


def group(name: str) -> Picture:
    """Return the picture of one group: its transitions with their guards, and how it is entered.

    Args:
        name: key of `GROUPS`.
    """
    states = GROUPS[name]
    if name == "junction":
        edges = [
            _edge(one)._replace(lines=(f"{number}. {' '.join(label_of(one))}",))
            for number, one in enumerate(transitions(FlowState.DECIDING), start=1)
        ]
    else:
        edges = [_edge(one) for state in states for one in transitions(state) if is_in_group(one)]
        edges += [_edge(one) for one in _entries(states)]
    ends = (FlowState(end) for edge in edges for end in (edge.source, edge.target))
    nodes = tuple(
        Node(state, _kind(state), (state.value,), is_outside=state not in states)
        for state in dict.fromkeys((*states, *ends))
    )
    return Picture(f"group-{name}", nodes, _merged(edges), _GROUP_CAPTION)


def _entries(states: tuple[FlowState, ...]) -> Iterator[Labelled]:
    """The transitions by which other groups enter a group: from the junction, and between waits."""
    at_rest = {state for state in states if _kind(state) is Kind.AT_REST}
    for source in FlowState:
        for one in transitions(source) if source not in states else ():
            target = one.transition.target
            if target in at_rest or (source is FlowState.DECIDING and target in states):
                yield one


def is_in_group(one: Labelled) -> bool:
    """Return whether the group pictures show a transition: all but those that every state has."""
    ends = one.transition.target in {FlowState.IDLE, FlowState.FAILED}
    return not (ends and one.event in {"cancel", "time_passed", "unknown"})


# ── the overview ──


def overview() -> Picture:
    """Return the picture for the README: the everyday path, and the groups around it."""
    places = _places()
    path = set(pairwise(EVERYDAY_PATH))
    edges: dict[tuple[str, str], Edge] = {}
    for state in FlowState:
        if state not in places:
            continue
        for one, target in _with_shared_calls(state, places):
            source, end = places[state].name, places[target].name
            if source == end or not _is_in_overview(state, one, target):
                continue
            is_main = (state, target) in path
            has_label = one.event and (is_main or state in GROUPS["everyday"])
            label = (one.event,) if one.event and has_label else ()
            edges.setdefault((source, end), Edge(source, end, label, is_main=is_main))
    return Picture(
        "overview",
        tuple(dict.fromkeys(places.values())),
        tuple(_both_ways(edges)),
        _OVERVIEW_CAPTION,
    )


def _places() -> dict[FlowState, Node]:
    """The node of each state in the overview. A call that two groups share has none."""
    places: dict[FlowState, Node] = {}
    for state in FlowState:
        groups = [name for name, states in GROUPS.items() if state in states]
        if len(groups) > 1:
            continue
        if groups[0] not in _TITLES:
            places[state] = Node(state, _kind(state), (state.value,))
            continue
        members = [one for one in GROUPS[groups[0]] if _is_in_one_group(one)]
        lines = (_TITLES[groups[0]], *(one.value for one in members))
        places[state] = Node(groups[0], Kind.GROUP, lines)
    return places


def _is_in_one_group(state: FlowState) -> bool:
    return sum(state in states for states in GROUPS.values()) == 1


def _with_shared_calls(
    state: FlowState, places: dict[FlowState, Node]
) -> Iterator[tuple[Labelled, FlowState]]:
    """The transitions from a state, each with the end that the overview shows.

    A call that a group shares with others is left out: what follows the call is the end.
    """
    of_group = places[state].kind is Kind.GROUP
    for one in transitions(state):
        target = one.transition.target
        if target in places and not (of_group and target in IN_FLIGHT):
            yield one, target
            continue
        for after in transitions(target):
            # A rejection leads back to where the call came from.
            if after.event != "rejected" and after.transition.target in places.keys() - IN_FLIGHT:
                yield one, after.transition.target


def _is_in_overview(state: FlowState, one: Labelled, target: FlowState) -> bool:
    if target is FlowState.FAILED:
        return one.event == "rejected" and state is FlowState.CHECKING_ANSWER
    # What begins again, or in another way, is left to the group's picture.
    is_repeated = target is FlowState.CHECKING_PASSWORD and state is not FlowState.IDLE
    is_other_way = one.event in _OTHER_WAYS or (
        one.event == "choose_factor" and state in GROUPS["everyday"]
    )
    return not (target is FlowState.IDLE or is_repeated or is_other_way)


def _both_ways(edges: dict[tuple[str, str], Edge]) -> Iterator[Edge]:
    """The edges, with one for each pair that has the same kind of edge in both directions."""
    for (source, target), edge in edges.items():
        back = edges.get((target, source))
        if back is None or edge.is_main or back.is_main:
            yield edge
        elif source == FlowState.DECIDING:
            yield edge._replace(is_both_ways=True)


# ── what all pictures share ──


def _kind(state: FlowState | AccountState) -> Kind:
    if state in {FlowState.DECIDING, AccountState.SETTLING}:
        return Kind.JUNCTION
    if state in IN_FLIGHT:
        return Kind.IN_FLIGHT
    if state in FINAL:
        return Kind.FAILED if state is FlowState.FAILED else Kind.SIGNED_IN
    is_first = state in {FlowState.IDLE, AccountState.MANAGING}
    return Kind.INITIAL if is_first else Kind.AT_REST


def _edge(one: Labelled) -> Edge:
    return Edge(one.transition.source, one.transition.target, label_of(one))


def _merged(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """One edge for each pair of nodes, with the labels of all transitions between them."""
    merged: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        known = merged.get((edge.source, edge.target))
        lines = (*known.lines, *edge.lines) if known else edge.lines
        merged[edge.source, edge.target] = edge._replace(lines=lines)
    return tuple(merged.values())
