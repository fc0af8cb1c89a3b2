"""A leg of a user agent: what its owner may do when, hanging up in every state, and a peer that does what it should not."""

from __future__ import annotations

import pytest

from calltable.assembly import Refused
from calltable.simulation import Simulation
from calltable.simulation.agents import AgentCall
from calltable.simulation.rawpeers import RawCall, RawPeer
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import (
    ANSWER,
    OFFER,
    OTHER,
    called,
    called_second,
    in_both_roles,
    news,
    over,
    they_call,
    they_called,
    variants,
    we_called,
)  # fmt: skip


def refused(call: AgentCall, *commands: str) -> None:
    """Each command is refused by the table, and nothing happens."""
    fields = {
        "user.progress": {"code": 180, "message": None}, "user.answer": {"message": None},
        "user.reject": {"code": 486, "message": None}, "user.acknowledge": {"message": None},
        "user.reinvite": {"message": None, "offer": False}, "user.cancel": {},
        "user.request": {"method": "INFO", "message": None, "transaction": "x"},
    }  # fmt: skip
    before = call.state
    for command in commands:
        with pytest.raises(Refused) as caught:
            call.command(command, fields[command])
        assert caught.value.state == before
        assert caught.value.reason
    assert call.state == before


# --------------------------------------------------------------------------- commands


