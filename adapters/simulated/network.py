"""A network without sockets: real SIP bytes between real stacks, on a virtual clock, from one seed.

``SimulatedNetwork`` carries what ``SimulatedTransport`` (the same ``Transport`` that sockets offer) is given. Datagrams
may be delayed, lost, duplicated and reordered at random, by link; connections keep order and lose nothing, but
break, refuse and time out. Races are scripted instead of hoped for: a filter sees every message and says what becomes
of it, ``drop_next`` loses exactly one, ``hold_next`` keeps one until it is released. Whatever has been sent is in
``log`` with its fate. The same seed and the same calls give the same log, byte for byte.

What it simplifies: a connection is open as soon as its first message arrives, and carries messages, not a
stream to be cut up. Packets already under way when a link is cut still arrive. What a receiver raises comes
out of the clock's ``run``, since in a simulation every exception is a finding.

Links lie between *listeners*: filters, profiles, partitions and the log name a connection by the listeners of its
two ends, while the receiver sees the connecting side's passing port as it would in life.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from calltable.adapters.simulated.connection import SimulatedConnection
from calltable.adapters.simulated.packet import (
    Delay,
    Deliver,
    Drop,
    Duplicate,
    Held,
    Link,
    LinkProfile,
    Packet,
    SimulatedListener,
    Verdict,
)
from calltable.adapters.sip.transport import Address, choose_listener, no_listener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from calltable.adapters.simulated.clock import VirtualClock
    from calltable.adapters.sip.transport import Flow, Receiver

_ICMP_BYTES: Final = 500
"""How much of a datagram an ICMP error brings back."""
_HELD_BACK: Final = 0.001
"""Seconds; the least by which a reordered datagram is held back, so that links without delay reorder too."""
_FIRST_PORT: Final = 49152

__all__ = [
    "Delay",
    "Deliver",
    "Drop",
    "Duplicate",
    "Held",
    "LinkProfile",
    "Packet",
    "SimulatedNetwork",
    "SimulatedTransport",
]
Filter: TypeAlias = "Callable[[bytes, Address, Address], Verdict | None]"
Predicate: TypeAlias = "Callable[[bytes, Address, Address], bool]"
Endpoint: TypeAlias = "Address | str | SimulatedTransport"
"""An address, a host (all its addresses), or a transport (all its listeners)."""


class SimulatedNetwork:
    """All links and nodes. See the module for what it does.

    ``icmp``: whether an address where nobody listens answers (datagrams fail, connections are refused) or is silent
    (datagrams vanish, connections time out after ``connect_timeout`` seconds). ``log_limit`` keeps the latest
    so many packets; None keeps all, 0 none.
    """

    def __init__(
        self,
        clock: VirtualClock,
        random: Random,
        *,
        delay: tuple[float, float] = (0.001, 0.020),
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        icmp: bool = True,
        connect_timeout: float = 5.0,
        log_limit: int | None = None,
    ) -> None:
        self.clock = clock
        self.random = random
        self.profile = LinkProfile(delay, loss, duplicate, reorder)
        self.icmp = icmp
        self.connect_timeout = connect_timeout
        self.log: deque[Packet] = deque(maxlen=log_limit)
        self.nodes: dict[Address, SimulatedTransport] = {}
        self.stalled: list[SimulatedConnection] = []
        """Connections with something to send once their link is healed."""
        self._links: dict[tuple[Address, Address], Link] = {}
        self._profiles: list[tuple[Endpoint, Endpoint, Mapping[str, object]]] = []
        self._cuts: list[tuple[Endpoint, Endpoint]] = []
        self._filters: list[Filter] = []
        self._ports = 0

    def attach(self, *addresses: Address | str) -> SimulatedTransport:
        """A new node that listens at these addresses. Raises ValueError if one is taken or malformed."""
        parsed = [Address.parse(a) if isinstance(a, str) else a for a in addresses]
        for address in parsed:
            if address in self.nodes:
                raise ValueError(f"{address} is attached already")
        transport = SimulatedTransport(self, parsed)
        self.nodes.update(dict.fromkeys(parsed, transport))
        return transport

    # Shaping links.

    def set_link(self, a: Endpoint, b: Endpoint, *, one_way: bool = False, **changes: object) -> None:
        """Give what goes between ``a`` and ``b`` another profile: keywords as in ``LinkProfile``.

        The latest setting wins. Raises TypeError or ValueError for what no profile has.
        """
        replace(self.profile, **changes)  # type: ignore[arg-type]  # raises here, where the mistake is
        self._profiles.append((a, b, changes))
        if not one_way:
            self._profiles.append((b, a, changes))
        for (source, destination), link in self._links.items():
            link.profile = self._profile(source, destination)

    def partition(self, a: Endpoint, b: Endpoint) -> None:
        """Cut both directions: datagrams vanish, connections stall, new ones time out."""
        self._cuts += [(a, b), (b, a)]
        self._recut()

    def heal(self, a: Endpoint | None = None, b: Endpoint | None = None) -> None:
        """Undo ``partition(a, b)``, or all of them; connections that stalled go on."""
        self._cuts = [] if a is None or b is None else [c for c in self._cuts if c not in ((a, b), (b, a))]
        self._recut()
        stalled, self.stalled = self.stalled, []
        for connection in stalled:
            connection.resume()

    # Scripting.

    def add_filter(self, decide: Filter) -> Callable[[], None]:
        """Ask ``decide(data, source, destination)`` about every message; the first verdict that is not None counts.

        Calling the result takes the filter out again.
        """
        self._filters.append(decide)

        def remove() -> None:
            if decide in self._filters:
                self._filters.remove(decide)

        return remove

    def drop_next(self, predicate: Predicate, count: int = 1) -> None:
        """Lose the next ``count`` messages for which ``predicate(data, source, destination)`` holds."""
        self._next(predicate, Drop(), count)

    def delay_next(self, predicate: Predicate, seconds: float) -> None:
        """Deliver the next such message exactly ``seconds`` after it is sent."""
        self._next(predicate, Delay(seconds), 1)

    def duplicate_next(self, predicate: Predicate, copies: int = 1) -> None:
        """Deliver the next such datagram ``copies`` times more."""
        self._next(predicate, Duplicate(copies), 1)

    def hold_next(self, predicate: Predicate) -> Held:
        """Keep the next such message until ``release`` of the result is called."""
        held = Held()
        self._next(predicate, held, 1)
        return held

    def _next(self, predicate: Predicate, verdict: Verdict, count: int) -> None:
        left = count

        def decide(data: bytes, source: Address, destination: Address) -> Verdict | None:
            nonlocal left
            if not predicate(data, source, destination):
                return None
            left -= 1
            if left == 0:
                remove()
            return verdict

        remove = self.add_filter(decide)

    # What transports and connections use.

    def datagram(self, data: bytes, flow: SimulatedListener, to: Address) -> None:
        """Carry one datagram."""
        source = flow.local
        link = self.link(source, to)
        packet = self.note(data, source, to)
        verdict = self.judge(packet) if self._filters else None
        if link.cut:
            packet.fate = "cut"
            return
        if verdict is None:
            profile = link.profile
            if profile.loss and self.random.random() < profile.loss:
                packet.fate = "lost"
                return
            self._pass(packet, link)
            if profile.duplicate and self.random.random() < profile.duplicate:
                self._pass(self.note(data, source, to), link)
        elif isinstance(verdict, Drop):
            packet.fate = "dropped"
        elif isinstance(verdict, Delay):
            self.clock.call_later(verdict.seconds, self._arrive, packet)
        elif isinstance(verdict, Held):
            verdict.catch(packet, lambda after: self._release(packet, after))
        else:
            self._pass(packet, link)
            for _ in range(verdict.copies if isinstance(verdict, Duplicate) else 0):
                self._pass(self.note(data, source, to), link)

    def link(self, source: Address, destination: Address) -> Link:
        """One direction between two listeners."""
        link = self._links.get((source, destination))
        if link is None:
            link = Link(self._profile(source, destination), self._is_cut(source, destination))
            self._links[source, destination] = link
        return link

    def note(self, data: bytes, source: Address, destination: Address) -> Packet:
        """Put a packet on record."""
        packet = Packet(self.clock.time(), source, destination, data)
        self.log.append(packet)
        return packet

    def judge(self, packet: Packet) -> Verdict | None:
        """What the filters say."""
        for decide in tuple(self._filters):
            verdict = decide(packet.data, packet.source, packet.destination)
            if verdict is not None:
                return verdict
        return None

    def draw_delay(self, link: Link) -> float:
        """One delay of a link, seconds."""
        low, high = link.profile.delay
        return low if low == high else self.random.uniform(low, high)

    def passing_port(self) -> int:
        """A port for the connecting side of a connection."""
        self._ports += 1
        return _FIRST_PORT + self._ports % (65536 - _FIRST_PORT)

    def _pass(self, packet: Packet, link: Link) -> None:
        when = self.clock.time() + self.draw_delay(link)
        if link.profile.reorder and self.random.random() < link.profile.reorder:
            when += _HELD_BACK + self.random.uniform(1.0, 4.0) * link.profile.delay[1]
        else:
            when = link.last = max(when, link.last)
        self.clock.call_at(when, self._arrive, packet)

    def _release(self, packet: Packet, after: float) -> None:
        packet.fate = "under way"
        self.clock.call_later(after, self._arrive, packet)

    def _arrive(self, packet: Packet) -> None:
        node = self.nodes.get(packet.destination)
        if node is not None and node.take(packet):
            return
        packet.fate = "unreachable"
        sender = self.nodes.get(packet.source)
        back = self.link(packet.destination, packet.source)
        if self.icmp and sender is not None and not back.cut:
            self.clock.call_later(self.draw_delay(back), sender.icmp, packet)

    def _profile(self, source: Address, destination: Address) -> LinkProfile:
        profile = self.profile
        for a, b, changes in self._profiles:
            if _matches(a, source) and _matches(b, destination):
                profile = replace(profile, **changes)  # type: ignore[arg-type]  # checked by set_link
        return profile

    def _is_cut(self, source: Address, destination: Address) -> bool:
        return any(_matches(a, source) and _matches(b, destination) for a, b in self._cuts)

    def _recut(self) -> None:
        for (source, destination), link in self._links.items():
            link.cut = self._is_cut(source, destination)


def _matches(endpoint: Endpoint, address: Address) -> bool:
    if isinstance(endpoint, str):
        return address.host == endpoint
    if isinstance(endpoint, SimulatedTransport):
        return address in endpoint.listeners
    return address == endpoint


@dataclass(slots=True, eq=False)
class SimulatedTransport:
    """One node's ``Transport``; made by ``SimulatedNetwork.attach``."""

    network: SimulatedNetwork
    listeners: Sequence[Address]
    stats: Counter[str] = field(default_factory=Counter)
    receiver: Receiver | None = None
    connections: dict[Address, SimulatedConnection] = field(default_factory=dict)
    """Open connections by remote address."""
    _flows: dict[Address, SimulatedListener] = field(init=False)

    def __post_init__(self) -> None:
        """Make the flows of the listeners."""
        self.listeners = tuple(self.listeners)
        self._flows = {address: SimulatedListener(address) for address in self.listeners}

    def start(self, receiver: Receiver) -> None:
        """Say who is to be told; before, nobody listens here."""
        self.receiver = receiver

    def local_for(self, to: Address, source: Address | None = None) -> Address | None:
        """The listener for Via and Contact of a message to ``to``; None when none fits."""
        return choose_listener(self.listeners, to, source, lambda _: None)

    def send(self, data: bytes, to: Address, source: Address | None = None, flow: Flow | None = None) -> None:
        """Send one message; see ``Transport.send``."""
        if isinstance(flow, SimulatedConnection) and not flow.closed:
            flow.send(data, to, source)
            return
        connection = self.connections.get(to)
        if connection is not None:
            connection.send(data, to, source)
            return
        sender = flow if isinstance(flow, SimulatedListener) else None
        if sender is None:
            local = self.local_for(to, source)
            sender = self._flows.get(local) if local is not None else None
        if sender is None:
            self.fail_soon(to, flow, no_listener(to, self.listeners), data)
        elif to.reliable:
            connection = self.connections[to] = SimulatedConnection(self, sender.local, to)
            connection.send(data, to, source)
        else:
            self.stats["udp_sent"] += 1
            self.network.datagram(data, sender, to)

    def close_flow(self, flow: Flow) -> None:
        """Close a connection behind what was sent on it."""
        if isinstance(flow, SimulatedConnection):
            flow.close()

    def detach(self) -> None:
        """Vanish, as a process that ends: connections break, the addresses are free, nothing more is told."""
        for connection in list(self.connections.values()):
            connection.close()
        for address in self.listeners:
            self.network.nodes.pop(address, None)
        self.listeners = ()
        self._flows = {}
        self.receiver = None

    async def close(self) -> None:
        """As ``detach``."""
        self.detach()

    # What the network and the connections use.

    def take(self, packet: Packet) -> bool:
        """Deliver a datagram; False if nobody listens."""
        if self.receiver is None:
            return False
        packet.fate = "delivered"
        packet.delivered = self.network.clock.time()
        self.stats["udp_received"] += 1
        local = packet.destination
        self.receiver.received(packet.data, packet.source, local, self._flows[local])
        return True

    def icmp(self, packet: Packet) -> None:
        """Hear that a datagram met nobody."""
        self.stats["udp_icmp_errors"] += 1
        flow = self._flows.get(packet.source)
        self.fail(packet.destination, flow, "ICMP: Connection refused", packet.data[:_ICMP_BYTES])

    def fail(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """Tell the receiver of a failure now."""
        self.stats["failed"] += 1
        if self.receiver is not None:
            self.receiver.transport_failed(remote, flow, reason, data)

    def fail_soon(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """Tell the receiver of a failure, but not from inside ``send``."""
        self.network.clock.call_soon(self.fail, remote, flow, reason, data)

    def send_again(self, packet: Packet, to: Address, source: Address | None) -> None:
        """Send a message that was lost with its connection, on another: this once."""
        self.stats[f"{to.transport}_resent"] += 1
        connection = self.connections.get(to)
        if connection is None:
            local = self.local_for(to, source)
            if local is None:
                self.fail_soon(to, None, no_listener(to, self.listeners), packet.data)
                return
            connection = self.connections[to] = SimulatedConnection(self, local, to)
        connection.send(packet.data, to, source, again=False)

    def accept(self, other: SimulatedConnection) -> SimulatedConnection | None:
        """The far end for a connection that arrives; None if nobody listens."""
        if self.receiver is None:
            return None
        remote = Address(other.local.transport, other.local.host, other.port)
        end = self.connections[remote] = SimulatedConnection(self, other.destination, remote, other)
        self.stats[f"{remote.transport}_accepted"] += 1
        return end
