"""Dialogs as data: what they take from messages, and the requests they write."""

from __future__ import annotations

import json

import pytest

from calltable.adapters.sip.dialog import encoding
from calltable.adapters.sip.dialog.dialog import Dialog
from calltable.adapters.sip.dialog.dialogs import Dialogs
from calltable.adapters.sip.message.message import Request, Response
from calltable.adapters.sip.message.parse import parse
from calltable.adapters.sip.transport.address import Address


def invite(**fields: str) -> Request:
    lines = {
        "Via": "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "From": '"A. Lice" <sip:alice@example.com>;tag=a1',
        "To": "<sip:bob@example.com>", "Call-ID": "c1", "CSeq": "7 INVITE", "Contact": "<sip:alice@10.0.0.1:5070>", **fields,
    }  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    message = parse(f"INVITE sip:bob@example.com SIP/2.0\r\n{head}Content-Length: 0\r\n\r\n".encode())
    assert isinstance(message, Request)
    return message


def response(status: int = 200, tag: str = "b1", **fields: str) -> Response:
    lines = {
        "Via": "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "From": "<sip:alice@example.com>;tag=a1",
        "To": f"<sip:bob@example.com>;tag={tag}" if tag else "<sip:bob@example.com>", "Call-ID": "c1", "CSeq": "1 INVITE", **fields,
    }  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    message = parse(f"SIP/2.0 {status} X\r\n{head}Content-Length: 0\r\n\r\n".encode())
    assert isinstance(message, Response)
    return message


def outgoing() -> Dialog:
    return Dialog("c1", "<sip:alice@example.com>", "a1", "<sip:bob@example.com>", "sip:bob@10.0.0.2", contact="<sip:10.0.0.1:5060>")


def test_the_dialog_of_a_request_is_its_mirror():
    """RFC 3261 §12.1.1."""
    dialog = Dialog.of_request(invite(**{"Record-Route": "<sip:p1;lr>, <sip:p2;lr>"}), "b1")
    assert (dialog.call_id, dialog.local, dialog.local_tag) == ("c1", "<sip:bob@example.com>", "b1")
    assert dialog.remote_tag == "a1"
    assert "sip:alice@example.com" in dialog.remote
    assert ";tag=" not in dialog.remote
    assert "A. Lice" in dialog.remote
    assert dialog.target == "sip:alice@10.0.0.1:5070"
    assert dialog.remote_cseq == 7
    assert dialog.route_set == ("<sip:p1;lr>", "<sip:p2;lr>")
    assert not dialog.confirmed


def test_a_caller_without_contact_is_reached_at_its_from():
    assert Dialog.of_request(invite(Contact=""), "b1").target == "sip:alice@example.com"


def test_a_caller_of_rfc_2543_has_no_tag():
    """RFC 3261 §12.1.1: its tag counts as empty."""
    assert Dialog.of_request(invite(From="<sip:alice@example.com>"), "b1").remote_tag == ""


def test_a_provisional_response_makes_an_early_dialog_and_a_2xx_another_of_its_own():
    """RFC 3261 §12.1.2: each tag is a dialog; routes are taken in reverse."""
    one = Dialogs(outgoing()).answered(
        response(180, "one", **{"Record-Route": "<sip:p1;lr>, <sip:p2;lr>", "Contact": "<sip:one@10.0.0.3>"})
    )
    assert (one.current.remote_tag, one.current.confirmed, one.forked) == ("one", False, False)
    assert one.current.route_set == ("<sip:p2;lr>", "<sip:p1;lr>")
    both = one.answered(response(180, "two", Contact="<sip:two@10.0.0.4>"))
    assert both.forked
    assert both.find("a1", "one") == one.current
    answered = both.answered(response(200, "two", Contact="<sip:two@10.0.0.4>"))
    dialog = answered.current
    assert (dialog.remote_tag, dialog.confirmed, dialog.target, dialog.route_set) == ("two", True, "sip:two@10.0.0.4", ())
    assert answered.find("a1", "one") is None, "requests in the other early dialogs are refused from now on"
    assert one.current.target == "sip:one@10.0.0.3", "a value that is held elsewhere has not changed"


def test_once_confirmed_only_the_target_moves():
    """RFC 3261 §12.2.1.2."""
    dialog = outgoing().answered(response(200, "two", **{"Record-Route": "<sip:p1;lr>", "Contact": "<sip:two@10.0.0.4>"}))
    dialog = dialog.answered(response(200, "three", **{"Record-Route": "<sip:p9;lr>", "Contact": "<sip:moved@10.0.0.5>"}))
    assert (dialog.remote_tag, dialog.route_set, dialog.target) == ("two", ("<sip:p1;lr>",), "sip:moved@10.0.0.5")
    dialog = dialog.refreshed(invite(Contact="<sip:again@10.0.0.6>"))
    assert dialog.target == "sip:again@10.0.0.6"
    assert dialog.refreshed(invite(Contact="")) is dialog
    assert dialog.answered(response(180, "two", Contact="<sip:ringing@10.0.0.7>")) is dialog


def test_the_2xx_to_another_request_moves_the_target_and_nothing_else():
    """RFC 3261 §12.2, §12.2.1.2."""
    early = outgoing().answered(response(183, "one", **{"Record-Route": "<sip:p1;lr>"}))
    moved = early.refreshed(response(200, "one", **{"Record-Route": "<sip:p9;lr>", "Contact": "<sip:one@10.0.0.9>"}))
    assert moved == early._replace(target="sip:one@10.0.0.9")


