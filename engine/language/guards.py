"""Guards as text: reading them, and writing them back.

The grammar, loosest first::

    guard      = and_ { "or" and_ }
    and_       = not_ { "and" not_ }
    not_       = "not" not_ | relation
    relation   = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand
                         | ["not"] "in" "[" literal { "," literal } "]"
                         | "is" ["not"] "null" ]
    operand    = "(" guard ")" | literal | name | "event." name | "config." name
               | "count" "(" child ["," state] ")" | predicate "(" [operand {"," operand}] ")"
    literal    = int | float | duration (500ms, 2.1s, 3m, 1h) | quoted text | "true" | "false" | "null" | word

Tables are data, so nothing here can loop, assign, or reach outside; Python's ``eval`` is never near. What a
bare word means (a variable, or a member of the enum it is compared with) is settled by ``scope.py``, which
knows the types; the parser reads it as a variable, and as text in the list after ``in``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.model import duration
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.engine.model import Position

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?[0-9]+(?:\.[0-9]+)?(?P<unit>ms|s|m|h)?(?![\w.]))
      | (?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*\*?)
      | (?P<text>'[^']*'|"[^"]*")
      | (?P<symbol>==|!=|<=|>=|<|>|\(|\)|\[|\]|,)
    )""",
    re.VERBOSE,
)

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_RESERVED = frozenset({"and", "or", "not", "in", "is", "true", "false", "null", "otherwise"})
_FOREIGN = {
    "&&": "write «and»", "||": "write «or»", "!": "write «not»", "=": "write «==» to compare",
    "$": "names in guards have no $", "+": "guards do no arithmetic: let an action compute it",
    "-": "guards do no arithmetic: let an action compute it", "*": "guards do no arithmetic: let an action compute it",
    "/": "guards do no arithmetic: let an action compute it", "'": "close the quote", '"': "close the quote",
}  # fmt: skip
MAX_DEPTH = 40
"""Levels of parentheses, calls of predicates included, and of ``not``."""


class GuardError(ValueError):
    """A guard that cannot be read: where, why, and how to fix it."""

    def __init__(self, position: Position, message: str, hint: str = "") -> None:
        super().__init__(f"{position}: {message}")
        self.position = position
        self.message = message
        self.hint = hint


class Token(NamedTuple):
    """``kind`` is ``number``, ``name``, ``text``, ``symbol`` or ``end``; ``offset`` counts characters from 0."""

    kind: str
    text: str
    offset: int


class Parsed(NamedTuple):
    """A guard with, for each node by its ``id()``, the offset of its first token in the text."""

    expression: x.Expression
    offsets: dict[int, int]


def parse_guard(text: str, position: Position) -> x.Expression:
    """Read a guard. ``position`` is where its text begins; raises ``GuardError`` at the offending token."""
    return parse(text, lambda offset: type(position)(position.file, position.line, position.column + offset)).expression


def parse(text: str, at: Callable[[int], Position]) -> Parsed:
    """Read a guard; ``at`` turns an offset in ``text`` into a position. Raises ``GuardError``."""
    return _Parser(text, at).whole()


def _tokens(text: str, at: Callable[[int], Position]) -> list[Token]:
    found = []
    offset = 0
    end = len(text.rstrip())
    while offset < end:
        match = _TOKEN.match(text, offset)
        if match is None:
            start = offset + len(text[offset:]) - len(text[offset:].lstrip())
            bad = text[start : start + 2] if text[start : start + 2] in _FOREIGN else text[start]
            raise GuardError(at(start), f"unexpected {bad!r} in the guard", _FOREIGN.get(bad, ""))
        kind = match.lastgroup if match.lastgroup != "unit" else "number"
        found.append(Token(kind or "", match[kind or 0], match.start(kind or 0)))
        offset = match.end()
    found.append(Token("end", "", end))
    return found


