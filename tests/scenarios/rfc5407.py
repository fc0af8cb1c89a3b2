"""RFC 5407, the races of a SIP dialog: each section with us as the caller's side, as the callee's side, and as a B2BUA between.

Names end in ``_caller`` where our agent placed the call, in ``_callee`` where it was called, and in ``_b2bua``. The other side is a
raw peer, which makes the race happen exactly as drawn in the RFC.
"""

from __future__ import annotations

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import (
    ANSWER,
    OFFER,
    OTHER,
    Bridge,
    agree,
    called,
    is_,
    joined,
    news,
    talking,
    they_call,
    they_called,
    variants,
    we_called,
)  # fmt: skip

# --------------------------------------------------------------------------- §3.1.1


@scenario("RFC 5407 §3.1.1", "A repeated INVITE crosses the 200 (the 180 was lost): it is no second call")
def repeated_invite_meets_200_callee(sim: Simulation) -> None:
    sim.network.drop_next(is_("SIP/2.0 100"))
    sim.network.drop_next(is_("SIP/2.0 180"))
    alice, dialog, call = they_call(sim)
    call.ring()
    call.answer()
    dialog.again(dialog.invite)
    dialog.ack(alice.expect(200))
    sim.run(1)
    assert len(alice.arrivals(200)) == 1
    assert call.confirmed
    assert len(sim.agents["bob"].calls) == 1
    call.hangup()
    dialog.respond(alice.expect("BYE"), 200)


@scenario("RFC 5407 §3.1.1", "Our repeated INVITE crosses the 200; the repeated 200 is acknowledged again, once the call is up")
def repeated_invite_meets_200_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    sim.run(0.499)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("INVITE")
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("ACK")
    bob.expect("ACK")
    assert call.heard == ["answered"]
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 5407 §3.1.1", "Through a B2BUA: the caller's repeated INVITE is neither relayed nor a second call")
def repeated_invite_meets_200_b2bua(sim: Simulation) -> None:
    sim.network.drop_next(is_("SIP/2.0 180"), 2)
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 180)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.a.again(bridge.a.invite)
    bridge.a.ack(bridge.alice.expect(200))
    sim.run(2)
    assert len(bridge.bob.arrivals("INVITE")) == 1
    bridge.hangup()


# --------------------------------------------------------------------------- §3.1.2


@scenario("RFC 5407 §3.1.2", "Our CANCEL crosses the 200: it is acknowledged, then ended with BYE")
def cancel_crosses_200_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 180)
    sim.run(1)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    call.hangup()
    dialog.respond(bob.expect("CANCEL"), 200)
    ack, bye = bob.expect("ACK"), bob.expect("BYE")
    assert ack.cseq.number < bye.cseq.number
    dialog.respond(bye, 200)
    sim.run(0.1)
    assert call.ended
    assert "answered" not in call.heard


@scenario("RFC 5407 §3.1.2", "Our CANCEL crosses the 200 of a callee that knows no better than 481: the same")
def cancel_crosses_200_answered_481_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 180)
    sim.run(1)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    call.hangup()
    dialog.respond(bob.expect("CANCEL"), 481)
    bob.expect("ACK")
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 5407 §3.1.2", "A CANCEL that comes after our 200 is answered with 200 and changes nothing")
def cancel_crosses_200_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.ring()
    sim.run(1)
    dialog.cancel()
    call.answer()
    alice.expect(200, "CANCEL")
    assert not alice.arrivals(487)
    dialog.ack(alice.expect(200, "INVITE"))
    dialog.request("BYE")
    alice.expect(200, "BYE")
    assert call.heard == ["incoming", "confirmed", "hungup"]


@scenario("RFC 5407 §3.1.2", "Through a B2BUA, the CANCEL comes after the 200 passed: caller ACKs and hangs up, the callee hears it")
def cancel_crosses_200_a_side_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    sim.run(0.006)
    bridge.a.cancel()
    bridge.alice.expect(200, "CANCEL")
    bridge.a.ack(bridge.alice.expect(200, "INVITE"))
    assert not bridge.bob.arrivals("CANCEL")
    bridge.hangup()


