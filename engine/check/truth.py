"""Truth tables: whether the guards of one cell overlap, and whether they leave a hole.

A guard is a formula over *subjects*: a variable, a field of the event, a configured value, the count of a
set of children, a predicate's answer. Guards only ever compare subjects with constants, so each subject
needs few values to show everything it can do: both booleans, the members of an enum, the constants it is
compared with and one value on each side of them, null where it is optional. (A number or text that rows only
ever set to constants has those values and its default.) ``decide`` tries every
combination (a *valuation*) against the tiers of a cell, in the order the engine asks them.

Two subjects compared with each other (``event.cseq > last_cseq``) are one atom whose values are the ways
they can stand (less, equal, greater, null). Combinations that cannot be (``a < b`` where a is 3 and b is 2;
more children ringing than there are) are left out. Nothing here knows of states or of time: that a counter
never falls, or that two predicates exclude each other, is not assumed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from calltable.engine.model import expressions as x
from calltable.engine.model.machine import Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from calltable.engine.model.machine import Catalogue, Machine, Row
    from calltable.engine.model.precedence import Tier

ATOMS = 12
"""More conditions than this in one cell are an error that asks to simplify."""

VALUATIONS = 4096
"""More combinations than this in one cell are an error that asks to simplify."""

Values: TypeAlias = tuple[object, ...]
"""One valuation: a value for each subject, in their order."""

_Test: TypeAlias = Callable[[Values], Any]

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
            left, right = text(self.node.left), text(self.node.right)
            if value in ("null", "nulls"):
                return f"{'both' if value == 'nulls' else 'one'} of {left} and {right} null"
            return f"{left} {value} {right}"
        if value is OTHER and not self.constants:
            return f"{self.text} not null"
        return f"{self.text} = {literal(value)}"

    def guard(self, value: object) -> str:
        """A guard, in the table language, that holds for this value."""
        if isinstance(self.node, x.Compare):
            left, right = text(self.node.left), text(self.node.right)
            if value == "nulls":
                return f"{left} is null and {right} is null"
            return f"{left} is null or {right} is null" if value == "null" else f"{left} {value} {right}"
        if value is None:
            return f"{self.text} is null"
        if self.type.kind == "bool":
            return self.text if value else f"not {self.text}"
        if value is OTHER or (self.type.kind in _ORDERED and value not in self.constants):
            return self._unnamed(value)
        return f"{self.text} == {literal(value, quote=self.type.kind != 'enum')}"

    def _unnamed(self, value: Any) -> str:
        """A guard for a value that no guard names: the gap between two constants, or none of them."""
        if value is OTHER:
            members = ", ".join(literal(c, quote=True) for c in sorted(self.constants, key=str))
            wanted = [f"{self.text} not in [{members}]"] if members else []
            return " and ".join([*wanted, *([f"{self.text} is not null"] if self.type.optional or not wanted else [])])
        numbers: list[Any] = sorted(self.constants)
        below = [c for c in numbers if c < value]
        above = [c for c in numbers if c > value]
        bounds = [f"{self.text} > {literal(below[-1])}"] if below else []
        return " and ".join([*bounds, *([f"{self.text} < {literal(above[0])}"] if above else [])])


@dataclass(frozen=True, slots=True)
class Cube:
    """A set of valuations: some subjects fixed, the others free to be anything."""

    fixed: tuple[tuple[Subject, object], ...]

    def __str__(self) -> str:
        return ", ".join(subject.says(value) for subject, value in self.fixed)

    def guards(self) -> list[str]:
        """Guards that together hold exactly here."""
        return [subject.guard(value) for subject, value in self.fixed]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a truth table says of one cell.

    ``taken`` are the ids of the rows that some valuation chooses, ``hole`` a valuation (widened as far as
    it goes) that no row takes, ``overlaps`` pairs of rows with a valuation that satisfies both. ``too_wide``
    is set instead where there are too many combinations to try; every row then counts as taken.
    """

    taken: frozenset[str]
    hole: Cube | None = None
    overlaps: tuple[tuple[str, str, Cube], ...] = ()
    too_wide: str = ""


@dataclass(slots=True)
class Scope:
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
        given = [row.set[node.name] for row in self.machine.rows.values() if node.name in row.set]
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


