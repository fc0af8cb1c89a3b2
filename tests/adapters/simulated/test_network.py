"""The simulated network: random but repeatable, and scripted to the packet."""

from __future__ import annotations

import asyncio
import random

import pytest

from calltable.adapters.simulated.clock import VirtualClock
from calltable.adapters.simulated.network import Delay, Deliver, Drop, LinkProfile, SimulatedNetwork
from calltable.adapters.sip.transport.address import Address

A, B = Address.parse("udp:10.0.0.1:5060"), Address.parse("udp:10.0.0.2:5060")
TA, TB = Address.parse("tcp:10.0.0.1:5060"), Address.parse("tcp:10.0.0.2:5060")


class Node:
    def __init__(self, network, *addresses):
        self.clock, self.events = network.clock, []
        self.transport = network.attach(*addresses)
        self.transport.start(self)
        self.on_message = None

    def received(self, data, source, local, flow):
        self.events.append(("got", data, source, local, flow))
        if self.on_message:
            self.on_message(data, source, local, flow)

    def transport_failed(self, remote, flow, reason, data):
        self.events.append(("failed", data, remote, reason))

    def connection_closed(self, flow):
        self.events.append(("closed", flow.reason))

    @property
    def got(self):
        return [event[1] for event in self.events if event[0] == "got"]

    def send(self, text, to, **keywords):
        self.transport.send(text if isinstance(text, bytes) else str(text).encode(), to, **keywords)


def world(seed=1, addresses=((A, TA), (B, TB)), **keywords):
    network = SimulatedNetwork(VirtualClock(), random.Random(seed), **keywords)
    return network, *(Node(network, *group) for group in addresses)


def numbers(node):
    return [int(data) for data in node.got]


def test_a_datagram_arrives_after_the_delay_with_its_source_and_can_be_answered():
    network, a, b = world(delay=(0.05, 0.05))
    b.on_message = lambda data, source, local, flow: b.send(b"answer", source, flow=flow)
    a.send(b"question", B)
    assert b.got == []
    network.clock.run()
    assert [(e[1], e[2], e[3]) for e in b.events] == [(b"question", A, B)]
    assert [(e[1], e[2], e[3]) for e in a.events] == [(b"answer", B, A)]
    assert network.clock.time() == pytest.approx(0.1)
    assert [(p.sent, p.delivered, p.source, p.data) for p in network.log] == [
        (0.0, 0.05, A, b"question"),
        (0.05, 0.1, B, b"answer"),
    ]


def test_without_reordering_random_delays_keep_the_order():
    network, a, b = world(delay=(0.0, 1.0))
    for n in range(200):
        a.send(n, B)
    network.clock.run()
    assert numbers(b) == list(range(200))


@pytest.mark.parametrize("delay", [(0.0, 0.0), (0.01, 0.05)])
def test_reordering_lets_later_ones_overtake_and_loses_none(delay):
    network, a, b = world(delay=delay, reorder=0.2)
    for n in range(200):
        network.clock.call_at(n * 0.001, a.send, n, B)
    network.clock.run()
    assert numbers(b) != list(range(200))
    assert sorted(numbers(b)) == list(range(200))


def test_loss_and_duplication_come_at_their_rates_and_are_in_the_log():
    network, a, b = world(loss=0.1, duplicate=0.2)
    for n in range(2000):
        a.send(n, B)
    network.clock.run()
    distinct = len(set(numbers(b)))
    assert 1740 <= distinct <= 1860
    assert 300 <= len(b.got) - distinct <= 420
    fates = [p.fate for p in network.log]
    assert fates.count("lost") == 2000 - distinct
    assert fates.count("delivered") == len(b.got)
    assert all((p.delivered is None) == (p.fate == "lost") for p in network.log)


def test_one_seed_gives_one_log_and_another_seed_another():
    def trace(seed):
        network, a, b = world(seed, loss=0.1, duplicate=0.1, reorder=0.1)
        b.on_message = lambda data, source, local, flow: b.send(data, source, flow=flow)
        for n in range(300):
            a.send(n, (B, TB)[n % 2])
        network.clock.run()
        return "\n".join(map(str, network.log))

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


def test_nobody_there_is_an_icmp_error_with_the_beginning_of_the_message():
    network, a, b = world()
    gone = Address("udp", "10.0.0.2", 9)
    a.send(b"x" * 900, gone)
    assert a.events == []
    network.clock.run()
    assert a.events == [("failed", b"x" * 500, gone, "ICMP: Connection refused")]
    assert network.log[0].fate == "unreachable"
    b.transport.detach()
    a.send(b"y", B)
    network.clock.run()
    assert a.events[1][2] == B


