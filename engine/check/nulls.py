"""The last of gate 1: a value that may be null does not stand where one is needed.

Fields of events are judged where a row is read (``values.py``): the row is the only place that can exclude null. A
variable is another matter, since a row may rely on what rows before it have set. So a walk over the states finds
which variables hold a value wherever a session gets to a state: those of the start, those that every way in has set
or asked about (``x is not null``) and none has set to null since. What a row uses beyond that is told, with a way on
which it is null.

Guards help as far as they show it alone: those of the row, and that those asked before it did not hold. That a flag
is set together with a variable is not seen.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from calltable.engine.check.sources import literal
from calltable.engine.check.subjects import GuardTypes
from calltable.engine.language import present
from calltable.engine.model import SECONDS, STARTED, Problem, an, out_of_range
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from calltable.engine.check.flow import Reachability
    from calltable.engine.check.sources import Edge
    from calltable.engine.model import Action, Position, Row, Type

Known = frozenset[x.Expression]
"""What is not null."""


def values_needed(flow: Reachability) -> Iterator[Problem]:
    """Variables that may be null where a row needs a value, or that can hold only values that are out of bounds there."""
    scope = GuardTypes(flow.machine, flow.catalogue)
    for row in flow.machine.rows.values():
        for used, wanted, position in _uses(flow, row):
            given = scope.values(used) or ()
            why = [out_of_range(one, wanted) for one in given if isinstance(one, int | float)]
            if why and all(why):
                yield Problem(
                    position, f"${used.name} {why[0]}, and is never set to such a value", flow.machine.name, row.id,
                    row.state_text, "", f"set {used.name} in an earlier row, or give it a default", 1, "range",
                )  # fmt: skip
    if any(one.type.optional for one in flow.machine.variables.values()):
        yield from _Walk(flow).problems()


class _Walk:
    """Which variables hold a value, by state."""

    def __init__(self, flow: Reachability) -> None:
        self.flow = flow
        self.machine = flow.machine
        variables = flow.machine.variables.values()
        self.optional = {one.name for one in variables if one.type.optional}
        self.start: Known = frozenset(x.Var(one.name) for one in variables if one.default is not None)
        self.known: dict[str, Known] = {}
        self._edges: dict[str, list[Edge]] = {}

    def edges(self, state: str) -> list[Edge]:
        """The ways on from a state; a session begins with ``engine.started``, and with that alone."""
        if state not in self._edges:
            final = self.machine.states[state].final
            self._edges[state] = [] if final else [one for one in self.flow.edges(state) if one.row.kind == "row"]
        return self._edges[state]

    def solve(self) -> None:
        """Fill ``known``: what holds a value on every way into the state, and while the session stays."""
        first = [edge for edge in self.edges(self.machine.initial) if edge.event == STARTED]
        todo: deque[str] = deque()
        for edge in first:
            self._meet(edge.target, self._after(self.start, self.machine.initial, edge), todo)
        if not first:
            self._meet(self.machine.initial, self.start, todo)
        while todo:
            state = todo.popleft()
            for edge in self.edges(state):
                if edge.event != STARTED:
                    self._meet(edge.target, self._after(self.known[state], state, edge), todo)

    def _meet(self, state: str, found: Known, todo: deque[str]) -> None:
        before = self.known.get(state)
        after = found if before is None else before & found
        if after != before:
            self.known[state] = after
            todo.append(state)

    def _after(self, known: Known, state: str, edge: Edge) -> Known:
        """What holds a value once the row is taken."""
        row = edge.row
        here = self.within(known, state, edge.event, row)
        given = {x.Var(name): self._is_value(value, here, edge.event) for name, value in row.set.items()}
        lost = {one for one, sure in given.items() if not sure}
        kept = frozenset(one for one in here if isinstance(one, x.Var) and one not in lost)
        return kept | {one for one, sure in given.items() if sure}

    def within(self, known: Known, state: str, event: str, row: Row) -> Known:
        """What holds a value while the row is carried out: its guard holds, and those asked before it did not."""
        found = set(known)
        shown = present(row.guard)
        if row.after is not None:
            # asked when the state was entered: what a row has set since counts no more
            shown -= {x.Var(name) for edge in self.edges(state) if not edge.enters for name in edge.row.set}
        found |= shown
        for tier in self.flow.cells[state].get(event, ()) if row.after is None else ():
            for other in tier:
                if other is not row:
                    found |= present(other.guard, holds=False)
            if row in tier:
                break
        return frozenset(found)

    def _is_value(self, value: x.Expression, known: Known, event: str) -> bool:
        match value:
            case x.Literal(value=constant):
                return constant is not None
            case x.Var(name=name):
                return name not in self.optional or value in known
            case x.Field(name=name):
                kind = self.machine.events[event].fields.get(name)
                return value in known or (kind is not None and not kind.optional)
            case _:
                return True

    # -- what is wrong
    def problems(self) -> Iterator[Problem]:
        """One problem for each variable that a row uses though it may be null."""
        using = {
            row.id: uses for row in self.machine.rows.values()
            if (uses := [use for use in _uses(self.flow, row) if use[0].name in self.optional and not use[1].optional])
        }  # fmt: skip
        if not using:
            return
        self.solve()
        told: set[tuple[str, str]] = set()
        for state in self.machine.states:
            for edge in self.edges(state) if state in self.known or state == self.machine.initial else ():
                if edge.row.id not in using:
                    continue
                before = self.start if edge.event == STARTED else self.known.get(state, self.start)
                known = self.within(before, state, edge.event, edge.row)
                timed = set(x.walk(edge.row.after)) & present(edge.row.guard) if edge.row.after else set()
                for used, wanted, position in using[edge.row.id]:
                    if used not in known and used not in timed and (edge.row.id, used.name) not in told:
                        told.add((edge.row.id, used.name))
                        yield self._problem(state, edge, used, wanted, position)

    def _problem(self, state: str, edge: Edge, used: x.Var, wanted: Type, position: Position) -> Problem:
        setting = [row.id for row in self.machine.rows.values() if row.set.get(used.name, x.Literal(None)) != x.Literal(None)]
        why = "no row ever sets it"
        if setting:
            way = self._way(state, used)
            why = f"it is null on the path {' → '.join(way)}" if way else "it is null when the session starts"
        return Problem(
            position, f"${used.name} may be null where {an(wanted)} is needed: {why}",
            self.machine.name, edge.row.id, state, edge.event,
            f"set it on every path into state {state}, or guard the row with «{used.name} is not null» and add a row for "
            f"the other case",
            1, "null",
        )  # fmt: skip

    def _way(self, state: str, used: x.Var) -> list[str]:
        """A shortest list of rows on which a session gets to the state while the variable is null."""
        initial = self.machine.initial
        ways: dict[tuple[str, bool], list[str]] = {}
        todo: deque[tuple[str, bool]] = deque()

        def go(known: Known, at: str, edge: Edge, way: list[str]) -> None:
            place = (edge.target, used in self._after(known, at, edge))
            if place not in ways:
                ways[place] = [*way, edge.row.id]
                todo.append(place)

        for edge in self.edges(initial):
            if edge.event == STARTED:
                go(self.start, initial, edge, [])
        while todo and (state, False) not in ways:
            at, sure = place = todo.popleft()
            for edge in self.edges(at):
                if edge.event != STARTED:
                    go(self.known[at] | {used} if sure else self.known[at] - {used}, at, edge, ways[place])
        return ways.get((state, False), [])


def _uses(flow: Reachability, row: Row) -> Iterator[tuple[x.Var, Type, Position]]:
    """The variables that a row uses as values, with the type that is wanted there."""
    if row.after is not None:
        yield from _variables(row.after, SECONDS, row.position)
    for action in row.actions:
        spec = flow.catalogue.actions.get(action.name)
        fields = _handed_over(flow, row, action)
        for name, value in action.parameters.items():
            if isinstance(value, x.Mapping) and fields is not None:
                for field, member in value.items:
                    for wanted in fields.get(field, ()):
                        yield from _variables(member, wanted, action.position)
            elif spec is not None and name in spec.parameters:
                yield from _variables(value, spec.parameters[name].type, action.position)
    for said in row.publish:
        for name, value in said.fields.items():
            yield from _variables(value, flow.machine.publishes[said.name][name], said.position)


def _variables(value: x.Expression, wanted: Type, position: Position) -> Iterator[tuple[x.Var, Type, Position]]:
    if isinstance(value, x.Between):
        yield from _variables(value.low, SECONDS, position)
        yield from _variables(value.high, SECONDS, position)
    elif isinstance(value, x.Var):
        yield value, wanted, position


def _handed_over(flow: Reachability, row: Row, action: Action) -> Mapping[str, list[Type]] | None:
    """The fields of what a child is started with or told, each with the types that it may be wanted as."""
    if action.name == "child.start":
        child = flow.machine.children.get(literal(action, "name") or "")
        target = flow.machines.get(child.machine) if child is not None else None
        return {name: [kind] for name, kind in target.parameters.items()} if target is not None else {}
    if action.name != "child.tell":
        return None
    found: dict[str, list[Type]] = {}
    for machine in _told(flow, row, action):
        event = machine and flow.machines[machine].events.get(literal(action, "event") or "")
        for name, kind in event.fields.items() if event else ():
            found.setdefault(name, []).append(kind)
    return found


def _told(flow: Reachability, row: Row, action: Action) -> Iterable[str]:
    """The machines of those that ``child.tell`` may address."""
    children = flow.machine.children
    to = literal(action, "to")
    if to is not None:
        named = [children[to]] if to in children else []
    elif action.parameters.get("to") == x.Field("child"):
        named = [children[of] for event in row.events if (of := flow.machine.events[event].of) in children]
    else:
        named = [child for child in children.values() if child.many]
    return {child.machine for child in named if child.machine in flow.machines}
