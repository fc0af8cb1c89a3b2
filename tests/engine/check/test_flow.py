"""Which pending event may arrive in which state."""

from __future__ import annotations

from calltable.engine.check import flow as pending
from calltable.engine.check.sources import Source
from tests.engine.small import PHONE, changed, load, with_rows

HEAD = """\
calltable: 1
machine: m
doc: A machine of these tests.
initial: idle
receives: [user.phone, peer]
children: {a: {machine: phone}, 'b*': {machine: phone}}
states: {idle: {}, one: {}, two: {}, three: {}, over: {final: true}}
rows:
"""


def live(folder, *rows):
    """What is live where, for a machine of these rows (it need not pass the gates)."""
    library = load(folder, PHONE, with_rows(*rows, text=HEAD))
    found = pending.live(library.machines["m"], library.catalogue, library.machines)
    return {event: sorted(states) for event, states in found.items()}


def go(state, event, to="", actions="", more=""):
    """A row, with an id made of its parts."""
    row_id = f"m.{state}.{event}.{to or 'stay'}".replace("*", "").replace("engine.", "")
    parts = [f"id: {row_id}", f"state: {state}", f"event: '{event}'"]
    parts += [f"actions: [{actions}]"] if actions else []
    parts += [f"next_state: {to}"] if to else []
    parts += [more] if more else []
    return "{" + ", ".join(parts) + "}"


START = go("idle", "engine.started", "one")


def test_a_one_shot_timer_is_live_until_it_fires_or_is_stopped(tmp_path):
    found = live(
        tmp_path,
        go("idle", "engine.started", "one", "timer.start: {name: t, after: 1}"),
        go("one", "timer.t", "two"),
        go("one", "user.hold", "three", "timer.stop: {name: t}"),
        go("one", "peer.info", "over"),
    )
    assert found["timer.t"] == ["one"]


def test_a_repeating_timer_goes_on_in_the_states_that_follow(tmp_path):
    found = live(
        tmp_path,
        go("idle", "engine.started", "one", "timer.start: {name: t, after: 1, repeat: {factor: 2}}"),
        go("one", "timer.t", "two"),
        go("two", "peer.bye", "three", "timer.stop: {name: t}"),
        go("three", "peer.bye", "over"),
    )
    assert found["timer.t"] == ["one", "two"]


def test_a_timer_started_anew_by_its_own_row_is_live_again(tmp_path):
    again = "timer.start: {name: t, after: 1}"
    found = live(tmp_path, go("idle", "engine.started", "one", again), go("one", "timer.t", "two", again),
                 go("two", "peer.bye", "over"))  # fmt: skip
    assert found["timer.t"] == ["one", "two"]


def test_an_outcome_ends_the_waiting_unless_more_may_follow(tmp_path):
    found = live(
        tmp_path, go("idle", "engine.started", "one", "look"), go("one", "look.more", "two"),
        go("two", "look.found", "three"), go("one", "look.found", "three"), go("three", "peer.bye", "over"),
    )  # fmt: skip
    assert found["look.more"] == found["look.found"] == ["one", "two"]


def test_an_ignored_outcome_has_come_nevertheless(tmp_path):
    found = live(
        tmp_path, go("idle", "engine.started", "one", "look"), go("one", "look.found", more="ignore: late"),
        go("one", "peer.bye", "two"),
    )  # fmt: skip
    assert found["look.found"] == ["one", "two"]
    found = live(
        tmp_path, go("idle", "engine.started", "one", "look"), go("one", "look.found", "two"),
        go("two", "peer.bye", "three"),
    )  # fmt: skip
    assert found["look.found"] == ["one"]


def test_a_shared_outcome_ends_only_one_of_the_actions_that_wait_for_it(tmp_path):
    both = live(
        tmp_path, go("idle", "engine.started", "one", "media.open, media.play"), go("one", "media.failed", "two"),
    )  # fmt: skip
    assert both["media.failed"] == ["one", "two"]
    either = live(
        tmp_path, START, go("one", "user.hold", "two", "media.open"), go("one", "peer.info", "two", "media.play"),
        go("two", "media.failed", "three"),
    )  # fmt: skip
    assert either["media.failed"] == ["two"]


def test_an_action_started_twice_is_awaited_twice(tmp_path):
    found = live(
        tmp_path, go("idle", "engine.started", "one", "look, look"), go("one", "look.found", "two"),
        go("two", "look.found", "three"),
    )  # fmt: skip
    assert found["look.found"] == ["one", "two"]


