"""Finding the transaction of a message (RFC 3261 §17.1.3, §17.2.3), and telling it of a failure. What transactions do is in tests/scenarios."""

from __future__ import annotations

from sys import getsizeof

import pytest

from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.transaction.keys import ack_key, merge_key, server_key
from calltable.simulation import Simulation


def request(method: str = "INVITE", *, via: str = "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1", cseq: int = 1,
            tag: str = "a", call_id: str = "x") -> Request:  # fmt: skip
    return Request(method, "sip:b@c", [
        ("Via", via), ("From", f"<sip:a@b>;tag={tag}"), ("To", "<sip:b@c>"), ("Call-ID", call_id), ("CSeq", f"{cseq} {method}"),
    ])  # fmt: skip


def test_the_ack_and_the_cancel_of_an_invite_have_its_key():
    """RFC 3261 §9.2, §17.2.3: branch and sent-by of the top Via."""
    key = server_key(request(), "INVITE")
    assert server_key(request("ACK"), "INVITE") == key
    assert server_key(request("CANCEL"), "INVITE") == key
    assert server_key(request("CANCEL"), "CANCEL") != key


@pytest.mark.parametrize("via", [
    "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK2", "SIP/2.0/UDP 10.0.0.1:5061;branch=z9hG4bK1",
    "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1",
])  # fmt: skip
def test_another_branch_or_sender_is_another_transaction(via: str):
    """RFC 3261 §17.2.3: two clients may choose the same branch by accident or malice."""
    assert server_key(request(via=via), "INVITE") != server_key(request(), "INVITE")


@pytest.mark.parametrize("other", [{"cseq": 2}, {"tag": "b"}, {"call_id": "y"}])
def test_a_peer_of_rfc_2543_is_told_by_the_rest_of_its_message(other: dict[str, object]):
    via = "SIP/2.0/UDP 10.0.0.1:5060"
    first = server_key(request(via=via), "INVITE")
    assert server_key(request("ACK", via=via), "INVITE") == first
    assert server_key(request(via=via, **other), "INVITE") != first


def test_merged_requests_share_call_id_cseq_and_from_tag():
    """RFC 3261 §8.2.2.2."""
    one, two = request(), request(via="SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK77")
    assert merge_key(one) == merge_key(two)
    assert merge_key(one) != merge_key(request(tag="b"))
    assert merge_key(one) != merge_key(request(cseq=2))
    assert merge_key(one) != merge_key(request("OPTIONS"))


def test_the_ack_to_a_2xx_is_found_by_dialog_and_number():
    assert len({ack_key("x", "t", 1), ack_key("x", "t", 2), ack_key("x", "u", 1), ack_key("y", "t", 1)}) == 4


def test_a_forged_response_that_guesses_no_branch_changes_nothing():
    sim = Simulation(1)
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect_request("INVITE")
    for line in ("branch=z9hG4bK", "CSeq: 1 INVITE"):
        forged = bytes(bob.respond(invite, 180, to_tag="t")).decode()
        sim.run(0.1)
        told = len(call.events)
        forged = forged.replace(line, f"{line}0" if "=" in line else "CSeq: 1 OPTIONS").replace("180", "603")
        bob.send(forged, "alice")
        sim.run(0.1)
        assert len(call.events) == told
    assert call.state == "early"
    assert alice.engine.executor.counters["stray responses"] == 2
    bob.respond(invite, 486, to_tag="t")
    sim.finish()


def test_a_failed_delivery_reaches_the_transaction_that_its_via_names_and_no_other():
    sim = Simulation(1)
    alice = sim.agent("alice")
    first, second = alice.call("sip:x@10.9.9.9"), alice.call("sip:y@10.9.9.8")
    sent = [packet.data for packet in sim.packets("alice")]
    transactions = alice.engine.stack.transactions
    transactions.failed(sent[1][:300], "a test")
    assert (first.ended, second.ended) == (False, True)
    for junk in (b"", b"INVITE", b"\x00" * 50, sent[0].replace(b"branch=", b"branch=x"), b"SIP/2.0 200 OK\r\nVia: x;branch=y\r\n"):
        transactions.failed(junk, "a test")
    assert not first.ended
    sim.finish()


def two_calls():
    """Two calls that wait for bob: (simulation, bob)."""
    sim = Simulation(1)
    bob, alice = sim.agent("bob"), sim.peer("alice")
    for _ in range(2):
        alice.call("bob").request("INVITE")
    sim.run(0.1)
    assert len(bob.engine.stack.transactions.servers) == 2
    return sim, bob


def test_a_response_that_cannot_be_delivered_ends_its_own_server_transaction():
    sim, bob = two_calls()
    transactions = bob.engine.stack.transactions
    first = next(packet.data for packet in sim.packets("bob"))
    transactions.failed(first, "a test")
    assert len(transactions.servers) == 1
    assert [call.ended for call in bob.calls] == [True, False], "nobody is left to answer the first"
    bob.calls[1].reject(480)
    sim.finish()


def test_a_response_that_comes_back_from_nobodys_transaction_ends_none():
    sim, bob = two_calls()
    transactions = bob.engine.stack.transactions
    trying = next(packet.data for packet in sim.packets("bob"))
    via = next(line for line in trying.split(b"\r\n") if line.startswith(b"Via"))
    branch = via.partition(b"branch=")[2].partition(b";")[0]
    for other in (b"z9hG4bK", branch[:-1], branch + b"x"):  # a stateless 400's, a piece of somebody's, a longer one
        transactions.failed(trying.replace(branch, other), "from a stranger")
    transactions.failed(trying.replace(b"INVITE", b"OPTIONS"), "another method")
    transactions.failed(trying.replace(via, b"Via: "), "no Via")
    assert len(transactions.servers) == 2
    for call in bob.calls:
        call.reject(480)
    sim.finish()


def test_room_that_many_calls_took_is_given_back_where_nothing_lives():
    sim = Simulation(1)
    bob, alice = sim.agent("bob"), sim.peer("alice")
    for _ in range(50):
        alice.call("bob").request("INVITE")
    sim.run(0.1)
    for call in bob.calls[:-1]:
        call.reject(480)
    sim.run(60)
    stack = bob.engine.stack
    crowded = getsizeof(stack.executor.sessions)
    stack.compact()
    assert (len(stack.executor.sessions), getsizeof(stack.executor.sessions)) == (3, crowded), "somebody lives there"
    bob.calls[-1].reject(480)
    sim.run(60)
    stack.compact()
    assert getsizeof(stack.executor.sessions) == getsizeof(stack.legs.dialogs) == getsizeof({}) < crowded
    sim.finish()
