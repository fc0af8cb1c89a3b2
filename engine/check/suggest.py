"""Rows that would fix a hole, as YAML to paste into the table.

For each hole there are candidates, the likeliest first: the row that an overlay has removed; what another state does on the
event; a refusal of a command; the way to the end for an event that must be taken; ``ignore: late``. A candidate is tried before
it is told: the table is checked with it, together with the suggestions for all other holes. One that leaves the hole or brings
another problem gives way to the next; where none is left, the suggestion is withheld, and the reason is told instead.
It is a start for the author, who knows what the call should do.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.model import ANY, STARTED, WIDEST, Row, format_expression, mapping_text
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from calltable.engine.check.subjects import Cube
    from calltable.engine.model import Machine, Problem

ROUNDS = 10
"""How often candidates are tried together; what is not settled then is withheld."""

MODELS = 3
"""How many rows of other states are tried as models."""


class Gap(NamedTuple):
    """Holes that one row fixes: its states and events, and the cases; without cases nothing is taken there at all."""

    states: tuple[str, ...]
    events: tuple[str, ...]
    cubes: tuple[Cube, ...]


class Suggestion(NamedTuple):
    """Rows to paste, or why there are none."""

    rows: tuple[Row, ...]
    withheld: str


def suggestions(machine: Machine, gaps: Sequence[Gap], taken: set[str], trial: Callable[[Sequence[Row]], list[Problem]]) -> list[Suggestion]:
    """A suggestion for each gap, tried together. ``taken`` are ids that are in use; those given are added."""
    choices = [list(_candidates(machine, gap, taken)) for gap in gaps]
    at = [0] * len(gaps)
    why = [""] * len(gaps)
    for _ in range(ROUNDS):
        chosen = [rows[place] if place < len(rows) else () for rows, place in zip(choices, at, strict=True)]
        wrong = trial([row for rows in chosen for row in rows])
        blamed = [next((one for one in wrong if _concerns(one, gap, rows)), None) if rows else None for gap, rows in zip(gaps, chosen, strict=True)]
        if not wrong or not any(chosen):
            return [Suggestion(rows, "" if rows else reason) for rows, reason in zip(chosen, why, strict=True)]
        if not any(blamed):
            blamed = [wrong[0] if rows else None for rows in chosen]
        for i, problem in enumerate(blamed):
            if problem is not None:
                at[i] += 1
                why[i] = why[i] or f"{problem.message} [{problem.code}]"
    return [Suggestion((), reason or "no combination of suggestions passed") for reason in why]


def _concerns(problem: Problem, gap: Gap, rows: Sequence[Row]) -> bool:
    """Whether the rows may have brought the problem."""
    ids = {row.id for row in rows}
    named = set(problem.row.split(", "))
    if ids & named or any(one in problem.message for one in ids):
        return True
    leading = {row.next_state for row in rows}
    states = set(problem.state.split(", "))
    return bool(states & leading) or bool(states & set(gap.states) and set(problem.event.split(", ")) & {*gap.events, ""})


# --------------------------------------------------------------------------- candidates


def _candidates(machine: Machine, gap: Gap, taken: set[str]) -> Iterator[tuple[Row, ...]]:
    """The rows that may fix a gap, the likeliest first; one row for each case."""
    name = _id(machine, gap, taken)
    blank = Row(
        id=name, states=_widths(machine, gap.states), state_text=_state(machine, gap.states), events=gap.events, kind="row", note="",
        guard=None, guard_text="", otherwise=False, priority=None, overrides=tuple(_wider(machine, gap)), actions=(), set={},
        next_state=None, publish=(), after=None, locked=False, doc="", position=machine.position,
    )  # fmt: skip
    for made in _what(machine, gap, blank):
        yield tuple(
            dataclasses.replace(
                made, id=name if i == 1 else f"{name}_case{i}", guard=_all(cube.guards()),
                guard_text=", ".join(map(format_expression, cube.guards())),
            )
            for i, cube in enumerate(gap.cubes, 1) if cube.fixed
        ) or (made,)  # fmt: skip


def _all(guards: Sequence[x.Expression]) -> x.Expression:
    return guards[0] if len(guards) == 1 else x.And(tuple(guards))


def _what(machine: Machine, gap: Gap, blank: Row) -> Iterator[Row]:
    removed = _removed(machine, gap)
    if removed is not None:
        yield _like(blank, removed)
    known = [machine.events[event] for event in gap.events if event in machine.events]
    must_take = any(event.must_take for event in known)
    commands = bool(known) and all(event.command for event in known)
    models = [_like(blank, row) for row in _models(machine, gap)]
    pending = any(event.source not in ("interface", "engine") for event in known)
    final = next((state.name for state in machine.states.values() if state.final), None)
    ending = [] if final is None else [dataclasses.replace(blank, next_state=final)]
    if commands and not must_take:
        yield dataclasses.replace(blank, kind="refuse", note=f"not possible while {_spoken(gap.states)}")
    if must_take or pending:
        yield from models
    if gap.events[0] == STARTED:
        yield from (dataclasses.replace(blank, next_state=name) for name in machine.states if name != machine.initial)
    if must_take:
        yield from ending
        yield dataclasses.replace(blank, doc="it changes nothing here")
        return
    if any(event.source == "timer" for event in known):
        yield from ending  # somebody has set it to be told
    yield dataclasses.replace(blank, kind="ignore", note="late")
    yield from models if not pending else ()
    yield from ending


def _models(machine: Machine, gap: Gap) -> list[Row]:
    """Rows that take the event elsewhere: those without a guard and of most states first."""
    if len(gap.events) != 1:
        return []
    fields = machine.events[gap.events[0]].fields
    rows = [
        row for row in machine.taking.get(gap.events[0], ())
        if row.kind == "row" and not set(gap.states) & row.states.keys() and not (row.guard is not None and _uses_optional(row, fields))
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.guard is None, len(row.states)), reverse=True)[:MODELS]


def _uses_optional(row: Row, fields: Mapping[str, object]) -> bool:
    """Whether the row may rely on its guard for a field or variable that may be null."""
    values = [
        *row.set.values(), *(one for action in row.actions for one in action.parameters.values()),
        *(one for published in row.publish for one in published.fields.values()),
    ]  # fmt: skip
    return any(isinstance(node, x.Field) and str(fields.get(node.name, "?")).endswith("?") for one in values for node in x.walk(one))


def _removed(machine: Machine, gap: Gap) -> Row | None:
    """The row that an overlay has taken away, if it took these events in these states."""
    return next(
        (row for row in machine.removed.values() if set(gap.states) <= row.states.keys() and set(gap.events) <= set(row.events)), None
    )


def _like(blank: Row, model: Row) -> Row:
    return dataclasses.replace(
        blank, kind=model.kind, note=model.note, actions=model.actions, set=model.set, next_state=model.next_state,
        publish=model.publish, doc=f"as in row {model.id.partition('@')[0]}",
    )  # fmt: skip


def _wider(machine: Machine, gap: Gap) -> list[str]:
    """The rows that the suggestion would beat, which it has to say."""
    widths = _widths(machine, gap.states)
    found = [
        row.id.partition("@")[0] for event in gap.events for row in machine.taking.get(event, ())
        if any(row.states.get(state, 0) > width for state, width in widths.items())
    ]  # fmt: skip
    return list(dict.fromkeys(found))


def _id(machine: Machine, gap: Gap, taken: set[str]) -> str:
    states, events = gap.states, gap.events
    where = states[0] if len(states) == 1 else "any" if _everywhere(machine, states) else "several"
    what = events[0] if len(events) == 1 else "others"
    known = machine.events.get(what)
    if known is not None and known.source in ("interface", "outcome"):
        what = what.partition(".")[2]  # the first word says who speaks
    what = what.replace("*", "").replace(".", "_")
    wanted = f"{machine.prefix}.{where}.{what}"
    number, name = 1, wanted
    while name in machine.rows or name in machine.removed or name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def _everywhere(machine: Machine, states: Sequence[str]) -> bool:
    return len(states) > 1 and len(states) == sum(not state.final for state in machine.states.values())


def _group(machine: Machine, states: Sequence[str]) -> str | None:
    wanted = set(states)
    return next((one.name for one in machine.groups.values() if set(one.states) == wanted), None) if len(states) > 1 else None


def _widths(machine: Machine, states: Sequence[str]) -> dict[str, int]:
    width = WIDEST if _everywhere(machine, states) else len(states) if _group(machine, states) else 0
    return dict.fromkeys(states, width)


def _state(machine: Machine, states: Sequence[str]) -> str:
    return ANY if _everywhere(machine, states) else _group(machine, states) or _one_or_list(states)


# --------------------------------------------------------------------------- text


def row_text(row: Row) -> str:
    """The row as YAML, one key a line, without indentation."""
    lines = [f"- id: {row.id}", f"  state: {row.state_text}", f"  event: {_one_or_list(row.events)}"]
    if row.overrides:
        lines.append(f"  overrides: {_one_or_list(row.overrides)}")
    if row.guard is not None:
        guards = row.guard.items if isinstance(row.guard, x.And) else (row.guard,)
        lines.append(f"  guards: [{', '.join(_quoted(format_expression(one)) for one in guards)}]")
    return "\n".join([*lines, *(f"  {line}" for line in _doing(row))])


def _doing(row: Row) -> Iterator[str]:
    if row.kind != "row":
        word = row.note if row.note.isalpha() else json.dumps(row.note, ensure_ascii=False)
        yield "defer: true" if row.kind == "defer" else f"{row.kind}: {word}"
    if row.actions:
        yield "actions:"
        yield from (
            f"  - {action.name}: {mapping_text(action.parameters.items())}" if action.parameters else f"  - {action.name}"
            for action in row.actions
        )
    if row.set:
        yield f"set: {mapping_text(row.set.items())}"
    if row.next_state:
        yield f"next_state: {row.next_state}"
    if row.publish:
        yield "publish:"
        yield from (f"  - {one.name}: {mapping_text(one.fields.items())}" if one.fields else f"  - {one.name}" for one in row.publish)
    if row.doc:
        yield f"doc: {row.doc}"


def _spoken(states: Sequence[str]) -> str:
    return states[0].replace("_", " ") if len(states) == 1 else "the call is in this state"


def _one_or_list(names: Sequence[str]) -> str:
    written = [f"'{name}'" if "*" in name else name for name in names]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
