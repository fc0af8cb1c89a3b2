"""Records: a session as plain values, before its step is true; children in their parent's commit; what starts late, or never."""

from __future__ import annotations

import pytest

from calltable.engine.run.recording import record_of
from calltable.engine.run.records import Record, plain
from calltable.engine.run.store import Conflict
from tests.engine.run.stores import Records
from tests.engine.run.test_children import CHILD, PARENT
from tests.engine.run.test_executor import DURABLE, table
from tests.engine.run.test_failure import watched

ROWS = (
    """{id: go, state: one, event: user.go, actions: [timer.start: {name: t, after: 2s, repeat: {factor: 2, max: 8s}},
      timer.start: {name: u, after: {between: [1s, 3s]}}, work], next_state: two}""",
    "{id: stop, state: two, event: user.go, actions: [timer.stop: {name: t}]}",
    "{id: t, state: any, event: timer.t, actions: [note: {text: t}]}",
    "{id: u, state: any, event: timer.u, actions: [note: {text: u}]}",
    "{id: after, state: two, after: 5s, actions: [note: {text: after}]}",
    "{id: perhaps, state: two, after: 6s, guards: [n > 0], actions: [note: {text: perhaps}]}",
    "{id: a, state: any, event: user.a, set: {n: $event.n}, doc: a}",
    "{id: b, state: one, event: user.b, defer: true}",
    "{id: b.two, state: two, event: user.b, ignore: late}",
    "{id: done, state: any, event: work.done, ignore: late}",
)


def durable_world(world, *rows, **options):
    return world(table(*(rows or ROWS), head=DURABLE), store=Records(), **options)


def kept(at, session):
    return dict(at.executor.store.load())[session.id]


def family(world, *rows, **options):
    """A durable parent and a durable child."""
    extra = "".join(f"  - {row}\n" for row in rows)
    parent = PARENT.format(rows=extra).replace("machine: parent\n", "machine: parent\ndurable: true\n")
    return world(parent, CHILD.replace("machine: child\n", "machine: child\ndurable: true\n"), store=Records(), **options)


# --------------------------------------------------------------------------- timers and deferred events


def test_timers_are_in_the_record_with_the_seconds_they_have_left(world):
    at = durable_world(world)
    session = at.start("m")
    at.give(session, "user.a", n=1)
    at.give(session, "user.go")
    timers = {one["name"] or one["event"]: one for one in kept(at, session)["timers"]}
    assert timers["t"] == {"event": "timer.t", "name": "t", "remaining": 2.0, "interval": 2.0, "factor": 2, "limit": 8.0}
    assert timers["after.after"]["remaining"] == 5.0
    assert timers["after.perhaps"]["remaining"] == 6.0
    assert {one: session.timers[one].when - 100.0 for one in ("t", "u")} == {
        "t": 2.0, "u": pytest.approx(timers["u"]["remaining"]),
    }, "what is drawn for the record is what is armed"  # fmt: skip


def test_what_runs_on_is_recorded_anew_with_every_step_and_what_is_stopped_no_more(world):
    at = durable_world(world)
    session = at.start("m")
    at.give(session, "user.go")
    at.clock.advance(0.5)
    at.give(session, "user.a", n=1)
    timers = {one["name"] or one["event"]: one["remaining"] for one in kept(at, session)["timers"]}
    assert (timers["t"], timers["after.after"], "after.perhaps" in timers) == (1.5, 4.5, False)
    at.give(session, "user.go")
    assert "t" not in {one["name"] for one in kept(at, session)["timers"]}


def test_a_record_is_the_session_as_it_then_stands(world):
    """What was worked out before the commit is what the session is after it."""
    at = durable_world(world)
    session = at.start("m")
    for event, payload in (("user.a", {"n": 3}), ("user.go", {}), ("user.go", {}), ("user.a", {"n": 0})):
        at.give(session, event, **payload)
        live = plain(record_of(session, at.executor.now))
        assert kept(at, session) | {"effects": []} == live


def test_a_deferred_event_is_committed_and_stands_in_the_record_until_it_has_been_given_again(world):
    at = durable_world(world)
    session = at.start("m")
    assert at.give(session, "user.b", n=4).kind == "deferred"
    assert kept(at, session)["deferred"] == [{"event": "user.b", "payload": {"n": 4}, "origin": None, "due": False}]
    assert session.version == 2
    at.give(session, "user.go")
    assert kept(at, session)["deferred"] == [{"event": "user.b", "payload": {"n": 4}, "origin": None, "due": True}]
    at.give(session, "user.a", n=1)
    assert kept(at, session)["deferred"] == []


def test_a_deferral_that_the_store_refuses_is_no_deferral(world):
    at = watched(durable_world(world))
    session = at.start("m")
    at.executor.store.kept[session.id]["version"] = 9
    at.give(session, "user.b", n=4)
    assert session.ended
    assert [one[1:3] for one in at.lost] == [("user.b", {"n": 4})]


