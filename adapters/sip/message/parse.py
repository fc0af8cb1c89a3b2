"""From bytes to a message: the start line and the boundaries of the header fields (RFC 3261 §7, §25.1).

No value is interpreted here. What has no structure raises MessageError, with as much of the message as could be read.
"""

from __future__ import annotations

import re

from calltable.adapters.sip.message.errors import MessageError, excerpt
from calltable.adapters.sip.message.headers import is_token, number
from calltable.adapters.sip.message.message import MAX_HEAD, MAX_HEADERS, Message, Request, Response

_field = re.compile(r"\r\n([A-Za-z0-9\-.!%*_+`'~]++)[ \t]*+:[ \t]*+([^\r]*+)")  # bare LF: see parse
_line_end = re.compile(rb"\r?\n\r?\n")
_version = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_status = re.compile(r"[1-6][0-9][0-9]")


class AnswerableError(MessageError):
    """A request that cannot be parsed whole, yet far enough to be answered (RFC 4475 §3.3.1)."""

    def __init__(self, reason: str, status: int | None, request: Request) -> None:
        """``request`` is as much of it as could be read."""
        super().__init__(reason, status)
        self.request = request


def parse(data: bytes, *, stream: bool = False) -> Request | Response:
    """Read one message: a datagram, or with ``stream`` what the framer cut out of a stream.

    Empty lines before the start line are skipped (RFC 3261 §7.5). The body is cut to Content-Length; without one a
    datagram's body is the rest, a stream's message is malformed. A Content-Length that is no number or larger than
    what is there leaves the body whole and is for ``check`` to refuse. Raises :class:`MessageError`.
    """
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")
    head_end = data.find(b"\r\n\r\n")
    body_start = head_end + 4
    fault: MessageError | None = None
    head = data[: head_end if head_end >= 0 else MAX_HEAD].decode("utf-8", "surrogateescape")
    line_end = head.find("\r\n")
    fields = _field.findall(head, line_end) if line_end >= 0 else []
    count = len(fields)
    if (
        head_end < 0
        or count == 0
        or head.count("\n") != count
        or head.count("\r") != count
        or count > MAX_HEADERS
        or head_end > MAX_HEAD
    ):
        start_line, fields, body_start, fault = _read_lines(data, head_end)
    else:
        start_line = head[:line_end]
        if " \r" in head or "\t" in head or head[-1] == " ":
            fields = [(name, value.rstrip(" \t")) for name, value in fields]

    message = _read_start_line(start_line, fields)
    first = message._index()  # noqa: SLF001
    body = data[body_start:]
    length = first.get("content-length")
    if length is not None:
        there = len(body)
        size = there if length == str(there) else number(length, there)
        if size is not None:
            message.surplus = there - size
            if message.surplus:
                body = body[:size]
                data = data[: body_start + size]
    elif stream and fault is None:
        fault = MessageError("Missing Content-Length")
    message._body = body  # noqa: SLF001
    message._raw = data  # noqa: SLF001
    if fault is not None:
        raise _blame(message, fault)
    return message


def _read_start_line(line: str, fields: list[tuple[str, str]]) -> Request | Response:
    parts = line.split(" ", 2)
    if len(parts) == 3 and parts[2] == "SIP/2.0":
        return Request(parts[0], parts[1], fields)
    if line[:4].upper() == "SIP/":
        if len(parts) < 2 or not _status.fullmatch(parts[1]):
            msg = f"Status line {excerpt(line)} has no status code in 100..699"
            raise MessageError(msg, None)
        return Response(int(parts[1]), parts[2] if len(parts) > 2 else "", fields, version=parts[0])
    # What stands between method and version is the URI, white space and all: the check refuses it with its name.
    method, space, rest = line.partition(" ")
    bare = rest.rstrip(" \t")
    uri, _, version = bare.rpartition(" ")
    if not (space and is_token(method)):
        msg = f"Not SIP: {excerpt(line)}"
        raise MessageError(msg, None)
    if not (uri and _version.fullmatch(version)):
        msg = "Request-Line without a SIP version"
        raise _blame(Request(method, rest, fields), MessageError(msg))
    return Request(method, uri, fields, version=version + rest[len(bare) :])


def _blame(message: Message, fault: MessageError) -> MessageError:
    """Say in the fault whether it can be answered: nothing answers a response, an ACK, or a request without Via."""
    if isinstance(message, Request) and message.answerable:
        return AnswerableError(fault.reason, fault.status, message)
    fault.status = None
    return fault


def _read_lines(data: bytes, head_end: int) -> tuple[str, list[tuple[str, str]], int, MessageError | None]:
    """Take the head line by line: bare line feeds, folded lines, garbage. Linear; the fault is the first one found.

    Gives start line, fields, where the body begins, and the fault, so that the caller can still build the request.
    """
    fault: MessageError | None = None
    end = _line_end.search(data)
    if end is not None:
        # An empty line made of bare line feeds ends the head like any other, so that nobody reads two heads here.
        head_end, body_start = end.start(), end.end()
    else:
        fault = MessageError("No empty line after the header fields")
        head_end = body_start = len(data)
    if head_end > MAX_HEAD:
        fault = MessageError(f"Header section above {MAX_HEAD} bytes", 513)
        head_end = MAX_HEAD
    lines = data[:head_end].decode("utf-8", "surrogateescape").split("\n")
    start_line = lines[0].removesuffix("\r")
    if not start_line or "\r" in start_line:
        msg = "A carriage return in the start line" if start_line else "Empty message"
        raise MessageError(msg, None)
    fields: list[tuple[str, list[str]]] = []
    for raw_line in lines[1:]:
        line = raw_line.removesuffix("\r")
        if "\r" in line:
            fault = fault or MessageError("A carriage return inside a header line")
            line = line.replace("\r", " ")
        if line[:1] in (" ", "\t"):
            if fields:
                fields[-1][1].append(line.strip(" \t"))
            else:
                fault = fault or MessageError("A folded line right after the start line")
        elif len(fields) == MAX_HEADERS:
            fault = MessageError(f"More than {MAX_HEADERS} header lines", 513)
            break
        elif line:
            name, colon, value = line.partition(":")
            name = name.rstrip(" \t")
            if colon and is_token(name):
                fields.append((name, [value.strip(" \t")]))
            else:
                fault = fault or MessageError(f"Malformed header line {excerpt(line)}")
    return start_line, [(name, " ".join(parts).strip(" ")) for name, parts in fields], body_start, fault
