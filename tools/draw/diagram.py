"""A machine as something to draw: nodes, boxes, and few enough edges to read.

A table of eighty rows over nine states is a knot if every (row, state) pair becomes an arrow. So:

- rows with the same source and target share one edge, one line of label each;
- a row on a group leaves from the group's *box*, once, not from each state in it;
- a row on ``any`` or on a list, or on a group that cannot be a box because it overlaps another, leaves
  from a *pill*: a small dashed node that names the states it stands for;
- a row that stays where it is (UML: an internal transition) is a line inside its state; one on a group is a line of
  the group's *note*, a small dashed node in the box, from which rows of the group to one of its own states leave too;
- ``ignore``, ``refuse`` and ``defer`` rows are folded into counts, unless they are asked for;
- rows that end the session can be folded into lines (``… → terminated``) of the state that they leave. In a crowded
  diagram they are, except where they are a state's only way on; ``fold_final`` decides it for the whole diagram.

The formats (``notation.py``, ``picture.py``) and the page walk this object and decide nothing
about the table themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from calltable.engine.model import ANY, STARTED, WIDEST, cells
from calltable.tools.draw.row import line, overlay

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from calltable.engine.model import Machine, Row
    from calltable.tools.draw.options import Detail
    from calltable.tools.draw.row import Line

FOLDED = ("ignored", "refused", "deferred")
"""What can be asked for with ``--events``, beside the rows that do something."""
_FOLD = {"ignore": "ignored", "refuse": "refused", "defer": "deferred"}
CROWDED = 24
"""With more arrows than this, those into final states are folded."""
MANY = 2
"""A row that lists more states than this leaves from one pill instead of from each."""


@dataclass(slots=True)
class Node:
    """A state, or a pill that stands for several (``states``). ``id`` is unique in the diagram.

    A pill with ``box`` is the note of that box: it stands inside it and for each of its states.
    """

    id: str
    name: str
    doc: str = ""
    initial: bool = False
    final: bool = False
    pill: bool = False
    box: str = ""
    states: tuple[str, ...] = ()
    lines: list[Line] = field(default_factory=list)
    folded: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Box:
    """A group drawn round its states; ``boxes`` are the boxes directly inside."""

    id: str
    name: str
    states: tuple[str, ...]
    note: Node | None = None
    boxes: list[Box] = field(default_factory=list)
    parent: Box | None = None

    def own(self) -> tuple[str, ...]:
        """The states that stand in this box and in none of the boxes inside it."""
        inner = {state for box in self.boxes for state in box.states}
        return tuple(state for state in self.states if state not in inner)


@dataclass(slots=True)
class Edge:
    """One arrow from a node or box to a node, with a line for every row it stands for."""

    id: str
    source: str
    target: str
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class Diagram:
    """A machine arranged for drawing. ``nodes`` and ``boxes`` are by name, pills under ``pill <name>``."""

    machine: Machine
    nodes: dict[str, Node]
    boxes: dict[str, Box]
    edges: list[Edge]

    @property
    def initial(self) -> Node | None:
        """The state that sessions start in; a fragment has none."""
        return self.nodes.get(self.machine.initial)

    def roots(self) -> list[Box]:
        """The boxes that stand in no other."""
        return [box for box in self.boxes.values() if box.parent is None]

    def loose(self) -> list[Node]:
        """The nodes that stand in no box."""
        boxed = {state for box in self.boxes.values() for state in box.states}
        return [node for node in self.nodes.values() if not node.box and (node.pill or node.name not in boxed)]

    def inside(self, box: Box) -> list[Node]:
        """The nodes that stand in this box and in none of the boxes inside it."""
        return [*([box.note] if box.note else []), *(self.nodes[state] for state in box.own() if state in self.nodes)]

    def tail(self, edge: Edge) -> tuple[str, str]:
        """The node that an arrow leaves and the box at whose border it begins, by id; for Graphviz, where no box has arrows."""
        for box in self.boxes.values():
            if box.id == edge.source:
                inside = [self.nodes[state] for state in box.states if state in self.nodes]
                return inside[len(inside) // 2].id, box.id
        return edge.source, ""

    @property
    def overlays(self) -> list[str]:
        """The overlays that rows of the machine come from, by their files."""
        return sorted({name for row in self.machine.rows.values() if (name := overlay(row))})


def diagram(
    machine: Machine, *, show: Collection[str] = (), fold_final: bool | None = None, detail: Detail = "rows"
) -> Diagram:
    """Arrange ``machine`` for drawing.

    ``show`` names the folded kinds to draw after all (see ``FOLDED``). ``fold_final`` says whether rows into final
    states are lines instead of arrows; without it, in a crowded diagram (see ``CROWDED``) most of them are, and all where ``detail`` is
    less than the rows: such a picture is meant to be small. A map (``states``) has only pills from which an arrow leaves.
    """
    drawn = [row for row in machine.rows.values() if row.kind == "row" or _FOLD[row.kind] in show]
    boxes = _boxes(machine, drawn)
    folded = _folded(machine, show)
    nodes = {
        name: Node(
            id=_identifier("s", name),
            name=name,
            doc=state.doc,
            initial=name == machine.initial,
            final=state.final,
            states=(name,),
            folded=folded.get(name, {}),
        )
        for name, state in machine.states.items()
    }
    made = Diagram(machine, nodes, boxes, [])
    edges: dict[tuple[str, str], Edge] = {}
    for row in drawn:
        text = line(machine, row)
        for source in _sources(made, row):
            _place(made, edges, row, text, source)
    made.edges = list(edges.values())
    crowded = fold_final is None and len(made.edges) > CROWDED
    if fold_final or (crowded and detail != "rows"):
        _fold_all(made)
    elif crowded:
        _fold_ends(made)
    if detail == "states":
        _keep_to_arrows(made)
    return made


# --------------------------------------------------------------------------- where a row leaves from


def _tokens(row: Row) -> list[str]:
    """The names in the row's ``state:``; the states themselves where that text says nothing."""
    named = re.findall(r"[\w.-]+", row.state_text)
    return named or list(row.states)


def _boxes(machine: Machine, drawn: list[Row]) -> dict[str, Box]:
    """The groups to draw as boxes: those that rows leave from, as far as they nest without crossing.

    Where two groups cross, the one more rows leave from is the box; the other's rows get a pill.
    """
    uses = dict.fromkeys(machine.groups, 0)
    for row in drawn:
        tokens = _tokens(row)
        if len(tokens) == 1 and tokens[0] in uses:
            uses[tokens[0]] += 1
    kept: list[tuple[str, frozenset[str]]] = []
    for name in sorted(uses, key=lambda name: (-uses[name], len(machine.groups[name].states), name)):
        states = frozenset(machine.groups[name].states)
        crossing = any(states & other and not (states < other or other < states) for _, other in kept)
        if uses[name] and len(states) > 1 and not crossing:
            kept.append((name, states))
    boxes = {
        name: Box(_identifier("g", name), name, machine.groups[name].states)
        for name, _ in sorted(kept, key=lambda pair: -len(pair[1]))
    }
    for box in boxes.values():
        around = [other for other in boxes.values() if set(box.states) < set(other.states)]
        if around:
            box.parent = min(around, key=lambda other: len(other.states))
            box.parent.boxes.append(box)
    return boxes


def _sources(made: Diagram, row: Row) -> list[Node | Box]:
    tokens = _tokens(row)
    if WIDEST in row.states.values() or ANY in tokens:
        return [_pill(made, "any state", tuple(row.states))]
    if len(tokens) > MANY:
        return [_pill(made, ", ".join(tokens), tuple(row.states))]
    found: list[Node | Box] = []
    for token in tokens:
        if token in made.boxes:
            box = made.boxes[token]
            stays = row.next_state is None or row.next_state in box.states
            found.append(_note(made, box) if stays else box)
        elif token in made.machine.groups:
            found.append(_pill(made, token, made.machine.groups[token].states))
        elif token in made.nodes:
            found.append(made.nodes[token])
    return found or [_pill(made, ", ".join(tokens), tuple(row.states))]


def _pill(made: Diagram, name: str, states: tuple[str, ...]) -> Node:
    """The pill for ``name``, made when first asked for."""
    key = f"pill {name}"
    if key not in made.nodes:
        doc = "" if name == "any state" else ", ".join(states)
        made.nodes[key] = Node(
            id=f"p{len(made.nodes)}", name=name, pill=True, states=states, doc="" if doc == name else doc
        )
    return made.nodes[key]


def _note(made: Diagram, box: Box) -> Node:
    """The note of a box, made when first asked for."""
    if box.note is None:
        name = f"in every state of {box.name}"
        box.note = Node(id=f"n_{box.id}", name=name, pill=True, box=box.name, states=box.states)
        made.nodes[f"note {box.name}"] = box.note
    return box.note


def _place(
    made: Diagram, edges: dict[tuple[str, str], Edge], row: Row, text: Line, source: Node | Box
) -> None:
    if isinstance(source, Node) and (row.next_state is None or (not source.pill and row.next_state == source.name)):
        source.lines.append(text)
        return
    target = made.nodes[row.next_state or ""].id
    edge = edges.get((source.id, target))
    if edge is None:
        edge = edges[source.id, target] = Edge(f"e{len(edges) + 1}", source.id, target)
    edge.lines.append(text)


def _fold_ends(made: Diagram) -> None:
    """Write the rows that end the session into their states, where these have other arrows that go on."""
    finals = {node.id: node.name for node in made.nodes.values() if node.final}
    nodes = {node.id: node for node in made.nodes.values() if not node.pill}
    goes_on = {edge.source for edge in made.edges if edge.target not in finals}
    kept = []
    for edge in made.edges:
        if edge.target in finals and edge.source in nodes and edge.source in goes_on:
            nodes[edge.source].lines += [replace(line, goes=finals[edge.target]) for line in edge.lines]
        else:
            kept.append(edge)
    made.edges = kept


def _fold_all(made: Diagram) -> None:
    """Write all rows that end the session into where they leave from, and leave out the final states that no arrow meets then."""
    finals = {node.id: node for node in made.nodes.values() if node.final}
    places: dict[str, Node | Box] = {node.id: node for node in made.nodes.values()}
    places |= {box.id: box for box in made.boxes.values()}
    for edge in made.edges:
        if edge.target in finals:
            source = places[edge.source]
            holder = _note(made, source) if isinstance(source, Box) else source
            holder.lines += [replace(line, goes=finals[edge.target].name) for line in edge.lines]
    made.edges = [edge for edge in made.edges if edge.target not in finals]
    for node in finals.values():
        if not node.initial and not node.lines:
            del made.nodes[node.name]


def _keep_to_arrows(made: Diagram) -> None:
    """Leave out the pills and notes from which no arrow leaves."""
    leaving = {edge.source for edge in made.edges}
    made.nodes = {key: node for key, node in made.nodes.items() if not node.pill or node.id in leaving}
    for box in made.boxes.values():
        if box.note is not None and box.note.id not in leaving:
            box.note = None


def _folded(machine: Machine, show: Collection[str]) -> dict[str, dict[str, int]]:
    """For each state, how many of its events are ignored, refused or deferred whatever the guards say."""
    counts: dict[str, dict[str, int]] = {}
    for state, by_event in cells(machine).items():
        for event, tiers in by_event.items():
            kinds = {row.kind for tier in tiers[:1] for row in tier}
            if len(kinds) == 1 and event != STARTED:
                kind = _FOLD.get(kinds.pop())
                if kind and kind not in show:
                    here = counts.setdefault(state, {})
                    here[kind] = here.get(kind, 0) + 1
    return counts


def _identifier(prefix: str, name: str) -> str:
    return prefix + "_" + re.sub(r"\W", "_", name)
