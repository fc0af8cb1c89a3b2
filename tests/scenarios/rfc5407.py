"""RFC 5407 §3.1 and appendix A, the races while a dialog is set up: as the caller's side, as the callee's, and as a B2BUA between.

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
    they_call,
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
    assert call.heard == ["incoming", "confirmed", "hung_up"]


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
    assert call.heard == ["incoming", "hung_up"]


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
    assert call.heard == ["incoming", "hung_up"]


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
