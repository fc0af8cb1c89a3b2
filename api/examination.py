"""Whether tables may run: the static checks, then every order of events within the explorer's quick bounds.

``calltable check`` and ``calltable serve --check`` both ask here, so that they cannot disagree about the same files. The
static checks are those of ``Tables``: a server and a program that load the tables refuse the same ones.

The explorer says yes only where it has seen everything within its bounds. Where it stopped early, where a channel was full, or
where a composition has no place for what a table does, that is a problem of its own (``not-explored``), with what was not
looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from calltable.adapters.sip.explore import COMPOSITIONS
from calltable.engine.check import check
from calltable.engine.explore import LIMIT, concerned, explore, with_peers
from calltable.engine.model import Call, Problem, TableError, walk
from calltable.loading import machines_in, read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from calltable.engine.explore import Explored
    from calltable.engine.language import Library
    from calltable.engine.model import Machine
    from calltable.loading import Recipe


@dataclass
class Examination:
    """What was found. Without a ``library`` the tables did not even load, and nothing else was looked at."""

    problems: list[Problem]
    library: Library | None = None
    machines: list[Machine] = field(default_factory=list)
    """The machines that the examined files hold; all where none were named."""
    seconds: float = 0.0
    """Wall-clock time."""
    states: int = 0
    """How many states the explorer has seen."""
    alone: list[str] = field(default_factory=list)
    """The machines that no composition of the explorer contains."""
    needed: list[str] = field(default_factory=list)
    """Predicates that a program must bring; ``calltable serve`` has no place for them."""


def examine(
    recipe: Recipe,
    *,
    search: bool = True,
    draw: Callable[[Explored], str] = lambda _: "",
    told: Callable[[Examination], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    limit: int = LIMIT,
) -> Examination:
    """Examine the tables that a recipe names; its settings and predicates are not looked at.

    ``told`` is given what the static checks found, before the explorer begins. ``draw`` turns a violation into the ladder that is
    shown with it; ``progress`` is given the composition, the states found and how many are still to be looked at; ``limit`` is
    the number of states after which a search gives up. Raises OSError for files that cannot be read.
    """
    begin = perf_counter()
    try:
        library = read(recipe.paths, recipe.overlays)
    except TableError as error:
        return Examination(error.problems, seconds=perf_counter() - begin)
    found = Examination(check(library), library, machines_in(library, recipe.paths), perf_counter() - begin)
    found.needed = sorted(predicates_of(library))
    if search and not found.problems:
        if told is not None:
            told(found)
        found.problems, found.states, found.alone = races(
            library, [one.name for one in found.machines], draw=draw, progress=progress, limit=limit
        )
    found.seconds = perf_counter() - begin
    return found


def races(
    library: Library,
    given: Collection[str],
    *,
    draw: Callable[[Explored], str] = lambda _: "",
    progress: Callable[[str, int, int], None] | None = None,
    limit: int = LIMIT,
) -> tuple[list[Problem], int, list[str]]:
    """Explore where the ``given`` machines take part, and all that are not as they are shipped.

    Answers the problems, how many states were seen, and the given machines that no composition contains. The search stops at the
    first violation, since others mostly show the same. What it did not look at is a problem too.
    """
    concerning, alone = concerned(given, library.machines, COMPOSITIONS)
    problems: list[Problem] = []
    states = 0
    for one in explore(library.machines, library.catalogue, COMPOSITIONS, concerning=concerning, progress=progress, limit=limit):
        states += one.result.states
        if one.result.finding is not None:
            problems.append(_violation(library, one, draw(one)))
            break
        if not one.result.ok:
            problems.append(_cut(library, one, concerning))
    return problems, states, alone


def _violation(library: Library, found: Explored, ladder: str) -> Problem:
    finding = found.result.finding
    last = [one for told in found.result.trace if told.reaction is not None for one in told.reaction.shown][-1]
    row = with_peers(library.machines, COMPOSITIONS)[last.machine].rows[last.row]
    drawn = ("\n" + ladder).replace("\n", "\n      ").rstrip()
    return Problem(
        row.position, f"in the composition {found.composition.name}: {finding.text if finding else ''}", last.machine, last.row,
        last.before, last.event, f"the shortest call that shows it (see `calltable explore`):{drawn}", 6, finding.code if finding else "",
    )  # fmt: skip


def _cut(library: Library, found: Explored, concerning: Collection[str]) -> Problem:
    machines = [library.machines[name] for name in found.composition.needs if name in library.machines]
    machine = next((one for one in machines if one.name in concerning), machines[0])
    missed = "; ".join(found.result.missed())
    return Problem(
        machine.position, f"composition {found.composition.name} was not explored completely: {missed}", machine.name,
        hint=f"nothing is known of what was left out. See `calltable explore --only {found.composition.name}`; to check the tables "
        "without exploring: --no-explore",
        gate=6, code="not-explored",
    )  # fmt: skip


def predicates_of(library: Library) -> set[str]:
    """The names of the predicates that guards call."""
    guards = [row.guard for machine in library.machines.values() for row in machine.rows.values() if row.guard is not None]
    return {node.name for guard in guards for node in walk(guard) if isinstance(node, Call)}
