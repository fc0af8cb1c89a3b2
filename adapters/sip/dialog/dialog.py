"""Dialogs as data (RFC 3261 §12): who the two ends are, where requests go, and which number comes next.

A dialog decides nothing. It is made from an INVITE (as UAS) or for one (as UAC), completed by responses, and
asked to write requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.headers import NameAddr, parse_name_addr
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.uri import parse_uri

if TYPE_CHECKING:
    from calltable.adapters.sip.message.message import Response
    from calltable.adapters.sip.transport.address import Address

MAX_FORWARDS: Final = 70
WITH_CONTACT: Final = frozenset({"INVITE", "ACK", "OPTIONS", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Requests that carry a Contact; MESSAGE must not (RFC 3428 §4), INFO and BYE have no use for one."""


class Dialog:
    """The state of one dialog at one end. ``local`` and ``remote`` are From/To values without their tags."""

    __slots__ = (
        "call_id", "confirmed", "contact", "local", "local_cseq", "local_tag", "remote", "remote_cseq", "remote_tag",
        "route_set", "secure", "source", "target",
    )  # fmt: skip

    def __init__(self, call_id: str, local: str, local_tag: str, remote: str, target: str) -> None:
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag: str | None = None
        self.target = target
        self.route_set: tuple[str, ...] = ()
        self.local_cseq = 0
        self.remote_cseq: int | None = None
        self.confirmed = False
        self.contact = ""
        self.source: Address | None = None
        """The listener this end speaks from."""

    @classmethod
    def of_request(cls, request: Request, local_tag: str) -> Dialog:
        """The dialog that ``request`` asks for, at the side that answers (§12.1.1)."""
        dialog = cls(
            request.call_id, _untagged(request.get("to") or ""), local_tag, _untagged(request.get("from") or ""),
            _target(request.contact_uri or request.from_.uri),
        )  # fmt: skip
        dialog.remote_tag = request.from_tag or ""
        dialog.remote_cseq = request.cseq.number
        dialog.route_set = tuple(request.record_routes)
        return dialog

    def learn(self, response: Response) -> None:
        """Take remote tag, route set and target from a 1xx with a tag or a 2xx (§12.1.2), until confirmed.

        A 2xx confirms; afterwards a 2xx to a re-INVITE only refreshes the target (§12.2.1.2).
        """
        success = 200 <= response.status < 300
        tag = response.to_tag
        if not self.confirmed and tag:
            if tag != self.remote_tag:
                self.remote_cseq = None  # another fork: a dialog of its own, which counts for itself (§12.1.2)
            self.remote_tag = tag
            self.route_set = tuple(reversed(response.record_routes))
            self.confirmed = success
        contact = response.contact_uri
        if contact and contact != "*":
            self.target = _target(contact)

    def refresh(self, request: Request) -> None:
        """Take the target from a re-INVITE or UPDATE of the peer (§12.2.2)."""
        contact = request.contact_uri
        if contact and contact != "*":
            self.target = _target(contact)

    def next_hop(self) -> str:
        """The URI that the next request is sent to: the first route, else the target (§8.1.2)."""
        return parse_name_addr(self.route_set[0], "Route").uri if self.route_set else self.target

    def request(self, method: str, headers: list[tuple[str, str]], body: bytes, *, cseq: int | None = None,
                max_forwards: int = MAX_FORWARDS) -> Request:
        """Write a request inside the dialog (§12.2.1.1), still without Via.

        ``cseq`` is the INVITE's number for an ACK; else the next one is taken.
        """
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri = self.target
        routes = self.route_set
        if routes:
            first = parse_name_addr(routes[0], "Route").uri
            if "lr" not in parse_uri(first).params:
                # a strict router (RFC 2543): it gets the Request-URI, the target travels as the last Route
                routes = (*routes[1:], f"<{uri}>")
                uri = first
        lines = [
            ("Max-Forwards", str(max_forwards)),
            *(("Route", route) for route in routes),
            ("From", f"{self.local};tag={self.local_tag}"),
            ("To", f"{self.remote};tag={self.remote_tag}" if self.remote_tag else self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if method in WITH_CONTACT:
            lines.append(("Contact", self.contact))
        lines += headers
        lines.append(("Content-Length", str(len(body))))
        return Request(method, uri, lines, body)


def _target(uri: str) -> str:
    """A Contact's URI as it may stand in a Request-URI: without headers and method (RFC 3261 §19.1.1, table 1)."""
    if "?" not in uri and ";method=" not in uri.lower():
        return uri
    try:
        parsed = parse_uri(uri)
    except MessageError:
        return uri
    kept = {name: value for name, value in parsed.params.items() if name.lower() != "method"}
    return str(parsed._replace(params=kept, headers=()))


def _untagged(value: str) -> str:
    """A From or To value as it was written, without its tag: RFC 2543 peers compare the rest as text."""
    parsed = parse_name_addr(value, "From")
    bare, found, tag = value.rpartition(">;tag=")
    if found and tag == parsed.tag and len(parsed.params) == 1:
        return f"{bare}>"
    if "tag" not in parsed.params:
        return value if "<" in value else f"<{parsed.uri}>"
    return str(NameAddr(parsed.display, parsed.uri, {k: v for k, v in parsed.params.items() if k != "tag"}))
