"""``calltable replay`` and ``calltable why``: what they print, and their exit codes."""

from __future__ import annotations

import json

import pytest

from calltable.observe.entry import dump
from calltable.observe.trace import Tracer
from calltable.simulation import Simulation
from calltable.tools.main import main

pytestmark = pytest.mark.slow

OVERLAY = """\
calltable: 1
overlay: leg/uas
replace:
  - id: uas.waiting.progress
    state: waiting
    event: user.progress
    overrides: leg.idle.commands
    actions: [sip.respond: {to: invite, code: 183}]
    next_state: early
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """Two calls through a B2BUA: an answered one, and one that was busy."""
    simulation = Simulation(seed=3)
    server = simulation.b2bua()
    alice, bob = simulation.agent("alice"), simulation.agent("bob")
    entries = []
    Tracer(server.engine, entries.append)
    for reject in (False, True):
        call = alice.call(simulation.uri("b2bua", "bob"))
        simulation.run(1.0)
        bob.last.ring()
        simulation.run(1.0)
        bob.last.reject(486) if reject else bob.last.answer()
        simulation.run(2.0)
        if not reject:
            call.hangup()
        simulation.run(60.0)
    path = tmp_path_factory.mktemp("replay") / "calls.jsonl"
    path.write_text("".join(dump(entry) + "\n" for entry in entries))
    return path


@pytest.fixture
def overlay(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(OVERLAY)
    return path


def test_all_calls_are_listed_with_their_verdict(trace, capsys):
    assert main(["replay", str(trace)]) == 0
    out = capsys.readouterr().out
    assert out.count("goes as captured") == 2
    assert "2 calls, 0 part from the tables" in out


def test_one_call_is_shown_row_by_row_with_what_each_follows_from(trace, capsys):
    assert main(["replay", str(trace), "--call", "1"]) == 0
    out = capsys.readouterr().out
    assert "INVITE from 10.0.0.2:5060" in out
    assert "bridge.start  idle → routing" in out
    assert out.index("uac.unanswered.success") < out.index("uas.waiting.answer")


def test_a_table_that_does_something_else_is_told_with_row_and_moment(trace, overlay, capsys):
    assert main(["replay", str(trace), "--call", "1", "--overlay", str(overlay), "--ladder"]) == 1
    out = capsys.readouterr().out
    assert "first divergence at 1.0" in out
    assert "the capture has 180 (INVITE) to 10.0.0.2:5060; the tables send 183 (INVITE) to 10.0.0.2:5060" in out
    assert "by row uas.waiting.progress" in out
    assert "183 Session Progress" in out


def test_json_says_the_same_for_programs(trace, overlay, capsys):
    assert main(["replay", str(trace), "--overlay", str(overlay), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["machine"] for one in found] == ["b2bua/bridge", "b2bua/bridge"]
    assert all(one["divergence"]["tables"].startswith("send 183") for one in found)


def test_a_test_is_written_for_one_call_only(trace, tmp_path, capsys):
    file = tmp_path / "test_it.py"
    assert main(["replay", str(trace), "--write-test", str(file)]) == 2
    assert "say which one" in capsys.readouterr().err
    assert main(["replay", str(trace), "--call", "2", "--write-test", str(file)]) == 0
    text = file.read_text()
    compile(text, str(file), "exec")
    assert "'uac.unanswered.failure'" in text


def test_the_machine_at_the_top_can_be_named(trace, capsys):
    assert main(["replay", str(trace), "--call", "2", "--table", "leg/uas"]) == 1
    assert "rows of leg/uas and below" in capsys.readouterr().out
    assert main(["replay", str(trace), "--table", "leg/usa"]) == 2
    assert "no table and no file leg/usa" in capsys.readouterr().err


def test_what_is_no_capture_exits_2(tmp_path, capsys):
    assert main(["replay", str(tmp_path / "none")]) == 2
    (tmp_path / "text").write_text("hello")
    assert main(["replay", str(tmp_path / "text")]) == 2
    assert "this is not a trace" in capsys.readouterr().err


# --------------------------------------------------------------------------- why


def test_why_tells_the_row_its_guard_and_what_stopped_the_others(trace, capsys):
    assert main(["why", "1", "200 (INVITE)", "--trace", str(trace)]) == 0
    out = capsys.readouterr().out
    assert "leg/uac 1.b: sip.invite.success in early → active" in out
    assert "taken     uac.unanswered.success: its guard holds (offered = true)" in out
    assert "failed    uac.unanswered.success_offer: its guard «not offered» does not hold (offered = true)" in out


def test_why_tells_of_one_row_why_it_did_not_fire(trace, capsys):
    assert main(["why", "1", "--row", "uac.unanswered.success_offer", "--trace", str(trace)]) == 0
    out = capsys.readouterr().out
    assert "its guard «not offered» does not hold (offered = true); uac.unanswered.success took it" in out
    assert main(["why", "2", "BYE", "--row", "leg.quiet.bye", "--trace", str(trace)]) == 2
    assert "no message BYE came in" in capsys.readouterr().err


def test_why_tells_of_a_row_whose_state_was_another(trace, capsys):
    assert main(["why", "2", "--row", "uac.cancelling.failure", "--trace", str(trace)]) == 0
    assert "it is a row for cancelling, and the session was in early; uac.unanswered.failure took it" in capsys.readouterr().out
    assert main(["why", "1", "180", "--row", "uac.idle.bye", "--trace", str(trace)]) == 0
    assert "no session of leg/uac" in capsys.readouterr().out


def test_why_suggests_the_row_that_was_meant(trace, capsys):
    assert main(["why", "1", "--row", "uac.unanswered.sucess", "--trace", str(trace)]) == 2
    assert "did you mean uac.unanswered.success?" in capsys.readouterr().err
