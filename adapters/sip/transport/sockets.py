"""The ``Transport`` on real sockets: listeners of several kinds (UDP, TCP) on one asyncio loop.

Each transport name has a *kind*, the class that opens its listeners and sends its messages; ``KINDS`` maps
names to kinds, so another transport is one more entry. What the kinds use in their turn is in ``base.py``.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.transport.address import Address
from calltable.adapters.sip.transport.base import Kind, SocketBase
from calltable.adapters.sip.transport.interface import TransportError, no_listener
from calltable.adapters.sip.transport.tcp import TcpKind
from calltable.adapters.sip.transport.udp import UdpKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.adapters.sip.transport.interface import Flow
    from calltable.adapters.sip.transport.limits import Limits


class SocketTransport(SocketBase):
    """Real sockets. Make it inside a running loop, ``start`` it with its receiver, then ``listen``.

    ``stats`` counts, for each transport name: ``<name>_received``, ``<name>_sent`` (messages), ``<name>_errors``,
    and what the kinds add; beside them ``failed`` (messages reported as not delivered) and ``receiver_errors``.
    """

    def __init__(self, *, limits: Limits | None = None, reuse_port: bool = False) -> None:
        """``reuse_port`` lets several processes share a listener (SO_REUSEPORT)."""
        super().__init__(limits=limits, reuse_port=reuse_port)
        self._kinds: dict[str, Kind] = {}
        self._closed = False

    @property
    def listeners(self) -> Sequence[Address]:
        """The bound addresses, in the order they were opened."""
        return tuple(self._listeners)

    async def listen(self, address: Address | str) -> Address:
        """Open a listener; port 0 takes a free one. Gives the address it is bound to.

        Raises TransportError with a way to fix it if it cannot be opened, ValueError if ``address`` is malformed.
        """
        if isinstance(address, str):
            address = Address.parse(address)
        self.receiver  # noqa: B018 - raises early when start() was forgotten
        kind = self._kinds.get(address.transport)
        if kind is None:
            make = KINDS.get(address.transport)
            if make is None:
                raise TransportError(
                    f"cannot listen on {address}: transport {address.transport!r} is not supported "
                    f"(supported: {', '.join(KINDS)})"
                )
            kind = self._kinds[address.transport] = make(self)
        try:
            bound = await kind.listen(address)
        except OSError as error:
            raise TransportError(f"cannot listen on {address}: {_why_not(error)}") from error
        self._listeners.append(bound)
        return bound

    def local_for(self, to: Address, source: Address | None = None) -> Address | None:
        """The address for Via and Contact of a message to ``to``; None when no listener fits."""
        listener = self.choose(to, source)
        if listener is None or not listener.wildcard:
            return listener
        host = self._route(to.host)
        return listener._replace(host=host) if host else listener

    def send(self, data: bytes, to: Address, source: Address | None = None, flow: Flow | None = None) -> None:
        """Send one message; see ``Transport.send``."""
        kind = self._kinds.get(to.transport)
        if kind is None or self._closed:
            reason = "the transport is closed" if self._closed else no_listener(to, self._listeners)
            self.fail(to, flow, reason, data)
        else:
            kind.send(data, to, source, flow)

    def close_flow(self, flow: Flow) -> None:
        """Close a connection once what was sent on it is out. No effect on UDP."""
        kind = self._kinds.get(flow.local.transport)
        if kind is not None:
            kind.close_flow(flow)

    async def close(self) -> None:
        """Close all listeners and connections; what was sent before gets about a second to leave."""
        self._closed = True
        await asyncio.gather(*(kind.close() for kind in self._kinds.values()))
        self._listeners.clear()


def _why_not(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the address is in use; stop the other program or choose another port"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        case errno.EACCES:
            return "not permitted; ports below 1024 need the right to bind them"
        case errno.EAFNOSUPPORT:
            return "this machine does not speak this IP version"
        case None:
            return str(error)
        case number:
            return os.strerror(number)


KINDS: Final[dict[str, Callable[[SocketTransport], Kind]]] = {"udp": UdpKind, "tcp": TcpKind}
"""The transports there are, by name in lower case."""
