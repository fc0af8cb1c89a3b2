"""What strangers may make a B2BUA send, and to whom: forged sources, third addresses, hop counts."""

from __future__ import annotations

from collections import Counter

from calltable.adapters.sip.core.trust import Trust
from calltable.adapters.sip.message.message import Message
from calltable.limits import Plan, networks
from calltable.simulation import Simulation
from calltable.simulation.rawpeers import RawCall, RawPeer
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, Bridge


def answered(sim: Simulation, alice: RawPeer, *, contact: str = "") -> RawCall:
    """Alice calls bob through the B2BUA, and bob answers; she has not acknowledged anything yet."""
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER, headers={"Contact": contact} if contact else (), contact=not contact)
    bob = sim.peers["bob"]
    bob.respond(bob.expect_request("INVITE"), 200, to_tag=bob.token(), body=ANSWER)
    alice.expect_response(200, "INVITE")
    return call


def call_id(data: bytes) -> bytes:
    return next(line for line in data.split(b"\r\n") if line.lower().startswith(b"call-id"))


def guarded(sim: Simulation) -> tuple[RawPeer, RawPeer]:
    """A B2BUA that limits its sources, a caller and bob, who answers every BYE."""
    sim.b2bua(sources=Plan())
    return sim.peer("alice"), sim.peer("bob")


def byes_answered(sim: Simulation) -> None:
    bob = sim.peers["bob"]
    for message in list(bob.inbox):
        if getattr(message, "method", "") == "BYE":
            bob.inbox.remove(message)
            bob.respond(message, 200)


@scenario("RFC 3261 §13.3.1.4", "One call that is never acknowledged keeps its schedule: the 200 for 32 s, then the BYE, each eleven times")
def unacknowledged_once(sim: Simulation) -> None:
    alice, _ = guarded(sim)
    answered(sim, alice)
    sim.run(33)
    byes_answered(sim)
    sim.run(33)
    assert len(alice.arrivals(200, "INVITE")) == 11
    assert len(alice.arrivals("BYE")) == 11


@scenario("RFC 3261 §26.3.2.4", "More of them, from a source that has never shown that it is there: three bytes for each that came in its name")
def unacknowledged_often(sim: Simulation) -> None:
    alice, _ = guarded(sim)
    for _ in range(6):
        answered(sim, alice)
    sim.run(33)
    byes_answered(sim)
    sim.run(25)
    came = sum(len(packet.data) for packet in sim.packets("alice", "b2bua"))
    calls: Counter[bytes] = Counter()
    for packet in sim.packets("b2bua", "alice"):
        calls[call_id(packet.data)] += len(packet.data)
    (_, schedule), = calls.most_common(1)
    assert calls.total() - schedule <= 3 * came
    assert schedule > 3 * came / 6, "one call has more than its share"
    assert sim.engines["b2bua"].executor.counters["withheld from unproved addresses"] > 20


@scenario("RFC 3261 §13.3.1.4", "A source that has acknowledged a call gets all repetitions from then on")
def acknowledged_before(sim: Simulation) -> None:
    alice, bob = guarded(sim)
    first = answered(sim, alice)
    first.ack(alice.times[-1][1])  # type: ignore[arg-type]  # the 200
    sim.run(0.1)
    for _ in range(3):
        answered(sim, alice)
    sim.run(33)
    byes_answered(sim)
    sim.run(33)
    assert len(alice.arrivals(200, "INVITE")) == 1 + 3 * 11
    assert len(alice.arrivals("BYE")) == 3 * 11
    first.request("BYE")
    alice.expect(200, "BYE")
    bob.respond(bob.expect_request("BYE"), 200)


@scenario("RFC 3261 §26.3.2.4", "A Contact that names somebody else: the victim gets the BYE once, and no repetition")
def third_address(sim: Simulation) -> None:
    alice, bob = guarded(sim)
    victim = sim.peer("victim")
    for acknowledged in (False, True):
        call = answered(sim, alice, contact=victim.contact)
        if acknowledged:
            success = alice.times[-1][1]
            call.ack(success)  # type: ignore[arg-type]
            sim.run(1)
            sim.servers["b2bua"].hangup()
        sim.run(34)
        byes_answered(sim)
        sim.run(33)
        assert len(victim.arrivals("BYE")) == 1 + acknowledged
    assert bob.arrivals("BYE")


