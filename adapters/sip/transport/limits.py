"""The bounds of the socket transports: what a stranger may cost.

The figures are for one process. Those for one *source* count an IPv4 address, or an IPv6 network of 64 bits, which is
what one subscriber usually holds.
"""

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
    tcp_burst: int = 64
    """Messages from all streams handled before other work gets its turn; connections take turns, a message each."""
    tcp_connections: int = 10_000
    """Open connections in both directions."""
    tcp_connections_per_source: int = 1_000
    """Accepted connections of one source."""
    tcp_connect_timeout: float = 5.0
    tcp_idle_timeout: float | None = 900.0
    """A connection without a whole message or keep-alive for so long is closed; None never does. RFC 3261 §18 wants
    more than 64*T1 = 32 s."""
    tcp_message_timeout: float = 32.0
    """An accepted connection must bring its first message within this time, and any connection the rest of a message
    that it has begun. Keep-alives do not count."""
    tcp_stall_timeout: float = 30.0
    """A peer that reads none of what waits for it for so long is cut off."""
    tcp_write_buffer: int = 1 << 20
    """Unsent bytes of a connection; a peer that lets more pile up is cut off."""
    tcp_unread: int = 64 << 10
    """Unsent bytes of a connection above which no more of its messages are read: who does not listen is not listened to."""
    tcp_buffered: int = 64 << 20
    """Bytes held for all connections together: unfinished messages, messages that wait for their turn, unsent bytes.
    Above it the connection that holds the most is cut off."""
    tcp_buffered_per_source: int = 8 << 20
    """The same for the accepted connections of one source."""
    tcp_pong_interval: float = 1.0
    """The least time between two answers to keep-alives on one connection (RFC 5626 §4.4.1 asks for one in 95 s or more)."""
    tcp_backlog: int = 512
    """Connections that the kernel keeps until they are accepted."""
    tcp_max_body: int = 1 << 20
    descriptors: int = 64
    """File descriptors left free below the process's limit (``ulimit -n``), for outgoing connections, look-ups, files and
    the control socket. To keep them, the idlest stranger is closed, else the newcomer."""
    descriptors_pause: float = 1.0
    """How long nothing is accepted after the system itself was out of descriptors."""
