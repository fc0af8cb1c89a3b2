"""What differs between two versions of a table, by its rows and by what calls notice."""

from __future__ import annotations

import pytest

from calltable.engine.compare.diff import diff_libraries, diff_machines, row_digest
from calltable.engine.compare.lockstep import compare
from calltable.engine.language.load import load_tables

CATALOGUE = """\
calltable: 1
catalogue: small
config: {patience: {type: duration, default: 4s}}
interfaces:
  user.phone:
    commands: true
    events:
      user.hangup: {must_take: true}
      user.hold: {fields: {times: int}}
  peer:
    events:
      peer.bye: {must_take: true}
      peer.info: {fields: {code: int, text: string?}}
outcomes:
  media.ready: {}
  media.failed: {fields: {reason: string}}
actions:
  media.open: {outcomes: [media.ready, media.failed]}
  media.close: {}
predicates: {is_nice: {parameters: [], returns: bool}}
"""

PHONE = """\
calltable: 1
machine: phone
doc: A small phone.
initial: idle
receives: [user.phone, peer]
variables: {held: {type: bool}}
publishes: {opened: {}}
states: {idle: {}, opening: {}, active: {lasts: for ever}, ending: {}, over: {final: true}}
groups: {early: [idle, opening]}
rows:
  - {id: phone.start, state: idle, event: engine.started, actions: [media.open], next_state: opening}
  - {id: phone.opening.ready, state: opening, event: media.ready, publish: [opened], next_state: active}
  - {id: phone.opening.failed, state: opening, event: media.failed, next_state: over}
  - {id: phone.early.hangup, state: early, event: user.hangup, actions: [media.close], next_state: over}
  - {id: phone.early.bye, state: early, event: peer.bye, next_state: over}
  - {id: phone.active.hold, state: active, event: user.hold, guards: [not held], set: {held: true}}
  - {id: phone.active.resume, state: active, event: user.hold, guards: [held], set: {held: false}}
  - id: phone.active.hangup
    state: active
    event: user.hangup
    actions: [media.close]
    next_state: ending
  - {id: phone.active.bye, state: active, event: peer.bye, next_state: over}
  - {id: phone.ending.done, state: ending, after: $config.patience, next_state: over}
  - {id: phone.ending.bye, state: ending, event: peer.bye, next_state: over}
  - {id: phone.ending.hangup, state: ending, event: user.hangup, next_state: over}
  - {id: phone.opening.hold, state: opening, event: user.hold, defer: true}
  - {id: phone.hold, state: [idle, ending], event: user.hold, refuse: not now}
  - {id: phone.info, state: any, event: peer.info, ignore: late}
  - {id: phone.failed, state: any, event: engine.failed, next_state: over}
"""


def library(*changes: tuple[str, str]):
    table, catalogue = PHONE, CATALOGUE
    for old, new in changes:
        assert (old in table) != (old in catalogue), f"the change {old!r} has to match once"
        table, catalogue = table.replace(old, new), catalogue.replace(old, new)
    return load_tables(texts={"phone.yaml": table, "small.yaml": catalogue})


def rows(*changes: tuple[str, str]):
    return diff_machines("phone", library().machines["phone"], library(*changes).machines["phone"])


def ways(*changes: tuple[str, str]):
    old, new = library(), library(*changes)
    renamed = {a.id: b.id for a, b in rows(*changes).renamed}
    return compare(old.machines["phone"], new.machines["phone"], (old.catalogue, new.catalogue), renamed=renamed)


def events(comparison) -> list[list[str]]:
    return [[turn.says for turn in one.turns] for one in comparison.divergences]


def test_the_order_of_rows_their_documentation_and_their_wording_are_no_change():
    bye = "  - {id: phone.ending.bye, state: ending, event: peer.bye, next_state: over}\n"
    moved = PHONE.replace(bye, "") + bye.replace("}", ", doc: moved}")
    old = library()
    new = load_tables(texts={"phone.yaml": "# a comment\n" + moved, "small.yaml": CATALOGUE})
    assert diff_libraries(old, new).same


def test_a_changed_row_is_told_with_the_parts_that_changed():
    found = rows(("guards: [not held], set: {held: true}", "guards: [not held], set: {held: true}, next_state: ending"))
    assert [(one.old.id, one.aspects) for one in found.changed] == [("phone.active.hold", ("next_state",))]
    assert [found.added, found.removed, found.renamed] == [[], [], []]


def test_added_and_removed_rows_are_told():
    found = rows(("  - {id: phone.opening.hold, state: opening, event: user.hold, defer: true}\n", ""),
                 ("state: [idle, ending], event: user.hold", "state: [idle, ending, opening], event: user.hold"))
    assert [row.id for row in found.removed] == ["phone.opening.hold"]
    narrow = "- {id: phone.info.idle, state: idle, event: peer.info, ignore: late, overrides: phone.info}\n"
    found = rows(("- {id: phone.info, state: any", f"{narrow}  - {{id: phone.info, state: any"))
    assert [row.id for row in found.added] == ["phone.info.idle"]


