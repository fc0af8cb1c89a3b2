"""Collecting what is wrong, so that one load tells everything at once.

A ``Report`` is handed down through the loader; each step narrows its context (table, row, state, event)
with ``within`` and goes on after a complaint wherever it can. All narrowed reports share one list.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 12
"""How many known names a hint lists before it trails off."""


class Report:
    """A list of problems with the context that the next one belongs to."""

    __slots__ = ("context", "problems")

    def __init__(self, problems: list[Problem] | None = None, context: dict[str, str] | None = None) -> None:
        self.problems: list[Problem] = [] if problems is None else problems
        self.context: dict[str, str] = context or {}

    def within(self, **context: str) -> Self:
        """A report on something inside this one: ``table=``, ``row=``, ``state=``, ``event=``."""
        return type(self)(self.problems, {**self.context, **context})

    def add(self, position: Position, message: str, *, code: str, hint: str = "") -> None:
        """Note one problem."""
        self.problems.append(Problem(position, message, hint=hint, code=code, **self.context))  # type: ignore[arg-type]

    def unknown(self, position: Position, what: str, name: str, known: Iterable[str]) -> None:
        """Note that ``name`` is no ``what`` (``state``, ``action`` …) and suggest one that is."""
        code = "unknown-" + what.replace(" ", "-")
        self.add(position, f"unknown {what} {name!r}", code=code, hint=suggestion(name, known, what))


def suggestion(name: str, known: Iterable[str], what: str = "name") -> str:
    """«did you mean ringing?», or what there is to choose from where nothing is close."""
    names = sorted(set(known))
    close = close_matches(name, names)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return f"there is no {what} to choose from here"
    shown = ", ".join(names[:_SHOWN])
    return f"known: {shown}" + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def close_matches(name: str, names: Iterable[str]) -> list[str]:
    """At most two of ``names`` that look like ``name``, the likeliest first."""
    known = sorted(set(names))
    folded = {one.lower().replace("-", "_"): one for one in known}
    wanted = name.lower().replace("-", "_")
    close = difflib.get_close_matches(wanted, folded, n=2, cutoff=0.65)
    if close:
        alike = [difflib.SequenceMatcher(None, one, wanted).ratio() for one in close]
        return [folded[one] for one, ratio in zip(close, alike, strict=True) if ratio > alike[0] - 0.05]
    last = name.rpartition(".")[2]
    return [one for one in known if one.rpartition(".")[2] == last][:2] if last else []


def unique(problems: Iterable[Problem]) -> list[Problem]:
    """The problems without repetitions: a fragment's mistake is one mistake, however many tables include it."""
    seen: set[tuple[Position, str]] = set()
    kept = []
    for problem in problems:
        key = (problem.position, problem.message)
        if key not in seen:
            seen.add(key)
            kept.append(problem)
    return kept


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where something stands in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Position("<built-in>", 1, 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a table: where, in what, and how to fix it."""

    position: Position
    message: str
    table: str = ""
    row: str = ""
    state: str = ""
    event: str = ""
    hint: str = ""
    gate: int = 1
    code: str = "invalid"
    """A short stable identifier of the rule that was broken (``unknown-action``, ``hole``, …)."""

    def __str__(self) -> str:
        where = ", ".join(
            f"{label} {value}"
            for label, value in (
                ("table", self.table), ("row", self.row), ("state", self.state), ("event", self.event),
            )
            if value
        )
        text = f"{self.position}: {self.message}"
        if where:
            text += f" ({where})"
        return text + (f"\n    {self.hint}" if self.hint else "")


class TableError(Exception):
    """One or more tables do not load; ``problems`` holds every reason found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: p.position)
        super().__init__("\n".join(map(str, self.problems)))
