"""Races and leaks that other call-control software had, each as a story that must end well here.

``RACES`` is the list: what went wrong, where it was seen, and the scenarios that show it cannot happen here, or what it needs that
calltable does not have yet. ``docs/races.md`` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from calltable.assembly import Refused
from calltable.simulation import Simulation
from tests.scenarios.catalogue import configured, scenario
from tests.scenarios.stories import (
    ANSWER,
    OFFER,
    OTHER,
    Bridge,
    agree,
    called,
    in_both_roles,
    news,
    over,
    talking,
    they_call,
    they_called,
    variants,
)  # fmt: skip


@scenario("race: ghost call", "A CANCEL that overtakes its INVITE gets 481; the INVITE that follows can still be cancelled properly")
def cancel_overtakes_invite(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.peer("alice"), sim.agent("bob")
    held = sim.network.hold_next(lambda data, _, __: data.startswith(b"INVITE"))
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER)
    call.cancel()
    alice.expect(481, "CANCEL")
    held.release()
    sim.until(lambda: bob.calls)
    bob.last.ring()
    call.learn(alice.expect(180))
    call.request("BYE")
    alice.expect(200, "BYE")
    call.ack(alice.expect(487))
    sim.run(1)
    assert bob.last.ended


@scenario("race: ghost call", "CANCEL right behind the INVITE, before anyone has looked at the call: the callee is never left ringing")
def cancel_right_behind_invite(sim: Simulation) -> None:
    for delay, sub in variants(sim, (0.0, 0.001, 0.004, 0.0051, 0.0101)):
        sub.b2bua()
        alice, bob = sub.peer("alice"), sub.agent("bob")
        bob.incoming_call = lambda call: call.ring() if not call.ended else None
        call = alice.call("b2bua", sub.uri("b2bua", "bob"))
        call.request("INVITE", body=OFFER)
        sub.run(delay)
        call.cancel()
        alice.expect(200, "CANCEL")
        call.ack(alice.expect(487))
        sub.run(2)
        assert all(one.ended for one in bob.calls)


@scenario("race: CANCEL behind NAT", "A CANCEL from another port than its INVITE still finds it: the Via names the transaction")
def cancel_from_another_port(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    other = sim.peer("nat", "udp:10.0.0.2:40000")
    bridge.a.peer = other
    cancel = bridge.a.invite
    assert cancel is not None
    data = bytes(cancel).partition(b"\r\n\r\n")[0].decode().replace("INVITE", "CANCEL").split("\r\n")
    kept = [line for line in data if not line.startswith(("Content-", "Contact"))]
    other.send("\r\n".join([*kept, "Content-Length: 0", "", ""]), "b2bua")
    other.expect(200, "CANCEL")
    bridge.a.peer = bridge.alice
    bridge.a.ack(bridge.alice.expect(487))
    bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


@scenario("race: CANCEL and answer a millisecond apart", "In every order and distance, both legs of the call end, and nobody is left off hook")
def cancel_and_answer_close_together(sim: Simulation) -> None:
    for step, sub in variants(sim, range(-12, 13)):
        sub.b2bua()
        alice, bob = sub.agent("alice"), sub.agent("bob")
        call = alice.call(sub.uri("b2bua", "bob"))
        sub.until(lambda bob=bob: bob.calls)
        bob.last.ring()
        sub.run(1)
        sub.clock.call_later(0.02, call.hangup)
        sub.clock.call_later(0.02 + step / 1000, lambda other=bob.last: None if other.ended else other.answer())
        sub.run(3)
        assert call.ended
        assert bob.last.ended


@scenario("race: CANCEL after a pre-answer", "Cancelling a call with early media ends it on both sides")
def cancel_after_early_media(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 183, body=ANSWER)
    bridge.alice.expect(183)
    bridge.a.cancel()
    bridge.alice.expect(200, "CANCEL")
    bridge.a.ack(bridge.alice.expect(487))
    bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


@scenario("race: answering a call that has just closed", "The answer is refused with a reason, and nothing crashes or is sent")
def answer_after_cancel(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    dialog.cancel()
    alice.expect(200, "CANCEL")
    dialog.ack(alice.expect(487))
    before = len(sim.packets("bob"))
    for command in (call.answer, call.ring, call.reject):
        with pytest.raises(Refused, match="over"):
            command()
    sim.run(1)
    assert len(sim.packets("bob")) == before


@scenario("race: retransmitted ACK matched to the wrong INVITE", "The ACK of the first INVITE comes again after a re-INVITE's 200: that one is still repeated")
@in_both_roles
def ack_of_another_invite(sim: Simulation, call: object, peer: object, dialog: object) -> None:
    dialog.request("INVITE", body=OTHER)
    first = dialog.ack(peer.expect_response(200, "INVITE"))
    sim.run(0.1)
    dialog.request("INVITE", body=OTHER)
    success = peer.expect_response(200, "INVITE")
    dialog.again(first)
    sim.run(0.4)
    assert call.state == "reanswered"
    peer.expect_response(200, "INVITE")
    dialog.ack(success)
    sim.run(0.1)
    assert call.state == "active"
    over(sim, call, peer, dialog)


@scenario("race: hanging up a held call", "Hanging up works on hold as at any other time, from either end")
def hangup_on_hold(sim: Simulation) -> None:
    for (holder, hanger), sub in variants(sim, [(one, other) for one in (0, 1) for other in (0, 1)]):
        ends = talking(sub)
        ends[holder].hold()
        sub.run(1)
        agree(*ends)
        ends[hanger].hangup()
        sub.run(1)
        assert ends[0].ended
        assert ends[1].ended


@scenario("race: 200 without SDP never acknowledged", "A 200 without a body is acknowledged like any other")
def answer_without_description(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.respond(dialog.incoming, 200)
    bob.expect("ACK")
    assert call.state == "active"
    call.hangup()
    dialog.respond(bob.expect("BYE"), 200)


@scenario("race: established reported twice or never", "Whatever is repeated, a call is connected once: at both ends and in the middle")
def connected_once(sim: Simulation) -> None:
    bridge = Bridge(sim)
    for code in (180, 180, 183, 200, 200, 200):
        bridge.b.respond(bridge.invite, code, body=ANSWER if code == 200 else b"")
    success = bridge.alice.expect(200)
    for _ in range(3):
        bridge.a.ack(success)
    sim.run(5)
    assert sim.engines["b2bua"].executor.counters["calls connected"] == 1
    assert len(bridge.bob.arrivals("ACK")) == 3
    bridge.hangup()


@scenario("race: the timer of a left state still fires", "Hours after it was set up, no timer of the set-up has touched a call")
def no_timer_of_the_past(sim: Simulation) -> None:
    call, other = talking(sim)
    sim.run(6 * 3600)
    agree(call, other)
    assert (call.heard, other.heard) == (["answered"], ["incoming", "confirmed"])
    call.hangup()


@scenario("race: the slot of a dead call", "Calls that fail, are cancelled, never answered or whose peers vanish give their place back")
def slots_come_back(sim: Simulation) -> None:
    server = sim.b2bua(max_calls=3)
    alice, bob = sim.agent("alice"), sim.agent("bob")
    for fate in ("reject", "cancel", "never", "vanish"):
        for _ in range(3):
            call = alice.call(sim.uri("b2bua", "bob" if fate != "vanish" else "dead"), manual=True)
            if fate == "vanish":
                assert not call.ended
            sim.run(0.1)
            if fate == "reject":
                bob.last.reject(486)
            elif fate == "cancel":
                call.hangup()
        sim.run(600)
        assert not server.calls, fate
    assert sim.engines["b2bua"].executor.counters["calls turned away"] == 0


@scenario("race: BYE handled by a built-in default", "A BYE is answered by a row of the leg's table, which the trace names")
def bye_is_answered_by_a_row(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    dialog.request("BYE")
    alice.expect(200, "BYE")
    answers = [entry for entry in sim.trace() if entry.direction == "out" and entry.summary == "200 OK" and "BYE" in entry.cseq]
    assert "leg.quiet.bye" in answers[0].rows
    assert call.ended


@scenario("race: a reload changes calls that are running", "A call keeps the tables it began with; the next one has the new ones", slow=True)
def reload_leaves_running_calls(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    engine, machine = sim.engines["bob"], call.leg.machine
    engine.tables = configured(unanswered_timeout=5.0)
    engine.run()
    second = alice.call("bob")
    second.request("INVITE", body=OFFER)
    second.ack(alice.expect(480, within=6))
    assert call.state == "incoming"
    assert call.leg.machine is machine
    call.answer()
    dialog.ack(alice.expect(200))
    sim.run(0.1)
    over(sim, call, alice, dialog)


@scenario("race: RFC 3261 §9.1 with a forked callee", "Two phones answered: the first is the call, the second is acknowledged and hung up")
def two_phones_answer(sim: Simulation) -> None:
    bridge = Bridge(sim)
    for tag in ("kitchen", "hall"):
        bridge.bob.respond(bridge.invite, 180, to_tag=tag)
    bridge.bob.respond(bridge.invite, 200, to_tag="hall", body=ANSWER)
    bridge.bob.respond(bridge.invite, 200, to_tag="kitchen", body=OTHER)
    acks = {bridge.bob.expect_request("ACK").to_tag for _ in range(2)}
    assert acks == {"kitchen", "hall"}
    bye = bridge.bob.expect_request("BYE")
    assert bye.to_tag == "kitchen"
    bridge.bob.respond(bye, 200)
    success = bridge.alice.expect(200)
    assert success.body == ANSWER
    bridge.a.ack(success)
    sim.run(1)
    assert not [m for m in news(bridge.alice) if getattr(m, "status", 0) >= 200]
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bye = bridge.bob.expect_request("BYE")
    assert bye.to_tag == "hall"
    bridge.bob.respond(bye, 200)


@scenario("race: each message lost, doubled or late", "A call with hold and INFO through the B2BUA, any one datagram lost: it ends as it must, every time", slow=True)
def any_one_message_lost(sim: Simulation) -> None:
    _disturb(sim, lambda network, matches: network.drop_next(matches))


@scenario("race: each message lost, doubled or late", "The same, any one datagram doubled", slow=True)
def any_one_message_doubled(sim: Simulation) -> None:
    _disturb(sim, lambda network, matches: network.duplicate_next(matches))


@scenario("race: each message lost, doubled or late", "The same, any one datagram late by a second", slow=True)
def any_one_message_late(sim: Simulation) -> None:
    _disturb(sim, lambda network, matches: network.delay_next(matches, 1.0))


def _disturb(sim: Simulation, disturb: object) -> None:
    """Play a whole call as often as it has datagrams, and disturb another one each time."""
    place, count = 0, 1
    sim.variants = []
    while place < count:
        sub = Simulation(f"{sim.seed}/{place}", tables=sim.tables)
        number = 0

        def matches(data: bytes, source: object, destination: object, wanted: int = place) -> bool:
            nonlocal number
            number += 1
            return number == wanted + 1

        disturb(sub.network, matches)
        sub.b2bua()
        alice, bob = sub.agent("alice"), sub.agent("bob")
        call = alice.call(sub.uri("b2bua", "bob"))
        sub.until(lambda bob=bob: bob.calls)
        bob.last.ring()
        sub.run(1.5)
        bob.last.answer()
        sub.run(3)
        call.request("INFO", b"x")
        call.hold()
        sub.run(3)
        agree(call, bob.last)
        bob.last.hangup()
        sub.run(10)
        assert call.ended
        assert bob.last.ended
        sub.finish()
        count = max(count, len(sub.network.log) if place == 0 else 0)
        sim.reached.update(sub.reached)
        sim.variants.append(sub)
        place += 1
    assert count > 20


@dataclass(frozen=True)
class Race:
    """One line of the list."""

    wrong: str
    seen: str
    scenarios: tuple[str, ...]
    missing: str = ""


RACES = (
    Race("CANCEL arrives before anyone listens for it: callee rings on, ghost call", "drachtio-srf#113, JsSIP#836, #597",
         ("cancel_right_behind_invite", "cancel_overtakes_invite", "route_answers_late")),
    Race("CANCEL from behind NAT gets 481 after 200 when no 200 was sent", "drachtio-server#480", ("cancel_from_another_port",)),
    Race("CANCEL crosses 200: the answered leg is never ACKed and BYEd; dead-air call", "drachtio-server#255, sems#71, opensips#1388",
         ("cancel_crosses_200_caller", "cancel_crosses_200_callee", "cancel_crosses_200_a_side_b2bua", "cancel_crosses_200_b_side_b2bua")),
    Race("CANCEL and answer about 1 ms apart: stuck channel; CANCEL after a pre-answer", "freeswitch#2920, #2970",
         ("cancel_and_answer_close_together", "cancel_after_early_media")),
    Race("CANCEL not forwarded across the B2BUA", "drachtio-srf#47, #84", ("cancel_while_ringing", "cancel_crosses_each_answer")),
    Race("a new INVITE is sent to the callee after the caller hung up", "asterisk#1716", ("route_answers_late",)),
    Race("hang-up before the first provisional: CANCEL is illegal yet, the call is forgotten", "pjproject#2992",
         ("cancel_waits_for_provisional_caller", "cancel_waits_for_provisional_b2bua", "cancel_overtaken_by_200_caller")),
    Race("answering a call that has just closed crashes", "baresip#3157", ("answer_after_cancel",)),
    Race("two phones answer a parallel ring; the loser is never cancelled or never BYEd", "kamailio#570, siphon-sip PR#361",
         ("two_phones_answer", "second_fork_b2bua", "forked_success"), "parallel ringing by the B2BUA itself: b2bua/fork"),
    Race("BYE sent to one side only", "kamailio#4169", ("hangup_passes", "operator_hangs_up", "bridge_leg_vanishes")),
    Race("re-INVITE glare: 491 for ever; wrong back-off for the Call-ID owner; no retry at all",
         "freeswitch#123, siphon-ai#454, pjproject#3886",
         ("reinvite_crosses_reinvite_caller", "reinvite_crosses_reinvite_callee", "reinvite_crosses_reinvite_b2bua", "glares")),
    Race("re-INVITE during transfer drops the call; re-INVITE refused with 488 tears the call down", "opensips#3137, sems PR#517",
         ("reinvite_refused",), "transfer: leg/transfer"),
    Race("retransmitted ACK matched to the wrong INVITE", "opensips#1812", ("ack_of_another_invite",)),
    Race("session-timer refresh collides with re-INVITE: crash", "drachtio-server#401",
         ("update_crosses_reinvite_caller", "update_and_offers"), "session timers: leg/session_timer"),
    Race("BYE against re-INVITE leaves a transaction behind", "drachtio-server#217",
         ("bye_overlaps_reinvite_caller", "peer_bye_overlaps_reinvite_callee", "bye_overlaps_reinvite_b2bua", "hangup_while_reinviting")),
    Race("late offer: ACK without the answer", "drachtio-srf#107", ("late_offer", "offer_in_200", "late_offer_reinvite_passes")),
    Race("one dialog per call: PRACK and ACK with another fork's To-tag", "pjproject#2535, baresip#2114, siphon-sip PR#113",
         ("forked_success", "two_phones_answer"), "PRACK: leg/reliable_provisional"),
    Race("transferor's BYE kills the call that survives the transfer", "siphon-sip PR#220", (), "transfer: leg/transfer"),
    Race("INVITE with Replaces taken for a new call; REFER loop", "siphon-sip PR#223, PR#110", (), "transfer: leg/transfer"),
    Race("REFER subscription never ends", "baresip#1075", (), "subscriptions: subscription/notifier"),
    Race("a call that was never answered, or whose peer vanished, holds its slot for ever",
         "drachtio-server#119, pjproject#4992, freeswitch#178, dograh#737",
         ("slots_come_back", "rings_for_ever", "trying_for_ever", "nobody_looks", "both_vanish"),
         "a confirmed call whose two peers vanish without a word: leg/session_timer"),
    Race("BYE handled by a built-in default before the script's own row ran", "sems#27", ("bye_is_answered_by_a_row",)),
    Race("hanging up a held call is accepted and does nothing", "rvoip's default table", ("hangup_on_hold",)),
    Race("failed guard counts as success, so a 200 without SDP is never ACKed", "rvoip's first plan", ("answer_without_description",)),
    Race("a fast 200 (no 18x before it) never reports established", "rvoip's default table", ("fast_200",)),
    Race("flags set in two places, so established is reported twice or never", "rvoip's default table", ("connected_once",)),
    Race("state saved before the action ran: a failing action leaves the call in the wrong state", "rvoip's executor, transitions#640",
         ("effect_raises", "bridge_leg_fails")),
    Race("snapshot written over a newer one: a lost update between two events of one call", "rvoip v2/v3", (),
         "shown by the tests of the store: a commit names the version it was computed on"),
    Race("timer of a left state still fires", "erlang/otp#4384", ("no_timer_of_the_past",)),
    Race("a timer fires twice after failover, or on the wrong node", "kamailio#3656, #2080, #3018", (), "more than one machine"),
    Race("after recovery: CSeq too low, From and To swapped, stale Route, SDP missing", "freeswitch#1833, #2037, #2922, #2400", (),
         "recovery: engine.recovered"),
    Race("a reload changes calls that are running", "–", ("reload_leaves_running_calls",)),
    Race("any message lost, doubled or late", "–", ("any_one_message_lost", "any_one_message_doubled", "any_one_message_late")),
)  # fmt: skip
