"""Stores: compare-and-set, conflicts, stores that answer later, and what waits meanwhile."""

from __future__ import annotations

import threading

import pytest

from calltable.engine.run.commit import INBOX
from calltable.engine.run.store import Conflict
from tests.engine.run.stores import Records

TABLE = """\
calltable: 1
machine: m
durable: true
doc: Under test.
initial: one
receives: [user.small]
variables: {n: int}
publishes: {said: {n: int}}
states:
  one: {lasts: until told}
  two: {lasts: until told}
  over: {final: true}
rows:
  - {id: start, state: one, event: engine.started, doc: it begins}
  - {id: go, state: one, event: user.go, next_state: two}
  - {id: back, state: two, event: user.go, next_state: one}
  - {id: a, state: any, event: user.a, set: {n: $event.n}, actions: [note: {text: a, value: $event.n}], publish: [said: {n: $event.n}]}
  - {id: c, state: one, event: user.c, ignore: late}
  - {id: c.two, state: two, event: user.c, actions: [note: {text: c}]}
  - {id: hangup, state: any, event: user.hangup, next_state: over}
  - {id: failed, state: any, event: engine.failed, actions: [note: {text: $event.reason}], next_state: over}
  - {id: rest, state: any, event: user.*, refuse: not now}
"""
STAYS = TABLE.replace("actions: [note: {text: $event.reason}], next_state: over", "actions: [note: {text: $event.reason}]")


# --------------------------------------------------------------------------- the memory store


def test_only_durable_sessions_are_kept_and_none_after_its_end(world):
    at = world(TABLE, TABLE.replace("machine: m\ndurable: true", "machine: light"))
    durable, _light = at.start("m"), at.start("light")
    at.give(durable, "user.a", n=7)
    [(key, record)] = at.executor.store.load()
    assert (key, record.machine, record.digest) == (durable.id, "m", durable.machine.digest)
    assert (record.version, record.state, record.variables) == (2, "one", {"n": 7})
    at.give(durable, "user.hangup")
    assert len(at.executor.store) == 0


# --------------------------------------------------------------------------- conflicts


def test_a_conflict_applies_nothing_and_ends_the_session_through_its_own_row(world):
    store = Records()
    at = world(TABLE, store=store)
    session = at.start("m")
    at.log.clear()
    store.kept[session.id]["version"] = 9  # another node has taken it
    assert at.give(session, "user.a", n=7) == ("taken", "failed")
    assert at.log[0] == ("note", f"session {session.id}: the step was computed on version 1, the store holds version 9")
    assert ("note", "a", 7) not in at.log
    assert session.v_n == 0
    assert session.ended
    assert at.executor.counters["conflicts"] == 1


def test_a_session_that_lost_its_record_does_not_go_on_whatever_its_failure_row_says(world):
    store = Records()
    at = world(STAYS, store=store)
    session = at.start("m")
    store.kept[session.id]["version"] = 9
    at.give(session, "user.a", n=7)
    assert session.ended


def test_a_session_that_goes_on_after_a_failure_is_still_kept(world):
    store = Records()
    at = world(STAYS.replace("id: go, state: one, event: user.go,", "id: go, state: one, event: user.go, guards: [explode(n)],"),
               store=store)  # fmt: skip
    session = at.start("m")
    assert at.give(session, "user.go") == ("taken", "failed")
    assert at.give(session, "user.a", n=3) == ("taken", "a")
    [(_, record)] = store.load()
    assert (record["version"], record["variables"]) == (session.version, {"n": 3})


def test_a_store_that_breaks_ends_the_session_and_not_the_engine(world):
    class Broken(Records):
        def commit(self, commit, done):
            if commit.receipt.row == "a":
                raise OSError("disk full")
            return super().commit(commit, done)

    at = world(TABLE, store=Broken())
    session, other = at.start("m"), at.start("m")
    assert at.give(session, "user.a", n=1) == ("taken", "failed")
    assert session.ended
    assert ("note", "OSError('disk full')") in at.log
    assert at.give(other, "user.go") == ("taken", "go")


# --------------------------------------------------------------------------- a store that answers later


@pytest.fixture(name="later")
def _later(world):
    at = world(TABLE, store=Records())
    at.session = at.start("m")
    at.store = at.executor.store
    at.store.later = True
    at.log.clear()
    return at


def test_nothing_leaves_before_a_later_store_has_answered(later):
    at = later
    assert at.give(at.session, "user.a", n=1).kind == "pending"
    assert (at.log, at.session.v_n, at.session.version) == ([], 0, 1)
    at.store.answer()
    assert at.log == [("note", "a", 1), ("published", "said", {"n": 1})]
    assert (at.session.v_n, at.session.version) == (1, 2)


