"""The text of a picture: what is written in states and on arrows, cut into lines of known size.

There are three levels of detail, so that a table of any size can fit a screen and stay legible. ``rows`` writes each row on
two lines, ``event [guard]`` and what it does. ``events`` writes the names of the events alone, several on a line; the
tooltip of each name has its rows. ``states`` is a map: the states, the events that lead from one to another, and counts.

Widths are estimated from the metrics of one sans-serif face, so that the layout does not depend on the fonts of the
machine that draws. Lengths are points (1/72 inch, one unit of the SVG).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.tools.draw.diagram import Node
    from calltable.tools.draw.options import Detail
    from calltable.tools.draw.row import Line

SIZE = 11.0
"""Font size of the rows."""
TITLE = 13.0
"""Font size of state names."""
LEADING = 14.0
GAP = 5.0
"""Between two rows."""
PAD = 9.0
LONGEST = 40
"""Characters of a line of an edge or a state; the tooltip and the page have the whole."""
NARROW = 30
"""Characters of a line of event names."""
FEW = 3
"""Names of events on an arrow of a map; the rest is a count."""
SHOWN = 7
"""Rows shown on one edge or in one state; the rest is a count."""
OVERLAY = "◆ "
"""Stands before the event of a row that comes from an overlay."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style: ``event <category>``, ``guard``, ``effect``, ``goes``, ``overlay``, ``more``, ``title``, ``doc``, ``fold``."""

    text: str
    style: str
    rows: tuple[Line, ...] = ()
    """The rows that an event's name stands for, where it stands for several at once."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text of one size: spans one after the other."""

    spans: tuple[Span, ...]
    size: float = SIZE
    gap: float = 0.0
    """Extra room above."""
    row: Line | None = None
    """The row that the line is about; none for titles, counts and lines of event names."""

    @property
    def width(self) -> float:
        """About how wide it is drawn."""
        return sum(measure(span.text, self.size, bold=span.style.startswith(("event", "title"))) for span in self.spans)


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of text and the room they take. The first ``heading`` lines are not about rows."""

    lines: tuple[TextLine, ...]
    heading: int = 0

    @property
    def width(self) -> float:
        """The width of the widest line."""
        return max((line.width for line in self.lines), default=0.0)

    @property
    def height(self) -> float:
        """The lines with the room above each."""
        return sum(map(_height, self.lines))

    @property
    def above(self) -> float:
        """The height of the heading."""
        return sum(map(_height, self.lines[: self.heading]))


def _height(line: TextLine) -> float:
    return line.size / SIZE * LEADING + line.gap


_WIDTHS = dict.fromkeys("ijl'|", 0.222) | dict.fromkeys("fIt .,:;/!()[]", 0.278) | {"r": 0.333, "-": 0.333}
_WIDTHS |= dict.fromkeys("csvxyzkJ", 0.5) | {"w": 0.722, "m": 0.833, "M": 0.833, "W": 0.944, "@": 1.0, "%": 0.889}
_WIDTHS |= dict.fromkeys("ABEKPSVXY", 0.667) | dict.fromkeys("CDHNRUw", 0.722) | dict.fromkeys("GOQ", 0.778)
_WIDTHS |= dict.fromkeys("…↑→◆", 1.0) | dict.fromkeys("=<>+", 0.584) | {'"': 0.355, "{": 0.334, "}": 0.334, "$": 0.556}
_SLACK = 1.05
"""Helvetica's widths serve for its look-alikes, give or take this much."""
_WIDE = 0x1100
"""From here on, letters are taken to be as wide as they are high (Hangul, CJK)."""


def measure(text: str, size: float, *, bold: bool = False) -> float:
    """About how wide the text is drawn."""
    widths = (_WIDTHS.get(letter, 0.556 if ord(letter) < _WIDE or letter in "‘’“”–" else 1.0) for letter in text)
    return sum(widths) * size * _SLACK * (1.06 if bold else 1.0)


