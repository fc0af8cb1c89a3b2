"""Offer and answer without media, by the rules of RFC 3264."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltable.adapters.media.signalling import SignallingMedia

HOST = "192.0.2.1"
PHONE = b"""v=0
o=alice 1 1 IN IP4 192.0.2.9
s=-
c=IN IP4 192.0.2.9
t=3724394400 3724398000
m=audio 49170 RTP/AVP 9 8 0 96
a=rtpmap:96 telephone-event/8000
a=ptime:20
m=video 51372 RTP/AVP 99
a=rtpmap:99 H264/90000
m=audio 0 RTP/AVP 0
""".replace(b"\n", b"\r\n")


def lines(body: bytes | None, start: str) -> list[str]:
    assert body is not None
    return [line for line in body.decode().split("\r\n") if line.startswith(start)]


def offered(direction: str, port: int = 4000) -> bytes:
    return f"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na={direction}\r\n".encode()


def test_an_offer_is_one_inactive_audio_stream_on_the_discard_port():
    body = SignallingMedia(7).offer(HOST)
    assert body.startswith(b"v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n")
    assert lines(body, "m=") == ["m=audio 9 RTP/AVP 0 8 101"]
    assert lines(body, "a=")[-1] == "a=inactive"
    assert body.endswith(b"\r\n")


def test_an_ipv6_host_is_named_as_one():
    assert lines(SignallingMedia(7).offer("::1"), "c=") == ["c=IN IP6 ::1"]


def test_an_answer_has_a_line_for_each_line_of_the_offer_in_its_order():
    body = SignallingMedia(7).answer(PHONE, HOST)
    assert lines(body, "m=") == ["m=audio 9 RTP/AVP 8 0 96", "m=video 0 RTP/AVP 99", "m=audio 0 RTP/AVP 0"]
    assert lines(body, "t=") == ["t=3724394400 3724398000"], "RFC 3264 §6: t= is that of the offer"


def test_an_answer_takes_the_offers_number_for_telephone_events():
    assert "a=rtpmap:96 telephone-event/8000" in lines(SignallingMedia(7).answer(PHONE, HOST), "a=")


def test_an_offer_without_a_codec_we_know_cannot_be_answered():
    assert SignallingMedia(7).answer(PHONE.replace(b"9 8 0 96", b"9 96"), HOST) is None


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "UDP/TLS/RTP/SAVPF"])
def test_a_stream_that_has_to_be_encrypted_is_refused(protocol):
    assert SignallingMedia(7).answer(PHONE.replace(b"RTP/AVP", protocol.encode()), HOST) is None


@pytest.mark.parametrize(
    ("wanted", "offer", "answer"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendrecv", "sendonly", "recvonly"),
        ("sendrecv", "recvonly", "sendonly"),
        ("sendrecv", "inactive", "inactive"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "sendrecv", "recvonly"),
        ("inactive", "sendrecv", "inactive"),
    ],
)
def test_directions_are_mirrored(wanted, offer, answer):
    body = SignallingMedia(7, direction=wanted).answer(offered(offer), HOST)
    assert lines(body, "a=")[-1] == f"a={answer}", "RFC 3264 §6.1"


def test_a_direction_of_the_whole_session_holds_for_its_streams():
    offer = offered("x-none").replace(b"t=0 0\r\n", b"t=0 0\r\na=sendonly\r\n")
    assert lines(SignallingMedia(7, direction="sendrecv").answer(offer, HOST), "a=")[-1] == "a=recvonly"


def test_hold_asks_for_sendonly_and_resume_for_both_again():
    media = SignallingMedia(7, direction="sendrecv")
    assert lines(media.offer(HOST), "a=")[-1] == "a=sendrecv"
    media.held = True
    assert lines(media.offer(HOST), "a=")[-1] == "a=sendonly", "RFC 3264 §8.4"
    media.held = False
    assert lines(media.offer(HOST), "a=")[-1] == "a=sendrecv"


def test_the_version_rises_with_each_change_and_only_then():
    media = SignallingMedia(7, direction="sendrecv")
    versions = []
    for media.held in (False, False, True, True, False):
        versions.append(lines(media.offer(HOST), "o=")[0].split()[2])
    assert versions == ["1", "1", "2", "2", "3"], "RFC 3264 §8"


def test_a_later_offer_keeps_every_line_that_was_agreed_on():
    media = SignallingMedia(7)
    media.answer(PHONE, HOST)
    assert [line.split()[0] for line in lines(media.offer(HOST), "m=")] == ["m=audio", "m=video", "m=audio"]
    assert [line.split()[1] for line in lines(media.offer(HOST), "m=")] == ["9", "0", "0"]


def test_an_answer_to_our_offer_is_noted():
    media = SignallingMedia(7)
    media.offer(HOST)
    media.answered(offered("inactive"))
    assert lines(media.offer(HOST), "m=") == ["m=audio 9 RTP/AVP 0 8 101"]


@pytest.mark.parametrize("body", [b"", b"hello", b"v=0\r\nm=audio\r\n", b"v=0\r\nm=audio x RTP/AVP 0\r\n", b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 65])
def test_what_is_no_description_is_said_to_be_none(body):
    with pytest.raises(ValueError, match=r"description|media line"):
        SignallingMedia(7).answer(body, HOST)


SECTION = st.tuples(
    st.sampled_from(["audio", "video", "message", "image"]), st.integers(0, 65535),
    st.sampled_from(["RTP/AVP", "RTP/SAVP", "TCP/MSRP", "udptl"]),
    st.lists(st.sampled_from(["0", "8", "9", "96", "101", "*", "t38"]), min_size=1, max_size=4),
    st.sampled_from(["", "a=sendonly\r\n", "a=recvonly\r\n", "a=inactive\r\n", "a=rtpmap:101 telephone-event/8000\r\n"]),
)  # fmt: skip


@given(st.lists(SECTION, max_size=6), st.sampled_from(["sendrecv", "inactive"]))
def test_any_answer_fits_its_offer(sections, direction):
    offer = "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n"
    for kind, port, protocol, formats, attributes in sections:
        offer += f"m={kind} {port} {protocol} {' '.join(formats)}\r\n{attributes}"
    answer = SignallingMedia(7, direction=direction).answer(offer.encode(), HOST)
    if answer is None:
        assert not any(k == "audio" and p and t == "RTP/AVP" and {"0", "8"} & set(f) for k, p, t, f, _ in sections)
        return
    given_lines = lines(answer, "m=")
    assert len(given_lines) == len(sections)
    taken = 0
    for line, (kind, port, protocol, formats, _) in zip(given_lines, sections, strict=True):
        found = re.fullmatch(r"m=(\S+) (\d+) (\S+) (.+)", line)
        assert found
        assert (found[1], found[3]) == (kind, protocol)
        assert set(found[4].split()) <= set(formats), "RFC 3264 §6.1: formats come from the offer"
        if int(found[2]):
            taken += 1
            assert port != 0, "a stream that was refused stays refused"
    assert taken == 1
