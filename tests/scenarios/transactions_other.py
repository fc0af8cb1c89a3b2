"""Other transactions, and CANCEL, against the clock: RFC 3261 §17, Timers E, F, J and K, over UDP and TCP. See ``transactions.py``."""

from __future__ import annotations

import pytest

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario

INSTANT = {"delay": (0.0, 0.0)}
UDP, TCP = "udp:10.1.0.1:5060", "tcp:10.1.0.1:5060"



def exactly(times: list[float]) -> object:
    return pytest.approx(times, abs=1e-6)


# --------------------------------------------------------------------------- non-INVITE client


def established(sim: Simulation, address: str = "") -> tuple[object, object, object]:
    """An agent ``alice`` who called the raw peer ``bob``, who answered: (call, bob, the INVITE)."""
    alice, bob = sim.agent("alice"), sim.peer("bob", address)
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 200, to_tag="t", body=b"v=0\r\n")
    bob.expect("ACK")
    sim.run(100 - sim.now)
    return call, bob, invite


@scenario("RFC 3261 §17.1.2.2", "Timers E and F: a request is repeated from T1 to T2 and given up after 32 s with 408", **INSTANT)
def timer_e_f(sim: Simulation) -> None:
    call, bob, _ = established(sim)
    handle = call.request("INFO", b"x")
    sim.run(40)
    expected = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bob.arrivals("INFO") == exactly([100 + t for t in expected])
    assert call.last("response").fields["transaction"] == handle
    assert call.last("response").fields["code"] == 408
    assert call.state == "active", "a request that times out is told; ending the call is the owner's choice"
    call.hangup()
    sim.run(40)
    assert len(bob.arrivals("BYE")) == 11
    assert call.ended, "a BYE that nobody answers ends the leg all the same (RFC 3261 §15.1.1)"


@scenario("RFC 3261 §17.1.2.2", "After a provisional response a request is repeated every T2", **INSTANT)
def timer_e_proceeding(sim: Simulation) -> None:
    call, bob, _ = established(sim)
    call.request("INFO", b"x")
    request = bob.expect("INFO")
    sim.run(0.2)
    bob.respond(request, 100)
    bob.respond(request, 100)
    sim.run(13)
    assert bob.arrivals("INFO") == exactly([100, 104.2, 108.2, 112.2])
    bob.respond(request, 200)
    sim.run(1)
    assert call.last("response").fields["code"] == 200
    call.hangup()
    bob.respond(bob.expect("BYE"), 200)


@scenario("RFC 3261 §17.1.2.2", "Timer K over UDP: a repeated response is absorbed for T4", **INSTANT)
def timer_k_udp(sim: Simulation) -> None:
    call, bob, _ = established(sim)
    call.request("INFO", b"x")
    request = bob.expect("INFO")
    bob.respond(request, 200)
    sim.run(4.9)
    bob.respond(request, 200)
    bob.respond(request, 100)
    bob.respond(request, 500)
    sim.run(0.05)
    assert call.heard.count("response") == 1
    assert sim.engines["alice"].snapshot()["transactions"] == 1
    sim.run(0.1)
    assert sim.engines["alice"].snapshot()["transactions"] == 0
    call.hangup()
    bob.respond(bob.expect("BYE"), 200)


@scenario("RFC 3261 §17.1.2.2", "Over TCP a request is sent once, Timer F gives up, and Timer K is zero", **INSTANT)
def client_tcp(sim: Simulation) -> None:
    call, bob, _ = established(sim, TCP)
    call.request("INFO", b"x")
    request = bob.expect("INFO")
    bob.respond(request, 100)
    bob.respond(request, 200)
    sim.run(0.01)
    assert sim.engines["alice"].snapshot()["transactions"] == 0
    call.request("MESSAGE", b"x")
    sim.run(40)
    assert len(bob.arrivals("MESSAGE")) == 1
    assert call.last("response").fields["code"] == 408
    call.hangup()
    bob.respond(bob.expect("BYE"), 200)


@scenario("RFC 3261 §17.1.4", "A request that meets nobody gets 503, and a BYE that meets nobody ends the leg", **INSTANT)
def request_undeliverable(sim: Simulation) -> None:
    call, bob, _ = established(sim)
    bob.transport.detach()
    call.request("INFO", b"x")
    sim.run(1)
    assert call.last("response").fields["code"] == 503
    call.hangup()
    sim.run(1)
    assert call.ended


@scenario("RFC 3261 §17.1.4", "An answered request whose repetition then meets nobody is not told again", delay=(0.3, 0.3))
def request_fails_late(sim: Simulation) -> None:
    call, bob, _ = established(sim)
    call.request("INFO", b"x")
    request = bob.expect("INFO")
    sim.run(0.25)
    bob.respond(request, 200)
    sim.run(0.01)
    bob.transport.detach()
    sim.run(5)
    assert [e.fields["code"] for e in call.events if e.name == "response"] == [200]
    call.hangup()
    sim.run(5)


