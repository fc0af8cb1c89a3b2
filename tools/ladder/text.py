"""Ladders as text, for a terminal."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from calltable.tools.ladder.model import CLOCK, Ladder, ladder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calltable.observe.entry import Entry


_COLORS = {"request": "36", "provisional": "33", "success": "32", "failure": "31", "step": "35", "rows": "2", "party": "1"}
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def ladder_text(
    entries: Iterable[Entry], *, width: int = 120, color: bool = False, names: Mapping[str, str] | None = None
) -> str:
    """The ladder for a terminal ``width`` columns wide; with ``color``, in ANSI colours."""
    return _Text(ladder(entries, names), width, color=color).draw()


class _Text:
    """Draws with characters: party ``i``'s line of life stands in column ``self.at[i]``."""

    def __init__(self, shown: Ladder, width: int, *, color: bool) -> None:
        self.shown = shown
        self.color = color
        self.column = {name: number for number, name in enumerate(shown.parties)}
        gaps = max(len(shown.parties) - 1, 1)
        longest = max((len(row) for item in shown.lines for row in (*item.rows, item.row)), default=0)
        aside = max(16, min(longest, width // 3))
        wanted = max((len(item.label) + 8 for item in shown.lines if item.kind == "message"), default=24)
        first = min(max((len(name) // 2 for name in shown.parties[:1]), default=0), 10 if width >= 100 else 4)
        room = (width - CLOCK - first - aside - 6) // gaps
        self.gap = max(14, min(max(wanted, *(len(name) + 4 for name in shown.parties), 18), room))
        self.at = [CLOCK + max(first, 2) + self.gap * number for number in range(len(shown.parties))]
        self.end = (self.at[-1] if self.at else CLOCK) + 3
        self.aside = max(width - self.end - 1, 12)

    def draw(self) -> str:
        if not self.shown.parties:
            return "(nothing was traced)\n"
        lines = [self._heading(), self._lives()]
        before = self.shown.start
        for item in self.shown.lines:
            if item.time - before >= 1.0:
                lines.append(self._wait(item.time - before))
            before = item.time
            lines += self._message(item) if item.kind == "message" else self._step(item)
        lines.append(self._lives())
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _paint(self, text: str, tone: str) -> str:
        return f"\x1b[{_COLORS[tone]}m{text}\x1b[0m" if self.color and text else text

    def _heading(self) -> str:
        line = ""
        for name, at in zip(self.shown.parties, self.at, strict=True):
            shown = name if len(name) < self.gap - 1 else name[: self.gap - 3] + "…"
            line = line.ljust(max(at - len(shown) // 2, len(line) + 1)) + shown
        return self._paint(line, "party")

    def _canvas(self) -> list[str]:
        cells = [" "] * (self.end + 1)
        for at in self.at:
            cells[at] = "│"
        return cells

    def _lives(self, time: str = "") -> str:
        cells = self._canvas()
        cells[: len(time)] = time
        return "".join(cells)

    def _wait(self, seconds: float) -> str:
        cells = ["┊" if cell == "│" else cell for cell in self._canvas()]
        text = f"… {seconds:.1f} s …"
        cells[: len(text)] = text
        return self._paint("".join(cells), "rows")

    def _clock(self, item: Entry) -> str:
        return f"{item.time - self.shown.start:8.3f}"

    def _message(self, item: Entry) -> list[str]:
        source = self.at[self.column[self.shown.name(item.source)]]
        target = self.at[self.column[self.shown.name(item.destination)]]
        if source == target:
            return self._beside(self._clock(item), source, f"⟲ {item.label}", item.tone, item.rows)
        low, high = min(source, target), max(source, target)
        inside = high - low - 1
        label = _fitting(item, inside - 4)
        tip = "✗" if item.lost else "▶" if target > source else "◀"
        body = f"─ {label} ".ljust(inside - 1, "─") if target > source else f" {label} ─".rjust(inside - 1, "─")
        arrow = body + tip if target > source else tip + body
        cells = self._canvas()
        left, right = "".join(cells[: low + 1]), "".join(cells[high:])
        clock = self._clock(item)
        rows = self._rows(item.rows)
        line = clock + left[len(clock) :] + self._paint(arrow, item.tone) + right + self._paint(rows[0], "rows")
        return [line, *(self._lives() + self._paint(more, "rows") for more in rows[1:])]

    def _rows(self, rows: Sequence[str]) -> list[str]:
        """The ids of the rows, as many a line as fit."""
        if not rows:
            return [""]
        return textwrap.wrap(" · ".join(rows), self.aside, break_on_hyphens=False)

    def _step(self, item: Entry) -> list[str]:
        moved = f" → {item.after}" if item.after != item.before else ""
        at = self.at[self.column.get(self.shown.home, 0)]
        return self._beside(self._clock(item), at, f"● {item.event}{moved}", "step", (item.row,))

    def _beside(self, clock: str, at: int, text: str, tone: str, rows: Sequence[str]) -> list[str]:
        """A line about one party: the text stands right of its line of life, over those it covers."""
        cells = self._canvas()
        cells[: len(clock)] = clock
        if at != self.at[-1] and len(text) >= self.end - at:
            text = text[: self.end - at - 2] + "…"
        line = "".join(cells[:at]) + self._paint(text, tone) + "".join(cells[at + len(text) :])
        line += " " * max(self.end + 1 - len(_ANSI.sub("", line)), 0 if len(text) < self.end - at else 2)
        first, *more = self._rows(rows)
        return [line + self._paint(first, "rows"), *(self._lives() + self._paint(row, "rows") for row in more)]


def _fitting(item: Entry, room: int) -> str:
    """The longest name of a message that fits: with its address or its method, without, cut off."""
    short = item.summary if item.tone != "request" else item.summary.partition(" ")[0]
    for label in (item.label, short):
        if len(label) <= room:
            return label
    return short[: max(room - 1, 1)] + "…"
