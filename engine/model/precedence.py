"""Which rows compete for one (state, event), and in what order they are asked.

Text order never matters. A row that names the state beats a row that names a group holding it, a small
group beats a larger one around it, all beat ``any``. Where the guards of the narrower rows do not hold,
the wider rows are asked. Inside one width, a higher ``priority`` is asked first and ``otherwise`` last;
rows of equal standing must have guards that cannot both hold, which ``check.py`` proves.

The executor's generated code, the interpreter, the checks and the diagrams all take their order from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.engine.model.machine import Machine, Row

Tier = tuple["Row", ...]
"""Rows of equal standing: same width, same priority."""


def tiers(machine: Machine, state: str, event: str) -> tuple[Tier, ...]:
    """The rows for one cell, narrowest first; ``()`` where there is none."""
    rows = [row for row in machine.in_state(state) if event in row.events]
    return _tiers(rows, state)


def cells(machine: Machine) -> dict[str, dict[str, tuple[Tier, ...]]]:
    """All cells that have a row: state → event → tiers. Final states have none."""
    found: dict[str, dict[str, list[Row]]] = {name: {} for name in machine.states}
    for row in machine.rows.values():
        for state in row.states:
            for event in row.events:
                found[state].setdefault(event, []).append(row)
    return {
        state: {event: _tiers(rows, state) for event, rows in sorted(by_event.items())}
        for state, by_event in found.items()
    }


def _tiers(rows: list[Row], state: str) -> tuple[Tier, ...]:
    def standing(row: Row) -> tuple[int, bool, int]:
        return (row.states[state], row.otherwise, -(row.priority or 0))

    order: dict[tuple[int, bool, int], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (standing(row), row.id)):
        order.setdefault(standing(row), []).append(row)
    return tuple(tuple(tier) for tier in order.values())
