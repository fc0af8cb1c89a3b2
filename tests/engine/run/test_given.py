"""What Python hands to the engine: functions that do not wait, parameters as declared, constants that stay, and one thread."""

from __future__ import annotations

import functools
import threading

import pytest

from calltable.engine.run.compile import compile_machine
from tests.engine.run.test_children import CHILD
from tests.engine.run.test_executor import table

GO = "{id: go, state: one, event: user.go, actions: [note: {text: x}]}"


# --------------------------------------------------------------------------- async functions


async def waits(*_):
    return True


class Waiting:
    async def __call__(self, *_):
        return True


@pytest.mark.parametrize("function", [waits, functools.partial(waits, 1), Waiting()], ids=["def", "partial", "object"])
def test_an_async_predicate_is_refused_when_it_is_given(world, function):
    at = world(table(GO))
    with pytest.raises(TypeError, match="predicate explode is an async function, and the engine does not wait"):
        compile_machine(at.library.machines["m"], {"low": 0.1}, {"explode": function})


@pytest.mark.parametrize("function", [waits, functools.partial(waits, 1), Waiting()], ids=["def", "partial", "object"])
def test_an_async_handler_is_refused_before_a_machine_that_needs_it_is_added(world, function):
    at = world(table(GO))
    at.executor.machines.clear()
    at.executor.handlers["note"] = function
    with pytest.raises(TypeError, match=r"table0.yaml:\d+:\d+: the handler of note \(row go\) is an async function"):
        at.executor.add(at.machines["m"])
    assert not at.executor.machines


# --------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, r"child: parameter n \(int\) is missing$"),
        ({"m": 1}, r"child: parameter n \(int\) is missing; there is no parameter m: known: n, text"),
        ({"n": None}, r"child: parameter n \(int\) is null"),
        ({"n": "7"}, "child: parameter n must be int, not '7'"),
        ({"n": True}, "child: parameter n must be int, not True"),
        ({"n": 7, "text": 8}, r"child: parameter text must be string\?, not 8"),
        ({"n": 7, "txt": "hi"}, "child: there is no parameter txt: did you mean text?"),
    ],
)
def test_a_machine_is_started_with_what_it_declares(world, parameters, said):
    at = world(CHILD)
    with pytest.raises(ValueError, match=said):
        at.executor.start("child", **parameters)
    assert not at.executor.sessions


def test_what_may_be_left_out_may_be_left_out(world):
    at = world(CHILD)
    assert at.executor.start("child", n=7).state == "young"
    assert at.executor.start("child", n=7, text=None).state == "young"
    assert at.executor.start("child", n=7, text="hi").state == "young"


# --------------------------------------------------------------------------- constants


def test_a_handler_cannot_change_what_every_other_session_is_given(world):
    def note(session, parameters):
        parameters["text"] = "changed"

    at = world(table(GO, "{id: c, state: one, event: user.c, publish: [said: {n: 1}]}"), handlers={"note": note})
    session = at.start("m")
    at.give(session, "user.go")
    assert session.ended, "it fails like any handler that raises"
    assert at.executor.counters["effects failed"] == 1
    effects = at.machines["m"].cells["one"]["user.go"](session, {})[2]
    assert effects[0][1]["text"] == "x"


# --------------------------------------------------------------------------- threads


def elsewhere(work):
    """What a thread of its own raises."""
    found = []

    def run():
        try:
            work()
        except RuntimeError as error:
            found.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found, thread.ident


@pytest.mark.parametrize("way", ["dispatch", "post", "start"])
def test_another_thread_is_refused_with_words(world, way):
    at = world(table(GO))
    session = at.start("m")
    give = {
        "dispatch": lambda: at.executor.dispatch(session, "user.go"), "post": lambda: at.executor.post(session, "user.go"),
        "start": lambda: at.executor.start("m"),
    }  # fmt: skip
    [said], ident = elsewhere(give[way])
    assert f"belongs to thread {threading.get_ident()}, and thread {ident} gives it an event" in said
    assert at.notes() == []
    assert list(at.executor.sessions) == [session.id]
    assert at.give(session, "user.go").ok


def test_the_thread_that_gives_the_first_event_is_the_executors(world):
    at = world(table(GO))
    assert elsewhere(lambda: at.start("m"))[0] == []
    with pytest.raises(RuntimeError, match="belongs to thread"):
        at.start("m")
