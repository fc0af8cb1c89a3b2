"""What the SIP stack needs from a network: addresses, a transport to send with, a receiver to be told.

Nothing here touches a socket. ``sockets.py`` implements ``Transport`` on real sockets, ``network.py`` on a
simulated network with a virtual clock, and the stack cannot tell them apart.

A transport carries whole SIP messages as bytes and is fire-and-forget: ``send`` never blocks and never
raises for anything the network does. What goes wrong is told to the receiver later, never from inside
``send``, so the caller's own state is settled by then. A failure carries the message that could not be
delivered (an ICMP error may bring back its first 500 bytes only): its top Via branch names exactly the
transaction that failed, and a forged ICMP error cannot guess it.

Going by RFC 3261 §18:

* A *listener* is an address the transport is bound to; its port is what belongs in Via and Contact.
* A *flow* is how a message came in: the listening socket for UDP, the connection for TCP. Responses are
  sent with the flow of their request: for UDP that makes them leave from the port the request was sent to
  (RFC 3581 §4), for TCP it finds the connection. ``to`` is then the address for the case that the connection
  is gone: the ``received`` host with the port of Via sent-by (§18.2.2).
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RELIABLE = frozenset({"tcp", "tls", "ws", "wss", "sctp"})
"""Transports that keep order and lose nothing: no retransmissions on them (RFC 3261 §17.1.1.2)."""

_MAX_PORT = 65535


class TransportError(OSError):
    """A listener could not be opened. The text says which one, why, and what may help."""


class Address(NamedTuple):
    """One end of a path: ``transport`` in lower case, ``host`` an IP literal without brackets, ``port``.

    As text ``udp:192.0.2.1:5060`` and ``tcp:[2001:db8::1]:5060``; a link-local IPv6 host carries its
    interface as ``fe80::1%2``.
    """

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        """Write it as ``parse`` reads it."""
        return f"{self.transport}:{self.hostport}"

    @property
    def hostport(self) -> str:
        """``host:port`` as it stands in Via and URIs, with brackets around IPv6."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def ipv6(self) -> bool:
        """Whether the host is an IPv6 literal."""
        return ":" in self.host

    @property
    def reliable(self) -> bool:
        """Whether the transport is a reliable one."""
        return self.transport in RELIABLE

    @property
    def wildcard(self) -> bool:
        """Whether the host stands for every address of the machine."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, never bound

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``transport:host[:port]``; the port defaults to 5060, 5061 for tls, 80 and 443 for ws and wss.

        Raises ValueError saying what is wrong and how to write it.
        """
        transport, colon, rest = text.strip().partition(":")
        transport = transport.lower()
        if not colon or not transport.isalpha():
            message = f"{text!r} is no listener address: write transport:host:port, such as udp:127.0.0.1:5060"
            raise ValueError(message)
        if rest.startswith("["):
            host, bracket, tail = rest[1:].partition("]")
            if not bracket or (tail and not tail.startswith(":")):
                message = f"{text!r}: write IPv6 as {transport}:[::1]:5060"
                raise ValueError(message)
            port_text = tail[1:]
        elif rest.count(":") > 1:
            message = f"{text!r}: put the IPv6 address in brackets, as in {transport}:[::1]:5060"
            raise ValueError(message)
        else:
            host, _, port_text = rest.partition(":")
        canonical = canonical_ip(host)
        if canonical is None or (":" in canonical) != rest.startswith("["):
            message = f"{text!r}: {host!r} is no IP address; write it as in udp:127.0.0.1:5060 or udp:[::1]:5060"
            raise ValueError(message)
        if port_text and not (port_text.isascii() and port_text.isdigit() and int(port_text) <= _MAX_PORT):
            message = f"{text!r}: {port_text!r} is no port; a port is a number from 0 (any free one) to {_MAX_PORT}"
            raise ValueError(message)
        return cls(transport, canonical, int(port_text) if port_text else default_port(transport))


def default_port(transport: str) -> int:
    """The port a URI or Via without one means: RFC 3261 §19.1.2, RFC 7118 §5.2 for WebSocket."""
    return {"tls": 5061, "ws": 80, "wss": 443}.get(transport, 5060)


