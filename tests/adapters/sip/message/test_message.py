"""The message codec: lossless, lazy views, changes, builders, faults, fuzz, linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calltable.adapters.sip.message.build import build_ack, build_cancel, build_request, build_response, note_source
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.message import MAX_HEADERS, Request, Response
from calltable.adapters.sip.message.parse import AnswerableError, parse
from calltable.adapters.sip.message.validate import check

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKnashds8\r\n"
    b"v: SIP/2.0/TCP first.example.com;branch=z9hG4bKx\r\n"
    b"Max-Forwards: 70\r\n"
    b'f: "Alice, A." <sip:alice@example.com>;tag=1928301774\r\n'
    b"TO:Bob<sip:bob@example.com>\r\n"
    b"i: a84b4c76e66710@pc33.example.com\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b'm: "Alice, A." <sip:alice@192.0.2.1:5062>;q=1\r\n'
    b"Timestamp: 54.21\r\n"
    b"Route: <sip:one.example.com;lr>, <sip:two.example.com;lr>\r\n"
    b"Route: <sip:three.example.com;lr>\r\n"
    b"X-Unknown: \xff\xfe raw ; , \xc3\xa9\r\n"
    b"Supported: 100rel, Timer\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SDP)
) + SDP
OK = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    b"Call-ID: x\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
)


def invite() -> Request:
    message = parse(INVITE)
    assert isinstance(message, Request)
    return message


def altered(old: bytes, new: bytes, data: bytes = INVITE) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def test_untouched_is_byte_for_byte():
    assert bytes(invite()) == INVITE
    assert check(invite()) is None


def test_views():
    message = invite()
    assert (message.method, message.uri) == ("INVITE", "sip:bob@example.com")
    assert message.call_id == "a84b4c76e66710@pc33.example.com"
    assert message.cseq == (314159, "INVITE")
    assert message.from_tag == "1928301774"
    assert message.from_.display == "Alice, A."
    assert message.to_tag is None
    assert message.via.branch == "z9hG4bKnashds8"
    assert [via.transport for via in message.vias] == ["UDP", "TCP"]
    assert message.contact_uri == "sip:alice@192.0.2.1:5062"
    assert message.max_forwards == 70
    assert message.body == SDP


def test_a_header_is_found_however_it_is_spelled():
    message = invite()
    assert message.get("call-id") == message.get("Call-ID") == message.get("I") == "a84b4c76e66710@pc33.example.com"
    assert message.get("to") == "Bob<sip:bob@example.com>"
    assert message.get("Nothing") is None
    assert message.all("nothing") == message.values("nothing") == message.option_tags("nothing") == []


def test_lines_and_values_are_two_things():
    message = invite()
    assert message.all("route") == ["<sip:one.example.com;lr>, <sip:two.example.com;lr>", "<sip:three.example.com;lr>"]
    assert message.values("route") == [
        "<sip:one.example.com;lr>",
        "<sip:two.example.com;lr>",
        "<sip:three.example.com;lr>",
    ]
    assert message.values("x-unknown") == message.all("x-unknown")
    assert message.option_tags("supported") == ["100rel", "timer"]
    assert set(message.repeated) == {"via", "route"}


def test_a_change_leaves_everything_else_as_it_was():
    message = invite()
    message.set("max-forwards", "69")
    assert bytes(message) == altered(b"Max-Forwards: 70", b"Max-Forwards: 69").replace(b"TO:Bob", b"TO: Bob")
    assert message.max_forwards == 69


def test_set_makes_one_line_of_many_and_adds_where_there_is_none():
    message = invite()
    message.set("route", "<sip:x>")
    message.set("user-agent", "calltable")
    assert message.all("route") == ["<sip:x>"]
    assert message.headers[-1] == ("User-Agent", "calltable")


def test_add_and_remove():
    message = invite()
    message.add("via", "SIP/2.0/UDP new;branch=z9hG4bKnew", first=True)
    message.add("record-route", "<sip:rr;lr>", first=True)
    message.remove("route")
    message.remove("nothing")
    assert message.via.host == "new"
    assert len(message.vias) == 3
    assert message.headers[0] == ("Record-Route", "<sip:rr;lr>")
    assert message.get("route") is None


def test_views_follow_changes():
    message = invite()
    assert message.to_tag is None
    message.set("to", "<sip:bob@example.com>;tag=9")
    assert message.to_tag == "9"
    assert parse(bytes(message)).to_tag == "9"


def test_a_new_body_brings_its_length():
    message = invite()
    message.body = b"x" * 1000
    again = parse(bytes(message))
    assert again.get("content-length") == "1000"
    assert again.body == b"x" * 1000


def test_a_message_written_anew_always_has_a_length():
    message = parse(altered(b"Content-Length: %d\r\n" % len(SDP), b""))
    assert message.body == SDP
    message.set("max-forwards", "69")
    assert parse(bytes(message), stream=True).body == SDP


@pytest.mark.parametrize("evil", ["x\r\nEvil: yes", "x\nEvil: yes", "x\r"])
def test_line_ends_cannot_be_smuggled_into_a_value(evil: str):
    message = invite()
    message.set("subject", evil)
    with pytest.raises(ValueError, match="line end in Subject"):
        bytes(message)
    with pytest.raises(ValueError, match="line end in start line"):
        bytes(build_request("OPTIONS", evil, []))
    with pytest.raises(ValueError, match="line end in X"):
        bytes(build_request("OPTIONS", "sip:a", [("X", evil)]))


# ---- reading


def test_empty_lines_before_the_start_line_are_skipped():
    assert bytes(parse(b"\r\n\r\n" + INVITE)) == INVITE


def test_what_stands_behind_the_body_is_cut_off():
    message = parse(INVITE + b"noise")
    assert message.body == SDP
    assert message.surplus == 5
    assert bytes(message) == INVITE


def test_bare_line_feeds_are_read_and_kept():
    data = INVITE[: -len(SDP)].replace(b"\r\n", b"\n") + SDP
    message = parse(data)
    assert check(message) is None
    assert message.body == SDP
    assert message.headers == invite().headers
    assert bytes(message) == data


def test_an_empty_line_of_bare_line_feeds_ends_the_head():
    message = parse(OK.replace(b"Call-ID", b"X-A: 1\n\nCall-ID"))
    assert message.get("call-id") is None
    assert message.get("x-a") == "1"


def test_folded_and_spaced_lines():
    data = altered(b"CSeq: 314159 INVITE", b"CSeq \t:\r\n\t314159\r\n    INVITE  ")
    message = parse(data)
    assert message.get("cseq") == "314159 INVITE"
    assert message.cseq == (314159, "INVITE")
    assert bytes(message) == data
    message.remove("route")
    assert b"CSeq: 314159 INVITE\r\n" in bytes(message)


def test_status_line():
    message = parse(OK)
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (200, "OK")
    bare = parse(OK.replace(b"200 OK", b"200"))
    assert isinstance(bare, Response)
    assert (bare.status, bare.reason) == (200, "")


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n\r\n", b"\0\0\0\0", b"hello", b"SIP/2.0 99 Low\r\n\r\n", b"SIP/2.0 700 High\r\n\r\n", b"SIP/2.0\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x80\x60\x00\x01" * 40, b"INVITE sip:a@b SIP/2.0", INVITE.replace(b"INVITE sip", b"INV\rITE sip")],
)  # fmt: skip
def test_what_is_not_sip_is_dropped(data: bytes):
    with pytest.raises(MessageError) as caught:
        parse(data)
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("data", "status", "why"),
    [
        (altered(b"Max-Forwards: 70", b"Max-Forwards 70"), 400, "Malformed header line 'Max-Forwards 70'"),
        (altered(b"Max-Forwards: 70", b"Max Forwards: 70"), 400, "Malformed header line"),
        (altered(b"Max-Forwards: 70", b": 70"), 400, "Malformed header line"),
        (altered(b"Max-Forwards: 70", b"Max-Forwards: 7\r0"), 400, "carriage return"),
        (altered(b"SIP/2.0\r\nVia", b"SIP/2.0\r\n Via: x\r\nVia"), 400, "folded line right after"),
        (altered(b"com SIP/2.0", b"com"), 400, "without a SIP version"),
        (INVITE[:300], 400, "No empty line"),
        (altered(b"Max-Forwards: 70", b"X: " + b"x" * 70000), 513, "above 65536 bytes"),
        (altered(b"Max-Forwards: 70", b"X: x\r\n" * 600 + b"Y: y"), 513, "More than 500"),
    ],
)
def test_a_request_without_structure_can_still_be_answered(data: bytes, status: int, why: str):
    with pytest.raises(MessageError, match=why) as caught:
        parse(data)
    assert caught.value.status == status
    assert caught.value.request is not None
    answer = parse(bytes(build_response(caught.value.request, status, caught.value.reason)))
    assert answer.all("via") == caught.value.request.all("via")


@pytest.mark.parametrize("old", [b"INVITE sip", b"Via"])
def test_an_ack_or_a_request_without_via_is_not_answered(old: bytes):
    data = INVITE.replace(b"Max-Forwards: 70", b"garbage")
    data = (
        data.replace(b"INVITE sip", b"ACK sip") if old != b"Via" else data.replace(b"Via", b"X").replace(b"v:", b"X:")
    )
    with pytest.raises(MessageError) as caught:
        parse(data)
    assert caught.value.status is None


def test_a_stream_message_needs_a_length():
    with pytest.raises(MessageError, match="Missing Content-Length"):
        parse(altered(b"Content-Length: %d\r\n" % len(SDP), b""), stream=True)


# ---- checking


@pytest.mark.parametrize(
    ("old", "new", "status", "why"),
    [
        (b"com SIP/2.0", b"com SIP/3.0", 505, "Version Not Supported"),
        (b"INVITE sip:bob", b"INV@TE sip:bob", 400, "Malformed method"),
        (b"sip:bob@example.com SIP", b"sip:bob@ SIP", 400, "Malformed sip URI 'sip:bob@' (Request-URI)"),
        (b"i: a84b", b"X: a84b", 400, "Missing Call-ID"),
        (b"CSeq:", b"X:", 400, "Missing CSeq"),
        (b"f:", b"X:", 400, "Missing From"),
        (b"TO:", b"X:", 400, "Missing To"),
        (b"i: a84b", b"i: a b", 400, "Malformed Call-ID"),
        (b"i: a84b", b"i: a\0b", 400, "Malformed Call-ID"),
        (b"i: a84b", b"i: a\tb", 400, "Malformed Call-ID"),
        (b"Max-Forwards: 70", b"Max-Forwards: x", 400, "Max-Forwards 'x'"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256", 400, "Max-Forwards '256'"),
        (b"Max-Forwards: 70", b"Call-ID: other", 400, "Call-ID appears more than once"),
        (b"314159 INVITE", b"314159 BYE", 400, "CSeq method 'BYE'"),
        (b"tag=1928301774", b"tag=", 400, "empty tag"),
        (b"TO:Bob<", b'TO:"Bob<', 400, "Unterminated quoted string in To"),
        (b"z9hG4bKnashds8", b"z9hG4bK", 400, "branch without"),
        (b"<sip:alice@192.0.2.1:5062>;q=1", b"<sip:alice@:5062>", 400, "contact"),
        (b"<sip:alice@192.0.2.1:5062>;q=1", b"<sip:alice@192.0.2.1:5062>, *", 400, "is not the only value"),
        (b"X-Unknown: ", b"Record-Route: <sip:a b>\r\nX-Unknown: ", 400, "Malformed Record-Route"),
        (b"X-Unknown: ", b"Record-Route: \r\nX-Unknown: ", 400, "Malformed Record-Route"),
        (b"X-Unknown: ", b"Content-Type: text/plain\r\nX-Unknown: ", 400, "Content-Type appears more than once"),
        (b"Content-Length: %d" % len(SDP), b"Content-Length: +8", 400, "not a number"),
        (b"Content-Length: %d" % len(SDP), b"Content-Length: 9999", 400, "above the 87 bytes"),
    ],
)
def test_what_breaks_a_rule_is_named(old: bytes, new: bytes, status: int, why: str):
    rejection = check(parse(altered(old, new)))
    assert rejection is not None
    assert rejection.status == status
    assert why.lower() in rejection.reason.lower()
    assert "\n" not in rejection.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b";tag=1928301774", b""),
        (b"Max-Forwards: 70\r\n", b""),
        (b";branch=z9hG4bKnashds8", b""),
        (b"com SIP/2.0", b"com sip/2.0"),
        (b"sip:bob@example.com SIP", b"tel:112 SIP"),
        (b'"Alice, A." <sip:alice@192.0.2.1:5062>;q=1', b"*"),
        (b"X-Unknown: ", b"Date: Sat, 13 Nov 2010 23:29:00 CET\r\nX-Unknown: "),
        (b"X-Unknown: ", b"Date: soon\r\nDate: soon\r\nExpires: -1\r\nX-Unknown: "),
        (b"<sip:three.example.com;lr>", b"<sip:three example.com;lr>"),
    ],
)
def test_what_may_be_is_let_through(old: bytes, new: bytes):
    assert check(parse(altered(old, new))) is None


@pytest.mark.parametrize(
    "data",
    [
        altered(b"Call-ID: x\r\n", b"", OK),
        altered(b"From", b"Via: SIP/2.0/UDP other\r\nFrom", OK),
        altered(b"SIP/2.0 200", b"SIP/4.0 200", OK),
        altered(b"INVITE sip", b"ACK sip"),
    ],
)
def test_responses_and_acks_are_dropped_not_answered(data: bytes):
    rejection = check(parse(data))
    assert rejection is not None
    assert rejection.status is None


# ---- building


def test_response_copies_what_rfc3261_8_2_6_2_says():
    response = build_response(invite(), 486, to_tag="b", headers=[("Retry-After", "5")])
    assert list(response.headers) == [
        ("Via", "SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKnashds8"),
        ("Via", "SIP/2.0/TCP first.example.com;branch=z9hG4bKx"),
        ("From", '"Alice, A." <sip:alice@example.com>;tag=1928301774'),
        ("To", "Bob<sip:bob@example.com>;tag=b"),
        ("Call-ID", "a84b4c76e66710@pc33.example.com"),
        ("CSeq", "314159 INVITE"),
        ("Retry-After", "5"),
        ("Content-Length", "0"),
    ]
    assert bytes(response).startswith(b"SIP/2.0 486 Busy Here\r\nVia: ")


def test_a_100_has_the_timestamp_and_no_tag():
    response = build_response(invite(), 100, to_tag="b")
    assert response.get("timestamp") == "54.21"
    assert response.to_tag is None


def test_a_to_tag_is_never_added_twice():
    request = invite()
    request.set("to", "<sip:bob@example.com>;tag=theirs")
    assert build_response(request, 200, to_tag="mine").to_tag == "theirs"


def test_request_and_response_come_back_as_built():
    built = build_request("MESSAGE", "sip:é@x", [("Via", "SIP/2.0/UDP a"), ("X", "ü")], b"hi")
    again = parse(bytes(built), stream=True)
    assert isinstance(again, Request)
    assert (again.method, again.uri, list(again.headers), again.body) == (
        "MESSAGE",
        "sip:é@x",
        list(built.headers),
        b"hi",
    )


def test_ack_belongs_to_the_transaction_of_the_invite():
    request = invite()
    ack = build_ack(request, build_response(request, 486, to_tag="b"))
    assert (ack.method, ack.uri) == ("ACK", request.uri)
    assert ack.all("via") == [request.all("via")[0]]
    assert ack.all("route") == request.all("route")
    assert (ack.from_tag, ack.to_tag) == ("1928301774", "b")
    assert ack.cseq == (314159, "ACK")
    assert check(parse(bytes(ack))) is None


def test_cancel_belongs_to_the_transaction_of_the_invite():
    cancel = build_cancel(invite())
    assert cancel.all("via") == [invite().all("via")[0]]
    assert cancel.to_tag is None
    assert cancel.cseq == (314159, "CANCEL")
    assert check(parse(bytes(cancel))) is None


def test_the_source_is_noted_in_the_top_via():
    request = invite()
    note_source(request, "198.51.100.7", 40000)
    assert (request.via.received, request.via.rport, request.via.branch) == ("198.51.100.7", 40000, "z9hG4bKnashds8")
    assert request.vias[1].host == "first.example.com"
    assert build_response(request, 100).via == request.via


def test_the_source_is_not_noted_where_nothing_is_to_say():
    request = parse(INVITE.replace(b";rport", b""))
    assert isinstance(request, Request)
    note_source(request, "192.0.2.1", 40000)
    assert bytes(request) == INVITE.replace(b";rport", b"")
    note_source(request, "192.0.2.99", 40000)
    assert (request.via.received, request.via.wants_rport) == ("192.0.2.99", False)


# ---- hostile input


def drive(data: bytes) -> None:
    """Do everything a stack does; only MessageError may come out."""
    for stream in (False, True):
        try:
            message = parse(data, stream=stream)
        except MessageError as error:
            assert "\n" not in error.reason  # noqa: PT017  most mutants are meant to parse
            if isinstance(error, AnswerableError):
                bytes(build_response(error.request, error.status or 400, error.reason, to_tag="t"))
            continue
        stripped = data.lstrip(b"\r\n")
        assert bytes(message) == stripped[: len(stripped) - message.surplus]
        rejection = check(message)
        if rejection is None:
            assert message.via
            assert message.cseq.number >= 0
            _ = message.call_id, message.from_tag, message.to_tag, message.contact_uri, message.max_forwards
        if isinstance(message, Request):
            status, reason = (rejection.status or 400, rejection.reason) if rejection else (200, "OK")
            parse(bytes(build_response(message, status, reason, to_tag="t")))
        message.set("subject", "x")
        assert parse(bytes(message)).get("subject") == "x"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_messages_raise_only_message_errors(data: st.DataObject):
    mutant = bytearray(data.draw(st.sampled_from([INVITE, OK])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mutant)))
        length = data.draw(st.integers(0, 8))
        piece = data.draw(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b";", b",", b'"', b"<", b">", b"\0", b"\xff",
                                           b"0", b"\\", b"=", b"%", b"?", b"@", b"SIP/2.0", b"tag=", b"Via: "]))  # fmt: skip
        mutant[at : at + length] = piece
    drive(bytes(mutant))


@given(st.binary(max_size=200))
@example(b"A B SIP/2.0\r\n\r\n")
def test_garbage_raises_only_message_errors(data: bytes):
    drive(data)


def filled(template: bytes, piece: bytes, size: int) -> bytes:
    return INVITE.replace(b"X-Unknown: ", template.replace(b"#", piece * (size // len(piece))) + b"\r\nX-Unknown: ")


HOSTILE = [
    (b"Via: #", b","),
    (b"Via: SIP/2.0/UDP h#", b";"),
    (b"Via: SIP/2.0/UDP h#", b" "),
    (b"Via: SIP/2.0/UDP h;a#", b";a"),
    (b"Via: #", b"SIP/2.0/UDP h,"),
    (b"Via: #", b"\r\n "),
    (b"Contact: #", b'"'),
    (b"Contact: #", b'"\\"'),
    (b'Contact: "#', b"\\"),
    (b"Contact: #", b"<"),
    (b"Contact: #", b"<>"),
    (b"Contact: #", b"a "),
    (b"Contact: sip:#", b"a"),
    (b"Contact: <sip:#>", b"a:"),
    (b"Contact: <sip:#@>", b"%41"),
    (b"Contact: <sip:a@b#>", b";"),
    (b"Contact: <sip:a@b?#>", b"a=b&"),
    (b"Record-Route: #", b"<sip:a@b>,"),
    (b"Date: #", b" "),
    (b"X#: 1", b"x"),
    (b"X#", b" "),
    (b"X: 1#", b" \r\n "),
    (b"X: 1#", b" \t"),
    (b"#", b"a:\r\n"),
    (b"Supported: #", b'",<'),
]


@pytest.mark.parametrize(("template", "piece"), HOSTILE)
def test_time_is_linear_in_size(template: bytes, piece: bytes):
    def cost(size: int) -> float:
        data = filled(template, piece, size)
        best = 1.0
        for _ in range(6):
            begin = time.process_time()  # what others do on this machine does not count
            try:
                message = parse(data)
            except MessageError:
                pass
            else:
                check(message)
                message.values("supported")
            best = min(best, time.process_time() - begin)
        return best

    # Sixteen times the size: linear is 16, quadratic 256.
    assert cost(60000) < 64 * max(cost(3750), 0.0003)


def test_the_most_headers_taken():
    head = INVITE.replace(b"Max-Forwards: 70\r\n", b"X: 1\r\n" * (MAX_HEADERS - 14))
    assert len(parse(head).headers) == MAX_HEADERS
