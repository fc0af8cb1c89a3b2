"""SIP over sockets: UDP and TCP behind the one interface that the stack knows.

Read ``interface.py`` first: what a transport promises. ``sockets.py`` is the real one; ``udp.py`` and ``tcp.py`` are its
kinds, and what they use is in ``base.py``. A TCP connection is ``connection.py``, its stream is cut by ``framing.py``, its
messages are handled in ``turns.py``, what it may still owe the other side is in ``outbox.py``; ``accepting.py`` and
``ledger.py`` decide who gets a connection. ``limits.py`` holds every figure, ``reply.py`` says where responses go.

A new transport is a new kind in ``sockets.KINDS``. What a message means is no business of this room: it imports
``message/`` to cut streams and to answer what cannot be cut.
"""

from calltable.adapters.sip.transport.address import RELIABLE, Address, canonical_ip, default_port, sockaddr
from calltable.adapters.sip.transport.framing import Framer
from calltable.adapters.sip.transport.interface import (
    Flow,
    Receiver,
    Transport,
    TransportError,
    choose_listener,
    no_listener,
)
from calltable.adapters.sip.transport.limits import Limits
from calltable.adapters.sip.transport.reply import reply_to
from calltable.adapters.sip.transport.sockets import KINDS, SocketTransport

__all__ = [
    "KINDS",
    "RELIABLE",
    "Address",
    "Flow",
    "Framer",
    "Limits",
    "Receiver",
    "SocketTransport",
    "Transport",
    "TransportError",
    "canonical_ip",
    "choose_listener",
    "default_port",
    "no_listener",
    "reply_to",
    "sockaddr",
]
