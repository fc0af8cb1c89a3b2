"""Catalogues: the interfaces, actions, outcomes, predicates and configuration that tables may name.

A catalogue is made of all catalogue files together. The same object feeds the checks, the JSON Schema, the
explorer and the documentation, so what an action takes and what can come of it is said in one place.
The engine's own part (``child.*`` and ``timer.*``) is a file like the others, ``tables/catalogue/engine.yaml``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from calltable.engine.language.literals import UnreadableError, read_literal, read_type
from calltable.engine.language.shape import check_shape
from calltable.engine.language.source import BrokenSource, read_source
from calltable.engine.model import (
    KINDS,
    TABLE_KINDS,
    ActionSpec,
    Catalogue,
    EventSpec,
    Interface,
    Obligation,
    OutcomeSpec,
    Parameter,
    Predicate,
    Report,
    TableError,
    Type,
    suggestion,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from calltable.engine.language.source import Node
    from calltable.engine.model import Position

_T = TypeVar("_T")
_Made_co = TypeVar("_Made_co", covariant=True)


class _Reader(Protocol[_Made_co]):
    def __call__(self, name: str, node: Node, position: Position, report: Report, /) -> _Made_co | None: ...


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TAKEN = ("engine", "timer", "after")
"""First words of events that belong to the engine."""


def load_catalogue(paths: Iterable[Path]) -> Catalogue:
    """Read catalogue files into one catalogue. Raises ``TableError`` with every problem of every file, and OSError."""
    report = Report()
    nodes = []
    for path in paths:
        try:
            node = read_source(path.read_text(encoding="utf-8"), str(path))
        except BrokenSource as error:
            report.problems.extend(error.problems)
            continue
        if check_shape(node, "catalogue", report.within(table=_name(node))).sound:
            nodes.append(node)
    catalogue = build_catalogue(nodes, report)
    if report.problems:
        raise TableError(report.problems)
    return catalogue


def build_catalogue(nodes: Iterable[Node], report: Report) -> Catalogue:
    """One catalogue out of files whose shape is sound, complaining to ``report``."""
    builder = _Builder()
    files = list(nodes)
    for node in files:
        builder.read(node, report.within(table=_name(node)))
    for node in files:
        builder.check_outcomes(node, report.within(table=_name(node)))
    return Catalogue(builder.interfaces, builder.outcomes, builder.actions, builder.predicates, builder.config, builder.owes)


def _name(node: Node) -> str:
    named = node.get("catalogue")
    return named.text if named else ""


class _Builder:
    """Collects what the files define; each name may be defined once."""

    def __init__(self) -> None:
        self.interfaces: dict[str, Interface] = {}
        self.outcomes: dict[str, EventSpec] = {}
        self.actions: dict[str, ActionSpec] = {}
        self.predicates: dict[str, Predicate] = {}
        self.config: dict[str, Parameter] = {}
        self.owes: dict[str, Obligation] = {}
        self.places: dict[tuple[str, str], Position] = {}

    def read(self, root: Node, report: Report) -> None:
        """Everything that one file defines."""
        self._each(root, "config", "config", self.config, self._parameter, report)
        self._each(root, "interfaces", "interface", self.interfaces, self._interface, report)
        self._each(root, "outcomes", "outcome", self.outcomes, self._event, report)
        self._each(root, "actions", "action", self.actions, self._action, report)
        self._each(root, "owes", "obligation", self.owes, self._obligation, report)
        self._each(root, "predicates", "predicate", self.predicates, self._predicate, report)

    def _each(
        self, root: Node, section: str, what: str, into: dict[str, _T], read: _Reader[_T], report: Report
    ) -> None:
        nodes = root.get(section)
        if nodes is None:
            return
        for name, node in nodes.mapping.items():
            position = nodes.keys[name]
            if name in into:
                hint = f"it is already defined at {self.places[what, name]}"
                report.add(position, f"{what} {name!r} is defined twice", code="duplicate", hint=hint)
                continue
            made = read(name, node, position, report)
            if made is not None:
                into[name] = made
                self.places[what, name] = position

    def _parameter(self, name: str, node: Node, _: Position, report: Report) -> Parameter | None:
        type_ = read_type(node, report, kinds=KINDS)
        if type_ is None:
            return None
        default = node.get("default")
        value: object = None
        if default is not None:
            try:
                value = read_literal(default, type_)
            except UnreadableError as error:
                report.add(default.position, f"default of {name}: {error}", code="type", hint=error.hint)
        return Parameter(name, type_, default is None, value, _doc(node))

    def _interface(self, name: str, node: Node, position: Position, report: Report) -> Interface:
        events: dict[str, EventSpec] = {}
        nodes = node.get("events")
        for event, its in (nodes.mapping if nodes else {}).items():
            spec = self._event(event, its, nodes.keys[event] if nodes else position, report)
            if spec is not None:
                events[event] = spec
        commands = _true(node, "commands")
        if commands:
            events = {one: replace(spec, command=True) for one, spec in events.items()}
        return Interface(name, _doc(node), events, position, commands)

    def _obligation(self, name: str, node: Node, _: Position, __: Report) -> Obligation:
        return Obligation(name, node.mapping["what"].text, node.mapping["fix"].text)

    def _event(self, name: str, node: Node, position: Position, report: Report) -> EventSpec | None:
        inside = report.within(event=name)
        if name.partition(".")[0] in _TAKEN:
            hint = "engine.*, timer.* and after.* are the engine's own"
            inside.add(position, f"an event cannot be named {name!r}", code="reserved", hint=hint)
            return None
        return EventSpec(
            name=name,
            fields=read_types(node.get("fields"), inside),
            must_take=_true(node, "must_take"),
            acquires=_texts(node, "acquires"),
            releases=_texts(node, "releases"),
            doc=_doc(node),
            position=position,
        )

    def _action(self, name: str, node: Node, position: Position, report: Report) -> ActionSpec:
        parameters: dict[str, Parameter] = {}
        nodes = node.get("parameters")
        for parameter, its in (nodes.mapping if nodes else {}).items():
            made = self._parameter(parameter, its, its.position, report)
            if made is not None:
                parameters[parameter] = made
        outcomes = []
        given = node.get("outcomes")
        for item in given.items if given else []:
            event = item.get("event") or item
            outcomes.append(OutcomeSpec(event.text, _true(item, "more")))
        sends = node.get("sends")
        for key in ("acquires", "releases", "sends"):
            self._placeholders(node.get(key), nodes.mapping if nodes else {}, name, report)
        return ActionSpec(
            name=name,
            doc=_doc(node),
            parameters=parameters,
            outcomes=tuple(outcomes),
            acquires=_texts(node, "acquires"),
            releases=_texts(node, "releases"),
            sends=sends.text if sends else None,
            position=position,
            takes_over=_texts(node, "takes_over"),
            open_ended=_true(node, "open_ended"),
            hurries=_texts(node, "hurries"),
        )

    def _placeholders(self, node: Node | None, parameters: Mapping[str, Node], action: str, report: Report) -> None:
        for item in (node.items or [node]) if node else []:
            for name in _PLACEHOLDER.findall(item.text):
                if name not in parameters:
                    hint = suggestion(name, parameters, "parameter")
                    message = f"{{{name}}} is not a parameter of {action}"
                    report.add(item.position, message, code="unknown-parameter", hint=hint)

    def _predicate(self, name: str, node: Node, _: Position, report: Report) -> Predicate | None:
        given = node.get("parameters")
        parameters = [read_type(item, report) for item in (given.items if given else [])]
        returns = node.get("returns")
        type_ = read_type(returns, report) if returns else Type("bool")
        if type_ is None or None in parameters:
            return None
        return Predicate(name, tuple(one for one in parameters if one is not None), type_, _doc(node))

    def check_outcomes(self, root: Node, report: Report) -> None:
        """Complain of outcomes of actions that are no events."""
        known = dict.fromkeys(self.outcomes)
        for interface in self.interfaces.values():
            known.update(dict.fromkeys(interface.events))
        actions = root.get("actions")
        for node in (actions.mapping if actions else {}).values():
            hurried = node.get("hurries")
            for item in hurried.items if hurried else []:
                if item.text not in self.actions or not self.actions[item.text].open_ended:
                    report.unknown(item.position, "open-ended action", item.text, [a.name for a in self.actions.values() if a.open_ended])
            given = node.get("outcomes")
            for item in given.items if given else []:
                event = item.get("event") or item
                if event.text not in known:
                    report.unknown(event.position, "outcome", event.text, known)
            parameters = node.get("parameters")
            taken = node.get("takes_over")
            for item in taken.items if taken else []:
                names = parameters.mapping if parameters else {}
                if item.text not in names:
                    report.unknown(item.position, "parameter", item.text, names)


def read_types(nodes: Node | None, report: Report) -> dict[str, Type]:
    """Named types (``{code: int, message: message?}``), without those that ``report`` is told about."""
    found: dict[str, Type] = {}
    for name, node in (nodes.mapping if nodes else {}).items():
        type_ = read_type(node, report, kinds=TABLE_KINDS)
        if type_ is not None:
            found[name] = type_
    return found


def _true(node: Node, key: str) -> bool:
    found = node.get(key)
    return found is not None and found.value is True


def _doc(node: Node) -> str:
    doc = node.get("doc")
    return doc.text.strip() if doc else ""


def _texts(node: Node, key: str) -> tuple[str, ...]:
    found = node.get(key)
    return tuple(item.text for item in found.items) if found else ()
