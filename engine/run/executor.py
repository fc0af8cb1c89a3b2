"""The executor: delivers events to sessions and carries out what rows ask for.

One event, from start to end (``_take``): the session's cell chooses a row; the row is *committed* where the session is durable and there is a store
(``commit.py``); it becomes true (``_apply``); and only then its *effects* go to the handlers, its *publications* to the owner, and its timers are armed.
Whatever that leads to, in this session or another, is queued and handled in turn, first in, first out, before ``dispatch`` returns. So a session
handles one event at a time without locks, and no step is half done. Which row it is and what it makes of the session is ``step.py``, written out here.

The executor has no clock and no task: a scheduler (an asyncio loop, or a virtual clock) tells the time and wakes it for the earliest timer
(``timers.py``). What happens when something fails is in ``failure.py``.
"""

from __future__ import annotations

import logging
from _thread import get_ident
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.model import FAILED, STARTED
from calltable.engine.run.children import NOBODY
from calltable.engine.run.given import check_parameters
from calltable.engine.run.program import DEFER, REFUSE, ROW, RandomDelay, RowCode
from calltable.engine.run.records import (
    ENDED,
    HISTORY,
    OVERFLOW,
    QUEUED,
    STALE,
    UNHANDLED,
    DeferredRecord,
    Outcome,
    Receipt,
)
from calltable.engine.run.recovery import Recovery
from calltable.engine.run.registry import NOTHING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from calltable.engine.run.commit import Armed
    from calltable.engine.run.ports import Change, Scheduler
    from calltable.engine.run.session import Owner, Session
    from calltable.engine.run.store import Store

log = logging.getLogger("calltable.engine")

FOLLOWUPS = 32
"""Follow-up events that one external event may cause in one session; one more and the session fails."""

DEFERRED = 16
"""How many deferred events a session holds: fewer than ``FOLLOWUPS``, because one event may replay them all."""

Handler = "Callable[[Session, Mapping[str, Any]], None]"


class Step(NamedTuple):
    """What an observer is told about each event: ``receipt`` is None unless a row was taken."""

    session: Session
    event: str
    payload: Mapping[str, Any]
    outcome: Outcome
    row: RowCode | None
    receipt: Receipt | None
    publications: tuple[tuple[str, Mapping[str, Any]], ...]


