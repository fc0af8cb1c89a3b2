"""Which rows of which tables were reached: an observer that counts, a file to keep it in, and what is missing.

``Coverage`` is given to an executor's ``observers`` and counts every event by machine, state, event and the row that
took it (or that ignored, refused or deferred it; none where no row did). Where the guards of a cell decide, it also
counts the *case*: the values of what they ask about, as ``truth.py`` groups them. The observer is told after a row's
changes are made, so it remembers what the variables held before. Counts are kept by the digest of the table and
merged by addition; ``measure`` holds them against a table as it is now.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from calltable.engine.check.truth import OTHER, Scope, subjects
from calltable.engine.model import expressions as x
from calltable.engine.model.precedence import tiers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from calltable.engine.check.truth import Subject
    from calltable.engine.model.machine import Catalogue, Machine, Row
    from calltable.engine.run.compile import CompiledMachine
    from calltable.engine.run.executor import Executor, Step
    from calltable.engine.run.session import Session

FORMAT: Final = "calltable-coverage"
VERSION: Final = 1

Key = tuple[str, str, str, str, str]
"""Machine, digest, state, event, row id (empty where no row took the event)."""
Case = tuple[str, str, str, str, str]
"""Machine, digest, state, event, and the values that the guards met, in words."""


class CoverageError(ValueError):
    """A file holds no coverage; the text says which and why."""


@dataclass(slots=True)
class Hits:
    """What was counted. ``rows`` and ``cases`` map their keys to how often they came."""

    rows: Counter[Key] = field(default_factory=Counter)
    cases: Counter[Case] = field(default_factory=Counter)

    def add(self, other: Hits) -> None:
        """Take what ``other`` has counted as well."""
        self.rows.update(other.rows)
        self.cases.update(other.cases)

    def dump(self) -> str:
        """The counts as JSON."""
        machines: dict[tuple[str, str], dict[tuple[str, str], dict[str, dict[str, int]]]] = {}
        for kind, counts in (("rows", self.rows), ("cases", self.cases)):
            for (machine, digest, state, event, what), count in sorted(counts.items()):
                cell = machines.setdefault((machine, digest), {}).setdefault((state, event), {})
                cell.setdefault(kind, {})[what] = count
        content = {
            FORMAT: VERSION,
            "machines": [
                {"machine": machine, "digest": digest,
                 "cells": [{"state": state, "event": event, **cell} for (state, event), cell in cells.items()]}
                for (machine, digest), cells in machines.items()
            ],
        }  # fmt: skip
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def load(cls, text: str, name: str = "coverage") -> Hits:
        """Read what ``dump`` wrote. Raises CoverageError."""
        found = cls()
        try:
            content = json.loads(text)
            version = content[FORMAT]
            for machine in content["machines"]:
                for cell in machine["cells"]:
                    key = (str(machine["machine"]), str(machine["digest"]), str(cell["state"]), str(cell["event"]))
                    for row, count in cell.get("rows", {}).items():
                        found.rows[*key, row] += int(count)
                    for case, count in cell.get("cases", {}).items():
                        found.cases[*key, case] += int(count)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CoverageError(f"{name}: this is no coverage file ({str(error) or type(error).__name__})") from error
        if version != VERSION:
            raise CoverageError(f"{name}: written by another version of calltable")
        return found

    def write(self, path: Path) -> None:
        """Add the counts to a file, all or nothing; it is made where there is none. Raises OSError, CoverageError."""
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # the processes of a test run end together
            whole = Hits()
            if path.exists():
                whole = self.load(path.read_text(encoding="utf-8"), str(path))
            whole.add(self)
            beside = path.with_name(f".{path.name}.new")
            beside.write_text(whole.dump(), encoding="utf-8")
            beside.replace(path)
        finally:
            os.close(folder)


class Memory:
    """What the variables that guards read held *before* each step; an observer that others ask.

    Kept for a session only once a row has changed one, and until the session's end.
    """

    def __init__(self) -> None:
        self._kept: dict[Session, dict[str, Any]] = {}
        self._read: dict[CompiledMachine, frozenset[str]] = {}

    def before(self, session: Session) -> Mapping[str, Any]:
        """The values before the step that is being told; ask before ``learn``."""
        kept = self._kept.get(session)
        if kept is not None:
            return kept
        model = session.machine.model
        return {name: model.variables[name].default for name in self.read(session.machine)}

    def learn(self, step: Step) -> None:
        """Remember what the step has set."""
        row, session = step.row, step.session
        if row is None or step.receipt is None:
            return
        if row.final:
            self._kept.pop(session, None)
            return
        read = self.read(session.machine)
        if any(name in read for name in row.variables):
            self._kept[session] = {name: getattr(session, "v_" + name) for name in read}

    def read(self, machine: CompiledMachine) -> frozenset[str]:
        """The variables that the guards of a machine ask about."""
        found = self._read.get(machine)
        if found is None:
            guards = [row.guard for row in machine.model.rows.values() if row.guard is not None]
            names = {node.name for guard in guards for node in x.walk(guard) if isinstance(node, x.Var)}
            found = self._read[machine] = frozenset(names)
        return found


class Coverage:
    """Counts for one executor: ``executor.observers.append(Coverage(catalogue))``."""

    def __init__(self, catalogue: Catalogue, *, config: Mapping[str, Any] | None = None) -> None:
        self.catalogue = catalogue
        self.config = config or {}
        self._counts: Counter[tuple[CompiledMachine, str, str, str]] = Counter()
        self._cases: Counter[tuple[CompiledMachine, str, str, str]] = Counter()
        self._memory = Memory()
        self._asked: dict[tuple[CompiledMachine, str, str], list[Subject]] = {}

    def __call__(self, step: Step) -> None:
        """Count one step."""
        session, row, receipt = step.session, step.row, step.receipt
        machine = session.machine
        state = session.state if receipt is None else receipt.before
        event = step.event
        self._counts[machine, state, event, "" if row is None else row.id] += 1
        asked = self._asked.get((machine, state, event))
        if asked is None:
            asked = self._asked[machine, state, event] = guarded(machine.model, self.catalogue, state, event)
        if asked:
            values = self._memory.before(session)
            told = describe(asked, values, step.payload, session, self.config)
            self._cases[machine, state, event, told] += 1
        self._memory.learn(step)

    def hits(self) -> Hits:
        """What was counted so far."""
        found = Hits()
        for counts, into in ((self._counts, found.rows), (self._cases, found.cases)):
            for (machine, state, event, what), count in counts.items():
                into[machine.name, machine.digest, state, event, what] += count
        return found


VARIABLE: Final = "CALLTABLE_COVERAGE"
"""Environment variable: a file to which every engine of the process adds what it reached, at the process's end."""


