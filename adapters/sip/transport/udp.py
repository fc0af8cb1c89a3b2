"""SIP over UDP (RFC 3261 §18, RFC 3581): one unconnected socket a listener, read and written directly.

asyncio's datagram endpoint reads one datagram for each turn of the loop and passes it through a transport and a
protocol object. Here a readable socket is read until it is empty, at most ``Limits.udp_burst`` times in a row
so that timers and other sockets get their turn, and a datagram goes out with one ``sendto`` from inside
``send``. Only when the kernel's buffer is full does a bounded backlog come in between.

A dead next hop answers with ICMP. An unconnected socket is not told, unless it asks (Linux: IP_RECVERR): then
the kernel keeps the error with the datagram that caused it, to be read from the socket's error queue, and the
*next* call on the socket fails with that error, whatever its own destination. So an OSError from ``sendto``
says nothing about that datagram: the error queue is read and the datagram sent again.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.transport.address import Address, sockaddr
from calltable.adapters.sip.transport.base import SocketBase, open_socket

if TYPE_CHECKING:
    from calltable.adapters.sip.transport.interface import Flow

_MAX_DATAGRAM: Final = 65535
_REMEMBERED: Final = 8192
"""Addresses kept in their other form; beyond that the memory starts anew."""

_LINUX: Final = sys.platform == "linux"
# <linux/in.h>, <linux/in6.h>, <linux/errqueue.h>: the socket module does not name these in Python 3.11.
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_MSG_ERRQUEUE: Final = 0x2000
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
_ORIGIN_ICMP: Final = 2
_ORIGIN_ICMP6: Final = 3
# RFC 3261 §18.4: unreachable and parameter problem count as failures; time exceeded and source quench do not.
_ICMP_FAILURES: Final = frozenset({(_ORIGIN_ICMP, 3), (_ORIGIN_ICMP, 12), (_ORIGIN_ICMP6, 1), (_ORIGIN_ICMP6, 4)})
_ERRORS_AT_ONCE: Final = 64


class UdpListener:
    """One bound socket; also the flow of everything that arrives on it."""

    __slots__ = ("_addresses", "_backlog", "_hub", "_sendto", "_sockaddrs", "_socket", "closed", "local")

    def __init__(self, hub: SocketBase, sock: socket.socket, local: Address) -> None:
        """Take over a bound, non-blocking socket and begin to read."""
        self._hub = hub
        self._socket = sock
        self._sendto = sock.sendto
        self.local = local
        self.closed = False
        self._backlog: deque[tuple[bytes, Address]] = deque()
        self._addresses: dict[tuple[object, ...], Address] = {}
        self._sockaddrs: dict[Address, tuple[str, int] | tuple[str, int, int, int]] = {}
        hub.loop.add_reader(sock.fileno(), self._readable)

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; failures go to the receiver."""
        if self._backlog:
            self._enqueue(data, to)
            return
        destination = self._sockaddrs.get(to)
        try:
            if destination is None:
                destination = self._sockaddr(to)
            self._sendto(data, destination)
        except (BlockingIOError, InterruptedError):
            self._enqueue(data, to)
            return
        except OSError as error:
            if not self._send_again(data, to, error):
                return
        self._hub.stats["udp_sent"] += 1

    def close(self) -> None:
        """Stop reading and close the socket; what could not be sent yet is tried once more."""
        if self.closed:
            return
        self._writable()
        self.closed = True
        self._hub.full.pop(self, None)
        self._hub.loop.remove_reader(self._socket.fileno())
        self._hub.loop.remove_writer(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        hub = self._hub
        receive = self._socket.recvfrom
        addresses = self._addresses
        received = hub.receiver.received
        local = self.local
        count = 0
        try:
            for _ in range(hub.limits.udp_burst):
                data, sender = receive(_MAX_DATAGRAM)
                count += 1
                source = addresses.get(sender)
                if source is None:
                    source = self._address(sender)
                try:
                    received(data, source, local, self)
                except Exception:  # noqa: BLE001 - logged there; the next datagram is another call's
                    hub.receiver_failed()
                if self.closed:
                    break
            else:
                hub.full.setdefault(self, hub.loop.time())
        except (BlockingIOError, InterruptedError):
            if hub.full:
                hub.full.pop(self, None)
            if not count:
                # Woken without a datagram: an ICMP error waits, and goes on waking us until it is read.
                self._read_errors()
        except OSError:
            self._read_errors()
        hub.stats["udp_received"] += count

    def _address(self, sender: tuple[object, ...]) -> Address:
        host, port = sender[0], sender[1]
        if len(sender) == 4 and sender[3]:
            host = f"{host}%{sender[3]}"
        address = Address("udp", str(host), int(str(port)))
        if len(self._addresses) >= _REMEMBERED:
            self._addresses.clear()
        self._addresses[sender] = address
        return address

    def _sockaddr(self, to: Address) -> tuple[str, int] | tuple[str, int, int, int]:
        destination = sockaddr(to.host, to.port)
        if len(self._sockaddrs) >= _REMEMBERED:
            self._sockaddrs.clear()
        self._sockaddrs[to] = destination
        return destination

    def _send_again(self, data: bytes, to: Address, first: OSError) -> bool:
        """Send after an error that may be an earlier datagram's. False if it was reported as failed."""
        error = first
        destination = self._sockaddrs.get(to)
        if destination is not None:
            self._read_errors()
            try:
                self._sendto(data, destination)
            except (BlockingIOError, InterruptedError):
                self._enqueue(data, to)
                return False
            except OSError as second:
                error = second
            else:
                return True
        self._hub.stats["udp_errors"] += 1
        self._hub.fail(to, self, self._why(error, to, data), data)
        return False

    @staticmethod
    def _why(error: OSError, to: Address, data: bytes) -> str:
        if error.errno == errno.EMSGSIZE:
            return f"{len(data)} bytes do not fit into a datagram; send this message over TCP"
        if error.errno is None:
            return f"{to.host!r} is not an IP address; resolve the name first"
        return os.strerror(error.errno)

    def _enqueue(self, data: bytes, to: Address) -> None:
        if len(self._backlog) >= self._hub.limits.udp_backlog:
            self._hub.stats["udp_dropped"] += 1
            return
        if not self._backlog:
            self._hub.loop.add_writer(self._socket.fileno(), self._writable)
        self._backlog.append((data, to))

    def _writable(self) -> None:
        # Emptied in one go: from within, send() must see no backlog or it would queue behind itself.
        waiting, self._backlog = self._backlog, deque()
        if not self.closed:
            self._hub.loop.remove_writer(self._socket.fileno())
        while waiting:
            self.send(*waiting.popleft())
            if self._backlog:
                self._backlog.extend(waiting)
                return

    def _read_errors(self) -> None:
        """Empty the error queue and report the datagrams that ICMP brought back."""
        if not _LINUX:
            return
        for _ in range(_ERRORS_AT_ONCE):
            try:
                data, ancillary, _, destination = self._socket.recvmsg(_MAX_DATAGRAM, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, raw in ancillary:
                if (level, kind) in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
                    number, origin, icmp_type, *_ = _EXTENDED_ERROR.unpack_from(raw)
                    if (origin, icmp_type) in _ICMP_FAILURES:
                        self._hub.stats["udp_icmp_errors"] += 1
                        self._hub.fail(self._address(destination), self, f"ICMP: {os.strerror(number)}", data)


class UdpKind:
    """All UDP listeners of a transport."""

    def __init__(self, hub: SocketBase) -> None:
        """Begin with no listener."""
        self._hub = hub
        self._listeners: dict[Address, UdpListener] = {}

    async def listen(self, address: Address) -> Address:
        """Bind a socket. Raises OSError."""
        sock = open_socket(address, socket.SOCK_DGRAM, reuse_port=self._hub.reuse_port)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._hub.limits.udp_receive_buffer)
            if _LINUX:
                if address.ipv6:
                    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
                else:
                    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            sock.bind(sockaddr(address.host, address.port))
        except OSError:
            sock.close()
            raise
        bound = address._replace(port=sock.getsockname()[1])
        self._listeners[bound] = UdpListener(self._hub, sock, bound)
        return bound

    def send(self, data: bytes, to: Address, source: Address | None, flow: Flow | None) -> None:
        """Send from the flow's socket, else from ``source`` or the best listener."""
        if isinstance(flow, UdpListener) and not flow.closed:
            flow.send(data, to)
            return
        # The usual case first: the stack names the listener it wrote into Via.
        local = source if source in self._listeners and (":" in source.host) == (":" in to.host) else self._hub.choose(to, source)
        if local is None:
            self._hub.fail(to, flow, self._hub.no_listener(to), data)
        else:
            self._listeners[local].send(data, to)

    def close_flow(self, flow: Flow) -> None:
        """Nothing: a listener stays."""

    async def close(self) -> None:
        """Close all listeners."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()


