"""The call flows of RFC 3665 §3 that a user agent or a B2BUA takes part in."""

from __future__ import annotations

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, Bridge, agree, called, joined, news, talking, text, they_call


@scenario("RFC 3665 §3.1", "A call between two agents: ringing, answered, acknowledged, hung up by the callee")
def successful_call(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.agent("bob")
    call = alice.call(sim.uri("bob"))
    sim.until(lambda: bob.calls)
    bob.last.ring()
    sim.run(1)
    assert call.last("progress").fields["code"] == 180
    bob.last.answer()
    sim.run(1)
    agree(call, bob.last)
    bob.last.hangup()
    sim.run(1)
    assert call.heard == ["progress", "answered", "hung_up"]
    assert bob.last.heard == ["incoming", "confirmed"]


@scenario("RFC 3665 §3.1", "The same over TCP")
def successful_call_tcp(sim: Simulation) -> None:
    alice, bob = sim.agent("alice", "tcp:10.0.0.1:5060"), sim.agent("bob", "tcp:10.0.0.2:5060")
    call = alice.call(sim.uri("bob"))
    bob.incoming_call = lambda incoming: incoming.answer()
    sim.run(1)
    agree(call, bob.last)
    call.request("INFO", b"x")
    call.hold()
    sim.run(1)
    agree(call, bob.last)
    call.hangup()
    sim.run(1)
    assert not [p for p in sim.packets() if p.source.transport == "udp"]


@scenario("RFC 3665 §3.1", "The same over IPv6")
def successful_call_ipv6(sim: Simulation) -> None:
    alice, bob = sim.agent("alice", "udp:[2001:db8::1]:5060"), sim.agent("bob", "udp:[2001:db8::2]:5060")
    call = alice.call(sim.uri("bob"))
    bob.incoming_call = lambda incoming: incoming.answer()
    sim.run(1)
    agree(call, bob.last)
    call.hangup()


@scenario("RFC 3665 §3.2", "A call through a B2BUA, with a record-routing proxy on the callee's side: routes stay on their own side")
def call_through_proxies(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.peer("alice"), sim.peer("bob")
    a = alice.call("b2bua", sim.uri("b2bua", "bob"))
    a.request("INVITE", body=OFFER, headers=[("Record-Route", "<sip:p1.example.com@10.0.0.2:5060;lr>")])
    invite = bob.expect_request("INVITE")
    assert "p1.example.com" not in text(invite)
    routes = [("Record-Route", "<sip:p3@10.0.0.3:5060;lr>"), ("Record-Route", "<sip:p2@10.0.0.3:5060;lr>")]
    bob.respond(invite, 200, to_tag="t", headers=routes, body=ANSWER)
    ack = bob.expect_request("ACK")
    assert ack.all("route") == ["<sip:p2@10.0.0.3:5060;lr>", "<sip:p3@10.0.0.3:5060;lr>"]
    assert ack.uri == "sip:bob@10.0.0.3:5060"
    success = alice.expect(200)
    assert success.all("record-route") == ["<sip:p1.example.com@10.0.0.2:5060;lr>"]
    a.ack(success)
    sim.run(0.1)
    a.request("BYE")
    alice.expect(200, "BYE")
    bye = bob.expect("BYE")
    assert bye.all("route") == ack.all("route")
    bob.respond(bye, 200)


@scenario("RFC 3665 §3.2", "A strict router (RFC 2543) gets the Request-URI, and the target travels as the last Route")
def strict_router(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 200, headers=[("Record-Route", "<sip:10.0.0.2:5060>")], body=ANSWER)
    ack = bob.expect("ACK")
    assert ack.uri == "sip:10.0.0.2:5060"
    assert ack.all("route") == ["<sip:bob@10.0.0.2:5060>"]
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 3665 §3.6", "No offer in the INVITE: the callee's offer comes in the 200, the answer goes in the ACK")
def offer_in_200(sim: Simulation) -> None:
    call, bob, dialog = called(sim, offer=False)
    assert not dialog.incoming.body
    assert dialog.incoming.get("content-type") is None
    dialog.respond(dialog.incoming, 200, body=OFFER)
    ack = bob.expect("ACK")
    assert ack.body == call.local
    assert ack.get("content-type") == "application/sdp"
    assert call.remote == OFFER
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 3665 §3.6", "The callee's side of it: the offer goes in the 200 and the answer is taken from the ACK")
def answer_in_ack(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim, offer=False)
    call.answer()
    success = alice.expect(200)
    assert success.body
    dialog.ack(success, body=ANSWER)
    sim.run(0.1)
    assert (call.local, call.remote) == (success.body, ANSWER)
    dialog.request("BYE")
    alice.expect(200, "BYE")


@scenario("RFC 3665 §3.6", "A redirection passes a B2BUA with its Contact, which says where to go instead")
def redirected(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 302, headers=[("Contact", "<sip:bob@elsewhere.example.com>")])
    bridge.bob.expect("ACK")
    final = bridge.alice.expect(302)
    assert final.all("contact") == ["<sip:bob@elsewhere.example.com>"]
    bridge.a.ack(final)


@scenario("RFC 3665 §3.7", "A re-INVITE moves the caller to another address: later requests follow its new Contact")
def reinvite_changes_address(sim: Simulation) -> None:
    bridge = joined(sim)
    sim.peer("elsewhere")
    bridge.a.peer, bridge.alice = sim.peers["elsewhere"], sim.peers["elsewhere"]
    bridge.a.request("INVITE", body=OFFER)
    again = bridge.bob.expect("INVITE")
    assert again.body == OFFER
    bridge.b.respond(again, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    bridge.a.ack(bridge.alice.expect(200, "INVITE"))
    sim.run(0.1)
    bridge.b.request("BYE")
    bridge.bob.expect(200, "BYE")
    bye = sim.peers["elsewhere"].expect("BYE")
    bridge.a.respond(bye, 200)
    assert not news(sim.peers["alice"])


@scenario("RFC 3665 §3.8", "Nobody answers: the caller cancels, the callee hears it at once, 487 comes back")
def no_answer(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda incoming: incoming.ring()
    call = alice.call(sim.uri("b2bua", "bob"))
    sim.run(20)
    call.hangup()
    sim.run(0.1)
    assert call.ended
    assert bob.last.ended
    assert bob.last.heard == ["incoming", "cancelled"]


@scenario("RFC 3665 §3.8", "It rings for ever: after three minutes the call gives up by itself, and the caller hears 408")
def rings_for_ever(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda incoming: incoming.ring()
    call = alice.call(sim.uri("b2bua", "bob"))
    sim.run(185)
    assert call.last("failed").fields["code"] == 408
    assert bob.last.ended


@scenario("RFC 3665 §3.8", "A callee that says 100 and nothing more is given up after three minutes as well")
def trying_for_ever(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 100)
    dialog.respond(bob.expect("CANCEL", within=200), 200)
    dialog.respond(dialog.incoming, 487)
    assert call.last("failed").fields["code"] == 408


@scenario("RFC 3665 §3.8", "A call that nobody looks at refuses itself after four minutes")
def nobody_looks(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    dialog.ack(alice.expect(480, within=300))
    assert call.last("cancelled").fields["by"] == "unanswered"


@scenario("RFC 3665 §3.9", "The callee is busy: 486 with its reason and its header fields reaches the caller")
def busy(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 486, "Talking To Carol", headers={"X-Why": "lunch"})
    bridge.bob.expect("ACK")
    final = bridge.alice.expect(486)
    assert final.reason == "Talking To Carol"
    assert final.get("x-why") == "lunch"
    bridge.a.ack(final)


@scenario("RFC 3665 §3.10", "The callee's side does not answer at all: 408 after 32 s")
def silent_callee(sim: Simulation) -> None:
    bridge = Bridge(sim)
    final = bridge.alice.expect(408)
    assert 31 < sim.now < 33
    bridge.a.ack(final)


@scenario("RFC 3665 §3.11", "The callee is not there for now: 480 with Retry-After reaches the caller")
def unavailable(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 480, headers={"Retry-After": "120"})
    bridge.bob.expect("ACK")
    final = bridge.alice.expect(480)
    assert final.get("retry-after") == "120"
    bridge.a.ack(final)


@scenario("RFC 3264 §8.4", "Hold and resume from both ends, through a B2BUA: each side's direction mirrors the other's")
def hold_and_resume(sim: Simulation) -> None:
    call, other = talking(sim)
    for holder, held in ((call, other), (other, call)):
        holder.hold()
        sim.run(1)
        agree(call, other)
        assert b"a=sendonly" in (holder.local or b"")
        assert b"a=recvonly" in (held.local or b"")
        holder.resume()
        sim.run(1)
        agree(call, other)
        assert b"a=sendrecv" in (held.local or b"")
    other.hangup()
