"""The adapter's value: moved by events, drawn from by effects, and true in the commit of the row that takes the event."""

from __future__ import annotations

import pytest

from calltable.engine.language.load import load_tables
from calltable.engine.run.compile import compile_machine
from tests.engine.conftest import CATALOGUE
from tests.engine.run.stores import Records
from tests.engine.run.test_executor import table

ROWS = (
    "{id: go, state: one, event: user.go, actions: [work: {n: 1}, note: {text: $event.by}, work: {n: 2}], next_state: two}",
    "{id: a, state: one, event: user.a, ignore: late}",
    "{id: b, state: one, event: user.b, defer: true}",
    "{id: b.two, state: two, event: user.b, actions: [note: {text: b}]}",
    "{id: done, state: any, event: work.done, ignore: late}",
)


def changed(*rows: str, durable: bool = False) -> str:
    text = table(*(row.replace("$event.by", "x") for row in rows))
    return text.replace("initial:", "durable: true\ninitial:", 1) if durable else text


def number(session, parameters, value):
    """The next number of a sequence: what a CSeq is to a dialog."""
    return (value or 0) + 1, {"number": (value or 0) + 1, "of": parameters["n"]}


@pytest.fixture(name="at", params=[False, True], ids=["light", "durable"])
def _at(world, request):
    at = world(changed(*ROWS, durable=request.param), store=Records())
    at.executor.draw({"work": number})
    return at


def stored(at):
    """The value, the version, the state and the last step's draws, as the store holds them."""
    [(_, record)] = at.executor.store.load()
    return record["value"], record["version"], record["state"], [parameters.get("drawn") for _, parameters in record["effects"]]


def test_an_event_changes_the_value_in_the_commit_of_the_row_that_takes_it(at):
    session = at.start("m")
    assert session.value is None
    at.executor.draws.clear()
    at.executor.dispatch(session, "user.go", {}, lambda value: (value, "moved"))
    assert session.value == (None, "moved")
    if session.machine.durable:
        assert stored(at)[0] == [None, "moved"]


def test_each_effect_draws_from_what_the_one_before_has_left_and_its_handler_is_given_what_it_drew(at):
    session = at.start("m")
    at.executor.dispatch(session, "user.go", {}, lambda value: 40)
    assert [entry for entry in at.log if entry[0] == "work"] == [
        ("work", 1, {"number": 41, "of": 1}), ("work", 2, {"number": 42, "of": 2}),
    ]  # fmt: skip
    assert at.notes() == ["x"], "an action that draws nothing is given nothing more"
    assert session.value == 42
    if session.machine.durable:
        assert stored(at) == (42, 2, "two", [{"number": 41, "of": 1}, None, {"number": 42, "of": 2}])


@pytest.mark.parametrize(("event", "kind"), [("user.a", "ignored"), ("user.b", "deferred"), ("user.c", "refused")])
def test_what_has_arrived_moves_the_value_though_no_row_takes_it(at, event, kind):
    session = at.start("m")
    assert at.executor.dispatch(session, event, {"n": 1}, lambda value: "seen").kind == kind
    assert session.value == "seen"
    if session.machine.durable:
        assert stored(at) == ("seen", 2, "one", [])
        assert session.version == 2
    else:
        assert session.version == 1


def test_an_event_that_moves_nothing_and_is_ignored_is_no_commit(at):
    session = at.start("m")
    at.executor.dispatch(session, "user.a", {"n": 1}, lambda value: value)
    assert session.version == 1


def test_a_deferred_event_does_not_bring_its_change_again(at):
    session = at.start("m")
    at.executor.dispatch(session, "user.b", {"n": 1}, lambda value: (value or 0) + 1)
    at.executor.draws.clear()
    at.give(session, "user.go")
    assert at.notes() == ["x", "b"]
    assert session.value == 1


def test_an_event_that_no_row_handles_changes_nothing(at):
    session = at.start("m")
    assert at.executor.dispatch(session, "no.such", {}, lambda value: "moved").kind == "unhandled"
    assert session.value is None


