"""A fragment as something to draw. A fragment has no start and no life of its own, so it is drawn as it stands in a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calltable.engine.model import WIDEST

if TYPE_CHECKING:
    from calltable.engine.language import Library
    from calltable.engine.model import Machine


def fragment(library: Library, name: str) -> Machine | None:
    """The rows of fragment ``name`` as they stand in the first machine that includes it; None where there is none.

    What is returned is for drawing alone: its initial state is the machine's, and may not be among its states.
    """
    for machine in library.machines.values():
        rows = {row.id: row for row in machine.rows.values() if row.origin == name}
        if not rows:
            continue
        acting = [row for row in rows.values() if row.kind == "row"]
        touched = {state for row in acting for state, width in row.states.items() if width != WIDEST}
        touched |= {row.next_state for row in acting if row.next_state}
        within = {
            row.id: replace(row, states={state: width for state, width in row.states.items() if state in touched})
            for row in rows.values()
        }
        return replace(
            machine,
            name=name,
            role="none",
            doc=f"A fragment, drawn as it stands in {machine.name}.",
            rows={name: row for name, row in within.items() if row.states},
            removed={},
            states={state: known for state, known in machine.states.items() if state in touched},
            groups={
                group.name: replace(group, states=tuple(state for state in group.states if state in touched))
                for group in machine.groups.values()
                if touched & set(group.states)
            },
        )
    return None
