"""The step: which row an event takes, and what becomes true with it. Pure: no clock, no store, no queue, nothing is called but guards.

Everybody who runs tables goes through here: the executor, the explorer's scene, the shadow of a candidate table, the comparison of two
versions. They differ in what they do with what a row asks for, not in which row it is or what it makes of the session. In order:

1. ``take`` asks the session's cell: the row, the new values, effects, publications, all computed on the session as it stands. Nothing has changed.
2. Whoever keeps sessions commits here.
3. ``enter`` makes the row true: variables, state, version. It answers whether the session has moved to another state; staying, and naming the
   state one is in, is no move.
4. Effects, then publications, are the caller's to carry out.
5. After a move: a final state ends the session. In any other, ``arms`` says which ``after`` rows are armed (their guards are evaluated now, when
   effects have started and ended children), and deferred events are given again, before anything else that waits.

The executor has ``take`` and ``enter`` written out (two lines): it pays for a call at every event of every session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.run.program import RandomDelay, RowCode
    from calltable.engine.run.session import Session


class Taken(NamedTuple):
    """What a cell answers: the row, the new values of ``row.variables``, effects and publications.

    The generated code returns plain tuples of this shape.
    """

    row: RowCode
    changes: tuple[Any, ...]
    effects: tuple[tuple[str, Mapping[str, Any]], ...]
    publications: tuple[tuple[str, Mapping[str, Any]], ...]


def take(session: Session, event: str, payload: Mapping[str, Any]) -> Taken | None:
    """What the session's table says to the event; None where no row handles it. Raises whatever a guard or a value raises."""
    cell = session.cells.get(event)
    return None if cell is None else cell(session, payload)


def enter(session: Session, taken: Taken) -> bool:
    """Make a taken row true; answers whether the session is in another state now."""
    return taken[0].enter(session, taken[1])


def arms(session: Session) -> list[tuple[str, float | RandomDelay]]:
    """The ``after`` events of the session's state whose guards hold, with their delays in seconds."""
    found = []
    for event, delay in session.machine.after[session.state]:
        seconds = delay(session)
        if seconds is not None:
            found.append((event, seconds))
    return found
