"""The shell around the pure step: it gives events to sessions and carries out what rows ask for.

One event, start to end (``_take``): find the cell, let it choose a row, *commit* the row's changes (store
first, compare-and-set on the version), write the *receipt*, and only then let *effects* go to the
handlers, *publications* to the owner, and arm timers. What that leads to, in this session or another,
is queued and taken in turn, first in, first out, before the external event returns. So a session handles
one event at a time without locks, and nothing is half-applied.

The executor owns no clock and no task: the scheduler (an asyncio loop, or a virtual clock) tells the time
and wakes it for the earliest timer. An exception in one session ends that session, through its own
``engine.failed`` row, and no other.
"""

from __future__ import annotations

import logging
import random
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from calltable.engine.compile import DEFER, REFUSE, ROW, CompiledMachine, Draw, RowCode
from calltable.engine.model import FAILED, STARTED
from calltable.engine.session import (
    ENDED, HISTORY, OVERFLOW, PENDING, QUEUED, STALE, UNHANDLED, Outcome, Owner, Receipt, Session,
)  # fmt: skip
from calltable.engine.store import Conflict, MemoryStore, Record, Store, Transition
from calltable.engine.timers import Repeat, TimerHeap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger("calltable.engine")

FOLLOWUPS = 32
"""How many follow-up events one external event may cause in one session before the session fails."""

INBOX = 64
"""How many events wait for a session whose commit is under way, or are deferred by it."""

HANGUP = "user.hangup"
_NOTHING: Mapping[str, Any] = {}
_tuple: Any = tuple.__new__
"""Makes a named tuple without its own constructor: the same object in a third of the time, on the hottest path."""

Handler = "Callable[[Session, Mapping[str, Any]], None]"


class Scheduler(Protocol):
    """What the executor needs of time; ``asyncio.AbstractEventLoop`` has it. Seconds, monotonic."""

    def time(self) -> float:
        """The current moment."""

    def call_at(self, when: float, callback: Callable[..., None], *args: Any) -> Any:  # noqa: ANN401
        """Call back at ``when``; the answer has ``cancel()``."""


class Step(NamedTuple):
    """What an observer is told of each event: ``receipt`` is None unless a row was taken."""

    session: Session
    event: str
    payload: Mapping[str, Any]
    outcome: Outcome
    row: RowCode | None
    receipt: Receipt | None
    publications: tuple[tuple[str, Mapping[str, Any]], ...]


class Nobody:
    """The owner of sessions whose owner is gone: what they publish concerns no one."""

    def published(self, executor: Executor, child: Session, name: str, fields: Mapping[str, Any]) -> None:
        pass

    def child_ended(self, executor: Executor, child: Session) -> None:
        pass


NOBODY = Nobody()


