"""What an executor holds: the machines it may run, the live sessions, and the queue of follow-up events.

Sessions are created and removed here and nowhere else. The executor is built in layers on this: ``failure.py`` deals with errors, ``commit.py`` with
stores, ``recovery.py`` with restarts, ``executor.py`` with events.
"""

from __future__ import annotations

import logging
import random
from _thread import get_ident
from abc import ABC, abstractmethod
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from calltable.engine.model import STARTED, suggestion
from calltable.engine.run.children import NOBODY, Children
from calltable.engine.run.given import refuse_async
from calltable.engine.run.recording import record_of
from calltable.engine.run.session import Owner, Session
from calltable.engine.run.store import MemoryStore
from calltable.engine.run.timer_heap import Timer
from calltable.engine.run.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.run.ports import Change, Draw, Lost, Scheduler
    from calltable.engine.run.program import CompiledMachine
    from calltable.engine.run.records import Outcome
    from calltable.engine.run.store import Kept, Store

log = logging.getLogger("calltable.engine")

NOTHING: Mapping[str, Any] = {}
"""The payload of an event without fields."""


def _nothing_more() -> None:
    """A new session that is kept waits for its first event."""


class Registry(ABC):
    """Machines, sessions, timers, children, the store and the hooks. ``Executor`` documents what is public."""

    _store: Store
    _draining = False
    """Whether a step, or what follows from it, is under way."""

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
        self._keeps = store is not None
        """Whether a store is told of every step; without one, sessions are kept by being alive."""
        if store is not None:
            self._store = store
        self._memory = MemoryStore(scheduler.time)
        self.store: Kept = self._memory if store is None else store
        self.random = rng if rng is not None else random.Random()
        self.alarms = Timers(scheduler, self.dispatch, self.random)
        self.timers = self.alarms.heap
        self.counters: Counter[str] = Counter()
        self.on_end: list[Callable[[Session], None]] = []
        self.on_failure: list[Callable[[Session, str, bool], None]] = []
        self.on_lost: list[Lost[Session]] = []
        self.children = Children(self, self.create, self._admit)
        self.handlers: dict[str, Callable[[Session, Mapping[str, Any]], None]] = {
            "timer.start": self.alarms.start,
            "timer.stop": self.alarms.stop,
            "child.start": self.children.start,
            "child.tell": self.children.tell,
            "child.end": self.children.end,
            **(handlers or {}),
        }
        self.draws: dict[str, Draw[Session]] = {}
        self._queue: deque[tuple[Session, str, Mapping[str, Any], Session | None, Change | None]] = deque()
        self._lost: list[tuple[Session, str, Mapping[str, Any], str]] = []
        self._number = 0
        self._thread = 0
        """The thread that everything happens in: the first one that makes a session or gives an event."""
        self._pending: dict[int, tuple[Session, str, Mapping[str, Any], Callable[[], object]]] = {}
        """Sessions whose store is at work, for which event, and what is done when it has answered."""
        self._creating = 0
        """The session whose record the store is given now: it may answer before it returns."""
        self._answer = self._answered

    @property
    def now(self) -> float:
        """The moment of the step under way, or of the last one: seconds of the scheduler's clock."""
        return self.alarms.now

    def _enter_thread(self) -> None:
        """Make the current thread the executor's own; raises RuntimeError if it has another."""
        if self._thread:
            msg = (
                f"the executor belongs to thread {self._thread}, and thread {get_ident()} gives it an event: nothing here is locked; "
                "use loop.call_soon_threadsafe"
            )
            raise RuntimeError(msg)
        self._thread = get_ident()

    # -- machines
    def draw(self, draws: Mapping[str, Draw[Session]]) -> None:
        """Let these actions draw before the commit of the row that asks for them; see ``ports.py``."""
        self.draws.update(draws)
        for machine in self.machines.values():
            machine.draw(self.draws)

    def add(self, *machines: CompiledMachine) -> None:
        """Let new sessions run these machines; running ones keep theirs.

        Raises LookupError naming an action that no handler carries out, or whose parameter would hide what it draws, and TypeError where its
        handler is an async function: nothing is added then.
        """
        for machine in machines:
            for row in machine.model.rows.values():
                for action in row.actions:
                    if action.name not in self.handlers:
                        msg = f"{action.position}: no adapter carries out {action.name} (row {row.id})"
                        raise LookupError(msg)
                    refuse_async(self.handlers[action.name], f"{action.position}: the handler of {action.name} (row {row.id})")
                    if action.name in self.draws and "drawn" in action.parameters:
                        msg = (
                            f"{action.position}: {action.name} draws, and is given that as drawn, so it cannot have a parameter of that name "
                            f"(row {row.id})"
                        )
                        raise LookupError(msg)
        for machine in machines:
            machine.draw(self.draws)
        self.machines.update({machine.name: machine for machine in machines})

    # -- sessions
    def create(self, machine: str, owner: Owner = NOBODY, name: str = "", prefix: str = "",
               context: object = None, value: Any = None) -> Session:
        """Create a session without starting it; its first event must be ``engine.started``.

        ``prefix`` is put before the names of what it publishes to an owner that is a session; ``value`` is the adapter's initial value. Raises
        LookupError for an unknown machine. If the store refuses it or fails, the session fails when it is started.
        """
        if get_ident() != self._thread:
            self._enter_thread()
        session = self._make(machine, owner, name, prefix)
        session.context = context
        session.value = value
        self._admit(session)
        if self._keeps and session.machine.durable and not session.busy:
            try:
                self._creating = session.id
                if not self._store.create(record_of(session, self.scheduler.time()), self._answer):
                    self._await(session, STARTED, NOTHING, _nothing_more)
            except BaseException as error:  # noqa: BLE001 - see failure.py
                self._doom(session, error)
            finally:
                self._creating = 0
        return session

    def _make(self, machine: str, owner: Owner, name: str, prefix: str) -> Session:
        """A session object that is not registered yet."""
        family = owner.machine.family if isinstance(owner, Session) else None
        compiled = (family or self.machines).get(machine)
        if compiled is None:
            msg = f"no machine {machine!r}; {suggestion(machine, family or self.machines, 'machine')}"
            raise LookupError(msg)
        self._number += 1
        session: Session = compiled.session(self._number, name, prefix, owner)
        return session

    def _admit(self, session: Session) -> None:
        """Register a session: known, kept where it is durable, with the ``after`` rows of its first state armed."""
        machine = session.machine
        self.sessions[session.id] = session
        if machine.durable and not self._keeps:
            self._memory.keep(session)
        if machine.after[machine.initial]:
            if not self._draining:  # a step has its time already
                self.alarms.now = self.scheduler.time()
            try:
                self.alarms.arm(session, machine.after[machine.initial])
            except BaseException as error:  # noqa: BLE001 - see failure.py
                self._doom(session, error)

    def _doom(self, session: Session, error: BaseException) -> None:
        """A session whose creation failed: it handles no event, and fails as if its store had reported the error."""
        self._await(session, STARTED, NOTHING, _nothing_more)
        self.scheduler.call_at(self.scheduler.time(), self._answer, session.id, error)

    def _await(self, session: Session, event: str, payload: Mapping[str, Any], work: Callable[[], object]) -> None:
        """The session waits for its store; ``work`` runs when the store has kept what came of the event."""
        session.busy = True
        self._pending[session.id] = session, event, payload, work

    def _end(self, session: Session, reason: str = "the session has ended") -> None:
        """Remove a session and tell its children, owner and observers. Events that it still held are lost, for ``reason``."""
        session.ended = True
        self.sessions.pop(session.id, None)
        self.alarms.end(session)
        if self.on_lost:
            for one in (*(session.deferred or ()), *(session.inbox or ())):
                if not isinstance(one, Timer):
                    self._lose(session, one[0], one[1], reason)
        session.deferred = session.inbox = None
        if session.machine.durable:
            self._guarded(self.store.remove, session.id)
        self.children.end_all(session)
        for ended in self.on_end:
            self._guarded(ended, session)
        self._guarded(session.owner.child_ended, self, session)

    def _lose(self, session: Session, event: str, payload: Mapping[str, Any], reason: str) -> None:
        """An event reaches no row: reported to ``on_lost`` after everything that follows from the step."""
        if self.on_lost:
            self._lost.append((session, event, payload, reason))
            self.alarms.late = True  # the one flag that is looked at when a step is over

    # -- events
    @abstractmethod
    def dispatch(self, session: Session, event: str, payload: Mapping[str, Any] = NOTHING, change: Change | None = None) -> Outcome:
        """Give a session an event: see ``Executor``."""

    @abstractmethod
    def post(self, session: Session, event: str, payload: Mapping[str, Any] = NOTHING, change: Change | None = None) -> None:
        """Give a session an event without asking what became of it: see ``Executor``."""

    def queue(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None = None,
              change: Change | None = None) -> None:
        """Queue what follows from a step; only ever called from inside one.

        ``origin`` is the child the event comes from, or the owner who tells it.
        """
        self._queue.append((session, event, payload, origin, change))

    def _guarded(self, call: Callable[..., object], *arguments: object) -> None:
        """Call somebody whose errors do not concern the session."""
        try:
            call(*arguments)
        except BaseException as error:
            log.exception("%r failed", call)
            self.counters["observers failed"] += 1
            self._note(error)

    @abstractmethod
    def _answered(self, key: int, error: BaseException | None) -> None:
        """A store has answered: see ``Commits``."""

    @abstractmethod
    def _note(self, error: BaseException) -> None:
        """Something has raised, and was taken care of: see ``Failures``."""
