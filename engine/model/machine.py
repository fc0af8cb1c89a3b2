"""The data that every other part of the engine reads: a machine, its rows, its catalogue.

Loading turns YAML into these objects; checking, compiling, interpreting, exploring, rendering and
documenting all start from them, so nothing about a table is described twice. They are frozen and hold
no behaviour beyond small lookups.

Words: a *machine* is one table, a *session* one running instance of it, a *row* one transition. A row
of kind ``ignore``, ``refuse`` or ``defer`` is a declared non-transition: it takes the event and leaves
the session where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from calltable.engine.model.expressions import Expression

ANY = "any"
"""The state specification that stands for every non-final state."""

STARTED = "engine.started"
FAILED = "engine.failed"

RowKind = Literal["row", "ignore", "refuse", "defer"]


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
class Type:
    """The type of a variable, a field or a parameter.

    ``kind`` is one of ``KINDS``. ``duration`` values are seconds as float. ``values`` lists the members
    of an ``enum`` (elsewhere: literals that are allowed beside the kind's own values, such as
    ``invite`` for a ``handle``). ``optional`` admits null.
    """

    kind: str
    optional: bool = False
    values: tuple[str, ...] = ()
    low: float | None = field(default=None, repr=False)
    high: float | None = field(default=None, repr=False)
    """The bounds of an ``int`` or a ``duration`` (seconds) that the catalogue sets."""

    def __str__(self) -> str:
        text = f"enum[{', '.join(self.values)}]" if self.kind == "enum" else self.kind
        return text + ("?" if self.optional else "")


KINDS = ("bool", "int", "string", "duration", "enum", "uri", "message", "handle", "map", "list", "name")
"""``message`` and ``handle`` are opaque to the engine: adapters make and read them. ``name`` is the name
of something in the table (a child, a timer, a machine, an event) and is checked by the loader."""


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


@dataclass(frozen=True, slots=True)
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
    """Rows that overlays have taken away, as far as they can still be read: what a hole is best filled with."""

    def in_state(self, state: str) -> Iterator[Row]:
        """The rows that cover a state, in table order."""
        return (row for row in self.rows.values() if state in row.states)


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
    """The timer, the row, or the child's name that the event belongs to."""


# --------------------------------------------------------------------------- catalogue


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an action, or a configured value."""

    name: str
    type: Type
    required: bool
    default: object
    doc: str


@dataclass(frozen=True, slots=True)
class OutcomeSpec:
    """An event that an action can lead to. ``more`` is true where others of the same action may follow
    it (a provisional response); the action is awaited until one without ``more`` has come.
    """

    event: str
    more: bool


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """What the catalogue says of an action.

    ``sends`` names the abstract message it puts on the wire; ``acquires`` and ``releases`` name the
    obligations it opens and settles. All three may carry ``{parameter}`` placeholders.
    """

    name: str
    doc: str
    parameters: Mapping[str, Parameter]
    outcomes: tuple[OutcomeSpec, ...]
    acquires: tuple[str, ...]
    releases: tuple[str, ...]
    sends: str | None
    position: Position
    open_ended: bool = False
    """The other side may keep its last outcome back as long as it likes."""
    hurries: tuple[str, ...] = ()
    """Actions that are ``open_ended`` no longer once this one was taken."""


@dataclass(frozen=True, slots=True)
class EventSpec:
    """What the catalogue says of an event."""

    name: str
    fields: Mapping[str, Type]
    must_take: bool
    acquires: tuple[str, ...]
    """Obligations that the arrival of the event opens (a request owes a final response)."""
    releases: tuple[str, ...]
    doc: str
    position: Position


@dataclass(frozen=True, slots=True)
class Interface:
    """A named set of events that machines may receive."""

    name: str
    doc: str
    events: Mapping[str, EventSpec]
    position: Position


@dataclass(frozen=True, slots=True)
class Predicate:
    """A named pure function that guards may call; ``returns`` is its type."""

    name: str
    parameters: tuple[Type, ...]
    returns: Type
    doc: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything tables may name: events, actions, predicates, configuration."""

    interfaces: Mapping[str, Interface]
    outcomes: Mapping[str, EventSpec]
    """Events that arrive only as the outcome of an action, by name."""
    actions: Mapping[str, ActionSpec]
    predicates: Mapping[str, Predicate]
    config: Mapping[str, Parameter]
    """What ``$config.<name>`` may name."""

    def check_setting(self, name: str, value: object) -> str | None:
        """What is wrong with a value (durations: seconds) for the setting ``name``; None where nothing is."""
        from calltable.engine.language.literals import unfit  # noqa: PLC0415 - kinds is built on this module

        if name not in self.config:
            return f"no table knows the setting {name}; there are {', '.join(sorted(self.config))}"
        why = unfit(value, self.config[name].type)
        return f"{name}: {why}" if why else None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a table: where, in what, and how to mend it."""

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
