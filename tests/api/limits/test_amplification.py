"""What may be sent to a source that has not proved itself: bytes for bytes, and one call a minute beside that."""

from __future__ import annotations

import pytest

from calltable.adapters.sip.message.parse import parse
from calltable.adapters.sip.transaction.outgoing import Outgoing, Sent
from calltable.adapters.sip.transport.address import Address
from calltable.limits import Plan, SourceAdmission

VICTIM = Address("udp", "192.0.2.1", 5060)


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.policy = SourceAdmission(Plan(), lambda: self.now, capacity=100)

    def came(self, size: int, address: Address = VICTIM) -> None:
        self.policy.source(address, size)

    def sends(self, call: str, size: int, to: Address = VICTIM) -> bool:
        """Whether a repetition of so many bytes leaves."""
        data = f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\r\n".encode().ljust(size)
        return self.policy.may_send(Outgoing(Sent(parse(data)), to, None, None), data)


@pytest.fixture
def world() -> World:
    return World()


def test_three_bytes_for_each_that_came_and_then_one_call_only(world: World):
    world.came(500)
    assert [world.sends("a", 500) for _ in range(6)] == [True] * 6, "three for three, and then it is the call with the schedule"
    assert not world.sends("b", 500)
    world.came(500)
    assert [world.sends("b", 500) for _ in range(4)] == [True] * 3 + [False]
    assert world.sends("a", 500)
    assert world.policy.counters["withheld from unproved addresses"] == 2


def test_another_call_keeps_its_schedule_a_minute_later(world: World):
    world.came(100)
    assert world.sends("a", 500)
    world.now = 59
    assert not world.sends("b", 500)
    world.now = 61
    assert world.sends("b", 500)
    assert not world.sends("a", 500), "its time is over"


def test_what_came_long_ago_counts_no_more(world: World):
    world.came(100_000)
    world.now = 61
    assert world.sends("a", 500)
    assert not world.sends("b", 500)


def test_who_has_proved_itself_gets_everything(world: World):
    account = world.policy.source(VICTIM, 100)
    assert account is not None
    account.proved()
    assert all(world.sends(str(n), 5000) for n in range(100))


def test_a_connection_proves_its_source(world: World):
    world.came(10, VICTIM._replace(transport="tcp"))
    assert all(world.sends(str(n), 5000) for n in range(100))


def test_a_third_address_gets_no_repetition_until_it_is_called(world: World):
    assert not world.sends("a", 100)
    data = b"INVITE sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:x@y>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"
    assert world.policy.may_send(Outgoing(parse(data), VICTIM, None, None), data)
    assert world.sends("a", 100)


def test_a_bye_does_not_make_a_third_address_known(world: World):
    data = b"BYE sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:x@y>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 BYE\r\n\r\n"
    assert world.policy.may_send(Outgoing(parse(data), VICTIM, None, None), data), "once"
    assert not world.sends("1", 100)
