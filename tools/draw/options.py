"""What a person can choose about a drawing, and the signs that its legend explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from calltable.tools.draw.row import category, overlay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calltable.engine.model import Machine
    from calltable.engine.observe import Measure

Detail = Literal["rows", "events", "states"]
"""How much a drawing says: see ``label.py``."""
DETAILS: tuple[Detail, ...] = ("rows", "events", "states")
"""From the fullest down."""
SOURCES = {
    "user": "from the API",
    "sip": "from the network",
    "media": "from media",
    "timer": "timer",
    "child": "from a child",
    "engine": "from the engine",
}
"""Where events come from, by the names of their colours."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to draw. ``show`` and ``fold_final`` are those of ``diagram()``, ``detail`` is that of ``label.py``."""

    show: tuple[str, ...] = ()
    fold_final: bool | None = None
    detail: Detail = "rows"


@dataclass(frozen=True, slots=True)
class Sign:
    """An entry of the legend: the name of a colour or mark, and what it says."""

    name: str
    text: str


def legend(machines: Iterable[Machine], measures: Iterable[Measure] = ()) -> list[Sign]:
    """The signs that the pictures of these tables use; with ``measures``, those of coverage instead of the sources."""
    machines, measures = list(machines), list(measures)
    if measures:
        reached = sum(len(one.reached) for one in measures)
        rows = sum(len(one.machine.rows) for one in measures)
        signs = [
            Sign("reached", f"reached ({reached} of {rows} rows)"),
            Sign("missed", f"never reached ({rows - reached}), arrows dashed"),
            Sign("partly", "arrow of which some rows were reached"),
        ]
    else:
        used = {category(machine, event) for machine in machines for row in machine.rows.values() for event in row.events}
        signs = [Sign(name, text) for name, text in SOURCES.items() if name in used]
    return signs + [
        Sign("overlay", f"from overlay {name}")
        for name in sorted({overlay(row) for machine in machines for row in machine.rows.values()} - {""})
    ]
