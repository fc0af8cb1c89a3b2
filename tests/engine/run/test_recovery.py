"""A process stops between two events and another goes on from its store: nobody can tell the difference."""

from __future__ import annotations

import copy

import pytest

from calltable.engine.run.recording import record_of
from calltable.engine.run.records import from_plain, plain
from tests.engine.conftest import World
from tests.engine.run.stores import Records
from tests.engine.run.test_children import CHILD, PARENT
from tests.engine.run.test_executor import DURABLE, table
from tests.engine.run.test_recording import ROWS

KEPT_CHILD = CHILD.replace("machine: child\n", "machine: child\ndurable: true\n").replace(
    "event: user.b, refuse: too late for b", "event: user.b, actions: [note: {text: b, value: $event.n}]"
)
GO = "{id: a, state: one, event: user.a, actions: [child.tell: {to: b, event: user.go}]}"
TELL = "{id: b, state: one, event: user.b, actions: [child.tell: {to: b, event: user.b, with: {n: $event.n}}]}"
LET_GO = "{id: leave, state: two, event: user.go, actions: [child.end: {name: b}]}"
MOVE = "{id: move, state: one, event: user.a, priority: 1, guards: [event.n > 5], next_state: two}"


def parent(*rows):
    text = PARENT.format(rows="".join(f"  - {row}\n" for row in rows))
    return text.replace("machine: parent\n", "machine: parent\ndurable: true\n")


def crashed(at, *tables, owners=None, elapsed=0.0):
    """Another process that goes on from the store of ``at``; it has its clock at the same moment."""
    store = Records()
    store.kept = copy.deepcopy(at.executor.store.kept)
    after = World(*tables, store=store)
    after.clock.advance(at.clock.time() - after.clock.time())
    found = after.executor.recover([from_plain(one) for one in store.kept.values()], owners or {"tests": after}, elapsed=elapsed)
    return after, found


def stands(world):
    """Every session of a world, written down; when, and what its last effects were, is no part of it."""
    now = world.executor.now
    return {key: plain(record_of(session, now)) | {"time": 0} for key, session in world.executor.sessions.items()}


LONE = [("user.b", {"n": 1}), ("user.a", {"n": 1}), 0.5, ("user.go", {}), 1.0, ("user.a", {"n": 2}), 3.0, ("user.go", {}), 4.0, ("user.a", {"n": 3}), ("user.hangup", {})]
FAMILY = [("user.go", {}), ("user.c", {}), 0.5, ("user.b", {"n": 4}), ("user.a", {"n": 1}), 0.5, ("user.c", {}), ("user.a", {"n": 9}), ("user.go", {}), 2.0, ("user.hangup", {}), 2.0]
FIXED = tuple(row.replace("{between: [1s, 3s]}", "1500ms") for row in ROWS)


def play(at, key, steps):
    for one in steps:
        if isinstance(one, float):
            at.clock.advance(one)
        elif key in at.executor.sessions:
            at.executor.dispatch(at.executor.sessions[key], *one)
    at.clock.advance(0)


@pytest.mark.parametrize("after", range(len(LONE) + 1))
def test_a_session_goes_on_wherever_it_was_interrupted(world, after):
    play_both(world, [table(*FIXED, head=DURABLE)], "m", LONE, after)


@pytest.mark.parametrize("after", range(len(FAMILY) + 1))
def test_a_family_goes_on_wherever_it_was_interrupted(world, after):
    play_both(world, [parent(MOVE, GO, TELL, LET_GO), KEPT_CHILD], "parent", FAMILY, after)


def play_both(world, tables, machine, steps, after):
    at = world(*tables, store=Records())
    at.known_as = "tests"
    session = at.start(machine)
    play(at, session.id, steps[:after])
    other, found = crashed(at, *tables)
    other.known_as = "tests"
    assert found.failed == ()
    at.clock.advance(0)
    assert stands(other) == stands(at)
    at.log.clear()
    other.log.clear()
    play(at, session.id, steps[after:])
    play(other, session.id, steps[after:])
    assert stands(other) == stands(at)
    assert other.log == at.log
    assert other.executor.store.kept == at.executor.store.kept


# --------------------------------------------------------------------------- what the crash made true


def test_a_root_whose_owner_is_gone_hangs_up(world):
    at = world(table(head=DURABLE), store=Records())
    at.known_as = "tests"
    at.start("m")
    other, _ = crashed(at, table(head=DURABLE), owners={"somebody else": at})
    assert other.rows() == ["hangup"]
    assert other.executor.sessions == {}


def test_a_child_that_is_not_kept_has_ended(world):
    tables = [parent(), CHILD]
    at = world(*tables, store=Records())
    at.known_as = "tests"
    at.give(at.start("parent"), "user.go")
    other, _ = crashed(at, *tables)
    assert other.notes() == ["b.ended"]


def test_a_child_that_had_been_let_go_is_told_to_hang_up(world):
    tables = [parent(MOVE, LET_GO), KEPT_CHILD]
    at = world(*tables, store=Records())
    at.known_as = "tests"
    session = at.start("parent")
    at.give(session, "user.go")
    child = session.children["b"].id
    at.give(session, "user.a", n=9)
    before = copy.deepcopy(at.executor.store.kept[child])
    at.give(session, "user.go")
    at.executor.store.kept[child] = before  # the crash came before the child heard of it
    other, _ = crashed(at, *tables)
    assert other.notes() == ["bye"]


def test_a_child_that_had_not_started_starts(world):
    tables = [parent(), KEPT_CHILD]
    at = world(*tables, store=Records())
    at.known_as = "tests"
    session = at.start("parent")
    at.executor.store.later = True
    at.give(session, "user.go")  # committed, but nobody has heard so
    other, found = crashed(at, *tables)
    assert other.notes() == ["born"]
    assert found.sessions[session.id].children["b"].version == 1


def test_a_root_that_had_not_started_is_forgotten_and_one_of_another_table_is_named(world):
    at = world(table(*FIXED, head=DURABLE), store=Records())
    at.known_as = "tests"
    at.executor.create("m", at)
    at.start("m")
    changed = [table(*FIXED[:-1], "{id: done, state: any, event: work.done, ignore: retransmission}", head=DURABLE)]
    _, found = crashed(at, *changed)
    assert [reason for _, reason in found.failed] == ["the table m has changed since"] * 2
    _, found = crashed(at, table(*FIXED, head=DURABLE))
    assert [reason for _, reason in found.failed] == ["it had not been started"]
    _, found = crashed(at, table(head=DURABLE).replace("machine: m", "machine: other"))
    assert {reason for _, reason in found.failed} == {"there is no machine m"}


def test_timers_that_came_up_meanwhile_fire_at_once_and_new_sessions_get_new_keys(world):
    tables = [table(*FIXED, head=DURABLE)]
    at = world(*tables, store=Records())
    at.known_as = "tests"
    session = at.start("m")
    at.give(session, "user.go")
    other, _ = crashed(at, *tables, elapsed=60.0)
    other.clock.run(other.clock.time())
    assert sorted(other.notes()) == ["after", "t", "u"]
    assert other.start("m").id == session.id + 1
    with pytest.raises(ValueError, match="a session 1 is alive already"):
        other.executor.recover([record_of(session, 0.0)])
