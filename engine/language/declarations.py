"""What a machine declares before its rows: states, variables, publications, children, and the events it is given.

Machines name each other (a parent starts children, tells them things and hears what they publish), so all
declarations of all machines are read first; the rows of each are read against the declarations of every other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calltable.engine.language.catalogue import read_types
from calltable.engine.language.literals import UnreadableError, natural_default, read_literal, read_type
from calltable.engine.model import ANY, FAILED, STARTED, STRING, Child, Event, Group, State, Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.language.merge import Entry, Merged
    from calltable.engine.language.source import Node
    from calltable.engine.model import Catalogue, EventSpec, Report, Type

RESERVED_PUBLICATIONS = ("ended", "refused")
"""What the engine itself says of a child."""

_CHILD = "child"
"""The field that names the member of a set an event came from."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything of a machine but its rows, and the events it is given whatever its rows do."""

    merged: Merged
    parameters: Mapping[str, Type]
    variables: Mapping[str, Variable]
    publishes: Mapping[str, Mapping[str, Type]]
    receives: tuple[str, ...]
    children: Mapping[str, Child]
    states: Mapping[str, State]
    groups: Mapping[str, Group]
    initial: str
    received: Mapping[str, Event]
    """Events of the interfaces it receives."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.merged.document.name

    def tellable(self) -> Mapping[str, Event]:
        """The events that a parent may tell it."""
        return self.received


def declare(merged: Merged, catalogue: Catalogue, report: Report) -> Declarations:
    """Read what a machine declares, complaining to ``report`` and leaving out what is wrong."""
    node = merged.document.node
    variables = {}
    for name, entry in merged.sections["variables"].items():
        variable = _variable(name, entry, report)
        if variable is not None:
            variables[name] = variable
    states = {name: _state(name, entry) for name, entry in merged.sections["states"].items()}
    groups = _groups(merged, states, report)
    receives, received = _received(merged, catalogue, report)
    return Declarations(
        merged=merged,
        parameters=read_types(node.get("parameters"), report),
        variables=variables,
        publishes={name: _publication(name, entry, report) for name, entry in merged.sections["publishes"].items()},
        receives=receives,
        children=_children(merged, catalogue, report),
        states=states,
        groups=groups,
        initial=_initial(merged, states, report),
        received=received,
    )


def _variable(name: str, entry: Entry, report: Report) -> Variable | None:
    node = entry.node
    if name in ("event", "config", "count", "otherwise", "and", "or", "not", "in", "is", "null", "true", "false"):
        hint = "the word has a meaning in guards; choose another"
        report.add(entry.position, f"a variable cannot be named {name!r}", code="reserved", hint=hint)
        return None
    type_ = read_type(node, report)
    if type_ is None:
        return None
    default, doc = node.get("default"), node.get("doc")
    value: object = None
    try:
        value = read_literal(default, type_) if default is not None else natural_default(type_)
    except UnreadableError as error:
        where = default.position if default is not None else entry.position
        report.add(where, f"default of variable {name}: {error}", code="type", hint=error.hint)
    return Variable(name, type_, value, doc.text.strip() if doc else "", entry.position)


def _state(name: str, entry: Entry) -> State:
    final, doc, lasts = (entry.node.get(key) for key in ("final", "doc", "lasts"))
    return State(
        name=name,
        final=final is not None and final.value is True,
        doc=doc.text.strip() if doc else "",
        position=entry.position,
        lasts=lasts.text.strip() if lasts else "",
    )


def _groups(merged: Merged, states: Mapping[str, State], report: Report) -> dict[str, Group]:
    entries = merged.sections["groups"]
    for name, entry in [*entries.items(), *merged.sections["states"].items()]:
        if name == ANY:
            hint = "«any» stands for every non-final state"
            report.add(entry.position, f"nothing can be named {ANY!r}", code="reserved", hint=hint)
    found: dict[str, Group] = {}
    for name, entry in entries.items():
        if name in states:
            hint = f"the state stands at {states[name].position}; rename one of the two"
            report.add(entry.position, f"{name!r} is a state and a group", code="duplicate", hint=hint)
            continue
        before = len(report.problems)
        members = dict.fromkeys(_members(name, entries, states, [], report, tell=True))
        if len(report.problems) == before:
            found[name] = Group(name, tuple(state for state in states if state in members), entry.position)
    # a group that holds a broken one is broken too: its size, and so who beats whom, is not known
    lost = entries.keys() - found.keys()
    while holding := [name for name in found if any(item.text in lost for item in entries[name].node.items)]:
        lost |= set(holding)
        found = {name: group for name, group in found.items() if name not in lost}
    return found


def _members(
    name: str, entries: Mapping[str, Entry], states: Mapping[str, State], path: list[str], report: Report, *, tell: bool
) -> list[str]:
    """The states in a group, flat; only the outermost call tells what is wrong."""
    found = []
    for item in entries[name].node.items:
        member = item.text
        if member in states:
            found.append(member)
        elif member in (*path, name):
            if tell:
                hint = "a group cannot hold itself, nor a group that holds it"
                circle = " → ".join([*path, name, member])
                report.add(item.position, f"groups form a cycle: {circle}", code="group-cycle", hint=hint)
        elif member in entries:
            found += _members(member, entries, states, [*path, name], report, tell=tell and member == name)
            if tell and _circular(member, name, entries, set()):
                hint = "a group cannot hold itself, nor a group that holds it"
                message = f"groups form a cycle: {name} → … → {name}"
                report.add(item.position, message, code="group-cycle", hint=hint)
        elif tell:
            report.unknown(item.position, "state", member, [*states, *entries])
    return found


def _circular(start: str, target: str, entries: Mapping[str, Entry], seen: set[str]) -> bool:
    if start in seen or start not in entries:
        return False
    seen.add(start)
    members = [item.text for item in entries[start].node.items]
    return target in members or any(_circular(member, target, entries, seen) for member in members)


def _publication(name: str, entry: Entry, report: Report) -> dict[str, Type]:
    if name in RESERVED_PUBLICATIONS:
        hint = "the engine itself tells the parent so"
        report.add(entry.position, f"a publication cannot be named {name!r}", code="reserved", hint=hint)
    if _CHILD in entry.node.mapping:
        hint = "event.child names the member of a set that an event came from"
        report.add(entry.node.keys[_CHILD], f"a publication cannot have a field {_CHILD!r}", code="reserved", hint=hint)
    return read_types(entry.node, report)


def _children(merged: Merged, catalogue: Catalogue, report: Report) -> dict[str, Child]:
    found: dict[str, Child] = {}
    events = [*catalogue.outcomes, *(event for one in catalogue.interfaces.values() for event in one.events)]
    taken = {"engine", "timer", "after", "event", *(event.partition(".")[0] for event in events)}
    for name, entry in merged.sections["children"].items():
        plain = name.removesuffix("*")
        machine = entry.node.get("machine")
        if machine is None:
            continue
        if any(other.removesuffix("*") == plain for other in found):
            hint = "name a single child and a set differently"
            report.add(entry.position, f"child {plain!r} is declared twice", code="duplicate", hint=hint)
            continue
        if plain in taken:
            hint = f"{plain}.* are events of another kind"
            report.add(entry.position, f"a child cannot be named {plain!r}", code="reserved", hint=hint)
            continue
        found[name] = Child(name, machine.text, machine.position)
    return found


def _received(merged: Merged, catalogue: Catalogue, report: Report) -> tuple[tuple[str, ...], dict[str, Event]]:
    names: list[str] = []
    specs: dict[str, EventSpec] = {}
    owners: dict[str, str] = {}
    for name, entry in merged.receives.items():
        interface = catalogue.interfaces.get(name)
        if interface is None:
            report.unknown(entry.position, "interface", name, catalogue.interfaces)
            continue
        names.append(name)
        for event, spec in interface.events.items():
            first = specs.get(event)
            if first is not None and (first.fields, first.must_take) != (spec.fields, spec.must_take):
                message = f"event {event} means one thing in {owners[event]} and another in {name}"
                hint = "make the two alike in the catalogue, or receive one of them"
                report.add(entry.position, message, code="duplicate", hint=hint)
                continue
            specs[event] = spec
            owners[event] = name
    events = {
        event: Event(event, spec.fields, spec.must_take, spec.doc, "interface", owners[event], spec.command)
        for event, spec in specs.items()
    }
    return tuple(names), events


def _initial(merged: Merged, states: Mapping[str, State], report: Report) -> str:
    node = merged.document.node.get("initial")
    initial = node.text if node else ""
    if node is not None and merged.complete and initial not in states:
        report.unknown(node.position, "state", initial, states)
    elif node is not None and initial in states and states[initial].final:
        hint = "a session that starts in a final state does nothing"
        report.add(node.position, f"the initial state {initial!r} is final", code="initial", hint=hint)
    if merged.complete and not any(state.final for state in states.values()):
        hint = "add «terminated: {final: true}» to states:"
        report.add(merged.document.position, "the machine has no final state", code="no-final-state", hint=hint)
    return initial


# --------------------------------------------------------------------------- events of a machine


def engine_events(declarations: Declarations) -> dict[str, Event]:
    """``engine.started`` with the machine's parameters, and ``engine.failed``."""
    started = Event(STARTED, declarations.parameters, must_take=False, doc="The session begins.", source="engine")
    failed = Event(FAILED, {"reason": STRING}, must_take=True, doc="The session failed.", source="engine")
    return {STARTED: started, FAILED: failed}


