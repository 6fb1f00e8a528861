"""Draws a `Picture` as SVG, with pydot and graphviz."""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import Any

from oncegate import Misconfigured
from oncegate_cli._picture import FILL, MAIN_COLOUR, OUTSIDE_FILL, Edge, Kind, Node, Picture

_OVERVIEW = {"rankdir": "TB", "fontsize": "14", "nodesep": "0.15", "ranksep": "0.4"}
_OTHERS = {"rankdir": "LR", "fontsize": "11", "nodesep": "0.3", "ranksep": "0.6"}


def svg(picture: Picture) -> str:
    """Return a picture as SVG.

    Raises:
        Misconfigured: pydot or graphviz is not installed.
    """
    try:
        pydot: Any = import_module("pydot")
    except ModuleNotFoundError:
        raise Misconfigured("an SVG needs pydot: pip install pydot") from None
    is_overview = picture.name == "overview"
    size = _OVERVIEW if is_overview else _OTHERS
    font = {"fontname": "Helvetica", "fontsize": size["fontsize"]}
    graph = pydot.Dot(
        rankdir=size["rankdir"],
        nodesep=size["nodesep"],
        ranksep=size["ranksep"],
        bgcolor="white",
        label=_lines_label(picture.caption),
        **font,
    )
    for node in picture.nodes:
        graph.add_node(pydot.Node(_quoted(node.name), **_node_style(node), **font))
    edge_font = font if is_overview else {**font, "fontsize": "9"}
    for edge in picture.edges:
        ends = (_quoted(edge.source), _quoted(edge.target))
        graph.add_edge(pydot.Edge(*ends, **_edge_style(edge), **edge_font))
    try:
        drawn: bytes = graph.create_svg()
    except OSError as error:
        raise Misconfigured(f"an SVG needs graphviz: {error}") from None
    return drawn.decode()


def _node_style(node: Node) -> dict[str, str]:
    styles = {Kind.IN_FLIGHT: "rounded,filled,dashed", Kind.JUNCTION: "filled"}
    is_grey = node.is_outside and node.kind is not Kind.JUNCTION
    is_final = node.kind in {Kind.SIGNED_IN, Kind.FAILED}
    return {
        "shape": "diamond" if node.kind is Kind.JUNCTION else "box",
        "style": _quoted(styles.get(node.kind, "rounded,filled")),
        "fillcolor": _quoted(OUTSIDE_FILL if is_grey else FILL[node.kind]),
        "color": _quoted("#999999" if is_grey else "#333333"),
        "peripheries": "2" if is_final else "1",
        "penwidth": "3" if node.kind is Kind.INITIAL else "1",
        "margin": _quoted("0.02,0.02" if node.kind is Kind.JUNCTION else "0.12,0.06"),
        "label": _group_label(node.lines) if node.kind is Kind.GROUP else _quoted(node.lines[0]),
    }


def _edge_style(edge: Edge) -> dict[str, str]:
    # The space keeps the label off its line.
    style = (
        {"label": _lines_label(tuple(f"\N{NO-BREAK SPACE}{line}" for line in edge.lines))}
        if edge.lines
        else {}
    )
    if edge.is_main:
        style |= {"color": _quoted(MAIN_COLOUR), "penwidth": "3", "weight": "10"}
        style |= {"fontcolor": _quoted(MAIN_COLOUR)}
    if edge.is_both_ways:
        style["dir"] = "both"
    return style


def _group_label(lines: tuple[str, ...]) -> str:
    title, *states = map(escape, lines)
    return f"<{'<br/>'.join((f'<b>{title}</b>', *states))}>"


def _lines_label(lines: tuple[str, ...]) -> str:
    return _quoted("".join(f"{line}\\l" for line in lines))


def _quoted(text: str) -> str:
    return f'"{text}"'
