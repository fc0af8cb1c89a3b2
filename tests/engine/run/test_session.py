"""Sessions: small, slotted, with typed variables of their own."""

from __future__ import annotations

import sys

import pytest

from calltable.engine.run.records import Outcome
from tests.engine.run.test_executor import table


@pytest.fixture(name="at")
def _at(world):
    return world(table("{id: a, state: one, event: user.a, set: {n: $event.n}}"))


def test_a_session_is_slotted_and_small(at):
    session = at.start("m")
    with pytest.raises(AttributeError):
        session.anything = 1
    assert not hasattr(session, "__dict__")
    assert sys.getsizeof(session) < 300, "bytes, without what it points to"


def test_variables_begin_with_their_defaults_and_are_the_sessions_own(at):
    first, second = at.start("m"), at.start("m")
    at.give(first, "user.a", n=5)
    assert first.variables == {"n": 5, "seen": 0}
    assert second.variables == {"n": 0, "seen": 0}


def test_a_session_that_nobody_needs_holds_nothing_lazily_made(at):
    at.executor.observers.clear()
    session = at.start("m")
    lazy = (session.timers, session.armed, session.children, session.deferred, session.inbox, session.history)
    assert lazy == (None,) * 6, "history is for durable or observed sessions"


def test_it_says_where_it_stands(at):
    session = at.start("m")
    named = at.executor.create("m", name="alice", context="the adapter's")
    assert repr(session) == "<m 1 in one>"
    assert (session.path, named.path, named.context) == ("1", "alice", "the adapter's")
    assert session.root is session


@pytest.mark.parametrize(
    ("kind", "ok"),
    [("taken", True), ("deferred", True), ("queued", True), ("pending", True),
     ("ignored", False), ("refused", False), ("stale", False), ("unhandled", False), ("ended", False)],
)  # fmt: skip
def test_only_what_has_or_will_have_an_effect_is_ok(kind, ok):
    assert Outcome(kind).ok is ok
