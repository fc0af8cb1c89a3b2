"""Scenarios for a network that loses messages: SIPp drops 8 % of what it sends and of what it receives.

SIPp plays a list of steps and knows little of SIP, so each scenario does what a correct user agent does under loss. What
can still fail a call is eleven losses of one message in a row.

- Every timer of SIPp and of the server is a fifth of RFC 3261's: whoever repeats does so for 64*T1, and whoever answers
  stays as long. One that leaves earlier misses the last repetitions: with T1 as the RFC has it, four losses in a row are
  enough for a gap of 4 s.
- A response belongs to the request that has its branch (``of``). By itself SIPp looks at the CSeq method alone, against
  all that the scenario has sent: a repeated 200 to the INVITE passes for the one to the BYE, the caller leaves, and if the
  BYE was lost nobody ever ends the call.
- A repeated INVITE or ACK may come at any time (``anytime``). The server repeats its INVITE until it has read the 180, on
  a busy machine also after the callee has sent its 200; and it sends its ACK again for each 200 that comes again, also
  for one that has crossed its BYE (RFC 3261 §13.2.2.4).

SIPp repeats what it sent right after a message when that message comes again; also where it had dropped it itself. It
keeps one such pair, the last: good for the 200 to a BYE and for an ACK, not for the 180 and 200 to an INVITE, where the
200 is repeated by a timer of its own.
"""

from __future__ import annotations

from tests.peers.sipp import Callee, Caller

T1 = 100
"""Milliseconds; RFC 3261 §17.1.1.1 has 500."""
T2 = 8 * T1
T4 = 10 * T1
LONGEST = 64 * T1
"""Milliseconds after which nobody repeats anything (Timers B, F and H), and nobody has to answer it (D, J, L and M)."""
TIMERS = {
    "t1": f"{T1}ms", "t2": f"{T2}ms", "t4": f"{T4}ms", "timer_i": f"{T4}ms", "timer_k": f"{T4}ms",
    **{f"timer_{name}": f"{LONGEST}ms" for name in "bdfhjlm"}, "owed_ack": f"{40 * T1}ms",
}  # fmt: skip
"""The same for the server."""
LOSSY = ("-lost", 8, "-T2", T2, "-max_retrans", 10, "-max_invite_retrans", 6, "-max_non_invite_retrans", 10, "-r", 20)
"""Options for SIPp. So many repetitions fit into 64*T1 (RFC 3261 §17.1.1.2, §17.1.2.2). Calls come slowly, for with a short
T1 a server that is late by a tenth of a second gets everything twice."""


def calling() -> Caller:
    """Call, up to the final response."""
    return Caller(t1=T1).invite().of("invite").recv(100, optional=True).of("invite").recv(180, optional=True).of("invite")


def called() -> Callee:
    """Be called, and ring."""
    return Callee(t1=T1).recv("INVITE").respond(180)


def caller_ends() -> tuple[Caller, Callee]:
    """A call that the caller ends, at times before the callee has the ACK."""
    caller = calling().recv(200).of("invite").ack().of("invite").pause(3 * T1).bye().of("bye").recv(200).of("bye").linger(LONGEST)
    callee = called().answer().anytime("INVITE").anytime("ACK").recv("BYE").respond(200).linger(LONGEST)
    return caller, callee


def callee_ends() -> tuple[Caller, Callee]:
    """A call that the callee ends."""
    caller = calling().recv(200).of("invite").ack().of("invite").recv("BYE").respond(200).linger(LONGEST)
    callee = called().answer().anytime("INVITE").recv("ACK").pause(3 * T1).bye().of("bye").recv(200).of("bye").linger(T4)
    return caller, callee


def refused() -> tuple[Caller, Callee]:
    """A call that the callee refuses."""
    caller = calling().recv(486).of("invite").ack_refused().of("invite").linger(LONGEST)
    return caller, called().respond(486, to="INVITE").anytime("INVITE").recv("ACK").linger(T4)