@dataclass(slots=True)
class Truth:
    """Truth tables for the cells of one machine; equal cells are decided once."""

    machine: Machine
    catalogue: Catalogue
    _known: dict[object, Verdict] = field(default_factory=dict)

    def decide(self, tiers: Sequence[Tier], event: str, fixed: Mapping[str, object] = _NOTHING) -> Verdict:
        """Try every valuation of the guards in ``tiers`` (as ``resolve.tiers`` orders them).

        ``fixed`` names variables of which the value is known; only valuations with these values are tried.
        """
        guards = [row.guard for tier in tiers for row in tier if row.guard is not None]
        if not guards and all(len(tier) == 1 for tier in tiers):
            return Verdict(frozenset(row.id for row in tiers[0]) if tiers else frozenset(),
                           None if tiers else Cube(()))
        nodes = [node for guard in guards for node in x.walk(guard)]
        fields = any(isinstance(node, x.Field) for node in nodes)
        read = {node.name for node in nodes if isinstance(node, x.Var)}
        known = {name: value for name, value in fixed.items() if name in read}
        key = (
            event if fields else "", tuple(tuple(row.id for row in tier) for tier in tiers), tuple(sorted(known.items())),
        )  # fmt: skip
        verdict = self._known.get(key)
        if verdict is None:
            try:
                verdict = _decide(tiers, guards, Scope(self.machine, self.catalogue, event, known))
            except TooWideError as error:
                verdict = Verdict(frozenset(row.id for tier in tiers for row in tier), too_wide=str(error))
            self._known[key] = verdict
        return verdict

    def exhaustive(self, rows: Sequence[Row]) -> bool:
        """Whether, whatever the variables hold, at least one of the rows' guards holds."""
        if any(row.guard is None for row in rows):
            return True
        guards = [row.guard for row in rows if row.guard is not None]
        try:
            found, tests = _tables(guards, Scope(self.machine, self.catalogue))
            return bool(tests) and all(any(t(v) for t in tests) for v in valuations(found))
        except TooWideError:
            return False

    def _never_set(self) -> Mapping[str, object]:
        """The variables that no row sets, with the values that they keep."""
        given = {name for row in self.machine.rows.values() for name in row.set}
        return {name: one.default for name, one in self.machine.variables.items() if name not in given}

    def satisfiable(self, row: Row) -> bool:
        """Whether the row's guard can hold at all."""
        return self.alone(row) is not False

    def alone(self, row: Row) -> bool | str:
        """Whether the row's guard can hold by itself; a text, why, where it is too much to try."""
        found, tests = _tables([row.guard] if row.guard else [], Scope(self.machine, self.catalogue, row.events[0], self._never_set()))
        try:
            return all(any(test(v) for v in valuations(found)) for test in tests)
        except TooWideError as error:
            return str(error)


def _decide(tiers: Sequence[Tier], guards: Sequence[x.Expression], scope: Scope) -> Verdict:
    found, tests = _tables(guards, scope)
    rest = iter(tests)
    asked = [[(row.id, next(rest) if row.guard is not None else _always) for row in tier] for tier in tiers]
    taken: set[str] = set()
    holes: list[Values] = []
    clashes: dict[tuple[str, str], list[Values]] = {}
    everything = list(valuations(found))
    for values in everything:
        for tier in asked:
            hits = [row for row, test in tier if test(values)]
            if hits:
                taken.update(hits)
                for pair in itertools.combinations(hits, 2):
                    clashes.setdefault(pair, []).append(values)
                break
        else:
            holes.append(values)
    return Verdict(
        frozenset(taken),
        _widen(found, holes, everything) if holes else None,
        tuple((a, b, _widen(found, both, everything)) for (a, b), both in clashes.items()),
    )


def _always(_: Values) -> bool:
    return True


def _widen(subjects: Sequence[Subject], inside: Sequence[Values], everything: Sequence[Values]) -> Cube:
    """The first of ``inside`` with every subject freed that makes no difference."""
    wanted = set(inside)
    outside = [values for values in everything if values not in wanted]
    fixed = dict(enumerate(inside[0]))
    for index in range(len(subjects)):
        value = fixed.pop(index)
        if any(all(values[i] == fixed[i] for i in fixed) for values in outside):
            fixed[index] = value
    return Cube(tuple((subjects[i], fixed[i]) for i in sorted(fixed)))


# --------------------------------------------------------------------------- subjects and their values


def _tables(guards: Sequence[x.Expression], scope: Scope) -> tuple[list[Subject], list[_Test]]:
    found = subjects(guards, scope)
    index = {subject.text: i for i, subject in enumerate(found)}
    return found, [_test(guard, index) for guard in guards]


