"""How most scenarios begin: a call that is up, with the parts played as the race needs them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeVar

from calltable.simulation import Simulation
from calltable.simulation.rawpeers import RawCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from calltable.adapters.sip.message.message import Message
    from calltable.adapters.sip.transport.address import Address
    from calltable.simulation.agents import AgentCall
    from calltable.simulation.rawpeers import Headers, RawPeer

T = TypeVar("T")
OFFER, ANSWER, OTHER = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n", b"v=0\r\ns=other\r\n"


def is_(start: str, cseq: str = "") -> object:
    """A predicate for the network: messages whose first line begins so (and whose CSeq has this method)."""

    def matches(data: bytes, source: Address, destination: Address) -> bool:
        return data.startswith(start.encode()) and (not cseq or b" " + cseq.encode() in _cseq(data))

    return matches


def _cseq(data: bytes) -> bytes:
    return next((line for line in data.split(b"\r\n") if line.lower().startswith(b"cseq:")), b"")


def called(sim: Simulation, *, offer: bool = True) -> tuple[AgentCall, RawPeer, RawCall]:
    """Our agent ``alice`` has called the raw peer ``bob``: (call, bob, the dialog at bob's end), the INVITE unanswered."""
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"), offer=offer)
    invite = bob.expect_request("INVITE")
    dialog = RawCall.of(bob, invite, "alice")
    return call, bob, dialog


def called_second(sim: Simulation) -> tuple[AgentCall, RawPeer, RawCall]:
    """Another pair in the same simulation: our agent ``carol`` calls the raw peer ``dave``."""
    carol, dave = sim.agent("carol"), sim.peer("dave")
    call = carol.call(sim.uri("dave"))
    invite = dave.expect_request("INVITE")
    dialog = RawCall.of(dave, invite, "carol")
    return call, dave, dialog


def we_called(sim: Simulation) -> tuple[AgentCall, RawPeer, RawCall]:
    """As ``called``, answered and acknowledged."""
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("ACK")
    return call, bob, dialog


def they_call(sim: Simulation, *, offer: bool = True) -> tuple[RawPeer, RawCall, AgentCall]:
    """The raw peer ``alice`` has called our agent ``bob``, whose leg waits: (alice, the dialog at alice's end, call)."""
    alice, bob = sim.peer("alice"), sim.agent("bob")
    dialog = alice.call("bob")
    dialog.request("INVITE", body=OFFER if offer else b"")
    sim.until(lambda: bob.calls)
    return alice, dialog, bob.last


def they_called(sim: Simulation) -> tuple[RawPeer, RawCall, AgentCall]:
    """As ``they_call``, answered and acknowledged."""
    alice, dialog, call = they_call(sim)
    call.answer()
    dialog.ack(alice.expect_response(200, "INVITE"))
    sim.until(lambda: call.state == "active")
    return alice, dialog, call


def variants(sim: Simulation, names: Iterable[T]) -> Iterator[tuple[T, Simulation]]:
    """The same story several times, each in a simulation of its own, which ends as strictly as any."""
    sim.variants = []  # type: ignore[attr-defined]  # for the page of ladders
    for name in names:
        sub = Simulation(f"{sim.seed}/{name}", tables=sim.tables)
        yield name, sub
        sub.finish()
        sim.reached.update(sub.reached)
        sim.variants.append(sub)  # type: ignore[attr-defined]


def in_both_roles(story: Callable[[Simulation, AgentCall, RawPeer, RawCall], None]) -> Callable[[Simulation], None]:
    """A story of a call that is up, played where our agent placed it and where it was called."""

    @functools.wraps(story)
    def play(sim: Simulation) -> None:
        for role, sub in variants(sim, ("caller", "callee")):
            if role == "caller":
                call, peer, dialog = we_called(sub)
            else:
                peer, dialog, call = they_called(sub)
            story(sub, call, peer, dialog)

    return play


def over(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    """We hang up, and the peer answers."""
    call.hangup()
    dialog.respond(peer.expect_request("BYE"), 200)
    sim.run(0.1)
    assert call.ended


class Bridge:
    """A raw caller and a raw callee on both sides of a B2BUA."""

    def __init__(self, sim: Simulation, *, offer: bool = True, machine: str = "", headers: Headers = (),
                 prepare: Callable[[Simulation], object] | None = None) -> None:
        self.sim = sim
        self.server = sim.b2bua(machine=machine) if machine else sim.b2bua()
        if prepare is not None:
            prepare(sim)
        self.alice = sim.peer("alice")
        self.bob = sim.peer("bob")
        self.a = self.alice.call("b2bua", sim.uri("b2bua", "bob"))
        self.a.request("INVITE", body=OFFER if offer else b"", headers=headers)
        self.invite = self.bob.expect_request("INVITE")
        self.b = RawCall.of(self.bob, self.invite, "b2bua")

    def ring(self) -> None:
        """Bob rings, and alice hears it; her dialog is early."""
        self.b.respond(self.invite, 180)
        self.a.learn(self.alice.expect_response(180))

    def answer(self) -> None:
        """Bob answers, both ACKs are sent."""
        self.b.respond(self.invite, 200, body=ANSWER)
        self.a.ack(self.alice.expect_response(200, "INVITE"))
        self.bob.expect("ACK")
        self.sim.run(0.1)

    def hangup(self) -> None:
        """Alice hangs up, bob hears it, both are answered."""
        self.a.request("BYE")
        self.alice.expect(200, "BYE")
        self.bob_gets_bye()

    def bob_gets_bye(self) -> None:
        """Bob gets a BYE and answers it."""
        self.b.respond(self.bob.expect_request("BYE"), 200)

    def alice_gets_bye(self) -> None:
        """Alice gets a BYE and answers it."""
        self.a.respond(self.alice.expect_request("BYE"), 200)


def joined(sim: Simulation) -> Bridge:
    """A bridge with an answered call."""
    bridge = Bridge(sim)
    bridge.ring()
    bridge.answer()
    return bridge


def talking(sim: Simulation, *, offer: bool = True) -> tuple[AgentCall, AgentCall]:
    """Two agents of ours in a call through a B2BUA."""
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    call = alice.call(sim.uri("b2bua", "bob"), offer=offer)
    sim.until(lambda: bob.calls)
    bob.last.answer()
    sim.until(lambda: call.state == "active" and bob.last.state == "active")
    sim.run(1)
    agree(call, bob.last)
    return call, bob.last


def agree(one: AgentCall, other: AgentCall) -> None:
    """Both ends are up and hold the same session descriptions."""
    assert (one.state, other.state) == ("active", "active")
    assert one.local == other.remote
    assert one.remote == other.local


def news(peer: RawPeer) -> list[Message]:
    """What came and was not expected, but for 100 Trying."""
    return [message for message in peer.inbox if getattr(message, "status", 0) != 100]


def text(message: Message) -> str:
    """A message as it goes over the wire."""
    return bytes(message).decode()
