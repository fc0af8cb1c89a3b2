"""The search: every global state within the bounds, breadth first, so that the first violation has a shortest trace.

While it goes, it looks at each move (nothing unhandled, nothing failed) and at each state (the invariants of
``properties.py``). Afterwards it looks at the whole graph: a state without a move in which a session is left is *stuck*;
a state from which no end can be reached is a *livelock*. Within the bounds this is exhaustive; it proves nothing
beyond them.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.explore.scene import BEYOND
from calltable.engine.explore.system import CAPACITY, Move, Overflow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.engine.explore.element import Reaction
    from calltable.engine.explore.system import State, System

LIMIT = 20_000_000
"""States after which a run gives up, and says so."""


class Finding(NamedTuple):
    """A violated property, with the number of the state it shows in, and the move that shows it (or None)."""

    code: str
    text: str
    state: int
    move: Move | None


class Told(NamedTuple):
    """A step of a trace: the move, and what its element made of it."""

    move: Move
    reaction: Reaction | None


class Result(NamedTuple):
    """What a run has found. ``states`` and ``moves`` count what was visited; ``ends`` the states where all is over."""

    states: int
    moves: int
    ends: int
    finding: Finding | None
    trace: tuple[Told, ...]
    overflowed: int
    complete: bool
    rows: frozenset[tuple[str, str]]
    """Machine and row of every row that was taken."""
    beyond: int = 0
    """Moves that were not followed, because the composition does not hold what they lead to."""
    why_beyond: tuple[str, ...] = ()
    """What such moves would have needed, each once."""

    @property
    def ok(self) -> bool:
        """Whether everything within the bounds was seen and nothing was wrong."""
        return self.finding is None and not self.missed()

    def missed(self) -> list[str]:
        """What was not looked at, and why; empty where everything within the bounds was, or a violation ended the search."""
        if self.finding is not None:
            return []
        found = []
        if not self.complete:
            found.append(f"the search stopped after {self.states:,} states")
        if self.overflowed:
            found.append(f"what follows {self.overflowed:,} states was left out, where a channel would hold more than {CAPACITY} messages")
        if self.beyond:
            found.append(f"{self.beyond:,} moves were not followed: {', '.join(self.why_beyond)}")
        return found


class Graph(NamedTuple):
    """Every state visited and the moves between them, as numbers: what properties over paths are decided on."""

    states: Sequence[State]
    forward: array[int]
    starts: array[int]
    """``forward[starts[i]:starts[i + 1]]`` are the successors of state ``i``."""
    final: bytearray


class Search:
    """One run over a system."""

    def __init__(
        self,
        system: System,
        invariant: Callable[[State], tuple[str, str] | None],
        is_final: Callable[[State], bool],
        *,
        paths: Callable[[Graph], tuple[str, str, int] | None] | None = None,
        limit: int = LIMIT,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.system = system
        self.invariant = invariant
        self.is_final = is_final
        self.paths = paths
        self.limit = limit
        self.progress = progress
        self.states: list[State] = []
        self.parents: array[int] = array("q")
        self.overflowed = 0
        self.beyond = 0
        self.why_beyond: dict[str, None] = {}
        self._initial: tuple[Reaction, ...] = ()

    def run(self, initials: Sequence[Sequence[Reaction]]) -> Result:
        """Search from the initial states, each given by what its elements did to begin with."""
        system = self.system
        numbers: dict[State, int] = {}
        states, parents = self.states, self.parents
        forward: array[int] = array("q")
        starts: array[int] = array("q")
        final = bytearray()
        roots: dict[int, Sequence[Reaction]] = {}
        moves = 0
        complete = True
        finding: Finding | None = None
        for reactions in initials:
            problem = next((one for one in reactions if one.problem), None)
            first = system.initial(reactions)
            if first not in numbers:
                numbers[first] = len(states)
                roots[len(states)] = reactions
                states.append(first)
                parents.append(-1)
            if problem is not None:
                return self._result(Finding(problem.code, problem.problem, numbers[first], None), 0, final, roots, complete=False)
        at = 0
        while at < len(states) and finding is None:
            state = states[at]
            starts.append(len(forward))
            over = self.is_final(state)
            final.append(over)
            wrong = self.invariant(state)
            if wrong is not None:
                finding = Finding(*wrong, at, None)
                break
            try:
                successors = system.successors(state)
            except Overflow:
                self.overflowed += 1
                successors = []
            else:
                if not over and not any(move.cost not in ("loss", "duplicate") for move, _, _ in successors):
                    finding = Finding("stuck", "nothing can happen any more, and not everything is over", at, None)
                    break
            for move, after, reaction in successors:
                moves += 1
                if reaction is not None and reaction.code == BEYOND:
                    self.beyond += 1
                    self.why_beyond[reaction.problem] = None
                    continue
                if reaction is not None and reaction.problem:
                    finding = Finding(reaction.code, reaction.problem, at, move)
                    break
                number = numbers.get(after)
                if number is None:
                    number = numbers[after] = len(states)
                    states.append(after)
                    parents.append(at)
                forward.append(number)
            at += 1
            if len(states) > self.limit:
                complete = False
                break
            if self.progress is not None and not at % 20_000:
                self.progress(len(states), len(states) - at)
        starts.append(len(forward))
        if finding is None and complete and not self.overflowed:
            graph = Graph(states, forward, starts, final)
            finding = self._livelock(graph)
            if finding is None and self.paths is not None and (told := self.paths(graph)) is not None:
                finding = Finding(*told, None)
        return self._result(finding, moves, final, roots, complete=complete)

    def _livelock(self, graph: Graph) -> Finding | None:
        """A state from which no end can be reached."""
        lost = unable(graph, lambda number: bool(graph.final[number]))
        if lost is None:
            return None
        return Finding("livelock", "from here no sequence of events leads to the end of everything", lost, None)

    def _result(
        self, finding: Finding | None, moves: int, final: bytearray, roots: dict[int, Sequence[Reaction]], *, complete: bool
    ) -> Result:
        trace = () if finding is None else self.trace(finding, roots)
        rows = frozenset(
            (shown.machine, shown.row)
            for element in self.system.elements for reaction in element.reactions() for shown in reaction.shown
        )  # fmt: skip
        return Result(len(self.states), moves, sum(final), finding, trace, self.overflowed, complete, rows, self.beyond, tuple(self.why_beyond))

    def trace(self, finding: Finding, roots: dict[int, Sequence[Reaction]]) -> tuple[Told, ...]:
        """The moves from an initial state to a finding, each with what came of it."""
        path = [finding.state]
        while self.parents[path[-1]] >= 0:
            path.append(self.parents[path[-1]])
        path.reverse()
        told = [
            Told(Move("give", i, ("start",), ""), reaction)
            for i, reaction in enumerate(roots[path[0]]) if reaction.shown
        ]  # fmt: skip
        for before, after in pairwise(path):
            wanted = self.states[after]
            for move, state, reaction in self.system.successors(self.states[before]):
                if state == wanted:
                    told.append(Told(move, reaction))
                    break
        if finding.move is not None:
            told.append(Told(finding.move, self.system.failed(self.states[finding.state], finding.move)))
        return tuple(told)


def unable(graph: Graph, goal: Callable[[int], bool]) -> int | None:
    """The first state from which no path leads to a goal; None where all can get there."""
    count = len(graph.states)
    able = bytearray(count)
    todo = [number for number in range(count) if goal(number)]
    for number in todo:
        able[number] = 1
    offsets, backward = reversed_edges(graph)
    while todo:
        number = todo.pop()
        for i in range(offsets[number], offsets[number + 1]):
            before = backward[i]
            if not able[before]:
                able[before] = 1
                todo.append(before)
    found = able.find(0)
    return None if found < 0 else found


def reversed_edges(graph: Graph) -> tuple[array[int], array[int]]:
    """The moves, looked at from where they lead: offsets and sources."""
    count = len(graph.states)
    offsets: array[int] = array("q", bytes(8 * (count + 1)))
    for target in graph.forward:
        offsets[target + 1] += 1
    for i in range(count):
        offsets[i + 1] += offsets[i]
    place = array("q", offsets)
    backward: array[int] = array("q", bytes(8 * len(graph.forward)))
    for source in range(count):
        for i in range(graph.starts[source], graph.starts[source + 1]):
            target = graph.forward[i]
            backward[place[target]] = source
            place[target] += 1
    return offsets, backward
