"""The explorer: the shipped tables hold within the quick bounds, broken ones are found, and the abstraction is true."""

from __future__ import annotations

import dataclasses
import random
import re

import pytest

from calltable import Tables
from calltable.adapters.sip.explore.compositions import COMPOSITIONS
from calltable.adapters.sip.explore.trace import lines
from calltable.engine.explore.assertions import read_properties
from calltable.engine.explore.choices import Choices
from calltable.engine.explore.explorer import build, compiled, explore
from calltable.engine.explore.search import Graph, Told, unable
from calltable.engine.explore.system import CAPACITY
from calltable.engine.language.load import load_tables
from calltable.engine.model.problems import TableError
from calltable.simulation import shipped_tables
from calltable.simulation.retrace import Retrace

NAMES = [one.name for one in COMPOSITIONS]


@pytest.fixture(scope="module", name="library")
def _library():
    return load_tables()


def composition(name):
    return next(one for one in COMPOSITIONS if one.name == name)


def run(library, name="call", change=None, stated=()):
    """Explore one composition within its quick bounds; ``change`` is ``(machine, row, changes or None)``."""
    machines = dict(library.machines)
    if change is not None:
        machine, row, changes = change
        model = machines[machine]
        rows = {key: one for key, one in model.rows.items() if key != row or changes is not None}
        if changes is not None:
            rows[row] = dataclasses.replace(rows[row], **changes)
        machines[machine] = dataclasses.replace(model, rows=rows)
    (found,) = explore(machines, library.catalogue, COMPOSITIONS, only=[name], stated=stated)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in COMPOSITIONS if one.quick is not None])
def test_the_shipped_tables_hold_within_the_quick_bounds(library, name):
    found = run(library, name)
    assert found.result.finding is None
    assert found.result.missed() == []
    assert found.result.ends


def test_the_same_search_counts_the_same_states(library):
    counts = {(found.result.states, found.result.moves) for found in (run(library, "transaction"), run(library, "transaction"))}
    assert len(counts) == 1


def test_the_missing_row_for_a_late_200_is_shown_as_a_call(library):
    found = run(library, change=("leg/uac", "uac.cancelling.success", None))
    assert found.result.finding.code == "unhandled"
    assert "no row of leg/uac takes sip.invite.success in state cancelling" in found.result.finding.text
    shown = list(lines(found.system, found.result.trace))
    texts = [line.text for line in shown]
    assert texts[:2] == ["starts", "INVITE"]
    assert "user.hangup" in texts
    assert "200 OK" in texts
    by = next(line for line in shown if line.text == "200 OK")
    assert (by.source, by.destination) == ("callee", "caller")
    assert "uas.waiting.answer" in by.rows


def test_the_first_violation_has_a_shortest_trace(library):
    found = run(library, change=("leg/uac", "uac.unanswered.hangup", {"actions": ()}))
    assert found.result.finding.code == "left-behind"
    assert len(found.result.trace) == 4  # start, INVITE, 100, hang-up


@pytest.mark.parametrize(
    ("name", "machine", "row", "changes", "code"),
    [
        ("call", "leg/uas", "uas.answering.ack", {"publish": ()}, "untold"),
        ("call", "leg/uac", "uac.unanswered.progress", {"publish": ()}, "untold"),
        ("call", "leg/uac", "uac.early.no_answer", {"actions": ()}, "left-behind"),
        ("bridge", "b2bua/bridge", "bridge.unanswered.progress", {"actions": ()}, "not-relayed"),
        ("bridge", "b2bua/bridge", "bridge.b.hung_up", {"actions": ()}, "not-relayed"),
        ("transaction", "transaction/client", "client.waiting.e", {"actions": ()}, "gave-up"),
        ("invite-transaction", "transaction/invite_client", "invite_client.accepted.repeated", {"actions": ()}, "unsent"),
        ("invite-transaction", "transaction/invite_client", "invite_client.heard.failure", {"actions": ()}, "unsent"),
    ],
)
def test_what_only_the_explorer_can_find(library, name, machine, row, changes, code):
    assert run(library, name, (machine, row, changes)).result.finding.code == code


STUCK = """\
calltable: 1
overlay: b2bua/bridge
add:
  - {id: long.over, state: connected, after: 1h, next_state: closing}
"""

ON_HOLD = """\
calltable: 1
overlay: b2bua/bridge
states: {hold: {doc: nobody looks after the re-INVITEs here}}
add:
  - {id: hold.begin, state: connected, after: 1h, next_state: hold}
  - {id: hold.late, state: hold, event: [a.cancelled, b.progress, b.answered, b.failed], ignore: late}
  - id: hold.a.request
    state: hold
    event: a.request
    actions: [child.tell: {to: a, event: user.respond, with: {transaction: $event.transaction, code: 481}}]
  - id: hold.b.request
    state: hold
    event: b.request
    actions: [child.tell: {to: b, event: user.respond, with: {transaction: $event.transaction, code: 481}}]
"""