@lru_cache(maxsize=4096)
def canonical_ip(host: str) -> str | None:
    """The one usual spelling of an IP literal, with or without brackets; None if it is a name."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def sockaddr(host: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The socket module's form of an IP literal and port.

    Raises OSError for a name: left to the socket, a name would mean a DNS query that blocks the loop.
    """
    if ":" not in host:
        socket.inet_pton(socket.AF_INET, host)
        return (host, port)
    literal, percent, scope = host.partition("%")
    socket.inet_pton(socket.AF_INET6, literal)
    if not percent:
        return (literal, port, 0, 0)
    return (literal, port, 0, int(scope) if scope.isdecimal() else socket.if_nametoindex(scope))


class Flow(Protocol):
    """How a message came in. Opaque but for what the stack needs to write headers."""

    @property
    def local(self) -> Address:
        """The listener it belongs to."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent on it any more."""


class Receiver(Protocol):
    """What a transport tells the stack. None of these is ever called from inside ``Transport.send``.

    They should not raise; what they raise is logged and counted (``receiver_errors``) and the transport
    goes on.
    """

    def received(self, data: bytes, source: Address, local: Address, flow: Flow) -> None:
        """One message: a datagram as it came, or a message cut out of a stream."""

    def transport_failed(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """``data`` (perhaps its beginning only) could not be delivered to ``remote`` (RFC 3261 §18.4)."""

    def connection_closed(self, flow: Flow) -> None:
        """A connection is gone, whoever closed it. What could not be sent was reported before."""


class Transport(Protocol):
    """A way to send and receive SIP messages."""

    @property
    def listeners(self) -> Sequence[Address]:
        """The bound addresses, in the order they were opened."""

    @property
    def stats(self) -> Mapping[str, int]:
        """Counters since the start: messages, bytes, errors, connections."""

    def start(self, receiver: Receiver) -> None:
        """Say who is to be told. Nothing is delivered before."""

    def local_for(self, to: Address, source: Address | None = None) -> Address | None:
        """The address for Via and Contact of a message to ``to``: a listener, wildcard replaced by the real host.

        ``source`` names a wanted listener. None when no listener of that transport and IP version exists.
        """

    def send(self, data: bytes, to: Address, source: Address | None = None, flow: Flow | None = None) -> None:
        """Send one message: on ``flow`` while it is open, else to ``to`` from listener ``source`` or the best one.

        For a UDP flow the flow gives the socket and ``to`` the destination. ``to.transport`` must be the flow's.
        """

    def close_flow(self, flow: Flow) -> None:
        """Close a connection once what was sent on it is out. No effect on UDP."""

    async def close(self) -> None:
        """Close all listeners and connections."""


def choose_listener(
    listeners: Sequence[Address], to: Address, source: Address | None, route: Callable[[str], str | None]
) -> Address | None:
    """The listener to send to ``to`` from; None if none has its transport and IP version.

    In order: ``source`` itself, the only candidate, one on the host that ``route`` (the system's routing, given
    the remote host) says packets would leave from, a wildcard, the first.
    """
    transport, host, _ = to
    ipv6 = ":" in host
    if source is not None and source[0] == transport and (":" in source[1]) == ipv6 and source in listeners:
        return source
    candidates = [a for a in listeners if a.transport == transport and (":" in a.host) == ipv6]
    if not candidates:
        return None
    if len(candidates) == 1:
        return candidates[0]
    if source is not None:
        # A wildcard listener is asked for by the address it was given in Via.
        asked = [a for a in candidates if a.port == source.port and (a.wildcard or a.host == source.host)]
        candidates = asked or candidates
    local_host = route(host)
    for candidate in candidates:
        if candidate.host == local_host:
            return candidate
    for candidate in candidates:
        if candidate.wildcard:
            return candidate
    return candidates[0]


def no_listener(to: Address, listeners: Sequence[Address]) -> str:
    """The reason given when ``choose_listener`` finds nothing."""
    version = "IPv6" if to.ipv6 else "IPv4"
    have = ", ".join(map(str, listeners)) or "none"
    example = Address(to.transport, "::" if to.ipv6 else "0.0.0.0", default_port(to.transport))  # noqa: S104
    return f"no {version} listener for {to.transport} to reach {to} (listeners: {have}); add one such as {example}"
