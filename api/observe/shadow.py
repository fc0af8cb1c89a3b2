"""Shadow mode: candidate tables see every live event beside the running ones, and what they would do is compared.

For each session that starts while the shadow runs and whose table differs, two *twins* are kept: one of the running table and one of the candidate. Every
event of the session is given to both. The twins only compute (``engine/run/step.py``): the running twin's row is what really happened, the
candidate's row is what would have happened. A difference is another outcome, another next state, other effects or publications (with their values), or
other timers; another id for the same row is no difference. A session that has differed is not followed any further, since the rest would be another call.

Only the live tables run timers, so a timer that only the candidate has never fires; the difference is reported when it is set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from calltable.engine.model import STARTED
from calltable.engine.run import ROW, step

if TYPE_CHECKING:

    from calltable.assembly import Engine
    from calltable.engine.run import CompiledMachine, Session, Step
    from calltable.loading import Tables

MOST: Final = 500
"""Kinds of differences that are kept; further ones are only counted."""
_TOLD: Final = 3
"""Sessions named for each kind of difference."""

_ADDRESS: Final = re.compile(r" [0-9a-f]+>")

Told = tuple[str, ...]


@dataclass(slots=True)
class Wish:
    """What a row asks for, in comparable form. Values that are not plain constants are compared by identity."""

    row: str
    outcome: str
    after: str
    effects: Told
    publications: Told
    timers: Told


@dataclass(slots=True)
class Difference:
    """One kind of difference: a running row and a candidate row on one event. ``sessions`` names the first few."""

    machine: str
    state: str
    event: str
    running: str
    candidate: str
    what: Told
    count: int = 0
    sessions: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For the control socket."""
        return {
            "machine": self.machine, "state": self.state, "event": self.event, "running": self.running,
            "candidate": self.candidate, "what": list(self.what), "count": self.count, "sessions": self.sessions,
        }  # fmt: skip


class _Twins:
    """The two twins of one live session."""

    __slots__ = ("candidate", "running")

    def __init__(self, session: Session, candidate: CompiledMachine) -> None:
        self.running = session.machine.session(session.id, session.name, session.prefix, session.owner)
        self.candidate = candidate.session(session.id, session.name, session.prefix, session.owner)


class Shadow:
    """Follows an engine with candidate ``tables`` from now on, until ``stop``."""

    def __init__(self, engine: Engine, tables: Tables) -> None:
        self.engine = engine
        self.candidates = {
            name: machine
            for name, machine in tables.machines.items()
            if name in engine.tables.machines
            and (machine.digest != engine.tables.machines[name].digest or tables.config != engine.tables.config)
        }
        self.missing = sorted(set(engine.executor.machines) - set(tables.machines))
        self.differences: dict[tuple[str, ...], Difference] = {}
        self.counters: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        """Compared events by table."""
        self._twins: dict[Session, _Twins] = {}
        engine.executor.observers.append(self._stepped)
        engine.executor.on_end.append(self._ended)

    def stop(self) -> None:
        """Stop."""
        self.engine.executor.observers.remove(self._stepped)
        self.engine.executor.on_end.remove(self._ended)
        self._twins.clear()

    def report(self) -> dict[str, Any]:
        """What was found: totals, and the differences, the most frequent first."""
        found = sorted(self.differences.values(), key=lambda one: -one.count)
        return {
            "tables": sorted(self.candidates), "missing": self.missing, "sessions": self.counters["sessions"],
            "following": len(self._twins), "differing": self.counters["differing"], "events": sum(self.events.values()),
            "errors": self.counters["errors"], "differences": [one.as_json() for one in found],
        }  # fmt: skip

    # -- following
    def _ended(self, session: Session) -> None:
        self._twins.pop(session, None)

    def _stepped(self, seen: Step) -> None:
        session = seen.session
        twins = self._twins.get(session)
        if twins is None:
            candidate = self.candidates.get(session.machine.name)
            if candidate is None or seen.event != STARTED or candidate is session.machine:
                return
            twins = self._twins[session] = _Twins(session, candidate)
            self.counters["sessions"] += 1
        self.events[session.machine.name] += 1
        state = twins.running.state
        children = session.children
        try:
            live = _wish(twins.running, seen.event, seen.payload, children)
            wanted = _wish(twins.candidate, seen.event, seen.payload, children)
        except Exception as error:  # noqa: BLE001 - a candidate's mistake must not reach the call
            self.counters["errors"] += 1
            self._differ(seen, state, "" if seen.row is None else seen.row.id, "", (f"the candidate fails: {error!r}",))
            return
        what = tuple(_differences(live, wanted))
        if what:
            self._differ(seen, state, live.row or live.outcome, wanted.row or wanted.outcome, what)

    def _differ(self, seen: Step, state: str, running: str, candidate: str, what: Told) -> None:
        self.counters["differing"] += 1
        session = seen.session
        del self._twins[session]
        key = (session.machine.name, state, seen.event, running, candidate, *(one.partition(":")[0] for one in what))
        found = self.differences.get(key)
        if found is None:
            if len(self.differences) >= MOST:
                self.counters["differences not kept"] += 1
                return
            found = Difference(session.machine.name, state, seen.event, running, candidate, what)
            self.differences[key] = found
        found.count += 1
        if len(found.sessions) < _TOLD:
            found.sessions.append(session.path)


def _wish(twin: Session, event: str, payload: Mapping[str, Any], children: dict[str, Session] | None) -> Wish:
    """What the twin's table asks for on the event; the twin moves on."""
    twin.children = children
    taken = step.take(twin, event, payload)
    if taken is None:
        return Wish("", "no row", twin.state, (), (), ())
    row, _, effects, publications = taken
    if row.kind != ROW:
        detail = f" ({row.outcome.detail})" if row.outcome.detail else ""
        return Wish(row.id, row.outcome.kind + detail, twin.state, (), (), ())
    timers: Told = ()
    if step.enter(twin, taken):
        timers = tuple(sorted(f"{name} in {delay} s" for name, delay in step.arms(twin)))
    return Wish(
        row.id, "taken", twin.state, tuple(_said(name, values) for name, values in effects),
        tuple(_said(name, fields) for name, fields in publications), timers,
    )  # fmt: skip


def _said(name: str, values: Mapping[str, Any]) -> str:
    inside = ", ".join(f"{key}: {_value(value)}" for key, value in values.items())
    return f"{name}({inside})" if inside else name


def _value(value: object) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_value, value)) + ")"
    return f"<{type(value).__name__} {id(value):x}>"


def _differences(live: Wish, wanted: Wish) -> list[str]:
    found = []
    if live.outcome != wanted.outcome:
        found.append(f"outcome: {live.outcome} → {wanted.outcome}")
    if live.after != wanted.after:
        found.append(f"next state: {live.after} → {wanted.after}")
    for name, a, b in (
        ("effects", live.effects, wanted.effects), ("publications", live.publications, wanted.publications),
        ("timers", live.timers, wanted.timers),
    ):  # fmt: skip
        if a != b:
            found.append(f"{name}: {_list(a, b)} → {_list(b, a)}")
    return found


def _list(items: Told, others: Told) -> str:
    """Those that the other side has not; objects without their address, where that still tells them apart."""
    own = [one for one in items if one not in others] or list(items)
    brief = [_ADDRESS.sub(">", one) for one in own]
    known = {_ADDRESS.sub(">", one) for one in others}
    return ", ".join(short if short not in known else long for short, long in zip(brief, own, strict=True)) or "none"
