"""A B2BUA and two user agents in one process, on real sockets of this machine: what ``make run`` shows.

Alice calls Bob through the B2BUA; every message and step at the B2BUA is kept, so that the call can be drawn. Bob goes on
answering afterwards, so that anybody can call him and see the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.transport import Address, sockaddr
from calltable.assembly import Refused
from calltable.b2bua import Route
from calltable.observe import Tracer, of_call
from calltable.phone import Endpoint
from calltable.server.config import Config
from calltable.server.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.engine.run import Session
    from calltable.loading import Tables
    from calltable.observe import Entry
    from calltable.phone import Call

PORT: Final = 5060
_TRIES: Final = 40
_KEPT: Final = 20_000
"""Records kept for the calls that are up."""


class Demo:
    """The three of them. ``await start()``, ``await call()``, ``await close()``.

    ``listen`` is where the B2BUA listens; without it, UDP and TCP of 127.0.0.1 (and UDP of ::1 where there is IPv6), on
    port 5060 or the next one that is free. ``rings`` and ``talks`` are seconds.
    """

    def __init__(self, tables: Tables, listen: Sequence[Address] = (), *, rings: float = 0.3, talks: float = 0.5) -> None:
        self.tables = tables
        self.listen = tuple(listen)
        self.rings = rings
        self.talks = talks
        self.entries: list[Entry] = []
        self.on_ended: Callable[[list[Entry]], None] | None = None
        """Called with the records of each call once it is over."""

    async def start(self) -> None:
        """Open everything. Raises TransportError where a listener cannot be opened."""
        listen = self.listen or free_listeners()
        here = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
        if _free("udp", "::1", 0):
            here += ["udp:[::1]:0", "tcp:[::1]:0"]
        self._quiet = asyncio.Event()
        self.bob = await Endpoint.open(self.tables, here, identity="sip:bob@127.0.0.1")
        self.bob.phone.on_incoming = self._answer
        config = Config(listen=listen, routes=(Route(target=self._bob(listen[0]), name="bob"),), drain=0.0)
        self.server = Server(config, self.tables)
        try:
            await self.server.start()
        except BaseException:
            await self.bob.close()
            raise
        Tracer(self.server.engine, self._keep)
        self.server.b2bua.ended.append(self._over)
        self.alice = await Endpoint.open(self.tables, here, identity="sip:alice@127.0.0.1")

    def _bob(self, near: Address) -> str:
        """The URI of bob that can be reached from a listener such as ``near``."""
        alike = [one for one in self.bob.transport.listeners if one[0] == near.transport and one.ipv6 == near.ipv6]
        return uri("", (alike or [self.bob.address])[0])

    @property
    def address(self) -> Address:
        """Where the B2BUA listens first."""
        return self.server.listeners[0]

    @property
    def uri(self) -> str:
        """What to call."""
        near = self.address
        return uri("bob", near._replace(host="::1" if near.ipv6 else "127.0.0.1") if near.wildcard else near)

    @property
    def names(self) -> dict[str, str]:
        """Addresses and who they are, for ladders."""
        found = {one.hostport: "calltable" for one in self.server.listeners}
        found.update({one.hostport: "bob" for one in self.bob.transport.listeners})
        found.update({one.hostport: "alice" for one in self.alice.transport.listeners})
        return found

    async def call(self) -> Call:
        """Alice calls Bob, they are connected for a while, she hangs up. Raises CallFailed where that fails, TimeoutError
        where the B2BUA is not done with it 5 s later.
        """
        self._quiet.clear()
        call = await self.alice.phone.call(self.uri)
        await asyncio.sleep(self.talks)
        call.hangup()
        await call.wait("ended")
        await asyncio.wait_for(self._quiet.wait(), 5.0)  # the other leg's BYE is on its way
        return call

    async def close(self) -> None:
        """Hang up and close."""
        await self.alice.close(patience=1.0)
        await self.server.drain()
        await self.bob.close(patience=1.0)
        await self.server.close()

    def _answer(self, call: Call) -> None:
        def answer() -> None:
            with contextlib.suppress(Refused):  # the caller was faster
                call.answer()

        call.ring()
        asyncio.get_running_loop().call_later(self.rings, answer)

    def _keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        if len(self.entries) > _KEPT:
            del self.entries[: _KEPT // 10]

    def _over(self, session: Session) -> None:
        # what is still to come of this step has to be kept first
        asyncio.get_running_loop().call_soon(self._tell, session.path)

    def _tell(self, call: str) -> None:
        found = of_call(self.entries, call)
        quiet = not self.server.b2bua.calls
        if quiet:
            self.entries.clear()
        if self.on_ended is not None:
            self.on_ended(found)
        if quiet:
            self._quiet.set()


def uri(user: str, address: Address) -> str:
    """A SIP URI of ``user`` at an address."""
    transport = "" if address.transport == "udp" else f";transport={address.transport}"
    return f"sip:{user}{'@' if user else ''}{address.hostport}{transport}"


def free_listeners(port: int = PORT) -> tuple[Address, ...]:
    """UDP and TCP of 127.0.0.1, and UDP of ::1 where there is one, on the first port from ``port`` where all are free.

    Raises OSError where none of forty is.
    """
    wanted = [("udp", "127.0.0.1"), ("tcp", "127.0.0.1")]
    if _free("udp", "::1", 0):
        wanted.append(("udp", "::1"))
    for number in range(port, port + 2 * _TRIES, 2):
        if all(_free(transport, host, number) for transport, host in wanted):
            return tuple(Address(transport, host, number) for transport, host in wanted)
    raise OSError(errno.EADDRINUSE, f"ports {port} to {port + 2 * _TRIES - 2} are all in use; choose another with --listen")


def _free(transport: str, host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(sockaddr(host, port))
    except OSError:
        return False
    return True
