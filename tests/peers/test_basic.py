"""SIPp calls through the B2BUA: set-up and hang-up from either side, on every kind of path."""

from __future__ import annotations

import pytest

from tests.peers.sipp import Callee, Caller, sdp

pytestmark = [pytest.mark.peer, pytest.mark.slow]
PATHS = ["udp", "tcp", "udp-to-tcp", "tcp-to-udp", "ipv6"]


@pytest.mark.parametrize("path", PATHS)
def test_the_caller_calls_and_hangs_up(call, path):
    call(
        Caller().connect().pause(50).bye().recv(200),
        Callee().accept().recv("BYE").respond(200).linger(),
        path=path,
    )  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_the_callee_hangs_up(call, path):
    call(
        Caller().connect().recv("BYE").respond(200).linger(),
        Callee().accept().pause(50).bye().recv(200),
        path=path,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["udp", "tcp"])
def test_the_scenarios_that_sipp_brings_along(call, path):
    call("uac", "uas", path=path)


def test_early_media_passes(call):
    call(
        Caller().invite().recv(100).recv(183).check("m=audio").recv(200).ack().bye().recv(200),
        Callee().recv("INVITE").respond(183, body=sdp()).pause(50).answer().recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


def test_ringing_then_early_media_then_ringing(call):
    call(
        Caller().invite().recv(100).recv(180).recv(183).recv(180).recv(200).ack().bye().recv(200),
        Callee().recv("INVITE").respond(180).respond(183, body=sdp()).respond(180).answer().recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip
