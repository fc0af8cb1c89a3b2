"""A machine as something to draw: nodes, boxes, and few enough edges to read.

A table of eighty rows over nine states is a knot if every (row, state) pair becomes an arrow. So:

- rows with the same source and target share one edge, one line of label each;
- a row on a group leaves from the group's *box*, once, not from each state in it;
- a row on ``any`` or on a list, or on a group that cannot be a box because it overlaps another, leaves
  from a *pill*: a small dashed node that names the states it stands for;
- a row that stays where it is (UML: an internal transition) is a line inside its state or box;
- ``ignore``, ``refuse`` and ``defer`` rows are folded into counts, unless they are asked for;
- where there are very many arrows, those that end the session are lines (``… → terminated``) in their state, except
  where they are its only way on.

The formats (``notation.py``, ``picture.py``) and the page walk this object and decide nothing
about the table themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from calltable.engine.model import expressions as ex
from calltable.engine.model.machine import ANY, STARTED, WIDEST
from calltable.engine.model.precedence import cells

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from calltable.engine.model.machine import Machine, Row

FOLDED = ("ignored", "refused", "deferred")
"""What can be asked for with ``--events``, beside the rows that do something."""
_FOLD = {"ignore": "ignored", "refuse": "refused", "defer": "deferred"}
CROWDED = 24
"""With more arrows than this, those into final states are folded."""
MANY = 2
"""A row that lists more states than this leaves from one pill instead of from each."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row as text: what it waits for, what must hold, what it does. Never trimmed here."""

    row: str
    event: str
    guard: str
    effects: tuple[str, ...]
    brief: tuple[str, ...]
    """``effects`` with the names of the parameters left out: what fits into a picture."""
    category: str
    doc: str
    kind: str = "row"
    goes: str = ""
    """The final state that the row leads to, where its arrow is folded into a line."""

    @property
    def text(self) -> str:
        """The whole row on one line, UML's ``event [guard] / effects``."""
        guard = f" [{self.guard}]" if self.guard else ""
        effects = f" / {'; '.join(self.effects)}" if self.effects else ""
        goes = f" → {self.goes}" if self.goes else ""
        return f"{self.event}{guard}{effects}{goes}"

    @property
    def tooltip(self) -> str:
        """Everything there is to say of the row, on some lines."""
        return "\n".join(filter(None, (self.row, self.text, self.doc)))


@dataclass(slots=True)
class Node:
    """A state, or a pill that stands for several (``states``). ``id`` is unique in the diagram."""

    id: str
    name: str
    doc: str = ""
    initial: bool = False
    final: bool = False
    pill: bool = False
    states: tuple[str, ...] = ()
    lines: list[Line] = field(default_factory=list)
    folded: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Box:
    """A group drawn round its states; ``boxes`` are the boxes directly inside."""

    id: str
    name: str
    states: tuple[str, ...]
    lines: list[Line] = field(default_factory=list)
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

    def roots(self) -> list[Box]:
        """The boxes that stand in no other."""
        return [box for box in self.boxes.values() if box.parent is None]

    def loose(self) -> list[Node]:
        """The nodes that stand in no box."""
        boxed = {state for box in self.boxes.values() for state in box.states}
        return [node for node in self.nodes.values() if node.name not in boxed or node.pill]


def diagram(machine: Machine, *, show: Collection[str] = ()) -> Diagram:
    """Arrange ``machine`` for drawing. ``show`` names the folded kinds to draw after all (see ``FOLDED``)."""
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
    if len(made.edges) > CROWDED:
        _fold_ends(made)
    return made


def line(machine: Machine, row: Row) -> Line:
    """The row as text."""
    events = [f"after {value(row.after)}"] if row.after is not None else list(row.events)
    guard = "otherwise" if row.otherwise else row.guard_text
    return Line(
        row=row.id,
        event=", ".join(events),
        guard=guard,
        effects=tuple(effects(row)),
        brief=tuple(effects(row, brief=True)),
        category=category(machine, row.events[0]),
        doc=row.doc,
        kind=row.kind,
    )


def category(machine: Machine, event: str) -> str:
    """Who the event comes from: ``user``, ``sip``, ``media``, ``timer``, ``engine`` or ``child`` (by colour)."""
    known = machine.events.get(event)
    if known is not None and known.source in {"timer", "after", "child", "engine"}:
        return "timer" if known.source == "after" else known.source
    prefix = event.partition(".")[0]
    if prefix == "after":
        return "timer"
    return prefix if prefix in {"user", "media", "timer", "engine"} else "sip"


def effects(row: Row, *, brief: bool = False) -> Iterable[str]:
    """What the row does, in the order in which it does it, each as a short text."""
    match row.kind:
        case "ignore":
            yield f"ignored: {row.note}"
        case "refuse":
            yield f"refused: {row.note}"
        case "defer":
            yield "deferred"
        case "row":
            yield from (_call(action.name, action.parameters, brief=brief) for action in row.actions)
            yield from (f"{name} := {value(item)}" for name, item in row.set.items())
            yield from ("↑ " + _call(item.name, item.fields, brief=brief) for item in row.publish)


def _call(name: str, values: Mapping[str, ex.Expression], *, brief: bool) -> str:
    told = {key: value(item) for key, item in values.items() if item != ex.Mapping(())}
    inside = ", ".join(told.values()) if brief else ", ".join(f"{key}: {text}" for key, text in told.items())
    return f"{name}({inside})" if inside else name


def value(item: ex.Expression) -> str:
    """A value as the table writes it."""
    match item:
        case ex.Literal(value=constant):
            return _constant(constant)
        case ex.Var(name=name):
            return f"${name}"
        case ex.Field(name=name):
            return f"$event.{name}"
        case ex.Config(name=name):
            return f"$config.{name}"
        case ex.Mapping(items=items):
            return "{" + ", ".join(f"{name}: {value(inner)}" for name, inner in items) + "}"
        case ex.Between(low=low, high=high):
            return f"{value(low)} … {value(high)}"
        case _:
            return "(guard)"


def _constant(constant: object) -> str:
    match constant:
        case None:
            return "null"
        case bool():
            return str(constant).lower()
        case float():
            return duration(constant)
        case tuple():
            return "[" + ", ".join(map(_constant, constant)) + "]"
        case _:
            return str(constant)


def duration(seconds: float) -> str:
    """Seconds as a table writes them: ``500ms``, ``2.1s``, ``3m``."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    if seconds and seconds % 60 == 0:
        return f"{seconds // 60:g}m"
    return f"{seconds:g}s"


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
            if row.next_state in box.states and len(box.states) > 1:
                found.append(_pill(made, token, box.states))
            else:
                found.append(box)
        elif token in made.machine.groups:
            found.append(_pill(made, token, made.machine.groups[token].states))
        elif token in made.nodes:
            found.append(made.nodes[token])
    return found or [made.nodes[name] for name in row.states]


def _pill(made: Diagram, name: str, states: tuple[str, ...]) -> Node:
    """The pill for ``name``, made when first asked for."""
    key = f"pill {name}"
    if key not in made.nodes:
        doc = "" if name == "any state" else ", ".join(states)
        made.nodes[key] = Node(
            id=f"p{len(made.nodes)}", name=name, pill=True, states=states, doc="" if doc == name else doc
        )
    return made.nodes[key]


def _place(
    made: Diagram, edges: dict[tuple[str, str], Edge], row: Row, text: Line, source: Node | Box
) -> None:
    stays = row.next_state is None or (isinstance(source, Node) and not source.pill and row.next_state == source.name)
    if stays:
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
