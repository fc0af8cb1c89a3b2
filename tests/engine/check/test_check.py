"""Each rule of gates 2 and 3: a correct table passes; broken in one place, it says exactly that, there."""

from __future__ import annotations

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import TableError, load_tables
from tests.engine.small import PHONE, changed, found, line_of, with_rows, without


def told(problems):
    return [(p.code, p.position.line, p.state, p.event) for p in problems]


def test_a_correct_table_has_no_problems(tmp_path):
    assert found(tmp_path, PHONE) == []


def test_an_event_without_a_row_is_a_hole_in_every_state_it_can_come_in(tmp_path):
    text = without("phone.info")
    problems = found(tmp_path, text)
    assert told(problems) == [("hole", line_of(text, "  idle: {"), "idle, opening, active, ending", "peer.info")]
    assert {p.gate for p in problems} == {2}


def test_the_row_that_a_hole_suggests_mends_it(tmp_path):
    text = without("phone.ending.bye")
    [hole] = found(tmp_path, text)
    assert (hole.code, hole.state, hole.event) == ("hole", "ending", "peer.bye")
    suggestion = hole.hint.partition("\n")[2]
    assert "next_state: over" in suggestion
    mended = text + "".join(f"{line[4:]}\n" for line in suggestion.splitlines())
    assert found(tmp_path, mended) == []


def test_a_pending_event_is_missed_only_where_it_can_come(tmp_path):
    text = without("phone.opening.failed")
    assert told(found(tmp_path, text)) == [("hole", line_of(text, "  opening: {"), "opening", "media.failed")]


def test_a_hole_between_guards_names_the_valuation_and_suggests_its_guard(tmp_path):
    text = without("phone.active.resume")
    [hole] = found(tmp_path, text)
    assert told([hole]) == [("hole", line_of(text, "phone.active.hold"), "active", "user.hold")]
    assert "where held = true" in hole.message
    assert "guards: ['held']" in hole.hint


def test_a_valuation_leaves_out_what_makes_no_difference(tmp_path):
    text = changed(("guards: [held]", "guards: [held and event.times > 3 or held and tries > 5]"))
    [hole] = found(tmp_path, text)
    assert hole.message.endswith("where held = true, event.times = 2, nor in 1 other case")


def test_overlapping_guards_name_both_rows_and_a_valuation(tmp_path):
    text = changed(("guards: [held]", "guards: [held or event.times >= 3]"))
    [overlap] = found(tmp_path, text)
    assert told([overlap]) == [("overlap", line_of(text, "phone.active.resume"), "active", "user.hold")]
    assert "phone.active.hold and phone.active.resume" in overlap.message
    assert "held = false, event.times = 3" in overlap.message


def test_a_number_that_rows_only_set_to_constants_has_no_other_values(tmp_path):
    counted = changed(
        ("guards: [held], set: {held: false}", "guards: [held and tries == 0], set: {tries: 1}"),
        text=with_rows("{id: phone.active.again, state: active, event: user.hold, guards: [held and tries == 1], set: {held: false}}"),
    )
    assert found(tmp_path, counted) == []
    free = changed(("set: {tries: 1}", "set: {tries: $event.times}"), text=counted)
    [hole] = found(tmp_path, free)
    assert hole.message.endswith("where held = true, tries = -1, nor in 1 other case")


def test_two_rows_without_guards_overlap(tmp_path):
    text = with_rows("{id: phone.again, state: active, event: peer.bye, next_state: over}")
    assert told(found(tmp_path, text)) == [("overlap", line_of(text, "phone.again"), "active", "peer.bye")]


def test_otherwise_and_priority_settle_an_overlap(tmp_path):
    assert found(tmp_path, changed(("guards: [held], set", "guards: [otherwise], set"))) == []
    assert found(tmp_path, changed(("guards: [held], set", "priority: -1, set"))) == []


def test_more_conditions_than_can_be_tried_ask_to_simplify(tmp_path):
    names = [f"v{i}" for i in range(13)]
    text = changed(
        ("  tries: {type: int}\n", "".join(f"  {name}: {{type: bool}}\n" for name in names)),
        ("guards: [not held]", f"guards: [not held, {' or '.join(names)}]"),
        ("event: media.ready, next_state", f"event: media.ready, set: {{{', '.join(f'{name}: true' for name in names)}}}, next_state"),
    )
    problems = found(tmp_path, text)
    assert told(problems) == [("too-many-conditions", line_of(text, "phone.active.hold"), "active", "user.hold")]
    assert "14 conditions" in problems[0].message


