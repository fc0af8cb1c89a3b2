"""A callee that is several: early dialogs side by side, each with its own tag, description and sequence numbers. RFC 3261 §12.1, §13.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.simulation.rawpeers import RawCall
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OTHER, Bridge, called

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
    two.respond(bridge.bob.expect_request("INFO"), 200)
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
