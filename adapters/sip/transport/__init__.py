"""SIP over sockets: UDP and TCP behind the one interface that the stack knows.

Read ``interface.py`` first: what a transport promises. ``sockets.py`` is the real one; ``udp.py`` and ``tcp.py`` are its
kinds, and what they use is in ``base.py``. A TCP connection is ``connection.py``, its stream is cut by ``framing.py``, its
messages are handled in ``turns.py``, what it may still owe the other side is in ``outbox.py``; ``accepting.py`` and
``ledger.py`` decide who gets a connection. ``limits.py`` holds every figure, ``reply.py`` says where responses go.

A new transport is a new kind in ``sockets.KINDS``. What a message means is no business of this room: it imports
``message/`` to cut streams and to answer what cannot be cut.
"""
