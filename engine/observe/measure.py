"""Counts held against a table as it is now: which rows and cases were reached, and which were not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calltable.engine.model import tiers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calltable.engine.model import Machine, Row
    from calltable.engine.observe.hits import Hits


@dataclass(slots=True)
class Measure:
    """One table held against what was counted. Row lists are in the order of the table."""

    machine: Machine
    reached: dict[str, int]
    """By row id, how often it was taken (or has ignored, refused, deferred)."""
    states: frozenset[str]
    """The states in which any event came, or that a row led to."""
    held: frozenset[str]
    """Rows with a guard that held at least once."""
    failed: frozenset[str]
    """Rows with a guard that was asked and did not hold."""
    cases: dict[tuple[str, str], dict[str, int]]
    """By state and event, the cases that came."""
    surprises: dict[tuple[str, str], int]
    """Events that no row took."""
    foreign: int
    """Events counted under another version of the table."""

    def rows(self, *kinds: str) -> list[Row]:
        """The rows of these kinds, all without any."""
        return [row for row in self.machine.rows.values() if not kinds or row.kind in kinds]

    def missing(self, *kinds: str) -> list[Row]:
        """The rows of these kinds that nothing reached."""
        return [row for row in self.rows(*kinds) if row.id not in self.reached]

    @property
    def guards(self) -> list[Row]:
        """The rows whose guard has two sides to see: not ``otherwise``, and not asked on entry."""
        return [row for row in self.machine.rows.values() if row.guard is not None and row.after is None]

    @property
    def one_sided(self) -> list[tuple[Row, str]]:
        """Rows that were asked, of which the guard was seen one way only, with the way that is missing."""
        found = []
        for row in self.guards:
            yes, no = row.id in self.held, row.id in self.failed
            if yes != no:
                found.append((row, "never failed" if yes else "never held"))
        return found


def measure(machine: Machine, hits: Hits) -> Measure:
    """Hold one table against what was counted under its name; rows of other versions count by their id."""
    reached: Counter[str] = Counter()
    states: set[str] = set()
    held: set[str] = set()
    failed: set[str] = set()
    surprises: Counter[tuple[str, str]] = Counter()
    cases: dict[tuple[str, str], dict[str, int]] = {}
    foreign = 0
    for (name, digest, state, event, row_id), count in hits.rows.items():
        if name != machine.name:
            continue
        foreign += count if digest != machine.digest else 0
        if not row_id:
            surprises[state, event] += count
            continue
        row = machine.rows.get(row_id)
        if row is None or state not in machine.states:
            continue
        reached[row_id] += count
        states.update(one for one in (state, row.next_state) if one is not None)
        if row.guard is not None:
            held.add(row_id)
        failed.update(_passed_over(machine, state, event, row_id))
    for (name, _, state, event, case), count in hits.cases.items():
        if name == machine.name:
            cell = cases.setdefault((state, event), {})
            cell[case] = cell.get(case, 0) + count
    order = {row: reached[row] for row in machine.rows if row in reached}
    return Measure(machine, order, frozenset(states), frozenset(held), frozenset(failed), cases, dict(surprises), foreign)


def _passed_over(machine: Machine, state: str, event: str, taken: str) -> Iterator[str]:
    """The rows whose guards cannot have held where ``taken`` was: those asked before it, and its equals."""
    for tier in tiers(machine, state, event):
        ids = [row.id for row in tier]
        yield from (row.id for row in tier if row.guard is not None and row.id != taken)
        if taken in ids:
            return
