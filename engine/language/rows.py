"""From the YAML of a row to a ``Row``: its states, events, guard and what it does.

A row is read against the declarations of its machine; whatever is wrong is said to the report with the row's
id, and the row is then left out. What rows do to each other (widths, ``overrides``, ``user.*``) is settled
afterwards, in ``overrides.py``, when all are known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calltable.engine.language.actions import ActionReader
from calltable.engine.language.declarations import (
    child_events,
    engine_events,
    outcome_events,
    timer_names,
    used_actions,
)
from calltable.engine.language.guards import GuardError, parse
from calltable.engine.language.scope import Scope, present, type_guard
from calltable.engine.language.values import read_fields, read_value
from calltable.engine.model import (
    ANY,
    SECONDS,
    WIDEST,
    Event,
    Publication,
    Row,
    RowKind,
    close_matches,
    format_expression,
    suggestion,
)
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.language.declarations import Declarations
    from calltable.engine.language.merge import Entry
    from calltable.engine.language.source import Node
    from calltable.engine.model import Action, Catalogue, Position, Report

COMMANDS = "user.*"
"""In refuse rows: every command that no other row names."""

_NON_ROWS: tuple[RowKind, ...] = ("ignore", "refuse", "defer")
_DOING = ("actions", "set", "next_state", "publish")
_OTHERWISE = "otherwise"


class RowReader:
    """Reads all rows of one machine."""

    def __init__(self, own: Declarations, machines: Mapping[str, Declarations], catalogue: Catalogue) -> None:
        self.own = own
        self.catalogue = catalogue
        self._order = {state: i for i, state in enumerate(own.states)}
        entries = own.merged.rows
        timers = frozenset(timer_names(entries))
        self.actions = ActionReader(own, machines, catalogue, timers)
        self.events: dict[str, Event] = {**own.received, **engine_events(own)}
        for timer in sorted(timers):
            self._event(Event(f"timer.{timer}", {}, must_take=False, doc="", source="timer", of=timer))
        for action in sorted(used_actions(entries) & catalogue.actions.keys()):
            for event in outcome_events(action, catalogue).values():
                self._event(event)
        self.unsure = bool(own.merged.lost) or not used_actions(entries) <= catalogue.actions.keys()
        """Actions are missing that may be meant: events that come of actions are not complained of."""
        self.mute: set[str] = set()
        """Prefixes of events of children whose machine does not load: they are not complained of again."""
        states: dict[str, frozenset[str]] = {}
        for child in own.children.values():
            target = machines.get(child.machine)
            if target is None:
                self.mute.add(child.name + ".")
                states[child.name] = frozenset()
                continue
            states[child.name] = frozenset(target.states)
            for event in child_events(child, target.publishes).values():
                self._event(event)
        broken = frozenset(own.merged.sections["variables"]) - frozenset(own.variables)
        self.scope = Scope(catalogue, own.variables, states, broken=broken)
        for name, entry in entries.items():
            if entry.node.get("after") is not None:
                self._event(Event(f"after.{name}", {}, must_take=False, doc="", source="after", of=name))

    def _event(self, event: Event) -> None:
        self.events.setdefault(event.name, event)

    def read(self, name: str, entry: Entry, report: Report) -> Row | None:
        """One row; None after a complaint to ``report``."""
        before = len(report.problems)
        node = entry.node
        kind, note = self._kind(node, report)
        states = self._states(node.mapping["state"], report)
        events, after = self._events(name, node, entry.position, kind, report)
        scope = replace(
            self.scope,
            events=tuple(self.events[one] for one in events if one in self.events and after is None),
            no_fields="the row waits for a time, not for an event" if after else "the row has no event",
            fields_known=after is not None or not node.get("event") or self._all_known(node.mapping["event"]),
        )
        guard, otherwise = self._guard(node, scope, report, entry=after is not None)
        scope = replace(scope, present=present(guard))
        setting, actions, publish = self._does(node, scope, report)
        following = node.get("next_state")
        if following is not None and following.text not in self.own.states:
            report.unknown(following.position, "state", following.text, self.own.states)
        if kind == "row" and not any(key in node.mapping for key in (*_DOING, "doc")):
            hint = "write «ignore: late» or «ignore: retransmission», or explain in doc: why nothing needs to be done"
            report.add(entry.position, "the row does nothing", code="does-nothing", hint=hint)
        if len(report.problems) > before or not states:
            return None
        priority, doc, locked = node.get("priority"), node.get("doc"), node.get("locked")
        return Row(
            id=name,
            states=states,
            state_text=", ".join(_texts(node.mapping["state"])),
            events=events,
            kind=kind,
            note=note,
            guard=guard,
            guard_text=_OTHERWISE if otherwise else format_expression(guard) if guard is not None else "",
            otherwise=otherwise,
            priority=priority.value if priority and isinstance(priority.value, int) else None,
            overrides=tuple(_texts(node.get("overrides"))),
            actions=tuple(actions),
            set=setting,
            next_state=following.text if following else None,
            publish=tuple(publish),
            after=after,
            locked=locked is not None and locked.value is True,
            doc=doc.text.strip() if doc else "",
            position=entry.node.position,
            origin=entry.origin,
        )

    def _all_known(self, node: Node) -> bool:
        return all(item.text in self.events for item in node.items or [node])

    # -- what sort of row
    def _kind(self, node: Node, report: Report) -> tuple[RowKind, str]:
        named = sorted((kind for kind in _NON_ROWS if kind in node.mapping), key=lambda kind: node.keys[kind])
        if not named:
            return "row", ""
        if len(named) > 1:
            position = node.keys[named[1]]
            report.add(position, f"a row cannot both {named[0]} and {named[1]}", code="kind", hint="keep one of the two")
        for key in (*_DOING, "after"):
            if key in node.mapping:
                hint = f"remove «{key}:», or remove «{named[0]}:»"
                report.add(node.keys[key], f"a row that says «{named[0]}:» cannot have «{key}:»", code="kind", hint=hint)
        value = node.mapping[named[0]]
        return named[0], "" if named[0] == "defer" else value.text.strip()

    # -- when it stands
    def _states(self, node: Node, report: Report) -> dict[str, int]:
        found: dict[str, int] = {}
        for item in node.items or [node]:
            name = item.text
            if name == ANY:
                named, width = [one for one, state in self.own.states.items() if not state.final], WIDEST
            elif name in self.own.groups:
                named = list(self.own.groups[name].states)
                width = len(named)
            elif name in self.own.states:
                named, width = [name], 0
            else:
                if name not in self.own.merged.sections["groups"]:
                    report.unknown(item.position, "state", name, [*self.own.states, *self.own.groups, ANY])
                return {}
            for state in named:
                if self.own.states[state].final:
                    what = f"{state!r} is a final state" if width == 0 else f"group {name!r} holds the final state {state!r}"
                    hint = "a session ends when it gets there; no row can stand in it"
                    report.within(state=state).add(item.position, what, code="final-state", hint=hint)
                    break
                found[state] = min(width, found.get(state, width))
        return {state: found[state] for state in sorted(found, key=self._order.__getitem__)}

    def _events(
        self, name: str, node: Node, position: Position, kind: RowKind, report: Report
    ) -> tuple[tuple[str, ...], x.Expression | None]:
        event, after = node.get("event"), node.get("after")
        if (event is None) == (after is None):
            hint = "write event: (what happens) or after: (how long the state lasted)"
            what = "the row has neither event: nor after:" if event is None else "the row has both event: and after:"
            report.add(node.keys["after"] if after else position, what, code="event", hint=hint)
            return (), None
        if after is not None:
            if kind != "row":
                return (), None
            scope = replace(self.scope, no_fields="the time is set when the state is entered")
            return (f"after.{name}",), read_value(after, SECONDS, scope, report, draw=True)
        found: dict[str, None] = {}
        for item in (event.items or [event]) if event else []:
            inside = report.within(event=item.text)
            if item.text in found:
                inside.add(item.position, f"event {item.text!r} is listed twice", code="duplicate", hint="list it once")
            elif item.text.endswith(".*"):
                if item.text != COMMANDS or kind != "refuse":
                    hint = "name the events; «user.*» stands for all commands, in refuse rows only"
                    inside.add(item.position, f"{item.text!r} cannot stand here", code="wildcard", hint=hint)
                else:
                    found[item.text] = None
            elif self._usable(item, kind, inside):
                found[item.text] = None
        return tuple(found), None

    def _usable(self, item: Node, kind: RowKind, report: Report) -> bool:
        known = self.events.get(item.text)
        if known is None:
            if not any(item.text.startswith(prefix) for prefix in self.mute):
                self._unknown_event(item, report)
            return False
        if known.must_take and kind in ("ignore", "refuse"):
            hint = "give it a row that acts on it, or «defer: true» if a later state handles it"
            report.add(item.position, f"{known.name} must be handled: it cannot be {kind}d", code="must-take", hint=hint)
            return False
        if kind == "refuse" and not known.command:
            hint = "only commands can be refused (events of an interface with `commands: true`); write `ignore: late`, or act on it"
            report.add(item.position, f"{known.name} is not a command and cannot be refused", code="refuse", hint=hint)
            return False
        return True

    def _unknown_event(self, item: Node, report: Report) -> None:
        name = item.text
        head, _, rest = name.partition(".")
        hint = suggestion(name, self.events, "event")
        makers = [action.name for action in self.catalogue.actions.values() for one in action.outcomes if one.event == name]
        owners = [interface.name for interface in self.catalogue.interfaces.values() if name in interface.events]
        if makers and self.unsure:
            return
        message, code = f"unknown event {name!r}", "unknown-event"
        if owners:
            message = f"the machine is not given {name!r}"
            hint = f"it belongs to {' and '.join(owners)}: add it to receives:"
        elif makers:
            message = f"nothing in the machine leads to {name!r}"
            hint = f"it is an outcome of {' and '.join(makers)}, which no row asks for"
        elif head == "after":
            hint = "a row that waits for a time has «after:» in place of «event:»"
        elif head == "timer" and not close_matches(name, self.events):
            message = f"no row starts a timer {rest!r}"
            hint = f"add timer.start: {{name: {rest}, after: …}} to a row"
        elif head in {one.removesuffix("*") for one in self.own.children} and f"{head}*" in self.own.children:
            hint = f"did you mean {head}*.{rest}? what a set says is named after the set"
        report.add(item.position, message, code=code, hint=hint)

    # -- under which condition
    def _guard(self, node: Node, scope: Scope, report: Report, *, entry: bool) -> tuple[x.Expression | None, bool]:
        guards = node.get("guards")
        if guards is None:
            return None, False
        texts = [item.text.strip() for item in guards.items]
        if _OTHERWISE in texts:
            if len(texts) > 1:
                hint = "it already means «when no other row of the cell applies»"
                position = guards.items[texts.index(_OTHERWISE)].position
                report.add(position, "«otherwise» stands with other guards", code="guard", hint=hint)
            elif entry:
                hint = "write the condition under which the time starts to run"
                report.add(guards.items[0].position, "«otherwise» cannot arm a timer", code="guard", hint=hint)
            return None, True
        found: list[x.Expression] = []
        for item in guards.items:
            try:
                parsed = parse(item.text, lambda offset, item=item: item.at(offset))  # type: ignore[misc]
            except GuardError as error:
                report.add(error.position, error.message, code="guard", hint=error.hint)
                continue
            typed = type_guard(parsed, item.at, scope, report)
            if typed is not None:
                found += typed.items if isinstance(typed, x.And) else [typed]
        if not found:
            return None, False
        return (found[0] if len(found) == 1 else x.And(tuple(found))), False

    # -- what it does
    def _does(
        self, node: Node, scope: Scope, report: Report
    ) -> tuple[dict[str, x.Expression], list[Action], list[Publication]]:
        setting: dict[str, x.Expression] = {}
        given = node.get("set")
        for name, value in given.mapping.items() if given else ():
            variable = self.own.variables.get(name)
            if variable is None:
                if name not in scope.broken and given:
                    report.unknown(given.keys[name], "variable", name, self.own.variables)
                continue
            made = read_value(value, variable.type, scope, report, strict=True)
            if made is not None:
                setting[name] = made
        asked = node.get("actions")
        actions = [self.actions.read(item, scope, report) for item in (asked.items if asked else [])]
        said = node.get("publish")
        publish = [self._publication(item, scope, report) for item in (said.items if said else [])]
        return setting, [one for one in actions if one], [one for one in publish if one]

    def _publication(self, node: Node, scope: Scope, report: Report) -> Publication | None:
        if node.mapping:
            name = next(iter(node.mapping))
            position, given = node.keys[name], node.mapping[name]
        else:
            name, position, given = node.text, node.position, node
        wanted = self.own.publishes.get(name)
        if wanted is None:
            report.unknown(position, "publication", name, self.own.publishes)
            return None
        fields = read_fields(
            given.mapping, given.keys, wanted, scope, report, owner=f"publication {name}", where=position
        )
        return None if fields is None else Publication(name, fields, position)


def _texts(node: Node | None) -> list[Any]:
    return [item.text for item in (node.items or [node])] if node is not None else []
