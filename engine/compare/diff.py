"""What differs between two versions of a table: its rows, compared by what they mean.

A row is the same where its *digest* is: the states it covers, its events, guards, actions, and so on, without its
place in the file, its wording or its documentation. So moving rows, renaming a group or rewriting a comment is no
change, and a row that only got another id is told as renamed. What the change does to calls is found in
``lockstep.py``, by running both versions side by side.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calltable.engine.model import format_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.language import Library
    from calltable.engine.model import Action, Catalogue, Machine, Publication, Row


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that means something else now. ``aspects`` are the names of the parts that differ, in table order."""

    old: Row
    new: Row
    aspects: tuple[str, ...]


@dataclass(slots=True)
class MachineDiff:
    """How one machine differs. ``declared`` are changes outside the rows, one line of text each."""

    name: str
    old: Machine | None
    new: Machine | None
    added: list[Row] = field(default_factory=list)
    removed: list[Row] = field(default_factory=list)
    changed: list[RowChange] = field(default_factory=list)
    renamed: list[tuple[Row, Row]] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs that a session could notice, or that an id names."""
        return not (self.added or self.removed or self.changed or self.renamed or self.declared)


@dataclass(slots=True)
class LibraryDiff:
    """How two sets of tables differ: settings (name, old default, new default), and machines that are not the same."""

    machines: list[MachineDiff]
    settings: list[tuple[str, object, object]]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.machines and not self.settings


def _calls(items: tuple[Action, ...] | tuple[Publication, ...]) -> object:
    return [
        (one.name, sorted((key, repr(value)) for key, value in
                          (one.parameters if hasattr(one, "parameters") else one.fields).items()))
        for one in items
    ]  # fmt: skip


_ASPECTS: Mapping[str, Callable[[Row], object]] = {
    "state": lambda row: sorted(row.states.items()),
    "event": lambda row: sorted(row.events) if row.after is None else "after",
    "after": lambda row: repr(row.after),
    "guards": lambda row: (repr(row.guard), row.otherwise),
    "priority": lambda row: row.priority,
    "actions": lambda row: _calls(row.actions),
    "set": lambda row: sorted((name, repr(value)) for name, value in row.set.items()),
    "next_state": lambda row: row.next_state,
    "publish": lambda row: _calls(row.publish),
    "kind": lambda row: (row.kind, row.note),
    "locked": lambda row: row.locked,
}
"""The parts of a row that mean something, each as a value that can be compared."""


def row_digest(row: Row) -> str:
    """SHA-256 of what a row means; its id, place, wording and documentation have no part in it."""
    return hashlib.sha256(repr([aspect(row) for aspect in _ASPECTS.values()]).encode()).hexdigest()


def diff_machines(name: str, old: Machine | None, new: Machine | None) -> MachineDiff:
    """Compare two versions of one machine; either may be missing."""
    found = MachineDiff(name, old, new)
    if old is None or new is None:
        found.added = list(new.rows.values()) if new else []
        found.removed = list(old.rows.values()) if old else []
        found.declared = ["the whole table is new" if old is None else "the whole table is gone"]
        return found
    for row in old.rows.values():
        other = new.rows.get(row.id)
        if other is None:
            found.removed.append(row)
        else:
            aspects = tuple(what for what, read in _ASPECTS.items() if read(row) != read(other))
            if aspects:
                found.changed.append(RowChange(row, other, aspects))
    found.added = [row for row in new.rows.values() if row.id not in old.rows]
    _pair_renamed(found)
    found.declared = list(_declared(old, new))
    return found


def _pair_renamed(found: MachineDiff) -> None:
    """Tell a removed and an added row that mean the same as one that was renamed."""
    gone: dict[str, list[Row]] = {}
    for row in found.removed:
        gone.setdefault(row_digest(row), []).append(row)
    for row in list(found.added):
        twins = gone.get(row_digest(row))
        if twins:
            twin = twins.pop(0)
            found.renamed.append((twin, row))
            found.added.remove(row)
            found.removed.remove(twin)


def _declared(old: Machine, new: Machine) -> list[str]:
    lines = []
    if old.initial != new.initial:
        lines.append(f"initial: {old.initial} → {new.initial}")
    if old.durable != new.durable:
        lines.append(f"durable: {format_literal(old.durable, bare=True)} → {format_literal(new.durable, bare=True)}")
    before = {name: "final" if state.final else "" for name, state in old.states.items()}
    after = {name: "final" if state.final else "" for name, state in new.states.items()}
    lines += _named("state", before, after)
    lines += _named(
        "variable",
        {name: f"{one.type}, default {format_literal(one.default, bare=True)}" for name, one in old.variables.items()},
        {name: f"{one.type}, default {format_literal(one.default, bare=True)}" for name, one in new.variables.items()},
    )
    lines += _named("parameter", _typed(old.parameters), _typed(new.parameters))
    lines += _named(
        "publication",
        {name: ", ".join(f"{key}: {of}" for key, of in fields.items()) for name, fields in old.publishes.items()},
        {name: ", ".join(f"{key}: {of}" for key, of in fields.items()) for name, fields in new.publishes.items()},
    )
    lines += _named("interface", dict.fromkeys(old.receives, ""), dict.fromkeys(new.receives, ""))
    lines += _named(
        "child",
        {name: child.machine for name, child in old.children.items()},
        {name: child.machine for name, child in new.children.items()},
    )
    return lines


def _typed(fields: Mapping[str, object]) -> dict[str, str]:
    return {name: str(of) for name, of in fields.items()}


def _named(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    lines = []
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None:
            lines.append(f"{what} {name} added" + (f" ({after})" if after else ""))
        elif after is None:
            lines.append(f"{what} {name} removed" + (f" ({before})" if before else ""))
        else:
            lines.append(f"{what} {name}: {before or 'not final'} → {after or 'not final'}")
    return lines


def _settings(old: Catalogue, new: Catalogue) -> list[tuple[str, object, object]]:
    names = dict.fromkeys((*old.config, *new.config))
    pairs = [
        (name, old.config[name].default if name in old.config else None,
         new.config[name].default if name in new.config else None)
        for name in names
    ]  # fmt: skip
    return [pair for pair in pairs if pair[1] != pair[2]]


def diff_libraries(old: Library, new: Library) -> LibraryDiff:
    """Compare two loads machine by machine, and the defaults of their settings."""
    names = sorted({*old.machines, *new.machines})
    machines = [diff_machines(name, old.machines.get(name), new.machines.get(name)) for name in names]
    return LibraryDiff([one for one in machines if not one.same], _settings(old.catalogue, new.catalogue))
