"""What all kinds of sockets share: the base of the transport they belong to, the shape of a kind, opening a socket.

The kinds (``udp.py``, ``tcp.py``) know :class:`SocketBase` only; ``sockets.py``, which knows the kinds, builds the
``Transport`` on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from calltable.adapters.sip.transport.address import Address, sockaddr
from calltable.adapters.sip.transport.interface import choose_listener, no_listener
from calltable.adapters.sip.transport.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.adapters.sip.transport.interface import Flow, Receiver

_log = logging.getLogger("calltable.sip.transport")
_ROUTE_SECONDS: Final = 10.0
"""How long the system's choice of a local address is remembered; a laptop changes networks."""
_ROUTES: Final = 1024


class SocketBase:
    """What a kind uses of the transport it belongs to: the loop, the limits, the counters, the receiver, the choice of a listener.

    Nothing that goes wrong with the network or in the receiver ever reaches the loop as an exception.
    """

    def __init__(self, *, limits: Limits | None = None, reuse_port: bool = False) -> None:
        """``reuse_port`` lets several processes share a listener (SO_REUSEPORT). Must be made inside a running loop."""
        self.loop = asyncio.get_running_loop()
        self.limits = limits or Limits()
        self.reuse_port = reuse_port
        self.stats: Counter[str] = Counter()
        self._listeners: list[Address] = []
        self._receiver: Receiver | None = None
        self._routes: dict[str, tuple[float, str | None]] = {}
        self.full: dict[object, float] = {}
        """Sockets that were not read empty at their last turn, and since when (loop time)."""

    @property
    def receiver(self) -> Receiver:
        """Who is told; raises RuntimeError before ``start``."""
        if self._receiver is None:
            raise RuntimeError("the transport has no receiver yet: call start(receiver) before listen()")
        return self._receiver

    def start(self, receiver: Receiver) -> None:
        """Say who is to be told. Must come before ``listen``."""
        self._receiver = receiver

    def choose(self, to: Address, source: Address | None) -> Address | None:
        """The listener to send from."""
        return choose_listener(self._listeners, to, source, self._route)

    def no_listener(self, to: Address) -> str:
        """The reason when ``choose`` gives None."""
        return no_listener(to, self._listeners)

    def fail(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """Report a failure, once the present callback is over."""
        self.stats["failed"] += 1
        if not self.loop.is_closed():
            self.loop.call_soon(self.tell, self.receiver.transport_failed, remote, flow, reason, data)

    def tell(self, method: Callable[..., None], *args: object) -> None:
        """Call the receiver, keeping its exceptions from the loop."""
        try:
            method(*args)
        except Exception:  # noqa: BLE001 - logged there
            self.receiver_failed()

    def behind(self) -> float:
        """For how long, in seconds, some socket has not been read empty: what waits in it is as old as that."""
        return self.loop.time() - min(self.full.values()) if self.full else 0.0

    def receiver_failed(self) -> None:
        """Note the exception being handled: a bug in the receiver must not stop the transport."""
        self.stats["receiver_errors"] += 1
        _log.exception("the receiver of a transport raised")

    def _route(self, host: str) -> str | None:
        """The local address packets to ``host`` leave from, by the system's routing; None if it has no route."""
        now = self.loop.time()
        known = self._routes.get(host)
        if known is not None and known[0] > now:
            return known[1]
        local: str | None = None
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe,
        ):
            # Connecting a datagram socket sends nothing: it only asks the routing table.
            probe.connect(sockaddr(host, 9))
            local = probe.getsockname()[0]
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        self._routes[host] = (now + _ROUTE_SECONDS, local)
        return local


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
