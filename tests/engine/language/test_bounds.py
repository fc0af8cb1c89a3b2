"""``min:`` and ``max:`` of a catalogue: of what tables write, of variables, and of settings."""

from __future__ import annotations

import json

import pytest

from calltable import Tables
from calltable.engine.check.check import check
from calltable.engine.language.load import TableError, load_tables
from calltable.engine.language.schema import schema_text
from tests.engine.small import CATALOGUE, PHONE, changed, line_of, with_rows, write

BOUNDED = CATALOGUE.replace("predicates:\n", """\
  media.beep: {doc: beep, parameters: {pitch: {type: int, min: 10, max: 20}, long: {type: duration, min: 10ms, default: 1s}}}
predicates:
""").replace("default: 4s", "default: 4s, min: 1s, max: 1h").replace("fields: {times: int}", "fields: {times: {type: int, min: 1, max: 9}}")  # fmt: skip


def problems(folder, text, catalogue=BOUNDED):
    try:
        return check(load_tables([write(folder, text, catalogue=catalogue)]))
    except TableError as error:
        return error.problems


def beep(parameters):
    return with_rows(f"{{id: phone.beep, state: active, after: 1m, actions: [media.beep: {{{parameters}}}], next_state: over}}")


@pytest.mark.parametrize(("parameters", "complaint"), [
    ("pitch: 9", "'9' is out of range: it may be 10 to 20"),
    ("pitch: 21", "'21' is out of range: it may be 10 to 20"),
    ("pitch: 10, long: 5ms", "'5ms' is out of range: it may be at least 10ms"),
    ("pitch: 10, long: 10ms", ""), ("pitch: 20", ""),
    ("pitch: $tries", "$tries is out of range: it may be 10 to 20, and is never set to such a value"),
])  # fmt: skip
def test_what_a_table_writes_keeps_to_the_bounds(tmp_path, parameters, complaint):
    text = beep(parameters)
    assert [(p.message, p.position.line) for p in problems(tmp_path, text)] == ([(complaint, line_of(text, "phone.beep"))] if complaint else [])


def test_a_variable_that_may_be_within_the_bounds_is_taken(tmp_path):
    text = changed(("event: media.ready, next_state", "event: media.ready, set: {tries: 12}, next_state"), text=beep("pitch: $tries"))
    assert problems(tmp_path, text) == []


def test_a_field_that_can_never_be_within_the_bounds_is_refused(tmp_path):
    row = "{id: phone.beep, state: idle, event: user.hold, overrides: phone.hold, actions: [media.beep: {pitch: $event.times}]}"
    text = PHONE.replace("state: [idle, ending], event: user.hold", "state: ending, event: user.hold")
    told = problems(tmp_path, with_rows(row.replace("overrides: phone.hold, ", ""), text=text))
    assert [p.message for p in told] == ["$event.times is 1 to 9 where 10 to 20 is needed"]


@pytest.mark.parametrize(("type_", "complaint"), [
    ("{type: string, min: 3}", "min: belongs to an int or a duration, not to string"),
    ("{type: int, min: 3, max: 2}", "max: is less than min:"),
    ("{type: duration, min: soon}", "min: 'soon' where a duration is needed"),
    ("{type: int, min: 3, default: 2}", "default of pitch: '2' is out of range: it may be at least 3"),
])  # fmt: skip
def test_a_catalogue_says_bounds_that_make_sense(tmp_path, type_, complaint):
    told = problems(tmp_path, PHONE, BOUNDED.replace("pitch: {type: int, min: 10, max: 20}", f"pitch: {type_}"))
    assert complaint in [p.message for p in told]


def test_the_schema_for_editors_knows_the_bounds(tmp_path):
    catalogue = load_tables([write(tmp_path, PHONE, catalogue=BOUNDED)]).catalogue
    assert '"minimum":10,"maximum":20' in json.dumps(json.loads(schema_text(catalogue)), separators=(",", ":"))


@pytest.mark.parametrize(("overlay", "complaint"), [
    ("code: 4860", "'4860' is out of range: it may be 300 to 699"), ("code: 200", "'200' is out of range: it may be 300 to 699"), ("code: 486", ""),
])  # fmt: skip
def test_a_call_is_rejected_with_the_code_of_a_failure(tmp_path, overlay, complaint):
    (tmp_path / "o.yaml").write_text(
        "calltable: 1\noverlay: b2bua/bridge\nreplace:\n  - {id: bridge.unanswered.failed, state: unanswered, event: b.failed, "
        f"actions: [child.tell: {{to: a, event: user.reject, with: {{{overlay}}}}}], next_state: closing}}\n"
    )
    try:
        told = check(load_tables(overlays=[tmp_path / "o.yaml"]))
    except TableError as error:
        told = error.problems
    assert [p.message for p in told] == ([complaint] if complaint else [])


@pytest.mark.parametrize(("name", "value", "complaint"), [
    ("t1", "3s", "t1: '3s' where a number of seconds, 0 or more, is needed"),
    ("t1", -3, "t1: -3 where a number of seconds, 0 or more, is needed"),
    ("t1", True, "t1: True where a number of seconds, 0 or more, is needed"),
    ("t1", float("nan"), "t1: nan where a number of seconds, 0 or more, is needed"),
    ("t1", None, "t1: null where a duration is needed"),
    ("t1", 0, "t1: 0s is out of range: it may be 10ms to 10s"),
    ("no_answer", 0.05, "no_answer: 50ms is out of range: it may be 100ms to 24h"),
    ("closing", 90000.0, "closing: 25h is out of range: it may be 100ms to 24h"),
    ("t9", 1.0, "no table knows the setting t9; there are closing, "),
])  # fmt: skip
def test_a_setting_keeps_to_its_type_and_bounds(name, value, complaint):
    assert (load_tables().catalogue.check_setting(name, value) or "").startswith(complaint)
    with pytest.raises(ValueError, match=r".") as error:
        Tables(config={name: value})
    assert str(error.value).startswith(complaint)


@pytest.mark.parametrize("value", [1, 0.01, 10])
def test_a_setting_within_its_bounds_is_taken(value):
    assert load_tables().catalogue.check_setting("t1", value) is None
