"""A call as a program holds it: what it may say, context managers, iteration, and what becomes of a call whose task is cancelled."""

from __future__ import annotations

import asyncio
import copy

import pytest

from calltable.adapters.media.signalling import SignallingMedia
from calltable.adapters.sip.message.parse import parse
from calltable.assembly import Refused
from calltable.loading import read
from calltable.phone.call import CallFailed
from calltable.phone.endpoint import Endpoint
from calltable.phone.fields import description, header_fields
from calltable.phone.owner import HISTORY
from calltable.phone.softphone import Softphone

BOB = "sip:bob@10.0.0.2"
SDP = SignallingMedia(7).offer("192.0.2.7")


@pytest.fixture
def alice(world):
    return world.phone("alice", "10.0.0.1")


@pytest.fixture
def bob(world):
    """Keeps its calls, and does nothing with them."""
    phone = world.phone("bob", "10.0.0.2")
    phone.taken = []
    phone.on_incoming = phone.taken.append
    return phone


def up(world, alice, bob, **options):
    mine = alice.call(BOB, **options)
    world.clock.advance(0.1)
    theirs = bob.taken[-1]
    theirs.answer()
    world.clock.advance(0.1)
    assert (mine.state, theirs.state) == ("active", "active")
    return mine, theirs


def messages(world, start):
    return [parse(packet.data) for packet in world.network.log if packet.data.startswith(start.encode())]


# --------------------------------------------------------------------------- what a program says


def test_header_fields_and_a_description_go_into_the_invite(world, alice, bob):
    alice.call(BOB, headers={"Subject": "lunch"}, sdp=SDP)
    world.clock.advance(0.1)
    (invite,) = messages(world, "INVITE")
    assert invite.get("subject") == "lunch"
    assert invite.body == SDP
    assert bob.taken[0].request.get("subject") == "lunch"


def test_an_empty_description_leaves_the_offer_to_the_other_side(world, alice, bob):
    up(world, alice, bob, sdp="")
    (invite,), (ack,) = messages(world, "INVITE"), messages(world, "ACK")
    assert invite.body == b""
    assert b"m=audio" in ack.body, "RFC 3261 §13.2.1: the answer goes in the ACK"


def test_answers_and_refusals_carry_what_the_program_gives(world, alice, bob):
    alice.call(BOB)
    alice.call(BOB)
    world.clock.advance(0.1)
    bob.taken[0].answer(headers=[("Server", "bob"), ("Server", "again")], sdp=SDP)
    bob.taken[1].reject(302, headers={"Reason": "SIP;cause=302"})
    world.clock.advance(0.1)
    (success,) = messages(world, "SIP/2.0 200")
    assert success.all("server") == ["bob", "again"]
    assert success.body == SDP
    (refusal,) = messages(world, "SIP/2.0 302")
    assert refusal.get("reason") == "SIP;cause=302"


@pytest.mark.parametrize("answered", [True, False], ids=["BYE", "CANCEL"])
def test_a_hang_up_says_why(world, alice, bob, answered):
    reason = 'SIP;cause=200;text="Call completed elsewhere"'
    if answered:
        mine, _ = up(world, alice, bob)
    else:
        mine = alice.call(BOB)
        world.clock.advance(0.1)
    mine.hangup(reason=reason)
    world.clock.advance(0.1)
    (last,) = messages(world, "BYE" if answered else "CANCEL")
    assert last.get("reason") == reason


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Via": "x"}, "Via is set by the stack"), ({"m": "<sip:x@y>"}, "m is set by the stack"),
        ({"Call-ID": "x"}, "set by the stack"), ({"X-A": "b\r\nVia: c"}, "X-A: the value contains a line break"),
        ([("X A", "b")], "invalid header field name 'X A'"), ({"": "b"}, "invalid header field name"),
    ],
)  # fmt: skip
def test_header_fields_that_cannot_be_given_are_refused_before_anything_is_sent(world, alice, bob, headers, text):
    with pytest.raises(ValueError, match=text):
        alice.call(BOB, headers=headers)
    assert not alice.calls
    assert not world.sent()
    mine, _ = up(world, alice, bob)
    sent = len(world.sent())
    for command in (mine.hold, mine.answer, mine.ring, lambda headers: mine.send("INFO", headers=headers)):
        with pytest.raises(ValueError, match=text):
            command(headers=headers)
    assert len(world.sent()) == sent
    with pytest.raises(ValueError, match="line break"):
        mine.hangup(reason="a\r\nb: c")
    assert mine.state == "active"


