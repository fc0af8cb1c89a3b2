"""Stores of durable sessions: what the executor asks of one, and what it passes to it.

The executor commits every step of a durable session before any of its effects is carried out. The commit's version is one above the version that the
step was computed on; a store that holds another version refuses the whole commit (``Conflict``). A store may answer later (a disk, a network): the
session handles no other event until then. Children that a row starts are part of that row's commit, so a parent never has a child that the store
does not know.

Without a store, an executor has a ``MemoryStore``. Nothing in it survives the process, so nothing is written: its records are made from the live
sessions when somebody asks. A step costs nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from calltable.engine.run.recording import record_after, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from calltable.engine.run.records import DeferredRecord, Receipt, Record
    from calltable.engine.run.session import Session
    from calltable.engine.run.step import Taken


class Conflict(Exception):  # noqa: N818 - the word says it; it is no programming error
    """The store holds another version of the session than the one the step was computed on."""


class Commit(NamedTuple):
    """What one step changes, all or nothing. A store reads from it whatever it writes before it answers."""

    receipt: Receipt
    """The step: the version it leads to, the row, the states."""
    variables: Mapping[str, Any]
    """The new values of those that the row sets."""
    value: Any
    """The adapter's value after the step."""
    effects: tuple[tuple[str, Mapping[str, Any]], ...]
    """What the row asks for, with what was drawn for it."""
    created: tuple[Record, ...]
    """The durable children that the row starts, as records of version 0: kept together with this commit."""
    held: DeferredRecord | None
    """The event, if it is deferred: committed with the session, so that a restart does not lose it."""
    session: Session
    taken: Taken
    armed: tuple[tuple[str, float], ...]
    """The ``after`` rows that the step arms, in seconds; meaningless unless the state changes."""

    def record(self) -> Record:
        """The whole session as it stands after the step."""
        return record_after(self.session, self.taken, self.receipt, self.value, self.armed, self.held)


class Kept(Protocol):
    """Access to the durable sessions that are kept."""

    def remove(self, key: int) -> None:
        """Forget a session that has ended; unknown keys are fine."""

    def load(self) -> Iterator[tuple[int, Record]]:
        """Every session that is kept."""


class Store(Kept, Protocol):
    """What the executor asks of a store. ``done`` is called at most once for each call, from the thread of the engine."""

    def create(self, record: Record, done: Callable[[int, BaseException | None], None]) -> bool:
        """Keep a new session that no row of another one starts.

        True: it is kept. False: ``done`` will be called with its key and None, or the reason it failed. What it raises (``Conflict``
        where the key is taken) fails the session, not whoever starts it.
        """

    def commit(self, commit: Commit, done: Callable[[int, BaseException | None], None]) -> bool:
        """Replace the version before the commit's by what it leads to, with the children it creates, all or nothing.

        True: it is kept. False: ``done`` will be called with the session's key and None or the reason it failed. Raises ``Conflict``
        where the store already knows that it holds another version.
        """


class MemoryStore:
    """Durable sessions without a store: live sessions, recorded on request. ``time`` returns seconds; the timers' remaining time counts from it."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._sessions: dict[int, Session] = {}

    def keep(self, session: Session) -> None:
        """A new session."""
        self._sessions[session.id] = session

    def remove(self, key: int) -> None:
        """As ``Kept`` says."""
        self._sessions.pop(key, None)
        if not self._sessions:
            self._sessions.clear()  # a dictionary keeps the room of its largest day until then

    def load(self) -> Iterator[tuple[int, Record]]:
        """As ``Kept`` says: the sessions as they stand."""
        now = self._time()
        return iter([(key, record_of(session, now)) for key, session in self._sessions.items()])

    def __len__(self) -> int:
        return len(self._sessions)
