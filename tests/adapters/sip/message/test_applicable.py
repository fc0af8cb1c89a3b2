"""The table of RFC 3261 §20: which header field means something in which message."""

from __future__ import annotations

import pytest

from calltable.adapters.sip.message.applicable import TABLE, applies, needed
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.message import Message, Request, Response
from calltable.adapters.sip.message.methods import METHODS


def request(method: str, *fields: tuple[str, str], tag: str = "") -> Request:
    return Request(method, "sip:b@example.com", [("To", f"<sip:b@example.com>{tag}"), ("CSeq", f"1 {method}"), *fields])


def response(status: int, method: str, *fields: tuple[str, str]) -> Response:
    return Response(status, "", [("CSeq", f"1 {method}"), *fields])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.header}-{row.where}")
def test_every_row_has_a_cell_for_each_method(row):
    cells = row.cells.split()
    assert len(cells) == len(METHODS)
    assert set("".join(cells)) <= set("mMoOcC*-")
    assert row.where in ("R", "N") or not any(cell.isupper() for cell in cells), "no response is refused for a field"


@pytest.mark.parametrize(
    ("header", "method", "status", "answer"),
    [
        ("contact", "INVITE", 0, True), ("contact", "BYE", 0, False), ("contact", "CANCEL", 0, False),
        ("contact", "INVITE", 180, True), ("contact", "INVITE", 200, True), ("contact", "INVITE", 302, True),
        ("contact", "INVITE", 485, True), ("contact", "INVITE", 486, False), ("contact", "INFO", 200, False),
        ("contact", "BYE", 302, True), ("record-route", "INVITE", 183, True), ("record-route", "INVITE", 100, False),
        ("record-route", "INVITE", 404, False), ("record-route", "REGISTER", 0, False), ("replaces", "INVITE", 0, True),
        ("min-se", "INVITE", 422, True), ("min-se", "INVITE", 423, False), ("contact", "BANANA", 0, False),
        ("x-unknown", "INVITE", 0, False),
    ],
)  # fmt: skip
def test_applies(header: str, method: str, status: int, answer: bool):
    assert applies(header, method, status) is answer


def test_record_route_counts_where_a_dialog_begins():
    assert "record-route" in needed("INVITE", outside=True).headers
    assert "record-route" not in needed("INVITE", outside=False).headers
    assert needed("BANANA", outside=True).headers == {"max-forwards"}


@pytest.mark.parametrize("value", ["", "<sip:a@>", "<sip:a@b;x=1;x=2>", ",<sip:a@b>", '"a <sip:a@b>'])
def test_a_malformed_contact_is_none_where_nobody_needs_it(value: str):
    fields = [("Contact", value), ("Contact", "<sip:good@example.com>")]
    for message in (
        request("BYE", *fields), request("CANCEL", *fields), request("ACK", *fields), response(486, "INVITE", *fields),
        response(180, "INVITE", *fields), response(200, "INVITE", *fields), response(200, "INFO", *fields),
    ):  # fmt: skip
        assert message.contact is None
        assert message.contact_uri is None
    for needs in (request("INVITE", *fields), request("UPDATE", *fields, tag=";tag=1")):
        with pytest.raises(MessageError):
            _ = needs.contact


def test_a_field_that_does_not_apply_is_ignored_however_well_it_reads():
    fields = [("Contact", "<sip:a@example.com>"), ("Record-Route", "<sip:p@example.com>")]
    assert request("BYE", *fields).contact is None
    assert response(486, "INVITE", *fields).contacts == response(486, "INVITE", *fields).record_routes == []
    assert request("REGISTER", *fields).record_routes == []


def test_of_several_contacts_those_that_can_be_read_remain_but_a_route_set_is_whole_or_nothing():
    message: Message = response(302, "INVITE", ("Contact", "<sip:a@>, <sip:b@example.com>;q=0.5"), ("m", "*"))
    assert message.contacts == ["<sip:b@example.com>;q=0.5"]
    routes = response(200, "INVITE", ("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"), ("Record-Route", "<sip:p3;lr>"))
    assert routes.record_routes == ["<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>"]
    for broken in ("", "*", "<sip:>", "<sip:p1;lr>,,<sip:p2;lr>"):
        assert response(200, "INVITE", ("Record-Route", broken)).record_routes == []


def test_max_forwards_that_cannot_be_read_counts_as_absent_in_what_ends_a_call():
    assert request("BYE", ("Max-Forwards", "300")).max_forwards is None
    with pytest.raises(MessageError):
        _ = request("INVITE", ("Max-Forwards", "300")).max_forwards
