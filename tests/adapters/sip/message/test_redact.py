"""Secrets are masked wherever they stand, what is none stays, and nothing that a terminal obeys is left."""

from __future__ import annotations

import time

import pytest

from calltable.adapters.sip.message.parse import parse
from calltable.adapters.sip.message.redact import mask, visible


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("sip:alice:secret@example.com", "sip:alice:***@example.com"),
        ("SIPS:alice:a:b%40c@h;x=1", "SIPS:alice:***@h;x=1"),
        ("From: <sip:a:s@x>;tag=1\r\nTo: <sip:b:t@y>", "From: <sip:a:***@x>;tag=1\r\nTo: <sip:b:***@y>"),
        ("from=sip:philips:hunter@example.com", "from=sip:philips:***@example.com"),
        ("<sip:sip:secret@h>", "<sip:sip:***@h>"),
        ("<sip:a;b,c:secret@h>", "<sip:a;b,c:***@h>"),
        ("sip:+1555;phone-context=x:secret@h", "sip:+1555;phone-context=x:***@h"),
        ('Authorization: Digest username="a",\r\n response="b"\r\nTo: x', "Authorization: Digest ***\r\nTo: x"),
        ("proxy-authorization : Basic QWxhZGRpbg==", "proxy-authorization : Basic ***"),
        ("error in 'Authorization: Digest x'", "error in 'Authorization: Digest ***"),
        # no secrets
        ("sip:alice@example.com:5060", "sip:alice@example.com:5060"),
        ("<sip:10.0.0.1:5060>, <sip:b@c>", "<sip:10.0.0.1:5060>, <sip:b@c>"),
        ("Route: sip:10.0.0.1:5060,sip:b@c", "Route: sip:10.0.0.1:5060,sip:b@c"),
        ("Call-ID: 1234@10.0.0.1:5060", "Call-ID: 1234@10.0.0.1:5060"),
        ('WWW-Authenticate: Digest nonce="x"', 'WWW-Authenticate: Digest nonce="x"'),
    ],
)  # fmt: skip
def test_secrets_are_masked_and_nothing_else(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize("text", ["sip:a:" * 10_000, "sip:a:b" + "@" * 20_000, "authorization" * 5_000, "@:" * 20_000, "sip:" + ":" * 60_000])
def test_masking_takes_time_in_proportion_to_the_text(text):
    before = time.process_time()
    mask(text)
    assert time.process_time() - before < 0.2


def test_a_message_that_is_logged_shows_no_password():
    message = parse(b"INVITE sip:bob:hidden@h SIP/2.0\r\nCSeq: 1 INVITE\r\nCall-ID: x\r\n\r\n")
    assert "hidden" not in repr(message)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[2J", "\\x1b[2J"), ("a\udcff", "a\\xff"), ("a\u202eb", "a\\u202eb"), ("é", "é"), ("a\r\nb", "a\\x0d\\x0ab"), ("\U000e0001", "\\U000e0001")],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert visible(text) == shown


def test_line_ends_may_stay():
    assert visible("a\r\nb\x07", keep="\r\n") == "a\r\nb\\x07"
