"""Calls that would stay for ever: a leg that asks whether its peer is still there, and a call that may last only so long."""

from __future__ import annotations

import pytest

from calltable.simulation import Simulation
from calltable.simulation.agents import AgentCall
from calltable.simulation.rawpeers import RawCall, RawPeer
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import OTHER, in_both_roles, joined, over

CHECKED = {"liveness_check": True, "liveness": 60.0}


@scenario("RFC 3261 §11.2", "A leg asks at its pace with OPTIONS in the dialog; whatever answers is alive, 405 and 501 too", config=CHECKED)
@in_both_roles
def liveness_answered(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    began, last = sim.now, 0
    for status in (200, 405, 501, 200):
        options = peer.expect_request("OPTIONS", within=70)
        assert options.to_tag == dialog.local_tag
        assert options.cseq.number > last
        last = options.cseq.number
        dialog.respond(options, status)
    assert peer.arrivals("OPTIONS") == pytest.approx([began + 60 * n for n in (1, 2, 3, 4)], abs=0.3)
    assert call.state == "active"
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §12.2.1.2", "A peer that says nothing to OPTIONS in the dialog is gone: BYE after 32 s, and the owner is told", config=CHECKED)
@in_both_roles
def liveness_silent(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    peer.expect("OPTIONS", within=70)
    asked = sim.now
    bye = peer.expect_request("BYE", within=40)
    assert sim.now - asked == pytest.approx(32, abs=0.5)
    dialog.respond(bye, 200)
    sim.run(0.1)
    assert call.ended
    assert call.last("hung_up").fields["by"] == "failure"


@scenario("RFC 3261 §12.2.1.2", "481 or 408 to OPTIONS in the dialog: it is gone, and gets a BYE", config=CHECKED)
@in_both_roles
def liveness_unknown(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    dialog.respond(peer.expect_request("OPTIONS", within=70), 481)
    dialog.respond(peer.expect_request("BYE"), 481)
    sim.run(0.1)
    assert call.ended


@scenario("RFC 3261 §8.1.3.1", "No way to the peer: once is forgiven, twice in a row ends the call", config=CHECKED)
@in_both_roles
def liveness_unreachable(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    dialog.respond(peer.expect_request("OPTIONS", within=70), 200)
    sim.run(1)
    peer.transport.detach()
    sim.run(100)
    assert call.state == "active"
    sim.run(60)
    assert call.ended


@scenario("RFC 3261 §8.1.3.1", "A peer that was away for one OPTIONS and answers the next is as if it had never been away", config=CHECKED)
@in_both_roles
def liveness_back(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    away = "10.99.99.99"
    home = dialog.peer.contact
    for round_ in range(3):
        dialog.request("INVITE", body=OTHER, headers={"Contact": f"<sip:x@{away}:5060>"}, contact=False)
        dialog.ack(peer.expect_response(200, "INVITE"))
        sim.run(65)  # an OPTIONS finds nobody there
        dialog.request("INVITE", body=OTHER, headers={"Contact": home}, contact=False)
        dialog.ack(peer.expect_response(200, "INVITE"))
        dialog.respond(peer.expect_request("OPTIONS", within=70), 200)
        sim.run(0.1)
        assert call.state == "active", round_
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §14", "While a re-INVITE is under way nothing is asked, and an answer that comes meanwhile changes nothing", config=CHECKED)
@in_both_roles
def liveness_within_reinvite(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    first = peer.expect_request("OPTIONS", within=70)
    dialog.request("INVITE", body=OTHER)
    sim.run(0.1)
    dialog.respond(first, 481)
    sim.run(65)
    assert len(peer.arrivals("OPTIONS")) == 1
    call.answer()
    dialog.ack(peer.expect_response(200, "INVITE"))
    dialog.respond(peer.expect_request("OPTIONS", within=70), 200)
    sim.run(0.1)
    assert call.state == "active"
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §15.1.1", "The answer to OPTIONS, and its timer, come while the BYE waits for its own answer", config={**CHECKED, "liveness": 20.0})
@in_both_roles
def liveness_within_bye(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    options = peer.expect_request("OPTIONS", within=30)
    call.hangup()
    bye = peer.expect_request("BYE")
    dialog.respond(options, 200)
    sim.run(25)
    assert len({request.cseq.number for _, request in peer.times if getattr(request, "method", "") == "OPTIONS"}) == 1
    dialog.respond(bye, 200)
    sim.run(0.1)
    assert call.ended


@scenario("race: a call without end", "A connected call is ended on both sides after max_duration", config={"max_duration": 7200.0})
def max_duration(sim: Simulation) -> None:
    bridge = joined(sim)
    sim.run(7000)
    assert not bridge.alice.arrivals("BYE")
    sim.run(250)
    bridge.alice_gets_bye()
    bridge.bob_gets_bye()
    assert bridge.alice.arrivals("BYE")[0] == pytest.approx(7200, abs=1)


@scenario("race: a call without end", "Answered, acknowledged, and then nobody is there any more: the OPTIONS ends the call on both sides", config=CHECKED)
def held_for_ever(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.b.respond(bridge.bob.expect_request("OPTIONS", within=70), 200)
    bridge.bob_gets_bye()  # alice was silent for 32 s
    bridge.alice_gets_bye()
    assert sim.now < 100
