"""A callee that is several: early dialogs side by side, each with its own tag, description and sequence numbers. RFC 3261 §12.1, §13.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.core.bounds import Bounds
from calltable.simulation.rawpeers import RawCall
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OTHER, Bridge, called, joined, over, variants

if TYPE_CHECKING:
    from calltable.adapters.sip.message.message import Request
    from calltable.simulation import Simulation
    from calltable.simulation.rawpeers import RawPeer


def fork(bridge: Bridge, tag: str) -> RawCall:
    """Another dialog of the callee's side of the call."""
    other = RawCall.of(bridge.bob, bridge.invite, "b2bua")
    other.local_tag = tag
    return other


def response(peer: RawPeer, code: int) -> tuple[str, bytes]:
    """The tag and the body of the next response to the caller's INVITE."""
    found = peer.expect(code, "INVITE")
    return found.to_tag, found.body


@scenario("RFC 3261 §13.2.1", "Two forks send early media and the second answers: the caller sees two early dialogs, and each description in its own")
def forked_early_media(sim: Simulation) -> None:
    bridge = Bridge(sim)
    one, two = fork(bridge, "one"), fork(bridge, "two")
    one.respond(bridge.invite, 183, body=ANSWER)
    first, body = response(bridge.alice, 183)
    assert body == ANSWER
    two.respond(bridge.invite, 183, body=OTHER)
    second, body = response(bridge.alice, 183)
    assert (body, second == first) == (OTHER, False)
    one.respond(bridge.invite, 180)
    assert response(bridge.alice, 180)[0] == first, "the same fork keeps its tag"
    two.respond(bridge.invite, 200, body=OTHER)
    success = bridge.alice.expect(200, "INVITE")
    assert (success.to_tag, success.body) == (second, OTHER)
    bridge.a.ack(success)
    bridge.bob.expect("ACK")
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    two.respond(bridge.bob.expect_request("BYE"), 200)


@scenario("RFC 3261 §12.2.2", "The callee that answered hangs up; the caller's early dialog with the other fork is as good a key to the leg until then")
def forked_early_dialogs_both_lead_to_the_leg(sim: Simulation) -> None:
    bridge = Bridge(sim)
    one, two = fork(bridge, "one"), fork(bridge, "two")
    one.respond(bridge.invite, 180)
    first = bridge.alice.expect(180, "INVITE")
    two.respond(bridge.invite, 180)
    bridge.alice.expect(180, "INVITE")
    bridge.a.learn(first)
    bridge.a.request("INFO")
    one.respond(bridge.bob.expect_request("INFO"), 200)
    bridge.alice.expect(200, "INFO")
    bridge.a.cancel()
    bridge.alice.expect(200, "CANCEL")
    bridge.a.ack(bridge.alice.expect(487))
    two.respond(bridge.bob.expect_request("CANCEL"), 200)
    two.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")


@scenario("RFC 3261 §12.1.2", "One fork has counted up to 5000 in its early dialog; the BYE of the fork that answered begins at 1 and is taken")
def forks_count_for_themselves(sim: Simulation) -> None:
    bridge = Bridge(sim)
    one, two = fork(bridge, "one"), fork(bridge, "two")
    one.respond(bridge.invite, 180)
    bridge.alice.expect(180)
    one.request("INFO", cseq=5000)
    bridge.a.respond(bridge.alice.expect_request("INFO"), 200)
    bridge.bob.expect(200, "INFO")
    two.respond(bridge.invite, 200, body=ANSWER)
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    bridge.bob.expect("ACK")
    two.request("BYE", cseq=1)
    bridge.bob.expect(200, "BYE")
    bridge.alice_gets_bye()