class _Everywhere:
    """The coverage of all engines that are made while somebody asks for it: one count for each catalogue."""

    def __init__(self) -> None:
        self.counts: list[Coverage] | None = None

    def watch(self, executor: Executor, catalogue: Catalogue) -> None:
        """Count what this executor does, where that is asked for."""
        if self.counts is None:
            path = os.environ.get(VARIABLE)
            if not path:
                return
            self.counts = []
            atexit.register(self._at_exit, Path(path), os.getpid())
        found = next((one for one in self.counts if one.catalogue is catalogue), None)
        if found is None:
            found = Coverage(catalogue)
            self.counts.append(found)
        executor.observers.append(found)

    def _at_exit(self, path: Path, process: int) -> None:
        if process == os.getpid():  # and not a fork of it
            merge(one.hits() for one in self.counts or ()).write(path)


_EVERYWHERE = _Everywhere()


def watch(executor: Executor, catalogue: Catalogue) -> None:
    """Called for every engine that is assembled; does nothing unless ``recording`` or ``VARIABLE`` asks for coverage."""
    _EVERYWHERE.watch(executor, catalogue)


@contextmanager
def recording(path: Path | str | None) -> Iterator[None]:
    """Count what all engines do that are made in the block, and add it to the file ``path`` at the block's end.

    Nothing happens without a path. Raises OSError and CoverageError where the file cannot be added to, the first at once.
    """
    if path is None:
        yield
        return
    Hits().write(Path(path))  # a day of traffic shall not end with «no such folder»
    before, _EVERYWHERE.counts = _EVERYWHERE.counts, []
    try:
        yield
    finally:
        counts, _EVERYWHERE.counts = _EVERYWHERE.counts, before
        merge(one.hits() for one in counts or ()).write(Path(path))


# --------------------------------------------------------------------------- what guards met


def guarded(machine: Machine, catalogue: Catalogue, state: str, event: str) -> list[Subject]:
    """What the guards of a cell ask about; nothing for ``after`` rows, whose guards are asked on entry."""
    rows = [row for tier in tiers(machine, state, event) for row in tier if row.after is None]
    guards = [row.guard for row in rows if row.guard is not None]
    found = subjects(guards, Scope(machine, catalogue, event)) if guards else []
    return [subject for subject in found if not isinstance(subject.node, x.Call)]


def describe(asked: Sequence[Subject], values: Mapping[str, Any], payload: Mapping[str, Any],
             session: Session | None = None, config: Mapping[str, Any] | None = None) -> str:
    """The values that the subjects have, in words: ``offered = true, event.code = 486``."""
    told = []
    for subject in asked:
        value = _value(subject.node, values, payload, session, config or {})
        told.append(subject.says(represent(subject, value)))
    return ", ".join(told)


