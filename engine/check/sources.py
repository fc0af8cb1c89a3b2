"""What raises pending events, and what rows do to it: small pieces of the walk in ``pending.py``.

A *source* is a timer that runs, an ``after`` row that is armed, an action whose outcome is awaited, a child that
lives, or a deferred event that waits to be replayed. Rows start and stop sources; how many of one source are
live is counted up to ``MANY``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from calltable.engine.model import Action, Row

MANY = 3
"""Counts are exact below; this one stands for itself and everything above."""

SourceKind = Literal["timer", "repeating", "after", "action", "child", "held", "setup", "going", "hurried"]

UNASKED = 2
"""A child in set-up that waits for a command."""
ASKED, SETTLED = -1, -2
"""Changes: a child that waited for a command has got it; one that did not wait is where it may last."""


class Edge(NamedTuple):
    """One way on from a state: a row, taking an event, to the state it leads to."""

    row: Row
    event: str
    target: str
    enters: bool
    """Whether ``after`` rows are armed anew."""


class Source(NamedTuple):
    """Something that will raise events: its kind and its name (of the timer, the row, the action, the child).

    ``held`` is a pending event that was deferred: its source may be gone, it will be replayed. ``setup``, ``going`` and
    ``hurried`` raise nothing: they say whether a child or an action can be relied on (``certain.py``).
    """

    kind: SourceKind
    name: str

    def __str__(self) -> str:
        match self.kind:
            case "timer" | "repeating":
                return f"timer {self.name}"
            case "after":
                return f"the after row {self.name}"
            case "action":
                return f"the outcome of {self.name}"
            case "child":
                return f"child {self.name}"
            case "held":
                return f"deferred {self.name}"
            case _:
                return f"{self.name}, {self.kind}"

    @property
    def most(self) -> int:
        """The highest count: some sources can be live only once."""
        return UNASKED if self.kind == "setup" else MANY if self.kind == "action" or "*" in self.name else 1


def one_less(count: int) -> tuple[int, ...]:
    """What is left of a count when one source has ended."""
    return (MANY - 1, MANY) if count == MANY else (count - 1,)


def after_change(count: int, change: int | None, most: int) -> int:
    """The count after a change: set to 0, 1 or ``UNASKED``, one more (None), ``ASKED`` or ``SETTLED``."""
    match change:
        case None:
            return min(count + 1, most)
        case -1:
            return 1 if count == UNASKED else count
        case -2:
            return 0 if count == 1 else count
        case _:
            return change


def literal(action: Action, parameter: str) -> str | None:
    """The text a parameter is given, where it is a plain literal."""
    value = action.parameters.get(parameter)
    return value.value if isinstance(value, x.Literal) and isinstance(value.value, str) else None


def with_count(counts: tuple[int, ...], index: int, count: int) -> tuple[int, ...]:
    """The counts with one of them replaced."""
    return (*counts[:index], count, *counts[index + 1 :])


def assigned(values: tuple[object, ...], sets: Sequence[tuple[int, tuple[object, ...]]]) -> list[tuple[object, ...]]:
    """The values after an assignment: more than one where it is not known what is assigned."""
    found = [values]
    for index, choices in sets:
        found = [(*one[:index], choice, *one[index + 1 :]) for one in found for choice in choices]
    return found


def sets_of(row: Row, flags: Mapping[str, tuple[object, ...]]) -> Iterator[tuple[int, tuple[object, ...]]]:
    """What a row assigns to the tracked variables."""
    for index, (name, choices) in enumerate(flags.items()):
        if name in row.set:
            value = row.set[name]
            yield index, (value.value,) if isinstance(value, x.Literal) else choices


def changes_of(row: Row, event: str, at: Mapping[Source, int]) -> Iterator[tuple[int, int | None]]:
    """What a row, taking an event, does to the sources of a group, in order: set to 0 or 1, or None: one more."""
    if row.kind == "defer" and (index := at.get(Source("held", event))) is not None:
        yield index, None
    for name in _none_left(row):
        if (index := at.get(Source("child", name))) is not None:
            yield index, 0
    for action in row.actions:
        wanted: Iterable[tuple[Source, int | None]]
        name = literal(action, "name") or ""
        match action.name:
            case "timer.start":
                repeats = not _absent(action.parameters.get("repeat"))
                wanted = ((Source("timer", name), int(not repeats)), (Source("repeating", name), int(repeats)))
            case "timer.stop":
                wanted = ((Source("timer", name), 0), (Source("repeating", name), 0))
            case "child.end":
                wanted = ((Source("child", name), 0),)
            case "child.start":
                wanted = ((Source("child", name), None),)
            case _:
                wanted = ((Source("action", action.name), None),)
        for source, change in wanted:
            if (index := at.get(source)) is not None:
                yield index, change


def _absent(value: x.Expression | None) -> bool:
    return value is None or (isinstance(value, x.Literal) and value.value is None)


def _none_left(row: Row) -> Iterator[str]:
    """Sets of children of which the row's guard says that none lives: ``count(b*) == 0``."""
    guard = row.guard
    for part in guard.items if isinstance(guard, x.And) else () if guard is None else (guard,):
        match part:
            case x.Compare(operator="==", left=x.Count(child=child, state=None), right=x.Literal(value=0)):
                yield child
            case x.Compare(operator="<", left=x.Count(child=child, state=None), right=x.Literal(value=1)):
                yield child
