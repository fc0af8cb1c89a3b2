"""Streams that end, and strangers on streams: what was sent is not lost without a word, and nobody keeps the others waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import struct
from pathlib import Path

import pytest

from calltable.adapters.sip.transport.address import Address
from calltable.adapters.sip.transport.limits import Limits
from calltable.adapters.sip.transport.outbox import Entry
from tests.adapters.sip.transport.nodes import node, options, raw, run, turns_until

RESPONSE = b"SIP/2.0 486 Busy Here\r\nContent-Length: 0\r\n\r\n"


class Server:
    """A plain TCP server whose ends of the connections are handled by the test."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = Address("tcp", *self.listener.getsockname())

    async def accept(self) -> socket.socket:
        async with asyncio.timeout(5):
            sock, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        sock.setblocking(False)
        return sock

    async def read(self, sock: socket.socket, size: int) -> bytes:
        found = b""
        async with asyncio.timeout(5):
            while len(found) < size:
                piece = await asyncio.get_running_loop().sock_recv(sock, size - len(found))
                if not piece:
                    break
                found += piece
        return found


@contextlib.contextmanager
def server():
    one = Server()
    with one.listener:
        yield one


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
def test_a_request_on_a_connection_that_ended_a_moment_before_goes_on_a_new_one(end):
    async def scenario():
        first, second = options("z9hG4bK1"), options("z9hG4bK2")
        with server() as far:
            async with node("tcp:127.0.0.1:0") as (caller, c):
                caller.send(first, far.address)
                sock = await far.accept()
                assert await far.read(sock, len(first)) == first
                await asyncio.get_running_loop().sock_sendall(sock, RESPONSE)
                await c.until(lambda p: p.messages)
                end(sock)
                caller.send(second, far.address)  # the loop has not seen the end yet
                sock = await far.accept()
                assert await far.read(sock, len(second)) == second
                assert not c.failures
                assert caller.stats["tcp_resent"] == 1
                sock.close()
                await c.until(lambda p: len(p.closed) == 2)
                assert caller.stats["tcp_resent"] == 1, "what arrived is not sent again"

    run(scenario())


def test_a_request_that_is_reset_before_any_answer_goes_again_once_and_then_fails():
    async def scenario():
        first, second = options("z9hG4bK1"), options("z9hG4bK2")
        with server() as far:
            async with node("tcp:127.0.0.1:0") as (caller, c):
                caller.send(first, far.address)
                sock = await far.accept()
                await far.read(sock, len(first))
                await asyncio.get_running_loop().sock_sendall(sock, RESPONSE)
                await c.until(lambda p: p.messages)
                caller.send(second, far.address)
                assert await far.read(sock, len(second)) == second
                reset(sock)
                sock = await far.accept()
                assert await far.read(sock, len(second)) == second
                assert not c.failures
                reset(sock)
                await c.until(lambda p: p.failures)
                assert [(f[0], f[3]) for f in c.failures] == [(far.address, second)]
                assert "connection lost: Connection reset by peer" in c.failures[0][2]

    run(scenario())


def test_a_new_connection_that_is_reset_fails_at_once():
    async def scenario():
        with server() as far:
            async with node("tcp:127.0.0.1:0") as (caller, c):
                caller.send(options(), far.address)
                reset(await far.accept())
                await c.until(lambda p: p.failures)
                assert c.failures[0][3] == options()
                assert caller.stats["tcp_resent"] == 0

    run(scenario())


def test_what_is_lost_while_the_transport_closes_is_reported_and_opens_nothing():
    async def scenario():
        with server() as far:
            async with node("tcp:127.0.0.1:0") as (caller, c):
                caller.send(options("z9hG4bK1"), far.address)
                sock = await far.accept()
                await far.read(sock, len(options()))
                await asyncio.get_running_loop().sock_sendall(sock, RESPONSE)
                await c.until(lambda p: p.messages)
                connection = next(iter(caller._kinds["tcp"].ledger.connections))
                connection.eof_received()
                connection._outbox.wrote(Entry(options("z9hG4bK2"), far.address, None, again=True), 0.0)
                closing = asyncio.ensure_future(caller.close())
                for _ in range(3):
                    await asyncio.sleep(0)
                connection._transport.abort()
                await closing
                await c.until(lambda p: p.failures)
                assert c.failures[0][2:] == ("the transport is closed", options("z9hG4bK2"))
                assert caller.stats["tcp_connected"] == 1
                sock.close()

    run(scenario())


