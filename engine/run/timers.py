"""The timers of sessions: their ``after`` rows and their named timers.

All timers are on one heap, and the scheduler is asked to wake up for the earliest only. If that one was cancelled in the meantime, the wake-up
costs one look at the heap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.engine.run.program import RandomDelay
from calltable.engine.run.timer_heap import Repeat, Timer, TimerHeap

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping

    from calltable.engine.run.ports import Scheduler
    from calltable.engine.run.program import Arm
    from calltable.engine.run.records import TimerRecord
    from calltable.engine.run.session import Session

NEVER = float("inf")


class Timers:
    """The timers of one executor; ``fire`` delivers the event of a timer that has expired.

    ``now`` is the time of the step under way, from which its timers count; the executor sets it. ``late`` is set when something is to be done after the
    step: a timer expires before the wake-up that was asked for, or the executor has something to report.
    """

    __slots__ = ("_fire", "_random", "_scheduler", "_wake", "_wake_at", "heap", "late", "now")

    def __init__(self, scheduler: Scheduler, fire: Callable[[Session, str], object], rng: random.Random) -> None:
        self._scheduler = scheduler
        self._fire = fire
        self._random = rng
        self.now = scheduler.time()
        self.heap: TimerHeap[Session] = TimerHeap()
        self.late = False
        self._wake: Any = None
        self._wake_at = NEVER

    def seconds(self, delay: float | RandomDelay) -> float:
        """A duration in seconds; a random one is drawn from the executor's random source."""
        if type(delay) is RandomDelay:
            # in steps of 10 ms, which is what protocols ask of such waits
            return round(self._random.uniform(delay.low, delay.high), 2)
        return delay  # type: ignore[return-value]

    # -- arming
    def arm(self, session: Session, arms: Iterable[Arm]) -> None:
        """Arm the ``after`` rows of the state that the session has entered, if their guards hold."""
        for event, delay in arms:
            seconds = delay(session)
            if seconds is not None:
                when = self.now + (self.seconds(seconds) if type(seconds) is RandomDelay else seconds)  # type: ignore[operator]
                if when < self._wake_at:
                    self.late = True
                timer = self.heap.arm(when, session, event)
                if session.armed is None:
                    session.armed = [timer]
                else:
                    session.armed.append(timer)

    def arm_all(self, session: Session, armed: Iterable[tuple[str, float]]) -> None:
        """Arm ``after`` rows whose guards and delays have been evaluated already."""
        session.armed = [self._set(seconds, session, event, "") for event, seconds in armed]

    def start(self, session: Session, p: Mapping[str, Any]) -> None:
        """The action ``timer.start``."""
        name = p["name"]
        timers = session.timers
        if timers is None:
            timers = session.timers = {}
        elif name in timers:
            self.heap.cancel(timers[name])
        seconds = self.seconds(p["after"])
        timer = timers[name] = self._set(seconds, session, "timer." + name, name)
        repeat = p.get("repeat")
        if repeat is not None:
            timer.repeat = Repeat(seconds, repeat.get("factor", 1), repeat.get("max") or NEVER)

    def resume(self, session: Session, record: TimerRecord, elapsed: float) -> None:
        """Restart a timer of a recovered session, ``elapsed`` seconds after it was recorded."""
        timer = self._set(max(record.remaining - elapsed, 0.0), session, record.event, record.name)
        if record.interval is not None:
            timer.repeat = Repeat(record.interval, record.factor, NEVER if record.limit is None else record.limit)
        if not record.name:
            session.armed = [*(session.armed or ()), timer]
        elif session.timers is None:
            session.timers = {record.name: timer}
        else:
            session.timers[record.name] = timer

    def stop(self, session: Session, p: Mapping[str, Any]) -> None:
        """The action ``timer.stop``."""
        timer = (session.timers or {}).pop(p["name"], None)
        if timer is not None:
            self.heap.cancel(timer)

    def leave(self, session: Session) -> None:
        """The session leaves its state: cancel its ``after`` rows."""
        for timer in session.armed or ():
            self.heap.cancel(timer)
        session.armed = None

    def end(self, session: Session) -> None:
        """The session has ended: cancel all its timers."""
        self.leave(session)
        for timer in (session.timers or {}).values():
            self.heap.cancel(timer)
        session.timers = None

    def _set(self, delay: float | RandomDelay, session: Session, event: str, name: str) -> Timer[Session]:
        when = self.now + (self.seconds(delay) if type(delay) is RandomDelay else delay)  # type: ignore[operator]
        if when < self._wake_at:
            self.late = True
        return self.heap.arm(when, session, event, name)

    # -- waking
    def expire(self) -> None:
        """Fire every timer that has expired. Called by the scheduler; harmless at any time."""
        heap = self.heap
        self._wake = None
        self._wake_at = -NEVER  # timers armed meanwhile need no wake-up before this one ends
        now = self._scheduler.time()
        newest = heap.newest  # a timer of zero seconds waits for the next round, so that others get their turn
        try:
            while (timer := heap.due(now, newest)) is not None:
                self.fire(timer)
        finally:
            self._wake_at = NEVER
            self.set()

    def fire(self, timer: Timer[Session]) -> None:
        """Deliver the event of an expired timer; if the session's store is at work, it waits in the inbox."""
        session = timer.session
        if session is None:
            return
        if session.busy:  # the step being committed may still stop it
            timer.held = True
            if session.inbox is None:
                session.inbox = []
            session.inbox.append(timer)
            return
        timer.held = False
        if timer.repeat is not None:
            self.heap.again(timer, max(timer.when + timer.repeat.next(), self._scheduler.time()))
        else:
            timer.session = None
            if timer.name and session.timers is not None:
                session.timers.pop(timer.name, None)
        self._fire(session, timer.event)

    def set(self) -> None:
        """Ask the scheduler to wake up for the earliest timer, unless it will do so anyway."""
        self.late = False
        when = self.heap.next()
        if when is None or when >= self._wake_at:
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake_at = when
        self._wake = self._scheduler.call_at(when, self.expire)
