"""The row that would mend a hole, as YAML to paste into the table.

What an overlay has removed is suggested as it was. Where another state has a row for the event, the suggestion does the same; otherwise it is what the event
allows: a refusal for a user's command, a row to a final state for an event that must be taken, and
``ignore: late`` for the rest. It is a start for the author, who knows what the call should do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from calltable.engine.model.machine import ANY, STARTED, WIDEST
from calltable.engine.model.text import mapping_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calltable.engine.model.machine import Machine, Row

WIDTH = 100


def suggested_row(machine: Machine, states: Sequence[str], events: Sequence[str], guards: Sequence[str] = ()) -> str:
    """A complete row for the events in the states, one key a line, without indentation.

    ``guards`` are texts that together hold exactly where a row is missing. The events are expected to be of
    one sort (all a user's, all must-take, or all others).
    """
    lines = [
        f"- id: {_id(machine, states, events)}",
        f"  state: {_state(machine, states)}",
        f"  event: {_one_or_list(events)}",
    ]
    wider = _wider(machine, states, events)
    if wider:
        lines.append(f"  overrides: {_one_or_list(wider)}")
    if guards:
        lines.append(f"  guards: [{', '.join(map(_quoted, guards))}]")
    return "\n".join([*lines, *(f"  {line}" for line in _what(machine, states, events))])


def _what(machine: Machine, states: Sequence[str], events: Sequence[str]) -> list[str]:
    removed = _removed(machine, states, events)
    if removed is not None:
        return _like(removed)
    known = [machine.events[event] for event in events if event in machine.events]
    must_take = any(event.must_take for event in known)
    if all(event.command for event in known) and known and not must_take:
        return [f'refuse: "not possible while {_spoken(states)}"']
    model = _model(machine, states, events)
    if model is not None and (must_take or any(event.source not in ("interface", "engine") for event in known)):
        return _like(model)
    if must_take:
        return [f"next_state: {next(state.name for state in machine.states.values() if state.final)}"]
    if events[0] == STARTED:
        return [f"next_state: {next(name for name in machine.states if name != machine.initial)}"]
    return ["ignore: late"]


def _model(machine: Machine, states: Sequence[str], events: Sequence[str]) -> Row | None:
    """A row that takes the event elsewhere: the one of most states, unguarded before guarded."""
    if len(events) != 1:
        return None
    rows = [
        row for row in machine.taking.get(events[0], ())
        if row.kind == "row" and not set(states) & row.states.keys()
    ]  # fmt: skip
    return max(rows, key=lambda row: (row.guard is None, len(row.states)), default=None)


def _removed(machine: Machine, states: Sequence[str], events: Sequence[str]) -> Row | None:
    """The row that an overlay has taken away, if it took these events in these states."""
    return next(
        (row for row in machine.removed.values() if set(states) <= row.states.keys() and set(events) <= set(row.events)), None
    )


def _wider(machine: Machine, states: Sequence[str], events: Sequence[str]) -> list[str]:
    """The rows that the suggestion would beat, which it has to say."""
    width = 0 if len(states) == 1 else WIDEST if _all(machine, states) else _width(machine, states)
    found = [
        row.id.partition("@")[0] for event in events for row in machine.taking.get(event, ())
        if any(row.states.get(state, 0) > width for state in states)
    ]  # fmt: skip
    return list(dict.fromkeys(found))


def _width(machine: Machine, states: Sequence[str]) -> int:
    return next((len(group.states) for group in machine.groups.values() if set(group.states) == set(states)), 0)


def _like(row: Row) -> list[str]:
    if row.kind != "row":
        lines = ["defer: true"] if row.kind == "defer" else [f"{row.kind}: {json.dumps(row.note, ensure_ascii=False)}"]
        return [*lines, f"doc: as in row {row.id}"]
    lines = []
    if row.actions:
        actions = [
            f"{action.name}: {mapping_text(action.parameters.items())}" if action.parameters else action.name
            for action in row.actions
        ]
        lines += ["actions:", *(f"  - {action}" for action in actions)]
    if row.set:
        lines.append(f"set: {mapping_text(row.set.items())}")
    if row.next_state:
        lines.append(f"next_state: {row.next_state}")
    if row.publish:
        lines.append("publish:")
        lines += [
            f"  - {one.name}: {mapping_text(one.fields.items())}" if one.fields else f"  - {one.name}"
            for one in row.publish
        ]
    lines.append(f"doc: as in row {row.id}")
    return lines


def _id(machine: Machine, states: Sequence[str], events: Sequence[str]) -> str:
    where = states[0] if len(states) == 1 else "any" if _all(machine, states) else "several"
    what = events[0] if len(events) == 1 else "others"
    known = machine.events.get(what)
    if known is not None and known.source in ("interface", "outcome"):
        what = what.partition(".")[2]  # the first word says who speaks
    what = what.replace("*", "").replace(".", "_")
    wanted = f"{machine.prefix}.{where}.{what}"
    number, name = 1, wanted
    while name in machine.rows or name in machine.removed:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _all(machine: Machine, states: Sequence[str]) -> bool:
    return len(states) == sum(not state.final for state in machine.states.values())


def _state(machine: Machine, states: Sequence[str]) -> str:
    if len(states) > 1 and _all(machine, states):
        return ANY
    group = next((group.name for group in machine.groups.values() if set(group.states) == set(states)), None)
    return group if group and len(states) > 1 else _one_or_list(states)


def _spoken(states: Sequence[str]) -> str:
    return states[0].replace("_", " ") if len(states) == 1 else "the call is in this state"


def _one_or_list(names: Sequence[str]) -> str:
    written = [f"'{name}'" if "*" in name else name for name in names]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


