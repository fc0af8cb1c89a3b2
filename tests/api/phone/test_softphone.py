"""A softphone on a simulated network: what calls do is the tables' business, what handles promise is tested here."""

from __future__ import annotations

import asyncio

import pytest

from calltable.adapters.media.signalling import SignallingMedia
from calltable.adapters.sip.message.parse import parse
from calltable.assembly import Refused
from calltable.phone.call import ALLOWED, CallFailed
from calltable.phone.softphone import Softphone

BOB = "sip:bob@10.0.0.2"


@pytest.fixture
def alice(world):
    return world.phone("alice", "10.0.0.1")


@pytest.fixture
def bob(world):
    """Rings, and keeps its calls."""
    phone = world.phone("bob", "10.0.0.2")
    phone.taken = []

    def incoming(call):
        phone.taken.append(call)
        call.ring()

    phone.on_incoming = incoming
    return phone


@pytest.fixture
def connected(world, alice, bob):
    mine = alice.call(BOB)
    world.clock.advance(0.1)
    (theirs,) = bob.taken
    theirs.answer()
    world.clock.advance(0.1)
    assert (mine.state, theirs.state) == ("active", "active")
    return mine, theirs


def names(call):
    return [event.name for event in call.events]


def quiet(world, *phones):
    """Nothing is left once the transactions have had their time."""
    world.clock.advance(200)
    return all(not p.calls and p.engine.snapshot()["sessions"] == p.engine.snapshot()["timers"] == 0 for p in phones)


def test_a_call_is_placed_answered_and_hung_up(world, alice, bob, connected):
    mine, theirs = connected
    assert names(mine) == ["progress", "answered"]
    assert names(theirs) == ["incoming", "confirmed"]
    assert theirs.remote == "sip:alice@example.com"
    mine.hangup()
    world.clock.advance(0.1)
    assert mine.ended
    assert theirs.ended
    assert names(theirs)[-2:] == ["hung_up", "ended"]
    assert theirs.event("hung_up").reason == "remote"
    assert quiet(world, alice, bob)


def test_awaiting_a_call_waits_for_its_answer(world, alice, bob):
    async def place():
        world.clock.call_at(1.0, lambda: bob.taken[0].answer())  # noqa: PLW0108 - there is none yet
        call = await alice.call(BOB)
        return call.state, world.clock.time()

    state, when = world.awaited(place())
    assert state == "active"
    assert when == pytest.approx(1.015, abs=0.02)


def test_awaiting_a_refused_call_raises_with_the_status(world, alice, bob):
    bob.on_incoming = lambda call: call.reject(486)

    async def place():
        await alice.call(BOB)

    with pytest.raises(CallFailed, match="486 Busy Here") as caught:
        world.awaited(place())
    assert caught.value.code == 486


def test_awaiting_a_call_to_nobody_raises(world, alice):
    async def place():
        await alice.call("sip:bob@10.0.0.9")

    with pytest.raises(CallFailed, match="503 cannot be reached"):
        world.awaited(place())


def test_waiting_for_what_was_published_already_takes_no_time(world, connected):
    mine, _ = connected
    before = world.clock.time()
    assert world.awaited(mine.wait("answered")).code == 200
    assert world.clock.time() == before


def test_waiting_again_waits_for_the_next(world, connected):
    mine, _ = connected

    async def twice():
        mine.hold()
        first = await mine.wait("reinvite_answered", again=True)
        mine.resume()
        second = await mine.wait("reinvite_answered", again=True)
        return first.time, second.time

    first, second = world.awaited(twice())
    assert second > first


def test_waiting_in_a_call_that_ends_raises(world, connected):
    mine, theirs = connected

    async def wait():
        theirs.hangup()
        await mine.wait("reinvite")

    with pytest.raises(CallFailed, match="remote"):
        world.awaited(wait())


def test_waiting_for_the_end_of_an_ended_call_is_over_at_once(world, connected):
    mine, _ = connected
    mine.hangup()
    world.clock.advance(1)
    assert world.awaited(mine.wait("ended")).name == "ended"
    with pytest.raises(CallFailed):
        world.awaited(mine.wait("reinvite", again=True))


def test_waiting_for_an_unknown_event_is_an_error_with_a_suggestion(world, connected):
    mine, _ = connected
    with pytest.raises(ValueError, match=r"publishes no 'answerd': did you mean answered\?"):
        world.awaited(mine.wait("answerd"))


