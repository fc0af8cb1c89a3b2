"""Calls that are refused, withdrawn, or meet silence, with SIPp on both sides of the B2BUA."""

from __future__ import annotations

import socket

import pytest

from tests.peers.sipp import Callee, Caller

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.mark.parametrize("path", ["udp", "tcp", "udp-to-tcp"])
@pytest.mark.parametrize("code", [302, 404, 486, 491, 503, 600, 603])
def test_a_refusal_passes(call, code, path):
    call(
        Caller().invite().recv(100).refused(code).linger(),
        Callee().recv("INVITE").respond(code).recv("ACK").linger(),
        path=path,
    )  # fmt: skip


def test_a_refusal_after_ringing_passes(call):
    call(
        Caller().invite().recv(100).recv(180).refused(486).linger(),
        Callee().recv("INVITE").respond(180).pause(50).respond(486, "Retry-After: 30", to="INVITE").recv("ACK").linger(),
    )  # fmt: skip


def test_a_redirect_keeps_its_contacts(call):
    call(
        Caller().invite().recv(100).recv(302).check("sip:elsewhere@192.0.2.7", "Contact").ack_refused().linger(),
        Callee().recv("INVITE").respond(302, "Contact: <sip:elsewhere@192.0.2.7>").recv("ACK").linger(),
    )  # fmt: skip


def test_a_fast_answer_without_ringing(call):
    call(
        Caller().invite().recv(100).recv(200).ack().bye().recv(200),
        Callee().recv("INVITE").answer().recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


# ---- CANCEL, RFC 3261 §9
@pytest.mark.parametrize("path", ["udp", "tcp", "udp-to-tcp"])
def test_cancel_while_it_rings(call, path):
    call(
        Caller().invite().recv(100).recv(180).cancel().recv(200).refused(487).linger(),
        Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger(),
        path=path,
    )  # fmt: skip


def test_cancel_before_the_callee_said_anything_waits_for_its_first_word(call):
    call(
        Caller().invite().recv(100).cancel().recv(200).refused(487).linger(800),
        Callee().recv("INVITE").pause(300).respond(100).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger(),
    )  # fmt: skip


def test_cancel_before_a_first_word_that_is_the_answer(call):
    """No CANCEL may be sent after a final response; the answered leg is acknowledged and ended. RFC 3261 §9.1, RFC 5407 §3.1.2."""
    call(
        Caller().invite().recv(100).cancel().recv(200).refused(487).linger(800),
        Callee().recv("INVITE").pause(300).answer().recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


def test_cancel_crosses_the_answer_of_the_callee(call):
    """RFC 5407 §3.1.2: the callee answered already; it gets ACK, then BYE."""
    call(
        Caller().invite().recv(100).recv(180).cancel().recv(200).refused(487).linger(),
        Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).answer(to="INVITE").recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


def test_cancel_crosses_the_answer_on_its_way_to_the_caller(call):
    """RFC 3261 §9.2: the CANCEL has no effect, the call stands."""
    call(
        Caller().invite().recv(100).recv(200).cancel().recv(200).ack().pause(50).bye().recv(200),
        Callee().recv("INVITE").answer().recv("ACK").recv("BYE").respond(200).linger(),
    )  # fmt: skip


def test_cancel_crosses_a_refusal(call):
    call(
        Caller().invite().recv(100).recv(180).cancel().recv(200).refused(487).linger(),
        Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(486, to="INVITE").recv("ACK").linger(),
    )  # fmt: skip


# ---- silence
def test_a_callee_that_never_says_anything_ends_by_timer_b(call, serving, sipp):
    server = serving("udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", server.next_port))
        call(Caller().invite().recv(100).refused(408))


@pytest.mark.parametrize("path", ["udp", "udp-to-tcp"])
def test_a_callee_that_is_not_there(call, path):
    """RFC 3261 §8.1.3.1: a transport error is a 503."""
    call(Caller().invite().recv(100).refused(503), path=path)


def test_nobody_answers(call):
    """The table's own timer ends the ringing with CANCEL towards the callee and 408 towards the caller."""
    call(
        Caller().invite().recv(100).recv(180).refused(408).linger(),
        Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger(),
    )  # fmt: skip


@pytest.mark.parametrize("path", ["udp", "tcp"])
def test_an_answer_that_nobody_acknowledges_ends_with_bye_on_both_sides(call, path):
    """RFC 3261 §13.3.1.4: the 200 is repeated, over TCP too (where SIPp does not take it for a repetition), then BYE."""
    call(
        Caller().invite().recv(100).recv(200).recv(200, optional=True).recv(200, optional=True).recv("BYE").respond(200).linger(),
        Callee().recv("INVITE").answer().recv("ACK").recv("BYE").respond(200).linger(),
        path=path,
    )  # fmt: skip


def test_a_bye_that_nobody_answers_does_not_keep_the_call(call):
    """Timer F, RFC 3261 §17.1.2.2."""
    call(
        Caller().connect().pause(50).bye().recv(200),
        Callee().accept().recv("BYE").pause(200),
    )  # fmt: skip


# ---- what never becomes a call
def test_options_outside_a_dialog_is_answered(call):
    call(Caller().outside("OPTIONS").recv(200).check("INVITE.*BYE", "Allow").check("application/sdp", "Accept"))


def test_an_unknown_extension_is_refused_by_name(call):
    """RFC 3261 §8.2.2.3."""
    call(Caller().invite("Require: frobnication, timer").recv(100, optional=True).recv(420).check("^ *frobnication *$", "Unsupported").ack_refused())


def test_a_call_that_has_used_up_its_hops(call):
    """RFC 3261 §16.3."""
    call(Caller().invite(max_forwards=0).recv(100, optional=True).refused(483))


@pytest.mark.parametrize(("method", "code"), [("FROBNICATE", 501), ("SUBSCRIBE", 405), ("BYE", 481), ("INFO", 481)])
def test_requests_that_open_no_call(call, method, code):
    call(Caller().outside(method).recv(code))


def test_a_cancel_for_nothing(call):
    call(Caller().outside("CANCEL").recv(481))