@scenario("design: illegal commands", "Before it is answered, a placed call takes no command but to hang up and, once early, to ask")
def commands_before_answer_caller(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.reinvite", "user.cancel", "user.request")
    dialog.respond(dialog.incoming, 180)
    sim.run(0.1)
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.reinvite", "user.cancel")
    handle = call.request("INFO", b"x")
    dialog.respond(bob.expect("INFO"), 200)
    sim.run(0.1)
    assert call.last("response").fields["transaction"] == handle
    call.hangup()
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.reinvite", "user.cancel", "user.request")
    call.hangup()
    dialog.respond(dialog.incoming, 180)
    dialog.respond(bob.expect("CANCEL"), 200)
    dialog.respond(dialog.incoming, 487)
    bob.expect("ACK")


@scenario("design: illegal commands", "Before and after it answers, an incoming call refuses what makes no sense, and says why")
def commands_before_answer_callee(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    refused(call, "user.acknowledge", "user.reinvite", "user.cancel", "user.request")
    call.ring()
    refused(call, "user.acknowledge", "user.reinvite", "user.cancel")
    dialog.learn(alice.expect(180))
    call.request("INFO", b"x")
    dialog.respond(alice.expect("INFO"), 200)
    sim.run(0.1)
    call.answer()
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.reinvite", "user.cancel")
    success = alice.expect(200)
    call.request("INFO", b"x")
    dialog.respond(alice.expect("INFO"), 200)
    dialog.ack(success)
    sim.run(0.1)
    over(sim, call, alice, dialog)


@scenario("design: illegal commands", "In a call that is up: nothing waits to be answered, acknowledged or cancelled")
@in_both_roles
def commands_while_active(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.cancel")
    call.reinvite()
    again = peer.expect_request("INVITE")
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.reinvite")
    dialog.respond(again, 488)
    peer.expect("ACK")
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    refused(call, "user.acknowledge", "user.reinvite", "user.cancel")
    call.ring(183)
    peer.expect(183)
    call.answer()
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.reinvite", "user.cancel")
    dialog.ack(peer.expect_response(200, "INVITE"))
    sim.run(0.1)
    over(sim, call, peer, dialog)


@scenario("design: illegal commands", "While the answer for the ACK is owed, and after the BYE, commands are refused; a request gets 481 from ourselves")
@in_both_roles
def commands_while_acknowledging_and_ending(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    call.reinvite(offer=False)
    dialog.respond(peer.expect_request("INVITE"), 200, body=OFFER)
    sim.run(0.1)
    assert call.state == "acknowledging"
    refused(call, "user.progress", "user.answer", "user.reject", "user.reinvite", "user.cancel")
    call.acknowledge()
    assert peer.expect_request("ACK").body == call.local
    call.hangup()
    refused(call, "user.progress", "user.answer", "user.reject", "user.acknowledge", "user.reinvite", "user.cancel")
    call.request("INFO")
    assert call.last("response").fields["code"] == 481
    dialog.respond(peer.expect_request("BYE"), 200)


@scenario("design: a leg that is not started", "A leg that nobody starts ends by hang-up or by itself, and refuses everything else")
def idle_legs(sim: Simulation) -> None:
    alice = sim.agent("alice")
    executor = alice.engine.executor
    for machine in ("leg/uac", "leg/uas"):
        for how in ("hangup", "forgotten"):
            call = AgentCall(alice, manual=True, placed=True)
            call.adopt(executor.create(machine, call))
            refused(call, "user.progress", "user.answer", "user.acknowledge", "user.reinvite")
            if how == "hangup":
                call.hangup()
            else:
                sim.run(33)
            assert call.ended


# --------------------------------------------------------------------------- hanging up in every state


@scenario("RFC 3261 §15", "Hanging up while the peer's re-INVITE waits: 487 to it, BYE")
@in_both_roles
def hangup_while_reinvited(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    call.hangup()
    dialog.ack(peer.expect_response(487, "INVITE"))
    dialog.respond(peer.expect_request("BYE"), 200)


@scenario("RFC 3261 §15", "Hanging up after accepting a re-INVITE waits for its ACK")
@in_both_roles
def hangup_while_reanswered(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    dialog.request("INVITE", body=OTHER)
    success = peer.expect_response(200, "INVITE")
    call.hangup()
    sim.run(0.4)
    assert not peer.arrivals("BYE")
    dialog.ack(success)
    dialog.respond(peer.expect_request("BYE"), 200)


@scenario("RFC 3261 §13.2.2.4", "Hanging up while the answer for the ACK is owed: ACK first, then BYE")
@in_both_roles
def hangup_while_acknowledging(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    call.reinvite(offer=False)
    dialog.respond(peer.expect_request("INVITE"), 200, body=OFFER)
    sim.run(0.1)
    call.hangup()
    peer.expect("ACK")
    dialog.respond(peer.expect_request("BYE"), 200)


@scenario("RFC 3261 §13.2.2.4", "The peer hangs up while we owe the answer for the ACK: ACK and 200")
@in_both_roles
def bye_while_acknowledging(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    call.reinvite(offer=False)
    dialog.respond(peer.expect_request("INVITE"), 200, body=OFFER)
    dialog.request("BYE")
    peer.expect(200, "BYE")
    peer.expect("ACK")
    assert call.last("hung_up").fields["by"] == "remote"


@scenario("RFC 3261 §13.2.2.4", "The owner never gives the answer for the ACK: after 32 s ACK and BYE")
@in_both_roles
def answer_for_ack_never_comes(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    call.reinvite(offer=False)
    dialog.respond(peer.expect_request("INVITE"), 200, body=OFFER)
    peer.expect("ACK")
    dialog.respond(peer.expect_request("BYE"), 200)
    assert call.last("hung_up").fields["by"] == "unacknowledged"


@scenario("RFC 5407 §3.2.3", "Hanging up while our re-INVITE is open, whatever its end: 200, 487, 491, or nothing for 32 s")
def hangup_while_reinviting(sim: Simulation) -> None:
    cases = [(role, final, order) for role in ("caller", "callee") for final in (200, 487, 491, 0) for order in ("first", "last")]
    for (role, final, order), sub in variants(sim, cases):
        if role == "caller":
            call, peer, dialog = we_called(sub)
        else:
            peer, dialog, call = they_called(sub)
        call.reinvite()
        again = peer.expect_request("INVITE")
        dialog.respond(again, 100)
        call.hangup()
        bye = peer.expect_request("BYE")
        if final and order == "first":
            dialog.respond(again, final, body=ANSWER if final == 200 else b"")
            peer.expect("ACK")
        dialog.respond(bye, 200)
        if final and order == "last":
            sub.run(0.1)
            dialog.respond(again, final, body=ANSWER if final == 200 else b"")
            peer.expect("ACK")
        sub.run(0.1 if final else 33)
        assert call.ended
        if not final:
            dialog.respond(again, 200, body=ANSWER)
            sub.run(1)


@scenario("RFC 3261 §15.1.2", "Every request that comes while a call is cancelled is answered: BYE 200, re-INVITE and others 481")
def requests_while_cancelling(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 180)
    sim.run(0.1)
    call.hangup()
    cancel = bob.expect("CANCEL")
    dialog.respond(dialog.incoming, 183)
    dialog.request("INVITE", body=OTHER)
    dialog.ack(bob.expect(481, "INVITE"))
    dialog.request("INFO")
    bob.expect(481, "INFO")
    dialog.request("BYE")
    bob.expect(200, "BYE")
    dialog.respond(cancel, 200)
    dialog.respond(dialog.incoming, 487)
    bob.expect("ACK")


@scenario("RFC 3261 §9.1", "A CANCEL crosses a second 18x: it is taken for what it is, and nothing is told")
def provisional_while_cancelling(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    call.hangup()
    dialog.respond(dialog.incoming, 180)
    cancel = bob.expect("CANCEL")
    dialog.respond(dialog.incoming, 183)
    call.hangup()
    dialog.respond(cancel, 200)
    dialog.respond(dialog.incoming, 487)
    bob.expect("ACK")
    assert call.heard == []


# --------------------------------------------------------------------------- a peer that does what it should not


@scenario("RFC 3261 §14.2", "A second re-INVITE while the first still waits: 500 with Retry-After")
@in_both_roles
def second_reinvite(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    first = dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    dialog.request("INVITE", body=OFFER)
    final = peer.expect_response(500, "INVITE")
    assert 0 <= int(final.get("retry-after") or -1) <= 10
    dialog.ack(final)
    call.answer()
    success = peer.expect_response(200, "INVITE")
    assert success.cseq.number == first.cseq.number
    dialog.ack(success)
    sim.run(0.1)
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §14.2", "A re-INVITE before the first INVITE is answered: 500 with Retry-After from a callee, 491 from a caller")
def reinvite_before_any_answer(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.ring()
    dialog.learn(alice.expect(180))
    first = dialog.invite
    dialog.request("INVITE", body=OTHER)
    dialog.ack(alice.expect(500))
    call.reject(603)
    final = alice.expect(603)
    dialog.invite = first
    dialog.ack(final)
    other, bob, theirs = called_second(sim)
    theirs.respond(theirs.incoming, 180)
    theirs.request("INVITE", body=OTHER)
    theirs.ack(bob.expect(491, "INVITE"))
    other.hangup()
    theirs.respond(bob.expect("CANCEL"), 200)
    theirs.respond(theirs.incoming, 487)
    bob.expect("ACK")


@scenario("RFC 3261 §12.1.2", "Requests of a callee that has not said anything yet: before there is a dialog they get 481")
def requests_before_any_dialog(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.request("INFO")
    bob.expect(481, "INFO")
    dialog.request("INVITE", body=OTHER)
    dialog.ack(bob.expect(481, "INVITE"))
    dialog.respond(dialog.incoming, 486)
    sim.run(0.1)
    bob.expect("ACK")
    assert call.ended


@scenario("RFC 3261 §9.2", "A re-INVITE is cancelled: 200 and 487, the call stays; a CANCEL after its 200 has no effect")
@in_both_roles
def reinvite_cancelled(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    dialog.cancel()
    peer.expect(200, "CANCEL")
    dialog.ack(peer.expect_response(487, "INVITE"))
    assert call.state == "active"
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    call.answer()
    dialog.cancel()
    peer.expect(200, "CANCEL")
    dialog.ack(peer.expect_response(200, "INVITE"))
    sim.run(0.1)
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §13.3.1.4", "The 200 to a re-INVITE is never acknowledged: BYE after 32 s")
@in_both_roles
def reinvite_unacknowledged(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    dialog.request("INVITE", body=OTHER)
    dialog.respond(peer.expect_request("BYE"), 200)
    assert call.last("hung_up").fields["by"] == "unacknowledged"


@scenario("RFC 3261 §14.2", "A re-INVITE that nobody answers is refused with 480 after four minutes; the call stays")
@in_both_roles
def reinvite_undecided(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    dialog.ack(peer.expect_response(480, "INVITE", within=250))
    assert call.state == "active"
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §14.1", "Three glares in a row are told to the owner; meanwhile another re-INVITE is refused, and a hang-up ends the wait")
@in_both_roles
def glares(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.reinvite(OTHER)
    for turn in range(3):
        dialog.respond(peer.expect_request("INVITE"), 491)
        peer.expect("ACK")
        sim.run(0.001)
        if turn == 0:
            refused(call, "user.reinvite")
    assert call.last("reinvite_failed").fields["code"] == 491
    call.reinvite(OTHER)
    dialog.respond(peer.expect_request("INVITE"), 491)
    peer.expect("ACK")
    call.hangup()
    bye = peer.expect_request("BYE")
    sim.run(5)
    dialog.respond(bye, 200)
    assert len(peer.arrivals("INVITE")) in (4, 5)


@scenario("RFC 3261 §14.1", "After a glare the peer's re-INVITE comes first: ours waits until that one is settled")
@in_both_roles
def glare_gives_way(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    call.reinvite(OTHER)
    dialog.respond(peer.expect_request("INVITE"), 491)
    peer.expect("ACK")
    dialog.request("INVITE", body=OFFER)
    sim.run(6)
    assert call.state == "reinvited"
    call.answer()
    sim.run(0.1)
    dialog.ack(peer.expect_response(200, "INVITE"))
    again = peer.expect_request("INVITE")
    assert again.body == OTHER
    dialog.respond(again, 200, body=ANSWER)
    peer.expect("ACK")
    sim.run(0.1)
    assert (call.local, call.remote) == (OTHER, ANSWER)
    over(sim, call, peer, dialog)


@scenario("RFC 3311 §5.2", "UPDATE with an offer: 491 while ours is open, 500 while the peer's waits, passed to the owner otherwise")
@in_both_roles
def update_and_offers(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    call.reinvite(OTHER)
    again = peer.expect_request("INVITE")
    dialog.request("UPDATE", body=OFFER)
    peer.expect(491, "UPDATE")
    dialog.respond(again, 200, body=ANSWER)
    peer.expect("ACK")
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    dialog.request("UPDATE", body=OFFER)
    peer.expect(500, "UPDATE")
    call.answer()
    success = peer.expect_response(200, "INVITE")
    dialog.request("UPDATE", body=OFFER)
    peer.expect(491, "UPDATE")
    dialog.ack(success)
    sim.run(0.1)
    assert "request" not in call.heard
    dialog.request("UPDATE", body=OFFER)
    sim.run(0.1)
    call.respond(200, ANSWER)
    assert peer.expect_response(200, "UPDATE").body == ANSWER
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §12.2.1.2", "Our re-INVITE gets 481: the dialog is gone, BYE")
@in_both_roles
def reinvite_gets_481(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.reinvite()
    dialog.respond(peer.expect_request("INVITE"), 481)
    peer.expect("ACK")
    dialog.respond(peer.expect_request("BYE"), 481)
    assert call.last("hung_up").fields["by"] == "failure"


@scenario("RFC 3261 §12.2.1.1", "A peer whose Contact is no address: requests to it fail with 503 here, and nothing hangs")
@in_both_roles
def unreachable_contact(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    dialog.request("INVITE", body=OTHER, contact=False, headers={"Contact": "<sip:x@nowhere.example>"})
    dialog.ack(peer.expect_response(200, "INVITE"))
    sim.run(0.1)
    call.request("INFO")
    assert call.last("response").fields["code"] == 503
    call.reinvite()
    assert call.last("reinvite_failed").fields["code"] == 503
    call.hangup()
    sim.run(0.1)
    assert call.ended


@scenario("RFC 3261 §17.1.1.2", "A transaction absorbs what comes after its end: late 1xx, 2xx after a failure, repeated finals")
def late_responses(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 486)
    bob.expect("ACK")
    dialog.respond(dialog.incoming, 180)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    sim.run(0.1)
    assert call.heard == ["failed"]
    assert not news(bob)


@scenario("RFC 3261 §17.1.4", "The peer's host goes away right after it failed the call, or while its 2xx is acknowledged")
def host_goes_away(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 486)
    sim.run(0.006)
    bob.transport.detach()
    sim.run(1)
    assert call.heard == ["failed"]
    other, dave, theirs = called_second(sim)
    theirs.respond(theirs.incoming, 200, body=ANSWER)
    sim.run(0.006)
    dave.transport.detach()
    sim.run(1)
    assert other.state == "active"
    other.hangup()
