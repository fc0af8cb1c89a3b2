"""What guards ask about, and the values that show everything a guard can do.

A *subject* is a variable, a field, a setting, a count of children or a predicate's answer. A *valuation* gives each subject of
a cell one value; combinations that cannot be are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from calltable.engine.model import Type, format_expression, format_literal
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from calltable.engine.model import Catalogue, Machine


ATOMS = 12
"""More conditions than this in one cell are an error that asks to simplify."""
VALUATIONS = 4096
"""More combinations than this in one cell are an error that asks to simplify."""
Values: TypeAlias = tuple[object, ...]
"""One valuation: a value for each subject, in their order."""
Comparison: TypeAlias = Callable[[Values], Any]
_NOTHING: Final[Mapping[str, object]] = {}
_ORDERED = frozenset({"int", "duration"})
_SMALL = frozenset({"bool", "enum"})


class _Other:
    """A value that no guard of the cell names."""

    def __repr__(self) -> str:
        return "anything else"


OTHER: Final = _Other()


class TooWideError(Exception):
    """The guards of a cell have more atoms or valuations than are tried; ``str()`` says how many."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What guards ask about, and the values that are tried for it.

    ``node`` is the expression; for two subjects compared with each other it is the comparison and the
    values are ``<``, ``==``, ``>``, ``!=``, ``null`` (one of them is) and ``nulls`` (both are).
    """

    node: x.Expression
    text: str
    type: Type
    domain: Values
    constants: frozenset[object] = frozenset()

    def says(self, value: object) -> str:
        """The value in words: ``answered = true``, ``event.code = 486``."""
        if isinstance(self.node, x.Compare):
            left, right = format_expression(self.node.left), format_expression(self.node.right)
            if value in ("null", "nulls"):
                return f"{'both' if value == 'nulls' else 'one'} of {left} and {right} null"
            return f"{left} {value} {right}"
        if value is OTHER and not self.constants:
            return f"{self.text} not null"
        return f"{self.text} = {format_literal(value, bare=True)}"

    def guard(self, value: object) -> x.Expression:
        """A guard that holds for this value."""
        if isinstance(self.node, x.Compare):
            nulls = (x.IsNull(self.node.left), x.IsNull(self.node.right))
            if value == "nulls":
                return x.And(nulls)
            return x.Or(nulls) if value == "null" else x.Compare(str(value), self.node.left, self.node.right)
        if value is None:
            return x.IsNull(self.node)
        if self.type.kind == "bool":
            return self.node if value else x.Not(self.node)
        if value is OTHER or (self.type.kind in _ORDERED and value not in self.constants):
            return _all(self._unnamed(value))
        return x.Compare("==", self.node, x.Literal(value))

    def _unnamed(self, value: Any) -> list[x.Expression]:
        """Guards for a value that no guard names: the gap between two constants, or none of them."""
        found: list[x.Expression] = []
        if value is OTHER:
            if self.constants:
                found.append(x.Not(x.In(self.node, tuple(map(x.Literal, sorted(self.constants, key=str))))))
            return [*found, x.Not(x.IsNull(self.node))] if self.type.optional or not found else found
        numbers: list[Any] = sorted(self.constants)
        below = [c for c in numbers if c < value]
        above = [c for c in numbers if c > value]
        if below:
            found.append(x.Compare(">", self.node, x.Literal(below[-1])))
        return [*found, x.Compare("<", self.node, x.Literal(above[0]))] if above else found


def _all(guards: Sequence[x.Expression]) -> x.Expression:
    return guards[0] if len(guards) == 1 else x.And(tuple(guards))


@dataclass(frozen=True, slots=True)
class Cube:
    """A set of valuations: some subjects fixed, the others free to be anything."""

    fixed: tuple[tuple[Subject, object], ...]

    def __str__(self) -> str:
        return ", ".join(subject.says(value) for subject, value in self.fixed)

    def guards(self) -> list[x.Expression]:
        """Guards that together hold exactly here."""
        return [subject.guard(value) for subject, value in self.fixed]


@dataclass(slots=True)
class GuardTypes:
    """Where the names of a guard get their types from: a machine, the catalogue, one event."""

    machine: Machine
    catalogue: Catalogue
    event: str = ""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Variables of which the value is known."""

    def values(self, node: x.Expression) -> Values | None:
        """The only values a variable can have: the known one, or its default and what rows set, where all
        of those are plain numbers or texts. (A table has no arithmetic.) None where anything is possible.
        """
        if not isinstance(node, x.Var) or node.name not in self.machine.variables:
            return None
        if node.name in self.fixed:
            return (self.fixed[node.name],)
        variable = self.machine.variables[node.name]
        given = self.machine.given.get(node.name, ())
        if variable.type.kind in _SMALL or not all(isinstance(one, x.Literal) for one in given):
            return None
        return tuple(dict.fromkeys([variable.default, *(one.value for one in given if isinstance(one, x.Literal))]))

    def type(self, node: x.Expression) -> Type:
        """The type of a subject. A name that nothing declares (gate 1 reports it) is taken for a string."""
        found: Type | None = None
        match node:
            case x.Var(name=name) if name in self.machine.variables:
                found = self.machine.variables[name].type
            case x.Field(name=name) if self.event in self.machine.events:
                found = self.machine.events[self.event].fields.get(name)
            case x.Config(name=name) if name in self.catalogue.config:
                found = self.catalogue.config[name].type
            case x.Call(name=name) if name in self.catalogue.predicates:
                found = self.catalogue.predicates[name].returns
            case x.Count():
                found = Type("int")
        return found or Type("string", optional=True)


