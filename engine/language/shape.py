"""The first half of the first gate: whether a file has the shape of a table.

jsonschema finds what is wrong; its words are for people who think in schemas, so every finding is said again
in words that tell how to fix it, at the position of the very key or value. A row with a wrong shape is set
aside and the rest of the table is still checked, so that one slip does not hide the others.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from calltable.engine.language.literals import describe
from calltable.engine.language.schema import TYPE_NAMES, table_schema
from calltable.engine.model import close_matches, suggestion

if TYPE_CHECKING:
    from jsonschema import ValidationError

    from calltable.engine.language.source import Node
    from calltable.engine.model import Position, Report

_ROW_LISTS = ("rows", "add", "replace")


@dataclass(frozen=True, slots=True)
class Shape:
    """What became of a shape check: ``sound`` means names can be checked, without the ``broken`` rows."""

    sound: bool
    broken: frozenset[int]
    """``id()`` of the nodes of the rows that are set aside."""


def check_shape(root: Node, kind: str, report: Report) -> Shape:
    """Check a file of ``kind`` (machine, fragment, overlay, catalogue), complaining to ``report``."""
    sound = True
    broken: set[int] = set()
    for error in _validator(kind).iter_errors(root.data()):
        if isinstance(error.schema, dict) and error.schema.get("$comment") == TYPE_NAMES and isinstance(error.instance, str):
            continue
        path = list(error.absolute_path)
        inside = report
        row = _row(root, path)
        if row is not None:
            identifier = row.get("id")
            if identifier is not None and isinstance(identifier.value, str):
                inside = report.within(row=identifier.value)
        harmless = explain(error, root, inside)
        if row is not None:
            broken.add(id(row))
        elif not harmless:
            sound = False
    return Shape(sound, frozenset(broken))


@functools.cache
def _validator(kind: str) -> Draft202012Validator:
    schema = table_schema()
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{kind}"})


def _row(root: Node, path: list[str | int]) -> Node | None:
    if len(path) > 1 and path[0] in _ROW_LISTS and isinstance(path[1], int):
        rows = root.get(str(path[0]))
        return rows.items[path[1]] if rows else None
    return None


def _find(root: Node, path: list[str | int]) -> tuple[Node, Position]:
    """The node at ``path``, and where its key stands (its own position in a list)."""
    node, position = root, root.position
    for step in path:
        if isinstance(step, int):
            node = node.items[step]
            position = node.position
        else:
            position = node.keys.get(step, node.position)
            node = node.mapping[step]
    return node, position


def explain(error: ValidationError, root: Node, report: Report, whole: str = "the table") -> bool:
    """Say one finding in plain words; True where the rest of the file can be read all the same.

    ``whole`` is what the file as such is called. Other YAML files with a schema are explained by it too.
    """
    path = list(error.absolute_path)
    node, key = _find(root, path)
    value: Any = error.validator_value
    what = _place(path) or whole
    match error.validator:
        case "additionalProperties" if value is False:
            _unknown_keys(error, node, what, report)
            return True
        case "required":
            missing = [name for name in value if name not in node.mapping]
            for name in missing:
                hint = f"add «{name}: …»" + _renamed(name, node)
                report.add(node.position, f"{what} has no «{name}»", code="missing-key", hint=hint)
            return False
        case "type":
            wanted = " or ".join(_WORDS.get(one, one) for one in ([value] if isinstance(value, str) else value))
            message = f"{what} must be {wanted}, not {describe(node)}"
            report.add(node.position, message, code="shape", hint=_as_list(node, value))
        case "enum":
            hint = suggestion(node.text, map(str, value), "value")
            report.add(node.position, f"{what} cannot be {describe(node)}", code="shape", hint=hint)
        case "const":
            hint = f"write «{_yaml(value)}»" + ("; this engine reads version 1" if path == ["calltable"] else "")
            report.add(node.position, f"{what} cannot be {describe(node)}", code="shape", hint=hint)
        case "pattern":
            name = str(error.instance)
            where = node.position if isinstance(node.value, str) else node.keys.get(name, key)
            report.add(where, f"{name!r} is not a name that can stand here", code="name", hint=_NAMES.get(value, ""))
        case "maxProperties":
            hint = "begin each with its own «- »"
            report.add(node.position, f"{what} holds {len(node.mapping)} names in one entry", code="shape", hint=hint)
        case "minProperties" | "minItems":
            report.add(node.position, f"{what} is empty", code="shape", hint="fill it in, or remove it")
        case _:
            report.add(node.position, f"{what}: {error.message}", code="shape")
    return False


def _unknown_keys(error: ValidationError, node: Node, what: str, report: Report) -> None:
    known = list(error.schema["properties"]) if isinstance(error.schema, dict) else []
    for name in node.mapping:
        if name not in known:
            free = [one for one in known if one not in node.mapping]
            hint = suggestion(name, free if close_matches(name, free) else known, "key")
            if " " in name and node.mapping[name].value is None:
                hint = "put quotes around a text that holds a comma"
            report.add(node.keys[name], f"{what} has no key {name!r}", code="unknown-key", hint=hint)


def _renamed(name: str, node: Node) -> str:
    close = close_matches(name, [key for key in node.mapping if key != name])
    return f" (is it «{close[0]}»?)" if close else ""


def _place(path: list[str | int]) -> str:
    """«the row», «next_state», «the first of guards»: what a path speaks of."""
    if not path:
        return ""
    last = path[-1]
    if isinstance(last, str):
        return f"«{last}»"
    if len(path) >= 2 and path[-2] in _ROW_LISTS:
        return "the row"
    return f"entry {last + 1} of «{path[-2]}»"


def _as_list(node: Node, wanted: object) -> str:
    if wanted == "array" and isinstance(node.value, str):
        return f"write [{node.text}]"
    if wanted == "array" and isinstance(node.value, dict):
        return "begin the entry with «- »"
    if wanted == "string" and not isinstance(node.value, dict | list):
        return f"put it in quotes: '{node.text}'"
    return ""


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_WORDS = {
    "object": "a mapping", "array": "a list", "string": "a text", "integer": "a whole number",
    "number": "a number", "boolean": "true or false", "null": "empty",
}  # fmt: skip

_NAMES = {
    "^[a-z][a-z0-9_]*$": "names are lower-case words: letters, digits and _, beginning with a letter",
    "^[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*$": "names of tables are lower-case words joined by «/»: leg/uas",
    "^[a-z][a-z0-9_]*(\\.[a-z0-9_]+)*$": "names are lower-case words joined by dots: uas.early.cancel",
    "^[a-z][a-z0-9_]*\\*?(\\.([a-z0-9_]+|\\*))*$":
        "events are lower-case words joined by dots: door.opened, timer.resend, b.answered, after «user.*» in refusals",
    "^[a-z][a-z0-9_]*\\*?$": "a child's name is a lower-case word, with a * at its end for a set: b, b*",
}  # fmt: skip
