from __future__ import annotations

import heapq
import random

import pytest

from calltable.adapters.simulated.clock import ClockLimitError, VirtualClock


def test_time_jumps_to_each_callback_and_same_time_runs_in_planning_order():
    clock, ran = VirtualClock(), []
    clock.call_at(2.0, lambda: ran.append(("b", clock.time())))
    clock.call_later(1.0, lambda: ran.append(("a", clock.time())))
    clock.call_at(2.0, lambda: ran.append(("c", clock.time())))
    clock.call_soon(lambda: ran.append(("now", clock.time())))
    assert clock.run() == 4
    assert ran == [("now", 0.0), ("a", 1.0), ("b", 2.0), ("c", 2.0)]


def test_what_was_planned_before_a_moment_runs_before_what_is_planned_in_it():
    clock, ran = VirtualClock(), []

    def first():
        ran.append("first")
        clock.call_soon(ran.append, "soon")
        clock.call_at(0.5, ran.append, "past")

    clock.call_at(1.0, first)
    clock.call_at(1.0, ran.append, "second")
    clock.run()
    assert ran == ["first", "second", "soon", "past"]


def test_a_cancelled_callback_does_not_run_and_is_not_pending():
    clock, ran = VirtualClock(), []
    later, soon = clock.call_later(1.0, ran.append, 1), clock.call_soon(ran.append, 2)
    clock.call_later(3.0, ran.append, 3)
    assert clock.pending == 3
    for handle in (later, soon, later):
        handle.cancel()
    assert later.cancelled()
    assert clock.pending == 1
    assert clock.next_time == 3.0
    assert clock.run() == 1
    assert ran == [3]
    assert clock.pending == 0
    assert clock.next_time is None


def test_cancelling_the_running_callback_or_one_that_ran_changes_nothing():
    clock, handles = VirtualClock(), []
    handles.append(clock.call_soon(lambda: handles[0].cancel()))  # noqa: PLW0108 - the handle is not there yet
    clock.run()
    handles[0].cancel()
    assert clock.pending == 0


def test_run_until_and_advance_include_their_end_and_leave_the_clock_there():
    clock, ran = VirtualClock(10.0), []
    for when in (11.0, 12.0, 12.5):
        clock.call_at(when, ran.append, when)
    clock.run(12.0)
    assert (ran, clock.time()) == ([11.0, 12.0], 12.0)
    clock.advance(0.4)
    assert (ran, clock.time()) == ([11.0, 12.0], 12.4)
    clock.advance(100)
    assert (ran, clock.time()) == ([11.0, 12.0, 12.5], 112.4)
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(-1)


def test_step_runs_one_callback():
    clock, ran = VirtualClock(), []
    clock.call_later(5, ran.append, "a")
    clock.call_later(6, ran.append, "b")
    assert clock.step()
    assert (ran, clock.time()) == (["a"], 5.0)
    assert clock.step()
    assert not clock.step()


def test_exceptions_come_out_and_the_clock_goes_on():
    clock, ran = VirtualClock(), []
    clock.call_later(1, lambda: 1 / 0)
    clock.call_later(2, ran.append, "after")
    with pytest.raises(ZeroDivisionError):
        clock.run()
    assert clock.time() == 1.0
    clock.run()
    assert ran == ["after"]


def test_endless_work_is_an_error_that_says_so():
    clock = VirtualClock()

    def again():
        clock.call_later(1, again)

    again()
    with pytest.raises(ClockLimitError, match="repeats for ever"):
        clock.run(limit=50)
    assert clock.run(clock.time() + 10, limit=50) == 10


def test_a_limit_that_is_just_enough_is_no_error():
    clock = VirtualClock()
    for _ in range(5):
        clock.call_soon(int)
    assert clock.run(limit=5) == 5


def test_no_number_is_no_time():
    with pytest.raises(ValueError, match="nan"):
        VirtualClock().call_at(float("nan"), int)


@pytest.mark.parametrize("seed", range(5))
def test_order_is_that_of_a_plain_sorted_list_also_with_thousands_cancelled(seed):
    random_source = random.Random(seed)
    clock, ran, model, number = VirtualClock(), [], [], 0
    handles = {}

    def work(mine):
        nonlocal number
        ran.append((clock.time(), mine))
        for _ in range(random_source.choice((0, 1, 1, 2)) if number < 3000 else 0):
            number += 1
            when = clock.time() + random_source.choice((0.0, 0.0, 0.5, 1.0, 32.0))
            handles[number] = clock.call_at(when, work, number)
            heapq.heappush(model, (when, number))
        if handles and random_source.random() < 0.3:
            victim = random_source.choice(list(handles))
            if handles[victim].cancelled():
                return
            handles[victim].cancel()
            model.remove(next(entry for entry in model if entry[1] == victim))
            heapq.heapify(model)

    for _ in range(50):
        number += 1
        handles[number] = clock.call_soon(work, number)
        heapq.heappush(model, (0.0, number))
    while model:
        expected = model[0]
        heapq.heappop(model)
        assert clock.step()
        assert ran[-1] == expected
    assert clock.pending == 0


def test_a_heap_of_cancelled_timers_is_cleaned_up():
    clock = VirtualClock()
    keep = clock.call_later(64, int)
    for _ in range(10_000):
        clock.call_later(32, int).cancel()
    assert clock.pending == 1
    assert len(clock._heap) < 600
    assert clock.next_time == keep.when()