def test_a_refused_command_raises_what_the_row_says_and_changes_nothing(world, alice, bob):
    call = alice.call(BOB)
    world.clock.advance(0.1)
    with pytest.raises(Refused, match=r"user\.reinvite refused in state early: the leg is not in a state to do this"):
        call.hold()
    assert call.state == "early"
    assert not call.session.variables["wanted"]
    with pytest.raises(Refused):
        bob.taken[0].send("INFO") if bob.taken[0].state == "incoming" else bob.taken[0].hold()


def test_commands_of_an_ended_call_raise_and_never_reach_another_session(world, alice, bob, connected):
    mine, _ = connected
    mine.hangup()
    world.clock.advance(60)
    again = alice.call(BOB)
    world.clock.advance(0.1)
    bob.taken[1].answer()
    world.clock.advance(0.1)
    for command in (mine.hold, mine.answer, mine.reject, lambda: mine.send("INFO")):
        with pytest.raises(Refused, match="the call is over"):
            command()
    mine.hangup()
    world.clock.advance(0.1)
    assert again.state == "active", "hanging up the old call left the new one alone"


def test_hanging_up_before_the_answer_cancels(world, alice, bob):
    call = alice.call(BOB)
    world.clock.advance(0.1)
    call.hangup()
    world.clock.advance(0.1)
    assert call.ended
    assert names(bob.taken[0])[-2:] == ["cancelled", "ended"]
    assert "CANCEL sip:bob@10.0.0.2 SIP/2.0" in world.sent()
    with pytest.raises(CallFailed):
        world.awaited(call.wait("answered"))
    assert quiet(world, alice, bob)


def test_a_caller_who_gives_up_in_the_moment_of_the_answer_is_hung_up(world, alice, bob):
    call = alice.call(BOB)
    world.clock.advance(0.1)
    bob.taken[0].answer()
    call.hangup()
    assert quiet(world, alice, bob)


def test_invites_and_answers_say_what_the_phone_is(world, connected):
    first = [parse(packet.data) for packet in world.network.log]
    invite = first[0]
    answer = next(one for one in first if getattr(one, "status", 0) == 200)
    for message in (invite, answer):
        assert message.get("allow") == ", ".join(ALLOWED)
        assert message.get("user-agent") == "calltable"
        assert message.get("content-type") == "application/sdp"


def test_extensions_are_said_to_be_supported(world):
    engine = world.engine("udp:10.0.0.5:5060")
    engine.stack.screening.extensions = frozenset({"timer"})
    phone = Softphone(engine, "sip:eve@example.com")
    assert ("Supported", "timer") in phone.content().headers


def test_hold_and_resume_are_re_invites_that_the_other_side_answers(world, alice, bob):
    alice.direction = "sendrecv"
    bob.direction = "sendrecv"
    mine = alice.call(BOB)
    world.clock.advance(0.1)
    bob.taken[0].answer()
    world.clock.advance(0.1)
    world.network.log.clear()
    mine.hold()
    world.clock.advance(0.1)
    mine.resume()
    world.clock.advance(0.1)
    bodies = [parse(packet.data) for packet in world.network.log]
    directions = [one.body.decode().split("\r\n")[-2] for one in bodies if one.body]
    assert directions == ["a=sendonly", "a=recvonly", "a=sendrecv", "a=sendrecv"]
    assert names(mine).count("reinvite_answered") == 2


def test_a_re_invite_that_fails_leaves_the_call_as_it_was(world, connected):
    mine, theirs = connected
    theirs.media.media.answer = lambda *_: None  # bob's phone can take nothing any more
    mine.hold()
    world.clock.advance(0.1)
    assert mine.event("reinvite_failed").code == 488
    assert (mine.state, theirs.state) == ("active", "active")


def test_two_holds_at_once_both_get_through(world, connected):
    mine, theirs = connected
    mine.hold()
    theirs.hold()
    world.clock.advance(10)
    assert names(mine).count("reinvite_answered") == 1
    assert names(theirs).count("reinvite_answered") == 1
    assert sum(line.startswith("SIP/2.0 491") for line in world.sent()) >= 1, "RFC 3261 §14.1: that was glare"


@pytest.mark.parametrize(("method", "code"), [("INFO", 200), ("MESSAGE", 200), ("OPTIONS", 200), ("REFER", 405), ("PARTY", 405)])
def test_requests_inside_a_call_are_answered(world, connected, method, code):
    mine, _ = connected
    mine.send(method, b"hello" if method == "MESSAGE" else b"", "text/plain")
    world.clock.advance(0.1)
    assert mine.event("response").code == code


