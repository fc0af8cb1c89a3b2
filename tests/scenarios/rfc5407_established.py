"""RFC 5407 §3.2 and appendix B, BYE against everything else in a dialog that is up. See ``rfc5407.py`` for the names."""

from __future__ import annotations

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import (
    ANSWER,
    OTHER,
    Bridge,
    called,
    joined,
    news,
    they_call,
    they_called,
    variants,
    we_called,
)  # fmt: skip

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
    assert call.heard == ["answered", "reinvite_failed", "hung_up"]


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
    assert call.heard == ["answered", "hung_up"]


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
        assert call.state == "lingering"
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
    assert call.heard[-2:] == ["reinvite_cancelled", "hung_up"]


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
