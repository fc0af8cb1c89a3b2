"""Replays: simulated calls are recorded, replayed, and have to take the same rows; changed tables have to part from them."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from types import SimpleNamespace

import pytest

from calltable.adapters.sip.transport.address import Address
from calltable.engine.language.load import load_tables
from calltable.loading import Tables
from calltable.observe.entry import Entry
from calltable.observe.trace import Tracer
from calltable.replay import replay, root_of
from calltable.replay.calls import Call, CallError, calls, pick
from calltable.replay.capture import Capture, Captured, from_trace
from calltable.simulation import Simulation, shipped_tables
from calltable.simulation.crowd import Crowd, Mix
from calltable.tools.commands.replay import written


class Recording:
    """A simulation of caller, B2BUA and callee of which one element is traced, and the network captured."""

    def __init__(self, watched: str = "b2bua", *, tables: Tables | None = None, transport: str = "udp") -> None:
        self.simulation = sim = Simulation(1, tables=tables)
        sim.b2bua(address=f"{transport}:10.0.0.1:5060")
        self.alice = sim.agent("alice", f"{transport}:10.0.0.2:5060")
        self.bob = sim.agent("bob", f"{transport}:10.0.0.3:5060")
        self.entries: list[Entry] = []
        self.watched = sim.addresses[watched]
        Tracer(sim.engines[watched], self.entries.append)

    def answered_call(self, seconds: float = 5.0):
        call = self.place()
        self.bob.last.ring()
        self.simulation.run(1.0)
        self.bob.last.answer()
        self.simulation.run(seconds)
        return call

    def place(self, **options):
        call = self.alice.call(self.simulation.uri("b2bua", "bob"), **options)
        self.simulation.run(1.0)
        return call

    def over(self) -> Recording:
        self.alice.hangup()
        self.simulation.finish()
        return self

    @property
    def trace(self) -> Capture:
        return from_trace(self.entries)

    @property
    def network(self) -> Capture:
        """What a packet capture on the wire would hold: no directions, no steps, no calls."""
        packets = [one for one in self.simulation.network.log if one.delivered is not None]
        return Capture("network", "pcap", [Captured(one.sent, one.source, one.destination, one.data) for one in packets])

    def rows(self) -> list[str]:
        """Without those of the phone above a leg: they are not walked."""
        return [entry.row for entry in self.entries if entry.kind == "step" and entry.row and not entry.machine.startswith("phone/")]


@lru_cache(maxsize=4)
def changed(file: str, old: str, new: str) -> Tables:
    """The shipped tables with one edit, not checked: what a broken table does is what is asked."""
    from pathlib import Path

    from calltable.engine.run.compile import compile_machine
    from calltable.tables import files

    texts = {str(path): path.read_text() for path in Path(str(files())).rglob("*.yaml")}
    (name,) = [one for one in texts if one.endswith(file)]
    assert texts[name].count(old) == 1
    texts[name] = texts[name].replace(old, new)
    library = load_tables(texts=texts)
    tables = Tables.__new__(Tables)
    tables.library = library
    tables.config = {key: one.default for key, one in library.catalogue.config.items()}
    tables.machines = {key: compile_machine(one, tables.config) for key, one in library.machines.items()}
    return tables


def test_a_traced_call_takes_the_rows_that_were_logged():
    recording = Recording()
    recording.answered_call()
    (call,) = calls(recording.over().trace)
    found = replay(call, shipped_tables())
    assert found.divergence is None
    assert found.rows == recording.rows()
    assert found.machine == "b2bua/bridge"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_capture_of_the_network_takes_the_rows_that_were_logged(transport):
    recording = Recording(transport=transport)
    recording.answered_call()
    (call,) = calls(recording.over().network)
    found = replay(call, shipped_tables())
    assert found.divergence is None
    assert found.rows == recording.rows()
    assert {one.local.host for one in call.messages} == {"10.0.0.1"}


def test_a_command_to_the_call_is_given_again():
    recording = Recording()
    recording.answered_call()
    recording.simulation.servers["b2bua"].hangup()
    recording.simulation.finish()
    for capture in (recording.trace, recording.network):
        (call,) = calls(capture)
        found = replay(call, shipped_tables())
        assert found.divergence is None
        assert "bridge.hangup" in found.rows
        names: dict = {}
        exec(written(found, "here", [], []), names)
        assert names["COMMANDS"][0][1] == "user.hangup"
        names["test_the_captured_call_goes_as_it_went"]()


@pytest.mark.parametrize("early", ["before any answer", "while it rings"])
def test_an_operator_who_hangs_up_early_is_seen_in_a_capture(early):
    recording = Recording()
    recording.place()
    if early == "while it rings":
        recording.bob.last.ring()
        recording.simulation.run(1.0)
    recording.simulation.servers["b2bua"].hangup()
    recording.simulation.finish()
    for capture in (recording.trace, recording.network):
        (call,) = calls(capture)
        found = replay(call, shipped_tables())
        assert found.divergence is None, str(found.divergence)
        assert found.rows == recording.rows()


def test_a_timer_of_the_table_that_ends_a_call_is_no_operator():
    recording = Recording()
    recording.place()
    recording.bob.last.ring()
    recording.simulation.run(200.0)
    recording.simulation.finish()
    (call,) = calls(recording.network)
    found = replay(call, shipped_tables())
    assert found.divergence is None
    assert "uac.early.no_answer" in found.rows
    assert "bridge.hangup" not in found.rows


def test_a_refused_call_is_refused_as_it_was():
    recording = Recording()
    recording.alice.call(recording.simulation.uri("b2bua", "nobody"))
    recording.simulation.finish()
    (call,) = calls(recording.network)
    found = replay(call, shipped_tables())
    assert found.divergence is None
    assert "bridge.routing.rejected" in found.rows
    assert [sent.label for sent in found.sent] == ["100 (INVITE)", "404 (INVITE)"]


@pytest.mark.parametrize("role", ["alice", "bob"])
def test_a_single_leg_is_replayed_with_what_its_owner_must_have_said(role):
    recording = Recording(role)
    call = recording.answered_call()
    call.hold()
    recording.simulation.run(2.0)
    call.request("INFO", b"hello")
    recording.simulation.run(1.0)
    call.hangup()
    recording.simulation.finish()
    (one,) = calls(recording.network, [recording.watched])
    found = replay(one, shipped_tables())
    assert found.machine == ("leg/uac" if role == "alice" else "leg/uas")
    assert found.divergence is None, str(found.divergence)
    assert found.rows == recording.rows()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_calls_of_a_crowd_over_a_bad_network_are_replayed_row_by_row(seed):
    crowd = Crowd(f"replay {seed}", 10, Mix(loss=0.1, duplicate=0.1, reorder=0.1, tcp=0.25), None, None, trace=False)
    entries: list[Entry] = []
    Tracer(crowd.simulation.engines["b2bua"], entries.append)
    assert crowd.run() == []
    found = calls(from_trace(entries))
    assert len(found) == 10
    for call in found:
        again = replay(call, shipped_tables())
        assert again.divergence is None, f"{call}: {again.divergence}"
        assert again.rows == [step.row for step in call.steps if step.row]


def test_the_first_message_that_differs_is_told_with_the_row_that_sent_it():
    recording = Recording()
    recording.answered_call()
    (call,) = calls(recording.over().network)
    old = "actions: [sip.respond: {to: invite, code: $event.code, message: $event.message}]\n    next_state: early"
    found = replay(call, changed("leg/uas.yaml", old, old.replace("$event.code", "183")))
    parts = found.divergence
    assert parts is not None
    assert parts.captured == "has 180 (INVITE) to 10.0.0.2:5060"
    assert parts.tables == "send 183 (INVITE) to 10.0.0.2:5060"
    assert "uas.waiting.progress" in parts.row
    assert parts.after == "180 (INVITE) from 10.0.0.3:5060"


def test_a_message_that_the_tables_do_not_send_is_told():
    recording = Recording()
    call = recording.place()
    recording.bob.last.ring()
    recording.simulation.run(1.0)
    call.hangup()
    recording.simulation.run(0.006)  # leg b was told to cancel, and the callee answers before he hears it
    recording.bob.last.answer()
    (one,) = calls(recording.over().network)
    old = 'actions: [sip.acknowledge, sip.bye]\n    next_state: ending\n    locked: true\n    doc: "RFC 5407 §3.1.2'
    broken = changed("leg/uac.yaml", old, old.replace("[sip.acknowledge, sip.bye]", "[sip.bye]"))
    assert replay(one, shipped_tables()).divergence is None
    parts = replay(one, broken).divergence
    assert parts is not None
    assert (parts.captured, parts.tables) == ("has ACK to 10.0.0.3:5060", "send nothing of the kind")
    assert parts.after.endswith("from 10.0.0.3:5060")


def test_a_trace_shows_another_row_even_where_the_wire_is_the_same():
    recording = Recording()
    recording.answered_call()
    (call,) = calls(recording.over().trace)
    found = replay(call, changed("b2bua/bridge.yaml", "id: bridge.unanswered.progress", "id: bridge.unanswered.ringing"))
    assert found.divergence is not None
    assert found.divergence.captured == "took bridge.unanswered.progress (b2bua/bridge) on b.progress"


def test_names_of_the_captured_element_are_rewritten_wherever_they_stand():
    recording = Recording()
    recording.answered_call()
    (call,) = calls(recording.over().network)
    found = replay(call, shipped_tables())
    theirs = {one.message.via.branch for one in call.messages if one.out and not one.label[0].isdigit()}
    ours = {sent.message.via.branch for sent in found.sent if not sent.label[0].isdigit()}
    assert not theirs & ours
    assert all(sent.pair is not None for sent in found.sent)


def test_two_calls_that_overlap_are_kept_apart():
    recording = Recording()
    first = recording.answered_call(0.5)
    second = recording.alice.call(recording.simulation.uri("b2bua", "bob"))
    recording.simulation.run(1.0)
    recording.bob.last.reject(486)
    recording.simulation.run(1.0)
    first.hangup()
    found = calls(recording.over().network)
    assert [len(call.call_ids) for call in found] == [2, 2]
    assert [replay(call, shipped_tables()).divergence for call in found] == [None, None]
    assert second.ended
    assert pick(found, "2") is found[1]
    assert pick(found, found[1].call_ids[1]) is found[1]
    with pytest.raises(CallError, match="there are 2 calls"):
        pick(found, None)
    with pytest.raises(CallError, match="no call has the number or Call-ID xyz; there are"):
        pick(found, "xyz")


def test_a_number_that_no_call_has_is_not_taken_for_the_beginning_of_a_call_id():
    one = SimpleNamespace(number="1", call_ids=("9abc@h",))
    assert pick([one], "9abc") is one
    with pytest.raises(CallError, match="no call has the number or Call-ID 9"):
        pick([one], "9")


def test_a_capture_without_calls_says_so():
    with pytest.raises(CallError, match="there is no call in it"):
        calls(Capture("empty", "pcap", []))


def test_our_side_can_be_named():
    recording = Recording()
    recording.answered_call()
    network = recording.over().network
    (call,) = calls(network, [Address("udp", "10.0.0.3", 5060)])
    assert root_of(call) == "leg/uas"
    assert {one.local.host for one in call.messages} == {"10.0.0.3"}


def test_an_unknown_machine_is_refused():
    recording = Recording()
    recording.answered_call()
    (call,) = calls(recording.over().network)
    with pytest.raises(LookupError, match="no table leg/nothing"):
        replay(call, shipped_tables(), machine="leg/nothing")


@pytest.mark.slow
def test_a_written_test_passes_on_these_tables_and_fails_on_broken_ones(tmp_path):
    recording = Recording()
    recording.answered_call()
    (call,) = calls(recording.over().trace)
    file = tmp_path / "test_incident.py"
    file.write_text(written(replay(call, shipped_tables()), "here", [], []))
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    assert subprocess.run(run, check=False, capture_output=True, cwd=tmp_path).returncode == 0
    overlay = tmp_path / "broken.yaml"
    overlay.write_text(
        "calltable: 1\noverlay: leg/uas\nreplace:\n  - id: uas.waiting.progress\n    state: waiting\n    event: user.progress\n"
        "    overrides: leg.idle.commands\n    actions: [sip.respond: {to: invite, code: 183}]\n    next_state: early\n"
    )
    file.write_text(written(replay(call, Tables(overlays=[overlay])), "here", [], [overlay]))
    done = subprocess.run(run, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "the tables send 183 (INVITE)" in done.stdout


def test_a_call_is_known_by_any_of_its_call_ids():
    recording = Recording()
    recording.answered_call()
    (call,) = calls(recording.over().network)
    assert isinstance(call, Call)
    assert len(call.call_ids) == 2
    assert pick([call], call.call_ids[1][:12]) is call
