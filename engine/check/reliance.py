"""What a session can rely on to come, where something that runs may also run for ever.

A child whose machine has a state that ``lasts`` need not end: it may be up as long as the parties like. Its owner can
rely on it

* while it is being *set up*: either it ends, or it says so when it gets where it may last (the publication of a row
  that leads there). Where it gets there only on a command (to answer), not before that is given;
* when it is *going*: it was told to hang up, or has published that it is on its way to its end.

A child that gets to such a state in silence can be relied on in the second case alone. The members of a set (``b*``)
are not told apart: they are taken to end, as are children of machines without such a state.

An action that the catalogue calls ``open_ended`` need not be answered either, until one that ``hurries`` it was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calltable.engine.check.sources import ASKED, SETTLED, UNASKED, Source, literal
from calltable.engine.model import HANGUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from calltable.engine.model import Catalogue, Machine, Row

Way = tuple[str, str, str, tuple[str, ...]]
"""A state, an event, the state that follows, and what is published."""


@dataclass(frozen=True, slots=True)
class Phases:
    """How a machine gets to a state that lasts, and away from all of them."""

    silent: bool
    """It may get there without a word."""
    entering: frozenset[str]
    """What it may publish when it gets there."""
    parting: frozenset[str]
    """What it publishes only on a way to its end."""
    commands: frozenset[str]
    """Commands without which it does not get there."""
    obeys: bool
    """Told to hang up, it does, wherever it is."""


def phases(machine: Machine) -> Phases | None:
    """The phases of a machine; None where no state of it lasts."""
    lasting = {name for name, state in machine.states.items() if state.lasts}
    if not lasting:
        return None
    ways: list[Way] = [
        (state, event, row.next_state or state, tuple(one.name for one in row.publish))
        for row in machine.rows.values() if row.kind == "row"
        for state in row.states for event in row.events
    ]  # fmt: skip
    quiet = _before(lasting, [way for way in ways if not way[3]])
    lively = _before(lasting, ways)
    first = _behind(machine.initial, [way for way in ways if way[0] not in quiet])  # before it was ever there
    entries = [way for way in ways if way[0] in first - quiet and way[2] in quiet]
    said: dict[str, set[str]] = {}
    for _, _, target, published in ways:
        for name in published:
            said.setdefault(name, set()).add(target)
    commands = {
        event.name for event in machine.events.values()
        if event.command and event.name != HANGUP
    }  # fmt: skip
    return Phases(
        silent=machine.initial in quiet,
        entering=frozenset(name for way in entries for name in way[3]),
        parting=frozenset(name for name, targets in said.items() if not targets & lively),
        commands=frozenset(
            one for one in commands
            if not any(way[1] != one and way[0] in _behind(machine.initial, ways, one) for way in entries)
        ),
        obeys=HANGUP in machine.events and not any(way[1] == HANGUP and way[2] in lively for way in ways),
    )  # fmt: skip


def _before(goals: AbstractSet[str], ways: Sequence[Way]) -> set[str]:
    """The goals, and every state from which the ways lead to one."""
    found = set(goals)
    size = -1
    while size != (size := len(found)):
        found |= {state for state, _, target, _ in ways if target in found}
    return found


def _behind(start: str, ways: Sequence[Way], but: str = "") -> set[str]:
    """The states that can be reached without the event ``but``."""
    found = {start}
    size = -1
    while size != (size := len(found)):
        found |= {target for state, event, target, _ in ways if event != but and state in found}
    return found


@dataclass
class Reliance:
    """For one machine, the sources that say whether one of its other sources can be relied on."""

    machine: Machine
    catalogue: Catalogue
    children: Mapping[str, Phases]
    """By name, the children that may last."""
    _known: dict[tuple[str, str], tuple[tuple[Source, int], ...]] = field(default_factory=dict)

    def of(self, source: Source) -> tuple[Source, ...]:
        """The sources of which one must be live beside ``source``; none where it can be relied on by itself."""
        if source.kind == "child" and source.name in self.children:
            return Source("setup", source.name), Source("going", source.name)
        if source.kind == "action" and self.catalogue.actions[source.name].open_ended:
            return (Source("hurried", source.name),)
        return ()

    def changes(self, row: Row, event: str, at: Mapping[Source, int]) -> Iterator[tuple[int, int]]:
        """What a row, taking an event, does to these sources, in order."""
        key = (row.id, event)
        if key not in self._known:
            self._known[key] = tuple(self._changes(row, event))
        return ((at[source], change) for source, change in self._known[key] if source in at)

    def _changes(self, row: Row, event: str) -> Iterator[tuple[Source, int]]:
        name, _, what = event.partition(".")
        if name in self.children:
            child = self.children[name]
            if what == "ended":
                yield from _gone(name)
            elif what in child.entering:
                yield Source("setup", name), SETTLED
            elif what in child.parting:
                yield Source("going", name), 1
        for action in row.actions:
            spec = self.catalogue.actions.get(action.name)
            name = literal(action, "to" if action.name == "child.tell" else "name") or ""
            if name in self.children:
                child = self.children[name]
                if action.name == "child.start":
                    yield from _gone(name)
                    if not child.silent:
                        yield Source("setup", name), UNASKED if child.commands else 1
                elif action.name == "child.end":
                    yield from _gone(name)
                elif action.name == "child.tell":
                    told = literal(action, "event")
                    if told == HANGUP and child.obeys:
                        yield Source("going", name), 1
                    elif told in child.commands:
                        yield Source("setup", name), ASKED
            if spec is not None and spec.open_ended:
                yield Source("hurried", action.name), 0
            for other in spec.hurries if spec is not None else ():
                yield Source("hurried", other), 1


def _gone(name: str) -> Iterator[tuple[Source, int]]:
    yield Source("setup", name), 0
    yield Source("going", name), 0


def certainty(machine: Machine, catalogue: Catalogue, machines: Mapping[str, Machine]) -> Reliance:
    """What can be relied on in ``machine``; ``machines`` are looked up for what its children run."""
    found: dict[str, Phases] = {}
    for name, child in machine.children.items():
        its = phases(machines[child.machine]) if child.machine in machines and not child.many else None
        if its is not None:
            found[name] = its
    return Reliance(machine, catalogue, found)
