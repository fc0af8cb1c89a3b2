"""SIP over TCP (RFC 3261 §18): connections are pooled, messages cut out of the stream, everything bounded.

A message goes on its flow while that is open, else on a connection that already leads to the remote address, else
on a new one; while that one is being made, messages wait in it. A connection that cannot be made, or that is lost
with bytes unsent, reports every message that was not handed to the kernel.

Whoever connects may cost us only so much: the number of connections, the bytes unsent on each, the size of a message
(the framer's business), the time until the first message and the time between messages all have limits.
``close_idle`` looks after the last two, from one timer for all connections, which runs only while there are any.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from secrets import token_hex
from typing import TYPE_CHECKING, Final, cast

from calltable.adapters.sip.message.build import build_response
from calltable.adapters.sip.transport.address import Address, sockaddr
from calltable.adapters.sip.transport.base import SocketBase, open_socket
from calltable.adapters.sip.transport.framing import Framer, FramingError, Keepalive

if TYPE_CHECKING:
    from calltable.adapters.sip.transport.interface import Flow

_CLOSE_SECONDS: Final = 1.0
_PONG: Final = b"\r\n"
_USER_TIMEOUT_MS: Final = 30_000
"""Unacknowledged data for so long ends a connection: else a peer that vanished keeps the pool's place for minutes."""


class TcpConnection(asyncio.Protocol):
    """One connection, also while it is being made; the flow of everything that arrives on it."""

    __slots__ = (
        "_framer", "_kind", "_paused", "_transport", "_unsent", "_unsent_size",
        "accepted", "closed", "greeted", "last_active", "local", "reason", "remote",
    )  # fmt: skip

    def __init__(self, kind: TcpKind, local: Address, remote: Address | None) -> None:
        """``remote`` is None for an accepted connection: it is known once the connection is made."""
        self._kind = kind
        self._framer = Framer(max_body=kind.hub.limits.tcp_max_body)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._paused = False
        self.local = local
        self.accepted = remote is None
        self.remote = remote or local
        self.closed = False
        self.reason = ""
        """Why it was closed, if we did it."""
        self.greeted = False
        """Whether a whole message or keep-alive has come in."""
        self.last_active = kind.hub.loop.time()

    # What the kind calls.

    def send(self, data: bytes) -> None:
        """Write, or keep until the connection is made."""
        hub = self._kind.hub
        transport = self._transport
        waiting = self._unsent_size if transport is None else transport.get_write_buffer_size()
        if waiting + len(data) > hub.limits.tcp_write_buffer and waiting:
            hub.stats["tcp_overflows"] += 1
            if transport is None:
                # Not the peer's fault yet; those that wait keep their chance.
                hub.fail(self.remote, self, f"{waiting} bytes wait for the connection to {self.remote} already", data)
            else:
                hub.fail(self.remote, self, f"{self.remote} does not read: {waiting} bytes are unsent", data)
                self.abort("the peer does not read")
            return
        if transport is None:
            self._keep(data)
            return
        transport.write(data)
        self.last_active = hub.loop.time()
        hub.stats["tcp_sent"] += 1
        if self._paused:
            self._keep(data)

    def give_up(self, reason: str) -> None:
        """The connection could not be made."""
        self.closed = True
        self.reason = reason
        self._fail_unsent(reason)
        self._kind.forget(self)

    def close(self, reason: str) -> None:
        """Close once everything is written."""
        if self._transport is None:
            self.give_up(reason)
        elif not self.closed:
            self.closed = True
            self.reason = reason
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once."""
        if self._transport is None:
            self.give_up(reason)
        else:
            self.closed = True
            self.reason = self.reason or reason
            self._transport.abort()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write what has waited."""
        self._transport = cast("asyncio.Transport", transport)
        if self.closed or not self._kind.admit(self):
            self._transport.abort()
            return
        # Any unsent byte pauses, so that what is unsent is known when the connection is lost.
        self._transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
        waiting, self._unsent, self._unsent_size = self._unsent, [], 0
        for data in waiting:
            self.send(data)

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages and pass them on."""
        fault: FramingError | None = None
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            frames, fault = error.frames, error
        hub = self._kind.hub
        for frame in frames:
            if self.closed:
                return
            self.greeted = True
            self.last_active = hub.loop.time()
            if isinstance(frame, bytes):
                hub.stats["tcp_received"] += 1
                try:
                    hub.receiver.received(frame, self.remote, self.local, self)
                except Exception:  # noqa: BLE001 - logged there; the next message may be another call's
                    hub.receiver_failed()
            elif frame is Keepalive.PING:
                hub.stats["tcp_pings"] += 1
                if self._transport is not None and not self._paused:
                    self._transport.write(_PONG)
        if fault is not None and not self.closed:
            self._reject(fault)

    def pause_writing(self) -> None:
        """Something is unsent."""
        self._paused = True

    def resume_writing(self) -> None:
        """Everything is with the kernel."""
        self._paused = False
        self._unsent.clear()
        self._unsent_size = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the receiver, first of what was not sent, then of the end."""
        hub = self._kind.hub
        self.closed = True
        if isinstance(exc, OSError):
            hub.stats["tcp_errors"] += 1
            self.reason = self.reason or _why(exc)
        self.reason = self.reason or "closed by the peer"
        self._fail_unsent(f"connection lost: {self.reason}")
        if self._kind.forget(self):
            # Behind the failures, which also wait for this callback to end.
            hub.loop.call_soon(hub.tell, hub.receiver.connection_closed, self)

    def _reject(self, fault: FramingError) -> None:
        """Answer what could be read of a message that cannot be cut out, and close: nothing behind it has a meaning."""
        self._kind.hub.stats["tcp_framing_errors"] += 1
        request = fault.request
        if request is not None and fault.status is not None and request.method != "ACK":
            self.send(bytes(build_response(request, fault.status, fault.reason, to_tag=token_hex(8))))
        self.close(f"unreadable stream: {fault.reason}")

    def _keep(self, data: bytes) -> None:
        self._unsent.append(data)
        self._unsent_size += len(data)

    def _fail_unsent(self, reason: str) -> None:
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self._kind.hub.fail(self.remote, self, reason, data)


