"""The payloads that a comparison tries for an event: every value that a guard of either version asks for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from calltable.engine.check import OTHER, GuardTypes, subjects
from calltable.engine.compare.version import Opaque, Version
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calltable.engine.model import Type


PAYLOADS = 192
"""How many payloads of one event are tried at most; beyond, one value at a time is varied."""
_ODD = {"int": 1, "duration": 1.0, "bool": False, "map": {}, "list": ()}


class Payloads:
    """The payloads worth giving, by event and by the states of both sides."""

    def __init__(self, sides: tuple[Version, Version]) -> None:
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
    def _ask(side: Version, state: str, event: str, wanted: dict[str, dict[object, None]],
             asked: dict[str, dict[object, None]]) -> None:
        rows = [row for tier in side.tiers[state].get(event, ()) for row in tier]
        after = [row for row in side.machine.rows.values() if row.after is not None and row.guard is not None]
        guards = [row.guard for row in (*rows, *after) if row.guard is not None]
        scope = GuardTypes(side.machine, side.catalogue, event)
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
