"""The types of variables, parameters and fields: which values belong to one, and which type may stand for another."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isfinite


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


KINDS = ("bool", "int", "string", "duration", "enum", "uri", "message", "content", "outgoing", "handle", "map", "list", "name")
"""``message``, ``content``, ``outgoing`` and ``handle`` are opaque to the engine: adapters make and read them. A ``message`` is one that came
in, ``content`` is what a message that is yet to be written is given (one that came in lends it too), ``outgoing`` is a message that is ready to leave. ``name`` is the name
of something in the table (a child, a timer, a machine, an event) and is checked by the loader."""
DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
TEXT = frozenset({"string", "enum", "uri", "name"})
"""Kinds whose values are text."""
NUMBER = frozenset({"int", "duration"})
OPAQUE = frozenset({"message", "content", "outgoing", "map", "list"})
"""Kinds that can be handed on and compared with null, and nothing else."""
TABLE_KINDS = tuple(kind for kind in KINDS if kind != "name")
"""Kinds a table may give a variable or a field; ``name`` is the catalogue's own."""
BOOL, INT, STRING, SECONDS = Type("bool"), Type("int"), Type("string"), Type("duration")
NULL = Type("null", optional=True)


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


def an(type_: Type) -> str:
    """The type with its article: «an int», «a message»."""
    return f"an {type_}" if type_.kind[0] in "aeiu" else f"a {type_}"


def accepts(wanted: Type, given: Type) -> bool:
    """Whether a value of type ``given`` may stand where ``wanted`` is asked for, null aside.

    Text widens to ``string``, a message to the ``content`` that it lends, seconds may be given as ``int``, and an enum or handle of fewer
    members may stand for one of more.
    """
    if given.kind == "null":
        return wanted.optional
    if wanted.kind == given.kind:
        if wanted.kind == "enum":
            return set(given.values) <= set(wanted.values)
        return True
    return (
        (wanted.kind == "string" and given.kind in TEXT)
        or (wanted.kind == "duration" and given.kind == "int")
        or (wanted.kind == "content" and given.kind == "message")
    )