@scenario("RFC 5407 §3.1.2", "Through a B2BUA, its own CANCEL crosses the 200: 487 to the caller, ACK and BYE to the callee")
def cancel_crosses_200_b_side_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.a.cancel()
    sim.run(0.007)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.alice.expect(200, "CANCEL")
    bridge.a.ack(bridge.alice.expect(487))
    bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
    bridge.bob.expect("ACK")
    bridge.bob_gets_bye()
    assert not bridge.alice.arrivals(200, "INVITE")


# --------------------------------------------------------------------------- §3.1.3, appendix A


@scenario("RFC 5407 §3.1.3", "A BYE in the early dialog crosses our 200: BYE gets 200, the late ACK is absorbed")
def early_bye_crosses_200_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.ring()
    dialog.learn(alice.expect(180))
    bye = dialog.request("BYE")
    call.answer()
    success = alice.expect(200, "INVITE")
    alice.expect(200, "BYE")
    dialog.ack(success)
    sim.run(5)
    assert len(alice.arrivals(200, "INVITE")) == 1
    assert bye.cseq.number == 2
    assert call.heard == ["incoming", "hungup"]


@scenario("RFC 5407 §3.1.3", "The callee hangs up before its 200 reached us: BYE gets 200, the late 200 is acknowledged, no call begins")
def bye_overtakes_200_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 180)
    held = sim.network.hold_next(is_("SIP/2.0 200", "INVITE"))
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    dialog.request("BYE")
    bob.expect(200, "BYE")
    held.release()
    bob.expect("ACK")
    assert "answered" not in call.heard
    assert call.last("failed").fields["code"] == 480


@scenario("RFC 5407 §3.1.3", "Through a B2BUA: the caller's early BYE crosses the callee's 200; both sides are over")
def early_bye_crosses_200_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.a.request("BYE")
    sim.run(0.006)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.alice.expect(200, "BYE")
    bridge.a.ack(bridge.alice.expect(487))
    bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
    bridge.bob.expect("ACK")
    bridge.bob_gets_bye()


@scenario("RFC 5407 appendix A", "A BYE in the early dialog before any final response: 200 to it, 487 to the INVITE")
def bye_in_early_dialog_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.ring()
    dialog.learn(alice.expect(180))
    dialog.request("BYE")
    alice.expect(200, "BYE")
    dialog.ack(alice.expect(487))
    assert call.last("cancelled").fields["by"] == "remote"


@scenario("RFC 5407 appendix A", "Through a B2BUA: the caller's early BYE cancels the callee")
def bye_in_early_dialog_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.a.ack(bridge.alice.expect(487))
    bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


# --------------------------------------------------------------------------- §3.1.4, §3.1.5, §3.1.6


@scenario("RFC 5407 §3.1.4", "A re-INVITE comes before the ACK (lost): 491, the late ACK is taken, the next try succeeds")
def reinvite_before_ack_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.answer()
    success = alice.expect(200)
    dialog.learn(success)
    dialog.request("INVITE", body=OTHER)
    dialog.ack(alice.expect(491))
    dialog.ack(success)
    sim.run(0.1)
    assert call.confirmed
    dialog.request("INVITE", body=OTHER)
    dialog.ack(alice.expect(200))
    sim.run(0.1)
    assert call.remote == OTHER
    call.hangup()
    dialog.respond(alice.expect("BYE"), 200)


