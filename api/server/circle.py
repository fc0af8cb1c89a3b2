"""Routes that lead back to the server itself: a call by one of them goes round until its hops are used up.

Only what can be seen without a look-up is seen: a target whose host is an IP address, and where one of our listeners has it. A name may lead
here as well; then Max-Forwards ends the circle after 70 rounds (RFC 3261 §16.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message import MessageError, host_port
from calltable.adapters.sip.transport import canonical_ip, default_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.adapters.sip.transport import Address
    from calltable.b2bua import Route

_LOOPBACK: Final = ("127.0.0.1", "::1")


def leading_back(routes: Sequence[Route], listeners: Sequence[Address]) -> Iterator[tuple[Route, Address]]:
    """Each route whose target is one of our listeners, with that listener."""
    for route in routes:
        if route.target is None or "{" in route.target.rpartition("@")[2]:
            continue
        try:
            host, port, transport = host_port(route.target)
        except MessageError:
            continue
        literal = canonical_ip(host)
        transport = transport or "udp"
        port = port or default_port(transport)
        for listener in listeners:
            here = literal == listener.host or (listener.wildcard and literal in _LOOPBACK and (":" in listener.host) == (":" in literal))
            if here and port == listener.port and transport == listener.transport:
                yield route, listener
                break
