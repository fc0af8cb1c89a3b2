"""Types as tables write them: ``bool``, ``message?``, ``{type: enum, values: [a, b]}``.

Also what goes with a type: reading a literal of it (durations are ``500ms``, ``2.1s``, ``3m``, ``1h`` or plain
seconds), its natural default, and which type may stand where another is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.engine.model import NUMBER, TABLE_KINDS, Type, an, duration, out_of_range

if TYPE_CHECKING:
    from calltable.engine.language.source import Node
    from calltable.engine.model import Report


_NATURAL: dict[str, object] = {"bool": False, "int": 0, "string": "", "duration": 0.0}


class UnreadableError(ValueError):
    """A literal that is not of the type asked for; the text says what is asked for, ``hint`` how to write it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read_type(node: Node, report: Report, *, kinds: tuple[str, ...] = TABLE_KINDS) -> Type | None:
    """The type that ``node`` writes, short or long; None after a complaint to ``report``."""
    named = node.get("type") if node.mapping else node
    if named is None or not isinstance(named.value, str):
        report.add(node.position, "a type is missing", code="type", hint="write a type: " + ", ".join(kinds))
        return None
    optional = named.value.endswith("?")
    kind = named.value.removesuffix("?")
    if kind not in kinds:
        report.unknown(named.position, "type", kind, kinds)
        return None
    values_node = node.get("values")
    values = tuple(item.text for item in values_node.items) if values_node else ()
    if kind == "enum" and not values:
        hint = "write {type: enum, values: [one, another]}"
        report.add(named.position, "an enum without values", code="type", hint=hint)
        return None
    if values and kind not in ("enum", "handle"):
        message = f"values: belongs to an enum or a handle, not to {kind}"
        report.add(node.keys.get("values", node.position), message, code="type", hint="make it an enum, or remove values:")
        return None
    if len(set(values)) != len(values) and values_node:
        report.add(values_node.position, "a value is listed twice", code="type", hint="list each value once")
    return Type(kind, optional, values, *_bounds(node, kind, report))


def _bounds(node: Node, kind: str, report: Report) -> tuple[float | None, float | None]:
    """What ``min:`` and ``max:`` say, which the catalogue may give to a number."""
    found: list[float | None] = []
    for key in ("min", "max"):
        bound = node.get(key)
        value: object = None
        if bound is not None and kind not in NUMBER:
            message = f"{key}: belongs to an int or a duration, not to {kind}"
            report.add(node.keys[key], message, code="type", hint=f"remove {key}:")
        elif bound is not None:
            try:
                value = read_literal(bound, Type(kind))
            except UnreadableError as error:
                report.add(bound.position, f"{key}: {error}", code="type", hint=error.hint)
        found.append(value if isinstance(value, int | float) else None)
    low, high = found
    if low is not None and high is not None and low > high:
        report.add(node.keys["max"], "max: is less than min:", code="type", hint="write the smaller as min:")
    return low, high


def read_literal(node: Node, wanted: Type) -> object:
    """The constant that ``node`` writes, as a value of type ``wanted``. Raises ``UnreadableError``."""
    value = _read_literal(node, wanted)
    if isinstance(value, int | float) and (why := out_of_range(value, wanted)):
        msg = f"{describe(node)} {why}"
        raise UnreadableError(msg, "write a value within these bounds")
    return value


def _read_literal(node: Node, wanted: Type) -> object:
    value = node.value
    if value is None:
        if wanted.optional:
            return None
        msg = "null where a value is needed"
        raise UnreadableError(msg, f"give a value of type {wanted}, or declare the type {wanted.kind}?")
    match wanted.kind, value:
        case ("bool", bool()) | ("string" | "uri" | "name", str()):
            return value
        case ("int", int()) if not isinstance(value, bool):
            return value
        case ("duration", int() | float()) if not isinstance(value, bool) and value >= 0:
            return float(value)
        case ("duration", str()):
            seconds = duration(value)
            if seconds is not None:
                return seconds
        case ("enum" | "handle", _) if not isinstance(value, dict | list) and node.text in wanted.values:
            return node.text
        case ("list", list()) | ("map", dict()):
            return _frozen(node)
    raise _mismatch(node, wanted)


def _frozen(node: Node) -> object:
    if isinstance(node.value, list):
        return tuple(_frozen(item) for item in node.value)
    if isinstance(node.value, dict):
        return {key: _frozen(item) for key, item in node.value.items()}
    return node.value


_HOW = {
    "bool": "write true or false",
    "int": "write a whole number",
    "string": "put it in quotes",
    "duration": "write seconds, or 500ms, 2.1s, 3m, 1h",
    "uri": "write the URI in quotes",
    "message": "a message cannot be written in a table: name one, as $event.message",
    "content": "content cannot be written in a table: name some, as $event.message",
    "outgoing": "a message that is ready to leave cannot be written in a table: name one, as $event.message",
    "list": "write a list of constants: [a, b]",
    "map": "write a mapping: {name: value}",
    "name": "write a plain name",
}


def _mismatch(node: Node, wanted: Type) -> UnreadableError:
    from calltable.engine.model import suggestion  # noqa: PLC0415 - only for a complaint

    shown = describe(node)
    if wanted.kind in ("enum", "handle") and wanted.values:
        msg = f"{shown} is not one of {', '.join(wanted.values)}"
        return UnreadableError(msg, suggestion(node.text, wanted.values, "value"))
    msg = f"{shown} where {an(wanted)} is needed"
    return UnreadableError(msg, _HOW.get(wanted.kind, "name a variable or a field, as $name or $event.name"))


def describe(node: Node) -> str:
    """How to speak of a value in a message."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    return "null" if node.value is None else repr(node.text)


def natural_default(type_: Type) -> object:
    """What a variable of this type holds before anything is assigned. Raises ``UnreadableError`` if nothing can be."""
    if type_.optional:
        return None
    if type_.kind == "enum":
        return type_.values[0]
    if type_.kind in _NATURAL:
        return _NATURAL[type_.kind]
    msg = f"{an(type_)} has no natural default"
    raise UnreadableError(msg, f"declare it {type_.kind}? (it is null until it is set), or give a default")


