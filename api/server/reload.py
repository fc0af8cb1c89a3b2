"""New tables for a running engine: calls that are up stay on theirs, new ones take the new.

A *generation* is one load of all tables. Every session carries the compiled table it was started with, and starts its
children from the same generation, so a call never meets rows of two loads; only SIP transactions, which last seconds and
have a contract of their own with the stack, always come from the newest. A generation is forgotten when its last
session has ended.

New tables are refused as a whole, and nothing is changed, where they do not load or pass their checks, where a table is gone
that the stack or the application starts sessions of, or where such a table wants other parameters than it will be given.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calltable.engine.compare import diff_machines
from calltable.engine.model import NOWHERE, Problem, TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from calltable.assembly import Engine
    from calltable.engine.run import CompiledMachine
    from calltable.loading import Tables

STARTED_BY_THE_STACK = (
    "transaction/invite_client", "transaction/invite_server", "transaction/client", "transaction/server", "leg/stray",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Generation:
    """One load of all tables; ``digest`` changes with any row or setting."""

    number: int
    digest: str
    machines: Mapping[str, CompiledMachine]


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a reload changed: the tables that are not the same, with their changed, new and missing rows counted."""

    generation: int
    digest: str
    tables: Mapping[str, str]
    calls: int
    """Calls that were up and go on by the tables they began with."""

    @property
    def same(self) -> bool:
        """Whether nothing had changed; then nothing was done."""
        return not self.tables

    def as_json(self) -> dict[str, Any]:
        """For the control socket."""
        return {"generation": self.generation, "digest": self.digest, "tables": dict(self.tables), "calls": self.calls}


class Generations:
    """The generations that sessions of an engine still run. ``roots`` are the machines that the application starts."""

    def __init__(self, engine: Engine, roots: Iterable[str] = ()) -> None:
        self.engine = engine
        self.roots = (*STARTED_BY_THE_STACK, *roots)
        self.kept = [self._generation(1, engine.tables)]

    @property
    def current(self) -> Generation:
        """What new calls run."""
        return self.kept[-1]

    def renew(self, tables: Tables) -> Renewal:
        """Let new calls run ``tables``. Raises TableError, having changed nothing, where the engine cannot run them."""
        engine, before = self.engine, self.engine.tables
        fresh = self._generation(self.current.number + 1, tables)
        changes = _changes(before, tables)
        calls = self._calls()
        if fresh.digest == self.current.digest:
            return Renewal(self.current.number, self.current.digest, {}, sum(calls.values()))
        problems = list(self._unfit(tables))
        if problems:
            raise TableError(problems)
        engine.tables = tables
        engine.executor.machines = {}
        engine.run()
        self.kept.append(fresh)
        self._forget()
        return Renewal(fresh.number, fresh.digest, changes, sum(calls.values()))

    def running(self) -> dict[str, dict[str, Any]]:
        """The generations in use, by ``generation <number>``: their digest, and how many calls and sessions run each."""
        self._forget()
        calls, sessions = self._calls(), self._sessions()
        return {
            f"generation {one.number}": {
                "digest": one.digest[:12], "calls": calls[one.number], "sessions": sessions[one.number],
            }
            for one in self.kept
        }  # fmt: skip

    # -- counting
    def _generation(self, number: int, tables: Tables) -> Generation:
        parts = [*(f"{name} {machine.digest}" for name, machine in sorted(tables.machines.items())),
                 *(f"{name} {value!r}" for name, value in sorted(tables.config.items()))]  # fmt: skip
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return Generation(number, digest, tables.machines)

    def _sessions(self) -> Counter[int]:
        return self._count(roots_only=False)

    def _calls(self) -> Counter[int]:
        return self._count(roots_only=True)

    def _count(self, *, roots_only: bool) -> Counter[int]:
        numbers = {id(one.machines): one.number for one in self.kept}
        found: Counter[int] = Counter()
        for session in self.engine.executor.sessions.values():
            if not roots_only or (session.root is session and session.machine.name not in STARTED_BY_THE_STACK):
                found[numbers.get(id(session.machine.family), 0)] += 1
        return found

    def _forget(self) -> None:
        used = self._sessions()
        self.kept = [one for one in self.kept if one is self.kept[-1] or used[one.number]]

    # -- whether they fit
    def _unfit(self, tables: Tables) -> Iterable[Problem]:
        running = self.engine.executor.machines
        handlers = self.engine.executor.handlers
        for name in self.roots:
            if name not in running:
                continue
            machine = tables.library.machines.get(name)
            if machine is None:
                yield Problem(
                    NOWHERE, f"there is no table {name} any more, and the running server starts sessions of it", table=name,
                    hint="give it back, or start the server anew without what needs it", code="reload",
                )  # fmt: skip
                continue
            for row in machine.rows.values():
                for action in row.actions:
                    if action.name not in handlers:
                        yield Problem(
                            action.position, f"no adapter of the running server carries out {action.name}", table=name, row=row.id,
                            hint="start the server anew with the adapter", code="reload",
                        )  # fmt: skip
            given = running[name].model.parameters
            for parameter, kind in machine.parameters.items():
                if not kind.optional and given.get(parameter) != kind:
                    known = ", ".join(f"{one}: {of}" for one, of in given.items()) or "none"
                    yield Problem(
                        machine.position, f"parameter {parameter} ({kind}) is not given by the running server", table=name,
                        hint=f"it gives {known}; make the parameter optional (a type that ends with ?)", code="reload",
                    )  # fmt: skip


def is_overlay(path: Path) -> bool:
    """Whether a file is an overlay, by its top-level keys. Raises OSError."""
    if path.is_dir():
        return False
    return any(line.startswith("overlay:") for line in path.read_text(encoding="utf-8", errors="replace").splitlines())


def _changes(before: Tables, after: Tables) -> dict[str, str]:
    """By table, what changed, in few words; the settings under ``settings``."""
    found = {}
    for name in sorted({*before.machines, *after.machines}):
        diff = diff_machines(name, before.library.machines.get(name), after.library.machines.get(name))
        if diff.same:
            continue
        counts = (("added", diff.added), ("removed", diff.removed), ("changed", diff.changed), ("renamed", diff.renamed))
        parts = [f"{len(rows)} {what}" for what, rows in counts if rows]
        found[name] = "; ".join([*(["rows: " + ", ".join(parts)] if parts else []), *diff.declared])
    settings = [
        f"{name}: {before.config.get(name)!r} → {value!r}" for name, value in after.config.items() if before.config.get(name) != value
    ]
    if settings:
        found["settings"] = "; ".join(settings)
    return found