def test_without_icmp_nobody_there_is_silence():
    network, a, _ = world(icmp=False)
    a.send(b"x", Address("udp", "10.0.0.2", 9))
    network.clock.run()
    assert a.events == []


def test_no_fitting_listener_fails_later_with_a_reason():
    network, a = world(addresses=((A,),))
    for to, why in ((TB, "no IPv4 listener for tcp"), (Address("udp", "::1", 5060), "no IPv6 listener for udp")):
        a.events.clear()
        a.send(b"x", to)
        assert a.events == []
        network.clock.run()
        assert a.events[0][:3] == ("failed", b"x", to)
        assert why in a.events[0][3]


def test_the_source_asked_for_is_used_and_told_for_via():
    other = Address.parse("udp:10.0.0.1:5070")
    network, a, b = world(addresses=((A, other), (B,)))
    a.send(b"1", B)
    a.send(b"2", B, source=other)
    network.clock.run()
    assert [event[2] for event in b.events] == [A, other]
    assert a.transport.local_for(B) == A
    assert a.transport.local_for(B, other) == other
    assert a.transport.local_for(TB) is None


def test_a_link_can_have_its_own_profile_and_the_others_keep_theirs():
    network, a, b = world(delay=(0.01, 0.01))
    network.set_link("10.0.0.1", B, one_way=True, loss=1.0)
    network.set_link(a.transport, "10.0.0.9", delay=(1.0, 1.0))
    c = Node(network, "udp:10.0.0.9:5060")
    a.send(b"lost", B)
    a.send(b"slow", c.transport.listeners[0])
    b.send(b"back", A)
    network.clock.run()
    assert (b.got, a.got, c.got) == ([], [b"back"], [b"slow"])
    assert network.clock.time() == 1.0


@pytest.mark.parametrize("wrong", [{"loss": 2}, {"delay": (2, 1)}, {"reorder": -0.1}])
def test_a_wrong_profile_is_refused_where_it_is_made(wrong):
    with pytest.raises(ValueError, match="write"):
        LinkProfile(**wrong)
    network, *_ = world()
    with pytest.raises(ValueError, match="write"):
        network.set_link(A, B, **wrong)
    with pytest.raises(TypeError):
        network.set_link(A, B, lost=0.1)


def test_a_partition_swallows_datagrams_both_ways_until_healed():
    network, a, b = world()
    network.partition("10.0.0.1", b.transport)
    a.send(1, B)
    b.send(2, A)
    network.clock.run()
    assert a.events == b.events == []
    assert [p.fate for p in network.log] == ["cut", "cut"]
    network.heal("10.0.0.1", b.transport)
    a.send(3, B)
    network.clock.run()
    assert b.got == [b"3"]


def test_exactly_the_named_message_is_dropped():
    network, a, b = world()
    network.drop_next(lambda data, source, _: source == A and data == b"BYE", count=2)
    for text in (b"INVITE", b"BYE", b"ACK", b"BYE", b"BYE"):
        a.send(text, B)
    network.clock.run()
    assert b.got == [b"INVITE", b"ACK", b"BYE"]
    assert [p.fate for p in network.log if p.data == b"BYE"] == ["dropped", "dropped", "delivered"]


@pytest.mark.parametrize("to", [B, TB])
def test_a_held_message_waits_for_its_release(to):
    network, a, b = world(delay=(0.01, 0.01))
    held = network.hold_next(lambda data, *_: data == b"200")
    with pytest.raises(RuntimeError, match="nothing is held"):
        held.release()
    a.send(b"200", to)
    a.send(b"later", to)
    network.clock.run()
    # A datagram is overtaken; on a connection all that follows waits too.
    assert b.got == ([b"later"] if to == B else [])
    assert held.packet.data == b"200"
    assert held.packet.fate == "held"
    now = network.clock.time()
    held.release(0.5)
    network.clock.run()
    assert b.got == ([b"later", b"200"] if to == B else [b"200", b"later"])
    assert held.packet.delivered == now + 0.5
    with pytest.raises(RuntimeError, match="nothing is held"):
        held.release()


