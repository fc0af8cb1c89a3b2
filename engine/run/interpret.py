"""The same tables, interpreted instead of compiled: slow and simple, and the oracle for the generated code.

``step`` reads the rows as they are in the model. It shares nothing with ``compile.py`` but the order of rows (``model/precedence.py``), so that a
mistake in either shows as a disagreement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.engine.model import expressions as x
from calltable.engine.model import tiers
from calltable.engine.run.program import RandomDelay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.model import Row
    from calltable.engine.run.session import Session


class Interpreted:
    """What a row asks for, with names instead of slots."""

    __slots__ = ("changes", "effects", "publications", "row")

    def __init__(self, row: Row, env: Environment) -> None:
        self.row = row
        self.changes = {name: env.value(value) for name, value in row.set.items()}
        self.effects = [
            (action.name, {name: env.value(value) for name, value in action.parameters.items()})
            for action in row.actions
        ]
        self.publications = [
            (one.name, {name: env.value(value) for name, value in one.fields.items()}) for one in row.publish
        ]


def step(
    session: Session,
    event: str,
    payload: Mapping[str, Any],
    config: Mapping[str, Any],
    predicates: Mapping[str, Callable[..., Any]] | None = None,
) -> Interpreted | None:
    """The row that handles the event with all its values, or None if there is none."""
    env = Environment(session, payload, config, predicates or {})
    for tier in tiers(session.machine.model, session.state, event):
        for row in tier:
            if row.after is not None or row.guard is None or env.value(row.guard):
                return Interpreted(row, env)
    return None


class Environment:
    """Evaluates expressions for one session and event."""

    def __init__(
        self,
        session: Session,
        payload: Mapping[str, Any],
        config: Mapping[str, Any],
        predicates: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.session = session
        self.payload = payload
        self.config = config
        self.predicates = predicates

    def value(self, node: x.Expression) -> Any:
        """The value of the node now."""
        match node:
            case x.Literal(value=value):
                return value
            case x.Var(name=name):
                return getattr(self.session, "v_" + name)
            case x.Field(name=name):
                return self.payload.get(name)
            case x.Config(name=name):
                return self.config[name]
            case x.Count(child=child, state=state):
                return self.session.count(child, state)
            case x.Call(name=name, arguments=arguments):
                return self.predicates[name](*(self.value(a) for a in arguments))
            case x.Compare(operator=operator, left=left, right=right):
                return _compare(operator, self.value(left), self.value(right))
            case x.In(item=item, members=members):
                return self.value(item) in [m.value for m in members]
            case x.IsNull(item=item):
                return self.value(item) is None
            case x.Not(item=item):
                return not self.value(item)
            case x.And(items=items):
                return all(self.value(i) for i in items)
            case x.Or(items=items):
                return any(self.value(i) for i in items)
            case x.Mapping(items=pairs):
                return {name: self.value(value) for name, value in pairs}
            case x.Between(low=low, high=high):
                return RandomDelay(self.value(low), self.value(high))


def _compare(operator: str, left: Any, right: Any) -> bool:
    if operator == "==":
        return bool(left == right)
    if operator == "!=":
        return bool(left != right)
    if left is None or right is None:
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])
