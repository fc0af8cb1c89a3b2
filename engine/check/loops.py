"""The static checks' part about time: no session goes round without any time passing, and no two times end as one.

An ``after`` of nothing fires at once. Where such rows lead from state to state and back, and no guard on the way can
change, the session never does anything else again, and with it stands the whole process. The walk takes the rows whose
time is nothing for certain, from every state and every value of the variables their guards ask about; a circle
among those is told. So is a timer that repeats without a pause, and one that its own rows start anew at once.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

from calltable.engine.check.circles import components
from calltable.engine.check.sources import assigned, literal, sets_of
from calltable.engine.check.subjects import GuardTypes
from calltable.engine.model import Problem
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calltable.engine.check.flow import Reachability
    from calltable.engine.model import Action, Row

MOST = 4096
"""Values of variables that are tried together; where there are more, their guards count as ones that may hold."""

Place: TypeAlias = tuple[str, tuple[object, ...]]
"""A state and the values of the variables that matter."""


def loops(flow: Reachability) -> Iterator[Problem]:
    """Circles of rows that take no time, and timers that repeat without a pause."""
    scope = GuardTypes(flow.machine, flow.catalogue)
    machine = flow.machine
    for row in machine.rows.values():
        for action in row.actions:
            if action.name == "timer.start" and (why := _restless(action, scope)):
                yield Problem(
                    action.position, f"timer {literal(action, 'name')} repeats without a pause: {why}",
                    machine.name, row.id, row.state_text, "", "give it an interval: after: 500ms, repeat: {max: 4s}", 3, "zero-loop",
                )  # fmt: skip
    waiting = [row for row in machine.rows.values() if row.after is not None and row.next_state and _nothing(row.after, scope)]
    yield from _circle(flow, waiting, "after: 0s")
    again: dict[str, list[Row]] = {}
    for row in machine.rows.values():
        for action in row.actions:
            name = literal(action, "name")
            if action.name == "timer.start" and f"timer.{name}" in row.events and _nothing(action.parameters["after"], scope):
                again.setdefault(name or "", []).append(row)
    for name, rows in again.items():
        yield from _circle(flow, rows, f"timer {name}, restarted with no delay,")


def same_time(flow: Reachability) -> Iterator[Problem]:
    """Pairs of ``after`` rows that run out at one moment and disagree: which is taken would depend on their order."""
    machine = flow.machine
    timed = [row for row in machine.rows.values() if row.after is not None and flow.truth.satisfiable(row)]
    by_state: dict[str, list[Row]] = {}
    for row in sorted(timed, key=lambda row: row.position):
        for state in row.states:
            by_state.setdefault(state, []).append(row)
    pairs = {(one.id, two.id): (one, two) for rows in by_state.values() for one, two in itertools.combinations(rows, 2)}
    for one, two in sorted(pairs.values(), key=lambda pair: (pair[0].position, pair[1].position)):
        shared = [state for state in one.states if state in two.states and state in flow.reachable]
        if not shared or one.after != two.after or isinstance(one.after, x.Between) or (one.next_state is two.next_state is None):
            continue
        if (one.next_state, one.set, one.actions, one.publish) == (two.next_state, two.set, two.actions, two.publish):
            continue
        overlaps = flow.truth.decide(((one, two),), one.events[0]).overlaps
        if overlaps:
            cube = overlaps[0][2]
            case = f", for example where {cube}" if cube.fixed else ""
            yield Problem(
                two.position, f"rows {one.id} and {two.id} expire at the same time in state {shared[0]}{case}",
                machine.name, two.id, shared[0], two.events[0],
                f"give them different times, or mutually exclusive guards ({one.id} is at {one.position})", 2, "overlap",
            )  # fmt: skip


def _nothing(time: x.Expression | None, scope: GuardTypes) -> bool:
    """Whether a duration is zero for certain."""
    match time:
        case x.Literal(value=value):
            return value == 0
        case x.Config(name=name):
            return name in scope.catalogue.config and scope.catalogue.config[name].default == 0
        case x.Between(high=high):
            return _nothing(high, scope)
        case x.Var():
            values = scope.values(time)
            return values is not None and all(value == 0 for value in values)
        case _:
            return False


def _restless(action: Action, scope: GuardTypes) -> str:
    repeat = action.parameters.get("repeat")
    if not isinstance(repeat, x.Mapping):
        return ""
    if _nothing(action.parameters["after"], scope):
        return "an interval of 0 s stays 0 s, whatever the factor"
    return "max: is 0 s" if _nothing(dict(repeat.items).get("max"), scope) else ""


def _circle(flow: Reachability, rows: Sequence[Row], how: str) -> Iterator[Problem]:
    """The circles among rows that take no time: one problem for each set of states."""
    flags = _flags(flow, rows)
    ways: dict[Place, list[tuple[Row, Place]]] = {}
    for values in itertools.product(*flags.values()):
        fixed = dict(zip(flags, values, strict=True))
        for row in rows:
            for state in row.states:
                if state not in flow.reachable or not _taken(flow, row, state, fixed):
                    continue
                for after in assigned(values, list(sets_of(row, flags))):
                    ways.setdefault((state, values), []).append((row, (row.next_state or state, after)))
    told: set[frozenset[str]] = set()
    leads: dict[Place, list[Place]] = {place: [target for _, target in of] for place, of in ways.items()}
    # where a path leads back: in a component of several places, or straight to itself
    circling = {place for circle in components(leads) if len(circle) > 1 for place in circle}
    for start in (place for place in ways if place in circling or place in leads[place]):
        path = _back(start, ways)
        key = frozenset(state for _, (state, _) in path)
        if path and not any(key >= other for other in told):
            told.add(key)
            first = path[0][0]
            names = " → ".join([start[0], *(state for _, (state, _) in path)])
            ids = ", ".join(dict.fromkeys(row.id for row, _ in path))
            yield Problem(
                first.position, f"a session loops without any time passing: {names} ({how} in {ids})",
                flow.machine.name, first.id, start[0], "",
                "give one of the rows a delay, or make it change what its guard tests", 3, "zero-loop",
            )  # fmt: skip


def _flags(flow: Reachability, rows: Sequence[Row]) -> dict[str, tuple[object, ...]]:
    """The variables that the guards of the rows ask about, with every value each may have, where these are few."""
    scope = GuardTypes(flow.machine, flow.catalogue)
    found: dict[str, tuple[object, ...]] = {}
    size = 1
    names = {node.name for row in rows if row.guard for node in x.walk(row.guard) if isinstance(node, x.Var)}
    for name in sorted(names & flow.machine.variables.keys()):
        values = flow.flags.get(name) or scope.values(x.Var(name))
        if values and size * len(values) <= MOST:
            found[name] = values
            size *= len(values)
    return found


def _taken(flow: Reachability, row: Row, state: str, fixed: Mapping[str, object]) -> bool:
    if row.after is not None:
        return row.id in flow.truth.decide(((row,),), row.events[0], fixed).taken
    return any(row.id in flow.truth.decide(flow.cells[state][event], event, fixed).taken for event in row.events)


def _back(start: Place, ways: Mapping[Place, list[tuple[Row, Place]]]) -> list[tuple[Row, Place]]:
    """A shortest way from the place back to itself; empty where there is none."""
    paths: dict[Place, list[tuple[Row, Place]]] = {start: []}
    todo = [start]
    for place in todo:
        for row, target in ways.get(place, ()):
            if target == start:
                return [*paths[place], (row, target)]
            if target not in paths:
                paths[target] = [*paths[place], (row, target)]
                todo.append(target)
    return []
