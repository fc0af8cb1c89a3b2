"""What a failure costs: at most the session it happened in, and never an answer that somebody waits for.

Everything that the engine calls may raise: guards, predicates, changes and draws, the store, handlers, owners, observers.

* Before the commit (a cell, a change, a draw, the store), nothing of the row is true. The session's own ``engine.failed`` row
  is taken at once; it settles what the session owes. Where it has none, or that fails too, the session is ended by force.
* After the commit (a handler, an owner), the row stands. The rest of its effects is carried out, and ``engine.failed`` follows as an event.
* An observer is logged and counted.

An adapter that must not leave a request unanswered asks to be told of two things. ``on_lost(session, event, payload, reason)`` names
every event that reached no row: the one that failed, those that a session held back when it ended, those that came too late or did not fit. It is
called when everything that followed from the step is done, so that what is then still open in the payload (a transaction without a final
response) is what nobody will settle. ``on_failure(session, reason, settled)`` names every session that was ended by force, while its context and
children are still there; ``settled`` says whether its ``engine.failed`` row was taken before.

``asyncio.CancelledError`` is a failure like any other here: nothing in a step can be cancelled, so it comes out of a future that a handler looked
at. KeyboardInterrupt and SystemExit are failures too, and are raised again when the step is whole.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from calltable.engine.model.machine import FAILED
from calltable.engine.run.program import ROW
from calltable.engine.run.records import ENDED
from calltable.engine.run.registry import Registry
from calltable.engine.run.store import Conflict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.run.ports import Change
    from calltable.engine.run.program import RowCode
    from calltable.engine.run.records import Outcome, Receipt
    from calltable.engine.run.session import Session

log = logging.getLogger("calltable.engine")


class Failures(Registry):
    """A registry that settles what fails; the executor moves its sessions."""

    _interrupt: BaseException | None = None

    @abstractmethod
    def _take(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, change: Change | None) -> Outcome:
        """Give a session an event."""

    @abstractmethod
    def _apply(self, session: Session, event: str, payload: Mapping[str, Any], taken: Any, receipt: Receipt | None,
               armed: tuple[tuple[str, float], ...] | None) -> None:
        """Make a row true."""

    def _note(self, error: BaseException) -> None:
        """An error has been taken care of; one that is meant for the whole process is raised again when the step is whole."""
        if isinstance(error, KeyboardInterrupt | SystemExit):
            self._interrupt = error
            self.alarms.late = True

    def _effect_failed(self, session: Session, row: RowCode, name: str, error: BaseException) -> None:
        """A handler or an owner has raised: the row stands, and ``engine.failed`` follows."""
        log.error("%r: %s in row %s failed", session, name, row.id, exc_info=error)
        self.counters["effects failed"] += 1
        self._note(error)
        self._queue.append((session, FAILED, {"reason": f"{name}: {error!r}"}, None, None))

    def _raised(self, session: Session, event: str, payload: Mapping[str, Any], error: BaseException) -> Outcome:
        """A cell, a change or a draw has raised: nothing of the row is true."""
        log.error("%r failed on %s", session, event, exc_info=error)
        self._note(error)
        return self._fail(session, event, payload, f"{event}: {error!r}")

    def _fail(self, session: Session, event: str, payload: Mapping[str, Any], reason: str) -> Outcome:
        """An event could not be taken: let the session's own ``engine.failed`` row say what now; by force where it was that already."""
        self.counters["sessions failed"] += 1
        log.error("%r failed: %s", session, reason)
        if event != FAILED:
            self._lose(session, event, payload, reason)
            if not session.busy:
                outcome = self._take(session, FAILED, {"reason": reason}, None, None)
                if outcome.kind in ("taken", "pending") or session.ended:
                    return outcome
        self._force(session, reason, settled=False)
        return ENDED

    def _dismiss(self, session: Session, event: str, payload: Mapping[str, Any], error: BaseException) -> Outcome:
        """The store does not keep the session any more: it settles what it can, uncommitted, and ends."""
        conflict = isinstance(error, Conflict)
        self.counters["conflicts" if conflict else "commits failed"] += 1
        reason = str(error) if conflict else repr(error)
        log.error("%r failed: %s", session, reason)
        self._note(error)
        self._lose(session, event, payload, reason)
        outcome = ENDED
        failed = {"reason": reason}
        try:
            cell = session.cells.get(FAILED)
            taken = cell(session, failed) if cell is not None else None
            if taken is not None and taken[0].kind == ROW:
                self._apply(session, FAILED, failed, taken, None, None)
                outcome = taken[0].outcome
        except BaseException as second:
            log.exception("%r: its engine.failed row failed too", session)
            self._note(second)
        if not session.ended:
            self._force(session, reason, settled=outcome is not ENDED)
        return outcome

    def _force(self, session: Session, reason: str, *, settled: bool) -> None:
        """End a session otherwise than by a row."""
        self.counters["sessions ended by force"] += 1
        for failed in self.on_failure:
            self._guarded(failed, session, reason, settled)
        self._end(session, reason)
