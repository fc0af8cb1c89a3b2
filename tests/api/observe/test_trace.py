"""Traces: which rows took a message, whose call it was, and that nothing is lost on the way to a file."""

from __future__ import annotations

import os

import pytest

from calltable.adapters.sip.transport.address import Address
from calltable.assembly import Engine
from calltable.b2bua.b2bua import B2BUA
from calltable.b2bua.routes import Route, Router
from calltable.observe.entry import Entry, TraceError, dump, of_call, read_trace
from calltable.observe.file import TraceFile, last_number
from calltable.observe.trace import Tracer


@pytest.fixture
def traced(world):
    """A call through a B2BUA that is watched: its records, and the phones."""
    engine = world.engine("udp:10.0.0.3:5060")
    engine.stack.screening.any_content = True
    b2bua = B2BUA(engine, Router([Route(target="sip:10.0.0.2")]))
    entries: list[Entry] = []
    tracer = Tracer(engine, entries.append, epoch=1000.0)
    alice, bob = world.phone("alice", "10.0.0.1"), world.phone("bob", "10.0.0.2")
    bob.on_incoming = lambda call: (call.ring(), world.clock.call_at(world.clock.time() + 1, call.answer))
    world.entries, world.tracer, world.b2bua, world.alice = entries, tracer, b2bua, alice
    return world


def call(world):
    placed = world.alice.call("sip:bob@10.0.0.3")
    world.clock.advance(2)
    assert placed.state == "active"
    placed.hangup()
    world.clock.advance(100)
    assert placed.ended
    return placed


def of(entries, kind, start, direction="in"):
    return [e for e in entries if e.kind == kind and e.summary.startswith(start) and e.direction == direction]


def test_a_message_carries_every_row_that_it_led_to(traced):
    call(traced)
    (invite,) = of(traced.entries, "message", "INVITE")
    transactions = [row for row in invite.rows if row.startswith("invite_")]
    assert len(transactions) == 2, "the server transaction of leg a and the client transaction of leg b"
    assert [row for row in invite.rows if row not in transactions] == [
        "bridge.start", "uas.start", "bridge.routing.target", "bridge.incoming", "uac.start",
    ]  # fmt: skip


def test_a_message_stands_before_what_it_led_to(traced):
    call(traced)
    kinds = [(e.kind, e.direction) for e in traced.entries]
    assert kinds[0] == ("message", "in")
    place = traced.entries.index(of(traced.entries, "message", "INVITE", "out")[0])
    rows = [e.row for e in traced.entries[:place] if e.kind == "step"]
    assert "uac.start" in rows


def test_messages_and_steps_of_both_legs_belong_to_one_call(traced):
    call(traced)
    call_ids = {e.call_id for e in traced.entries if e.kind == "message"}
    assert len(call_ids) == 2
    (number,) = {e.call for e in traced.entries}
    assert {e.leg for e in traced.entries} == {"", "a", "b"}
    assert of_call(traced.entries, number) == traced.entries
    for call_id in call_ids:
        assert of_call(traced.entries, call_id) == traced.entries


def test_two_calls_are_told_apart(traced):
    first, second = traced.alice.call("sip:bob@10.0.0.3"), traced.alice.call("sip:bob@10.0.0.3")
    traced.clock.advance(2)
    first.hangup()
    second.hangup()
    traced.clock.advance(100)
    numbers = {e.call for e in traced.entries}
    assert len(numbers) == 2
    one, other = (of_call(traced.entries, number) for number in sorted(numbers))
    assert len(one) + len(other) == len(traced.entries)
    assert [(e.kind, e.summary.partition(":")[0], e.row) for e in one] == [
        (e.kind, e.summary.partition(":")[0], e.row) for e in other
    ]


def test_steps_name_their_session_and_what_they_changed(traced):
    call(traced)
    step = next(e for e in traced.entries if e.row == "uac.unanswered.success")
    assert step.session == f"{step.call}.b"
    assert (step.machine, step.before, step.after) == ("leg/uac", "early", "active")
    assert step.publications == ("answered",)
    assert {e.session for e in traced.entries if e.machine == "transaction/server"} == {f"{step.call}.a.BYE"}


def test_the_tracer_forgets_what_is_over(traced):
    call(traced)
    assert traced.b2bua.engine.snapshot()["sessions"] == 0
    assert traced.tracer._placed == {}
    assert len(traced.tracer._calls) == 2, "for what still comes late; bounded"


def test_what_a_table_ignores_is_shown_as_ignored(traced):
    call(traced)
    ignored = [e for e in traced.entries if e.outcome]
    assert {(e.row, e.outcome) for e in ignored} >= {("bridge.incoming", "ignored")}
    assert all(e.before == e.after for e in ignored)


def test_times_are_those_of_the_engine_from_the_epoch_on(traced):
    call(traced)
    times = [e.time for e in traced.entries]
    assert times[0] == pytest.approx(1000.01)
    assert times == sorted(times)


def test_a_request_that_no_call_takes_is_traced_without_one(traced):
    traced.b2bua.draining = True
    traced.alice.call("sip:bob@10.0.0.3")
    traced.clock.advance(1)
    assert [e.summary for e in traced.entries if e.kind == "message"][:3] == [
        "INVITE sip:bob@10.0.0.3", "100 Trying", "503 Service Unavailable",
    ]  # fmt: skip
    assert {e.call for e in traced.entries} == {""}


