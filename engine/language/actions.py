"""The actions of a row, checked against the catalogue.

Most actions are as the catalogue says. Those of the engine itself name things of the table, so they get
checks of their own: ``child.start`` a child, its machine and the parameters it starts with; ``child.tell`` an
event that the child's machine receives, with its fields; ``timer.start`` and ``timer.stop`` a timer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from calltable.engine.language.literals import describe
from calltable.engine.language.schema import IDENTIFIER
from calltable.engine.language.values import read_fields, read_value
from calltable.engine.model import SECONDS, STRING, Action, Type, suggestion
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.language.declarations import Declarations
    from calltable.engine.language.scope import Scope
    from calltable.engine.language.source import Node
    from calltable.engine.model import Catalogue, Child, Position, Report

_NAME = re.compile(IDENTIFIER)
_REPEAT = {"factor": Type("int", optional=True), "max": Type("duration", optional=True)}


class ActionReader:
    """Reads the actions of one machine. ``machines`` are the declarations of all machines that load."""

    def __init__(
        self,
        own: Declarations,
        machines: Mapping[str, Declarations],
        catalogue: Catalogue,
        timers: frozenset[str],
    ) -> None:
        self.own = own
        self.machines = machines
        self.catalogue = catalogue
        self.timers = timers
        self._special = {
            "child.start": self._child_start,
            "child.tell": self._child_tell,
            "child.end": self._child_end,
            "timer.start": self._timer_start,
            "timer.stop": self._timer_stop,
        }

    def read(self, node: Node, scope: Scope, report: Report) -> Action | None:
        """One entry of ``actions:``; None after a complaint to ``report``."""
        if node.mapping:
            name = next(iter(node.mapping))
            position, given = node.keys[name], node.mapping[name]
        else:
            name, position, given = node.text, node.position, None
        spec = self.catalogue.actions.get(name)
        if spec is None:
            report.unknown(position, "action", name, self.catalogue.actions)
            return None
        wanted = {key: parameter.type for key, parameter in spec.parameters.items()}
        special = self._special.get(name)
        required = [key for key, parameter in spec.parameters.items() if parameter.required]
        nodes = given.mapping if given else {}
        keys = given.keys if given else {}
        if special is not None:
            checked = {key: value for key, value in nodes.items() if key not in wanted}
            read_fields(checked, keys, wanted, scope, report, owner=name, where=position, what="parameter", required=())
            missing = [key for key in required if key not in nodes]
            read_fields({}, keys, wanted, scope, report, owner=name, where=position, what="parameter", required=missing)
            parameters = None if missing or checked else special(nodes, position, scope, report)
        else:
            parameters = read_fields(
                nodes, keys, wanted, scope, report, owner=name, where=position, what="parameter", required=required,
                draw=True,
            )  # fmt: skip
        return None if parameters is None else Action(name, parameters, position)

    # -- children
    def _child_start(
        self, nodes: Mapping[str, Node], position: Position, scope: Scope, report: Report
    ) -> dict[str, x.Expression] | None:
        child = self._child(nodes["name"], report)
        target = self.machines.get(child.machine) if child is not None else None
        if child is None or target is None:
            return None
        machine = nodes.get("machine")
        if machine is not None and machine.text != child.machine:
            hint = f"write machine: {child.machine}, or change children:"
            message = f"child {child.name} runs {child.machine}, not {machine.text!r}"
            report.add(machine.position, message, code="child-machine", hint=hint)
            return None
        parameters: dict[str, x.Expression] = {"name": x.Literal(child.name), "machine": x.Literal(child.machine)}
        given = nodes.get("with")
        values = self._payload(given, target.parameters, child.machine, position, scope, report, "parameter")
        if values is None:
            return None
        return {**parameters, "with": values}

    def _child_tell(
        self, nodes: Mapping[str, Node], position: Position, scope: Scope, report: Report
    ) -> dict[str, x.Expression] | None:
        addressed = self._address(nodes["to"], scope, report)
        if addressed is None:
            return None
        to, children = addressed
        event = nodes["event"]
        payload: x.Expression | None = x.Mapping(())
        for child in children:
            target = self.machines.get(child.machine)
            if target is None:
                return None
            known = target.tellable().get(event.text)
            if known is None:
                hint = suggestion(event.text, target.tellable(), "event")
                message = f"{child.machine} receives no event {event.text!r}"
                report.add(event.position, message, code="unknown-event", hint=hint)
                return None
            owner = f"{event.text} of {child.machine}"
            payload = self._payload(nodes.get("with"), known.fields, owner, position, scope, report, "field")
            if payload is None:
                return None
        return {"to": to, "event": x.Literal(event.text), "with": payload or x.Mapping(())}

    def _child_end(
        self, nodes: Mapping[str, Node], _: Position, scope: Scope, report: Report
    ) -> dict[str, x.Expression] | None:
        node = nodes["name"]
        if node.text.endswith("*"):
            hint = "tell them to hang up: child.tell: {to: 'b*', event: user.hangup}"
            report.add(node.position, "a whole set cannot be detached at once", code="child", hint=hint)
            return None
        addressed = self._address(node, scope, report)
        return None if addressed is None else {"name": addressed[0]}

    def _address(self, node: Node, scope: Scope, report: Report) -> tuple[x.Expression, list[Child]] | None:
        """Whom ``node`` names, and the children it may be."""
        if not node.text.startswith("$"):
            child = self._child(node, report)
            return None if child is None else (x.Literal(child.name), [child])
        value = read_value(node, STRING, scope, report)
        if value is None:
            return None
        if value == x.Field("child"):
            names = {event.of for event in scope.events}
            return value, [child for name, child in self.own.children.items() if name in names]
        sets = [child for child in self.own.children.values() if child.many]
        if not sets:
            hint = "write the name of the child; a variable can hold the name of a member of a set"
            report.add(node.position, f"{node.text} names no child: there is no set of children", code="child", hint=hint)
            return None
        return value, sets

    def _child(self, node: Node, report: Report) -> Child | None:
        child = self.own.children.get(node.text)
        if child is None:
            if node.text not in self.own.merged.sections["children"]:
                report.unknown(node.position, "child", node.text, self.own.children)
            return None
        return child

    def _payload(
        self,
        node: Node | None,
        wanted: Mapping[str, Type],
        owner: str,
        position: Position,
        scope: Scope,
        report: Report,
        what: str,
    ) -> x.Mapping | None:
        if node is not None and not isinstance(node.value, dict) and node.value is not None:
            hint = "write with: {name: value}"
            report.add(node.position, f"with: is {describe(node)}, not a mapping", code="type", hint=hint)
            return None
        nodes, keys = (node.mapping, node.keys) if node is not None else ({}, {})
        where = node.position if node is not None else position
        values = read_fields(nodes, keys, wanted, scope, report, owner=owner, where=where, what=what)
        return None if values is None else x.Mapping(tuple(values.items()))

    # -- timers
    def _timer_start(
        self, nodes: Mapping[str, Node], _: Position, scope: Scope, report: Report
    ) -> dict[str, x.Expression] | None:
        name = nodes["name"]
        if not _NAME.match(name.text):
            hint = "write a lower-case word: it arrives as timer.<name>"
            report.add(name.position, f"a timer cannot be named {name.text!r}", code="name", hint=hint)
            return None
        after = read_value(nodes["after"], SECONDS, scope, report, draw=True)
        if after is None:
            return None
        parameters: dict[str, x.Expression] = {"name": x.Literal(name.text), "after": after}
        repeat = nodes.get("repeat")
        if repeat is None or repeat.value is None:
            return parameters
        values = self._repeat(repeat, scope, report)
        return None if values is None else {**parameters, "repeat": values}

    def _repeat(self, node: Node, scope: Scope, report: Report) -> x.Mapping | None:
        if not isinstance(node.value, dict):
            hint = "write repeat: {factor: 2, max: $config.t2}, or repeat: {} for even intervals"
            report.add(node.position, f"repeat: is {describe(node)}, not a mapping", code="type", hint=hint)
            return None
        nodes = dict(node.mapping)
        factor = nodes.pop("factor", None)
        values: dict[str, x.Expression] = {}
        if factor is not None:
            number = factor.value
            if isinstance(number, bool) or not isinstance(number, int | float) or number < 1:
                message = f"factor is {describe(factor)}"
                report.add(factor.position, message, code="type", hint="write a number of at least 1: factor: 2")
                return None
            values["factor"] = x.Literal(number)
        rest = read_fields(
            nodes, node.keys, _REPEAT, scope, report, owner="repeat", where=node.position, what="parameter", required=()
        )
        return None if rest is None else x.Mapping((*values.items(), *rest.items()))

    def _timer_stop(
        self, nodes: Mapping[str, Node], _: Position, __: Scope, report: Report
    ) -> dict[str, x.Expression] | None:
        node = nodes["name"]
        if node.text not in self.timers:
            report.unknown(node.position, "timer", node.text, self.timers)
            return None
        return {"name": x.Literal(node.text)}
