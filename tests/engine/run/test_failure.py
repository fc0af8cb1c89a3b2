"""What a failure costs: one session at most, and no event that somebody waits for goes unnoticed."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.run.stores import Records
from tests.engine.run.test_executor import DURABLE, TAIL, table

FAILED = "  - {id: failed, state: any, event: engine.failed, actions: [note: {text: $event.reason}], next_state: over}\n"
WITHOUT = TAIL.replace(FAILED, "")
GO = "{id: go, state: one, event: user.go, actions: [work, note: {text: behind}], publish: [said: {n: 1}], next_state: two}"
AFTER = "{id: over, state: two, after: 5s, next_state: over}"
DONE = "{id: done, state: any, event: work.done, ignore: late}"
EXPLODES = (
    "{id: a, state: one, event: user.a, guards: [explode(event.n)], doc: never}",
    "{id: a.not, state: one, event: user.a, guards: [otherwise], ignore: late}",
)


def watched(at):
    """Ask to be told of everything that goes wrong."""
    at.lost, at.failed = [], []
    at.executor.on_lost.append(lambda session, event, payload, reason: at.lost.append((session.state, event, payload, reason)))
    at.executor.on_failure.append(lambda session, reason, settled: at.failed.append((session.state, session.ended, reason, settled)))
    return at


def raising(error):
    def work(session, parameters):
        raise error

    return {"work": work}


# --------------------------------------------------------------------------- what is lost


def test_the_event_that_failed_is_lost_when_the_failure_is_settled(world):
    at = watched(world(table(*EXPLODES)))
    session = at.start("m")
    at.executor.on_lost.append(lambda *_: at.log.append("told"))
    payload = {"n": 0}
    at.executor.dispatch(session, "user.a", payload)
    reason = "user.a: ZeroDivisionError('integer division or modulo by zero')"
    assert at.lost == [("over", "user.a", payload, reason)]
    assert at.lost[0][2] is payload, "what is still open in it can be found"
    assert at.log == [("note", reason), ("gone", "1"), ("ended", "m"), "told"]
    assert at.failed == [], "its own row has settled it"


def test_a_start_that_fails_is_lost_too(world):
    at = watched(world(table(tail=TAIL.replace("event: engine.started, doc: it begins", "event: engine.started, guards: [explode(n)], doc: it begins"))))
    session = at.executor.start("m", owner=at)
    assert session.ended
    assert [one[1] for one in at.lost] == ["engine.started"]


def test_what_a_session_held_back_is_lost_at_its_end(world):
    at = watched(world(table("{id: wait, state: one, event: user.a, defer: true}")))
    session = at.start("m")
    at.give(session, "user.a", n=1)
    at.give(session, "user.a", n=2)
    at.give(session, "user.hangup")
    assert at.lost == [("over", "user.a", {"n": n}, "the session has ended") for n in (1, 2)]


def test_what_waits_for_a_store_is_lost_when_the_commit_is_refused(world):
    at = watched(world(table(head=DURABLE), store=Records()))
    session, store = at.start("m"), at.executor.store
    store.later = True
    at.give(session, "user.hangup")
    at.give(session, "user.b", n=1)
    store.answer(OSError("disk full"))
    assert [(event, payload, reason) for _, event, payload, reason in at.lost] == [
        ("user.hangup", {}, "OSError('disk full')"), ("user.b", {"n": 1}, "the session has ended"),
    ]  # fmt: skip


def test_what_comes_too_late_is_lost_and_said_to_whoever_asks(world):
    def work(session, parameters):
        at.executor.post(session, "user.hangup")
        at.executor.post(session, "user.b", {"n": 7})

    at = watched(world(table(GO, DONE), handlers={"work": work}))
    session = at.start("m")
    at.give(session, "user.go")
    assert at.lost == [("over", "user.b", {"n": 7}, "the session has ended")]
    assert at.give(session, "user.b", n=8).kind == "ended"
    assert at.lost[1:] == [("over", "user.b", {"n": 8}, "the session has ended")]


def test_what_does_not_fit_is_lost(world):
    at = watched(world(table("{id: wait, state: one, event: user.a, defer: true}")))
    session = at.start("m")
    for n in range(17):
        at.give(session, "user.a", n=n)
    assert at.lost == [("one", "user.a", {"n": 16}, "the session defers too many events")]


def test_what_no_row_handles_is_lost(world):
    at = watched(world(table()))
    session = at.start("m")
    at.give(session, "no.such")
    assert [one[1:] for one in at.lost] == [("no.such", {}, "no row handles it")]


def test_whoever_is_told_may_give_events_and_may_fail(world):
    at = watched(world(table(*EXPLODES, "{id: c, state: one, event: user.c, actions: [note: {text: c}]}")))
    session, other = at.start("m"), at.start("m")

    def tell(*_):
        at.executor.post(other, "user.c")
        raise LookupError("told")

    at.executor.on_lost.insert(0, tell)
    at.give(session, "user.a", n=0)
    assert at.notes()[-1] == "c"
    assert len(at.lost) == 1
    assert at.executor.counters["observers failed"] == 1


def test_who_does_not_ask_pays_nothing(world):
    at = world(table(*EXPLODES))
    at.give(at.start("m"), "user.a", n=0)
    assert at.executor._lost == []


# --------------------------------------------------------------------------- ends by force


@pytest.mark.parametrize("tail", [WITHOUT, WITHOUT + "  - {id: failed, state: any, event: engine.failed, guards: [explode(n)], next_state: over}\n"])
def test_a_session_that_cannot_settle_its_failure_is_ended_by_force_and_said_before_it_is_gone(world, tail):
    at = watched(world(table(*EXPLODES, tail=tail)))
    session = at.start("m")
    assert at.give(session, "user.a", n=0).kind == "ended"
    [(state, ended, reason, settled)] = at.failed
    assert (state, ended, settled) == ("one", False, False)
    assert "ZeroDivisionError" in reason
    assert at.executor.counters["sessions ended by force"] == 1
    assert at.log[-1] == ("ended", "m")


def test_an_effect_that_fails_without_a_row_for_it_ends_the_session_by_force(world):
    at = watched(world(table(GO, DONE, tail=WITHOUT), handlers=raising(LookupError("broken"))))
    session = at.start("m")
    at.give(session, "user.go")
    assert session.ended
    assert at.failed == [("two", False, "work: LookupError('broken')", False)]


def test_a_session_that_goes_on_after_its_row_and_lost_its_record_has_settled(world):
    stays = FAILED.replace(", next_state: over", "")
    at = watched(world(table(head=DURABLE, tail=TAIL.replace(FAILED, stays)), store=Records()))
    session, store = at.start("m"), at.executor.store
    store.later = True
    at.give(session, "user.hangup")
    store.answer(OSError("disk full"))
    assert at.failed == [("one", False, "OSError('disk full')", True)]
    assert session.ended


# --------------------------------------------------------------------------- what is no Exception


def test_a_cancelled_future_in_a_handler_is_a_failure_and_the_row_stands_whole(world):
    at = world(table(GO, DONE, AFTER, tail=TAIL.replace(FAILED, FAILED.replace(", next_state: over", ""))),
               handlers=raising(asyncio.CancelledError()))  # fmt: skip
    session = at.start("m")
    assert at.give(session, "user.go") == ("taken", "go")
    assert [entry for entry in at.log if entry[0] != "gone"] == [
        ("note", "behind"), ("published", "said", {"n": 1}), ("note", "work: CancelledError()"),
    ]  # fmt: skip
    assert at.executor.row is None
    at.clock.advance(6)
    assert session.ended, "the row's timer was armed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_meant_for_the_process_is_raised_when_the_step_is_whole(world, error):
    at = world(table(GO, DONE), handlers=raising(error("stop")))
    session = at.start("m")
    with pytest.raises(error, match="stop"):
        at.give(session, "user.go")
    assert [entry[0] for entry in at.log] == ["note", "published", "note", "gone", "ended"]
    assert session.ended
    other = at.start("m")
    assert at.give(other, "user.a", n=1).kind == "refused", "and it is raised once"


@pytest.mark.parametrize("where", ["change", "owner", "observer", "on_end", "store"])
def test_a_cancelled_error_costs_no_more_wherever_it_comes_from(world, where):
    def broken(*_):
        raise asyncio.CancelledError(where)

    class Broken(Records):
        def commit(self, commit, done):
            broken()

    at = world(table("{id: c, state: one, event: user.c, publish: [said: {n: 1}]}", *EXPLODES, head=DURABLE),
               store=Broken() if where == "store" else None)  # fmt: skip
    if where == "owner":
        at.published = broken
    if where in ("observer", "on_end"):
        (at.executor.observers if where == "observer" else at.executor.on_end).insert(0, broken)
    session = at.start("m")
    at.executor.dispatch(session, "user.c", {}, broken if where == "change" else None)
    at.give(session, "user.hangup")
    assert session.ended
    assert not at.executor.sessions
    counters = {"change": "sessions failed", "owner": "effects failed", "store": "commits failed"}
    assert at.executor.counters[counters.get(where, "observers failed")] > 0