def test_a_tracer_that_is_closed_sees_nothing_and_the_stack_goes_on(traced):
    traced.tracer.close()
    call(traced)
    assert traced.entries == []


def test_tracing_changes_nothing_on_the_wire(tables):
    from tests.api.conftest import World

    sent = []
    for watched in (False, True):
        world = World(tables)
        engine: Engine = world.engine("udp:10.0.0.3:5060")
        B2BUA(engine, Router([Route(target="sip:10.0.0.2")]))
        if watched:
            Tracer(engine, lambda _: None)
        world.alice, bob = world.phone("alice", "10.0.0.1"), world.phone("bob", "10.0.0.2")
        bob.on_incoming = lambda call: call.answer()
        call(world)
        sent.append([packet.data for packet in world.network.log])
    assert sent[0] == sent[1]


def test_a_trace_file_can_be_read_again(traced, tmp_path):
    path = tmp_path / "calls.jsonl"
    file = TraceFile(path)
    call(traced)
    for entry in traced.entries:
        file(entry)
    file.close()
    assert read_trace(path.read_text(encoding="utf-8").splitlines()) == traced.entries
    assert path.stat().st_mode & 0o077 == 0, "messages are nobody else's business"


def test_bytes_that_are_not_utf_8_hide_no_message(traced, tmp_path):
    traced.b2bua.draining = True
    start = "INVITE sip:nobody\udcff@10.0.0.3 SIP/2.0"
    lines = [
        start, "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK\udcfe", "From: <sip:a@x>;tag=1", "To: <sip:b@x>", "Call-ID: odd\udcfd",
        "CSeq: 1 INVITE", "Contact: <sip:a@10.0.0.9>", "Subject: \udcfc", "Content-Length: 0", "", "",
    ]  # fmt: skip
    stranger = traced.network.attach("udp:10.0.0.9:5060")
    stranger.send("\r\n".join(lines).encode("utf-8", "surrogateescape"), Address("udp", "10.0.0.3", 5060))
    traced.clock.advance(100)
    mine = [one for one in traced.entries if "odd" in one.call_id]
    assert [one.direction for one in mine][:2] == ["in", "out"]
    path = tmp_path / "trace.jsonl"
    sink = TraceFile(path)
    for entry in traced.entries:
        sink(entry)
    sink.close()
    assert sink.failed == 0
    again = read_trace(path.read_text(encoding="utf-8").splitlines())
    assert len(again) == len(traced.entries)
    assert "INVITE sip:nobody\udcff@10.0.0.3" in {one.summary for one in again}
    assert {one.call_id for one in again if "odd" in one.call_id} == {"odd\udcfd"}


def test_what_cannot_be_written_is_counted_and_never_raised(tmp_path):
    if not os.path.exists("/dev/full"):  # noqa: PTH110 - a device
        pytest.skip("no /dev/full here")
    file = TraceFile("/dev/full")
    file(Entry(0.0, "message"))
    file.close()
    assert file.failed >= 1


def test_secrets_stay_out_of_the_file(tmp_path):
    text = (
        "INVITE sip:bob:hidden@10.0.0.3 SIP/2.0\r\nFrom: <sip:a:hidden@x>;tag=1\r\n"
        'Proxy-Authorization: Digest username="a", response="hidden",\r\n cnonce="hidden"\r\nTo: <sip:10.0.0.3:5060>\r\n\r\n'
    )
    path = tmp_path / "t.jsonl"
    file = TraceFile(path)
    file(Entry(0.0, "message", summary="INVITE sip:bob:hidden@10.0.0.3", text=text))
    file(Entry(0.0, "message", summary="INVITE sip:bob:hidden@10.0.0.3"))
    file.close()
    assert "hidden" not in path.read_text(encoding="utf-8")
    first, second = read_trace(path.read_text(encoding="utf-8").splitlines())
    assert first.summary == second.summary == "INVITE sip:bob:***@10.0.0.3"
    assert "Proxy-Authorization: Digest ***\r\nTo: <sip:10.0.0.3:5060>\r\n" in first.text


def test_a_queue_that_is_full_loses_records_and_the_trace_says_where(tmp_path):
    path = tmp_path / "t.jsonl"
    file = TraceFile(path, most=3)
    with file._writer._turn:  # the disk is slow
        for number in range(10):
            file(Entry(float(number), "step", event="e"))
    file._writer.flush()
    file(Entry(10.0, "step", event="e"))
    file.close()
    assert file.failed == 7
    found = read_trace(path.read_text(encoding="utf-8").splitlines())
    assert [(one.kind, one.time) for one in found] == [("step", 0.0), ("step", 1.0), ("step", 2.0), ("gap", 10.0), ("step", 10.0)]
    assert found[3].event == "7 records lost before this one"


def test_the_numbers_of_calls_go_on_in_a_trace_that_is_appended_to(tmp_path):
    path = tmp_path / "t.jsonl"
    assert last_number(path) == 0
    file = TraceFile(path)
    for number in ("7", "12", "9"):
        file(Entry(0.0, "step", event="e", call=number))
    file.close()
    assert last_number(path) == 12


def test_a_broken_line_is_named():
    good = dump(Entry(0.0, "message"))
    with pytest.raises(TraceError, match=r"t\.jsonl:2: kind must be 'message' or 'step', not 'x'"):
        read_trace([good, '{"kind": "x", "time": 1}'], "t.jsonl")
