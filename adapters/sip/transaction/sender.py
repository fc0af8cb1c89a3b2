"""Sending requests: where to, from which listener, under which branch and Contact."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from calltable.adapters.sip.message.message import Request, Response
    from calltable.adapters.sip.transport.address import Address


class Destination(NamedTuple):
    """Where a request may go, and the listener that it would leave from."""

    to: Address
    local: Address


class Resolver(Protocol):
    """Where a URI's requests go (RFC 3263)."""

    def find(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        """Call ``done`` with the addresses to try, best first, or with none and the reason; at once where no lookup is needed."""


class Traced(NamedTuple):
    """A message on the wire, for logs and ladders. ``row`` is what sent it; what it leads to follows."""

    time: float
    direction: str
    message: Request | Response
    local: Address
    remote: Address
    row: str


def seeded_tokens(rng: random.Random) -> Iterator[str]:
    """Tokens that a seed repeats, for simulations."""
    while True:
        yield f"{rng.getrandbits(64):016x}"


def unguessable_tokens() -> Iterator[str]:
    """Tokens from the system's random source, drawn by the thousand: one system call for each costs more."""
    while True:
        drawn = os.urandom(8192).hex()
        for at in range(0, len(drawn), 16):
            yield drawn[at : at + 16]
