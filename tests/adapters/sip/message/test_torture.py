"""Every torture message of RFC 4475 sent to a running B2BUA: answered as the manifest asks, and the server goes on serving."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from calltable.simulation import Simulation
from calltable.simulation.rawpeers import RawCall

FOLDER = Path(__file__).resolve().parents[5] / "shared" / "data" / "rfc4475"
MANIFEST = FOLDER / "manifest.json"
MESSAGES: list[dict[str, Any]] = json.loads(MANIFEST.read_text())["messages"] if MANIFEST.exists() else []

pytestmark = pytest.mark.skipif(not MESSAGES, reason=f"the RFC 4475 messages are not in {FOLDER}")

NORMAL = {
    "INVITE": {100, 200}, "OPTIONS": {200}, "REGISTER": {405}, "SUBSCRIBE": {405}, "MESSAGE": {405}, "BYE": {481}, "CANCEL": {481},
    "ACK": set(),
}  # fmt: skip
"""What a B2BUA answers to a message that is all right; others are methods that nobody knows."""

BETWEEN: dict[str, set[int]] = {
    "wsinv": {481},  # its To has a tag, and no dialog of that name is here
    "invut": {200},  # whether the body can be used is for the callee to say
    "sdp01": {200},  # the same of what the caller accepts
    "zeromf": {200},  # an OPTIONS that ends here is for us (RFC 3261 §11)
    "unksm2": {405},  # the method is looked at before To (RFC 3261 §8.2)
}
"""Where a B2BUA that is no registrar and takes any body rightly answers otherwise than the user agent of the manifest."""


def answers(data: bytes) -> tuple[set[int], Simulation]:
    """Send a datagram to a B2BUA with a callee that answers; the statuses that came back, wherever they were sent to."""
    sim = Simulation("torture")
    sim.b2bua(routes={"*": "sip:bob@10.0.0.2:5060"})
    bob = sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    mallory = sim.peer("mallory")
    mallory.send(data, "b2bua")
    sim.run(0.2)
    statuses = set()
    for packet in sim.packets("b2bua"):
        if packet.destination.host != bob.address.host and packet.data.startswith(b"SIP/2.0 "):
            statuses.add(int(packet.data[8:11]))
    return statuses, sim


def still_serves(sim: Simulation) -> None:
    """The server answers an OPTIONS, and a call goes through it from end to end."""
    peer = sim.peer("careful")
    peer.call("b2bua").request("OPTIONS")
    peer.expect(200, "OPTIONS")
    call = peer.call("b2bua")
    call.request("INVITE", body=b"v=0\r\n")
    call.ack(peer.expect(200, "INVITE"))
    sim.run(0.1)
    call.request("BYE")
    peer.expect(200, "BYE")


@pytest.mark.parametrize("entry", MESSAGES, ids=lambda entry: str(entry["name"]))
def test_a_torture_message_is_answered_and_the_server_lives(entry: dict[str, Any]):
    statuses, sim = answers((FOLDER / f"{entry['name']}.dat").read_bytes())
    finals = {status for status in statuses if status >= 200}
    if entry["name"] in BETWEEN:
        assert finals == BETWEEN[entry["name"]]
    elif entry["must_discard"] or entry["kind"] == "response":
        assert not statuses
    elif entry["verdict"] == "valid":
        method = entry["start_line"].partition(" ")[0]
        allowed = set(entry["response_codes_ok"]) | NORMAL.get(method, {501})
        assert statuses <= allowed
        assert finals or method == "ACK"
    elif entry["liberal_accept_ok"]:
        method = entry["start_line"].partition(" ")[0]
        assert statuses <= {*entry["response_codes_ok"], *NORMAL.get(method, {501})}
    else:
        assert finals <= set(entry["response_codes_ok"])
        assert finals
    still_serves(sim)
    sim.finish(hangup=True)


def test_the_whole_set_one_after_the_other_leaves_nothing_behind():
    sim = Simulation("all of them")
    sim.b2bua(routes={"*": "sip:bob@10.0.0.2:5060"})
    bob = sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    mallory = sim.peer("mallory")
    for entry in MESSAGES:
        mallory.send((FOLDER / entry["file"].partition("/")[2]).read_bytes(), "b2bua")
        sim.run(0.05)
    still_serves(sim)
    sim.finish(hangup=True)


@pytest.mark.parametrize("entry", MESSAGES, ids=lambda entry: str(entry["name"]))
def test_a_torture_message_inside_a_call_does_not_disturb_it(entry: dict[str, Any]):
    sim = Simulation("inside")
    sim.b2bua()
    bob = sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    alice = sim.peer("alice")
    call: RawCall = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=b"v=0\r\n")
    call.ack(alice.expect(200, "INVITE"))
    sim.run(0.1)
    data = (FOLDER / f"{entry['name']}.dat").read_bytes()
    tag = call.remote_tag or ""
    data = re.sub(rb"(?mi)^(call-id|i)[ \t]*:.*?\r\n", b"Call-ID: " + call.call_id.encode() + b"\r\n", data)
    data = re.sub(rb"(?mi)^(to|t)[ \t]*:.*?\r\n", b"To: <sip:b@example.com>;tag=" + tag.encode() + b"\r\n", data)
    data = re.sub(rb"(?mi)^(from|f)[ \t]*:.*?\r\n", b"From: <sip:a@example.com>;tag=" + call.local_tag.encode() + b"\r\n", data)
    alice.send(data, "b2bua")
    sim.run(1)
    if not bob.last.ended:  # a torture message may well be a BYE, or count its CSeq high
        call.cseq += 100_000_000
        call.request("INFO")
        sim.run(1)
        assert alice.arrivals(200, "INFO") or alice.arrivals(500, "INFO")
    sim.finish(hangup=True)
