"""A row as short texts: what it waits for, what must hold, what it does. Every picture and ``diff`` write rows so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calltable.engine.model import duration_text
from calltable.engine.model import expressions as ex

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.model import Machine, Row


@dataclass(frozen=True, slots=True)
class Line:
    """One row as text: what it waits for, what must hold, what it does. Never trimmed here."""

    row: str
    event: str
    guard: str
    effects: tuple[str, ...]
    brief: tuple[str, ...]
    """``effects`` with the names of the parameters left out: what fits into a picture."""
    category: str
    doc: str
    kind: str = "row"
    goes: str = ""
    """The final state that the row leads to, where its arrow is folded into a line."""
    overlay: str = ""
    """The file of the overlay that the row comes from; empty for the rows of the table and its fragments."""

    @property
    def text(self) -> str:
        """The whole row on one line, UML's ``event [guard] / effects``."""
        guard = f" [{self.guard}]" if self.guard else ""
        effects = f" / {'; '.join(self.effects)}" if self.effects else ""
        goes = f" → {self.goes}" if self.goes else ""
        return f"{self.event}{guard}{effects}{goes}"

    @property
    def tooltip(self) -> str:
        """Everything there is to say of the row, on some lines."""
        return "\n".join(filter(None, (self.row, self.text, self.doc, self.overlay and f"from overlay {self.overlay}")))


def overlay(row: Row) -> str:
    """The file of the overlay that a row comes from, or an empty text."""
    return row.origin.removeprefix("overlay ") if row.origin.startswith("overlay ") else ""


def line(machine: Machine, row: Row) -> Line:
    """The row as text."""
    events = [f"after {value(row.after)}"] if row.after is not None else list(row.events)
    guard = "otherwise" if row.otherwise else row.guard_text
    return Line(
        row=row.id,
        event=", ".join(events),
        guard=guard,
        effects=tuple(effects(row)),
        brief=tuple(effects(row, brief=True)),
        category=category(machine, row.events[0]),
        doc=row.doc,
        kind=row.kind,
        overlay=overlay(row),
    )


def category(machine: Machine, event: str) -> str:
    """Who the event comes from: ``user``, ``sip``, ``media``, ``timer``, ``engine`` or ``child`` (by colour)."""
    known = machine.events.get(event)
    if known is not None and known.source in {"timer", "after", "child", "engine"}:
        return "timer" if known.source == "after" else known.source
    prefix = event.partition(".")[0]
    if prefix == "after":
        return "timer"
    return prefix if prefix in {"user", "media", "timer", "engine"} else "sip"


def effects(row: Row, *, brief: bool = False) -> Iterable[str]:
    """What the row does, in the order in which it does it, each as a short text."""
    match row.kind:
        case "ignore":
            yield f"ignored: {row.note}"
        case "refuse":
            yield f"refused: {row.note}"
        case "defer":
            yield "deferred"
        case "row":
            yield from (_call(action.name, action.parameters, brief=brief) for action in row.actions)
            yield from (f"{name} := {value(item)}" for name, item in row.set.items())
            yield from ("↑ " + _call(item.name, item.fields, brief=brief) for item in row.publish)


def _call(name: str, values: Mapping[str, ex.Expression], *, brief: bool) -> str:
    told = {key: value(item) for key, item in values.items() if item != ex.Mapping(())}
    inside = ", ".join(told.values()) if brief else ", ".join(f"{key}: {text}" for key, text in told.items())
    return f"{name}({inside})" if inside else name


def value(item: ex.Expression) -> str:
    """A value as the table writes it."""
    match item:
        case ex.Literal(value=constant):
            return _constant(constant)
        case ex.Var(name=name):
            return f"${name}"
        case ex.Field(name=name):
            return f"$event.{name}"
        case ex.Config(name=name):
            return f"$config.{name}"
        case ex.Mapping(items=items):
            return "{" + ", ".join(f"{name}: {value(inner)}" for name, inner in items) + "}"
        case ex.Between(low=low, high=high):
            return f"{value(low)} … {value(high)}"
        case _:
            return "(guard)"


def _constant(constant: object) -> str:
    match constant:
        case None:
            return "null"
        case bool():
            return str(constant).lower()
        case float():
            return duration_text(constant)
        case tuple():
            return "[" + ", ".join(map(_constant, constant)) + "]"
        case _:
            return str(constant)
