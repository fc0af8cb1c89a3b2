"""Recovery: continuing the sessions of another process from the records of a store.

A recovered session is as its last commit left it: same key, version, state, variables and value. Its timers continue, its parent and children are
found by their keys, and its deferred events still wait, or are delivered if its state had just changed. Then the consequences of the crash follow:

* A child that no parent lists any more was detached, or its parent has ended: it is told to hang up, as it would have been.
* A child without a record (its machine is not durable) is gone: its parent is told that it has ended.
* A child that had not handled its ``engine.started`` gets it now. A root that had not is dropped: whoever started it got no answer and will ask again.
* A session whose table is missing or has changed cannot continue. It is not recovered, and is named in the result, for an adapter that can settle its
  obligations.

An event that was deferred, delivered again and then refused or ignored may be delivered once more, since refusing is not a commit.

Events in the executor's queue are lost, and so are effects of the last step that had not been carried out. ``Record.effects`` has them with what they
drew, so that an adapter can repeat them; the engine cannot know which of them are safe to repeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.model import HANGUP, STARTED
from calltable.engine.run.children import NOBODY
from calltable.engine.run.commit import Commits
from calltable.engine.run.registry import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.run.records import Record
    from calltable.engine.run.session import Owner, Session


class Recovered(NamedTuple):
    """The result of a recovery."""

    sessions: dict[int, Session]
    """The recovered sessions by key."""
    failed: tuple[tuple[Record, str], ...]
    """The records that could not be recovered, each with the reason."""


class Recovery(Commits):
    """The part of the executor that recovers sessions."""

    def recover(self, records: Iterable[Record], owners: Mapping[str, Owner] | None = None, *, elapsed: float = 0.0) -> Recovered:
        """Recover the sessions of these records; called after the machines have been added and before any event.

        ``owners`` are the owners of roots by their ``known_as``; a root whose owner is not among them is told to hang up.
        ``elapsed`` is the seconds since the records were written: timers that would have expired meanwhile fire at once. Raises ValueError if a
        live session has the key of a record.
        """
        made: dict[int, tuple[Session, Record]] = {}
        failed = []
        for record in records:
            reason = self._unable(record)
            if reason:
                failed.append((record, reason))
            else:
                made[record.key] = self._revive(record), record
        self._number = max([self._number, *made])
        self._inside(lambda: self._resume(made, owners or {}, elapsed))
        return Recovered({key: session for key, (session, _) in made.items()}, tuple(failed))

    def _unable(self, record: Record) -> str:
        if record.key in self.sessions:
            msg = f"a session {record.key} is alive already: recover records before anything else"
            raise ValueError(msg)
        machine = self.machines.get(record.machine)
        if machine is None:
            return f"there is no machine {record.machine}"
        if machine.digest != record.digest:
            return f"the table {record.machine} has changed since"
        if record.version == 0 and record.start is None:
            return "it had not been started"
        return ""

    def _revive(self, record: Record) -> Session:
        machine = self.machines[record.machine]
        session: Session = machine.session(record.key, record.name, record.prefix, NOBODY)
        for name, value in record.variables.items():
            setattr(session, "v_" + name, value)
        session.state, session.cells, session.version = record.state, machine.cells[record.state], record.version
        session.value, session.started = record.value, record.started
        return session

    def _resume(self, made: Mapping[int, tuple[Session, Record]], owners: Mapping[str, Owner], elapsed: float) -> None:
        for session, record in made.values():
            children = {child.name: made[child.key][0] for child in record.children if child.key in made}
            session.children = children or None
            for child in children.values():
                child.owner = session
        for session, record in made.values():
            if record.owner is None and record.root_owner in owners:
                session.owner = owners[record.root_owner]
            self._live_again(session, record, made, elapsed)

    def _live_again(self, session: Session, record: Record, made: Mapping[int, tuple[Session, Record]], elapsed: float) -> None:
        if record.start is not None:
            self._admit(session)
            self.queue(session, STARTED, record.start)
        else:
            self.sessions[session.id] = session
            if session.machine.durable and not self._keeps:
                self._memory.keep(session)
            for timer in record.timers:
                self.alarms.resume(session, timer, elapsed)
        for held in record.deferred:
            origin = None if held.origin is None or held.origin not in made else made[held.origin][0]
            if held.due:
                self.queue(session, held.event, held.payload, origin)
            else:
                session.deferred = [*(session.deferred or ()), (held.event, held.payload, origin)]
        for child in record.children:
            if child.key not in made:
                self.queue(session, child.prefix + "ended", {"child": child.name})
        alone = session.owner is NOBODY and (record.owner is not None or record.root_owner)  # else it had none before, and knows
        if alone and HANGUP in session.machine.model.events:
            self.queue(session, HANGUP, NOTHING)
