"""The B2BUA between a raw caller and a raw callee: set-up, and CANCEL against everything it can cross."""

from __future__ import annotations

import pytest

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, OTHER, Bridge, joined, news, variants

# --------------------------------------------------------------------------- set-up


@scenario("RFC 3261 §13.2.1", "Late offer: the callee's offer reaches the caller in the 200, the caller's answer the callee in the ACK")
def late_offer(sim: Simulation) -> None:
    bridge = Bridge(sim, offer=False)
    assert not bridge.invite.body
    bridge.b.respond(bridge.invite, 200, body=OFFER)
    success = bridge.alice.expect(200)
    assert success.body == OFFER
    sim.run(0.2)
    assert not bridge.bob.arrivals("ACK"), "the ACK has to carry the answer"
    bridge.a.ack(success, body=ANSWER)
    assert bridge.bob.expect("ACK").body == ANSWER
    bridge.hangup()


@scenario("RFC 3261 §13.2.1", "Late offer, and the caller never acknowledges: the callee gets its ACK and a BYE all the same")
def late_offer_unacknowledged(sim: Simulation) -> None:
    bridge = Bridge(sim, offer=False)
    bridge.b.respond(bridge.invite, 200, body=OFFER)
    bridge.bob.expect("ACK")
    bridge.bob_gets_bye()
    bridge.alice_gets_bye()
    assert sim.now == pytest.approx(32, abs=0.2)


@scenario("RFC 3261 §13.2.1", "Late offer, and the callee hangs up before its ACK: acknowledged, 200 to its BYE, the caller ended after its ACK")
def late_offer_callee_hangs_up(sim: Simulation) -> None:
    bridge = Bridge(sim, offer=False)
    bridge.b.respond(bridge.invite, 200, body=OFFER)
    success = bridge.alice.expect(200)
    bridge.b.request("BYE")
    bridge.bob.expect("ACK")
    bridge.bob.expect(200, "BYE")
    bridge.a.ack(success, body=ANSWER)
    bridge.alice_gets_bye()


@scenario("RFC 3960", "Early media: the body of a 183 reaches the caller, several of them in order")
def early_media(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 183, body=ANSWER)
    assert bridge.alice.expect(183).body == ANSWER
    bridge.b.respond(bridge.invite, 180)
    assert not bridge.alice.expect(180).body
    bridge.b.respond(bridge.invite, 183, "Playing A Tune", body=OTHER)
    third = bridge.alice.expect(183)
    assert (third.reason, third.body) == ("Playing A Tune", OTHER)
    bridge.answer()
    bridge.hangup()


@scenario("RFC 3261 §16.7", "A 100 of the callee does not pass; the caller has one of its own at once")
def trying_does_not_pass(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 100, "Almost There")
    sim.run(1)
    assert [m.reason for _, m in bridge.alice.times] == ["Trying"]
    bridge.answer()
    bridge.hangup()


@scenario("RFC 3261 §13.2.2.4", "A fast 200 with no provisional response before it connects the call all the same")
def fast_200(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.answer()
    assert sim.engines["b2bua"].executor.counters["calls connected"] == 1
    bridge.hangup()


@scenario("RFC 3261 §13.2.2.3", "Every failure class of the callee reaches the caller as it is, with its body and header fields")
def every_failure(sim: Simulation) -> None:
    for code, sub in variants(sim, (300, 301, 302, 380, 400, 401, 403, 404, 407, 408, 410, 415, 422, 480, 481, 484, 486, 487, 488, 491, 494,
                 500, 501, 502, 503, 504, 505, 513, 580, 600, 603, 604, 606, 607)):
        bridge = Bridge(sub)
        if code % 2:
            bridge.ring()
        bridge.b.respond(bridge.invite, code, headers={"Warning": '399 b "x"', "WWW-Authenticate": 'Digest realm="b"'})
        bridge.bob.expect("ACK")
        final = bridge.alice.expect(code)
        assert final.get("warning") == '399 b "x"'
        assert final.get("www-authenticate") == 'Digest realm="b"'
        bridge.a.ack(final)


@scenario("RFC 3261 §21.4.4", "Nobody of that name: the route says 404, and no callee is bothered")
def no_route(sim: Simulation) -> None:
    sim.b2bua()
    alice = sim.peer("alice")
    call = alice.call("b2bua", sim.uri("b2bua", "nobody"))
    call.request("INVITE", body=OFFER)
    call.ack(alice.expect(404))


@scenario("RFC 3261 §17.1.4", "The callee's next hop is dead: 503 at once")
def dead_callee(sim: Simulation) -> None:
    sim.b2bua(routes={"bob": "sip:bob@10.9.9.9:5060"})
    alice = sim.peer("alice")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER)
    call.ack(alice.expect(503, within=1))


@scenario("RFC 3261 §8.1.2", "The callee's host cannot be found: 503, nothing leaves")
def unknown_callee_host(sim: Simulation) -> None:
    sim.b2bua(routes={"bob": "sip:bob@nowhere.example"})
    alice = sim.peer("alice")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER)
    call.ack(alice.expect(503, within=1))


