"""One heap for all timers of an executor.

A timer is cancelled by marking it; marked ones are dropped when they come up, or all at once when they
outnumber the live ones. The heap knows no clock: it is asked what is due at a given moment.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
"""What timers are set for: sessions."""

COMPACT = 512
"""Below this many cancelled timers, sweeping is not worth the work."""


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
        """It has come up, but its session cannot take it yet."""


class Repeat:
    """The back-off of a repeating timer: the next interval is ``factor`` times this one, at most ``limit`` seconds."""

    __slots__ = ("factor", "interval", "limit")

    def __init__(self, interval: float, factor: float, limit: float) -> None:
        self.interval = interval
        self.factor = factor
        self.limit = limit

    def next(self) -> float:
        """Go on to the next interval; answers it."""
        self.interval = min(self.interval * self.factor, self.limit)
        return self.interval


class TimerHeap(Generic[T]):
    """Timers in order of their moment; those of one moment in the order they were armed."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer[T]]] = []
        self._order = 0
        self._dead = 0

    def __len__(self) -> int:
        """How many timers run."""
        return len(self._heap) - self._dead

    def __iter__(self) -> Iterator[Timer[T]]:
        return (timer for _, _, timer in sorted(self._heap) if timer.session is not None)

    def arm(self, when: float, session: T, event: str, name: str = "") -> Timer[T]:
        """Arm a timer that gives ``session`` the ``event`` at ``when`` (seconds, absolute)."""
        self._order += 1
        timer = Timer(when, session, event, name)
        heapq.heappush(self._heap, (when, self._order, timer))
        return timer

    def again(self, timer: Timer[T], when: float) -> None:
        """Put a timer that has just come up back for another round."""
        self._order += 1
        timer.when = when
        heapq.heappush(self._heap, (when, self._order, timer))

    def cancel(self, timer: Timer[T]) -> None:
        """Cancel a timer; one that already came up or was cancelled is left alone."""
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
        """The moment of the earliest live timer."""
        heap = self._heap
        while heap:
            if heap[0][2].session is not None:
                return heap[0][0]
            heapq.heappop(heap)
            self._dead -= 1
        return None

    @property
    def newest(self) -> int:
        """The place in the order of arming of the timer that was armed last."""
        return self._order

    def due(self, now: float, newest: int) -> Timer[T] | None:
        """Take the earliest timer whose moment is not after ``now``, if there is one that was armed before ``newest``, or is it."""
        when = self.next()
        if when is None or when > now or self._heap[0][1] > newest:
            return None
        return heapq.heappop(self._heap)[2]
