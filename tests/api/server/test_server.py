"""A server on real sockets of this machine: limits, draining, its control socket, and that it closes what it opened."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from calltable.adapters.sip.transport.address import Address
from calltable.adapters.sip.transport.interface import TransportError
from calltable.b2bua.routes import Route
from calltable.control.unix import ask
from calltable.loading import Tables
from calltable.observe.entry import read_trace
from calltable.phone.call import CallFailed
from calltable.phone.endpoint import Endpoint
from calltable.server.config import Config
from calltable.server.demo import Demo, free_listeners
from calltable.server.server import Server

HERE = (Address("udp", "127.0.0.1", 0),)


def run(scene, tables, **changes):
    """Play a scene between alice, a server and bob, who answers at once; all are closed whatever happens."""

    async def main():
        bob = await Endpoint.open(tables, ["udp:127.0.0.1:0"])
        bob.phone.on_incoming = lambda call: call.answer()
        config = Config(**{"listen": HERE, "routes": (Route(target=f"sip:{bob.address.hostport}"),), "drain": 0.05, **changes})
        server = Server(config, tables)
        await server.start()
        alice = await Endpoint.open(tables, via=f"sip:{server.listeners[0].hostport}")
        try:
            return await asyncio.wait_for(scene(server, alice, bob), 10)
        finally:
            await alice.close(patience=1)
            await server.close()
            await bob.close(patience=1)

    return asyncio.run(main())


BOB = "sip:bob@127.0.0.1"
EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
OVERLAY = """\
calltable: 1
overlay: b2bua/bridge
replace:
  - id: bridge.routing.rejected
    state: routing
    event: route.rejected
    actions: [child.tell: {to: a, event: user.reject, with: {code: CODE}}]
    next_state: closing
