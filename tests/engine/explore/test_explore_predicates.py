"""The explorer and predicates of an application: it cannot ask them, so it tries everything they might say."""

from __future__ import annotations

from pathlib import Path

import pytest

from calltable import TableError, Tables
from calltable.adapters.sip.explore.compositions import COMPOSITIONS
from calltable.adapters.sip.explore.trace import lines
from calltable.engine.explore.choices import Choices
from calltable.engine.explore.explorer import compiled, explore
from calltable.engine.language.load import load_tables
from calltable.tools import UsageError
from calltable.tools.commands.written import written

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
DOOR = [EXAMPLES / "door.yaml", EXAMPLES / "doorkeeper.yaml"]

CATALOGUE = """\
calltable: 1
catalogue: mine
include: [sip, route]
predicates:
  closed: {parameters: [message], returns: bool}
"""

NIGHT = """\
calltable: 1
overlay: b2bua/bridge
add:
  - id: night.closed
    state: routing
    event: route.target
    guards: [closed(invite)]
    priority: 1
    actions: [child.tell: {to: a, event: user.reject, with: {code: 480}}]
    next_state: closing
"""
BROKEN = NIGHT.replace("    actions: [child.tell: {to: a, event: user.reject, with: {code: 480}}]\n    next_state: closing", "    next_state: ended")


def overlaid(tmp_path, overlay):
    catalogue, path = tmp_path / "mine.yaml", tmp_path / "night.yaml"
    catalogue.write_text(CATALOGUE)
    path.write_text(overlay)
    tables = Path(__file__).parents[3] / "tables"
    return load_tables([tables, catalogue], overlays=[path])


@pytest.mark.slow
def test_both_answers_of_a_predicate_are_tried(tmp_path):
    library = overlaid(tmp_path, NIGHT)
    (found,) = explore(library.machines, library.catalogue, COMPOSITIONS, only=["bridge-failing"])
    assert found.result.ok
    assert {("b2bua/bridge", "night.closed"), ("b2bua/bridge", "bridge.routing.target")} <= found.result.rows


def test_a_trace_says_what_the_predicate_answered(tmp_path):
    library = overlaid(tmp_path, BROKEN)
    (found,) = explore(library.machines, library.catalogue, COMPOSITIONS, only=["bridge"])
    assert found.result.finding is not None
    texts = [line.text for line in lines(found.system, found.result.trace)]
    assert "closed(invite) is true" in texts
    with pytest.raises(UsageError, match=r"depends on a predicate: closed\(invite\) is true"):
        written(found)


def test_a_call_has_one_answer_in_a_cell_and_any_in_the_next():
    oracle = Choices()
    seen = []
    oracle.begin()
    while True:
        first = oracle.ask("p()", (False, True))
        assert oracle.ask("p()", (False, True)) is first
        oracle.forget()
        second = oracle.ask("p()", (False, True)) if first else None
        seen.append((first, second))
        if not oracle.again():
            break
    assert seen == [(False, None), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("returns", "guard", "answers"),
    [
        ("bool", "p(n)", {False, True}),
        ("{type: enum, values: [good, bad]}", "p(n) == good", {"good", "bad"}),
        ("int", "p(n) > 3", {2, 3, 4}),
        ("int", "p(n) > n", {0, 1, 2}),
    ],
)
def test_every_answer_that_guards_can_tell_apart_is_tried(returns, guard, answers):
    library = load_tables(texts={
        "c.yaml": f"calltable: 1\ncatalogue: c\ninterfaces: {{user.x: {{events: {{user.go: {{}}}}}}}}\n"
                  f"predicates: {{p: {{parameters: [int], returns: {returns}}}}}\n",
        "m.yaml": "calltable: 1\nmachine: m\nreceives: [user.x]\nvariables: {n: int}\ninitial: one\n"
                  "states: {one: {lasts: until somebody goes}, two: {final: true}}\nrows:\n"
                  f"  - {{id: a, state: one, event: user.go, guards: ['{guard}'], next_state: two}}\n"
                  "  - {id: b, state: one, event: user.go, guards: [otherwise], next_state: two}\n",
    })  # fmt: skip
    choices = Choices()
    machine = compiled(library.machines, library.catalogue, choices)["m"]
    session = machine.session(1, "m", "", None)
    machine.begin(session)
    taken = set()
    told = set()
    choices.begin()
    while True:
        taken.add(machine.cells["one"]["user.go"](session, {})[0].id)
        told.add(choices.answers()[0][1])
        if not choices.again():
            break
    assert taken == {"a", "b"}
    assert answers <= told


def test_tables_say_which_predicate_nobody_gives():
    with pytest.raises(TableError, match=r"doorkeeper\.yaml:24:5: the guard calls the predicate office_hours, and no function"):
        Tables(DOOR)
    assert "example/doorkeeper" in Tables(DOOR, predicates={"office_hours": lambda _: True}).machines