def test_a_row_with_another_id_only_is_renamed_and_changes_no_call():
    change = ("phone.ending.done", "phone.ending.timeout")
    found = rows(change)
    assert [(a.id, b.id) for a, b in found.renamed] == [("phone.ending.done", "phone.ending.timeout")]
    assert not found.added
    assert ways(change).divergences == []


def test_digests_follow_the_meaning_not_the_id():
    old = library().machines["phone"].rows
    new = library(("phone.early.bye", "phone.early.other")).machines["phone"].rows
    assert row_digest(old["phone.early.bye"]) == row_digest(new["phone.early.other"])
    assert row_digest(old["phone.early.bye"]) != row_digest(old["phone.early.hangup"])


def test_variables_states_and_settings_are_compared():
    found = rows(("variables: {held: {type: bool}}", "variables: {held: {type: bool, default: true}, more: int}"))
    assert found.declared == ["variable held: bool, default false → bool, default true", "variable more added (int, default 0)"]
    change = ("default: 4s", "default: 9s")
    assert diff_libraries(library(), library(change)).settings == [("patience", 4.0, 9.0)]


def test_equal_tables_end_every_sequence_alike():
    found = ways()
    assert found.complete
    assert found.pairs > 4
    assert not found.divergences


def test_the_shortest_sequence_that_shows_a_dropped_action_is_found():
    found = ways(("event: user.hangup, actions: [media.close], next_state: over", "event: user.hangup, next_state: over"))
    assert events(found) == [["engine.started", "user.hangup"]]
    last = found.divergences[0].turns[-1]
    assert [name for name, _ in last.old[0].effects] == ["media.close"]
    assert last.new[0].effects == ()


def test_another_next_state_shows_where_it_is_noticed():
    found = ways(("event: user.hold, guards: [not held], set: {held: true}", "event: user.hold, guards: [not held], next_state: ending"))
    assert ["engine.started", "media.ready", "user.hold"] in events(found)
    assert found.divergences[0].turns[-1].differs


def test_a_state_with_another_name_is_not_noticed_by_calls():
    renamed = PHONE.replace("ending: {}", "leaving: {}").replace("state: ending", "state: leaving")
    renamed = renamed.replace("next_state: ending", "next_state: leaving").replace("[idle, ending]", "[idle, leaving]")
    old, new = library(), load_tables(texts={"phone.yaml": renamed, "small.yaml": CATALOGUE})
    assert compare(old.machines["phone"], new.machines["phone"], (old.catalogue, new.catalogue)).divergences == []


def test_a_guard_turned_round_shows_with_the_value_that_tells():
    asked = ("event: peer.info, ignore: late", "event: peer.info, guards: [event.code != 7], ignore: late")
    more = ("  - {id: phone.failed", "  - {id: phone.info.seven, state: any, event: peer.info, guards: [event.code == 7], next_state: over}\n  - {id: phone.failed")
    found = ways(asked, more)
    assert events(found) == [["engine.started", "peer.info (code = 7)"]]


def test_another_delay_is_told_and_the_walk_goes_on_behind_it():
    found = ways(("default: 4s", "default: 9s"), ("{id: phone.ending.bye, state: ending, event: peer.bye, next_state: over}",
                                                  "{id: phone.ending.bye, state: ending, event: peer.bye, actions: [media.close], next_state: over}"))
    assert events(found) == [
        ["engine.started", "media.ready", "user.hangup"],
        ["engine.started", "media.ready", "user.hangup", "peer.bye"],
    ]
    assert found.divergences[0].turns[-1].old[0].timers == (("after.phone.ending.done", 4.0),)


def test_outcomes_come_only_while_they_are_awaited():
    found = ways(("event: media.failed, next_state: over", "event: media.failed, actions: [media.close], next_state: over"))
    assert events(found) == [["engine.started", "media.failed"]]
    shown = ways(("event: media.ready, publish: [opened]", "event: media.ready"))
    assert all([turn.says for turn in one.turns].count("media.ready") == 1 for one in shown.divergences)


def test_a_deferred_event_is_replayed_within_the_step():
    found = ways(("event: user.hold, guards: [not held], set: {held: true}", "event: user.hold, guards: [not held], set: {held: true}, actions: [media.close]"))
    shown = events(found)
    assert ["engine.started", "media.ready", "user.hold"] in shown
    deferred = next(one for one in found.divergences if one.turns[1].says == "user.hold")
    assert [one.row for one in deferred.turns[-1].new] == ["phone.opening.ready", "phone.active.hold"]


def test_a_walk_that_stops_at_its_limit_says_so():
    old = library()
    machine = old.machines["phone"]
    assert not compare(machine, machine, (old.catalogue, old.catalogue), limit=2).complete


@pytest.mark.slow
def test_every_shipped_table_behaves_like_itself():
    old = load_tables()
    for machine in old.machines.values():
        found = compare(machine, machine, (old.catalogue, old.catalogue))
        assert found.complete, machine.name
        assert not found.divergences
