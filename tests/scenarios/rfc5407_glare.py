"""RFC 5407 §3.3 (requests that cross) and appendices C, D and E. See ``rfc5407.py`` for the names."""

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
    joined,
    news,
    talking,
    they_called,
    we_called,
)  # fmt: skip

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
