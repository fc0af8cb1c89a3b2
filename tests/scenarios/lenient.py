"""What a peer gets wrong and a call survives, and what it may not get by with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OTHER, Bridge, joined, variants

if TYPE_CHECKING:
    from calltable.simulation import Simulation

ODD = {"Date": "Tue, 3 Nov 2026 08:00:00 UTC", "Session-Expires": "1800", "session-expires": "90"}


@scenario("RFC 3261 §8.2.2", "A 200, an ACK and a BYE with a malformed Date and a doubled header that nobody needs: taken all the same")
def faults_that_do_not_matter(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER, headers=ODD.items())
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"), headers=ODD.items())
    bridge.bob.expect("ACK")
    sim.run(0.1)
    bridge.a.request("BYE", headers=ODD.items())
    bridge.alice.expect(200, "BYE")
    bridge.bob_gets_bye()


@scenario("RFC 6141 §4.6", "A re-INVITE and an UPDATE that are refused move no target: the BYE goes where it went before")
def refused_requests_move_no_target(sim: Simulation) -> None:
    for method, sub in variants(sim, ("INVITE", "UPDATE")):
        bridge = joined(sub)
        elsewhere = sub.peer("elsewhere")
        bridge.a.request(method, body=OTHER, headers={"Contact": elsewhere.contact}, contact=False)
        bridge.b.respond(bridge.bob.expect_request(method), 488)
        refused = bridge.alice.expect(488, method)
        if method == "INVITE":
            bridge.bob.expect("ACK")
            bridge.a.ack(refused)
        bridge.b.request("BYE")
        bridge.bob.expect(200, "BYE")
        bridge.alice_gets_bye()
        assert not elsewhere.times


@scenario("RFC 3261 §12.2.2", "A re-INVITE that is accepted moves the target: the BYE goes to the new Contact")
def accepted_requests_move_the_target(sim: Simulation) -> None:
    bridge = joined(sim)
    elsewhere = sim.peer("elsewhere")
    bridge.a.request("INVITE", body=OTHER, headers={"Contact": elsewhere.contact}, contact=False)
    bridge.b.respond(bridge.bob.expect_request("INVITE"), 200, body=ANSWER)
    bridge.bob.expect("ACK")
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    sim.run(0.1)
    bridge.b.request("BYE")
    bridge.bob.expect(200, "BYE")
    elsewhere.respond(elsewhere.expect_request("BYE"), 200)


@scenario("RFC 3261 §9.2", "A CANCEL for the first INVITE, long answered, comes while a re-INVITE waits: it cancels nothing")
def late_cancel_of_the_first_invite(sim: Simulation) -> None:
    bridge = joined(sim)
    first = bridge.a.invite
    assert first is not None
    bridge.a.request("INVITE", body=OTHER)
    again = bridge.bob.expect_request("INVITE")
    bridge.a.request("CANCEL", cseq=first.cseq.number, branch=first.via.branch, uri=first.uri)
    bridge.alice.expect(200, "CANCEL")
    sim.run(0.5)
    assert not bridge.bob.arrivals("CANCEL")
    bridge.b.respond(again, 200, body=ANSWER)
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    bridge.bob.expect("ACK")
    sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §13.3.1.1", "The callee repeats its 180 every minute, as it should: the call is given up after three minutes all the same")
def ringing_for_ever(sim: Simulation) -> None:
    bridge = Bridge(sim)
    for _ in range(3):
        bridge.b.respond(bridge.invite, 180)
        sim.run(60)
    bridge.a.ack(bridge.alice.expect(408))
    bridge.b.respond(bridge.bob.expect_request("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


@scenario("RFC 4028 §8, §9", "Require: timer passes with Session-Expires, in the INVITE and in the 200; other tags of Require do not")
def session_timer_between_the_ends(sim: Simulation) -> None:
    bridge = Bridge(sim, headers={"Require": "timer", "Session-Expires": "1800;refresher=uac"})
    assert (bridge.invite.get("require"), bridge.invite.get("session-expires")) == ("timer", "1800;refresher=uac")
    bridge.b.respond(bridge.invite, 200, body=ANSWER, headers={"Require": "timer, 100rel", "Session-Expires": "1800;refresher=uac"})
    success = bridge.alice.expect_response(200, "INVITE")
    assert success.get("require") == "timer"
    bridge.a.ack(success)
    bridge.bob.expect("ACK")
    sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §13.2.2.4", "The 2xx has a Contact that cannot be reached: no ACK can leave, and the call ends on both sides")
def ack_has_nowhere_to_go(sim: Simulation) -> None:
    for contact, sub in variants(sim, ("<sip:bob@nowhere.example>", "<sip:bob@10.0.0.9;transport=ws>")):
        bridge = Bridge(sub)
        bridge.b.respond(bridge.invite, 200, body=ANSWER, headers={"Contact": contact}, contact=False)
        bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
        bridge.alice_gets_bye()
        sub.run(0.1)
        assert not bridge.server.calls


@scenario("RFC 3261 §17.2.4", "The caller's phone is gone and its port answers with ICMP: the callee stops ringing")
def caller_vanishes_while_it_rings(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.alice.transport.detach()
    bridge.b.respond(bridge.invite, 180)
    bridge.b.respond(bridge.bob.expect_request("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


@scenario("RFC 3261 §21.4.15, §21.4.16", "420 and 421 come with what they are about; 485 with its choices")
def failures_with_their_fields(sim: Simulation) -> None:
    fields = {420: ("Unsupported", "foo"), 421: ("Require", "100rel"), 485: ("Contact", "<sip:bob.smith@example.com>")}
    for code, sub in variants(sim, fields):
        name, value = fields[code]
        bridge = Bridge(sub)
        bridge.b.respond(bridge.invite, code, headers={name: value})
        bridge.bob.expect("ACK")
        final = bridge.alice.expect(code)
        assert final.get(name.lower()) == value
        bridge.a.ack(final)


@scenario("RFC 3261 §12.1", "A 180 without a tag makes no dialog: a request of the caller gets 481 and goes nowhere")
def no_tag_no_early_dialog(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.bob.send(f"SIP/2.0 180 Ringing\r\nVia: {bridge.invite.get('via')}\r\nFrom: {bridge.invite.get('from')}\r\nTo: {bridge.invite.get('to')}\r\n"
                    f"Call-ID: {bridge.invite.call_id}\r\nCSeq: {bridge.invite.get('cseq')}\r\nContent-Length: 0\r\n\r\n", "b2bua")  # fmt: skip
    bridge.a.learn(bridge.alice.expect_response(180))
    bridge.a.request("INFO")
    bridge.alice.expect(481, "INFO")
    bridge.answer()
    assert not bridge.bob.arrivals("INFO")
    bridge.hangup()
