"""Calls over a network that loses messages, with SIPp on both sides.

Every message then crosses each side with about one chance in six of being lost, and every call must still succeed: by
the retransmissions of RFC 3261 §17, with all its timers shortened alike. Nothing is tried twice: a call that fails, however
rarely, shows a mistake of the server or of its scenario (lossy.py tells what a scenario has to bear in mind).
"""

from __future__ import annotations

import pytest

from tests.peers.lossy import LOSSY, TIMERS, callee_ends, caller_ends, refused

pytestmark = [pytest.mark.peer, pytest.mark.slow]
CALLS = 200


@pytest.mark.parametrize("kind", [caller_ends, callee_ends, refused], ids=lambda kind: kind.__name__)
def test_every_call_survives_the_loss(sipp, serving, kind):
    server = serving("udp", {"timers": TIMERS})
    caller, callee = kind()
    sipp.start("callee", callee, *LOSSY, port=server.next_port, calls=CALLS, seconds=60)
    sipp.start("caller", caller, *LOSSY, "-l", CALLS, port=server.free_port(), remote=server.address, calls=CALLS, seconds=60)
    sipp.finish(70)
    counters = server.quiet("calls", "dialogs")["counters"]
    assert counters["retransmissions"] > 50, "nothing was lost"