@pytest.mark.parametrize("breaks", ["change", "draw"])
def test_a_change_or_a_draw_that_raises_fails_the_session_and_nothing_of_the_row_is_true(at, breaks):
    def broken(*_):
        raise LookupError(breaks)

    session = at.start("m")
    if breaks == "draw":
        at.executor.draw({"note": lambda s, p, value: broken() if p["text"] == "x" else (value, None)})
    assert at.executor.dispatch(session, "user.go", {}, broken if breaks == "change" else None) == ("taken", "failed")
    assert at.notes() == [f"user.go: LookupError('{breaks}')"]
    assert session.value is None
    assert ("work", 1, {"number": 1, "of": 1}) not in at.log


def test_a_queued_event_brings_its_change_along(world):
    at = world(
        changed(*ROWS[1:], "{id: go, state: one, event: user.go, actions: [work], next_state: two}"),
        handlers={"work": lambda session, p: at.executor.post(session, "user.b", {"n": 1}, lambda value: f"{value} and more")},
    )
    session = at.start("m")
    at.executor.dispatch(session, "user.go", {}, lambda value: "one")
    assert session.value == "one and more"


def test_a_session_may_begin_with_a_value(world):
    at = world(changed(*ROWS, durable=True), store=Records())
    session = at.executor.create("m", value="dialog")
    assert (session.value, stored(at)[0]) == ("dialog", "dialog")


def test_a_row_whose_commit_is_refused_leaves_the_value_as_it_was(world):
    store = Records()
    at = world(changed(*ROWS, durable=True), store=store)
    at.executor.draw({"work": number})
    session = at.start("m")
    store.kept[session.id]["version"] = 9
    at.executor.dispatch(session, "user.go", {}, lambda value: 40)
    assert session.value is None


def test_with_a_store_that_answers_later_the_value_moves_when_it_has_answered(world):
    store = Records()
    at = world(changed(*ROWS, durable=True), store=store)
    at.executor.draw({"work": number})
    session = at.start("m")
    store.later = True
    assert at.executor.dispatch(session, "user.a", {"n": 1}, lambda value: 10).kind == "pending"
    assert at.executor.dispatch(session, "user.go", {}, lambda value: value + 10).kind == "queued"
    assert session.value is None
    store.answer()
    assert session.value == 10
    store.answer()
    assert session.value == 22
    assert at.log[-1] == ("work", 2, {"number": 22, "of": 2})


def test_an_action_that_draws_has_no_parameter_of_that_name(world):
    at = world(changed("{id: go, state: one, event: user.go, actions: [note: {text: x}]}"))
    at.executor.draw({"drawing": number})
    at.executor.handlers["drawing"] = at.note
    catalogue = CATALOGUE.replace("actions:\n", "actions:\n  drawing: {doc: x, parameters: {drawn: {type: int, default: 1}}}\n")
    text = changed("{id: go, state: one, event: user.go, actions: [drawing: {drawn: 1}]}")
    other = compile_machine(load_tables(texts={"small.yaml": catalogue, "m.yaml": text}).machines["m"], {})
    with pytest.raises(LookupError, match=r"drawing draws, .* so it cannot have a parameter of that name \(row go\)"):
        at.executor.add(other)


def test_the_failure_row_of_a_session_whose_commit_is_refused_draws_too(world):
    """What settles the call is not committed any more, but its handlers get what they are promised."""
    store = Records()
    at = world(changed(*ROWS, durable=True), store=store)
    at.executor.draw({"note": lambda session, parameters, value: (value, "a number")})
    session = at.start("m")
    store.kept[session.id]["version"] = 9
    at.give(session, "user.hangup")
    [note] = [entry for entry in at.log if entry[0] == "note"]
    assert note[-1] == "a number"


def test_an_error_without_words_fails_its_session_all_the_same(at):
    class SilentError(Exception):
        def __repr__(self):
            raise ValueError("no words")

    def broken(*_):
        raise SilentError

    session = at.start("m")
    assert at.executor.dispatch(session, "user.go", {}, broken) == ("taken", "failed")
    assert at.notes() == ["user.go: SilentError"]
