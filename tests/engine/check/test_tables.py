"""The shipped tables, cell by cell: every state with every event, and every row, in both engines and on the executor.

For each cell all combinations of what its guards ask are tried (the valuations of ``truth.py``). For each a session
is put into the state, with the variables, children and payload that make the combination true, and the event is given to it.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from calltable.adapters.simulated.clock import VirtualClock
from calltable.engine.check.subjects import OTHER, GuardTypes, subjects, valuations
from calltable.engine.language.load import load_tables
from calltable.engine.model import expressions as x
from calltable.engine.model.machine import STARTED
from calltable.engine.model.precedence import tiers
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import NOBODY, Executor
from calltable.engine.run.interpret import step

LIBRARY = load_tables()
MACHINES = sorted(LIBRARY.machines)
CELLS = [
    pytest.param(name, state, event, id=f"{name}-{state}-{event}")
    for name, model in sorted(LIBRARY.machines.items())
    for state in model.states
    for event in model.events
]
ROWS = [
    pytest.param(name, row, id=f"{name}-{row}") for name, model in sorted(LIBRARY.machines.items()) for row in sorted(model.rows)
]
KINDS = {"row": "taken", "ignore": "ignored", "refuse": "refused", "defer": "deferred"}

STOCK: dict[str, Any] = {
    "bool": False, "int": 200, "string": "text", "duration": 1.0, "uri": "sip:somebody@example.com", "message": "<message>",
    "content": "<content>", "outgoing": "<outgoing>", "handle": "<handle>", "map": {}, "list": (),
}  # fmt: skip
"""A value of each type, for what no guard asks about."""


def stock(kind):
    return kind.values[0] if kind.kind == "enum" else STOCK[kind.kind]


def situations(flow, state, event):
    """Every combination of answers to the cell's guards: (variables, payload, children), by subject."""
    model = flow.machine
    guards = [row.guard for tier in tiers(model, state, event) for row in tier if row.guard is not None]
    guards = [] if model.events[event].source == "after" else guards
    found = subjects(guards, GuardTypes(model, flow.catalogue, event))
    for values in valuations(found):
        variables = {name: variable.default for name, variable in model.variables.items()}
        payload = {name: stock(kind) for name, kind in model.events[event].fields.items()}
        counts: dict[x.Count, int] = {}
        for subject, value in zip(found, values, strict=True):
            given = ("something else" if subject.type.kind != "int" else 7) if value is OTHER else value
            match subject.node:
                case x.Var(name=name):
                    variables[name] = given
                case x.Field(name=name):
                    payload[name] = given
                case x.Count() as node:
                    counts[node] = given
                case other:
                    pytest.fail(f"a guard of {model.name} asks for {other}: let this test build it")
        yield variables, payload, counts


def put(session, state, variables, counts, machines):
    """Make the session stand in a state as if it had come there."""
    session.state = state
    session.cells = session.machine.cells[state]
    for name, value in variables.items():
        setattr(session, "v_" + name, value)
    for node, count in counts.items():
        machine = machines[session.machine.model.children[node.child].machine]
        for number in range(count):
            child = machine.session(1000 + number, f"{node.child[:-1]}{number}", node.child + ".", session)
            child.state = node.state or child.state
            session.children = {**(session.children or {}), child.name: child}


@pytest.fixture(name="executor")
def _executor(shipped):
    def takes(session, parameters):
        """An adapter that does nothing, but looks at what it is given."""
        assert all(value is not OTHER for value in parameters.values())

    executor = Executor(
        VirtualClock(), handlers=dict.fromkeys(shipped.library.catalogue.actions.keys() - ENGINE, takes), rng=random.Random(1)
    )
    executor.add(*shipped.machines.values())
    return executor


ENGINE = {"child.start", "child.tell", "child.end", "timer.start", "timer.stop"}