class _Parser:
    """Recursive descent, one method a rule of the grammar."""

    def __init__(self, text: str, at: Callable[[int], Position]) -> None:
        self.at = at
        self.tokens = _tokens(text, at)
        self.next = 0
        self.depth = 0
        self.offsets: dict[int, int] = {}
        self.kept: list[x.Expression] = []

    # -- tokens
    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def take(self) -> Token:
        token = self.token
        self.next += token.kind != "end"
        return token

    def takes(self, *texts: str) -> bool:
        if self.token.kind in ("name", "symbol") and self.token.text in texts:
            self.next += 1
            return True
        return False

    def expect(self, text: str, after: str) -> None:
        if not self.takes(text):
            hint = "a guard that holds a comma or a bracket needs quotes in YAML" if self.token.kind == "end" else ""
            raise self.error(f"expected «{text}» {after}, found {self.found()}", hint)

    def found(self) -> str:
        return "the end of the guard" if self.token.kind == "end" else repr(self.token.text)

    def error(self, message: str, hint: str = "") -> GuardError:
        return GuardError(self.at(self.token.offset), message, hint)

    def node(self, node: x.Expression, offset: int) -> x.Expression:
        self.offsets[id(node)] = offset
        self.kept.append(node)
        return node

    # -- rules
    def whole(self) -> Parsed:
        if self.token.kind == "end":
            raise self.error("the guard is empty", "write a condition, or remove the guard")
        expression = self.or_()
        if self.token.kind != "end":
            hint = "guards are joined by «and» or «or»" if self.token.kind in ("name", "number", "text") else ""
            raise self.error(f"unexpected {self.found()} after the end of the condition", hint)
        return Parsed(expression, self.offsets)

    def or_(self) -> x.Expression:
        offset = self.token.offset
        items = [self.and_()]
        while self.takes("or"):
            items.append(self.and_())
        return items[0] if len(items) == 1 else self.node(x.Or(tuple(items)), offset)

    def and_(self) -> x.Expression:
        offset = self.token.offset
        items = [self.not_()]
        while self.takes("and"):
            items.append(self.not_())
        return items[0] if len(items) == 1 else self.node(x.And(tuple(items)), offset)

    def not_(self) -> x.Expression:
        offset = self.token.offset
        negations = 0
        while self.token.text == "not" and self.token.kind == "name":
            self.deeper(self.take())
            negations += 1
        item = self.relation()
        self.depth -= negations
        for _ in range(negations):
            item = self.node(x.Not(item), offset)
        return item

    def relation(self) -> x.Expression:
        offset = self.token.offset
        left = self.operand()
        token = self.token
        if token.kind == "symbol" and token.text in _COMPARISONS:
            self.take()
            right = self.operand()
            if self.token.text in _COMPARISONS and self.token.kind == "symbol":
                raise self.error("a comparison cannot be chained", "write «a < b and b < c»")
            return self.node(x.Compare(token.text, left, right), offset)
        if self.takes("is"):
            negated = self.takes("not")
            self.expect("null", "after «is»")
            test = self.node(x.IsNull(left), offset)
            return self.node(x.Not(test), offset) if negated else test
        negated = self.takes("not")
        if negated or self.token.text == "in":
            self.expect("in", "after «not»")
            member = self.node(x.In(left, self.members()), offset)
            return self.node(x.Not(member), offset) if negated else member
        return left

    def members(self) -> tuple[x.Literal, ...]:
        self.expect("[", "after «in»")
        found: list[x.Literal] = []
        while True:
            token = self.token
            item = self.operand()
            if isinstance(item, x.Var):
                item = self.node(x.Literal(item.name), token.offset)
            if not isinstance(item, x.Literal):
                message = f"{token.text!r} is not a constant"
                raise GuardError(self.at(token.offset), message, "the list after «in» holds constants only")
            found.append(item)
            if self.takes("]"):
                return tuple(found)
            self.expect(",", "or «]» in the list after «in»")

    def operand(self) -> x.Expression:
        token = self.take()
        offset = token.offset
        match token.kind:
            case "number":
                return self.node(x.Literal(_number(token.text)), offset)
            case "text":
                return self.node(x.Literal(token.text[1:-1]), offset)
            case "symbol" if token.text == "(":
                self.deeper(token)
                inner = self.or_()
                self.depth -= 1
                self.expect(")", "to close the parenthesis")
                return inner
            case "name":
                return self.named(token)
        if token.kind != "end":
            self.next -= 1
        raise self.error(f"expected a value, found {self.found()}")

    def named(self, token: Token) -> x.Expression:
        name = token.text
        if name in ("true", "false", "null"):
            return self.node(x.Literal({"true": True, "false": False, "null": None}[name]), token.offset)
        if name in _RESERVED:
            self.next -= 1
            hint = "«otherwise» stands alone: guards: [otherwise]" if name == "otherwise" else ""
            raise self.error(f"expected a value, found {name!r}", hint)
        if self.takes("("):
            return self.call(token)
        if name.endswith("*"):
            self.next -= 1
            raise self.error(f"{name!r} is a set of children", f"ask how many live: count({name}) > 0")
        head, _, rest = name.partition(".")
        if rest and head == "event":
            return self.node(x.Field(rest), token.offset)
        if rest and head == "config":
            return self.node(x.Config(rest), token.offset)
        if rest:
            self.next -= 1
            raise self.error(f"unknown name {name!r}", "dotted names are event.<field> and config.<name>")
        return self.node(x.Var(name), token.offset)

    def call(self, token: Token) -> x.Expression:
        if token.text == "count":
            return self.count(token)
        arguments: list[x.Expression] = []
        self.deeper(token)
        if not self.takes(")"):
            arguments.append(self.operand())
            while self.takes(","):
                arguments.append(self.operand())
            self.expect(")", f"to close {token.text}(")
        self.depth -= 1
        return self.node(x.Call(token.text, tuple(arguments)), token.offset)

    def deeper(self, token: Token) -> None:
        """Note one more level of parentheses; the reader recurses for each, and so does all that walks the tree."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            message = f"the guard is nested more than {MAX_DEPTH} levels deep"
            raise GuardError(self.at(token.offset), message, "split it into several guards or rows")

    def count(self, token: Token) -> x.Expression:
        if self.token.kind != "name":
            raise self.error(f"expected the name of a child, found {self.found()}", "write count(b*) or count(b*, ringing)")
        child = self.take().text
        state = None
        if self.takes(","):
            if self.token.kind != "name":
                raise self.error(f"expected a state, found {self.found()}", "write count(b*, ringing)")
            state = self.take().text
        self.expect(")", "to close count(")
        return self.node(x.Count(child, state), token.offset)


def _number(text: str) -> int | float:
    seconds = duration(text.removeprefix("-"))
    if seconds is not None:
        return -seconds if text.startswith("-") else seconds
    return float(text) if "." in text else int(text)


# --------------------------------------------------------------------------- writing


