"""The generated code: what is constant, what is shared, what is checked, and where it says it comes from."""

from __future__ import annotations

import linecache
import traceback

import pytest

from calltable.engine.language.load import load_tables
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import NOBODY
from tests.engine.conftest import CATALOGUE
from tests.engine.run.test_executor import table

PREDICATES = {"explode": lambda n: 1 // n > 5}


def compiled(*rows, texts=None, config=None, predicates=None, **changes):
    head = table(*rows)
    for old, new in changes.items():
        head = head.replace(f"{old}:", f"{old}: {new} #", 1)
    library = load_tables(texts={"small.yaml": CATALOGUE, "m.yaml": head, **(texts or {})})
    return compile_machine(library.machines["m"], config or {"low": 0.1}, PREDICATES if predicates is None else predicates)


def cell(machine, state, event):
    session = machine.session(1, "", "", NOBODY)
    return machine.cells[state][event], session


def test_a_row_without_anything_open_is_one_constant():
    machine = compiled("{id: go, state: one, event: user.go, actions: [note: {text: x, wait: $config.low}], set: {n: 3}, next_state: two}")
    take, session = cell(machine, "one", "user.go")
    first, second = take(session, {}), take(session, {})
    assert first is second
    row, changes, effects, publications = first
    assert (row.id, changes, effects, publications) == ("go", (3,), (("note", {"text": "x", "wait": 0.1}),), ())
    assert (row.next_state, row.final) == ("two", False)
    session = machine.session(1, "", "", None)
    assert row.enter(session, changes)
    assert (session.state, session.cells, session.version) == ("two", machine.cells["two"], 1)
    assert not row.enter(session, changes), "to name the state one is in is to stay"
    assert session.version == 2


def test_values_that_are_open_are_read_at_every_step():
    machine = compiled("{id: a, state: one, event: user.a, actions: [note: {text: x, value: $n}], set: {n: $event.n, seen: $n}}")
    take, session = cell(machine, "one", "user.a")
    session.v_n = 4
    row, changes, effects, _ = take(session, {"n": 9})
    assert (changes, effects) == ((9, 4), (("note", {"text": "x", "value": 4}),))
    assert not row.enter(session, changes), "it stays where it is"
    assert session.variables == {"n": 9, "seen": 4}
    assert row.named(changes) == {"n": 9, "seen": 4}


def test_configuration_is_compiled_in_and_another_configuration_is_another_machine():
    row = "{id: go, state: one, event: user.go, guards: [config.low > 1s], doc: slow}"
    other = "{id: go.not, state: one, event: user.go, guards: [otherwise], ignore: late}"
    for low, expected in ((0.1, "go.not"), (2.0, "go")):
        take, session = cell(compiled(row, other, config={"low": low}), "one", "user.go")
        assert take(session, {})[0].id == expected


@pytest.mark.parametrize(
    ("row", "wrong", "missing"),
    [
        ("{id: go, state: one, event: user.go, actions: [note: {text: x, wait: $config.low}]}", {"config": {"other": 1}}, "low"),
        ("{id: go, state: one, event: user.go, guards: [explode(n)], doc: x}", {"predicates": {"other": bool}}, "explode"),
    ],
)
def test_a_missing_setting_or_predicate_is_named(row, wrong, missing):
    with pytest.raises(KeyError, match=missing):
        compiled(row, **wrong)


def test_cells_with_the_same_rows_share_their_code():
    machine = compiled("{id: c, state: any, event: user.c, actions: [note: {text: x}]}")
    assert machine.cells["one"]["user.c"] is machine.cells["two"]["user.c"]
    assert machine.cells["over"] == {}


def test_events_of_one_row_may_differ_in_what_can_be_left_out():
    interfaces = """\
calltable: 1
catalogue: more
include: [small]
interfaces:
  two:
    doc: Two events with one field.
    events:
      two.certain: {doc: has it, fields: {text: string}}
      two.maybe: {doc: may have it, fields: {text: string?}}
"""
    head = table(
        "{id: b, state: one, event: [two.certain, two.maybe], guards: [event.text == 'a'], doc: x}",
        "{id: b.not, state: one, event: [two.certain, two.maybe], guards: [otherwise], ignore: late}",
    ).replace("receives: [user.small]", "receives: [user.small, two]")
    library = load_tables(texts={"small.yaml": CATALOGUE, "more.yaml": interfaces, "m.yaml": head})
    machine = compile_machine(library.machines["m"], {"low": 0.1}, PREDICATES)
    take, session = cell(machine, "one", "two.maybe")
    assert take(session, {})[0].id == "b.not"
    take, session = cell(machine, "one", "two.certain")
    with pytest.raises(KeyError):
        take(session, {})


@pytest.mark.parametrize(
    ("declared", "field", "good", "bad"),
    [
        ("int", "int", [0, -3], ["5", None, 1.5, True]),
        ("bool", "bool", [True, False], [0, None, "yes"]),
        ("string", "string", ["", "x"], [None, 5, b"x"]),
        ("duration", "duration", [1.5, 2], [None, "500ms", True]),
        ("{type: enum, values: [a, b]}", "{type: enum, values: [a, b]}", ["a", "b"], ["c", None, 0]),
        ("int?", "int?", [None, 3], []),
    ],
)
def test_a_variable_takes_values_of_its_type_only(declared, field, good, bad):
    interfaces = f"""\
calltable: 1
catalogue: more
include: [small]
interfaces:
  typed: {{doc: One event., events: {{typed.given: {{doc: a value, fields: {{value: {field}}}}}}}}}
"""
    head = table("{id: given, state: one, event: typed.given, set: {kept: $event.value}}", "{id: given.two, state: two, event: typed.given, ignore: late}")
    head = head.replace("receives: [user.small]", "receives: [user.small, typed]").replace("{n: int, seen: int}", f"{{kept: {declared}}}")
    library = load_tables(texts={"small.yaml": CATALOGUE, "more.yaml": interfaces, "m.yaml": head})
    take, session = cell(compile_machine(library.machines["m"], {"low": 0.1}), "one", "typed.given")
    for value in good:
        assert take(session, {"value": value})[1] == (value,)
    for value in bad:
        with pytest.raises((TypeError, ValueError), match="variable kept must be"):
            take(session, {"value": value})


def test_a_table_is_data_whatever_it_says():
    """Text of a table is quoted into the code, never read as code."""
    nasty = "'); raise SystemExit(('"
    machine = compiled(f'{{id: go, state: one, event: user.go, actions: [note: {{text: "{nasty}"}}]}}')
    take, session = cell(machine, "one", "user.go")
    assert take(session, {})[2] == (("note", {"text": nasty}),)


def test_a_cell_of_several_files_shows_its_code_in_tracebacks():
    fragment = """\
calltable: 1
fragment: shared
doc: Rows from elsewhere.
rows:
  - {id: shared.a, state: any, event: user.a, guards: [explode(event.n)], doc: x}
"""
    head = table("{id: a.not, state: any, event: user.a, guards: [otherwise], ignore: late}").replace("initial:", "include: [shared]\ninitial:")
    library = load_tables(texts={"small.yaml": CATALOGUE, "shared.yaml": fragment, "m.yaml": head})

    def explode(n):
        raise ValueError(n)

    machine = compile_machine(library.machines["m"], {"low": 0.1}, {"explode": explode})
    take, session = cell(machine, "one", "user.a")
    with pytest.raises(ValueError) as caught:
        take(session, {"n": 1})
    [frame] = [one for one in traceback.extract_tb(caught.value.__traceback__) if one.filename.startswith("<m ")]
    assert "e['n']" in frame.line
    assert linecache.getline(frame.filename, 1).startswith("def ")


def test_compiled_machines_know_their_source_and_digest():
    machine = compiled("{id: go, state: one, event: user.go, guards: [n > 3], doc: x}", "{id: go.not, state: one, event: user.go, guards: [otherwise], ignore: late}")
    assert "s.v_n > 3" in machine.source["one__user_go"]
    assert machine.digest == machine.model.digest
    assert repr(machine) == f"<machine m {machine.digest[:8]}>"
    assert repr(machine.rows["go"]) == "<row go>"
