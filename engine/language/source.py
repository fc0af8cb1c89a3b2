"""Reading YAML so that every value still knows where it stands.

PyYAML is used to *compose* (build the node graph with its marks), never to construct: what comes out are
our own small nodes, each with the file, line and column it was written at, so that any later complaint can
point at the very word. Three things differ from plain PyYAML, all in favour of whoever edits a table:

- scalars follow YAML 1.2: only ``true`` and ``false`` are booleans, so ``on``, ``off``, ``yes`` and ``no``
  stay words, and ``1:30`` is not a number in base 60;
- a key written twice in one mapping is an error, not a silent last-one-wins;
- what is wrong with broken YAML is said in words that tell how to fix it.

Anchors and aliases work; a file that unfolds through them to more than ``MAX_NODES`` nodes is refused, and
so is one that contains itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from calltable.engine.model import Position, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_Loader: Any = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader

MAX_NODES = 200_000
MAX_DEPTH = 50
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"

Scalar: TypeAlias = "bool | int | float | str | None"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One YAML value. ``value`` is a scalar, a list of nodes, or a mapping of names to nodes.

    ``keys`` gives, for a mapping, where each key stands. ``text`` is a scalar as it was written.
    ``inner`` is the position of the first character inside a scalar that stands on one line without
    escapes, so that a column can be counted into it; None elsewhere.
    """

    value: Scalar | list[Node] | dict[str, Node]
    position: Position
    keys: Mapping[str, Position]
    text: str
    inner: Position | None

    @property
    def mapping(self) -> dict[str, Node]:
        """The members of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The members of a list; empty for anything else."""
        return self.value if isinstance(self.value, list) else []

    def get(self, key: str) -> Node | None:
        """The member named ``key`` of a mapping, or None."""
        return self.mapping.get(key)

    def data(self) -> Any:
        """The value as plain Python data."""
        value = self.value
        if isinstance(value, dict):
            return {key: node.data() for key, node in value.items()}
        if isinstance(value, list):
            return [node.data() for node in value]
        return value

    def at(self, offset: int) -> Position:
        """The position of character ``offset`` of a scalar, where that can be told; else its beginning."""
        if self.inner is None:
            return self.position
        return Position(self.inner.file, self.inner.line, self.inner.column + offset)


class BrokenSource(Exception):  # noqa: N818 - carries problems, is turned into a TableError
    """A file that is not readable YAML; ``problems`` says why and where."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def read_source(text: str, file: str) -> Node:
    """The nodes of a YAML document.

    ``file`` is the name that positions carry. Raises ``BrokenSource`` for broken YAML, for duplicate keys,
    and for a document that is empty or holds more than one.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise BrokenSource([_plain(error, file, text)]) from None
    except RecursionError:  # a libyaml that sets no limit of its own
        raise BrokenSource([Problem(Position(file, 1, 1), f"not readable as YAML: {_TOO_DEEP}", code="yaml")]) from None
    if root is None:
        hint = "a table begins with «calltable: 1» and «machine: <name>»"
        raise BrokenSource([Problem(Position(file, 1, 1), "the file is empty", hint=hint, code="yaml")])
    builder = _Builder(file)
    node = builder.build(root, 0)
    if builder.problems:
        raise BrokenSource(builder.problems)
    return node


