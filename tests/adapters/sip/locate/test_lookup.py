"""How the stack's question «where to?» is answered: at once where nothing has to be asked."""

from __future__ import annotations

import asyncio

from calltable.adapters.sip.locate.lookup import Lookup
from calltable.adapters.sip.locate.resolver import ResolveError, Resolver
from calltable.adapters.sip.transport.address import Address

UDP = Address("udp", "127.0.0.1", 5060)


def found(lookup, uri):
    answers = []
    lookup.find(uri, lambda ways, reason: answers.append((list(ways), reason)))
    return answers


def test_a_literal_address_is_answered_before_find_returns():
    assert found(Lookup([UDP]), "sip:bob@192.0.2.1:5070") == [([Address("udp", "192.0.2.1", 5070)], "")]


def test_without_a_listener_for_it_the_reason_is_told():
    ((ways, reason),) = found(Lookup([UDP]), "sip:bob@192.0.2.1;transport=tcp")
    assert not ways
    assert "transport tcp is not supported; the transports here are udp" in reason


def test_a_proxy_gets_everything():
    assert found(Lookup([UDP], via="sip:192.0.2.9"), "sip:bob@192.0.2.1") == [([Address("udp", "192.0.2.9", 5060)], "")]


class Slow(Resolver):
    """Knows nothing at once, and answers when it is let."""

    def __init__(self):
        super().__init__()
        self.go = asyncio.Event()

    def resolve_now(self, uri):
        return None

    async def resolve(self, uri):
        await self.go.wait()
        if "nowhere" in str(uri):
            raise ResolveError(str(uri), "there is no such name")
        return [Address("udp", "192.0.2.7", 5060), Address("udp", "192.0.2.8", 5060)]


def test_a_name_is_asked_for_and_answered_later():
    async def main():
        lookup = Lookup([UDP], resolver=Slow())
        answers = found(lookup, "sip:bob@example.com")
        failed = found(lookup, "sip:bob@nowhere.example.com")
        await asyncio.sleep(0)
        assert answers == failed == []
        lookup.resolver.go.set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert answers == [([Address("udp", "192.0.2.7", 5060), Address("udp", "192.0.2.8", 5060)], "")]
        assert failed == [([], "cannot resolve sip:bob@nowhere.example.com: there is no such name")]

    asyncio.run(main())


def test_a_flood_of_names_is_bounded():
    async def main():
        lookup = Lookup([UDP], resolver=Slow())
        answers = [found(lookup, f"sip:bob@{number}.example.com") for number in range(1001)]
        assert answers[-1][0][0] == []
        assert "questions are under way already" in answers[-1][0][1]
        assert not any(answers[:-1])
        lookup.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())


def test_what_was_asked_for_is_not_answered_after_the_close():
    async def main():
        lookup = Lookup([UDP], resolver=Slow())
        answers = found(lookup, "sip:bob@example.com")
        await asyncio.sleep(0)
        lookup.close()
        lookup.resolver.go.set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert answers == []

    asyncio.run(main())
