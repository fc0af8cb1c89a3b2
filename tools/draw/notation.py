"""A diagram as Mermaid and as DOT: text for README files, wikis and other programs' layouts.

Mermaid's ``flowchart`` is used rather than its ``stateDiagram-v2``: only there may an arrow leave a group, may
a label hold any character, and does a large table stay legible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.tools.draw.diagram import diagram as arrange
from calltable.tools.draw.layout import LONGEST, trim

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from calltable.engine.model.machine import Machine
    from calltable.tools.draw.diagram import Box, Diagram, Line, Node

SHOWN = 6
"""Rows shown on one arrow or in one state; the rest is a count."""
NARROW = 30
"""Mermaid breaks the lines of an arrow's label at 200 pixels, about this many characters."""


def mermaid(machine: Machine, *, show: Collection[str] = ()) -> str:
    """One table as a Mermaid flowchart."""
    return "\n".join(_mermaid(arrange(machine, show=show))) + "\n"


def dot(machine: Machine, *, show: Collection[str] = ()) -> str:
    """One table as a Graphviz graph that ``dot`` lays out as it stands."""
    return "\n".join(_dot(arrange(machine, show=show))) + "\n"


def texts(lines: list[Line], longest: int = LONGEST) -> list[str]:
    """The rows of a label, two lines each at most, trimmed; and a count where there are too many."""
    shown = [part for line in lines[:SHOWN] for part in _brief(line, longest)]
    return [*shown, f"and {len(lines) - SHOWN} more rows"] if len(lines) > SHOWN else shown


def _brief(line: Line, longest: int) -> Iterator[str]:
    event = trim(line.event, longest)
    guard = f" [{trim(line.guard, max(12, longest - len(event)))}]" if line.guard else ""
    yield event + guard
    goes = f"→ {line.goes}" if line.goes else ""
    does = trim("/ " + "; ".join(line.brief), longest) if line.brief else ""
    if does or goes:
        yield f"{does} {goes}".strip()


def _inside(node: Node) -> list[str]:
    counts = [" · ".join(f"{count} {kind}" for kind, count in node.folded.items())] if node.folded else []
    return texts(node.lines) + counts


# --------------------------------------------------------------------------- Mermaid


def _quoted(parts: list[str]) -> str:
    """A Mermaid string: entities for what it would read as markup, ``<br/>`` between lines."""
    entities = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "*": "#42;", "_": "#95;"}
    return '"' + "<br/>".join("".join(entities.get(letter, letter) for letter in part) for part in parts) + '"'


def _mermaid(made: Diagram) -> Iterator[str]:
    yield f"%% {made.machine.name}"
    yield '%%{init: {"flowchart": {"wrappingWidth": 420, "nodeSpacing": 90, "rankSpacing": 60}}}%%'
    yield "flowchart TB"
    yield "  start(( )) --> " + made.nodes[made.machine.initial].id
    for box in made.roots():
        yield from _mermaid_box(made, box, "  ")
    for node in made.loose():
        yield _mermaid_node(node, "  ")
    for edge in made.edges:
        yield f"  {edge.source} -->|{_quoted(texts(edge.lines, NARROW))}| {edge.target}"
    yield "  classDef final stroke-width:3px"
    yield "  classDef note fill:none,stroke-dasharray:2 3"
    yield "  classDef pill stroke-dasharray:4 3"
    yield "  classDef dot fill:#555,stroke:#555"
    yield "  class start dot"


def _mermaid_box(made: Diagram, box: Box, indent: str) -> Iterator[str]:
    yield f"{indent}subgraph {box.id}[{_quoted([box.name])}]"
    if box.lines:  # Mermaid draws a long heading over what is in the box
        yield f"{indent}  in_{box.id}[{_quoted([f'in every state of {box.name}', *texts(box.lines)])}]:::note"
    for state in box.own():
        yield _mermaid_node(made.nodes[state], indent + "  ")
    for inner in box.boxes:
        yield from _mermaid_box(made, inner, indent + "  ")
    yield f"{indent}end"


def _mermaid_node(node: Node, indent: str) -> str:
    label = _quoted([node.name, *_inside(node)])
    if node.pill:
        return f"{indent}{node.id}([{label}]):::pill"
    return f"{indent}{node.id}([{label}]):::final" if node.final else f"{indent}{node.id}({label})"


# --------------------------------------------------------------------------- DOT


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _lines(parts: list[str]) -> str:
    """A DOT string of left-aligned lines."""
    return '"' + "".join(_escaped(part) + "\\l" for part in parts) + '"'


def _tooltip(lines: list[Line]) -> str:
    return '"' + "\\n".join(_escaped(line.tooltip).replace("\n", "\\n") for line in lines) + '"'


def _dot(made: Diagram) -> Iterator[str]:
    yield f'digraph "{_escaped(made.machine.name)}" {{'
    yield "  compound=true; ranksep=0.5; nodesep=0.4;"
    yield '  graph [fontname="Helvetica", fontsize=12, style=rounded, color="#9fb2d0", labeljust=l];'
    yield '  node [fontname="Helvetica", fontsize=11, shape=box, style=rounded, color="#8c99ac"];'
    yield '  edge [fontname="Helvetica", fontsize=10, color="#7f8b9c", arrowsize=0.7];'
    yield f'  start [shape=point, width=0.15]; start -> "{made.nodes[made.machine.initial].id}";'
    for box in made.roots():
        yield from _dot_box(made, box, "  ")
    for node in made.loose():
        yield _dot_node(node, "  ")
    for edge in made.edges:
        source, tail = edge.source, ""
        for box in made.boxes.values():
            if box.id == source:
                source, tail = made.nodes[box.states[len(box.states) // 2]].id, f', ltail="cluster_{box.id}"'
        yield (
            f'  "{source}" -> "{edge.target}" '
            f"[label={_lines(texts(edge.lines))}, tooltip={_tooltip(edge.lines)}, labeltooltip={_tooltip(edge.lines)}{tail}];"
        )
    yield "}"


def _dot_box(made: Diagram, box: Box, indent: str) -> Iterator[str]:
    yield f'{indent}subgraph "cluster_{box.id}" {{'
    yield f"{indent}  label={_lines([box.name, *texts(box.lines)])};"
    for state in box.own():
        yield _dot_node(made.nodes[state], indent + "  ")
    for inner in box.boxes:
        yield from _dot_box(made, inner, indent + "  ")
    yield f"{indent}}}"


def _dot_node(node: Node, indent: str) -> str:
    shape = ", peripheries=2" if node.final else ', style="rounded,dashed"' if node.pill else ""
    inside = _inside(node)
    label = _lines([node.name, *inside]) if inside else f'"{_escaped(node.name)}"'
    return f'{indent}"{node.id}" [label={label}, tooltip="{_escaped(node.doc or node.name)}"{shape}];'
