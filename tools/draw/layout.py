"""Where everything of a diagram goes: a diagram in, positions out.

Graphviz' ``dot`` decides the places and routes the arrows; it is asked through pygraphviz, whose wheels bring
Graphviz along, so that drawing works on a machine without it. All sizes are computed beforehand (``label.py``) and
handed over as fixed, empty boxes: the layout does not depend on the fonts of the machine that draws, and
``picture.py`` can write the text as it likes.

Lengths are points (1/72 inch, one unit of the SVG); y grows downwards.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calltable.tools.draw.label import PAD, TITLE, Block, Span, TextLine, edge_block, node_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calltable.tools.draw.diagram import Box, Diagram, Edge, Node
    from calltable.tools.draw.options import Detail

Point = tuple[float, float]


class LayoutUnavailableError(Exception):
    """Graphviz is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A node, a box or an edge's label: the centre, the size and the text. Boxes have their text on top."""

    x: float
    y: float
    width: float
    height: float
    text: Block


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow: a cubic spline (start, then three points a piece), where its tip is, and its label."""

    points: tuple[Point, ...]
    tip: Point | None
    label: Placed | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is; ``nodes``, ``boxes`` and ``edges`` by their ids in the diagram."""

    width: float
    height: float
    nodes: dict[str, Placed]
    boxes: dict[str, Placed]
    edges: dict[str, Route]
    start: Route | None
    dot: Point | None
    """The centre of the black dot that points at the initial state."""


# --------------------------------------------------------------------------- graphviz


def layout(diagram: Diagram, detail: Detail = "rows", *, shape: float = 1.5) -> Layout:
    """Let Graphviz place ``diagram`` on a screen that is ``shape`` times as wide as high.

    A placement takes some ten milliseconds, so a few are made and the one that fits the screen best is taken,
    from top to bottom unless from left to right is much better. Raises ``LayoutUnavailableError`` where pygraphviz is
    not installed.
    """
    graph = _Graph(diagram, detail)

    def room(placed: dict[str, object]) -> float:
        """The height of the screen that would hold the whole picture."""
        left, bottom, right, top = _numbers(placed["bb"])
        return max((right - left) / shape, top - bottom)

    down, right = (min((_dot(graph.source(way, effort, turned=turned)) for effort in (1, 8) for turned in (False, True)), key=room) for way in ("TB", "LR"))
    return graph.read(right if room(right) < room(down) * 0.8 else down)


def _dot(source: str) -> dict[str, object]:
    placed: dict[str, object] = json.loads(graphviz(source, "json0"))
    return placed


def graphviz(source: str, form: str, *options: str) -> bytes:
    """What Graphviz' ``dot`` makes of a graph. Raises ``LayoutUnavailableError`` where pygraphviz is not installed."""
    try:
        import pygraphviz  # noqa: PLC0415 — an extra, and slow to import
    except ImportError as error:
        raise LayoutUnavailableError(
            "SVG, PNG and HTML need Graphviz: pip install 'calltable[diagrams]' brings it along (no root needed). "
            "Mermaid (.mmd) and DOT (.dot) work without."
        ) from error
    with pygraphviz.AGraph(string=source) as graph:
        made: bytes = graph.draw(format=form, prog="dot", args=" ".join(options))
    return made


def _room(block: Block, pad: float = 4.0) -> str:
    """An empty label of a fixed size, in DOT."""
    width, height = round(block.width + 2 * pad), round(block.height + pad)
    return f'<<TABLE BORDER="0" FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="{height}"><TR><TD></TD></TR></TABLE>>'


