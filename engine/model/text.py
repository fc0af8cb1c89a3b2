"""The one printer of expressions and values: as tables write them, and as messages show them.

Guards (``format_expression``) and values (``value_text``) are written so that they read back as the same tree. Two expressions are
equal where their texts are, so the text of a guard's subject serves as its name in truth tables.
"""

from __future__ import annotations

import json

from calltable.engine.model import expressions as x
from calltable.engine.model.types import duration_text

_OR, _AND, _NOT, _RELATION, _OPERAND = range(5)


def format_expression(node: x.Expression) -> str:
    """A guard as text that reads back as the same tree; text constants stand in quotes."""
    return _format(node)[0]


def _format(node: x.Expression) -> tuple[str, int]:
    match node:
        case x.Literal(value=value):
            return format_literal(value), _OPERAND
        case x.Var(name=name):
            return name, _OPERAND
        case x.Field(name=name):
            return f"event.{name}", _OPERAND
        case x.Config(name=name):
            return f"config.{name}", _OPERAND
        case x.Count(child=child, state=state):
            return (f"count({child}, {state})" if state else f"count({child})"), _OPERAND
        case x.Call(name=name, arguments=arguments):
            return f"{name}({', '.join(map(format_expression, arguments))})", _OPERAND
        case x.Compare(operator=operator, left=left, right=right):
            return f"{_inside(left, _OPERAND)} {operator} {_inside(right, _OPERAND)}", _RELATION
        case x.In(item=item, members=members):
            return f"{_inside(item, _OPERAND)} in [{', '.join(format_literal(m.value) for m in members)}]", _RELATION
        case x.IsNull(item=item):
            return f"{_inside(item, _OPERAND)} is null", _RELATION
        case x.Not(item=x.IsNull(item=item)):
            return f"{_inside(item, _OPERAND)} is not null", _RELATION
        case x.Not(item=x.In(item=item, members=members)):
            shown = ", ".join(format_literal(m.value) for m in members)
            return f"{_inside(item, _OPERAND)} not in [{shown}]", _RELATION
        case x.Not(item=item):
            return f"not {_inside(item, _NOT)}", _NOT
        case x.And(items=items):
            return " and ".join(_inside(item, _NOT) for item in items), _AND
        case x.Or(items=items):
            return " or ".join(_inside(item, _AND) for item in items), _OR
        case x.Mapping(items=pairs):
            return "{" + ", ".join(f"{name}: {format_expression(value)}" for name, value in pairs) + "}", _OPERAND
        case x.Between(low=low, high=high):
            return f"between {format_expression(low)} and {format_expression(high)}", _OPERAND


def _inside(node: x.Expression, least: int) -> str:
    text, binding = _format(node)
    return text if binding >= least else f"({text})"


def format_literal(value: object, *, bare: bool = False) -> str:
    """A constant as a guard writes it; a float is a duration. ``bare``: text without quotes, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return f"-{duration_text(-value)}" if value < 0 else duration_text(value)
        case str():
            return value if bare else f'"{value}"' if "'" in value else f"'{value}'"
        case tuple():
            return "[" + ", ".join(map(format_literal, value)) + "]"
        case _:
            return str(value)


def mapping_text(items: object) -> str:
    """A mapping in flow style."""
    return "{" + ", ".join(f"{name}: {value_text(value)}" for name, value in items) + "}"  # type: ignore[attr-defined]


def value_text(value: x.Expression) -> str:
    """A value as YAML writes it: ``$answered``, ``486``, ``{after: $config.t1}``."""
    match value:
        case x.Var(name=name):
            return f"${name}"
        case x.Field(name=name):
            return f"$event.{name}"
        case x.Config(name=name):
            return f"$config.{name}"
        case x.Mapping(items=items):
            return mapping_text(items)
        case x.Between(low=low, high=high):
            return f"{{between: [{value_text(low)}, {value_text(high)}]}}"
        case x.Literal(value=str() as literal):
            text = literal.replace("$", "$$", 1) if literal.startswith("$") else literal
            return text if text.replace("_", "").replace(".", "").isalnum() else json.dumps(text, ensure_ascii=False)
        case x.Literal(value=literal):
            return json.dumps(literal)
        case _:
            return str(value)


def show_value(value: object) -> str:
    """A value for people: constants as tables write them, messages and handles by their kind."""
    if value is None or isinstance(value, bool | int | float | str):
        return format_literal(value, bare=True)
    return f"‹{type(value).__name__}›"
