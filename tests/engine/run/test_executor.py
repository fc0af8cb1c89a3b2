"""One event from start to end: what happens in which order, what is bounded, and what a failure costs."""

from __future__ import annotations

import logging
import traceback

import pytest

from calltable.engine.language.load import load_tables
from calltable.engine.run.commit import INBOX
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import DEFERRED, FOLLOWUPS
from calltable.engine.run.records import HISTORY
from tests.engine.conftest import CATALOGUE, World

HEAD = """\
calltable: 1
machine: m
doc: Under test.
initial: one
receives: [user.small]
variables: {n: int, seen: int}
publishes: {said: {n: int}}
states:
  one: {lasts: until told}
  two: {lasts: until told}
  over: {final: true}
"""
TAIL = """\
  - {id: start, state: one, event: engine.started, doc: it begins}
  - {id: hangup, state: any, event: user.hangup, next_state: over}
  - {id: failed, state: any, event: engine.failed, actions: [note: {text: $event.reason}], next_state: over}
  - {id: rest, state: any, event: user.*, refuse: not now}
"""


def table(*rows: str, head: str = HEAD, tail: str = TAIL) -> str:
    return head + "rows:\n" + "".join(f"  - {row}\n" for row in rows) + tail


DURABLE = HEAD.replace("initial:", "durable: true\ninitial:")


# --------------------------------------------------------------------------- order


def test_a_step_is_committed_before_its_effects_and_they_go_before_its_publications(world):
    class Told:
        """A store that notes when it is told."""

        def create(self, record, done):
            return True

        def commit(self, commit, done):
            receipt = commit.receipt
            at.log.append(("commit", receipt.version - 1, receipt.version, receipt.row, receipt.after, dict(commit.variables)))
            return True

        def remove(self, key):
            at.log.append(("removed", key))

    at = world(
        table(
            "{id: go, state: one, event: user.a, set: {n: $event.n}, actions: [note: {text: x, value: $n}, work: {n: 3}],"
            " publish: [said: {n: $event.n}], next_state: two}",
            "{id: done, state: any, event: work.done, actions: [note: {text: later}]}",
            head=DURABLE,
        ),
        store=Told(),
        handlers={"work": lambda session, p: (at.log.append("work"), at.executor.post(session, "work.done", {"n": 1}))},
    )
    session = at.start("m")
    at.log.clear()
    assert at.give(session, "user.a", n=5) == ("taken", "go")
    assert at.log == [
        ("commit", 1, 2, "go", "two", {"n": 5}),
        ("note", "x", 0),  # values are read before anything changes
        "work",
        ("published", "said", {"n": 5}),
        ("commit", 2, 3, "done", "two", {}),
        ("note", "later"),
    ]
    at.log.clear()
    at.give(session, "user.hangup")
    assert at.log == [("commit", 3, 4, "hangup", "over", {}), ("removed", session.id), ("gone", "1"), ("ended", "m")]


def test_what_follows_is_taken_first_in_first_out_before_the_event_returns(world):
    def work(session, p):
        at.executor.post(session, "user.a", {"n": 1})
        assert at.executor.dispatch(session, "user.b", {"n": 2}).kind == "queued"

    at = world(
        table(
            "{id: go, state: one, event: user.go, actions: [work, note: {text: go}]}",
            "{id: a, state: one, event: user.a, actions: [note: {text: a}]}",
            "{id: b, state: one, event: user.b, actions: [note: {text: b}]}",
            "{id: done, state: any, event: work.done, ignore: late}",
        ),
        handlers={"work": work},
    )
    session = at.start("m")
    at.give(session, "user.go")
    assert at.notes() == ["go", "a", "b"]
    assert at.rows() == ["start", "go", "a", "b"]


def test_every_receipt_says_what_happened_and_the_last_fifty_are_kept(world):
    at = world(
        table(
            "{id: there, state: one, event: user.go, next_state: two}",
            "{id: back, state: two, event: user.go, next_state: one}",
        )
    )
    session = at.start("m")
    for _ in range(HISTORY + 9):
        at.clock.advance(1)
        at.give(session, "user.go")
    assert HISTORY == 50
    assert len(session.history) == HISTORY
    assert [receipt.version for receipt in session.history] == list(range(11, 61))
    last = session.history[-1]
    assert last == (session.id, 60, "there", "user.go", "one", "two", 159.0)
    assert at.steps[-1].receipt is last


