"""Parents and children: starting, telling, hearing, letting go, and ends."""

from __future__ import annotations

import pytest

PARENT = """\
calltable: 1
machine: parent
doc: Owns.
initial: one
receives: [user.small]
children: {{b: {{machine: child}}, 'k*': {{machine: child}}}}
variables: {{who: string}}
publishes: {{counted: {{}}}}
states: {{one: {{lasts: yes}}, two: {{lasts: yes}}, over: {{final: true}}}}
rows:
  - {{id: start, state: one, event: engine.started, doc: it begins}}
  - {{id: start_b, state: one, event: user.go, actions: [child.start: {{name: b, with: {{n: 7}}}}]}}
  - {{id: start_k, state: one, event: user.c, actions: [child.start: {{name: 'k*', machine: child, with: {{n: 8, text: hi}}}}]}}
  - {{id: b.said, state: any, event: b.said, actions: [note: {{text: b.said, value: $event.n}}]}}
  - {{id: b.ended, state: any, event: b.ended, actions: [note: {{text: b.ended}}]}}
  - {{id: b.refused, state: any, event: b.refused, actions: [note: {{text: $event.reason}}, note: {{text: $event.event}}]}}
  - {{id: k.said, state: any, event: k*.said, set: {{who: $event.child}}, actions: [note: {{text: $event.child, value: $event.n}}]}}
  - {{id: k.ended, state: any, event: k*.ended, actions: [note: {{text: k.ended}}, note: {{text: $event.child}}]}}
  - {{id: k.refused, state: any, event: k*.refused, actions: [note: {{text: $event.child}}]}}
  - {{id: hangup, state: any, event: user.hangup, next_state: over}}
  - {{id: failed, state: any, event: engine.failed, actions: [note: {{text: $event.reason}}], next_state: over}}
{rows}  - {{id: rest, state: any, event: user.*, refuse: not now}}
"""
CHILD = """\
calltable: 1
machine: child
doc: Is owned.
initial: young
parameters: {n: int, text: string?}
receives: [user.small]
publishes: {said: {n: int}}
states: {young: {lasts: yes}, busy: {lasts: yes}, leaving: {}, gone: {final: true}}
rows:
  - {id: child.start, state: young, event: engine.started, actions: [note: {text: born, value: $event.n}]}
  - {id: child.a, state: young, event: user.a, actions: [note: {text: a, value: $event.n}], publish: [said: {n: $event.n}]}
  - {id: child.wait, state: young, event: user.b, defer: true}
  - {id: child.go, state: young, event: user.go, next_state: busy}
  - {id: child.b, state: busy, event: user.b, refuse: too late for b}
  - {id: child.bye, state: [young, busy], event: user.hangup, actions: [note: {text: bye}], next_state: leaving}
  - {id: child.bye_again, state: leaving, event: user.hangup, doc: it is leaving}
  - {id: child.left, state: leaving, after: 1s, publish: [said: {n: 99}], next_state: gone}
  - {id: child.failed, state: any, event: engine.failed, next_state: gone}
  - {id: child.rest, state: any, event: user.*, refuse: a child cannot do that}
"""


@pytest.fixture(name="family")
def _family(world):
    def make(*rows: str, **options):
        return world(PARENT.format(rows="".join(f"  - {row}\n" for row in rows)), CHILD, **options)

    return make


def tell(event: str, to: str, what: str, given: str = "") -> str:
    suffix = f", with: {given}" if given else ""
    return f"{{id: tell.{event}, state: any, event: user.{event}, actions: [child.tell: {{to: {to}, event: {what}{suffix}}}]}}"


def test_a_child_starts_with_its_parameters_and_is_known_by_its_name(family):
    at = family()
    parent = at.start("parent")
    at.give(parent, "user.go")
    child = parent.children["b"]
    assert (child.path, child.machine.name, child.owner, child.root) == ("1.b", "child", parent, parent)
    assert [*parent.family()] == [parent, child]
    assert at.log == [("note", "born", 7)]
    assert at.rows() == ["start", "start_b", "child.start"]


def test_what_a_child_publishes_is_an_event_of_its_parent(family):
    at = family(tell("a", "b", "user.a", "{n: $event.n}"))
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.give(parent, "user.a", n=3)
    assert at.log[1:] == [("note", "a", 3), ("note", "b.said", 3)]
    assert at.rows()[-3:] == ["tell.a", "child.a", "b.said"]


