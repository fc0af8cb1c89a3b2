"""What must be right in any message before anyone acts on it (RFC 3261 §8.1.1, §8.2, §16.3, §18.3; RFC 4475).

:func:`check` looks at a parsed message and gives None or a :class:`Rejection`. It asks for what every element needs:
the mandatory headers, once each and well-formed; a readable Request-URI; a version spoken here. What depends on who one
is (unknown method, scheme, extension, body type, Max-Forwards 0) is for the UAS core.

It is cheap because it looks through the typed views of the message, which keep what they read: the caller will ask for
the same values next.

Lenient on purpose: a missing From tag, branch, or Max-Forwards (RFC 2543 elements, RFC 4475 §3.4.1), and overlarge
Expires values, which count as the default (RFC 4475 §3.1.2.4).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from calltable.adapters.sip.message.errors import HeaderError, MessageError, UriError, excerpt
from calltable.adapters.sip.message.headers import BRANCH_COOKIE, is_token, number, parse_name_addr
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.names import display_name
from calltable.adapters.sip.message.uri import parse_uri

if TYPE_CHECKING:
    from calltable.adapters.sip.message.message import Response

METHODS: Final = frozenset({
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "MESSAGE", "NOTIFY", "PRACK", "PUBLISH", "REFER",
    "SUBSCRIBE", "UPDATE",
})  # fmt: skip
"""The methods that an RFC defines."""

SINGLE_HEADERS: Final = frozenset({
    "call-id", "content-disposition", "content-length", "content-type", "cseq", "date", "event", "expires", "from",
    "max-forwards", "mime-version", "min-expires", "min-se", "rack", "refer-to", "referred-by", "replaces",
    "retry-after", "rseq", "session-expires", "sip-etag", "sip-if-match", "subscription-state", "timestamp", "to",
})  # fmt: skip
"""Headers that may stand on one line only (RFC 3261 §7.3.1 and the RFCs that define them)."""

NEEDED: Final = frozenset({"call-id", "content-length", "cseq", "from", "max-forwards", "to"})
"""Those of them that a message inside a dialog cannot be understood without."""

_version = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_date = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT",
    re.IGNORECASE,
)


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
    if not isinstance(message, Request) or message.method == "ACK" or not message.get("via"):
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
    if request.method not in METHODS and not is_token(request.method):
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
    repeated = message.repeated
    if repeated:
        single = SINGLE_HEADERS if _begins(message) else NEEDED
        for name in repeated:
            if name in single:
                msg = f"{display_name(name)} stands more than once"
                raise HeaderError(msg)
    call_id = message.call_id
    if " " in call_id or "\t" in call_id:
        msg = f"Malformed Call-ID {excerpt(call_id)}"
        raise HeaderError(msg)
    if message.from_.params.get("tag") == "" or message.to.params.get("tag") == "":
        msg = "An empty tag"
        raise HeaderError(msg)
    message.via  # noqa: B018  raises if missing or malformed
    message.cseq  # noqa: B018
    length = get("content-length")
    if length is not None:
        size = len(message.body)
        if length != str(size) and number(length, size + message.surplus) is None:
            msg = (
                f"Content-Length {excerpt(length)} is above the {size} bytes of the body"
                if length.isdecimal()
                else f"Content-Length {excerpt(length)} is no number"
            )
            raise HeaderError(msg)
    if get("contact") is not None:
        _check_addresses(message, "contact")
    if get("record-route") is not None:
        _check_addresses(message, "record-route")
    date = get("date")
    if date is not None and _begins(message) and not _date.fullmatch(date):
        msg = f"Date {excerpt(date)} is not of the form 'Sat, 13 Nov 2010 23:29:00 GMT'"
        raise HeaderError(msg)


def _begins(message: Request | Response) -> bool:
    """Whether a refusal of the message costs nothing that is there already: a request outside any dialog.

    A response, an ACK or a BYE with a fault in a header that nobody needs is taken all the same (RFC 3261 §8.2.2).
    """
    return isinstance(message, Request) and message.method not in ("ACK", "CANCEL") and message.to.params.get("tag") is None


def _check_addresses(message: Request | Response, name: str) -> None:
    line = message.first.get(name)
    if line is not None and "," not in line and line != "*" and name not in message.repeated:
        values = [line]  # as nearly always
    else:
        values = message.values(name)
    for value in values:
        if value == "*" and name == "contact":
            if len(values) > 1:
                msg = "Contact '*' does not stand alone"
                raise HeaderError(msg)
            continue
        uri = parse_name_addr(value, name).uri
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
        raise MessageError(msg, 400 if request.method in METHODS else 501)
    branch = request.via.params.get("branch")
    if branch is not None and len(branch) <= len(BRANCH_COOKIE) and branch.lower() == BRANCH_COOKIE.lower():
        msg = "Via branch without a transaction identifier"
        raise HeaderError(msg)
    request.max_forwards  # noqa: B018  raises if malformed
    if "route" in request.first:
        _check_addresses(request, "route")


def _check_response(response: Response) -> None:
    if response.version.upper() != "SIP/2.0":
        msg = f"Version {excerpt(response.version)} in a response"
        raise MessageError(msg, None)
    if len(response.vias) > 1:
        # Nothing here is a proxy, so it cannot be meant for us (RFC 3261 §8.1.3.3).
        msg = "More than one Via in a response"
        raise MessageError(msg, None)
