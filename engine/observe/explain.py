"""Why a row fired and another did not: the rows of a cell with each guard taken apart, for one event as it came.

``explain`` needs what the session held before the event (the variables that guards read), the event's fields, and how many
children lived; it asks the rows in the engine's own order (``resolve.py``) with the interpreter. Of a guard that
did not hold it names the parts that failed, each with the values it met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calltable.engine.check import is_subject
from calltable.engine.model import expressions as x
from calltable.engine.model import format_expression, show_value, tiers
from calltable.engine.run import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from calltable.engine.model import Machine, Row


@dataclass(frozen=True, slots=True)
class Considered:
    """One row of a cell. ``verdict`` is ``taken``, ``failed`` (its guard), or ``not asked`` (another was taken first).

    ``values`` are what its guard asked about, ``failed`` the parts of the guard that did not hold.
    """

    row: Row
    verdict: str
    values: tuple[tuple[str, object], ...]
    failed: tuple[str, ...]

    def __str__(self) -> str:
        """One line, without the row's id."""
        told = ", ".join(f"{name} = {show_value(value)}" for name, value in self.values)
        met = f" ({told})" if told else ""
        if self.verdict == "failed":
            return f"its guard «{' and '.join(self.failed)}» does not hold{met}"
        if self.verdict == "not asked":
            return f"a row before it was taken{met}"
        if self.row.after is not None:
            return "its time was up" + met
        return ("its guard holds" if self.row.guard is not None else "it has no guard") + met


class _Then:
    """A session as it was."""

    def __init__(self, values: Mapping[str, Any], counts: Mapping[tuple[str, str | None], int]) -> None:
        self._counts = counts
        for name, value in values.items():
            setattr(self, "v_" + name, value)

    def count(self, child: str, state: str | None = None) -> int:
        return self._counts.get((child, state), 0)


def explain(
    machine: Machine, state: str, event: str, values: Mapping[str, Any], payload: Mapping[str, Any], *,
    counts: Mapping[tuple[str, str | None], int] | None = None, config: Mapping[str, Any] | None = None,
    predicates: Mapping[str, Callable[..., Any]] | None = None,
) -> list[Considered]:
    """The rows of the cell (state, event) in the order in which they were asked, with what became of each."""
    env = Environment(_Then(values, counts or {}), payload, config or {}, predicates or {})  # type: ignore[arg-type]
    found: list[Considered] = []
    taken = False
    for tier in tiers(machine, state, event):
        here = False
        for row in tier:
            guard = row.guard if row.after is None else None
            met = tuple(_met(guard, env)) if guard is not None else ()
            failed: tuple[str, ...] = ()
            if taken:
                verdict = "not asked"
            elif guard is None or env.value(guard):
                verdict, here = "taken", True
            else:
                verdict, failed = "failed", tuple(_failed(guard, env))
            found.append(Considered(row, verdict, met, failed))
        taken = taken or here
    return found


def why_not(machine: Machine, row: Row, state: str, event: str) -> str:
    """Why a row has no part in a cell; empty where it has."""
    reasons = []
    if state not in row.states:
        reasons.append(f"it is a row for {row.state_text}, and the session was in {state}")
    if event not in row.events:
        waits = f"waits for {', '.join(row.events)}" if row.after is None else "is a timer"
        reasons.append(f"it {waits}, and what came was {event}")
    if row.id not in machine.rows:
        reasons.append(f"{machine.name} has no such row")
    return "; ".join(reasons)


def _met(guard: x.Expression, env: Environment) -> Iterator[tuple[str, object]]:
    told = set()
    for node in x.walk(guard):
        if is_subject(node) and format_expression(node) not in told:
            told.add(format_expression(node))
            yield format_expression(node), env.value(node)


def _failed(guard: x.Expression, env: Environment) -> Iterator[str]:
    """The smallest parts that made the guard fail."""
    if isinstance(guard, x.And):
        for item in guard.items:
            if not env.value(item):
                yield from _failed(item, env)
    else:
        yield format_expression(guard)