# --------------------------------------------------------------------------- children


def test_a_child_is_kept_in_the_commit_of_the_row_that_starts_it(world):
    at = family(world)
    session, store = at.start("parent"), at.executor.store
    store.later = True
    at.give(session, "user.go")
    assert session.children is None
    [commit] = [one for one in store.commits if one.receipt.row == "start_b"]
    [child] = commit.created
    assert (child.version, child.state, child.owner, child.name, child.prefix, child.start) == (0, "young", session.id, "b", "b.", {"n": 7})
    assert kept(at, session)["children"] == [{"name": "b", "prefix": "b.", "key": child.key}]
    assert at.notes() == []
    store.later = False
    store.answer()
    assert session.children["b"].id == child.key
    assert at.notes() == ["born"]
    assert store.kept[child.key]["start"] is None
    assert store.kept[child.key]["version"] == 1


def test_children_of_a_set_are_numbered_in_the_commit(world):
    at = family(world)
    session = at.start("parent")
    at.give(session, "user.c")
    at.give(session, "user.c")
    record = kept(at, session)
    assert [one["name"] for one in record["children"]] == ["k1", "k2"]
    assert (record["started"], list(session.children)) == (2, ["k1", "k2"])


def test_a_child_that_is_let_go_is_no_child_in_the_record(world):
    at = family(world, "{id: a, state: one, event: user.a, actions: [child.end: {name: b}, child.start: {name: b, with: {n: 9}}]}")
    session = at.start("parent")
    at.give(session, "user.go")
    first = session.children["b"].id
    at.give(session, "user.a", n=1)
    [child] = kept(at, session)["children"]
    assert child["key"] != first
    assert session.children["b"].id == child["key"]


def test_a_refused_commit_leaves_no_child(world):
    at = family(world)
    session, store = at.start("parent"), at.executor.store
    store.kept[session.id]["version"] = 9
    at.give(session, "user.go")
    assert at.executor.sessions == {}
    assert list(store.kept) == []
    assert "born" not in at.notes()


def test_a_child_that_lives_already_fails_as_an_effect_also_with_a_store(world):
    at = family(world, "{id: a, state: one, event: user.a, actions: [child.start: {name: b, with: {n: 1}}, child.start: {name: b, with: {n: 2}}]}")
    session = at.start("parent")
    at.give(session, "user.a", n=1)
    assert "child.start: ValueError('child b is alive already')" in at.notes()


def test_a_guard_of_an_after_row_counts_the_children_that_its_row_starts(world):
    rows = (
        "{id: a, state: one, event: user.a, actions: [child.start: {name: 'k*', with: {n: 1}}], next_state: two}",
        "{id: lonely, state: two, after: 1s, guards: [count(k*) == 0], actions: [note: {text: lonely}]}",
        "{id: busy, state: two, after: 1s, guards: [count(k*) == 1], actions: [note: {text: busy}]}",
    )
    at = family(world, *rows)
    session = at.start("parent")
    at.give(session, "user.a", n=1)
    assert [one["event"] for one in kept(at, session)["timers"]] == ["after.busy"]
    at.clock.advance(1)
    assert at.notes() == ["born", "busy"]


# --------------------------------------------------------------------------- beginnings


def test_a_session_takes_nothing_before_its_store_has_it(world):
    at = durable_world(world)
    store = at.executor.store
    store.later = True
    session = at.executor.start("m", owner=at)
    assert (session.busy, at.rows()) == (True, [])
    store.later = False
    store.answer()
    assert at.rows() == ["start"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("error", "counted"), [(Conflict("taken"), "conflicts"), (OSError("disk full"), "commits failed")])
def test_a_session_that_no_store_wants_fails_when_it_is_started_and_its_start_is_lost(world, late, error, counted):
    class Full(Records):
        def create(self, record, done):
            if late:
                self.waiting.append((record.key, done))
                return False
            raise error

    at = watched(world(table(*ROWS, head=DURABLE), store=Full()))
    payload = {"transaction": "t1"}
    session = at.executor.create("m", owner=at)
    session.context = "attached in time"
    assert at.executor.dispatch(session, "engine.started", payload).kind == "queued"
    if late:
        at.executor.store.answer(error)
    at.clock.run(at.clock.time())
    assert session.ended
    assert at.executor.sessions == {}
    assert [(event, fields) for _, event, fields, _ in at.lost if fields] == [("engine.started", payload)]
    assert at.executor.counters[counted] == 1
    assert at.log[-1] == ("ended", "m")


def test_an_after_row_of_the_first_state_that_raises_fails_the_session_not_its_starter(world):
    rows = ("{id: x, state: one, after: 1s, guards: [explode(n)], doc: x}",)
    at = watched(world(table(*rows)))
    session = at.executor.start("m", owner=at)
    at.clock.run(at.clock.time())
    assert session.ended
    assert "engine.started" in [one[1] for one in at.lost]


