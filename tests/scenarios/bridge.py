"""The B2BUA between a raw caller and a raw callee: set-up, crossings, what passes inside the dialog, and how it ends."""

from __future__ import annotations

import pytest

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, OTHER, Bridge, agree, is_, joined, news, talking, variants

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


# --------------------------------------------------------------------------- re-INVITE


@scenario("RFC 3261 §14", "A re-INVITE of either side passes with its offer, its answer comes back, and the ACK stays on its own side")
def reinvite_passes(sim: Simulation) -> None:
    bridge = joined(sim)
    sides = ((bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice))
    for one, peer, other, far in sides:
        one.request("INVITE", body=OTHER, headers={"X-Hold": "yes"})
        again = far.expect_request("INVITE")
        assert (again.body, again.get("x-hold")) == (OTHER, "yes")
        other.respond(again, 183, body=ANSWER)
        other.respond(again, 200, body=ANSWER, headers={"X-Held": "yes"})
        assert not far.expect("ACK").body
        success = peer.expect_response(200, "INVITE")
        assert (success.body, success.get("x-held")) == (ANSWER, "yes")
        one.ack(success)
        sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §14", "A re-INVITE without an offer: the other side's offer in the 200, the answer in the ACK")
def late_offer_reinvite_passes(sim: Simulation) -> None:
    bridge = joined(sim)
    sides = ((bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice))
    for one, peer, other, far in sides:
        one.request("INVITE")
        again = far.expect_request("INVITE")
        assert not again.body
        other.respond(again, 200, body=OFFER)
        success = peer.expect_response(200, "INVITE")
        assert success.body == OFFER
        one.ack(success, body=ANSWER)
        assert far.expect("ACK").body == ANSWER
        sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §14.2", "A re-INVITE refused by one side is refused to the other with the same status; the call stays up")
def reinvite_refused(sim: Simulation) -> None:
    bridge = joined(sim)
    sides = ((bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice))
    for code in (488, 491, 500, 606):
        for one, peer, other, far in sides:
            one.request("INVITE", body=OTHER)
            other.respond(far.expect_request("INVITE"), code)
            far.expect("ACK")
            one.ack(peer.expect_response(code, "INVITE"))
            sim.run(0.1)
    bridge.a.request("INFO")
    bridge.b.respond(bridge.bob.expect_request("INFO"), 200)
    bridge.alice.expect(200, "INFO")
    bridge.hangup()


@scenario("RFC 3261 §12.2.1.2", "A re-INVITE that gets 481 or 408 ends the call: the dialog behind it is gone")
def reinvite_finds_dialog_gone(sim: Simulation) -> None:
    for code, sub in variants(sim, (481, 408)):
        bridge = joined(sub)
        bridge.a.request("INVITE", body=OTHER)
        bridge.b.respond(bridge.bob.expect_request("INVITE"), code)
        bridge.bob.expect("ACK")
        bridge.a.ack(bridge.alice.expect(code, "INVITE"))
        bridge.bob_gets_bye()
        bridge.alice_gets_bye()


