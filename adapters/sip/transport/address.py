"""Addresses: transport, host and port, as sockets and Via need them."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import NamedTuple

RELIABLE = frozenset({"tcp", "tls", "ws", "wss", "sctp"})
"""Transports that keep order and lose nothing: no retransmissions on them (RFC 3261 §17.1.1.2)."""
_MAX_PORT = 65535


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
            message = f"{text!r} is not a listener address: write transport:host:port, such as udp:127.0.0.1:5060"
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
            message = f"{text!r}: {host!r} is not an IP address; write it as in udp:127.0.0.1:5060 or udp:[::1]:5060"
            raise ValueError(message)
        if port_text and not (port_text.isascii() and port_text.isdigit() and int(port_text) <= _MAX_PORT):
            message = f"{text!r}: invalid port {port_text!r} (0 to {_MAX_PORT}; 0 is any free port)"
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
