"""Guards and values as trees. The text form is read by ``guards.py``; this module only says what a tree is.

The language is pure and small on purpose: no loops, no assignment, no string building. A tree can be
evaluated by the interpreter, written out as Python source by the compiler, and enumerated by the
checks, and all three walk the same few node classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: bool, int, float (seconds), str, None, or a tuple of constants."""

    value: object


@dataclass(frozen=True, slots=True)
class Var:
    """A variable of the session: ``$name`` in values, ``name`` in guards."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event's payload: ``$event.name`` in values, ``event.name`` in guards."""

    name: str


@dataclass(frozen=True, slots=True)
class Config:
    """A configured value: ``$config.name`` in values, ``config.name`` in guards."""

    name: str


@dataclass(frozen=True, slots=True)
class Count:
    """``count(child*)`` or ``count(child*, state)``: how many children of a set live (in that state)."""

    child: str
    state: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A registered pure predicate."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """``operator`` is one of ``== != < <= > >=``. With null on either side only ``==`` and ``!=`` can hold."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class In:
    """``item in [..]``."""

    item: Expression
    members: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """``item is null``."""

    item: Expression


@dataclass(frozen=True, slots=True)
class Not:
    """``not item``."""

    item: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All of ``items`` hold."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of ``items`` holds."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A value made of named values (``with: {target: $target}``); keys in table order."""

    items: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Between:
    """``{between: [low, high]}``: a duration drawn from the injected random source, seconds."""

    low: Expression
    high: Expression


Expression: TypeAlias = (
    Literal | Var | Field | Config | Count | Call | Compare | In | IsNull | Not | And | Or | Mapping | Between
)


def parts(node: Expression) -> tuple[Expression, ...]:
    """The direct sub-expressions of a node."""
    match node:
        case Compare(left=left, right=right):
            return (left, right)
        case In(item=item, members=members):
            return (item, *members)
        case IsNull(item=item) | Not(item=item):
            return (item,)
        case And(items=items) | Or(items=items):
            return items
        case Call(arguments=arguments):
            return arguments
        case Mapping(items=pairs):
            return tuple(value for _, value in pairs)
        case Between(low=low, high=high):
            return (low, high)
        case _:
            return ()


def walk(node: Expression) -> Iterator[Expression]:
    """The node and everything below it."""
    yield node
    for part in parts(node):
        yield from walk(part)
