"""Typed payloads for adapter authors: what a catalogue says of actions, written as a Python module of ``TypedDict`` classes.

The handler of an action is given its parameters as a mapping. With these classes in its signature a type checker knows the keys
and their types: ``def open(self, session: Session, p: DoorOpen) -> None``.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from calltable.engine.model import ActionSpec, Parameter, Type

_PYTHON = {
    "bool": "bool", "int": "int", "duration": "float", "string": "str", "uri": "str", "name": "str", "enum": "str",
    "map": "dict[str, Any]", "list": "tuple[Any, ...]",
}  # fmt: skip


def payloads_text(actions: Mapping[str, ActionSpec], catalogue: str) -> str:
    """The module: one class for each action that has parameters."""
    return "\n".join(_lines(actions, catalogue)) + "\n"


def _lines(actions: Mapping[str, ActionSpec], catalogue: str) -> Iterator[str]:
    yield f'"""The parameters of the actions of the catalogue {catalogue}, as their handlers are given them. Written by calltable.tools.schemas.'
    yield ""
    yield "Durations are in seconds. Messages and handles are the adapter's own objects, which the engine hands on as they are."
    yield '"""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "from typing import Any, NotRequired, TypedDict"
    for name, spec in sorted(actions.items()):
        if not spec.parameters:
            continue
        fields = {one.name: _field(one) for one in spec.parameters.values()}
        yield ""
        if any(map(keyword.iskeyword, fields)):  # a class cannot have such a field
            yield f"{class_name(name)} = TypedDict(  # ``{name}``"
            yield f'    "{class_name(name)}",'
            yield "    {"
            yield from (f'        "{field}": {kind},' for field, kind in fields.items())
            yield "    },"
            yield ")"
            continue
        yield ""
        yield f"class {class_name(name)}(TypedDict):"
        yield f'    """The parameters of ``{name}``."""'
        yield ""
        yield from (f"    {field}: {kind}" for field, kind in fields.items())


def class_name(action: str) -> str:
    """``DoorOpen`` for ``door.open``."""
    return "".join(word.capitalize() for word in action.replace("_", ".").split("."))


def _field(parameter: Parameter) -> str:
    kind = _python(parameter.type)
    return kind if parameter.required else f"NotRequired[{kind}]"


def _python(kind: Type) -> str:
    found = _PYTHON.get(kind.kind, "Any")
    return f"{found} | None" if kind.optional and found != "Any" else found
