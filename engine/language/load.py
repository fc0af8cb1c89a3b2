"""Loading tables: from files to machines that are named and typed. The first of the static checks.

The steps, each in a module of its own: read the YAML with positions (``source``), check its shape (``shape``),
build the catalogue (``catalogue``), put each machine together with its fragments and overlays (``merge``),
read what the machines declare (``declarations``), then their rows (``rows``, ``actions``, ``values``,
``guards``, ``scope``), then how the rows stand to each other (``standing``).

Whatever is wrong in any file is collected and raised together, as one ``TableError``; nothing is half
loaded. Totality, reachability and the rest are checked on what comes out of here (``check.py``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calltable.engine.language.catalogue import build_catalogue
from calltable.engine.language.declarations import Declarations, declare
from calltable.engine.language.merge import Document, merge, overlay
from calltable.engine.language.overrides import base, check_locked, check_overrides, expand
from calltable.engine.language.rows import RowReader
from calltable.engine.language.schema import FILE_KINDS
from calltable.engine.language.shape import check_shape
from calltable.engine.language.source import BrokenSource, Node, read_source
from calltable.engine.model import Machine, Position, Problem, Report, TableError, close_matches, suggestion, unique
from calltable.tables import files as shipped_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calltable.engine.model import Catalogue, Row

_BUILT_IN = "engine"
"""The catalogue of the engine's own actions; always there."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that took part in a load: what it holds, under which name."""

    kind: str
    name: str
    file: str


@dataclass(frozen=True, slots=True)
class Library:
    """What a load gives: the machines by name, the catalogue they draw on, and the files they came from."""

    machines: Mapping[str, Machine]
    catalogue: Catalogue
    sources: tuple[Source, ...]


def load_tables(
    paths: Sequence[Path | str] | None = None,
    *,
    overlays: Sequence[Path | str] = (),
    texts: Mapping[str, str] | None = None,
) -> Library:
    """Load tables and check their names and types (gate 1).

    ``paths`` are files or folders (all ``*.yaml`` in them); what a file holds is said by its first keys. Without
    paths and ``texts`` (file name → YAML) the shipped tables are loaded. What the given files name and do
    not hold (fragments, children, the target of an overlay) is taken from the shipped tables; so is the catalogue,
    unless they bring one: that may include shipped ones by name.

    Raises ``TableError`` with the problems of all files at once, and OSError for a path that cannot be read.
    """
    loader = _Loader()
    everything = paths is None and not texts
    for path in [shipped_files()] if everything else (paths or ()):
        loader.add_path(Path(path))
    for file, text in (texts or {}).items():
        loader.add_text(text, file)
    for path in overlays:
        loader.add_path(Path(path), only="overlay")
    loader.backed = not everything
    return loader.load()