def test_a_state_that_nothing_leads_to_is_unreachable_and_says_nothing_more(tmp_path):
    text = changed(("  over: {final", "  lost: {}\n  over: {final"))
    assert told(found(tmp_path, text)) == [("unreachable-state", line_of(text, "  lost:"), "lost", "")]


def test_a_row_whose_cells_narrower_rows_take_is_dead(tmp_path):
    text = with_rows(
        "{id: phone.idle.hangup, state: idle, event: user.hangup, next_state: over, overrides: phone.early.hangup}",
        "{id: phone.opening.hangup, state: opening, event: user.hangup, next_state: over, overrides: phone.early.hangup}",
    )
    [dead] = found(tmp_path, text)
    assert told([dead]) == [("dead-row", line_of(text, "{id: phone.early.hangup"), "early", "user.hangup")]
    assert "rows phone.idle.hangup, phone.opening.hangup take every case first" in dead.message


def test_a_row_whose_guards_cannot_hold_is_dead(tmp_path):
    row = "{id: phone.never, state: active, event: peer.info, guards: [tries > 3, tries < 2], ignore: late, overrides: phone.info}"
    text = with_rows(row)
    [dead] = found(tmp_path, text)
    assert told([dead]) == [("dead-row", line_of(text, "phone.never"), "active", "peer.info")]
    assert "can never be true" in dead.message


def test_a_row_for_an_event_that_cannot_come_there_is_dead(tmp_path):
    text = with_rows("{id: phone.early.patience, state: early, event: timer.patience, ignore: late}")
    [dead] = found(tmp_path, text)
    assert told([dead]) == [("dead-row", line_of(text, "phone.early.patience"), "early", "timer.patience")]
    assert "timer patience is active only in ending" in dead.message


def test_a_state_from_which_no_row_leads_to_the_end_has_no_way_out(tmp_path):
    text = changed(
        ("event: timer.patience, next_state: over", "event: timer.patience, next_state: ending"),
        ("{id: phone.ending.bye, state: ending, event: peer.bye, next_state: over}",
         "{id: phone.ending.bye, state: ending, event: peer.bye, set: {tries: 1}}"),
        ("{id: phone.ending.hangup, state: ending, event: user.hangup, next_state: over}",
         "{id: phone.ending.hangup, state: ending, event: user.hangup, set: {tries: 1}}"),
    )  # fmt: skip
    assert told(found(tmp_path, text)) == [("no-way-out", line_of(text, "  ending: {"), "ending", "")]


def test_a_state_without_a_timer_or_an_awaited_event_waits_for_ever(tmp_path):
    text = changed(("  active: {lasts: until either party hangs up}", "  active: {}"))
    [problem] = found(tmp_path, text)
    assert told([problem]) == [("waits-for-ever", line_of(text, "  active: {"), "active", "")]
    assert "phone.start → phone.opening.ready" in problem.message


def test_one_way_in_without_the_timer_is_enough_to_wait_for_ever(tmp_path):
    text = changed(("event: peer.bye, next_state: over}\n  - {id: phone.ending.done",
                    "event: peer.bye, next_state: ending}\n  - {id: phone.ending.done"))  # fmt: skip
    [problem] = found(tmp_path, text)
    assert told([problem]) == [("waits-for-ever", line_of(text, "  ending: {"), "ending", "")]
    assert problem.message.endswith("after rows phone.start → phone.opening.ready → phone.active.bye, no event is certain to arrive")


def test_an_after_row_is_a_way_out_unless_its_guards_may_keep_it_from_being_armed(tmp_path):
    cut = changed(("event: peer.bye, next_state: over}\n  - {id: phone.ending.done",
                   "event: peer.bye, next_state: ending}\n  - {id: phone.ending.done"))  # fmt: skip
    after = "{id: phone.ending.after, state: ending, after: 3s, next_state: over}"
    assert found(tmp_path, with_rows(after, text=cut)) == []
    guarded = after.replace("next_state", "guards: [held], next_state")
    assert [p.code for p in found(tmp_path, with_rows(guarded, text=cut))] == ["waits-for-ever"]
    both = guarded.replace("after:", "after:").replace("[held]", "[not held]").replace("ending.after", "ending.after2")
    assert found(tmp_path, with_rows(guarded, both, text=cut)) == []


