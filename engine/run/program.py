"""A compiled machine as data: its cells, its rows, the delays it arms. ``compile.py`` fills it, the executor runs it.

Nothing here imports ``session.py``: a session knows its machine, a machine only the class of its sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.run.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.model.machine import Machine, Row


ROW, IGNORE, REFUSE, DEFER = range(4)
_KINDS = {"row": ROW, "ignore": IGNORE, "refuse": REFUSE, "defer": DEFER}
_OUTCOMES = {"row": "taken", "ignore": "ignored", "refuse": "refused", "defer": "deferred"}


class RandomDelay(NamedTuple):
    """A duration yet to be drawn: the executor's random source picks between ``low`` and ``high`` seconds."""

    low: float
    high: float


def _nothing_assigned(_session: object, _values: tuple[Any, ...]) -> None:
    """A row that sets nothing."""


def _nothing_begun(_session: object) -> None:
    """A machine without variables."""


class RowCode:
    """What the executor needs of a row, resolved: no lookups are left to do."""

    __slots__ = (
        "arms", "assign", "durable", "final", "id", "kind", "model", "named", "next_cells", "next_state", "outcome", "slots",
        "variables",
    )  # fmt: skip

    def __init__(self, row: Row) -> None:
        self.id = row.id
        self.kind = _KINDS[row.kind]
        self.model = row
        self.outcome = Outcome(_OUTCOMES[row.kind], row.id if row.kind == "row" else row.note)
        self.variables = tuple(row.set)
        self.slots = tuple("v_" + name for name in row.set)
        self.next_state = row.next_state
        self.next_cells: dict[str, Any] | None = None
        self.final = False
        self.arms: tuple[Arm, ...] = ()
        self.durable = False
        self.assign: Callable[[Any, tuple[Any, ...]], None] = _nothing_assigned
        """Puts the values of a taken row into their slots."""
        self.named: Callable[[tuple[Any, ...]], dict[str, Any]] | None = None
        """The same values by variable, for a store; None where the row sets nothing."""

    def __repr__(self) -> str:
        return f"<row {self.id}>"


class Arm(NamedTuple):
    """An ``after`` row of a state: its event, and a function that answers the delay, or None to leave it."""

    event: str
    delay: Callable[[Any], float | RandomDelay | None]


class CompiledMachine:
    """A machine ready to run: ``cells[state][event](session, payload)`` answers what a row asks for."""

    __slots__ = (
        "after", "begin", "cells", "defaults", "digest", "durable", "family", "finals", "history", "initial", "model", "name", "rows",
        "session", "source",
    )  # fmt: skip

    def __init__(self, model: Machine) -> None:
        """A machine without cells; ``compile_machine`` writes them."""
        self.model = model
        self.name = model.name
        self.digest = model.digest
        self.family: Mapping[str, CompiledMachine] | None = None
        """The machines it was loaded with, by name: its children run these, whatever has been loaded since."""
        self.durable = model.durable
        self.initial = model.initial
        self.finals = frozenset(name for name, state in model.states.items() if state.final)
        self.rows = {row.id: RowCode(row) for row in model.rows.values()}
        self.cells: dict[str, dict[str, Callable[..., Any]]] = {}
        self.after: dict[str, tuple[Arm, ...]] = {}
        self.source: Mapping[str, str] = {}
        """The generated text, by the name of the function."""
        self.defaults = {name: variable.default for name, variable in model.variables.items()}
        self.begin: Callable[[Any], None] = _nothing_begun
        """Gives a new session's variables their defaults."""
        self.session: type[Any] = object
        """The class of its sessions, which ``session.py`` makes: with a slot for each variable."""

    def __repr__(self) -> str:
        return f"<machine {self.name} {self.digest[:8]}>"


class Taken(NamedTuple):
    """What a cell answers: the row, the new values of ``row.slots``, effects and publications.

    The generated code returns plain tuples of this shape.
    """

    row: RowCode
    changes: tuple[Any, ...]
    effects: tuple[tuple[str, Mapping[str, Any]], ...]
    publications: tuple[tuple[str, Mapping[str, Any]], ...]
