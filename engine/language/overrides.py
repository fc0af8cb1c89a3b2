"""How rows stand to each other: what ``user.*`` is left with, and who beats whom.

A narrow row beats a wide one only if it says so (``overrides:``), so that nobody shadows a row by accident; and
an overlay cannot shadow a locked row at all. The order itself is that of ``resolve.py``.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from calltable.engine.language.rows import COMMANDS
from calltable.engine.model import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.language.declarations import Declarations
    from calltable.engine.language.merge import Entry
    from calltable.engine.model import Position, Report, Row


def base(row: str) -> str:
    """The id that the author wrote; ``user.*`` rows may have been split into ``<id>@<state>``."""
    return row.partition("@")[0]


def expand(rows: Iterable[Row], own: Declarations, report: Report) -> dict[str, Row]:
    """The rows by id, with ``user.*`` replaced by the commands that no other row names in the state.

    Where that leaves different commands in different states, the row becomes one for each set of commands.
    """
    given = list(rows)
    commands = [
        event.name
        for event in own.received.values()
        if event.command and not event.must_take
    ]
    named: dict[str, set[str]] = {}
    for row in given:
        for state in row.states:
            named.setdefault(state, set()).update(event for event in row.events if event != COMMANDS)
    found: dict[str, Row] = {}
    for row in given:
        if COMMANDS not in row.events:
            found[row.id] = row
            continue
        parts: dict[tuple[str, ...], dict[str, int]] = {}
        own_events = [event for event in row.events if event != COMMANDS]
        for state, width in row.states.items():
            left = (*own_events, *(event for event in commands if event not in named.get(state, ())))
            if left:
                parts.setdefault(left, {})[state] = width
        if not parts:
            hint = "every command has a row already, or the machine receives no interface with `commands: true`: remove the row"
            report.within(row=row.id).add(row.position, "user.* stands for no command here", code="wildcard", hint=hint)
        for events, states in parts.items():
            name = row.id if len(parts) == 1 else f"{row.id}@{next(iter(states))}"
            found[name] = dataclasses.replace(row, id=name, states=states, events=events)
    return found


def check_overrides(rows: Mapping[str, Row], entries: Mapping[str, Entry], lost: set[str], report: Report) -> None:
    """Complain of rows that beat a wider one without declaring it, and of ``overrides`` that beat nothing."""
    beaten: dict[str, set[str]] = {base(name): set() for name in rows}
    places: dict[tuple[str, str], tuple[str, str]] = {}
    for narrow, wide, state, event in _meetings(rows):
        beaten[base(narrow.id)].add(base(wide.id))
        places.setdefault((base(narrow.id), base(wide.id)), (state, event))
    said = {base(row.id): set(row.overrides) for row in rows.values()}
    for row in {base(one.id): one for one in rows.values()}.values():
        name = base(row.id)
        for other in row.overrides:
            _check_named(name, other, beaten, entries, lost, report)
        missing = beaten[name] - _reached(name, said)
        for other in sorted(missing):
            state, event = places[name, other]
            wide = next(one for one in rows.values() if base(one.id) == other)
            message = (
                f"row {name} ({row.state_text}) overrides the broader row {other} ({wide.state_text}, {wide.position}) "
                f"without saying so"
            )
            hint = f"if that is intended, add «overrides: {_listed([*row.overrides, *sorted(missing)])}» to {name}"
            report.within(row=name, state=state, event=event).add(
                entries[name].position, message, code="overrides", hint=hint
            )


def check_locked(rows: Mapping[str, Row], entries: Mapping[str, Entry], report: Report) -> None:
    """Complain of rows of an overlay that would be asked before a locked row of the table."""
    told: set[tuple[str, str]] = set()
    locked = [row for row in rows.values() if row.locked and not entries[base(row.id)].overlaid]
    added = [row for row in rows.values() if entries[base(row.id)].overlaid]
    for row in locked:
        for other in added:
            shared = [
                (state, event)
                for state in row.states
                if state in other.states
                for event in row.events
                if event in other.events and _before(other, row, state)
            ]
            key = (base(row.id), base(other.id))
            if shared and key not in told:
                told.add(key)
                state, event = shared[0]
                hint = "an overlay may add rows, but not remove what the RFC requires" + (f": {row.doc}" if row.doc else "")
                report.within(row=key[1], state=state, event=event).add(
                    entries[key[1]].position,
                    f"row {key[1]} would override {key[0]} ({row.position}), which is locked",
                    code="locked",
                    hint=hint,
                )


def _before(row: Row, other: Row, state: str) -> bool:
    """Whether ``row`` is asked before ``other``: the order of ``resolve.py``."""
    mine = (row.states[state], row.otherwise, -(row.priority or 0))
    return mine < (other.states[state], other.otherwise, -(other.priority or 0))


def _meetings(rows: Mapping[str, Row]) -> Iterable[tuple[Row, Row, str, str]]:
    """Every pair of a narrower and a wider row with a state and an event that both cover."""
    by_cell: dict[tuple[str, str], list[Row]] = {}
    for row in rows.values():
        for state in row.states:
            for event in row.events:
                by_cell.setdefault((state, event), []).append(row)
    for (state, event), found in by_cell.items():
        if len(found) < 2:
            continue
        for narrow in found:
            for wide in found:
                if narrow.states[state] < wide.states[state]:
                    yield narrow, wide, state, event


def _reached(name: str, said: Mapping[str, set[str]]) -> set[str]:
    """What a row overrides, and what those override in turn."""
    found: set[str] = set()
    todo = list(said.get(name, ()))
    while todo:
        other = todo.pop()
        if other not in found:
            found.add(other)
            todo += said.get(other, ())
    return found


def _check_named(
    name: str, other: str, beaten: Mapping[str, set[str]], entries: Mapping[str, Entry], lost: set[str], report: Report
) -> None:
    if other in beaten[name] or other in lost:
        return
    if other in entries and other != name and COMMANDS in _events(entries[other]):
        # what «user.*» is left with is narrower than what its author sees: saying so does no harm
        return
    inside = report.within(row=name)
    position = _overrides_position(entries[name])
    if other not in entries:
        hint = suggestion(other, [one for one in entries if one != name], "row")
        inside.add(position, f"overrides: unknown row {other!r}", code="unknown-row", hint=hint)
    elif other in beaten:
        hint = "the two share no state and event, or it is not broader: remove it from overrides:"
        inside.add(position, f"row {name} does not override {other}", code="overrides", hint=hint)


def _events(entry: Entry) -> list[str]:
    node = entry.node.get("event")
    return [item.text for item in (node.items or [node])] if node is not None else []


def _overrides_position(entry: Entry) -> Position:
    node = entry.node.get("overrides")
    return node.position if node is not None else entry.position


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"