def test_an_update_with_an_offer_is_answered_with_an_answer(world, connected):
    mine, _ = connected
    mine.send("UPDATE", mine.media.media.offer("10.0.0.1"), "application/sdp")
    world.clock.advance(0.1)
    response = mine.event("response").fields["message"]
    assert response.status == 200
    assert b"m=audio" in response.body


def test_an_offer_without_a_codec_we_know_is_refused_with_488(world, alice, bob):
    bob.on_incoming = lambda call: call.answer()

    async def place():
        await alice.call(BOB, sdp=SignallingMedia(1).offer("10.0.0.1").replace(b"RTP/AVP 0 8", b"RTP/SAVP 0 8"))

    with pytest.raises(CallFailed, match="488 Not Acceptable Here"):
        world.awaited(place())


def test_without_anybody_to_take_calls_the_phone_says_480(world, alice, bob):
    bob.on_incoming = None
    call = alice.call(BOB)
    world.clock.advance(0.1)
    assert call.event("failed").code == 480


def test_a_busy_phone_says_486(world, alice, bob, connected):
    bob.max_calls = 1
    call = alice.call(BOB)
    world.clock.advance(0.1)
    assert call.event("failed").code == 486


def test_an_undecided_call_ends_by_itself(world, alice, bob):
    call = alice.call(BOB)
    world.clock.advance(300)
    assert call.event("failed").code == 408, "alice's patience is shorter than bob's"
    assert bob.taken[0].ended
    assert quiet(world, alice, bob)


def test_a_program_that_fails_lets_the_caller_go(world, alice, bob, caplog):
    def incoming(call):
        call.ring()
        raise KeyError("the address book")

    bob.on_incoming = incoming
    call = alice.call(BOB)
    world.clock.advance(0.1)
    assert call.event("failed").code == 500
    assert "the call from sip:alice@example.com gets 500" in caplog.text
    assert "the address book" in caplog.text
    assert quiet(world, alice, bob)


def test_a_program_that_fails_after_the_answer_hangs_up(world, alice, bob):
    def incoming(call):
        call.answer()
        raise KeyError("the address book")

    bob.on_incoming = incoming
    call = alice.call(BOB)
    world.clock.advance(0.1)
    assert call.ended
    assert quiet(world, alice, bob)


def test_a_coroutine_may_take_calls(world, alice, bob):
    async def incoming(call):
        call.ring()
        await asyncio.sleep(0)
        call.answer()
        await call

    bob.on_incoming = incoming
    world.awaited(alice.call(BOB).wait("answered"))
    assert not bob.deciding


def test_a_coroutine_that_fails_lets_the_caller_go(world, alice, bob, caplog):
    async def incoming(call):
        call.ring()
        await asyncio.sleep(0)
        raise KeyError("the address book")

    bob.on_incoming = incoming
    with pytest.raises(CallFailed, match="500"):
        world.awaited(alice.call(BOB).wait("answered"))
    assert "the address book" in caplog.text


def test_a_caller_that_gives_up_is_no_mistake_of_the_program(world, alice, bob, caplog):
    async def incoming(call):
        call.ring()
        await call

    bob.on_incoming = incoming
    call = alice.call(BOB)
    world.awaited(call.wait("progress"))
    call.hangup()
    world.awaited(call.wait("ended"))
    assert not caplog.records


def test_a_coroutine_without_a_loop_is_told(world, alice, bob, caplog):
    async def incoming(call):
        call.answer()

    bob.on_incoming = incoming
    call = alice.call(BOB)
    world.clock.advance(0.1)
    assert call.event("failed").code == 500
    assert "no asyncio loop runs: give a plain function" in caplog.text


@pytest.mark.parametrize("uri", ["bob", "tel:123", "sip:", "sip:bob@"])
def test_what_cannot_be_called_is_told_before_anything_is_sent(world, alice, uri):
    with pytest.raises(ValueError, match="cannot be called"):
        alice.call(uri)
    assert world.sent() == []
    assert not alice.calls


def test_events_tell_their_code_and_reason_in_words(world, alice, bob):
    told = []
    bob.on_incoming = lambda call: call.reject(603)
    call = alice.call(BOB)
    call.on_event = lambda _, event: told.append((event.name, event.code, event.reason))
    world.clock.advance(0.1)
    assert told == [("failed", 603, "Decline"), ("ended", 0, "")]


def test_hanging_up_the_phone_ends_all_its_calls(world, alice, bob):
    mine = [alice.call(BOB) for _ in range(3)]
    world.clock.advance(0.1)
    bob.taken[0].answer()
    world.clock.advance(0.1)
    alice.hangup()
    world.clock.advance(0.2)
    assert all(call.ended for call in mine)
    assert quiet(world, alice, bob)
