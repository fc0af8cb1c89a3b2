"""Overload: new calls are refused while the process is late, so that those that run are served in time.

How late it is, is measured by the scheduler itself: a callback is planned a little ahead, and when it comes, the difference is the
delay. A probe is planned only when a request asks and none is under way, so an idle process measures nothing. ``behind`` adds what a
transport knows beside: for how long it has not been able to read its sockets empty.

Shedding begins at ``shed`` seconds and ends after the delay has been below a fifth of that for a second: a threshold alone
would let calls in and out by turns. Requests inside dialogs go on, and so do emergency calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.engine.run import Scheduler

AHEAD: Final = 0.05
"""Seconds from a probe to the moment it is planned for."""
CALM: Final = 0.2
"""The share of ``shed`` below which the process counts as being in time again."""
QUIET: Final = 1.0
"""Seconds that it has to be in time before new calls are taken again."""


def _never_behind() -> float:
    return 0.0


class Overload:
    """Whether new calls are shed now. ``shed`` in seconds; 0 never sheds."""

    def __init__(self, scheduler: Scheduler, shed: float, behind: Callable[[], float] = _never_behind) -> None:
        self.shed = shed
        self.delay = 0.0
        """The delay that was measured last, seconds."""
        self._scheduler = scheduler
        self._behind = behind
        self._probing = False
        self._shedding = False
        self._calm_since = 0.0

    def sheds(self) -> bool:
        """Whether a new call is to be refused. Plans the next probe."""
        if not self.shed:
            return False
        now = self._scheduler.time()
        if not self._probing:
            self._probing = True
            self._scheduler.call_at(now + AHEAD, self._probe, now + AHEAD)
        return self._shedding

    def _probe(self, planned: float) -> None:
        now = self._scheduler.time()
        self._probing = False
        self.delay = delay = max(now - planned, self._behind())
        if delay >= self.shed:
            self._shedding = True
            self._calm_since = now
        elif not self._shedding:
            return
        elif delay > self.shed * CALM:
            self._calm_since = now
        elif now - self._calm_since >= QUIET:
            self._shedding = False
        if self._shedding:
            # without a request nobody would ask again, and the end of the overload would not be seen
            self._probing = True
            self._scheduler.call_at(now + AHEAD, self._probe, now + AHEAD)
