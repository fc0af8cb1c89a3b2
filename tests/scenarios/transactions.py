"""INVITE transactions against the clock: RFC 3261 §17 and RFC 6026, Timers A, B, D, G, H, I, L and M, over UDP and TCP.

The engine under test is an agent; the other end is a raw peer, which repeats nothing. Links take no time, so the moments are exact.
"""

from __future__ import annotations

import pytest

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario

INSTANT = {"delay": (0.0, 0.0)}
UDP, TCP = "udp:10.1.0.1:5060", "tcp:10.1.0.1:5060"


def exactly(times: list[float]) -> object:
    return pytest.approx(times, abs=1e-6)


# --------------------------------------------------------------------------- INVITE client


@scenario("RFC 3261 §17.1.1.2", "Timers A and B: an INVITE that nobody answers is sent seven times in 32 s, then 408", **INSTANT)
def invite_unanswered_udp(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    sim.run(40)
    assert bob.arrivals("INVITE") == exactly([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5])
    assert call.last("failed").fields["code"] == 408
    assert call.end_time == pytest.approx(32)


@scenario("RFC 3261 §17.1.1.2", "Timer B alone over TCP: an INVITE is sent once, then 408 after 32 s", **INSTANT)
def invite_unanswered_tcp(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob", TCP)
    call = alice.call(sim.uri("bob"))
    sim.run(40)
    assert bob.arrivals("INVITE") == exactly([0])
    assert call.last("failed").fields["code"] == 408
    assert call.end_time == pytest.approx(32)


@scenario("RFC 3261 §17.1.1.2", "A provisional response ends Timers A and B: no INVITE is repeated however long it rings", **INSTANT)
def provisional_stops_timer_a(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 100)
    sim.run(100)
    assert len(bob.arrivals("INVITE")) == 1
    bob.respond(invite, 486, to_tag="t")
    bob.expect("ACK")
    assert call.last("failed").fields["code"] == 486


@scenario("RFC 3261 §17.1.1.2", "Timer D over UDP: for 32 s each repeated failure is acknowledged again, later ones are not", **INSTANT)
def timer_d_udp(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 486, to_tag="t")
    for _ in range(4):
        sim.run(7.9)
        bob.respond(invite, 486, to_tag="t")
    sim.run(0.5)
    assert bob.arrivals("ACK") == exactly([0, 7.9, 15.8, 23.7, 31.6])
    assert len({m.via.branch for _, m in bob.times}) == 1, "the ACK to a failure has the branch of its INVITE"
    bob.respond(invite, 486, to_tag="t")
    sim.run(1)
    assert len(bob.arrivals("ACK")) == 5
    assert call.heard == ["failed"]


@scenario("RFC 3261 §17.1.1.2", "Timer D over TCP is zero: the transaction is gone with its ACK", **INSTANT)
def timer_d_tcp(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob", TCP)
    alice.call(sim.uri("bob"))
    bob.respond(bob.expect("INVITE"), 603, to_tag="t")
    bob.expect("ACK")
    sim.run(0.01)
    assert alice.engine.snapshot()["transactions"] == 0


@scenario("RFC 6026 §8.4", "Timer M: a 2xx that comes again within 32 s is acknowledged again with the same ACK", **INSTANT)
def timer_m(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 200, to_tag="t", body=b"v=0\r\n")
    first = bob.expect("ACK")
    for _ in range(3):
        sim.run(10)
        bob.respond(invite, 200, to_tag="t", body=b"v=0\r\n")
        assert bytes(bob.expect("ACK")) == bytes(first)
    bob.respond(invite, 180, to_tag="t")
    bob.respond(invite, 500, to_tag="t")
    sim.run(5)
    bob.respond(invite, 200, to_tag="t", body=b"v=0\r\n")
    sim.run(1)
    assert len(bob.arrivals("ACK")) == 4, "after Timer M nobody is there to acknowledge"
    assert alice.engine.executor.counters["stray responses"] == 1
    assert call.heard == ["answered"]
    call.hangup()
    bob.respond(bob.expect("BYE"), 200)


@scenario("RFC 6026 §8.4", "A 2xx with another To tag is acknowledged and its dialog hung up at once", **INSTANT)
def forked_success(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 180, to_tag="one")
    bob.respond(invite, 180, to_tag="two")
    bob.respond(invite, 200, to_tag="two", body=b"v=0\r\n")
    assert bob.expect("ACK").to_tag == "two"
    bob.respond(invite, 200, to_tag="one", body=b"v=0\r\n")
    assert bob.expect("ACK").to_tag == "one"
    bye = bob.expect("BYE")
    assert bye.to_tag == "one"
    bob.respond(bye, 200)
    assert call.state == "active"
    call.hangup()
    bye = bob.expect("BYE")
    assert bye.to_tag == "two"
    bob.respond(bye, 200)


@scenario("RFC 3261 §17.1.4", "A next hop where nobody listens fails the call at once with 503", delay=(0.01, 0.01))
def dead_next_hop(sim: Simulation) -> None:
    alice = sim.agent("alice")
    call = alice.call("sip:nobody@10.9.9.9:5060")
    sim.run(1)
    assert call.last("failed").fields["code"] == 503
    assert call.end_time == pytest.approx(0.02)


@scenario("RFC 3261 §17.1.4", "A connection that is refused fails the call with 503")
def refused_connection(sim: Simulation) -> None:
    alice = sim.agent("alice")
    call = alice.call("sip:nobody@10.9.9.9:5060;transport=tcp")
    sim.run(10)
    assert call.last("failed").fields["code"] == 503


@scenario("RFC 3261 §17.1.4", "A host that cannot be found fails the call with 503 and no INVITE leaves")
def unresolvable_host(sim: Simulation) -> None:
    alice = sim.agent("alice")
    call = alice.call("sip:bob@nowhere.example")
    assert call.last("failed").fields["code"] == 503
    assert not sim.packets()


@scenario("RFC 3261 §17.1.4", "The peer dies after its failure was acknowledged: nothing is told twice", **INSTANT)
def transport_fails_after_failure(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 486, to_tag="t")
    bob.transport.detach()
    sim.run(1)
    assert call.heard == ["failed"]
    assert call.last("failed").fields["code"] == 486


@scenario("RFC 6026 §8.4", "An ACK that meets nobody ends nothing: the next repetition of the 2xx gets another one", **INSTANT)
def ack_undeliverable(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 200, to_tag="t", headers={"Contact": "<sip:bob@10.9.9.9:5060>"}, contact=False, body=b"v=0\r\n")
    sim.run(1)
    assert call.state == "active"
    bob.respond(invite, 200, to_tag="t", headers={"Contact": "<sip:bob@10.9.9.9:5060>"}, contact=False, body=b"v=0\r\n")
    sim.run(1)
    assert len([p for p in sim.packets("alice") if p.fate == "unreachable" and p.data.startswith(b"ACK")]) == 2
    call.hangup()


# --------------------------------------------------------------------------- INVITE server


@scenario("RFC 3261 §17.2.1", "Timers G and H: a failure without ACK is repeated from T1 to T2 and given up after 32 s", **INSTANT)
def timer_g_h(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.reject(486)
    alice.call("bob").request("INVITE")
    sim.run(40)
    assert alice.arrivals(486) == exactly([0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
    assert bob.engine.snapshot()["transactions"] == 0


@scenario("RFC 3261 §17.2.1", "Over TCP a failure is sent once; Timer H still ends a transaction without ACK", **INSTANT)
def failure_tcp(sim: Simulation) -> None:
    alice, bob = sim.peer("alice", TCP), sim.agent("bob")
    bob.incoming_call = lambda call: call.reject(486)
    alice.call("bob").request("INVITE")
    sim.run(31)
    assert alice.arrivals(486) == exactly([0])
    assert bob.engine.snapshot()["transactions"] == 1
    sim.run(2)
    assert bob.engine.snapshot()["transactions"] == 0


@scenario("RFC 3261 §17.2.1", "Timer I over UDP: after the ACK, repeated INVITEs and ACKs are absorbed for T4", **INSTANT)
def timer_i_udp(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.reject(486)
    call = alice.call("bob")
    invite = call.request("INVITE")
    ack = call.ack(alice.expect(486))
    sim.run(1)
    call.again(ack)
    call.again(invite)
    sim.run(3.9)
    assert len(alice.arrivals(486)) == 1
    assert bob.engine.snapshot()["transactions"] == 1
    sim.run(0.2)
    assert bob.engine.snapshot()["transactions"] == 0


@scenario("RFC 3261 §17.2.1", "Timer I over TCP is zero: the ACK ends the transaction", **INSTANT)
def timer_i_tcp(sim: Simulation) -> None:
    alice, bob = sim.peer("alice", TCP), sim.agent("bob")
    bob.incoming_call = lambda call: call.reject(486)
    call = alice.call("bob")
    call.request("INVITE")
    call.ack(alice.expect(486))
    sim.run(0.01)
    assert bob.engine.snapshot()["transactions"] == 0


@scenario("RFC 3261 §17.2.1", "A repeated INVITE gets the last response again: 100, 180, then the failure", **INSTANT)
def invite_repeated(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    call = alice.call("bob")
    invite = call.request("INVITE")
    sim.run(0.1)
    call.again(invite)
    sim.run(0.1)
    assert len(alice.arrivals(100)) == 2
    bob.last.ring()
    sim.run(0.1)
    call.again(invite)
    sim.run(0.1)
    assert len(alice.arrivals(180)) == 2
    bob.last.reject(480)
    sim.run(0.1)
    call.again(invite)
    sim.run(0.1)
    assert len(alice.arrivals(480)) == 2
    call.ack(alice.expect(480))
    assert len(bob.calls) == 1


@scenario("RFC 3261 §13.3.1.4", "A 2xx without ACK is repeated from T1 to T2; after 32 s the dialog is ended with BYE", **INSTANT)
def success_unacknowledged(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    call = alice.call("bob")
    call.request("INVITE", body=b"v=0\r\n")
    bye = alice.expect("BYE")
    assert alice.arrivals(200) == exactly([0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
    assert sim.now == pytest.approx(32)
    assert bye.to_tag == call.local_tag
    alice.respond(bye, 200)
    assert bob.last.last("hung_up").fields["by"] == "unacknowledged"


@scenario("RFC 6026 §8.7", "Timer L: for 32 s after a 2xx a repeated INVITE is absorbed, then it would be a new one", **INSTANT)
def timer_l(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    call = alice.call("bob")
    invite = call.request("INVITE", body=b"v=0\r\n")
    ack = call.ack(alice.expect(200))
    sim.run(1)
    for message in (invite, ack, invite):
        call.again(message)
        sim.run(10)
    assert len(alice.arrivals(200)) == 1
    assert len(alice.arrivals(100)) == 1
    assert len(bob.calls) == 1
    assert bob.engine.snapshot()["transactions"] == 1
    sim.run(2)
    assert bob.engine.snapshot()["transactions"] == 0
    call.request("BYE")
    alice.expect(200, "BYE")


@scenario("RFC 3261 §17.2.4", "The caller dies before anything is sent: the 100 meets nobody, and the call ends", **INSTANT)
def caller_dies_at_once(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    alice.call("bob").request("INVITE")
    alice.transport.detach()
    sim.run(1)
    assert bob.engine.executor.counters["responses undeliverable"] == 1
    assert bob.last.last("cancelled").fields["by"] == "failure"


@scenario("RFC 3261 §17.2.4", "The caller dies after the 2xx left: it is repeated until 32 s are over", **INSTANT)
def caller_dies_before_ack(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    call = alice.call("bob")
    call.request("INVITE", body=b"v=0\r\n")
    sim.run(0.1)
    alice.transport.detach()
    bob.last.answer()
    sim.run(31)
    assert bob.last.state == "answering"
    sim.run(2)
    assert bob.last.last("hung_up").fields["by"] == "unacknowledged"


@scenario("RFC 3261 §17.2.1", "An ACK to nothing that was answered changes nothing", **INSTANT)
def ack_too_early(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    call = alice.call("bob")
    invite = call.request("INVITE")
    sim.run(0.1)
    call.request("ACK", cseq=1, branch=invite.via.branch, contact=False)
    sim.run(0.1)
    assert bob.last.state == "incoming"
    bob.last.reject(600)
    call.ack(alice.expect(600))
