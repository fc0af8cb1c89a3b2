"""Which sources may be live in which state: a fixpoint that looks only at what is new.

A *configuration* is a state and how often each source of one group is live there. A session can get to a state, a source
becomes live there, an event can arrive there: each is noted once, and only what follows from it is looked at again. So
the work grows with the number of (state, event) cells and live configurations, not with their product.

Groups without deferred events are *sparse*: that none of their sources is live is taken as possible wherever a session
can be, and only configurations with a live source are kept. This finds the same live sources, because a start raises
every count alike. A group that holds a deferred event is walked in full: while one waits to be replayed, fewer rows can
be taken, so "nothing is live" must not be assumed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeAlias

from calltable.engine.check.sources import Source, after_change, changes_of, one_less, with_count
from calltable.engine.model import STARTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calltable.engine.check.sources import Edge
    from calltable.engine.check.truth import Verdict
    from calltable.engine.model import Machine

Counts: TypeAlias = tuple[int, ...]
Config: TypeAlias = tuple[int, Counts]
"""The index of a group, and how often each of its sources is live."""
Changes: TypeAlias = tuple[tuple[int, int | None], ...]


class TooManyError(Exception):
    """A group has more configurations than the limit; ``index`` says which group."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Flow(Protocol):
    """What the walk asks of the machine it walks, and what it fills in: ``alive`` and ``inside``."""

    machine: Machine
    verdicts: dict[str, dict[str, Verdict]]
    alive: dict[Source, set[str]]
    deferred: dict[str, set[str]]
    inside: set[str]

    @property
    def producers(self) -> Mapping[str, Mapping[Source, bool]]:
        """For every pending event its sources; True where the event ends the source."""

    @property
    def raised(self) -> Mapping[Source, Mapping[str, bool]]:
        """For every source the pending events it raises."""

    def cell(self, state: str, event: str) -> tuple[Edge, ...]:
        """The ways on from a state with an event."""

    def anytime(self, event: str) -> bool:
        """Whether the event may come whatever has happened."""

    def may_arrive(self, state: str, event: str) -> bool:
        """Whether the event may come in the state, by what is known so far."""

    def may_live(self, source: Source, state: str) -> bool:
        """Whether the source may be live in the state, by what is known so far."""

    def holds(self, state: str, event: str) -> bool:
        """Whether the state defers the event."""


