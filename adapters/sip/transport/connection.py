"""One TCP connection: bytes in, messages out in their turn, and an account of what went the other way.

A connection knows its kind (``tcp.py``) as a :class:`Pool` only. What it may cost is bounded there; what it is never
allowed to do is to keep the others waiting, so the messages that one read brings are handled in fair turns
(``turns.py``), nothing more is read before they are, and a peer that does not read its answers is not read from either.

Its end is not the end of what was sent on it: see ``outbox.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Protocol, cast

from calltable.adapters.sip.message import build_response
from calltable.adapters.sip.transport.framing import Framer, FramingError, Keepalive
from calltable.adapters.sip.transport.outbox import Entry, Outbox

if TYPE_CHECKING:
    from calltable.adapters.sip.transport.address import Address
    from calltable.adapters.sip.transport.base import SocketBase
    from calltable.adapters.sip.transport.turns import Turns

_PONG: Final = b"\r\n"
_USER_TIMEOUT_MS: Final = 30_000
"""Unacknowledged data for so long ends a connection: else a peer that vanished keeps the pool's place for minutes."""


class Pool(Protocol):
    """What a connection uses of the kind it belongs to."""

    hub: SocketBase
    turns: Turns
    buffer: memoryview
    """Where every connection reads into; what is read is taken out at once."""

    def made(self, connection: TcpConnection) -> None:
        """A connection can be used."""

    def note(self, connection: TcpConnection, held: int) -> None:
        """So many bytes are held for a connection; too many, and one has to go."""

    def forget(self, connection: TcpConnection) -> None:
        """Drop a connection."""

    def send_again(self, entry: Entry) -> None:
        """Send a message that was lost with its connection, on another."""


