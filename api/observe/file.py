"""The file of a trace: records are queued, and a thread writes them (``writer.py``).

The queue is bounded: where the disk cannot keep up, records are lost, counted (``failed``), and the trace says so itself, by a record of kind
``gap`` at the place where they are missing.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from calltable.observe.entry import Entry, dump
from calltable.observe.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

_NUMBER: Final = re.compile(rb', "call": "([0-9]{1,15})"')
_TAIL: Final = 1 << 20
"""Bytes at the end of a trace in which the last calls are looked for."""
MOST: Final = 50_000
"""Records that wait to be written: some seconds of a busy server."""


class TraceFile:
    """A sink that writes JSON lines to a file that only its owner may read. What is lost is counted, and said in the file.

    Raises OSError where the file cannot be opened. ``most`` bounds the records that wait.
    """

    def __init__(self, path: Path, *, most: int = MOST) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.failed = 0
        """Records that a full queue, a full disk or the like has cost."""
        self._missed = 0
        self._unsaid = 0
        self._closed = False
        self._writer = Writer(self._write, most, "calltable-trace")

    def __call__(self, entry: Entry) -> None:
        """Queue one record."""
        if self._missed and self._writer.put(_gap(entry.time, self._missed)):
            self._missed = 0
        if not self._writer.put(entry):
            self.failed += 1
            self._missed += 1

    def close(self) -> None:
        """Write what is left. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        try:
            os.close(self._descriptor)
        except OSError:
            self.failed += 1

    def _write(self, entries: list[Entry]) -> None:
        """In the writer's thread: put the lines together, and give them to the system."""
        lines = [dump(entry) for entry in entries]
        if self._unsaid:
            lines.insert(0, dump(_gap(entries[0].time, self._unsaid)))
        data = ("\n".join(lines) + "\n").encode("ascii")
        left = data
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            self._take_back(len(data) - len(left))
            self.failed += len(entries)
            self._unsaid += len(entries)
        else:
            self._unsaid = 0

    def _take_back(self, written: int) -> None:
        """Cut off half a line, which would make the file unreadable; the disk was full within it."""
        about = os.fstat(self._descriptor)
        if written and stat.S_ISREG(about.st_mode):
            os.ftruncate(self._descriptor, max(about.st_size - written, 0))


def _gap(time: float, count: int) -> Entry:
    return Entry(time, "gap", event=f"{count} records lost before this one")


def last_number(path: Path) -> int:
    """The highest number of a call near the end of a trace, 0 where there is none: a server that appends to it counts on from there.

    Raises OSError where the file exists and cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _TAIL, 0))
            return max((int(number) for number in _NUMBER.findall(file.read())), default=0)
    except FileNotFoundError:
        return 0