class Liveness:
    """One run of the fixpoint over ``groups``. It fills ``flow.alive`` and ``flow.inside``."""

    def __init__(self, flow: Flow, groups: Sequence[Sequence[Source]], limit: int) -> None:
        self.flow = flow
        self.groups = groups
        self.limit = limit
        """Configurations that a group of several sources may have; a single source is walked whatever it takes."""
        self.at = {source: (g, i) for g, group in enumerate(groups) for i, source in enumerate(group)}
        self._numbers = {source: n for n, source in enumerate(self.at)}
        self._places = list(self.at.values())
        self.dense = {g for g, group in enumerate(groups) if any(one.kind == "held" for one in group)}
        self.configs: dict[str, set[Config]] = {}
        self.sizes = [0] * len(groups)
        self.todo: deque[tuple[str, str, Config | None]] = deque()
        """What is new in a state: an event that can arrive there, or a configuration."""
        self._changes: dict[tuple[str, str], Mapping[int, Changes]] = {}

    def run(self) -> None:
        """Walk until nothing is new. Raises ``TooManyError``."""
        initial = self.flow.machine.initial
        zeros = {g: (0,) * len(self.groups[g]) for g in self.dense}
        # a session's first event is engine.started, whatever else its initial state has rows for
        first = self.flow.cell(initial, STARTED)
        for edge in first:
            self._from_nothing(initial, edge)
            for g, counts in zeros.items():
                self._apply(edge, (g, counts), counts)
        if not first:
            self._enter(initial)
            for g, counts in zeros.items():
                self._add(initial, g, counts)
        self._exhaust()

    def again(self) -> None:
        """Look again at the groups with deferred events, after more states were found that replay them."""
        self.todo.extend(
            (state, "", config) for state, configs in self.configs.items() for config in configs if config[0] in self.dense
        )
        self._exhaust()

    def _exhaust(self) -> None:
        while self.todo:
            state, event, config = self.todo.popleft()
            events = [event] if event else [one for one in self.flow.verdicts.get(state, ()) if one != STARTED]
            for one in events:
                edges = self.flow.cell(state, one)
                if config is None and self._free(-1, state, one):
                    for edge in edges:
                        self._from_nothing(state, edge)
                for live in tuple(self.configs.get(state, ())) if config is None else (config,):
                    self._take(state, one, edges, live)

    # -- what is new
    def _enter(self, state: str) -> None:
        if state in self.flow.inside:
            return
        self.flow.inside.add(state)
        for event in self.flow.verdicts.get(state, ()):
            if event != STARTED and self.flow.may_arrive(state, event):
                self.todo.append((state, event, None))

    def _add(self, state: str, g: int, counts: Counts) -> None:
        self._enter(state)
        configs = self.configs.setdefault(state, set())
        if (g, counts) in configs or (g not in self.dense and not any(counts)):
            return
        configs.add((g, counts))
        self.sizes[g] += 1
        if self.sizes[g] > self.limit and len(self.groups[g]) > 1:
            raise TooManyError(g)
        self.todo.append((state, "", (g, counts)))
        for source, count in zip(self.groups[g], counts, strict=True):
            if count and not self.flow.machine.states[state].final:
                self._live(source, state)

    def _live(self, source: Source, state: str) -> None:
        states = self.flow.alive.setdefault(source, set())
        if state not in states:
            states.add(state)
            rows = self.flow.verdicts.get(state, {})
            self.todo.extend((state, event, None) for event in self.flow.raised.get(source, ()) if event in rows)

    # -- one row
    def _free(self, g: int, state: str, event: str) -> bool:
        """Whether the event can come from outside the group."""
        return self.flow.anytime(event) or any(
            self.at.get(one, (-1, 0))[0] != g or g < 0
            for one in self.flow.producers.get(event, ()) if self.flow.may_live(one, state)
        )  # fmt: skip

    def _from_nothing(self, state: str, edge: Edge) -> None:
        """Take a row where no source is live, in the groups that it touches."""
        self._enter(edge.target)
        for g in self._of(edge):
            if g not in self.dense and (edge.event == STARTED or self._free(g, state, edge.event)):
                counts = (0,) * len(self.groups[g])
                self._apply(edge, (g, counts), counts)

    def _take(self, state: str, event: str, edges: Iterable[Edge], config: Config) -> None:
        g, counts = config
        of = self.flow.producers.get(event, {})
        produced = [(self.at[one][1], ends) for one, ends in of.items() if self.at.get(one, (-1, 0))[0] == g]
        free = self._free(g, state, event)
        if g in self.dense:
            due = [
                i for i, one in enumerate(self.groups[g])
                if one.kind == "held" and counts[i] and not self.flow.holds(state, one.name)
            ]  # fmt: skip
            if due and (own := [(i, ends) for i, ends in produced if i in due]):
                free, produced = False, own
            elif due and state not in self.flow.deferred.get(event, ()):
                return
        befores = {counts} if free else set()
        for index, ends in produced:
            if counts[index]:
                befores.update(with_count(counts, index, left) for left in one_less(counts[index])) if ends else befores.add(counts)
        for edge in edges:
            for before in befores:
                self._apply(edge, config, before)

    def _apply(self, edge: Edge, config: Config, before: Counts) -> None:
        g = config[0]
        after = list(before)
        for index, change in self._of(edge).get(g, ()):
            after[index] = after_change(after[index], change, self.groups[g][index].most)
        self._add(edge.target, g, tuple(after))

    def _of(self, edge: Edge) -> Mapping[int, Changes]:
        """What the row, taking its event, does to the sources, by group."""
        key = (edge.row.id, edge.event)
        if key not in self._changes:
            found: dict[int, Changes] = {}
            for number, change in changes_of(edge.row, edge.event, self._numbers):
                g, index = self._places[number]
                found[g] = (*found.get(g, ()), (index, change))
            self._changes[key] = found
        return self._changes[key]