def test_what_takes_no_row_leaves_the_version_and_the_history_alone(world):
    at = world(
        table(
            "{id: a, state: one, event: user.a, ignore: retransmission}",
            "{id: b, state: one, event: user.b, defer: true}",
            "{id: c, state: one, event: user.c, refuse: why not}",
        )
    )
    session = at.start("m")
    history = list(session.history)
    assert at.give(session, "user.a", n=1) == ("ignored", "retransmission")
    assert at.give(session, "user.b", n=1) == ("deferred", "")
    assert at.give(session, "user.c") == ("refused", "why not")
    assert (session.version, list(session.history), session.state) == (1, history, "one")
    assert at.executor.counters["refused"] == 1


# --------------------------------------------------------------------------- outcomes


def test_outcomes_say_whether_the_event_had_its_effect(world):
    at = world(
        table(
            "{id: a, state: one, event: user.a, guards: [event.n > 0], doc: taken}",
            "{id: a.not, state: one, event: user.a, guards: [otherwise], ignore: late}",
            "{id: work, state: one, event: user.b, actions: [work]}",
            "{id: done, state: one, event: work.done, guards: [event.n == 1], doc: fine}",
            "{id: done.not, state: one, event: work.done, guards: [event.n != 1], ignore: late}",
        )
    )
    session = at.start("m")
    outcomes = [
        at.give(session, "user.a", n=1), at.give(session, "user.a", n=0), at.give(session, "user.go"),
        at.give(session, "no.such.event"), at.give(session, "user.hangup"), at.give(session, "user.hangup"),
    ]  # fmt: skip
    assert [(one.kind, one.ok) for one in outcomes] == [
        ("taken", True), ("ignored", False), ("refused", False), ("unhandled", False), ("taken", True), ("ended", False),
    ]  # fmt: skip
    assert at.executor.counters["unhandled"] == 1


def test_an_outcome_that_is_no_longer_awaited_is_stale_and_counted_not_an_error(world, caplog):
    at = world(
        table(
            "{id: go, state: one, event: user.go, actions: [work], next_state: two}",
            "{id: done, state: two, event: work.done, next_state: one}",
        )
    )
    session = at.start("m")
    at.give(session, "user.go")
    at.give(session, "work.done", n=1)
    assert at.give(session, "work.done", n=1).kind == "stale"
    assert at.executor.counters["stale"] == 1
    assert session.state == "one"
    assert not caplog.records


# --------------------------------------------------------------------------- bounds