def test_delays_and_copies_are_exact():
    network, a, b = world(delay=(0.01, 0.01))
    network.delay_next(lambda data, *_: data == b"1", 3.0)
    network.duplicate_next(lambda data, *_: data == b"2", copies=2)
    a.send(1, B)
    a.send(2, B)
    network.clock.run()
    assert numbers(b) == [2, 2, 2, 1]
    assert network.clock.time() == 3.0


def test_the_first_filter_with_a_verdict_counts_and_can_be_removed():
    network, a, b = world(loss=1.0)
    seen = []

    def first(data, source, destination):
        seen.append((data, source, destination))
        return Deliver() if data == b"safe" else None

    remove = network.add_filter(first)
    network.add_filter(lambda data, *_: Drop() if data == b"safe" else Delay(0.5) if data == b"slow" else None)
    for text in (b"safe", b"slow", b"other"):
        a.send(text, B)
    network.clock.run()
    assert b.got == [b"safe", b"slow"]  # a verdict spares from the loss of everything
    assert seen[0] == (b"safe", A, B)
    remove()
    remove()
    a.send(b"safe", B)
    network.clock.run()
    assert network.log[-1].fate == "dropped"


def test_the_log_can_be_bounded():
    network, a, _ = world(log_limit=2)
    for n in range(5):
        a.send(n, B)
    network.clock.run()
    assert [p.data for p in network.log] == [b"3", b"4"]
    assert "udp:10.0.0.1:5060 -> udp:10.0.0.2:5060  4" in str(network.log[-1])


def test_an_address_is_attached_once():
    network, *_ = world()
    with pytest.raises(ValueError, match="attached already"):
        network.attach(A)


def test_what_a_receiver_raises_comes_out_of_the_clock():
    network, a, b = world()
    b.on_message = lambda *_: 1 / 0
    a.send(b"x", B)
    with pytest.raises(ZeroDivisionError):
        network.clock.run()


# ---------------------------------------------------------------- connections


def test_a_connection_keeps_order_loses_nothing_and_is_shared():
    network, a, b = world(delay=(0.0, 1.0), loss=0.5, duplicate=0.5, reorder=0.5)
    b.on_message = lambda data, source, local, flow: b.send(data, source, flow=flow)
    for n in range(100):
        a.send(n, TB)
    network.clock.run()
    assert numbers(a) == numbers(b) == list(range(100))
    assert b.transport.stats["tcp_accepted"] == 1
    _, _, source, local, flow = b.events[0]
    assert (source.host, local) == ("10.0.0.1", TB)
    assert source.port != 5060
    assert flow.local == TB
    assert a.events[0][2:4] == (TB, TA)
    assert {(p.source, p.destination) for p in network.log} == {(TA, TB), (TB, TA)}


def test_a_closed_connection_is_told_to_both_and_its_flow_falls_back_to_the_address():
    network, a, b = world()
    a.send(b"INVITE", TB)
    network.clock.run()
    flow = b.events[0][4]
    a.send(b"last words", TB)
    a.transport.close_flow(a.transport.connections[TB])
    network.clock.run()
    assert b.got == [b"INVITE", b"last words"]
    assert b.events[-1] == ("closed", "closed by the peer")
    assert a.events == [("closed", "closed by us")]
    assert flow.closed
    b.send(b"200", TA, flow=flow)
    network.clock.run()
    assert a.got == [b"200"]
    assert a.transport.stats["tcp_accepted"] == 1


def test_a_refused_connection_reports_every_message_on_it():
    network, a, b = world()
    b.transport.detach()
    a.send(1, TB)
    a.send(2, TB)
    network.clock.run()
    assert a.events == [("failed", b"1", TB, "Connection refused"), ("failed", b"2", TB, "Connection refused")]
    Node(network, TB).on_message = None
    a.send(3, TB)
    network.clock.run()
    assert len(a.events) == 2


@pytest.mark.parametrize("why", ["partition", "silence"])
def test_a_connection_that_gets_no_answer_times_out(why):
    network, a, b = world(icmp=False)
    if why == "partition":
        network.partition(A.host, B.host)
    else:
        b.transport.detach()
    a.send(1, TB)
    a.send(2, TB)
    network.clock.run()
    assert 5.0 <= network.clock.time() < 5.1
    reason = "no answer to the connection within 5 s"
    assert a.events == [("failed", b"1", TB, reason), ("failed", b"2", TB, reason)]
    assert a.transport.connections == {}