@pytest.mark.parametrize(("name", "state", "event"), CELLS)
def test_each_state_with_each_event(shipped, executor, name, state, event):
    """The event is taken by a row or a declared non-row; where there is none, it cannot arrive."""
    flow, machine = shipped.flows[name], shipped.machines[name]
    model = flow.machine
    if model.states[state].final:
        assert not machine.cells[state], "nothing stands in a final state"
        return
    if event not in machine.cells[state]:
        assert not flow.comes(state, event), f"{event} can arrive in {state} and no row handles it"
        return
    seen = set()
    for variables, payload, counts in situations(flow, state, event):
        session = executor.create(name, owner=NOBODY)
        put(session, state, variables, counts, shipped.machines)
        plain = step(session, event, payload, shipped.config)
        assert plain is not None, f"no row for {variables} {payload}"
        outcome = executor.dispatch(session, event, payload)
        assert outcome.kind == KINDS[plain.row.kind]
        if outcome.kind == "taken":
            assert outcome.detail == plain.row.id
            assert session.state == (plain.row.next_state or state)
            assert session.ended == model.states[session.state].final
        else:
            assert session.state == state
            assert not session.ended
        if outcome.kind == "refused":
            assert event.startswith("user."), "only commands are refused"
            assert outcome.detail, "and the reason is said"
        seen.add(plain.row.id)
    wrong = {key: count for key, count in executor.counters.items() if key not in ("refused", "told too late", "stale") and count}
    assert not wrong, "nothing failed on the way"
    if event != STARTED or state == model.initial:
        expected = flow.verdicts[state][event].taken
        assert seen == expected, "what the truth table says, what the interpreter reads and what the engine does"


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_each_row_fires_where_it_stands(shipped, name, row):
    """In every state and on every event of the row there is a situation in which both engines take exactly it."""
    flow, machine = shipped.flows[name], shipped.machines[name]
    model = flow.machine.rows[row]
    missing = []
    for state in model.states:
        for event in model.events:
            if row not in flow.verdicts[state][event].taken:
                missing.append((state, event))
                continue
            for variables, payload, counts in situations(flow, state, event):
                session = machine.session(1, "", "", NOBODY)
                put(session, state, variables, counts, shipped.machines)
                plain = step(session, event, payload, shipped.config)
                taken = machine.cells[state][event](session, payload)
                assert plain.row.id == taken[0].id
                if taken[0].id == row:
                    assert dict(zip(taken[0].variables, taken[1], strict=True)) == plain.changes
                    assert [*taken[2]] == plain.effects
                    assert [*taken[3]] == plain.publications
                    break
            else:
                pytest.fail(f"{row} never fires on {event} in {state}")
    assert len(missing) < len(model.states) * len(model.events), f"{row} is beaten everywhere"


@pytest.mark.parametrize("name", MACHINES)
def test_each_after_row_is_armed_in_its_state(shipped, name):
    """For each guard outcome, exactly the timers whose guards hold are armed."""
    flow = shipped.flows[name]
    machines = {(): shipped.machines[name]}
    for state in flow.machine.states:
        waiting = [row for row in flow.machine.in_state(state) if row.after is not None]
        guards = [row.guard for row in waiting if row.guard is not None]
        found = subjects(guards, GuardTypes(flow.machine, flow.catalogue))
        armed = set()
        for values in valuations(found):
            asked = list(zip((one.node for one in found), values, strict=True))
            settings = tuple((node.name, value) for node, value in asked if isinstance(node, x.Config))
            if settings not in machines:
                machines[settings] = compile_machine(flow.machine, {**shipped.config, **dict(settings)})
            machine = machines[settings]
            session = machine.session(1, "", "", NOBODY)
            put(session, state, {node.name: value for node, value in asked if isinstance(node, x.Var)}, {}, shipped.machines)
            for event, delay in machine.after[state]:
                seconds = delay(session)
                if seconds is not None:
                    assert seconds >= 0
                    armed.add(event)
        assert armed == {row.events[0] for row in waiting}
