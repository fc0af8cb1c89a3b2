"""Connections of the simulated network: in order, without loss, until they break.

A connection is two of these objects, one at each end, each holding what its own side has sent. Messages arrive
in order, each no earlier than the one before. When one cannot leave (the link is cut, a filter holds it) it queues, and
everything behind it too, as in a stream. Closing travels behind the data; breaking does not wait for it.

A message that does not arrive because the connection ended before it goes on a new connection, once, as with real
sockets; one for which the connection was made fails at once (RFC 3261 §18.2.2, §18.4).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from calltable.adapters.simulated.packet import Delay, Drop, Held, Link, Packet

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from calltable.adapters.simulated.clock import VirtualClock
    from calltable.adapters.simulated.packet import Verdict
    from calltable.adapters.sip.transport import Address, Flow, Receiver


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

    def send_again(self, packet: Packet, to: Address, source: Address | None) -> None:
        """Send a message that was lost with its connection, on another."""

    def accept(self, other: SimulatedConnection) -> SimulatedConnection | None:
        """The far end for a connection that arrives; None if nobody listens."""


class Outgoing(NamedTuple):
    """A message on its way: after which delay, where to if this connection ends first, and whether it may go again then."""

    packet: Packet
    seconds: float | None
    to: Address
    source: Address | None
    again: bool


class SimulatedConnection:
    """One end of a connection; the flow of everything that arrives at it."""

    __slots__ = (
        "_bounced", "_broken", "_holding", "_last", "_link", "_moving", "_network", "_queue", "_transport",
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
        self._queue: deque[Outgoing | None] = deque()
        """What has not left yet; None is the end of the stream."""
        self._moving: deque[Outgoing | None] = deque()
        """What is under way."""
        self._bounced: list[Outgoing] = []
        """What met nobody, until that is known here."""

    def send(self, data: bytes, to: Address, source: Address | None, *, again: bool = True) -> None:
        """Send one message; ``to`` is where it goes if this connection ends first, and ``again`` says whether it may."""
        network = self._network
        self._transport.stats[f"{self.local.transport}_sent"] += 1
        packet = network.note(data, self.local, self.destination)
        verdict = network.judge(packet)
        # As with real sockets: a message on the connection that is made for it has had its chance.
        again = again and self.peer is not None
        if isinstance(verdict, Drop):
            packet.fate = "dropped"
            self._bounced.append(Outgoing(packet, None, to, source, again))
            self._break()
            return
        if isinstance(verdict, Held):
            self._holding = True
            verdict.catch(packet, lambda after: self._release(packet, after))
            self._queue.append(Outgoing(packet, 0.0, to, source, again))
            return
        seconds = verdict.seconds if isinstance(verdict, Delay) else None
        self._queue.append(Outgoing(packet, seconds, to, source, again))
        self.resume()

    def close(self) -> None:
        """Close behind what was sent."""
        if not self.closed:
            self._end("closed by us")
            self._queue.append(None)
            self.resume()
            self._network.clock.call_soon(self._tell_closed)

    def resume(self) -> None:
        """Let go what may go."""
        if self._holding or not self._queue:
            return
        clock = self._network.clock
        if self._link.cut:
            self._network.stalled.append(self)
            if self.peer is None and len(self._queue) == 1:
                clock.call_later(self._network.connect_timeout, self._give_up_if_cut)
            return
        while self._queue:
            item = self._queue.popleft()
            seconds = None if item is None else item.seconds
            delay = self._network.draw_delay(self._link) if seconds is None else seconds
            self._last = max(clock.time() + delay, self._last)
            self._moving.append(item)
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
        item = self._moving.popleft()
        if item is None:
            if self.peer is not None:
                self.peer.lose("closed by the peer")
            return
        if self.peer is None and not self._bounced:
            node = self._network.nodes.get(self.destination)
            self.peer = node.accept(self) if node is not None else None
        if self.peer is None:
            self._refuse(item)
        elif not self.peer.deliver(item.packet):
            self._bounce(item)

    def deliver(self, packet: Packet) -> bool:
        """Take a message from the other end; False if this end is closed."""
        receiver = self._transport.receiver
        if self.closed or receiver is None:
            return False
        packet.fate = "delivered"
        packet.delivered = self._network.clock.time()
        self._transport.stats[f"{self.local.transport}_received"] += 1
        receiver.received(packet.data, self.remote, self.local, self)
        return True

    def lose(self, reason: str) -> None:
        """Learn that the connection is gone."""
        if self.closed:
            return
        self._end(reason)
        self._broken = True
        self._lose_all(f"connection lost: {reason}", "broken")
        self._tell_closed()

    def _bounce(self, item: Outgoing) -> None:
        """The other end is closed: it resets the connection, which is known here after the way back."""
        item.packet.fate = "broken"
        if not self.closed:
            self._bounced.append(item)
            if len(self._bounced) == 1:
                self._later_back(self.lose, "connection reset")

    def _refuse(self, item: Outgoing) -> None:
        """Nobody is there: say so after the way back, or after the time-out if the other side is silent."""
        network = self._network
        item.packet.fate = "unreachable"
        if not self._bounced:
            if network.icmp:
                self._later_back(self._give_up, "Connection refused")
            else:
                network.clock.call_later(network.connect_timeout, self._give_up, self._timed_out())
        self._bounced.append(item)

    def _later_back(self, method: Callable[[str], None], reason: str) -> None:
        network = self._network
        network.clock.call_later(network.draw_delay(network.link(self.destination, self.local)), method, reason)

    def _give_up(self, reason: str) -> None:
        if not self._broken:
            self._end(reason)
            self._broken = True
            self._lose_all(reason, "unreachable")

    def _give_up_if_cut(self) -> None:
        if self.peer is None and self._link.cut:
            self._give_up(self._timed_out())

    def _timed_out(self) -> str:
        return f"no answer to the connection within {self._network.connect_timeout:g} s"

    def _lose_all(self, reason: str, fate: str) -> None:
        """Send what did not arrive on another connection, report what cannot be."""
        lost = [item for item in (*self._bounced, *self._moving, *self._queue) if item is not None]
        self._bounced = []
        self._moving.clear()
        self._queue.clear()
        for item in lost:
            if item.packet.fate != "dropped":
                item.packet.fate = fate
            if item.again:
                self._transport.send_again(item.packet, item.to, item.source)
            else:
                self._transport.fail(item.to, self, reason, item.packet.data)

    def _break(self) -> None:
        """Both ends lose the connection: this one as soon as the caller is done, the other after the delay."""
        clock = self._network.clock
        clock.call_soon(self.lose, "connection reset")
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
