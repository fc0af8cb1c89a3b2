"""Generated tables of any number of states, to see how the checks' work grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_HEAD = """\
calltable: 1
machine: wide
doc: Generated.
initial: idle
receives: [user.phone, peer]
variables: {held: bool}
states:
"""
_EVERYWHERE = (
    "id: w.bye, state: any, event: [peer.bye, user.hangup], next_state: over",
    "id: w.hold, state: any, event: user.hold, refuse: not now",
    "id: w.info, state: any, event: peer.info, ignore: late",
    "id: w.failed, state: any, event: engine.failed, next_state: over",
)


def _table(states: Iterable[str], rows: Iterable[str]) -> str:
    declared = "".join(f"  {state}: {{doc: generated}}\n" for state in ("idle", *states))
    return f"{_HEAD}{declared}  over: {{final: true}}\nrows:\n" + "".join(f"  - {{{row}}}\n" for row in rows)


def _chain(size: int, row: Callable[[int, str, str], Iterable[str]], first: str = "", last: str = "over") -> list[str]:
    """The rows of a chain of ``size`` states; ``row`` is given the number, the state and the one that follows."""
    states = [*(f"s{i}" for i in range(size)), last]
    actions = f", actions: [{first}]" if first else ""
    found = [f"id: w.start, state: idle, event: engine.started{actions}, next_state: s0"]
    for i in range(size):
        found += row(i, states[i], states[i + 1])
    return found


def _names(size: int, *more: str) -> list[str]:
    return [*(f"s{i}" for i in range(size)), *more]


def sound(size: int) -> str:
    """States with a time each, and a flag that guards ask."""
    rows = _chain(size, lambda i, here, there: (
        f"id: w.{i}.hold, state: {here}, event: user.hold, guards: [not held], set: {{held: true}}, next_state: {there}, overrides: w.hold",
        f"id: w.{i}.free, state: {here}, event: user.hold, guards: [held], set: {{held: false}}, overrides: w.hold",
        f"id: w.{i}.over, state: {here}, after: 5s, next_state: {there}",
    ))  # fmt: skip
    idle = "id: w.hold, state: idle, event: user.hold, refuse: not now"
    rest = [idle if one.startswith("id: w.hold") else one for one in _EVERYWHERE]
    return _table(_names(size), [one.replace(", overrides: w.hold", "") for one in (*rows, *rest)])


def timers(size: int) -> str:
    """Each state has a timer of its own, started by the row that leads there; names run against the order."""
    def row(i: int, here: str, there: str) -> Iterable[str]:
        start = f", actions: [timer.start: {{name: t{size - i - 1:05}, after: 1}}]" if i + 1 < size else ""
        yield f"id: w.{i}, state: {here}, event: timer.t{size - i:05}{start}, next_state: {there}"

    rows = _chain(size, row, f"timer.start: {{name: t{size:05}, after: 1}}")
    return _table(_names(size), (*rows, *_EVERYWHERE))


def holes(size: int) -> str:
    """Nothing takes what comes in any state."""
    rows = _chain(size, lambda i, here, there: (f"id: w.{i}.over, state: {here}, after: 2s, next_state: {there}",))
    return _table(_names(size), (*rows, _EVERYWHERE[-1]))


def waiting(size: int) -> str:
    """A session can wait for ever in every state."""
    rows = _chain(size, lambda i, here, there: (
        f"id: w.{i}.info, state: {here}, event: peer.info, next_state: {there}, overrides: w.info",
    ))  # fmt: skip
    return _table(_names(size), (*rows, *_EVERYWHERE))


def deferring(size: int) -> str:
    """An outcome is deferred through all states and taken in the last one."""
    rows = _chain(size, lambda i, here, there: (
        f"id: w.{i}.over, state: {here}, after: 2s, next_state: {there}",
        f"id: w.{i}.later, state: {here}, event: [media.ready, media.failed], defer: true",
    ), "media.open", "last")  # fmt: skip
    taking = "id: w.last, state: last, event: [media.ready, media.failed], next_state: over"
    return _table(_names(size, "last"), (*rows, taking, *_EVERYWHERE))


def restarting(size: int) -> str:
    """A time that starts a timer, which leads on: what must come changes hands in every state."""
    rows = _chain(size, lambda i, here, there: (
        f"id: w.{i}.wait, state: {here}, after: 2s, actions: [timer.start: {{name: t{i}, after: 1}}]",
        f"id: w.{i}.on, state: {here}, event: timer.t{i}, next_state: {there}",
    ))  # fmt: skip
    return _table(_names(size), (*rows, *_EVERYWHERE))


def instant(size: int) -> str:
    """No time passes in any state."""
    rows = _chain(size, lambda i, here, there: (f"id: w.{i}, state: {here}, after: 0s, next_state: {there}",))
    return _table(_names(size), (*rows, *_EVERYWHERE))


SHAPES: dict[str, Callable[[int], str]] = {
    one.__name__: one for one in (sound, timers, holes, waiting, deferring, restarting, instant)
}
