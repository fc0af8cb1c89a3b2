"""Failures: an error costs at most the session it happened in, and leaves no request unanswered.

Everything that the engine calls may raise: guards, predicates, changes and draws, the store, handlers, owners, observers.

* An error before the commit (in a cell, a change, a draw or the store): nothing of the row becomes true. The session's own ``engine.failed`` row is taken
  at once and settles the session's obligations. If there is none, or it fails as well, the session is ended by force.
* An error after the commit (in a handler or an owner): the row stands. Its other effects are carried out, then ``engine.failed`` follows as an event.
* An error in an observer is logged and counted.

An adapter that must not leave a request unanswered can ask for two reports. ``on_lost(session, event, payload, reason)`` reports every event that
reached no row: the one that failed, those that a session still held when it ended, those that came too late or did not fit. It is called after everything
that followed from the step, so whatever is still open in the payload then (a transaction without a final response) will not be settled by anyone
else. ``on_failure(session, reason, settled)`` reports every session that is ended by force, while its context and children are still there;
``settled`` says whether its ``engine.failed`` row was taken first.

``asyncio.CancelledError`` is treated like any other error: a step cannot be cancelled, so it comes from a future that a handler looked at.
KeyboardInterrupt and SystemExit are treated the same, and are raised again when the step is complete.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from calltable.engine.model import FAILED
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


def told(error: BaseException) -> str:
    """An error in words; one whose own words raise goes by its type."""
    try:
        return repr(error)
    except BaseException:  # noqa: BLE001 - whatever it is, the failure of a session must go on
        return type(error).__name__


class Failures(Registry):
    """The part of the executor that deals with errors."""

    _interrupt: BaseException | None = None

    @abstractmethod
    def _take(self, session: Session, event: str, payload: Mapping[str, Any], origin: Session | None, change: Change | None) -> Outcome:
        """Handle an event."""

    @abstractmethod
    def _apply(self, session: Session, event: str, payload: Mapping[str, Any], taken: Any, receipt: Receipt | None,
               armed: tuple[tuple[str, float], ...] | None) -> None:
        """Make a row true."""

    @abstractmethod
    def _draw(self, session: Session, taken: Any, value: Any) -> tuple[Any, Any]:
        """Let the row's effects draw what they need."""

    def _note(self, error: BaseException) -> None:
        """An error has been dealt with; one that is meant for the whole process is raised again when the step is complete."""
        if isinstance(error, KeyboardInterrupt | SystemExit):
            self._interrupt = error
            self.alarms.late = True

    def _effect_failed(self, session: Session, row: RowCode, name: str, error: BaseException) -> None:
        """A handler or an owner has raised: the row stands, and ``engine.failed`` follows."""
        log.error("%r: %s in row %s failed", session, name, row.id, exc_info=error)
        self.counters["effects failed"] += 1
        self._note(error)
        self._queue.append((session, FAILED, {"reason": f"{name}: {told(error)}"}, None, None))

    def _raised(self, session: Session, event: str, payload: Mapping[str, Any], error: BaseException) -> Outcome:
        """A cell, a change or a draw has raised: nothing of the row is true."""
        log.error("%r failed on %s", session, event, exc_info=error)
        self._note(error)
        return self._fail(session, event, payload, f"{event}: {told(error)}")

    def _fail(self, session: Session, event: str, payload: Mapping[str, Any], reason: str) -> Outcome:
        """An event could not be handled: take the session's own ``engine.failed`` row, or end it by force if that is what failed."""
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
        """The store no longer keeps the session: it settles what it can, uncommitted, and ends."""
        conflict = isinstance(error, Conflict)
        self.counters["conflicts" if conflict else "commits failed"] += 1
        reason = str(error) if conflict else told(error)
        log.error("%r failed: %s", session, reason)
        self._note(error)
        self._lose(session, event, payload, reason)
        outcome = ENDED
        failed = {"reason": reason}
        try:
            cell = session.cells.get(FAILED)
            taken = cell(session, failed) if cell is not None else None
            if taken is not None and taken[0].kind == ROW:
                taken, session.value = self._draw(session, taken, session.value)
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
