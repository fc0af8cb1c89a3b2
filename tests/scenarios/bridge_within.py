"""The B2BUA between a raw caller and a raw callee: what passes inside the dialog, and how a call ends."""

from __future__ import annotations

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, OTHER, Bridge, agree, is_, joined, talking, variants

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


@scenario("RFC 4320 §4.2", "A request that the other side does not answer, or answers with 408, gets no answer here: a 408 would come too late; the call stays")
def request_not_answered(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INFO")
    sim.run(40)
    bridge.a.request("INFO")
    bridge.bob.inbox.clear()
    bridge.b.respond(bridge.bob.expect_request("INFO"), 408)
    sim.run(1)
    assert not bridge.alice.arrivals(408)
    assert sim.servers["b2bua"].calls
    bridge.bob.inbox.clear()
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


# --------------------------------------------------------------------------- why it ends


@scenario("RFC 3326", "The Reason of a BYE reaches the other side, with what else its sender had to say, from either side")
def reason_of_bye_passes(sim: Simulation) -> None:
    why = {"Reason": 'Q.850;cause=16;text="Normal call clearing"', "X-Bill": "42"}
    for side, sub in variants(sim, ("caller", "callee")):
        bridge = joined(sub)
        near, far, ended = (
            (bridge.a, bridge.bob, bridge.b) if side == "caller" else (bridge.b, bridge.alice, bridge.a)
        )
        near.request("BYE", headers=why)
        bye = far.expect_request("BYE")
        assert {name: bye.get(name.lower()) for name in why} == why
        ended.respond(bye, 200)


@scenario("RFC 3326", "The Reason of a CANCEL reaches the callee, at once or with the CANCEL that had to wait; nothing else of it does")
def reason_of_cancel_passes(sim: Simulation) -> None:
    why = 'SIP;cause=200;text="Call completed elsewhere"'
    for ringing, sub in variants(sim, (True, False)):
        bridge = Bridge(sub)
        if ringing:
            bridge.ring()
        bridge.a.cancel(headers={"Reason": why, "X-Hop": "1"})
        bridge.alice.expect(200, "CANCEL")
        bridge.a.ack(bridge.alice.expect(487))
        if not ringing:
            bridge.b.respond(bridge.invite, 180)
        cancel = bridge.bob.expect_request("CANCEL")
        assert (cancel.get("reason"), cancel.get("x-hop")) == (why, None)
        bridge.b.respond(cancel, 200)
        bridge.b.respond(bridge.invite, 487)
        bridge.bob.expect("ACK")


@scenario("RFC 3326", "A re-INVITE that gets 481 ends the call; the other side's BYE says so as a Reason")
def reason_of_failure(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.b.request("INVITE", body=OTHER)
    bridge.a.respond(bridge.alice.expect_request("INVITE"), 481)
    bridge.alice.expect("ACK")
    bridge.b.ack(bridge.bob.expect(481, "INVITE"))
    bye = bridge.bob.expect_request("BYE")
    assert (bye.get("reason") or "").startswith("SIP;cause=481")
    bridge.b.respond(bye, 200)
    bridge.alice_gets_bye()
