"""Running compositions: from checked machines to results.

``explore`` compiles the tables, builds each composition whose tables are there, and searches it within the bounds of
the profile. It is lazy: results come one by one, so that a caller may stop at the first that is not clean.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.explore.assertions import Watch
from calltable.engine.explore.choices import Choices, asking
from calltable.engine.explore.element import Element
from calltable.engine.explore.search import LIMIT, Search
from calltable.engine.explore.system import System
from calltable.engine.language import load_tables
from calltable.engine.run import compile_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from calltable.engine.explore.assertions import Assertion
    from calltable.engine.explore.composition import Composition
    from calltable.engine.explore.element import Reaction
    from calltable.engine.explore.search import Result
    from calltable.engine.explore.system import State
    from calltable.engine.model import Catalogue, Machine
    from calltable.engine.run import CompiledMachine

PROFILES = ("quick", "full")


class Explored(NamedTuple):
    """One composition, searched: the bounds it had, and what came of it."""

    composition: Composition
    bounds: Mapping[str, int]
    system: System
    result: Result


def compiled(machines: Mapping[str, Machine], catalogue: Catalogue, choices: Choices) -> dict[str, CompiledMachine]:
    """The machines, ready to be explored: with the catalogue's own configuration, and predicates that answer as ``choices`` says."""
    config = {name: parameter.default for name, parameter in catalogue.config.items()}
    return {name: compile_machine(machine, config, functions)
            for name, (machine, functions) in ((name, asking(one, catalogue, choices)) for name, one in machines.items())}  # fmt: skip


def concerned(
    given: Iterable[str], machines: Mapping[str, Machine], compositions: Sequence[Composition]
) -> tuple[set[str], list[str]]:
    """The tables that a search is about, and those among the ``given`` ones that no composition contains.

    It is about the given ones, and about all that are not as they are shipped: an overlay or a fragment may have changed them.
    """
    contained = {name for one in compositions for name in one.needs}
    shipped = load_tables().machines
    changed = {name for name, one in machines.items() if name not in shipped or shipped[name].digest != one.digest}
    return {*given, *changed}, sorted(set(given) - contained)


def with_peers(machines: Mapping[str, Machine], compositions: Sequence[Composition]) -> dict[str, Machine]:
    """The machines, and the shipped ones that compositions set them against."""
    wanted = {
        name for one in compositions if any(given in machines for given in one.needs) for name in one.needs
    } - machines.keys()  # fmt: skip
    shipped = load_tables().machines if wanted else {}
    return {**{name: shipped[name] for name in sorted(wanted) if name in shipped}, **machines}


def build(
    composition: Composition, machines: Mapping[str, CompiledMachine], catalogue: Catalogue, bounds: Mapping[str, int],
    choices: Choices, *, watched: Mapping[str, frozenset[str]] | None = None,
) -> tuple[System, list[list[Reaction]]]:  # fmt: skip
    """The system of a composition, and its initial states.

    ``choices`` are those that the machines were compiled with. ``watched`` names variables by machine that a state must hold though no guard reads them.
    """
    elements = [
        Element(part.name, machines, part.adapter(catalogue), choices, watched=watched or {})
        for part in composition.parts
    ]  # fmt: skip
    system = System(elements, composition.wires, bounds, ordered=composition.ordered)
    initials = [
        list(reactions)
        for choice in itertools.product(*(part.choices for part in composition.parts))
        for reactions in itertools.product(*(
            element.initial(*part.start, fields) if part.start is not None else element.initial()
            for element, part, fields in zip(elements, composition.parts, choice, strict=True)
        ))
    ]  # fmt: skip
    return system, initials


def search(
    composition: Composition, machines: Mapping[str, CompiledMachine], catalogue: Catalogue, bounds: Mapping[str, int],
    choices: Choices, *, stated: Sequence[Assertion] = (), limit: int = LIMIT,
    progress: Callable[[int, int], None] | None = None,
) -> Explored:  # fmt: skip
    """Search one composition within ``bounds``, with the built-in properties and those that are ``stated``.

    ``choices`` are those that the machines were compiled with.
    """
    of_this = [one for one in stated if one.concerns(composition)]
    watched = {name: frozenset(name for one in of_this for name in one.variables) for name in machines}
    system, initials = build(composition, machines, catalogue, bounds, choices, watched=watched)
    invariants = composition.properties(system, composition.wires)
    watch = Watch(of_this, system, composition)

    def invariant(state: State) -> tuple[str, str] | None:
        return invariants.invariant(state) or watch.invariant(state)

    result = Search(
        system, invariant if of_this else invariants.invariant, invariants.final,
        paths=watch.paths if of_this else None, limit=limit, progress=progress,
    ).run(initials)  # fmt: skip
    return Explored(composition, bounds, system, result)


def explore(
    machines: Mapping[str, Machine], catalogue: Catalogue, compositions: Sequence[Composition], *, profile: str = "quick", only: Sequence[str] = (),
    stated: Sequence[Assertion] = (), progress: Callable[[str, int, int], None] | None = None, limit: int = LIMIT,
    concerning: Collection[str] | None = None,
) -> Iterator[Explored]:  # fmt: skip
    """Search every one of the ``compositions`` that a table of ``machines`` takes part in (or those in ``only``), one after the other.

    With ``concerning``, only those that one of these tables takes part in.

    Tables that a composition needs and that are not among them are the shipped ones.

    ``progress`` is told the composition's name, the states found, and how many of them are still to be looked at.
    """
    choices = Choices()
    ready = compiled(with_peers(machines, compositions), catalogue, choices)
    for composition in compositions:
        bounds = composition.quick if profile == "quick" else composition.full
        if bounds is None or (only and composition.name not in only):
            continue
        wanted = machines if concerning is None else concerning
        if not any(name in wanted for name in composition.needs) or not all(name in ready for name in composition.needs):
            continue

        def told(found: int, left: int, name: str = composition.name) -> None:
            if progress is not None:
                progress(name, found, left)

        yield search(composition, ready, catalogue, bounds, choices, stated=stated, limit=limit, progress=told)
