"""Log records that repeat, folded into a few lines and a count.

Whoever can make a server write a line can fill its disk: 200,000 malformed datagrams are a second's work for a stranger. So what a
stranger can cause again and again is logged through ``Folding``: of each kind the first few records of a window are written as
they are, the others are counted, and the count is written when the window ends. A kind is the text of the record before its values are
filled in, so there are as many as the program has words for, whatever strangers send.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.run import Scheduler

FIRST: Final = 5
"""Records of a kind that are written in each window."""
WINDOW: Final = 10.0
"""Seconds."""


@dataclass(slots=True)
class _Kind:
    """What is known of one kind in the window that began at ``since``; the last record stands for those that were not written."""

    since: float
    written: int = 0
    folded: int = 0
    values: tuple[object, ...] = ()
    parts: Mapping[str, Any] | None = None


@dataclass(slots=True, eq=False)
class Folding:
    """Writes to ``log`` with repetitions folded, by the time of ``scheduler``."""

    log: logging.Logger
    scheduler: Scheduler
    first: int = FIRST
    window: float = WINDOW
    _kinds: dict[tuple[int, str], _Kind] = field(default_factory=dict, init=False)

    def info(self, text: str, *values: object, parts: Mapping[str, Any] | None = None) -> None:
        """Log at level info; ``parts`` are the record's named parts."""
        self._write(logging.INFO, text, values, parts)

    def warning(self, text: str, *values: object, parts: Mapping[str, Any] | None = None) -> None:
        """Log at level warning."""
        self._write(logging.WARNING, text, values, parts)

    def _write(self, level: int, text: str, values: tuple[object, ...], parts: Mapping[str, Any] | None) -> None:
        if not self.log.isEnabledFor(level):
            return
        now = self.scheduler.time()
        key = (level, text)
        kind = self._kinds.get(key)
        if kind is None or (not kind.folded and now - kind.since >= self.window):
            kind = self._kinds[key] = _Kind(now)
        if kind.written < self.first:
            kind.written += 1
            self.log.log(level, text, *values, extra={"parts": parts or {}})
            return
        kind.folded += 1
        kind.values, kind.parts = values, parts
        if kind.folded == 1:
            # one timer for each kind and window, and only where something was folded
            self.scheduler.call_at(kind.since + self.window, lambda: self._close(key))

    def _close(self, key: tuple[int, str]) -> None:
        """The window of a kind has ended: say how many were not written."""
        level, text = key
        kind = self._kinds.pop(key)
        seconds = self.scheduler.time() - kind.since
        parts = {**(kind.parts or {}), "repeated": kind.folded, "seconds": round(seconds)}
        self.log.log(level, text, *kind.values, extra={"parts": parts})