def test_the_end_of_one_early_dialog_leaves_the_others():
    """RFC 3261 §15."""
    dialogs = Dialogs(outgoing())
    for tag in ("one", "two", "three"):
        dialogs = dialogs.answered(response(180, tag))
    left = dialogs.without(dialogs.find("a1", "three"))
    assert (left.current.remote_tag, left.forked, left.ended("three"), left.forks) == ("two", True, True, 3)
    left = left.without(left.find("a1", "one"))
    assert (left.current.remote_tag, left.forked, left.find("a1", "one")) == ("two", False, None)


def test_a_callee_who_forks_is_shown_as_several_dialogs_that_each_count_from_the_invite():
    """RFC 3261 §12.1.1, §12.2.2."""
    dialogs = Dialogs.of_request(invite(), "b1").shows("one", "b2")
    assert dialogs.current.local_tag == "b1", "the first takes the dialog of the INVITE"
    dialogs = dialogs.counted(Request("INFO", "sip:b", [("CSeq", "9 INFO")]), dialogs.current)
    dialogs = dialogs.shows("two", "b2")
    assert [(one.local_tag, one.remote_cseq) for one in (dialogs.current, *dialogs.early)] == [("b2", 7), ("b1", 9)]
    assert dialogs.shows("one", "").current.local_tag == "b1"
    assert dialogs.shows("two", "") is dialogs


def test_an_ack_takes_the_number_of_its_invite():
    """RFC 3261 §13.2.2.4."""
    dialog = outgoing()
    assert [dialog.request(method, [], b"", 4).cseq for method in ("INVITE", "ACK")] == [(4, "INVITE"), (4, "ACK")]


def test_a_request_says_who_where_and_how_many_hops():
    dialog = outgoing().answered(response(200, "b1", Contact="<sip:bob@10.0.0.4>"))
    request = dialog.request("INFO", [("X-A", "1")], b"body", 2, max_forwards=5)
    assert request.uri == "sip:bob@10.0.0.4"
    assert (request.get("from"), request.get("to")) == ("<sip:alice@example.com>;tag=a1", "<sip:bob@example.com>;tag=b1")
    assert (request.max_forwards, request.get("x-a"), request.get("content-length")) == (5, "1", "4")
    methods = ("INVITE", "BYE", "INFO", "MESSAGE", "UPDATE", "REFER", "FOO")
    with_contact = {m for m in methods if dialog.request(m, [], b"", 3).get("contact")}
    assert with_contact == {"INVITE", "UPDATE", "REFER"}, "what may move the target; MESSAGE must not (RFC 3428 §4)"
    assert dialog.request("INVITE", [], b"", 3).get("contact") == "<sip:10.0.0.1:5060>"


@pytest.mark.parametrize(("routes", "uri", "route", "hop"), [
    ((), "sip:bob@10.0.0.4", [], "sip:bob@10.0.0.4"),
    (("<sip:p1;lr>", "<sip:p2;lr>"), "sip:bob@10.0.0.4", ["<sip:p1;lr>", "<sip:p2;lr>"], "sip:p1;lr"),
    (("<sip:p1>", "<sip:p2;lr>"), "sip:p1", ["<sip:p2;lr>", "<sip:bob@10.0.0.4>"], "sip:p1"),
], ids=["direct", "loose router", "strict router"])  # fmt: skip
def test_routes(routes: tuple[str, ...], uri: str, route: list[str], hop: str):
    """RFC 3261 §12.2.1.1, §16.12.1."""
    dialog = outgoing()._replace(target="sip:bob@10.0.0.4", route_set=routes)
    request = dialog.request("INFO", [], b"", 2)
    assert (request.uri, request.all("route"), dialog.next_hop()) == (uri, route, hop)


@pytest.mark.parametrize(("contact", "target"), [
    ("<sip:bob@10.0.0.4?Replaces=x>", "sip:bob@10.0.0.4"),
    ("<sip:bob@10.0.0.4;method=MESSAGE;ob>", "sip:bob@10.0.0.4;ob"),
    ("<sip:bob@10.0.0.4;x=%3f>", "sip:bob@10.0.0.4;x=%3f"),
])
def test_a_contact_becomes_a_request_uri_without_what_may_not_stand_there(contact: str, target: str):
    """RFC 3261 §19.1.1, table 1."""
    dialog = outgoing().answered(response(200, "b1", Contact=contact))
    assert dialog.request("INFO", [], b"", 2).uri == target


def test_dialogs_can_be_written_down_and_read_again():
    dialogs = Dialogs(outgoing()._replace(source=Address("tcp", "2001:db8::1", 5061)))
    for tag in ("one", "two", "three"):
        dialogs = dialogs.answered(response(180, tag, **{"Record-Route": "<sip:p1;lr>, <sip:p2;lr>"}))
    dialogs = dialogs.without(dialogs.find("a1", "two"))._replace(shown=(("x", "y"),), referred=((1, 7),), began=3)
    kept = json.loads(json.dumps(encoding.written(dialogs)))
    assert encoding.read(kept) == dialogs
    assert encoding.read(kept).current.source == Address("tcp", "2001:db8::1", 5061)
    with pytest.raises((KeyError, TypeError, ValueError)):
        encoding.read({"current": {}})
