"""What predicates answer while tables are explored: everything they might, one after the other.

A predicate is the application's, and what it says is not known here. So a call of one is a choice. While one cell is decided, the
same call has the same answer; each combination of answers is a branch of its own, as in the truth tables of the static checks.
(``office_hours(event.flat)`` and ``office_hours(flat)`` are two calls, whatever their arguments are.)

An element works an input out again for each branch: ``Choices.again`` goes on to the next one.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from calltable.engine.check import GuardTypes, subjects
from calltable.engine.model import expressions as x
from calltable.engine.model import format_expression, format_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.engine.model import Catalogue, Machine, Type

Answers = tuple[tuple[str, Any], ...]
"""Calls of predicates with what they were answered, in the order they were asked in."""

_NUMBERS = (0, 1, 2)
_TEXTS = ("one", "another")
"""What is tried where a predicate's answer is compared with no constant."""


class Choices:
    """Answers calls of predicates by a path of choices, and knows the path after it."""

    def __init__(self) -> None:
        self._path: list[int] = []
        self._sizes: list[int] = []
        self._told: list[tuple[str, Any]] = []
        self._cell: dict[str, Any] = {}

    def ask(self, call: str, domain: Sequence[Any]) -> Any:
        """The answer to a call: the one it had in this cell before, or the one whose turn it is."""
        if call not in self._cell:
            at = len(self._told)
            if at == len(self._path):
                self._path.append(0)
                self._sizes.append(len(domain))
            self._cell[call] = domain[self._path[at]]
            self._told.append((call, self._cell[call]))
        return self._cell[call]

    def forget(self) -> None:
        """Another cell is decided: what was answered before binds nobody."""
        self._cell.clear()

    def begin(self) -> None:
        """Start with the first branch."""
        self._path, self._sizes = [], []
        self._told.clear()
        self._cell.clear()

    def answers(self) -> Answers:
        """What was asked on this branch, and answered."""
        return tuple(self._told)

    def again(self) -> bool:
        """Turn to the next branch; False where there is none."""
        while self._path and self._path[-1] + 1 == self._sizes[-1]:
            self._path.pop()
            self._sizes.pop()
        self._told.clear()
        self._cell.clear()
        if self._path:
            self._path[-1] += 1
        return bool(self._path)


def asking(machine: Machine, catalogue: Catalogue, choices: Choices) -> tuple[Machine, dict[str, Callable[..., Any]]]:
    """The machine with every call of a predicate in a guard under a name of its own, and the functions of these names.

    They answer what ``choices`` says. One of these serves all elements that run the machine, since one thing happens at a time.
    """
    guards = [row.guard for row in machine.rows.values() if row.guard is not None]
    known = {one.text: one.domain for one in subjects(guards, GuardTypes(machine, catalogue)) if isinstance(one.node, x.Call)}
    functions: dict[str, Callable[..., Any]] = {
        name: _function(choices, name, _domain(predicate.returns)) for name, predicate in catalogue.predicates.items()
    }
    calls = {format_expression(node): node for guard in guards for node in x.walk(guard) if isinstance(node, x.Call)}
    if not calls:
        return machine, functions
    for call, node in calls.items():
        functions[call] = _function(choices, call, known.get(call) or _domain(catalogue.predicates[node.name].returns))
    rows = {
        name: row if row.guard is None else dataclasses.replace(row, guard=_named(row.guard))
        for name, row in machine.rows.items()
    }
    return dataclasses.replace(machine, rows=rows), functions


def _function(choices: Choices, call: str, domain: Sequence[Any]) -> Callable[..., Any]:
    def answer(*_: Any) -> Any:
        return choices.ask(call, domain)

    return answer


def _domain(kind: Type) -> tuple[Any, ...]:
    match kind.kind:
        case "bool":
            domain: tuple[Any, ...] = (False, True)
        case "enum":
            domain = kind.values
        case "int" | "duration":
            domain = _NUMBERS
        case _:
            domain = _TEXTS
    return (*domain, None) if kind.optional else domain


def _named(node: Any) -> Any:
    """The expression with every call named by its own text, and without arguments."""
    if isinstance(node, x.Call):
        return x.Call(format_expression(node), ())
    if isinstance(node, tuple):
        return tuple(_named(one) for one in node)
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return type(node)(**{field.name: _named(getattr(node, field.name)) for field in dataclasses.fields(node)})
    return node


def said(answers: Answers) -> str:
    """Answers in words."""
    return ", ".join(f"{call} is {format_literal(answer, bare=True)}" for call, answer in answers)
