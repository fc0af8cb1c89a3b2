"""Where everything of a diagram goes: a diagram in, positions out.

Graphviz' ``dot`` decides the places and routes the arrows; it is asked through pygraphviz, whose wheels bring
Graphviz along, so that drawing works on a machine without it. All sizes are computed here from the metrics of
one sans-serif face and handed over as fixed, empty boxes: the layout does not depend on the fonts of the
machine that draws, and ``picture.py`` can write the text as it likes.

Lengths are points (1/72 inch, one unit of the SVG); y grows downwards.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calltable.tools.draw.diagram import Box, Diagram, Edge, Line, Node

SIZE = 11.0
"""Font size of the rows."""
TITLE = 13.0
"""Font size of state names."""
LEADING = 14.0
GAP = 5.0
"""Between two rows."""
PAD = 9.0
LONGEST = 40
"""Characters of a line of an edge or a state; the tooltip and the page have the whole."""
SHOWN = 7
"""Rows shown on one edge or in one state; the rest is a count."""

Point = tuple[float, float]


class LayoutUnavailableError(Exception):
    """Graphviz is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style: ``event <category>``, ``guard``, ``effect``, ``goes``, ``more``, ``title``, ``doc``, ``fold``."""

    text: str
    style: str


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text of one size: spans one after the other."""

    spans: tuple[Span, ...]
    size: float = SIZE
    gap: float = 0.0
    """Extra room above."""
    row: Line | None = None
    """The row that the line is about; none for titles and counts."""

    @property
    def width(self) -> float:
        """About how wide it is drawn."""
        return sum(measure(span.text, self.size, bold=span.style.startswith(("event", "title"))) for span in self.spans)


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of text and the room they take."""

    lines: tuple[TextLine, ...]

    @property
    def width(self) -> float:
        """The width of the widest line."""
        return max((line.width for line in self.lines), default=0.0)

    @property
    def height(self) -> float:
        """The lines with the room above each."""
        return sum(line.size / SIZE * LEADING + line.gap for line in self.lines)


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
    notes: dict[str, Placed]
    """For a box with rows that stay, by the box's id: where in it they are listed."""
    edges: dict[str, Route]
    start: Route | None
    dot: Point | None
    """The centre of the black dot that points at the initial state."""


# --------------------------------------------------------------------------- text

_WIDTHS = dict.fromkeys("ijl'|", 0.222) | dict.fromkeys("fIt .,:;/!()[]", 0.278) | {"r": 0.333, "-": 0.333}
_WIDTHS |= dict.fromkeys("csvxyzkJ", 0.5) | {"w": 0.722, "m": 0.833, "M": 0.833, "W": 0.944, "@": 1.0, "%": 0.889}
_WIDTHS |= dict.fromkeys("ABEKPSVXY", 0.667) | dict.fromkeys("CDHNRUw", 0.722) | dict.fromkeys("GOQ", 0.778)
_WIDTHS |= dict.fromkeys("…↑⏱↻", 1.0) | dict.fromkeys("=<>+", 0.584) | {'"': 0.355, "{": 0.334, "}": 0.334, "$": 0.556}
_SLACK = 1.05
"""Helvetica's widths serve for its look-alikes, give or take this much."""


def measure(text: str, size: float, *, bold: bool = False) -> float:
    """About how wide the text is drawn."""
    return sum(_WIDTHS.get(letter, 0.556) for letter in text) * size * _SLACK * (1.06 if bold else 1.0)


