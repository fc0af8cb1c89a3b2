"""What a row can name, and the typing of its guard.

A ``Scope`` holds the names that are visible to one row: the variables of its machine, the fields of its events
(for a row with several events a field must be in every one, with one type), configuration, predicates and
children. ``type_guard`` settles what bare words mean (a member of the enum they are compared with, or a
variable), checks that every comparison makes sense, and hands back the finished tree.

About null: an event's field that may be null may not be used where a value is needed unless the guard excludes it,
because the row is the only place that can. Whether a variable is null there depends on the rows before, which
``nulls.py`` looks at when all are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calltable.engine.model import BOOL, INT, NULL, NUMBER, OPAQUE, SECONDS, STRING, TEXT, Type, accepts, an, suggestion
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.language.guards import Parsed
    from calltable.engine.model import Catalogue, Event, Position, Report, Variable

_ORDERED = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Scope:
    """The names one row may use.

    ``events`` are the row's; empty for an ``after`` row. ``children`` maps the name of every child to the states of
    its machine. ``present`` are the expressions that the guard has shown not to be null.
    """

    catalogue: Catalogue
    variables: Mapping[str, Variable]
    children: Mapping[str, frozenset[str]]
    events: tuple[Event, ...] = ()
    no_fields: str = "the row has no event"
    present: frozenset[x.Expression] = field(default_factory=frozenset)
    broken: frozenset[str] = frozenset()
    """Variables that are declared but wrong: what names them is not complained of again."""
    fields_known: bool = True
    """False where an event of the row is unknown: its fields are not complained of."""

    def variable(self, name: str, position: Position, report: Report) -> Type | None:
        """The type of a variable; None after a complaint."""
        found = self.variables.get(name)
        if found is None:
            if name not in self.broken:
                report.unknown(position, "variable", name, self.variables)
            return None
        return found.type

    def field(self, name: str, position: Position, report: Report) -> Type | None:
        """The type of an event's field, common to all events of the row; None after a complaint."""
        if not self.fields_known:
            return None
        if not self.events:
            message = f"event.{name} cannot be used here: {self.no_fields}"
            report.add(position, message, code="no-event", hint="keep what is needed in a variable")
            return None
        types: list[Type] = []
        for event in self.events:
            found = event.fields.get(name)
            if found is None:
                hint = suggestion(name, event.fields, "field")
                report.add(position, f"event {event.name} has no field {name!r}", code="unknown-field", hint=hint)
                return None
            types.append(found)
        first = types[0]
        for event, other in zip(self.events, types, strict=True):
            if (other.kind, other.values) != (first.kind, first.values):
                message = f"event.{name} is {an(first)} in {self.events[0].name} but {an(other)} in {event.name}"
                report.add(position, message, code="type", hint="write one row for each event")
                return None
        low, high = [one.low for one in types if one.low is not None], [one.high for one in types if one.high is not None]
        return Type(
            first.kind, any(one.optional for one in types), first.values,
            min(low) if len(low) == len(types) else None, max(high) if len(high) == len(types) else None,
        )  # fmt: skip

    def config(self, name: str, position: Position, report: Report) -> Type | None:
        """The type of a configured value; None after a complaint."""
        found = self.catalogue.config.get(name)
        if found is None:
            report.unknown(position, "config", name, self.catalogue.config)
            return None
        return found.type


def type_guard(parsed: Parsed, at: Callable[[int], Position], scope: Scope, report: Report) -> x.Expression | None:
    """The guard with every word settled and every type checked; None after a complaint to ``report``."""
    typing = _Typing(parsed.offsets, at, scope, report)
    expression = typing.condition(parsed.expression)
    return None if typing.failed else expression


def present(guard: x.Expression | None, holds: bool = True) -> frozenset[x.Expression]:
    """The expressions that cannot be null where ``guard`` is ``holds``."""
    found: set[x.Expression] = set()
    match guard:
        case x.And(items=items) if holds:
            found.update(*(present(item) for item in items))
        case x.Or(items=items) if not holds:
            found.update(*(present(item, holds=False) for item in items))
        case x.Not(item=item):
            found.update(present(item, holds=not holds))
        case x.IsNull(item=item) if not holds:
            found.add(item)
        case x.In(item=item, members=members) if holds and all(m.value is not None for m in members):
            found.add(item)
        case x.Compare(operator=operator, left=left, right=right):
            if operator in _ORDERED and holds:
                found |= {left, right}
            elif operator == ("==" if holds else "!="):
                found |= {a for a, b in ((left, right), (right, left)) if isinstance(b, x.Literal)}
    return frozenset(found)


