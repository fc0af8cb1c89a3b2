"""What a leg lends to another, and as whom it speaks. What legs do is in tests/scenarios."""

from __future__ import annotations

import pytest

from calltable.adapters.sip.core.passing import lent
from calltable.adapters.sip.dialog.identity import identity
from calltable.adapters.sip.message.body import Content, has_offer
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.uri import parse_uri
from calltable.adapters.sip.transport.address import Address
from calltable.simulation import Simulation

OURS = Address("udp", "10.0.0.1", 5060)


@pytest.mark.parametrize(("uri", "display", "value"), [
    ("sip:alice@example.com", "", "<sip:alice@example.com>"),
    ("sip:alice@example.com;user=phone", "A", '"A" <sip:alice@example.com;user=phone>'),
    ("sip:alice@192.0.2.7", "", "<sip:alice@10.0.0.1:5060>"),
    ("sip:alice@192.0.2.7:5080;transport=tcp", "", "<sip:alice@10.0.0.1:5060>"),
    ("sip:alice@[2001:db8::7]", "", "<sip:alice@10.0.0.1:5060>"),
    ("sip:192.0.2.7", "", "<sip:10.0.0.1:5060>"),
    ("tel:+4930123456", "", "<tel:+4930123456>"),
    ("", "", "<sip:calltable@10.0.0.1:5060>"),
    ("sip:alice@example.com", 'Al "the" \\ ice', '"Al \\"the\\" \\\\ ice" <sip:alice@example.com>'),
])  # fmt: skip
def test_a_name_is_an_identity_and_passes_an_address_shows_a_network_and_does_not(uri: str, display: str, value: str):
    assert identity(uri, display, OURS) == value


def message(*lines: tuple[str, str], body: bytes = b"") -> Request:
    return Request("INFO", "sip:a@b", list(lines), body)


def test_what_names_a_dialog_or_a_hop_is_not_lent():
    """RFC 7092 §3; compact names are the same fields."""
    own = ("Via", "v", "From", "f", "To", "t", "Call-ID", "i", "CSeq", "Contact", "m", "Max-Forwards", "Route", "Record-Route",
           "Content-Length", "l", "Require", "Proxy-Require", "RAck", "RSeq")  # fmt: skip
    headers, _ = lent(message(*((name, "x") for name in own)))
    assert headers == []


def test_the_rest_is_lent_in_order_and_as_it_was_written():
    lines = [("subject", "a"), ("X-B", "1"), ("x-b", "2"), ("c", "text/plain"), ("Authorization", 'Digest x="y"')]
    assert lent(message(*lines, body=b"z")) == (lines, b"z")


def test_promises_between_neighbours_are_taken_out_of_supported_and_allow():
    headers, _ = lent(message(("k", "100rel, timer"), ("Supported", "outbound"), ("Allow", "INVITE,PRACK, BYE")))
    assert headers == [("k", "timer"), ("Allow", "INVITE, BYE")]


def test_content_of_an_application_says_its_type():
    assert lent(Content(b"x")) == ([("Content-Type", "application/sdp")], b"x")
    assert lent(Content(b"x", "text/plain", [("A", "b")])) == ([("A", "b"), ("Content-Type", "text/plain")], b"x")
    assert lent(None) == ([], b"")


@pytest.mark.parametrize(("kind", "body", "offer"), [
    ("application/sdp", b"v=0", True), ("Application/SDP;x=y", b"v=0", True), ("application/sdp", b"", False),
    ("text/plain", b"v=0", False), ("", b"v=0", False),
    ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: application/SDP\r\n\r\nv=0\r\n--b--", True),
    ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--", False),
])  # fmt: skip
def test_whether_a_message_carries_an_offer(kind: str, body: bytes, offer: bool):
    assert has_offer(message(("Content-Type", kind), body=body)) == offer


def test_a_header_with_a_line_end_never_reaches_the_wire():
    """An application that passes on what a stranger typed must not be able to write header fields of its own."""
    sim = Simulation(1)
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    call = alice.call(sim.uri("bob"))
    sim.run(1)
    call.request("INFO", headers={"X-Note": "a\r\nX-Evil: b"})
    sim.run(1)
    assert not [packet for packet in sim.packets() if b"X-Evil" in packet.data]
    assert alice.engine.executor.counters["effects failed"] + alice.engine.executor.counters["sessions failed"] > 0


def test_a_route_target_that_cannot_be_read_fails_the_call_and_not_the_server():
    sim = Simulation(1)
    sim.b2bua(routes={"bob": "sip:bob@[10.0.0.9", "eve": "sip:%zz@@"})
    alice = sim.agent("alice")
    calls = [alice.call(sim.uri("b2bua", user)) for user in ("bob", "eve")]
    sim.run(1)
    for call in calls:
        assert call.last("failed").fields["code"] >= 400
    sim.finish()


def test_every_contact_can_be_read():
    for address in (OURS, Address("tcp", "10.0.0.1", 5060), Address("udp", "2001:db8::1", 5062)):
        sim = Simulation(str(address))
        engine = sim.engine("x", str(address))
        contact = parse_uri(engine.stack.sender.contact(address).strip("<>"))
        assert (contact.host, contact.port) == (address.host, address.port)
        assert contact.transport == (None if address.transport == "udp" else address.transport)
