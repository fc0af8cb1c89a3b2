"""Two versions of a machine run side by side, to find the shortest sequences of events that tell them apart.

Both start alike and are given the same events, breadth first, so that what is found first is shortest. An event is
given where it can come: those of interfaces at any time, a timer's while it runs in either version, an outcome's while
an action awaits it, a child's while the child lives. Its payload takes every value that a guard of the cell asks
for (``truth.py`` names them); what no guard asks for has one value. Everything runs on the compiled cells.

A step *differs* where a session's surroundings could notice: another outcome (taken, ignored, refused, …), other
effects or publications, another delay of a timer, the one over and the other not. Going to a state of another name
is not noticed yet, so the walk goes on from such a pair until a step shows it. Where a step has differed (by more than a
delay) the walk ends, and of the steps that differ between the same two rows only the shortest sequence is told.

Abstractions: what predicates and ``count()`` answer is tried both ways, equally on both sides; children publish in any
order; ``random`` delays are compared as ranges. The search is exhaustive within ``limit`` pairs, and says so.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.check.truth import OTHER, Scope, literal, subjects, text
from calltable.engine.model import expressions as x
from calltable.engine.model.machine import FAILED, STARTED
from calltable.engine.model.precedence import cells as resolve_cells
from calltable.engine.run.compile import DEFER, ROW, compile_machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calltable.engine.model.machine import Catalogue, Machine, Type
    from calltable.engine.run.compile import CompiledMachine

LIMIT = 50_000
"""How many pairs of configurations are visited at most."""

PAYLOADS = 192
"""How many payloads of one event are tried at most; beyond, one value at a time is varied."""

HELD = 2
"""How many events may wait deferred; more change nothing that fewer do not show."""

_ODD = {"int": 1, "duration": 1.0, "bool": False, "map": {}, "list": ()}


class Opaque(NamedTuple):
    """A value that no guard looks into: only which one it is can be told."""

    name: str

    def __repr__(self) -> str:
        return f"‹{self.name}›"


@dataclass(frozen=True, slots=True)
class Taking:
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


@dataclass(frozen=True, slots=True)
class Turn:
    """One event and what both versions did with it; more than one ``Taking`` where deferred events followed."""

    event: str
    payload: tuple[tuple[str, object], ...]
    """The fields that guards ask for, with the values given."""
    answers: tuple[tuple[str, object], ...]
    """What predicates and counts answered."""
    old: tuple[Taking, ...]
    new: tuple[Taking, ...]

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
        told = [f"{name} = {_literal(value)}" for name, value in (*self.payload, *self.answers)]
        return f"{self.event} ({', '.join(told)})" if told else self.event


def _literal(value: object) -> str:
    return repr(value) if isinstance(value, Opaque) else literal(value)


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


class _Config(NamedTuple):
    """One version's part of a pair."""

    state: str
    values: tuple[object, ...]
    timers: frozenset[str]
    armed: frozenset[str]
    awaited: frozenset[str]
    children: frozenset[str]
    deferred: tuple[tuple[str, tuple[tuple[str, object], ...]], ...]


class _Stand:
    """What compiled cells read of a session: ``v_<name>`` and ``count``."""

    def __init__(self, names: Sequence[str], values: Sequence[object], answers: Mapping[str, object]) -> None:
        self.answers = answers
        for name, value in zip(names, values, strict=True):
            setattr(self, "v_" + name, value)

    def count(self, child: str, state: str | None = None) -> Any:
        return self.answers.get(text(x.Count(child, state)), 0)