@scenario("RFC 3261 §12.2.1.1", "A callee whose Contact is another host than the one that was called: its BYE is repeated like any other")
def callee_elsewhere(sim: Simulation) -> None:
    alice, bob = guarded(sim)
    carol = sim.peer("carol")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER)
    bob.respond(bob.expect_request("INVITE"), 200, to_tag="b", body=ANSWER, headers={"Contact": carol.contact}, contact=False)
    call.ack(alice.expect_response(200, "INVITE"))
    carol.expect("ACK")
    call.request("BYE")
    alice.expect(200, "BYE")
    sim.run(33)
    assert len(carol.arrivals("BYE")) == 11


@scenario("RFC 3261 §16.6", "Max-Forwards above 70 is passed on as 70, below it one less")
def max_forwards_cut(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.answer()
    for given, passed in ((255, 70), (71, 70), (70, 69), (12, 11)):
        bridge.a.request("INFO", max_forwards=given)
        info = bridge.bob.expect_request("INFO")
        assert info.max_forwards == passed
        bridge.b.respond(info, 200)
    sim.run(0.1)
    bridge.hangup()


IDENTITY = (("P-Asserted-Identity", "<sip:boss@example.com>"), ("P-Preferred-Identity", "<sip:boss@example.com>"), ("Remote-Party-ID", "<sip:boss@example.com>"))
NAMES = tuple(name for name, _ in IDENTITY)


def stated(message: Message) -> list[str]:
    return [name for name in NAMES if message.get(name) is not None]


@scenario("RFC 3325 §5", "Statements of identity pass from those who are trusted, in requests and responses; from others they are taken out")
def identity_of_the_trusted(sim: Simulation) -> None:
    sim.b2bua(trust=Trust(networks(["10.0.0.2/32"])))
    alice, bob = sim.peer("alice"), sim.peer("bob")  # 10.0.0.2 and 10.0.0.3
    for caller, callee, passes in ((alice, bob, True), (bob, alice, False)):
        call = caller.call("b2bua", sim.uri("b2bua", callee.name))
        call.request("INVITE", body=OFFER, headers=IDENTITY)
        invite = callee.expect_request("INVITE")
        assert stated(invite) == (list(NAMES) if passes else [])
        callee.respond(invite, 200, to_tag="x", body=ANSWER, headers=IDENTITY)
        success = caller.expect_response(200, "INVITE")
        assert stated(success) == ([] if passes else list(NAMES))
        call.ack(success)
        callee.expect("ACK")
        call.request("INFO", headers=IDENTITY)
        info = callee.expect_request("INFO")
        assert stated(info) == (list(NAMES) if passes else [])
        callee.respond(info, 200)
        caller.expect(200, "INFO")
        call.request("BYE")
        caller.expect(200, "BYE")
        callee.respond(callee.expect_request("BYE"), 200)


@scenario("RFC 3325 §7", "Privacy: id, and the other side is not trusted: the identity stays behind, and the wish passes")
def identity_withheld(sim: Simulation) -> None:
    sim.b2bua(trust=Trust(networks(["10.0.0.2/32", "10.0.0.4/32"])))
    alice, bob, carol = sim.peer("alice"), sim.peer("bob"), sim.peer("carol")
    for callee, privacy, shown in ((bob, "header;id", []), (bob, "none", ["P-Asserted-Identity"]), (carol, "id", ["P-Asserted-Identity"])):
        call = alice.call("b2bua", sim.uri("b2bua", callee.name))
        call.request("INVITE", body=OFFER, headers=(IDENTITY[0], ("Privacy", privacy)))
        invite = callee.expect_request("INVITE")
        assert stated(invite) == shown
        assert invite.get("privacy") == privacy
        callee.respond(invite, 486, to_tag="x")
        call.ack(alice.expect_response(486))
