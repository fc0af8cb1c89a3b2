"""Checks of what Python code passes to the engine: functions, and the parameters that a machine is started with.

Tables are checked when they load, but a handler or a call of ``start`` is not part of a table. A mistake in one would show much later and elsewhere, as a
call that hangs: an ``async def`` predicate returns a coroutine, which counts as true, and an ``async def`` handler does nothing at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calltable.engine.model import STARTED, out_of_range, suggestion

if TYPE_CHECKING:
    from calltable.engine.model import Machine, Type

_TEXT = frozenset({"string", "uri", "name"})


def refuse_async(function: Any, what: str) -> None:
    """Raise TypeError if calling ``function`` would only create a coroutine, which the engine would not await."""
    inner = function
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    if any(kind(one) for kind in kinds for one in (inner, getattr(inner, "__call__", None))):  # noqa: B004 - the method itself is asked
        msg = (
            f"{what} is an async function, and the engine does not wait: make it a plain one; it may start a task, "
            "and post an outcome when that is done"
        )
        raise TypeError(msg)


def check_parameters(machine: Machine, parameters: Mapping[str, Any]) -> None:
    """Raise ValueError unless these are the parameters that the machine declares, each with a value of its type."""
    declared = machine.events[STARTED].fields if STARTED in machine.events else machine.parameters
    found = 0
    for name, kind in declared.items():
        value = parameters.get(name)
        found += name in parameters
        if value is None:
            if not kind.optional:
                said = "is null" if name in parameters else "is missing"
                msg = f"{machine.name}: parameter {name} ({kind}) {said}{_unknown(declared, parameters)}"
                raise ValueError(msg)
        elif not _fits(value, kind):
            msg = f"{machine.name}: parameter {name} must be {kind}, not {value!r}"
            raise ValueError(msg)
        elif kind.low is not None or kind.high is not None:
            outside = out_of_range(value, kind)
            if outside:
                msg = f"{machine.name}: parameter {name}: {value!r} {outside}"
                raise ValueError(msg)
    if found != len(parameters):
        msg = f"{machine.name}{_unknown(declared, parameters).replace(';', ':', 1)}"
        raise ValueError(msg)


def _unknown(declared: Mapping[str, Type], parameters: Mapping[str, Any]) -> str:
    for name in parameters:
        if name not in declared:
            return f"; there is no parameter {name}: {suggestion(name, declared, 'parameter')}"
    return ""


def _fits(value: Any, kind: Type) -> bool:
    match kind.kind:
        case "bool":
            return type(value) is bool
        case "int":
            return isinstance(value, int) and type(value) is not bool
        case "duration":
            return isinstance(value, int | float) and type(value) is not bool
        case "enum":
            return value in kind.values
        case "map":
            return isinstance(value, Mapping)
        case "list":
            return isinstance(value, list | tuple)
        case one if one in _TEXT:
            return isinstance(value, str)
        case _:
            return True
