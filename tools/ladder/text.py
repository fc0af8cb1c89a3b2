"""Ladders as text, for a terminal.

Nothing is cut off. A label that is wider than its arrow loses the request's URI first, and then goes on below the arrow;
a party's name takes several lines. Where the rows have no room at the right they stand below their message, and where
the parties have no room side by side the ladder becomes a list. Lines are lists of columns, so that wide letters keep the
lines of life straight.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from calltable.adapters.sip.message import visible
from calltable.tools.ladder.model import Ladder, ladder
from calltable.tools.terminal import cells, columns, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from calltable.observe import Entry


_COLORS = {"request": "36", "provisional": "33", "success": "32", "failure": "31", "step": "35", "rows": "2", "party": "1"}
CLOCK = 9
"""Columns for the time."""
NARROWEST = 10
"""Columns between two lines of life; with less, the ladder is a list."""
COMFORT = 14
"""With less between two lines of life, the rows stand below their message."""


def ladder_text(
    entries: Iterable[Entry], *, width: int = 120, color: bool = False, names: Mapping[str, str] | None = None
) -> str:
    """The ladder for a terminal ``width`` columns wide; with ``color``, in ANSI colours."""
    shown = ladder(entries, names)
    if not shown.parties:
        return "(nothing was traced)\n"
    width = max(width, 24)
    apart = (width - CLOCK - 6) // max(len(shown.parties) - 1, 1)
    drawing = _Text(shown, width, color=color) if apart >= NARROWEST else _List(shown, width, color=color)
    return "\n".join(line.rstrip() for line in drawing.draw()) + "\n"


def _paint(text: str, tone: str, *, color: bool) -> str:
    return f"\x1b[{_COLORS[tone]}m{text}\x1b[0m" if color and text.strip() else text


def _moved(item: Entry) -> str:
    return visible(f"● {item.event} → {item.after}" if item.after != item.before else f"● {item.event}")


def _clock(shown: Ladder, item: Entry) -> str:
    return f"{item.time - shown.start:8.3f}"


class _Text:
    """Draws with characters: party ``i``'s line of life stands in column ``self.at[i]``."""

    def __init__(self, shown: Ladder, width: int, *, color: bool) -> None:
        self.shown = shown
        self.width = width
        self.color = color
        self.column = {name: number for number, name in enumerate(shown.parties)}
        self.names = [visible(name) for name in shown.parties]
        gaps = max(len(shown.parties) - 1, 1)
        longest = max((len(row) for item in shown.lines for row in (*item.rows, item.row)), default=0)
        aside = max(16, min(longest, width // 3))
        wanted = max((columns(visible(item.label)) + 8 for item in shown.lines if item.kind == "message"), default=24)
        first = min(max((columns(name) // 2 for name in self.names[:1]), default=0), 10 if width >= 100 else 4)
        room = (width - CLOCK - first - aside - 6) // gaps
        self.below = room < COMFORT
        if self.below:
            room = (width - CLOCK - max(first, 2) - 2) // gaps
        self.gap = min(max(wanted, *(columns(name) + 4 for name in self.names), 18), max(room, NARROWEST - 2))
        self.at = [CLOCK + max(first, 2) + self.gap * number for number in range(len(shown.parties))]
        self.end = self.at[-1] + 3
        self.aside = width - self.at[0] - 2 if self.below else max(width - self.end - 1, 12)

    def draw(self) -> Iterator[str]:
        """The lines."""
        yield from self._heading()
        yield self._lives()
        before = self.shown.start
        for item in self.shown.lines:
            if item.time - before >= 1.0:
                yield self._wait(item.time - before)
            before = item.time
            yield from self._message(item) if item.kind == "message" else self._step(item)
        yield self._lives()

    def _paint(self, text: str, tone: str) -> str:
        return _paint(text, tone, color=self.color)

    def _heading(self) -> Iterator[str]:
        """The names over their lines of life, on as many lines as the longest needs; the last line is always used."""
        right = self.width - self.at[-1]
        rooms = [self.gap - 2] * (len(self.names) - 1) + [min(self.gap - 2, self.gap // 2 - 1 + right)]
        if len(self.names) == 1:
            rooms = [self.width]
        parts = [wrapped(name, room) for name, room in zip(self.names, rooms, strict=True)]
        height = max(map(len, parts))
        for number in range(height):
            line: list[str] = []
            for part, at in zip(parts, self.at, strict=True):
                place = number - (height - len(part))
                if place >= 0:
                    wide = columns(part[place])
                    begin = max(min(at - wide // 2, self.width - wide), len(line) + bool(line))
                    line += [" "] * (begin - len(line)) + cells(part[place])
            yield self._paint("".join(line), "party")

    def _canvas(self) -> list[str]:
        line = [" "] * (self.end + 1)
        for at in self.at:
            line[at] = "│"
        return line

    def _lives(self) -> str:
        return "".join(self._canvas())

    def _wait(self, seconds: float) -> str:
        line = ["┊" if cell == "│" else cell for cell in self._canvas()]
        text = f"… {seconds:.1f} s …"
        line[: len(text)] = text
        return self._paint("".join(line), "rows")

    def _message(self, item: Entry) -> Iterator[str]:
        source = self.at[self.column[self.shown.name(item.source)]]
        target = self.at[self.column[self.shown.name(item.destination)]]
        if source == target:
            yield from self._beside(item, source, visible(f"⟲ {item.label}"), item.tone, item.rows)
            return
        low, high = min(source, target), max(source, target)
        inside = high - low - 1
        label, *more = _fitting(item, inside - 4)
        tip = "✗" if item.lost else "▶" if target > source else "◀"
        lines = "─" * max(inside - 4 - columns(label), 0)
        arrow = f"─ {label} {lines}{tip}" if target > source else f"{tip}{lines} {label} ─"
        line = self._canvas()
        clock = _clock(self.shown, item)
        line[: len(clock)] = clock
        first = "".join(line[: low + 1]) + self._paint(arrow, item.tone) + "".join(line[high:])
        below = []
        for text in more:
            line = self._canvas()
            begin = source + 3 if target > source else source - 2 - columns(text)
            below.append(
                "".join(line[:begin]) + self._paint(text, item.tone) + "".join(line[begin + columns(text) :])
            )
        yield from self._with_rows([first, *below], item.rows)

    def _step(self, item: Entry) -> Iterator[str]:
        at = self.at[self.column.get(self.shown.home, 0)]
        yield from self._beside(item, at, _moved(item), "step", (item.row,))

    def _beside(self, item: Entry, at: int, text: str, tone: str, rows: Sequence[str]) -> Iterator[str]:
        """Lines about one party: the text stands right of its line of life, over those it covers."""
        clock = _clock(self.shown, item)
        room = (self.end if at != self.at[-1] else self.end + self.aside) - at
        lines = []
        mark, words = text[:2], text[2:]
        for number, part in enumerate(wrapped(words, room - 2)):
            line = self._canvas()
            if number == 0:
                line[: len(clock)] = clock
            told = mark + part if number == 0 else part
            begin = at if number == 0 else at + 2
            lines.append("".join(line[:begin]) + self._paint(told, tone) + "".join(line[begin + columns(told) :]))
            lines[-1] += " " * max(2 - max(self.end + 1 - begin - columns(told), 0), 0)
        wide = at == self.at[-1] and at + columns(text) > self.end - 1
        if wide and at + columns(text) + 2 + len(" · ".join(rows)) > self.end + self.aside:
            yield from lines
            yield from self._with_rows([], rows)
        else:
            yield from self._with_rows(lines, rows)

    def _with_rows(self, lines: Sequence[str], rows: Sequence[str]) -> Iterator[str]:
        """The lines with the ids of the rows beside them, or below where there is no room."""
        told = wrapped(visible(" · ".join(rows)), self.aside) if any(rows) else []
        if self.below:
            yield from lines
            canvas = self._canvas()[: self.at[0] + 1]
            yield from ("".join(canvas) + " " + self._paint(one, "rows") for one in told)
            return
        for line, one in zip_longest(lines, told, fillvalue=""):
            yield (line or self._lives()) + self._paint(one, "rows")


class _List:
    """For many parties on a narrow terminal: each message with its two ends, one below the other."""

    def __init__(self, shown: Ladder, width: int, *, color: bool) -> None:
        self.shown = shown
        self.width = width
        self.color = color

    def draw(self) -> Iterator[str]:
        """The lines."""
        for item in self.shown.lines:
            if item.kind == "message":
                ends = f"{self.shown.name(item.source)} → {self.shown.name(item.destination)}{' ✗' if item.lost else ''}: "
                text, tone, rows = ends + item.label, item.tone, " · ".join(item.rows)
            else:
                text, tone, rows = f"{self.shown.home}: {_moved(item)}", "step", item.row
            clock = _clock(self.shown, item)
            for part in wrapped(visible(text), self.width - CLOCK - 1):
                yield f"{clock:<{CLOCK}}" + _paint(part, tone, color=self.color)
                clock = ""
            for part in wrapped(visible(rows), self.width - CLOCK - 3):
                yield " " * (CLOCK + 2) + _paint(part, "rows", color=self.color)


def _fitting(item: Entry, room: int) -> list[str]:
    """The name of a message in lines of ``room`` columns: with its URI or its method where that is one line, else without."""
    whole = visible(item.label)
    if columns(whole) <= room:
        return [whole]
    return wrapped(visible(item.summary if item.tone != "request" else item.summary.partition(" ")[0]), room)
