"""From rows to code: one generated function per cell.

A cell holds the rows for one state and one event. Its guards become an if-chain on slots, and what the chosen row does becomes one tuple
``(row, changes, effects, publications)``, a constant wherever nothing in it depends on the session or the event. Cells with the same rows share a
function. The code is compiled under the file name and line numbers of the YAML, so that a traceback shows the row itself. Applying a row is generated
too (``entering``): one function sets its variables and its state.

Configuration is compiled in: a changed setting means compiling again, and a running session keeps what it started with.
"""

from __future__ import annotations

import ast
import linecache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from calltable.engine.model import cells as resolve_cells
from calltable.engine.model import expressions as x
from calltable.engine.run.given import refuse_async
from calltable.engine.run.program import ROW, Arm, CompiledMachine, RandomDelay, RowCode
from calltable.engine.run.session import Session, session_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.model import Machine, Row, Tier, Type

_PLANNED = frozenset({"timer.start", "child.start", "child.end"})

Predicates = "Mapping[str, Callable[..., Any]]"


def compile_machine(
    model: Machine,
    config: Mapping[str, Any],
    predicates: Mapping[str, Callable[..., Any]] | None = None,
) -> CompiledMachine:
    """Compile a checked machine. ``config`` gives every ``$config`` name the machine uses.

    Raises KeyError naming a configuration value or predicate that is missing, and TypeError naming a predicate that is an async function.
    """
    for name, function in (predicates or {}).items():
        refuse_async(function, f"predicate {name}")
    compiled = CompiledMachine(model)
    compiled.session = session_class(compiled)
    writer = _Writer(model, config, predicates or {}, compiled.rows)
    for state, by_event in resolve_cells(model).items():
        compiled.cells[state] = {event: writer.cell(state, event, tiers) for event, tiers in by_event.items()}
    compiled.after = {state: writer.arms(state) for state in model.states}
    for code in compiled.rows.values():
        code.durable = model.durable
        if code.kind == ROW:
            cells = {} if code.next_state is None else compiled.cells[code.next_state]
            make, code.named = writer.entering(code.variables, moves=code.next_state is not None)
            code.enter = make(code.next_state, cells)
        if code.next_state is not None:
            code.final = code.next_state in compiled.finals
            code.arms = compiled.after[code.next_state]
        code.plans = bool(code.arms) or any(action.name in _PLANNED for action in code.model.actions)
    compiled.source = writer.source
    compiled.begin = writer.beginning(compiled.defaults)
    return compiled


