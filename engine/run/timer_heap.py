"""One heap for all timers of an executor.

A timer is cancelled by marking it; marked ones are dropped when they reach the top, or all at once when they outnumber the live ones. The heap
has no clock: it is asked what has expired at a given time.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
"""What a timer is set for: a session."""

COMPACT = 512
"""With fewer cancelled timers than this, removing them is not worth the work."""


class Timer(Generic[T]):
    """One armed timer; ``repeat`` says how a repeating one goes on."""

    __slots__ = ("event", "held", "name", "repeat", "session", "when")

    def __init__(self, when: float, session: T, event: str, name: str) -> None:
        self.when = when
        self.session: T | None = session
        self.event = event
        self.name = name
        self.repeat: Repeat | None = None
        self.held = False
        """It has expired, but its session cannot handle it yet."""


class Repeat:
    """The back-off of a repeating timer: the next interval is ``factor`` times this one, at most ``limit`` seconds."""

    __slots__ = ("factor", "interval", "limit")

    def __init__(self, interval: float, factor: float, limit: float) -> None:
        self.interval = interval
        self.factor = factor
        self.limit = limit

    def next(self) -> float:
        """Advance to the next interval and return it."""
        self.interval = min(self.interval * self.factor, self.limit)
        return self.interval


class TimerHeap(Generic[T]):
    """Timers ordered by expiry; those that expire together in the order in which they were armed."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer[T]]] = []
        self._order = 0
        self._dead = 0

    def __len__(self) -> int:
        """The number of running timers."""
        return len(self._heap) - self._dead

    def __iter__(self) -> Iterator[Timer[T]]:
        return (timer for _, _, timer in sorted(self._heap) if timer.session is not None)

    def arm(self, when: float, session: T, event: str, name: str = "") -> Timer[T]:
        """Arm a timer that delivers ``event`` to ``session`` at ``when`` (seconds, absolute)."""
        self._order += 1
        timer = Timer(when, session, event, name)
        heapq.heappush(self._heap, (when, self._order, timer))
        return timer

    def again(self, timer: Timer[T], when: float) -> None:
        """Arm an expired timer again."""
        self._order += 1
        timer.when = when
        heapq.heappush(self._heap, (when, self._order, timer))

    def cancel(self, timer: Timer[T]) -> None:
        """Cancel a timer; no effect if it has expired or was cancelled."""
        if timer.session is None:
            return
        timer.session = None
        if timer.held:  # it is not on the heap
            return
        self._dead += 1
        if self._dead > COMPACT and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].session is not None]
            heapq.heapify(self._heap)
            self._dead = 0

    def next(self) -> float | None:
        """When the earliest live timer expires."""
        heap = self._heap
        while heap:
            if heap[0][2].session is not None:
                return heap[0][0]
            heapq.heappop(heap)
            self._dead -= 1
        return None

    @property
    def newest(self) -> int:
        """The sequence number of the timer that was armed last."""
        return self._order

    def due(self, now: float, newest: int) -> Timer[T] | None:
        """Remove and return the earliest timer that has expired at ``now`` and was armed no later than number ``newest``."""
        when = self.next()
        if when is None or when > now or self._heap[0][1] > newest:
            return None
        return heapq.heappop(self._heap)[2]
