"""The catalogue: every event, action, interface and predicate that tables may name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.model.problems import Position
    from calltable.engine.model.types import Type


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
    takes_over: tuple[str, ...] = ()
    """Parameters that hold a handle: what is owed to it is owed by what this action opens from then on."""
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
    command: bool = False
    """Somebody asks for something and is told where it is refused: the event of an interface of ``commands``."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A named set of events that machines may receive. ``commands``: an owner's, which rows may refuse."""

    name: str
    doc: str
    events: Mapping[str, EventSpec]
    position: Position
    commands: bool = False


@dataclass(frozen=True, slots=True)
class Obligation:
    """In words: what is owed, and how a table settles it. ``name`` is as ``acquires`` writes it."""

    name: str
    what: str
    fix: str


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
    owes: Mapping[str, Obligation] = field(default_factory=dict)
    """The obligations that have words of their own, by name."""

    def check_setting(self, name: str, value: object) -> str | None:
        """What is wrong with a value (durations: seconds) for the setting ``name``; None where nothing is."""
        from calltable.engine.model.types import unfit  # noqa: PLC0415 - kinds is built on this module

        if name not in self.config:
            return f"no table knows the setting {name}; there are {', '.join(sorted(self.config))}"
        why = unfit(value, self.config[name].type)
        return f"{name}: {why}" if why else None