@scenario("RFC 3261 §14.1", "A re-INVITE that nobody answers ends the call on both sides")
def reinvite_unanswered(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.b.request("INVITE", body=OTHER)
    bridge.alice.expect("INVITE")
    bridge.b.ack(bridge.bob.expect(408, "INVITE"))
    bridge.bob_gets_bye()
    bridge.alice_gets_bye()


@scenario("RFC 3261 §9.2", "A re-INVITE is withdrawn: the CANCEL passes, 487 comes back, the call stays as it was")
def reinvite_withdrawn(sim: Simulation) -> None:
    bridge = joined(sim)
    sides = ((bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice))
    for one, peer, other, far in sides:
        one.request("INVITE", body=OTHER)
        again = far.expect_request("INVITE")
        other.respond(again, 100)
        one.cancel()
        peer.expect(200, "CANCEL")
        other.respond(far.expect_request("CANCEL"), 200)
        other.respond(again, 487)
        far.expect("ACK")
        one.ack(peer.expect_response(487, "INVITE"))
        sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §9.2", "A re-INVITE is withdrawn too late: the other side's 200 stands for both, so they hold the same session")
def reinvite_withdrawn_too_late(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INVITE", body=OTHER)
    again = bridge.bob.expect("INVITE")
    bridge.b.respond(again, 100)
    bridge.a.cancel()
    sim.run(0.006)
    bridge.b.respond(again, 200, body=ANSWER)
    bridge.alice.expect(200, "CANCEL")
    bridge.a.ack(bridge.alice.expect(200, "INVITE"))
    bridge.bob.expect("ACK")
    sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §14.2", "Both sides re-INVITE inside the B2BUA at once: each gets 491 and nothing hangs")
def reinvite_glare_inside(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INVITE", body=OTHER)
    bridge.b.request("INVITE", body=OFFER)
    bridge.bob.expect("INVITE")
    bridge.alice.arrivals("INVITE")
    bridge.b.ack(bridge.bob.expect(491, "INVITE"))
    again = next(m for _, m in bridge.bob.times if getattr(m, "method", "") == "INVITE" and m.to_tag)
    bridge.b.respond(again, 491)
    bridge.bob.expect("ACK")
    bridge.a.ack(bridge.alice.expect(491, "INVITE"))
    sim.run(0.2)
    bridge.hangup()


@scenario("RFC 3261 §14.1", "491 and back-off on a leg of a user agent: three glares are enough, then the owner is told")
def glare_three_times(sim: Simulation) -> None:
    call, other = talking(sim)
    sim.network.add_filter(lambda d, s, t: None)
    other.manual = True
    call.reinvite()
    for _ in range(3):
        sim.until(lambda: other.state == "reinvited")
        other.reject(491)
        sim.run(0.1)
    sim.run(10)
    assert call.last("reinvite_failed").fields["code"] == 491
    assert other.heard.count("reinvite") == 3
    call.reinvite()
    sim.until(lambda: other.state == "reinvited")
    other.answer()
    sim.run(1)
    agree(call, other)
    sim.finish(hangup=True)


# --------------------------------------------------------------------------- other requests


@scenario("RFC 3261 §12.2", "INFO, UPDATE, MESSAGE, OPTIONS, REFER, NOTIFY and unknown methods pass both ways with body, fields and response")
def requests_pass(sim: Simulation) -> None:
    bridge = joined(sim)
    sides = ((bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice))
    for method in ("INFO", "UPDATE", "MESSAGE", "OPTIONS", "REFER", "NOTIFY", "BANANA"):
        for one, peer, other, far in sides:
            for code in (200, 202, 405, 500):
                one.request(method, body=b"hello", content_type="text/plain", headers={"X-One": "1", "Info-Package": "x"})
                request = far.expect_request(method)
                assert (request.body, request.get("x-one"), request.get("content-type")) == (b"hello", "1", "text/plain")
                assert request.get("info-package") == "x"
                other.respond(request, code, headers={"X-Two": "2"}, body=b"world")
                response = peer.expect_response(code, method)
                assert (response.body, response.get("x-two")) == (b"world", "2")
    bridge.hangup()


@scenario("RFC 3261 §12.2", "Several requests at once, answered in another order: each gets its own response")
def requests_out_of_order(sim: Simulation) -> None:
    bridge = joined(sim)
    sent = [bridge.a.request("INFO", headers={"X-Number": str(n)}) for n in range(3)]
    got = [bridge.bob.expect_request("INFO") for _ in sent]
    for request in reversed(got):
        bridge.b.respond(request, 200, headers={"X-Number": request.get("x-number") or ""})
    for _ in sent:
        response = bridge.alice.expect_response(200, "INFO")
        match = next(r for r in sent if r.cseq.number == response.cseq.number)
        assert response.get("x-number") == match.get("x-number")
    bridge.hangup()


@scenario("RFC 3261 §12.2.1.2", "A request that the other side does not answer gets 408, one whose other side is unreachable 503; the call stays")
def request_not_answered(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INFO")
    bridge.alice.expect(408, "INFO")
    sim.network.partition(sim.addresses["b2bua"], sim.addresses["bob"])
    sim.network.heal()
    bridge.b.target = ""
    assert sim.servers["b2bua"].calls
    bridge.hangup()


@scenario("RFC 3261 §12.2", "A request in an early dialog passes; one before there is a dialog on the other side gets 481")
def request_in_early_dialog(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.a.request("INFO", body=b"x", content_type="text/plain")
    bridge.b.respond(bridge.bob.expect_request("INFO"), 200)
    bridge.alice.expect(200, "INFO")
    bridge.b.request("UPDATE", body=OTHER)
    bridge.a.respond(bridge.alice.expect_request("UPDATE"), 200, body=ANSWER)
    bridge.bob.expect(200, "UPDATE")
    bridge.answer()
    bridge.hangup()


@scenario("RFC 3261 §12.2", "While the call waits for its ACK, requests of either side pass")
def request_before_ack(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    success = bridge.alice.expect(200)
    bridge.a.learn(success)
    bridge.b.request("INFO")
    bridge.a.respond(bridge.alice.expect_request("INFO"), 200)
    bridge.bob.expect(200, "INFO")
    bridge.a.request("INFO")
    bridge.b.respond(bridge.bob.expect_request("INFO"), 200)
    bridge.alice.expect(200, "INFO")
    bridge.a.ack(success)
    sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §15.1.2", "A request still waits at the far side when the call ends: it gets a final response all the same")
def request_open_at_the_end(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INFO")
    bridge.bob.expect("INFO")
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.alice.expect(481, "INFO")
    bridge.bob_gets_bye()


@scenario("RFC 3261 §15.1.2", "A request crosses the end of the call: 481 where it came, and it does not pass")
def request_meets_end(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bye = bridge.bob.expect("BYE")
    bridge.b.request("INFO")
    bridge.bob.expect(481, "INFO")
    bridge.b.respond(bye, 200)
    assert not bridge.alice.arrivals("INFO")


# --------------------------------------------------------------------------- ends


@scenario("RFC 3261 §15", "The BYE of either side passes with its Reason, and the other side's response stays there")
def hangup_passes(sim: Simulation) -> None:
    for first, sub in variants(sim, ("a", "b")):
        bridge = joined(sub)
        one, peer = (bridge.a, bridge.alice) if first == "a" else (bridge.b, bridge.bob)
        other, far = (bridge.b, bridge.bob) if first == "a" else (bridge.a, bridge.alice)
        one.request("BYE")
        peer.expect(200, "BYE")
        other.respond(far.expect_request("BYE"), 500)
        sub.run(0.1)
        assert not sub.servers["b2bua"].calls


@scenario("design: hang up the whole call", "The operator ends a call in each of its phases; both sides hear it and nothing stays")
def operator_hangs_up(sim: Simulation) -> None:
    for phase, sub in variants(sim, ("calling", "ringing", "answered", "connected", "closing")):
        bridge = Bridge(sub)
        if phase in ("ringing", "answered", "connected", "closing"):
            bridge.ring()
        if phase == "answered":
            bridge.b.respond(bridge.invite, 200, body=ANSWER)
            bridge.bob.expect("ACK")
        elif phase in ("connected", "closing"):
            bridge.answer()
        if phase == "closing":
            bridge.server.hangup()
            sub.run(0.01)
        bridge.server.hangup()
        if phase in ("calling", "ringing"):
            bridge.a.ack(bridge.alice.expect(480))
            bridge.b.respond(bridge.invite, 180)
            bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
            bridge.b.respond(bridge.invite, 487)
            bridge.bob.expect("ACK")
        else:
            bridge.bob_gets_bye()
            if phase == "answered":
                bridge.a.ack(bridge.alice.expect(200))
            bridge.alice_gets_bye()
        sub.run(0.1)
        assert not sub.servers["b2bua"].calls


@scenario("design: hang up the whole call", "The caller cancels while the BYE of the answered callee is under way: nothing is sent twice, both are over")
def cancel_and_callee_bye(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    held = sim.network.hold_next(is_("CANCEL"))
    bridge.a.cancel()
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.b.request("BYE")
    bridge.bob.expect(200, "BYE")
    held.release()
    bridge.alice.expect(200, "CANCEL")
    bridge.a.ack(bridge.alice.expect(200, "INVITE"))
    bridge.alice_gets_bye()
