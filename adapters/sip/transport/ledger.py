"""Who holds how much: the connections of each source, and the bytes that are held for them.

The ledger decides who has to go when there is not enough for all: someone from the source that takes the most, so that
many connections of one stranger cost the stranger, and not the others.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Generic, Protocol, TypeVar


class Held(Protocol):
    """A connection, as the ledger sees it."""

    held: int
    """Bytes that are held for it."""
    last_active: float
    """Loop time at which it last did something, in seconds."""
    greeted: bool
    """Whether it has brought a whole message."""
    source: str
    """Whom it counts for; empty for a connection of our own making."""


C = TypeVar("C", bound=Held)


@lru_cache(maxsize=4096)
def source_of(host: str) -> str:
    """Whom a remote address counts for: an IPv4 address itself, the first 64 bits of an IPv6 address."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{ipaddress.ip_network((int(address) >> 64 << 64, 64))}"
    return str(address)


class Ledger(Generic[C]):
    """The connections of one kind of transport."""

    def __init__(self) -> None:
        """Begin with none."""
        self.connections: set[C] = set()
        self.sources: dict[str, set[C]] = {}
        self.held = 0
        """Bytes held for all of them."""
        self._held: dict[str, int] = {}

    def add(self, connection: C) -> None:
        """Take a connection in."""
        self.connections.add(connection)
        if connection.source:
            self.sources.setdefault(connection.source, set()).add(connection)

    def remove(self, connection: C) -> None:
        """Let a connection go, with what it holds. One that is not in is fine."""
        if connection not in self.connections:
            return
        self.note(connection, 0)
        self.connections.discard(connection)
        mine = self.sources.get(connection.source)
        if mine is not None:
            mine.discard(connection)
            if not mine:
                del self.sources[connection.source]
                self._held.pop(connection.source, None)

    def note(self, connection: C, held: int) -> None:
        """Say how many bytes are held for a connection now."""
        change = held - connection.held
        if change and connection in self.connections:
            connection.held = held
            self.held += change
            if connection.source:
                self._held[connection.source] = self._held.get(connection.source, 0) + change

    def held_for(self, source: str) -> int:
        """Bytes held for the connections of a source."""
        return self._held.get(source, 0)

    def count(self, source: str) -> int:
        """How many connections a source has."""
        return len(self.sources.get(source, ()))

    def largest(self, source: str = "") -> C | None:
        """The connection that holds the most, of one source or of all."""
        return max(self.sources.get(source, ()) if source else self.connections, key=lambda one: one.held, default=None)

    def idlest(self, now: float, least: float, source: str = "") -> C | None:
        """The connection to close for a newcomer: one that did nothing for ``least`` seconds, None where there is none.

        Of ``source``, else of the source that has the most; those that never brought a message go first.
        """
        if not source:
            source = max(self.sources, key=lambda one: len(self.sources[one]), default="")
        idle = [one for one in self.sources.get(source, ()) if now - one.last_active >= least]
        return min(idle, key=lambda one: (one.greeted, one.last_active), default=None)