def test_events_that_come_meanwhile_are_taken_in_order_by_the_state_they_then_find(later):
    at = later
    at.give(at.session, "user.go")
    outcomes = [at.give(at.session, "user.c"), at.give(at.session, "user.a", n=2), at.give(at.session, "user.go")]
    assert [one.kind for one in outcomes] == ["queued"] * 3
    for row in ("go", "c.two", "a", "back"):
        assert at.session.busy
        at.store.answer()
        assert at.rows()[-1] == row
    assert not at.session.busy
    assert (at.session.state, at.session.version, at.session.inbox) == ("one", 5, None)


def test_other_sessions_do_not_wait(later):
    at = later
    at.give(at.session, "user.go")
    at.store.later = False
    other = at.executor.start("m", owner=at)
    at.store.later = True
    assert at.give(other, "user.go").kind == "pending"
    at.store.waiting.reverse()
    at.store.answer()
    assert (other.state, at.session.state) == ("two", "one")


def test_the_inbox_is_bounded_and_what_does_not_fit_is_refused(later):
    at = later
    at.give(at.session, "user.go")
    assert [at.give(at.session, "user.c").kind for _ in range(INBOX)] == ["queued"] * INBOX
    assert at.give(at.session, "user.c") == ("refused", "the session's inbox is full")
    assert at.executor.counters["inbox refused"] == 1
    at.store.later = False
    at.store.answer()
    assert len(at.notes()) == INBOX


@pytest.mark.parametrize(("error", "counted"), [(Conflict("another node"), "conflicts"), (OSError("disk full"), "commits failed")])
def test_a_commit_that_fails_later_applies_nothing_and_fails_the_session(later, error, counted):
    at = later
    at.give(at.session, "user.a", n=1)
    at.store.later = False
    at.store.kept[at.session.id]["version"] = 1  # what it held before
    at.store.answer(error)
    assert at.notes() == [str(error) if counted == "conflicts" else repr(error)]
    assert at.session.ended
    assert at.session.v_n == 0
    assert at.executor.counters[counted] == 1


def test_a_session_that_was_ended_meanwhile_hears_no_answer(later):
    at = later
    at.give(at.session, "user.a", n=1)
    at.executor._end(at.session)
    at.store.answer()
    assert ("note", "a", 1) not in at.log


def test_timers_of_a_busy_session_wait_with_the_other_events(world):
    at = world(
        TABLE.replace("actions: [note: {text: c}]", "actions: [timer.start: {name: t, after: 1s}]")
        + "  - {id: t, state: any, event: timer.t, actions: [note: {text: t}]}\n",
        store=Records(),
    )  # fmt: skip
    session, store = at.start("m"), at.executor.store
    at.give(session, "user.go")
    at.give(session, "user.c")
    store.later = True
    at.give(session, "user.a", n=1)
    at.clock.advance(2)
    assert at.notes() == []
    store.answer()
    store.answer()
    assert at.notes() == ["a", "t"]


def test_an_answer_that_comes_in_the_middle_of_another_step_waits_for_its_turn(world):
    """A full commit queue may be flushed by the next commit: the lane of the other session must not be entered twice."""
    at = world(TABLE, store=Records())
    first, second = at.start("m"), at.start("m")
    store = at.executor.store
    store.later = True
    at.give(first, "user.a", n=1)
    store.inside = True
    assert at.give(second, "user.a", n=2).kind == "pending"
    assert first.v_n == 0
    at.clock.run(at.clock.time())
    assert first.v_n == 1
    assert (first.busy, second.busy) == (False, True)
    store.answer()
    assert second.v_n == 2


@pytest.mark.parametrize("error", [None, OSError("full")])
def test_a_store_may_answer_a_creation_before_it_returns(world, error):
    class Hasty(Records):
        def create(self, record, done):
            super().create(record, done)
            done(record.key, error)
            return False

    at = world(TABLE, store=Hasty())
    session = at.start("m")
    at.clock.run(at.clock.time())
    assert session.busy is False
    assert session.ended is (error is not None)


def test_a_store_answers_in_the_thread_of_the_engine(world):
    class Elsewhere(Records):
        def create(self, record, done):
            super().create(record, done)
            self.done = done, record.key
            return False

    at = world(TABLE, store=Elsewhere())
    at.start("m")
    done, key = at.executor._store.done
    refused = []

    def answer():
        try:
            done(key, None)
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=answer)
    thread.start()
    thread.join()
    assert "nothing here is locked" in refused[0]


def test_a_store_may_answer_before_it_returns(world):
    class Hasty(Records):
        def commit(self, commit, done):
            super().commit(commit, done)
            done(commit.receipt.session, None)
            return False

    at = world(TABLE, store=Hasty())
    session = at.start("m")
    at.give(session, "user.a", n=4)
    at.clock.run(at.clock.time())
    assert (session.v_n, session.busy) == (4, False)
