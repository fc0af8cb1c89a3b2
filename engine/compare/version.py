"""One of two versions that are run side by side: its configuration, and how it reacts to an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.check import GuardTypes, subjects
from calltable.engine.model import FAILED, format_expression
from calltable.engine.model import cells as resolve_cells
from calltable.engine.model import expressions as x
from calltable.engine.run import DEFER, NOBODY, ROW, compile_machine, step

if TYPE_CHECKING:

    from calltable.engine.model import Catalogue, Machine
    from calltable.engine.run import CompiledMachine, Session


HELD = 2
"""How many events may wait deferred; more change nothing that fewer do not show."""


class Opaque(NamedTuple):
    """A value that no guard looks into: only which one it is can be told."""

    name: str

    def __repr__(self) -> str:
        return f"‹{self.name}›"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one version does with one event: the row (or none), what can be noticed of it, and where it goes."""

    row: str
    outcome: str
    effects: tuple[tuple[str, object], ...]
    publications: tuple[tuple[str, object], ...]
    timers: tuple[tuple[str, object], ...]
    """The ``after`` rows armed by entering a state, with their delays."""
    before: str
    after: str
    over: bool

    @property
    def noticed(self) -> tuple[object, ...]:
        """All that surroundings can tell."""
        return (self.outcome, self.effects, self.publications, self.timers, self.over)


class Configuration(NamedTuple):
    """One version's part of a pair."""

    state: str
    values: tuple[object, ...]
    timers: frozenset[str]
    armed: frozenset[str]
    awaited: frozenset[str]
    children: frozenset[str]
    deferred: tuple[tuple[str, tuple[tuple[str, object], ...]], ...]


def _stand_in(compiled: CompiledMachine, answers: Mapping[str, object]) -> Session:
    """A session without children: ``count`` answers what it is told."""

    def count(_session: Session, child: str, state: str | None = None) -> Any:
        return answers.get(format_expression(x.Count(child, state)), 0)

    made: Session = type("StandIn", (compiled.session,), {"__slots__": (), "count": count})(0, "", "", NOBODY)
    return made


