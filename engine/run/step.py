"""The step: which row handles an event, and what it changes. Pure: no clock, no store, no queue; only guards are called.

Everything that runs tables uses this: the executor, the explorer's scene, the shadow of a candidate table, the comparison of two versions. They
differ in what they do with a row's effects, not in which row it is or what it changes. In order:

1. ``take`` asks the session's cell for the row, the new values, the effects and the publications, all evaluated on the session as it is. Nothing has
   changed yet.
2. A store is asked to commit here.
3. ``enter`` applies the row: variables, state, version. It returns whether the session has changed its state; a ``next_state`` that names the current
   state is no change.
4. The caller carries out effects, then publications.
5. If the state has changed: a final one ends the session. In any other, ``arms`` returns the ``after`` rows to arm (their guards are evaluated now,
   after effects have started and ended children), and deferred events are handled next, before anything else that waits.

The executor has ``take`` and ``enter`` inlined (two lines), because it would pay for the call at every event of every session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.run.program import RandomDelay, RowCode
    from calltable.engine.run.session import Session


class Taken(NamedTuple):
    """What a cell returns: the row, the new values of ``row.variables``, effects and publications.

    The generated code returns plain tuples of this shape.
    """

    row: RowCode
    changes: tuple[Any, ...]
    effects: tuple[tuple[str, Mapping[str, Any]], ...]
    publications: tuple[tuple[str, Mapping[str, Any]], ...]


def take(session: Session, event: str, payload: Mapping[str, Any]) -> Taken | None:
    """The row that handles the event, with its values; None if there is none. Raises whatever a guard or an expression raises."""
    cell = session.cells.get(event)
    return None if cell is None else cell(session, payload)


def enter(session: Session, taken: Taken) -> bool:
    """Apply a row; returns whether the session is in another state now."""
    return taken[0].enter(session, taken[1])


def arms(session: Session) -> list[tuple[str, float | RandomDelay]]:
    """The ``after`` events of the session's state whose guards hold, with their delays in seconds."""
    found = []
    for event, delay in session.machine.after[session.state]:
        seconds = delay(session)
        if seconds is not None:
            found.append((event, seconds))
    return found
