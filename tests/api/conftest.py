"""Two phones on a simulated network, and a way to await what happens on its clock."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from calltable.adapters.simulated.clock import VirtualClock
from calltable.adapters.simulated.network import SimulatedNetwork
from calltable.adapters.sip.core.screening import Screening
from calltable.adapters.sip.message.uri import host_port
from calltable.adapters.sip.transport.address import Address, canonical_ip
from calltable.assembly import Engine
from calltable.loading import Tables
from calltable.phone.softphone import Softphone


class Literal:
    """Finds literal addresses only; there is no DNS in a simulation."""

    def find(self, uri, done):
        host, port, transport = host_port(uri)
        done([Address(transport or "udp", canonical_ip(host), port or 5060)], "")


@pytest.fixture(scope="session")
def tables():
    return Tables()


class World:
    """A network without loss, and phones on it by name."""

    def __init__(self, tables):
        self.tables = tables
        self.clock = VirtualClock()
        self.random = Random(7)
        self.network = SimulatedNetwork(self.clock, self.random, delay=(0.01, 0.01))

    def engine(self, address):
        transport = self.network.attach(address)
        return Engine(self.tables, self.clock, transport, Literal(), screening=Screening((), any_content=False), rng=self.random)

    def phone(self, name, host, **options):
        return Softphone(self.engine(f"udp:{host}:5060"), f"sip:{name}@example.com", **options)

    def sent(self):
        """The first lines of all that went over the network."""
        return [packet.data.split(b"\r\n", 1)[0].decode() for packet in self.network.log]

    def awaited(self, coroutine, seconds=300.0):
        """The result of a coroutine, while the clock goes on for at most so long."""

        async def main():
            task = asyncio.ensure_future(coroutine)
            end = self.clock.time() + seconds
            while not task.done() and self.clock.time() < end:
                await asyncio.sleep(0)
                if not task.done():
                    self.clock.advance(0.005)
                await asyncio.sleep(0)
            if not task.done():
                task.cancel()
            return await task

        return asyncio.run(main())


@pytest.fixture
def world(tables):
    return World(tables)