@pytest.mark.parametrize("overlay", [STUCK, ON_HOLD])
@pytest.mark.parametrize("name", ["bridge-timers", "bridge-timers-callee"])
def test_a_timer_of_a_connected_call_meets_what_either_side_asks(tmp_path, overlay, name):
    path = tmp_path / "mine.yaml"
    path.write_text(overlay)
    found = run(load_tables(overlays=[path]), name)
    assert found.result.finding.code == "not-relayed"
    assert "says reinvite" in found.result.finding.text


def test_a_livelock_is_found(library):
    found = run(library, "transaction-tcp", ("transaction/client", "client.waiting.f", {"next_state": None, "publish": ()}))
    assert found.result.finding.code in {"livelock", "stuck"}


def test_a_full_channel_is_counted_and_fails_the_run(library, monkeypatch):
    monkeypatch.setattr("calltable.engine.explore.system.CAPACITY", 1)
    result = run(library, "transaction").result
    assert result.finding is None
    assert result.overflowed
    assert not result.ok
    assert CAPACITY > 1


def test_what_cannot_reach_its_goal_is_found():
    from array import array

    # 0 → 1 → 2 (goal), 0 → 3 ⟲
    graph = Graph([(0,), (1,), (2,), (3,)], array("q", [1, 3, 2, 3]), array("q", [0, 2, 3, 3, 4]), bytearray(4))
    assert unable(graph, lambda number: number == 2) == 3
    assert unable(graph, lambda number: number in {2, 3}) is None


# --------------------------------------------------------------------------- stated properties


def stated(text):
    return read_properties("calltable: 1\nproperties:\n" + text, "mine.yaml", NAMES)


def test_a_property_that_holds(library):
    kept = stated("  - {name: agreed, in: [call], never: {caller: active, callee: terminated, network: silent}}")
    assert run(library, stated=kept).result.ok


def test_a_property_that_does_not_hold_is_shown(library):
    found = run(library, stated=stated("  - {name: nobody rings, never: {callee: early}}"))
    assert found.result.finding[:2] == ("stated", "«nobody rings» does not hold")
    assert "user.progress 180" in [line.text for line in lines(found.system, found.result.trace)]


def test_always_and_variables(library):
    found = run(library, stated=stated("  - {name: no offers, always: {caller: [calling, idle], caller.offered: true}}"))
    assert found.result.finding.code == "stated"


def test_leads_to_follows_every_path(library):
    fine = stated("  - {name: it ends, leads: {from: {caller: cancelling}, to: {caller: ended}}}")
    assert run(library, stated=fine).result.ok
    wrong = stated("  - {name: it is answered, leads: {from: {callee: incoming}, to: {callee: active}}}")
    assert run(library, stated=wrong).result.finding.code == "stated"


def test_mistakes_in_a_property_are_told_with_their_place():
    with pytest.raises(TableError) as caught:
        stated("  - {name: a, in: [cal], newer: {caller: active}}\n  - {never: {network: quiet}}\n")
    text = str(caught.value)
    assert "mine.yaml:3:" in text
    assert "did you mean never?" in text
    assert "network is silent or busy" in text


def test_a_session_that_is_not_there_is_told(library):
    with pytest.raises(LookupError, match="did you mean caller"):
        run(library, stated=stated("  - {never: {calle: active}}"))


# --------------------------------------------------------------------------- the abstraction against the real stack


AGAIN = """\
calltable: 1
overlay: b2bua/bridge
doc: Whoever only rings is let go, and whoever refuses replaced, by a second target. The first leg's last words come late.
variables: {second: bool}
add:
  - id: again.failed
    state: unanswered
    event: b.failed
    guards: [not second]
    priority: 1
    actions:
      - child.end: {name: b}
      - child.start: {name: b, with: {target: 'sip:second@10.0.0.4:5060', message: $invite, offer: $offer, relay: true}}
    set: {second: true}
    next_state: calling
  - id: again.progress
    state: unanswered
    event: b.progress
    guards: [not second, event.code != 183]
    priority: 1
    actions:
      - child.tell: {to: a, event: user.progress, with: {code: $event.code, message: $event.message}}
      - child.end: {name: b}
      - child.start: {name: b, with: {target: 'sip:second@10.0.0.4:5060', message: $invite, offer: $offer, relay: true}}
    set: {second: true}
    next_state: calling
"""


@pytest.fixture(name="again")
def _again(tmp_path):
    path = tmp_path / "again.yaml"
    path.write_text(AGAIN)
    return path


@pytest.mark.slow
def test_another_leg_of_the_same_name_has_a_dialog_of_its_own(again):
    library = load_tables(overlays=[again])
    found = run(library, "bridge")
    assert found.result.ok
    assert not found.result.beyond
    assert {("b2bua/bridge", "again.failed"), ("b2bua/bridge", "again.progress")} <= found.result.rows
    assert any("~b2bua.b" in element.states(local) for element in found.system.elements for local in range(len(element.codes)))


@pytest.mark.slow
def test_the_real_stack_takes_another_leg_of_the_same_name_alike(again):
    """What the first leg says when the second has its name is stale, in the executor and here."""
    library, tables = load_tables(overlays=[again]), Tables(overlays=[again])
    seconds = 0
    for seed in range(60):
        # not settled: that wants no stale event, and here they are what it is about
        _, trace, ends = agree(library, "bridge", seed, tables, ("caller", "callee", "second"), settled=False)
        seconds += "second" in ends
        assert not any(one.reaction is not None and one.reaction.problem for one in trace)
    assert seconds > 10


