"""What a phone does by itself: offers and answers by its media, requests inside the call, and what it leaves to its program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calltable.adapters.sip.message.body import Content
from calltable.assembly import Refused
from calltable.phone.softphone import CALLEE, CALLER
from calltable.simulation import Simulation
from calltable.simulation.agents import AgentCall
from calltable.simulation.rawpeers import RawCall
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, OTHER, called, in_both_roles, over, they_call

if TYPE_CHECKING:
    from calltable.simulation.rawpeers import RawPeer


class NoMedia:
    """A media that can describe and take nothing."""

    def offer(self, host, done, *, held):
        done(None, "there is no sound card")

    def answer(self, offer, host, done, *, held):
        done(None, "no codec in common")

    def take(self, answer):
        pass


class Deaf(NoMedia):
    """A media that never says anything."""

    def offer(self, host, done, *, held):
        self.done = done

    answer = offer


@scenario("RFC 3261 §8.2.1, §8.2.5", "A phone takes INFO, MESSAGE, NOTIFY and OPTIONS inside the call, and refuses with 405 what it does not know")
@in_both_roles
def phone_takes_requests(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    for method, code in (("INFO", 200), ("MESSAGE", 200), ("NOTIFY", 200), ("OPTIONS", 200), ("REFER", 405), ("BANANA", 405)):
        dialog.request(method)
        peer.expect(code, method)
        assert call.last("request").fields["method"] == method, "its program is told"
    over(sim, call, peer, dialog)


@scenario("RFC 3311 §5.2", "A phone answers an UPDATE that carries an offer by its media, and one without by an empty 200")
@in_both_roles
def phone_answers_updates(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    dialog.request("UPDATE", body=OFFER)
    assert b"s=-" in peer.expect_response(200, "UPDATE").body
    assert call.remote == OFFER
    dialog.request("UPDATE")
    assert peer.expect_response(200, "UPDATE").body == b""
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §14.2, RFC 3311 §5.2", "An offer that the phone's media cannot take: 488 to a re-INVITE and to an UPDATE, and the call goes on as it was")
@in_both_roles
def phone_cannot_take_the_offer(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.media = NoMedia()
    dialog.request("UPDATE", body=OFFER)
    peer.expect(488, "UPDATE")
    dialog.request("INVITE", body=OTHER)
    dialog.ack(peer.expect_response(488, "INVITE"))
    sim.run(0.1)
    assert call.state == "active"
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §13.2.2.4", "Our re-INVITE without an offer gets one that the media cannot take: the 2xx is acknowledged all the same, then BYE")
@in_both_roles
def phone_cannot_take_the_late_offer(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.media = NoMedia()
    call.reinvite(offer=False)
    dialog.respond(peer.expect_request("INVITE"), 200, body=OFFER)
    peer.expect("ACK")
    dialog.respond(peer.expect_request("BYE"), 200)


@scenario("RFC 3261 §13.2.1, §14.1", "Our re-INVITE without an offer gets one: the phone's answer goes in the ACK")
@in_both_roles
def phone_answers_in_the_ack(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.reinvite(offer=False)
    again = peer.expect_request("INVITE")
    dialog.respond(again, 180)
    sim.run(0.1)
    assert call.last("progress").code == 180, "a re-INVITE may ring as well"
    dialog.respond(again, 200, body=OFFER)
    assert b"s=-" in peer.expect_request("ACK").body
    assert call.remote == OFFER
    over(sim, call, peer, dialog)


@scenario("RFC 3264 §8.4", "A phone puts its peer on hold and takes it back; a hold that fails leaves it as it was")
@in_both_roles
def phone_holds(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    held = call.session.variables
    for command, code, now in (("user.hold", 500, False), ("user.hold", 200, True), ("user.resume", 491, True), ("user.resume", 200, False)):
        call.command(command, {"message": None})
        if code == 491:  # glare: the leg tries again, and gives up after three times
            for _ in range(3):
                dialog.respond(peer.expect_request("INVITE"), 491)
                peer.expect("ACK")
        else:
            dialog.respond(peer.expect_request("INVITE"), code, body=ANSWER if code == 200 else b"")
            peer.expect("ACK")
        sim.run(0.1)
        held = call.session.variables
        assert (held["held"], held["wanted"]) == (now, now)
    over(sim, call, peer, dialog)


@scenario("design: a command that cannot be carried out says so", "A hold without a media, and a hold while a re-INVITE is under way, are refused")
@in_both_roles
def phone_hold_refused(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    media, call.media = call.media, NoMedia()
    with pytest.raises(Refused, match="there is no sound card"):
        call.command("user.hold", {"message": None})
    call.media = media
    call.reinvite()
    with pytest.raises(Refused, match="not in a state to do this"):
        call.command("user.reinvite", {"message": None, "offer": False})
    assert not call.session.variables["wanted"]
    dialog.respond(peer.expect_request("INVITE"), 200, body=ANSWER)
    peer.expect("ACK")
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §14.2", "An attended call: the program has the media answer a re-INVITE; without one that waits there is nothing to accept")
@in_both_roles
def phone_attended(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.manual = True
    dialog.request("INVITE", body=OTHER)
    sim.run(1)
    assert call.state == "reinvited", "nobody has answered yet"
    call.command("user.accept", {"message": None})
    answer = peer.expect_response(200, "INVITE")
    assert b"s=-" in answer.body
    dialog.ack(answer)
    sim.run(0.1)
    with pytest.raises(Refused, match="no INVITE waits"):
        call.command("user.accept", {"message": None})
    over(sim, call, peer, dialog)


@scenario("RFC 3261 §13.2.2.4", "An attended call without an offer: the program gives the answer for the ACK itself")
def phone_attended_late_offer(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"), offer=False, manual=True)
    dialog = RawCall.of(bob, bob.expect_request("INVITE"), "alice")
    dialog.respond(dialog.incoming, 200, body=OFFER)
    sim.run(0.1)
    assert call.state == "acknowledging"
    call.acknowledge(ANSWER)
    assert bob.expect_request("ACK").body == ANSWER
    over(sim, call, bob, dialog)


def placed(sim: Simulation, media: object = None) -> AgentCall:
    """A call whose offer the media has to make first."""
    alice = sim.agents.get("alice") or sim.agent("alice")
    call = AgentCall(alice, manual=False, placed=True)
    alice.calls.append(call)
    call.media = media or call.media
    call.begin(CALLER, {
        "target": sim.uri("bob"), "message": Content(), "offer": True, "describe": True, "from": "sip:alice@10.0.0.9", "own": None,
        "attended": False,
    })  # fmt: skip
    return call


@scenario("RFC 3261 §13.2.1", "The media makes the offer of an INVITE; until it has, commands are refused and a hang-up sends nothing")
def phone_prepares_the_offer(sim: Simulation) -> None:
    bob = sim.peer("bob")
    call = placed(sim)
    with pytest.raises(Refused, match="being prepared"):
        call.reinvite()
    invite = bob.expect_request("INVITE")
    assert b"o=alice" in invite.body
    bob.respond(invite, 486, to_tag="x")
    bob.expect("ACK")
    given_up = placed(sim, Deaf())
    given_up.hangup()
    assert given_up.ended
    given_up.media.done(b"v=0\r\n", "")
    none = placed(sim, NoMedia())
    assert (none.ended, none.last("failed").code) == (True, 500)
    slow = placed(sim, Deaf())
    sim.run(33)
    assert (slow.ended, slow.last("failed").code) == (True, 500)
    assert bob.arrivals("INVITE") == [0.005]


@scenario("design: a call that is not started", "A phone's call that nobody starts ends by hang-up or by itself, and refuses everything else")
def idle_phones(sim: Simulation) -> None:
    alice = sim.agent("alice")
    for machine in (CALLER, CALLEE):
        for how in ("hangup", "forgotten"):
            call = AgentCall(alice, manual=True, placed=True)
            call.adopt(alice.engine.executor.create(machine, call))
            with pytest.raises(Refused, match="there is no leg yet"):
                call.ring()
            if how == "hangup":
                call.hangup()
            else:
                sim.run(33)
            assert call.ended


@scenario("design: a call that breaks", "Something in a phone's call breaks: its program is told, and the leg hangs up")
@in_both_roles
def phone_fails(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.executor.dispatch(call.session, "engine.failed", {"reason": "a test"})
    assert call.heard[-1] == "hung_up"
    assert call.ended
    dialog.respond(peer.expect_request("BYE"), 200)


@scenario("RFC 3261 §13.3.1.3", "An incoming call whose offer the media cannot take gets 488")
def phone_cannot_take_the_call(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.media = NoMedia()
    call.command("user.accept", {"message": None})
    dialog.ack(alice.expect_response(488, "INVITE"))


@scenario("RFC 5407 §3.1.2", "A phone that gave up while the 200 was on its way: ACK and BYE, and its program hears of no answer")
def phone_gives_up_too_late(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 180)
    sim.run(0.1)
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    call.hangup()
    bob.expect("CANCEL")
    bob.expect("ACK")
    dialog.respond(bob.expect_request("BYE"), 200)
    assert "answered" not in call.heard


@scenario("RFC 3261 §9.2", "A re-INVITE is cancelled while the media still looks for an answer: what comes too late is dropped, and the session stays as it was")
@in_both_roles
def phone_answers_too_late(sim: Simulation, call: AgentCall, peer: RawPeer, dialog: RawCall) -> None:
    call.answers_after = 1.0
    held = call.local, call.remote
    for body in (OTHER, ANSWER):
        dialog.request("INVITE", body=body)
        sim.run(0.2)
        dialog.cancel()
        peer.expect(200, "CANCEL")
        dialog.ack(peer.expect_response(487, "INVITE"))
    sim.run(2)
    assert (call.local, call.remote) == held
    assert "command_refused" not in call.heard
    over(sim, call, peer, dialog)
