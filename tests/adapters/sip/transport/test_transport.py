"""Addresses, and real UDP and TCP sockets on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket

import pytest

from calltable.adapters.sip.transport.address import Address
from calltable.adapters.sip.transport.interface import TransportError, choose_listener
from calltable.adapters.sip.transport.limits import Limits
from calltable.adapters.sip.transport.sockets import SocketTransport
from tests.adapters.sip.transport.nodes import node, options, raw, run, turns_until

# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("udp:127.0.0.1:5060", Address("udp", "127.0.0.1", 5060)),
        ("TCP:[::1]:5070", Address("tcp", "::1", 5070)),
        ("udp:[2001:DB8:0::1]", Address("udp", "2001:db8::1", 5060)),
        ("tls:192.0.2.1", Address("tls", "192.0.2.1", 5061)),
        ("udp:0.0.0.0:0", Address("udp", "0.0.0.0", 0)),
    ],
)
def test_an_address_is_read_and_written(text, address):
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1:5060", "write transport:host:port"),
        ("5060", "write transport:host:port"),
        ("udp:::1:5060", r"in brackets, as in udp:\[::1\]:5060"),
        ("udp:[::1", r"write IPv6 as"),
        ("udp:[127.0.0.1]:5060", "not an IP address"),
        ("udp:localhost:5060", "'localhost' is not an IP address"),
        ("udp:127.0.0.1:sip", "invalid port 'sip'"),
        ("udp:127.0.0.1:65536", "invalid port '65536'"),
    ],
)
def test_a_wrong_address_is_explained(text, why):
    with pytest.raises(ValueError, match=why):
        Address.parse(text)


def test_the_listener_is_chosen_by_transport_version_source_and_route():
    a, b, wild, six, tcp = map(
        Address.parse, ("udp:10.0.0.1:5060", "udp:10.1.0.1:5060", "udp:0.0.0.0:5070", "udp:[::1]:5060", "tcp:10.0.0.1:5060")
    )
    everything = [a, b, wild, six, tcp]
    to = Address("udp", "10.1.0.9", 5060)

    def choose(to, source=None, route="10.1.0.1"):
        return choose_listener(everything, to, source, lambda _: route)

    assert choose(to) == b
    assert choose(to, source=a) == a
    assert choose(to, route="192.0.2.1") == wild
    assert choose(to, source=Address("udp", "192.0.2.1", 5070), route="10.0.0.1") == wild
    assert choose(Address("udp", "::2", 5060)) == six
    assert choose(Address("tcp", "10.1.0.9", 5060), source=a) == tcp
    assert choose(Address("tcp", "::2", 5060)) is None


# ---------------------------------------------------------------- UDP


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_datagram_arrives_as_sent_and_the_answer_leaves_from_the_port_it_was_sent_to(host):
    async def scenario():
        async with node(f"udp:{host}:0") as (caller, c), node(f"udp:{host}:0", f"udp:{host}:0") as (callee, d):
            d.answer = b"SIP/2.0 200 OK\r\n\r\n"
            for target in callee.listeners:
                c.messages.clear()
                caller.send(options(), target)
                await c.until(lambda p: p.messages)
                data, source, local, _ = c.messages[0]
                assert (data, source, local) == (d.answer, target, caller.listeners[0])
            assert [m[0] for m in d.messages] == [options()] * 2
            assert d.messages[0][1] == caller.listeners[0]
            assert callee.stats["udp_received"] == callee.stats["udp_sent"] == 2

    run(scenario())


def test_hundreds_of_datagrams_in_one_wake_up_all_arrive_in_order():
    async def scenario():
        async with node("udp:127.0.0.1:0") as (caller, _), node("udp:127.0.0.1:0") as (callee, d):
            sent = [b"%d" % n for n in range(150)]  # more than one burst of 64, less than a default socket buffer
            for data in sent:
                caller.send(data, callee.listeners[0])
            await d.until(lambda p: len(p.messages) == 150)
            assert [m[0] for m in d.messages] == sent

    run(scenario())


def test_one_wake_up_reads_no_more_than_a_burst():
    async def scenario():
        limits = Limits(udp_burst=4)
        async with node("udp:127.0.0.1:0") as (caller, _), node("udp:127.0.0.1:0", limits=limits) as (callee, d):
            turns = []

            def turn():
                turns.append(len(d.messages))
                if len(d.messages) < 10:
                    asyncio.get_running_loop().call_soon(turn)

            for _ in range(10):
                caller.send(b"x", callee.listeners[0])
            turn()
            await d.until(lambda p: len(p.messages) == 10)
            assert 4 in turns

    run(scenario())


def test_a_socket_that_is_not_read_empty_is_behind_until_it_is():
    async def scenario():
        limits = Limits(udp_burst=4)
        async with node("udp:127.0.0.1:0") as (caller, _), node("udp:127.0.0.1:0", limits=limits) as (callee, d):
            assert callee.behind() == 0
            for _ in range(10):
                caller.send(b"x", callee.listeners[0])
            await d.until(lambda p: len(p.messages) >= 4)
            assert callee.behind() > 0
            await d.until(lambda p: len(p.messages) == 10)
            await turns_until(lambda: not callee.behind())

    run(scenario())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_dead_next_hop_is_reported_with_the_message_and_others_still_get_theirs(host):
    async def scenario():
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind((host.strip("[]"), 0))
            dead = Address("udp", host.strip("[]"), closed.getsockname()[1])
        async with node(f"udp:{host}:0") as (caller, c), node(f"udp:{host}:0") as (callee, d):
            for number in range(3):
                caller.send(options(f"z9hG4bKdead{number}"), dead)
                caller.send(options(f"z9hG4bKlive{number}"), callee.listeners[0])
            await d.until(lambda p: len(p.messages) == 3)
            await c.until(lambda p: p.failures)
            assert all(m[0] == options(f"z9hG4bKlive{n}") for n, m in enumerate(d.messages))
            remote, flow, reason, data = c.failures[0]
            assert (remote, reason) == (dead, "ICMP: Connection refused")
            assert flow.local == caller.listeners[0]
            assert b"branch=z9hG4bKdead" in data
            assert {f[0] for f in c.failures} == {dead}
            assert caller.stats["udp_icmp_errors"] == caller.stats["failed"] == len(c.failures)

    run(scenario())


@pytest.mark.parametrize(
    ("to", "data", "why"),
    [
        (Address("udp", "::1", 5060), b"x", "no IPv6 listener for udp"),
        (Address("tcp", "127.0.0.1", 5060), b"x", "no IPv4 listener for tcp"),
        (Address("tls", "127.0.0.1", 5061), b"x", "no IPv4 listener for tls .*add one such as tls:0.0.0.0:5061"),
        (Address("udp", "pbx.example", 5060), b"x", "'pbx.example' is not an IP address"),
        (Address("udp", "127.0.0.1", 5060), bytes(65_530), "over TCP"),
    ],
)
def test_what_cannot_be_sent_is_reported_later_and_never_raised(to, data, why):
    async def scenario():
        async with node("udp:127.0.0.1:0") as (caller, c):
            caller.send(data, to)
            assert c.failures == []
            await c.until(lambda p: p.failures)
            assert c.failures[0][0] == to
            assert c.failures[0][3] == data
            assert re.search(why, c.failures[0][2])

    run(scenario())


class FullSocket:
    """Stands before a socket whose kernel buffer is full for the first ``times`` sends."""

    def __init__(self, sock, times):
        self.sock, self.times = sock, times

    def __call__(self, data, to):
        self.times -= 1
        if self.times >= 0:
            raise BlockingIOError
        return self.sock.sendto(data, to)


def test_a_full_send_buffer_queues_a_bounded_number_in_order():
    async def scenario():
        limits = Limits(udp_backlog=3)
        async with node("udp:127.0.0.1:0", limits=limits) as (caller, _), node("udp:127.0.0.1:0") as (callee, d):
            listener = caller._kinds["udp"]._listeners[caller.listeners[0]]
            listener._sendto = FullSocket(listener._socket, 2)
            for n in range(5):
                caller.send(b"%d" % n, callee.listeners[0])
            await d.until(lambda p: len(p.messages) == 3)
            assert [m[0] for m in d.messages] == [b"0", b"1", b"2"]
            assert caller.stats["udp_dropped"] == 2
            assert caller.stats["udp_sent"] == 3
            caller.send(b"next", callee.listeners[0])
            await d.until(lambda p: len(p.messages) == 4)

    run(scenario())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_receiver_that_raises_is_counted_and_hears_the_next_message(transport, caplog):
    async def scenario():
        async with node(f"{transport}:127.0.0.1:0") as (caller, _), node(f"{transport}:127.0.0.1:0") as (callee, d):
            keep = d.received

            def raising(data, *rest):
                keep(data, *rest)
                raise ValueError("a bug")

            d.received = raising
            caller.send(options("z9hG4bK1"), callee.listeners[0])
            caller.send(options("z9hG4bK2"), callee.listeners[0])
            await d.until(lambda p: len(p.messages) == 2)
            assert callee.stats["receiver_errors"] == 2
            assert "a bug" in caplog.text

    run(scenario())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_listener_that_cannot_open_says_why(transport):
    async def scenario():
        async with node(f"{transport}:127.0.0.1:0") as (first, _), node() as (second, _):
            with pytest.raises(TransportError, match=f"cannot listen on {transport}:127.0.0.1:.*in use; stop the other"):
                await second.listen(first.listeners[0])
            with pytest.raises(TransportError, match="no such address"):
                await second.listen(f"{transport}:192.0.2.77:0")
            with pytest.raises(TransportError, match=r"'sctp' is not supported \(supported: udp, tcp\)"):
                await second.listen("sctp:127.0.0.1:0")
            assert second.listeners == ()

    run(scenario())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_wildcards_of_both_ip_versions_share_a_port_and_show_a_real_address(transport):
    async def scenario():
        async with node(f"{transport}:0.0.0.0:0") as (both, _):
            port = both.listeners[0].port
            await both.listen(f"{transport}:[::]:{port}")
            assert both.local_for(Address(transport, "127.0.0.1", 9)) == Address(transport, "127.0.0.1", port)
            assert both.local_for(Address(transport, "::1", 9)) == Address(transport, "::1", port)
            assert both.local_for(Address("tls", "127.0.0.1", 9)) is None

    run(scenario())


def test_listen_before_start_is_a_mistake():
    async def scenario():
        with pytest.raises(RuntimeError, match="call start"):
            await SocketTransport().listen("udp:127.0.0.1:0")

    run(scenario())


# ---------------------------------------------------------------- TCP


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_messages_to_one_address_share_a_connection_and_answers_come_back_on_it(host):
    async def scenario():
        async with node(f"tcp:{host}:0") as (caller, c), node(f"tcp:{host}:0") as (callee, d):
            d.answer = options("z9hG4bKanswer")
            sent = [options(f"z9hG4bK{n}", b"x" * n * 1000) for n in range(20)]
            for data in sent:
                caller.send(data, callee.listeners[0])
            await c.until(lambda p: len(p.messages) == 20)
            assert [m[0] for m in d.messages] == sent
            assert {m[0] for m in c.messages} == {d.answer}
            assert caller.stats["tcp_connected"] == callee.stats["tcp_accepted"] == 1
            assert c.messages[0][1] == callee.listeners[0]
            assert c.messages[0][2] == caller.listeners[0]  # the listener: what Via names
            assert d.messages[0][1].port != caller.listeners[0].port

    run(scenario())


def test_an_answer_whose_connection_is_gone_goes_to_the_address_given_for_that_case():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (caller, c), node("tcp:127.0.0.1:0") as (callee, d):
            caller.send(options(), callee.listeners[0])
            await d.until(lambda p: p.messages)
            flow = d.messages[0][3]
            callee.close_flow(flow)
            await d.until(lambda p: p.closed)
            await c.until(lambda p: p.closed)
            assert d.closed == [flow]
            assert flow.closed
            callee.send(options("z9hG4bKlate"), caller.listeners[0], None, flow)
            await c.until(lambda p: p.messages)
            assert c.messages[0][0] == options("z9hG4bKlate")
            caller.send(options("z9hG4bKagain"), callee.listeners[0])
            await d.until(lambda p: len(p.messages) == 2)

    run(scenario())


def test_every_message_waiting_for_a_refused_connection_is_reported():
    async def scenario():
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            dead = Address("tcp", "127.0.0.1", closed.getsockname()[1])
        async with node("tcp:127.0.0.1:0") as (caller, c):
            sent = [options(f"z9hG4bK{n}") for n in range(3)]
            for data in sent:
                caller.send(data, dead)
            await c.until(lambda p: len(p.failures) == 3)
            assert [f[3] for f in c.failures] == sent
            assert {(f[0], f[2]) for f in c.failures} == {(dead, "Connection refused")}
            assert c.closed == []  # it never was open

    run(scenario())


def test_a_connection_that_gets_no_answer_fails_after_the_timeout():
    async def scenario():
        async with node("tcp:127.0.0.1:0", limits=Limits(tcp_connect_timeout=0.0)) as (caller, c):
            caller.send(options(), caller.listeners[0])
            await c.until(lambda p: p.failures)
            assert "no answer to the connection within 0 s" in c.failures[0][2]

    run(scenario())


def test_a_ping_gets_a_pong_and_a_message_in_single_bytes_arrives():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d):
            reader, writer = await raw(callee)
            writer.write(b"\r\n\r\n")
            assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
            for byte in options():
                writer.write(bytes([byte]))
                await writer.drain()
            await d.until(lambda p: p.messages)
            assert d.messages[0][0] == options()
            writer.close()
            await d.until(lambda p: p.closed)
            assert d.closed[0].reason == "closed by the peer"

    run(scenario())


def test_an_unreadable_stream_keeps_what_came_before_is_answered_and_closed():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d):
            reader, writer = await raw(callee)
            bad = options("z9hG4bKbad").replace(b"Content-Length: 0", b"Content-Length: -1")
            writer.write(options("z9hG4bKgood") + bad)
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer.startswith(b"SIP/2.0 400 ")
            assert b"branch=z9hG4bKbad" in answer
            await d.until(lambda p: p.closed)
            assert [m[0] for m in d.messages] == [options("z9hG4bKgood")]
            assert callee.stats["tcp_framing_errors"] == 1
            assert "unreadable stream" in d.closed[0].reason
            writer.close()

    run(scenario())


def test_connections_beyond_the_limit_are_refused_in_both_directions():
    async def scenario():
        async with node("tcp:127.0.0.1:0", limits=Limits(tcp_connections=1)) as (callee, d):
            _, first = await raw(callee)
            first.write(options())
            await d.until(lambda p: p.messages)
            reader, second = await raw(callee)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            callee.send(options(), Address("tcp", "127.0.0.1", 9))
            await d.until(lambda p: p.failures)
            assert d.failures[0][2] == "all 1 connections are in use"
            assert callee.stats["tcp_refused"] == 2
            first.close()
            second.close()

    run(scenario())


def test_a_peer_that_does_not_read_is_cut_off_and_the_unsent_is_reported():
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            to = Address("tcp", "127.0.0.1", deaf.getsockname()[1])
            limits = Limits(tcp_write_buffer=200_000)
            async with node("tcp:127.0.0.1:0", limits=limits) as (caller, c):
                big = options("z9hG4bKbig", bytes(60_000))
                for _ in range(4):
                    caller.send(big, to)
                await c.until(lambda p: p.failures)
                assert "wait for the connection" in c.failures.pop()[2]
                await turns_until(lambda: caller.stats["tcp_connected"])
                while not c.failures:
                    caller.send(big, to)
                    await asyncio.sleep(0)
                await c.until(lambda p: p.closed)
                assert caller.stats["tcp_overflows"] == 2
                assert any("does not read" in f[2] for f in c.failures)
                assert any("connection lost" in f[2] for f in c.failures)
                assert all(f[3] == big for f in c.failures)

    run(scenario())


def test_silent_connections_are_closed_the_unproven_ones_sooner():
    async def scenario():
        limits = Limits(tcp_idle_timeout=900.0, tcp_message_timeout=32.0)
        async with node("tcp:127.0.0.1:0", limits=limits) as (callee, d):
            _, talker = await raw(callee)
            talker.write(options())
            await d.until(lambda p: p.messages)
            _, mute = await raw(callee)
            mute.write(options()[:50])
            await turns_until(lambda: len(callee._kinds["tcp"].ledger.connections) == 2)
            kind, now = callee._kinds["tcp"], asyncio.get_running_loop().time()
            kind.close_idle(now + 31)
            await asyncio.sleep(0)
            assert len(kind.ledger.connections) == 2
            kind.close_idle(now + 33)
            await d.until(lambda p: p.closed)
            assert [flow.greeted for flow in d.closed] == [False]
            kind.close_idle(now + 901)
            await d.until(lambda p: len(p.closed) == 2)
            assert callee.stats["tcp_idle_closed"] == 2
            talker.close()
            mute.close()

    run(scenario())


def test_closing_lets_out_what_was_sent_and_later_sends_are_reported():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d), node("tcp:127.0.0.1:0") as (caller, c):
            caller.send(options("z9hG4bK1"), callee.listeners[0])
            await d.until(lambda p: p.messages)
            caller.send(options("z9hG4bK2"), callee.listeners[0])
            await caller.close()
            await d.until(lambda p: len(p.messages) == 2)
            caller.send(options(), callee.listeners[0])
            await c.until(lambda p: p.failures)
            assert c.failures[0][2] == "the transport is closed"

    run(scenario())