@scenario("RFC 3261 §12.2.1.1", "A late fork had requests in its early dialog: the BYE that ends it counts on from there")
def stray_counts_on(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    dialog.local_tag = "one"
    dialog.respond(dialog.incoming, 180)
    sim.run(0.1)
    call.request("INFO")
    asked: Request = bob.expect_request("INFO")
    dialog.respond(asked, 200)
    other = RawCall.of(bob, dialog.incoming, "alice")
    other.local_tag = "two"
    other.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("ACK")
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("ACK")
    bye = bob.expect_request("BYE")
    assert (bye.to_tag, bye.cseq.number > asked.cseq.number) == ("one", True)
    dialog.respond(bye, 200)
    call.hangup()
    other.respond(bob.expect_request("BYE"), 200)


RECORDED = [("Record-Route", "<sip:10.0.0.3:5060;lr;hop=2>"), ("Record-Route", "<sip:10.0.0.3:5060;lr;hop=1>")]
ROUTES = ["<sip:10.0.0.3:5060;lr;hop=1>", "<sip:10.0.0.3:5060;lr;hop=2>"]


@scenario("RFC 3261 §12.2", "A 2xx to an UPDATE, REFER, SUBSCRIBE, NOTIFY, INFO or MESSAGE in an early dialog fixes no route set and confirms nothing")
def early_requests_keep_the_route_set(sim: Simulation) -> None:
    for method, sub in variants(sim, ("UPDATE", "REFER", "SUBSCRIBE", "NOTIFY", "INFO", "MESSAGE")):
        bridge = Bridge(sub)
        bridge.b.respond(bridge.invite, 183, headers=RECORDED, body=ANSWER)
        bridge.a.learn(bridge.alice.expect_response(183))
        bridge.a.request(method)
        bridge.b.respond(bridge.bob.expect_request(method), 200, headers={"Contact": "<sip:moved@10.0.0.3:5060>"})
        bridge.alice.expect(200, method)
        bridge.b.respond(bridge.invite, 200, headers=RECORDED, body=ANSWER)
        bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
        assert bridge.bob.expect_request("ACK").all("route") == ROUTES
        bridge.a.request("BYE")
        bridge.alice.expect(200, "BYE")
        bye = bridge.bob.expect_request("BYE")
        assert bye.all("route") == ROUTES
        bridge.b.respond(bye, 200)


@scenario("RFC 3261 §12.2", "The callee's UPDATE in the early dialog is answered by a caller whose INVITE was record-routed: its routes stay")
def early_update_of_the_callee_keeps_the_route_set(sim: Simulation) -> None:
    recorded = [("Record-Route", "<sip:10.0.0.2:5060;lr;hop=2>"), ("Record-Route", "<sip:10.0.0.2:5060;lr;hop=1>")]
    bridge = Bridge(sim, headers=recorded)
    bridge.ring()
    bridge.b.request("UPDATE", body=OTHER)
    bridge.a.respond(bridge.alice.expect_request("UPDATE"), 200, headers={"Contact": bridge.alice.contact}, body=ANSWER)
    bridge.bob.expect(200, "UPDATE")
    bridge.answer()
    bridge.b.request("BYE")
    bye = bridge.alice.expect_request("BYE")
    assert bye.all("route") == ["<sip:10.0.0.2:5060;lr;hop=2>", "<sip:10.0.0.2:5060;lr;hop=1>"]
    bridge.a.respond(bye, 200)
    bridge.bob.expect(200, "BYE")


@scenario("RFC 3261 §13.2.2.4", "One fork was asked something in its early dialog, another answers: ACK and BYE have the tag of the one that answered")
def the_fork_that_answers_gets_ack_and_bye(sim: Simulation) -> None:
    bridge = Bridge(sim)
    one, two = fork(bridge, "one"), fork(bridge, "two")
    one.respond(bridge.invite, 183, body=ANSWER)
    bridge.a.learn(bridge.alice.expect_response(183))
    bridge.a.request("UPDATE", body=OTHER)
    one.respond(bridge.bob.expect_request("UPDATE"), 200, body=ANSWER)
    bridge.alice.expect(200, "UPDATE")
    two.respond(bridge.invite, 200, body=ANSWER)
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    assert bridge.bob.expect_request("ACK").to_tag == "two"
    bridge.a.request("BYE", cseq=9)
    bridge.alice.expect(200, "BYE")
    bye = bridge.bob.expect_request("BYE")
    assert (bye.to_tag, bye.cseq.number) == ("two", 2), "its own dialog has seen no request but the INVITE"
    two.respond(bye, 200)


@scenario("RFC 3261 §12.2.1.1", "A request of the caller in one early dialog goes to that fork, and a fork's request comes in the dialog that shows it")
def requests_keep_to_their_fork(sim: Simulation) -> None:
    bridge = Bridge(sim)
    forks, shown = {}, {}
    for tag in ("one", "two"):
        forks[tag] = fork(bridge, tag)
        bridge.bob.respond(bridge.invite, 183, to_tag=tag, headers={"Contact": f"<sip:{tag}@10.0.0.3:5060>"}, contact=False, body=ANSWER)
        shown[tag] = bridge.alice.expect_response(183)
    for tag in ("one", "two", "one"):
        bridge.a.learn(shown[tag])
        bridge.a.request("INFO")
        asked = bridge.bob.expect_request("INFO")
        assert (asked.to_tag, asked.uri) == (tag, f"sip:{tag}@10.0.0.3:5060")
        forks[tag].respond(asked, 200)
        bridge.alice.expect(200, "INFO")
        forks[tag].request("INFO")
        back = bridge.alice.expect_request("INFO")
        assert back.from_tag == shown[tag].to_tag
        bridge.a.respond(back, 200)
        bridge.bob.expect(200, "INFO")
    forks["two"].respond(bridge.invite, 200, body=ANSWER)
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    bridge.bob.expect("ACK")
    bridge.a.learn(shown["one"])
    bridge.a.request("INFO")
    bridge.alice.expect(481, "INFO")
    forks["one"].request("INFO")
    bridge.bob.expect(481, "INFO")
    bridge.a.learn(shown["two"])
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    forks["two"].respond(bridge.bob.expect_request("BYE"), 200)


@scenario("RFC 3261 §15", "One of two forks says BYE before its 2xx came: its early dialog is over, the call is not; nothing it says later is heard")
def an_early_bye_ends_one_fork(sim: Simulation) -> None:
    call, bob, one = called(sim)
    one.local_tag = "one"
    one.respond(one.incoming, 180)
    two = RawCall.of(bob, one.incoming, "alice")
    two.local_tag = "two"
    two.respond(one.incoming, 180)
    sim.run(0.1)
    one.request("BYE")
    bob.expect(200, "BYE")
    one.request("INFO")
    bob.expect(481, "INFO")
    heard = len(call.events)
    one.respond(one.incoming, 183)
    sim.run(0.1)
    assert (call.state, len(call.events)) == ("early", heard)
    two.respond(one.incoming, 200, body=ANSWER)
    assert bob.expect_request("ACK").to_tag == "two"
    over(sim, call, bob, two)


@scenario("RFC 3261 §15, §16.7", "A fork says BYE, and its 2xx comes after all: acknowledged and hung up; nobody else will answer, so the call has failed")
def a_fork_that_said_bye_answers(sim: Simulation) -> None:
    call, bob, one = called(sim)
    one.local_tag = "one"
    one.respond(one.incoming, 180)
    two = RawCall.of(bob, one.incoming, "alice")
    two.local_tag = "two"
    two.respond(one.incoming, 180)
    sim.run(0.1)
    one.request("BYE")
    bob.expect(200, "BYE")
    one.respond(one.incoming, 200, body=ANSWER)
    assert bob.expect_request("ACK").to_tag == "one"
    bye = bob.expect_request("BYE")
    assert bye.to_tag == "one"
    one.respond(bye, 481)
    sim.run(0.1)
    assert call.ended
    assert call.last("failed").fields["code"] == 480


@scenario("RFC 3261 §15", "The caller ends one of the two early dialogs that it sees: that fork gets the BYE, and the call goes on with the other")
def the_caller_ends_one_early_dialog(sim: Simulation) -> None:
    bridge = Bridge(sim)
    one, two = fork(bridge, "one"), fork(bridge, "two")
    one.respond(bridge.invite, 180)
    first = bridge.alice.expect_response(180)
    two.respond(bridge.invite, 180)
    bridge.alice.expect(180)
    bridge.a.learn(first)
    bridge.a.request("BYE")
    bye = bridge.bob.expect_request("BYE")
    assert bye.to_tag == "one"
    one.respond(bye, 200)
    bridge.alice.expect(200, "BYE")
    two.respond(bridge.invite, 200, body=ANSWER)
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    bridge.bob.expect("ACK")
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    two.respond(bridge.bob.expect_request("BYE"), 200)


@scenario("RFC 3261 §12.1.2", "One callee sends 200 different To tags: no more dialogs are kept than the bound says, and the call goes on")
def many_tags_make_no_more_dialogs_than_the_bound(sim: Simulation) -> None:
    bridge = Bridge(sim)
    for number in range(200):
        fork(bridge, f"fork{number}").respond(bridge.invite, 180)
        sim.run(0.01)
    engine = sim.engines["b2bua"]
    assert engine.snapshot()["dialogs"] <= 2 * Bounds().forks + 2
    assert len(bridge.alice.arrivals(180)) == Bounds().forks
    last = fork(bridge, "fork199")
    last.respond(bridge.invite, 200, body=ANSWER)
    bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
    assert bridge.bob.expect_request("ACK").to_tag == "fork199", "whoever answers first is taken, known or not"
    for number in range(200):
        fork(bridge, f"late{number}").respond(bridge.invite, 200, body=ANSWER)
        sim.run(0.01)
    assert len([m for _, m in bridge.bob.times if getattr(m, "method", "") == "ACK"]) == Bounds().forks
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    for _ in range(Bounds().forks):
        bye = bridge.bob.expect_request("BYE")
        bridge.bob.respond(bye, 200)


@scenario("RFC 3261 §12.2.2", "Requests of one peer that nobody answers: a further one above the bound gets 500 with Retry-After; a BYE is taken")
def open_requests_are_bounded(sim: Simulation) -> None:
    bridge = joined(sim)
    for _ in range(Bounds().open_requests):
        bridge.a.request("INFO")
    sim.run(0.1)
    bridge.a.request("INFO")
    assert bridge.alice.expect_response(500, "INFO").get("retry-after") == "1"
    bridge.hangup()
    sim.run(0.1)
    assert len(bridge.alice.arrivals(481, "INFO")) == Bounds().open_requests


@scenario("RFC 3261 §21.5.7", "More header fields or a larger body than may pass: 513, in and outside the call; a BYE is taken, and a 200 passes without the rest")
def what_passes_is_bounded(sim: Simulation) -> None:
    bounds = Bounds()
    many = [("X-Filler", str(number)) for number in range(bounds.header_fields)]
    huge = b"x" * (bounds.body + 1)
    bridge = joined(sim)
    bridge.a.request("INFO", headers=many)
    bridge.alice.expect(513, "INFO")
    bridge.a.request("INFO", body=huge)
    bridge.alice.expect(513, "INFO")
    other = bridge.alice.call("b2bua", sim.uri("b2bua", "bob"))
    other.request("INVITE", headers=many)
    other.ack(bridge.alice.expect_response(513, "INVITE"))
    bridge.a.request("INFO")
    bridge.b.respond(bridge.bob.expect_request("INFO"), 200, headers=many * 2, body=huge)
    passed = bridge.alice.expect_response(200, "INFO")
    assert len(passed.all("x-filler")) == bounds.header_fields
    assert (passed.body, passed.get("content-type")) == (b"", None)
    bridge.a.request("BYE", headers=many)
    bridge.alice.expect(200, "BYE")
    bridge.bob_gets_bye()


@scenario("RFC 3261 §12.2.2", "The caller hangs up one of two early dialogs and cancels while that BYE has no answer: 481 for the BYE, and no dialog is left")
def cancel_with_a_bye_under_way(sim: Simulation) -> None:
    bridge = Bridge(sim)
    for tag in ("one", "two"):
        bridge.bob.respond(bridge.invite, 180, to_tag=tag)
        bridge.a.learn(bridge.alice.expect_response(180))
    bridge.a.request("BYE")
    bye = bridge.bob.expect_request("BYE")
    bridge.a.cancel()
    bridge.alice.expect(200, "CANCEL")
    bridge.alice.expect(481, "BYE")
    bridge.a.ack(bridge.alice.expect_response(487, "INVITE"))
    bridge.bob.respond(bye, 200)
    bridge.bob.respond(bridge.bob.expect_request("CANCEL"), 200)
    bridge.bob.respond(bridge.invite, 487, to_tag="one")
    bridge.bob.expect("ACK")
