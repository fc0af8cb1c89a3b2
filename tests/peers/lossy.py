"""Scenarios for a network that loses messages: SIPp drops 8 % of what it sends and of what it receives.

SIPp repeats by itself what answered a repeated message, but not where it had dropped that answer itself; scenarios go
back to a label then, and the 180 is not dropped on sending.
"""

from __future__ import annotations

from tests.peers.sipp import Callee, Caller

LOSSY = ("-lost", 8, "-max_retrans", 30, "-max_invite_retrans", 30, "-max_non_invite_retrans", 30, "-r", 40)
REPEATS = 7000
"""Milliseconds in which a repetition still finds somebody."""
SETTLE = 20.0
"""Seconds until the last call is over. SIPp may take a repeated 200 to its INVITE for the one to its BYE, and go, when
both its ACK and its BYE were lost; the server then ends the call when Timer L says that no ACK will come."""


def calling() -> Caller:
    """Call, up to the final response."""
    return Caller().invite().recv(100, optional=True).recv(180, optional=True)


def called() -> Callee:
    """Be called, and ring."""
    return Callee().recv("INVITE").respond(180).safely()


def caller_ends() -> tuple[Caller, Callee]:
    """A call that the caller ends."""
    caller = calling().recv(200).ack().pause(1000).bye().recv(200)
    callee = called().answer().recv("ACK", optional=True).recv("BYE")
    return caller, callee.label(2).respond(200).recv("BYE", back_to=2, timeout=REPEATS).label(99).linger(1)


def callee_ends() -> tuple[Caller, Callee]:
    """A call that the callee ends."""
    caller = calling().recv(200).label(1).ack().recv(200, optional=True, back_to=1).recv("BYE")
    caller.label(2).respond(200).recv("BYE", back_to=2, timeout=REPEATS).label(99).linger(1)
    return caller, called().answer().recv("ACK").pause(1000).bye().recv(200)


def refused() -> tuple[Caller, Callee]:
    """A call that the callee refuses."""
    caller = calling().recv(486).label(1).ack_refused().recv(486, back_to=1, timeout=REPEATS).label(99).linger(1)
    return caller, called().respond(486, to="INVITE").recv("ACK").linger(REPEATS)
