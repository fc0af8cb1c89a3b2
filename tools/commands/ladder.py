"""A call as a ladder: the parties, every message between them, and the row behind each.

What a trace holds and how it looks as JSON lines stands in ``api/trace.py``. Times are shown relative to the first
record. Where both ends of a message are traced, the two records become one arrow with the rows of both.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.observe.trace import Entry, TraceError, of_call, read_trace
from calltable.tools import OK, UsageError, page_or_text, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence


# --------------------------------------------------------------------------- what a ladder shows


@dataclass(frozen=True, slots=True)
class Ladder:
    """A trace arranged: the parties from left to right, and what happened from top to bottom.

    ``lines`` holds the messages, and of the steps only those that no message shows (timers, commands).
    ``home`` is the party that the steps belong to.
    """

    parties: tuple[str, ...]
    names: Mapping[str, str]
    lines: tuple[Entry, ...]
    steps: tuple[Entry, ...]
    home: str
    start: float

    def name(self, address: str) -> str:
        """The party an address belongs to."""
        return self.names.get(address, address)

    def of(self, message: Entry) -> list[Entry]:
        """The steps behind a message: its rows, at its time."""
        found = [step for step in self.steps if step.row in message.rows]
        return sorted(found, key=lambda step: abs(step.time - message.time))[: len(message.rows)]


def ladder(entries: Iterable[Entry], names: Mapping[str, str] | None = None) -> Ladder:
    """Arrange a trace. ``names`` gives addresses the name of a party (several may share one)."""
    names = names or {}
    merged = _merged(entries)
    messages = [item for item in merged if item.kind == "message"]
    steps = tuple(item for item in merged if item.kind == "step")
    parties: dict[str, None] = {}
    homes: Counter[str] = Counter()
    for item in messages:
        source, destination = names.get(item.source, item.source), names.get(item.destination, item.destination)
        parties.update({source: None, destination: None})
        homes[destination if item.direction == "in" else source] += 1
    told = {row for item in messages for row in item.rows}
    lines = tuple(item for item in merged if item.kind == "message" or item.row not in told)
    home = homes.most_common(1)[0][0] if homes else ""
    if not parties and steps:
        home = steps[0].session
        parties[home] = None
    start = min((item.time for item in merged), default=0.0)
    return Ladder(tuple(parties), names, lines, steps, home, start)


def _merged(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in order, with the two records of a message that both its ends traced made one."""
    merged: list[Entry] = []
    sent: dict[tuple[str, ...], list[int]] = {}
    for item in sorted(entries, key=lambda item: item.time):
        key = (item.source, item.destination, item.summary, item.cseq, item.call_id)
        if item.kind == "message" and item.direction == "out":
            sent.setdefault(key, []).append(len(merged))
        elif item.kind == "message" and sent.get(key):
            place = sent[key].pop(0)
            rows = tuple(dict.fromkeys((*merged[place].rows, *item.rows)))
            merged[place] = dataclasses.replace(merged[place], rows=rows, text=merged[place].text or item.text)
            continue
        merged.append(item)
    return merged


# --------------------------------------------------------------------------- text

_COLORS = {"request": "36", "provisional": "33", "success": "32", "failure": "31", "step": "35", "rows": "2", "party": "1"}
CLOCK = 9
"""Columns for the time."""
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


# --------------------------------------------------------------------------- HTML


def ladder_html(
    entries: Iterable[Entry], *, names: Mapping[str, str] | None = None, title: str = "a call", whole: bool = True
) -> str:
    """The ladder as one self-contained page; a click on an arrow shows the message and the steps behind it.

    With ``whole=False`` only what goes between the tags of a page that has the style and script already.
    """
    from calltable.tools.ladder.page import body, document  # noqa: PLC0415 — it builds on this module

    shown = ladder(entries, names)
    return document([(title, shown)]) if whole else body(title, shown)


# --------------------------------------------------------------------------- the command


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``calltable ladder TRACE`` to the command line."""
    parser = subparsers.add_parser(
        "ladder",
        help="draw a traced call: every message, and the row behind it",
        description="Draw a traced call as a ladder, in the terminal or (with -o call.html) as a page.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a file of JSON lines; - for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="write a page (.html) or text (.txt) instead of printing")
    parser.add_argument("--call", metavar="ID", help="only this call, by its number or any of its Call-IDs")
    parser.add_argument(
        "--name", action="append", default=[], metavar="ADDRESS=NAME", help="call an address by a name (again for more)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out. Raises ``UsageError`` where the trace cannot be read."""
    path = Path(arguments.trace)
    form = page_or_text(arguments.output) if arguments.output else ""
    try:
        text = sys.stdin.read() if arguments.trace == "-" else path.read_text(encoding="utf-8")
        entries = read_trace(text.splitlines(), arguments.trace)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except TraceError as error:
        raise UsageError(str(error)) from error
    if not entries:
        raise UsageError(f"{arguments.trace}: nothing was traced")
    if arguments.call:
        entries = of_call(entries, arguments.call)
        if not entries:
            raise UsageError(f"{arguments.trace} has no call {arguments.call}; give a call's number or a Call-ID")
    names: dict[str, str] = {}
    for pair in arguments.name:
        address, equals, name = pair.partition("=")
        if not equals:
            raise UsageError(f"--name {pair}: write ADDRESS=NAME, as in 127.0.0.1:5060=calltable")
        names[address] = name
    if form:
        write(arguments.output, ladder_html(entries, names=names, title=path.name) if form == "html" else ladder_text(entries, names=names))
    else:
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(ladder_text(entries, width=shutil.get_terminal_size((120, 40)).columns, color=color, names=names), end="")
    return OK