@pytest.mark.parametrize("head", [None, DURABLE])
def test_an_after_row_that_raises_when_its_state_is_entered_fails_the_session(world, head):
    rows = ("{id: go, state: one, event: user.go, next_state: two}", "{id: x, state: two, after: 1s, guards: [explode(n)], doc: x}")
    at = world(table(*rows, **({} if head is None else {"head": head})), store=None if head is None else Records())
    session = at.start("m")
    at.give(session, "user.go")
    assert session.ended
    assert ["ZeroDivisionError" in note for note in at.notes()] == [True]
    other = at.start("m")
    assert at.give(other, "user.a", n=1).kind == "refused", "and nobody else is in the way"


def test_a_root_says_whose_it_is(world):
    at = durable_world(world)
    at.known_as = "phone"
    assert kept(at, at.start("m"))["root_owner"] == "phone"


# --------------------------------------------------------------------------- waiting


def test_what_must_be_taken_is_kept_when_the_inbox_is_full_once_of_each(world):
    at = durable_world(world)
    session, store = at.start("m"), at.executor.store
    store.later = True
    at.give(session, "user.a", n=0)
    for n in range(64):
        assert at.give(session, "user.a", n=n).kind == "queued"
    assert at.give(session, "user.a", n=1).kind == "refused"
    assert at.give(session, "user.hangup").kind == "queued"
    assert at.give(session, "user.hangup").kind == "refused", "a stranger could repeat it for ever"
    assert at.give(session, "work.done", n=1).kind == "queued", "its own actions' outcomes are no stranger's"
    while store.waiting:
        store.answer()
    assert session.ended


def test_a_timer_that_is_stopped_by_what_is_being_committed_does_not_fire(world):
    at = durable_world(world)
    session, store = at.start("m"), at.executor.store
    at.give(session, "user.go")
    store.later = True
    at.give(session, "user.go")  # stops timer t
    at.clock.advance(3)  # when it would have fired, while the store is at work
    store.later = False
    store.answer()
    at.clock.run(at.clock.time())
    assert "t" not in at.notes()


def test_an_after_row_of_the_state_that_is_being_left_does_not_fire_in_the_next(world):
    rows = (
        "{id: go, state: one, event: user.go, next_state: two}",
        "{id: late, state: [one, two], after: 5s, actions: [note: {text: late}]}",
    )
    at = durable_world(world, *rows)
    session, store = at.start("m"), at.executor.store
    at.clock.advance(4)
    store.later = True
    at.give(session, "user.go")
    at.clock.advance(2)
    store.later = False
    store.answer()
    at.clock.advance(1)
    assert at.notes() == [], "state two has its own five seconds"
    at.clock.advance(5)
    assert at.notes() == ["late"]


def test_a_timer_that_came_up_during_a_commit_that_leaves_it_alone_fires_after_it(world):
    at = durable_world(world)
    session, store = at.start("m"), at.executor.store
    at.give(session, "user.go")
    store.later = True
    at.give(session, "user.a", n=1)
    at.clock.advance(2)
    store.later = False
    store.answer()
    assert "t" in at.notes()
    at.clock.advance(4)
    assert "t" in at.notes(), "and goes on repeating"


def test_a_session_that_ends_with_a_timer_held_leaves_nothing_on_the_heap(world):
    at = durable_world(world)
    session, store = at.start("m"), at.executor.store
    at.give(session, "user.go")
    store.later = True
    at.give(session, "user.hangup")
    at.clock.advance(10)
    store.answer()
    assert session.ended
    assert len(at.executor.timers) == 0


def test_an_answer_that_nobody_waits_for_is_counted(world):
    at = durable_world(world)
    at.executor._answer(4711, None)
    assert at.executor.counters["store answers unasked"] == 1


# --------------------------------------------------------------------------- plain values


def test_a_record_is_plain_or_says_where_it_is_not():
    record = Record(1, "m", "d", 0, "one", {"n": (1, 2)}, {"cseq": 1}, (), "", "", None, "", 0, (), (), (), None, 0.0)
    assert plain(record)["variables"] == {"n": [1, 2]}
    with pytest.raises(TypeError, match=r"record\.variables\.call\[1\]: object is a live object and cannot be kept"):
        plain(record._replace(variables={"call": [1, object()]}))
    with pytest.raises(TypeError, match=r"record\.value: the key 1 is not a string"):
        plain(record._replace(value={1: 2}))
    assert plain(record._replace(value={1, 2}), sorted)["value"] == [1, 2]


def test_without_a_store_nothing_is_written_down_and_the_record_is_there_when_somebody_asks(world):
    at = world(table(*ROWS, head=DURABLE))
    at.executor.observers.clear()
    session = at.start("m")
    at.give(session, "user.a", n=3)
    assert session.history is None
    [(key, record)] = at.executor.store.load()
    assert (key, record.variables, record.version) == (session.id, {"n": 3, "seen": 0}, 2)
