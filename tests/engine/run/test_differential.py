"""Two engines, one table: what the generated code answers is what the interpreter reads from the rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from calltable.engine.language.load import load_tables
from calltable.engine.model import expressions as x
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import NOBODY
from calltable.engine.run.interpret import Environment, step
from calltable.engine.run.program import ROW
from tests.engine.strategies import CONFIG, PREDICATES, payloads, tables

SHIPPED = sorted(load_tables().machines)


def constants_of(model) -> frozenset[Any]:
    """Everything the guards compare with: where behaviour turns."""
    return frozenset(
        value
        for row in model.rows.values() if row.guard is not None
        for node in x.walk(row.guard)
        for value in ([node.value] if isinstance(node, x.Literal) else [])
        if value is not None
    )  # fmt: skip


def with_kids(session, kids, machines):
    """Give the session children in states, so that ``count`` has something to count."""
    for number, (name, state) in enumerate(kids):
        [machine] = [one.machine for one in session.machine.model.children.values() if one.name == name]
        kid = machines[machine].session(number + 2, f"{name[:-1]}{number}", name + ".", session)
        kid.state = state
        session.children = {**(session.children or {}), kid.name: kid}


def agree(session, event, payload, config, predicates):
    """Ask both engines; the row code taken, after both have said the same."""
    plain = step(session, event, payload, config, predicates)
    cell = session.cells.get(event)
    taken = cell(session, payload) if cell is not None else None
    if plain is None or taken is None:
        assert plain is taken, f"only one takes {event} in {session.state}: {plain} {taken}"
        return None
    code, changes, effects, publications = taken
    assert code.id == plain.row.id
    assert dict(zip(code.variables, changes, strict=True)) == plain.changes
    assert [(name, dict(given)) for name, given in effects] == plain.effects
    assert [(name, dict(given)) for name, given in publications] == plain.publications
    return code, changes


def arms_agree(session, config, predicates):
    """The delays of the state's ``after`` rows, armed by both."""
    env = Environment(session, {}, config, predicates)
    plain = {
        row.events[0]: env.value(row.after)
        for row in session.machine.model.in_state(session.state)
        if row.after is not None and (row.guard is None or env.value(row.guard))
    }
    arms = session.machine.after[session.state]
    compiled = {arm.event: delay for arm in arms if (delay := arm.delay(session)) is not None}
    assert compiled == plain


def walk(data, machines, name, config, predicates, length):
    """Give a session of the machine a random life; every step is asked of both engines."""
    compiled = machines[name]
    model, constants = compiled.model, constants_of(compiled.model)
    session = compiled.session(1, "", "", NOBODY)
    many = [child for child in model.children.values() if child.many]
    kids = st.tuples(st.sampled_from([one.name for one in many]), st.sampled_from(["small", "big"])) if many else st.nothing()
    with_kids(session, data.draw(st.lists(kids, max_size=3) if many else st.just([])), machines)
    taken = []
    for _ in range(length):
        arms_agree(session, config, predicates)
        event = data.draw(st.sampled_from(sorted(session.cells) or sorted(model.events)))
        payload = data.draw(payloads(model.events[event].fields, constants))
        note(f"{session.state}: {event} {payload}")
        answer = agree(session, event, payload, config, predicates)
        if answer is None:
            continue
        code, changes = answer
        taken.append(code.id)
        before = session.state
        if code.kind != ROW:
            continue
        assert code.enter(session, changes) is (code.next_state not in (None, before))
        assert session.state == (code.next_state or before)
        assert [getattr(session, "v_" + name) for name in code.variables] == list(changes)
        if code.final:
            assert not session.cells
            break
    return taken


@pytest.mark.slow
# a table takes minutes to shrink and is readable as it is
@settings(max_examples=150, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.data(), tables())
def test_random_tables(data, texts):
    for file, text in texts.items():
        note(f"--- {file}\n{text}")
    library = load_tables(texts=texts)
    machines = {name: compile_machine(model, CONFIG, PREDICATES) for name, model in library.machines.items()}
    walk(data, machines, "random", CONFIG, PREDICATES, 12)


@pytest.mark.parametrize("name", SHIPPED)
@settings(max_examples=60)
@given(data=st.data())
def test_shipped_tables(shipped, name, data):
    walk(data, shipped.machines, name, shipped.config, {}, 25)
