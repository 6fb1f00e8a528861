"""``oncegate diagram``: the machine as a picture and as tables, drawn from the class."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

from statemachine import State

from oncegate import FlowState, Misconfigured
from oncegate.flow import IN_FLIGHT
from oncegate.machine import SignInMachine


class Format(StrEnum):
    """How the machine can be shown."""

    MERMAID = "mermaid"
    TABLE = "table"
    SVG = "svg"


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


# Most arrows lead back to the start or to the end. Drawn as such they bury the picture, so these two
# are drawn again, small, beside each state that leads there.
_REPEATED = {FlowState.IDLE, FlowState.FAILED}
_FONT = {"fontname": "Helvetica", "fontsize": "11"}


def _svg() -> str:
    try:
        pydot: Any = import_module("pydot")
    except ModuleNotFoundError:
        raise Misconfigured("an SVG needs pydot: pip install pydot") from None

    graph = pydot.Dot(rankdir="LR", nodesep="0.25", ranksep="0.45", bgcolor="white")
    for state in SignInMachine.states:
        graph.add_node(_node(state, pydot))
    for state in SignInMachine.states:
        for target, words in _arrows(state).items():
            end = target
            if target in _REPEATED and state.value not in _REPEATED:
                end = f"{state.value} to {target}"
                graph.add_node(
                    pydot.Node(
                        _quoted(end), label=target, shape="plaintext", **_FONT, fontcolor="#666666"
                    )
                )
            graph.add_edge(
                pydot.Edge(
                    _quoted(state.value),
                    _quoted(end),
                    label=_quoted("\\n".join(words)),
                    color="#999999" if target in _REPEATED else "black",
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
    """What leads from a state, by target: the event, and the guards in brackets."""
    arrows: dict[str, list[str]] = {}
    for transition in state.transitions:
        assert transition.target is not None
        guards = ", ".join(str(guard) for guard in transition.cond)
        words = f"{transition.event or ''} [{guards}]" if guards else str(transition.event)
        arrows.setdefault(transition.target.value, []).append(words.strip())
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
