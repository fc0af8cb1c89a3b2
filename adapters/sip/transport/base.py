"""What all kinds of sockets share: limits, the shape of a kind, opening a socket."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from calltable.adapters.sip.transport.address import Address
    from calltable.adapters.sip.transport.interface import Flow


_log = logging.getLogger("calltable.sip.transport")
ROUTE_SECONDS: Final = 10.0
"""How long the system's choice of a local address is remembered; a laptop changes networks."""
ROUTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the socket transports. Times in seconds, sizes in bytes."""

    udp_burst: int = 64
    """Datagrams read before other work gets its turn."""
    udp_backlog: int = 1024
    """Datagrams kept while the kernel's send buffer is full; more are dropped, as the network would."""
    udp_receive_buffer: int = 4 << 20
    """Asked of the kernel, which may give less (``net.core.rmem_max``)."""
    tcp_connections: int = 10_000
    """Open connections in both directions."""
    tcp_connect_timeout: float = 5.0
    tcp_idle_timeout: float | None = 900.0
    """A connection without a whole message or keep-alive for so long is closed; None never does. RFC 3261 §18 wants
    more than 64*T1 = 32 s."""
    tcp_first_message_timeout: float = 32.0
    """An accepted connection must bring a whole message within this time."""
    tcp_write_buffer: int = 1 << 20
    """Unsent bytes of a connection; a peer that lets more pile up is cut off."""
    tcp_backlog: int = 512
    tcp_max_body: int = 1 << 20


class Kind(Protocol):
    """One transport's listeners and sending."""

    async def listen(self, address: Address) -> Address:
        """Bind; the answer has the real port. Raises OSError."""

    def send(self, data: bytes, to: Address, source: Address | None, flow: Flow | None) -> None:
        """As ``Transport.send``."""

    def close_flow(self, flow: Flow) -> None:
        """As ``Transport.close_flow``."""

    async def close(self) -> None:
        """Close everything."""


def open_socket(address: Address, kind: socket.SocketKind, *, reuse_port: bool) -> socket.socket:
    """A non-blocking socket for a listener; IPv6 ones take IPv6 only, so that ``[::]`` and ``0.0.0.0`` get along."""
    sock = socket.socket(socket.AF_INET6 if address.ipv6 else socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        if address.ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        sock.close()
        raise
    return sock