def child_events(child: Child, publishes: Mapping[str, Mapping[str, Type]]) -> dict[str, Event]:
    """What a child of ``publishes`` tells its parent: its publications, its end, and what it refused."""
    prefix = f"{child.name}."
    extra = {_CHILD: STRING} if child.many else {}
    said: dict[str, tuple[Mapping[str, Type], str]] = {name: (fields, "") for name, fields in publishes.items()}
    said["ended"] = ({}, "The child has reached a final state.")
    said["refused"] = ({"event": STRING, "reason": STRING}, "The child refused an event it was told.")
    return {
        prefix + name: Event(prefix + name, {**fields, **extra}, must_take=False, doc=doc, source="child", of=child.name)
        for name, (fields, doc) in said.items()
    }


def outcome_events(action: str, catalogue: Catalogue) -> dict[str, Event]:
    """The events that an action can lead to."""
    found = {}
    for outcome in catalogue.actions[action].outcomes:
        spec = catalogue.outcomes.get(outcome.event) or next(
            (one.events[outcome.event] for one in catalogue.interfaces.values() if outcome.event in one.events), None
        )
        if spec is not None:
            found[spec.name] = Event(spec.name, spec.fields, spec.must_take, spec.doc, "outcome")
    return found


def timer_names(rows: Mapping[str, Entry]) -> set[str]:
    """The names of all timers that rows start."""
    return {name for name, _ in _started(rows)}


def _started(rows: Mapping[str, Entry]) -> list[tuple[str, Node]]:
    found = []
    for entry in rows.values():
        actions = entry.node.get("actions")
        for item in actions.items if actions else []:
            start = item.get("timer.start")
            name = start.get("name") if start else None
            if name is not None and isinstance(name.value, str):
                found.append((name.value, name))
    return found


def used_actions(rows: Mapping[str, Entry]) -> set[str]:
    """The names of all actions that rows ask for."""
    found: set[str] = set()
    for entry in rows.values():
        actions = entry.node.get("actions")
        for item in actions.items if actions else []:
            found.update(item.mapping or [item.text])
    return found


