"""Logs: what is told at which level, in which form, and that the network cannot write them."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.transport.address import Address
from calltable.b2bua.b2bua import B2BUA
from calltable.b2bua.routes import Route, Router
from calltable.observe.calls import CallLog, Cause
from calltable.observe.logs import LOGGERS, set_up


@pytest.fixture
def logged(world):
    """Calls through a B2BUA, and the log they write at a level in a form."""
    logger = logging.getLogger("calltable")
    before = (logger.handlers[:], logger.level, logger.propagate)

    def run(level, form="text", *, reject=0):
        stream = io.StringIO()
        set_up(level, form, stream)
        engine = world.engine("udp:10.0.0.3:5060")
        b2bua = B2BUA(engine, Router([Route(target="sip:10.0.0.2", name="all")]))
        CallLog(b2bua)
        world.observers = [*engine.executor.observers, *engine.executor.watchers]
        alice, bob = world.phone("alice", "10.0.0.1"), world.phone("bob", "10.0.0.2")
        bob.on_incoming = lambda call: call.reject(reject) if reject else call.answer()
        call = alice.call("sip:bob@10.0.0.3")
        world.clock.advance(2)
        call.hangup()
        world.clock.advance(1)
        assert call.ended
        return stream.getvalue().splitlines()

    yield run
    logger.handlers[:], logger.level, logger.propagate = before


def test_at_info_the_life_of_a_call_is_told(logged):
    lines = [json.loads(line) for line in logged("info", "json")]
    assert [line["message"] for line in lines] == ["call started", "call routed", "call connected", "call ended"]
    started, routed, connected, ended = lines
    assert started["from"] == "sip:alice@example.com"
    assert (started["to"], started["source"]) == ("sip:bob@10.0.0.3", "udp:10.0.0.1:5060")
    assert routed["target"] == "sip:bob@10.0.0.2"
    assert len({line["call"] for line in lines}) == 1
    assert ended["cause"] == "a.hung_up"
    assert ended["connected"] < ended["lasted"]
    assert connected["after"] == pytest.approx(0.06, abs=0.02)


def test_a_refused_call_ends_with_its_cause_and_status(logged):
    ended = json.loads(logged("info", "json", reject=486)[-1])
    assert (ended["message"], ended["cause"], ended["code"]) == ("call ended", "b.failed", 486)
    assert "connected" not in ended


def test_the_line_that_ends_a_call_says_who_ended_it_how_and_by_which_route(logged):
    ended = json.loads(logged("info", "json")[-1])
    assert (ended["call"], ended["by"], ended["code"], ended["route"]) == ("1", "caller", 200, "all")


def test_the_line_that_ends_a_refused_call_names_the_callee(logged):
    busy = json.loads(logged("info", "json", reject=486)[-1])
    assert (busy["by"], busy["code"], busy["cause"]) == ("callee", 486, "b.failed")


def test_the_reason_that_came_with_the_end_is_told():
    session = SimpleNamespace(machine=SimpleNamespace(model=SimpleNamespace(children={"b": SimpleNamespace(machine="leg/uac")})))
    bye = Request("BYE", "sip:a", [("Reason", 'Q.850;cause=16;text="done"')])
    cause = Cause()
    cause.learn(session, "b.hung_up", {"message": bye})
    cause.learn(session, "b.ended", {})
    assert (cause.event, cause.by, cause.reason) == ("b.hung_up", "callee", 'Q.850;cause=16;text="done"')
    cause.learn(session, "user.hangup", {})
    assert (cause.by, cause.reason) == ("operator", "")
    cause.learn(session, "after.ringing", {})
    assert cause.by == "timer"


def test_every_logger_is_documented_and_every_documented_one_exists():
    root = Path(__file__).parents[3]
    used = {
        name for folder in ("api", "adapters", "engine", "tools") for path in (root / folder).rglob("*.py")
        for name in re.findall(r'getLogger\("(calltable\.[\w.]+)"\)', path.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert used == set(LOGGERS)
    assert all(f"`{name}`" in (root / "docs" / "operating.md").read_text(encoding="utf-8") for name in LOGGERS)


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_never_reach_the_log(form):
    logger = logging.getLogger("calltable")
    before = (logger.handlers[:], logger.level, logger.propagate)
    stream = io.StringIO()
    set_up("info", form, stream)
    logging.getLogger("calltable.sip").info("from %s", "sip:a:hidden@x", extra={"parts": {"to": "<sip:b:hidden@y>"}})
    try:
        int("Authorization: Digest hidden")
    except ValueError:
        logger.exception("it failed")
    logger.handlers[:], logger.level, logger.propagate = before
    assert "hidden" not in stream.getvalue().replace('Digest hidden")', "")


def test_a_stranger_cannot_fill_the_log_with_malformed_messages(world, caplog):
    logger = logging.getLogger("calltable")
    propagates, logger.propagate = logger.propagate, True
    caplog.set_level("INFO", "calltable")
    engine = world.engine("udp:10.0.0.3:5060")
    stranger = world.network.attach("udp:10.0.0.9:5060")
    for number in range(500):
        stranger.send(f"INVITE broken {number}".encode(), Address("udp", "10.0.0.3", 5060))
        stranger.send(f"OPTIONS sip:a SIP/2.0\r\nTo: {number}\r\n\r\n".encode(), Address("udp", "10.0.0.3", 5060))
    world.clock.advance(60)
    logger.propagate = propagates
    assert engine.executor.counters["malformed"] == 1000
    lines = [record for record in caplog.records if record.name == "calltable.sip"]
    assert len(lines) <= 24, "of each kind some lines, and one with the count"
    assert sum(record.parts.get("repeated") or 1 for record in lines) >= 1000


def test_queued_lines_keep_their_order_and_none_is_lost():
    logger = logging.getLogger("calltable")
    before = (logger.handlers[:], logger.level, logger.propagate)
    stream = io.StringIO()
    set_up("info", "text", stream, queued=True)
    for number in range(1000):
        logger.info("line %d", number)
    logger.warning("line %d", 1000)
    assert [int(line.rpartition(" ")[2]) for line in stream.getvalue().splitlines()] == list(range(1001)), "a warning waits for nobody"
    logger.info("line %d", 1001)
    logger.handlers[0].close()
    assert stream.getvalue().splitlines()[-1].endswith("line 1001")
    logger.handlers[:], logger.level, logger.propagate = before


def test_at_debug_every_step_is_a_line_with_its_row(logged):
    lines = [json.loads(line) for line in logged("debug", "json")]
    steps = [line for line in lines if line["logger"] == "calltable.steps"]
    line = next(step for step in steps if step.get("row") == "uas.waiting.answer")
    assert (line["leg"], line["event"], line["before"], line["after"]) == ("a", "user.answer", "incoming", "answering")
    assert {s["call"] for s in steps if s["machine"] == "transaction/invite_client"} == {line["call"]}
    assert {"transaction/invite_server", "leg/uac", "b2bua/bridge"} <= {step["machine"] for step in steps}
    assert {"taken", "ignored"} <= {step["message"] for step in steps}


def test_at_error_nothing_is_told_and_nothing_watches(logged, world):
    assert logged("error") == []
    assert world.observers == []


def test_as_text_a_line_has_its_time_level_and_parts(logged):
    first = logged("info")[0]
    assert first[10] == "T"
    assert " info    call started  call=" in first
    assert " from=sip:alice@example.com " in first


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_comes_from_the_network_cannot_forge_a_line(form):
    logger = logging.getLogger("calltable")
    before = (logger.handlers[:], logger.level, logger.propagate)
    stream = io.StringIO()
    set_up("info", form, stream)
    evil = "sip:x\r\n2026 info call ended\x1b[2J"
    logging.getLogger("calltable.calls").info("from %s", evil, extra={"parts": {"from": evil, "quiet": "", "n": None}})
    logger.handlers[:], logger.level, logger.propagate = before
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert "quiet" not in line


def test_an_exception_is_logged_with_its_traceback():
    logger = logging.getLogger("calltable")
    before = (logger.handlers[:], logger.level, logger.propagate)
    stream = io.StringIO()
    set_up("info", "json", stream)
    try:
        int("broken")
    except ValueError:
        logger.exception("it failed")
    logger.handlers[:], logger.level, logger.propagate = before
    assert "ValueError: invalid literal" in json.loads(stream.getvalue())["exception"]
