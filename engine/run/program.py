"""A compiled machine as data: its cells, its rows, the delays it arms. ``compile.py`` fills it, the executor runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.model.precedence import cells as resolve_cells
from calltable.engine.run.compile import _Writer
from calltable.engine.run.records import Outcome
from calltable.engine.run.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.model.machine import Machine, Row


ROW, IGNORE, REFUSE, DEFER = range(4)
_KINDS = {"row": ROW, "ignore": IGNORE, "refuse": REFUSE, "defer": DEFER}
_OUTCOMES = {"row": "taken", "ignore": "ignored", "refuse": "refused", "defer": "deferred"}


class Draw(NamedTuple):
    """A duration yet to be drawn: the executor's random source picks between ``low`` and ``high`` seconds."""

    low: float
    high: float


def _nothing_assigned(_session: Session, _values: tuple[Any, ...]) -> None:
    """A row that sets nothing."""


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
        self.assign: Callable[[Session, tuple[Any, ...]], None] = _nothing_assigned
        """Puts the values of a taken row into their slots."""
        self.named: Callable[[tuple[Any, ...]], dict[str, Any]] | None = None
        """The same values by variable, for a store; None where the row sets nothing."""

    def __repr__(self) -> str:
        return f"<row {self.id}>"


class Arm(NamedTuple):
    """An ``after`` row of a state: its event, and a function that answers the delay, or None to leave it."""

    event: str
    delay: Callable[[Session], float | Draw | None]


class CompiledMachine:
    """A machine ready to run: ``cells[state][event](session, payload)`` answers what a row asks for."""

    __slots__ = (
        "after", "begin", "cells", "defaults", "digest", "durable", "family", "finals", "history", "initial", "model", "name", "rows",
        "session", "source",
    )  # fmt: skip

    def __init__(self, model: Machine, config: Mapping[str, Any], predicates: Mapping[str, Callable[..., Any]]) -> None:
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
        writer = _Writer(model, config, predicates, self.rows)
        for state, by_event in resolve_cells(model).items():
            self.cells[state] = {event: writer.cell(state, event, tiers) for event, tiers in by_event.items()}
        self.after: dict[str, tuple[Arm, ...]] = {state: writer.arms(state) for state in model.states}
        for code in self.rows.values():
            code.durable = model.durable
            if code.variables:
                code.assign, code.named = writer.assignment(code.variables)
            if code.next_state is not None:
                code.next_cells = self.cells[code.next_state]
                code.final = code.next_state in self.finals
                code.arms = self.after[code.next_state]
        self.source = writer.source
        self.defaults = {name: variable.default for name, variable in model.variables.items()}
        self.begin: Callable[[Session], None] = writer.beginning(self.defaults)
        """Gives a new session's variables their defaults."""
        self.session: type[Session] = type(
            "Session",
            (Session,),
            {
                "__slots__": tuple("v_" + name for name in model.variables),
                "machine": self,
            },
        )

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
