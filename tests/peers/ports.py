"""Free ports on loopback for programs that want to be told theirs, and waiting until such a program listens.

Ports come from below the kernel's ephemeral range, each test worker from a part of its own, so that parallel
workers do not hand out the same one.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOWEST, PER_WORKER = 10_000, 5_500
_worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 4
_random = random.Random()
_given: deque[range] = deque(maxlen=60)
"""Handed out lately: their programs may not have bound them yet."""


def free_port(host: str = "127.0.0.1", *, span: int = 1) -> int:
    """A port that nobody has bound for UDP or TCP, with ``span - 1`` free ones after it; none that was given lately."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(1000):
        port = LOWEST + _worker * PER_WORKER + 2 * _random.randrange((PER_WORKER - span) // 2)
        wanted = range(port, port + span)
        if any(port < given.stop and given.start < wanted.stop for given in _given):
            continue
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for number in wanted:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    held.enter_context(socket.socket(family, kind)).bind((host, number))
            _given.append(wanted)
            return port
    raise RuntimeError(f"no free port on {host}")


def has_address(host: str) -> bool:
    """Whether this machine has the address; not every container has ::1."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return True
    return False


def bound(port: int, *, tcp: bool = False) -> bool:
    """Whether a socket is bound to the port (TCP: listens on it). Linux tells in /proc."""
    for name in ("tcp", "tcp6") if tcp else ("udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) == port and (not tcp or words[3] == "0A"):
                    return True
    return False


def wait_bound(port: int, *, tcp: bool = False, seconds: float = 10.0, while_: Callable[[], bool] = lambda: True) -> bool:
    """Wait until a program listens; False where it did not in time, or ended (``while_`` is false)."""
    end = time.monotonic() + seconds
    while not bound(port, tcp=tcp):
        if time.monotonic() > end or not while_():
            return False
        time.sleep(0.01)
    return True