def test_a_command_that_a_child_refuses_comes_back_with_the_reason(family):
    at = family(tell("a", "b", "user.c"))
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.notes()
    assert at.give(parent, "user.a", n=1).kind == "taken"
    assert at.notes() == ["a child cannot do that", "user.c"]


def test_a_deferred_command_that_is_refused_in_the_end_comes_back_too(family):
    at = family(tell("b", "b", "user.b", "{n: 1}"), tell("a", "b", "user.go"))
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.notes()
    at.give(parent, "user.b", n=1)
    assert at.notes() == []
    at.give(parent, "user.a", n=1)
    assert at.notes() == ["too late for b", "user.b"]


def test_a_command_that_waits_in_the_inbox_and_is_refused_comes_back_too(family):
    from tests.engine.run.stores import Records

    class Later(Records):
        def commit(self, commit, done):
            super().commit(commit, done)
            if commit.receipt.row == "child.go":
                self.done = lambda: done(commit.receipt.session, None)
                return False
            return True

    at = family(tell("b", "b", "user.b", "{n: 1}"), tell("a", "b", "user.go"), store=Later())
    durable = CHILD.replace("machine: child", "machine: child\ndurable: true")
    at.executor.add(type(at)(PARENT.format(rows=""), durable).machines["child"])
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.notes()
    at.give(parent, "user.a", n=1)
    at.give(parent, "user.b", n=1)
    assert parent.children["b"].busy
    at.executor.store.done()
    assert at.notes() == ["too late for b", "user.b"]


def test_one_name_is_one_child(family):
    at = family()
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.notes()
    at.give(parent, "user.go")
    assert at.notes()[0] == "child.start: ValueError('child b is alive already')"
    assert parent.ended


def test_to_tell_a_child_that_is_gone_is_counted_and_nothing_more(family):
    at = family(tell("a", "b", "user.c"))
    parent = at.start("parent")
    assert at.give(parent, "user.a", n=1) == ("taken", "tell.a")
    assert at.executor.counters["told too late"] == 1


def test_a_child_that_ends_is_gone_before_its_parent_hears_of_it(family):
    at = family(tell("a", "b", "user.hangup"))
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.give(parent, "user.a", n=1)
    at.notes()
    at.clock.advance(2)
    assert at.notes() == ["b.said", "b.ended"]
    assert parent.children == {}
    at.give(parent, "user.go")
    assert at.notes() == ["born"], "the name is free again"


# --------------------------------------------------------------------------- sets


def test_members_of_a_set_have_names_of_their_own_and_are_counted(family):
    at = family(
        tell("b", "'k*'", "user.a", "{n: $event.n}"),
    )
    parent = at.start("parent")
    for _ in range(3):
        at.give(parent, "user.c")
    assert [*parent.children] == ["k1", "k2", "k3"]
    assert (parent.count("k*"), parent.count("k*", "young"), parent.count("k*", "busy"), parent.count("b*")) == (3, 3, 0, 0)
    at.log.clear()
    at.give(parent, "user.b", n=5)
    assert [entry[1:] for entry in at.log] == [("a", 5)] * 3 + [("k1", 5), ("k2", 5), ("k3", 5)]
    assert parent.v_who == "k3"


def test_one_member_is_addressed_by_the_event_it_sent_or_by_a_variable(family):
    at = family(
        "{id: back, state: two, event: k*.said, overrides: k.said, actions: [child.tell: {to: $event.child, event: user.hangup}]}",
        "{id: to, state: two, event: user.b, actions: [child.tell: {to: $who, event: user.a, with: {n: 4}}]}",
        "{id: two, state: one, event: user.a, set: {who: k2}, next_state: two}",
    )
    parent = at.start("parent")
    at.give(parent, "user.c")
    at.give(parent, "user.c")
    at.give(parent, "user.a", n=1)
    at.notes()
    at.give(parent, "user.b", n=1)
    assert at.notes() == ["a", "bye"]
    assert [child.state for child in parent.children.values()] == ["young", "leaving"]


