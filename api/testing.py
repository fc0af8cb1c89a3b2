"""For tests of your own: calls on a virtual clock, with scripted or random peers.

Name this module in a ``conftest.py`` (``pytest_plugins = ["calltable.testing"]``) and ask for ``simulation``::

    def test_a_busy_callee_frees_the_caller(simulation):
        simulation.b2bua()
        alice, bob = simulation.agent("alice"), simulation.agent("bob")
        bob.incoming_call = lambda call: call.reject(486)
        call = alice.call(simulation.uri("b2bua", "bob"))
        simulation.finish()
        assert call.last("failed").fields["code"] == 486

The fixture ends each test with ``finish``: anything left over (a session, a timer, a transaction, a dialog) and any hidden
failure fails the test. ``@pytest.mark.simulate(seed=7, loss=0.2)`` gives the arguments of ``Simulation``, ``tables=`` among them for
tables of your own. Each failure names the seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calltable.phone import CallEvent
from calltable.simulation import (
    Agent,
    AgentCall,
    Crowd,
    CrowdReport,
    Mix,
    RawCall,
    RawPeer,
    Simulation,
    SimulationError,
    crowd,
    session_description,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Agent", "AgentCall", "CallEvent", "Crowd", "CrowdReport", "Mix", "RawCall", "RawPeer", "Simulation", "SimulationError",
    "crowd", "session_description", "simulation",
]  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "simulate(**arguments): the arguments of the simulation fixture's Simulation")


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """A new ``Simulation``, searched for leftovers after the test (not where the test failed by itself)."""
    mark = request.node.get_closest_marker("simulate")
    made = Simulation(**(mark.kwargs if mark is not None else {}))
    before = request.session.testsfailed
    yield made
    if request.session.testsfailed == before:
        made.finish()
