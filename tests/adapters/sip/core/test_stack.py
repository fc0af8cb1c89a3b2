"""Between bytes and sessions: what the stack answers by itself, where to, and what it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltable.adapters.sip.message.message import Response
from calltable.simulation import Simulation

HEAD = "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nMax-Forwards: 70\r\n"


def options(via: str = "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1", extra: str = "CSeq: 1 OPTIONS\r\n") -> str:
    return f"OPTIONS sip:b@c SIP/2.0\r\nVia: {via}\r\n{HEAD}{extra}Content-Length: 0\r\n\r\n"


@pytest.fixture
def sim():
    made = Simulation("stack")
    made.b2bua()
    made.peer("alice")
    return made


def test_a_broken_request_gets_the_same_answer_each_time_and_leaves_no_state(sim: Simulation):
    """RFC 3261 §8.2.7: a stateless answer has the same To tag for each repetition."""
    alice = sim.peers["alice"]
    for _ in range(3):
        alice.send(options(extra="CSeq: 1 INFO\r\n"), "b2bua")
    sim.run(0.1)
    answers = [bytes(message) for _, message in alice.times]
    assert len(answers) == 3
    assert len(set(answers)) == 1
    assert alice.times[0][1].status == 400
    assert sim.engines["b2bua"].snapshot() | {"counters": None} == {
        "sessions": 0, "timers": 0, "transactions": 0, "dialogs": 0, "counters": None,
    }  # fmt: skip


@pytest.mark.parametrize(("via", "where"), [
    ("SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1", "udp:10.0.0.2:5060"),
    ("SIP/2.0/UDP 10.0.0.2:6000;branch=z9hG4bK1", "udp:10.0.0.2:6000"),
    ("SIP/2.0/UDP 10.0.0.2:6000;branch=z9hG4bK1;rport", "udp:10.0.0.2:5060"),
    ("SIP/2.0/UDP elsewhere.example:6000;branch=z9hG4bK1", "udp:10.0.0.2:6000"),
    ("SIP/2.0/UDP elsewhere.example;branch=z9hG4bK1", "udp:10.0.0.2:5060"),
    ("SIP/2.0/UDP 192.0.2.99:6000;branch=z9hG4bK1;rport", "udp:10.0.0.2:5060"),
])
def test_where_responses_go(sim: Simulation, via: str, where: str):
    """RFC 3261 §18.2.2, RFC 3581 §4: the host the request came from; the port of Via, or with rport the one it came from."""
    sim.peers["alice"].send(options(via), "b2bua")
    sim.run(0.1)
    assert [str(packet.destination) for packet in sim.packets("b2bua")] == [where]


def test_a_request_over_tcp_is_answered_on_its_connection():
    sim = Simulation(1)
    sim.b2bua()
    alice = sim.peer("alice", "tcp:10.0.0.9:5060")
    alice.send(options("SIP/2.0/TCP private.invalid:1;branch=z9hG4bK1"), "b2bua")
    assert isinstance(alice.expect(404), Response)
    assert sim.network.nodes[alice.address].stats["tcp_accepted"] == 0, "no connection back was needed"
    sim.finish()


def test_what_is_no_sip_is_counted_and_answered_by_silence(sim: Simulation):
    alice = sim.peers["alice"]
    junk = (b"\x00", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"SIP/2.0 999999999 x\r\n\r\n", b"x" * 65000, b"ACK sip:a SIP/2.0\r\n\r\n")
    for data in junk:
        alice.send(data, "b2bua")
    sim.run(1)
    assert not sim.packets("b2bua")
    sim.finish()


@given(st.binary(max_size=300))
def test_no_datagram_raises_or_stays(data: bytes):
    sim = Simulation("fuzz")
    sim.b2bua()
    alice = sim.peer("alice")
    alice.send(data, "b2bua")
    alice.send(options().encode() + data, "b2bua")
    alice.send(data + options().encode(), "b2bua")
    alice.send(options().encode().replace(b"OPTIONS", b"INVITE") + data, "b2bua")
    sim.finish()


@given(st.data())
def test_no_damaged_message_raises_or_stays(data: st.DataObject):
    """A good INVITE with a few bytes changed, cut or doubled."""
    text = bytearray(options(extra="CSeq: 1 OPTIONS\r\nContact: <sip:a@10.0.0.2>\r\n").replace("OPTIONS", "INVITE").encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        what = data.draw(st.sampled_from(("change", "cut", "double")))
        if what == "change":
            text[place] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del text[place : place + data.draw(st.integers(1, 20))]
        else:
            text[place:place] = text[place : place + 10]
        text = text or bytearray(b"x")
    sim = Simulation("damage")
    sim.b2bua(routes={"*": 486})
    sim.peer("alice").send(bytes(text), "b2bua")
    sim.finish()


def test_the_snapshot_counts_what_is_alive(sim: Simulation):
    bob = sim.agent("bob")
    alice = sim.peers["alice"]
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=b"v=0\r\n")
    sim.until(lambda: bob.calls)
    bob.last.answer()
    call.ack(alice.expect(200))
    sim.run(100)
    snapshot = sim.engines["b2bua"].snapshot()
    assert (snapshot["sessions"], snapshot["transactions"], snapshot["dialogs"], snapshot["timers"]) == (3, 0, 2, 0)
    call.request("BYE")
    alice.expect(200, "BYE")
    sim.finish()
    assert sim.engines["b2bua"].snapshot()["sessions"] == 0
