"""What a state can rely on to come: children that may last, and actions that the other side may leave open."""

from __future__ import annotations

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import TableError, load_tables
from tests.engine.small import CATALOGUE, PHONE, changed, found, with_rows, write

LOUD = changed(
    ("event: media.ready, next_state: active", "event: media.ready, publish: [up], next_state: active"),
    ("id: phone.active.bye, state: active, event: peer.bye, next_state: over", "id: phone.active.bye, state: active, event: peer.bye, publish: [bye], next_state: over"),
    ("states:\n", "publishes: {up: {}, bye: {}}\nstates:\n"),
)  # fmt: skip

OWNER = """\
calltable: 1
machine: owner
doc: Waits for its child.
initial: idle
receives: [user.phone]
children: {a: {machine: phone}}
states:
  idle: {}
  waiting: {}
  talking: {lasts: until somebody hangs up}
  over: {final: true}
rows:
  - {id: owner.start, state: idle, event: engine.started, actions: [child.start: {name: a}], next_state: waiting}
  - {id: owner.up, state: waiting, event: a.up, next_state: talking}
  - {id: owner.up_again, state: talking, event: a.up, ignore: late}
  - {id: owner.bye, state: any, event: a.bye, doc: its end follows}
  - {id: owner.ended, state: any, event: a.ended, next_state: over}
  - {id: owner.hangup, state: any, event: user.hangup, next_state: over}
  - {id: owner.hold, state: any, event: user.hold, refuse: never}
  - {id: owner.failed, state: any, event: engine.failed, next_state: over}
"""


def waits(folder, *tables):
    return [p.state for p in found(folder, *tables) if p.code == "waits-for-ever"]


def test_a_child_that_says_when_it_is_up_can_be_relied_on_until_then(tmp_path):
    assert found(tmp_path, LOUD, OWNER) == []


def test_a_child_that_gets_up_in_silence_cannot(tmp_path):
    assert waits(tmp_path, changed((", publish: [up], next_state", ", next_state"), text=LOUD), OWNER.replace(
        "  - {id: owner.up, state: waiting, event: a.up, next_state: talking}\n  - {id: owner.up_again, state: talking, event: a.up, ignore: late}\n",
        "  - {id: owner.on, state: waiting, event: a.bye, overrides: owner.bye, next_state: talking}\n")) == ["waiting"]  # fmt: skip


def test_one_that_is_up_cannot_be_relied_on_to_end(tmp_path):
    back = with_rows("{id: owner.back, state: talking, after: 1h, next_state: waiting}", text=OWNER)
    assert waits(tmp_path, LOUD, back) == ["waiting"]
    ignored = changed(("id: owner.up, state: waiting, event: a.up, next_state: talking", "id: owner.up, state: waiting, event: a.up, ignore: late"), text=OWNER)
    assert waits(tmp_path, LOUD, ignored.replace("a.bye, doc: its end follows", "a.bye, next_state: talking")) == ["waiting"]


def test_one_that_was_told_to_hang_up_can(tmp_path):
    back = "{id: owner.back, state: talking, after: 1h, actions: [child.tell: {to: a, event: user.hangup}], next_state: waiting}"
    assert waits(tmp_path, LOUD, with_rows(back, text=OWNER)) == []


def test_one_that_says_that_it_ends_can(tmp_path):
    text = changed(("id: owner.bye, state: any, event: a.bye, doc: its end follows", "id: owner.bye, state: any, event: a.bye, next_state: waiting"), text=OWNER)
    assert waits(tmp_path, LOUD, text) == []


def test_one_that_was_let_go_is_heard_no_more(tmp_path):
    back = "{id: owner.back, state: talking, after: 1h, actions: [child.end: {name: a}], next_state: waiting}"
    assert waits(tmp_path, LOUD, with_rows(back, text=OWNER)) == ["waiting"]


