"""Calls without sockets and without waiting: several SIP elements on one virtual clock, from one seed.

A ``Simulation`` holds a simulated network and, on it, any number of nodes: *engines under test* (``b2bua``), *agents* (user
agents that run the shipped leg tables, see ``agents.py``) and *raw peers* (which say exactly what they are told to, also what no
table of ours would ever do, see ``rawpeers.py``). They exchange real SIP bytes. Time jumps from one event to the next, so half
a minute of retransmissions costs what its messages cost, and races are arranged, not hoped for.

The same seed and the same calls give the same trace, byte for byte: each node draws from a random source of its own, made from
the seed and the node's name, and the network from another.

``finish`` lets everything come to rest and then looks for what must never be there: a session, timer, transaction or dialog
that stays, an event without a row, a session or an effect that failed. ``findings`` lists it.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from functools import lru_cache
from typing import TYPE_CHECKING

from calltable.adapters.simulated import SimulatedNetwork, VirtualClock
from calltable.adapters.sip.message import MessageError, Request, host_port, parse, parse_uri
from calltable.adapters.sip.transport import Address, canonical_ip, default_port
from calltable.assembly import Engine
from calltable.b2bua import B2BUA, BRIDGE
from calltable.limits import Overload, SourceAdmission
from calltable.loading import Tables
from calltable.observe import Entry, Tracer
from calltable.simulation.agents import Agent
from calltable.simulation.rawpeers import RawPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calltable.adapters.simulated import Packet, SimulatedTransport
    from calltable.adapters.sip.core import Screening, Trust
    from calltable.engine.run import Step, Store
    from calltable.limits import Plan

TROUBLE = (
    "unhandled", "sessions failed", "effects failed", "conflicts", "commits failed", "inbox refused", "deferrals refused",
    "unanswerable", "observers failed",
)  # fmt: skip
"""Counters of an engine that stay at zero, whatever its peers do."""

_LOST = frozenset({"lost", "dropped", "cut", "unreachable"})

REST = 3600.0
"""Seconds in which everything must have come to rest: longer than any timer of the shipped tables."""


class SimulationError(AssertionError):
    """A simulation found something that must never be there. The text says the seed, what, and shows the messages."""


@lru_cache(maxsize=1)
def shipped_tables() -> Tables:
    """The shipped tables as they are, loaded once in a process."""
    return Tables()


class Simulation:
    """A network, a clock and the nodes on them.

    ``loss``, ``duplicate``, ``reorder`` (shares from 0 to 1) and ``delay`` (least, most; seconds) are those of every link;
    ``network`` has finer means. ``tables`` run on every node that names none of its own. ``trace=False`` keeps no
    packets and no steps: for many calls. ``stores`` answers the store of each node, by its name, where durable sessions are to be kept.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        delay: tuple[float, float] = (0.005, 0.005),
        tables: Tables | None = None,
        trace: bool = True,
        stores: Callable[[str], Store] | None = None,
    ) -> None:
        self.seed = seed
        self.stores = stores
        self.tables = tables if tables is not None else shipped_tables()
        self.tracing = trace
        self.clock = VirtualClock()
        self.network = SimulatedNetwork(
            self.clock, self.random("network"), loss=loss, duplicate=duplicate, reorder=reorder, delay=delay,
            log_limit=None if trace else 0,
        )  # fmt: skip
        self.engines: dict[str, Engine] = {}
        self.agents: dict[str, Agent] = {}
        self.peers: dict[str, RawPeer] = {}
        self.servers: dict[str, B2BUA] = {}
        self.addresses: dict[str, Address] = {}
        """Where each node listens first, by its name."""
        self.reached: Counter[tuple[str, str]] = Counter()
        """How often each row was taken: (machine, row id). Non-rows count as well. Empty without ``trace``."""
        self._entries: list[Entry] = []
        self._listeners: dict[str, tuple[Address, ...]] = {}
        self._hosts = 0

    def random(self, name: str) -> random.Random:
        """A random source of its own, the same for the same seed and name."""
        return random.Random(f"{self.seed}/{name}")

    # -- nodes
    def b2bua(
        self,
        name: str = "b2bua",
        address: str = "",
        *,
        machine: str = BRIDGE,
        max_calls: int = 10_000,
        tables: Tables | None = None,
        screening: Screening | None = None,
        routes: Mapping[str, str | int] | None = None,
        sources: Plan | None = None,
        trust: Trust | None = None,
    ) -> B2BUA:
        """Add a B2BUA. ``sources`` limits what each source may ask, ``trust`` says whose statements of identity pass; without them
        nobody is limited, and all are believed.

        ``routes`` maps the user part of the Request-URI (``*``: any other) to a target URI or a status; without, a call for
        ``bob`` (or ``bob-17``) goes to the node of that name, and one for nobody gets 404.
        """
        engine = self.engine(name, address, tables=tables, screening=screening, sources=sources, capacity=max_calls, trust=trust)
        self.servers[name] = server = B2BUA(engine, _Names(self, routes or {}), machine=machine, max_calls=max_calls)
        return server

    def agent(self, name: str, address: str = "", *, tables: Tables | None = None,
              screening: Screening | None = None) -> Agent:
        """A user agent that runs the phone tables."""
        engine = self.engine(name, address, tables=tables, screening=screening)
        self.agents[name] = agent = Agent(name, engine, self.clock, self.addresses[name])
        return agent

    def peer(self, name: str, address: str = "") -> RawPeer:
        """A peer that says exactly what it is told to, and nothing by itself."""
        transport = self._attach(name, address)
        self.peers[name] = peer = RawPeer(name, self, transport)
        transport.start(peer)
        return peer

    def engine(self, name: str, address: str = "", *, tables: Tables | None = None,
               screening: Screening | None = None, sources: Plan | None = None, capacity: int = 10_000,
               trust: Trust | None = None, accepts: Mapping[str, str] | None = None) -> Engine:
        """An engine on an address of its own; ``address`` may name several, separated by spaces. ``capacity`` in calls."""
        transport = self._attach(name, address)
        admission = None if sources is None else SourceAdmission(sources, self.clock.time, capacity=capacity, overload=Overload(self.clock, sources.shed))
        engine = Engine(
            tables or self.tables, self.clock, transport, _Literal(), screening=screening, admission=admission, trust=trust, rng=self.random(name),
            store=None if self.stores is None else self.stores(name), accepts=accepts,
        )  # fmt: skip
        self.engines[name] = engine
        if self.tracing:
            Tracer(engine, self._entries.append)
            engine.executor.observers.append(self._stepped)
        return engine

    def _stepped(self, step: Step) -> None:
        if step.row is not None:
            self.reached[step.session.machine.name, step.row.id] += 1

    def _attach(self, name: str, address: str) -> SimulatedTransport:
        if name in self.addresses:
            msg = f"there is a node {name} already"
            raise ValueError(msg)
        if not address:
            self._hosts += 1
            address = f"udp:10.0.0.{self._hosts}:5060 tcp:10.0.0.{self._hosts}:5060"
        transport = self.network.attach(*address.split())
        self.addresses[name] = transport.listeners[0]
        self._listeners[name] = tuple(transport.listeners)
        return transport

    def uri(self, name: str, user: str | None = None) -> str:
        """The SIP URI of a node, with ``user`` (by custom the node's name) before the @."""
        address = self.addresses[name]
        tail = "" if address.transport == "udp" else f";transport={address.transport}"
        return f"sip:{name if user is None else user}@{address.hostport}{tail}"

    def listeners(self, name: str) -> tuple[Address, ...]:
        """Every address that a node was given."""
        return self._listeners[name]

    # -- time
    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.clock.time()

    def run(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.clock.run(self.clock.time() + seconds)

    def until(self, done: Callable[[], object], within: float = 60.0) -> None:
        """Go on until ``done()`` is true. Raises ``SimulationError`` where it is not within so many seconds."""
        end = self.clock.time() + within
        while not done():
            due = self.clock.next_time
            if due is None or due > end:
                message = f"seed {self.seed!r}: what was waited for did not come within {within} s\n{self.story()}"
                raise SimulationError(message)
            self.clock.step()

    # -- the end
    def finish(self, *, hangup: bool = False, within: float = REST) -> None:
        """Let everything come to rest, and raise ``SimulationError`` for whatever must not be there then.

        ``hangup`` ends first what still talks, by the rows of the agents' legs.
        """
        if hangup:
            for agent in self.agents.values():
                agent.hangup()
            for server in self.servers.values():
                server.hangup()
        self.clock.run(self.clock.time() + within)
        found = self.findings()
        if found:
            lines = "\n".join(f"  - {line}" for line in found)
            raise SimulationError(f"seed {self.seed!r}:\n{lines}\n{self.story()}")

    def findings(self) -> list[str]:
        """What must not be there once everything has come to rest; a line each."""
        found = []
        for name, engine in self.engines.items():
            executor, stack = engine.executor, engine.stack
            found += [f"{name}: {counter}: {executor.counters[counter]}" for counter in TROUBLE if executor.counters[counter]]
            found += [f"{name}: {session!r} is still there" for session in executor.sessions.values()]
            found += [f"{name}: timer {timer.event} of {timer.session!r} still runs" for timer in executor.timers]
            transactions = stack.transactions
            for kind, kept in (
                ("client transaction", transactions.clients), ("server transaction", transactions.servers),
                ("merge key", transactions.requests), ("ACK key", transactions.acks), ("dialog", stack.legs.dialogs),
            ):  # fmt: skip
                found += [f"{name}: {kind} {key} is still there" for key in kept]
            found += [f"{name}: the store still keeps session {key}" for key, _ in executor.store.load()]
        for name, server in self.servers.items():
            found += [f"{name}: call {call!r} is still listed" for call in server.calls.values()]
        for agent in self.agents.values():
            found += [f"{agent.name}: {call} has not ended" for call in agent.calls if not call.ended]
        return found

    # -- what happened
    def packets(self, source: str | None = None, destination: str | None = None) -> list[Packet]:
        """What went over the network, between the nodes named (or any)."""
        hosts = {name: address.host for name, address in self.addresses.items()}
        return [
            packet
            for packet in self.network.log
            if (source is None or packet.source.host == hosts[source])
            and (destination is None or packet.destination.host == hosts[destination])
        ]

    def story(self, limit: int = 200) -> str:
        """The latest packets, one a line, for failing tests."""
        names = {address.host: name for name, address in self.addresses.items()}
        lines = []
        for packet in list(self.network.log)[-limit:]:
            source, destination = names.get(packet.source.host, "?"), names.get(packet.destination.host, "?")
            fate = "" if packet.fate == "delivered" else f"  ({packet.fate})"
            lines.append(f"{packet.sent:10.3f}  {source:>10} -> {destination:<10} {_summary(packet.data)}{fate}")
        return "\n".join(lines)

    def trace(self) -> list[Entry]:
        """What happened, for ladders: messages with the rows behind them, lost ones marked, and steps."""
        peers = {peer.address.host for peer in self.peers.values()}
        fates: dict[tuple[str, str, str], deque[str]] = {}
        spoken = []
        before: tuple[object, ...] = ()
        for packet in self.network.log:
            key = (packet.source.hostport, packet.destination.hostport, packet.data.decode("utf-8", "surrogateescape"))
            if (packet.sent, *key) == before:  # a copy that the network made
                continue
            before = (packet.sent, *key)
            if packet.source.host in peers:
                spoken.append(_spoken(packet))
            else:
                fates.setdefault(key, deque()).append(packet.fate)
        entries = []
        for entry in self._entries:
            if entry.direction == "out" and entry.kind == "message":
                fate = fates.get((entry.source, entry.destination, entry.text))
                if fate and fate.popleft() in _LOST:
                    entry = entry._replace(lost=True)  # noqa: PLW2901 - the same one, known better
            entries.append(entry)
        return sorted(spoken + entries, key=lambda entry: entry.time)

    def names(self) -> dict[str, str]:
        """Each node's name by its address, as ladders want it."""
        return {address.hostport: name for name, listeners in self._listeners.items() for address in listeners}


class _Literal:
    """Finds where URIs lead without any DNS: hosts of a simulation are addresses."""

    def find(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        """See ``Locator``."""
        try:
            host, port, transport = host_port(uri)
        except MessageError as error:
            done((), error.reason)
            return
        literal = canonical_ip(host)
        if literal is None:
            done((), f"{host} is not an address of the simulation")
        else:
            transport = transport or "udp"
            done([Address(transport, literal, port or default_port(transport))], "")


class _Names:
    """Routes calls by the user part: to the node of that name."""

    def __init__(self, simulation: Simulation, routes: Mapping[str, str | int]) -> None:
        self.simulation = simulation
        self.routes = routes

    def find(self, request: Request, source: Address | None = None) -> str | int:  # noqa: ARG002
        user = parse_uri(request.uri).user or ""
        found = self.routes.get(user, self.routes.get("*"))
        if found is not None:
            return found
        name = user.partition("-")[0]
        return self.simulation.uri(name, user) if name in self.simulation.addresses else 404


def _spoken(packet: Packet) -> Entry:
    """What a raw peer sent: nobody but the network has seen it leave."""
    cseq = call_id = ""
    try:
        message = parse(packet.data)
        cseq, call_id = message.get("cseq") or "", message.call_id
        summary = f"{message.method} {message.uri}" if isinstance(message, Request) else f"{message.status} {message.reason}"
    except MessageError:
        summary = _summary(packet.data)
    return Entry(
        packet.sent, "message", "out", packet.source.hostport, packet.destination.hostport, summary, cseq, call_id,
        text=packet.data.decode("utf-8", "surrogateescape"), lost=packet.fate in _LOST,
    )  # fmt: skip


def _summary(data: bytes) -> str:
    head = data.split(b"\r\n", 1)[0].decode("utf-8", "backslashreplace")
    if not head.startswith("SIP/2.0 "):
        return head.removesuffix(" SIP/2.0")
    try:
        return f"{head[8:]} ({parse(data).cseq.method})"
    except MessageError:
        return head[8:]
