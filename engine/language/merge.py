"""Putting a table together: a machine, the fragments it includes, the overlays that change it.

What comes out is still YAML nodes, each with its own position and the name of the file it came from, so that
every later complaint points into the file that has to be fixed. Nothing is redefined on the way: a name
that two of the parts define is an error, except ``receives``, which is a set. An overlay changes rows by their
id, and two overlays cannot touch one row, because then their order would matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calltable.engine.model import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from calltable.engine.language.source import Node
    from calltable.engine.model import Position, Report

SECTIONS = ("variables", "publishes", "states", "groups", "children")


@dataclass(frozen=True, slots=True)
class Document:
    """One table file whose shape has been checked. ``kind`` is machine, fragment, overlay or catalogue."""

    kind: str
    name: str
    file: str
    node: Node
    sound: bool
    broken: frozenset[int]
    """``id()`` of the nodes of rows whose shape is wrong; they are left out."""

    @property
    def position(self) -> Position:
        """Where the file says its name."""
        return self.node.mapping[self.kind].position


@dataclass(frozen=True, slots=True)
class Entry:
    """A named part of a table (a variable, a state, a row): its node, where its name stands, and whose it is."""

    node: Node
    position: Position
    origin: str
    """The fragment or overlay it came from; empty for the table's own."""
    overlaid: bool = False


@dataclass(slots=True)
class Merged:
    """A machine with everything that belongs to it. ``lost`` are ids of rows that were set aside as broken."""

    document: Document
    sections: dict[str, dict[str, Entry]] = field(default_factory=lambda: {name: {} for name in SECTIONS})
    receives: dict[str, Entry] = field(default_factory=dict)
    rows: dict[str, Entry] = field(default_factory=dict)
    removed: dict[str, Entry] = field(default_factory=dict)
    """Rows that an overlay has taken away, or replaced by others."""
    lost: set[str] = field(default_factory=set)
    complete: bool = True
    """False where a part could not be read, so that names may be missing that are there."""


def merge(document: Document, fragment: Callable[[str, Position], Document | None], report: Report) -> Merged:
    """A machine with the fragments it includes. ``fragment`` finds one by name, or complains and answers None."""
    merged = Merged(document)
    _include(merged, document, "", [], set(), fragment, report)
    return merged


def _include(
    merged: Merged,
    document: Document,
    origin: str,
    path: list[str],
    done: set[str],
    fragment: Callable[[str, Position], Document | None],
    report: Report,
) -> None:
    _take(merged, document, origin, report)
    include = document.node.get("include")
    for item in include.items if include else []:
        name = item.text
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name])
            hint = "a fragment cannot contain itself; remove one include:"
            report.add(item.position, f"includes form a cycle: {circle}", code="include-cycle", hint=hint)
            continue
        if name in done:
            continue
        done.add(name)
        found = fragment(name, item.position)
        if found is None:
            merged.complete = False
        else:
            _include(merged, found, name, [*path, name], done, fragment, report)


def _take(merged: Merged, document: Document, origin: str, report: Report, *, overlaid: bool = False) -> None:
    """Add everything that a document declares."""
    merged.complete = merged.complete and document.sound
    for section in SECTIONS:
        nodes = document.node.get(section)
        for name, node in nodes.mapping.items() if nodes else ():
            entry = Entry(node, nodes.keys[name] if nodes else node.position, origin, overlaid)
            _add(merged.sections[section], section.rstrip("s"), name, entry, report)
    receives = document.node.get("receives")
    for item in receives.items if receives else []:
        merged.receives.setdefault(item.text, Entry(item, item.position, origin, overlaid))
    for name, entry in _rows(document, "rows", origin, merged):
        _add(merged.rows, "row", name, entry, report.within(row=name))


def _rows(document: Document, key: str, origin: str, merged: Merged) -> Iterable[tuple[str, Entry]]:
    rows = document.node.get(key)
    for node in rows.items if rows else []:
        identifier = node.get("id")
        if id(node) in document.broken or identifier is None:
            if identifier is not None:
                merged.lost.add(identifier.text)
            continue
        yield identifier.text, Entry(node, identifier.position, origin, key != "rows")


def _add(into: dict[str, Entry], what: str, name: str, entry: Entry, report: Report) -> None:
    if name not in into:
        into[name] = entry
        return
    first = into[name]
    hint = f"it is defined at {first.position}" + (f", in {first.origin}" if first.origin else "")
    hint += "; replace: changes a row" if what == "row" and entry.overlaid else "; rename one of the two"
    report.add(entry.position, f"{what} {name!r} is defined twice", code="duplicate", hint=hint)


def overlay(merged: Merged, documents: Iterable[Document], report: Report) -> None:
    """Apply overlays to a machine, complaining of locked rows and of two overlays that touch one row."""
    touched: dict[str, str] = {}
    for document in documents:
        inside = report.within(table=document.name)
        merged.complete = merged.complete and document.sound
        owner = document.file
        _take(merged, document, f"overlay {owner}", inside, overlaid=True)
        for name, entry in _rows(document, "replace", f"overlay {owner}", merged):
            if _touchable(merged, name, entry.position, "replaced", inside, touched=name in touched):
                _touch(touched, name, owner, entry.position, inside)
                if name in merged.rows:
                    merged.removed[name] = Entry(merged.rows[name].node, entry.position, f"overlay {owner}", overlaid=True)
                merged.rows[name] = entry
        remove = document.node.get("remove")
        for item in remove.items if remove else []:
            if _touchable(merged, item.text, item.position, "removed", inside, touched=item.text in touched):
                _touch(touched, item.text, owner, item.position, inside)
                gone = merged.rows.pop(item.text, None)
                if gone is not None:
                    merged.removed[item.text] = Entry(gone.node, item.position, f"overlay {owner}", overlaid=True)
        for name, entry in _rows(document, "add", f"overlay {owner}", merged):
            if name in touched:
                _touch(touched, name, owner, entry.position, inside)
            else:
                touched[name] = owner
                _add(merged.rows, "row", name, entry, inside.within(row=name))


def _touchable(
    merged: Merged, name: str, position: Position, how: str, report: Report, *, touched: bool = False
) -> bool:
    inside = report.within(row=name)
    entry = merged.rows.get(name)
    if entry is None:
        if touched:
            return True  # another overlay has removed it: that is what will be said
        if name not in merged.lost:
            inside.add(
                position, f"there is no row {name!r} to be {how}", code="unknown-row", hint=suggestion(name, merged.rows, "row")
            )
        return False
    locked = entry.node.get("locked")
    if locked is not None and locked.value is True:
        doc = entry.node.get("doc")
        hint = "an overlay may add rows, but not remove what the RFC requires" + (f": {doc.text}" if doc else "")
        inside.add(position, f"row {name!r} is locked and cannot be {how}", code="locked", hint=hint)
        return False
    return True


def _touch(touched: dict[str, str], name: str, owner: str, position: Position, report: Report) -> None:
    if name in touched:
        message = f"row {name!r} is changed by {touched[name]} already"
        hint = "one row can be changed once: merge the two changes"
        report.within(row=name).add(position, message, code="overlay-conflict", hint=hint)
    touched[name] = owner
