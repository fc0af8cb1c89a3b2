"""Building messages: requests, responses, and the two requests that are made out of another (ACK, CANCEL).

What the RFC says about which headers are copied from where lives here; which response to send when does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message.headers import Via, format_params, printable, quote_string, split_list
from calltable.adapters.sip.message.message import Request, Response
from calltable.adapters.sip.message.names import canonical_names
from calltable.adapters.sip.message.status import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calltable.adapters.sip.message.body import Content
    from calltable.adapters.sip.message.message import Message


_TRYING: Final = 100


def build_request(method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> Request:
    """Make a request of exactly these headers, plus Content-Length. The caller brings all six of RFC 3261 §8.1.1."""
    lines = [*headers, ("Content-Length", str(len(body)))]
    return Request(method, uri, lines, body)


def build_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """Make a response (RFC 3261 §8.2.6.2): all Via, From, To, Call-ID and CSeq as the request wrote them.

    ``to_tag`` is added where To has none, except in a 100, which gets the Timestamp instead (§8.2.6.1). A header that
    a broken request lacks is left out, so a 400 can always be made. ``reason`` defaults to the usual phrase.
    """
    get = request.first.get
    if "via" in request.repeated:
        lines = [("Via", value) for value in request.all("via") if value]  # an empty line holds no value to copy
    else:
        lines = [("Via", value)] if (value := get("via")) is not None else []
    if (value := get("from")) is not None:
        lines.append(("From", value))
    if (value := get("to")) is not None:
        if to_tag is not None and status != _TRYING and not _has_tag(request):
            value = f"{value};tag={to_tag}"
        lines.append(("To", value))
    if (value := get("call-id")) is not None:
        lines.append(("Call-ID", value))
    if (value := get("cseq")) is not None:
        lines.append(("CSeq", value))
    if status == _TRYING and (value := get("timestamp")) is not None:
        lines.append(("Timestamp", value))
    lines += headers
    lines.append(("Content-Length", str(len(body))))
    return Response(status, REASONS.get(status, "Unknown") if reason is None else reason, lines, body)


def build_ack(invite: Request, response: Message) -> Request:
    """Make the ACK to a non-2xx final response, which belongs to the INVITE's transaction (RFC 3261 §17.1.1.3)."""
    return _derive(invite, "ACK", response.get("to") or invite.get("to") or "")


def build_cancel(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """Make the CANCEL of a request (RFC 3261 §9.1); ``headers`` may add a Reason (RFC 3326)."""
    return _derive(invite, "CANCEL", invite.get("to") or "", headers)


def _derive(request: Request, method: str, to: str, headers: Iterable[tuple[str, str]] = ()) -> Request:
    lines = [("Via", split_list(request.get("via") or "")[0]), ("Max-Forwards", "70")]
    lines += [("Route", value) for value in request.all("route")]
    lines += [("From", request.get("from") or ""), ("To", to), ("Call-ID", request.call_id)]
    lines += [("CSeq", f"{request.cseq.number} {method}"), *headers, ("Content-Length", "0")]
    return Request(method, request.uri, lines)


def note_source(request: Request, host: str, port: int) -> None:
    """Write into the top Via where the request came from (RFC 3261 §18.2.1, RFC 3581 §4).

    ``received`` is added if the sender asked for rport or wrote another host (IPv6 compared as text without brackets);
    ``rport`` gets its value if the sender asked. A Via that is right already leaves the message untouched.
    Raises MessageError if the top Via cannot be read.
    """
    via = request.via
    if not via.wants_rport and (via.host == host or via.host.strip("[]").lower() == host.lower()):
        return
    params = {**via.params, "received": host}
    if via.wants_rport:
        params["rport"] = str(port)
    top = Via(via.transport, via.host, via.port, params)
    lines = request.all("via")
    values = split_list(lines[0])
    sent_by = via.host if via.port is None else f"{via.host}:{via.port}"
    values[0] = f"SIP/2.0/{via.transport} {sent_by}{format_params(top.params)}"
    request.replace_first("via", ", ".join(values))


def _has_tag(request: Request) -> bool:
    """Whether To has a tag already; a To too broken to read gets none added either."""
    try:
        return request.to_tag is not None
    except ValueError:
        return True


def reasons(source: Message | Content | None) -> list[tuple[str, str]]:
    """The Reason header fields that ``source`` lends to a BYE or CANCEL (RFC 3326); those of a response name its code."""
    if source is None:
        return []
    if isinstance(source, Response):
        text = quote_string(printable(source.reason))
        return [("Reason", f"SIP;cause={source.status};text={text}" if source.reason else f"SIP;cause={source.status}")]
    return [(name, printable(value)) for name, value in source.headers if canonical_names[name] == "reason"]
