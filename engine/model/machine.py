"""The data that every other part of the engine reads: a machine, its rows, its catalogue.

Loading turns YAML into these objects; checking, compiling, interpreting, exploring, rendering and
documenting all start from them, so nothing about a table is described twice. They are frozen and hold
no behaviour beyond small lookups.

Words: a *machine* is one table, a *session* one running instance of it, a *row* one transition. A row
of kind ``ignore``, ``refuse`` or ``defer`` is a declared non-transition: it takes the event and leaves
the session where it is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calltable.engine.model.expressions import Expression
    from calltable.engine.model.problems import Position
    from calltable.engine.model.types import Type

ANY = "any"
"""The state specification that stands for every non-final state."""

STARTED = "engine.started"
FAILED = "engine.failed"

RowKind = Literal["row", "ignore", "refuse", "defer"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a machine, with the value new sessions start with."""

    name: str
    type: Type
    default: object
    doc: str
    position: Position


@dataclass(frozen=True, slots=True)
class State:
    """One state. ``lasts`` is empty, or says why a session may stay here as long as the parties like."""

    name: str
    final: bool
    doc: str
    position: Position
    lasts: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of states. ``states`` is flat: groups inside groups are resolved."""

    name: str
    states: tuple[str, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Action:
    """One effect of a row: an entry of the catalogue with its parameters."""

    name: str
    parameters: Mapping[str, Expression]
    position: Position


@dataclass(frozen=True, slots=True)
class Publication:
    """What a row publishes to its owner: a name and values for its fields."""

    name: str
    fields: Mapping[str, Expression]
    position: Position


@dataclass(frozen=True, slots=True)
class Row:
    """One transition.

    ``states`` holds, for every state the row covers, how it was named: 0 where the state itself is
    listed, the size of the smallest naming group where a group is, and ``WIDEST`` for ``any``. An
    ``after`` row has exactly one event, ``after.<row id>``. A ``user.*`` row whose states are left with
    different events becomes several rows, with ids ``<id>@<state>``.
    """

    id: str
    states: Mapping[str, int]
    state_text: str
    events: tuple[str, ...]
    kind: RowKind
    note: str
    guard: Expression | None
    guard_text: str
    otherwise: bool
    priority: int | None
    overrides: tuple[str, ...]
    """The wider rows that this one beats, as its author named them."""
    actions: tuple[Action, ...]
    set: Mapping[str, Expression]
    next_state: str | None
    publish: tuple[Publication, ...]
    after: Expression | None
    locked: bool
    doc: str
    position: Position
    origin: str = ""
    """The fragment or overlay the row came from; empty for the table's own rows."""


WIDEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Child:
    """A child that a table may start: its name (``b``, or ``b*`` for a set) and its machine."""

    name: str
    machine: str
    position: Position

    @property
    def many(self) -> bool:
        """Whether the name stands for a set."""
        return self.name.endswith("*")


@dataclass(frozen=True)
class Machine:
    """One table, loaded and named, ready to check and compile."""

    name: str
    role: str
    doc: str
    durable: bool
    initial: str
    parameters: Mapping[str, Type]
    variables: Mapping[str, Variable]
    publishes: Mapping[str, Mapping[str, Type]]
    receives: tuple[str, ...]
    children: Mapping[str, Child]
    states: Mapping[str, State]
    groups: Mapping[str, Group]
    rows: Mapping[str, Row]
    events: Mapping[str, Event]
    """Every event the machine can ever be given, by name: those of the interfaces it receives,
    ``engine.*``, its named timers, its ``after`` rows, the outcomes of its actions, its children's."""
    position: Position
    digest: str
    """SHA-256 of the canonical content; sessions carry it, so that a reload never changes a running call."""
    removed: Mapping[str, Row] = field(default_factory=dict)
    """Rows that overlays have taken away or replaced, as far as they can still be read: what a hole is best filled with. Their positions are those
    of the overlay that removes them."""

    def in_state(self, state: str) -> Sequence[Row]:
        """The rows that cover a state, in table order."""
        return self._by_state.get(state, ())

    @cached_property
    def _by_state(self) -> Mapping[str, Sequence[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows.values():
            for state in row.states:
                found.setdefault(state, []).append(row)
        return found

    @cached_property
    def taking(self) -> Mapping[str, Sequence[Row]]:
        """The rows by event, in table order; events without a row are not in it."""
        found: dict[str, list[Row]] = {}
        for row in self.rows.values():
            for event in row.events:
                found.setdefault(event, []).append(row)
        return found

    @cached_property
    def prefix(self) -> str:
        """What most ids of rows begin with, up to the first dot; the name's last part where there are no rows."""
        first = Counter(row.id.split(".")[0] for row in self.rows.values()).most_common(1)
        return first[0][0] if first else self.name.rpartition("/")[2]

    @cached_property
    def given(self) -> Mapping[str, Sequence[Expression]]:
        """What rows set each variable to, in table order; variables that no row sets are not in it."""
        found: dict[str, list[Expression]] = {}
        for row in self.rows.values():
            for name, value in row.set.items():
                found.setdefault(name, []).append(value)
        return found


EventSource = Literal["interface", "engine", "timer", "after", "outcome", "child"]


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a table knows it.

    ``source`` says when it can arrive: ``interface`` and ``engine`` at any time, ``timer`` while the named
    timer runs, ``after`` in the states of its row, ``outcome`` while an effect that produces it is
    awaited, ``child`` while the child lives.
    """

    name: str
    fields: Mapping[str, Type]
    must_take: bool
    doc: str
    source: EventSource
    of: str = ""
    """The timer, the row, the child's name or the interface that the event belongs to."""
    command: bool = False
    """Somebody asks for something, and is told where a row refuses it."""


# --------------------------------------------------------------------------- catalogue


HANGUP = "user.hangup"
