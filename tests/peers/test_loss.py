"""Calls over a network that loses messages: SIPp drops 8 % of what it sends and of what it receives, on both sides.

Every message then crosses each side with about one chance in six of being lost, and every call must still succeed:
by the retransmissions of RFC 3261 §17, with the timers as the RFC has them.
"""

from __future__ import annotations

import pytest

from tests.peers.sipp import Callee, Caller

pytestmark = [pytest.mark.peer, pytest.mark.slow]
LOSSY = ("-lost", 8, "-max_retrans", 30, "-max_invite_retrans", 30, "-max_non_invite_retrans", 30, "-r", 40)


REPEATS = 7000
"""Milliseconds in which a repetition still finds somebody. SIPp repeats by itself what answered a repeated message, but
not where it had dropped that answer itself; scenarios go back to a label then, and the 180 is not dropped on sending."""


def lossy(sipp, server, caller, callee, calls):
    sipp.start("callee", callee, *LOSSY, port=server.next_port, calls=calls, seconds=60)
    sipp.start("caller", caller, *LOSSY, "-l", calls, port=server.free_port(), remote=server.address, calls=calls, seconds=60)
    sipp.finish(70)


@pytest.fixture
def server(serving):
    """RFC 3261's own timers but for the last waits, which only keep what is over."""
    return serving("udp", {"timers": {"timer_d": "8s", "timer_j": "8s", "timer_l": "12s", "timer_m": "8s", "timer_i": "5s"}})


def test_calls_that_the_caller_ends(sipp, server):
    caller = Caller().invite().recv(100, optional=True).recv(180, optional=True).recv(200).ack().pause(1000).bye().recv(200)
    callee = (
        Callee().recv("INVITE").respond(180).safely().answer().recv("ACK", optional=True)
        .recv("BYE").label(2).respond(200).recv("BYE", back_to=2, timeout=REPEATS).label(99).linger(1)
    )  # fmt: skip
    lossy(sipp, server, caller, callee, 200)
    counters = server.quiet("calls", "dialogs", seconds=10)["counters"]
    assert counters["retransmissions"] > 100, "nothing was lost"


def test_calls_that_the_callee_ends(sipp, server):
    caller = (
        Caller().invite().recv(100, optional=True).recv(180, optional=True).recv(200).label(1).ack()
        .recv(200, optional=True, back_to=1).recv("BYE").label(2).respond(200)
        .recv("BYE", back_to=2, timeout=REPEATS).label(99).linger(1)
    )  # fmt: skip
    callee = Callee().recv("INVITE").respond(180).safely().answer().recv("ACK").pause(1000).bye().recv(200)
    lossy(sipp, server, caller, callee, 200)
    server.quiet("calls", "dialogs", seconds=10)


def test_calls_that_are_refused(sipp, server):
    caller = (
        Caller().invite().recv(100, optional=True).recv(180, optional=True).recv(486).label(1).ack_refused()
        .recv(486, back_to=1, timeout=REPEATS).label(99).linger(1)
    )  # fmt: skip
    callee = Callee().recv("INVITE").respond(180).safely().respond(486, to="INVITE").recv("ACK").linger(REPEATS)
    lossy(sipp, server, caller, callee, 200)
    server.quiet("calls", "dialogs", seconds=10)
