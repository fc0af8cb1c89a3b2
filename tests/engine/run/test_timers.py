"""Time: ``after`` rows, named timers with back-off, durations drawn at random, and the heap beneath."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltable.adapters.simulated.clock import ClockLimitError
from calltable.engine.run.timer_heap import COMPACT, TimerHeap

HEAD = """\
calltable: 1
machine: m
doc: Under test.
initial: one
receives: [user.small]
variables: {n: int, quick: bool, wait: {type: duration, default: 2s}}
states: {one: {}, two: {}, over: {final: true}}
rows:
  - {id: start, state: one, event: engine.started, doc: it begins}
  - {id: hangup, state: any, event: [user.hangup, engine.failed], next_state: over}
  - {id: rest, state: any, event: user.*, refuse: not now}
"""


def table(*rows: str) -> str:
    return HEAD + "".join(f"  - {row}\n" for row in rows)


def moments(at):
    """When each ``note`` was left, in seconds since the beginning."""
    return [(entry[1], round(when - 100.0, 3)) for when, entry in at.log]


@pytest.fixture(name="timed")
def _timed(world):
    """A world whose notes carry their moment."""

    def make(*rows: str, **options):
        at = world(
            table(*rows),
            handlers={"note": lambda session, p: at.log.append((at.clock.time(), ("note", p["text"], *([p["wait"]] if "wait" in p else []))))},
            **options,
        )
        at.executor.on_end.clear()
        at.child_ended = lambda executor, child: None
        return at

    return make


# --------------------------------------------------------------------------- after


def test_an_after_row_fires_once_when_its_time_is_over(timed):
    at = timed("{id: late, state: one, after: 1.5s, actions: [note: {text: late}]}")
    session = at.start("m")
    at.clock.advance(1.4)
    assert at.log == []
    at.clock.advance(10)
    assert moments(at) == [("late", 1.5)]
    assert len(at.executor.timers) == 0
    assert at.give(session, "after.late").kind == "taken", "the engine trusts its heap, not the name"


def test_leaving_the_state_cancels_it_and_coming_back_starts_anew(timed):
    at = timed(
        "{id: late, state: one, after: 2s, actions: [note: {text: late}]}",
        "{id: go, state: one, event: user.go, next_state: two}",
        "{id: back, state: two, event: user.go, next_state: one}",
    )
    session = at.start("m")
    at.clock.advance(1)
    at.give(session, "user.go")
    assert len(at.executor.timers) == 0
    at.clock.advance(5)
    at.give(session, "user.go")
    at.clock.advance(5)
    assert moments(at) == [("late", 8.0)]


def test_staying_lets_it_run_also_where_the_row_names_the_same_state(timed):
    at = timed(
        "{id: late, state: one, after: 2s, actions: [note: {text: late}]}",
        "{id: stay, state: one, event: user.c, doc: nothing}",
        "{id: again, state: one, event: user.go, next_state: one}",
    )
    session = at.start("m")
    at.clock.advance(1)
    at.give(session, "user.c")
    at.clock.advance(0.5)
    at.give(session, "user.go")
    at.clock.advance(10)
    assert moments(at) == [("late", 2.0)]


def test_its_guard_and_its_time_are_read_when_the_state_is_entered(timed):
    at = timed(
        "{id: quick, state: two, after: 1s, guards: [quick], actions: [note: {text: quick}]}",
        "{id: slow, state: two, after: $wait, guards: [not quick], actions: [note: {text: slow}]}",
        "{id: a, state: [one, two], event: user.a, set: {quick: true, wait: 9s}}",
        "{id: go, state: one, event: user.go, next_state: two}",
    )
    first = at.start("m")
    at.give(first, "user.go")
    at.give(first, "user.a", n=1)  # too late for what was armed
    second = at.start("m")
    at.give(second, "user.a", n=1)
    at.give(second, "user.go")
    at.clock.advance(20)
    assert moments(at) == [("quick", 1.0), ("slow", 2.0)]


def test_variables_that_the_row_itself_sets_count_for_what_it_arms(timed):
    at = timed(
        "{id: late, state: two, after: $wait, actions: [note: {text: late}]}",
        "{id: go, state: one, event: user.go, set: {wait: 5s}, next_state: two}",
    )
    at.give(at.start("m"), "user.go")
    at.clock.advance(20)
    assert moments(at) == [("late", 5.0)]


def test_an_after_row_of_the_first_state_runs_from_the_beginning(timed):
    at = timed("{id: late, state: one, after: 1s, actions: [note: {text: late}], next_state: over}")
    at.executor.create("m")
    session = at.start("m")
    at.clock.advance(1)
    assert len(at.log) == 2, "also for a session that nobody started"
    assert session.ended
    assert not at.executor.sessions


def test_a_state_of_no_time_lets_go_of_the_processor(timed):
    """A loop of zero seconds is a mistake in a table; it must not stop every other session."""
    at = timed(
        "{id: spin, state: one, after: 0s, next_state: two}",
        "{id: back, state: two, after: 0s, guards: [n == 0], next_state: one}",
        "{id: late, state: two, after: 0s, guards: [n == 1], actions: [note: {text: other}], next_state: over}",
        "{id: go, state: one, event: user.go, set: {n: 1}, next_state: two}",
    )
    other = at.executor.create("m")
    at.executor.dispatch(other, "user.go")
    at.executor.dispatch(at.executor.create("m"), "engine.started")
    with pytest.raises(ClockLimitError):
        at.clock.run(limit=50)
    assert moments(at) == [("other", 0.0)]


# --------------------------------------------------------------------------- named timers


def test_a_named_timer_outlives_the_state_and_fires_once(timed):
    at = timed(
        "{id: go, state: one, event: user.go, actions: [timer.start: {name: t, after: 3s}], next_state: two}",
        "{id: t, state: any, event: timer.t, actions: [note: {text: t}]}",
        "{id: back, state: two, event: user.c, next_state: one}",
    )
    session = at.start("m")
    at.give(session, "user.go")
    at.clock.advance(1)
    at.give(session, "user.c")
    at.clock.advance(10)
    assert moments(at) == [("t", 3.0)]
    assert session.timers == {}


def test_starting_it_again_moves_it_and_stopping_it_cancels_it(timed):
    at = timed(
        "{id: go, state: one, event: user.go, actions: [timer.start: {name: t, after: 3s}]}",
        "{id: stop, state: one, event: user.c, actions: [timer.stop: {name: t}]}",
        "{id: t, state: any, event: timer.t, actions: [note: {text: t}]}",
    )
    session = at.start("m")
    at.give(session, "user.go")
    at.clock.advance(2)
    at.give(session, "user.go")
    at.clock.advance(2)
    assert at.log == []
    at.clock.advance(1)
    assert moments(at) == [("t", 5.0)]
    at.give(session, "user.go")
    at.give(session, "user.c")
    at.give(session, "user.c")
    at.clock.advance(10)
    assert len(at.log) == 1
    assert len(at.executor.timers) == 0


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        # RFC 3261 §17.1.2.2, Timer E with T1 500 ms and T2 4 s
        ("{factor: 2, max: 4s}", [0.5, 1.5, 3.5, 7.5, 11.5, 15.5]),
        ("{factor: 2}", [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]),
        ("{}", [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
        ("{factor: 1, max: 4s}", [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
        ("{factor: 3, max: $config.low}", [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
    ],
)
def test_repeating_timers_back_off(timed, repeat, expected):
    at = timed(
        f"{{id: go, state: one, event: user.go, actions: [timer.start: {{name: t, after: 500ms, repeat: {repeat}}}]}}",
        "{id: t, state: any, event: timer.t, actions: [note: {text: t}]}",
    )
    at.give(at.start("m"), "user.go")
    at.clock.advance(40)
    assert [moment for _, moment in moments(at)][:6] == expected


def test_a_repeating_timer_can_be_stopped_by_the_row_it_fires(timed):
    at = timed(
        "{id: go, state: one, event: user.go, actions: [timer.start: {name: t, after: 1s, repeat: {}}], set: {n: 0}}",
        "{id: t, state: one, event: timer.t, guards: [n == 0], set: {n: 1}, actions: [note: {text: t}]}",
        "{id: t.last, state: one, event: timer.t, guards: [n != 0], actions: [note: {text: last}, timer.stop: {name: t}]}",
        "{id: t.two, state: two, event: timer.t, ignore: late}",
    )
    session = at.start("m")
    at.give(session, "user.go")
    at.clock.advance(50)
    assert moments(at) == [("t", 1.0), ("last", 2.0)]
    assert len(at.executor.timers) == 0
    assert at.clock.pending == 0, "nothing is left to wake for"


def test_timers_end_with_their_session(timed):
    at = timed(
        "{id: go, state: one, event: user.go, actions: [timer.start: {name: t, after: 1s, repeat: {}}], next_state: two}",
        "{id: t, state: any, event: timer.t, actions: [note: {text: t}]}",
        "{id: late, state: two, after: 1s, actions: [note: {text: late}]}",
    )
    session = at.start("m")
    at.give(session, "user.go")
    forced = at.start("m")
    at.give(forced, "user.go")
    assert len(at.executor.timers) == 4
    at.give(session, "user.hangup")
    assert len(at.executor.timers) == 2
    at.executor._end(forced)
    assert len(at.executor.timers) == 0
    at.clock.advance(5)
    assert at.log == []


def test_timers_of_one_moment_fire_in_the_order_they_were_started(timed):
    at = timed(
        "{id: go, state: one, event: user.go, actions: [timer.start: {name: a, after: 1s}, timer.start: {name: b, after: 1s},"
        " timer.start: {name: c, after: 500ms}]}",
        "{id: a, state: any, event: timer.a, actions: [note: {text: a}, timer.stop: {name: b}]}",
        "{id: b, state: any, event: timer.b, actions: [note: {text: b}]}",
        "{id: c, state: any, event: timer.c, actions: [note: {text: c}]}",
    )
    at.give(at.start("m"), "user.go")
    at.clock.advance(5)
    assert moments(at) == [("c", 0.5), ("a", 1.0)], "a timer that is stopped in its own moment does not fire"


def test_a_sleeping_process_catches_up_without_a_burst(timed):
    at = timed(
        "{id: go, state: one, event: user.go, actions: [timer.start: {name: t, after: 1s, repeat: {}}]}",
        "{id: t, state: any, event: timer.t, actions: [note: {text: t}]}",
    )
    at.give(at.start("m"), "user.go")
    at.clock._now += 1.3  # the process was busy
    at.clock.run(101.9)
    assert moments(at) == [("t", 1.3)]
    at.clock.run(102.0)
    assert moments(at) == [("t", 1.3), ("t", 2.0)], "one late wake-up does not move the ones behind it"
    at.log.clear()
    at.clock._now += 10.0  # the machine was asleep
    at.clock.run(at.clock.time())
    assert len(at.log) <= 2


# --------------------------------------------------------------------------- waking


def test_the_scheduler_is_asked_for_the_earliest_timer_only(timed):
    at = timed(
        "{id: a, state: one, event: user.a, actions: [timer.start: {name: t, after: 9s}]}",
        "{id: b, state: one, event: user.b, actions: [timer.start: {name: u, after: 1s}]}",
        "{id: t, state: any, event: [timer.t, timer.u], actions: [note: {text: x}]}",
    )
    first, second = at.start("m"), at.start("m")
    at.give(first, "user.a", n=1)
    assert at.clock.pending == 1
    at.give(first, "user.b", n=1)
    at.give(second, "user.a", n=1)
    assert (at.clock.pending, at.clock.next_time) == (1, 101.0)
    at.clock.advance(1)
    assert (at.clock.pending, at.clock.next_time) == (1, 109.0)
    at.clock.advance(20)
    assert moments(at) == [("x", 1.0), ("x", 9.0), ("x", 9.0)]
    assert at.clock.pending == 0


def test_to_wake_early_is_harmless(timed):
    at = timed(
        "{id: a, state: one, event: user.a, actions: [timer.start: {name: t, after: 2s}]}",
        "{id: b, state: one, event: user.b, actions: [timer.stop: {name: t}, timer.start: {name: t, after: 5s}]}",
        "{id: t, state: any, event: timer.t, actions: [note: {text: x}]}",
    )
    session = at.start("m")
    at.give(session, "user.a", n=1)
    at.give(session, "user.b", n=1)
    at.executor.alarms.expire()
    at.clock.advance(20)
    assert moments(at) == [("x", 5.0)]


# --------------------------------------------------------------------------- durations drawn at random


def test_durations_are_drawn_from_the_injected_source_in_steps_of_ten_milliseconds(timed):
    at = timed("{id: late, state: one, after: {between: [2.1s, 4s]}, actions: [note: {text: x, wait: {between: [100ms, $wait]}}], next_state: over}")
    for _ in range(40):
        at.start("m")
    source = random.Random(7)
    expected = sorted(round(source.uniform(2.1, 4.0), 2) for _ in range(40))
    at.clock.advance(10)
    assert [moment for _, moment in moments(at)] == expected
    assert len(set(expected)) > 20, "they differ"
    assert all(entry[2] == (0.1, 2.0) for _, entry in at.log), "effects get the bounds: the adapter has them drawn"
    assert 0.1 <= at.executor.seconds(at.log[0][1][2]) <= 2.0
    assert at.executor.seconds(0.25) == 0.25


# --------------------------------------------------------------------------- the heap


def test_a_storm_of_cancelled_timers_leaves_no_graves():
    heap = TimerHeap()
    kept = [heap.arm(float(n % 7), None, "x") for n in range(10)]
    for timer in kept:
        timer.session = object()
    for n in range(20_000):
        timer = heap.arm(32.0 + n, object(), "x")
        heap.cancel(timer)
        heap.cancel(timer)
    assert len(heap) == 10
    assert len(heap._heap) <= 2 * COMPACT + 20
    assert len(list(heap)) == 10


@given(st.lists(st.tuples(st.sampled_from(["arm", "cancel", "due", "again"]), st.integers(0, 50)), max_size=120))
def test_the_heap_is_a_sorted_list_of_what_was_not_cancelled(steps):
    heap, model, order = TimerHeap(), {}, 0
    for what, number in steps:
        match what:
            case "arm":
                order += 1
                model[heap.arm(float(number), object(), "x")] = (float(number), order)
            case "cancel" if model:
                timer = sorted(model, key=model.get)[number % len(model)]
                heap.cancel(timer)
                del model[timer]
            case "due" | "again":
                due = heap.due(float(number), heap.newest)
                expected = min(model, key=model.get, default=None)
                if expected is None or model[expected][0] > number:
                    assert due is None
                else:
                    assert due is expected
                    if what == "again":
                        order += 1
                        heap.again(due, number + 1.0)
                        model[due] = (number + 1.0, order)
                    else:
                        due.session = None
                        del model[due]
        assert len(heap) == len(model)
        assert [*heap] == sorted(model, key=model.get)
        assert heap.next() == min((when for when, _ in model.values()), default=None)