class _Loader:
    """One load: the files given, the shipped ones behind them, and what was found wrong."""

    def __init__(self) -> None:
        self.report = Report()
        self.given: dict[tuple[str, str], Document] = {}
        self.overlays: dict[str, list[Document]] = {}
        self.backed = False
        """Whether the shipped tables stand behind those given."""
        self._shelf: dict[tuple[str, str], _Unread] | None = None
        self.used: dict[str, Document] = {}
        self._files: set[Path] = set()

    # -- files
    def add_path(self, path: Path, only: str = "") -> None:
        """Take a file, or every table of a folder."""
        if path.is_dir():
            for file in sorted(path.rglob("*.yaml")):
                if not any(part.startswith(".") for part in file.relative_to(path).parts):
                    self._add_file(file, only)
        else:
            self._add_file(path, only)

    def _add_file(self, file: Path, only: str) -> None:
        if file.resolve() in self._files:
            return
        self._files.add(file.resolve())
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            hint = "save the file as UTF-8"
            message = f"the file is not UTF-8 text (byte {error.start})"
            self.report.add(Position(str(file), 1, 1), message, code="yaml", hint=hint)
            return
        self.add_text(text, str(file), only)

    def add_text(self, text: str, file: str, only: str = "") -> None:
        """Take the text of one table file."""
        try:
            node = read_source(text, file)
        except BrokenSource as error:
            self.report.problems.extend(error.problems)
            return
        kind = _kind(node, self.report)
        if kind is None:
            return
        name = node.mapping[kind].text
        if only and kind != only:
            hint = f"give it among the tables, or make it an overlay: «overlay: {name}»"
            self.report.add(node.position, f"a {kind} is given where an {only} is expected", code="kind", hint=hint)
            return
        document = _document(kind, name, file, node, self.report)
        if kind == "overlay":
            self.overlays.setdefault(name, []).append(document)
            self.used[file] = document
            return
        first = self.given.get((kind, name))
        if first is not None:
            hint = f"it is already defined in {first.file}; rename one of them"
            self.report.add(document.position, f"{kind} {name!r} is defined twice", code="duplicate", hint=hint)
            return
        self.given[kind, name] = document

    @property
    def shelf(self) -> dict[tuple[str, str], _Unread]:
        """The shipped tables behind those given, read when the first of them is needed."""
        if self._shelf is None:
            self._shelf = {}
            if self.backed:
                self._shelve(shipped_files(), self._shelf)
        return self._shelf

    def _shelve(self, folder: Path, shelf: dict[tuple[str, str], _Unread]) -> None:
        for file in sorted(folder.rglob("*.yaml")):
            try:
                node = read_source(file.read_text(encoding="utf-8"), str(file))
            except BrokenSource as error:
                self.report.problems.extend(error.problems)
                continue
            kind = _kind(node, self.report)
            if kind is not None:
                shelf.setdefault((kind, node.mapping[kind].text), _Unread(str(file), node))

    def find(self, kind: str, name: str) -> Document | None:
        """A document by kind and name, given or shipped."""
        found = self.given.get((kind, name))
        if found is None:
            unread = self.shelf.get((kind, name))
            if unread is None:
                return None
            found = self.given[kind, name] = _document(kind, name, unread.file, unread.node, self.report)
        self.used[found.file] = found
        return found

    def _names(self, kind: str) -> list[str]:
        return [name for its, name in (*self.given, *self.shelf) if its == kind]

    # -- steps
    def load(self) -> Library:
        """Every step, in order."""
        wanted = [name for kind, name in self.given if kind == "machine"]
        catalogue = self._catalogue()
        if any(not one.sound for (kind, _), one in self.given.items() if kind == "catalogue"):
            # every name of it would be unknown: its own problems are what has to be fixed first
            raise TableError(unique(self.report.problems))
        declared = self._declare([*wanted, *self.overlays], catalogue)
        machines = {}
        for name, own in declared.items():
            machine = self._machine(own, declared, catalogue)
            if machine is not None:
                machines[name] = machine
        problems = unique(self.report.problems)
        if problems:
            raise TableError(problems)
        sources = tuple(Source(one.kind, one.name, one.file) for one in self.used.values())
        return Library(dict(sorted(machines.items())), catalogue, sources)

    def _catalogue(self) -> Catalogue:
        own = [name for kind, name in self.given if kind == "catalogue"]
        names = own or self._names("catalogue")
        shipped = shipped_files() / "catalogue" / f"{_BUILT_IN}.yaml"
        if ("catalogue", _BUILT_IN) not in self.given:
            node = read_source(shipped.read_text(encoding="utf-8"), str(shipped))
            self.given["catalogue", _BUILT_IN] = _document("catalogue", _BUILT_IN, str(shipped), node, self.report)
        nodes: dict[str, Node] = {}
        self._no_circle(names)
        todo: list[tuple[str, Position | None]] = [(name, None) for name in (_BUILT_IN, *names)]
        while todo:
            name, position = todo.pop(0)
            if name in nodes:
                continue
            document = self.find("catalogue", name)
            if document is None:
                if position is not None:
                    self.report.unknown(position, "catalogue", name, self._names("catalogue"))
                continue
            include = document.node.get("include")
            todo += [(item.text, item.position) for item in (include.items if include else [])]
            if document.sound:
                nodes[name] = document.node
        return build_catalogue(nodes.values(), self.report)

    def _no_circle(self, names: Iterable[str]) -> None:
        """Complain of catalogues that include each other in a circle, once for each circle."""
        done: set[str] = set()

        def follow(name: str, path: list[str]) -> None:
            document = self.find("catalogue", name)
            include = document.node.get("include") if document is not None else None
            for item in include.items if include else []:
                if item.text in (*path, name):
                    whole = [*path, name]
                    circle = " → ".join([*whole[whole.index(item.text) :], item.text])
                    hint = "a catalogue cannot contain itself; remove one include:"
                    message = f"includes form a cycle: {circle}"
                    self.report.within(table=name).add(item.position, message, code="include-cycle", hint=hint)
                elif item.text not in done:
                    follow(item.text, [*path, name])
            done.add(name)

        for name in names:
            if name not in done:
                follow(name, [])

    def _declare(self, names: Iterable[str], catalogue: Catalogue) -> dict[str, Declarations]:
        """The declarations of the machines named, of those they overlay, and of all their children."""
        found: dict[str, Declarations] = {}
        todo = list(dict.fromkeys(names))
        while todo:
            name = todo.pop(0)
            if name in found:
                continue
            document = self.find("machine", name)
            if document is None:
                self._no_target(name)
                continue
            inside = self.report.within(table=name)
            merged = merge(document, partial(self._fragment, inside), inside)
            overlay(merged, self.overlays.get(name, ()), inside)
            own = found[name] = declare(merged, catalogue, inside)
            for child in own.children.values():
                if self.find("machine", child.machine) is None:
                    inside.unknown(child.position, "machine", child.machine, self._names("machine"))
                else:
                    todo.append(child.machine)
        return found

    def _fragment(self, report: Report, name: str, position: Position) -> Document | None:
        found = self.find("fragment", name)
        if found is None:
            if self.find("machine", name) is not None:
                hint = "move the shared rows to a file with «fragment: <name>»"
                report.add(position, f"{name!r} is a machine; only fragments are included", code="include", hint=hint)
            else:
                report.unknown(position, "fragment", name, self._names("fragment"))
        return found

    def _no_target(self, name: str) -> None:
        for document in self.overlays.get(name, ()):
            hint = suggestion(name, self._names("machine"), "machine")
            if self.find("fragment", name) is not None:
                hint = "it is a fragment: overlay the machines that include it"
            message = f"there is no machine {name!r} to overlay"
            self.report.within(table=name).add(document.position, message, code="unknown-machine", hint=hint)

    def _machine(self, own: Declarations, declared: Mapping[str, Declarations], catalogue: Catalogue) -> Machine | None:
        merged, report = own.merged, self.report.within(table=own.name)
        if not merged.complete:
            return None
        reader = RowReader(own, declared, catalogue)
        rows, lost = [], set(merged.lost)
        for name, entry in merged.rows.items():
            row = reader.read(name, entry, report.within(row=name))
            if row is None:
                lost.add(name)
            else:
                rows.append(row)
        aside = Report()  # what does not read any more is no model for anything
        removed = {
            name: replace(row, position=entry.position)
            for name, entry in merged.removed.items() if (row := reader.read(name, entry, aside))
        }  # fmt: skip
        standing = expand(rows, own, report)
        check_overrides(standing, merged.rows, lost, report)
        check_locked(standing, merged.rows, report)
        node = merged.document.node
        role, durable, doc = node.get("role"), node.get("durable"), node.get("doc")
        events = {name: event for name, event in reader.events.items() if event.source != "after"}
        events |= {row.events[0]: reader.events[row.events[0]] for row in standing.values() if row.after is not None}
        content: dict[str, Any] = {
            "name": own.name,
            "role": role.text if role else "none",
            "durable": durable is not None and durable.value is True,
            "initial": own.initial,
            "parameters": own.parameters,
            "publishes": own.publishes,
            "receives": own.receives,
        }
        return Machine(
            **content,
            doc=doc.text.strip() if doc else "",
            variables=own.variables,
            children=own.children,
            states=own.states,
            groups=own.groups,
            rows=standing,
            events=events,
            position=merged.document.position,
            digest=_digest(content, own, standing),
            removed=removed,
        )