def trim(text: str, longest: int = LONGEST) -> str:
    """The text, cut to ``longest`` characters with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def row_lines(row: Line, gap: float) -> Iterator[TextLine]:
    """One row in two lines at most: ``event [guard]`` and what it does."""
    event = trim(row.event)
    spans = [Span(event, f"event {row.category}")]
    left = LONGEST + 4 - len(event)
    if row.guard and left >= min(12, len(row.guard) + 3):
        spans.append(Span(f" [{trim(row.guard, left - 3)}]", "guard"))
    elif row.guard:
        yield TextLine(tuple(spans), gap=gap, row=row)
        spans, gap = [Span(f"[{trim(row.guard)}]", "guard")], 0.0
    yield TextLine(tuple(spans), gap=gap, row=row)
    goes = f" → {row.goes}" if row.goes else ""
    if row.brief or goes:
        does = trim("/ " + "; ".join(row.brief), LONGEST - len(goes)) if row.brief else ""
        yield TextLine((Span(does, "effect"), Span(goes.removeprefix("" if does else " "), "goes")), row=row)


def block(rows: list[Line], shown: int = SHOWN) -> Block:
    """The rows of an edge as text: the first ones, and how many more there are."""
    if len(rows) == shown + 1:
        shown += 1
    lines = [text for number, row in enumerate(rows[:shown]) for text in row_lines(row, GAP if number else 0.0)]
    if len(rows) > shown:
        lines.append(TextLine((Span(f"and {len(rows) - shown} more rows", "more"),), gap=GAP))
    return Block(tuple(lines))


def node_block(node: Node) -> Block:
    """What stands in a state: its name, its doc, the rows that stay, and the counts of what it does not take."""
    lines = [TextLine((Span(node.name, "title"),), size=TITLE)]
    if node.doc:
        lines.append(TextLine((Span(trim(node.doc), "doc"),)))
    rows = block(node.lines).lines
    lines += [TextLine(line.spans, line.size, line.gap if number else PAD, line.row) for number, line in enumerate(rows)]
    if node.folded:
        counts = " · ".join(f"{count} {kind}" for kind, count in node.folded.items())
        lines.append(TextLine((Span(counts, "fold"),), gap=GAP))
    return Block(tuple(lines))


def note_block(box: Box) -> Block:
    """The rows that stay in whichever state of the box they are. A heading would be run over by arrows."""
    return Block((TextLine((Span(f"in every state of {box.name}", "doc"),)), *block(box.lines).lines))


# --------------------------------------------------------------------------- graphviz


def layout(diagram: Diagram) -> Layout:
    """Let Graphviz place ``diagram``. Raises ``LayoutUnavailableError`` where pygraphviz is not installed.

    A placement takes some ten milliseconds, so a few are made and the one that fits a screen best is taken,
    from top to bottom unless from left to right is much better.
    """
    graph = _Graph(diagram)
    down, right = (
        min((_dot(graph.source(way, effort)) for effort in (1, 8)), key=_size) for way in ("TB", "LR")
    )
    return graph.read(right if _size(right) < _size(down) * 0.8 else down)


def _size(placed: dict[str, object]) -> float:
    """The height of the screen, three wide by two high, that would hold the whole picture."""
    left, bottom, right, top = _numbers(placed["bb"])
    return max((right - left) / 1.5, top - bottom)


def _dot(source: str) -> dict[str, object]:
    try:
        import pygraphviz  # noqa: PLC0415 — an extra, and slow to import
    except ImportError as error:
        raise LayoutUnavailableError(
            "SVG and HTML need Graphviz: pip install 'calltable[diagrams]' brings it along (no root needed). "
            "Mermaid (.mmd) and DOT (.dot) work without."
        ) from error
    with pygraphviz.AGraph(string=source) as graph:
        placed: dict[str, object] = json.loads(graph.draw(format="json0", prog="dot"))
    return placed


def _room(block: Block, pad: float = 4.0) -> str:
    """An empty label of a fixed size, in DOT."""
    width, height = round(block.width + 2 * pad), round(block.height + pad)
    return f'<<TABLE BORDER="0" FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="{height}"><TR><TD></TD></TR></TABLE>>'


class _Graph:
    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.nodes = {node.id: node_block(node) for node in diagram.nodes.values()}
        self.boxes = {
            box.id: Block((TextLine((Span(box.name, "title"),), size=TITLE),)) for box in diagram.boxes.values()
        }
        self.notes = {box.id: note_block(box) for box in diagram.boxes.values() if box.lines}
        self.edges = {edge.id: block(edge.lines) for edge in diagram.edges}

    def source(self, way: str, effort: int) -> str:
        """The graph in DOT, without any text: ``way`` is its direction, ``effort`` goes into avoiding crossings."""
        return "\n".join(self._source(way, effort))

    def _source(self, way: str, effort: int) -> Iterator[str]:
        yield "digraph {"
        yield f"compound=true; rankdir={way}; mclimit={effort}; nodesep=0.3; ranksep=0.3; pad=0.1;"
        yield 'node [shape=box, fixedsize=true, label=""]; edge [arrowsize=0.7];'
        initial = self.diagram.nodes[self.diagram.machine.initial].id
        yield f"start [width=0.18, height=0.18]; start -> {initial} [minlen=1, weight=10];"
        for box in self.diagram.roots():
            yield from self._box(box)
        for node in self.diagram.loose():
            yield self._node(node)
        for edge in self.diagram.edges:
            yield self._edge(edge)
        yield "}"

    def _box(self, box: Box) -> Iterator[str]:
        yield f"subgraph cluster_{box.id} {{ margin=14; labeljust=l; label={_room(self.boxes[box.id])};"
        if box.lines:
            yield self._place(f"note_{box.id}", self.notes[box.id])
        for state in box.own():
            yield self._node(self.diagram.nodes[state])
        for inner in box.boxes:
            yield from self._box(inner)
        yield "}"

    def _node(self, node: Node) -> str:
        return self._place(node.id, self.nodes[node.id])

    def _place(self, name: str, text: Block) -> str:
        width = max(text.width + 2 * PAD, 76.0) / 72
        height = (text.height + 1.4 * PAD) / 72
        return f"{name} [width={width:.3f}, height={height:.3f}];"

    def _edge(self, edge: Edge) -> str:
        source, extra = edge.source, ""
        for box in self.diagram.boxes.values():
            if box.id == source:
                # An arrow cannot leave a box as such: it leaves the state in the middle and is clipped at the border.
                state = box.states[len(box.states) // 2]
                source, extra = self.diagram.nodes[state].id, f", ltail=cluster_{box.id}"
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
        notes: dict[str, Placed] = {}
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
                if name.startswith("note_"):
                    name = name.removeprefix("note_")
                    notes[name] = Placed(x, y, *size, self.notes[name])
                else:
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
        return Layout(right - left, top - bottom, nodes, boxes, notes, edges, start, dot)


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
