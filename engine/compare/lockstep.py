"""Two versions of a machine run side by side, to find the shortest sequences of events that tell them apart.

Both start in the same way and are given the same events, breadth first, so the first sequence found is the shortest. An event is given whenever it can
arrive: events of interfaces at any time, a timer's while it runs in either version, an outcome while an action awaits it, a child's while the child is
alive. Its payload takes every value that a guard of the cell tests (see ``check/truth.py``); fields that no guard tests have one value. Everything
runs on compiled cells.

A step *differs* if the session's surroundings could notice: another outcome (taken, ignored, refused, …), other effects or publications, another delay of
a timer, or only one of the two has ended. A state of another name is not noticeable by itself, so the search continues from such a pair until
a step shows it. After a step that differs (by more than a delay) the search stops there; of the steps that differ between the same two rows only the
shortest sequence is reported.

Abstractions: both results of predicates and of ``count()`` are tried, the same on both sides; children publish in any order; random delays are
compared as ranges. The search is exhaustive within ``limit`` pairs, and reports when it was not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calltable.engine.compare.payloads import Payloads
from calltable.engine.compare.version import Configuration, Opaque, Reaction, Version
from calltable.engine.model import STARTED, format_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.model import Catalogue, Machine

LIMIT = 50_000
"""How many pairs of configurations are visited at most."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One event and what both versions did with it; more than one ``Reaction`` where deferred events followed."""

    event: str
    payload: tuple[tuple[str, object], ...]
    """The fields that guards ask for, with the values given."""
    answers: tuple[tuple[str, object], ...]
    """What predicates and counts answered."""
    old: tuple[Reaction, ...]
    new: tuple[Reaction, ...]

    @property
    def differs(self) -> bool:
        """Whether what was done can be told apart."""
        return [one.noticed for one in self.old] != [one.noticed for one in self.new]

    @property
    def parts_ways(self) -> bool:
        """Whether it differs in more than how long timers run: then what follows is another call."""
        return [one.noticed[:3] + one.noticed[4:] for one in self.old] != [
            one.noticed[:3] + one.noticed[4:] for one in self.new
        ]

    @property
    def says(self) -> str:
        """The event with the values that matter: ``b.answered (acknowledged = true)``."""
        told = [f"{name} = {format_literal(value, bare=True)}" for name, value in (*self.payload, *self.answers)]
        return f"{self.event} ({', '.join(told)})" if told else self.event


@dataclass(slots=True)
class Divergence:
    """The shortest sequence that shows one difference; it is the last turn that differs."""

    turns: tuple[Turn, ...]


@dataclass(slots=True)
class Comparison:
    """What a walk found. ``complete`` is false where it stopped at its limit: then more may differ."""

    divergences: list[Divergence] = field(default_factory=list)
    pairs: int = 0
    complete: bool = True


# --------------------------------------------------------------------------- payloads


# --------------------------------------------------------------------------- the walk


def compare(
    old: Machine, new: Machine, catalogues: tuple[Catalogue, Catalogue], *,
    config: Mapping[str, Any] | None = None, renamed: Mapping[str, str] | None = None,
    limit: int = LIMIT, most: int = 20,
) -> Comparison:
    """Walk two versions in lock-step and give the shortest sequences that end differently, at most ``most``.

    ``catalogues`` are those the two were loaded with; ``config`` overrides the defaults of both. ``renamed`` maps ids of
    old rows to new ones (timers are named after their rows). One sequence is told for each pair of rows.
    """
    answers: dict[str, object] = {}
    defaults = [{name: one.default for name, one in catalogue.config.items()} | dict(config or {}) for catalogue in catalogues]
    aliases = {f"after.{a}": f"after.{b}" for a, b in (renamed or {}).items()}
    sides = (Version(old, catalogues[0], defaults[0], answers, {}), Version(new, catalogues[1], defaults[1], answers, aliases))
    payloads = Payloads(sides)
    hidden = {*aliases.values()}
    events = [event for event in dict.fromkeys((*old.events, *new.events)) if event not in hidden]
    start = (sides[0].start(), sides[1].start())
    came: dict[tuple[Configuration, Configuration], tuple[tuple[Configuration, Configuration] | None, Turn | None]] = {start: (None, None)}
    queue = deque([start])
    found = Comparison()
    told: set[object] = set()
    while queue:
        pair = queue.popleft()
        found.pairs += 1
        for event in [STARTED] if pair is start else events:
            if not (pair is start or any(side.can_come(one, event) for side, one in zip(sides, pair, strict=True))):
                continue
            for payload, said, matter in payloads.of(event, (pair[0].state, pair[1].state)):
                answers.clear()
                answers.update(said)
                a, did = sides[0].take(pair[0], event, payload)
                b, does = sides[1].take(pair[1], event, payload)
                told_fields = tuple((name, payload[name]) for name in payload if name in matter)
                turn = Turn(event, told_fields, tuple(said.items()), did, does)
                if turn.differs:
                    key = tuple((one.row, one.outcome) for one in (*did, *does))
                    if key not in told:
                        told.add(key)
                        found.divergences.append(Divergence((*_path(came, pair), turn)))
                        if len(found.divergences) >= most:
                            found.complete = False
                            return found
                if not turn.parts_ways and (a, b) not in came and not did[-1].over:
                    if len(came) >= limit:
                        found.complete = False
                        continue
                    came[a, b] = (pair, turn)
                    queue.append((a, b))
    return found


def _path(came: Mapping[Any, tuple[Any, Turn | None]], pair: object) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    while True:
        before, turn = came[pair]
        if turn is None:
            return tuple(reversed(turns))
        turns.append(turn)
        pair = before


__all__ = ["Comparison", "Divergence", "Opaque", "Reaction", "Turn", "compare"]