# --------------------------------------------------------------------------- non-INVITE server


@scenario("RFC 3261 §17.2.2", "A repeated request is not given to the call twice, and gets its response again for Timer J", **INSTANT)
def timer_j_udp(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    call = alice.call("bob")
    call.request("INVITE", body=b"v=0\r\n")
    call.ack(alice.expect(200))
    sim.run(0.1)
    bob.last.manual = True
    info = call.request("INFO")
    sim.run(0.5)
    call.again(info)
    sim.run(0.5)
    assert not alice.arrivals(200, "INFO")
    assert not alice.arrivals(100, "INFO"), "RFC 4320: no 100 to a request that is no INVITE"
    bob.last.respond(200)
    sim.run(31)
    call.again(info)
    sim.run(0.5)
    assert len(alice.arrivals(200, "INFO")) == 2
    assert bob.last.heard.count("request") == 1
    sim.run(1)
    assert bob.engine.snapshot()["transactions"] == 0
    call.request("BYE")
    alice.expect(200, "BYE")


@scenario("RFC 3261 §17.2.2", "A request that the call answers provisionally repeats that, and ends with the final response", **INSTANT)
def request_answered_provisionally(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    call = alice.call("bob")
    call.request("INVITE", body=b"v=0\r\n")
    call.ack(alice.expect(200))
    sim.run(0.1)
    bob.last.manual = True
    info = call.request("INFO")
    sim.run(0.5)
    bob.last.respond(182)
    sim.run(0.5)
    call.again(info)
    sim.run(0.5)
    assert len(alice.arrivals(182)) == 2
    bob.last.respond(200)
    bob.last.respond(500)
    sim.run(1)
    assert alice.arrivals(200, "INFO")
    assert not alice.arrivals(500)
    call.request("BYE")
    alice.expect(200, "BYE")


@scenario("RFC 3261 §17.2.2", "Timer J over TCP is zero: the response ends the transaction", **INSTANT)
def timer_j_tcp(sim: Simulation) -> None:
    alice, bob = sim.peer("alice", TCP), sim.agent("bob")
    alice.call("bob").request("OPTIONS")
    alice.expect(200)
    sim.run(0.01)
    assert bob.engine.snapshot()["transactions"] == 0


@scenario("RFC 4320 §4.2", "A request that nobody answers is forgotten in the end, and no 408 is sent", **INSTANT)
def request_forgotten(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    call = alice.call("bob")
    call.request("INVITE", body=b"v=0\r\n")
    call.ack(alice.expect(200))
    sim.run(0.1)
    bob.last.manual = True
    call.request("INFO")
    sim.run(1000)
    assert not alice.arrivals(408)
    assert bob.last.state == "active"
    assert bob.engine.snapshot()["transactions"] == 0
    call.request("BYE")
    alice.expect(200, "BYE")


@scenario("RFC 3261 §17.2.4", "A response that meets nobody ends its transaction", **INSTANT)
def response_undeliverable(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.agent("bob")
    alice.call("bob").request("OPTIONS")
    alice.transport.detach()
    sim.run(0.1)
    assert bob.engine.snapshot()["transactions"] == 0
    assert bob.engine.executor.counters["responses undeliverable"] == 1


@scenario("RFC 3261 §9.1", "A CANCEL without an answer to it or to the INVITE ends after 32 s with 487", **INSTANT)
def cancel_unanswered(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 180, to_tag="t")
    sim.run(1)
    call.hangup()
    cancel = bob.expect("CANCEL")
    assert cancel.via.branch == invite.via.branch
    assert cancel.cseq.number == invite.cseq.number
    assert cancel.to_tag is None
    sim.run(31.9)
    assert not call.ended
    sim.run(0.2)
    assert call.ended


@scenario("RFC 3261 §9.1", "A second CANCEL of one INVITE is not sent, and an answered one is not cancelled", **INSTANT)
def cancel_twice(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect("INVITE")
    bob.respond(invite, 200, to_tag="t", body=b"v=0\r\n")
    bob.expect("ACK")
    call.reinvite()
    again = bob.expect("INVITE")
    call.cancel()
    call.cancel()
    sim.run(1)
    assert not bob.arrivals("CANCEL"), "no provisional response yet"
    bob.respond(again, 100)
    cancel = bob.expect("CANCEL")
    bob.respond(cancel, 200)
    bob.respond(again, 487)
    bob.expect("ACK")
    assert len(bob.arrivals("CANCEL")) == 1
    assert call.last("reinvite_failed").fields["code"] == 487
    call.hangup()
    bob.respond(bob.expect("BYE"), 200)