class Executor(Recovery):
    """Runs sessions of compiled machines.

    ``handlers`` maps the name of each action to a function ``(session, parameters) -> None``; it may call
    ``post`` to answer with an outcome, now or later. ``draws`` holds, for those that need it, what is drawn before the commit and given to
    the handler as the parameter ``drawn``: see ``ports.py``. ``observers`` are called with every ``Step``, ``watchers`` with those of one machine;
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
        super().__init__(scheduler, handlers=handlers, store=store, rng=rng)
        self.observers: list[Callable[[Step], None]] = []
        self.watchers: dict[str, list[Callable[[Step], None]]] = {}
        """Observers of the sessions of one machine, by its name: the others cost nothing."""
        self.current: Session | None = None
        """The session whose effects are being carried out, and by which row: adapters log the cause."""
        self.row: RowCode | None = None
        self._draining = False
        self._drain = 0

    def start(self, machine: str, owner: Owner = NOBODY, name: str = "", context: object = None,
              **parameters: Any) -> Session:
        """Start a root session of ``machine``; its ``engine.started`` carries ``parameters``.

        Raises LookupError for an unknown machine, and ValueError for parameters that it does not declare, or of another type.
        """
        known = self.machines.get(machine)
        if known is not None:
            check_parameters(known.model, parameters)
        session = self.create(machine, owner, name, context=context)
        self.dispatch(session, STARTED, parameters)
        return session

    # -- events
    def dispatch(self, session: Session, event: str, payload: Mapping[str, Any] = NOTHING, change: Change | None = None) -> Outcome:
        """Deliver an event from outside, and handle everything that follows from it.

        ``change`` is what the event makes of the session's value. From inside a step (a handler, an observer) the event is queued instead.
        Raises RuntimeError in another thread than the one that used the executor first.
        """
        if get_ident() != self._thread:
            self._enter_thread()
        if self._draining:
            self._queue.append((session, event, payload, None, change))
            return QUEUED
        self._draining = True
        self._drain += 1
        self.alarms.now = self.scheduler.time()
        try:
            session.drain, session.followups = self._drain, 0
            outcome = self._take(session, event, payload, None, change)
            queue = self._queue
            while queue:
                self._follow(*queue.popleft())
        finally:
            self._draining = False
        if self.alarms.late:
            self._leave()
        return outcome

    def post(self, session: Session, event: str, payload: Mapping[str, Any] = NOTHING, change: Change | None = None) -> None:
        """Deliver an event whose outcome the caller does not need: now, or after the step under way."""
        if get_ident() != self._thread:
            self._enter_thread()
        if self._draining:
            self._queue.append((session, event, payload, None, change))
        else:
            self.dispatch(session, event, payload, change)

    def _follow(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, change: Change | None) -> None:
        """Handle a queued event. ``origin`` is the child that it comes from, or the owner that sent it."""
        if session.drain != self._drain:
            session.drain, session.followups = self._drain, 1
        else:
            session.followups += 1
            if session.followups > FOLLOWUPS and not session.ended:
                reason = f"more than {FOLLOWUPS} follow-up events, the last one {event}"
                if session.followups == FOLLOWUPS + 1:
                    self._fail(session, event, payload, reason)
                else:
                    self._lose(session, event, payload, reason)
                    self._force(session, reason, settled=True)
                return
        if origin is None:
            self._take(session, event, payload, None, change)
        elif session.owner is origin:
            outcome = self._take(session, event, payload, origin, change)
            if outcome.kind in ("refused", "unhandled"):
                told = {"event": event, "reason": outcome.detail or "no row handles it", "child": session.name}
                self._queue.append((origin, session.prefix + "refused", told, session, None))
        elif origin.owner is session:
            if (session.children or {}).get(origin.name, origin) is origin:
                self._take(session, event, payload, origin, change)
            else:
                self._stale(session, event, payload, "another child has taken its name")
        elif event.startswith(origin.prefix) and origin.prefix:
            self._stale(session, event, payload, "the child was let go")
        else:  # the owner has ended since: its last command still counts, but nobody waits for the result
            self._take(session, event, payload, None, change)

    def _take(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, change: Change | None) -> Outcome:
        if session.ended:
            self._lose(session, event, payload, "the session has ended")
            return ENDED
        if session.busy:
            return self._wait(session, event, payload, origin, change)
        cell = session.cells.get(event)
        if cell is None:
            return self._missing(session, event, payload)
        try:
            taken = cell(session, payload)
        except BaseException as error:  # noqa: BLE001 - see failure.py
            return self._raised(session, event, payload, error)
        if taken is None:
            return self._missing(session, event, payload)
        row: RowCode = taken[0]
        if change is not None or not row.plain:
            return self._consider(session, event, payload, origin, change, taken)
        if row.durable and self._keeps:
            return self._commit(session, event, payload, taken, session.value)
        self._apply(session, event, payload, taken, None, None)
        return row.outcome

    def _consider(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, change: Change | None,
                  taken: Any) -> Outcome:
        """The less common part of a step: a change of the session's value, effects that draw, and ``ignore``, ``refuse`` and ``defer``."""
        row: RowCode = taken[0]
        try:
            value = session.value if change is None else change(session.value)
            draws = self.draws
            for effect in taken[2]:
                if effect[0] in draws:
                    taken, value = self._draw(session, taken, value)
                    break
        except BaseException as error:  # noqa: BLE001 - see failure.py
            return self._raised(session, event, payload, error)
        if row.kind != ROW:
            return self._declared(session, event, payload, origin, row, value)
        if row.durable and self._keeps:
            return self._commit(session, event, payload, taken, value)
        session.value = value
        self._apply(session, event, payload, taken, None, None)
        return row.outcome

    def _draw(self, session: Session, taken: Any, value: Any) -> tuple[Any, Any]:
        """Let the row's effects draw what they need; returns the row with what was drawn, and the session's new value."""
        row, changes, effects, publications = taken
        given = []
        for name, parameters in effects:
            draw = self.draws.get(name)
            if draw is None:
                given.append((name, parameters))
            else:
                value, drawn = draw(session, parameters, value)
                given.append((name, {**parameters, "drawn": drawn}))
        return (row, changes, tuple(given), publications), value

    def _apply(self, session: Session, event: str, payload: Mapping[str, Any], taken: Any, receipt: Receipt | None,
               armed: Armed | None) -> None:
        """Make a row true, then carry out its effects and publications. ``armed``: its ``after`` timers, where they were committed with it."""
        row, changes, effects, publications = taken
        seen = self.observers or session.machine.name in self.watchers
        if receipt is None and seen:
            state = session.state
            receipt = Receipt(session.id, session.version + 1, row.id, event, state, row.next_state or state, self.alarms.now)
        moves = row.enter(session, changes)
        if moves and session.armed:
            self.alarms.leave(session)
        if receipt is not None:
            if session.history is None:
                session.history = deque((receipt,), HISTORY)
            else:
                session.history.append(receipt)
            if seen:
                self._observe(Step(session, event, payload, row.outcome, row, receipt, publications))
        if effects:
            self.current, self.row = session, row
            handlers = self.handlers
            for name, parameters in effects:
                try:
                    handlers[name](session, parameters)
                except BaseException as error:  # noqa: BLE001 - see failure.py
                    self._effect_failed(session, row, name, error)
            self.row = None
        if publications:
            owner = session.owner
            for name, fields in publications:
                try:
                    owner.published(self, session, name, fields)
                except BaseException as error:  # noqa: BLE001 - an adapter owns roots: its mistake is the session's failure
                    self._effect_failed(session, row, f"publication {name}", error)
        if moves:
            if row.final:
                self._end(session)
            elif not session.ended:
                if armed:
                    self.alarms.arm_all(session, armed)
                elif armed is None and row.arms:
                    try:
                        self.alarms.arm(session, row.arms)
                    except BaseException as error:  # noqa: BLE001 - a guard or a delay of an ``after`` row
                        self._effect_failed(session, row, "after rows", error)
                if session.deferred:
                    waiting, session.deferred = session.deferred, None
                    self._queue.extendleft((session, *one, None) for one in reversed(waiting))

    def seconds(self, delay: float | RandomDelay) -> float:
        """A duration in seconds; one that an effect's row left open is drawn from the injected random source."""
        return self.alarms.seconds(delay)

    # -- explicit no-ops, and events without a row
    def _declared(
        self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, row: RowCode, value: Any
    ) -> Outcome:
        """An event that is ignored, refused or deferred: nothing changes but the session's value, which is committed then."""
        held = None
        if row.kind == DEFER:
            if len(session.deferred or ()) >= DEFERRED:
                return self._overflown(session, event, payload, row)
            held = DeferredRecord(event, payload, None if origin is None else origin.id)
        if not self._keeps or not row.durable or (value is session.value and held is None):
            session.value = value
            self._settled(session, event, payload, origin, row)
            return row.outcome
        settle = partial(self._settled, session, event, payload, origin, row)
        return self._commit_held(session, event, payload, row, value, held, settle)

    def _overflown(self, session: Session, event: str, payload: Mapping[str, Any], row: RowCode) -> Outcome:
        self.counters["deferrals refused"] += 1
        self._lose(session, event, payload, "the session defers too many events")
        if self.observers:
            self._observe(Step(session, event, payload, OVERFLOW, row, None, ()))
        return OVERFLOW

    def _settled(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, row: RowCode) -> None:
        if row.kind == DEFER:
            deferred = session.deferred
            if deferred is None:
                deferred = session.deferred = []
            deferred.append((event, payload, origin))
        elif row.kind == REFUSE:
            self.counters["refused"] += 1
        if self.observers or session.machine.name in self.watchers:
            self._observe(Step(session, event, payload, row.outcome, row, None, ()))

    def _stale(self, session: Session, event: str, payload: Mapping[str, Any], reason: str) -> None:
        self.counters["stale"] += 1
        self._lose(session, event, payload, reason)

    def _missing(self, session: Session, event: str, payload: Mapping[str, Any]) -> Outcome:
        known = session.machine.model.events.get(event)
        stale = known is not None and known.source in ("outcome", "timer", "after", "child")
        self.counters["stale" if stale else "unhandled"] += 1
        outcome = STALE if stale else UNHANDLED
        if not stale:
            log.error("%r: no row for %s", session, event)
        if self.observers or session.machine.name in self.watchers:
            self._observe(Step(session, event, payload, outcome, None, None, ()))
        if event == FAILED:
            self._force(session, payload["reason"], settled=False)
            return ENDED
        self._lose(session, event, payload, "the session no longer waits for it" if stale else "no row handles it")
        return outcome

    def _observe(self, step: Step) -> None:
        for observe in self.observers:
            self._guarded(observe, step)
        for observe in self.watchers.get(step.session.machine.name, ()):
            self._guarded(observe, step)

    # -- what is no event
    def _inside(self, work: Callable[[], object]) -> None:
        """Run ``work`` and everything that follows from it as one external event."""
        self._draining = True
        self._drain += 1
        self.alarms.now = self.scheduler.time()
        try:
            work()
            while self._queue:
                self._follow(*self._queue.popleft())
        finally:
            self._draining = False
        if self.alarms.late:
            self._leave()

    def _leave(self) -> None:
        """A step and all that followed are done; what is left: report lost events, set the alarm, raise a pending interrupt."""
        while self._lost:
            lost, self._lost = self._lost, []
            self._inside(partial(self._tell_lost, lost))
        self.alarms.set()
        if self._interrupt is not None:
            error, self._interrupt = self._interrupt, None
            raise error

    def _tell_lost(self, lost: list[tuple[Session, str, Mapping[str, Any], str]]) -> None:
        for one in lost:
            for tell in self.on_lost:
                self._guarded(tell, *one)
