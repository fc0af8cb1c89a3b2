"""SIP over TCP (RFC 3261 §18): connections are pooled, and everything about them is bounded.

A message goes on its flow while that is open, else on a connection that already leads to the remote address, else
on a new one; while that one is being made, messages wait in it. A message whose connection was lost before it arrived
goes on a new connection, once (RFC 3261 §18.2.2, §18.4); after that its sender is told.

Whoever connects may cost us only so much: the number of connections, in all and of one source; the bytes held for
them; the time until a message is complete, until the first one, between messages, and until the peer reads; and file
descriptors, of which some are kept in reserve. ``ledger.py`` says who has to go. ``close_idle`` looks after the times, from
one timer for all connections, which runs only while there are any.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.transport.accepting import Acceptor, Descriptors, Folded
from calltable.adapters.sip.transport.address import Address, sockaddr
from calltable.adapters.sip.transport.base import SocketBase, open_socket
from calltable.adapters.sip.transport.connection import TcpConnection, why
from calltable.adapters.sip.transport.ledger import Ledger, source_of
from calltable.adapters.sip.transport.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from calltable.adapters.sip.transport.interface import Flow
    from calltable.adapters.sip.transport.outbox import Entry

_CLOSE_SECONDS: Final = 1.0
_READ_SIZE: Final = 16 << 10
"""Bytes read from one connection in one turn of the loop."""
_IDLE: Final = 1.0
"""Seconds without a word before a connection may be closed for a newcomer."""


class TcpKind:
    """All TCP listeners and connections of a transport."""

    def __init__(self, hub: SocketBase) -> None:
        """Begin with nothing."""
        self.hub = hub
        self.turns = Turns(hub.loop.call_soon, hub.limits.tcp_burst)
        self.buffer = memoryview(bytearray(_READ_SIZE))
        self.ledger: Ledger[TcpConnection] = Ledger()
        self._acceptors: list[Acceptor] = []
        self._pool: dict[Address, TcpConnection] = {}
        self._making: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._closing = False
        self._descriptors = Descriptors(hub.loop.time, hub.limits.descriptors)
        self._short = Folded(hub.loop.time)
        self._full = Folded(hub.loop.time)

    async def listen(self, address: Address) -> Address:
        """Bind and accept. Raises OSError."""
        sock = open_socket(address, socket.SOCK_STREAM, reuse_port=self.hub.reuse_port)
        try:
            # A restarted server must not wait for the old connections' TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(sockaddr(address.host, address.port))
            sock.listen(self.hub.limits.tcp_backlog)
        except OSError:
            sock.close()
            raise
        bound = address._replace(port=sock.getsockname()[1])
        pause = self.hub.limits.descriptors_pause
        self._acceptors.append(Acceptor(self.hub.loop, sock, bound, self._accepted, self._out_of_descriptors, pause))
        return bound

    def send(self, data: bytes, to: Address, source: Address | None, flow: Flow | None) -> None:
        """Send on the flow, a pooled connection, or a new one."""
        if isinstance(flow, TcpConnection) and not flow.closed:
            flow.send(data, to, source)
            return
        connection = self._pool.get(to)
        if connection is None or connection.closed:
            connection = self._connect(data, to, source)
        if connection is not None:
            connection.send(data, to, source)

    def close_flow(self, flow: Flow) -> None:
        """Close a connection once what was sent on it is out."""
        if isinstance(flow, TcpConnection):
            flow.close("closed by us")

    async def close(self) -> None:
        """Close listeners and connections; unsent bytes get about a second."""
        self._closing = True
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()
        for task in list(self._making):
            task.cancel()
        connections = self.ledger.connections
        for connection in list(connections):
            connection.close("the transport is closed")
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                while connections or self._making:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            for connection in list(connections):
                connection.abort("the transport is closed")
            # One turn of the loop lets the aborted ones go.
            await asyncio.sleep(0)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def close_idle(self, now: float) -> None:
        """Close connections whose time is up; ``now`` is loop time in seconds."""
        for connection in list(self.ledger.connections):
            reason = self._overdue(connection, now)
            if reason:
                self.hub.stats["tcp_idle_closed"] += 1
                # Not close(): a peer that is gone would never let the unsent bytes out.
                connection.abort(reason)
            else:
                connection.settle(now)

    def _overdue(self, connection: TcpConnection, now: float) -> str:
        """Why a connection is to be closed; empty if it is not."""
        limits = self.hub.limits
        silent = now - connection.last_active
        stalled = connection.stalled_since
        if stalled is not None and now - stalled >= limits.tcp_stall_timeout:
            return f"the peer has read nothing for {now - stalled:.0f} s"
        unfinished = connection.unfinished_since
        if unfinished is not None and now - unfinished >= limits.tcp_message_timeout:
            return f"a message is incomplete for {now - unfinished:.0f} s"
        if connection.accepted and not connection.greeted and now - connection.since >= limits.tcp_message_timeout:
            return f"no message within {now - connection.since:.0f} s"
        idle = limits.tcp_idle_timeout
        return f"nothing heard for {silent:.0f} s" if idle is not None and silent >= idle else ""

    # What connections call.

    def made(self, connection: TcpConnection) -> None:
        """Count a connection that can be used."""
        self.hub.stats["tcp_accepted" if connection.accepted else "tcp_connected"] += 1

    def note(self, connection: TcpConnection, held: int) -> None:
        """Enter what is held for a connection; where that is too much for one source or in all, cut off who holds the most."""
        ledger, limits, source = self.ledger, self.hub.limits, connection.source
        ledger.note(connection, held)
        while True:
            if source and ledger.held_for(source) > limits.tcp_buffered_per_source:
                most = ledger.largest(source)
            elif ledger.held > limits.tcp_buffered:
                most = ledger.largest()
            else:
                return
            if most is None or not most.held:
                return
            self.hub.stats["tcp_shed"] += 1
            self._full.warn(f"too many bytes are buffered: the connection from {most.remote} is closed with {most.held} bytes")
            # Noted at once, or the sum would be too large still.
            ledger.note(most, 0)
            most.abort("too many bytes are buffered")

    def forget(self, connection: TcpConnection) -> None:
        """Drop a connection from the pool."""
        self.ledger.remove(connection)
        if self._pool.get(connection.remote) is connection:
            del self._pool[connection.remote]
        self._changed.set()

    def send_again(self, entry: Entry) -> None:
        """Send a message that was lost with its connection, on another: this once."""
        if self._closing:
            self.hub.fail(entry.to, None, "the transport is closed", entry.data)
            return
        connection = self._pool.get(entry.to)
        if connection is None or connection.closed:
            connection = self._connect(entry.data, entry.to, entry.source)
        if connection is not None:
            connection.send(entry.data, entry.to, entry.source, again=False)

    # Accepting.

    def _accepted(self, sock: socket.socket, local: Address) -> None:
        """Take a connection that was accepted, or close it."""
        try:
            peer = sock.getpeername()
        except OSError:  # gone again
            sock.close()
            return
        host = f"{peer[0]}%{peer[3]}" if len(peer) == 4 and peer[3] and "%" not in peer[0] else peer[0]
        source = source_of(host)
        reason = self._no_room(source)
        if reason:
            self.hub.stats["tcp_refused"] += 1
            self._full.warn(f"a connection from {host} is refused: {reason}")
            sock.close()
            return
        connection = TcpConnection(self, local, Address("tcp", host, peer[1]), source)
        self._add(connection)
        self._start(self._serve(connection, sock))

    def _no_room(self, source: str) -> str:
        """Why a newcomer cannot be taken; empty if it can, perhaps since another had to go for it."""
        limits, ledger = self.hub.limits, self.ledger
        if ledger.count(source) >= limits.tcp_connections_per_source:
            reason, whose = f"{source} has {limits.tcp_connections_per_source} connections", source
        elif len(ledger.connections) >= limits.tcp_connections:
            reason, whose = f"all {limits.tcp_connections} connections are in use", ""
        elif not self._descriptors.take():
            reason, whose = f"only {limits.descriptors} file descriptors are left", ""
        else:
            return ""
        return "" if self._make_room(whose) else reason

    def _make_room(self, source: str) -> bool:
        """Close the idlest connection of a source, or of the source that has the most."""
        idlest = self.ledger.idlest(self.hub.loop.time(), _IDLE, source)
        if idlest is None:
            return False
        self.hub.stats["tcp_displaced"] += 1
        idlest.abort("closed to make room for another")
        # Its place is free, though the loop needs another turn to close it.
        self.forget(idlest)
        return True

    def _out_of_descriptors(self, reason: str) -> None:
        self.hub.stats["tcp_errors"] += 1
        self._short.warn(reason)
        self._make_room("")

    async def _serve(self, connection: TcpConnection, sock: socket.socket) -> None:
        try:
            await self.hub.loop.connect_accepted_socket(lambda: connection, sock)
        except OSError as error:
            self.hub.stats["tcp_errors"] += 1
            sock.close()
            connection.give_up(why(error))

    # Connecting.

    def _connect(self, data: bytes, to: Address, source: Address | None) -> TcpConnection | None:
        """Begin a connection; None if it is refused at once, which is then reported."""
        hub = self.hub
        listener = hub.choose(to, source)
        if listener is None:
            hub.fail(to, None, hub.no_listener(to), data)
            return None
        if len(self.ledger.connections) >= hub.limits.tcp_connections and not self._make_room(""):
            hub.stats["tcp_refused"] += 1
            hub.fail(to, None, f"all {hub.limits.tcp_connections} connections are in use", data)
            return None
        try:
            sockaddr(to.host, to.port)
        except OSError:
            hub.fail(to, None, f"{to.host!r} is not an IP address; resolve the name first", data)
            return None
        connection = TcpConnection(self, listener, to)
        self._add(connection)
        self._start(self._make(connection, to, listener))
        return connection

    async def _make(self, connection: TcpConnection, to: Address, listener: Address) -> None:
        hub = self.hub
        timeout = hub.limits.tcp_connect_timeout
        # From the listener's own address, so that a peer that filters by address knows us.
        local = None if listener.wildcard else (listener.host, 0)
        try:
            async with asyncio.timeout(timeout):
                await hub.loop.create_connection(lambda: connection, to.host, to.port, local_addr=local)
        except TimeoutError:
            reason = f"no answer to the connection within {timeout:g} s"
        except OSError as error:
            reason = why(error)
        except asyncio.CancelledError:
            connection.give_up("the transport is closed")
            raise
        else:
            return
        hub.stats["tcp_errors"] += 1
        connection.give_up(reason)

    def _start(self, making: Coroutine[None, None, None]) -> None:
        task = self.hub.loop.create_task(making)
        self._making.add(task)
        task.add_done_callback(self._made)

    def _made(self, task: asyncio.Task[None]) -> None:
        self._making.discard(task)
        self._changed.set()

    def _add(self, connection: TcpConnection) -> None:
        self.ledger.add(connection)
        self._pool[connection.remote] = connection
        if self._sweep is None:
            self._schedule_sweep()

    def _schedule_sweep(self) -> None:
        limits = self.hub.limits
        shortest = min(limits.tcp_message_timeout, limits.tcp_stall_timeout, limits.tcp_idle_timeout or limits.tcp_stall_timeout)
        self._sweep = self.hub.loop.call_later(shortest / 4, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        self.close_idle(self.hub.loop.time())
        if self.ledger.connections:
            self._schedule_sweep()
