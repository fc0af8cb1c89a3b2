"""Properties that users state, in a small YAML file beside their tables.

::

    calltable: 1
    properties:
      - name: a cancelled call does not ring on
        in: [call]
        never: {caller: cancelling, callee: [incoming, early], network: silent, faults: none}
      - name: whoever was answered gets connected or ends
        leads: {from: {callee: answering}, to: {callee: [active, terminated]}}
      - name: the leg keeps no old offer
        always: {caller.waiting: false}

A condition is a mapping, and all of it must hold. A key is a session (``caller``, ``callee``, ``b2bua``, ``b2bua.a``, …), whose value
is a state or a list of states (``none``: not begun; a final state's own name, or ``ended``); or a session with a variable
(``caller.waiting``), whose value is the variable's; or ``network: silent|busy`` (whether messages are under way); or
``faults: none|some`` (whether anything was lost or broken on the way).

``never`` and ``always`` are asked in every state. ``leads`` asks that from every state where ``from`` holds, every way on
meets ``to``: no path may end without it. (A loop without an end is a livelock, which the explorer tells by itself.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.explore.scene import ENDED
from calltable.engine.language import BrokenSource, read_source
from calltable.engine.model import Problem, TableError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calltable.engine.explore.composition import Composition
    from calltable.engine.explore.element import LocalCode
    from calltable.engine.explore.search import Graph
    from calltable.engine.explore.system import State, System
    from calltable.engine.language import Node

Condition = tuple[tuple[str, tuple[Any, ...]], ...]
"""Keys, each with the values it may have."""

KINDS = ("never", "always", "leads")
NETWORK = {"network": ("silent", "busy"), "faults": ("none", "some")}


class Assertion(NamedTuple):
    """One property. For ``leads``, ``condition`` is where it begins and ``goal`` where it has to lead."""

    name: str
    kind: str
    condition: Condition
    goal: Condition
    compositions: tuple[str, ...]

    @property
    def variables(self) -> set[str]:
        """The variables it may be about: the last parts of its keys."""
        return {key.rpartition(".")[2] for key, _ in (*self.condition, *self.goal)}

    def concerns(self, composition: Composition) -> bool:
        """Whether it is asked of this composition."""
        return not self.compositions or composition.name in self.compositions


def read_properties(text: str, file: str, known: Sequence[str]) -> list[Assertion]:
    """The properties of a file; ``known`` are the names of compositions. Raises ``TableError`` with all problems."""
    problems: list[Problem] = []

    def wrong(node: Node, message: str, hint: str = "") -> None:
        problems.append(Problem(node.position, message, hint=hint, code="property"))

    try:
        root = read_source(text, file)
    except BrokenSource as error:
        raise TableError(error.problems) from error
    listed = root.get("properties")
    found = []
    if listed is None or not isinstance(listed.value, list):
        wrong(root, "the file holds no list of properties", "write `properties:` and a list below it")
    for node in listed.items if listed is not None else ():
        kinds = [kind for kind in KINDS if kind in node.mapping]
        for key in node.mapping:
            if key not in (*KINDS, "name", "in", "doc"):
                wrong(node, f"unknown key {key!r}", suggestion(key, (*KINDS, "name", "in", "doc"), "key"))
        if len(kinds) != 1:
            wrong(node, "a property is one of never, always and leads", "state two things as two properties")
            continue
        kind = kinds[0]
        inside = node.mapping[kind]
        name = node.mapping["name"].text if "name" in node.mapping else f"{kind} at {node.position}"
        within = node.get("in")
        wanted = [] if within is None else [one.text for one in within.items] or [within.text]
        for one in wanted:
            if one not in known:
                wrong(node, f"unknown composition {one!r}", suggestion(one, known, "composition"))
        begin, end = inside, inside
        if kind == "leads":
            if set(inside.mapping) != {"from", "to"}:
                wrong(inside, "leads has from and to", "leads: {from: {…}, to: {…}}")
                continue
            begin, end = inside.mapping["from"], inside.mapping["to"]
        conditions = [_condition(one, wrong) for one in (begin, end)]
        found.append(Assertion(name, kind, conditions[0], conditions[1] if kind == "leads" else (), tuple(wanted)))
    if problems:
        raise TableError(problems)
    return found


def _condition(node: Node, wrong: Callable[[Node, str, str], None]) -> Condition:
    if not node.mapping:
        wrong(node, "a condition names sessions and their states", "{caller: active, network: silent}")
    made = []
    for key, value in node.mapping.items():
        values = tuple(one.data() for one in value.items) if isinstance(value.value, list) else (value.data(),)
        for one in values:
            if key in NETWORK and one not in NETWORK[key]:
                wrong(value, f"{key} is {' or '.join(NETWORK[key])}", suggestion(str(one), NETWORK[key], key))
        made.append((key, values))
    return tuple(made)


class Watch:
    """Assertion properties, ready to be asked of the states of one system.

    Raises LookupError where a property names a session or variable that the composition does not have.
    """

    def __init__(self, stated: Sequence[Assertion], system: System, composition: Composition) -> None:
        self.system = system
        self.stated = stated
        self.roots = {
            part.root: i
            for i, part in enumerate(composition.parts)
        }
        self._tests = {id(condition): self._test(condition) for one in stated for condition in (one.condition, one.goal)}

    def _test(self, condition: Condition) -> Callable[[State], bool]:
        tests = [self._part(key, values) for key, values in condition]
        return lambda state: all(test(state) for test in tests)

    def _part(self, key: str, values: tuple[Any, ...]) -> Callable[[State], bool]:
        system = self.system
        if key == "network":
            return lambda state: ("silent" if system.silent(state) else "busy") in values
        if key == "faults":
            return lambda state: ("some" if system.tainted(state) else "none") in values
        root = key.partition(".")[0]
        if root not in self.roots:
            hint = suggestion(root, self.roots, "session")
            raise LookupError(f"no session {key!r} here: {hint}")
        at = self.roots[root]
        element = system.elements[at]
        memory: dict[int, bool] = {}

        def holds(state: State) -> bool:
            local = state[at]
            found = memory.get(local)
            if found is None:
                found = memory[local] = self._holds(element.codes[local], element.kept, key, values)
            return found

        return holds

    def _holds(self, code: LocalCode, kept: Mapping[str, tuple[str, ...]], key: str, values: tuple[Any, ...]) -> bool:
        owner, _, variable = key.rpartition(".")
        for actor in code.actors:
            if actor.slot == key:
                return actor.state in values
            if actor.slot == owner and variable in kept[actor.machine]:
                return actor.values[kept[actor.machine].index(variable)] in values
        if key in code.over:
            return ENDED in values or "terminated" in values
        return "none" in values

    def invariant(self, state: State) -> tuple[str, str] | None:
        """The first never or always that a state breaks."""
        for one in self.stated:
            if one.kind != "leads" and self._tests[id(one.condition)](state) == (one.kind == "never"):
                return "stated", f"«{one.name}» does not hold"
        return None

    def paths(self, graph: Graph) -> tuple[str, str, int] | None:
        """The first leads that a path breaks: the state in which it comes to its end without the goal."""
        for one in self.stated:
            if one.kind != "leads":
                continue
            begin, goal = self._tests[id(one.condition)], self._tests[id(one.goal)]
            reached = [number for number, state in enumerate(graph.states) if begin(state) and not goal(state)]
            seen = set(reached)
            while reached:
                number = reached.pop()
                following = graph.forward[graph.starts[number] : graph.starts[number + 1]]
                if not following:
                    return "stated", f"«{one.name}» does not hold: this is the end, and it has not come", number
                for after in following:
                    if after not in seen and not goal(graph.states[after]):
                        seen.add(after)
                        reached.append(after)
        return None