def _checked(kind: type, name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is kind or (kind is float and type(value) is int):
            return value
        msg = f"{name} must be {kind.__name__}, not {value!r}"
        raise TypeError(msg)

    return check


def _member(values: tuple[str, ...], name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value in values:
            return value
        msg = f"{name} must be one of {', '.join(values)}, not {value!r}"
        raise ValueError(msg)

    return check


def _frozen(value: Any) -> Any:
    """A constant that all sessions share, made read-only: a handler that changed it would change it for all of them."""
    if type(value) is dict:
        return MappingProxyType({key: _frozen(one) for key, one in value.items()})
    return tuple(map(_frozen, value)) if type(value) is tuple else value


_SCALARS: dict[str, type] = {"bool": bool, "int": int, "string": str, "uri": str, "duration": float}


class _Writer:
    """Writes and compiles the cells of one machine."""

    def __init__(
        self,
        model: Machine,
        config: Mapping[str, Any],
        predicates: Mapping[str, Callable[..., Any]],
        rows: Mapping[str, RowCode],
    ) -> None:
        self.model = model
        self.config = config
        self.predicates = predicates
        self.rows = rows
        self.source: dict[str, str] = {}
        self._shared: dict[tuple[tuple[str, ...], tuple[str, ...]], Callable[..., Any]] = {}
        self._entering: dict[tuple[tuple[str, ...], bool], tuple[Callable[..., Any], Callable[..., Any] | None]] = {}
        self._names: dict[str, Any] = {"RandomDelay": RandomDelay}
        self._constants = 0

    # -- cells
    def cell(self, state: str, event: str, tiers: tuple[Tier, ...]) -> Callable[..., Any]:
        fields = self.model.events[event].fields if event in self.model.events else {}
        # what may be left out of one event may be certain in another
        certain = tuple(sorted(name for name, kind in fields.items() if not kind.optional))
        key = (tuple(row.id for tier in tiers for row in tier), certain)
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = self._compile_cell(state, event, fields, tiers)
        return found

    def _compile_cell(
        self, state: str, event: str, fields: Mapping[str, Type], tiers: tuple[Tier, ...]
    ) -> Callable[..., Any]:
        name = "".join(c if c.isalnum() else "_" for c in f"{state}__{event}")
        lines = [f"def {name}(s, e):"]
        at = [0]
        ordered = [row for tier in tiers for row in tier]
        closed = False
        for row in ordered:
            result = f"return {self._result(row, fields)}"
            if row.guard is None or row.after is not None:
                lines.append(f"    {result}")
                at.append(row.position.line)
                closed = True
                break
            lines += [f"    if {self.text(row.guard, fields)}:", f"        {result}"]
            at += [row.position.line] * 2
        if not closed:
            lines.append("    return None")
            at.append(ordered[-1].position.line)
        at[0] = ordered[0].position.line
        files = {row.position.file for row in ordered}
        return self._define(name, lines, at, files.pop() if len(files) == 1 else None)

    def arms(self, state: str) -> tuple[Arm, ...]:
        found = []
        for row in self.model.in_state(state):
            if row.after is None:
                continue
            name = "arm_" + "".join(c if c.isalnum() else "_" for c in row.id)
            guard = "True" if row.guard is None else self.text(row.guard, {})
            lines = [f"def {name}(s):", f"    return {self.text(row.after, {})} if {guard} else None"]
            function = self._define(name, lines, [row.position.line] * 2, row.position.file)
            found.append(Arm(row.events[0], function))
        return tuple(found)

    def entering(self, variables: tuple[str, ...], *, moves: bool) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
        """Two functions for rows that set these variables: one that makes ``RowCode.enter`` of a next state and its cells, and ``RowCode.named``."""
        found = self._entering.get((variables, moves))
        if found is None:
            slots = [f"        {''.join(f's.v_{name}, ' for name in variables)}= v"] if variables else []
            goes = ["        if s.state == state:", "            return False", "        s.state = state", "        s.cells = cells",
                    "        return True"] if moves else ["        return False"]  # fmt: skip
            lines = ["def make(state, cells):", "    def enter(s, v):", *slots, "        s.version += 1", *goes, "    return enter"]
            make = self._define("make", lines, [1] * len(lines), self.model.position.file)
            named = None
            if variables:
                pairs = ", ".join(f"{name!r}: v[{index}]" for index, name in enumerate(variables))
                named = self._define("named", ["def named(v):", f"    return {{{pairs}}}"], [1, 1], self.model.position.file)
            found = self._entering[variables, moves] = make, named
        return found

    def beginning(self, defaults: Mapping[str, Any]) -> Callable[[Session], None]:
        """A function that sets a session's variables to their initial values."""
        lines = ["def begin(s):", *(f"    s.v_{name} = {self._constant(value)}" for name, value in defaults.items())]
        if not defaults:
            lines.append("    pass")
        return self._define("begin", lines, [1] * len(lines), self.model.position.file)

    def _define(self, name: str, lines: list[str], at: list[int], file: str | None) -> Callable[..., Any]:
        text = "\n".join(lines) + "\n"
        tree = ast.parse(text)
        if file is None:
            # rows of several files meet in this cell: show the generated code itself
            file = f"<{self.model.name} {name}>"
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        else:
            for node in ast.walk(tree):
                if hasattr(node, "lineno"):
                    line = at[node.lineno - 1]
                    node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
        space = self._names
        exec(compile(tree, file, "exec"), space)  # noqa: S102 - our own text, made from a checked tree
        self.source[name] = text
        made: Callable[..., Any] = space.pop(name)
        return made

    def _constant(self, value: Any) -> str:
        self._constants += 1
        name = f"K{self._constants}"
        self._names[name] = value
        return name

    def _result(self, row: Row, fields: Mapping[str, Type]) -> str:
        code = self._constant(self.rows[row.id])
        values = [self._assigned(name, value, fields) for name, value in row.set.items()]
        effects = [
            f"({action.name!r}, {self._mapping(tuple(action.parameters.items()), fields)})" for action in row.actions
        ]
        publications = [
            f"({one.name!r}, {self._mapping(tuple(one.fields.items()), fields)})" for one in row.publish
        ]
        text = ", ".join(
            [code, *("(" + "".join(f"{part}, " for part in group) + ")" for group in (values, effects, publications))]
        )
        dynamic = [
            *row.set.values(),
            *(v for action in row.actions for v in action.parameters.values()),
            *(v for one in row.publish for v in one.fields.values()),
        ]
        if all(isinstance(node, x.Literal | x.Config | x.Mapping | x.Between)
               for value in dynamic for node in x.walk(value)):
            return self._constant(_frozen(eval(f"({text})", self._names)))  # noqa: S307 - our own text, constants only
        return f"({text})"

    def _assigned(self, name: str, value: x.Expression, fields: Mapping[str, Type]) -> str:
        text = self.text(value, fields)
        declared = self.model.variables[name].type
        if not isinstance(value, x.Field) or declared.optional:
            return text
        if declared.kind == "enum":
            return f"{self._constant(_member(declared.values, f'variable {name}'))}({text})"
        if declared.kind in _SCALARS:
            return f"{self._constant(_checked(_SCALARS[declared.kind], f'variable {name}'))}({text})"
        return text

    def _mapping(self, items: tuple[tuple[str, x.Expression], ...], fields: Mapping[str, Type]) -> str:
        inner = ", ".join(f"{name!r}: {self.text(value, fields)}" for name, value in items)
        return "{" + inner + "}"

    # -- expressions
    def text(self, node: x.Expression, fields: Mapping[str, Type]) -> str:
        match node:
            case x.Literal(value=value):
                return repr(value)
            case x.Var(name=name):
                return f"s.v_{name}"
            case x.Field(name=name):
                known = fields.get(name)
                return f"e[{name!r}]" if known is not None and not known.optional else f"e.get({name!r})"
            case x.Config(name=name):
                return repr(self.config[name])
            case x.Count(child=child, state=state):
                return f"s.count({child!r}, {state!r})"
            case x.Call(name=name, arguments=arguments):
                function = self._constant(self.predicates[name])
                return f"{function}({', '.join(self.text(a, fields) for a in arguments)})"
            case x.Compare(operator=operator, left=left, right=right):
                a, b = self.text(left, fields), self.text(right, fields)
                if operator in ("==", "!="):
                    return f"({a} {operator} {b})"
                guards = [t for t, n in ((a, left), (b, right)) if self._nullable(n, fields)]
                return "(" + " and ".join([*(f"{t} is not None" for t in guards), f"{a} {operator} {b}"]) + ")"
            case x.In(item=item, members=members):
                return f"({self.text(item, fields)} in ({''.join(repr(m.value) + ', ' for m in members)}))"
            case x.IsNull(item=item):
                return f"({self.text(item, fields)} is None)"
            case x.Not(item=item):
                return f"(not {self.text(item, fields)})"
            case x.And(items=items):
                return "(" + " and ".join(self.text(i, fields) for i in items) + ")"
            case x.Or(items=items):
                return "(" + " or ".join(self.text(i, fields) for i in items) + ")"
            case x.Mapping(items=pairs):
                return self._mapping(pairs, fields)
            case x.Between(low=low, high=high):
                return f"RandomDelay({self.text(low, fields)}, {self.text(high, fields)})"

    def _nullable(self, node: x.Expression, fields: Mapping[str, Type]) -> bool:
        match node:
            case x.Var(name=name):
                return self.model.variables[name].type.optional
            case x.Field(name=name):
                return name not in fields or fields[name].optional
            case x.Literal(value=value):
                return value is None
            case x.Config(name=name):
                return self.config[name] is None
            case x.Call():
                return True
            case _:
                return False
