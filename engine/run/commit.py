"""Commits: what a store is given before a step becomes true, and what waits until it answers.

Only durable sessions of an executor with a store come here; for all others a step is true as soon as its row is chosen.

Everything that depends on chance or on a counter is settled before the commit (``_planned``): random delays are drawn, the children that the row
starts are created and numbered, and the guards of the ``after`` rows of the next state are evaluated on a copy of the session. So the record says what
will happen.

A store may answer later. Until then its session handles nothing: events wait in its inbox, in order. Timers that expire wait there too, as timers: if
the step being committed stops one, it does not fire. The inbox is bounded against what strangers can send. Events that the table must take
(``must_take``), and those of the session's own actions, timers and children, are not refused for that.
"""

from __future__ import annotations

from _thread import get_ident
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from calltable.engine.run import step
from calltable.engine.run.children import name_of
from calltable.engine.run.failure import Failures
from calltable.engine.run.program import RandomDelay
from calltable.engine.run.recording import record_of
from calltable.engine.run.records import OVERFLOW, PENDING, QUEUED, DeferredRecord, Outcome, Receipt
from calltable.engine.run.registry import NOTHING
from calltable.engine.run.step import Taken
from calltable.engine.run.store import Commit
from calltable.engine.run.timer_heap import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.run.ports import Change
    from calltable.engine.run.program import RowCode
    from calltable.engine.run.records import Record
    from calltable.engine.run.session import Session

INBOX = 64
"""Events that wait while a session's commit is under way; beyond that, only those that must not be lost."""

MOST = 1024
"""Events that wait at most; beyond that, only one of each that the session must take."""

_tuple: Any = tuple.__new__
"""Makes a named tuple without its own constructor: the same object in a third of the time, at every step of a durable session."""

Armed = tuple[tuple[str, float], ...]


class Commits(Failures):
    """The part of the executor that commits."""

    @abstractmethod
    def _follow(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, change: Change | None) -> None:
        """Take a queued event."""

    @abstractmethod
    def _inside(self, work: Callable[[], object]) -> None:
        """Do work that is not an event itself, as one external event."""

    # -- committing
    def _commit(self, session: Session, event: str, payload: Mapping[str, Any], taken: Any, value: Any) -> Outcome:
        """Commit a row; it becomes true when the store has kept it."""
        row: RowCode = taken[0]
        created: tuple[Record, ...] = ()
        armed: Armed = ()
        if row.plans:
            try:
                taken, created, armed = self._planned(session, taken)
            except BaseException as error:  # noqa: BLE001 - see failure.py
                return self._raised(session, event, payload, error)
        state = session.state
        receipt = _tuple(Receipt, (session.id, session.version + 1, row.id, event, state, row.next_state or state, self.alarms.now))
        changes = row.named(taken[1]) if row.named is not None else NOTHING
        try:
            kept = self._store.commit(_tuple(Commit, (receipt, changes, value, taken[2], created, None, session, taken, armed)), self._answer)
        except BaseException as error:  # noqa: BLE001 - a store that is broken costs the session, not the engine
            return self._dismiss(session, event, payload, error)
        if not kept:
            self._await(session, event, payload, partial(self._kept, session, event, payload, taken, receipt, armed, value))
            return PENDING
        session.value = value
        self._apply(session, event, payload, taken, receipt, armed)
        return row.outcome

    def _kept(self, session: Session, event: str, payload: Mapping[str, Any], taken: Any, receipt: Receipt, armed: Armed, value: Any) -> None:
        session.value = value
        self._apply(session, event, payload, taken, receipt, armed)

    def _commit_held(
        self, session: Session, event: str, payload: Mapping[str, Any], row: RowCode, value: Any, held: DeferredRecord | None,
        settle: Callable[[], object],
    ) -> Outcome:  # fmt: skip
        """Commit what an event leaves behind without a row: a new value, or the event itself where it is deferred."""
        receipt = Receipt(session.id, session.version + 1, row.id, event, session.state, session.state, self.alarms.now)
        commit = Commit(receipt, NOTHING, value, (), (), held, session, Taken(row, (), (), ()), ())

        def apply() -> None:
            session.value = value
            session.version += 1
            settle()

        try:
            kept = self._store.commit(commit, self._answer)
        except BaseException as error:  # noqa: BLE001 - as for a row that is taken
            return self._dismiss(session, event, payload, error)
        if not kept:
            self._await(session, event, payload, apply)
            return PENDING
        apply()
        return row.outcome

    def _planned(self, session: Session, taken: Any) -> tuple[Any, tuple[Record, ...], Armed]:
        """The row with its delays drawn and its children created, the children's records, and the ``after`` rows that it arms."""
        row, changes, effects, publications = taken
        created: list[Record] = []
        given = []
        children = dict(session.children or {})
        started = session.started
        for name, parameters in effects:
            p = parameters
            if name == "timer.start" and type(p["after"]) is RandomDelay:
                p = {**p, "after": self.alarms.seconds(p["after"])}
            elif name == "child.start":
                try:
                    child = self._make(p["machine"], session, *name_of(p["name"], children, started))
                except (LookupError, ValueError):  # the effect will fail for the same reason, and is reported as an effect
                    given.append((name, p))
                    continue
                children[child.name] = child
                started += child.prefix.endswith("*.")
                p = {**p, "made": child}
                if child.machine.durable:
                    created.append(record_of(child, self.alarms.now, p.get("with") or NOTHING))
            elif name == "child.end":
                children.pop(p["name"], None)
            given.append((name, p))
        taken = (row, changes, tuple(given), publications)
        armed: Armed = ()
        if row.arms and row.next_state != session.state:
            copy = session.copy()
            copy.children = children
            step.enter(copy, taken)
            armed = tuple((event, self.alarms.seconds(delay)) for event, delay in step.arms(copy))
        return taken, tuple(created), armed

    # -- waiting
    def _wait(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, change: Change | None) -> Outcome:
        """An event for a session whose store is at work."""
        inbox = session.inbox
        if inbox is None:
            inbox = session.inbox = []
        if len(inbox) >= INBOX and not self._must_wait(session, event, len(inbox)):
            self.counters["inbox refused"] += 1
            self._lose(session, event, payload, "the session's inbox is full")
            return OVERFLOW
        inbox.append((event, payload, origin, change))
        return QUEUED

    def _must_wait(self, session: Session, event: str, waiting: int) -> bool:
        """Whether an event must be kept though the inbox is full. Of those that a stranger can repeat, one of each is enough."""
        known = session.machine.model.events.get(event)
        if known is None:
            return False
        if known.must_take:
            beyond = (session.inbox or [])[INBOX:]
            return not any(one[0] == event for one in beyond if not isinstance(one, Timer))
        return known.source != "interface" and waiting < MOST

    def _answered(self, key: int, error: BaseException | None) -> None:
        """The store has answered: go on, or end the session."""
        if get_ident() != self._thread:
            self._enter_thread()
        if self._draining or key == self._creating:  # in the middle of another step, or before it has said that it will answer later
            self.scheduler.call_at(self.scheduler.time(), self._answer, key, error)
            return
        if key not in self._pending:
            self.counters["store answers unasked"] += 1
            return
        session, event, payload, work = self._pending.pop(key)
        session.busy = False
        if session.ended:
            self._inside(partial(self._lose, session, event, payload, "the session has ended"))
            return
        waiting, session.inbox = session.inbox or [], None
        self._inside(work if error is None else partial(self._dismiss, session, event, payload, error))
        for one in waiting:
            if not isinstance(one, Timer):
                self._inside(partial(self._follow, session, *one))
            elif one.session is not None:
                self.alarms.fire(one)
