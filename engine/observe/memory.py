"""What a session held before the step that an observer is told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.run import CompiledMachine, Session, Step


class Memory:
    """What the variables that guards read held *before* each step; an observer that others ask.

    Kept for a session only once a row has changed one, and until the session's end.
    """

    def __init__(self) -> None:
        self._kept: dict[Session, dict[str, Any]] = {}
        self._read: dict[CompiledMachine, frozenset[str]] = {}

    def before(self, session: Session) -> Mapping[str, Any]:
        """The values before the step that is being told; ask before ``learn``."""
        kept = self._kept.get(session)
        if kept is not None:
            return kept
        model = session.machine.model
        return {name: model.variables[name].default for name in self.read(session.machine)}

    def learn(self, step: Step) -> None:
        """Remember what the step has set."""
        row, session = step.row, step.session
        if row is None or step.receipt is None:
            return
        if row.final:
            self._kept.pop(session, None)
            return
        read = self.read(session.machine)
        if any(name in read for name in row.variables):
            self._kept[session] = {name: getattr(session, "v_" + name) for name in read}

    def read(self, machine: CompiledMachine) -> frozenset[str]:
        """The variables that the guards of a machine ask about."""
        found = self._read.get(machine)
        if found is None:
            guards = [row.guard for row in machine.model.rows.values() if row.guard is not None]
            names = {node.name for guard in guards for node in x.walk(guard) if isinstance(node, x.Var)}
            found = self._read[machine] = frozenset(names)
        return found
