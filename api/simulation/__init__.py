"""Calls without sockets and without waiting: a network, a clock, and SIP elements of every kind on them.

``world.py`` holds them together, ``agents.py`` and ``rawpeers.py`` are who lives there (user agents on our own tables, and peers
that say exactly what they are told), ``crowd.py`` fills it with random calls, ``retrace.py`` plays one call step by step.
"""

from __future__ import annotations

from calltable.simulation.world import TROUBLE, Simulation, SimulationError, shipped_tables

__all__ = ["TROUBLE", "Simulation", "SimulationError", "shipped_tables"]