class _Typing:
    """One walk over one guard."""

    def __init__(self, offsets: dict[int, int], at: Callable[[int], Position], scope: Scope, report: Report) -> None:
        self.offsets = offsets
        self.at = at
        self.scope = scope
        self.report = report
        self.failed = False

    def position(self, node: x.Expression) -> Position:
        return self.at(self.offsets.get(id(node), 0))

    def complain(self, node: x.Expression, message: str, hint: str = "", code: str = "type") -> None:
        self.failed = True
        self.report.add(self.position(node), message, code=code, hint=hint)

    # -- conditions
    def condition(self, node: x.Expression) -> x.Expression:
        """A node that must be true or false."""
        match node:
            case x.And(items=items):
                return x.And(tuple(self.condition(item) for item in items))
            case x.Or(items=items):
                return x.Or(tuple(self.condition(item) for item in items))
            case x.Not(item=item):
                return x.Not(self.condition(item))
            case x.IsNull(item=item):
                return self.null_test(item)
            case x.Compare():
                return self.comparison(node)
            case x.In():
                return self.membership(node)
        typed, type_ = self.operand(node)
        if type_ is not None and type_ != BOOL:
            if type_.kind == "bool":
                hint = "it may be null: write «… == true» or «… is not null»"
            else:
                hint = "compare it: == != < <= > >= in, or «is null»"
            self.complain(node, f"{an(type_)} stands where a condition is needed", hint)
        return typed

    def null_test(self, item: x.Expression) -> x.Expression:
        typed, type_ = self.operand(item)
        if type_ is not None and not type_.optional:
            self.complain(item, f"{an(type_)} is never null", "remove the test, or declare the type optional with «?»")
        return x.IsNull(typed)

    def comparison(self, node: x.Compare) -> x.Expression:
        left, left_type, right, right_type = self.pair(node.left, node.right)
        if left_type is None or right_type is None:
            return x.Compare(node.operator, left, right)
        for one, its, other in ((left, left_type, right_type), (right, right_type, left_type)):
            if other == NULL and its != NULL:
                if node.operator not in ("==", "!="):
                    self.complain(node, f"null is never {node.operator} anything", "write «is null» or «is not null»")
                elif not its.optional:
                    self.complain(node, f"{an(its)} is never null", "remove the test, or declare the type optional")
                test = x.IsNull(one)
                return test if node.operator == "==" else x.Not(test)
        if node.operator in _ORDERED:
            bad = next((t for t in (left_type, right_type) if t.kind not in NUMBER), None)
            if bad is not None:
                hint = "only int and duration have an order; compare with == or !=, or use «in [..]»"
                self.complain(node, f"{an(bad)} cannot be compared with {node.operator}", hint)
        else:
            self.alike(node, left, left_type, right, right_type)
        return x.Compare(node.operator, left, right)

    def alike(self, node: x.Expression, left: x.Expression, a: Type, right: x.Expression, b: Type) -> None:
        """Complain unless == and != make sense between the two."""
        for one, its, other in ((left, a, b), (right, b, a)):
            if isinstance(one, x.Literal) and isinstance(one.value, str) and other.kind in ("enum", "handle"):
                if one.value not in other.values:
                    hint = suggestion(one.value, other.values, "value")
                    self.complain(node, f"{one.value!r} is not one of {', '.join(other.values)}", hint, "unknown-value")
                return
            if its.kind in OPAQUE:
                self.complain(node, f"{an(its)} cannot be compared", "it can be tested with «is null», or by a predicate")
                return
        if a.kind == b.kind == "enum":
            if not set(a.values) & set(b.values):
                self.complain(node, f"{a} and {b} share no member", "the comparison is always the same")
        elif not (a.kind == b.kind or {a.kind, b.kind} <= TEXT or {a.kind, b.kind} <= NUMBER):
            self.complain(node, f"{an(a)} is compared with {an(b)}", "compare values of one type")

    def pair(
        self, left: x.Expression, right: x.Expression
    ) -> tuple[x.Expression, Type | None, x.Expression, Type | None]:
        """Both sides of a comparison; a bare word beside an enum is its member."""
        left_known, right_known = (not isinstance(one, x.Var) or self.known(one.name) for one in (left, right))
        typed_left: tuple[x.Expression, Type | None] = self.operand(left) if left_known else (left, None)
        typed_right: tuple[x.Expression, Type | None] = self.operand(right) if right_known else (right, None)
        if isinstance(left, x.Var) and right_known:
            word = self.word(left, typed_right[1])
            if word is not None:
                return (word, STRING, *typed_right)
        if isinstance(right, x.Var) and left_known:
            word = self.word(right, typed_left[1])
            if word is not None:
                return (*typed_left, word, STRING)
        if not left_known:
            typed_left = self.operand(left)
        if not right_known:
            typed_right = self.operand(right)
        return (*typed_left, *typed_right)

    def known(self, name: str) -> bool:
        """Whether a bare word is a variable."""
        return name in self.scope.variables or name in self.scope.broken

    def word(self, node: x.Var, beside: Type | None) -> x.Literal | None:
        """The member that a bare word means beside a value of type ``beside``; None if it names a variable."""
        if beside is None:
            # the other side is wrong already: say nothing about this word
            return x.Literal(node.name) if not self.known(node.name) else None
        if not beside.values:
            return None
        variable = self.known(node.name)
        if node.name in beside.values:
            if variable:
                hint = f"write '{node.name}' in quotes if the member is meant, or rename the variable"
                self.complain(node, f"{node.name!r} is a variable and a member of {beside}", hint, "ambiguous")
            return x.Literal(node.name)
        if variable:
            return None
        hint = suggestion(node.name, beside.values, "value")
        self.complain(node, f"{node.name!r} is not one of {', '.join(beside.values)}", hint, "unknown-value")
        return x.Literal(node.name)

    def membership(self, node: x.In) -> x.Expression:
        item, type_ = self.operand(node.item)
        if type_ is None:
            return x.In(item, node.members)
        for member in node.members:
            given = _literal_type(member.value)
            if given == NULL and not type_.optional:
                self.complain(member, f"{an(type_)} is never null", "remove null from the list")
            elif given != NULL and type_.kind in OPAQUE:
                self.complain(node, f"{an(type_)} cannot be compared", "it can be tested with «is null»")
                break
            elif given != NULL:
                self.alike(member, item, type_, member, given)
        return x.In(item, node.members)

    # -- operands
    def operand(self, node: x.Expression) -> tuple[x.Expression, Type | None]:
        """A node that gives a value, with its type; None after a complaint."""
        type_: Type | None
        match node:
            case x.Literal(value=value):
                return node, _literal_type(value)
            case x.Var(name=name):
                type_ = self.scope.variable(name, self.position(node), self.report)
            case x.Field(name=name):
                type_ = self.scope.field(name, self.position(node), self.report)
            case x.Config(name=name):
                type_ = self.scope.config(name, self.position(node), self.report)
            case x.Count():
                type_ = self.count(node)
            case x.Call():
                return self.call(node)
            case _:
                return self.condition(node), BOOL
        self.failed |= type_ is None
        return node, type_

    def count(self, node: x.Count) -> Type | None:
        children = self.scope.children
        if node.child not in children:
            hint = suggestion(node.child, children, "child")
            self.complain(node, f"unknown child {node.child!r}", hint, "unknown-child")
            return None
        states = children[node.child]
        if node.state is not None and states and node.state not in states:
            hint = suggestion(node.state, states, "state")
            self.complain(node, f"no child of {node.child} has a state {node.state!r}", hint, "unknown-state")
            return None
        return INT

    def call(self, node: x.Call) -> tuple[x.Expression, Type | None]:
        predicates = self.scope.catalogue.predicates
        predicate = predicates.get(node.name)
        if predicate is None:
            hint = suggestion(node.name, predicates, "predicate")
            self.complain(node, f"unknown predicate {node.name!r}", hint, "unknown-predicate")
            return node, None
        if len(node.arguments) != len(predicate.parameters):
            wanted = ", ".join(map(str, predicate.parameters)) or "nothing"
            message = f"{node.name} takes {len(predicate.parameters)} arguments, not {len(node.arguments)}"
            self.complain(node, message, f"it takes ({wanted})")
            return node, predicate.returns
        arguments: list[x.Expression] = []
        for argument, wanted_type in zip(node.arguments, predicate.parameters, strict=True):
            word = self.word(argument, wanted_type) if isinstance(argument, x.Var) else None
            if word is not None:
                arguments.append(word)
                continue
            typed, given = self.operand(argument)
            arguments.append(typed)
            if given is not None and not self.fits(typed, given, wanted_type):
                self.complain(argument, f"{node.name} takes {an(wanted_type)}, not {an(given)}")
        return x.Call(node.name, tuple(arguments)), predicate.returns

    @staticmethod
    def fits(node: x.Expression, given: Type, wanted: Type) -> bool:
        if isinstance(node, x.Literal) and isinstance(node.value, str) and wanted.values:
            return node.value in wanted.values
        if given == STRING and isinstance(node, x.Literal):
            return wanted.kind in TEXT
        return accepts(wanted, given)


def _literal_type(value: object) -> Type:
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return SECONDS
        case _:
            return STRING
