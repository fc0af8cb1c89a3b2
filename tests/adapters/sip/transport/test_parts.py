"""What bounds strangers, without sockets: fair turns, the ledger of who holds how much, what a lost connection took along."""

from __future__ import annotations

import logging
import socket
import struct
from collections import deque
from dataclasses import dataclass, field

import pytest

from calltable.adapters.sip.transport.accepting import Folded
from calltable.adapters.sip.transport.address import Address
from calltable.adapters.sip.transport.ledger import Ledger, source_of
from calltable.adapters.sip.transport.outbox import KEPT, Entry, Outbox, acknowledged
from calltable.adapters.sip.transport.turns import Turns

TO = Address("tcp", "192.0.2.1", 5060)


class Loop:
    """Turns of a loop, one by one."""

    def __init__(self):
        self.next = deque()

    def call_soon(self, callback):
        self.next.append(callback)

    def turn(self):
        now, self.next = self.next, deque()
        for callback in now:
            callback()


class Stream:
    def __init__(self, name, count, log):
        self.name, self.count, self.log = name, count, log

    def take(self):
        self.count -= 1
        self.log.append(self.name)
        return self.count > 0


def test_a_message_is_handled_at_once_while_the_budget_lasts():
    loop, log = Loop(), []
    turns = Turns(loop.call_soon, 8)
    for n in range(8):
        turns.offer(Stream(n, 1, log))
    assert log == list(range(8))
    turns.offer(Stream("late", 1, log))
    assert len(log) == 8
    loop.turn()
    assert log[8:] == ["late"]


def test_streams_take_turns_and_no_turn_handles_more_than_the_budget():
    loop, log = Loop(), []
    turns = Turns(loop.call_soon, 16)
    for name in "abc":
        turns.offer(Stream(name, 50, log))
    assert log == ["a"] * 2, "a share of the budget, and nobody overtakes who waits"
    while loop.next:
        before = len(log)
        loop.turn()
        assert len(log) - before <= 16
    assert len(log) == 150
    assert abs(log[:60].count("a") - log[:60].count("c")) <= 3
    loop.turn()
    turns.offer(Stream("d", 1, log))
    assert log[-1] == "d"


@dataclass(eq=False)
class One:
    source: str = ""
    held: int = 0
    last_active: float = 0.0
    greeted: bool = False


def test_the_ledger_counts_connections_and_bytes_of_each_source():
    ledger = Ledger()
    a, b, ours = One("a"), One("a"), One()
    for one in (a, b, ours):
        ledger.add(one)
    ledger.note(a, 10)
    ledger.note(b, 20)
    ledger.note(ours, 5)
    assert (ledger.held, ledger.held_for("a"), ledger.count("a")) == (35, 30, 2)
    assert ledger.largest() is ledger.largest("a") is b
    ledger.note(b, 1)
    assert ledger.largest() is a
    for one in (a, b, ours, ours):
        ledger.remove(one)
    assert (ledger.held, ledger.held_for("a"), ledger.count("a"), ledger.sources, ledger.largest()) == (0, 0, 0, {}, None)
    ledger.note(a, 7)
    assert ledger.held == 0, "who is out holds nothing"


def test_the_one_to_go_is_the_idlest_of_the_source_that_has_the_most():
    ledger = Ledger()
    crowd = [One("crowd", last_active=float(n), greeted=n < 2) for n in range(4)]
    loner = One("loner", last_active=-5.0)
    for one in (*crowd, loner, One(last_active=-9.0)):
        ledger.add(one)
    assert ledger.idlest(10.0, 1.0) is crowd[2], "the first that never said anything"
    assert ledger.idlest(10.0, 1.0, "loner") is loner
    assert ledger.idlest(10.0, 11.0) is None
    assert ledger.idlest(10.0, 1.0, "nobody") is None


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("2001:db8:1:2:5::", "2001:db8:1:2::/64"),
        ("fe80::1%2", "fe80::/64"), ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)  # fmt: skip
def test_an_ipv6_network_is_one_source(host, source):
    assert source_of(host) == source


@dataclass
class Peer:
    """A pair of connected sockets; what happens at the far one is up to the test."""

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __post_init__(self):
        self.near = socket.create_connection(self.listener.getsockname())
        self.far, _ = self.listener.accept()
        self.box = Outbox(self.near)

    def write(self, data: bytes, now: float = 0.0):
        self.near.sendall(data)
        self.box.wrote(Entry(data, TO, None, again=True), now)
        self.box.flushed()

    def reset(self):
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.far.close()

    def lost(self, *, reset: bool, now: float = 1.0, closing: bool = False):
        return [entry.data for entry in self.box.lost(now, reset=reset, closing=closing)]

    def close(self):
        for sock in (self.near, self.far, self.listener):
            sock.close()


@pytest.fixture
def peer():
    pair = Peer()
    yield pair
    pair.close()


def told(sock: socket.socket) -> bool:
    """Whether the system says how much has arrived."""
    return acknowledged(sock) is not None


def test_what_the_peer_acknowledged_and_answered_has_arrived(peer):
    peer.write(b"one")
    peer.far.recv(10)
    peer.box.heard()
    peer.far.close()
    assert peer.near.recv(10) == b""
    assert peer.lost(reset=False) == []


def test_what_is_written_behind_the_end_of_a_stream_is_lost(peer):
    if not told(peer.near):
        pytest.skip("this system does not tell what has arrived")
    peer.write(b"one")
    peer.far.recv(10)
    peer.far.close()
    assert peer.near.recv(10) == b""
    peer.write(b"two")
    assert peer.lost(reset=False) == [b"two"]
    assert peer.lost(reset=False) == [], "told once"


def test_after_a_reset_what_nothing_was_heard_behind_is_lost(peer):
    peer.write(b"one")
    peer.box.heard()
    peer.write(b"two")
    peer.far.recv(10)
    peer.reset()
    assert peer.lost(reset=True) == [b"two"]


def test_what_no_transaction_waits_for_is_left_alone(peer):
    peer.write(b"old", now=0.0)
    peer.far.recv(10)
    peer.reset()
    assert peer.lost(reset=True, now=33.0) == []


def test_a_connection_that_we_close_takes_along_what_the_kernel_has(peer):
    peer.write(b"one")
    peer.box.wrote(Entry(b"two", TO, None, again=True), 0.0)
    assert peer.lost(reset=False, closing=True) == [b"two"]


def test_only_the_last_messages_are_kept(peer):
    for n in range(5 * KEPT):
        peer.write(b"%d" % n)
        peer.far.recv(10)
    assert len(peer.box) <= KEPT + 1
    peer.box.settle(now=100.0)
    assert len(peer.box) == 0


def test_the_same_warning_is_written_once_in_a_while_with_a_count(caplog):
    now = 0.0
    folded = Folded(lambda: now)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            folded.warn("no room")
        now = 11.0
        folded.warn("no room")
    assert caplog.messages == ["no room", "no room (1000 times since the last such line)"]