def test_what_is_no_description_is_refused(alice):
    with pytest.raises(ValueError, match="begins with v=0"):
        alice.call(BOB, sdp="hello")
    assert description("") == b""
    assert list(header_fields({"X-A": "ä\tb"})) == [("X-A", "ä\tb")]


def test_an_attended_call_leaves_requests_and_re_invites_to_the_program(world, alice, bob):
    bob.attended = True
    mine, theirs = up(world, alice, bob)
    mine.send("INFO", b"1", "text/plain")
    mine.hold()
    world.clock.advance(1)
    assert mine.event("response", "reinvite_answered", "reinvite_failed") is None
    theirs.respond(theirs.event("request"), 403)
    theirs.reject(488)
    world.clock.advance(1)
    assert (mine.event("response").code, mine.event("reinvite_failed").code) == (403, 488)
    theirs.attend(on=False)
    mine.hold()
    world.clock.advance(1)
    assert mine.event("reinvite_answered") is not None


def test_a_command_that_is_refused_inside_a_step_is_an_event(world, alice, bob):
    mine = alice.call(BOB)
    mine.on_event = lambda call, event: call.hold() if event.name == "progress" else None
    world.clock.advance(0.1)
    bob.taken[0].ring()
    world.clock.advance(0.1)
    refused = mine.event("command_refused")
    assert refused.fields["event"] == "user.reinvite"
    assert refused.reason == "the leg is not in a state to do this"
    with pytest.raises(Refused):
        mine.hold()
    assert [one.name for one in mine.events].count("command_refused") == 1, "what is raised is no event too"


def test_the_offer_waits_for_the_name_and_names_the_address_that_is_called_from(world, alice, bob):
    waiting = []
    find = alice.engine.stack.sender.locator.find
    alice.engine.stack.sender.locator.find = lambda uri, done: waiting.append(lambda: find(uri, done))
    call = alice.call(BOB)
    assert call.state == "preparing"
    assert not world.sent()
    alice.engine.stack.sender.locator.find = find
    waiting.pop()()
    world.clock.advance(0.1)
    (invite,) = messages(world, "INVITE")
    assert b"c=IN IP4 10.0.0.1" in invite.body


def test_tables_without_phones_say_so(world):
    world.tables = copy.copy(world.tables)
    world.tables.machines = {name: one for name, one in world.tables.machines.items() if not name.startswith("phone/")}
    with pytest.raises(LookupError, match="no table phone/caller"):
        Softphone(world.engine("udp:10.0.0.7:5060"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "phones"),
    [("", True), ("interfaces: {user.phone: {doc: Mine., events: {user.shake: {doc: It is shaken.}}}}\n", False)],
    ids=["beside", "in place of"],
)
def test_a_catalogue_of_ones_own_keeps_the_phones_unless_it_has_words_of_the_same_name(tmp_path, more, phones):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"calltable: 1\ncatalogue: mine\ninclude: [sip, route]\n{more}", encoding="utf-8")
    machines = read([mine]).machines
    assert {"leg/uac", "b2bua/bridge", "transaction/client"} <= machines.keys()
    assert ("phone/caller" in machines) == phones


# --------------------------------------------------------------------------- context managers, iteration


def test_leaving_a_call_hangs_up_and_waits_for_the_end(world, alice, bob):
    bob.on_incoming = lambda call: call.answer()

    async def talk():
        async with alice.call(BOB) as call:
            assert call.state == "active"
        assert call.ended
        return [event.name for event in call.events]

    assert world.awaited(talk()) == ["answered", "ended"]


def test_a_call_that_is_not_answered_cannot_be_entered(world, alice, bob):
    bob.on_incoming = lambda call: call.reject(486)

    async def talk():
        async with alice.call(BOB):
            pytest.fail("there is no call")

    with pytest.raises(CallFailed, match="486"):
        world.awaited(talk())


def test_leaving_a_call_by_an_error_hangs_up_as_well(world, alice, bob):
    bob.on_incoming = lambda call: call.answer()

    async def talk():
        async with alice.call(BOB):
            raise KeyError("mine")

    with pytest.raises(KeyError):
        world.awaited(talk())
    assert not alice.calls


def test_leaving_a_phone_ends_all_its_calls(world, alice, bob):
    bob.on_incoming = lambda call: call.answer()

    async def talk():
        async with alice:
            await alice.call(BOB)
            alice.call(BOB)
        return dict(alice.calls)

    assert world.awaited(talk()) == {}


def test_going_through_the_events_of_a_call_ends_with_the_call(world, alice, bob):
    bob.on_incoming = lambda call: call.answer()

    async def talk():
        call = alice.call(BOB)
        names = []
        async for event in call:
            names.append(event.name)
            if event.name == "answered":
                call.hold()
            elif event.name == "reinvite_answered":
                call.hangup()
        again = [event.name async for event in call]
        return names, again

    names, again = world.awaited(talk())
    assert names == again == ["answered", "reinvite_answered", "ended"]


