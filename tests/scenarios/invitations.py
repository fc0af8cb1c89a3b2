"""How an INVITE ends before it is answered: a CANCEL that names it and one that does not, its own Expires; and what a re-INVITE says meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, OTHER, Bridge, in_both_roles, joined, they_call, variants

if TYPE_CHECKING:
    from calltable.simulation import Simulation
    from calltable.simulation.agents import AgentCall
    from calltable.simulation.rawpeers import RawCall, RawPeer


@scenario("RFC 3261 §9.2, §17.2.3", "A CANCEL with the branch of an INVITE, and another Call-ID, From tag, Request-URI or number, cancels nothing: 481")
def a_cancel_that_names_another_request(sim: Simulation) -> None:
    for what, sub in variants(sim, ("Call-ID", "From tag", "Request-URI", "CSeq number")):
        alice, dialog, call = they_call(sub)
        call.ring()
        alice.expect(180)
        invite = dialog.invite
        assert invite is not None
        cseq, uri = invite.cseq.number, invite.uri
        before = dialog.call_id, dialog.local_tag
        if what == "Call-ID":
            dialog.call_id = "another"
        elif what == "From tag":
            dialog.local_tag = "another"
        elif what == "Request-URI":
            uri = uri.replace("bob", "carol")
        else:
            cseq += 1
        dialog.request("CANCEL", cseq=cseq, branch=invite.via.branch, uri=uri)
        alice.expect(481, "CANCEL")
        assert call.state == "early"
        dialog.call_id, dialog.local_tag = before
        call.reject(486)
        dialog.ack(alice.expect_response(486))


@scenario("RFC 3261 §9.2", "The answer to a CANCEL has the To tag of the answer to its INVITE: while it rings, after the 487, after a failure, after a 404 without a leg")
def the_answer_to_a_cancel_has_the_invites_tag(sim: Simulation) -> None:
    for phase, sub in variants(sim, ("ringing", "refused", "no such user")):
        if phase == "no such user":
            sub.b2bua()
            alice = sub.peer("alice")
            dialog = alice.call("b2bua", sub.uri("b2bua", "nobody"))
            dialog.request("INVITE", body=OFFER)
            tag = alice.expect_response(404).to_tag
        else:
            alice, dialog, call = they_call(sub)
            call.ring()
            tag = alice.expect_response(180).to_tag
            if phase == "refused":
                call.reject(486)
                assert alice.expect_response(486).to_tag == tag
        dialog.cancel()
        assert alice.expect_response(200, "CANCEL").to_tag == tag
        if phase == "ringing":
            assert alice.expect_response(487).to_tag == tag
        sub.run(0.1)
        final = next(m for _, m in reversed(alice.times) if m.cseq.method == "INVITE")
        dialog.ack(final)


@scenario("RFC 3261 §13.3.1", "An INVITE with Expires that nobody answers in time ends with 487; answered in time, the call goes on")
def an_invitation_expires(sim: Simulation) -> None:
    for phase, sub in variants(sim, ("incoming", "ringing", "answering", "answered")):
        alice, bob = sub.peer("alice"), sub.agent("bob")
        dialog = alice.call("bob")
        dialog.request("INVITE", body=OFFER, headers={"Expires": "5"})
        sub.until(lambda bob=bob: bob.calls)
        call = bob.last
        if phase == "ringing":
            call.ring()
        elif phase in ("answering", "answered"):
            call.answer()
            success = alice.expect_response(200, "INVITE")
            if phase == "answered":
                dialog.ack(success)
            sub.run(6)
            if phase == "answering":
                dialog.ack(alice.expect_response(200, "INVITE"))
            dialog.request("BYE")
            alice.expect(200, "BYE")
            continue
        refused = alice.expect_response(487)
        assert 5 <= sub.now < 5.1
        dialog.ack(refused)
        assert call.last("cancelled").fields["by"] == "expired"


@scenario("RFC 3261 §13.3.1", "The Expires of an INVITE through the B2BUA: the caller gets 487, the callee a CANCEL; odd values count as none")
def an_invitation_expires_b2bua(sim: Simulation) -> None:
    bridge = Bridge(sim, headers={"Expires": "5"})
    bridge.ring()
    bridge.a.ack(bridge.alice.expect_response(487))
    bridge.b.respond(bridge.bob.expect_request("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")
    for odd in ("", "soon", "-1", "5, 6"):
        call = bridge.alice.call("b2bua", sim.uri("b2bua", "bob"))
        call.request("INVITE", body=OFFER, headers={"Expires": odd})
        invite = bridge.bob.expect_request("INVITE")
        bridge.bob.respond(invite, 100)
        sim.run(20)
        bridge.bob.respond(invite, 486, to_tag="x")
        bridge.bob.expect("ACK")
        call.ack(bridge.alice.expect_response(486))


@scenario("RFC 3261 §13.3.1", "A re-INVITE that nobody answers within its Expires ends with 487 and the call stays; the time of one does not end the next")
@in_both_roles
def a_reinvite_expires(sim: Simulation, call: AgentCall, alice: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    dialog.request("INVITE", body=OTHER, headers={"Expires": "5"})
    dialog.ack(alice.expect_response(487))
    assert call.heard[-1] == "reinvite_cancelled"
    for expires in ({"Expires": "5"}, {"Expires": "5"}, {}):
        dialog.request("INVITE", body=OTHER, headers=expires)
        sim.run(3)
        assert call.state == "reinvited"
        call.answer()
        dialog.ack(alice.expect_response(200, "INVITE"))
        sim.run(0.1)
    dialog.request("INVITE", body=OTHER, headers={"Expires": "5"})
    sim.run(1)
    call.answer()
    dialog.ack(alice.expect_response(200, "INVITE"))
    sim.run(10)
    dialog.request("BYE")
    alice.expect(200, "BYE")


@scenario("RFC 3261 §13.3.1", "Through the B2BUA, a re-INVITE of either side that expires is cancelled on the other, and its 487 comes back")
def a_reinvite_expires_b2bua(sim: Simulation) -> None:
    bridge = joined(sim)
    sides = ((bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice))
    for one, peer, other, far in sides:
        one.request("INVITE", body=OTHER, headers={"Expires": "5"})
        again = far.expect_request("INVITE")
        other.respond(again, 100)
        other.respond(far.expect_request("CANCEL"), 200)
        other.respond(again, 487)
        far.expect("ACK")
        one.ack(peer.expect_response(487))
        sim.run(10)
    bridge.hangup()


@scenario("RFC 3261 §14.1", "A re-INVITE rings on the other side: its 180 passes, either way, with early media; 100 stays where it is")
def a_reinvite_rings_through(sim: Simulation) -> None:
    bridge = joined(sim)
    sides = ((bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice))
    for one, peer, other, far in sides:
        one.request("INVITE", body=OTHER)
        again = far.expect_request("INVITE")
        other.respond(again, 100)
        other.respond(again, 180)
        assert peer.expect_response(180, "INVITE").to_tag == one.remote_tag
        other.respond(again, 183, body=ANSWER)
        assert peer.expect_response(183, "INVITE").body == ANSWER
        other.respond(again, 200, body=ANSWER)
        one.ack(peer.expect_response(200, "INVITE"))
        far.expect("ACK")
        sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3261 §14.1", "The caller hangs up while a re-INVITE rings: the late 18x goes nowhere")
def a_reinvite_rings_too_late(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INVITE", body=OTHER)
    again = bridge.bob.expect_request("INVITE")
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.a.ack(bridge.alice.expect_response(487))
    bridge.b.respond(again, 180)
    bridge.b.respond(bridge.bob.expect_request("BYE"), 200)
    bridge.b.respond(again, 487)
    bridge.bob.expect("ACK")
    assert not bridge.alice.arrivals(180, "INVITE")[1:]


@scenario("RFC 3326", "The operator ends all calls: BYEs, and the CANCEL of a call that rings, say why")
def a_drain_says_why(sim: Simulation) -> None:
    bridge = joined(sim)
    second = bridge.alice.call("b2bua", sim.uri("b2bua", "bob"))
    second.request("INVITE", body=OFFER)
    invite = bridge.bob.expect_request("INVITE")
    bridge.bob.respond(invite, 180, to_tag="x")
    sim.run(0.1)
    sim.servers["b2bua"].hangup('we "close"')
    reason = 'SIP;cause=503;text="we \\"close\\""'
    for end, peer in ((bridge.a, bridge.alice), (bridge.b, bridge.bob)):
        bye = peer.expect_request("BYE")
        assert bye.get("reason") == reason
        end.respond(bye, 200)
    cancel = bridge.bob.expect_request("CANCEL")
    assert cancel.get("reason") == reason
    bridge.bob.respond(cancel, 200, to_tag="x")
    bridge.bob.respond(invite, 487, to_tag="x")
    bridge.bob.expect("ACK")
    second.ack(bridge.alice.expect_response(480))
