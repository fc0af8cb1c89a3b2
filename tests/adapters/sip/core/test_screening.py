"""What is refused at the door, in the order of RFC 3261 §8.2."""

from __future__ import annotations

import pytest

from calltable.adapters.sip.core.capabilities import Capabilities
from calltable.adapters.sip.core.screening import Screening
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.methods import KNOWN_METHODS
from calltable.simulation import shipped_tables


def request(method: str = "INVITE", uri: str = "sip:bob@example.com", body: bytes = b"", **fields: str) -> Request:
    lines = [
        ("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"), ("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("Call-ID", "x"),
        ("CSeq", f"1 {method}"), ("Contact", fields.pop("Contact", "<sip:a@10.0.0.1>")), *((name.replace("_", "-"), value) for name, value in fields.items()),
    ]  # fmt: skip
    return Request(method, uri, [line for line in lines if line[1]], body)


def shipped(**accepts: str) -> Screening:
    """As a stack that runs the shipped tables screens."""
    screening = Screening()
    screening.capabilities = Capabilities(shipped_tables().machines, accepts)
    return screening


@pytest.mark.parametrize(("message", "status"), [
    (request("BANANA"), 501),
    (request("invite"), 501),
    (request("REGISTER"), 405),
    (request("SUBSCRIBE"), 405),
    (request("PUBLISH"), 405),
    (request("MESSAGE"), 405),
    (request("REFER"), 405),
    *((request(method), 481) for method in ("BYE", "NOTIFY", "PRACK", "UPDATE", "INFO")),
    (request(uri="http://example.com"), 416),
    (request(uri="sips:bob@example.com"), 416),
    (request(Contact="*"), 400),
    (request(Contact="<tel:+4930123>"), 400),
    (request(Contact="<sip:a@10.0.0.1>, <sip:a@10.0.0.2>"), 400),
    (request("PRACK", RAck="1 1 INVITE"), 481),
    (request(Require="100rel"), 420),
    (request(Proxy_Require="privacy"), 420),
    (request(Max_Forwards="0"), 483),
    (request("OPTIONS", Require="x"), 420),
], ids=lambda value: value.method if isinstance(value, Request) else str(value))  # fmt: skip
def test_refused(message: Request, status: int):
    refusal = Screening().outside(message)
    assert refusal is not None
    assert refusal.status == status


@pytest.mark.parametrize("message", [
    request(), request(uri="tel:+4930123"), request(Require="timer"),
    request(body=b"<x/>", Content_Type="text/xml"), request(Max_Forwards="1"),
    request("OPTIONS"), request("OPTIONS", Max_Forwards="0"),
], ids=["plain", "tel", "timer", "any body", "one hop left", "options", "options, no hop left"])  # fmt: skip
def test_let_in(message: Request):
    assert Screening().outside(message) is None


def test_420_names_what_is_unsupported_once_and_only_that():
    refusal = Screening(("timer", "x")).outside(request(Require="timer, foo, bar, foo", Proxy_Require="bar, x"))
    assert refusal is not None
    assert refusal.headers == (("Unsupported", "foo, bar"),)


def test_a_405_does_not_allow_what_it_refuses():
    for method in ("REFER", "MESSAGE"):
        refusal = shipped().outside(request(method))
        assert refusal is not None
        assert method not in dict(refusal.headers)["Allow"].split(", ")


def test_405_and_501_say_what_is_allowed():
    for message in (request("REGISTER"), request("BANANA")):
        refusal = shipped().outside(message)
        assert refusal is not None
        allowed = dict(refusal.headers)["Allow"].split(", ")
        assert allowed == ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "NOTIFY", "REFER", "INFO", "MESSAGE"]
        assert set(allowed) <= KNOWN_METHODS


@pytest.mark.parametrize(("kind", "welcome"), [
    ("application/sdp", True), ("Application/SDP ; x=y", True), ("multipart/mixed;boundary=x", True), ("text/plain", False), ("", False),
])
def test_a_user_agent_takes_only_what_it_can_read(kind: str, welcome: bool):
    """RFC 3261 §8.2.3: 415 with Accept."""
    refusal = Screening(any_content=False).outside(request(body=b"x", Content_Type=kind))
    assert (refusal is None) == welcome
    if refusal is not None:
        assert (refusal.status, dict(refusal.headers)) == (415, {"Accept": "application/sdp"})


def test_an_invite_must_say_where_its_sender_is():
    """RFC 3261 §8.1.1.8."""
    message = request()
    message.remove("Contact")
    refusal = Screening().outside(message)
    assert refusal is not None
    assert refusal.status == 400


def test_allow_is_what_the_running_tables_take():
    machines = dict(shipped_tables().machines)
    capabilities = Capabilities(machines, {"REGISTER": "registration/binding"})
    assert "REGISTER" in capabilities.allow
    assert "PRACK" not in capabilities.allow, "no table knows it"
    for name in [name for name in machines if name.startswith(("leg/", "phone/"))]:
        del machines[name]
    assert capabilities.allow == ("OPTIONS", "REGISTER"), "tables may change while it runs"


def test_a_method_that_a_machine_takes_is_let_in():
    assert shipped(MESSAGE="service/message").outside(request("MESSAGE")) is None
    refusal = shipped(MESSAGE="service/message").outside(request("MESSAGE", Require="x"))
    assert refusal is not None
    assert refusal.status == 420
