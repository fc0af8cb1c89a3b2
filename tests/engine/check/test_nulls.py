"""A variable that may be null does not stand where a value is needed, unless every way there has set it."""

from __future__ import annotations

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from tests.engine.small import CATALOGUE, PHONE, changed, line_of, with_rows, write

GIVING = CATALOGUE.replace("predicates:\n", """\
  media.give:
    doc: needs a number
    parameters: {number: int, beside: {type: int?, default: null}, wait: {type: duration?, default: null}}
predicates:
""")

CHILD = """\
calltable: 1
machine: box
initial: shut
parameters: {number: int, note: 'string?'}
receives: [user.phone]
states: {shut: {}, open: {lasts: until it is shut}, gone: {final: true}}
rows:
  - {id: box.start, state: shut, event: engine.started, next_state: open}
  - {id: box.hold, state: any, event: user.hold, doc: "yes"}
  - {id: box.hangup, state: any, event: user.hangup, next_state: gone}
  - {id: box.failed, state: any, event: engine.failed, next_state: gone}
"""


def phone(*rows, variables="  number: {type: int?}\n  wait: {type: duration?}\n", text=PHONE):
    return with_rows(*rows, text=changed(("  tries: {type: int}\n", "  tries: {type: int}\n" + variables), text=text))


def nulls(folder, text, *others):
    problems = check(load_tables([write(folder, text, *others, catalogue=GIVING)]))
    return [(p.code, p.row, p.message) for p in problems if p.code == "null"]


GIVE = "{id: phone.give, state: active, after: 1m, actions: [media.give: {number: $number}], next_state: over}"


def test_a_variable_that_no_row_sets_is_no_value_for_an_action(tmp_path):
    text = phone(GIVE)
    [problem] = [p for p in check(load_tables([write(tmp_path, text, catalogue=GIVING)])) if p.code == "null"]
    assert problem.message == "$number may be null where an int is needed: no row ever sets it"
    assert (problem.state, problem.gate, problem.position.line) == ("active", 1, line_of(text, "phone.give"))
    assert "number is not null" in problem.hint


def test_the_way_on_which_it_is_null_is_told(tmp_path):
    setting = "{id: phone.set, state: active, event: peer.info, overrides: phone.info, set: {number: $event.code}}"
    [(_, _, message)] = nulls(tmp_path, phone(GIVE, setting))
    assert message.endswith("it is null on the path phone.start → phone.opening.ready")


def test_a_variable_set_on_every_way_is_a_value(tmp_path):
    text = changed(("event: media.ready, next_state: active", "event: media.ready, set: {number: 3}, next_state: active"), text=phone(GIVE))
    assert nulls(tmp_path, text) == []


def test_a_variable_set_to_null_again_is_none(tmp_path):
    text = changed(("event: media.ready, next_state: active", "event: media.ready, set: {number: 3}, next_state: active"), text=phone(GIVE))
    text = changed(("guards: [held], set: {held: false}", "guards: [held], set: {held: false, number: null}"), text=text)
    assert nulls(tmp_path, text) == [
        ("null", "phone.give", ("$number may be null where an int is needed: it is null on the path "
         "phone.start → phone.opening.ready → phone.active.resume"))
    ]  # fmt: skip


def test_a_default_is_a_value(tmp_path):
    assert nulls(tmp_path, phone(GIVE, variables="  number: {type: int?, default: 3}\n")) == []


def test_null_may_stand_where_null_is_allowed(tmp_path):
    row = "{id: phone.give, state: active, after: 1m, actions: [media.give: {number: 1, beside: $number, wait: $wait}], next_state: over}"
    assert nulls(tmp_path, phone(row)) == []


@pytest.mark.parametrize("guard", ["number is not null", "number == 3", "number > 3", "number in [1, 2] and not held"])
def test_a_guard_of_the_row_excludes_null(tmp_path, guard):
    row = (f"{{id: phone.give, state: active, event: peer.info, overrides: phone.info, guards: ['{guard}'], "
           "actions: [media.give: {number: $number}]}")  # fmt: skip
    assert nulls(tmp_path, phone(row)) == []


