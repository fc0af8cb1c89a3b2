"""Which rows of which tables were reached: an observer that counts, a file to keep it in, and what is missing.

``Coverage`` is given to an executor's ``observers`` and counts every event by machine, state, event and the row that
took it (or that ignored, refused or deferred it; none where no row did). Where the guards of a cell decide, it also
counts the *case*: the values of what they ask about, as ``truth.py`` groups them. The observer is told after a row's
changes are made, so it remembers what the variables held before. Counts are kept by the digest of the table and
merged by addition; ``measure`` holds them against a table as it is now.
"""

from __future__ import annotations

import atexit
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from calltable.engine.check import OTHER, GuardTypes, subjects
from calltable.engine.model import expressions as x
from calltable.engine.model import tiers
from calltable.engine.observe.hits import Hits, merge
from calltable.engine.observe.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calltable.engine.check import Subject
    from calltable.engine.model import Catalogue, Machine
    from calltable.engine.run import CompiledMachine, Executor, Session, Step


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
    found = subjects(guards, GuardTypes(machine, catalogue, event)) if guards else []
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


