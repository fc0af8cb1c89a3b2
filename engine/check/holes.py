"""Static check 2, holes: events that can arrive in a state, and no row handles them there.

Holes that one row fixes are told as one problem: an event in several states, or several events of one sort in the same states. An
event that must be taken, and a hole between guards, get a row of their own.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.check.flow import analyse
from calltable.engine.check.suggest import Gap, row_text, suggestions
from calltable.engine.language import outcome_events
from calltable.engine.model import FAILED, STARTED, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from calltable.engine.check.flow import Reachability
    from calltable.engine.check.subjects import Cube
    from calltable.engine.model import Machine, Position, Row

FEW = 4
"""How many states or events a message names."""


class Hole(NamedTuple):
    """A cell without a row, or with cases that none handles."""

    state: str
    event: str
    rows: tuple[str, ...]
    cubes: tuple[Cube, ...]


def must_be_covered(flow: Reachability, state: str, event: str) -> bool:
    """Whether the cell needs a row: the event can come there.

    ``after`` events come only where their row stands, and of the engine's own events only ``engine.started``
    and ``engine.failed`` are sent to every table.
    """
    known = flow.machine.events[event]
    if known.source == "after" or (known.source == "engine" and event not in (STARTED, FAILED)):
        return False
    return flow.may_arrive(state, event)


def holes(flow: Reachability) -> Iterator[Hole]:
    """Every hole, state by state."""
    machine = flow.machine
    for state in machine.states:
        if state not in flow.reachable or machine.states[state].final:
            continue
        for event in flow.arriving[state]:
            verdict = flow.verdicts[state].get(event)
            if not must_be_covered(flow, state, event) or (verdict is not None and not verdict.holes) or not flow.comes(state, event):
                continue
            rows = tuple(row.id for row in machine.in_state(state) if event in row.events)
            yield Hole(state, event, rows, verdict.holes if verdict is not None else ())


def hole_problems(
    flow: Reachability, found: Iterable[Hole], taken: set[str], others: Callable[[Reachability], list[Problem]]
) -> Iterator[Problem]:
    """A problem for each gap, with the rows that would fix it. ``others`` are the other checks of a machine; ``taken`` ids in use."""
    gaps = _gaps(flow.machine, found)
    if not gaps:
        return
    before = {_key(one) for one in others(flow)}

    def trial(rows: Sequence[Row]) -> list[Problem]:
        after = with_rows(flow, rows)
        left = [_problem(after.machine, gap, at, of, "") for gap, at, of in _gaps(after.machine, holes(after))]
        dead = [
            _problem(flow.machine, gap, at, of, "") for row in rows for gap, at, of in gaps
            if row.events == gap.events and not any(after.chooses(row, state, event) for state in row.states for event in row.events)
        ]  # fmt: skip
        return [*left, *dead, *(one for one in others(after) if _key(one) not in before)]

    for (gap, position, rows), said in zip(gaps, suggestions(flow.machine, [gap for gap, *_ in gaps], taken, trial), strict=True):
        text = "\n".join(map(row_text, said.rows)).replace("\n", "\n      ")
        hint = f"add a row, for example\n      {text}" if text else f"no fix is suggested: the simple ones cause another problem: {said.withheld}"
        yield _problem(flow.machine, gap, position, rows, hint)


def with_rows(flow: Reachability, rows: Sequence[Row]) -> Reachability:
    """The analysis of the machine with these rows added."""
    machine = flow.machine
    used = {action.name for row in rows for action in row.actions} & flow.catalogue.actions.keys()
    events = {name: event for action in sorted(used) for name, event in outcome_events(action, flow.catalogue).items()}
    more = dataclasses.replace(machine, rows={**machine.rows, **{row.id: row for row in rows}}, events={**events, **machine.events})
    return analyse(more, flow.catalogue, {**flow.machines, machine.name: more})


def _key(problem: Problem) -> tuple[str, str, str, str]:
    return problem.code, problem.row, problem.state, problem.event


def _gaps(machine: Machine, found: Iterable[Hole]) -> list[tuple[Gap, Position, tuple[str, ...]]]:
    """The holes, those together that one row fixes; with the position that is told, and the rows of the cell."""
    alike: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Hole]] = {}
    for hole in found:
        alike.setdefault((hole.event, hole.rows, tuple(map(str, hole.cubes))), []).append(hole)
    blocks: dict[tuple[object, ...], list[list[Hole]]] = {}
    for (event, rows, cases), of in alike.items():
        alone = any(cases) or machine.events[event].must_take or event == STARTED
        sort = (event, rows, cases) if alone else event.split(".")[0]
        blocks.setdefault((tuple(hole.state for hole in of), sort), []).append(of)
    gaps = []
    for block in blocks.values():
        first = block[0][0]
        rows = first.rows
        position = min(machine.rows[row].position for row in rows) if rows else machine.states[first.state].position
        cubes = tuple(cube for cube in first.cubes if cube.fixed)
        gaps.append((Gap(tuple(hole.state for hole in block[0]), tuple(of[0].event for of in block), cubes), position, rows))
    return gaps


def _problem(machine: Machine, gap: Gap, position: Position, rows: Sequence[str], hint: str) -> Problem:
    case = f" where {gap.cubes[0]}" if gap.cubes else ""
    more = f", nor in {len(gap.cubes) - 1} other case{'s' if len(gap.cubes) > 2 else ''}" if len(gap.cubes) > 1 else ""
    where = f"state{'s' if len(gap.states) > 1 else ''} {_few(gap.states)}"
    return Problem(
        position, f"no row handles {_few(gap.events)} in {where}{case}{more}", machine.name, ", ".join(rows), ", ".join(gap.states),
        ", ".join(gap.events), hint, 2, "hole",
    )  # fmt: skip


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:FEW])
    return shown if len(names) <= FEW else f"{shown} and {len(names) - FEW} more"
