"""Values in rows: plain YAML is literal, ``$name`` a variable, ``$event.field`` the payload, ``$config.name``
configuration; ``$$`` stands for a leading dollar. Every value is read against the type that is wanted of it.

``{between: [low, high]}`` is a duration drawn at random when the effect leaves or the timer starts; it can
stand where an effect or a timer takes a duration, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.engine.language.literals import UnreadableError, describe, read_literal
from calltable.engine.model import SECONDS, accepts, an, apart, format_literal, span
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.language.scope import Scope
    from calltable.engine.language.source import Node
    from calltable.engine.model import Position, Report, Type


def read_value(
    node: Node,
    wanted: Type | None,
    scope: Scope,
    report: Report,
    *,
    draw: bool = False,
    strict: bool = False,
) -> x.Expression | None:
    """The value that ``node`` writes, of type ``wanted`` (None: any); None after a complaint to ``report``.

    ``draw`` allows ``{between: [low, high]}``. ``strict`` refuses a variable that may be null where null is not
    wanted: what is assigned to a variable must be of its type for certain. (Elsewhere ``nulls.py`` looks at the rows before.)
    """
    value = node.value
    if isinstance(value, str) and value.startswith("$") and not value.startswith("$$"):
        return _reference(node, value[1:], wanted, scope, report, strict=strict)
    if isinstance(value, dict):
        return _mapping(node, wanted, scope, report, draw=draw)
    if isinstance(value, list):
        return _list(node, wanted, report)
    if isinstance(value, str) and value.startswith("$$"):
        if wanted is not None and wanted.kind not in ("string", "uri"):
            report.add(node.position, f"{value!r} where {an(wanted)} is needed", code="type")
            return None
        return x.Literal(value[1:])
    if wanted is None:
        return x.Literal(value)
    return _literal(node, wanted, report)


def _literal(node: Node, wanted: Type, report: Report) -> x.Expression | None:
    try:
        return x.Literal(read_literal(node, wanted))
    except UnreadableError as error:
        report.add(node.position, str(error), code="type", hint=error.hint)
        return None


def _reference(
    node: Node, name: str, wanted: Type | None, scope: Scope, report: Report, *, strict: bool
) -> x.Expression | None:
    head, _, rest = name.partition(".")
    found: x.Var | x.Field | x.Config
    where = node.at(1)
    if rest and head == "event":
        found, given = x.Field(rest), scope.field(rest, where, report)
    elif rest and head == "config":
        found, given = x.Config(rest), scope.config(rest, where, report)
    elif rest:
        hint = "write $name, $event.field or $config.name; $$ for a text that begins with a dollar"
        report.add(where, f"unknown name {name!r}", code="unknown-name", hint=hint)
        return None
    else:
        found, given = x.Var(name), scope.variable(name, where, report)
    if given is None:
        return None
    if wanted is not None:
        if not accepts(wanted, given):
            report.add(node.position, f"${name} is {an(given)} where {an(wanted)} is needed", code="type")
            return None
        if apart(wanted, given):
            message = f"${name} is {span(given)} where {span(wanted)} is needed"
            report.add(node.position, message, code="type", hint="write a value that is within these bounds")
            return None
        loose = isinstance(found, x.Var) and not strict
        if given.optional and not wanted.optional and not loose and found not in scope.present:
            text = name if isinstance(found, x.Var) else f"event.{rest}" if head == "event" else name
            hint = f"guard the row with «{text} is not null», or make the target {wanted.kind}?"
            report.add(node.position, f"${name} may be null where {an(wanted)} is needed", code="type", hint=hint)
            return None
    return found


def _mapping(node: Node, wanted: Type | None, scope: Scope, report: Report, *, draw: bool) -> x.Expression | None:
    members = node.mapping
    if set(members) == {"between"} and (wanted is None or wanted.kind == "duration"):
        if not draw:
            hint = "between: belongs to after:, to timer.start and to the parameters of actions"
            report.add(node.position, "nothing is drawn at random here", code="between", hint=hint)
            return None
        return _between(members["between"], scope, report)
    if wanted is not None and wanted.kind != "map":
        hint = "write {between: [low, high]}" if wanted.kind == "duration" else ""
        report.add(node.position, f"a mapping where {an(wanted)} is needed", code="type", hint=hint)
        return None
    pairs = [(name, read_value(member, None, scope, report)) for name, member in members.items()]
    good = tuple((name, value) for name, value in pairs if value is not None)
    return x.Mapping(good) if len(good) == len(pairs) else None


def _between(node: Node, scope: Scope, report: Report) -> x.Expression | None:
    if len(node.items) != 2:
        hint = "write {between: [2.1s, 4s]}"
        report.add(node.position, "between: takes two durations, low and high", code="between", hint=hint)
        return None
    low, high = (read_value(item, SECONDS, scope, report) for item in node.items)
    if low is None or high is None:
        return None
    if isinstance(low, x.Literal) and isinstance(high, x.Literal):
        a, b = low.value, high.value
        if isinstance(a, float) and isinstance(b, float) and a > b:
            message = f"between: {format_literal(a)} is more than {format_literal(b)}"
            report.add(node.position, message, code="between", hint="write the smaller first")
            return None
    return x.Between(low, high)


def _list(node: Node, wanted: Type | None, report: Report) -> x.Expression | None:
    if wanted is not None and wanted.kind != "list":
        report.add(node.position, f"a list where {an(wanted)} is needed", code="type")
        return None
    values = []
    for item in node.items:
        if isinstance(item.value, dict | list) or (isinstance(item.value, str) and item.value.startswith("$")):
            hint = "a list holds constants only; let an action build what depends on the call"
            report.add(item.position, f"{describe(item)} in a list", code="type", hint=hint)
            return None
        values.append(item.value)
    return x.Literal(tuple(values))


def read_fields(
    nodes: Mapping[str, Node],
    keys: Mapping[str, Position],
    wanted: Mapping[str, Type],
    scope: Scope,
    report: Report,
    *,
    owner: str,
    where: Position,
    what: str = "field",
    required: Iterable[str] | None = None,
    draw: bool = False,
) -> dict[str, x.Expression] | None:
    """Named values against the types of ``owner``'s fields or parameters; None after a complaint.

    ``required`` names what must be given; without it, everything that is not optional.
    """
    good = True
    values: dict[str, x.Expression] = {}
    for name, node in nodes.items():
        if name not in wanted:
            from calltable.engine.model import suggestion  # noqa: PLC0415 - only for a complaint

            message = f"{owner} has no {what} {name!r}"
            report.add(keys.get(name, where), message, code=f"unknown-{what}", hint=suggestion(name, wanted, what))
            good = False
            continue
        value = read_value(node, wanted[name], scope, report, draw=draw)
        if value is None:
            good = False
        else:
            values[name] = value
    needed = [name for name, type_ in wanted.items() if not type_.optional] if required is None else required
    for name in needed:
        if name not in nodes:
            message = f"{owner} needs its {what} {name!r}"
            report.add(where, message, code=f"missing-{what}", hint=f"add «{name}: <{wanted[name]}>»")
            good = False
    return values if good else None
