"""What must be right in any message before anyone acts on it (RFC 3261 §8.1.1, §8.2, §16.3, §18.3; RFC 4475).

:func:`check` looks at a parsed message and gives None or a :class:`Rejection`. It asks for what every element needs:
the mandatory headers, once each and well-formed; a readable Request-URI; a version spoken here; and the fields without
which a request of this method cannot be processed, which ``applicable.py`` lists. Everything else is ignored when it is
malformed (§8.2.2). What depends on who one is (unknown method, scheme, extension, body type, Max-Forwards 0) is for the UAS core.

It is cheap because it looks through the typed views of the message, which keep what they read: the caller will ask for
the same values next.

Lenient on purpose: a missing From tag, branch, or Max-Forwards (RFC 2543 elements, RFC 4475 §3.4.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from calltable.adapters.sip.message.applicable import needed
from calltable.adapters.sip.message.errors import HeaderError, MessageError, UriError, excerpt
from calltable.adapters.sip.message.headers import BRANCH_COOKIE, is_token, number, parse_name_addr, printable
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.methods import KNOWN_METHODS
from calltable.adapters.sip.message.names import display_name
from calltable.adapters.sip.message.uri import parse_uri

if TYPE_CHECKING:
    from calltable.adapters.sip.message.message import Response

SINGLE_HEADERS: Final = frozenset({
    "call-id", "content-disposition", "content-length", "content-type", "cseq", "date", "event", "expires", "from",
    "max-forwards", "mime-version", "min-expires", "min-se", "rack", "refer-to", "referred-by", "replaces",
    "retry-after", "rseq", "session-expires", "sip-etag", "sip-if-match", "subscription-state", "timestamp", "to",
})  # fmt: skip
"""Headers that may stand on one line only (RFC 3261 §7.3.1 and the RFCs that define them)."""

_ALWAYS: Final = frozenset({"call-id", "content-length", "cseq", "from", "to"})
"""Those of them that no message can be understood without."""

_version = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)

class Rejection(NamedTuple):
    """Why a message goes no further.

    ``status`` is the response that is due, None when the message is to be dropped: a response, an ACK, a request
    without Via. ``reason`` fits as the reason phrase. ``headers`` go into the response.
    """

    status: int | None
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


def check(message: Request | Response) -> Rejection | None:
    """Give what is wrong with a parsed message, None if nothing. Takes time linear in its size; never raises."""
    try:
        if isinstance(message, Request):
            _check_request_line(message)
            _check_common(message)
            _check_request(message)
        else:
            _check_common(message)
            _check_response(message)
    except MessageError as error:
        return _rejection(message, error.status, error.reason)
    return None


def _rejection(message: Request | Response, status: int | None, reason: str) -> Rejection:
    if not isinstance(message, Request) or not message.answerable:
        return Rejection(None, reason)
    return Rejection(status, reason)


def _check_request_line(request: Request) -> None:
    version = request.version
    if version != "SIP/2.0" and version.upper() != "SIP/2.0":
        if _version.fullmatch(version):
            msg = f"Version Not Supported: {excerpt(version)}"
            raise MessageError(msg, 505)
        msg = "White space after the SIP version"
        raise MessageError(msg)
    if request.method not in KNOWN_METHODS and not is_token(request.method):
        msg = f"Malformed method {excerpt(request.method)}"
        raise MessageError(msg)
    try:
        uri = parse_uri(request.uri)
    except UriError as error:
        msg = f"{error.reason} (Request-URI)"
        raise UriError(msg) from None
    if uri.headers:
        msg = "Request-URI holds header fields"
        raise UriError(msg)


def _check_common(message: Request | Response) -> None:
    """Check what requests and responses share. The order decides which fault is named first."""
    get = message.first.get
    if message.repeated:
        _check_repeated(message)
    call_id = message.call_id
    # A dialog writes it again in requests of its own, and no control character may stand there (§25.1, callid).
    if " " in call_id or not (call_id.isprintable() or printable(call_id) == call_id) or "\t" in call_id:
        msg = f"Malformed Call-ID {excerpt(call_id)}"
        raise HeaderError(msg)
    message.interpret()
    if message.from_tag == "" or message.to_tag == "":
        msg = "An empty tag"
        raise HeaderError(msg)
    length = get("content-length")
    if length is not None:
        size = len(message.body)
        if length != str(size) and number(length, size + message.surplus) is None:
            msg = (
                f"Content-Length {excerpt(length)} is above the {size} bytes of the body"
                if length.isdecimal()
                else f"Content-Length {excerpt(length)} is not a number"
            )
            raise HeaderError(msg)


def _check_repeated(message: Request | Response) -> None:
    """Refuse a header that stands twice where it decides something; one that nobody needs is ignored (§8.2.2)."""
    matter = _ALWAYS
    if isinstance(message, Request):
        matter |= needed(message.method, outside=message.to_tag is None).headers & SINGLE_HEADERS
    for name in message.repeated:
        if name in matter:
            msg = f"{display_name(name)} appears more than once"
            raise HeaderError(msg)


def _check_addresses(request: Request, name: str) -> None:
    line = request.first.get(name)
    if line is None:
        return
    values = [line] if "," not in line and name not in request.repeated else request.values(name)
    for value in values:
        if value == "*":
            if name != "contact" or len(values) > 1:
                msg = f"{display_name(name)} '*' is not the only value"
                raise HeaderError(msg)
            continue
        uri = parse_name_addr(value, display_name(name)).uri
        if uri[:3].lower() == "sip":
            try:
                parse_uri(uri)
            except UriError as error:
                msg = f"{error.reason} ({display_name(name)})"
                raise UriError(msg) from None


def _check_request(request: Request) -> None:
    method = request.cseq.method
    if method != request.method:
        # RFC 4475 §3.1.2.18: for a method nobody knows 501 says more.
        msg = f"CSeq method {excerpt(method)} is not that of the request"
        raise MessageError(msg, 400 if request.method in KNOWN_METHODS else 501)
    branch = request.via.params.get("branch")
    if branch is not None and len(branch) <= len(BRANCH_COOKIE) and branch.lower() == BRANCH_COOKIE.lower():
        msg = "Via branch without a transaction identifier"
        raise HeaderError(msg)
    hops = request.first.get("max-forwards")
    if hops != "70" and hops is not None:
        request.max_forwards  # noqa: B018  raises if malformed
    for name in needed(request.method, outside=request.to_tag is None).addresses:
        _check_addresses(request, name)


def _check_response(response: Response) -> None:
    if response.version != "SIP/2.0" and response.version.upper() != "SIP/2.0":
        msg = f"Version {excerpt(response.version)} in a response"
        raise MessageError(msg, None)
    if len(response.vias) > 1:
        # Nothing here is a proxy, so it cannot be meant for us (RFC 3261 §8.1.3.3).
        msg = "More than one Via in a response"
        raise MessageError(msg, None)
