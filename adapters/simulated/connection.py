"""Connections of the simulated network: in order, without loss, until they break.

A connection is two of these objects, one at each end, each holding what its own side has sent. Messages arrive
in order, each no earlier than the one before. When one cannot leave (the link is cut, a filter holds it) it queues, and
everything behind it too, as in a stream. Closing travels behind the data; breaking does not wait for it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from calltable.adapters.simulated.packet import Delay, Drop, Held, Link, Packet

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from calltable.adapters.simulated.clock import VirtualClock
    from calltable.adapters.simulated.packet import Verdict
    from calltable.adapters.sip.transport.address import Address
    from calltable.adapters.sip.transport.interface import Flow, Receiver


class Wires(Protocol):
    """What a connection uses of the network it runs through."""

    clock: VirtualClock
    icmp: bool
    connect_timeout: float
    stalled: list[SimulatedConnection]

    @property
    def nodes(self) -> Mapping[Address, End]:
        """Who listens where."""

    def link(self, source: Address, destination: Address) -> Link:
        """One direction between two listeners."""

    def note(self, data: bytes, source: Address, destination: Address) -> Packet:
        """Put a packet on record."""

    def judge(self, packet: Packet) -> Verdict | None:
        """What the filters say."""

    def draw_delay(self, link: Link) -> float:
        """One delay of a link, seconds."""

    def passing_port(self) -> int:
        """A port for the connecting side of a connection."""


class End(Protocol):
    """What a connection uses of the transport it belongs to."""

    stats: Counter[str]
    receiver: Receiver | None
    connections: dict[Address, SimulatedConnection]

    @property
    def network(self) -> Wires:
        """The network it is attached to."""

    def fail(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """Tell the receiver of a failure now."""

    def accept(self, other: SimulatedConnection) -> SimulatedConnection | None:
        """The far end for a connection that arrives; None if nobody listens."""


class SimulatedConnection:
    """One end of a connection; the flow of everything that arrives at it."""

    __slots__ = (
        "_broken", "_holding", "_last", "_link", "_moving", "_network", "_queue", "_refused", "_transport",
        "closed", "destination", "local", "peer", "port", "reason", "remote",
    )  # fmt: skip

    def __init__(
        self, transport: End, local: Address, remote: Address, peer: SimulatedConnection | None = None
    ) -> None:
        """``peer`` is the connecting end, for an accepted connection."""
        self._transport = transport
        self._network = transport.network
        self.local = local
        self.remote = remote
        """The other side as it is seen here: a listener, or the connecting side's passing port."""
        self.destination = remote if peer is None else peer.local
        """The other side's listener."""
        self.peer = peer
        self.port = self._network.passing_port() if peer is None else local.port
        self.closed = False
        self.reason = ""
        self._broken = False
        self._link: Link = self._network.link(local, self.destination)
        self._last = 0.0
        self._holding = False
        self._moving: deque[Packet | None] = deque()
        self._queue: deque[tuple[Packet | None, float | None]] = deque()
        self._refused: list[Packet] = []

    def send(self, data: bytes) -> None:
        """Send one message."""
        network = self._network
        self._transport.stats[f"{self.local.transport}_sent"] += 1
        packet = network.note(data, self.local, self.destination)
        verdict = network.judge(packet)
        if isinstance(verdict, Drop):
            packet.fate = "dropped"
            self._break()
            return
        if isinstance(verdict, Held):
            self._holding = True
            verdict.catch(packet, lambda after: self._release(packet, after))
            self._queue.append((packet, 0.0))
            return
        self._queue.append((packet, verdict.seconds if isinstance(verdict, Delay) else None))
        self.resume()

    def close(self) -> None:
        """Close behind what was sent."""
        if not self.closed:
            self._end("closed by us")
            self._queue.append((None, None))
            self.resume()
            self._network.clock.call_soon(self._tell_closed)

    def resume(self) -> None:
        """Let go what may go."""
        if self._holding or not self._queue:
            return
        if self._link.cut:
            self._network.stalled.append(self)
            if self.peer is None and len(self._queue) == 1:
                self._network.clock.call_later(self._network.connect_timeout, self._give_up_if_cut)
            return
        clock = self._network.clock
        while self._queue:
            packet, seconds = self._queue.popleft()
            delay = self._network.draw_delay(self._link) if seconds is None else seconds
            self._last = max(clock.time() + delay, self._last)
            self._moving.append(packet)
            clock.call_at(self._last, self._arrive)

    def _release(self, packet: Packet, after: float) -> None:
        packet.fate = "under way"
        self._network.clock.call_later(after, self._go_on)

    def _go_on(self) -> None:
        self._holding = False
        self.resume()

    def _arrive(self) -> None:
        if not self._moving:
            return  # given up meanwhile
        packet = self._moving.popleft()
        if packet is None:
            if self.peer is not None:
                self.peer.lose("closed by the peer")
            return
        if self._broken:
            packet.fate = "broken"
            return
        if self.peer is None and not self._refused:
            node = self._network.nodes.get(self.destination)
            self.peer = node.accept(self) if node is not None else None
        if self.peer is None:
            self._refuse(packet)
        else:
            self.peer.deliver(packet)

    def deliver(self, packet: Packet) -> None:
        """Take a message from the other end."""
        receiver = self._transport.receiver
        if self.closed or receiver is None:
            packet.fate = "broken"
            return
        packet.fate = "delivered"
        packet.delivered = self._network.clock.time()
        self._transport.stats[f"{self.local.transport}_received"] += 1
        receiver.received(packet.data, self.remote, self.local, self)

    def lose(self, reason: str) -> None:
        """Learn that the connection is gone."""
        if self.closed:
            return
        self._end(reason)
        self._broken = True
        self._fail_queue(f"connection lost: {reason}")
        self._tell_closed()

    def _refuse(self, packet: Packet) -> None:
        """Nobody is there: say so after the way back, or after the time-out if the other side is silent."""
        network = self._network
        packet.fate = "unreachable"
        if not self._refused:
            if network.icmp:
                back = network.link(self.destination, self.local)
                network.clock.call_later(network.draw_delay(back), self._give_up, "Connection refused")
            else:
                network.clock.call_later(network.connect_timeout, self._give_up, self._timed_out())
        self._refused.append(packet)

    def _give_up(self, reason: str) -> None:
        self._end(reason)
        self._broken = True
        failed = self._refused + [packet for packet in self._moving if packet is not None]
        self._refused = []
        self._moving.clear()
        for packet in failed:
            packet.fate = "unreachable"
            self._transport.fail(self.remote, self, reason, packet.data)
        self._fail_queue(reason)

    def _give_up_if_cut(self) -> None:
        if self.peer is None and self._link.cut and not self._broken:
            self._give_up(self._timed_out())

    def _timed_out(self) -> str:
        return f"no answer to the connection within {self._network.connect_timeout:g} s"

    def _fail_queue(self, reason: str) -> None:
        queue, self._queue = self._queue, deque()
        for packet, _ in queue:
            if packet is not None:
                packet.fate = "unreachable" if self.peer is None else "broken"
                self._transport.fail(self.remote, self, reason, packet.data)

    def _break(self) -> None:
        """Both ends lose the connection: this one as soon as the caller is done, the other after the delay."""
        clock = self._network.clock
        clock.call_soon(self.lose, "connection reset")
        self._broken = True
        if self.peer is not None:
            clock.call_later(self._network.draw_delay(self._link), self.peer.lose, "connection reset")

    def _end(self, reason: str) -> None:
        self.closed = True
        self.reason = self.reason or reason
        if self._transport.connections.get(self.remote) is self:
            del self._transport.connections[self.remote]

    def _tell_closed(self) -> None:
        receiver = self._transport.receiver
        if receiver is not None:
            receiver.connection_closed(self)