def test_a_response_whose_connection_just_ended_goes_to_where_its_via_says():
    async def scenario():
        with server() as far:
            async with node("tcp:127.0.0.1:0") as (callee, d):
                _, writer = await raw(callee)
                writer.write(options())
                await d.until(lambda p: p.messages)
                _, source, local, flow = d.messages[0]
                writer.transport.abort()
                await asyncio.sleep(0)
                callee.send(RESPONSE, far.address, local, flow)
                sock = await far.accept()
                assert await far.read(sock, len(RESPONSE)) == RESPONSE
                assert source != far.address
                sock.close()

    run(scenario())


def test_many_responses_to_a_peer_that_is_gone_are_no_trouble_of_the_loop(caplog):
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d):
            d.answer = RESPONSE
            with socket.create_connection(callee.listeners[0][1:]) as gone:
                gone.sendall(options() * 30)  # and closes: the first answer is met by a reset, the second write fails
            await d.until(lambda p: p.closed)
        assert caplog.messages == []

    run(scenario())


def test_a_response_with_nowhere_to_go_is_reported():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d):
            _, writer = await raw(callee)
            writer.write(options())
            await d.until(lambda p: p.messages)
            _, source, local, flow = d.messages[0]
            writer.transport.abort()
            await asyncio.sleep(0)
            callee.send(RESPONSE, source, local, flow)
            await d.until(lambda p: p.failures)
            assert d.failures[0][2:] == ("Connection refused", RESPONSE)

    run(scenario())


def test_a_keep_alive_gives_no_more_time_for_the_rest_of_a_message():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d):
            kind = callee._kinds["tcp"]
            _, slow = await raw(callee)
            slow.write(b"\r\n\r\n" + options()[:50])
            await turns_until(lambda: [one for one in kind.ledger.connections if one.held])
            reader, pinging = await raw(callee)
            pinging.write(b"\r\n\r\n")
            assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
            _, whole = await raw(callee)
            whole.write(options())
            await d.until(lambda p: p.messages)
            now = asyncio.get_running_loop().time()
            kind.close_idle(now + 31)
            await asyncio.sleep(0)
            assert not d.closed
            kind.close_idle(now + 33)
            await d.until(lambda p: len(p.closed) == 2)
            assert sorted(one.reason.partition(" for ")[0] for one in d.closed) == ["a message is incomplete", "no message within 33 s"]
            for one in (slow, pinging, whole):
                one.close()

    run(scenario())


def test_what_a_source_has_under_way_is_bounded_and_the_largest_goes():
    async def scenario():
        limits = Limits(tcp_buffered_per_source=250_000, tcp_buffered=10_000_000)
        head = options(body=bytes(100_000))[:-100]
        async with node("tcp:127.0.0.1:0", limits=limits) as (callee, d):
            writers = []
            for _ in range(4):
                _, writer = await raw(callee)
                writer.write(head)
                writers.append(writer)
            await d.until(lambda p: len(p.closed) == 2)
            await turns_until(lambda: callee._kinds["tcp"].ledger.held == 2 * len(head))
            assert {one.reason for one in d.closed} == {"too many bytes are buffered"}
            assert callee.stats["tcp_shed"] == 2
            for writer in writers:
                writer.close()

    run(scenario())


def test_a_flood_of_keep_alives_gets_one_answer():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d):
            reader, writer = await raw(callee)
            writer.write(b"\r\n\r\n" * 20_000 + options())
            await d.until(lambda p: p.messages)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 5) == b"\r\n"
            writer.close()

    run(scenario())


@pytest.mark.slow
def test_pipelined_requests_keep_nobody_waiting():
    async def scenario():
        limits = Limits(tcp_burst=16)
        async with node("tcp:127.0.0.1:0", "udp:127.0.0.1:0", limits=limits) as (callee, d), node("udp:127.0.0.1:0") as (caller, _):
            streams = [(await raw(callee))[1] for _ in range(4)]
            for stream in streams:
                stream.write(options() * 2000)
            udp = next(one for one in callee.listeners if one.transport == "udp")
            await d.until(lambda p: p.messages)
            waited = []
            for n in range(50):
                before = len(d.messages)
                caller.send(b"%d" % n, udp)
                await d.until(lambda p, n=n, before=before: any(m[0] == b"%d" % n for m in p.messages[before:]))
                waited.append(next(at for at, m in enumerate(d.messages[before:]) if m[0] == b"%d" % n))
            assert max(waited) <= 48, "never more than a few turns of 16 messages"
            await d.until(lambda p: len(p.messages) == 8050)
            quarter = [m[3] for m in d.messages[:2000] if m[2].transport == "tcp"]
            assert min(quarter.count(flow) for flow in set(quarter)) > 100, "all streams move on"
            for stream in streams:
                stream.close()

    run(scenario())