def test_who_falls_behind_misses_the_oldest_events(world, alice, bob):
    mine, theirs = up(world, alice, bob)
    for _ in range(HISTORY + 50):
        theirs.send("INFO")
    world.clock.advance(1)
    mine.hangup()
    world.clock.advance(1)
    assert len(mine.events) == HISTORY

    async def listen():
        return [event.name async for event in mine]

    names = world.awaited(listen())
    assert len(names) == HISTORY
    assert names[-1] == "ended"


# --------------------------------------------------------------------------- cancelled tasks


def cancelled(world, work, after=0.5):
    """Run ``work()`` as a task and cancel it after so many seconds."""

    async def main():
        task = asyncio.ensure_future(work())
        world.clock.call_later(after, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    world.awaited(main())


def at_rest(world, *phones):
    world.clock.advance(200)
    return all(not phone.calls and phone.engine.snapshot()["sessions"] == 0 for phone in phones)


@pytest.mark.parametrize("how", ["await", "async with"])
def test_placing_a_call_that_is_cancelled_takes_it_back(world, alice, bob, how):
    async def place():
        if how == "await":
            await alice.call(BOB)
        else:
            async with alice.call(BOB):
                pytest.fail("nobody has answered")

    cancelled(world, place)
    assert messages(world, "CANCEL")
    assert at_rest(world, alice, bob)


def test_waiting_within_a_call_that_is_cancelled_leaves_the_call_alone(world, alice, bob):
    mine, _ = up(world, alice, bob)

    async def listen():
        async for _ in mine:
            pass

    cancelled(world, lambda: mine.wait("reinvite", again=True))
    cancelled(world, listen)
    assert mine.state == "active"
    assert mine._waiting == [], "nothing is left of those who waited"


def test_a_block_that_is_cancelled_hangs_up(world, alice, bob):
    bob.on_incoming = lambda call: call.answer()

    async def talk():
        async with alice.call(BOB) as call:
            await call.wait("reinvite", again=True)

    cancelled(world, talk)
    assert messages(world, "BYE")
    assert at_rest(world, alice, bob)


def test_leaving_a_block_that_is_cancelled_has_hung_up_already(world, alice, bob):
    bob.on_incoming = lambda call: call.answer()

    async def talk():
        async with alice.call(BOB):
            pass

    cancelled(world, talk, 0.025)  # answered after 0.02 s: the BYE is on its way, its answer is not
    assert at_rest(world, alice, bob)
    assert messages(world, "BYE")


def test_leaving_a_phone_that_is_cancelled_has_hung_up_already(world, alice, bob):
    mine, _ = up(world, alice, bob)

    async def leave():
        async with alice:
            pass

    cancelled(world, leave, 0.012)  # the answer to the BYE takes 0.02 s
    assert mine.state == "ending"
    assert at_rest(world, alice, bob)
    assert messages(world, "BYE")


def test_a_coroutine_that_takes_a_call_and_is_cancelled_lets_the_caller_go(world, alice, bob):
    async def incoming(call):
        call.ring()
        await asyncio.Event().wait()

    bob.on_incoming = incoming

    async def place():
        call = alice.call(BOB)
        await call.wait("progress")
        for task in bob.deciding:
            task.cancel()
        await call

    with pytest.raises(CallFailed, match="500"):
        world.awaited(place())
    assert at_rest(world, alice, bob)


def test_opening_an_endpoint_that_is_cancelled_leaves_no_socket(tables, monkeypatch):
    opened = []

    async def listen(self, address):
        opened.append(self)
        await asyncio.Event().wait()

    monkeypatch.setattr("calltable.phone.endpoint.SocketTransport.listen", listen)

    async def main():
        task = asyncio.ensure_future(Endpoint.open(tables, ["udp:127.0.0.1:0"])._make())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return opened[0].listeners

    assert asyncio.run(main()) == ()


def test_closing_an_endpoint_that_is_cancelled_closes_its_sockets(tables):
    async def main():
        async with Endpoint.open(tables, ["udp:127.0.0.1:0"], on_incoming=lambda call: call.answer()) as bob:
            alice = await Endpoint.open(tables, ["udp:127.0.0.1:0"])
            call = await alice.phone.call(f"sip:bob@{bob.address.hostport}")
            task = asyncio.ensure_future(alice.close(patience=60))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return call.state, alice.transport.listeners

    state, listeners = asyncio.run(main())
    assert state == "ending"
    assert listeners == ()