def subjects(guards: Iterable[x.Expression], scope: GuardTypes) -> list[Subject]:
    """What the guards ask about, in order of appearance, each with the values to try."""
    nodes: dict[str, x.Expression] = {}
    constants: dict[str, set[object]] = {}

    def visit(node: x.Expression) -> None:
        match node:
            case x.Compare(left=left, right=right) if is_subject(left) and is_subject(right) and not (
                scope.type(left).kind in _SMALL and scope.type(right).kind in _SMALL
            ):
                nodes.setdefault(_pair(node), node if format_expression(left) <= format_expression(right) else x.Compare("==", right, left))
                return
            case x.Compare(left=left, right=x.Literal(value=value)) | x.Compare(left=x.Literal(value=value), right=left):
                constants.setdefault(format_expression(left), set()).add(value)
            case x.In(item=item, members=members):
                constants.setdefault(format_expression(item), set()).update(member.value for member in members)
            case _ if is_subject(node):
                nodes.setdefault(format_expression(node), node)
                return
        for part in x.parts(node):
            visit(part)

    for guard in guards:
        visit(guard)
    return [_subject(name, node, constants.get(name, set()), scope) for name, node in nodes.items()]


def is_subject(node: x.Expression) -> bool:
    """Whether truth tables take the node as a whole."""
    return isinstance(node, x.Var | x.Field | x.Config | x.Count | x.Call)


def _subject(name: str, node: x.Expression, constants: set[object], scope: GuardTypes) -> Subject:
    if isinstance(node, x.Compare):
        left, right = scope.type(node.left), scope.type(node.right)
        stands: tuple[str, ...] = ("==", "!=")
        if left.kind in _ORDERED and right.kind in _ORDERED:
            stands = ("<", "==", ">")
            stands += ("null",) if left.optional or right.optional else ()
            stands += ("nulls",) if left.optional and right.optional else ()
        return Subject(node, name, Type("bool"), stands)
    kind = scope.type(node)
    named = frozenset(constants - {None})
    only = scope.values(node)
    if only is not None:
        return Subject(node, name, kind, only, named)
    domain: Values
    if kind.kind == "bool":
        domain = (False, True)
    elif kind.kind == "enum":
        domain = kind.values
    elif kind.kind in _ORDERED and named:
        low = 0 if kind.kind == "duration" or isinstance(node, x.Count) else None
        domain = tuple(_around(sorted(named, key=_number), low, whole=kind.kind == "int"))
    else:
        domain = (*sorted(named, key=str), OTHER)
    return Subject(node, name, kind, (*domain, None) if kind.optional else domain, named)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _around(constants: Sequence[Any], low: int | None, *, whole: bool) -> Iterator[object]:
    """The constants and one number in each gap below, between and above them."""
    first = constants[0]
    if low is None or first - 1 >= low:
        yield first - 1
    elif first > low:
        yield low if whole else first / 2
    for one, after in itertools.pairwise(constants):
        yield one
        if not whole:
            yield (one + after) / 2
        elif one + 1 < after:
            yield one + 1
    yield constants[-1]
    yield constants[-1] + 1