@dataclass(frozen=True, slots=True)
class _Unread:
    """A shipped file whose shape has not been checked, because nothing has named it yet."""

    file: str
    node: Node


def _document(kind: str, name: str, file: str, node: Node, report: Report) -> Document:
    shape = check_shape(node, kind, report.within(table=name))
    return Document(kind, name, file, node, shape.sound, shape.broken)


def _kind(node: Node, report: Report) -> str | None:
    """What a file holds; None after a complaint."""
    kinds = [kind for kind in FILE_KINDS if kind in node.mapping]
    if len(kinds) == 1:
        if isinstance(node.mapping[kinds[0]].value, str):
            return kinds[0]
        where = node.mapping[kinds[0]].position
        report.add(where, f"«{kinds[0]}:» needs a name", code="kind", hint=f"write «{kinds[0]}: some/name»")
        return None
    if kinds:
        message = f"a file cannot hold both a {kinds[0]} and a {kinds[1]}"
        report.add(node.keys[kinds[1]], message, code="kind", hint="give each its own file")
        return None
    hint = "say what it holds: «machine: <name>», or fragment:, overlay:, catalogue:"
    for key in node.mapping:
        close = close_matches(key, FILE_KINDS)
        if close:
            hint = f"did you mean {close[0]}: where it says {key}:?"
    report.add(node.position, "the file does not say what it holds", code="kind", hint=hint)
    return None


def _digest(content: Mapping[str, Any], own: Declarations, rows: Mapping[str, Row]) -> str:
    """SHA-256 over what a session's behaviour depends on: no positions, no documentation, no order of rows."""
    canonical = {
        **{key: value if isinstance(value, str | bool) else repr(value) for key, value in content.items()},
        "variables": {name: [str(one.type), repr(one.default)] for name, one in own.variables.items()},
        "children": {name: child.machine for name, child in own.children.items()},
        "states": {name: state.final for name, state in own.states.items()},
        "rows": {
            name: [
                row.states, sorted(row.events), row.kind, row.note, repr(row.guard), row.otherwise, row.priority,
                [[action.name, repr(action.parameters)] for action in row.actions],
                sorted((key, repr(value)) for key, value in row.set.items()), row.next_state,
                [[one.name, repr(one.fields)] for one in row.publish], repr(row.after),
            ]
            for name, row in rows.items()
        },
    }  # fmt: skip
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


__all__ = ["Library", "Problem", "Source", "TableError", "base", "load_tables"]
