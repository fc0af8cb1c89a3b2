"""Calls without sockets and without waiting: a network, a clock, and SIP elements of every kind on them.

``world.py`` holds them together, ``agents.py`` and ``rawpeers.py`` are who lives there (user agents on our own tables, and peers
that say exactly what they are told), ``crowd.py`` fills it with random calls, ``retrace.py`` plays one call step by step.
"""

from calltable.simulation.agents import Agent, AgentCall, session_description
from calltable.simulation.crowd import Crowd, CrowdReport, Mix, crowd
from calltable.simulation.rawpeers import RawCall, RawPeer
from calltable.simulation.world import TROUBLE, Simulation, SimulationError, shipped_tables

__all__ = [
    "TROUBLE",
    "Agent",
    "AgentCall",
    "Crowd",
    "CrowdReport",
    "Mix",
    "RawCall",
    "RawPeer",
    "Simulation",
    "SimulationError",
    "crowd",
    "session_description",
    "shipped_tables",
]