"""


def test_a_call_goes_through_and_leaves_nothing_behind(tables, tmp_path):
    async def scene(server, alice, bob):
        call = await alice.phone.call(BOB)
        status = await asyncio.to_thread(ask, tmp_path / "s", "status")
        assert (status["calls"], status["dialogs"]) == (1, 2)
        call.hangup()
        await call.wait("ended")
        assert await server.drain() is True, "the other leg needs a moment"
        assert server.snapshot()["dialogs"] == 0
        assert server.snapshot()["counters"]["calls ended"] == 1

    run(scene, tables, control=tmp_path / "s", trace=tmp_path / "t.jsonl", drain=5.0)
    assert not (tmp_path / "s").exists()
    entries = read_trace((tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines())
    assert {"uas.start", "bridge.start", "uac.start"} <= {entry.row for entry in entries}
    assert abs(entries[0].time - (tmp_path / "t.jsonl").stat().st_mtime) < 60, "times are those of the wall"


def test_more_calls_than_allowed_get_503_with_retry_after(tables):
    async def scene(server, alice, bob):
        await alice.phone.call(BOB)
        second = alice.phone.call(BOB)
        with pytest.raises(CallFailed, match="503"):
            await second
        assert second.event("failed").fields["message"].get("retry-after") == "7"
        assert len(server.b2bua.calls) == 1, "the first call goes on"

    run(scene, tables, max_calls=1, retry_after=7.4)


def test_a_draining_server_takes_no_new_calls_and_lets_the_running_ones_end(tables):
    async def scene(server, alice, bob):
        call = await alice.phone.call(BOB)
        drained = asyncio.ensure_future(server.drain())
        await asyncio.sleep(0)
        with pytest.raises(CallFailed, match="503"):
            await alice.phone.call(BOB)
        assert not drained.done()
        call.hangup()
        assert await drained is True

    run(scene, tables, drain=5.0)


def test_after_its_time_a_draining_server_hangs_up_both_sides(tables):
    async def scene(server, alice, bob):
        call = await alice.phone.call(BOB)
        assert await server.drain() is False
        assert (await call.wait("hung_up")).reason == "remote"
        assert not server.b2bua.calls

    run(scene, tables, drain=0.02)


def test_draining_without_calls_is_over_at_once(tables):
    async def scene(server, alice, bob):
        before = asyncio.get_running_loop().time()
        assert await server.drain() is True
        assert asyncio.get_running_loop().time() - before < 0.1

    run(scene, tables, drain=60.0)


def test_a_server_that_cannot_listen_leaves_nothing_open(tables, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = Address("udp", "127.0.0.1", other.getsockname()[1])

        async def main():
            server = Server(Config(listen=(*HERE, taken), routes=(Route(reject=404),), control=tmp_path / "s"), tables)
            with pytest.raises(TransportError, match="the address is in use"):
                await server.start()

        asyncio.run(main())
    assert not (tmp_path / "s").exists()


def test_an_endpoint_closes_its_calls_before_its_sockets(tables):
    async def scene(server, alice, bob):
        await alice.phone.call(BOB)
        assert await alice.close(patience=2) is True
        for call in list(bob.phone.calls.values()):
            await call.wait("ended")

    run(scene, tables)


@pytest.mark.parametrize("listen", ["udp:127.0.0.1:0", Address("udp", "127.0.0.1", 0)])
def test_an_endpoint_is_given_a_list(tables, listen):
    with pytest.raises(TypeError, match=r"write \['udp:127.0.0.1:0'\]"):
        asyncio.run(Endpoint.open(tables, listen))


def test_a_reload_builds_on_the_tables_of_the_program(tmp_path):
    """Its paths, overlays, settings and predicates stay, under what the configuration names."""
    mine = Tables(
        [EXAMPLES / "callers.yaml"], overlays=[EXAMPLES / "unwanted.yaml"], config={"no_answer": 7.0},
        predicates={"unwanted": lambda message: "mallory" in message.get("From")},
    )  # fmt: skip
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(OVERLAY.replace("CODE", "404"), encoding="utf-8")

    async def code(alice, uri, **options):
        with pytest.raises(CallFailed) as caught:
            await alice.phone.call(uri, **options)
        return caught.value.code

    async def scene(server, alice, bob):
        async def codes():
            return await code(alice, BOB, identity="sip:mallory@example.com"), await code(alice, "sip:carol@127.0.0.1")

        assert server.tables.config["no_answer"] == 7.0
        assert server.tables.config["unanswered_timeout"] == 9.0
        assert await codes() == (433, 404)
        overlay.write_text(OVERLAY.replace("CODE", "410"), encoding="utf-8")
        assert "problems" not in await server.reload()
        assert server.tables.config["no_answer"] == 7.0
        assert server.tables.config["unanswered_timeout"] == 9.0
        assert await codes() == (433, 410)
        assert (await server.shadow(tmp_path / "nosuch"))["problems"] == [f"there is no {tmp_path / 'nosuch'}"]

    run(scene, mine, overlays=(overlay,), timers={"unanswered_timeout": 9.0}, routes=(Route(uri="carol", reject=404), Route(target="sip:127.0.0.1:9")))


def test_tables_that_are_given_twice_count_once():
    """A program may hand over what it has loaded by the same configuration."""
    config = Config(overlays=(EXAMPLES / "divert.yaml",), listen=HERE)
    assert Server(config, config.load_tables()).tables.recipe == config.load_tables().recipe


def test_an_endpoint_that_cannot_listen_says_so(tables):
    async def main():
        with pytest.raises(TransportError, match="no such address"):
            await Endpoint.open(tables, ["udp:192.0.2.1:5060"])

    asyncio.run(main())


@pytest.mark.slow
def test_the_demo_shows_one_call_from_invite_to_bye(tables):
    async def main():
        drawn = []
        demo = Demo(tables, HERE, rings=0.01, talks=0.01)
        await demo.start()
        demo.on_ended = drawn.append
        try:
            await demo.call()
            await demo.call()
        finally:
            await demo.close()
        return drawn

    drawn = asyncio.run(main())
    assert len(drawn) == 2
    for entries in drawn:
        methods = [entry.summary.split()[0] for entry in entries if entry.kind == "message"]
        assert methods[0] == "INVITE"
        assert methods.count("BYE") == methods.count("ACK") == 2
    assert len({entry.call for entries in drawn for entry in entries}) == 2, "each ladder shows its own call"


def test_free_listeners_pass_over_a_port_that_is_taken():
    first = free_listeners(45060)[0].port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind(("127.0.0.1", first))
        other.listen()
        found = free_listeners(first)
    assert {one.port for one in found} == {found[0].port}
    assert found[0].port > first


def test_a_server_looks_for_calls_without_end_unless_it_is_told_not_to():
    assert Server(Config()).tables.config["liveness_check"] is True
    assert Server(Config()).tables.config["max_duration"] == 43_200
    told = Server(Config(settings={"liveness_check": False}, timers={"max_duration": 60.0})).tables.config
    assert (told["liveness_check"], told["max_duration"]) == (False, 60)
    assert Tables().config["liveness_check"] is False


def test_the_defaults_of_a_server_are_no_settings_of_tables_that_do_not_know_them():
    assert "speed" not in Tables(defaults={"speed": 9}).config
