"""What went out on a stream and may not have arrived: remembered until it is known to have.

A write to a TCP connection succeeds when the kernel has the bytes. When the peer has closed meanwhile, or resets the
connection before it reads them, they are lost without a word (RFC 3261 §18.4 wants the message's sender told). So the
last messages of a connection are kept, and when it ends the question is which of them did not arrive:

* those with bytes that the peer's kernel never acknowledged (Linux tells, ``TCP_INFO``);
* after a reset, also those that nothing was heard behind: the peer may have thrown them away unread.

Sending one of them again, on another connection, is safe: a SIP message that arrives twice is a retransmission.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from calltable.adapters.sip.transport.address import Address

KEPT: Final = 16
"""Messages kept for which there is no need any more, so that asking the kernel costs one call for so many messages."""
_LASTING: Final = 32.0
"""Seconds (64*T1) after which no transaction waits for what becomes of a message."""
_LINUX: Final = sys.platform == "linux"
_BYTES_ACKED: Final = struct.Struct("=120xQ")
"""``tcpi_bytes_acked`` of ``struct tcp_info`` in <linux/tcp.h>, since Linux 4.1."""


class Entry(NamedTuple):
    """One message that was written: where it went, and whether it may be tried on another connection."""

    data: bytes
    to: Address
    source: Address | None
    again: bool
    end: int = 0
    """The number of the byte behind it in the stream."""
    when: float = 0.0
    """Loop time at which it was written, in seconds."""


def acknowledged(sock: socket.socket | None) -> int | None:
    """How many bytes the peer's kernel has acknowledged on a connection; None where the system does not tell."""
    if not _LINUX or sock is None:
        return None
    try:
        return int(_BYTES_ACKED.unpack_from(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256))[0])
    except (OSError, struct.error):
        return None


class Outbox:
    """The last messages written to one connection."""

    __slots__ = ("_base", "_entries", "_flushed", "_heard", "_socket", "written")

    def __init__(self, sock: socket.socket | None) -> None:
        """``sock`` is connected and nothing was written to it yet."""
        self._socket = sock
        self._base = acknowledged(sock)  # the SYN counts on one side
        self._entries: deque[Entry] = deque()
        self._flushed = 0
        self._heard = 0
        self.written = 0
        """Bytes written, keep-alives included."""

    def __len__(self) -> int:
        """How many messages are kept."""
        return len(self._entries)

    def wrote(self, entry: Entry, now: float) -> None:
        """Note a message that was given to the transport at loop time ``now`` (seconds)."""
        self.written += len(entry.data)
        self._entries.append(entry._replace(end=self.written, when=now))
        if len(self._entries) > KEPT:
            self.settle(now)

    def flushed(self) -> None:
        """Note that the kernel has everything."""
        self._flushed = self.written

    def heard(self) -> None:
        """Note that the peer said something."""
        self._heard = self.written

    def settle(self, now: float) -> None:
        """Forget what has arrived, and what is too old to matter. The unacknowledged is bounded by the write buffer."""
        acked = self._acknowledged()
        arrived = self._flushed if acked is None else acked
        entries = self._entries
        while entries and entries[0].end <= arrived and (len(entries) > KEPT // 2 or entries[0].when + _LASTING < now):
            entries.popleft()

    def lost(self, now: float, *, reset: bool, closing: bool) -> list[Entry]:
        """What did not arrive, now that the connection is gone; empty from then on.

        ``reset`` says that it ended with an error, ``closing`` that we closed it and the kernel still delivers what it has.
        """
        acked = self._acknowledged()
        arrived = self._flushed if acked is None or closing else acked
        lost = [entry for entry in self._entries if entry.end > arrived]
        if reset and not closing:
            silent = min(arrived, self._heard)
            lost = [e for e in self._entries if e.end > arrived or (e.end > silent and e.when + _LASTING > now)]
        self._entries.clear()
        self._socket = None
        return lost

    def _acknowledged(self) -> int | None:
        if self._base is None:
            return None
        acked = acknowledged(self._socket)
        return None if acked is None else acked - self._base
