"""Truth tables: whether the guards of one cell overlap, and whether they leave a hole.

A guard is a formula over *subjects*: a variable, a field of the event, a configured value, the count of a
set of children, a predicate's answer. Guards only ever compare subjects with constants, so each subject
needs few values to show everything it can do: both booleans, the members of an enum, the constants it is
compared with and one value on each side of them, null where it is optional. (A number or text that rows only
ever set to constants has those values and its default.) ``decide`` tries every
combination (a *valuation*) against the tiers of a cell, in the order the engine asks them.

Two subjects compared with each other (``event.cseq > last_cseq``) are one atom whose values are the ways
they can stand (less, equal, greater, null). Combinations that cannot be (``a < b`` where a is 3 and b is 2;
more children ringing than there are) are left out. Nothing here knows of states or of time: that a counter
never falls, or that two predicates exclude each other, is not assumed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calltable.engine.check.subjects import (
    _NOTHING,
    Comparison,
    Cube,
    GuardTypes,
    Subject,
    TooWideError,
    Values,
    comparison_of,
    subjects,
    valuations,
)
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calltable.engine.model import Catalogue, Machine, Row, Tier


HOLES = 8
"""How many cases that no row handles are told for one cell."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a truth table says of one cell.

    ``taken`` are the ids of the rows that some valuation chooses, ``holes`` valuations (each widened as far as
    it goes) that no row handles: together all of them, or the first ``HOLES``. ``overlaps`` pairs of rows with a valuation that satisfies both. ``too_wide``
    is set instead where there are too many combinations to try; every row then counts as taken.
    """

    taken: frozenset[str]
    holes: tuple[Cube, ...] = ()
    overlaps: tuple[tuple[str, str, Cube], ...] = ()
    too_wide: str = ""

    @property
    def hole(self) -> Cube | None:
        """The first case that no row handles."""
        return self.holes[0] if self.holes else None


@dataclass(slots=True)
class Truth:
    """Truth tables for the cells of one machine; equal cells are decided once."""

    machine: Machine
    catalogue: Catalogue
    _known: dict[object, Verdict] = field(default_factory=dict)
    _alone: dict[str, bool | str] = field(default_factory=dict)

    def decide(self, tiers: Sequence[Tier], event: str, fixed: Mapping[str, object] = _NOTHING) -> Verdict:
        """Try every valuation of the guards in ``tiers`` (as ``resolve.tiers`` orders them).

        ``fixed`` names variables of which the value is known; only valuations with these values are tried.
        """
        guards = [row.guard for tier in tiers for row in tier if row.guard is not None]
        if not guards and all(len(tier) == 1 for tier in tiers):
            return Verdict(frozenset(row.id for row in tiers[0]) if tiers else frozenset(),
                           () if tiers else (Cube(()),))
        nodes = [node for guard in guards for node in x.walk(guard)]
        fields = any(isinstance(node, x.Field) for node in nodes)
        read = {node.name for node in nodes if isinstance(node, x.Var)}
        known = {name: value for name, value in fixed.items() if name in read}
        key = (
            event if fields else "", tuple(tuple(row.id for row in tier) for tier in tiers), tuple(sorted(known.items())),
        )  # fmt: skip
        verdict = self._known.get(key)
        if verdict is None:
            try:
                verdict = _decide(tiers, guards, GuardTypes(self.machine, self.catalogue, event, known))
            except TooWideError as error:
                verdict = Verdict(frozenset(row.id for tier in tiers for row in tier), too_wide=str(error))
            self._known[key] = verdict
        return verdict

    def exhaustive(self, rows: Sequence[Row]) -> bool:
        """Whether, whatever the variables hold, at least one of the rows' guards holds."""
        if any(row.guard is None for row in rows):
            return True
        guards = [row.guard for row in rows if row.guard is not None]
        try:
            found, tests = _tables(guards, GuardTypes(self.machine, self.catalogue))
            return bool(tests) and all(any(t(v) for t in tests) for v in valuations(found))
        except TooWideError:
            return False

    def satisfiable(self, row: Row) -> bool:
        """Whether the row's guard can hold at all."""
        return self.alone(row) is not False

    def alone(self, row: Row) -> bool | str:
        """Whether the row's guard can hold by itself; a text, why, where it is too much to try."""
        if row.guard is None:
            return True
        if row.id not in self._alone:
            self._alone[row.id] = self._by_itself(row.guard, row.events[0])
        return self._alone[row.id]

    def _by_itself(self, guard: x.Expression, event: str) -> bool | str:
        # variables that no row sets keep their values
        kept = {name: one.default for name, one in self.machine.variables.items() if name not in self.machine.given}
        found, [test] = _tables([guard], GuardTypes(self.machine, self.catalogue, event, kept))
        try:
            return any(test(v) for v in valuations(found))
        except TooWideError as error:
            return str(error)


def _decide(tiers: Sequence[Tier], guards: Sequence[x.Expression], scope: GuardTypes) -> Verdict:
    found, tests = _tables(guards, scope)
    rest = iter(tests)
    asked = [[(row.id, next(rest) if row.guard is not None else _always) for row in tier] for tier in tiers]
    taken: set[str] = set()
    holes: list[Values] = []
    clashes: dict[tuple[str, str], list[Values]] = {}
    everything = list(valuations(found))
    for values in everything:
        for tier in asked:
            hits = [row for row, test in tier if test(values)]
            if hits:
                taken.update(hits)
                for pair in itertools.combinations(hits, 2):
                    clashes.setdefault(pair, []).append(values)
                break
        else:
            holes.append(values)
    return Verdict(
        frozenset(taken),
        _cover(found, holes, everything),
        tuple((a, b, _widen(found, both, everything)) for (a, b), both in clashes.items()),
    )


def _cover(subjects: Sequence[Subject], holes: Sequence[Values], everything: Sequence[Values]) -> tuple[Cube, ...]:
    """Cubes that together hold all the valuations, ``HOLES`` at most."""
    cubes: list[Cube] = []
    left = list(holes)
    index = {subject: i for i, subject in enumerate(subjects)}
    while left and len(cubes) < HOLES:
        cube = _widen(subjects, [left[0], *holes], everything)
        cubes.append(cube)
        left = [values for values in left if any(values[index[subject]] != value for subject, value in cube.fixed)]
    return tuple(cubes)


def _always(_: Values) -> bool:
    return True


def _widen(subjects: Sequence[Subject], inside: Sequence[Values], everything: Sequence[Values]) -> Cube:
    """The first of ``inside`` with every subject freed that makes no difference."""
    wanted = set(inside)
    outside = [values for values in everything if values not in wanted]
    fixed = dict(enumerate(inside[0]))
    for index in range(len(subjects)):
        value = fixed.pop(index)
        if any(all(values[i] == fixed[i] for i in fixed) for values in outside):
            fixed[index] = value
    return Cube(tuple((subjects[i], fixed[i]) for i in sorted(fixed)))


# --------------------------------------------------------------------------- subjects and their values


def _tables(guards: Sequence[x.Expression], scope: GuardTypes) -> tuple[list[Subject], list[Comparison]]:
    found = subjects(guards, scope)
    index = {subject.text: i for i, subject in enumerate(found)}
    return found, [comparison_of(guard, index) for guard in guards]


# --------------------------------------------------------------------------- evaluation


