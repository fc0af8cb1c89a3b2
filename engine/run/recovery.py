"""Going on where another process stopped: sessions made from the records of a store.

A recovered session stands where its last commit left it: same key, version, state, variables and value; its timers run on, its parent and its children
are found by their keys, and what it had deferred waits on, or is given to it again. Then everybody is told what the crash made true:

* A child that no parent lists any more was let go, or its parent has ended: it is told to hang up, as it would have been.
* A child without a record (its machine is not durable) is gone: its parent is told that it has ended.
* A child that had not taken its ``engine.started`` takes it now. A root that had not is forgotten: whoever started it got no answer, and asks again.
* A session whose table is not there, or has changed since, cannot go on. It is not recovered, and named in the answer, for an adapter that can
  settle what it owes.

An event that was deferred and given again, and that a row then refused or ignored, may be given once more: refusing is no commit.

What stood in the executor's queue is lost, and so is what the last step's effects had not done yet. ``Record.effects`` has them with what they drew, so that
an adapter can repeat them; the engine cannot know which of them may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.model.machine import HANGUP, STARTED
from calltable.engine.run.children import NOBODY
from calltable.engine.run.commit import Commits
from calltable.engine.run.registry import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.run.records import Record
    from calltable.engine.run.session import Owner, Session


class Recovered(NamedTuple):
    """What became of the records."""

    sessions: dict[int, Session]
    """The sessions that live again, by key."""
    failed: tuple[tuple[Record, str], ...]
    """The records that no session could be made of, each with the reason."""


class Recovery(Commits):
    """An executor that can go on from records."""

    def recover(self, records: Iterable[Record], owners: Mapping[str, Owner] | None = None, *, elapsed: float = 0.0) -> Recovered:
        """Let the sessions of these records live again; called before the executor takes events, once its machines are added.

        ``owners`` finds the owners of roots by what they call themselves (``known_as``); a root whose owner is not there has none, and is told to hang up.
        ``elapsed`` is how many seconds have passed since the records were written: timers that would have fired meanwhile fire at once. Raises
        ValueError where a key is taken by a session that lives.
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
            msg = f"a session {record.key} lives already: records are recovered before anything else"
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
