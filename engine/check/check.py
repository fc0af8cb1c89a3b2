"""Gates 2 to 5: what a table may not do once its names and types are right (gate 1 is loading).

What is left of gate 1 comes first, in ``nulls.py``: variables that may be null where a value is needed.

Static check 2, here: every event that can arrive in a state has a row for every valuation (no *hole*), and no two rows
of equal standing can both want it (no *overlap*). Static check 3, in ``exits.py``: every state can be reached, every
row can be taken, every state has a way out, and no session can wait for ever (or, ``loops.py``, go round in no time). Static checks 4 and 5, in ``obligations.py``:
outcomes are waited for, and what is owed (responses, ACKs, BYEs) is settled once.

Both read a ``flow.Reachability``, which knows what may arrive where. All problems of all machines are returned at
once; nothing is raised.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from calltable.engine.check.blame import blamed
from calltable.engine.check.exits import dead_rows, gate_three
from calltable.engine.check.flow import Reachability, analyse
from calltable.engine.check.holes import hole_problems, holes, must_be_covered
from calltable.engine.check.loops import loops, same_time
from calltable.engine.check.nulls import values_needed
from calltable.engine.check.obligations import gate_five, gate_four
from calltable.engine.model import HANGUP, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from calltable.engine.check.subjects import Cube
    from calltable.engine.model import Catalogue, Machine, Row


class Tables(Protocol):
    """What is checked; ``load.Library`` is one."""

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The machines by name, with those their children run."""

    @property
    def catalogue(self) -> Catalogue:
        """The events, actions and predicates they use."""


def check(library: Tables) -> list[Problem]:
    """Every problem that the static checks after loading find, in file order; an empty list is a clean bill."""
    flows = [analyse(machine, library.catalogue, library.machines) for machine in library.machines.values()]
    taken: set[str] = set()
    problems = []
    for flow in flows:
        problems += _alone(flow)
        problems += hole_problems(flow, holes(flow), taken, _alone)
    problems.extend(dead_rows(flows))
    problems.extend(children_that_stay(library))
    found = [blamed(library.machines[one.table], one) for one in problems]
    return sorted(_shared(found), key=lambda p: p.position)


def _alone(flow: Reachability) -> list[Problem]:
    """What the checks of one machine find, but for holes and dead rows."""
    gates = (values_needed, gate_two, same_time, gate_three, loops, gate_four, gate_five)
    return [problem for gate in gates for problem in gate(flow)]


def _shared(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, one of a fragment told once for all machines that include it."""
    found: dict[tuple[object, ...], Problem] = {}
    for problem in problems:
        key = (problem.position, problem.code, problem.row, problem.state, problem.event)
        first = found.setdefault(key, problem)
        if problem.table not in first.table.split(", "):
            found[key] = replace(first, table=f"{first.table}, {problem.table}")
    return list(found.values())


def children_that_stay(library: Tables) -> Iterator[Problem]:
    """Children that would outlive their owner: a machine that takes no ``user.hangup`` cannot be taken down."""
    for machine in library.machines.values():
        for child in machine.children.values():
            other = library.machines.get(child.machine)
            if other is not None and HANGUP not in other.events:
                yield Problem(
                    child.position,
                    f"child {child.name} would outlive its owner: {child.machine} does not handle {HANGUP}",
                    table=machine.name,
                    hint=f"let {child.machine} receive an interface that has {HANGUP}",
                    gate=3, code="child-stays",
                )  # fmt: skip


def gate_two(flow: Reachability) -> Iterator[Problem]:
    """Overlaps, and cells too wide to decide; ``holes.py`` tells the holes. That must-take events are taken, gate 1 has seen to."""
    machine = flow.machine
    overlaps: dict[tuple[str, str], list[tuple[str, str, Cube]]] = {}
    too_wide: dict[str, tuple[str, str, str]] = {}
    for state in machine.states:
        if state not in flow.reachable or machine.states[state].final:
            continue
        for event in flow.arriving[state]:
            verdict = flow.verdicts[state].get(event)
            if verdict is None or not must_be_covered(flow, state, event):
                continue
            for a, b, cube in verdict.overlaps:
                overlaps.setdefault((a, b), []).append((state, event, cube))
            if verdict.too_wide:
                too_wide.setdefault(min(verdict.taken), (state, event, verdict.too_wide))
    for row in machine.rows.values():
        if row.after is not None and isinstance(why := flow.truth.alone(row), str):
            too_wide.setdefault(row.id, (next(iter(row.states)), row.events[0], why))
    yield from (_overlap(machine, a, b, cells) for (a, b), cells in overlaps.items())
    for row_id, (state, event, why) in too_wide.items():
        yield _problem(
            machine, machine.rows[row_id], "too-many-conditions", f"too many conditions to check for one event: {why}",
            "use fewer conditions in the guards of this event, or combine them in a predicate",
            state=state, event=event,
        )  # fmt: skip


def _overlap(machine: Machine, a: str, b: str, cells: list[tuple[str, str, Cube]]) -> Problem:
    one, two = sorted((machine.rows[a], machine.rows[b]), key=lambda row: row.position)
    state, event, cube = cells[0]
    case = f", for example where {cube}" if cube.fixed else ""
    more = f", and {len(cells) - 1} more" if len(cells) > 1 else ""
    return _problem(
        machine, two, "overlap",
        f"rows {one.id} and {two.id} both handle {event} in state {state}{case}{more}",
        f"make their guards mutually exclusive, give one of them `guards: [otherwise]`, or give one a `priority` "
        f"({one.id} is at {one.position})",
        state=state, event=event,
    )  # fmt: skip


def _problem(
    machine: Machine, row: Row, code: str, message: str, hint: str, *, state: str = "", event: str = ""
) -> Problem:
    return Problem(row.position, message, machine.name, row.id, state, event, hint, 2, code)