def random_trace(library, name, seed):
    """A random walk through a composition, without faults: the steps, and the states that the legs are in afterwards."""
    chosen = composition(name)
    bounds = {**chosen.quick, "timer": 0, "loss": 0}
    choices = Choices()
    machines = compiled(library.machines, library.catalogue, choices)
    system, initials = build(chosen, machines, library.catalogue, bounds, choices)
    rng = random.Random(seed)
    reactions = rng.choice(initials)
    state = system.initial(reactions)
    from calltable.engine.explore.system import Move

    trace = [Told(Move("give", i, ("start",), ""), one) for i, one in enumerate(reactions) if one.shown]
    for _ in range(rng.randrange(4, 40)):
        moves = [
            one for one in system.successors(state)
            if one[0].cost in {"", "command", "hangup"} and not str(one[0].given[-2:]).count("after.")
            and one[0].given[0] in {"message", "event", "outcome"} and "rejected" not in str(one[0].given)
        ]  # fmt: skip
        if not moves:
            break
        # a bridge asks for its route at once in the real world
        first = [one for one in moves if one[0].given[0] == "outcome"]
        move, state, reaction = rng.choice(first or moves)
        trace.append(Told(move, reaction))
    ends = {}
    for element, local in zip(system.elements, state[: len(system.elements)], strict=True):
        ends.update(element.states(local))
    return system, trace, ends


@pytest.mark.slow
@pytest.mark.parametrize("name", ["call", "bridge"])
def test_the_real_stack_goes_where_the_abstraction_says(library, name):
    """Random walks of the explorer, played over real SIP bytes: every leg has to be in the same state in the end."""
    for seed in range(60):
        agree(library, name, seed, shipped_tables(), ("caller", "callee"))


def agree(library, name, seed, tables, parties, *, settled=True):
    """Play a random walk over the real stack, and look where the legs of ``parties`` are."""
    from calltable.tools.commands.written import steps

    system, trace, ends = random_trace(library, name, seed)
    script = "\n".join(steps(system, trace))
    played = Retrace(script, tables)
    played.walk()
    for party in parties:
        calls = played.simulation.agents[party].calls if party in played.simulation.agents else []
        real = "none" if not calls else "ended" if calls[-1].ended else calls[-1].state
        assert real == ends.get(party, "none"), f"seed {seed}: {party}\n{script}\n{played.simulation.story()}"
    if settled:
        played.settle()
    return system, trace, ends


THIRD = """\
calltable: 1
overlay: b2bua/bridge
doc: Once the callee rings, a third leg is called beside the second; whoever answers there is hung up at once.
children:
  c: {machine: leg/uac}
add:
  - id: third.call
    state: calling
    event: b.progress
    priority: 1
    guards: [event.code == 180]
    overrides: bridge.unanswered.progress
    actions:
      - child.tell: {to: a, event: user.progress, with: {code: $event.code, message: $event.message}}
      - child.start: {name: c, with: {target: 'sip:third@example.com', message: $invite, offer: true, relay: false}}
    next_state: ringing
  - {id: third.up, state: any, event: c.answered, actions: [child.tell: {to: c, event: user.hangup}]}
  - id: third.asked
    state: any
    event: c.request
    actions: [child.tell: {to: c, event: user.respond, with: {transaction: $event.transaction, code: 405}}]
  - {id: third.reinvited, state: any, event: c.reinvite, actions: [child.tell: {to: c, event: user.reject, with: {code: 488}}]}
  - id: third.late
    state: any
    event: [c.progress, c.failed, c.hung_up, c.confirmed, c.reinvite_answered, c.reinvite_failed, c.reinvite_cancelled, c.response,
            c.refused, c.ended]
    ignore: late
"""


@pytest.mark.slow
def test_a_third_leg_is_explored_where_somebody_is_left_to_be_called(tmp_path):
    path = tmp_path / "third.yaml"
    path.write_text(THIRD)
    found = run(load_tables(overlays=[path]), "bridge-failing")
    assert found.result.finding is None
    assert ("b2bua/bridge", "third.up") in found.result.rows
    assert found.result.missed() == []


@pytest.mark.slow
def test_a_leg_for_which_nobody_is_left_is_told_as_what_was_not_explored(tmp_path):
    """It used to be a KeyError."""
    path = tmp_path / "many.yaml"
    start = next(line for line in THIRD.splitlines() if "child.start" in line)
    many = re.sub(r"\bc\.(\w)", r"c*.\1", THIRD.replace(start, f"{start}\n{start}"))
    many = many.replace("  c: {", "  'c*': {").replace("name: c,", "name: 'c*',").replace("to: c,", "to: $event.child,")
    path.write_text(many)
    found = run(load_tables(overlays=[path]), "bridge-failing")
    assert not found.result.ok
    assert any("b2bua.c2 calls somebody, and the composition has nobody left" in one for one in found.result.missed())