@scenario("RFC 5407 §3.1.4", "Our ACK is lost and our re-INVITE gets 491: the repeated 200 gets its ACK, the re-INVITE another try")
def reinvite_before_ack_caller(sim: Simulation) -> None:
    sim.network.drop_next(is_("ACK"))
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    sim.until(lambda: call.state == "active")
    call.reinvite(OTHER)
    again = bob.expect("INVITE")
    dialog.respond(again, 491)
    assert bob.expect("ACK").cseq.number == 2
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    assert bob.expect("ACK").cseq.number == 1
    begun = sim.now
    again = bob.expect("INVITE")
    assert 2.0 <= sim.now - begun <= 4.1, "we own the Call-ID: 2.1 to 4 s"
    dialog.respond(again, 200, body=ANSWER)
    bob.expect("ACK")
    assert call.local == OTHER
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 5407 §3.1.4", "Through a B2BUA: the caller's ACK is lost, its re-INVITE comes first; in the end both hold the new session")
def reinvite_before_ack_b2bua(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    call = alice.call(sim.uri("b2bua", "bob"))
    sim.network.drop_next(lambda d, s, _: d.startswith(b"ACK") and s.host == sim.addresses["alice"].host)
    bob.incoming_call = lambda incoming: incoming.answer()
    sim.until(lambda: call.state == "active")
    call.reinvite()
    wanted = call.offered
    sim.run(10)
    agree(call, bob.last)
    assert call.local == wanted
    sim.finish(hangup=True)


@scenario("RFC 5407 §3.1.5", "The 200 had the offer, the ACK with the answer is late, a re-INVITE comes first: 491, then established")
def reinvite_before_answer_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim, offer=False)
    call.answer()
    success = alice.expect(200)
    dialog.learn(success)
    dialog.request("INVITE", body=OTHER)
    dialog.ack(alice.expect(491))
    dialog.ack(success, body=ANSWER)
    sim.run(0.1)
    assert call.confirmed
    assert call.remote == ANSWER
    call.hangup()
    dialog.respond(alice.expect("BYE"), 200)