@scenario("RFC 3261 §21.5.4", "More calls than allowed: 503 with Retry-After; the place is free again once a call is over")
def too_many_calls(sim: Simulation) -> None:
    sim.b2bua(max_calls=1)
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda incoming: incoming.answer()
    first = alice.call(sim.uri("b2bua", "bob"))
    sim.run(1)
    second = alice.call(sim.uri("b2bua", "bob"))
    sim.run(1)
    failed = second.last("failed").fields
    assert failed["code"] == 503
    assert failed["message"].get("retry-after") == "5"
    first.hangup()
    sim.run(1)
    third = alice.call(sim.uri("b2bua", "bob"))
    sim.run(1)
    assert third.state == "active"
    third.hangup()


@scenario("RFC 3261 §13.3.1.4", "The caller never acknowledges: after 32 s both sides get a BYE")
def caller_never_acknowledges(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    bridge.alice_gets_bye()
    bridge.bob_gets_bye()
    assert sim.now == pytest.approx(32, abs=0.2)


@scenario("RFC 3261 §13.3.1.4", "The caller vanishes after its INVITE: the callee is hung up, nothing stays")
def caller_vanishes(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.alice.transport.detach()
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    bridge.bob_gets_bye()


@scenario("RFC 3261 §15.1.1", "Both peers vanish in the middle of a call: a BYE to nobody ends each leg")
def both_vanish(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.bob.transport.detach()
    bridge.a.request("BYE")
    bridge.alice.transport.detach()
    sim.run(60)
    assert sim.engines["b2bua"].snapshot()["sessions"] == 0


@scenario("RFC 3261 §15.1.1", "The other side is silent when it is hung up: its leg ends after 32 s")
def silent_when_hung_up(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    sim.run(31.9)
    assert sim.servers["b2bua"].calls
    sim.run(0.3)
    assert not sim.servers["b2bua"].calls
    assert len(bridge.bob.arrivals("BYE")) == 11


# --------------------------------------------------------------------------- CANCEL


@scenario("RFC 3261 §9.2", "CANCEL while it rings: 200 and 487 to the caller, a CANCEL with the Reason to the callee")
def cancel_while_ringing(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    cancel = bridge.a.cancel()
    assert bridge.alice.expect(200, "CANCEL").via.branch == cancel.via.branch
    bridge.a.ack(bridge.alice.expect(487))
    cancel = bridge.bob.expect("CANCEL")
    assert cancel.via.branch == bridge.invite.via.branch
    assert cancel.uri == bridge.invite.uri
    bridge.b.respond(cancel, 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


@scenario("RFC 3261 §9.1", "CANCEL crosses each possible answer of the callee; both sides are over in the end, each time")
def cancel_crosses_each_answer(sim: Simulation) -> None:
    for code, sub in variants(sim, (180, 183, 200, 302, 404, 486, 487, 500, 503, 603)):
        bridge = Bridge(sub)
        bridge.b.respond(bridge.invite, 180)
        bridge.alice.expect(180)
        bridge.a.cancel()
        sub.run(0.006)
        bridge.b.respond(bridge.invite, code, body=ANSWER if code in (183, 200) else b"")
        bridge.alice.expect(200, "CANCEL")
        bridge.a.ack(bridge.alice.expect(487))
        if code < 200:
            bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
            bridge.b.respond(bridge.invite, 487)
            bridge.bob.expect("ACK")
        elif code == 200:
            bridge.bob.expect("ACK")
            bridge.bob_gets_bye()
        else:
            bridge.bob.expect("ACK")
        sub.run(5)
        assert not [m for m in news(bridge.alice) if getattr(m, "status", 200) >= 200]


@scenario("RFC 3261 §9.1", "The caller cancels while the callee's failure is on its way to the caller: the failure stands, CANCEL gets 200")
def cancel_crosses_relayed_failure(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.b.respond(bridge.invite, 486)
    sim.run(0.006)
    bridge.a.cancel()
    bridge.a.ack(bridge.alice.expect(486))
    bridge.alice.expect(200, "CANCEL")
    assert not bridge.bob.arrivals("CANCEL")


@scenario("RFC 3261 §9.2", "A CANCEL for no INVITE that is known gets 481")
def cancel_of_nothing(sim: Simulation) -> None:
    sim.b2bua()
    alice = sim.peer("alice")
    alice.call("b2bua").request("CANCEL", contact=False)
    alice.expect(481, "CANCEL")


@scenario("RFC 3261 §9.2", "A CANCEL with another branch than its INVITE's cancels nothing: 481, the call goes on")
def cancel_of_another_branch(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.a.request("CANCEL", cseq=1, contact=False)
    bridge.alice.expect(481, "CANCEL")
    bridge.answer()
    bridge.hangup()


@scenario("RFC 3261 §9.1", "A cancelled callee that answers neither: forgotten after 32 s, the caller knows since long")
def cancelled_callee_is_silent(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.a.cancel()
    bridge.a.ack(bridge.alice.expect(487))
    bridge.bob.expect("CANCEL")
    sim.run(33)
    assert not sim.servers["b2bua"].calls
