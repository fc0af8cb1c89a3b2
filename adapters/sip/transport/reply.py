"""Where a response goes when the connection of its request is gone, and over UDP always (RFC 3261 §18.2.2, RFC 3581 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.transport.address import Address, canonical_ip, default_port

if TYPE_CHECKING:
    from calltable.adapters.sip.message import Via


def reply_to(via: Via, source: Address) -> Address:
    """The address for responses to a request with this top Via, which came from ``source``.

    A reliable transport: the host it came from, at the port of sent-by. Else ``maddr``, the address that the sender asks
    for, at the port of sent-by; only an IP literal of the source's version counts, since a name would cost a look-up for
    each response and another version another socket. Else where it came from, if the sender asked for rport; else the
    host it came from, at the port of sent-by.
    """
    port = via.port if via.port is not None else default_port(source.transport)
    host = source.host
    if not source.reliable:
        asked = via.params.get("maddr")
        if asked is not None:
            literal = canonical_ip(asked)
            if literal is not None and (":" in literal) == source.ipv6:
                return Address(source.transport, literal, port)
        if via.wants_rport:
            return source
    return source if port == source.port else Address(source.transport, host, port)
