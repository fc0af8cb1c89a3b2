"""Tables as a program has them: read, checked, compiled, with what they were read from so that they can be read again."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.check import check
from calltable.engine.language import Library, load_catalogue, load_tables
from calltable.engine.model import Call, Problem, TableError, walk
from calltable.engine.run import compile_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calltable.engine.model import Catalogue, Machine
    from calltable.engine.run import CompiledMachine


class Recipe(NamedTuple):
    """What tables were made of, so that they can be made again when their files have changed."""

    paths: tuple[Path, ...] = ()
    overlays: tuple[Path, ...] = ()
    config: Mapping[str, Any] = MappingProxyType({})
    predicates: Mapping[str, Callable[..., Any]] = MappingProxyType({})
    defaults: Mapping[str, Any] = MappingProxyType({})

    def make(self) -> Tables:
        """Read the files again. Raises as ``Tables`` does."""
        return Tables(self.paths or None, overlays=self.overlays, config=self.config, predicates=self.predicates, defaults=self.defaults)

    def with_files(self, paths: Sequence[Path] = (), overlays: Sequence[Path] = ()) -> Recipe:
        """With these files besides; a file counts once."""
        more = [tuple(dict.fromkeys((*mine, *theirs))) for mine, theirs in ((self.paths, paths), (self.overlays, overlays))]
        return self._replace(paths=more[0], overlays=more[1])


class Tables:
    """Loaded, checked and compiled tables, ready for any number of engines.

    ``paths`` (files and folders) stand in place of the shipped tables of the same names; the rest is shipped.
    ``config`` sets what ``$config.<name>`` stands for, ``defaults`` what it stands for where nobody sets it and a table knows it; ``predicates`` are the functions behind the predicates of a catalogue of
    yours, by name. Raises ``TableError`` with every problem at once; nothing is half-loaded. Among them is each predicate that
    guards call and nobody gives. Raises ValueError for settings that no table knows or that are out of bounds.
    """

    def __init__(
        self,
        paths: Sequence[Path] | None = None,
        *,
        overlays: Sequence[Path] = (),
        config: Mapping[str, Any] | None = None,
        predicates: Mapping[str, Callable[..., Any]] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe = Recipe(tuple(paths or ()), tuple(overlays), dict(config or {}), dict(predicates or {}), dict(defaults or {}))
        self.library: Library = read(self.recipe.paths, self.recipe.overlays)
        problems = check(self.library) or _ungiven(self.library, self.recipe.predicates)
        if problems:
            raise TableError(problems)
        known = self.library.catalogue.config
        wrong = [why for name, value in (config or {}).items() if (why := self.library.catalogue.check_setting(name, value))]
        if wrong:
            raise ValueError("; ".join(wrong))
        settled = {name: value for name, value in self.recipe.defaults.items() if name in known}
        self.config = {**{name: parameter.default for name, parameter in known.items()}, **settled, **(config or {})}
        self.machines: dict[str, CompiledMachine] = {
            name: compile_machine(machine, self.config, predicates) for name, machine in self.library.machines.items()
        }
        for compiled in self.machines.values():
            compiled.family = self.machines


def _ungiven(library: Library, predicates: Mapping[str, Callable[..., Any]]) -> list[Problem]:
    """A problem for each predicate that a guard calls and nobody gives, at the first row that calls it."""
    missing: dict[str, Problem] = {}
    for machine in library.machines.values():
        for row in machine.rows.values():
            for node in walk(row.guard) if row.guard is not None else ():
                if isinstance(node, Call) and node.name not in predicates and node.name not in missing:
                    missing[node.name] = Problem(
                        row.position, f"the guard calls the predicate {node.name}, and no function was given for it", machine.name,
                        row.id, hint=f"give one: Tables(..., predicates={{{node.name!r}: function}}); `calltable check` and "
                        "`explore` need none: they try all that it can answer", code="predicate",
                    )  # fmt: skip
    return list(missing.values())


def read(paths: Sequence[Path] = (), overlays: Sequence[Path] = ()) -> Library:
    """Tables and overlays, with what is shipped and they do not bring: a server needs its transactions, a program its phones too.

    Without paths: the shipped tables. A catalogue among them need not include all that is shipped: what it leaves out is added if it
    defines nothing of the same name. A shipped machine that still receives something unknown is left out. Raises TableError, OSError.
    """
    if not paths:
        return load_tables(overlays=overlays)
    given, shipped = load_tables(paths, overlays=overlays), load_tables()
    brought = {(source.kind, source.name) for source in given.sources}
    theirs = shipped.catalogue.interfaces
    known = {
        name for name, interface in given.catalogue.interfaces.items()
        if name not in theirs or theirs[name].events.keys() <= interface.events.keys()
    }  # fmt: skip
    more: list[str] = []
    for source in shipped.sources:
        if source.kind == "catalogue" and (source.kind, source.name) not in brought:
            own = load_catalogue([Path(source.file)])
            if not any(one.keys() & other.keys() for one, other in zip(_names(own), _names(given.catalogue), strict=True)):
                known |= own.interfaces.keys()
                more.append(source.file)
    machines = [source for source in shipped.sources if source.kind == "machine" and (source.kind, source.name) not in brought]
    more += [source.file for source in machines if known >= set(shipped.machines[source.name].receives)]
    return load_tables([*paths, *more], overlays=overlays)


def _names(catalogue: Catalogue) -> tuple[Mapping[str, object], ...]:
    return catalogue.interfaces, catalogue.outcomes, catalogue.actions, catalogue.predicates, catalogue.config


def machines_in(library: Library, paths: Sequence[Path]) -> list[Machine]:
    """The machines that stand in these files and folders; all where no paths are given, or none of them holds a machine."""
    places = [path.resolve() for path in paths]
    machines = [
        machine for machine in library.machines.values()
        if any(Path(machine.position.file).resolve().is_relative_to(place) for place in places)
    ]  # fmt: skip
    return machines or list(library.machines.values())
