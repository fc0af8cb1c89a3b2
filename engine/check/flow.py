"""Which events may arrive in which state, and what a session there still waits for.

Events of interfaces and ``engine.failed`` can come at any time. Others have a *source*: a named timer that
runs, an action whose outcome is awaited, a child that lives, an ``after`` row that is armed.
``engine.started`` comes once, first of all. A table needs rows for them only where their source may be live.

How it is found: for a small *group* of sources, walk every reachable pair of state and counts, row by
row. A row that starts a source raises its count; an event that ends its source (the
firing of a one-shot timer, an outcome without ``more``, ``<child>.ended``) lowers it; where an event can have
come from several sources, each is tried. Sources that share an event are walked together, because only
together do they show whose event it was; others are walked alone, and to each walk what is outside counts as
live wherever it was found that it may be. ``liveness.py`` repeats this until nothing is new. Guards are ignored,
but a row that its cell's truth table never chooses is not walked.

Before a problem is told, an *exact* walk looks again: it also carries the flags (booleans and enums) that
guards read, so that a table may remember in a flag what is still to come.

A pending event that was deferred is a source of its own (``held``): it is replayed, before anything else, in
the first state that follows and takes it.
The same walk, with all sources of a state together, answers whether a session can sit there with nothing
more to come (``check.py``).
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from calltable.engine.check.liveness import Liveness, TooManyError
from calltable.engine.check.producers import grouped, producers
from calltable.engine.check.reliance import Reliance, certainty
from calltable.engine.check.sources import (
    Edge,
    Source,
    after_change,
    assigned,
    changes_of,
    one_less,
    sets_of,
    with_count,
)
from calltable.engine.check.truth import Truth, Verdict
from calltable.engine.model import STARTED, cells
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from calltable.engine.model import Catalogue, Machine, Row, Tier

LIMIT = 20_000
"""Above this many configurations a group is walked source by source: sound still, less precise."""

Config: TypeAlias = tuple[str, tuple[int, ...], tuple[object, ...]]
"""A state, how often each source of the walked group is live, and the values of the variables that the
walk keeps track of."""


Step: TypeAlias = tuple[Config | None, Edge] | None
"""How a configuration was first reached: from which other, by which edge. None of either at the start."""


class _Move(NamedTuple):
    """What one row and event do to the counts of a group."""

    edge: Edge
    free: bool
    """Whether the event can come from outside the group."""
    produced: tuple[tuple[int, bool], ...]
    """Sources in the group that the event can come from; True where it ends them."""
    changes: tuple[tuple[int, int | None], ...]
    """What ``after_change`` makes of the counts."""
    sets: tuple[tuple[int, tuple[object, ...]], ...]
    """The values that a tracked variable may have afterwards."""


@dataclass
class Reachability:
    """What can happen in one machine, by state and event. Made by ``analyse``."""

    machine: Machine
    catalogue: Catalogue
    machines: Mapping[str, Machine]
    truth: Truth
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    """By state and event: what the truth table of the cell says."""
    cells: dict[str, dict[str, tuple[Tier, ...]]] = field(default_factory=dict)
    reachable: set[str] = field(default_factory=set)
    alive: dict[Source, set[str]] = field(default_factory=dict)
    """Where each source may be live."""
    deferred: dict[str, set[str]] = field(default_factory=dict)
    """Where an event deferred earlier may still be held or be replayed, by event."""
    inside: set[str] = field(default_factory=set)
    """Where a session can be once it has started; ``reachable`` counts what the table allows before that, too."""
    _exact: dict[tuple[Source, ...], set[tuple[str, tuple[int, ...]]] | None] = field(default_factory=dict)
    _cells: dict[tuple[str, str], tuple[Edge, ...]] = field(default_factory=dict)
    _edges: dict[str, tuple[Edge, ...]] = field(default_factory=dict)
    _solved: bool = False

    # -- who produces what
    @cached_property
    def producers(self) -> dict[str, dict[Source, bool]]:
        """For every pending event its sources; True where the event ends the source."""
        found = producers(self.machine, self.machines, self.catalogue)
        for event in self._deferrable & found.keys():
            if not self.anytime(event):
                found[event][Source("held", event)] = True
        return found

    @cached_property
    def _deferrable(self) -> set[str]:
        return {event for row in self.machine.rows.values() if row.kind == "defer" for event in row.events}

    @cached_property
    def raised(self) -> Mapping[Source, Mapping[str, bool]]:
        """For every source the pending events it raises; True for those that end it."""
        found: dict[Source, dict[str, bool]] = {}
        for event, of in self.producers.items():
            for source, ends in of.items():
                found.setdefault(source, {})[event] = ends
        return found

    @cached_property
    def sources(self) -> list[Source]:
        """Everything in the machine that raises pending events."""
        return sorted(self.raised)

    @cached_property
    def groups(self) -> list[list[Source]]:
        """The sources, those that share an event together."""
        return grouped(self.sources, self.producers.values())

    # -- what may happen
    def may_arrive(self, state: str, event: str) -> bool:
        """Whether the event may come in the state (``reachable`` or not)."""
        return (
            self.anytime(event)
            or (event == STARTED and state == self.machine.initial)
            or any(self.may_live(source, state) for source in self.producers.get(event, ()))
        )

    def anytime(self, event: str) -> bool:
        """Whether the event needs no source: it is an interface's, or the engine's own."""
        known = self.machine.events.get(event)
        return event != STARTED and known is not None and known.source in ("interface", "engine")

    def may_live(self, source: Source, state: str) -> bool:
        """Whether the source may be live in the state."""
        if source.kind == "after":
            row = self.machine.rows.get(source.name)
            return row is not None and state in row.states and self.truth.satisfiable(row)
        return state in self.alive.get(source, ())

    def comes(self, state: str, event: str) -> bool:
        """``may_arrive``, with the flags that guards read taken into account: slower, and more exact."""
        of = self.producers.get(event, {})
        if self.anytime(event) or event == STARTED or not self.may_arrive(state, event):
            return self.may_arrive(state, event)
        group = next((self._group_of[source] for source in of if source in self._group_of), None)
        if group is None:
            return True
        wanted = [i for i, source in enumerate(group) if source in of]
        walked = self._exactly(tuple(group))
        return walked is None or any(at == state and any(counts[i] for i in wanted) for at, counts in walked)

    @cached_property
    def _group_of(self) -> dict[Source, list[Source]]:
        return {source: group for group in self.groups for source in group}

    def _exactly(self, group: tuple[Source, ...]) -> set[tuple[str, tuple[int, ...]]] | None:
        if group not in self._exact:
            walked = self.walk(group, exact=True)
            self._exact[group] = None if walked is None else {(state, counts) for state, counts, _ in walked}
        return self._exact[group]

    def rows(self, state: str, event: str) -> list[Row]:
        """The rows that some valuation chooses in the cell."""
        verdict = self.verdicts.get(state, {}).get(event)
        return [self.machine.rows[one] for one in sorted(verdict.taken)] if verdict else []

    def chooses(self, row: Row, state: str, event: str) -> bool:
        """Whether some valuation chooses the row in the cell."""
        verdict = self.verdicts.get(state, {}).get(event)
        return verdict is not None and row.id in verdict.taken

    def edges(self, state: str) -> tuple[Edge, ...]:
        """Every way on from the state with events that may arrive there."""
        known = self._edges.get(state)
        if known is None:
            arriving = (event for event in self.verdicts.get(state, ()) if self.may_arrive(state, event))
            known = tuple(edge for event in arriving for edge in self.cell(state, event))
            if self._solved:
                self._edges[state] = known
        return known

    @cached_property
    def incoming(self) -> Mapping[str, Sequence[tuple[str, Edge]]]:
        """The ways into each state from others, each with the state it comes from. For use after ``solve``."""
        found: dict[str, list[tuple[str, Edge]]] = {}
        for state in self.machine.states:
            for edge in self.edges(state) if state in self.inside else ():
                if edge.target != state and edge.event != STARTED:
                    found.setdefault(edge.target, []).append((state, edge))
        return found

    @cached_property
    def arriving(self) -> Mapping[str, Sequence[str]]:
        """For each state the events that may arrive there, in the machine's order. For use after ``solve``."""
        order = {event: i for i, event in enumerate(self.machine.events)}
        everywhere = [event for event in order if self.anytime(event)]
        found = {state: set(everywhere) for state in self.machine.states}
        found[self.machine.initial].add(STARTED)
        for event, of in self.producers.items():
            for source in of:
                places = self.machine.rows[source.name].states if source.kind == "after" else self.alive.get(source, ())
                for state in places:
                    if event in order and self.may_live(source, state):
                        found[state].add(event)
        return {state: sorted(events, key=order.__getitem__) for state, events in found.items()}

    def cell(self, state: str, event: str) -> tuple[Edge, ...]:
        """The ways on from the state with one event, whether it may arrive or not."""
        key = (state, event)
        if key not in self._cells:
            self._cells[key] = tuple(
                Edge(row, event, row.next_state or state, row.next_state not in (None, state)) for row in self.rows(state, event)
            )
        return self._cells[key]

    def _cell(self, state: str, event: str, fixed: Mapping[str, object]) -> tuple[Edge, ...]:
        edges = self.cell(state, event)
        if fixed and any(edge.row.guard is not None for edge in edges):
            taken = self.truth.decide(self.cells[state][event], event, fixed).taken
            return tuple(edge for edge in edges if edge.row.id in taken or edge.row.after is not None)
        return edges

    # -- walking
    def walk(
        self, group: Sequence[Source], *, early: bool = False, exact: bool = False, limit: int = 0,
        region: AbstractSet[str] | None = None,
    ) -> dict[Config, Step] | None:
        """Every configuration of the group that a session can be in once it has started, with the step before.

        ``early`` counts what the table allows before ``engine.started`` too: rows are asked for there.
        ``exact`` keeps track of the flags that guards read. ``region`` is the set of states outside of which no source of
        the group is ever live: only these are walked, from the ways into them. None where there are more than ``limit``
        (without it: ``LIMIT``) configurations.
        """
        at = {source: i for i, source in enumerate(group)}
        caps = [one.most for one in group]
        initial = self.machine.initial
        flags = self.flags if exact else {}
        values = tuple(self.machine.variables[name].default for name in flags)
        starts: list[Config] = [(initial, counts, values) for counts in self._armed((0,) * len(group), initial, at)]
        # a session's first event is engine.started, whatever else its initial state has rows for
        first = self._moves(initial, at, flags, values, only=STARTED) if not early else []
        seen: dict[Config, Step] = {} if first else dict.fromkeys(starts)
        for config, move in ((config, move) for config in starts for move in first):
            for step in self._steps(config, move, caps, at):
                seen.setdefault(step, (None, move.edge))
        if region is not None:
            seen = {config: step for config, step in seen.items() if config[0] in region}
            for before, edge in (way for state in region for way in self.incoming.get(state, ()) if way[0] not in region):
                move = _Move(edge, free=True, produced=(), changes=self._changes(edge, at), sets=())
                for step in self._steps((before, (0,) * len(group), values), move, caps, at):
                    seen.setdefault(step, (None, edge))
        queue = deque(seen)
        moves: dict[tuple[str, tuple[object, ...]], list[_Move]] = {}
        while queue:
            config = queue.popleft()
            place = (config[0], config[2])
            if place not in moves:
                moves[place] = self._moves(config[0], at, flags, config[2], but="" if early else STARTED)
            for move in self._replaying(config, group, moves[place]):
                for step in self._steps(config, move, caps, at):
                    if step not in seen and (region is None or step[0] in region):
                        seen[step] = (config, move.edge)
                        queue.append(step)
                        if len(seen) > (limit or LIMIT):
                            return None
        return seen

    def _replaying(self, config: Config, group: Sequence[Source], moves: list[_Move]) -> list[_Move]:
        """The moves that are possible while deferred events are replayed: theirs alone, until none is left."""
        due = [
            i for i, one in enumerate(group)
            if one.kind == "held" and config[1][i] and not self.holds(config[0], one.name)
        ]  # fmt: skip
        if not due:
            return moves
        found = []
        for move in moves:
            event = move.edge.event
            own = tuple((i, ends) for i, ends in move.produced if i in due)
            if own:
                found.append(move._replace(free=False, produced=own))
            elif config[0] in self.deferred.get(event, ()):
                found.append(move)
        return found

    @cached_property
    def certainty(self) -> Reliance:
        """Which of the sources can be relied on, and when."""
        return certainty(self.machine, self.catalogue, self.machines)

    @cached_property
    def flags(self) -> dict[str, tuple[object, ...]]:
        """The variables with few values that guards read, and these values."""
        read = {
            node.name
            for row in self.machine.rows.values() if row.guard is not None
            for node in x.walk(row.guard) if isinstance(node, x.Var)
        }  # fmt: skip
        found: dict[str, tuple[object, ...]] = {}
        for name in sorted(read & self.machine.variables.keys()):
            kind = self.machine.variables[name].type
            if kind.kind in ("bool", "enum"):
                values = (False, True) if kind.kind == "bool" else kind.values
                found[name] = (*values, None) if kind.optional else values
        return found

    def _moves(
        self, state: str, at: Mapping[Source, int], flags: Mapping[str, tuple[object, ...]], values: tuple[object, ...],
        only: str = "", but: str = "",
    ) -> list[_Move]:  # fmt: skip
        """The ways on from the state that matter to the group, without repetition."""
        found: dict[object, _Move] = {}
        fixed = dict(zip(flags, values, strict=True))
        for event in self.verdicts.get(state, ()):
            if event == but or (only and event != only):
                continue
            of = self.producers.get(event, {})
            produced = tuple((at[one], ends) for one, ends in of.items() if one in at)
            free = (
                self.anytime(event)
                or (event == STARTED and state == self.machine.initial)
                or any(one not in at and self.may_live(one, state) for one in of)
            )
            if not free and not produced:
                continue
            for edge in self._cell(state, event, fixed):
                changes = self._changes(edge, at)
                sets = tuple(sets_of(edge.row, flags))
                if edge.enters or changes or sets or only or any(ends for _, ends in produced):
                    key = (free, produced, changes, sets, edge.target, edge.enters)
                    found.setdefault(key, _Move(edge, free, produced, changes, sets))
        return list(found.values())

    def _changes(self, edge: Edge, at: Mapping[Source, int]) -> tuple[tuple[int, int | None], ...]:
        return (*changes_of(edge.row, edge.event, at), *self.certainty.changes(edge.row, edge.event, at))

    def _steps(self, config: Config, move: _Move, caps: Sequence[int], at: Mapping[Source, int]) -> Iterator[Config]:
        counts = config[1]
        befores = {counts} if move.free else set()
        for index, ends in move.produced:
            count = counts[index]
            if count and not ends:
                befores.add(counts)
            elif count:
                befores.update(with_count(counts, index, left) for left in one_less(count))
        for before in befores:
            after = list(before)
            for index, change in move.changes:
                after[index] = after_change(after[index], change, caps[index])
            entered = self._armed(tuple(after), move.edge.target, at) if move.edge.enters else (tuple(after),)
            for counts in entered:
                for values in assigned(config[2], move.sets):
                    yield move.edge.target, counts, values

    def _armed(self, counts: tuple[int, ...], state: str, at: Mapping[Source, int]) -> Iterator[tuple[int, ...]]:
        """The counts on entering a state: what was armed for the state before is gone."""
        fresh = list(counts)
        guarded: list[int] = []
        for source, index in at.items():
            if source.kind == "after":
                row = self.machine.rows[source.name]
                fresh[index] = int(state in row.states and row.guard is None)
                if state in row.states and row.guard is not None:
                    guarded.append(index)
        if not guarded:
            yield tuple(fresh)
            return
        for index in guarded:
            yield with_count(tuple(fresh), index, 1)
        if not self.truth.exhaustive([row for row in self.machine.in_state(state) if row.after is not None]):
            yield tuple(fresh)

    # -- the fixpoint
    def solve(self) -> None:
        """Fill ``verdicts``, ``reachable``, ``inside``, ``alive`` and ``deferred``."""
        self.cells = cells(self.machine)
        for state, by_event in self.cells.items():
            if not self.machine.states[state].final:
                self.verdicts[state] = {event: self.truth.decide(tiers, event) for event, tiers in by_event.items()}
        groups, run = self.groups, None
        while run is None:
            self.alive, self.inside, self.deferred = {}, set(), {}
            run = Liveness(self, groups, LIMIT)
            try:
                run.run()
                while self._replayed():
                    run.again()
            except TooManyError as error:  # less precise, and sound still: each of its sources alone
                groups = [[one] for one in groups[error.index]] + [of for i, of in enumerate(groups) if i != error.index]
                run = None
        self._solved = True

    def _replayed(self) -> bool:
        """Whether more is found of where deferred events are held and replayed. Fills ``reachable`` and ``deferred``."""
        self.reachable = {state for state, *_ in self.walk([], early=True, limit=sys.maxsize) or ()}
        before = sum(map(len, self.deferred.values()))
        for event in self._deferrable:
            self.deferred.setdefault(event, set()).update(self._held(event))
        return sum(map(len, self.deferred.values())) != before

    def holds(self, state: str, event: str) -> bool:
        """Whether some row of the state defers the event."""
        return any(row.kind == "defer" for row in self.rows(state, event))

    def _held(self, event: str) -> set[str]:
        """The states in which a deferred ``event`` is held or replayed.

        A state that takes it at once is left meanwhile only through other deferred events, which are
        replayed before it.
        """
        held = {state for state in self.reachable if self.holds(state, event) and self.may_arrive(state, event)}
        queue = deque(sorted(held))
        while queue:
            state = queue.popleft()
            stays = self.holds(state, event)
            for edge in self.edges(state):
                replayed = state in self.deferred.get(edge.event, ())
                target = edge.target
                if (stays or replayed) and target not in held and not self.machine.states[target].final:
                    held.add(target)
                    queue.append(target)
        return held


def analyse(machine: Machine, catalogue: Catalogue, machines: Mapping[str, Machine]) -> Reachability:
    """Find what may arrive where in ``machine``; ``machines`` are looked up for what children publish."""
    flow = Reachability(machine, catalogue, machines, Truth(machine, catalogue))
    flow.solve()
    return flow


def live(machine: Machine, catalogue: Catalogue, machines: Mapping[str, Machine]) -> Mapping[str, frozenset[str]]:
    """For every pending event (timer, after, outcome, child) the reachable states it may arrive in."""
    flow = analyse(machine, catalogue, machines)
    return {
        event: frozenset(
            state for state in flow.reachable if not machine.states[state].final and flow.may_arrive(state, event)
        )
        for event in flow.producers
        if event != STARTED and not flow.anytime(event)
    }
