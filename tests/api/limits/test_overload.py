"""Shedding by delay, on a scheduler that is as late as a test wants it."""

from __future__ import annotations

from calltable.adapters.simulated.clock import VirtualClock
from calltable.limits.overload import AHEAD, Overload


class LateClock(VirtualClock):
    """A virtual clock whose process is busy: callbacks see a time that is ``late`` seconds further on."""

    late = 0.0

    def time(self) -> float:
        return super().time() + self.late


def test_a_process_in_time_sheds_nothing():
    clock = VirtualClock()
    overload = Overload(clock, 0.5)
    for _ in range(100):
        assert not overload.sheds()
        clock.advance(0.1)
    assert overload.delay == 0


def test_an_idle_process_plans_no_probe():
    clock = VirtualClock()
    overload = Overload(clock, 0.5)
    assert not overload.sheds()
    clock.advance(1)
    assert clock.pending == 0


def test_shedding_begins_with_the_delay_and_ends_a_quiet_second_after_it():
    clock, behind = VirtualClock(), [0.0]
    overload = Overload(clock, 0.5, lambda: behind[0])
    overload.sheds()
    behind[0] = 0.6
    clock.advance(AHEAD)
    assert overload.sheds()
    behind[0] = 0.3  # below the threshold, and not calm
    clock.advance(5)
    assert overload.sheds()
    behind[0] = 0.05
    clock.advance(0.9)
    assert overload.sheds()
    clock.advance(0.3)
    assert not overload.sheds()
    clock.advance(1)
    assert clock.pending == 0


def test_the_schedulers_own_delay_counts():
    clock = LateClock()
    overload = Overload(clock, 0.5)
    overload.sheds()
    clock.late = 0.7
    clock.advance(AHEAD)
    assert overload.delay == 0.7
    assert overload.sheds()


def test_zero_never_sheds():
    clock = VirtualClock()
    overload = Overload(clock, 0, lambda: 100.0)
    overload.sheds()
    clock.advance(1)
    assert not overload.sheds()