def test_a_peer_that_does_not_read_its_answers_is_not_read_from():
    async def scenario():
        limits = Limits(tcp_unread=20_000, tcp_write_buffer=50_000_000)
        async with node("tcp:127.0.0.1:0", limits=limits) as (callee, d):
            d.answer = options("z9hG4bKanswer", bytes(200_000))
            with socket.create_connection(callee.listeners[0][1:]) as deaf:
                deaf.sendall(options() * 150)
                await turns_until(lambda: callee._kinds["tcp"].ledger.connections)
                connection = next(iter(callee._kinds["tcp"].ledger.connections))
                await turns_until(connection._deaf)
                for _ in range(50):
                    await asyncio.sleep(0)
                assert len(d.messages) < 150
                assert connection.held < 1_000_000
                deaf.setblocking(False)
                async with asyncio.timeout(5):
                    while len(d.messages) < 150:
                        with contextlib.suppress(BlockingIOError):
                            deaf.recv(1 << 20)
                        await asyncio.sleep(0)

    run(scenario())


def test_a_peer_that_reads_nothing_for_half_a_minute_is_cut_off():
    async def scenario():
        async with node("tcp:127.0.0.1:0") as (callee, d):
            d.answer = options("z9hG4bKanswer", bytes(900_000))
            with socket.create_connection(callee.listeners[0][1:]) as deaf:
                deaf.sendall(options() * 8)
                kind = callee._kinds["tcp"]
                await turns_until(lambda: [one for one in kind.ledger.connections if one.stalled_since is not None])
                kind.close_idle(asyncio.get_running_loop().time() + 29)
                assert not d.failures
                kind.close_idle(asyncio.get_running_loop().time() + 31)
                await d.until(lambda p: p.closed)
                assert "has read nothing" in d.closed[0].reason
                assert d.failures

    run(scenario())


def test_a_source_has_so_many_connections_and_the_newcomer_gets_the_place_of_the_idlest():
    async def scenario():
        async with node("tcp:127.0.0.1:0", limits=Limits(tcp_connections_per_source=2)) as (callee, d):
            kind = callee._kinds["tcp"]
            writers = [(await raw(callee))[1] for _ in range(2)]
            await turns_until(lambda: len(kind.ledger.connections) == 2)
            reader, third = await raw(callee)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b"", "nobody is idle yet"
            assert callee.stats["tcp_refused"] == 1
            idle = next(iter(kind.ledger.connections))
            idle.last_active -= 10
            _, fourth = await raw(callee)
            await d.until(lambda p: p.closed)
            assert d.closed == [idle]
            assert idle.reason == "closed to make room for another"
            await turns_until(lambda: len(kind.ledger.connections) == 2)
            assert callee.stats["tcp_displaced"] == 1
            for writer in (*writers, third, fourth):
                writer.close()

    run(scenario())


@pytest.fixture
def few_descriptors():
    """The process may have 40 more file descriptors than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(one.name) for one in Path("/proc/self/fd").iterdir()}
    limit = [n for n in range(len(taken) + 40) if n not in taken][39]  # the kernel gives the lowest free number
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see how many descriptors are open")
def test_strangers_cannot_take_the_last_descriptors(few_descriptors, caplog):
    async def scenario():
        async with node("tcp:127.0.0.1:0", limits=Limits(descriptors=10)) as (callee, d):
            clients = [socket.socket() for _ in range(16)]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(callee.listeners[0][1:])
            await turns_until(lambda: callee.stats["tcp_refused"])
            spare = []
            with contextlib.suppress(OSError):
                spare.extend(socket.socket() for _ in range(8))
            assert len(spare) == 8, "there are descriptors left for others"
            for one in (*clients, *spare):
                one.close()
            await d.until(lambda p: not callee._kinds["tcp"].ledger.connections)
        assert len([m for m in caplog.messages if "file descriptors are left" in m]) == 1

    run(scenario())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see how many descriptors are open")
def test_out_of_descriptors_is_one_line_and_a_pause(few_descriptors, caplog):
    async def scenario():
        async with node("tcp:127.0.0.1:0", limits=Limits(descriptors=0, descriptors_pause=0.0)) as (callee, d):
            clients = [socket.socket() for _ in range(8)]
            fill = []
            with contextlib.suppress(OSError):
                while True:
                    fill.append(os.open("/dev/null", os.O_RDONLY))
            for client in clients:
                client.setblocking(False)
                client.connect_ex(callee.listeners[0][1:])
            await turns_until(lambda: callee.stats["tcp_errors"] > 3)
            assert len(caplog.messages) == 1
            assert "no connection can be accepted" in caplog.messages[0]
            for one in fill:
                os.close(one)
            await turns_until(lambda: callee.stats["tcp_accepted"] == 8)
            for client in clients:
                client.close()
            await d.until(lambda p: len(p.closed) == 8)

    run(scenario())