def test_an_open_connection_stalls_in_a_partition_and_goes_on_when_healed():
    network, a, b = world()
    a.send(0, TB)
    network.clock.run()
    network.partition(a.transport, b.transport)
    for n in (1, 2):
        a.send(n, TB)
    network.clock.advance(60)
    assert numbers(b) == [0]
    network.heal()
    a.send(3, TB)
    network.clock.run()
    assert numbers(b) == [0, 1, 2, 3]
    assert [e for e in a.events + b.events if e[0] != "got"] == []


def test_a_connection_begun_in_a_partition_survives_if_healed_in_time():
    network, a, b = world()
    network.partition(A.host, B.host)
    a.send(1, TB)
    network.clock.advance(4)
    network.heal()
    network.clock.run()
    assert (numbers(b), a.events) == ([1], [])


def test_dropping_on_a_connection_breaks_it():
    network, a, b = world()
    a.send(b"first", TB)
    network.clock.run()
    network.drop_next(lambda data, *_: data == b"poison")
    a.send(b"poison", TB)
    a.send(b"behind", TB)
    assert a.events == []
    network.clock.run()
    assert ("closed", "connection reset") in b.events
    assert a.events == [("closed", "connection reset")]
    assert b.got == [b"first", b"poison", b"behind"], "on a new connection"
    assert a.transport.stats["tcp_resent"] == 2
    assert [p.fate for p in network.log] == ["delivered", "dropped", "broken", "delivered", "delivered"]


def test_a_message_on_a_connection_that_the_other_side_has_just_closed_goes_on_a_new_one():
    network, a, b = world()
    a.send(b"INVITE", TB)
    network.clock.run()
    flow = b.events[0][4]
    b.transport.close_flow(flow)
    a.send(b"crossing", TB)
    network.clock.run()
    assert b.got == [b"INVITE", b"crossing"]
    assert [e for e in a.events if e[0] == "failed"] == []
    a.transport.close_flow(a.transport.connections[TB])
    flow = b.events[-1][4] if len(b.events[-1]) > 4 else b.events[-2][4]
    b.send(b"486", TA, flow=flow)
    network.clock.run()
    assert a.got == [b"486"], "a response goes to the address that is given for that case"


def test_a_message_that_is_lost_twice_fails():
    network, a, b = world()
    a.send(b"first", TB)
    network.clock.run()
    network.drop_next(lambda data, *_: data == b"poison", 2)
    a.send(b"poison", TB)
    network.clock.run()
    assert b.got == [b"first"]
    assert ("failed", b"poison", TB, "connection lost: connection reset") in a.events


def test_a_new_connection_that_breaks_fails_at_once():
    network, a, b = world()
    network.drop_next(lambda data, *_: data == b"poison")
    a.send(b"poison", TB)
    network.clock.run()
    assert ("failed", b"poison", TB, "connection lost: connection reset") in a.events
    assert b.got == []


def test_a_node_that_vanishes_breaks_its_connections_and_can_come_back():
    network, a, b = world()
    a.send(b"1", TB)
    network.clock.run()
    asyncio.run(b.transport.close())
    network.clock.run()
    assert a.events == [("closed", "closed by the peer")]
    assert b.events[1:] == []
    again = Node(network, B, TB)
    a.send(b"2", TB)
    a.send(b"3", B)
    network.clock.run()
    assert sorted(again.got) == [b"2", b"3"]


def test_every_packet_ends_with_a_fate_under_random_closing_and_cutting():
    for seed in range(30):
        network, a, b = world(seed, loss=0.1, duplicate=0.1, reorder=0.1)
        dice = random.Random(seed)
        b.on_message = lambda data, source, local, flow, b=b: b.send(b"re:" + data, source, flow=flow) if len(data) < 9 else None
        for n in range(100):
            network.clock.call_at(n * 0.005, a.send, f"{n:07}", dice.choice((B, TB)))
            if dice.random() < 0.1:
                network.clock.call_at(
                    n * 0.005, lambda a=a: [a.transport.close_flow(c) for c in list(a.transport.connections.values())]
                )
            if dice.random() < 0.1:
                network.clock.call_at(n * 0.005, network.partition, A.host, B.host)
                network.clock.call_at(n * 0.005 + dice.choice((0.02, 6.0)), network.heal)
        network.clock.run()
        fates = {p.fate for p in network.log}
        assert fates <= {"delivered", "lost", "cut", "broken", "unreachable"}, (seed, fates)
        delivered = sum(p.fate == "delivered" for p in network.log)
        assert delivered == len(a.got) + len(b.got)
        assert network.clock.pending == 0
