"""Listing and ending calls by condition, as the control socket does it, on the virtual clock."""

from __future__ import annotations

import pytest

from calltable.b2bua.routes import Route, Router
from calltable.control.calls import hang_up, list_calls
from calltable.control.unix import ControlError
from calltable.simulation import Simulation
from calltable.tools.asking import duration, listed
from calltable.tools.commands.calls import told


@pytest.fixture
def scene():
    """A B2BUA with two calls: the first connected, the second, a minute later, ringing."""
    sim = Simulation(4)
    sim.b2bua()
    server = sim.servers["b2bua"]
    alice, bob = sim.agent("alice"), sim.agent("bob")
    server.router = Router([
        Route(uri="^sip:one@", target=sim.uri("bob"), name="first"), Route(target=sim.uri("bob"), name="second")
    ])  # fmt: skip
    answering = [True, False]
    bob.incoming_call = lambda call: call.answer() if answering.pop(0) else call.ring()
    alice.call(sim.uri("b2bua", "one"))
    sim.run(60)
    alice.call(sim.uri("b2bua", "two"))
    sim.run(1)
    return sim, server


def numbers(found):
    return [call["call"] for call in found["calls"]]


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ({}, ["1", "2"]),
        ({"call": "2"}, ["2"]),
        ({"state": "connected"}, ["1"]),
        ({"route": "second"}, ["2"]),
        ({"older": 30}, ["1"]),
        ({"called": "SIP:TWO@"}, ["2"]),
        ({"caller": "alice"}, ["1", "2"]),
        ({"caller": "alice", "state": "ringing", "route": "first"}, []),
    ],
)
def test_calls_are_found_by_what_is_known_of_them(scene, condition, meant):
    _, server = scene
    found = list_calls(server, condition)
    assert numbers(found) == meant
    assert found["count"] == len(meant)


def test_one_call_is_shown_with_its_legs_states_and_last_rows(scene):
    _, server = scene
    (call,) = list_calls(server, {"call": "1", "whole": True})["calls"]
    assert [(one["session"], one["machine"], one["state"]) for one in call["sessions"]] == [
        ("1", "b2bua/bridge", "connected"), ("1.a", "leg/uas", "active"), ("1.b", "leg/uac", "active"),
    ]  # fmt: skip
    assert call["sessions"][0]["rows"][-1]["row"] == "bridge.joined.confirmed"
    assert {one["call_id"] for one in call["sessions"][1:]} >= {call["call_id"]}
    shown = "\n".join(told(call))
    assert "call 1: connected, up for 1m00s, connected for 1m00s" in shown
    assert "bridge.joined.confirmed" in shown


def test_a_call_that_is_not_up_is_an_error_that_says_what_is(scene):
    _, server = scene
    with pytest.raises(ControlError, match="no active call 7; active: 1, 2"):
        list_calls(server, {"call": "7"})


@pytest.mark.parametrize("request_", [{"older": "an hour"}, {"state": 7}, {"older": True}])
def test_a_condition_of_the_wrong_kind_is_refused(scene, request_):
    _, server = scene
    with pytest.raises(ControlError, match="must be a"):
        list_calls(server, request_)


def test_a_call_is_ended_by_its_own_rows_with_a_reason_for_both_sides(scene):
    sim, server = scene
    found = hang_up(server, {"call": "1", "reason": "line check"})
    assert numbers(found) == ["1"]
    sim.run(1)
    assert numbers(list_calls(server, {})) == ["2"]
    byes = [packet.data for packet in sim.packets() if packet.data.startswith(b"BYE")]
    assert len(byes) == 2
    assert all(b'Reason: Q.850;cause=31;text="line check"\r\n' in bye for bye in byes)
    hang_up(server, {"all": True})
    sim.finish()


@pytest.mark.parametrize(("request_", "why"), [({}, "no calls selected"), ({"call": "1", "reason": "a\r\nX: b"}, "printable")])
def test_a_hang_up_without_a_condition_or_with_a_forged_reason_is_refused(scene, request_, why):
    _, server = scene
    with pytest.raises(ControlError, match=why):
        hang_up(server, request_)
    assert len(server.records) == 2


def test_passwords_are_not_listed():
    sim = Simulation(4)
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.ring()
    alice.call(sim.uri("b2bua", "bob").replace("bob@", "bob:hidden@"))
    sim.run(1)
    assert "hidden" not in str(list_calls(sim.servers["b2bua"], {"call": "1", "whole": True}))


def test_a_table_of_calls_is_aligned(scene):
    _, server = scene
    lines = list(listed(list_calls(server, {})))
    assert lines[0].split() == ["call", "state", "age", "connected", "route", "from", "to"]
    assert lines[1].split()[:5] == ["1", "connected", "1m00s", "1m00s", "first"]
    assert lines[2].split()[:5] == ["2", "ringing", "1.0s", "-", "second"]
    assert lines[-1] == "2 calls"


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0s"), (59.9, "59.9s"), (65, "1m05s"), (7260, "2h01m")])
def test_times_are_written_for_people(seconds, text):
    assert duration(seconds) == text
