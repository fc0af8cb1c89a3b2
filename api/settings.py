"""Settings of tables that come from outside: typed by the catalogue, held within bounds, and told where they stand.

What a table reads as ``$config.<name>`` is declared in a catalogue. ``typed`` turns what a configuration says into such
values; what it cannot is told with the place and the mend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calltable.engine.kinds import UnreadableError, duration_text, read_literal
from calltable.engine.model import Position
from calltable.engine.source import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.model import Parameter
    from calltable.engine.problems import Report

DAY: Final = 86_400.0
LONGEST: Final = 366 * DAY
_LEAST: Final = 0.001
_NEVER_ZERO: Final = frozenset({
    "t1", "t2", "t4", "timer_b", "timer_f", "timer_h", "timer_l", "timer_m", "owed_ack", "no_answer", "undecided", "closing",
})  # fmt: skip
"""Times that repeat something, or that a peer needs to answer: without any, messages flood or every call fails."""
_LATCHES: Final = frozenset({"timer_d", "timer_i", "timer_j", "timer_k"})
"""Times that absorb repetitions; zero over a reliable transport (RFC 3261 §17)."""


def bounds(setting: Parameter) -> tuple[float, float] | None:
    """The least and the most that a setting may be; None where there are none. In seconds for durations."""
    if setting.type.kind != "duration":
        return None
    if setting.name in _NEVER_ZERO:
        return _LEAST, DAY
    return 0.0, DAY if setting.name in _LATCHES else LONGEST


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
                report.add(where, f"{name} is no time: it is of type {setting.type}", code="value", hint="write it under «settings:»")
            elif name in found:
                report.add(where, f"{name} is set twice, under «timers:» too", code="value", hint="keep one of the two")
            else:
                _one(setting, value, places.get(f"{key}/{name}=", where), found, report)
    return found


def _one(setting: Parameter, value: Any, place: Position, found: dict[str, Any], report: Report) -> None:
    try:
        read = read_literal(_node(value, place), setting.type)
    except UnreadableError as error:
        report.add(place, f"«{setting.name}»: {error}", code="value", hint=error.hint)
        return
    within = bounds(setting)
    if within is not None and isinstance(read, int | float) and not within[0] <= read <= within[1]:
        show = duration_text if setting.type.kind == "duration" else str
        message = f"«{setting.name}»: {_said(value)} is {'more' if read > within[1] else 'less'} than it can be"
        report.add(place, message, code="value", hint=f"give something from {show(within[0])} to {show(within[1])}")
        return
    found[setting.name] = read


def _said(value: Any) -> str:
    return duration_text(float(value)) if isinstance(value, int | float) else str(value)


def _node(value: Any, place: Position) -> Node:
    """Plain data as the loader reads it."""
    if isinstance(value, dict):
        return Node({str(key): _node(one, place) for key, one in value.items()}, place, {}, "", None)
    if isinstance(value, list | tuple):
        return Node([_node(one, place) for one in value], place, {}, "", None)
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    return Node(value, place, {}, text, None)
