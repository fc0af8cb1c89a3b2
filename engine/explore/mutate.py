"""The explorer's own measure: break the tables in one place at a time, and see who notices.

A *mutant* is the shipped tables with one thing wrong in one row: the row is gone, an action is forgotten or done twice, a
message goes to the wrong side, a guard says the opposite, the next state is another, a variable is not set, the owner
is not told. Each is given to the static checks first, then to the explorer with its quick bounds.

A mutant that nobody notices is one of three: its row is not *reached* within the bounds; or it changes *nothing
observable* there (walked side by side with the tables it was made from, it says the same to everyone); or it is *missed*.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.check import check
from calltable.engine.explore.choices import Choices
from calltable.engine.explore.explorer import compiled, search
from calltable.engine.model import FAILED, Action
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from calltable.engine.explore.composition import Composition
    from calltable.engine.explore.element import Element, Reaction
    from calltable.engine.explore.explorer import Explored
    from calltable.engine.explore.scene import Input
    from calltable.engine.language import Library
    from calltable.engine.model import Catalogue, Machine, Problem, Row

LIMIT = 400_000
"""States after which a composition of a mutant is given up: it has more than the tables it was made from."""


_NOTHING: Mapping[str, str] = {}


class Mutant(NamedTuple):
    """One table with one thing wrong: what kind of thing, in which row, and the table."""

    kind: str
    machine: str
    row: str
    what: str
    model: Machine

    def __str__(self) -> str:
        return f"{self.machine} {self.row}: {self.what}"


class Verdict(NamedTuple):
    """Who noticed a mutant: ``gate 2`` … ``gate 5``, or a composition and the property broken; else empty and why."""

    mutant: Mutant
    caught: str
    detail: str
    why: str = ""

    @property
    def counts(self) -> bool:
        """Whether the mutant changes behaviour, as far as the bounds can tell."""
        return bool(self.caught) or self.why == MISSED


UNREACHED = "its row is not reached within the bounds"
UNCHANGED = "nothing observable changes within the bounds"
MISSED = "it changes what can be observed, and no property forbids that"


def mutants(library: Library, tables: Sequence[str] = (), extra: Mapping[str, str] = _NOTHING) -> Iterator[Mutant]:
    """Every mutant of the tables (or of those named), in file order.

    ``extra`` names, by the folder of the table, the action that is added to rows that only talk to their owner.
    """
    for machine in library.machines.values():
        if tables and machine.name not in tables:
            continue
        for row in sorted(machine.rows.values(), key=lambda row: row.position):
            for kind, what, broken in _broken(row, machine, library.catalogue, extra.get(machine.name.partition("/")[0], "")):
                rows = {name: one for name, one in machine.rows.items() if name != row.id}
                if broken is not None:
                    rows = {**machine.rows, row.id: broken}
                yield Mutant(kind, machine.name, row.id, what, dataclasses.replace(machine, rows=rows))


def _broken(row: Row, machine: Machine, catalogue: Catalogue, extra: str) -> Iterator[tuple[str, str, Row | None]]:
    """The ways to break one row: kind, what it is, and the row (None: gone)."""

    def change(**changes: object) -> Row:
        return dataclasses.replace(row, **changes)  # type: ignore[arg-type]

    yield "delete row", "the row is gone", None
    if row.kind != "row":
        if row.kind == "defer":
            yield "lose event", "the event is ignored instead of deferred", change(kind="ignore", note="late")
        return
    for i, action in enumerate(row.actions):
        rest = (*row.actions[:i], *row.actions[i + 1 :])
        yield "drop action", f"{_call(action)} is forgotten", change(actions=rest)
        if not action.name.startswith("timer."):
            yield "double action", f"{_call(action)} is done twice", change(actions=(*row.actions, action))
        for what, other in _swapped(action, machine, catalogue):
            yield "swap send", what, change(actions=(*row.actions[:i], other, *row.actions[i + 1 :]))
    if extra and not any(action.name.partition(".")[0] == extra.partition(".")[0] for action in row.actions):
        added = Action(extra, {}, row.position)
        yield "add send", f"{extra} is done too", change(actions=(*row.actions, added))
    for i, published in enumerate(row.publish):
        rest_ = (*row.publish[:i], *row.publish[i + 1 :])
        yield "drop publish", f"{published.name} is not published", change(publish=rest_)
    for name, value in row.set.items():
        kept = {one: given for one, given in row.set.items() if one != name}
        yield "drop set", f"{name} is not set", change(set=kept)
        if isinstance(value, x.Literal) and isinstance(value.value, bool):
            yield "turn set", f"{name} is set to {not value.value}", change(set={**row.set, name: x.Literal(not value.value)})
    if row.guard is not None and row.after is None:
        yield "negate guard", f"not ({row.guard_text})", change(guard=x.Not(row.guard))
        yield "drop guard", f"without {row.guard_text}", change(guard=None)
    if row.after is None and row.next_state is not None:
        yield "stay", f"stays instead of going to {row.next_state}", change(next_state=None)
    for state in _others(row, machine):
        yield "wrong state", f"goes to {state} instead of {row.next_state or 'staying'}", change(next_state=state)


def _others(row: Row, machine: Machine) -> Iterator[str]:
    """Two other states to go to: the next one in the table, and the final one."""
    names = list(machine.states)
    here = row.next_state or (next(iter(row.states)) if len(row.states) == 1 else "")
    live = [name for name in names if not machine.states[name].final and name not in {machine.initial, here}]
    if live and here:
        at = names.index(here)
        yield next((name for name in names[at + 1 :] if name in live), live[0])
    final = next((name for name in names if machine.states[name].final), None)
    if final is not None and final != row.next_state:
        yield final


def _swapped(action: Action, machine: Machine, catalogue: Catalogue) -> Iterator[tuple[str, Action]]:
    """The action, gone to the wrong place or with the wrong code."""
    code = action.parameters.get("code")
    if isinstance(code, x.Literal) and isinstance(code.value, int):
        other = 486 if code.value < 300 else 200
        yield f"{_call(action)} says {other}", _with(action, "code", other)
    to = action.parameters.get("to")
    if isinstance(to, x.Literal):
        spec = catalogue.actions.get(action.name)
        places = spec.parameters["to"].type.values if spec is not None and "to" in spec.parameters else ()
        for name in machine.children if action.name == "child.tell" else places[:2]:
            if name != to.value:
                yield f"{_call(action)} goes to {name}", _with(action, "to", name)


def _with(action: Action, parameter: str, value: object) -> Action:
    return dataclasses.replace(action, parameters={**action.parameters, parameter: x.Literal(value)})


def _call(action: Action) -> str:
    shown = [str(v.value) for v in action.parameters.values() if isinstance(v, x.Literal) and v.value is not None]
    return f"{action.name} {' '.join(shown)}".strip()


class Judge:
    """Gives mutants to the static checks and to the explorer. The tables themselves have to be clean."""

    def __init__(self, library: Library, compositions: Sequence[Composition]) -> None:
        self.library = library
        self.compositions = compositions
        self.choices = Choices()
        self.ready = compiled(library.machines, library.catalogue, self.choices)
        self._clean: dict[str, Explored] = {}

    def judge(self, mutant: Mutant) -> Verdict:
        """Who notices the mutant, and how."""
        machines = {**self.library.machines, mutant.machine: mutant.model}
        problems = check(dataclasses.replace(self.library, machines=machines))
        if problems:
            first = min(problems, key=lambda problem: problem.gate)
            return Verdict(mutant, f"gate {first.gate}", _line(first))
        try:
            broken = compiled({mutant.machine: mutant.model}, self.library.catalogue, self.choices)
        except (KeyError, SyntaxError) as error:
            return Verdict(mutant, "compile", str(error))
        ready = {**self.ready, **broken}
        reached, changed = False, False
        for composition in self.compositions:
            if composition.quick is None or mutant.machine not in composition.needs:
                continue
            if not all(name in ready for name in composition.needs):
                continue
            clean = self._of_clean(composition.name)
            reached |= (mutant.machine, mutant.row) in clean.result.rows
            try:
                found = search(composition, ready, self.library.catalogue, composition.quick, self.choices, limit=LIMIT)
            except (LookupError, TypeError, ValueError) as error:
                return Verdict(mutant, composition.name, f"fails: {error!r}")
            finding = found.result.finding
            if finding is not None:
                return Verdict(mutant, composition.name, f"{finding.code}: {finding.text}")
            if not found.result.ok:
                return Verdict(mutant, composition.name, f"not explored completely: {'; '.join(found.result.missed())}")
            changed |= differs(clean, found)
        why = MISSED if changed else UNCHANGED if reached else UNREACHED
        return Verdict(mutant, "", "", why)

    def _of_clean(self, name: str) -> Explored:
        if name not in self._clean:
            composition = next(one for one in self.compositions if one.name == name)
            self._clean[name] = search(composition, self.ready, self.library.catalogue, composition.quick or {}, self.choices)
        return self._clean[name]


def differs(clean: Explored, broken: Explored) -> bool:
    """Whether any element of the broken tables can be told from the clean one, from outside.

    Both are walked side by side with every input that the clean search gave: the same messages have to leave, and the same
    has to be published by root sessions and refused to them. A timer that only one of them has running must be without effect.
    """
    return any(
        _element_differs(one, other)
        for one, other in zip(clean.system.elements, broken.system.elements, strict=True)
    )


def _element_differs(clean: Element, broken: Element) -> bool:
    asked: dict[int, list[Input]] = {}
    for local, given in clean.asked():
        asked.setdefault(local, []).append(given)
    todo = list(zip(clean.starts, broken.starts, strict=True))
    seen = set(todo)
    while todo:
        i, j = todo.pop()
        after: list[tuple[int, int]] = []
        offered = {given for _, given in broken.inputs(j)}
        offered_clean = {given for _, given in clean.inputs(i)}
        for given in asked.get(i, ()):
            mine = clean.react(i, given)
            if given[0] != "message" and given not in offered:
                if any(_visible(one) for one in mine):
                    return True
                after += [(one.local, j) for one in mine]
                continue
            for one, other in _alike(mine, broken.react(j, given)):
                if _visible(one) != _visible(other) or bool(one.problem) != bool(other.problem):
                    return True
                after.append((one.local, other.local))
        for given in offered - offered_clean:
            if given[0] == "event" and given[2] == FAILED:
                continue
            for other in broken.react(j, given):
                if _visible(other):
                    return True
                after.append((i, other.local))
        for pair in after:
            if pair not in seen:
                seen.add(pair)
                todo.append(pair)
    return False


def _alike(mine: Sequence[Reaction], others: Sequence[Reaction]) -> Iterator[tuple[Reaction, Reaction]]:
    """Pairs of reactions in which no predicate has answered the same call in two ways."""
    for one in mine:
        for other in others:
            if all(a == b or a[0] != b[0] for a, b in zip(one.answers, other.answers, strict=False)):
                yield one, other


def _visible(reaction: Reaction) -> tuple[object, ...]:
    """What can be seen of a reaction from outside the element."""
    told = tuple(
        (one.slot, one.kind == "refused", one.publications)
        for one in reaction.shown if "." not in one.slot and (one.publications or one.kind == "refused")
    )  # fmt: skip
    return (*reaction.sent, *told)


def _line(problem: Problem) -> str:
    return f"{problem.code}: {problem.message.splitlines()[0]}"


def judged(
    library: Library, compositions: Sequence[Composition], chosen: Sequence[Mutant],
    progress: Callable[[int, Verdict], None] | None = None,
) -> list[Verdict]:
    """The verdicts on mutants, one by one; ``progress`` is told how many are done, and the last one."""
    judge = Judge(library, compositions)
    verdicts = []
    for number, mutant in enumerate(chosen, 1):
        verdicts.append(judge.judge(mutant))
        if progress is not None:
            progress(number, verdicts[-1])
    return verdicts


def tally(verdicts: Sequence[Verdict]) -> Mapping[str, int]:
    """How many were caught by whom; ``missed``, ``unchanged`` and ``unreached`` among them."""
    counts: dict[str, int] = {}
    for one in verdicts:
        name = one.caught or {MISSED: "missed", UNCHANGED: "unchanged", UNREACHED: "unreached"}[one.why]
        counts[name] = counts.get(name, 0) + 1
    return counts
