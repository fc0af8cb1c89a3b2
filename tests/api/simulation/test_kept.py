"""A busy day with a store on every node: each record can be written down, and calls go on while it answers late."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from calltable.adapters.sip.dialog import encoding
from calltable.adapters.sip.dialog.dialogs import Dialogs
from calltable.adapters.sip.message.message import Request, Response
from calltable.simulation.crowd import Crowd, Mix
from tests.engine.run.stores import Records


def written(value):
    """How a store of SIP sessions writes what is no plain value: messages as their bytes."""
    if isinstance(value, Request | Response):
        return str(value)
    if type(value).__name__ == "Content":
        return {"headers": [list(one) for one in value.headers], "body": repr(value.body)}
    if isinstance(value, Dialogs):
        fields = encoding.written(value)
        assert encoding.read(json.loads(json.dumps(fields))) == value
        return fields
    raise TypeError(f"{type(value).__name__} is a live object and cannot be kept")


class Slow(Records):
    """Answers after ``delay`` seconds, and checks that every record can be written down."""

    def __init__(self, day, delay):
        super().__init__(written)
        self.day, self.delay = day, delay
        self.machines = Counter()

    def _keep(self, record):
        super()._keep(record)
        self.machines[record.machine] += 1

    def _answers(self, key, done):
        if self.delay:
            self.day[0].simulation.clock.call_later(self.delay, done, key, None)
        return not self.delay


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.003])
def test_every_record_of_a_busy_day_can_be_written_down_and_nothing_stays_behind(delay):
    """With everything that a crowd does: re-INVITEs, glare, INFO, withdrawn and late answers, operators who hang up; and loss."""
    day = []
    day.append(Crowd("kept", 60, Mix(loss=0.05, duplicate=0.02, reorder=0.02), None, None, trace=False, stores=lambda name: Slow(day, delay)))
    found = day[0].run()
    assert found == []
    for name, engine in day[0].simulation.engines.items():
        store = engine.executor.store
        assert len(store) == 0, f"{name}: what has ended is forgotten"
        assert sum(store.machines.values()) > 300
    assert store.machines.keys() <= {"leg/uac", "leg/uas", "b2bua/bridge", "phone/caller", "phone/callee"}


@pytest.mark.slow
def test_a_store_that_answers_at_once_changes_nothing_on_the_wire():
    """What is worked out before a commit is what happens without one: every message and every step, at the same time."""
    traces = []
    for stores in (None, lambda name: Records(written)):
        day = Crowd("same", 25, Mix(loss=0.02), None, None, trace=True, stores=stores)
        assert day.run() == []
        traces.append([repr(entry) for entry in day.simulation._entries])
    assert len(traces[0]) > 3000
    assert traces[0] == traces[1]
