"""``oncegate diagram``: the machine as a picture and as tables, drawn from the class."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from statemachine import State

from oncegate import FlowState, Misconfigured
from oncegate.machine.advance import EVENTS
from oncegate.machine.chart import SignInMachine
from oncegate.states import IN_FLIGHT
from oncegate_cli.options import Format

FILES = {
    Format.MERMAID: "sign_in.mmd",
    Format.TABLE: "sign_in.md",
    Format.SVG: "sign_in.svg",
}


def draw(form: Format) -> str:
    """The machine in one format.

    Raises:
        Misconfigured: an SVG needs pydot and Debian's graphviz.
    """
    match form:
        case Format.MERMAID:
            return f"{format(SignInMachine, 'mermaid').rstrip()}\n"
        case Format.TABLE:
            return f"{format(SignInMachine, 'md').rstrip()}\n"
        case Format.SVG:
            return _svg()


_FONT = {"fontname": "Helvetica", "fontsize": "11"}
_LEGEND = (
    "blue: waits for a person     dashed: a call to Cognito is under way, saved before it left\\n"
    "not drawn, the same everywhere: cancel ends in failed; a deadline or a lease that has passed, an "
    "outcome that is unknown, and a dead challenge lead to idle; other refusals to failed"
)


def is_drawn(transition: Any) -> bool:
    """Whether the picture has this arrow.

    Most arrows lead back to the start or to the end, the same from every state; drawn, they bury the
    others. The legend says them once, and the table has them all.
    """
    goes_back = transition.target.value in {FlowState.IDLE, FlowState.FAILED}
    event = str(transition.event or "")
    return not goes_back or (event in EVENTS and event != "cancel")


def label_of(transition: Any) -> list[str]:
    """What stands at an arrow: the event, and below it the guards."""
    guards = [f"[{guard}]" for guard in transition.cond]
    return [*([str(transition.event)] if transition.event else []), *guards]


def _svg() -> str:
    try:
        pydot: Any = import_module("pydot")
    except ModuleNotFoundError:
        raise Misconfigured("an SVG needs pydot: pip install pydot") from None

    graph = pydot.Dot(
        rankdir="LR",
        nodesep="0.3",
        ranksep="0.6",
        bgcolor="white",
        label=_quoted(_LEGEND),
        **_FONT,
    )
    for state in SignInMachine.states:
        graph.add_node(_node(state, pydot))
    for state in SignInMachine.states:
        for target, words in _arrows(state).items():
            graph.add_edge(
                pydot.Edge(
                    _quoted(state.value),
                    _quoted(target),
                    label=_quoted("\\n".join(words)),
                    **_FONT | {"fontsize": "9"},
                )
            )
    try:
        drawn: bytes = graph.create_svg()
    except OSError as error:
        raise Misconfigured(f"an SVG needs Debian's graphviz: {error}") from None
    return drawn.decode()


def _node(state: State, pydot: Any) -> Any:
    in_flight = state.value in IN_FLIGHT
    return pydot.Node(
        _quoted(state.value),
        shape="box",
        style=_quoted("rounded,filled,dashed" if in_flight else "rounded,filled"),
        fillcolor=_fill(state),
        peripheries="2" if state.final else "1",
        penwidth="3" if state.initial else "1",
        **_FONT,
    )


def _fill(state: State) -> str:
    if state.value in IN_FLIGHT:
        return "#fff4d6"
    if state.final:
        return "#f7dfdf" if state.value == FlowState.FAILED else "#dcefdc"
    return "#dfeaf7"


def _arrows(state: State) -> dict[str, list[str]]:
    """What leads from a state, by target. Outcomes that lead to one place share an arrow."""
    arrows: dict[str, list[str]] = {}
    for transition in state.transitions:
        assert transition.target is not None
        if is_drawn(transition):
            arrows.setdefault(transition.target.value, []).extend(label_of(transition))
    return arrows


def _quoted(text: str) -> str:
    return f'"{text}"'


def write_all(folder: Path) -> list[Path]:
    """Write every format into a folder.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for form, name in FILES.items():
        path = folder / name
        path.write_text(draw(form), "utf-8")
        written.append(path)
    return written
