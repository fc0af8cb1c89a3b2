"""Routes that lead back to the server itself."""

from __future__ import annotations

import asyncio

import pytest

from calltable.adapters.sip.transport.address import Address
from calltable.b2bua.routes import Route
from calltable.server.circle import leading_back
from calltable.server.config import Config
from calltable.server.demo import free_listeners
from calltable.server.server import Server


@pytest.mark.parametrize(("target", "listener", "back"), [
    ("sip:127.0.0.1:5070", "udp:127.0.0.1:5070", True), ("sip:x@127.0.0.1", "udp:127.0.0.1:5060", True),
    ("sip:{user}@127.0.0.1", "udp:127.0.0.1:5060", True), ("sip:[::1]:5070", "udp:[0::1]:5070", True),
    ("sip:127.0.0.1:5070", "udp:0.0.0.0:5070", True), ("sip:127.0.0.1:5070;transport=tcp", "tcp:127.0.0.1:5070", True),
    ("sip:127.0.0.1:5071", "udp:127.0.0.1:5070", False), ("sip:127.0.0.1:5070;transport=tcp", "udp:127.0.0.1:5070", False),
    ("sip:127.0.0.2:5070", "udp:127.0.0.1:5070", False), ("sip:10.0.0.1:5070", "udp:0.0.0.0:5070", False),
    ("sip:[::1]:5070", "udp:0.0.0.0:5070", False), ("sip:example.com", "udp:127.0.0.1:5060", False),
])  # fmt: skip
def test_a_target_that_is_a_listener_is_seen(target: str, listener: str, back: bool):
    route = Route(target=target)
    assert [one for one, _ in leading_back([route, Route(reject=403)], [Address.parse(listener)])] == ([route] if back else [])


def test_a_server_says_so_when_it_starts(tables, caplog: pytest.LogCaptureFixture):
    async def scene():
        (address, *_) = free_listeners(24_800)
        server = Server(Config(listen=(address,), routes=(Route(target=f"sip:{address.hostport}", name="round"),)), tables)
        await server.start()
        await server.close()

    asyncio.run(scene())
    assert [line for line in caplog.messages if "route round leads to udp:127.0.0.1" in line and "483" in line]
