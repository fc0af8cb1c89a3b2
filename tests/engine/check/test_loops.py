"""Rows that take no time do not lead back to where they begin."""

from __future__ import annotations

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from tests.engine.small import PHONE, changed, found, line_of, with_rows


def loops(folder, *rows, text=PHONE):
    return [(p.row, p.message) for p in found(folder, with_rows(*rows, text=text)) if p.code == "zero-loop"]


@pytest.mark.parametrize("time", ["0s", "0", "{between: [0s, 0s]}", "$pause"])
def test_a_time_of_nothing_that_leads_to_its_own_state_is_a_loop(tmp_path, time):
    text = with_rows(f"{{id: phone.again, state: active, after: {time}, next_state: active}}")
    text = text.replace("  tries: {type: int}\n", "  tries: {type: int}\n  pause: {type: duration}\n")
    [problem] = [p for p in found(tmp_path, text) if p.code == "zero-loop"]
    assert problem.message == "a session loops without any time passing: active → active (after: 0s in phone.again)"
    assert (problem.gate, problem.position.line) == (3, line_of(text, "phone.again"))


def test_a_circle_of_states_is_named(tmp_path):
    rows = ("{id: phone.to, state: active, after: 0s, next_state: opening}", "{id: phone.fro, state: opening, after: 0s, next_state: active}")
    assert loops(tmp_path, *rows) == [
        ("phone.to", "a session loops without any time passing: active → opening → active (after: 0s in phone.to, phone.fro)")
    ]
    assert loops(tmp_path, rows[0], rows[1].replace("0s", "1s")) == []


def test_a_circle_that_its_guards_end_is_none(tmp_path):
    row = "{id: phone.again, state: active, after: 0s, guards: [tries < 2], set: {tries: 2}, next_state: active}"
    assert loops(tmp_path, row) == []
    assert len(loops(tmp_path, row.replace("{tries: 2}", "{tries: 1}"))) == 1
    assert len(loops(tmp_path, row.replace("set: {tries: 2}", "set: {held: true}"))) == 1


def test_staying_in_the_state_does_not_arm_the_time_anew(tmp_path):
    assert loops(tmp_path, "{id: phone.once, state: active, after: 0s, set: {tries: 1}}") == []


@pytest.mark.parametrize(("timer", "why"), [
    ("after: 0s, repeat: {factor: 1}", "stays 0 s"), ("after: 0s, repeat: {factor: 2}", "stays 0 s"),
    ("after: 1s, repeat: {max: 0s}", "max: is 0 s"),
])  # fmt: skip
def test_a_timer_does_not_repeat_without_a_pause(tmp_path, timer, why):
    text = changed(("timer.start: {name: patience, after: $config.patience}", f"timer.start: {{name: patience, {timer}}}"))
    [(row, message)] = loops(tmp_path, text=text)
    assert row == "phone.active.hangup"
    assert why in message


def test_a_timer_is_not_started_anew_at_once_by_its_own_row(tmp_path):
    row = "{id: phone.ending.done, state: ending, event: timer.patience, actions: [timer.start: {name: patience, after: 0s}]}"
    text = changed(("{id: phone.ending.done, state: ending, event: timer.patience, next_state: over}", row))
    [(_, message)] = loops(tmp_path, text=text)
    assert "ending → ending (timer patience, restarted with no delay, in phone.ending.done)" in message
    assert loops(tmp_path, text=text.replace("after: 0s", "after: 1s")) == []


def test_the_shipped_tables_have_no_such_loop():
    assert [p for p in check(load_tables()) if p.code == "zero-loop"] == []