class TcpKind:
    """All TCP listeners and connections of a transport."""

    def __init__(self, hub: SocketBase) -> None:
        """Begin with nothing."""
        self.hub = hub
        self._servers: list[asyncio.Server] = []
        self._pool: dict[Address, TcpConnection] = {}
        self._connections: set[TcpConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    async def listen(self, address: Address) -> Address:
        """Bind and accept. Raises OSError."""
        sock = open_socket(address, socket.SOCK_STREAM, reuse_port=self.hub.reuse_port)
        try:
            # A restarted server must not wait for the old connections' TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(sockaddr(address.host, address.port))
        except OSError:
            sock.close()
            raise
        bound = address._replace(port=sock.getsockname()[1])
        server = await self.hub.loop.create_server(
            lambda: TcpConnection(self, bound, None), sock=sock, backlog=self.hub.limits.tcp_backlog
        )
        self._servers.append(server)
        return bound

    def send(self, data: bytes, to: Address, source: Address | None, flow: Flow | None) -> None:
        """Send on the flow, a pooled connection, or a new one."""
        if isinstance(flow, TcpConnection) and not flow.closed:
            flow.send(data)
            return
        connection = self._pool.get(to)
        if connection is None or connection.closed:
            connection = self._connect(data, to, source)
        if connection is not None:
            connection.send(data)

    def close_flow(self, flow: Flow) -> None:
        """Close a connection once what was sent on it is out."""
        if isinstance(flow, TcpConnection):
            flow.close("closed by us")

    async def close(self) -> None:
        """Close listeners and connections; unsent bytes get about a second."""
        for server in self._servers:
            server.close()
        for task in list(self._connecting):
            task.cancel()
        for connection in list(self._connections):
            connection.close("the transport is closed")
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._connections or self._connecting:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort("the transport is closed")
            # One turn of the loop lets the aborted ones go.
            await asyncio.sleep(0)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def close_idle(self, now: float) -> None:
        """Close connections that said nothing whole for too long; ``now`` is loop time in seconds."""
        limits = self.hub.limits
        for connection in list(self._connections):
            silent = now - connection.last_active
            if connection.accepted and not connection.greeted:
                limit: float | None = limits.tcp_first_message_timeout
            else:
                limit = limits.tcp_idle_timeout
            if limit is not None and silent >= limit:
                self.hub.stats["tcp_idle_closed"] += 1
                # Not close(): a peer that is gone would never let the unsent bytes out.
                connection.abort(f"nothing heard for {silent:.0f} s")

    # What connections call.

    def admit(self, connection: TcpConnection) -> bool:
        """Take a connection that was made into the pool; False refuses it."""
        if connection.accepted:
            transport = connection._transport  # noqa: SLF001 - the two classes are one mechanism
            peer = transport.get_extra_info("peername") if transport is not None else None
            if peer is None or len(self._connections) >= self.hub.limits.tcp_connections:
                self.hub.stats["tcp_refused"] += 1
                connection.reason = "too many connections"
                return False
            host = f"{peer[0]}%{peer[3]}" if len(peer) == 4 and peer[3] and "%" not in peer[0] else peer[0]
            connection.remote = Address("tcp", host, peer[1])
            self._add(connection)
        connection.last_active = self.hub.loop.time()
        self.hub.stats["tcp_accepted" if connection.accepted else "tcp_connected"] += 1
        return True

    def forget(self, connection: TcpConnection) -> bool:
        """Drop a connection from the pool; False if it was never in."""
        if connection not in self._connections:
            return False
        self._connections.discard(connection)
        if self._pool.get(connection.remote) is connection:
            del self._pool[connection.remote]
        if not self._connections:
            self._empty.set()
        return True

    def _add(self, connection: TcpConnection) -> None:
        self._connections.add(connection)
        self._pool[connection.remote] = connection
        if self._sweep is None:
            self._schedule_sweep()

    def _schedule_sweep(self) -> None:
        limits = self.hub.limits
        shortest = min(limits.tcp_first_message_timeout, limits.tcp_idle_timeout or limits.tcp_first_message_timeout)
        self._sweep = self.hub.loop.call_later(shortest / 2, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        self.close_idle(self.hub.loop.time())
        if self._connections:
            self._schedule_sweep()

    def _connect(self, data: bytes, to: Address, source: Address | None) -> TcpConnection | None:
        """Begin a connection; None if it is refused at once, which is then reported."""
        hub = self.hub
        listener = hub.choose(to, source)
        if listener is None:
            hub.fail(to, None, hub.no_listener(to), data)
            return None
        if len(self._connections) >= hub.limits.tcp_connections:
            hub.stats["tcp_refused"] += 1
            hub.fail(to, None, f"all {hub.limits.tcp_connections} connections are in use", data)
            return None
        try:
            sockaddr(to.host, to.port)
        except OSError:
            hub.fail(to, None, f"{to.host!r} is no IP address; resolve the name first", data)
            return None
        connection = TcpConnection(self, listener, to)
        self._add(connection)
        task = hub.loop.create_task(self._make(connection, to, listener))
        self._connecting.add(task)
        task.add_done_callback(self._made)
        return connection

    def _made(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        self._empty.set()

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
            reason = _why(error)
        except asyncio.CancelledError:
            connection.give_up("the transport is closed")
            raise
        else:
            return
        hub.stats["tcp_errors"] += 1
        connection.give_up(reason)


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
