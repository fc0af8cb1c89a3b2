"""One dialog as a value (RFC 3261 §12): who the two ends are, where requests go, and which number comes next.

A dialog decides nothing and never changes: what a message moves (a target, a sequence number, a tag) makes another one, which
its leg takes over together with the row that the message leads to. It is made from an INVITE (as UAS) or for one (as UAC),
completed by the answers to that INVITE, and asked to write requests.

Only the answers to an INVITE make or confirm a dialog and fix its route set (§12.1.2, §13.2.2.4). A 2xx to any other request
that carries a Contact moves the remote target and nothing else (§12.2.1.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from calltable.adapters.sip.message import WITH_CONTACT, MessageError, NameAddr, Request, parse_name_addr, parse_uri

if TYPE_CHECKING:
    from calltable.adapters.sip.message import Message, Response
    from calltable.adapters.sip.transport import Address

MAX_FORWARDS: Final = 70


class Dialog(NamedTuple):
    """The state of one dialog at one end. ``local`` and ``remote`` are From/To values without their tags.

    What every call moves has a method that names its fields by position: ``_replace`` takes 1.6 times as long.
    """

    call_id: str
    local: str
    local_tag: str
    remote: str
    target: str
    remote_tag: str | None = None
    """None until an answer to our INVITE has brought one; empty where the peer has none (RFC 2543)."""
    route_set: tuple[str, ...] = ()
    local_cseq: int = 0
    remote_cseq: int | None = None
    confirmed: bool = False
    contact: str = ""
    source: Address | None = None
    """The listener this end speaks from."""

    @classmethod
    def of_request(cls, request: Request, local_tag: str, contact: str = "", source: Address | None = None) -> Dialog:
        """The dialog that ``request`` asks for, at the side that answers (§12.1.1). Raises MessageError."""
        return cls(
            request.call_id, _untagged(request.get("to") or ""), local_tag, _untagged(request.get("from") or ""),
            request_target(request.contact_uri or request.from_.uri), request.from_tag or "",
            tuple(request.record_routes), 0, request.cseq.number, False, contact, source,
        )  # fmt: skip

    def answered(self, response: Response) -> Dialog:
        """The dialog after a 1xx with a tag or a 2xx to our INVITE (§12.1.2, §13.2.2.4).

        Until it is confirmed, tag, route set and target come from the response; afterwards a 2xx to a re-INVITE moves the
        target alone (§12.2.1.2).
        """
        success = response.status >= 200
        if self.confirmed:
            return self.refreshed(response) if success else self
        contact = response.contact_uri
        return Dialog(
            self.call_id, self.local, self.local_tag, self.remote,
            request_target(contact) if contact and contact != "*" else self.target, response.to_tag or "",
            tuple(reversed(response.record_routes)), self.local_cseq, self.remote_cseq, success, self.contact, self.source,
        )  # fmt: skip

    def refreshed(self, message: Message) -> Dialog:
        """The dialog after a target refresh: a request of the peer, or the 2xx to one of ours (§12.2.1.2, §12.2.2)."""
        contact = message.contact_uri
        if not contact or contact == "*":
            return self
        target = request_target(contact)
        return self if target == self.target else self._replace(target=target)

    def numbered(self, number: int) -> Dialog:
        """The dialog after a request of ours with this CSeq number (§12.2.1.1)."""
        return Dialog(*self[:7], number, *self[8:])

    def counted(self, number: int) -> Dialog:
        """The dialog after a request of the peer with this CSeq number (§12.2.2)."""
        last = self.remote_cseq or 0
        return Dialog(*self[:8], max(number, last), *self[9:])

    def accepted(self) -> Dialog:
        """The dialog, confirmed (§12.1)."""
        return Dialog(*self[:9], True, *self[10:])

    def speaking(self, local: str, contact: str, source: Address) -> Dialog:
        """The dialog, once it is known who this end speaks as, and from which listener."""
        return Dialog(self.call_id, local, *self[2:10], contact, source)

    def next_hop(self) -> str:
        """The URI that the next request is sent to: the first route, else the target (§8.1.2). Raises MessageError."""
        return parse_name_addr(self.route_set[0], "Route").uri if self.route_set else self.target

    def request(self, method: str, headers: list[tuple[str, str]], body: bytes, number: int, *,
                max_forwards: int = MAX_FORWARDS) -> Request:
        """Write a request inside the dialog (§12.2.1.1), still without Via. ``number`` is its CSeq number."""
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
            ("CSeq", f"{number} {method}"),
        ]
        if method in WITH_CONTACT:
            lines.append(("Contact", self.contact))
        lines += headers
        lines.append(("Content-Length", str(len(body))))
        return Request(method, uri, lines, body)


def request_target(uri: str) -> str:
    """A URI that is called as it may stand in a Request-URI and in To: without headers and method (RFC 3261 §19.1.1, table 1)."""
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
