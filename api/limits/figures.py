"""The figures: what a source may ask for, which sources have figures of their own, and how an address becomes a source.

A source is an IPv4 address, or the /64 of an IPv6 address: whoever has one address of a /64 has them all. Figures are looked up by
network, the longest prefix first. This machine itself (an address that a listener is bound to) has no limits unless the plan names it:
packets from outside with such a source address are dropped by the operating system.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED: Final = bytes(10) + b"\xff\xff"
"""How an IPv4 address begins that is written as IPv6 (RFC 4291 §2.5.5.2)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one source may ask for. Rates by the second."""

    rate: float = 20.0
    """New requests a second: outside any dialog, and not seen before."""
    burst: int = 40
    """So many of them at once after a quiet time."""
    early: int = 100
    """Calls that wait for their final response."""
    calls: int = 1000
    """Calls in all."""
    transactions: int = 1000
    """Server transactions, which stay for half a minute after their response."""
    strays: float = 50.0
    """Messages a second that belong to nothing: malformed, repeated, stray responses and ACKs, requests in no dialog. Twice as many at once."""
    replies: float = 5.0
    """Refusals a second; what goes beyond is dropped in silence."""
    exempt: bool = False
    """No limits at all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All figures of a server."""

    default: Figures = field(default_factory=Figures)
    sources: tuple[tuple[Network, Figures], ...] = ()
    """Figures by network; the longest prefix counts."""
    share: float = 0.5
    """The share of all calls that one source may hold."""
    table: int = 20_000
    """Sources that are remembered at most; those that were not heard for the longest time are forgotten."""
    emergency: tuple[str, ...] = ("112", "911")
    """User parts of a Request-URI that are emergency calls, beside ``urn:service:sos`` (RFC 5031)."""
    shed: float = 0.5
    """Seconds of delay of the process from which on new calls are refused; 0 never does."""

    def figures(self, key: str, own: Iterable[str] = ()) -> Figures:
        """The figures of a source. ``own`` are the hosts of this machine."""
        if not self.sources:
            return Figures(exempt=True) if key in own else self.default
        address = ipaddress.ip_address(key.partition("/")[0].partition("%")[0])
        best, length = None, -1
        for network, figures in self.sources:
            if network.version == address.version and address in network and network.prefixlen > length:
                best, length = figures, network.prefixlen
        if best is not None:
            return best
        return Figures(exempt=True) if key in own else self.default


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks, or single addresses, from texts such as ``10.0.0.0/8``. Raises ValueError naming the one that is neither."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=True))
        except ValueError as error:
            raise ValueError(f"{text!r} is neither an IP address nor a network: {error}") from None
    return tuple(found)


def source_key(host: str) -> str:
    """What names the source of an address: IPv4 as it is, IPv6 by its /64, with ``/64`` behind."""
    if ":" not in host:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8)) + "/64"