def test_an_after_row_that_stays_is_spent(tmp_path):
    text = with_rows(
        "{id: phone.active.tick, state: active, after: 3s, set: {tries: 1}}",
        text=changed(("  active: {lasts: until either party hangs up}", "  active: {}")),
    )
    assert told(found(tmp_path, text)) == [("waits-for-ever", line_of(text, "  active: {"), "active", "")]


def test_a_circle_of_timers_is_no_way_out(tmp_path):
    text = changed(("event: timer.patience, next_state: over",
                    "event: timer.patience, actions: [timer.start: {name: patience, after: 1}]"))  # fmt: skip
    [problem] = found(tmp_path, text)
    assert told([problem]) == [("waits-for-ever", line_of(text, "  ending: {"), "ending", "")]
    assert "loop forever" in problem.message


def test_a_repeating_timer_that_never_leads_out_does_not_count(tmp_path):
    text = changed(
        ("timer.start: {name: patience, after: $config.patience}", "timer.start: {name: patience, after: 1, repeat: {factor: 2}}"),
        ("event: timer.patience, next_state: over", "event: timer.patience, set: {tries: 1}"),
    )
    assert told(found(tmp_path, text)) == [("waits-for-ever", line_of(text, "  ending: {"), "ending", "")]


def test_every_outcome_that_ends_the_waiting_must_lead_on(tmp_path):
    text = changed(("event: media.failed, next_state: over", "event: media.failed, set: {tries: 1}"))
    [problem] = found(tmp_path, text)
    assert told([problem]) == [("waits-for-ever", line_of(text, "  opening: {"), "opening", "")]
    assert "phone.start → phone.opening.failed" in problem.message


def test_a_state_that_lasts_needs_an_event_that_its_parties_can_end_it_with(tmp_path):
    text = changed(
        ("  ending: {doc: saying good-bye}", "  ending: {lasts: as long as it may}"),
        ("{id: phone.ending.bye, state: ending, event: peer.bye, next_state: over}",
         "{id: phone.ending.bye, state: ending, event: peer.bye, set: {tries: 1}}"),
        ("{id: phone.ending.hangup, state: ending, event: user.hangup, next_state: over}",
         "{id: phone.ending.hangup, state: ending, event: user.hangup, set: {tries: 1}}"),
    )  # fmt: skip
    [problem] = found(tmp_path, text)
    assert told([problem]) == [("lasts-without-exit", line_of(text, "  ending: {"), "ending", "")]
    assert "peer.bye or user.hangup" in problem.hint


def test_a_final_state_does_not_last(tmp_path):
    text = changed(("  over: {final: true}", "  over: {final: true, lasts: for ever}"))
    assert told(found(tmp_path, text)) == [("lasts-in-final", line_of(text, "  over: {"), "over", "")]


def test_what_is_deferred_must_be_taken_by_a_state_that_follows(tmp_path):
    text = changed(("event: user.hangup, next_state: over}\n  - {id: phone.opening.hold",
                    "event: user.hangup, defer: true}\n  - {id: phone.opening.hold"))  # fmt: skip
    assert told(found(tmp_path, text)) == [
        ("deferred-for-ever", line_of(text, "phone.ending.hangup"), "ending", "user.hangup"),
    ]


def test_nothing_is_deferred_in_a_state_that_may_last(tmp_path):
    row = "{id: phone.active.held, state: active, event: user.hangup, guards: [held], priority: 1, defer: true}"
    text = with_rows(row)
    [problem] = found(tmp_path, text)
    assert told([problem]) == [("deferred-for-ever", line_of(text, "phone.active.held"), "active", "user.hangup")]
    assert "until either party hangs up" in problem.message


FRAGMENT = """\
calltable: 1
fragment: shared
doc: Rows for two machines.
rows:
  - {id: shared.patience, state: ending, event: timer.patience, next_state: over}
  - {id: shared.info, state: any, event: peer.info, ignore: late}
"""


def test_a_fragments_row_is_dead_only_where_no_machine_takes_it(tmp_path):
    phone = changed(("initial: idle\n", "initial: idle\ninclude: [shared]\n"),
                    text=without("phone.info", without("phone.ending.done")))  # fmt: skip
    other = with_rows(
        "{id: phone.info2, state: [idle, opening, active, ending], event: peer.info, ignore: late, overrides: shared.info}",
        text=changed(("machine: phone", "machine: other"), text=phone),
    )
    assert found(tmp_path, phone, other, FRAGMENT) == []
    phone = changed(("machine: other", "machine: phone"), text=other)
    [dead] = found(tmp_path, phone, other, FRAGMENT)
    assert (dead.code, dead.row) == ("dead-row", "shared.info")
    assert dead.position.file.endswith("table2.yaml")