def test_one_that_does_not_obey_a_hang_up_cannot_be_relied_on(tmp_path):
    stubborn = LOUD.replace("    actions: [media.close, timer.start: {name: patience, after: $config.patience}]\n    next_state: ending",
                            "    actions: [timer.start: {name: patience, after: $config.patience}]\n    set: {tries: 1}")  # fmt: skip
    back = "{id: owner.back, state: talking, after: 1h, actions: [child.tell: {to: a, event: user.hangup}], next_state: waiting}"
    assert waits(tmp_path, stubborn, with_rows(back, text=OWNER)) == ["waiting"]


def test_one_that_gets_up_on_a_command_only_is_not_up_before(tmp_path):
    """It says ``up`` in no state where it was not told to: a row for that elsewhere does not count."""
    asked = changed(("event: media.ready, publish: [up], next_state: active", "event: media.ready, next_state: asking"), text=LOUD)
    asked = asked.replace("  active: {lasts", "  asking: {}\n  active: {lasts").replace("early: [idle, opening]", "early: [idle, opening, asking]")
    asked = with_rows("{id: phone.asking.hold, state: asking, event: user.hold, publish: [up], next_state: active}",
                      "{id: phone.asking.over, state: asking, after: 1m, next_state: over}", text=asked)  # fmt: skip
    owner = OWNER.replace("  waiting: {}\n", "  before: {}\n  waiting: {}\n").replace("child.start: {name: a}], next_state: waiting", "child.start: {name: a}], next_state: before")
    owner = with_rows("{id: owner.soon, state: before, after: 1s, actions: [child.tell: {to: a, event: user.hold, with: {times: 1}}], next_state: waiting}",
                      "{id: owner.early, state: before, event: a.up, ignore: late}", "{id: owner.no, state: any, event: a.refused, ignore: late}", text=owner)  # fmt: skip
    assert waits(tmp_path, asked, owner) == []


# --------------------------------------------------------------------------- actions

RINGING = CATALOGUE.replace("  media.open: {doc: open media,", "  media.stop: {doc: no longer, hurries: [media.open]}\n  media.open: {doc: open media, open_ended: true,")


def open_ended(folder, text):
    return [p.state for p in check(load_tables([write(folder, text, catalogue=RINGING)])) if p.code == "waits-for-ever"]


def test_an_outcome_that_the_other_side_may_keep_back_is_no_way_out(tmp_path):
    assert open_ended(tmp_path, PHONE) == ["opening"]
    assert open_ended(tmp_path, with_rows("{id: phone.opening.long, state: opening, after: 1m, next_state: over}")) == []


def test_an_action_that_hurries_it_makes_it_one(tmp_path):
    assert open_ended(tmp_path, with_rows("{id: phone.opening.long, state: opening, after: 1m, actions: [media.stop]}")) == []
    assert open_ended(tmp_path, with_rows("{id: phone.opening.long, state: opening, after: 1m, actions: [media.close]}")) == ["opening"]


def test_only_open_ended_actions_can_be_hurried(tmp_path):
    with pytest.raises(TableError, match="unknown open-ended action"):
        load_tables([write(tmp_path, PHONE, catalogue=RINGING.replace("hurries: [media.open]", "hurries: [media.play]"))])


# --------------------------------------------------------------------------- the shipped tables


@pytest.mark.parametrize(("overlay", "stuck"), [
    ("overlay: leg/uac\nremove: [uac.early.no_answer]", ["early"]),
    ("overlay: leg/uac\nremove: [uac.calling.no_answer]", ["calling"]),
    ("overlay: leg/uac\nremove: [leg.reinviting.no_answer]", ["reinviting"]),
    ("overlay: b2bua/bridge\nadd: [{id: mine.back, state: connected, after: 1h, next_state: ringing}]", ["ringing", "answered"]),
    ("overlay: b2bua/bridge\nadd: [{id: mine.end, state: connected, after: 1h, next_state: closing}]", []),
])  # fmt: skip
def test_a_call_cannot_wait_for_ever(tmp_path, overlay, stuck):
    (tmp_path / "o.yaml").write_text("calltable: 1\n" + overlay + "\n")
    assert [p.state for p in check(load_tables(overlays=[tmp_path / "o.yaml"])) if p.code == "waits-for-ever"] == stuck