class _Graph:
    def __init__(self, diagram: Diagram, detail: Detail) -> None:
        self.diagram = diagram
        self.apart = {"rows": 0.3, "events": 0.2, "states": 0.18}[detail]
        self.nodes = {node.id: node_block(node, detail) for node in diagram.nodes.values()}
        self.boxes = {
            box.id: Block((TextLine((Span(box.name, "title"),), size=TITLE),)) for box in diagram.boxes.values()
        }
        self.edges = {edge.id: edge_block(edge.lines, detail) for edge in diagram.edges}

    def source(self, way: str, effort: int, *, turned: bool) -> str:
        """The graph in DOT, without any text: ``way`` is its direction, ``effort`` goes into avoiding crossings.

        ``turned`` names everything in the opposite order, from which Graphviz often finds quite another placement.
        """
        return "\n".join(self._source(way, effort, -1 if turned else 1))

    def _source(self, way: str, effort: int, step: int) -> Iterator[str]:
        yield "digraph {"
        yield f"compound=true; rankdir={way}; mclimit={effort}; nodesep={self.apart}; ranksep={self.apart}; pad=0.1;"
        yield 'node [shape=box, fixedsize=true, label=""]; edge [arrowsize=0.7];'
        if self.diagram.initial:
            yield f"start [width=0.18, height=0.18]; start -> {self.diagram.initial.id} [minlen=1, weight=10];"
        for box in self.diagram.roots()[::step]:
            yield from self._box(box)
        for node in self.diagram.loose()[::step]:
            yield self._node(node)
        for edge in self.diagram.edges[::step]:
            yield self._edge(edge)
        yield "}"

    def _box(self, box: Box) -> Iterator[str]:
        yield f"subgraph cluster_{box.id} {{ margin=14; labeljust=l; label={_room(self.boxes[box.id])};"
        for node in self.diagram.inside(box):
            yield self._node(node)
        for inner in box.boxes:
            yield from self._box(inner)
        yield "}"

    def _node(self, node: Node) -> str:
        text = self.nodes[node.id]
        width = max(text.width + 2 * PAD, 76.0) / 72
        height = (text.height + 1.4 * PAD) / 72
        return f"{node.id} [width={width:.3f}, height={height:.3f}];"

    def _edge(self, edge: Edge) -> str:
        # An arrow cannot leave a box as such: it leaves the state in the middle and is clipped at the border.
        source, box = self.diagram.tail(edge)
        extra = f", ltail=cluster_{box}" if box else ""
        return f"{source} -> {edge.target} [id={edge.id}, label={_room(self.edges[edge.id])}{extra}];"

    def read(self, placed: dict[str, object]) -> Layout:
        """Graphviz' JSON as positions."""
        left, bottom, right, top = _numbers(placed["bb"])
        objects: list[dict[str, str]] = placed.get("objects", [])  # type: ignore[assignment]
        arrows: list[dict[str, str]] = placed.get("edges", [])  # type: ignore[assignment]

        def point(text: str) -> Point:
            x, y = _numbers(text)
            return (x - left, top - y)

        nodes: dict[str, Placed] = {}
        boxes: dict[str, Placed] = {}
        dot = None
        for item in objects:
            name = item["name"]
            if name.startswith("cluster_"):
                x0, y0, x1, y1 = _numbers(item["bb"])
                name = name.removeprefix("cluster_")
                boxes[name] = Placed((x0 + x1) / 2 - left, top - (y0 + y1) / 2, x1 - x0, y1 - y0, self.boxes[name])
            elif name == "start":
                dot = point(item["pos"])
            else:
                x, y = point(item["pos"])
                size = (float(item["width"]) * 72, float(item["height"]) * 72)
                nodes[name] = Placed(x, y, *size, self.nodes[name])
        edges: dict[str, Route] = {}
        start = None
        for item in arrows:
            points, tip = _spline(item["pos"], point)
            name = item.get("id", "")
            if not name:
                start = Route(points, tip, None)
                continue
            text = self.edges[name]
            x, y = point(item["lp"])
            edges[name] = Route(points, tip, Placed(x, y, text.width, text.height, text))
        return Layout(right - left, top - bottom, nodes, boxes, edges, start, dot)


def _numbers(text: object) -> tuple[float, ...]:
    return tuple(float(number) for number in re.split(r"[ ,]", str(text)))


def _spline(text: str, point: Callable[[str], Point]) -> tuple[tuple[Point, ...], Point | None]:
    tip = None
    points: list[Point] = []
    for part in text.split():
        if part.startswith("e,"):
            tip = point(part[2:])
        elif not part.startswith("s,"):
            points.append(point(part))
    return tuple(points), tip
