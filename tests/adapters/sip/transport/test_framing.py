"""Cutting streams: messages, keep-alives, faults that cannot be got over."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltable.adapters.sip.transport.framing import Framer, FramingError, Keepalive


def message(body: bytes = b"", length: str | None = None) -> bytes:
    value = str(len(body)) if length is None else length
    head = (
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:d@e>;tag=1\r\nTo: <sip:a@b>\r\n"
        f"Call-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: {value}\r\n\r\n"
    )
    return head.encode() + body


PIECES = [
    message(),
    message(b"hello"),
    message(b"\r\n\r\nOPTIONS"),
    message(b"abc").replace(b"Content-Length: 3", b"l :\r\n  3 "),
    message(b"\r\n"),
]


@given(
    st.lists(st.sampled_from([*PIECES, b"\r\n\r\n", b"\r\n"]), max_size=8),
    st.lists(st.integers(1, 200), max_size=60),
    st.booleans(),
)
def test_how_the_stream_is_cut_makes_no_difference(pieces: list[bytes], sizes: list[int], pongs: bool):
    stream = b"".join(pieces)
    framer = Framer(pongs=pongs)
    frames = []
    position = 0
    for size in sizes:
        frames += framer.feed(stream[position : position + size])
        position += size
    frames += framer.feed(stream[position:])
    assert frames == Framer(pongs=pongs).feed(stream)
    assert [frame for frame in frames if isinstance(frame, bytes)] == [p for p in pieces if len(p) > 4]
    assert framer.pending == 0


def test_two_line_ends_are_a_ping():
    assert Framer().feed(b"\r\n\r\n") == [Keepalive.PING]
    assert Framer().feed(b"\r\n\r\n\r\n\r\n") == [Keepalive.PING] * 2


def test_one_line_end_is_nothing_to_the_side_that_sends_no_pings():
    framer = Framer()
    assert framer.feed(b"\r\n") == []
    assert framer.feed(PIECES[0]) == [PIECES[0]]
    assert framer.feed(b"\r\n") == []


def test_one_line_end_is_a_pong_at_once_to_the_side_that_does():
    assert Framer(pongs=True).feed(b"\r\n") == [Keepalive.PONG]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (message(length="five"), "not a number"),
        (message(length="-1"), "not a number"),
        (message(length="1\r\nContent-Length: 1"), "more than once"),
        (message(length="1\r\nL: 2"), "more than once"),
        (message(length="1\r\n 5"), "Missing Content-Length|not a number"),
        (message().replace(b"Content-Length: 0\r\n", b""), "Missing Content-Length"),
        (message(length="2000000"), "Body above"),
        (message().replace(b"Call-ID: x\r\n", b"Call-ID: x\n"), "not CRLF"),
    ],
)
def test_what_cannot_be_framed_ends_the_stream_and_can_be_answered(data: bytes, why: str):
    framer = Framer()
    with pytest.raises(FramingError, match=why) as caught:
        framer.feed(message() + data)
    assert caught.value.frames == [message()]
    assert caught.value.status in (400, 513)
    assert caught.value.request is not None
    with pytest.raises(FramingError, match="given up"):
        framer.feed(message())


def test_a_fault_in_a_response_is_not_answered():
    data = message(length="x").replace(b"OPTIONS sip:a@b SIP/2.0", b"SIP/2.0 200 OK")
    with pytest.raises(FramingError) as caught:
        Framer().feed(data)
    assert caught.value.status is None


def test_a_header_section_without_end_is_bounded():
    framer = Framer()
    for _ in range(65):
        assert framer.feed(b"x" * 1000) == []
    with pytest.raises(FramingError, match="above 65536 bytes"):
        framer.feed(b"x" * 1000)
    assert framer.pending == 0


def test_single_bytes_cost_linear_time():
    def cost(size: int) -> float:
        data = message(b"x" * size)
        framer = Framer()
        begin = time.process_time()
        for position in range(len(data) - 1):
            assert not framer.feed(data[position : position + 1])
        assert framer.feed(data[-1:]) == [data]
        return time.process_time() - begin

    cost(1000)
    assert cost(40000) < 40 * max(cost(4000), 0.001)
