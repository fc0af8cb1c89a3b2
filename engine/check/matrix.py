"""The table as a picture in text: events down, states across, and in each cell what happens there.

Marks: the number of a row (the legend gives its id), ``·`` ignored, ``×`` refused, ``⏸`` deferred, several
together where guards decide, ``HOLE`` where a row is missing, blank where the event cannot come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.engine.check.flow import analyse
from calltable.engine.check.holes import must_be_covered
from calltable.engine.model import FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calltable.engine.check.flow import Reachability
    from calltable.engine.model import Catalogue, Machine, Row

HOLE = "HOLE"
MARKS = {"ignore": "·", "refuse": "×", "defer": "⏸"}
LEGEND = "12 = row number below   · ignored   × refused   ⏸ deferred   HOLE no row   blank = cannot come there"
ORDER = {"engine": 0, "interface": 1, "outcome": 2, "child": 3, "timer": 4, "after": 5}


def matrix(machine: Machine, catalogue: Catalogue, machines: Mapping[str, Machine], width: int = 120) -> str:
    """Draw the table at most ``width`` columns wide: many states are split into several blocks."""
    flow = analyse(machine, catalogue, machines)
    states = [name for name, state in machine.states.items() if not state.final]
    events = sorted(machine.events, key=lambda name: (ORDER[machine.events[name].source], name == FAILED, name))
    numbers = {row.id: i for i, row in enumerate(_numbered(machine, states, events), 1)}
    marks = {(state, event): mark(flow, state, event, numbers) for state in states for event in events}
    shown = [event for event in events if any(marks[state, event] for state in states)]
    label = max(map(len, [*shown, "event"]), default=5)
    names = max(map(len, states))
    column = max(6, *map(len, marks.values()), min(names, (width - label) // len(states) - 1))
    fit = max(1, (width - label) // (column + 1))
    blocks = [states[i : i + fit] for i in range(0, len(states), fit)]
    lines = [f"{machine.name}: {len(states)} states, {len(shown)} events, {len(machine.rows)} rows", LEGEND, ""]
    for block in blocks:
        lines += _block(block, shown, marks, label, column)
        lines.append("")
    return "\n".join([*lines, *_legend(numbers, width)])


def mark(flow: Reachability, state: str, event: str, numbers: Mapping[str, int]) -> str:
    """What one cell shows."""
    rows = flow.rows(state, event) if flow.may_arrive(state, event) else []
    if state not in flow.reachable:
        rows = []
    verdict = flow.verdicts[state].get(event)
    hole = state in flow.reachable and must_be_covered(flow, state, event) and (verdict is None or bool(verdict.holes))
    hole = hole and flow.comes(state, event)
    texts = _ranges(sorted(numbers[row.id] for row in rows if row.kind == "row"))
    others = "".join(dict.fromkeys(MARKS[row.kind] for row in rows if row.kind != "row"))
    return ",".join(texts) + others + (("+" if rows else "") + HOLE if hole else "")


def _ranges(numbers: Sequence[int]) -> list[str]:
    """``7``, ``8`` and ``56-59``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs]


def _numbered(machine: Machine, states: Sequence[str], events: Sequence[str]) -> list[Row]:
    """The rows that get a number, in the order in which the matrix shows them."""
    place = {event: i for i, event in enumerate(events)}
    order = {state: i for i, state in enumerate(states)}
    rows = [row for row in machine.rows.values() if row.kind == "row"]
    return sorted(rows, key=lambda row: (min((place.get(e, 0) for e in row.events), default=0),
                                         min((order.get(s, 0) for s in row.states), default=0)))  # fmt: skip


def _block(
    states: Sequence[str], events: Sequence[str], marks: Mapping[tuple[str, str], str], label: int, column: int
) -> list[str]:
    heads = [_wrapped(state, column) for state in states]
    height = max(map(len, heads))
    lines = []
    for i in range(height):
        parts = [head[i - (height - len(head))] if i >= height - len(head) else "" for head in heads]
        first = "event" if i == height - 1 else ""
        lines.append(_line(first, parts, label, column))
    lines.append("─" * min(label + len(states) * (column + 1), len(max(lines, key=len)) + column))
    group = ""
    for event in events:
        prefix = event.split(".")[0]
        if group and prefix != group and len(events) > len(states):
            lines.append("")
        group = prefix
        lines.append(_line(event, [marks[state, event] for state in states], label, column))
    return lines


def _line(first: str, cells: Sequence[str], label: int, column: int) -> str:
    return (first.ljust(label) + "".join(" " + cell.ljust(column) for cell in cells)).rstrip()


def _wrapped(name: str, width: int) -> list[str]:
    """A state's name cut at underscores into lines that fit the column."""
    lines = [""]
    for word in name.replace("_", "_ ").split():
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
        while len(lines[-1]) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return lines


def _legend(numbers: Mapping[str, int], width: int) -> list[str]:
    entries = [f"{number:>3} {row}" for row, number in numbers.items()]
    if not entries:
        return []
    column = max(map(len, entries)) + 2
    across = max(1, width // column)
    down = -(-len(entries) // across)
    return ["".join(entry.ljust(column) for entry in entries[i::down]).rstrip() for i in range(down)]
