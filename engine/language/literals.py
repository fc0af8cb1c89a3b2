"""Types as tables write them: ``bool``, ``message?``, ``{type: enum, values: [a, b]}``.

Also what goes with a type: reading a literal of it (durations are ``500ms``, ``2.1s``, ``3m``, ``1h`` or plain
seconds), its natural default, and which type may stand where another is asked for.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING

from calltable.engine.model.machine import KINDS, Type

if TYPE_CHECKING:
    from calltable.engine.language.source import Node
    from calltable.engine.model.problems import Report

DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

TEXT = frozenset({"string", "enum", "uri", "name"})
"""Kinds whose values are text."""

NUMBER = frozenset({"int", "duration"})
OPAQUE = frozenset({"message", "map", "list"})
"""Kinds that can be handed on and compared with null, and nothing else."""

TABLE_KINDS = tuple(kind for kind in KINDS if kind != "name")
"""Kinds a table may give a variable or a field; ``name`` is the catalogue's own."""

_NATURAL: dict[str, object] = {"bool": False, "int": 0, "string": "", "duration": 0.0}

BOOL, INT, STRING, SECONDS = Type("bool"), Type("int"), Type("string"), Type("duration")
NULL = Type("null", optional=True)


class UnreadableError(ValueError):
    """A literal that is not of the type asked for; the text says what is asked for, ``hint`` how to write it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def duration(text: str) -> float | None:
    """Seconds in ``500ms``, ``2.1s``, ``3m`` or ``1h``; None for anything else."""
    found = DURATION.match(text)
    return round(float(found[1]) * _UNITS[found[2]], 9) if found else None


def duration_text(seconds: float) -> str:
    """Seconds as a table writes them: ``500ms``, ``32s``, ``3m``."""
    for unit, size in (("h", 3600.0), ("m", 60.0), ("s", 1.0)):
        if seconds >= size and (seconds / size).is_integer():
            return f"{int(seconds / size)}{unit}"
    if seconds < 1 and round(seconds * 1000, 6).is_integer():
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


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


def out_of_range(value: float, wanted: Type) -> str:
    """«is out of range: it may be 300 to 699», or nothing."""
    fits = (wanted.low is None or value >= wanted.low) and (wanted.high is None or value <= wanted.high)
    return "" if fits else f"is out of range: it may be {span(wanted)}"


def span(wanted: Type) -> str:
    """The bounds in words: «300 to 699», «at least 10ms»."""
    low, high = (
        None if bound is None else duration_text(float(bound)) if wanted.kind == "duration" else str(bound)
        for bound in (wanted.low, wanted.high)
    )
    if low is None or high is None:
        return f"at least {low}" if high is None else f"at most {high}"
    return f"{low} to {high}"


def apart(wanted: Type, given: Type) -> bool:
    """Whether no value within the bounds of one is within those of the other."""
    return any(
        one.high is not None and other.low is not None and one.high < other.low
        for one, other in ((wanted, given), (given, wanted))
    )


def unfit(value: object, wanted: Type) -> str:
    """Why a value of Python (durations in seconds) is none of type ``wanted``; empty where it is one."""
    if value is None:
        return "" if wanted.optional else f"null where {an(wanted)} is needed"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match wanted.kind:
        case "bool":
            fits = isinstance(value, bool)
        case "int":
            fits = number and isinstance(value, int)
        case "duration":
            fits = number and isinstance(value, int | float) and isfinite(value) and value >= 0
        case "string" | "uri" | "name":
            fits = isinstance(value, str)
        case "enum":
            fits = value in wanted.values
        case _:
            fits = True
    if not fits:
        what = "a number of seconds, 0 or more," if wanted.kind == "duration" else an(wanted)
        return f"{value!r} where {what} is needed"
    why = out_of_range(value, wanted) if isinstance(value, int | float) and wanted.kind in NUMBER else ""
    return f"{_shown(value, wanted)} {why}" if why else ""


def _shown(value: object, wanted: Type) -> str:
    return duration_text(float(value)) if wanted.kind == "duration" and isinstance(value, int | float) else repr(value)


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
    "list": "write a list of constants: [a, b]",
    "map": "write a mapping: {name: value}",
    "name": "write a plain name",
}


def _mismatch(node: Node, wanted: Type) -> UnreadableError:
    from calltable.engine.model.problems import suggestion  # noqa: PLC0415 - only for a complaint

    shown = describe(node)
    if wanted.kind in ("enum", "handle") and wanted.values:
        msg = f"{shown} is none of {', '.join(wanted.values)}"
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


def an(type_: Type) -> str:
    """The type with its article: «an int», «a message»."""
    return f"an {type_}" if type_.kind[0] in "aeiu" else f"a {type_}"


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


def accepts(wanted: Type, given: Type) -> bool:
    """Whether a value of type ``given`` may stand where ``wanted`` is asked for, null aside.

    Text widens to ``string``, seconds may be given as ``int``, and an enum or handle of fewer members may
    stand for one of more.
    """
    if given.kind == "null":
        return wanted.optional
    if wanted.kind == given.kind:
        if wanted.kind == "enum":
            return set(given.values) <= set(wanted.values)
        return True
    return (wanted.kind == "string" and given.kind in TEXT) or (wanted.kind == "duration" and given.kind == "int")
