"""Coverage: what is counted, how it is kept and added up, and what it says is missing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from calltable.adapters.simulated.clock import VirtualClock
from calltable.engine.language.load import load_tables
from calltable.engine.observe.coverage import Coverage, guarded, recording, represent, watch
from calltable.engine.observe.hits import CoverageError, Hits, merge
from calltable.engine.observe.measure import measure
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import Executor

CATALOGUE = """\
calltable: 1
catalogue: small
interfaces:
  user.phone:
    commands: true
    events:
      user.hangup: {must_take: true}
      user.hold: {fields: {times: int}}
      user.ring: {}
  peer:
    events:
      peer.info: {fields: {code: int, text: string?}}
"""

PHONE = """\
calltable: 1
machine: phone
initial: idle
receives: [user.phone, peer]
variables: {held: {type: bool}}
states: {idle: {}, active: {lasts: for ever}, over: {final: true}}
rows:
  - {id: phone.start, state: idle, event: engine.started, next_state: active}
  - {id: phone.hangup, state: any, event: user.hangup, next_state: over}
  - {id: phone.hold, state: active, event: user.hold, guards: [not held], set: {held: true}}
  - {id: phone.resume, state: active, event: user.hold, guards: [held], set: {held: false}}
  - {id: phone.idle.hold, state: idle, event: user.hold, defer: true}
  - {id: phone.ring, state: any, event: user.ring, refuse: not now}
  - {id: phone.info.gone, state: active, event: peer.info, guards: [event.code == 410], overrides: phone.info, next_state: over}
  - {id: phone.info, state: any, event: peer.info, ignore: late}
  - {id: phone.idle.patience, state: idle, after: 5s, next_state: over}
  - {id: phone.failed, state: any, event: engine.failed, next_state: over}