PARENT = """\
calltable: 1
machine: parent
doc: Waits for its child.
initial: idle
receives: [user.phone]
children: {a: {machine: phone}}
states:
  idle: {}
  waiting: {}
  over: {final: true}
rows:
  - {id: parent.start, state: idle, event: engine.started, actions: [child.start: {name: a, machine: phone}, child.tell: {to: a, event: user.hangup}], next_state: waiting}
  - {id: parent.ended, state: waiting, event: a.ended, next_state: over}
  - {id: parent.hangup, state: any, event: user.hangup, next_state: over}
  - {id: parent.hold, state: any, event: user.hold, refuse: never}
  - {id: parent.failed, state: any, event: engine.failed, next_state: over}
"""


TWO = """\
calltable: 1
machine: two
doc: Waits for both children, and remembers in a flag which one has gone.
initial: idle
receives: [user.phone]
children: {a: {machine: phone}, b: {machine: phone}}
variables: {alone: bool}
states:
  idle: {}
  waiting: {}
  over: {final: true}
rows:
  - id: two.start
    state: idle
    event: engine.started
    actions: [child.start: {name: a}, child.start: {name: b}, child.tell: {to: a, event: user.hangup}, child.tell: {to: b, event: user.hangup}]
    next_state: waiting
  - {id: two.first, state: waiting, event: [a.ended, b.ended], guards: [not alone], set: {alone: true}}
  - {id: two.last, state: waiting, event: [a.ended, b.ended], guards: [alone], next_state: over}
  - {id: two.hangup, state: any, event: user.hangup, next_state: over}
  - {id: two.hold, state: any, event: user.hold, refuse: never}
  - {id: two.failed, state: any, event: engine.failed, next_state: over}
"""


def test_a_flag_may_remember_what_is_still_to_come(tmp_path):
    assert found(tmp_path, PHONE, TWO) == []
    forgets = changed(("set: {alone: true}", "set: {alone: false}"), text=TWO)
    assert [(p.code, p.state) for p in found(tmp_path, PHONE, forgets)] == [("waits-for-ever", "waiting")]


RESTING = """\
{id: phone.active.resume, state: active, event: timer.rest, set: {held: false}}
  - {id: phone.active.held, state: active, event: user.hold, guards: [held], refuse: resting}"""


def test_an_event_that_a_flag_keeps_away_needs_no_row(tmp_path):
    """A timer runs only while ``held``, and the state is not left before it has fired."""
    text = changed(
        ("guards: [not held], set: {held: true}", "guards: [not held], actions: [timer.start: {name: rest, after: 1}], set: {held: true}"),
        ("{id: phone.active.resume, state: active, event: user.hold, guards: [held], set: {held: false}}",
         RESTING),
        ("    event: user.hangup\n    actions: [media.close, timer.start", "    event: user.hangup\n    guards: [not held]\n    actions: [media.close, timer.start"),
        text=with_rows("{id: phone.active.kept, state: active, event: user.hangup, guards: [held], set: {tries: 1}}"),
    )  # fmt: skip
    assert [(p.code, p.state, p.event) for p in found(tmp_path, text)] == []
    leaky = changed(("    guards: [not held]\n", ""), text=text.replace("guards: [held], set: {tries", "priority: -1, set: {tries"))
    assert ("hole", "ending", "timer.rest") in [(p.code, p.state, p.event) for p in found(tmp_path, leaky)]


def test_the_end_of_a_child_must_come(tmp_path):
    assert found(tmp_path, PHONE, PARENT) == []
    text = changed(("event: a.ended, next_state: over", "event: a.ended, ignore: late"), text=PARENT)
    problems = found(tmp_path, PHONE, text)
    assert told(problems) == [("waits-for-ever", line_of(text, "  waiting: {"), "waiting", "")]


@pytest.mark.parametrize("broken", ["phone.info", "phone.failed", "phone.early.hangup"])
def test_all_problems_of_all_machines_are_told_at_once(tmp_path, broken):
    other = changed(("machine: phone", "machine: other"), text=without(broken))
    tables = {p.table for p in found(tmp_path, without(broken), other)}
    assert tables == {"phone", "other"}