def subjects(guards: Iterable[x.Expression], scope: Scope) -> list[Subject]:
    """What the guards ask about, in order of appearance, each with the values to try."""
    nodes: dict[str, x.Expression] = {}
    constants: dict[str, set[object]] = {}

    def visit(node: x.Expression) -> None:
        match node:
            case x.Compare(left=left, right=right) if is_subject(left) and is_subject(right) and not (
                scope.type(left).kind in _SMALL and scope.type(right).kind in _SMALL
            ):
                nodes.setdefault(_pair(node), node if text(left) <= text(right) else x.Compare("==", right, left))
                return
            case x.Compare(left=left, right=x.Literal(value=value)) | x.Compare(left=x.Literal(value=value), right=left):
                constants.setdefault(text(left), set()).add(value)
            case x.In(item=item, members=members):
                constants.setdefault(text(item), set()).update(member.value for member in members)
            case _ if is_subject(node):
                nodes.setdefault(text(node), node)
                return
        for part in x.parts(node):
            visit(part)

    for guard in guards:
        visit(guard)
    return [_subject(name, node, constants.get(name, set()), scope) for name, node in nodes.items()]


def is_subject(node: x.Expression) -> bool:
    """Whether truth tables take the node as a whole."""
    return isinstance(node, x.Var | x.Field | x.Config | x.Count | x.Call)


def _subject(name: str, node: x.Expression, constants: set[object], scope: Scope) -> Subject:
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


def _limits(subjects: Sequence[Subject]) -> Iterator[_Test]:
    """Tests that sort out combinations which cannot be."""
    index = {subject.text: i for i, subject in enumerate(subjects)}
    for i, subject in enumerate(subjects):
        node = subject.node
        if isinstance(node, x.Compare):
            left, right = index.get(text(node.left)), index.get(text(node.right))
            if left is not None and right is not None:
                yield lambda v, i=i, left=left, right=right: v[i] in _stand(v[left], v[right])  # type: ignore[misc]
        elif isinstance(node, x.Count) and node.state is not None:
            whole = index.get(text(x.Count(node.child, None)))
            if whole is not None:
                yield lambda v, i=i, whole=whole: v[i] <= v[whole]  # type: ignore[misc]


def _stand(left: Any, right: Any) -> tuple[str, ...]:
    """How two tried values can stand to each other."""
    if left is None or right is None:
        return ("nulls", "==") if left is right else ("null", "!=")
    if left is OTHER or right is OTHER:
        return ("<", "==", ">", "!=")
    return ("==",) if left == right else ("!=", "<" if _number(left) < _number(right) else ">")


# --------------------------------------------------------------------------- evaluation

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


def _test(node: x.Expression, index: Mapping[str, int]) -> _Test:
    """The guard as a function of a valuation."""
    if is_subject(node):
        at = index[text(node)]
        return lambda v: v[at]
    match node:
        case x.Literal(value=value):
            return lambda _: value
        case x.Compare(operator=operator, left=left, right=right):
            if (pair := index.get(_pair(node))) is not None:
                holds = _HOLDS[operator if text(left) <= text(right) else _SWAPPED[operator]]
                return lambda v: v[pair] in holds
            compare, one, two = _COMPARE[operator], _test(left, index), _test(right, index)
            return lambda v: compare(one(v), two(v))
        case x.In(item=item, members=members):
            of, listed = _test(item, index), frozenset(member.value for member in members)
            return lambda v: of(v) in listed
        case x.IsNull(item=item):
            of = _test(item, index)
            return lambda v: of(v) is None
        case x.Not(item=item):
            of = _test(item, index)
            return lambda v: not of(v)
        case x.And(items=items):
            every = [_test(one, index) for one in items]
            return lambda v: all(test(v) for test in every)
        case x.Or(items=items):
            some = [_test(one, index) for one in items]
            return lambda v: any(test(v) for test in some)
        case _:
            msg = f"{type(node).__name__} is no part of a guard"
            raise TypeError(msg)


def _pair(node: x.Compare) -> str:
    return " <> ".join(sorted((text(node.left), text(node.right))))


def text(node: x.Expression) -> str:
    """A subject or a constant as a guard writes it; equal subjects have equal texts."""
    match node:
        case x.Literal(value=value):
            return literal(value, quote=True)
        case x.Var(name=name):
            return name
        case x.Field(name=name):
            return f"event.{name}"
        case x.Config(name=name):
            return f"config.{name}"
        case x.Count(child=child, state=state):
            return f"count({child}, {state})" if state else f"count({child})"
        case x.Call(name=name, arguments=arguments):
            return f"{name}({', '.join(map(text, arguments))})"
        case _:
            return repr(node)


def literal(value: object, *, quote: bool = False) -> str:
    """A constant as YAML and guards write it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"' if quote else value
        case _:
            return str(value)