def test_a_guard_that_was_asked_before_and_did_not_hold_excludes_null(tmp_path):
    rows = (
        "{id: phone.none, state: active, event: peer.info, overrides: phone.info, guards: [number is null], doc: none}",
        "{id: phone.give, state: active, event: peer.info, overrides: phone.info, guards: [otherwise], actions: [media.give: {number: $number}]}",
    )
    assert nulls(tmp_path, phone(*rows)) == []


def test_the_guard_of_a_time_holds_when_the_time_begins_and_not_when_a_row_changed_the_variable_since(tmp_path):
    row = GIVE.replace("after: 1m,", "after: 1m, guards: [number is not null],")
    setting = "{id: phone.set, state: opening, event: peer.info, overrides: phone.info, set: {number: $event.code}}"
    assert nulls(tmp_path, phone(row, setting)) == []
    changing = setting.replace("phone.set, state: opening", "phone.forget, state: active").replace("$event.code", "null")
    assert [row for _, row, _ in nulls(tmp_path, phone(row, setting, changing))] == ["phone.give"]


@pytest.mark.parametrize("time", ["$wait", "{between: [1s, $wait]}"])
def test_a_time_that_may_be_null_is_no_time(tmp_path, time):
    row = f"{{id: phone.give, state: active, after: {time}, next_state: over}}"
    setting = "{id: phone.set, state: opening, event: peer.info, overrides: phone.info, set: {wait: 3s}}"
    assert [row for _, row, _ in nulls(tmp_path, phone(row, setting))] == ["phone.give"]
    assert nulls(tmp_path, phone(setting, row.replace("next_state", "guards: [wait is not null], next_state"))) == []


def test_a_named_timer_needs_a_time(tmp_path):
    text = phone("{id: phone.again, state: any, event: timer.again, doc: again}")
    text = changed(("event: media.ready, next_state", "event: media.ready, actions: [timer.start: {name: again, after: $wait}], next_state"), text=text)
    assert [row for _, row, _ in nulls(tmp_path, text)] == ["phone.opening.ready"]


def test_a_publication_needs_what_it_says(tmp_path):
    text = phone(GIVE.replace("actions: [media.give: {number: $number}]", "publish: [said: {number: $number}]"))
    text = text.replace("states:\n", "publishes: {said: {number: int}}\nstates:\n", 1)
    assert [row for _, row, _ in nulls(tmp_path, text)] == ["phone.give"]
    assert nulls(tmp_path, text.replace("{number: int}", "{number: 'int?'}")) == []


@pytest.mark.parametrize(("action", "fine"), [
    ("child.start: {name: one, with: {number: $number}}", False),
    ("child.start: {name: one, with: {number: 3, note: $note}}", True),
    ("child.tell: {to: one, event: user.hold, with: {times: $number}}", False),
    ("child.tell: {to: one, event: user.hold, with: {times: 3}}", True),
    ("child.tell: {to: 'many*', event: user.hold, with: {times: $number}}", False),
    ("child.tell: {to: $note, event: user.hangup}", False),
])  # fmt: skip
def test_what_a_child_is_started_with_or_told_needs_its_values(tmp_path, action, fine):
    row = f"{{id: phone.give, state: active, after: 1m, actions: [{action}], next_state: over}}"
    text = phone(row, variables="  number: {type: int?}\n  note: {type: string?}\n")
    text = text.replace("states:\n", "children: {one: {machine: box}, 'many*': {machine: box}}\nstates:\n", 1)
    assert bool(nulls(tmp_path, text, CHILD)) is not fine


def test_the_shipped_tables_and_the_example_need_no_guards():
    assert [p for paths in (None, ["docs/examples/wakeup.yaml"]) for p in check(load_tables(paths))] == []
