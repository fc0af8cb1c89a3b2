"""A clock that stands still until it is told to go on: time for tests, simulations and replays.

The engine and the SIP adapter ask their scheduler for two things only: ``time()`` and ``call_at()``. A
running asyncio loop is one such scheduler, this class is the other. Here time jumps from one planned
callback to the next, so 32 seconds of retransmissions take as long as their callbacks do.

Order is the whole point, because one seed must give one trace: callbacks run by time, and those of one
time run in the order in which they were planned. Two queues keep that cheap. A callback for a later time
goes on a heap; one for the present or the past goes to the end of a plain queue. Whatever the heap holds
for the present moment was planned before this moment came, so the heap always goes first.

Exceptions of a callback come out of ``run``, ``advance`` and ``step`` as they are: a test should see
them where they happen. The callback that raised is used up, and the clock can go on after it.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_COMPACT_FROM = 256
"""Below this many cancelled entries the heap is not worth cleaning."""


class ClockLimitError(RuntimeError):
    """``run`` met its limit of callbacks: something goes on planning work for ever."""


class Handle:
    """One planned callback."""

    __slots__ = ("_args", "_callback", "_clock", "_when")

    def __init__(
        self, clock: VirtualClock, when: float, callback: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        """Made by the clock's ``call_*`` methods."""
        self._clock = clock
        self._when = when
        self._callback: Callable[..., object] | None = callback
        self._args = args

    def cancel(self) -> None:
        """Take the callback back. Does nothing once it has run or was cancelled."""
        if self._callback is not None:
            self._callback = None
            self._args = ()
            self._clock._note_cancelled()  # noqa: SLF001 - the two classes are one mechanism

    def cancelled(self) -> bool:
        """Whether the callback will not run (any more)."""
        return self._callback is None

    def when(self) -> float:
        """The clock time for which the callback was planned, seconds."""
        return self._when


class VirtualClock:
    """A deterministic scheduler; ``time()`` starts at ``start`` seconds."""

    __slots__ = ("_cancelled", "_heap", "_now", "_ready", "_sequence")

    def __init__(self, start: float = 0.0) -> None:
        """Start at ``start`` seconds with nothing planned."""
        self._now = start
        self._heap: list[tuple[float, int, Handle]] = []
        self._ready: deque[Handle] = deque()
        self._sequence = 0
        self._cancelled = 0

    def time(self) -> float:
        """The present, in seconds."""
        return self._now

    @property
    def pending(self) -> int:
        """How many callbacks are planned and not cancelled."""
        return len(self._heap) + len(self._ready) - self._cancelled

    @property
    def next_time(self) -> float | None:
        """When the next callback is due, in seconds; None if nothing is planned."""
        self._drop_cancelled()
        if self._ready:
            return self._now
        return self._heap[0][0] if self._heap else None

    def call_at(self, when: float, callback: Callable[..., object], *args: object) -> Handle:
        """Plan ``callback(*args)`` for clock time ``when`` (seconds); a time in the past means now.

        Raises ValueError for a time that is not a number: it would have no place in the order.
        """
        handle = Handle(self, when, callback, args)
        if when > self._now:
            self._sequence += 1
            heapq.heappush(self._heap, (when, self._sequence, handle))
        elif when <= self._now:
            self._ready.append(handle)
        else:
            message = f"cannot plan a callback for {when!r}: a time in seconds is needed"
            raise ValueError(message)
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> Handle:
        """Plan ``callback(*args)`` for ``delay`` seconds from now."""
        return self.call_at(self._now + delay, callback, *args)

    def call_soon(self, callback: Callable[..., object], *args: object) -> Handle:
        """Plan ``callback(*args)`` for now, behind everything planned for now already."""
        handle = Handle(self, self._now, callback, args)
        self._ready.append(handle)
        return handle

    def step(self) -> bool:
        """Run the next callback, moving time to it. False if nothing was planned."""
        return self._run_next(math.inf)

    def run(self, until: float | None = None, *, limit: int = 1_000_000) -> int:
        """Run callbacks until none is planned or, with ``until``, to that clock time (seconds), inclusive.

        With ``until`` the clock then stands at ``until``, also if nothing was planned that late. Returns
        how many callbacks ran. Raises ClockLimitError after ``limit`` callbacks with more to come.
        """
        end = math.inf if until is None else until
        count = 0
        run_next = self._run_next
        while run_next(end):
            count += 1
            if count >= limit:
                due = self.next_time
                if due is not None and due <= end:
                    message = (
                        f"{count} callbacks ran up to {self._now:.3f} s and {self.pending} more are planned: something "
                        "repeats for ever. Give run() an end time, or a larger limit"
                    )
                    raise ClockLimitError(message)
        if until is not None and until > self._now:
            self._now = until
        return count

    def advance(self, seconds: float, *, limit: int = 1_000_000) -> int:
        """Let ``seconds`` pass, running what falls due; returns how many callbacks ran. See ``run``."""
        if not seconds >= 0:
            message = f"cannot advance by {seconds!r} s: time only goes forward"
            raise ValueError(message)
        return self.run(self._now + seconds, limit=limit)

    def _run_next(self, end: float) -> bool:
        """Run the next callback due up to ``end``; False if there is none."""
        heap = self._heap
        ready = self._ready
        while True:
            if heap and (heap[0][0] <= self._now or not ready):
                if heap[0][0] > end and heap[0][2]._callback is not None:  # noqa: SLF001
                    return False
                when, _, handle = heapq.heappop(heap)
            elif ready:
                if self._now > end:
                    return False
                handle = ready.popleft()
                when = self._now
            else:
                return False
            callback = handle._callback  # noqa: SLF001
            if callback is None:
                self._cancelled -= 1
                continue
            args = handle._args  # noqa: SLF001
            # Used up before it runs: a callback may cancel its own handle, and must not be counted for it.
            handle._callback = None  # noqa: SLF001
            handle._args = ()  # noqa: SLF001
            self._now = max(self._now, when)
            callback(*args)
            return True

    def _drop_cancelled(self) -> None:
        heap, ready = self._heap, self._ready
        while ready and ready[0].cancelled():
            ready.popleft()
            self._cancelled -= 1
        while heap and heap[0][2].cancelled():
            heapq.heappop(heap)
            self._cancelled -= 1

    def _note_cancelled(self) -> None:
        self._cancelled += 1
        # SIP plans 32 s timers for calls that are over in milliseconds: without this the heap would be all graves.
        if self._cancelled > _COMPACT_FROM and self._cancelled * 2 > len(self._heap) + len(self._ready):
            # In place: _run_next may hold both lists while a callback cancels.
            self._heap[:] = [entry for entry in self._heap if not entry[2].cancelled()]
            heapq.heapify(self._heap)
            live = [handle for handle in self._ready if not handle.cancelled()]
            self._ready.clear()
            self._ready.extend(live)
            self._cancelled = 0
