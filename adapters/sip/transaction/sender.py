"""Sending: where a message goes, from which listener, under which branch and Contact.

A ``Sender`` is what every part of one SIP element sends with. It finds the ways to a URI (RFC 3263), writes the Via
(RFC 3261 §8.1.1.7, RFC 3581) and the Contact, makes tags, branches and Call-IDs, hands bytes to the transport and tells
whoever traces. It knows no transaction and no dialog: those use it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from calltable.adapters.sip.message import BRANCH_COOKIE, parse
from calltable.adapters.sip.transaction.outgoing import Outgoing, Sent

if TYPE_CHECKING:
    import random
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence

    from calltable.adapters.sip.message import Message, Request, Response
    from calltable.adapters.sip.transport import Address, Flow, Transport


class Destination(NamedTuple):
    """Where a request may go, and the listener that it would leave from."""

    to: Address
    local: Address


class Locator(Protocol):
    """Where a URI's requests go (RFC 3263)."""

    def find(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        """Call ``done`` with the addresses to try, best first, or with none and the reason; at once where no lookup is needed."""


class Clock(Protocol):
    """What tells the time."""

    def time(self) -> float:
        """Seconds, monotonic."""


class Meter(Protocol):
    """Who decides what may leave, where datagrams could be made to hit somebody else."""

    def may_send(self, outgoing: Outgoing, data: bytes) -> bool:
        """Whether this message, written as ``data``, may leave now."""


class Discretion(Protocol):
    """Who takes out of a message what its receiver is not to know."""

    withholds: bool
    """Whether ``leaves`` has anything to do: it is not called otherwise."""

    def leaves(self, message: Message, to: Address) -> None:
        """This message is about to leave."""


class Traced(NamedTuple):
    """A message on the wire, for logs and ladders. ``row`` is what sent it; what it leads to follows."""

    time: float
    direction: str
    message: Request | Response
    local: Address
    remote: Address
    row: str


class Sender:
    """How one SIP element sends.

    ``tokens`` makes tags, branches and Call-IDs (``seeded_tokens``, ``unguessable_tokens``); ``host`` is what stands behind the @ of
    Call-IDs, else the first listener. ``tracers`` are told of each message that leaves.
    """

    def __init__(self, transport: Transport, locator: Locator, clock: Clock, counters: Counter[str], tokens: Iterator[str],
                 host: str = "") -> None:
        self.transport = transport
        self.locator = locator
        self.clock = clock
        self.counters = counters
        self.tracers: list[Callable[[Traced], None]] = []
        self.meter: Meter | None = None
        """Asked before each message, where there is one; what it says no to is not sent."""
        self.trust: Discretion | None = None
        self._tokens = tokens
        self._host = host
        self._contacts: dict[Address, str] = {}
        self._sent_by: dict[Address, str] = {}
        self._names: set[str] = set()

    # -- names
    @property
    def host(self) -> str:
        """What stands behind the @ of our Call-IDs: the name given, else the first listener."""
        return self._host or next((address.hostport for address in self.transport.listeners), "localhost")

    def token(self) -> str:
        """A random token of 64 bits (RFC 3261 §19.3)."""
        return next(self._tokens)

    def contact(self, local: Address | None) -> str:
        """The Contact value of messages that leave from ``local``."""
        if local is None:
            return f"<sip:{self.host}>"
        known = self._contacts.get(local)
        if known is None:
            transport = "" if local.transport == "udp" else f";transport={local.transport}"
            known = self._contacts[local] = f"<sip:{local.hostport}{transport}>"
        return known

    def wrote(self, sent_by: str) -> bool:
        """Whether this sent-by stands in Vias of ours: responses with another are not for us (RFC 3261 §18.1.2)."""
        return sent_by in self._names

    # -- ways
    def resolve(self, uri: str, source: Address | None, done: Callable[[list[Destination], str], None]) -> None:
        """Find the ways that requests to ``uri`` go from the listener ``source``, best first; or none, and why."""

        def found(addresses: Sequence[Address], reason: str) -> None:
            local_for = self.transport.local_for
            reached = [Destination(to, local) for to in addresses if (local := local_for(to, source)) is not None]
            if not reached:
                self.counters["unroutable requests"] += 1
            done(reached, reason or "no listener can reach it")

        self.locator.find(uri, found)

    # -- out
    def outgoing(self, request: Request, to: Address, local: Address, cause: str, branch: str = "") -> tuple[str, Outgoing]:
        """Give a new request its Via (RFC 3261 §8.1.1.7, RFC 3581) and its way; ``branch`` where one was drawn before."""
        branch = branch or f"{BRANCH_COOKIE}{self.token()}"
        sent_by = self._sent_by.get(local)
        if sent_by is None:
            sent_by = self._sent_by[local] = f"SIP/2.0/{local.transport.upper()} {local.hostport};branch="
            self._names.add(local.hostport.lower())
        via = f"{sent_by}{branch};rport"
        request._headers.insert(0, ("Via", via))  # noqa: SLF001 - nobody has read the message yet
        return branch, Outgoing(request, to, local, None, cause)

    def transmit(self, outgoing: Outgoing, row: str) -> None:
        """Put a message on the wire; ``row`` is what asks for it now."""
        message = outgoing.message
        trust = self.trust
        if trust is not None and trust.withholds and not isinstance(message, Sent):
            trust.leaves(message, outgoing.to)
        data = bytes(message)
        if self.meter is not None and not self.meter.may_send(outgoing, data):
            return
        if self.tracers:
            if isinstance(message, Sent):
                message = parse(message.data)
            label = ", ".join(dict.fromkeys(r for r in (outgoing.cause, row) if r))
            self.trace("out", message, outgoing.source or outgoing.to, outgoing.to, label)
        self.transport.send(data, outgoing.to, outgoing.source, outgoing.flow)

    def respond_statelessly(self, response: Response, to: Address, local: Address, flow: Flow, most: int = 0) -> None:
        """Send a response that no transaction keeps (RFC 3261 §8.2.7); nothing where it is above ``most`` bytes (0: any size).

        Raises ValueError where it cannot be written.
        """
        data = bytes(response)
        if most and len(data) > most:
            self.counters["responses withheld"] += 1
            return
        if self.meter is not None and not self.meter.may_send(Outgoing(response, to, local, flow), data):
            return
        if self.tracers:
            self.trace("out", response, local, to, "")
        self.transport.send(data, to, local, flow)

    def trace(self, direction: str, message: Request | Response, local: Address, remote: Address, row: str) -> None:
        """Tell the tracers of a message."""
        traced = Traced(self.clock.time(), direction, message, local, remote, row)
        for tell in self.tracers:
            tell(traced)


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
