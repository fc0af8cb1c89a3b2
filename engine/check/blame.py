"""Who is to blame: where an overlay causes a problem that shows in the table, the overlay's line is told.

The one who reads the problem has written the overlay, not the table. To blame is, in this order: a row of the overlay that the
problem names, a row of it or one it removes that stands for the same state and event, one that stands for the state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calltable.engine.model import Machine, Position, Problem, Row

OVERLAY = "overlay "
"""How the origin of an overlay's row begins."""


def blamed(machine: Machine, problem: Problem) -> Problem:
    """The problem, at the overlay's line where an overlay has caused it."""
    rows = [row for row in machine.rows.values() if row.origin.startswith(OVERLAY)]
    if (not rows and not machine.removed) or problem.position.file in {row.position.file for row in (*rows, *machine.removed.values())}:
        return problem
    position = next(_candidates(machine, rows, problem), None)
    return problem if position is None else replace(problem, position=position)


def _candidates(machine: Machine, rows: list[Row], problem: Problem) -> Iterator[Position]:
    states, events = set(problem.state.split(", ")) - {""}, set(problem.event.split(", ")) - {""}
    named = set(problem.row.split(", "))
    text = f" {problem.message} ".replace(",", " ")
    yield from (row.position for row in rows if row.id in named or f" {row.id} " in text)
    changes = [*machine.removed.values(), *rows]
    yield from (row.position for row in changes if states & row.states.keys() and events & set(row.events))
    yield from (row.position for row in changes if not events and (states & row.states.keys() or row.next_state in states))