def test_the_end_of_a_member_names_it(family):
    at = family(tell("a", "'k*'", "user.hangup"))
    parent = at.start("parent")
    at.give(parent, "user.c")
    at.give(parent, "user.a", n=1)
    at.notes()
    at.clock.advance(1)
    assert at.notes() == ["k1", "k.ended", "k1"]


def test_the_name_of_a_member_is_never_used_again(family):
    at = family(
        "{id: to, state: any, event: user.b, actions: [child.tell: {to: $who, event: user.hangup}]}",
        "{id: who, state: one, event: user.a, set: {who: k1}}",
    )
    parent = at.start("parent")
    at.give(parent, "user.c")
    at.give(parent, "user.c")
    at.give(parent, "user.a", n=1)
    at.give(parent, "user.b", n=1)
    at.clock.advance(1)
    assert [*parent.children] == ["k2"]
    at.give(parent, "user.c")
    assert [*parent.children] == ["k2", "k3"]


# --------------------------------------------------------------------------- letting go


END = "{id: end, state: any, event: user.b, actions: [child.end: {name: b}]}"


def test_a_child_that_is_let_go_hangs_up_by_its_own_rows_and_is_heard_no_more(family):
    at = family(END)
    parent = at.start("parent")
    at.give(parent, "user.go")
    child = parent.children["b"]
    at.notes()
    at.give(parent, "user.b", n=1)
    assert (at.notes(), child.state, parent.children) == (["bye"], "leaving", {})
    at.clock.advance(1)
    assert child.ended
    assert at.notes() == [], "neither what it said last nor its end"
    assert [*at.executor.sessions.values()] == [parent]


def test_what_a_child_said_before_it_was_let_go_is_stale(family):
    at = family(
        "{id: both, state: any, event: user.b, actions: [child.tell: {to: b, event: user.a, with: {n: 1}}, work]}",
        "{id: done, state: any, event: work.done, actions: [child.end: {name: b}]}",
        handlers={"work": lambda session, p: at.executor.post(session, "work.done", {"n": 1})},
    )
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.notes()
    at.give(parent, "user.b", n=1)
    # the child said it and its parent let it go before hearing it
    assert at.notes() == ["a", "bye"]
    assert at.executor.counters["stale"] == 1


def test_what_a_child_said_is_stale_when_another_has_taken_its_name(family):
    at = family(
        "{id: both, state: any, event: user.b, actions: [child.tell: {to: b, event: user.a, with: {n: 1}}, work]}",
        "{id: done, state: any, event: work.done, actions: [child.end: {name: b}, child.start: {name: b, with: {n: 2}}]}",
        handlers={"work": lambda session, p: at.executor.post(session, "work.done", {"n": 1})},
    )
    parent = at.start("parent")
    at.give(parent, "user.go")
    old = parent.children["b"]
    at.notes()
    at.give(parent, "user.b", n=1)
    assert at.notes() == ["a", "bye", "born"]
    assert parent.children["b"] is not old
    at.clock.advance(5)
    assert old.ended
    assert at.notes() == [], "the end of the old one does not take the new one's name away"
    assert parent.children["b"].state == "young"


def test_the_end_of_a_parent_takes_its_children_down_by_their_own_rows(family):
    at = family()
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.give(parent, "user.c")
    children = list(parent.children.values())
    at.notes()
    at.give(parent, "user.hangup")
    assert parent.ended
    assert at.notes() == ["bye", "bye"]
    assert not any(child.ended for child in children)
    at.clock.advance(1)
    assert all(child.ended for child in children)
    assert not at.executor.sessions
    assert len(at.executor.timers) == 0


def test_what_a_parent_says_with_its_last_row_still_reaches_its_child(family):
    at = family("{id: last, state: any, event: user.b, actions: [child.tell: {to: b, event: user.a, with: {n: 3}}], next_state: over}")
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.notes()
    at.give(parent, "user.b", n=1)
    assert at.notes() == ["a", "bye"]


def test_a_failing_child_ends_alone(family):
    at = family(tell("a", "b", "user.a", "{n: 1}"))
    at.executor.handlers["note"] = lambda session, p: at.break_(session, p) if p["text"] == "a" else at.note(session, p)
    parent = at.start("parent")
    at.give(parent, "user.go")
    at.notes()
    at.give(parent, "user.a", n=1)
    assert not parent.ended
    assert at.notes() == ["b.said", "b.ended"]
