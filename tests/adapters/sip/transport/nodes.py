"""Nodes on real sockets, and a receiver that keeps what it is told."""

from __future__ import annotations

import asyncio
import contextlib

from calltable.adapters.sip.transport.limits import Limits
from calltable.adapters.sip.transport.sockets import SocketTransport


def options(branch: str = "z9hG4bK1", body: bytes = b"") -> bytes:
    head = (
        "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1;branch={branch}\r\n"
        "From: <sip:b@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Probe:
    """A receiver that keeps what it is told; ``until`` waits for a number of reports."""

    def __init__(self):
        self.messages, self.failures, self.closed = [], [], []
        self.answer = None
        self.transport = None
        self._change = asyncio.Event()

    def received(self, data, source, local, flow):
        self.messages.append((data, source, local, flow))
        self._change.set()
        if self.answer is not None:
            self.transport.send(self.answer, source, local, flow)

    def transport_failed(self, remote, flow, reason, data):
        self.failures.append((remote, flow, reason, data))
        self._change.set()

    def connection_closed(self, flow):
        self.closed.append(flow)
        self._change.set()

    async def until(self, condition):
        # The condition is looked at after each report, never on a clock.
        async with asyncio.timeout(5):
            while not condition(self):
                self._change.clear()
                await self._change.wait()


async def turns_until(condition):
    """Let the loop turn until the condition holds: for what no receiver is told."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def node(*addresses: str, limits: Limits | None = None):
    transport, probe = SocketTransport(limits=limits), Probe()
    probe.transport = transport
    transport.start(probe)
    for address in addresses:
        await transport.listen(address)
    try:
        yield transport, probe
    finally:
        await transport.close()


def run(coroutine):
    """Run, and fail on anything that reached the loop's exception handler."""
    stray = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: stray.append(context))
        await coroutine

    asyncio.run(main())
    assert stray == []


async def raw(transport: SocketTransport):
    listener = transport.listeners[0]
    return await asyncio.open_connection(listener.host, listener.port)