class Version:
    """One version: its compiled cells, and how its configurations follow from each other."""

    def __init__(self, machine: Machine, catalogue: Catalogue, config: Mapping[str, Any],
                 answers: dict[str, object], aliases: Mapping[str, str]) -> None:
        self.machine = machine
        self.catalogue = catalogue
        self.answers = answers
        self.aliases = aliases
        predicates = {name: self._oracle(name) for name in catalogue.predicates}
        self.compiled: CompiledMachine = compile_machine(machine, config, predicates)
        self.names = tuple(machine.variables)
        self.stand = _stand_in(self.compiled, answers)
        self.tiers = resolve_cells(machine)
        self.interesting = _followed(machine)
        self.domains = _domains(machine, catalogue)

    def _oracle(self, name: str) -> Any:
        return lambda *_: self.answers.get(f"{name}()", False)

    def start(self) -> Configuration:
        """The configuration of a session that was just made."""
        values = tuple(_frozen(variable.default) for variable in self.machine.variables.values())
        none: frozenset[str] = frozenset()
        config = Configuration(self.machine.initial, values, none, none, none, none, ())
        return config._replace(armed=frozenset(event for event, _ in self.arms(config)))

    def arms(self, config: Configuration) -> list[tuple[str, object]]:
        """The ``after`` rows that are armed on entry of its state, with their delays."""
        return [*step.arms(self._placed(config))]

    def _placed(self, config: Configuration) -> Session:
        """The stand-in where the configuration says."""
        stand = self.stand
        stand.state, stand.cells = config.state, self.compiled.cells[config.state]
        for name, value in zip(self.names, config.values, strict=True):
            setattr(stand, "v_" + name, value)
        return stand

    def final(self, state: str) -> bool:
        """Whether a session in this state has ended."""
        return state in self.compiled.finals

    def can_come(self, config: Configuration, event: str) -> bool:
        """Whether the event may be given to this version now."""
        known = self.machine.events.get(self.aliases.get(event, event))
        if known is None:
            return False
        match known.source:
            case "interface":
                return True
            case "engine":
                return known.name == FAILED
            case "timer":
                return known.of in config.timers or known.name.removeprefix("timer.") in config.timers
            case "after":
                return known.name in config.armed
            case "outcome":
                return any(
                    outcome.event == known.name
                    for action in config.awaited for outcome in self.catalogue.actions[action].outcomes
                )  # fmt: skip
            case "child":
                return known.name.rpartition(".")[0] in config.children

    def take(self, config: Configuration, event: str, payload: Mapping[str, object]) -> tuple[Configuration, tuple[Reaction, ...]]:
        """Give the event, and whatever it releases of what was deferred."""
        config, taking = self._one(config, event, payload)
        takings = [taking]
        while taking.after != taking.before and config.deferred and not taking.over:
            waiting, config = config.deferred, config._replace(deferred=())
            for held, values in waiting:
                if not self.final(config.state):
                    config, taking = self._one(config, held, dict(values))
                    takings.append(taking)
        return config, tuple(takings)

    def _one(self, config: Configuration, event: str, payload: Mapping[str, object]) -> tuple[Configuration, Reaction]:
        event = self.aliases.get(event, event)
        state = config.state
        stand = self._placed(config)
        taken = step.take(stand, event, payload)
        config = self._ended(config, event)
        if taken is None:
            known = self.machine.events.get(event)
            if known is None:
                outcome = "not known"
            else:
                outcome = "unhandled" if known.source in ("interface", "engine") else "stale"
            return config, Reaction("", outcome, (), (), (), state, state, over=False)
        row, _, effects, publications = taken
        if row.kind != ROW:
            if row.kind == DEFER and len(config.deferred) < HELD:
                config = config._replace(deferred=(*config.deferred, (event, tuple(payload.items()))))
            outcome = " ".join(filter(None, (row.outcome.kind, f"({row.outcome.detail})" if row.outcome.detail else "")))
            return config, Reaction(row.id, outcome, (), (), (), state, state, over=False)
        moved = step.enter(stand, taken)
        values = tuple(_frozen(getattr(stand, "v_" + name)) for name in self.names)
        config = config._replace(values=values, state=stand.state)
        for name, parameters in effects:
            config = self._performed(config, name, parameters)
        arms: list[tuple[str, object]] = []
        if moved:
            arms = self.arms(config)
            config = config._replace(armed=frozenset(name for name, _ in arms))
        return config, Reaction(
            row.id, "taken",
            tuple((name, _frozen(parameters)) for name, parameters in effects),
            tuple((name, _frozen(fields)) for name, fields in publications),
            tuple((self.original(name), _frozen(delay)) for name, delay in sorted(arms)),
            state, config.state, over=self.final(config.state),
        )  # fmt: skip

    def original(self, event: str) -> str:
        """The name that the old version has for an event of a renamed ``after`` row."""
        return next((old for old, new in self.aliases.items() if new == event), event)

    def _ended(self, config: Configuration, event: str) -> Configuration:
        """What the arrival of an event uses up: a timer that fired, an outcome that was awaited, a child."""
        known = self.machine.events.get(event)
        if known is None:
            return config
        if known.source == "after":
            return config._replace(armed=config.armed - {event})
        if known.source == "timer":
            name = event.removeprefix("timer.")
            return config if f"{name}↻" in config.timers else config._replace(timers=config.timers - {name})
        if known.source == "child" and event.endswith(".ended") and "*" not in event:
            return config._replace(children=config.children - {event.rpartition(".")[0]})
        for action in sorted(config.awaited):
            for outcome in self.catalogue.actions[action].outcomes:
                if outcome.event == event:
                    return config if outcome.more else config._replace(awaited=config.awaited - {action})
        return config

    def _performed(self, config: Configuration, name: str, parameters: Mapping[str, Any]) -> Configuration:
        """What an effect opens or closes."""
        match name:
            case "timer.start":
                timer = str(parameters["name"])
                more = {timer, f"{timer}↻"} if parameters.get("repeat") else {timer}
                return config._replace(timers=(config.timers - {f"{timer}↻"}) | more)
            case "timer.stop":
                timer = str(parameters["name"])
                return config._replace(timers=config.timers - {timer, f"{timer}↻"})
            case "child.start":
                return config._replace(children=config.children | {str(parameters["name"])})
            case "child.end":
                return config._replace(children=config.children - {str(parameters["name"])})
            case _ if name in self.catalogue.actions and self.catalogue.actions[name].outcomes:
                return config._replace(awaited=config.awaited | {name})
            case _:
                return config


def _frozen(value: object) -> object:
    """A value that can be compared and kept in a set."""
    if isinstance(value, Mapping):
        return tuple(sorted((key, _frozen(one)) for key, one in value.items()))
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def _followed(machine: Machine) -> frozenset[str]:
    """The variables that a guard reads, and those they are set from."""
    guards = [row.guard for row in machine.rows.values() if row.guard is not None]
    read = {node.name for guard in guards for node in x.walk(guard) if isinstance(node, x.Var)}
    while True:
        more = {
            node.name
            for row in machine.rows.values() for name, value in row.set.items() if name in read
            for node in x.walk(value) if isinstance(node, x.Var)
        }  # fmt: skip
        if more <= read:
            return frozenset(read)
        read |= more


def _domains(machine: Machine, catalogue: Catalogue) -> dict[str, tuple[object, ...]]:
    """For each variable that guards read, the values that make a difference."""
    guards = [row.guard for row in machine.rows.values() if row.guard is not None]
    found: dict[str, tuple[object, ...]] = {}
    for subject in subjects(guards, GuardTypes(machine, catalogue)):
        if isinstance(subject.node, x.Var):
            found[subject.node.name] = subject.domain
        elif isinstance(subject.node, x.Compare):
            for part in (subject.node.left, subject.node.right):
                if isinstance(part, x.Var):
                    found.setdefault(part.name, (0, 1, 2))
    return found
