"""The bounds of the socket transports: what a stranger may cost."""

from __future__ import annotations

from dataclasses import dataclass


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
