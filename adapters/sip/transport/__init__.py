"""Sockets and framing: UDP and TCP behind one interface."""