"""


@pytest.fixture
def library():
    return load_tables(texts={"phone.yaml": PHONE, "small.yaml": CATALOGUE})


@pytest.fixture
def executor(library):
    made = Executor(VirtualClock())
    made.add(compile_machine(library.machines["phone"], {}))
    return made


@pytest.fixture
def coverage(library, executor):
    made = Coverage(library.catalogue)
    executor.observers.append(made)
    return made


def call(executor: Executor, *events: tuple[str, dict]) -> None:
    session = executor.start("phone")
    for event, payload in events:
        executor.dispatch(session, event, payload)


HOLD = ("user.hold", {"times": 1})


def test_rows_and_declared_non_rows_are_counted_by_state_and_event(executor, coverage):
    call(executor, HOLD, ("user.ring", {}), ("user.hangup", {}))
    counted = {key[2:]: count for key, count in coverage.hits().rows.items()}
    assert counted == {
        ("idle", "engine.started", "phone.start"): 1, ("active", "user.hold", "phone.hold"): 1,
        ("active", "user.ring", "phone.ring"): 1, ("active", "user.hangup", "phone.hangup"): 1,
    }


def test_a_deferred_event_is_counted_where_it_waited_and_where_it_was_taken(executor, coverage, library):
    session = executor.create("phone")
    executor.dispatch(session, *HOLD)
    executor.dispatch(session, "engine.started")
    found = measure(library.machines["phone"], coverage.hits())
    assert found.reached["phone.idle.hold"] == 1
    assert found.reached["phone.hold"] == 1


def test_guards_met_the_values_from_before_the_row_changed_them(executor, coverage):
    call(executor, HOLD, HOLD, HOLD)
    cases = {key[2:]: count for key, count in coverage.hits().cases.items()}
    assert cases == {("active", "user.hold", "held = false"): 2, ("active", "user.hold", "held = true"): 1}


def test_numbers_are_told_by_the_gap_between_constants_they_fall_into(library, executor, coverage):
    call(executor, ("peer.info", {"code": 100}), ("peer.info", {"code": 200}), ("peer.info", {"code": 999}))
    assert {key[4] for key in coverage.hits().cases} == {"event.code = 409", "event.code = 411"}
    (subject,) = guarded(library.machines["phone"], library.catalogue, "active", "peer.info")
    assert [represent(subject, value) for value in (1, 409, 410, 411, 5000)] == [409, 409, 410, 411, 411]


def test_a_guard_is_whole_once_it_held_and_once_did_not(executor, coverage, library):
    call(executor, HOLD)
    found = measure(library.machines["phone"], coverage.hits())
    assert [(row.id, way) for row, way in found.one_sided] == [("phone.hold", "never failed"), ("phone.resume", "never held")]
    call(executor, HOLD, HOLD)
    assert measure(library.machines["phone"], coverage.hits()).one_sided == []


def test_a_wider_row_that_was_taken_shows_that_the_narrower_guard_failed(executor, coverage, library):
    call(executor, ("peer.info", {"code": 7}))
    found = measure(library.machines["phone"], coverage.hits())
    assert ("phone.info.gone", "never held") in [(row.id, way) for row, way in found.one_sided]


def test_what_is_missing_is_listed_by_kind(executor, coverage, library):
    call(executor, ("user.hangup", {}))
    found = measure(library.machines["phone"], coverage.hits())
    assert [row.id for row in found.missing("row")] == [
        "phone.hold", "phone.resume", "phone.info.gone", "phone.idle.patience", "phone.failed"]
    assert [row.id for row in found.missing("refuse")] == ["phone.ring"]
    assert found.states == {"idle", "active", "over"}


def test_an_event_that_no_row_took_is_told(executor, coverage, library):
    call(executor, ("peer.unheard_of", {}))
    assert measure(library.machines["phone"], coverage.hits()).surprises == {("active", "peer.unheard_of"): 1}


def test_files_add_up(executor, coverage, library, tmp_path):
    call(executor, HOLD)
    hits = coverage.hits()
    path = tmp_path / "coverage.json"
    hits.write(path)
    hits.write(path)
    twice = Hits.load(path.read_text())
    assert twice.rows == merge([hits, hits]).rows
    assert twice.cases == merge([hits, hits]).cases
    assert list(tmp_path.iterdir()) == [path]


def test_recording_counts_every_engine_and_writes_at_the_end_even_after_an_error(executor, library, tmp_path):
    path = tmp_path / "coverage.json"
    other = Executor(VirtualClock())
    other.add(compile_machine(library.machines["phone"], {}))

    def day():
        for one in (executor, other):
            watch(one, library.catalogue)
            call(one, HOLD)
        executor.start("no such machine")

    with pytest.raises(LookupError), recording(path):
        day()
    assert measure(library.machines["phone"], Hits.load(path.read_text())).reached["phone.hold"] == 2


def test_without_a_file_nothing_watches(executor, library, monkeypatch):
    monkeypatch.delenv("CALLTABLE_COVERAGE", raising=False)
    with recording(None):
        watch(executor, library.catalogue)
    assert executor.observers == []


def test_a_file_that_cannot_be_written_is_told_before_the_day_begins(tmp_path):
    with pytest.raises(OSError, match="no-such-folder"), recording(tmp_path / "no-such-folder" / "x.json"):
        pytest.fail("the block ran")


@pytest.mark.slow
def test_processes_that_end_together_add_up_by_the_environment_variable(tmp_path):
    program = (
        "from calltable.simulation import Simulation\n"
        "s = Simulation(1, trace=False); s.b2bua(); a, b = s.agent('alice'), s.agent('bob')\n"
        "c = a.call(s.uri('b2bua', 'bob')); s.run(1); b.last.answer(); s.run(1); c.hangup(); s.finish()\n"
    )
    path = tmp_path / "coverage.json"
    environment = {**os.environ, "CALLTABLE_COVERAGE": str(path)}
    running = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(2)]
    assert [one.wait(30) for one in running] == [0, 0]
    hits = Hits.load(path.read_text())
    assert {count for key, count in hits.rows.items() if key[4] == "bridge.start"} == {2}


def test_counts_of_another_version_are_kept_apart_and_told(executor, coverage, library):
    call(executor, HOLD)
    edited = load_tables(texts={"phone.yaml": PHONE.replace("refuse: not now", "ignore: late"), "small.yaml": CATALOGUE})
    assert measure(library.machines["phone"], coverage.hits()).foreign == 0
    found = measure(edited.machines["phone"], coverage.hits())
    assert found.foreign == 2
    assert found.reached["phone.hold"] == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"calltable-coverage": 1}', '{"calltable-coverage": 2, "machines": []}'])
def test_what_is_no_coverage_file_is_refused(text):
    with pytest.raises(CoverageError, match="mine"):
        Hits.load(text, "mine")
