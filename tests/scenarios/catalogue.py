"""The list of scenarios: named stories over real SIP bytes, each a function of a ``Simulation``.

A scenario sets up its parties, makes things happen, and asserts what both sides must have come to; what must hold after any
story (everything ended, nothing left over, no event without a row) is asserted for all of them in ``test_scenarios.py``. The
page ``docs/races.md`` and the count of rows that scenarios reach are made from the same list.
"""

from __future__ import annotations

import functools
import importlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calltable.loading import Tables
from calltable.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = (
    "liveness", "strangers", "transactions", "transactions_other", "addresses", "forks", "names_of_dialogs", "lenient", "unneeded", "streams", "basic", "rfc5407", "rfc5407_established", "rfc5407_glare", "races", "bridge", "bridge_within", "hygiene", "legs", "invitations",
    "failures", "phones",
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """One story. ``section`` is the RFC section or the line of the list of races it stands for."""

    name: str
    section: str
    title: str
    play: Callable[[Simulation], None]
    options: dict[str, Any] = field(default_factory=dict)
    tolerates: tuple[str, ...] = ()
    """Counters of trouble that the story brings about on purpose."""
    slow: bool = False

    def run(self) -> Simulation:
        """Play it to the end. Raises AssertionError where it does not end as it must."""
        options = dict(self.options)
        if "config" in options:
            options["tables"] = configured(**options.pop("config"))
        simulation = Simulation(self.name, **options)
        self.play(simulation)
        for engine in simulation.engines.values():
            for counter in self.tolerates:
                engine.executor.counters[counter] = 0
        simulation.finish()
        return simulation


SCENARIOS: dict[str, Scenario] = {}


@functools.cache
def configured(**config: float) -> Tables:
    """The shipped tables with other settings."""
    return Tables(config=config)


def scenario(section: str, title: str, *, tolerates: tuple[str, ...] = (), slow: bool = False,
             **options: Any) -> Callable[[Any], Any]:
    """Register a story under its function's name; ``config`` and the others are for its ``Simulation``."""

    def register(play: Callable[[Simulation], None]) -> Callable[[Simulation], None]:
        name = play.__name__
        assert name not in SCENARIOS, f"two scenarios are called {name}"
        SCENARIOS[name] = Scenario(name, section, title, play, options, tolerates, slow)
        return play

    return register


def load() -> dict[str, Scenario]:
    """All scenarios, by name."""
    for module in MODULES:
        importlib.import_module(f"tests.scenarios.{module}")
    return SCENARIOS


def reached() -> Counter[tuple[str, str]]:
    """How often all scenarios together took each row: (machine, row id)."""
    rows: Counter[tuple[str, str]] = Counter()
    for story in load().values():
        rows.update(story.run().reached)
    return rows
