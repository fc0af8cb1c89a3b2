"""A bounded queue and a thread that writes what is in it, many items at once.

Logs and traces are written beside the loop: an item costs the loop one append, and neither a slow disk nor the encoding holds up a
call. Gathering a few milliseconds' worth makes writing cheap as well, for the system and for the caches of the processor.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

GATHER: Final = 0.1
"""Seconds for which items are gathered before they are written: every waking costs the processor's caches."""
AT_ONCE: Final = 500
"""Items that are written at once: the loop's thread gets its turn in between."""


class Writer(Generic[T]):
    """Gives what is ``put`` to ``write``, in order, at most ``AT_ONCE`` items a time, in a thread of its own.

    ``most`` bounds the items that wait; they are gathered for ``gather`` seconds. ``write`` is never called twice at once; what it raises ends the thread, so it must not.
    """

    def __init__(self, write: Callable[[list[T]], None], most: int, name: str, gather: float = GATHER) -> None:
        self._write = write
        self._most = most
        self._gather = gather
        self._waiting: deque[T] = deque()
        self._some = threading.Event()
        self._turn = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> bool:
        """Queue one item; False where the queue is full, and the item is not taken."""
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(item)
        if not self._some.is_set():
            self._some.set()
        return True

    def flush(self) -> None:
        """Write what waits, now and here."""
        with self._turn:
            while self._waiting:
                self._write_some()

    def close(self) -> None:
        """Write what waits, and end the thread. May be called again."""
        self._closing = True
        self._some.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        pause = threading.Event()
        while not self._closing:
            self._some.wait()
            if not self._closing:
                pause.wait(self._gather)
            self._some.clear()
            self.flush()

    def _write_some(self) -> None:
        waiting = self._waiting
        some = [waiting.popleft() for _ in range(min(len(waiting), AT_ONCE))]
        self._write(some)