def _value(node: x.Expression, values: Mapping[str, Any], payload: Mapping[str, Any], session: Session | None,
           config: Mapping[str, Any]) -> Any:
    match node:
        case x.Var(name=name):
            return values.get(name)
        case x.Field(name=name):
            return payload.get(name)
        case x.Config(name=name):
            return config.get(name)
        case x.Count(child=child, state=state):
            return session.count(child, state) if session is not None else 0
        case x.Compare(left=left, right=right):
            a, b = (_value(part, values, payload, session, config) for part in (left, right))
            if a is None or b is None:
                return "nulls" if a is b else "null"
            return "==" if a == b else ("<" if a < b else ">") if _ordered(a, b) else "!="
        case _:
            return None


def _ordered(a: object, b: object) -> bool:
    return isinstance(a, int | float) and isinstance(b, int | float)


def represent(subject: Subject, value: Any) -> object:
    """The value that truth tables try in its place: itself, its gap between two constants, or «anything else»."""
    for one in subject.domain:
        if one == value and type(one) is type(value):
            return one
    if isinstance(subject.node, x.Compare) or value is None:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        constants = sorted(one for one in subject.constants if isinstance(one, int | float))
        for one in subject.domain:
            if not isinstance(one, int | float) or one in constants:
                continue
            if sum(c < one for c in constants) == sum(c < value for c in constants):
                return one
        return value
    return OTHER


# --------------------------------------------------------------------------- what is missing


@dataclass(slots=True)
class Measure:
    """One table held against what was counted. Row lists are in the order of the table."""

    machine: Machine
    reached: dict[str, int]
    """By row id, how often it was taken (or has ignored, refused, deferred)."""
    states: frozenset[str]
    """The states in which any event came, or that a row led to."""
    held: frozenset[str]
    """Rows with a guard that held at least once."""
    failed: frozenset[str]
    """Rows with a guard that was asked and did not hold."""
    cases: dict[tuple[str, str], dict[str, int]]
    """By state and event, the cases that came."""
    surprises: dict[tuple[str, str], int]
    """Events that no row took."""
    foreign: int
    """Events counted under another version of the table."""

    def rows(self, *kinds: str) -> list[Row]:
        """The rows of these kinds, all without any."""
        return [row for row in self.machine.rows.values() if not kinds or row.kind in kinds]

    def missing(self, *kinds: str) -> list[Row]:
        """The rows of these kinds that nothing reached."""
        return [row for row in self.rows(*kinds) if row.id not in self.reached]

    @property
    def guards(self) -> list[Row]:
        """The rows whose guard has two sides to see: not ``otherwise``, and not asked on entry."""
        return [row for row in self.machine.rows.values() if row.guard is not None and row.after is None]

    @property
    def one_sided(self) -> list[tuple[Row, str]]:
        """Rows that were asked, of which the guard was seen one way only, with the way that is missing."""
        found = []
        for row in self.guards:
            yes, no = row.id in self.held, row.id in self.failed
            if yes != no:
                found.append((row, "never failed" if yes else "never held"))
        return found


def measure(machine: Machine, hits: Hits) -> Measure:
    """Hold one table against what was counted under its name; rows of other versions count by their id."""
    reached: Counter[str] = Counter()
    states: set[str] = set()
    held: set[str] = set()
    failed: set[str] = set()
    surprises: Counter[tuple[str, str]] = Counter()
    cases: dict[tuple[str, str], dict[str, int]] = {}
    foreign = 0
    for (name, digest, state, event, row_id), count in hits.rows.items():
        if name != machine.name:
            continue
        foreign += count if digest != machine.digest else 0
        if not row_id:
            surprises[state, event] += count
            continue
        row = machine.rows.get(row_id)
        if row is None or state not in machine.states:
            continue
        reached[row_id] += count
        states.update(one for one in (state, row.next_state) if one is not None)
        if row.guard is not None:
            held.add(row_id)
        failed.update(_passed_over(machine, state, event, row_id))
    for (name, _, state, event, case), count in hits.cases.items():
        if name == machine.name:
            cell = cases.setdefault((state, event), {})
            cell[case] = cell.get(case, 0) + count
    order = {row: reached[row] for row in machine.rows if row in reached}
    return Measure(machine, order, frozenset(states), frozenset(held), frozenset(failed), cases, dict(surprises), foreign)


def _passed_over(machine: Machine, state: str, event: str, taken: str) -> Iterator[str]:
    """The rows whose guards cannot have held where ``taken`` was: those asked before it, and its equals."""
    for tier in tiers(machine, state, event):
        ids = [row.id for row in tier]
        yield from (row.id for row in tier if row.guard is not None and row.id != taken)
        if taken in ids:
            return


def merge(many: Iterable[Hits]) -> Hits:
    """All counts added up."""
    whole = Hits()
    for one in many:
        whole.add(one)
    return whole
