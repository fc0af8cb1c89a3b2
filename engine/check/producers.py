"""Who raises which pending event, and which sources can only be told apart together.

A timer raises ``timer.<name>``, an ``after`` row its own event, an action its outcomes, a child what its machine publishes,
its end, and the commands that it refuses. An event that several sources raise does not show whose it was: such sources form
one group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.engine.check.sources import Source, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calltable.engine.model import Catalogue, Event, Machine


def producers(machine: Machine, machines: Mapping[str, Machine], catalogue: Catalogue) -> dict[str, dict[Source, bool]]:
    """For every pending event its sources; True where the event ends the source.

    An interface's event may be an outcome too: it can come at any time, and ends the wait.
    """
    found: dict[str, dict[Source, bool]] = {}
    for event in machine.events.values():
        match event.source:
            case "timer":
                name = event.of or event.name.removeprefix("timer.")
                found[event.name] = {Source("timer", name): True, Source("repeating", name): False}
            case "after":
                name = event.of or event.name.removeprefix("after.")
                found[event.name] = {Source("after", name): True} if name in machine.rows else {}
            case "outcome":
                found[event.name] = {}
            case "child":
                found[event.name] = _of_child(event, machine, machines)
    used = {action.name for row in machine.rows.values() for action in row.actions}
    for name in sorted(used & catalogue.actions.keys()):
        for outcome in catalogue.actions[name].outcomes:
            found.setdefault(outcome.event, {})[Source("action", name)] = not outcome.more
    return found


def _of_child(event: Event, machine: Machine, machines: Mapping[str, Machine]) -> dict[Source, bool]:
    prefix, _, what = event.name.partition(".")
    name = next((n for n in (event.of, prefix) if n in machine.children), prefix)
    child = machines.get(machine.children[name].machine) if name in machine.children else None
    source = {Source("child", name): what == "ended"}
    if child is None or what == "ended":
        return source
    rows = child.rows.values()
    if what == "refused":
        told = {
            literal(action, "event")
            for row in machine.rows.values() for action in row.actions
            if action.name == "child.tell" and (literal(action, "to") or name) == name
        }  # fmt: skip
        comes = any(row.kind == "refuse" and (None in told or told & set(row.events)) for row in rows)
    else:
        comes = any(one.name == what for row in rows for one in row.publish)
    return source if comes else {}


def grouped(sources: Sequence[Source], together: Iterable[Iterable[Source]]) -> list[list[Source]]:
    """The sources but those of ``after`` rows, in groups: what stands in one of ``together`` stands in one group."""
    parent = {source: source for source in sources}

    def root(source: Source) -> Source:
        while parent[source] != source:
            parent[source] = parent[parent[source]]
            source = parent[source]
        return source

    for of in together:
        shared = [one for one in of if one.kind != "after"]
        for source in shared[1:]:
            parent[root(source)] = root(shared[0])
    found: dict[Source, list[Source]] = {}
    for source in sources:
        if source.kind != "after":
            found.setdefault(root(source), []).append(source)
    return list(found.values())
