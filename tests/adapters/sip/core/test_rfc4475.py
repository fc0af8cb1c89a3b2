"""Every torture message of RFC 4475, as its manifest says it is to be handled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calltable.adapters.sip.message.build import build_response
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.message import Request, Response
from calltable.adapters.sip.message.parse import parse
from calltable.adapters.sip.message.uri import parse_uri
from calltable.adapters.sip.message.validate import Rejection, check
from calltable.adapters.sip.transport.framing import Framer, FramingError

FOLDER = Path(__file__).resolve().parents[5] / "shared" / "data" / "rfc4475"
MANIFEST = FOLDER / "manifest.json"
MESSAGES: list[dict[str, Any]] = json.loads(MANIFEST.read_text())["messages"] if MANIFEST.exists() else []

pytestmark = pytest.mark.skipif(not MESSAGES, reason=f"the RFC 4475 messages are not in {FOLDER}")


IGNORED = {"baddate"}
"""Malformed in a field that nobody needs there: RFC 4475 §3.1.2.12 would rather have it ignored than refused."""


def octets(name: str) -> bytes:
    return (FOLDER / f"{name}.dat").read_bytes()


def judge(data: bytes) -> tuple[Request | Response | None, Rejection | None]:
    """Do what a stack does with a datagram: the message, and what is wrong with it."""
    try:
        message = parse(data)
    except MessageError as error:
        return getattr(error, "request", None), Rejection(error.status, error.reason)
    return message, check(message)


def by_name(entry: dict[str, Any]) -> str:
    return str(entry["name"])


def test_the_whole_manifest_is_driven():
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("entry", MESSAGES, ids=by_name)
def test_verdict(entry: dict[str, Any]):
    message, rejection = judge(octets(entry["name"]))
    if entry["must_discard"]:
        assert rejection is not None
        assert rejection.status is None
    elif entry["parser_must_accept"]:
        assert rejection is None
        assert message is not None
        assert isinstance(message, Request) == (entry["kind"] == "request")
    elif entry["name"] in IGNORED:
        assert rejection is None
    else:
        assert rejection is not None
        assert rejection.status in entry["response_codes_ok"]


@pytest.mark.parametrize(
    "entry",
    [e for e in MESSAGES if not e["syntax_valid"] and e["kind"] == "request" and e["name"] not in IGNORED],
    ids=by_name,
)
def test_a_refused_request_gets_its_response(entry: dict[str, Any]):
    request, rejection = judge(octets(entry["name"]))
    assert isinstance(request, Request)
    assert rejection is not None
    assert rejection.status is not None
    response = parse(bytes(build_response(request, rejection.status, rejection.reason, to_tag="mine")))
    assert isinstance(response, Response)
    assert response.status == rejection.status
    assert response.reason == rejection.reason
    assert response.all("via") == request.all("via")
    assert response.get("cseq") == request.get("cseq")


@pytest.mark.parametrize("entry", MESSAGES, ids=by_name)
def test_round_trip(entry: dict[str, Any]):
    data = octets(entry["name"])
    try:
        message = parse(data)
    except MessageError:
        assert not entry["parser_must_accept"]
        return
    assert bytes(message) == data[: len(data) - message.surplus]


@pytest.mark.parametrize(
    "entry", [e for e in MESSAGES if e["parser_must_accept"] and e["kind"] == "request"], ids=by_name
)
def test_written_anew_it_says_the_same(entry: dict[str, Any]):
    message = parse(octets(entry["name"]))
    message.add("X-Touched", "yes")
    again = parse(bytes(message), stream=True)
    assert check(again) is None
    assert list(again.headers)[: len(message.headers)] == list(message.headers)
    assert again.body == message.body


def test_wsinv_reads_through_all_the_folding():
    message = parse(octets("wsinv"))
    assert message.to_tag == "1918181833n"
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.from_tag == "98asjd8"
    assert message.max_forwards == 68
    assert message.cseq == (9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.get("subject") == ""
    assert message.get("newfangledheader") == "newfangled value continued newfangled value"
    assert message.contact is not None
    assert message.contact.display == 'Quoted string ""'
    assert message.contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}


def test_intmeth_keeps_every_odd_character():
    message = parse(octets("intmeth"))
    assert isinstance(message, Request)
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    uri = parse_uri(message.uri)
    assert uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.to.display == "BEL:\a NUL:\0 DEL:\x7f"
    assert message.from_tag == "_token~1'+`*%!-."
    assert message.get("extensionheader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_are_decoded_once_and_only_in_uris():
    assert parse_uri(parse(octets("escnull")).from_.uri).username == "null-\0-null"
    message = parse(octets("esc02"))
    assert isinstance(message, Request)
    assert message.method == "RE%47IST%45R"
    assert message.to.display == "%Z%45"
    assert len(message.values("contact")) == 2
    contact = parse(octets("esc01")).contact_uri
    assert contact is not None
    assert parse_uri(contact).decoded_params == {"lr": None, "name": "value%41"}


def test_semiuri_has_its_semicolon_in_the_user():
    message = parse(octets("semiuri"))
    assert isinstance(message, Request)
    assert parse_uri(message.uri).username == "user;par=u@example.net"


def test_cparam_knows_whose_parameter_it_is():
    outside, inside = parse(octets("cparam01")).contact, parse(octets("cparam02")).contact
    assert outside is not None
    assert inside is not None
    assert "unknownparam" in outside.params
    assert "unknownparam" not in parse_uri(outside.uri).params
    assert "unknownparam" not in inside.params
    assert "unknownparam" in parse_uri(inside.uri).params


def test_unknown_schemes_are_for_the_core_to_refuse():
    for name, scheme in (("unkscm", "nobodyknowsthisscheme"), ("novelsc", "soap.beep")):
        message = parse(octets(name))
        assert isinstance(message, Request)
        assert parse_uri(message.uri).scheme == scheme


def test_unquoted_comma_in_a_display_name_is_refused_for_itself():
    # As shipped, baddn lacks its last empty line, which would be refused first.
    message, rejection = judge(octets("baddn") + b"\r\n")
    assert message is not None
    assert rejection is not None
    assert rejection.status == 400
    assert "From" in rejection.reason


def test_trailing_octets_of_a_datagram_are_noise_and_of_a_stream_the_next_message():
    data = octets("dblreq")
    message = parse(data)
    assert message.body == b""
    assert message.surplus == 450
    # The second message is longer than its Content-Length says, which a stream does not survive.
    with pytest.raises(FramingError, match="Missing Content-Length") as caught:
        Framer().feed(data)
    frames = [frame for frame in caught.value.frames if isinstance(frame, bytes)]
    assert [parse(frame, stream=True).cseq.method for frame in frames] == ["REGISTER", "INVITE"]


@pytest.mark.parametrize("name", ["ncl", "mcl01"])
def test_a_stream_that_cannot_be_framed_is_given_up_with_a_400(name: str):
    with pytest.raises(FramingError, match="Content-Length") as caught:
        Framer().feed(octets(name))
    assert caught.value.status == 400
    assert caught.value.request is not None
    assert caught.value.request.call_id.startswith(name)


def test_a_stream_waits_for_a_body_that_does_not_come():
    framer = Framer()
    assert framer.feed(octets("clerr")) == []
    assert framer.pending == len(octets("clerr"))