class Executor:
    """Runs sessions of compiled machines.

    ``handlers`` maps the name of each action to a function ``(session, parameters) -> None``; it may call
    ``post`` to answer with an outcome, now or later. ``observers`` are called with every ``Step``;
    ``on_end`` with every session that has ended. ``counters`` counts what is worth an eye.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        handlers: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] | None = None,
        store: Store | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.machines: dict[str, CompiledMachine] = {}
        self.sessions: dict[int, Session] = {}
        self.timers = TimerHeap()
        self.store = store if store is not None else MemoryStore()
        self.random = rng if rng is not None else random.Random()  # noqa: S311 - back-off, not secrets
        self.counters: Counter[str] = Counter()
        self.observers: list[Callable[[Step], None]] = []
        self.on_end: list[Callable[[Session], None]] = []
        self.now = scheduler.time()
        self.current: Session | None = None
        """The session whose effects are being carried out, and by which row: adapters log the cause."""
        self.row: RowCode | None = None
        self.handlers: dict[str, Callable[[Session, Mapping[str, Any]], None]] = {
            "timer.start": self._timer_start,
            "timer.stop": self._timer_stop,
            "child.start": self._child_start,
            "child.tell": self._child_tell,
            "child.end": self._child_end,
            **(handlers or {}),
        }
        self._queue: deque[tuple[Session, str, Mapping[str, Any], Session | None]] = deque()
        self._draining = False
        self._drain = 0
        self._number = 0
        self._wake: Any = None
        self._wake_at = float("inf")

    # -- machines
    def add(self, *machines: CompiledMachine) -> None:
        """Let new sessions run these machines; running ones keep theirs.

        Raises LookupError naming an action that no handler carries out: nothing is added then.
        """
        for machine in machines:
            for row in machine.model.rows.values():
                for action in row.actions:
                    if action.name not in self.handlers:
                        msg = f"{action.position}: no adapter carries out {action.name} (row {row.id})"
                        raise LookupError(msg)
        self.machines.update({machine.name: machine for machine in machines})

    def start(self, machine: str, owner: Owner = NOBODY, name: str = "", context: object = None,
              **parameters: Any) -> Session:  # noqa: ANN401
        """Start a root session of ``machine``; its ``engine.started`` carries ``parameters``.

        Raises LookupError for an unknown machine.
        """
        session = self.create(machine, owner, name, context=context)
        self.dispatch(session, STARTED, parameters)
        return session

    def create(self, machine: str, owner: Owner = NOBODY, name: str = "", context: object = None) -> Session:
        """Make a root session without starting it; its first event has to be ``engine.started``."""
        session = self._create(machine, owner, name, "")
        session.context = context
        return session

    def _create(self, machine: str, owner: Owner, name: str, prefix: str) -> Session:
        compiled = self.machines.get(machine)
        if compiled is None:
            msg = f"no machine {machine!r}; there are {', '.join(sorted(self.machines))}"
            raise LookupError(msg)
        self._number += 1
        session = compiled.session(self._number, name, prefix, owner)
        self.sessions[session.id] = session
        if compiled.durable:
            record = Record(compiled.name, compiled.digest, 0, session.state, dict(compiled.defaults))
            self.store.create(session.id, record)
        if compiled.after[compiled.initial]:
            self.now = self.scheduler.time()
            self._arm(session, compiled.after[compiled.initial])
        return session

    # -- events
    def dispatch(self, session: Session, event: str, payload: Mapping[str, Any] = _NOTHING) -> Outcome:
        """Give a session an event from outside and carry everything through that follows from it.

        From inside a step (a handler, an observer) the event is queued instead.
        """
        if self._draining:
            self._queue.append((session, event, payload, None))
            return QUEUED
        self._draining = True
        self._drain += 1
        self.now = self.scheduler.time()
        try:
            session.drain, session.followups = self._drain, 0
            outcome = self._take(session, event, payload)
            queue = self._queue
            while queue:
                self._follow(*queue.popleft())
        finally:
            self._draining = False
        when = self.timers.next()
        if when is not None and when < self._wake_at:
            self._rearm()
        return outcome

    def tell_owner(self, owner: Session, child: Session, event: str, payload: Mapping[str, Any]) -> None:
        """Queue a child's event for its owner; only ever called from inside a step."""
        self._queue.append((owner, event, payload, child))

    def post(self, session: Session, event: str, payload: Mapping[str, Any] = _NOTHING) -> None:
        """Give a session an event without asking what became of it: an outcome, a child's publication."""
        if self._draining:
            self._queue.append((session, event, payload, None))
        else:
            self.dispatch(session, event, payload)

    def _follow(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None) -> None:
        """Take a queued event. ``origin`` is the child it comes from, or the owner who told it."""
        if session.drain != self._drain:
            session.drain, session.followups = self._drain, 1
        else:
            session.followups += 1
            if session.followups > FOLLOWUPS:
                if session.followups == FOLLOWUPS + 1:
                    self._fail(session, f"more than {FOLLOWUPS} follow-up events, the last one {event}")
                elif not session.ended:
                    self._end(session)
                return
        if origin is None:
            self._take(session, event, payload)
        elif session.owner is origin:
            outcome = self._take(session, event, payload)
            if outcome.kind in ("refused", "unhandled"):
                told = {"event": event, "reason": outcome.detail or "no row takes it", "child": session.name}
                self._queue.append((origin, session.prefix + "refused", told, session))
        elif origin.owner is session and (session.children or {}).get(origin.name, origin) is origin:
            self._take(session, event, payload)
        else:  # the child was let go, or another has taken its name
            self.counters["stale"] += 1

    def _take(self, session: Session, event: str, payload: Mapping[str, Any]) -> Outcome:
        if session.ended:
            return ENDED
        if session.busy:
            return self._wait(session, event, payload)
        cell = session.cells.get(event)
        if cell is None:
            return self._missing(session, event, payload)
        try:
            taken = cell(session, payload)
        except Exception as error:  # noqa: BLE001 - whatever a table's data did, only this session ends
            log.exception("%r failed on %s", session, event)
            return self._fail(session, f"{event}: {error!r}")
        if taken is None:
            return self._missing(session, event, payload)
        row: RowCode = taken[0]
        if row.kind != ROW:
            return self._declared(session, event, payload, row)
        if session.machine.durable:
            changes = dict(zip(row.variables, taken[1], strict=True)) if row.slots else _NOTHING
            state = row.next_state or session.state
            step = _tuple(Transition, (session.version + 1, row.id, event, state, changes, self.now))
            try:
                kept = self.store.commit(
                    session.id, session.version, step, partial(self._committed, session, event, payload, taken)
                )
            except Conflict as conflict:
                self.counters["conflicts"] += 1
                return self._fail(session, str(conflict))
            if not kept:
                session.busy = True
                return PENDING
        self._apply(session, event, payload, taken)
        return row.outcome

    def _apply(self, session: Session, event: str, payload: Mapping[str, Any], taken: Any) -> None:  # noqa: ANN401
        """Make a committed row true, then let its effects and publications go."""
        row, changes, effects, publications = taken
        if changes:
            for slot, value in zip(row.slots, changes, strict=True):
                setattr(session, slot, value)
        before = session.state
        if row.next_state is not None:
            session.state = row.next_state
            session.cells = row.next_cells
            if session.armed:
                for timer in session.armed:
                    self.timers.cancel(timer)
                session.armed = None
        session.version += 1
        receipt = None
        if session.machine.durable or self.observers:
            receipt = _tuple(Receipt, (session.id, session.version, row.id, event, before, session.state, self.now))
            history = session.history
            if history is None:
                session.history = [receipt]
            else:
                history.append(receipt)
                if len(history) > HISTORY:
                    del history[0]
        if self.observers:
            told = Step(session, event, payload, row.outcome, row, receipt, publications)
            for observe in self.observers:
                observe(told)
        if effects:
            self.current, self.row = session, row
            handlers = self.handlers
            for name, parameters in effects:
                try:
                    handlers[name](session, parameters)
                except Exception as error:  # noqa: BLE001 - see the module's docstring
                    self._effect_failed(session, row, name, error)
            self.row = None
        if publications:
            owner = session.owner
            for name, fields in publications:
                owner.published(self, session, name, fields)
        if row.next_state is not None:
            if row.final:
                self._end(session)
            elif not session.ended:
                if row.arms:
                    self._arm(session, row.arms)
                if session.deferred:
                    self._replay(session, before)

    def _effect_failed(self, session: Session, row: RowCode, name: str, error: Exception) -> None:
        log.error("%r: %s in row %s failed", session, name, row.id, exc_info=error)
        self.counters["effects failed"] += 1
        self._queue.append((session, FAILED, {"reason": f"{name}: {error!r}"}, None))

    # -- what is not a plain row
    def _declared(self, session: Session, event: str, payload: Mapping[str, Any], row: RowCode) -> Outcome:
        outcome = row.outcome
        if row.kind == DEFER:
            deferred = session.deferred
            if deferred is None:
                session.deferred = [(event, payload)]
            elif len(deferred) >= INBOX:
                self.counters["deferrals refused"] += 1
                outcome = OVERFLOW
            else:
                deferred.append((event, payload))
        elif row.kind == REFUSE:
            self.counters["refused"] += 1
        if self.observers:
            for observe in self.observers:
                observe(Step(session, event, payload, outcome, row, None, ()))
        return outcome

    def _missing(self, session: Session, event: str, payload: Mapping[str, Any]) -> Outcome:
        known = session.machine.model.events.get(event)
        stale = known is not None and known.source in ("outcome", "timer", "after", "child")
        self.counters["stale" if stale else "unhandled"] += 1
        outcome = STALE if stale else UNHANDLED
        if not stale:
            log.error("%r: no row for %s", session, event)
        for observe in self.observers:
            observe(Step(session, event, payload, outcome, None, None, ()))
        return outcome

    def _wait(self, session: Session, event: str, payload: Mapping[str, Any]) -> Outcome:
        if session.inbox is None:
            session.inbox = []
        if len(session.inbox) >= INBOX:
            self.counters["inbox refused"] += 1
            return OVERFLOW
        session.inbox.append((event, payload))
        return QUEUED

    def _committed(self, session: Session, event: str, payload: Mapping[str, Any], taken: Any,  # noqa: ANN401
                   error: Exception | None) -> None:
        """A store that answers later has answered: go on, or end the session."""
        session.busy = False
        if session.ended:
            return
        waiting, session.inbox = session.inbox or [], None
        if error is not None:
            self.counters["conflicts" if isinstance(error, Conflict) else "commits failed"] += 1
            self.dispatch(session, FAILED, {"reason": str(error)})
        else:
            self._inside(partial(self._apply, session, event, payload, taken))
        for event_, payload_ in waiting:
            self.dispatch(session, event_, payload_)

    def _inside(self, work: Callable[[], None]) -> None:
        """Do work that is not an event itself, as one external event."""
        self._draining = True
        self._drain += 1
        self.now = self.scheduler.time()
        try:
            work()
            while self._queue:
                self._follow(*self._queue.popleft())
        finally:
            self._draining = False
        self._rearm()

    def _replay(self, session: Session, before: str) -> None:
        if session.state != before and session.deferred:
            waiting, session.deferred = session.deferred, None
            self._queue.extendleft((session, event, payload, None) for event, payload in reversed(waiting))

    # -- ends
    def _fail(self, session: Session, reason: str) -> Outcome:
        """End a session through its own ``engine.failed`` row; by force where that fails too."""
        self.counters["sessions failed"] += 1
        log.error("%r failed: %s", session, reason)
        cell = session.cells.get(FAILED)
        payload = {"reason": reason}
        try:
            taken = cell(session, payload) if cell is not None and not session.busy else None
            if taken is not None and taken[0].kind == ROW:
                # the store is told by removal: a failed session is not resumed
                self._apply(session, FAILED, payload, taken)
                return Outcome("taken", taken[0].id)
        except Exception:
            log.exception("%r: its engine.failed row failed too", session)
        self._end(session)
        return ENDED

    def _end(self, session: Session) -> None:
        session.ended = True
        self.sessions.pop(session.id, None)
        for timer in session.armed or ():
            self.timers.cancel(timer)
        for timer in (session.timers or {}).values():
            self.timers.cancel(timer)
        session.armed = session.timers = session.deferred = session.inbox = None
        if session.machine.durable:
            self.store.remove(session.id)
        for child in list((session.children or {}).values()):
            self._orphan(child)
        session.children = None
        for ended in self.on_end:
            ended(session)
        session.owner.child_ended(self, session)

    # -- timers
    def seconds(self, delay: float | Draw) -> float:
        """A duration in seconds; one that was left open is drawn from the injected random source."""
        if type(delay) is Draw:
            # RFC 3261 §14.1: units of 10 ms
            return round(self.random.uniform(delay.low, delay.high), 2)
        return delay  # type: ignore[return-value]

    def _arm(self, session: Session, arms: Any) -> None:  # noqa: ANN401
        for event, delay in arms:
            seconds = delay(session)
            if seconds is not None:
                timer = self.timers.arm(self.now + self.seconds(seconds), session, event)
                if session.armed is None:
                    session.armed = [timer]
                else:
                    session.armed.append(timer)

    def _timer_start(self, session: Session, p: Mapping[str, Any]) -> None:
        name = p["name"]
        timers = session.timers
        if timers is None:
            timers = session.timers = {}
        elif name in timers:
            self.timers.cancel(timers[name])
        seconds = self.seconds(p["after"])
        timer = timers[name] = self.timers.arm(self.now + seconds, session, "timer." + name, name)
        repeat = p.get("repeat")
        if repeat is not None:
            timer.repeat = Repeat(seconds, repeat.get("factor", 1), repeat.get("max") or float("inf"))

    def _timer_stop(self, session: Session, p: Mapping[str, Any]) -> None:
        timer = (session.timers or {}).pop(p["name"], None)
        if timer is not None:
            self.timers.cancel(timer)

    def expire(self) -> None:
        """Fire every timer that is due. Called by the scheduler; harmless at any time."""
        self._wake = None
        self._wake_at = float("inf")
        now = self.scheduler.time()
        while (timer := self.timers.due(now)) is not None:
            session = timer.session
            if session is None:  # cancelled since; the heap only hands out live ones, so never
                continue
            if timer.repeat is not None:
                self.timers.again(timer, max(timer.when + timer.repeat.next(), now))
            else:
                timer.session = None
                if timer.name and session.timers is not None:
                    session.timers.pop(timer.name, None)
            self.dispatch(session, timer.event)
        self._rearm()

    def _rearm(self) -> None:
        when = self.timers.next()
        if when is None or when >= self._wake_at:
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake_at = when
        self._wake = self.scheduler.call_at(when, self.expire)

    # -- children
    def _child_start(self, session: Session, p: Mapping[str, Any]) -> None:
        name: str = p["name"]
        children = session.children
        if children is None:
            children = session.children = {}
        prefix = name + "."
        if name.endswith("*"):
            session.started += 1
            name = f"{name[:-1]}{session.started}"
        elif name in children:
            msg = f"child {name} is alive already"
            raise ValueError(msg)
        child = children[name] = self._create(p["machine"], session, name, prefix)
        self._queue.append((child, STARTED, p.get("with") or _NOTHING, None))

    def _child_end(self, session: Session, p: Mapping[str, Any]) -> None:
        child = (session.children or {}).pop(p["name"], None)
        if child is not None:
            self._orphan(child)

    def _orphan(self, child: Session) -> None:
        """Take a child down through its own hang-up rows; nobody listens to it any more."""
        child.owner = NOBODY
        if HANGUP in child.machine.model.events:
            self._queue.append((child, HANGUP, _NOTHING, None))

    def _child_tell(self, session: Session, p: Mapping[str, Any]) -> None:
        to: str = p["to"]
        payload = p.get("with") or _NOTHING
        children = session.children or {}
        if to.endswith("*"):
            told = [child for child in children.values() if child.prefix == to + "."]
        else:
            told = [children[to]] if to in children else []
            if not told:
                self.counters["told too late"] += 1
        for child in told:
            self._queue.append((child, p["event"], payload, session))
