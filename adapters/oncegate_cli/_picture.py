"""`Picture`: nodes and edges of a diagram, and their text in Mermaid."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a node stands for; it decides the shape and the colour."""

    INITIAL = "initial"
    AT_REST = "at_rest"
    IN_FLIGHT = "in_flight"
    SIGNED_IN = "signed_in"
    FAILED = "failed"
    JUNCTION = "junction"
    GROUP = "group"


FILL = {
    Kind.INITIAL: "#dfeaf7",
    Kind.AT_REST: "#dfeaf7",
    Kind.IN_FLIGHT: "#fff4d6",
    Kind.SIGNED_IN: "#dcefdc",
    Kind.FAILED: "#f7dfdf",
    Kind.JUNCTION: "#e4def2",
    Kind.GROUP: "#ffffff",
}
OUTSIDE_FILL = "#eeeeee"
MAIN_COLOUR = "#1a4f8b"


class Node(NamedTuple):
    """One node.

    Attributes:
        name: identifies it in its picture.
        kind: what it stands for.
        lines: its text; the first line of a group is its title.
        is_outside: whether it belongs to another group and is drawn grey, unless it is the junction.
    """

    name: str
    kind: Kind
    lines: tuple[str, ...]
    is_outside: bool = False


class Edge(NamedTuple):
    """One edge.

    Attributes:
        source: name of a node.
        target: name of a node.
        lines: its label.
        is_main: whether it is on the marked path.
        is_both_ways: whether it stands for both directions.
    """

    source: str
    target: str
    lines: tuple[str, ...] = ()
    is_main: bool = False
    is_both_ways: bool = False


class Picture(NamedTuple):
    """One diagram.

    Attributes:
        name: file name without the suffix.
        nodes: in a fixed order.
        edges: in a fixed order.
        caption: lines of text below it.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    caption: tuple[str, ...]


def mermaid(picture: Picture) -> str:
    """Return a picture as a Mermaid flowchart."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    for text in picture.caption:
        yield f"%% {text}"
    yield "flowchart LR"
    for node in picture.nodes:
        opening, closing = ("{", "}") if node.kind is Kind.JUNCTION else ("(", ")")
        is_grey = node.is_outside and node.kind is not Kind.JUNCTION
        style = "outside" if is_grey else node.kind.value
        yield f'    {node.name}{opening}"{_text(node.lines)}"{closing}:::{style}'
    for edge in picture.edges:
        line = "<-->" if edge.is_both_ways else "==>" if edge.is_main else "-->"
        label = f'|"{_text(edge.lines)}"|' if edge.lines else ""
        yield f"    {edge.source} {line}{label} {edge.target}"
    marked = [str(number) for number, edge in enumerate(picture.edges) if edge.is_main]
    if marked:
        yield f"    linkStyle {','.join(marked)} stroke:{MAIN_COLOUR},stroke-width:3px"
    for kind, fill in FILL.items():
        dashes = ",stroke-dasharray:4" if kind is Kind.IN_FLIGHT else ""
        yield f"    classDef {kind} fill:{fill},stroke:#333,color:#000{dashes}"
    yield f"    classDef outside fill:{OUTSIDE_FILL},stroke:#999,color:#000"


def _text(lines: tuple[str, ...]) -> str:
    return "<br>".join(lines)