_INT = re.compile(r"[-+]?[0-9]+\Z|0x[0-9a-fA-F]+\Z|0o[0-7]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
_MAX_DIGITS = 18


def scalar(text: str) -> Scalar:
    """What a plain (unquoted) scalar means in the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text) and len(text) <= _MAX_DIGITS:
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.match(text) and len(text) <= 2 * _MAX_DIGITS and not _INT.match(text):
        return float(text)
    return text


class _Builder:
    """Turns PyYAML's nodes into ours; a node that several aliases name is built once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._done: dict[int, tuple[Node, int]] = {}
        self._open: set[int] = set()
        self._sizes: list[int] = [0]

    def build(self, node: yaml.Node, depth: int) -> Node:
        known = self._done.get(id(node))
        if known is not None:
            self._grow(known[1], node)
            return known[0]
        if id(node) in self._open:
            self._fail(node, "an alias names something that contains it", "a table cannot contain itself")
        if depth > MAX_DEPTH:
            self._fail(node, _TOO_DEEP, "")
        self._open.add(id(node))
        self._sizes.append(0)
        built = self._build(node, depth)
        size = self._sizes.pop() + 1
        self._open.discard(id(node))
        self._grow(size, node)
        self._done[id(node)] = (built, size)
        return built

    def _grow(self, size: int, node: yaml.Node) -> None:
        self._sizes[-1] += size
        if self._sizes[-1] > MAX_NODES:
            self._fail(node, f"the file unfolds to more than {MAX_NODES} values", "use fewer aliases of aliases")

    def _fail(self, node: yaml.Node, message: str, hint: str) -> None:
        raise BrokenSource([*self.problems, Problem(self._position(node), message, hint=hint, code="yaml")])

    def _position(self, node: yaml.Node) -> Position:
        mark = node.start_mark
        return Position(self.file, mark.line + 1, mark.column + 1)

    def _build(self, node: yaml.Node, depth: int) -> Node:
        position = self._position(node)
        if isinstance(node, yaml.MappingNode):
            return self.mapping_text(node, position, depth)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.build(item, depth + 1) for item in node.value], position, {}, "", None)
        text: str = node.value
        style: str = getattr(node, "style", None) or ""
        plain = not style
        one_line = node.start_mark.line == node.end_mark.line
        width = node.end_mark.column - node.start_mark.column
        inner = None
        if one_line and plain:
            inner = position
        elif one_line and style in ("'", '"') and width == len(text) + 2:
            inner = Position(position.file, position.line, position.column + 1)
        return Node(scalar(text) if plain else text, position, {}, text, inner)

    def mapping_text(self, node: yaml.MappingNode, position: Position, depth: int) -> Node:
        value: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        for key_node, value_node in node.value:
            where = self._position(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                hint = "a key is a word; put quotes around one that begins with a bracket or a brace"
                self.problems.append(Problem(where, "a list or mapping stands as a key", hint=hint, code="yaml"))
                continue
            key = key_node.value
            if key in value:
                hint = f"it stands at {keys[key].line}:{keys[key].column} already; keep one of the two"
                self.problems.append(Problem(where, f"key {key!r} is written twice", hint=hint, code="duplicate-key"))
                continue
            keys[key] = where
            value[key] = self.build(value_node, depth + 1)
        return Node(value, position, keys, "", None)


# What libyaml and PyYAML say, and what a person can do about it.
_PLAIN: tuple[tuple[str, str, str], ...] = (
    ("mapping values are not allowed", "a «:» stands where none can",
     "put quotes around a text that holds «: », or check the indentation of this line"),
    ("expected ',' or ']'", "a list that begins with «[» is not closed", "add the missing «]» or «,»"),
    ("expected ',' or '}'", "a mapping that begins with «{» is not closed", "add the missing «}» or «,»"),
    ("cannot start any token", "a character that YAML keeps for itself begins this value",
     "indent with spaces, not tabs, and put quotes around a value that begins with @, `, %, & or *"),
    ("undefined alias", "an alias («*name») names no anchor («&name») above it",
     "put quotes around a text that begins with «*»"),
    ("unexpected end of stream", "a quoted text is not closed", "add the missing quote"),
    ("expected '-' indicator", "a line stands in a list without its «- »", "indent it, or begin it with «- »"),
    ("expected <block end>", "the indentation does not fit", "line it up with the lines around it"),
    ("expected key", "the indentation does not fit", "line it up with the lines around it"),
    ("another document", "a second document («---») begins here", "one file holds one table: move it to its own file"),
    ("unknown escape", "a «\\» in double quotes begins no escape that YAML knows",
     "use single quotes, or double the «\\»"),
    ("could not find expected ':'", "a key without its «:»", "write «key: value», with a space after the colon"),
    ("control characters", "a control character stands in the file", "remove it; tables are plain UTF-8 text"),
    ("special characters", "a control character stands in the file", "remove it; tables are plain UTF-8 text"),
    ("nesting depth", _TOO_DEEP, ""),
    ("duplicate anchor", "an anchor («&name») is defined twice", "give one of the two another name"),
)  # fmt: skip


def _plain(error: yaml.YAMLError, file: str, text: str) -> Problem:
    reason = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        position = Position(file, mark.line + 1, mark.column + 1)
    else:
        before = text[: int(getattr(error, "position", 0) or 0)]
        position = Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
    for part, message, hint in _PLAIN:
        if part in reason:
            return Problem(position, f"not readable as YAML: {message}", hint=hint, code="yaml")
    context = getattr(error, "context", None)
    detail = f"{context}: {reason}" if context else reason
    return Problem(position, f"not readable as YAML: {detail}", code="yaml")
