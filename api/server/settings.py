"""Settings of tables that come from outside: typed by the catalogue, held within bounds, and reported where they stand.

What a table reads as ``$config.<name>`` is declared in a catalogue. ``typed`` turns what a configuration says into such
values; what it cannot is reported with the place and how to fix it. So are times that contradict each other, which would make
transactions wait the wrong way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calltable.engine.language import Node, UnreadableError, read_literal
from calltable.engine.model import Position, duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.model import Parameter, Report

HOW: Final = "write 500ms, 2.1s, 3m or 1h"
_ORDER: Final = (
    ("t1", "t2", "intervals between retransmissions grow from T1 to T2, RFC 3261 §17.1.2.2"),
    ("owed_ack", "timer_l", "the INVITE server transaction has to outlive the wait for an answer, RFC 6026 §8.7"),
    ("owed_ack", "timer_m", "the INVITE client transaction has to outlive the wait for an answer, RFC 6026 §8.4"),
)  # fmt: skip
"""Pairs of settings of which the first may not be longer than the second, and why."""


def without_unit(value: object) -> bool:
    """Whether a value is a time that is written as a bare number; 0 needs no unit."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def typed(
    timers: Mapping[str, Any], settings: Mapping[str, Any], known: Mapping[str, Parameter], places: Mapping[str, Position], report: Report
) -> dict[str, Any]:
    """The values of all settings that are given, without those that ``report`` is told about.

    ``places`` says where each stands, as ``timers/t1`` or ``settings/greeting``.
    """
    found: dict[str, Any] = {}
    for key, given in (("timers", timers), ("settings", settings)):
        for name, value in given.items():
            where = places.get(f"{key}/{name}", Position(key, 1, 1))
            setting = known.get(name)
            if setting is None:
                report.unknown(where, "setting", name, known)
            elif key == "timers" and setting.type.kind != "duration":
                report.add(where, f"{name} is not a time: it is of type {setting.type}", code="value", hint="write it under «settings:»")
            elif name in found:
                report.add(where, f"{name} is also set under «timers:»", code="value", hint="keep one of the two")
            elif key == "settings" and f"settings/{name}=" in places and setting.type.kind == "duration" and without_unit(value):
                hint = f"write {value}ms or {value}s"
                report.add(places[f"settings/{name}="], f"«{name}»: {value} has no unit", code="unit", hint=hint)
            else:
                _one(setting, value, places.get(f"{key}/{name}=", where), found, report)
    _in_order(found, known, places, report)
    return found


def _in_order(found: Mapping[str, Any], known: Mapping[str, Parameter], places: Mapping[str, Position], report: Report) -> None:
    """Report times that contradict each other, the defaults included, where one of them was given."""
    for low, high, reason in _ORDER:
        if not {low, high} & found.keys() or not {low, high} <= known.keys():
            continue
        short, long = (found.get(name, known[name].default) for name in (low, high))
        if short > long:
            given = low if low in found else high
            place = next((places[key] for key in (f"timers/{given}=", f"settings/{given}=") if key in places), Position("timers", 1, 1))
            message = f"{low} ({duration_text(short)}) is longer than {high} ({duration_text(long)}): {reason}"
            report.add(place, message, code="value", hint=f"make {low} shorter, or {high} longer")


def _one(setting: Parameter, value: Any, place: Position, found: dict[str, Any], report: Report) -> None:
    if setting.type.kind == "duration" and isinstance(value, float) and value >= 0:
        value = duration_text(value)  # as a person would write it
    try:
        read = read_literal(_node(value, place), setting.type)
    except UnreadableError as error:
        hint = HOW if setting.type.kind == "duration" and "is needed" in str(error) else error.hint
        report.add(place, f"«{setting.name}»: {error}", code="value", hint=hint)
        return
    found[setting.name] = read


def _node(value: Any, place: Position) -> Node:
    """Plain data as the loader reads it."""
    if isinstance(value, dict):
        return Node({str(key): _node(one, place) for key, one in value.items()}, place, {}, "", None)
    if isinstance(value, list | tuple):
        return Node([_node(one, place) for one in value], place, {}, "", None)
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    return Node(value, place, {}, text, None)
