"""``calltable render --coverage``: what was reached in green, what was not in red, on diagrams that are drawn already.

SVG and the page name the row of every text and arrow (``data-row``, ``data-rows``), so that colouring is a style sheet and
nothing is drawn anew. Mermaid and DOT number their arrows in the order of the diagram.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from calltable.tools.draw.diagram import diagram as arrange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from calltable.engine.observe.measure import Measure

REACHED, PARTLY, MISSED = "#1a7f37", "#b57700", "#d1242f"
"""Good on light and on dark paper alike."""


def shade(text: str, kind: str, measures: Sequence[Measure], show: Collection[str] = ()) -> str:
    """The picture ``text`` (mermaid, dot, svg or html) with the coverage of the tables it shows."""
    if kind == "html":
        return text.replace("</head>", f"<style>{_style(measures, page=True)}</style></head>", 1)
    if kind == "svg":
        return text.replace("</style>", f"{_style(measures, page=False)}</style>", 1)
    (one,) = measures
    fates = _fates(one, show)
    return _mermaid(text, one, fates, show) if kind == "mermaid" else _dot(text, fates)


def _style(measures: Sequence[Measure], *, page: bool) -> str:
    return "\n".join(rule for one in measures for rule in _rules(one, page=page))


def _rules(one: Measure, *, page: bool) -> Iterator[str]:
    picture = f'svg.diagram[aria-label="{one.machine.name}"]'
    missed = {row.id for row in one.missing()}
    for row in one.machine.rows:
        colour = MISSED if row in missed else REACHED
        yield f'{picture} .row[data-row="{row}"] tspan {{ fill: {colour}; }}'
        if page:
            count = one.reached.get(row, 0)
            yield (
                f'section[id="{one.machine.name}"] article[data-row="{row}"] '
                f"{{ border-left: 4px solid {colour}; padding-left: .5rem; }}"
            )
            yield f'section[id="{one.machine.name}"] article[data-row="{row}"]::after {{ content: "reached {count} times"; opacity: .6; }}'
    for row in missed:
        # an arrow is red where none of its rows was taken: the reached ones come later and win
        yield f'{picture} .arrow[data-rows~="{row}"] path {{ stroke: {MISSED}; }}'
    for row in one.reached:
        yield f'{picture} .arrow[data-rows~="{row}"] path {{ stroke: {REACHED}; }}'
    for state in one.machine.states:
        colour = REACHED if state in one.states else MISSED
        yield f'{picture} .state[data-state="{state}"] > rect {{ stroke: {colour}; stroke-width: 2; }}'


def _fates(one: Measure, show: Collection[str]) -> list[str]:
    """The colour of each arrow, in the order of the diagram."""
    fates = []
    for edge in arrange(one.machine, show=show).edges:
        some = [line.row in one.reached for line in edge.lines]
        fates.append(REACHED if all(some) else PARTLY if any(some) else MISSED)
    return fates


def _mermaid(text: str, one: Measure, fates: Sequence[str], show: Collection[str]) -> str:
    lines = [text.rstrip("\n")]
    # arrow 0 leads from the start to the initial state
    lines += [f"  linkStyle {number} stroke:{colour},color:{colour}" for number, colour in enumerate(fates, 1)]
    nodes = arrange(one.machine, show=show).nodes.values()
    lines += [
        f"  style {node.id} stroke:{REACHED if node.name in one.states else MISSED}"
        for node in nodes if not node.pill
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _dot(text: str, fates: Sequence[str]) -> str:
    colours = iter(fates)

    def coloured(match: re.Match[str]) -> str:
        colour = next(colours)
        return f'{match[0]}color="{colour}", fontcolor="{colour}", '

    return re.sub(r'^  "[^"]+" -> "[^"]+" \[', coloured, text, flags=re.MULTILINE)