class _Side:
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
        self.tiers = resolve_cells(machine)
        self.interesting = _followed(machine)
        self.domains = _domains(machine, catalogue)

    def _oracle(self, name: str) -> Any:
        return lambda *_: self.answers.get(f"{name}()", False)

    def start(self) -> _Config:
        values = tuple(_frozen(variable.default) for variable in self.machine.variables.values())
        none: frozenset[str] = frozenset()
        config = _Config(self.machine.initial, values, none, none, none, none, ())
        return config._replace(armed=frozenset(event for event, _ in self.arms(config)))

    def arms(self, config: _Config) -> list[tuple[str, object]]:
        stand = _Stand(self.names, config.values, self.answers)
        found = [(arm.event, arm.delay(stand)) for arm in self.compiled.after[config.state]]  # type: ignore[arg-type]
        return [(event, delay) for event, delay in found if delay is not None]

    def final(self, state: str) -> bool:
        return state in self.compiled.finals

    def can_come(self, config: _Config, event: str) -> bool:
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

    def take(self, config: _Config, event: str, payload: Mapping[str, object]) -> tuple[_Config, tuple[Taking, ...]]:
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

    def _one(self, config: _Config, event: str, payload: Mapping[str, object]) -> tuple[_Config, Taking]:
        event = self.aliases.get(event, event)
        state = config.state
        cell = self.compiled.cells[state].get(event)
        stand = _Stand(self.names, config.values, self.answers)
        taken = cell(stand, payload) if cell is not None else None
        config = self._ended(config, event)
        if taken is None:
            known = self.machine.events.get(event)
            if known is None:
                outcome = "not known"
            else:
                outcome = "unhandled" if known.source in ("interface", "engine") else "stale"
            return config, Taking("", outcome, (), (), (), state, state, over=False)
        row, changes, effects, publications = taken
        if row.kind != ROW:
            if row.kind == DEFER and len(config.deferred) < HELD:
                config = config._replace(deferred=(*config.deferred, (event, tuple(payload.items()))))
            outcome = " ".join(filter(None, (row.outcome.kind, f"({row.outcome.detail})" if row.outcome.detail else "")))
            return config, Taking(row.id, outcome, (), (), (), state, state, over=False)
        values = dict(zip(self.names, config.values, strict=True))
        values.update(zip(row.variables, map(_frozen, changes), strict=True))
        config = config._replace(values=tuple(values.values()), state=row.next_state or state)
        for name, parameters in effects:
            config = self._performed(config, name, parameters)
        arms: list[tuple[str, object]] = []
        if config.state != state:
            arms = self.arms(config)
            config = config._replace(armed=frozenset(name for name, _ in arms))
        return config, Taking(
            row.id, "taken",
            tuple((name, _frozen(parameters)) for name, parameters in effects),
            tuple((name, _frozen(fields)) for name, fields in publications),
            tuple((self.original(name), _frozen(delay)) for name, delay in sorted(arms)),
            state, config.state, over=self.final(config.state),
        )  # fmt: skip

    def original(self, event: str) -> str:
        """The name that the old version has for an event of a renamed ``after`` row."""
        return next((old for old, new in self.aliases.items() if new == event), event)

    def _ended(self, config: _Config, event: str) -> _Config:
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

    def _performed(self, config: _Config, name: str, parameters: Mapping[str, Any]) -> _Config:
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
    if isinstance(value, dict):
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
    for subject in subjects(guards, Scope(machine, catalogue)):
        if isinstance(subject.node, x.Var):
            found[subject.node.name] = subject.domain
        elif isinstance(subject.node, x.Compare):
            for part in (subject.node.left, subject.node.right):
                if isinstance(part, x.Var):
                    found.setdefault(part.name, (0, 1, 2))
    return found


# --------------------------------------------------------------------------- payloads


