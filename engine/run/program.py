"""A compiled machine as data: its cells, its rows, its ``after`` delays. ``compile.py`` fills it in, the executor runs it.

Nothing here imports ``session.py``: a session knows its machine, a machine knows only the class of its sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.run.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from calltable.engine.model import Machine, Row


ROW, IGNORE, REFUSE, DEFER = range(4)
_KINDS = {"row": ROW, "ignore": IGNORE, "refuse": REFUSE, "defer": DEFER}
_OUTCOMES = {"row": "taken", "ignore": "ignored", "refuse": "refused", "defer": "deferred"}


class RandomDelay(NamedTuple):
    """A random duration, not yet drawn: between ``low`` and ``high`` seconds."""

    low: float
    high: float


def _nothing_entered(_session: object, _values: tuple[Any, ...]) -> bool:
    """For explicit no-ops, which are never entered."""
    msg = "only a row of kind 'row' is entered"
    raise AssertionError(msg)


def _nothing_begun(_session: object) -> None:
    """A machine without variables."""


class RowCode:
    """What the executor needs of a row, with all lookups done."""

    __slots__ = (
        "arms", "durable", "enter", "final", "id", "kind", "model", "named", "next_state", "outcome", "plain", "plans",
        "variables",
    )  # fmt: skip

    def __init__(self, row: Row) -> None:
        self.id = row.id
        self.kind = _KINDS[row.kind]
        self.model = row
        self.outcome = Outcome(_OUTCOMES[row.kind], row.id if row.kind == "row" else row.note)
        self.variables = tuple(row.set)
        self.next_state = row.next_state
        self.final = False
        self.arms: tuple[Arm, ...] = ()
        self.durable = False
        self.plain = self.kind == ROW
        """Whether it is taken without drawing anything; an executor clears it whose adapters draw for one of the row's actions."""
        self.plans = False
        """Whether a commit needs preparation: the row starts a timer or a child, ends a child, or enters a state with ``after`` rows."""
        self.enter: Callable[[Any, tuple[Any, ...]], bool] = _nothing_entered
        """Applies the row: sets the variables, increments the version, goes to the next state. Returns whether the state has changed."""
        self.named: Callable[[tuple[Any, ...]], dict[str, Any]] | None = None
        """The new values by variable name, for a store; None if the row sets nothing."""

    def __repr__(self) -> str:
        return f"<row {self.id}>"


class Arm(NamedTuple):
    """An ``after`` row of a state: its event, and a function that returns the delay, or None if its guards do not hold."""

    event: str
    delay: Callable[[Any], float | RandomDelay | None]


class CompiledMachine:
    """A machine ready to run: ``cells[state][event](session, payload)`` returns a ``Taken``, or None."""

    __slots__ = (
        "after", "begin", "cells", "defaults", "digest", "durable", "family", "finals", "history", "initial", "model", "name", "rows",
        "session", "source",
    )  # fmt: skip

    def __init__(self, model: Machine) -> None:
        """A machine without cells; ``compile_machine`` adds them."""
        self.model = model
        self.name = model.name
        self.digest = model.digest
        self.family: Mapping[str, CompiledMachine] | None = None
        """The machines that were loaded together with it, by name: its children run these, whatever has been loaded since."""
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

    def draw(self, actions: Container[str]) -> None:
        """Mark the rows that ask for one of these actions: their effects draw before the commit."""
        for row in self.rows.values():
            if any(action.name in actions for action in row.model.actions):
                row.plain = False

    def __repr__(self) -> str:
        return f"<machine {self.name} {self.digest[:8]}>"
