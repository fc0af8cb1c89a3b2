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
* A message that was sent on a connection and lost with it goes on a new connection to ``to``, once; after that, or if
  the connection had been made for it, it is reported like any other that could not be delivered (§18.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from calltable.adapters.sip.transport.address import Address, default_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class TransportError(OSError):
    """A listener could not be opened. The text says which one, why, and what may help."""


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
