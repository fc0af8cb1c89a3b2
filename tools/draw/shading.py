"""``calltable render --coverage``: what was reached in green, what was not in red and dashed.

SVG and the page name the row of every text and arrow (``data-row``, ``data-rows``), so that colouring is a style sheet.
Mermaid and DOT colour their arrows one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.engine.observe import Measure
    from calltable.tools.draw.row import Line

REACHED, PARTLY, MISSED = "#1a7f37", "#9a6700", "#d1242f"
"""Good on light paper; the dark set of colours is in ``picture.py``."""


def rules(one: Measure) -> Iterator[str]:
    """The style rules for the picture of one table."""
    picture = f'svg.diagram[aria-label="{one.machine.name}"]'
    missed = {row.id for row in one.missing()}
    reached = [row for row in one.machine.rows if row not in missed]
    # a name or an arrow that stands for several rows has the colour of the last rule that fits
    for fate, rows in (("missed", missed), ("reached", reached)):
        for row in sorted(rows):
            yield f'{picture} .row[data-row="{row}"] tspan {{ fill: var(--{fate}); }}'
            yield f'{picture} tspan.row[data-rows~="{row}"] {{ fill: var(--{fate}); }}'
            dashed = "5 3" if fate == "missed" else "none"
            yield f'{picture} .arrow[data-rows~="{row}"] path {{ stroke: var(--{fate}); stroke-dasharray: {dashed}; }}'
            yield f'{picture} .arrow[data-rows~="{row}"] polygon {{ fill: var(--{fate}); }}'
    for row in sorted(missed):
        for other in reached:
            if _share(one, row, other):
                yield f'{picture} .arrow[data-rows~="{row}"][data-rows~="{other}"] path {{ stroke: var(--partly); }}'
                yield f'{picture} .arrow[data-rows~="{row}"][data-rows~="{other}"] polygon {{ fill: var(--partly); }}'
    for state in one.machine.states:
        fate = "reached" if state in one.states else "missed"
        yield f'{picture} .state[data-state="{state}"] > rect {{ stroke: var(--{fate}); stroke-width: 2; }}'


def _share(one: Measure, row: str, other: str) -> bool:
    """Whether two rows may stand on one arrow."""
    first, second = one.machine.rows[row], one.machine.rows[other]
    return first.next_state == second.next_state and bool(first.states.keys() & second.states.keys())


def page_rules(one: Measure) -> Iterator[str]:
    """The style rules for the picture and the list of rows on the page."""
    yield from rules(one)
    missed = {row.id for row in one.missing()}
    for row in one.machine.rows:
        article = f'section[id="{one.machine.name}"] article[data-row="{row}"]'
        count = one.reached.get(row, 0)
        yield f'{article} {{ border-left: 4px solid var(--{"missed" if row in missed else "reached"}); padding-left: .5rem; }}'
        told = f"reached {count} time{'' if count == 1 else 's'}" if count else "never reached"
        yield f'{article}::after {{ content: "{told}"; opacity: .6; }}'


def fate(one: Measure, lines: Sequence[Line]) -> str:
    """The colour of what stands for some rows: by whether all, some or none of them were reached."""
    some = [line.row in one.reached for line in lines]
    return REACHED if all(some) else PARTLY if any(some) else MISSED
