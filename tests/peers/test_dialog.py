"""What happens inside a call between two SIPp: re-INVITE from either side, other requests, hang-up that crosses."""

from __future__ import annotations

import pytest

from tests.peers.sipp import Callee, Caller, sdp

pytestmark = [pytest.mark.peer, pytest.mark.slow]
WAYS = ["udp", "tcp", "udp-to-tcp"]
METHODS = ["INFO", "MESSAGE", "UPDATE", "OPTIONS", "FROBNICATE"]


# ---- offer in the 2xx, answer in the ACK
@pytest.mark.parametrize("path", WAYS)
def test_a_delayed_offer_gets_its_answer_in_the_ack(call, path):
    """RFC 3261 §13.2.1: without an offer in the INVITE the 200 brings it, and the ACK the answer."""
    call(
        Caller().invite(body="").recv(100).recv(180).recv(200).check("m=audio").ack(sdp("sendonly")).pause(50).bye().recv(200),
        Callee().recv("INVITE").check("m=audio", absent=True).respond(180).answer().recv("ACK").check("a=sendonly")
        .recv("BYE").respond(200).linger(),
        path=path,
    )  # fmt: skip


# ---- re-INVITE, RFC 3261 §14
@pytest.mark.parametrize("path", WAYS)
def test_the_caller_holds_and_resumes(call, path):
    call(
        Caller().connect().reinvite(sdp("sendonly")).recv(100).recv(200).check("a=recvonly").ack()
        .reinvite(sdp("sendrecv")).recv(100).recv(200).check("a=sendrecv").ack().pause(50).bye().recv(200),
        Callee().accept().recv("INVITE").check("a=sendonly").answer("recvonly").recv("ACK")
        .recv("INVITE").check("a=sendrecv").answer("sendrecv").recv("ACK").recv("BYE").respond(200).linger(),
        path=path,
    )  # fmt: skip


@pytest.mark.parametrize("path", WAYS)
def test_the_callee_holds_and_resumes(call, path):
    call(
        Caller().connect().recv("INVITE").check("a=sendonly").answer("recvonly").recv("ACK")
        .recv("INVITE").check("a=sendrecv").answer("sendrecv").recv("ACK").recv("BYE").respond(200).linger(),
        Callee().accept().pause(50).reinvite(sdp("sendonly")).recv(100).recv(200).check("a=recvonly").ack()
        .reinvite(sdp("sendrecv")).recv(100).recv(200).check("a=sendrecv").ack().pause(50).bye().recv(200),
        path=path,
    )  # fmt: skip