def trim(text: str, longest: int = LONGEST) -> str:
    """The text, cut to ``longest`` characters with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def edge_block(rows: Sequence[Line], detail: Detail) -> Block:
    """The rows of an arrow."""
    return Block(tuple(_rows(rows) if detail == "rows" else _events(rows, FEW if detail == "states" else 99)))


def node_block(node: Node, detail: Detail) -> Block:
    """What stands in a state: its name, its doc, the rows that stay, and the counts of what it does not take."""
    heading = [TextLine((Span(node.name, "doc"),)) if node.box else TextLine((Span(node.name, "title"),), size=TITLE)]
    if node.doc and (detail == "rows" or node.pill):
        heading.append(TextLine((Span(trim(node.doc), "doc"),)))
    lines = [*heading]
    told = {"rows": _rows, "events": _events, "states": _counts}[detail](node.lines)
    for number, line in enumerate(told):
        lines.append(line if number else TextLine(line.spans, line.size, PAD, line.row))
    if node.folded and detail == "rows":
        counts = " · ".join(f"{count} {kind}" for kind, count in node.folded.items())
        lines.append(TextLine((Span(counts, "fold"),), gap=GAP))
    return Block(tuple(lines), len(heading))


# --------------------------------------------------------------------------- each row on lines of its own


def _rows(rows: Sequence[Line]) -> Iterator[TextLine]:
    """The first rows, and how many more there are."""
    shown = len(rows) if len(rows) == SHOWN + 1 else SHOWN
    for number, row in enumerate(rows[:shown]):
        yield from _row(row, GAP if number else 0.0)
    if len(rows) > shown:
        yield TextLine((Span(f"and {len(rows) - shown} more rows", "more"),), gap=GAP)


def _row(row: Line, gap: float) -> Iterator[TextLine]:
    """One row in two lines at most, three where its guard is long: ``event [guard]`` and what it does."""
    event = trim(row.event)
    spans = [Span(OVERLAY, "overlay")] if row.overlay else []
    spans.append(Span(event, f"event {row.category}"))
    left = LONGEST + 4 - len(event)
    if row.guard and left >= min(12, len(row.guard) + 3):
        spans.append(Span(f" [{trim(row.guard, left - 3)}]", "guard"))
    elif row.guard:
        yield TextLine(tuple(spans), gap=gap, row=row)
        spans, gap = [Span(f"[{trim(row.guard)}]", "guard")], 0.0
    yield TextLine(tuple(spans), gap=gap, row=row)
    goes = f" → {row.goes}" if row.goes else ""
    if row.brief or goes:
        does = trim("/ " + "; ".join(row.brief), LONGEST - len(goes)) if row.brief else ""
        yield TextLine((Span(does, "effect"), Span(goes.removeprefix("" if does else " "), "goes")), row=row)


# --------------------------------------------------------------------------- the names of events


def _counts(rows: Sequence[Line]) -> Iterator[TextLine]:
    """How many rows stay or end the session; the tooltip has them."""
    if rows:
        mark = (Span(OVERLAY, "overlay"),) if any(row.overlay for row in rows) else ()
        count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
        ends = sum(bool(row.goes) for row in rows)
        yield TextLine((*mark, Span(f"{count}, {ends} to the end" if ends else count, "fold", tuple(rows))))


def _events(rows: Sequence[Line], most: int = 99) -> Iterator[TextLine]:
    """The events of the rows, those that stay first, then those that end the session: ``→ terminated: sip.bye``."""
    for goes in sorted({row.goes for row in rows}):
        names: dict[str, list[Line]] = {}
        for row in rows:
            if row.goes == goes:
                for event in row.event.split(", "):
                    names.setdefault(event, []).append(row)
        shown = [_name(event, told) for event, told in list(names.items())[: most if len(names) > most + 1 else None]]
        hidden = tuple(row for told in list(names.values())[len(shown) :] for row in told)
        if hidden:
            shown.append((Span(f"{len(names) - len(shown)} more", "more", hidden),))
        yield from _wrapped(shown, goes)


def _name(event: str, rows: list[Line]) -> tuple[Span, ...]:
    span = Span(trim(event, NARROW + 6), f"event {rows[0].category}", tuple(rows))
    return (Span(OVERLAY, "overlay"), span) if any(row.overlay for row in rows) else (span,)


def _wrapped(names: Sequence[tuple[Span, ...]], goes: str) -> Iterator[TextLine]:
    spans = [Span(f"→ {goes}: ", "goes")] if goes else []
    begun = False
    for number, name in enumerate(names):
        comma = (Span(", ", "effect"),) if number < len(names) - 1 else ()
        length = sum(len(span.text) for span in (*spans, *name))
        if begun and length > NARROW:
            yield TextLine(tuple(spans))
            spans = []
        spans += [*name, *comma]
        begun = True
    yield TextLine(tuple(spans))