@scenario("RFC 5407 §3.1.5", "Our ACK with the answer is lost: each repetition of the 200 gets it again; a 500 to the re-INVITE leaves the call up")
def reinvite_before_answer_caller(sim: Simulation) -> None:
    sim.network.drop_next(is_("ACK"))
    call, bob, dialog = called(sim, offer=False)
    dialog.respond(dialog.incoming, 200, body=OFFER)
    sim.until(lambda: call.state == "active")
    call.reinvite()
    dialog.respond(bob.expect("INVITE"), 500, headers={"Retry-After": "3"})
    bob.expect("ACK")
    dialog.respond(dialog.incoming, 200, body=OFFER)
    assert bob.expect("ACK").body == call.local
    assert call.remote == OFFER
    assert call.last("reinvite_failed").fields["code"] == 500
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 5407 §3.1.5", "Through a B2BUA, late offer, the caller's ACK lost, re-INVITE first: both hold the same session in the end")
def reinvite_before_answer_b2bua(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    call = alice.call(sim.uri("b2bua", "bob"), offer=False)
    sim.network.drop_next(lambda d, s, _: d.startswith(b"ACK") and s.host == sim.addresses["alice"].host)
    bob.incoming_call = lambda incoming: incoming.answer()
    sim.until(lambda: call.state == "active")
    call.reinvite()
    sim.run(10)
    agree(call, bob.last)
    sim.finish(hangup=True)


@scenario("RFC 5407 §3.1.6", "The ACK was lost and the BYE comes: 200; the 200 to INVITE is repeated until its ACK, and makes no new call")
def bye_after_lost_ack_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.answer()
    success = alice.expect(200)
    dialog.learn(success)
    dialog.request("BYE")
    alice.expect(200, "BYE")
    alice.expect(200, "INVITE")
    dialog.ack(success)
    sim.run(20)
    assert len(alice.arrivals(200, "INVITE")) == 2
    assert call.heard == ["incoming", "hungup"]


@scenario("RFC 5407 §3.1.6", "Our ACK was lost and we hang up: the repeated 200 is acknowledged though the dialog is over")
def bye_after_lost_ack_caller(sim: Simulation) -> None:
    sim.network.drop_next(is_("ACK"))
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    sim.until(lambda: call.state == "active")
    call.hangup()
    bye = bob.expect("BYE")
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    dialog.respond(bye, 200)
    bob.expect("ACK")
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("ACK")
    assert call.ended
    assert call.heard == ["answered"]


@scenario("RFC 5407 §3.1.6", "Through a B2BUA: the caller's ACK was lost, it hangs up: the callee hears it, the 200 finds its ACK later")
def bye_after_lost_ack_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    success = bridge.alice.expect(200)
    bridge.bob.expect("ACK")
    bridge.a.learn(success)
    bridge.hangup()
    bridge.alice.expect(200, "INVITE")
    bridge.a.ack(success)


# --------------------------------------------------------------------------- §3.2.1, §3.2.2


@scenario("RFC 5407 §3.2.1", "BYE crosses BYE: both get 200, and the call ends once (we placed it)")
def bye_crosses_bye_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.hangup()
    dialog.request("BYE")
    bye = bob.expect("BYE")
    bob.expect(200, "BYE")
    dialog.respond(bye, 200)
    sim.run(0.1)
    assert call.ended
    assert call.heard == ["answered"]


@scenario("RFC 5407 §3.2.1", "BYE crosses BYE: both get 200, and the call ends once (we were called)")
def bye_crosses_bye_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    dialog.request("BYE")
    call.hangup()
    bye = alice.expect("BYE")
    alice.expect(200, "BYE")
    dialog.respond(bye, 481)
    sim.run(0.1)
    assert call.ended
    assert call.heard == ["incoming", "confirmed"]


@scenario("RFC 5407 §3.2.1", "Through a B2BUA: both sides hang up at once; four BYEs, four times 200")
def bye_crosses_bye_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("BYE")
    bridge.b.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.bob.expect(200, "BYE")
    sim.run(0.1)
    byes = [m for m in (*bridge.alice.inbox, *bridge.bob.inbox) if getattr(m, "method", "") == "BYE"]
    for bye in byes:
        (bridge.a if bye in bridge.alice.inbox else bridge.b).respond(bye, 200)


@scenario("RFC 5407 §3.2.1", "Through a B2BUA: its relayed BYE crosses the BYE of the other side")
def bye_crosses_relayed_bye_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("BYE")
    sim.run(0.006)
    bridge.b.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.bob.expect(200, "BYE")
    bridge.bob_gets_bye()
    sim.run(1)
    assert not news(bridge.alice)


@scenario("RFC 5407 §3.2.2", "A re-INVITE meets our BYE: 481 (we placed the call)")
def reinvite_meets_bye_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.hangup()
    dialog.request("INVITE", body=OTHER)
    bye = bob.expect("BYE")
    dialog.ack(bob.expect(481))
    dialog.respond(bye, 200)
    assert "reinvite" not in call.heard


@scenario("RFC 5407 §3.2.2", "A re-INVITE meets our BYE: 481 (we were called)")
def reinvite_meets_bye_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    call.hangup()
    dialog.request("INVITE", body=OTHER)
    bye = alice.expect("BYE")
    dialog.ack(alice.expect(481))
    dialog.respond(bye, 200)


@scenario("RFC 5407 §3.2.2", "Our re-INVITE meets the peer's BYE: 200 to the BYE, its 481 is acknowledged, the call is over (we placed it)")
def our_reinvite_meets_bye_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    dialog.request("BYE")
    call.reinvite()
    again = bob.expect("INVITE")
    bob.expect(200, "BYE")
    dialog.respond(again, 481)
    bob.expect("ACK")
    sim.run(0.1)
    assert call.ended
    assert call.heard == ["answered", "reinvite_failed", "hungup"]


@scenario("RFC 5407 §3.2.2", "Our re-INVITE meets the peer's BYE and is never answered: the leg does not wait for ever (we were called)")
def our_reinvite_meets_bye_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    dialog.request("BYE")
    call.reinvite()
    alice.expect("INVITE")
    alice.expect(200, "BYE")
    sim.run(33)
    assert call.ended


@scenario("RFC 5407 §3.2.2", "Through a B2BUA: the caller's re-INVITE crosses the callee's BYE; both sides are over, every request answered")
def reinvite_meets_bye_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INVITE", body=OTHER)
    bridge.b.request("BYE")
    bridge.bob.expect(200, "BYE")
    again = bridge.bob.expect("INVITE", within=1)
    bridge.b.respond(again, 481)
    bridge.bob.expect("ACK")
    bye = bridge.alice.expect("BYE")
    bridge.a.respond(bye, 200)
    final = bridge.alice.expect(487, "INVITE")
    bridge.a.ack(final)


# --------------------------------------------------------------------------- §3.2.3, §3.2.4, appendix B


@scenario("RFC 5407 §3.2.3", "The 200 to our re-INVITE meets our BYE: it is acknowledged though the dialog is over")
def reinvite_200_meets_bye_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.reinvite()
    again = bob.expect("INVITE")
    dialog.respond(again, 200, body=ANSWER)
    call.hangup()
    bye = bob.expect("BYE")
    assert bob.expect("ACK").cseq.number == again.cseq.number
    dialog.respond(bye, 200)
    sim.run(0.1)
    assert call.ended


@scenario("RFC 5407 §3.2.3", "The peer hangs up while our re-INVITE waits, its 200 comes after the BYE: acknowledged in the dead dialog")
def reinvite_200_after_bye_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.reinvite()
    again = bob.expect("INVITE")
    dialog.request("BYE")
    bob.expect(200, "BYE")
    dialog.respond(again, 200, body=ANSWER)
    bob.expect("ACK")
    sim.run(0.1)
    assert call.ended


@scenario("RFC 5407 §3.2.3", "The peer's BYE meets our 200 to its re-INVITE: 200, over; its ACK comes to nobody and harms nobody")
def reinvite_200_meets_bye_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    dialog.request("INVITE", body=OTHER)
    success = alice.expect(200, "INVITE")
    dialog.request("BYE")
    alice.expect(200, "BYE")
    dialog.ack(success)
    sim.run(1)
    assert call.ended
    assert len(alice.arrivals(200, "INVITE")) == 2


@scenario("RFC 5407 §3.2.3", "Through a B2BUA: the callee's 200 to the caller's re-INVITE crosses the caller's BYE")
def reinvite_200_meets_bye_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INVITE", body=OTHER)
    again = bridge.bob.expect("INVITE")
    bridge.a.request("BYE")
    bridge.b.respond(again, 200, body=ANSWER)
    bridge.alice.expect(200, "BYE")
    bridge.bob.expect("ACK")
    bridge.bob_gets_bye()
    sim.run(0.1)
    finals = news(bridge.alice)
    assert len(finals) == 1, "the re-INVITE has exactly one final response"
    bridge.a.ack(finals[0])


@scenario("RFC 5407 §3.2.4", "The callee hangs up at once, its BYE crosses our ACK: 200, over")
def ack_meets_bye_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    dialog.request("BYE")
    bob.expect("ACK")
    bob.expect(200, "BYE")
    assert call.heard == ["answered", "hungup"]


@scenario("RFC 5407 §3.2.4", "Hanging up before the ACK waits for it: no BYE crosses an ACK that is under way")
def ack_meets_bye_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.answer()
    call.hangup()
    success = alice.expect(200)
    sim.run(0.3)
    assert not alice.arrivals("BYE")
    dialog.ack(success)
    dialog.respond(alice.expect("BYE"), 200)


@scenario("RFC 5407 §3.2.4", "Through a B2BUA: the callee hangs up before the caller's ACK has come; the caller's BYE waits for it")
def ack_meets_bye_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    bridge.b.request("BYE")
    bridge.bob.expect(200, "BYE")
    success = bridge.alice.expect(200)
    sim.run(0.2)
    assert not bridge.alice.arrivals("BYE")
    bridge.a.ack(success)
    bridge.alice_gets_bye()


@scenario("RFC 5407 appendix B", "We hang up while our re-INVITE waits and it gets 487: acknowledged, over")
def bye_overlaps_reinvite_caller(sim: Simulation) -> None:
    for final, sub in variants(sim, (487, 481, 491)):
        call, bob, dialog = we_called(sub)
        call.reinvite()
        again = bob.expect("INVITE")
        dialog.respond(again, 100)
        call.hangup()
        bye = bob.expect("BYE")
        dialog.respond(again, final)
        bob.expect("ACK")
        dialog.respond(bye, 200)
        sub.run(0.1)
        assert call.ended


@scenario("RFC 5407 appendix B", "We hang up while our re-INVITE waits; the BYE is answered first, then the re-INVITE")
def bye_answered_before_reinvite_callee(sim: Simulation) -> None:
    for final, sub in variants(sim, (487, 200)):
        alice, dialog, call = they_called(sub)
        call.reinvite()
        again = alice.expect("INVITE")
        call.hangup()
        dialog.respond(alice.expect("BYE"), 200)
        sub.run(0.1)
        assert call.state == "mortal"
        dialog.respond(again, 100)
        dialog.respond(again, final)
        alice.expect("ACK")
        sub.run(0.1)
        assert call.ended


@scenario("RFC 5407 appendix B", "The peer hangs up while its own re-INVITE waits: 487 to it, 200 to the BYE")
def peer_bye_overlaps_reinvite_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    dialog.request("BYE")
    alice.expect(200, "BYE")
    dialog.ack(alice.expect(487))
    assert call.heard[-2:] == ["reinvite_cancelled", "hungup"]


@scenario("RFC 5407 appendix B", "The same where we placed the call")
def peer_bye_overlaps_reinvite_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    dialog.request("BYE")
    bob.expect(200, "BYE")
    dialog.ack(bob.expect(487))
    assert call.ended


@scenario("RFC 5407 appendix B", "Through a B2BUA: the caller hangs up while its re-INVITE waits at the callee")
def bye_overlaps_reinvite_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INVITE", body=OTHER)
    again = bridge.bob.expect("INVITE")
    bridge.b.respond(again, 100)
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.a.ack(bridge.alice.expect(487))
    bye = bridge.bob.expect("BYE")
    bridge.b.respond(again, 487)
    bridge.bob.expect("ACK")
    bridge.b.respond(bye, 200)


# --------------------------------------------------------------------------- §3.3


@scenario("RFC 5407 §3.3.1", "Re-INVITE crosses re-INVITE: 491 both ways; as owner of the Call-ID we try again after 2.1 to 4 s")
def reinvite_crosses_reinvite_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.reinvite(OTHER)
    dialog.request("INVITE", body=OFFER)
    again = bob.expect("INVITE")
    dialog.ack(bob.expect(491))
    dialog.respond(again, 491)
    bob.expect("ACK")
    begun = sim.now
    again = bob.expect("INVITE")
    assert 2.09 <= sim.now - begun <= 4.01
    dialog.respond(again, 200, body=ANSWER)
    bob.expect("ACK")
    sim.run(0.1)
    assert (call.local, call.remote) == (OTHER, ANSWER)
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 5407 §3.3.1", "Re-INVITE crosses re-INVITE where the peer owns the Call-ID: we try again within 2 s")
def reinvite_crosses_reinvite_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    call.reinvite(OTHER)
    dialog.request("INVITE", body=OFFER)
    again = alice.expect("INVITE")
    dialog.ack(alice.expect(491))
    dialog.respond(again, 491)
    alice.expect("ACK")
    begun = sim.now
    again = alice.expect("INVITE")
    assert sim.now - begun <= 2.01
    dialog.respond(again, 200, body=ANSWER)
    alice.expect("ACK")
    sim.run(0.1)
    assert (call.local, call.remote) == (OTHER, ANSWER)
    call.hangup()
    dialog.respond(alice.expect("BYE"), 200)


@scenario("RFC 5407 §3.3.1", "Through a B2BUA: both ends re-INVITE at once, both hear 491, one comes through, and they agree")
def reinvite_crosses_reinvite_b2bua(sim: Simulation) -> None:
    call, other = talking(sim)
    call.reinvite()
    other.reinvite()
    sim.run(20)
    agree(call, other)
    assert {p.data.split(b" ")[1] for p in sim.packets("b2bua", "alice") if p.data.startswith(b"SIP")} >= {b"491"}
    assert {p.data.split(b" ")[1] for p in sim.packets("b2bua", "bob") if p.data.startswith(b"SIP")} >= {b"491"}
    sim.finish(hangup=True)


@scenario("RFC 5407 §3.3.2", "An UPDATE with an offer crosses our re-INVITE: 491 to it (RFC 3311 §5.2)")
def update_crosses_reinvite_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.reinvite(OTHER)
    again = bob.expect("INVITE")
    dialog.request("UPDATE", body=OFFER)
    bob.expect(491, "UPDATE")
    dialog.respond(again, 200, body=ANSWER)
    bob.expect("ACK")
    sim.run(0.1)
    assert call.local == OTHER
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 5407 §3.3.2", "An UPDATE with an offer comes while the peer's own re-INVITE waits: 500 with Retry-After (RFC 3311 §5.2)")
def update_after_reinvite_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    dialog.request("UPDATE", body=OFFER)
    assert 0 <= int(alice.expect(500, "UPDATE").get("retry-after")) <= 10
    call.answer()
    dialog.ack(alice.expect(200, "INVITE"))
    sim.run(0.1)
    call.hangup()
    dialog.respond(alice.expect("BYE"), 200)


@scenario("RFC 5407 §3.3.2", "Through a B2BUA: UPDATE crosses re-INVITE; each end's 491 reaches the other")
def update_crosses_reinvite_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INVITE", body=OTHER)
    bridge.b.request("UPDATE", body=OFFER)
    again, update = bridge.bob.expect("INVITE"), bridge.alice.expect("UPDATE")
    bridge.a.respond(update, 491)
    bridge.b.respond(again, 491)
    bridge.bob.expect("ACK")
    bridge.bob.expect(491, "UPDATE")
    bridge.a.ack(bridge.alice.expect(491, "INVITE"))
    bridge.hangup()


@scenario("RFC 5407 §3.3.3", "A REFER meets our BYE: 481, no transfer (we placed the call)")
def refer_meets_bye_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.hangup()
    dialog.request("REFER", headers={"Refer-To": "<sip:carol@10.0.0.7>"})
    bye = bob.expect("BYE")
    bob.expect(481, "REFER")
    dialog.respond(bye, 200)
    assert "request" not in call.heard


@scenario("RFC 5407 §3.3.3", "Our REFER meets the peer's BYE: its 481 is told, the call is over (we were called)")
def refer_meets_bye_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    dialog.request("BYE")
    call.request("REFER", headers={"Refer-To": "<sip:carol@10.0.0.7>"})
    alice.expect(200, "BYE")
    dialog.respond(alice.expect("REFER"), 481)
    sim.run(0.1)
    assert call.ended


@scenario("RFC 5407 §3.3.3", "Through a B2BUA: the callee's REFER meets the caller's BYE; both are answered, nothing is transferred")
def refer_meets_bye_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("BYE")
    sim.run(0.006)
    bridge.b.request("REFER", headers={"Refer-To": "<sip:carol@10.0.0.7>"})
    bridge.alice.expect(200, "BYE")
    bridge.bob.expect(481, "REFER")
    bridge.bob_gets_bye()
    assert not bridge.alice.arrivals("REFER")


# --------------------------------------------------------------------------- appendices C, D, E


@scenario("RFC 5407 appendix C", "Hanging up before any provisional response: the CANCEL waits for one")
def cancel_waits_for_provisional_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    call.hangup()
    sim.run(0.4)
    assert not bob.arrivals("CANCEL")
    dialog.respond(dialog.incoming, 180)
    dialog.respond(bob.expect("CANCEL"), 200)
    dialog.respond(dialog.incoming, 180)
    dialog.respond(dialog.incoming, 487)
    bob.expect("ACK")
    assert call.ended


@scenario("RFC 5407 appendix C", "Hanging up before any response, and the first one is the 200: ACK, BYE, no CANCEL")
def cancel_overtaken_by_200_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    call.hangup()
    sim.run(0.1)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("ACK")
    dialog.respond(bob.expect("BYE"), 200)
    assert not bob.arrivals("CANCEL")


@scenario("RFC 5407 appendix C", "Hanging up before any response, and the first one is a failure: ACK, over, no CANCEL")
def cancel_overtaken_by_failure_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    call.hangup()
    dialog.respond(dialog.incoming, 503)
    bob.expect("ACK")
    assert not bob.arrivals("CANCEL")
    assert call.ended


@scenario("RFC 5407 appendix C", "Through a B2BUA: the caller cancels before the callee has said anything; the CANCEL follows its first 1xx")
def cancel_waits_for_provisional_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.a.cancel()
    bridge.alice.expect(200, "CANCEL")
    bridge.a.ack(bridge.alice.expect(487))
    sim.run(0.2)
    assert not bridge.bob.arrivals("CANCEL")
    bridge.b.respond(bridge.invite, 100)
    bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


@scenario("RFC 5407 appendix D", "Requests that come after our BYE get 481, another BYE gets 200")
def requests_in_mortal_state_caller(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    call.hangup()
    bye = bob.expect("BYE")
    for method in ("INFO", "UPDATE", "MESSAGE", "OPTIONS", "NOTIFY", "BANANA"):
        dialog.request(method)
        bob.expect(481, method)
    dialog.request("BYE")
    bob.expect(200, "BYE")
    dialog.respond(bye, 200)


@scenario("RFC 5407 appendix D", "The same where we were called, and after the dialog has gone altogether")
def requests_in_mortal_state_callee(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    call.hangup()
    bye = alice.expect("BYE")
    dialog.request("INFO")
    alice.expect(481, "INFO")
    dialog.respond(bye, 200)
    sim.run(0.1)
    for method in ("INFO", "BYE", "UPDATE"):
        dialog.request(method)
        alice.expect(481, method)
    dialog.request("INVITE", body=OTHER)
    dialog.ack(alice.expect(481))


@scenario("RFC 5407 appendix E", "After our CANCEL, one fork answers 487 and another 200: the 200 is acknowledged and hung up")
def fork_answers_after_cancel_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 180)
    sim.run(0.1)
    call.hangup()
    dialog.respond(bob.expect("CANCEL"), 200)
    dialog.respond(dialog.incoming, 200, body=ANSWER, to_tag="fork")
    assert bob.expect("ACK").to_tag == "fork"
    bye = bob.expect("BYE")
    assert bye.to_tag == "fork"
    dialog.respond(bye, 200)
    dialog.respond(dialog.incoming, 200, body=ANSWER, to_tag="another")
    assert bob.expect("ACK").to_tag == "another"
    dialog.respond(bob.expect("BYE"), 200)
    assert call.ended


@scenario("RFC 5407 appendix E", "A fork that answers late: while it is hung up, what it asks gets 481, its own BYE 200")
def late_fork_is_a_stray(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    dialog.respond(dialog.incoming, 200, body=ANSWER, to_tag="fork")
    bob.expect("ACK")
    bye = bob.expect("BYE")
    main, dialog.local_tag = dialog.local_tag, "fork"
    dialog.request("INFO")
    bob.expect(481, "INFO")
    dialog.request("INVITE", body=OTHER)
    dialog.ack(bob.expect(481, "INVITE"))
    dialog.request("BYE")
    bob.expect(200, "BYE")
    dialog.respond(bye, 200)
    dialog.local_tag = main
    assert call.state == "active"
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("RFC 5407 appendix E", "Through a B2BUA: a second fork answers; it is acknowledged and hung up, the call goes on with the first")
def second_fork_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.b.respond(bridge.invite, 200, body=OTHER, to_tag="fork")
    assert bridge.bob.expect("ACK").to_tag == "fork"
    bye = bridge.bob.expect("BYE")
    assert bye.to_tag == "fork"
    bridge.bob.respond(bye, 200)
    sim.run(1)
    assert not news(bridge.alice)
    bridge.hangup()