class _Payloads:
    """The payloads worth giving, by event and by the states of both sides."""

    def __init__(self, sides: tuple[_Side, _Side]) -> None:
        self.sides = sides
        self._known: dict[tuple[str, str, str], list[tuple[dict[str, object], dict[str, object], frozenset[str]]]] = {}

    def of(self, event: str, states: tuple[str, str]) -> list[tuple[dict[str, object], dict[str, object], frozenset[str]]]:
        """Each with its fields, what predicates and counts answer, and the names of the fields that matter."""
        key = (event, *states)
        if key not in self._known:
            self._known[key] = list(self._made(event, states))
        return self._known[key]

    def _made(self, event: str, states: tuple[str, str]) -> Iterator[tuple[dict[str, object], dict[str, object], frozenset[str]]]:
        fields: dict[str, Type] = {}
        wanted: dict[str, dict[object, None]] = {}
        asked: dict[str, dict[object, None]] = {}
        for side, state in zip(self.sides, states, strict=True):
            name = side.aliases.get(event, event)
            known = side.machine.events.get(name)
            fields |= known.fields if known is not None else {}
            self._ask(side, state, name, wanted, asked)
        base = {name: self._plain(event, name, of) for name, of in fields.items()}
        axes = [(name, _likely_first(values)) for name, values in (*wanted.items(), *asked.items())]
        for values in _combinations(axes):
            told = {name: self._value(event, name, fields.get(name), value) for name, value in values.items() if name in wanted}
            answers = {name: value for name, value in values.items() if name in asked}
            yield {**base, **told}, answers, frozenset(wanted)

    @staticmethod
    def _ask(side: _Side, state: str, event: str, wanted: dict[str, dict[object, None]],
             asked: dict[str, dict[object, None]]) -> None:
        rows = [row for tier in side.tiers[state].get(event, ()) for row in tier]
        after = [row for row in side.machine.rows.values() if row.after is not None and row.guard is not None]
        guards = [row.guard for row in (*rows, *after) if row.guard is not None]
        scope = Scope(side.machine, side.catalogue, event)
        for subject in subjects(guards, scope):
            match subject.node:
                case x.Field(name=name):
                    wanted.setdefault(name, {}).update(dict.fromkeys(subject.domain))
                case x.Count():
                    asked.setdefault(subject.text, {}).update(dict.fromkeys(subject.domain))
                case x.Call(name=name):
                    asked.setdefault(f"{name}()", {}).update(dict.fromkeys(subject.domain))
                case x.Compare(left=left, right=right):
                    for part in (left, right):
                        if isinstance(part, x.Field):
                            wanted.setdefault(part.name, {}).update(dict.fromkeys((0, 1, 2)))
        for row in rows:
            for name, value in row.set.items():
                if isinstance(value, x.Field) and name in side.interesting:
                    domain = side.domains.get(name) or ((False, True) if scope.type(value).kind == "bool" else ())
                    wanted.setdefault(value.name, {}).update(dict.fromkeys(domain))

    def _plain(self, event: str, name: str, of: Type) -> object:
        return _ODD.get(of.kind, of.values[0] if of.kind == "enum" else Opaque(f"{name} of {event}"))

    def _value(self, event: str, name: str, of: Type | None, value: object) -> object:
        if value is not OTHER:
            return value
        if of is not None and of.kind == "string":
            return "(other)"
        return self._plain(event, name, of) if of is not None else Opaque(name)


def _likely_first(values: Mapping[object, None]) -> list[object]:
    """The values with larger numbers first: a 101 says more to a reader than a 99 (both stand for what is not 100)."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return [*sorted(numbers, reverse=True), *(value for value in values if value not in numbers or isinstance(value, bool))]


def _combinations(axes: Sequence[tuple[str, list[object]]]) -> Iterator[dict[str, object]]:
    size = 1
    for _, values in axes:
        size *= max(1, len(values))
    names = [name for name, values in axes if values]
    lists = [values for _, values in axes if values]
    if size <= PAYLOADS:
        for chosen in itertools.product(*lists):
            yield dict(zip(names, chosen, strict=True))
        return
    base = {name: values[0] for name, values in zip(names, lists, strict=True)}
    yield base
    for name, others in zip(names, lists, strict=True):
        for value in others[1:]:
            yield {**base, name: value}


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
    sides = (_Side(old, catalogues[0], defaults[0], answers, {}), _Side(new, catalogues[1], defaults[1], answers, aliases))
    payloads = _Payloads(sides)
    hidden = {*aliases.values()}
    events = [event for event in dict.fromkeys((*old.events, *new.events)) if event not in hidden]
    start = (sides[0].start(), sides[1].start())
    came: dict[tuple[_Config, _Config], tuple[tuple[_Config, _Config] | None, Turn | None]] = {start: (None, None)}
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


__all__ = ["Comparison", "Divergence", "Opaque", "Taking", "Turn", "compare"]
