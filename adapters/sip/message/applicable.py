"""Which header field means something in which message: RFC 3261 §20, tables 2 and 3, and the RFCs that add columns.

A field that does not apply to a message must be ignored there, however it reads (RFC 3261 §20). A field that applies but
that this element does not need to process the request should be ignored when it is malformed (§8.2.2). So each cell
of the table answers two questions: does the field apply, and is a fault in it a reason to refuse the request?

The cells are the RFCs' own letters: ``m`` mandatory, ``o`` optional, ``c`` conditional, ``*`` with a body, ``-`` not
applicable. A **capital** letter marks a field the request cannot be processed without reading: a fault in it gets
400. Only the fields that code here reads, or that may stand only once, have rows. What every message is matched and
routed by (Via, From, To, Call-ID, CSeq, Content-Length) applies everywhere and is not in the table.

Only requests have capital letters. A response is never refused for a field: that would cost the call, where ignoring the
field costs at most a stale target.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from calltable.adapters.sip.message.methods import METHODS


class Row(NamedTuple):
    """One line of the table.

    ``where`` is ``R`` (requests), ``N`` (requests outside a dialog: not in the RFCs' tables, which leave it to the text),
    a class of responses (``1xx`` … ``6xx``, ``18x``) or single statuses with commas between.
    """

    header: str
    where: str
    cells: str
    source: str


TABLE: Final = (
    #                            ACK BYE CAN INV OPT REG PRA UPD SUB NOT REF INF MES PUB
    Row("max-forwards",  "R",   "m   m   m   M   M   M   M   M   M   M   M   M   M   M", "RFC 3261 §20.22; an ACK, BYE or CANCEL is worth more than its hop count"),
    Row("contact",       "R",   "o   -   -   M   o   O   -   M   M   M   M   -   -   -", "RFC 3261 §20.10, RFC 3262, RFC 3311 §7.2, RFC 6665 §4.1, RFC 3515 §2.2, RFC 6086 §7, RFC 3428 §9, RFC 3903 §11"),
    Row("contact",       "1xx", "-   -   -   o   -   -   -   o   o   o   -   -   -   -", "as above"),
    Row("contact",       "2xx", "-   -   -   m   o   o   -   m   m   o   m   -   -   -", "as above"),
    Row("contact",       "3xx", "-   o   -   o   o   o   o   o   o   o   o   -   o   o", "as above"),
    Row("contact",       "485", "-   o   -   o   o   o   o   o   o   o   o   -   o   o", "as above"),
    Row("record-route",  "R",   "o   o   o   o   o   -   o   o   o   o   o   o   -   -", "RFC 3261 §20.30; in a dialog the route set stays as it is (§12.2)"),
    Row("record-route",  "N",   "-   -   -   O   o   -   -   -   O   O   O   -   -   -", "RFC 3261 §12.1.1: it makes the route set"),
    Row("record-route",  "18x", "-   o   o   o   o   -   o   o   o   o   o   o   -   -", "RFC 3261 §20.30"),
    Row("record-route",  "2xx", "-   o   o   o   o   -   o   o   o   o   o   o   -   -", "RFC 3261 §20.30"),
    Row("route",         "R",   "c   c   c   c   c   c   c   c   c   c   c   c   c   c", "RFC 3261 §20.34; read by proxies, and there is none here"),
    Row("date",          "R",   "o   o   o   o   o   o   o   o   o   o   o   o   o   o", "RFC 3261 §20.17, RFC 4475 §3.1.2.12"),
    Row("content-type",  "R",   "*   *   -   C   C   C   C   C   C   C   C   C   C   C", "RFC 3261 §20.15"),
    Row("expires",       "R",   "-   -   -   o   -   O   -   -   O   -   o   -   o   O", "RFC 3261 §20.19, RFC 6665 §4.1.2.1, RFC 3903 §4.1"),
    Row("event",         "R",   "-   -   -   -   -   -   -   -   M   M   -   -   -   M", "RFC 6665 §8.2.1, RFC 3903 §11"),
    Row("subscription-state", "R", "- - - - - - - - - M - - - -", "RFC 6665 §8.2.3"),
    Row("refer-to",      "R",   "-   -   -   -   -   -   -   -   -   -   M   -   -   -", "RFC 3515 §2.1"),
    Row("referred-by",   "R",   "-   o   -   o   o   o   -   -   o   o   O   o   o   -", "RFC 3892 §3"),
    Row("replaces",      "N",   "-   -   -   O   -   -   -   -   -   -   -   -   -   -", "RFC 3891 §3, §6.1"),
    Row("session-expires", "R", "-   -   -   o   -   -   -   o   -   -   -   -   -   -", "RFC 4028 §7.1"),
    Row("session-expires", "N", "-   -   -   O   -   -   -   -   -   -   -   -   -   -", "RFC 4028 §7.1"),
    Row("session-expires", "2xx", "- -   -   o   -   -   -   o   -   -   -   -   -   -", "RFC 4028 §7.2"),
    Row("min-se",        "R",   "-   -   -   o   -   -   -   o   -   -   -   -   -   -", "RFC 4028 §7.1"),
    Row("min-se",        "N",   "-   -   -   O   -   -   -   -   -   -   -   -   -   -", "RFC 4028 §7.1"),
    Row("min-se",        "422", "-   -   -   m   -   -   -   m   -   -   -   -   -   -", "RFC 4028 §7.3"),
    Row("min-expires",   "423", "-   -   -   -   -   m   -   -   m   -   -   -   -   m", "RFC 3261 §20.23, RFC 6665 §4.2.1.1, RFC 3903 §11"),
    Row("rack",          "R",   "-   -   -   -   -   -   M   -   -   -   -   -   -   -", "RFC 3262 §7"),
    Row("rseq",          "1xx", "-   -   -   o   -   -   -   -   -   -   -   -   -   -", "RFC 3262 §7"),
    Row("sip-if-match",  "R",   "-   -   -   -   -   -   -   -   -   -   -   -   -   O", "RFC 3903 §11.3.2"),
    Row("sip-etag",      "2xx", "-   -   -   -   -   -   -   -   -   -   -   -   -   m", "RFC 3903 §11.3.1"),
)  # fmt: skip
"""The table itself."""


class Needs(NamedTuple):
    """What a kind of request cannot be processed without: ``headers``, and of those the ``addresses`` (name-addr lists)."""

    headers: frozenset[str]
    addresses: tuple[str, ...]


@lru_cache(maxsize=1024)
def _fits(where: str, status: int) -> bool:
    """Whether a row's place means a response with this status."""
    text = str(status)
    return any(
        len(one) == 3 and all(sign in ("x", digit) for sign, digit in zip(one, text, strict=True))
        for one in where.split(",")
    )


_NAME_ADDRS: Final = ("contact", "record-route")
_places: Final[dict[tuple[str, str], tuple[str, ...]]] = {}
"""(header, method) to the places where it applies."""
for _row in TABLE:
    for _method, _cell in zip(METHODS, _row.cells.split(), strict=True):
        if _cell != "-":
            _places[_row.header, _method] = (*_places.get((_row.header, _method), ()), _row.where)


def _needed(method: str, *, outside: bool) -> Needs:
    at = METHODS.index(method)
    names = frozenset(
        row.header
        for row in TABLE
        if row.cells.split()[at].isupper() and (row.where == "R" or (row.where == "N" and outside))
    )
    return Needs(names, tuple(name for name in _NAME_ADDRS if name in names))


_needs: Final = {(method, outside): _needed(method, outside=outside) for method in METHODS for outside in (False, True)}
_OTHER: Final = Needs(frozenset({"max-forwards"}), ())


def needed(method: str, *, outside: bool) -> Needs:
    """The fields that a request cannot be processed without; ``outside`` says that it stands outside any dialog."""
    return _needs.get((method, outside), _OTHER)


def applies(header: str, method: str, status: int = 0) -> bool:
    """Whether a field means something in a request (``status`` 0), or in a response to one, of this method.

    False for a field without rows and for a method that no RFC defines.
    """
    places = _places.get((header, method))
    if places is None:
        return False
    if not status:
        return "R" in places or "N" in places
    for place in places:  # noqa: SIM110 - asked several times for each message; a generator costs more
        if place not in ("R", "N") and _fits(place, status):
            return True
    return False
