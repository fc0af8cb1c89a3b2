"""How a running server is changed and ended, as SIPp sees it: an overlay, routes, and the gentle end."""

from __future__ import annotations

import json
import signal

import pytest

from tests.peers.conftest import SHORT, WAYS, Server
from tests.peers.ports import free_port
from tests.peers.sipp import Callee, Caller

pytestmark = [pytest.mark.peer, pytest.mark.slow]

ELSEWHERE = """\
calltable: 1
overlay: b2bua/bridge
doc: Who rings in vain for a moment is tried at the other place.
variables:
  elsewhere: {{type: bool, doc: The other place is being tried.}}
add:
  - id: bridge.ringing.elsewhere
    state: ringing
    after: 500ms
    guards: [not elsewhere]
    actions:
      - child.end: {{name: b}}
      - child.start: {{name: b, machine: leg/uac, with: {{target: '{target}', message: $invite, offer: $offer, relay: true}}}}
    set: {{elsewhere: true}}
    next_state: calling
"""
CANCELLED = Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger()
ANSWERED = Callee().accept().recv("BYE").respond(200).linger()


@pytest.fixture
def started(tmp_path):
    servers = []

    def start(**config):
        servers.append(Server(tmp_path, WAYS["udp"], config))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def test_one_row_of_an_overlay_changes_where_a_call_goes(sipp, started, tmp_path):
    other = free_port()
    (tmp_path / "elsewhere.yaml").write_text(ELSEWHERE.format(target=f"sip:bob@127.0.0.1:{other}"))
    server = started(overlays=["elsewhere.yaml"])
    sipp.start("first", CANCELLED, port=server.next_port)
    sipp.start("second", Callee().recv("INVITE").respond(183).answer().recv("ACK").recv("BYE").respond(200).linger(), port=other)
    caller = Caller().invite().recv(100).recv(180).recv(183).recv(200).ack().pause(50).bye().recv(200)
    sipp.start("caller", caller, port=free_port(), remote=server.address)
    sipp.finish()
    server.quiet()


def test_routes_by_user_and_by_header(sipp, started):
    one, other = free_port(), free_port()
    server = started(routes=[
        {"header": {"X-Tenant": "^blue$"}, "target": f"sip:127.0.0.1:{one}"},
        {"uri": "^sip:closed@", "reject": 480},
        {"target": f"sip:127.0.0.1:{other}"},
    ])  # fmt: skip
    sipp.start("one", Callee().recv("INVITE").check("blue", "X-Tenant").answer().recv("ACK").recv("BYE").respond(200).linger(), port=one)
    sipp.start("other", ANSWERED, port=other)
    call = Caller().invite("X-Tenant: blue").recv(100).recv(200).ack().bye().recv(200)
    sipp.start("blue", call, port=free_port(), remote=server.address)
    sipp.start("plain", Caller().connect().bye().recv(200), port=free_port(), remote=server.address)
    sipp.start("closed", Caller(service="closed").invite().recv(100).refused(480), port=free_port(), remote=server.address)
    sipp.finish()
    server.quiet()


def test_sigterm_lets_the_running_call_end_and_takes_no_new_one(sipp, started):
    server = started()
    sipp.start("callee", ANSWERED, port=server.next_port)
    sipp.start("caller", Caller().connect().pause(1500).bye().recv(200), port=free_port(), remote=server.address)
    sipp.wait_for("callee", "\nACK sip:", 1)
    server.program.process.send_signal(signal.SIGTERM)
    late = Caller().invite().recv(100, optional=True).recv(503).check("[0-9]", "Retry-After").ack_refused()
    sipp.start("late", late, port=free_port(), remote=server.address)
    sipp.finish()
    assert server.program.wait(10) == 0


def test_sigterm_hangs_up_what_does_not_end_in_time(sipp, started):
    server = started(limits={"drain": "500ms"}, timers=SHORT)
    sipp.start("callee", ANSWERED, port=server.next_port)
    sipp.start("caller", Caller().connect().recv("BYE").respond(200).linger(), port=free_port(), remote=server.address)
    sipp.wait_for("callee", "\nACK sip:", 1)
    server.program.process.send_signal(signal.SIGTERM)
    sipp.finish()
    assert server.program.wait(10) == 0


def test_a_limit_of_calls(sipp, started):
    server = started(limits={"calls": 1, "retry_after": "7s"})
    sipp.start("callee", ANSWERED, port=server.next_port)
    sipp.start("caller", Caller().connect().pause(1500).bye().recv(200), port=free_port(), remote=server.address)
    sipp.wait_for("callee", "\nACK sip:", 1)
    more = Caller().invite().recv(100, optional=True).recv(503).check("^ *7 *$", "Retry-After").ack_refused()
    sipp.start("more", more, port=free_port(), remote=server.address)
    sipp.finish()
    assert server.quiet()["counters"]["calls turned away"] == 1


def test_a_trace_of_a_real_call_is_complete(sipp, started, tmp_path):
    """What calltable writes down is what went over the wire: every message of both legs, each with its rows."""
    server = started(trace="calls.jsonl")
    sipp.start("callee", ANSWERED, port=server.next_port)
    sipp.start("caller", Caller().connect().pause(50).bye().recv(200), port=free_port(), remote=server.address)
    sipp.finish()
    server.quiet()
    assert server.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    messages = [line for line in lines if line["kind"] == "message"]
    assert all(line["rows"] for line in messages), "a message without the row that took or sent it"
    seen = {name: (tmp_path / "sipp" / f"{name}.messages").read_text() for name in ("caller", "callee")}
    on_the_wire = sum(text.count("UDP message received") + text.count("UDP message sent") for text in seen.values())
    assert len(messages) == on_the_wire
    assert {line["leg"] for line in messages} == {"a", "b"}
    assert len({line["call"] for line in lines}) == 1
