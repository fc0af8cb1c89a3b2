"""A name takes time to look up, and the call goes on meanwhile: what was withdrawn is not sent afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.adapters.simulated.clock import VirtualClock
    from calltable.adapters.sip.transaction.sender import Locator
    from calltable.adapters.sip.transport.address import Address


class Slow:
    """A resolver that answers after a second."""

    def __init__(self, clock: VirtualClock, inner: Locator) -> None:
        self.clock = clock
        self.inner = inner

    def find(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        self.clock.call_later(1.0, self.inner.find, uri, done)


def slow(sim: Simulation, name: str) -> None:
    stack = sim.engines[name].stack
    stack.sender.locator = Slow(sim.clock, stack.sender.locator)


def test_a_call_waits_for_its_name() -> None:
    sim = Simulation()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    slow(sim, "alice")
    bob.incoming_call = lambda incoming: incoming.answer()
    call = alice.call(sim.uri("bob"))
    sim.run(5)
    assert call.state == bob.last.state == "active"
    call.hangup()
    sim.finish()


def test_a_hang_up_while_the_name_is_looked_up_sends_nothing() -> None:
    sim = Simulation()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    slow(sim, "alice")
    call = alice.call(sim.uri("bob"))
    sim.run(0.5)
    call.hangup()
    sim.run(5)
    assert call.state == "terminated"
    assert not bob.calls
    assert not sim.packets()
    sim.finish()


def test_a_re_invite_withdrawn_while_its_name_is_looked_up_is_not_sent() -> None:
    sim = Simulation()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda incoming: incoming.answer()
    call = alice.call(sim.uri("bob"))
    sim.run(1)
    slow(sim, "alice")
    before = len(sim.packets())
    call.reinvite()
    sim.run(0.5)
    call.command("user.cancel")
    sim.run(5)
    assert call.state == "active"
    assert call.last("reinvite_failed").fields["code"] == 487
    assert len(sim.packets()) == before
    call.hangup()
    sim.finish()
