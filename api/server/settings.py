"""Settings of tables that come from outside: typed by the catalogue, held within bounds, and told where they stand.

What a table reads as ``$config.<name>`` is declared in a catalogue. ``typed`` turns what a configuration says into such
values; what it cannot is told with the place and the mend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calltable.engine.language.literals import UnreadableError, read_literal
from calltable.engine.language.source import Node
from calltable.engine.model.problems import Position
from calltable.engine.model.types import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.model.catalogue import Parameter
    from calltable.engine.model.problems import Report

LONGEST: Final = 366 * 86_400.0
"""The longest time that a configuration may name, seconds."""


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
    if setting.type.kind == "duration" and isinstance(value, float) and value >= 0:
        value = duration_text(value)  # as a person would write it
    try:
        read = read_literal(_node(value, place), setting.type)
    except UnreadableError as error:
        report.add(place, f"«{setting.name}»: {error}", code="value", hint=error.hint)
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