def test_an_action_started_in_a_circle_is_awaited_any_number_of_times(tmp_path):
    found = live(
        tmp_path, START, go("one", "user.hold", "one", "look"), go("one", "peer.bye", "two"),
        go("two", "look.found", "three"), go("three", "look.found", "over"),
    )  # fmt: skip
    assert found["look.found"] == ["one", "three", "two"]


def test_a_child_raises_events_from_its_start_to_its_end(tmp_path):
    found = live(
        tmp_path, START, go("one", "user.hold", "two", "child.start: {name: a}"), go("two", "a.ended", "three"),
    )  # fmt: skip
    assert found["a.ended"] == ["two"]


def test_a_member_of_a_set_may_be_followed_by_others(tmp_path):
    rows = [
        go("idle", "engine.started", "one", "child.start: {name: 'b*'}"),
        go("one", "user.hold", actions="child.start: {name: 'b*'}"),
        go("one", "b*.ended", "two", more="guards: ['count(b*) > 0']"),
    ]
    assert live(tmp_path, *rows)["b*.ended"] == ["one", "two"]
    none = go("one", "b*.ended", "three", more="guards: ['count(b*) == 0']")
    assert live(tmp_path, *rows, none)["b*.ended"] == ["one", "two"]


def test_a_child_refuses_only_what_it_is_told_and_its_table_refuses(tmp_path):
    tell = "child.start: {name: a}, child.tell: {to: a, event: %s}"
    hold = "user.hold, with: {times: 1}"
    assert live(tmp_path, go("idle", "engine.started", "one", tell % hold))["a.refused"] == ["one"]
    assert live(tmp_path, go("idle", "engine.started", "one", tell % "user.hangup"))["a.refused"] == []


def test_a_publication_arrives_only_if_a_row_of_the_child_publishes_it(tmp_path):
    told = changed(("initial: idle", "initial: idle\npublishes: {ready: {}, never: {}}"),
                   ("event: media.ready, next_state: active", "event: media.ready, next_state: active, publish: [ready]"))  # fmt: skip
    rows = [go("idle", "engine.started", "one", "child.start: {name: a}"), go("one", "a.ready", "two")]
    library = load(tmp_path, told, with_rows(*rows, text=HEAD))
    found = pending.live(library.machines["m"], library.catalogue, library.machines)
    assert found["a.ready"] == {"one", "two"}
    assert found["a.never"] == frozenset()


def test_what_is_deferred_comes_in_the_state_that_takes_it_and_no_later(tmp_path):
    found = live(
        tmp_path, go("idle", "engine.started", "one", "timer.start: {name: t, after: 1}"),
        go("one", "timer.t", more="defer: true"), go("one", "peer.bye", "two"), go("two", "timer.t", "three"),
    )  # fmt: skip
    assert found["timer.t"] == ["one", "two"]


def test_a_deferred_event_is_held_behind_another_deferred_one(tmp_path):
    found = live(
        tmp_path, go("idle", "engine.started", "one", "timer.start: {name: t, after: 1}"),
        go("one", "timer.t", more="defer: true"), go("one", "user.hold", more="defer: true"),
        go("one", "peer.bye", "two", "timer.stop: {name: t}"), go("two", "user.hold", "three"),
        go("two", "timer.t", "over"),
    )  # fmt: skip
    assert found["timer.t"] == ["one", "three", "two"]


def test_an_after_event_comes_in_the_states_of_its_row(tmp_path):
    found = live(tmp_path, START, "{id: m.wait, state: [one, two], after: 1s, next_state: three}")
    assert found["after.m.wait"] == ["one"]


def test_the_initial_states_other_rows_do_not_run_before_the_start(tmp_path):
    """Nothing comes before engine.started, so the timer it starts is live wherever the initial state leads."""
    library = load(
        tmp_path, PHONE,
        with_rows(go("idle", "engine.started", "", "timer.start: {name: t, after: 1}"), go("idle", "peer.bye", "one"), text=HEAD),
    )  # fmt: skip
    flow = pending.analyse(library.machines["m"], library.catalogue, library.machines)
    walked = flow.walk([Source("timer", "t")])
    assert {(state, counts) for state, counts, _ in walked} == {("idle", (1,)), ("one", (1,))}


def test_a_group_with_too_many_configurations_is_walked_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(pending, "LIMIT", 1)
    found = live(
        tmp_path, START, go("one", "user.hold", "two", "media.open"), go("one", "peer.info", "two", "media.play"),
        go("two", "media.failed", "three"),
    )  # fmt: skip
    # sound, but it no longer knows that only one of the two was awaited
    assert found["media.failed"] == ["three", "two"]