def test_deferred_events_are_replayed_in_order_on_a_change_of_state_only(world):
    at = world(
        table(
            "{id: wait, state: one, event: [user.a, user.b], defer: true}",
            "{id: stay, state: one, event: user.c, actions: [note: {text: stayed}], next_state: one}",
            "{id: go, state: one, event: user.go, actions: [note: {text: go}], next_state: two}",
            "{id: a, state: two, event: user.a, actions: [note: {text: a, value: $event.n}]}",
            "{id: b, state: two, event: user.b, actions: [note: {text: b, value: $event.n}]}",
        )
    )
    session = at.start("m")
    for n in (1, 2):
        at.give(session, "user.a", n=n)
        at.give(session, "user.b", n=n)
    before = len(at.steps)
    at.give(session, "user.c")
    assert at.notes() == ["stayed"]
    assert len(at.steps) == before + 1, "to enter the same state again replays nothing"
    at.give(session, "user.go")
    assert [entry[1:] for entry in at.log if entry[0] == "note"] == [("go",), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert session.deferred is None


def test_deferred_events_come_before_what_else_is_waiting(world):
    at = world(
        table(
            "{id: wait, state: one, event: user.a, defer: true}",
            "{id: go, state: one, event: user.go, actions: [work], next_state: two}",
            "{id: a, state: two, event: user.a, actions: [note: {text: a}]}",
            "{id: done, state: two, event: work.done, actions: [note: {text: done}]}",
        ),
        handlers={"work": lambda session, p: at.executor.post(session, "work.done", {"n": 1})},
    )
    session = at.start("m")
    at.give(session, "user.a", n=1)
    at.give(session, "user.go")
    assert at.notes() == ["a", "done"]


def test_deferral_is_bounded_and_everything_that_was_deferred_can_be_replayed(world):
    at = world(
        table(
            "{id: wait, state: one, event: user.a, defer: true}",
            "{id: go, state: one, event: user.go, next_state: two}",
            "{id: a, state: two, event: user.a, actions: [note: {text: a}]}",
        )
    )
    session = at.start("m")
    kinds = [at.give(session, "user.a", n=n).kind for n in range(DEFERRED + 1)]
    assert kinds == ["deferred"] * DEFERRED + ["refused"]
    assert at.executor.counters["deferrals refused"] == 1
    at.give(session, "user.go")
    assert len(at.notes()) == DEFERRED
    assert session.state == "two"


def test_more_than_thirty_two_follow_up_events_fail_the_session_loudly(world, caplog):
    at = world(
        table(
            "{id: go, state: any, event: user.go, actions: [work]}",
            "{id: done, state: any, event: work.done, ignore: late}",
        ),
        handlers={"work": lambda session, p: at.executor.post(session, "user.go")},
    )
    session = at.start("m")
    at.give(session, "user.go")
    assert session.ended
    assert at.rows().count("go") == 1 + FOLLOWUPS
    assert at.notes() == [f"more than {FOLLOWUPS} follow-up events, the last one user.go"]
    assert at.rows()[-1] == "failed"
    assert [entry for entry in at.log if entry[0] == "ended"] == [("ended", "m")]
    assert at.executor.counters["sessions failed"] == 1
    assert any("follow-up" in record.getMessage() for record in caplog.records)


def test_the_bound_holds_for_each_session_that_the_event_reaches(world):
    at = world(
        table(
            "{id: go, state: any, event: user.go, actions: [work]}",
            "{id: c, state: any, event: user.c, actions: [note: {text: c}]}",
            "{id: done, state: any, event: work.done, ignore: late}",
        ),
        handlers={"work": lambda session, p: [at.executor.post(other, "user.c") for _ in range(wanted)]},
    )
    session, other = at.start("m"), at.start("m")
    wanted = FOLLOWUPS
    at.give(session, "user.go")
    at.give(session, "user.go")
    assert at.notes() == ["c"] * FOLLOWUPS * 2, "each external event has its own"
    wanted = FOLLOWUPS + 1
    at.give(session, "user.go")
    assert (session.ended, other.ended) == (False, True)


def test_a_session_that_goes_round_in_its_failure_too_is_ended_by_force(world):
    at = world(
        table(
            "{id: go, state: any, event: user.go, actions: [work]}",
            "{id: done, state: any, event: work.done, ignore: late}",
            "{id: failed, state: any, event: engine.failed, actions: [work]}",
            tail=TAIL.replace("  - {id: failed, state: any, event: engine.failed, actions: [note: {text: $event.reason}], next_state: over}\n", ""),
        ),
        handlers={"work": lambda session, p: at.executor.post(session, "user.go")},
    )
    session = at.start("m")
    at.give(session, "user.go")
    assert session.ended
    assert [entry for entry in at.log if entry[0] == "ended"] == [("ended", "m")]
    assert not at.executor.sessions


def test_a_session_that_has_ended_ends_only_once_however_much_still_comes(world):
    def work(session, p):
        for _ in range(FOLLOWUPS * 2):
            at.executor.post(session, "user.go")

    at = world(
        table(
            "{id: go, state: one, event: user.go, actions: [work], next_state: over}",
            "{id: done, state: any, event: work.done, ignore: late}",
        ),
        handlers={"work": work},
    )
    session = at.start("m")
    at.give(session, "user.go")
    assert [entry for entry in at.log if entry[0] in ("gone", "ended")] == [("gone", "1"), ("ended", "m")]
    assert at.executor.counters["sessions failed"] == 0
    assert session.ended


# --------------------------------------------------------------------------- failures


def test_an_effect_that_raises_is_an_event_and_the_rest_of_the_row_stands(world):
    at = world(
        table(
            "{id: go, state: one, event: user.go, actions: [note: {text: before}, break, note: {text: behind}], set: {n: 4},"
            " publish: [said: {n: 4}], next_state: two}"
        )
    )
    session = at.start("m")
    other = at.start("m")
    assert at.give(session, "user.go") == ("taken", "go")
    assert [entry for entry in at.log if entry[0] != "gone"] == [
        ("note", "before"), ("note", "behind"), ("published", "said", {"n": 4}),
        ("note", "break: RuntimeError('the adapter is broken')"), ("ended", "m"),
    ]  # fmt: skip
    assert session.ended
    assert at.executor.counters["effects failed"] == 1
    assert not other.ended


def test_a_cell_that_raises_ends_its_session_through_its_own_row_and_no_other(world):
    at = world(table("{id: a, state: one, event: user.a, guards: [explode(event.n)], set: {n: $event.n}, next_state: two}",
                     "{id: a.not, state: one, event: user.a, guards: [otherwise], ignore: late}"))  # fmt: skip
    session, other = at.start("m"), at.start("m")
    assert at.give(session, "user.a", n=0) == ("taken", "failed")
    assert at.notes() == ["user.a: ZeroDivisionError('integer division or modulo by zero')"]
    assert session.ended
    assert session.n_ if hasattr(session, "n_") else session.v_n == 0, "nothing of the row was applied"
    assert at.give(other, "user.a", n=9) == ("ignored", "late")


def test_a_failure_inside_the_failure_still_ends_the_session(world):
    at = world(
        table(
            "{id: a, state: one, event: user.a, guards: [explode(event.n)], doc: never}",
            "{id: a.not, state: one, event: user.a, guards: [otherwise], ignore: late}",
            "{id: failed, state: any, event: engine.failed, guards: [explode(n)], next_state: over}",
            "{id: failed.not, state: any, event: engine.failed, guards: [otherwise], next_state: over}",
            tail=TAIL.replace("  - {id: failed, state: any, event: engine.failed, actions: [note: {text: $event.reason}], next_state: over}\n", ""),
        )
    )
    session = at.start("m")
    assert at.give(session, "user.a", n=0).kind == "ended"
    assert session.ended
    assert not at.executor.sessions


def test_an_owner_that_raises_at_a_publication_fails_the_session_and_leaks_nothing(world):
    at = world(table("{id: go, state: one, event: user.go, publish: [said: {n: 1}], actions: [note: {text: go}], next_state: over}",
                     "{id: c, state: one, event: user.c, publish: [said: {n: 2}], next_state: two}"))  # fmt: skip

    class Owner:
        def published(self, executor, child, name, fields):
            raise RuntimeError("the owner is broken")

        def child_ended(self, executor, child):
            at.log.append("told")
            raise RuntimeError("and remains so")

    first = at.executor.start("m", owner=Owner())
    assert at.give(first, "user.go") == ("taken", "go")
    assert first.ended
    assert first.id not in at.executor.sessions
    second = at.executor.start("m", owner=Owner())
    at.log.clear()
    at.give(second, "user.c")
    assert at.notes() == ["publication said: RuntimeError('the owner is broken')"]
    assert second.ended


def test_an_observer_that_raises_changes_nothing(world, caplog):
    at = world(table("{id: go, state: one, event: user.go, actions: [note: {text: go}], next_state: two}"))
    session = at.start("m")

    def broken(step):
        raise RuntimeError("the observer is broken")

    at.executor.observers.insert(0, broken)
    at.executor.on_end.insert(0, broken)
    assert at.give(session, "user.go") == ("taken", "go")
    assert at.notes() == ["go"]
    assert at.give(session, "user.a", n=1).kind == "refused"
    assert at.give(session, "user.hangup").ok
    assert [entry for entry in at.log if entry[0] == "ended"] == [("ended", "m")]
    assert at.executor.counters["observers failed"] == 4
    assert "the observer is broken" in caplog.text


def test_a_wrong_value_for_a_variable_fails_the_session_before_anything_is_applied(world):
    at = world(table("{id: a, state: one, event: user.a, set: {seen: 1, n: $event.n}, next_state: two}"))
    session = at.start("m")
    assert at.give(session, "user.a", n="five") == ("taken", "failed")
    assert at.notes() == ["user.a: TypeError(\"variable n must be int, not 'five'\")"]
    assert session.v_seen == 0


def test_a_missing_field_fails_the_session(world):
    at = world(table("{id: a, state: one, event: user.a, set: {n: $event.n}}"))
    session = at.start("m")
    assert at.give(session, "user.a") == ("taken", "failed")
    assert at.notes() == ["user.a: KeyError('n')"]


def test_a_traceback_points_at_the_row_in_the_table(tmp_path):
    text = table(
        "{id: first, state: one, event: user.a, priority: 1, guards: [n > 3], doc: asked before}",
        "{id: a, state: one, event: user.a, guards: [explode(event.n)], doc: here}",
        "{id: a.not, state: one, event: user.a, guards: [otherwise], ignore: late}",
    )
    file = tmp_path / "m.yaml"
    file.write_text(text)
    (tmp_path / "small.yaml").write_text(CATALOGUE)
    library = load_tables([tmp_path])

    def explode(n):
        raise ValueError(n)

    machine = compile_machine(library.machines["m"], {"low": 0.1}, {"explode": explode})
    session = machine.session(1, "", "", None)
    with pytest.raises(ValueError) as caught:
        session.cells["user.a"](session, {"n": 1})
    [frame] = [one for one in traceback.extract_tb(caught.value.__traceback__) if one.filename == str(file)]
    assert frame.line == "- {id: a, state: one, event: user.a, guards: [explode(event.n)], doc: here}"
    assert frame.lineno == next(i for i, line in enumerate(text.splitlines(), 1) if "id: a," in line)


# --------------------------------------------------------------------------- machines


def test_a_machine_whose_actions_nobody_carries_out_is_not_added(world):
    at = world(table("{id: go, state: one, event: user.go, actions: [work]}", "{id: done, state: any, event: work.done, ignore: late}"))
    del at.executor.handlers["work"]
    at.executor.machines.clear()
    with pytest.raises(LookupError, match=r"table0.yaml:\d+:\d+: no adapter carries out work \(row go\)"):
        at.executor.add(at.machines["m"])
    assert not at.executor.machines
    with pytest.raises(LookupError, match="no machine 'm'"):
        at.executor.start("m")


def test_a_reload_changes_no_session_that_runs(world):
    row = "{{id: go, state: one, event: user.go, actions: [note: {{text: {}}}]}}"
    at = world(table(row.format("old")))
    session = at.start("m")
    changed = World(table(row.format("new")))
    at.executor.add(changed.machines["m"])
    fresh = at.start("m")
    at.give(session, "user.go")
    at.give(fresh, "user.go")
    assert at.notes() == ["old", "new"]
    assert session.machine.digest != fresh.machine.digest


def test_a_handler_learns_which_session_and_row_it_works_for(world):
    def work(session, p):
        at.log.append((at.executor.current is session, at.executor.row.id))

    at = world(
        table(
            "{id: go, state: one, event: user.go, actions: [work]}",
            "{id: done, state: any, event: work.done, ignore: late}",
        ),
        handlers={"work": work},
    )
    at.give(at.start("m"), "user.go")
    assert at.log == [(True, "go")]
    assert at.executor.row is None


def test_an_event_from_outside_in_the_middle_of_a_step_waits_for_its_turn_in_another_session(world):
    """Sessions post to each other through adapters: still one step at a time."""
    at = world(
        table(
            "{id: go, state: one, event: user.go, actions: [work, note: {text: first}], next_state: two}",
            "{id: c, state: one, event: user.c, actions: [note: {text: second}]}",
            "{id: done, state: any, event: work.done, ignore: late}",
        ),
        handlers={"work": lambda session, p: at.executor.dispatch(other, "user.c")},
    )
    session, other = at.start("m"), at.start("m")
    at.give(session, "user.go")
    assert at.notes() == ["first", "second"]


def test_the_inbox_bound_and_the_follow_up_bound_are_the_documented_ones():
    assert (FOLLOWUPS, INBOX) == (32, 64)
    assert DEFERRED < FOLLOWUPS, "all that was deferred is replayed as follow-ups of one event"


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """What is logged is looked at, not printed."""
    caplog.set_level(logging.DEBUG, logger="calltable.engine")