def test_a_child_that_cannot_be_taken_down_does_not_load() -> None:
    """A parent that ends takes its children down through their hang-up rows; one without any would leak."""
    child = """\
calltable: 1
machine: deaf
initial: on
states: {on: {}, off: {final: true}}
rows:
  - {id: deaf.end, state: on, after: 5s, next_state: off}
  - {id: deaf.start, state: on, event: engine.started, doc: nothing to do yet}
  - {id: deaf.failed, state: any, event: engine.failed, next_state: off}
"""
    parent = """\
calltable: 1
machine: parent
initial: on
children: {kid: {machine: deaf}}
states: {on: {}, off: {final: true}}
rows:
  - {id: parent.start, state: on, event: engine.started, actions: [child.start: {name: kid, machine: deaf}]}
  - {id: parent.ended, state: on, event: kid.ended, next_state: off}
  - {id: parent.failed, state: any, event: engine.failed, next_state: off}
"""
    problems = check(load_tables([], texts={"deaf.yaml": child, "parent.yaml": parent}))
    assert [(p.code, p.table) for p in problems] == [("child-stays", "parent")]
    assert "does not handle user.hangup" in problems[0].message


def test_two_times_that_run_out_at_once_and_disagree_overlap(tmp_path):
    one = "{id: phone.one, state: active, after: 1h, next_state: over}"
    two = "{id: phone.two, state: active, after: 60m, next_state: ending}"
    text = with_rows(one, two)
    told_of = [p for p in found(tmp_path, text) if p.code == "overlap"]
    assert told(told_of) == [("overlap", line_of(text, "phone.two"), "active", "after.phone.two")]
    assert [p for p in found(tmp_path, with_rows(one, two.replace("60m", "61m"))) if p.code == "overlap"] == []
    held = with_rows(one.replace("1h,", "1h, guards: [held],"), two.replace("60m,", "60m, guards: [not held],"))
    assert [p for p in found(tmp_path, held) if p.code == "overlap"] == []
    assert found(tmp_path, with_rows(one, two.replace("ending", "over"))) == []


def test_a_variable_that_no_row_sets_keeps_its_value_in_the_guard_of_a_time(tmp_path):
    names = [f"v{i}" for i in range(22)]
    text = with_rows(f"{{id: phone.never, state: active, after: 1h, guards: [{', '.join(names)}], next_state: over}}")
    text = text.replace("variables:\n", "variables:\n" + "".join(f"  {name}: bool\n" for name in names), 1)
    [dead] = found(tmp_path, text)
    assert (dead.code, dead.row) == ("dead-row", "phone.never")


def test_too_many_conditions_for_a_time_are_told(tmp_path):
    names = [f"v{i}" for i in range(22)]
    text = with_rows(
        f"{{id: phone.wide, state: active, after: 1h, guards: [{', '.join(names)}], next_state: over}}",
        f"{{id: phone.set, state: active, event: peer.info, overrides: phone.info, set: {{{', '.join(f'{name}: true' for name in names)}}}}}",
    ).replace("variables:\n", "variables:\n" + "".join(f"  {name}: bool\n" for name in names), 1)
    assert [(p.code, p.row) for p in found(tmp_path, text)] == [("too-many-conditions", "phone.wide")]


def test_a_child_is_told_nothing_before_anything_starts_it(tmp_path):
    tell, start = "child.tell: {to: a, event: user.hangup}", "child.start: {name: a, machine: phone}"
    text = changed((f"actions: [{start}, {tell}]", f"actions: [{tell}, {start}, {tell}]"), text=PARENT)
    [problem] = found(tmp_path, PHONE, text)
    assert (problem.code, problem.row, problem.gate) == ("child-unborn", "parent.start", 3)
    anywhere = changed(("id: parent.hold, state: any, event: user.hold, refuse: never",
                        f"id: parent.hold, state: any, event: user.hold, actions: [{tell}]"), text=PARENT)  # fmt: skip
    assert found(tmp_path, PHONE, anywhere) == []  # it lives in one of these states


def test_catalogues_do_not_include_each_other_in_a_circle():
    texts = {f"{one}.yaml": f"calltable: 1\ncatalogue: c/{one}\ninclude: [c/{other}]\n" for one, other in ("ab", "bc", "ca")}
    with pytest.raises(TableError) as error:
        load_tables(texts=texts)
    [problem] = error.value.problems
    assert (problem.code, problem.message) == ("include-cycle", "includes form a cycle: c/a → c/b → c/c → c/a")
    once = {**texts, "c.yaml": "calltable: 1\ncatalogue: c/c\n", "a.yaml": "calltable: 1\ncatalogue: c/a\ninclude: [c/b, c/c]\n"}
    assert load_tables(texts=once).machines == {}
