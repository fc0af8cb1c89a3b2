"""URIs: parts, comparison (RFC 3261 §19.1.4), escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltable.adapters.sip.message.errors import UriError
from calltable.adapters.sip.message.uri import (
    Uri,
    equivalent,
    escape_param,
    escape_user,
    host_port,
    parse_uri,
    unescape,
)


def test_parts():
    uri = parse_uri("SIPS:alice%40home:secret@Atlanta.com:5071;Transport=TCP;lr?Subject=hi%20you&priority=urgent")
    assert uri == Uri(
        "sips",
        "alice%40home",
        "secret",
        "Atlanta.com",
        5071,
        {"transport": "TCP", "lr": None},
        (("Subject", "hi%20you"), ("priority", "urgent")),
    )
    assert uri.username == "alice@home"
    assert uri.transport == "tcp"


@pytest.mark.parametrize(
    "text",
    [
        "sip:example.com",
        "sip:alice@[2001:db8::1]:5070;transport=udp",
        "sips:bob:pw@example.com?a=b&c=",
        "sip:*67#@example.com",
        "tel:+1-201-555-0123;phone-context=example.com",
        "urn:service:sos",
        "http://www.example.com/a?b=c",
    ],
)
def test_written_as_read(text: str):
    assert str(parse_uri(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:a@example.com", ("example.com", None, None)),
        ("sip:[::1]:5070;transport=TCP", ("::1", 5070, "tcp")),
        ("sips:10.0.0.1:5061", ("10.0.0.1", 5061, None)),
    ],
)
def test_host_port(text: str, expected: tuple[str, int | None, str | None]):
    assert host_port(text) == expected


def test_host_port_of_another_scheme_is_an_error():
    with pytest.raises(UriError, match="no host: its scheme is tel"):
        host_port("tel:112")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no scheme"),
        ("alice", "no scheme"),
        ("sip:", "nothing behind"),
        ("sip:@example.com", "Malformed sip URI"),
        ("sip:a@", "Malformed sip URI"),
        ("sip:a@b@c", "Malformed sip URI"),
        ("sip:a%4@b", "Malformed sip URI"),
        ("sip:a@b:99999", "port"),
        ("sip:a@b:0", "port"),
        ("sip:a@b;x=1;X=2", "one twice"),
        ("sip:a@b;=1", "without a name"),
        ("sip:a@b?x", "header"),
        ("<sip:a@b>", "angle bracket"),
        ("sip:a@b; lr", "white space"),
        ("sip:a\r\nX: y@b", "white space"),
        ("tel:nobody", "Malformed tel"),
    ],
)
def test_malformed(text: str, why: str):
    with pytest.raises(UriError, match=why) as caught:
        parse_uri(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
    ],
)
def test_equivalent(one: str, other: str):
    assert equivalent(parse_uri(one), parse_uri(other))
    assert equivalent(parse_uri(other), parse_uri(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a:pw@b", "sip:a@b"),
        ("sip:a;b@c", "sip:a%3Bb@c"),
        ("sip:a@b;maddr=1.2.3.4", "sip:a@b"),
        ("tel:112", "tel:112;phone-context=x"),
    ],
)
def test_not_equivalent(one: str, other: str):
    assert not equivalent(parse_uri(one), parse_uri(other))
    assert not equivalent(parse_uri(other), parse_uri(one))


def test_escapes_are_decoded_once():
    assert unescape("value%2541") == "value%41"


@given(st.text(min_size=1))
def test_any_user_survives_escaping(user: str):
    try:
        user.encode()
    except UnicodeEncodeError:
        return
    uri = parse_uri(f"sip:{escape_user(user)}@example.com;x={escape_param(user)}")
    assert uri.username == user
    assert unescape(uri.params["x"] or "") == user


@given(st.text(alphabet='sipt:el@[]:;?&=%4aA<>" .-\0é', max_size=60))
def test_garbage_raises_only_uri_errors(text: str):
    try:
        uri = parse_uri("sip:" + text)
    except UriError:
        return
    assert parse_uri(str(uri)) == uri
    assert equivalent(uri, uri)
