"""Random tables that load, and random events to give them.

A table is drawn as the mapping that its YAML would hold, from the whole language: variables and fields of every type,
guards by the grammar, groups, ``any``, priorities, ``otherwise``, ``after`` rows, timers, children, every kind of row. No
two of its rows are of equal standing (each has a priority of its own), and every narrower row names the wider ones
that it beats, as the loader asks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

KINDS = ("bool", "int", "string", "duration", "enum", "uri", "message", "handle", "map", "list")
COLOURS = ("red", "green", "blue")
TEXTS = ("", "a", "it's", 'say "a"', "$", "ünï\n{}")
NUMBERS = (-1, 0, 1, 2, 3, 4, 100)
SECONDS = (0.0, 0.25, 0.5, 1.5, 3.0)
CONFIG = {"limit": 3, "pause": 0.5, "greeting": "it's", "loud": True, "nothing": None}
PREDICATES = {
    "odd": lambda n: n % 2 == 1,
    "length": len,
    "half": lambda n: n // 2 if n % 2 == 0 else None,
}

CATALOGUE: dict[str, Any] = {
    "calltable": 1,
    "catalogue": "random",
    "doc": "What random tables draw on.",
    "config": {
        "limit": {"type": "int", "default": 3},
        "pause": {"type": "duration", "default": "500ms"},
        "greeting": {"type": "string", "default": "it's"},
        "loud": {"type": "bool", "default": True},
        "nothing": {"type": "int?", "default": None},
    },
    "actions": {
        f"use.{kind}{mark}": {
            "doc": "Takes a value.",
            "parameters": {"value": {"type": kind + ("?" if mark else ""), **({"values": COLOURS} if kind == "enum" else {})}},
        }
        for kind in KINDS
        for mark in ("", ".maybe")
    },
    "predicates": {
        "odd": {"parameters": ["int"], "returns": "bool", "doc": "Not even."},
        "length": {"parameters": ["string"], "returns": "int", "doc": "Characters."},
        "half": {"parameters": ["int"], "returns": "int?", "doc": "Null for odd numbers."},
    },
}

KID: dict[str, Any] = {
    "calltable": 1,
    "machine": "kid",
    "doc": "A child to be counted.",
    "initial": "small",
    "parameters": {"age": "int", "nick": "string?"},
    "receives": ["user.kid"],
    "states": {"small": {}, "big": {}, "gone": {"final": True}},
    "rows": [
        {"id": "kid.start", "state": "small", "event": "engine.started", "doc": "It grows later."},
        {"id": "kid.grow", "state": "small", "event": "user.grow", "next_state": "big"},
        {"id": "kid.grown", "state": "big", "event": "user.grow", "ignore": "late"},
        {"id": "kid.hangup", "state": "any", "event": ["user.hangup", "engine.failed"], "next_state": "gone"},
    ],
}
KID_INTERFACE = {
    "user.kid": {"doc": "What a kid is told.", "events": {"user.grow": {"fields": {"by": "int"}}, "user.hangup": {"must_take": True}}}
}


def type_text(kind: str, optional: bool) -> Any:
    name = kind + ("?" if optional else "")
    return {"type": name, "values": list(COLOURS)} if kind == "enum" else name


@dataclass
class Known:
    """The names that a row can use: text as guards write it, kind, and whether it may be null."""

    variables: list[tuple[str, str, bool]]
    fields: list[tuple[str, str, bool]] = field(default_factory=list)

    @property
    def subjects(self) -> list[tuple[str, str, bool]]:
        config = [("config.limit", "int", False), ("config.pause", "duration", False), ("config.loud", "bool", False),
                  ("config.nothing", "int", True)]  # fmt: skip
        calls = [("count(kid*)", "int", False), ("count(kid*, big)", "int", False)]
        for name, kind, optional in (*self.variables, *self.fields):
            if kind == "int" and not optional:
                calls += [(f"odd({name})", "bool", False), (f"half({name})", "int", True)]
            if kind == "string" and not optional:
                calls.append((f"length({name})", "int", False))
        return [*self.variables, *self.fields, *config, *calls]


# --------------------------------------------------------------------------- guards


def quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def number_text(draw: Any, kind: str) -> str:
    if kind == "duration":
        return draw(st.sampled_from(["0s", "250ms", "500ms", "1.5s", "3s"]))
    return str(draw(st.sampled_from(NUMBERS)))


@st.composite
def conditions(draw, known: Known, depth: int = 2) -> str:
    """One guard as text."""
    shapes = ["relation"] * 3 + (["not", "and", "or"] if depth else [])
    shape = draw(st.sampled_from(shapes))
    if shape == "not":
        return f"not ({draw(conditions(known, depth - 1))})"
    if shape in ("and", "or"):
        parts = draw(st.lists(conditions(known, depth - 1), min_size=2, max_size=3))
        return f" {shape} ".join(f"({part})" for part in parts)
    name, kind, optional = draw(st.sampled_from(known.subjects))
    if optional and (kind in ("message", "handle", "map", "list") or draw(st.integers(0, 3)) == 0):
        return f"{name} is {draw(st.sampled_from(['', 'not ']))}null"
    others = [other for other, its, _ in known.subjects if its == kind and other != name]
    match kind:
        case "bool":
            if optional:
                return f"{name} {draw(st.sampled_from(['==', '!=']))} {draw(st.sampled_from(['true', 'false']))}"
            return name
        case "int" | "duration":
            operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
            if draw(st.integers(0, 4)) == 0:
                members = ", ".join(draw(st.lists(st.just(kind).map(lambda k: number_text(draw, k)), min_size=1, max_size=3)))
                return f"{name} {draw(st.sampled_from(['', 'not ']))}in [{members}]"
            right = draw(st.sampled_from([number_text(draw, kind), *others]))
            return f"{right} {operator} {name}" if draw(st.booleans()) else f"{name} {operator} {right}"
        case "enum":
            if draw(st.booleans()):
                members = ", ".join(draw(st.lists(st.sampled_from(COLOURS), min_size=1, max_size=2)))
                return f"{name} {draw(st.sampled_from(['', 'not ']))}in [{members}]"
            right = draw(st.sampled_from([*COLOURS, *map(quoted, COLOURS), *others]))
            return f"{name} {draw(st.sampled_from(['==', '!=']))} {right}"
        case "string" | "uri":
            right = draw(st.sampled_from([quoted(text) for text in TEXTS if "\n" not in text] + others))
            return f"{name} {draw(st.sampled_from(['==', '!=']))} {right}"
        case "handle" if others:
            return f"{name} == {draw(st.sampled_from(others))}"
    return "config.loud"


# --------------------------------------------------------------------------- values


@st.composite
def written(draw, known: Known, kind: str, *, optional: bool, strict: bool, between: bool = False) -> Any:
    """A value for a variable, field or parameter of a type, as YAML writes it; None for null."""
    choices: list[Any] = [None] if optional else []
    for name, its, may_be_null in known.variables:
        if its == kind and (optional or not may_be_null or not strict):
            choices.append(f"${name}")
    for name, its, may_be_null in known.fields:
        if its == kind and (optional or not may_be_null):
            choices.append(f"${name}")
    match kind:
        case "bool":
            choices += [True, False, "$config.loud"]
        case "int":
            choices += [*NUMBERS, "$config.limit"]
        case "string":
            choices += [f"${text}" if text.startswith("$") else text for text in TEXTS] + ["$config.greeting"]
        case "duration":
            choices += [0, 1.5, "250ms", "1h", "$config.pause"]
            if between:
                choices.append({"between": ["100ms", draw(st.sampled_from(["1s", "$config.pause"]))]})
        case "enum":
            choices += COLOURS
        case "uri":
            choices += ["sip:a@b.example", "sip:[::1];transport=tcp"]
        case "map":
            inner = [f"${name}" for name, *_ in known.variables] + [1, "x", None, True]
            choices += [{}, {"a": draw(st.sampled_from(inner)), "b": {"c": draw(st.sampled_from(inner))}}]
        case "list":
            choices += [[], [1, "a", None, True]]
    return draw(st.sampled_from(choices)) if choices else MISSING


MISSING = object()
"""There is no value of the type to be had."""


# --------------------------------------------------------------------------- tables


@st.composite
def tables(draw) -> dict[str, str]:
    """The texts of a catalogue and two machines, ``random`` and ``kid``, by file name."""
    events = {}
    for index in range(draw(st.integers(1, 3))):
        fields = draw(st.dictionaries(st.sampled_from(KINDS), st.booleans(), max_size=4))
        events[f"user.e{index}"] = {f"f_{kind}": (kind, optional) for kind, optional in sorted(fields.items())}
    drawn = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=7, unique=True))
    variables = [(f"v_{kind}" + ("_maybe" if optional else ""), kind, optional) for kind, optional in sorted(drawn)
                 if optional or kind not in ("uri", "message", "handle", "map", "list")]  # fmt: skip
    states = [f"s{index}" for index in range(draw(st.integers(1, 4)))]
    groups: dict[str, list[str]] = {}
    for index in range(draw(st.integers(0, 2))):
        members = [*states, *groups]
        groups[f"g{index}"] = sorted(draw(st.sets(st.sampled_from(members), min_size=1)))
    publishes = {f"said_{kind}": {"value": type_text(kind, optional=True)} for kind in draw(st.sets(st.sampled_from(KINDS)))}
    table = _Table(draw, Known(variables), events, states, groups, publishes)
    catalogue = {
        **CATALOGUE,
        "interfaces": {
            **KID_INTERFACE,
            "user.random": {
                "doc": "What happens.",
                "commands": True,
                "events": {
                    name: {"fields": {one: type_text(*kind) for one, kind in fields.items()}} for name, fields in events.items()
                },
            },
        },
    }
    machine = {
        "calltable": 1,
        "machine": "random",
        "doc": "Drawn.",
        "initial": "s0",
        "parameters": {"first": "int", "second": "string?"},
        "receives": ["user.random"],
        "children": {"kid*": {"machine": "kid"}},
        "variables": {name: type_text(kind, optional) for name, kind, optional in variables},
        "publishes": publishes,
        "states": {**{name: {} for name in states}, "over": {"final": True}},
        "groups": groups,
        "rows": table.rows(),
    }
    return {"catalogue.yaml": json.dumps(catalogue, indent=1), "random.yaml": dumped(machine), "kid.yaml": json.dumps(KID)}


def dumped(machine: dict[str, Any]) -> str:
    """JSON is YAML; one row a line, so that positions tell rows apart."""
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in machine["rows"])
    rest = json.dumps({key: value for key, value in machine.items() if key != "rows"}, indent=1)
    return f'{rest[:-2]},\n "rows": [\n{rows}\n]}}\n'


class _Table:
    """Draws the rows of one table."""

    def __init__(self, draw, known, events, states, groups, publishes) -> None:
        self.draw = draw
        self.known = known
        self.events = events
        self.states = states
        self.groups = groups
        self.publishes = publishes

    def rows(self) -> list[dict[str, Any]]:
        draw = self.draw
        found = [self.row(f"r{index}") for index in range(draw(st.integers(1, 8)))]
        started = {"id": "start", "state": "s0", "event": "engine.started", "doc": "It begins."}
        if draw(st.booleans()):
            started["actions"] = [{"child.start": {"name": "kid*", "with": {"age": "$event.first", "nick": "$event.second"}}}]
        found += [started, {"id": "failed", "state": "any", "event": "engine.failed", "next_state": "over"}]
        for index, event in enumerate(self.events):
            if draw(st.integers(0, 3)):
                kind = draw(st.sampled_from([{"ignore": "late"}, {"refuse": "not now"}, {"defer": True}]))
                found.append({"id": f"rest{index}", "state": "any", "event": event, "guards": ["otherwise"], **kind})
        if any("timer.start" in action for row in found for action in row.get("actions", ())):
            found.append({"id": "rung", "state": "any", "event": "timer.t", "doc": "It rang."})
        for priority, row in enumerate(found):
            row["priority"] = priority
        for row in found:
            beaten = sorted(other["id"] for other in found if self.beats(row, other))
            if beaten:
                row["overrides"] = beaten
        return draw(st.permutations(found))

    def widths(self, row: dict[str, Any]) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in row["state"] if isinstance(row["state"], list) else [row["state"]]:
            members = self.flat(name)
            width = 0 if name in self.states else 1_000_000 if name == "any" else len(members)
            for state in members:
                found[state] = min(width, found.get(state, width))
        return found

    def flat(self, name: str) -> set[str]:
        if name == "any":
            return set(self.states)
        return {name} if name in self.states else set().union(*(self.flat(one) for one in self.groups[name]))

    def beats(self, row: dict[str, Any], other: dict[str, Any]) -> bool:
        def named(one: dict[str, Any]) -> set[str]:
            events = one.get("event", [])
            return set(events if isinstance(events, list) else [events])

        mine, its = self.widths(row), self.widths(other)
        return bool(named(row) & named(other)) and any(mine[state] < its[state] for state in mine.keys() & its.keys())

    def row(self, name: str) -> dict[str, Any]:
        draw = self.draw
        where = [*self.states, *self.groups, "any"]
        row: dict[str, Any] = {"id": name, "state": draw(st.sampled_from(where)), "doc": "Drawn."}
        if draw(st.integers(0, 3)) == 0:
            row["state"] = draw(st.lists(st.sampled_from(where), min_size=1, max_size=2, unique=True))
        after = draw(st.integers(0, 5)) == 0
        known = Known(self.known.variables)
        if after:
            row["after"] = draw(written(known, "duration", optional=False, strict=True, between=True))
        else:
            row["event"] = draw(st.lists(st.sampled_from(sorted(self.events)), min_size=1, max_size=2, unique=True))
            known.fields = self.fields(row["event"])
        guards = draw(st.lists(conditions(known), max_size=2))
        if guards or (not after and draw(st.integers(0, 4)) == 0):
            row["guards"] = guards or ["otherwise"]
        if not after and draw(st.integers(0, 3)) == 0:
            return row | draw(st.sampled_from([{"ignore": "retransmission"}, {"refuse": "it's late"}, {"defer": True}]))
        self.does(row, known)
        return row

    def fields(self, events: list[str]) -> list[tuple[str, str, bool]]:
        shared = set.intersection(*(set(self.events[event]) for event in events))
        return [(f"event.{name}", self.events[events[0]][name][0], any(self.events[event][name][1] for event in events))
                for name in sorted(shared)]  # fmt: skip

    def does(self, row: dict[str, Any], known: Known) -> None:
        draw = self.draw
        setting = {}
        for name, kind, optional in draw(st.lists(st.sampled_from(known.variables), max_size=3, unique=True)) if known.variables else ():
            value = draw(written(known, kind, optional=optional, strict=True))
            if value is not MISSING:
                setting[name] = value
        actions = [action for _ in range(draw(st.integers(0, 3))) if (action := self.action(known)) is not None]
        publish = []
        for name in sorted(draw(st.sets(st.sampled_from(sorted(self.publishes))))) if self.publishes else ():
            value = draw(written(known, name.removeprefix("said_"), optional=True, strict=True))
            publish.append({name: {"value": value}} if draw(st.booleans()) else name)
        done = {"set": setting, "actions": actions, "publish": publish}
        row |= {key: value for key, value in done.items() if value}
        if draw(st.booleans()):
            row["next_state"] = draw(st.sampled_from([*self.states, *self.states, "over"]))

    def action(self, known: Known) -> dict[str, Any] | None:
        draw = self.draw
        match draw(st.integers(0, 9)):
            case 0:
                repeat = draw(st.sampled_from([{}, {"repeat": {}}, {"repeat": {"factor": 2, "max": "$config.pause"}}]))
                after = draw(written(known, "duration", optional=False, strict=False, between=True))
                return {"timer.start": {"name": "t", "after": after, **repeat}}
            case 1:
                return {"child.start": {"name": "kid*", "with": {"age": draw(written(known, "int", optional=False, strict=False))}}}
            case 2:
                return {"child.tell": {"to": "kid*", "event": "user.grow", "with": {"by": draw(written(known, "int", optional=False, strict=False))}}}
        kind, optional = draw(st.tuples(st.sampled_from(KINDS), st.booleans()))
        value = draw(written(known, kind, optional=optional, strict=False, between=True))
        return None if value is MISSING else {f"use.{kind}{'.maybe' if optional else ''}": {"value": value}}


# --------------------------------------------------------------------------- payloads


def values(kind: str, constants: frozenset[Any] = frozenset()) -> st.SearchStrategy[Any]:
    """Values of a type as adapters hand them over; ``constants`` are worth a try beside the usual ones."""
    numbers = [one for one in constants if isinstance(one, int | float) and not isinstance(one, bool)]
    match kind:
        case "bool":
            return st.booleans()
        case "int":
            return st.sampled_from([*NUMBERS, *(int(one) + by for one in numbers for by in (-1, 0, 1))])
        case "string" | "uri":
            return st.sampled_from([*TEXTS, "sip:a@b", *sorted(one for one in constants if isinstance(one, str))])
        case "duration":
            return st.sampled_from([*SECONDS, 2, *(float(one) for one in numbers)])
        case "map":
            return st.just({"a": 1})
        case "list":
            return st.just((1, "a"))
    return st.sampled_from([f"<a {kind}>", f"<another {kind}>"])


@st.composite
def payloads(draw, fields: Any, constants: frozenset[Any] = frozenset()) -> dict[str, Any]:
    """A payload for an event with these fields (name → ``Type``); what may be null may be left out too."""
    made = {}
    for name, its in fields.items():
        if its.optional and draw(st.booleans()):
            if draw(st.booleans()):
                made[name] = None
        elif its.kind == "enum":
            made[name] = draw(st.sampled_from(its.values))
        else:
            made[name] = draw(values(its.kind, constants))
    return made
