"""Accepting connections while the process has descriptors to spare.

asyncio's own server logs a traceback for each attempt when the process is out of descriptors, and tries again at once for
the whole backlog: a thousand idle connections are enough to fill a disk. Here a listener accepts a few connections a turn;
when the system has no descriptor left it makes room, waits, and says so in one line, with a count.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.transport.base import _log

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from calltable.adapters.sip.transport.address import Address

_AT_ONCE: Final = 16
"""Connections accepted in one turn of the loop."""
_FOLDED: Final = 10.0
"""Seconds in which the same warning is written once."""
_RECOUNT: Final = 0.1
_PLENTY: Final = 1 << 20
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Folded:
    """A warning that is written once in a while, with how often it would have been."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` tells the time in seconds."""
        self._clock = clock
        self._since: float | None = None
        self._count = 0

    def warn(self, text: str) -> None:
        """Write the warning, or count it."""
        self._count += 1
        now = self._clock()
        if self._since is None or now - self._since >= _FOLDED:
            _log.warning("%s%s", text, f" ({self._count} times since the last such line)" if self._count > 1 else "")
            self._since = now
            self._count = 0


class Descriptors:
    """How many more file descriptors may be taken, leaving a reserve.

    Counting them costs a listing of ``/dev/fd``, so it is done after half of what was left is used, and when nothing was
    left at most ten times a second.
    """

    def __init__(self, clock: Callable[[], float], reserve: int) -> None:
        """``clock`` tells the time in seconds; ``reserve`` is what stays free."""
        self._clock = clock
        self._reserve = reserve
        self._left = 0
        self._counted = float("-inf")

    def take(self) -> bool:
        """Whether another descriptor may be kept open."""
        if self._left <= 0:
            now = self._clock()
            if now - self._counted < _RECOUNT:
                return False
            self._left = self._count() // 2
            if self._left <= 0:
                self._counted = now
                return False
        self._left -= 1
        return True

    def _count(self) -> int:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return _PLENTY
        try:
            used = len(os.listdir("/dev/fd"))  # noqa: PTH208 - names alone, a thousand of them
        except OSError:
            return _PLENTY  # nothing tells: the error on accept has to do
        return soft - self._reserve - used + 1


class Acceptor:
    """Accepts what comes to one listening socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        local: Address,
        accepted: Callable[[socket.socket, Address], None],
        short: Callable[[str], None],
        pause: float,
    ) -> None:
        """``accepted`` takes each connection, ``short`` is told why nothing can be accepted for ``pause`` seconds."""
        self._loop = loop
        self._socket = sock
        self._local = local
        self._accepted = accepted
        self._short = short
        self._pause = pause
        self._later: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        """Accept nothing more."""
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _resume(self) -> None:
        self._later = None
        self._loop.add_reader(self._socket.fileno(), self._ready)

    def _ready(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _SHORT:
                    self._loop.remove_reader(self._socket.fileno())
                    self._later = self._loop.call_later(self._pause, self._resume)
                self._short(f"no connection can be accepted on {self._local}: {error.strerror}")
                return
            sock.setblocking(False)
            self._accepted(sock, self._local)