def test_a_held_call_can_be_hung_up(call):
    call(
        Caller().connect().reinvite(sdp("sendonly")).recv(100).recv(200).ack().pause(50).bye().recv(200),
        Callee().accept().recv("INVITE").answer("recvonly").recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


def test_a_reinvite_without_an_offer(call):
    call(
        Caller().connect().reinvite("").recv(100).recv(200).check("a=sendonly").ack(sdp("recvonly")).pause(50).bye().recv(200),
        Callee().accept().recv("INVITE").check("m=audio", absent=True).answer("sendonly").recv("ACK").check("a=recvonly")
        .recv("BYE").respond(200).linger(),
    )  # fmt: skip


@pytest.mark.parametrize("code", [488, 491])
def test_a_refused_reinvite_of_the_caller_leaves_the_call_as_it_was(call, code):
    call(
        Caller().connect().reinvite().recv(100).recv(code).ack_failure().pause(50).request("INFO").recv(200).bye().recv(200),
        Callee().accept().recv("INVITE").respond(code).recv("ACK").recv("INFO").respond(200).recv("BYE").respond(200).linger(),
    )  # fmt: skip


@pytest.mark.parametrize("code", [488, 491])
def test_a_refused_reinvite_of_the_callee_leaves_the_call_as_it_was(call, code):
    call(
        Caller().connect().recv("INVITE").respond(code).recv("ACK").recv("INFO").respond(200).recv("BYE").respond(200).linger(),
        Callee().accept().pause(50).reinvite().recv(100).recv(code).ack_failure().pause(50).request("INFO").recv(200).bye().recv(200),
    )  # fmt: skip


def test_glare_both_sides_reinvite(call):
    """RFC 3261 §14.2: our re-INVITE towards the callee is open when the callee's own arrives: 491."""
    call(
        Caller().connect().pause(50).reinvite(sdp("sendonly")).recv(100).recv(200).ack().pause(100).bye().recv(200),
        Callee().accept().recv("INVITE").request("INVITE", body=sdp()).recv(100, optional=True).recv(491).ack_failure()
        .answer("recvonly", to="INVITE").recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


def test_the_dialog_is_gone_for_the_callee(call):
    """RFC 3261 §12.2.1.2: a 481 to a re-INVITE ends the call on both sides."""
    call(
        Caller().connect().reinvite().recv(100).recv(481).ack_failure().recv("BYE").respond(200).linger(),
        Callee().accept().recv("INVITE").respond(481).recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


# ---- other requests
@pytest.mark.parametrize("path", ["udp", "tcp"])
@pytest.mark.parametrize("method", METHODS)
def test_requests_of_the_caller_pass_with_their_body_and_answer(call, method, path):
    call(
        Caller().connect().request(method, "X-Side: caller", body="one two three\n").recv(200).check("callee", "X-Side")
        .request(method).recv(480).bye().recv(200),
        Callee().accept().recv(method).check("caller", "X-Side").check("one two three").respond(200, "X-Side: callee")
        .recv(method).respond(480).recv("BYE").respond(200).linger(),
        path=path,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["udp", "tcp"])
@pytest.mark.parametrize("method", METHODS)
def test_requests_of_the_callee_pass_with_their_body_and_answer(call, method, path):
    call(
        Caller().connect().recv(method).check("callee", "X-Side").check("one two three").respond(200, "X-Side: caller")
        .recv(method).respond(480).recv("BYE").respond(200).linger(),
        Callee().accept().pause(50).request(method, "X-Side: callee", body="one two three\n").recv(200).check("caller", "X-Side")
        .request(method).recv(480).bye().recv(200),
        path=path,
    )  # fmt: skip


def test_a_request_in_the_early_dialog_passes(call):
    """RFC 3261 §12.2.2: the 180 made an early dialog on both sides."""
    call(
        Caller().invite().recv(100).recv(180).request("INFO").recv(200).recv(200).ack(cseq=1).pause(50).bye().recv(200),
        Callee().recv("INVITE").respond(180).recv("INFO").respond(200).pause(50).answer(to="INVITE").recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


# ---- hang-up that crosses, RFC 5407 §3.2.1
def test_bye_crosses_bye_on_the_side_of_the_callee(call):
    call(
        Caller().connect().pause(50).bye().recv(200),
        Callee().accept().recv("BYE").bye().recv(200).respond_to_bye().linger(),
    )  # fmt: skip


def test_bye_crosses_bye_on_the_side_of_the_caller(call):
    call(
        Caller().connect().recv("BYE").bye().recv(200).respond_to_bye().linger(),
        Callee().accept().pause(50).bye().recv(200),
    )  # fmt: skip


def test_bye_while_a_reinvite_is_open(call):
    """RFC 5407 §3.2.3: the callee hangs up instead of answering the re-INVITE; the caller gets both ends told."""
    call(
        Caller().connect().reinvite().recv(100).recv(487).ack_failure().recv("BYE").respond(200).linger(),
        Callee().accept().recv("INVITE").bye().recv(200).respond(487, to="INVITE").recv("ACK").linger(),
    )  # fmt: skip


# ---- nothing of one side shows on the other
def test_each_leg_has_names_of_its_own_and_the_rest_passes(call):
    """Call-ID, tags, Via and Contact are each leg's own; unknown header fields pass. RFC 7092 §3."""
    secret = "192.0.2.66"
    call(
        Caller().invite(f"Record-Route: <sip:{secret};lr>", "X-Passes: yes", "Subject: as it was").recv(100)
        .recv(200).check("tag=bob-", "To", absent=True).check("bob@", "Contact", absent=True).check("yes", "X-Back").ack().bye().recv(200),
        Callee().recv("INVITE").check(secret, absent=True).check("branch=.*branch=", absent=True).check("yes", "X-Passes").check("as it was", "Subject")
        .check("tag=alice-", absent=True).check("^ *[0-9]+-[0-9]+@", "Call-ID", absent=True).check("^ *69 *$", "Max-Forwards")
        .respond(200, "X-Back: yes", "Server: anything", body=sdp()).recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip
