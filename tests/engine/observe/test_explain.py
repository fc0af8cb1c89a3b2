"""Why a row fired and another did not."""

from __future__ import annotations

import pytest

from calltable.engine.language.load import load_tables
from calltable.engine.model.text import format_expression
from calltable.engine.observe.explain import explain, why_not

CATALOGUE = """\
calltable: 1
catalogue: small
interfaces:
  peer:
    events:
      peer.info: {fields: {code: int, text: string?}}
      peer.other: {}
"""

PHONE = """\
calltable: 1
machine: phone
initial: idle
receives: [peer]
variables: {held: {type: bool}, tries: int, mood: {type: enum, values: [good, bad]}}
states: {idle: {}, active: {lasts: for ever}, over: {final: true}}
rows:
  - {id: start, state: idle, event: engine.started, next_state: active}
  - {id: narrow, state: active, event: peer.info, guards: [held, "event.code in [1, 2]", mood == 'bad' or tries > 3], overrides: [wide, rest], next_state: over}
  - {id: wide, state: any, event: peer.info, guards: ["event.code < 100", event.text is not null], ignore: late}
  - {id: rest, state: any, event: peer.info, guards: [otherwise], ignore: late}
  - {id: other, state: any, event: peer.other, ignore: late}
  - {id: failed, state: any, event: engine.failed, next_state: over}
"""


@pytest.fixture(scope="module")
def machine():
    return load_tables(texts={"phone.yaml": PHONE, "small.yaml": CATALOGUE}).machines["phone"]


def told(machine, values, **payload):
    return {one.row.id: (one.verdict, one.failed) for one in explain(machine, "active", "peer.info", values, payload)}


def test_the_row_whose_guard_holds_is_taken_and_the_wider_ones_are_not_asked(machine):
    assert told(machine, {"held": True, "tries": 9, "mood": "good"}, code=1, text="x") == {
        "narrow": ("taken", ()), "wide": ("not asked", ()), "rest": ("not asked", ()),
    }


def test_only_the_parts_of_a_guard_that_failed_are_named(machine):
    found = told(machine, {"held": True, "tries": 3, "mood": "good"}, code=7, text=None)
    assert found["narrow"] == ("failed", ("event.code in [1, 2]", "mood == 'bad' or tries > 3"))
    assert found["wide"] == ("failed", ("event.text is not null",))
    assert found["rest"] == ("taken", ())


def test_a_line_says_what_the_guard_met(machine):
    first = explain(machine, "active", "peer.info", {"held": False, "tries": 0, "mood": "bad"}, {"code": 1, "text": "x"})[0]
    assert str(first) == "its guard «held» does not hold (held = false, event.code = 1, mood = bad, tries = 0)"


def test_a_row_of_another_state_or_event_says_so(machine):
    row = machine.rows["narrow"]
    assert why_not(machine, row, "active", "peer.info") == ""
    assert why_not(machine, row, "idle", "peer.other") == (
        "it is a row for active, and the session was in idle; it waits for peer.info, and what came was peer.other"
    )


def test_guards_are_shown_as_tables_write_them(machine):
    assert format_expression(machine.rows["narrow"].guard) == "held and event.code in [1, 2] and (mood == 'bad' or tries > 3)"
