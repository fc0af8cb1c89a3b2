"""Single header field values: Via, name-addr, CSeq, parameters, lists, numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltable.adapters.sip.message.errors import HeaderError
from calltable.adapters.sip.message.headers import (
    NameAddr,
    number,
    option_tags,
    parse_cseq,
    parse_name_addr,
    parse_params,
    parse_via,
    quote_string,
    split_list,
    split_params,
    unquote_string,
)


def test_via():
    via = parse_via("SIP/2.0/udp Host.example.com:5070;branch=z9hG4bK1;rport;received=::1")
    assert (via.transport, via.host, via.port) == ("UDP", "Host.example.com", 5070)
    assert via.branch == "z9hG4bK1"
    assert via.wants_rport
    assert via.rport is None
    assert via.received == "::1"
    assert via.sent_by == "host.example.com:5070"


def test_via_ipv6():
    via = parse_via("SIP / 2.0 / TCP [2001:db8::9:1] : 5060 ; received=[::1] ;rport=5061")
    assert (via.host, via.port, via.received, via.rport) == ("[2001:db8::9:1]", 5060, "::1", 5061)


@pytest.mark.parametrize(
    "value",
    ["", "SIP/2.0/UDP", "SIP/2.0 host", "SIP/2.0/UDP host:99999", "SIP/2.0/UDP host:0", "SIP/2.0/UDP host;;",
     "SIP/2.0/UDP host;branch=a;branch=b", "SIP/2.0/UDP ho st", "SIP/2.0/UDP host, SIP/2.0/UDP other"],
)  # fmt: skip
def test_malformed_via(value: str):
    with pytest.raises(HeaderError, match="Via"):
        parse_via(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<sip:a@b>", NameAddr("", "sip:a@b", {})),
        ("sip:a@b;tag=1", NameAddr("", "sip:a@b", {"tag": "1"})),
        ("sip:a@b ; Tag = 1", NameAddr("", "sip:a@b", {"tag": "1"})),
        ('"A, \\"B\\" <x>" <sip:a@b;lr>;tag=1', NameAddr('A, "B" <x>', "sip:a@b;lr", {"tag": "1"})),
        ("A B<sip:a@b?x=y>;q=0.5;z", NameAddr("A B", "sip:a@b?x=y", {"q": "0.5", "z": None})),
        ('Zoë <tel:112>;x=";,"', NameAddr("Zoë", "tel:112", {"x": '";,"'})),
    ],
)
def test_name_addr(value: str, expected: NameAddr):
    assert parse_name_addr(value) == expected
    assert parse_name_addr(str(expected)) == expected


@pytest.mark.parametrize(
    "value",
    ["", "<>", "nobody", "<sip:a@b", "sip:a@b>", "A, B <sip:a@b>", "< sip:a@b>", "sip:a@b?x=y", "sip:a@b,sip:c@d",
     '"A <sip:a@b>', '"A" sip:a@b', "<sip:a@b>;tag=1;tag=2", "<sip:a@b> tag=1", "<sip:a@b>;;", "<sip:a@b>, <sip:c@d>"],
)  # fmt: skip
def test_malformed_name_addr(value: str):
    with pytest.raises(HeaderError, match="To"):
        parse_name_addr(value, "To")


def test_cseq():
    assert parse_cseq("0009   INVITE") == (9, "INVITE")
    assert parse_cseq("2147483647 BYE").number == 2**31 - 1


@pytest.mark.parametrize("value", ["", "1", "INVITE", "-1 INVITE", "1 INV ITE", "2147483648 BYE", "9" * 5000 + " BYE"])
def test_malformed_cseq(value: str):
    with pytest.raises(HeaderError, match="CSeq"):
        parse_cseq(value)


def test_params():
    assert parse_params(';A=1;b ; c = "x;\\"y"') == {"a": "1", "b": None, "c": '"x;\\"y"'}
    assert split_params("active ;expires=60") == ("active", {"expires": "60"})


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ('"x, y" <sip:a,b@c>, <sip:d>;q=1', ['"x, y" <sip:a,b@c>', "<sip:d>;q=1"]),
        ('"a\\", b", c', ['"a\\", b"', "c"]),
        ('"never closed, b', ['"never closed, b']),
        ("<never closed, b", ["<never closed, b"]),
    ],
)
def test_list(value: str, items: list[str]):
    assert split_list(value) == items


def test_option_tags_come_flat_and_lower_case():
    assert option_tags(["100rel, Timer", "", " ,replaces"]) == ["100rel", "timer", "replaces"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("0068", 68), ("255", 255), ("256", None), ("", None), ("-1", None), ("+1", None), ("1_0", None),
     ("٣", None), ("9" * 10000, None), ("0" * 10000 + "7", 7)],
)  # fmt: skip
def test_number(text: str, value: int | None):
    assert number(text, 255) == value


@given(st.text())
def test_any_text_survives_quoting(text: str):
    assert unquote_string(quote_string(text)) == text


@given(st.text(alphabet='a:<>"\\,;= \t@sip*é', max_size=60))
def test_garbage_raises_only_header_errors(text: str):
    for read in (parse_name_addr, parse_via, parse_cseq, parse_params):
        try:
            read(text)
        except HeaderError:
            continue
    assert ",".join(split_list(text)).replace(" ", "").replace("\t", "") == text.replace(" ", "").replace("\t", "")
