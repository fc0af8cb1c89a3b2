"""A name with several addresses, and requests too large for a datagram: RFC 3263 §4.3, RFC 3261 §18.1.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.transport.address import Address
from calltable.simulation import Simulation
from calltable.simulation.rawpeers import RawCall
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, Bridge, variants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.simulation.rawpeers import RawPeer

DEAD = Address("udp", "10.9.9.9", 5060)
LONG = b"v=0\r\ns=" + b"x" * 1400 + b"\r\n"


class Names:
    """Looks the name ``bob.example`` up; the rest are addresses."""

    def __init__(self, sim: Simulation, *ways: Address) -> None:
        self.inner = sim.engines["b2bua"].stack.sender.locator
        self.ways = ways
        sim.engines["b2bua"].stack.sender.locator = self

    def find(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        if "bob.example" in uri:
            done(self.ways, "")
        else:
            self.inner.find(uri, done)


def call(sim: Simulation, *ways: Address, body: bytes = OFFER) -> tuple[RawPeer, RawCall]:
    """Alice calls bob, whose name has these addresses: (alice, her dialog)."""
    sim.b2bua(routes={"bob": "sip:bob@bob.example"})
    Names(sim, *ways)
    alice = sim.peer("alice")
    dialog = alice.call("b2bua", sim.uri("b2bua", "bob"))
    dialog.request("INVITE", body=body)
    return alice, dialog


def answered(sim: Simulation, alice: RawPeer, dialog: RawCall, bob: RawPeer) -> None:
    """Bob takes the call, and alice ends it."""
    invite = bob.expect_request("INVITE")
    far = RawCall.of(bob, invite, "b2bua")
    far.respond(invite, 200, body=ANSWER)
    dialog.ack(alice.expect_response(200, "INVITE"))
    bob.expect("ACK")
    dialog.request("BYE")
    alice.expect(200, "BYE")
    far.respond(bob.expect_request("BYE"), 200)


@scenario("RFC 3263 §4.3", "The first address of a name is dead: the same INVITE goes to the second, and the call is answered")
def second_address(sim: Simulation) -> None:
    bob = sim.peer("bob")
    alice, dialog = call(sim, DEAD, bob.address)
    answered(sim, alice, dialog, bob)
    assert sim.now < 1


@scenario("RFC 3263 §4.3", "The first address answers 503, even after it rang: the same request, but for its branch, goes to the second")
def second_address_after_503(sim: Simulation) -> None:
    for rings, sub in variants(sim, (False, True)):
        busy, bob = sub.peer("busy"), sub.peer("bob")
        alice, dialog = call(sub, busy.address, bob.address)
        first = busy.expect_request("INVITE")
        if rings:
            busy.respond(first, 180, to_tag="first")
            alice.expect(180)
        busy.respond(first, 503)
        busy.expect("ACK")
        second = bob.expect_request("INVITE")
        assert (second.call_id, second.cseq, second.get("from"), second.to_tag) == (first.call_id, first.cseq, first.get("from"), None)
        assert second.via.branch != first.via.branch
        far = RawCall.of(bob, second, "b2bua")
        far.respond(second, 486)
        bob.expect("ACK")
        dialog.ack(alice.expect(486))


@scenario("RFC 3263 §4.3", "Both addresses are silent: each is tried for 64*T1, then the caller hears 408")
def no_address_answers(sim: Simulation) -> None:
    one, two = sim.peer("one"), sim.peer("two")
    alice, dialog = call(sim, one.address, two.address)
    dialog.ack(alice.expect(408, within=70))
    assert len(one.arrivals("INVITE")) == len(two.arrivals("INVITE")) == 7
    assert 63 < sim.now < 65


@scenario("RFC 3263 §4.3", "A refusal that is no failure of the server (486, 500, 600) is final: the second address is left alone")
def refusals_are_final(sim: Simulation) -> None:
    for code, sub in variants(sim, (302, 408, 486, 500, 600)):
        one, two = sub.peer("one"), sub.peer("two")
        alice, dialog = call(sub, one.address, two.address)
        invite = one.expect_request("INVITE")
        one.respond(invite, code, to_tag="one")
        one.expect("ACK")
        dialog.ack(alice.expect(code))
        sub.run(1)
        assert not two.times


@scenario("RFC 3261 §9.1", "The caller gives up while the first address is silent: the second is never tried")
def given_up_before_the_second_address(sim: Simulation) -> None:
    one, two = sim.peer("one"), sim.peer("two")
    alice, dialog = call(sim, one.address, two.address)
    one.expect_request("INVITE")
    dialog.cancel()
    alice.expect(200, "CANCEL")
    dialog.ack(alice.expect(487))
    sim.run(70)
    assert not two.times


@scenario("RFC 3263 §4.3", "The name of the callee's Contact has a dead address: a BYE reaches the other")
def second_address_of_a_contact(sim: Simulation) -> None:
    bridge = Bridge(sim)
    Names(sim, DEAD, bridge.bob.address)
    bridge.b.respond(bridge.invite, 200, body=ANSWER, headers={"Contact": "<sip:bob@bob.example>"}, contact=False)
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    sim.run(0.1)
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.bob_gets_bye()


@scenario("RFC 3261 §18.1.1", "An INVITE above 1,300 bytes goes over TCP; the dialog stays where its addresses say, on UDP")
def large_invite_by_tcp(sim: Simulation) -> None:
    bob = sim.peer("bob")
    alice, dialog = call(sim, bob.address, body=LONG)
    invite = bob.expect_request("INVITE")
    assert invite.via.transport == "TCP"
    assert "transport" not in (invite.get("contact") or "")
    far = RawCall.of(bob, invite, "b2bua")
    far.respond(invite, 200, body=ANSWER)
    dialog.ack(alice.expect_response(200, "INVITE"))
    assert bob.expect("ACK").via.transport == "UDP"
    dialog.request("BYE")
    alice.expect(200, "BYE")
    far.respond(bob.expect_request("BYE"), 200)


@scenario("RFC 3261 §18.1.1", "Nobody takes the TCP connection: the large INVITE goes by UDP, and the next one at once")
def large_invite_without_tcp(sim: Simulation) -> None:
    bob = sim.peer("bob", "udp:10.0.1.1:5060")
    alice, dialog = call(sim, bob.address, body=LONG)
    assert bob.expect_request("INVITE").via.transport == "UDP"
    answered_again = [packet for packet in sim.packets() if packet.destination.transport == "tcp"]
    assert len(answered_again) == 1
    dialog.cancel()
    alice.expect(200, "CANCEL")
    dialog.ack(alice.expect(487))
    sim.run(70)
    another = alice.call("b2bua", sim.uri("b2bua", "bob"))
    another.request("INVITE", body=LONG)
    bob.inbox.clear()
    answered(sim, alice, another, bob)
    assert len([packet for packet in sim.packets() if packet.destination.transport == "tcp"]) == 1


@scenario("RFC 3261 §18.1.1", "A 503 that came over TCP is the server's word: the large INVITE is not repeated by UDP")
def large_invite_refused_over_tcp(sim: Simulation) -> None:
    bob = sim.peer("bob")
    alice, dialog = call(sim, bob.address, body=LONG)
    bob.respond(bob.expect_request("INVITE"), 503, to_tag="bob")
    bob.expect("ACK")
    dialog.ack(alice.expect(503))
    sim.run(1)
    assert bob.arrivals("INVITE") == bob.arrivals("INVITE")[:1]


@scenario("RFC 3261 §19.1.1", "A target that says transport=udp gets its large INVITE by UDP")
def large_invite_where_udp_is_said(sim: Simulation) -> None:
    bob, alice = sim.peer("bob"), sim.peer("alice")
    sim.b2bua(routes={"bob": f"sip:bob@{bob.address.hostport};transport=udp"})
    dialog = alice.call("b2bua", sim.uri("b2bua", "bob"))
    dialog.request("INVITE", body=LONG)
    answered(sim, alice, dialog, bob)
    assert not [packet for packet in sim.packets() if packet.destination.transport == "tcp"]


@scenario("RFC 3261 §18.1.1", "A large INVITE from an element that listens on UDP only goes by UDP")
def large_invite_by_udp_only(sim: Simulation) -> None:
    bob, alice = sim.peer("bob"), sim.peer("alice")
    sim.b2bua(address="udp:10.0.1.2:5060")
    dialog = alice.call("b2bua", sim.uri("b2bua", "bob"))
    dialog.request("INVITE", body=LONG)
    answered(sim, alice, dialog, bob)