def valuations(subjects: Sequence[Subject]) -> Iterator[Values]:
    """Every combination of the subjects' values that can be; raises TooWideError where there are too many."""
    size = prod(len(subject.domain) for subject in subjects)
    open_ = sum(len(subject.domain) > 1 for subject in subjects)
    if open_ > ATOMS or size > VALUATIONS:
        msg = f"{open_} conditions with {size} combinations; at most {ATOMS} and {VALUATIONS} are tried"
        raise TooWideError(msg)
    limits = list(_limits(subjects))
    for values in itertools.product(*(subject.domain for subject in subjects)):
        if all(possible(values) for possible in limits):
            yield values


def _limits(subjects: Sequence[Subject]) -> Iterator[Comparison]:
    """Tests that sort out combinations which cannot be."""
    index = {subject.text: i for i, subject in enumerate(subjects)}
    for i, subject in enumerate(subjects):
        node = subject.node
        if isinstance(node, x.Compare):
            left, right = index.get(format_expression(node.left)), index.get(format_expression(node.right))
            if left is not None and right is not None:
                yield lambda v, i=i, left=left, right=right: v[i] in _stand(v[left], v[right])  # type: ignore[misc]
        elif isinstance(node, x.Count) and node.state is not None:
            whole = index.get(format_expression(x.Count(node.child, None)))
            if whole is not None:
                yield lambda v, i=i, whole=whole: v[i] <= v[whole]  # type: ignore[misc]


def _stand(left: Any, right: Any) -> tuple[str, ...]:
    """How two tried values can stand to each other."""
    if left is None or right is None:
        return ("nulls", "==") if left is right else ("null", "!=")
    if left is OTHER or right is OTHER:
        return ("<", "==", ">", "!=")
    return ("==",) if left == right else ("!=", "<" if _number(left) < _number(right) else ">")


_HOLDS: Final[Mapping[str, frozenset[str]]] = {
    "==": frozenset({"==", "nulls"}), "!=": frozenset({"<", ">", "!=", "null"}),
    "<": frozenset({"<"}), "<=": frozenset({"<", "=="}), ">": frozenset({">"}), ">=": frozenset({">", "=="}),
}  # fmt: skip
_SWAPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    "<": lambda a, b: None not in (a, b) and a < b, "<=": lambda a, b: None not in (a, b) and a <= b,
    ">": lambda a, b: None not in (a, b) and a > b, ">=": lambda a, b: None not in (a, b) and a >= b,
}  # fmt: skip


def comparison_of(node: x.Expression, index: Mapping[str, int]) -> Comparison:
    """The guard as a function of a valuation."""
    if is_subject(node):
        at = index[format_expression(node)]
        return lambda v: v[at]
    match node:
        case x.Literal(value=value):
            return lambda _: value
        case x.Compare(operator=operator, left=left, right=right):
            if (pair := index.get(_pair(node))) is not None:
                holds = _HOLDS[operator if format_expression(left) <= format_expression(right) else _SWAPPED[operator]]
                return lambda v: v[pair] in holds
            compare, one, two = _COMPARE[operator], comparison_of(left, index), comparison_of(right, index)
            return lambda v: compare(one(v), two(v))
        case x.In(item=item, members=members):
            of, listed = comparison_of(item, index), frozenset(member.value for member in members)
            return lambda v: of(v) in listed
        case x.IsNull(item=item):
            of = comparison_of(item, index)
            return lambda v: of(v) is None
        case x.Not(item=item):
            of = comparison_of(item, index)
            return lambda v: not of(v)
        case x.And(items=items):
            every = [comparison_of(one, index) for one in items]
            return lambda v: all(test(v) for test in every)
        case x.Or(items=items):
            some = [comparison_of(one, index) for one in items]
            return lambda v: any(test(v) for test in some)
        case _:
            msg = f"{type(node).__name__} is not part of a guard"
            raise TypeError(msg)


def _pair(node: x.Compare) -> str:
    return " <> ".join(sorted((format_expression(node.left), format_expression(node.right))))
