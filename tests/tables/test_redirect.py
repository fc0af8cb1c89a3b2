"""The overlay of the documentation that follows redirects."""

from __future__ import annotations

from pathlib import Path

import pytest

from calltable import Tables
from calltable.simulation import Simulation
from calltable.simulation.rawpeers import RawCall

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "redirect.yaml"
OFFER, ANSWER = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n"


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables(overlays=[EXAMPLE])


class Moving:
    """Alice calls bob1, who has moved to bob2, who has moved to bob3 …"""

    def __init__(self, tables: Tables) -> None:
        self.sim = Simulation(1, tables=tables)
        self.sim.b2bua()
        self.alice = self.sim.peer("alice")
        self.bobs = [self.sim.peer(f"bob{number}") for number in range(1, 6)]
        self.call = self.alice.call("b2bua", self.sim.uri("b2bua", "bob1"))
        self.call.request("INVITE", body=OFFER)

    def moves(self, number: int) -> None:
        here, there = self.bobs[number - 1 : number + 1]
        here.respond(here.expect_request("INVITE"), 302, to_tag="gone", headers={"Contact": there.contact})
        here.expect("ACK")


def test_a_callee_that_has_moved_three_times_is_found(tables):
    story = Moving(tables)
    for number in (1, 2, 3):
        story.moves(number)
    bob = story.bobs[3]
    invite = bob.expect_request("INVITE")
    assert (invite.uri, invite.body) == (bob.contact.strip("<>"), OFFER)
    there = RawCall.of(bob, invite, "b2bua")
    there.respond(invite, 200, body=ANSWER)
    story.call.ack(story.alice.expect_response(200, "INVITE"))
    bob.expect("ACK")
    story.call.request("BYE")
    story.alice.expect(200, "BYE")
    there.respond(bob.expect_request("BYE"), 200)
    story.sim.finish()


def test_the_fourth_redirect_goes_to_the_caller(tables):
    story = Moving(tables)
    for number in (1, 2, 3, 4):
        story.moves(number)
    final = story.alice.expect(302)
    assert final.get("contact") == story.bobs[4].contact
    story.call.ack(final)
    story.sim.run(40)
    assert not story.bobs[4].times
    story.sim.finish()