class TcpConnection(asyncio.BufferedProtocol):
    """One connection, also while it is being made; the flow of everything that arrives on it."""

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_framer",
        "_gone",
        "_graceful",
        "_outbox",
        "_paused",
        "_ponged",
        "_pool",
        "_queued",
        "_stopped",
        "_told",
        "_transport",
        "_waiting",
        "_waiting_size",
        "accepted",
        "closed",
        "greeted",
        "held",
        "last_active",
        "local",
        "reason",
        "remote",
        "since",
        "source",
        "stalled_since",
        "unfinished_since",
    )  # fmt: skip

    def __init__(self, pool: Pool, local: Address, remote: Address, source: str = "") -> None:
        """``source`` is whom an accepted connection counts for; without it the connection is ours."""
        self._pool = pool
        self._framer = Framer(max_body=pool.hub.limits.tcp_max_body)
        self._transport: asyncio.Transport | None = None
        self._outbox: Outbox | None = None
        self._waiting: list[Entry] = []
        self._waiting_size = 0
        self._backlog: deque[bytes | FramingError] = deque()
        self._backlog_size = 0
        self._queued = False
        self._stopped = False
        self._paused = False
        self._graceful = False
        self._gone = False
        self._told = True
        self._ponged = float("-inf")
        self.local = local
        self.remote = remote
        self.source = source
        self.accepted = bool(source)
        self.closed = False
        self.reason = ""
        """Why it was closed, if we did it."""
        self.greeted = False
        """Whether a whole message has come in."""
        self.held = 0
        """Bytes held for it, as the ledger has them."""
        self.since = pool.hub.loop.time()
        """When it was begun, loop time in seconds."""
        self.last_active = self.since
        """When it last did something that counts, loop time in seconds."""
        self.unfinished_since: float | None = None
        """Since when the message that is coming in is incomplete, loop time in seconds."""
        self.stalled_since: float | None = None
        """Since when the peer has not read everything, loop time in seconds."""

    # What the kind calls.

    def send(self, data: bytes, to: Address, source: Address | None, *, again: bool = True) -> None:
        """Write, or keep until the connection is made. ``again`` allows another connection when this one is lost."""
        hub = self._pool.hub
        transport = self._transport
        if transport is not None and transport.is_closing():
            # A write before this one has failed; the loop will say so in its next turn.
            self.closed = True
            self._pool.send_again(Entry(data, to, source, again))
            return
        waiting = self._waiting_size if transport is None else transport.get_write_buffer_size()
        if waiting + len(data) > hub.limits.tcp_write_buffer and waiting:
            hub.stats["tcp_overflows"] += 1
            if transport is None:
                # Not the peer's fault yet; those that wait keep their chance.
                hub.fail(to, self, f"{waiting} bytes wait for the connection to {self.remote} already", data)
            else:
                hub.fail(to, self, f"{self.remote} does not read: {waiting} bytes are unsent", data)
                self.abort("the peer does not read")
            return
        # On a connection that is made for it a message has had its chance: if that is reset, the next one would be too.
        entry = Entry(data, to, source, again and transport is not None)
        if transport is None:
            self._waiting.append(entry)
            self._waiting_size += len(data)
            self._account()
        else:
            self._write(transport, entry)

    def give_up(self, reason: str) -> None:
        """The connection could not be made."""
        self.closed = True
        self.reason = reason
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        for entry in waiting:
            self._pool.hub.fail(entry.to, self, reason, entry.data)
        self._pool.forget(self)

    def close(self, reason: str) -> None:
        """Close once everything is written."""
        if self._transport is None:
            self.give_up(reason)
        elif not self.closed:
            self.closed = self._graceful = True
            self.reason = reason
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once."""
        if self._transport is None:
            self.give_up(reason)
        else:
            self.closed = True
            self._graceful = False
            self.reason = self.reason or reason
            self._drop_backlog()
            self._transport.abort()

    def settle(self, now: float) -> None:
        """Forget what has arrived at the other side."""
        if self._outbox is not None and len(self._outbox):
            self._outbox.settle(now)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write what has waited."""
        self._transport = made = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        self._outbox = Outbox(sock)
        if self.closed:
            made.abort()
            return
        # Any unsent byte pauses, so that what is unsent is known when the connection is lost.
        made.set_write_buffer_limits(high=0)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
        self.last_active = self._pool.hub.loop.time()
        self._told = False
        self._pool.made(self)
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        for entry in waiting:
            self._write(made, entry)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Where the loop reads into."""
        return self._pool.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Cut the stream into messages and handle them in their turn."""
        if self._outbox is not None:
            self._outbox.heard()
        fault: FramingError | None = None
        try:
            frames = self._framer.feed(self._pool.buffer[:nbytes])
        except FramingError as error:
            frames, fault = error.frames, error
        now = self._pool.hub.loop.time()
        pinged = False
        for frame in frames:
            if isinstance(frame, bytes):
                self._backlog.append(frame)
                self._backlog_size += len(frame)
                self.greeted = True
            else:
                pinged = pinged or frame is Keepalive.PING
        if fault is not None:
            self._backlog.append(fault)
        if frames:
            self.last_active = now
        if pinged:
            self._pong(now)
        if not self._framer.pending:
            self.unfinished_since = None
        elif frames or self.unfinished_since is None:
            self.unfinished_since = now
        self._go_on()

    def eof_received(self) -> None:
        """The peer sends nothing more: nothing is sent to it either, since most who do this have closed (§18.4)."""
        self.closed = True

    def pause_writing(self) -> None:
        """Something is unsent."""
        self._paused = True
        self.stalled_since = self._pool.hub.loop.time()

    def resume_writing(self) -> None:
        """Everything is with the kernel."""
        self._paused = False
        self.stalled_since = None
        if self._outbox is not None:
            self._outbox.flushed()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Send what was lost on another connection, report what cannot be, then tell the receiver of the end."""
        pool = self._pool
        hub = pool.hub
        ours = bool(self.reason)
        self.closed = self._gone = True
        if isinstance(exc, OSError):
            hub.stats["tcp_errors"] += 1
            self.reason = self.reason or why(exc)
        self.reason = self.reason or "closed by the peer"
        lost = []
        if self._outbox is not None:
            lost = self._outbox.lost(hub.loop.time(), reset=exc is not None, closing=self._graceful)
        pool.forget(self)
        for entry in [*lost, *self._waiting]:
            if entry.again and not ours:
                hub.stats["tcp_resent"] += 1
                pool.send_again(entry)
            else:
                hub.fail(entry.to, self, f"connection lost: {self.reason}", entry.data)
        if ours:
            self._drop_backlog()
        self._go_on()
        self._tell_end()

    # Taking turns.

    def take(self) -> bool:
        """Handle one message that was read; whether there are more."""
        hub = self._pool.hub
        if self._backlog:
            item = self._backlog.popleft()
            if isinstance(item, FramingError):
                self._reject(item)
            else:
                self._backlog_size -= len(item)
                hub.stats["tcp_received"] += 1
                try:
                    hub.receiver.received(item, self.remote, self.local, self)
                except Exception:  # noqa: BLE001 - logged there; the next message may be another call's
                    hub.receiver_failed()
        if self._backlog and not self._deaf():
            return True
        self._queued = False
        self._tell_end()
        self._read()
        return False

    def _go_on(self) -> None:
        """Have the messages handled that were read, unless they wait for their turn already, or for the peer to read."""
        if self._backlog and not self._queued and not self._deaf():
            self._queued = True
            self._pool.turns.offer(self)
        self._read()

    def _read(self) -> None:
        """Read while nothing that was read waits, and the peer reads too."""
        if self._gone:
            return
        stop = bool(self._backlog) or self._deaf()
        if stop != self._stopped and self._transport is not None and not self._transport.is_closing():
            self._stopped = stop
            if stop:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        self._account()

    def _tell_end(self) -> None:
        """Tell the receiver once that the connection is gone, behind the last message and the failures."""
        if self._gone and not self._backlog and not self._told:
            self._told = True
            hub = self._pool.hub
            hub.loop.call_soon(hub.tell, hub.receiver.connection_closed, self)

    def _deaf(self) -> bool:
        """Whether the peer leaves unread what we sent, beyond what is usual."""
        if not self._paused or self._transport is None or self._gone:
            return False
        return self._transport.get_write_buffer_size() > self._pool.hub.limits.tcp_unread

    def _account(self) -> None:
        held = self._framer.pending + self._backlog_size + self._waiting_size
        if self._paused and self._transport is not None:
            held += self._transport.get_write_buffer_size()
        if held != self.held:
            self._pool.note(self, held)

    def _write(self, transport: asyncio.Transport, entry: Entry) -> None:
        hub = self._pool.hub
        outbox = self._outbox
        now = hub.loop.time()
        if outbox is not None:
            outbox.wrote(entry, now)
        transport.write(entry.data)
        self.last_active = now
        hub.stats["tcp_sent"] += 1
        if self._paused:
            self._account()
        elif outbox is not None:
            outbox.flushed()

    def _pong(self, now: float) -> None:
        hub = self._pool.hub
        hub.stats["tcp_pings"] += 1
        if now - self._ponged < hub.limits.tcp_pong_interval or self._transport is None or self._paused or self.closed:
            return
        self._ponged = now
        self._transport.write(_PONG)
        if self._outbox is not None:
            self._outbox.written += len(_PONG)

    def _reject(self, fault: FramingError) -> None:
        """Answer what could be read of a message that cannot be cut out, and close: nothing behind it has a meaning."""
        self._pool.hub.stats["tcp_framing_errors"] += 1
        request = fault.request
        if request is not None and fault.status is not None and request.method != "ACK" and not self.closed:
            answer = bytes(build_response(request, fault.status, fault.reason, to_tag=token_hex(8)))
            self.send(answer, self.remote, self.local, again=False)
        self.close(f"unreadable stream: {fault.reason}")

    def _drop_backlog(self) -> None:
        self._backlog.clear()
        self._backlog_size = 0


def why(error: OSError) -> str:
    """What an error of the system says."""
    return os.strerror(error.errno) if error.errno else str(error)
