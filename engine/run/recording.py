"""Making a session's record: as it is, or as it will be after a step that is about to be committed.

The latter must not touch the session, since the commit may be refused: variables and state come from the row, timers and children from what its effects
will do. Random values are drawn before that (``commit.py``), so that what is recorded is what happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.engine.run.records import ChildRecord, DeferredRecord, Record, TimerRecord
from calltable.engine.run.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.run.records import Receipt
    from calltable.engine.run.step import Taken
    from calltable.engine.run.timer_heap import Timer

_NEVER = float("inf")


def record_of(session: Session, now: float, start: Mapping[str, Any] | None = None) -> Record:
    """The session as it is; ``start`` holds the fields of an ``engine.started`` that is still to come."""
    timers = [*(session.armed or ()), *(session.timers or {}).values()]
    return _record(
        session, session.version, session.state, session.variables, session.value, (), session.started,
        (_child(child) for child in (session.children or {}).values()), (_timer(timer, now) for timer in timers), start, now,
    )  # fmt: skip


def record_after(session: Session, taken: Taken, receipt: Receipt, value: Any, armed: Iterable[tuple[str, float]],
                 held: DeferredRecord | None = None) -> Record:
    """The session as it will be after a row that has not been applied yet.

    ``armed`` are the ``after`` rows of the next state, ``held`` the event if the row defers it. Deferred events that a change of state releases stay in the
    record until the next commit, so that a restart delivers them too.
    """
    row, changes, effects, _ = taken
    now = receipt.time
    variables = session.variables
    if row.named is not None:
        variables.update(row.named(changes))
    moved = receipt.after != receipt.before
    timers = {name: _timer(timer, now) for name, timer in (session.timers or {}).items()}
    children = {name: _child(child) for name, child in (session.children or {}).items()}
    started = session.started
    for name, p in effects:
        match name:
            case "timer.start":
                timers[p["name"]] = _started(p)
            case "timer.stop":
                timers.pop(p["name"], None)
            case "child.start" if "made" in p:
                made: Session = p["made"]
                children[made.name] = _child(made)
                started += made.prefix.endswith("*.")
            case "child.end":
                children.pop(p["name"], None)
    waiting = [TimerRecord(event, "", seconds) for event, seconds in armed] if moved else [_timer(one, now) for one in session.armed or ()]
    return _record(
        session, receipt.version, receipt.after, variables, value,
        tuple((name, {key: one for key, one in p.items() if key != "made"}) for name, p in effects),
        started, children.values(), [*waiting, *timers.values()], None, now, held, due=moved,
    )  # fmt: skip


def _record(
    session: Session, version: int, state: str, variables: Mapping[str, Any], value: Any, effects: Any, started: int,
    children: Iterable[ChildRecord], timers: Iterable[TimerRecord], start: Mapping[str, Any] | None, now: float,
    held: DeferredRecord | None = None, *, due: bool = False,
) -> Record:  # fmt: skip
    machine, owner = session.machine, session.owner
    parent = owner.id if isinstance(owner, Session) else None
    known_as: str = "" if parent is not None else getattr(owner, "known_as", "")
    deferred = tuple(
        DeferredRecord(event, payload, None if origin is None else origin.id, due) for event, payload, origin in session.deferred or ()
    )
    if held is not None:
        deferred = (*deferred, held)
    return Record(
        session.id, machine.name, machine.digest, version, state, variables, value, effects, session.name, session.prefix, parent,
        known_as, started, tuple(children), tuple(timers), deferred, start, now,
    )  # fmt: skip


def _child(child: Session) -> ChildRecord:
    return ChildRecord(child.name, child.prefix, child.id)


def _timer(timer: Timer[Session], now: float) -> TimerRecord:
    remaining, repeat = round(max(timer.when - now, 0.0), 6), timer.repeat
    if repeat is None:
        return TimerRecord(timer.event, timer.name, remaining)
    limit = None if repeat.limit == _NEVER else repeat.limit
    return TimerRecord(timer.event, timer.name, remaining, repeat.interval, repeat.factor, limit)


def _started(p: Mapping[str, Any]) -> TimerRecord:
    """The timer that an effect ``timer.start`` will start; its delay is drawn already."""
    name, seconds, repeat = p["name"], p["after"], p.get("repeat")
    if repeat is None:
        return TimerRecord(f"timer.{name}", name, seconds)
    return TimerRecord(f"timer.{name}", name, seconds, seconds, repeat.get("factor", 1), repeat.get("max"))
