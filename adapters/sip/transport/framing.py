"""Cutting a byte stream into SIP messages and keep-alives, without any I/O (RFC 3261 §18.3, RFC 5626 §4.4.1).

A message ends where its Content-Length says. When that cannot be known (none, several, not a number) every later byte
could be anything, so the stream cannot be continued: :class:`FramingError`, and the connection must be closed.

Line ends are taken strictly: a bare LF in a header section is an error too, because another element could see the
header section end elsewhere than we do, and a message could hide in the difference.

Linear whatever the pieces are: what was searched is not searched again, and a message that waits for its body is not
looked at until it is there.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from calltable.adapters.sip.message import MAX_HEAD, AnswerableError, MessageError, Request, number, parse

MAX_BODY: Final = 1 << 20
"""The largest body taken from a stream unless told otherwise, in bytes."""

_HEAD_END: Final = b"\r\n\r\n"
_length = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:(?:[ \t]|\r\n[ \t])*+([^\r\n]*+)(?!\r\n[ \t])", re.IGNORECASE)
_lengths = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:", re.IGNORECASE)
_MAX_DIGITS: Final = 20


class Keepalive(enum.Enum):
    """A keep-alive between messages."""

    PING = "ping"
    """Two CRLFs: the peer expects one back."""
    PONG = "pong"
    """One CRLF, the answer to our ping."""


class FramingError(MessageError):
    """The stream cannot be cut up any further; close the connection.

    ``frames`` are the messages that were complete before the fault. ``status`` and ``request`` say which
    response to send before closing, and to what, where one can be built.
    """

    def __init__(self, reason: str, status: int | None = None, request: Request | None = None) -> None:
        """Start with no frames; the framer adds them."""
        super().__init__(reason, status)
        self.request = request
        self.frames: list[bytes | Keepalive] = []


class Framer:
    """Takes the bytes of one connection as they come, gives whole messages."""

    __slots__ = ("_buffer", "_crlf", "_failed", "_max_body", "_pongs", "_searched", "_total")

    def __init__(self, *, max_body: int = MAX_BODY, pongs: bool = False) -> None:
        """Begin a connection. ``pongs`` is for the side that sends pings: single CRLFs then come as ``PONG``."""
        self._buffer = bytearray()
        self._max_body = max_body
        self._pongs = pongs
        self._crlf = False
        self._searched = 0
        self._total = 0
        self._failed = False

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished message are held."""
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> list[bytes | Keepalive]:
        """Take bytes; give what is complete, in order. Raises :class:`FramingError`, from then on every time."""
        if self._failed:
            msg = "The stream was given up earlier"
            raise FramingError(msg)
        buffer = self._buffer
        buffer += data
        frames: list[bytes | Keepalive] = []
        start = 0
        try:
            while (end := self._frame_end(start, frames)) > start:
                if self._total:
                    frames.append(bytes(buffer[start:end]))
                    self._total = 0
                start = end
                self._searched = start
        except FramingError as error:
            self._failed = True
            buffer.clear()
            error.frames = frames
            raise
        if start:
            del buffer[:start]
            self._searched = max(self._searched - start, 0)
        return frames

    def _frame_end(self, start: int, frames: list[bytes | Keepalive]) -> int:
        """Give where the frame at start ends, start if more bytes are needed. A CRLF between messages is a frame."""
        buffer = self._buffer
        if self._total == 0:
            if buffer[start : start + 1] == b"\r":
                return self._line_end(start, frames)
            self._crlf = self._crlf and len(buffer) == start
            head_end = buffer.find(_HEAD_END, max(start, self._searched - 3))
            self._searched = len(buffer)
            if (len(buffer) if head_end < 0 else head_end) - start > MAX_HEAD:
                msg = f"Header section above {MAX_HEAD} bytes"
                raise FramingError(msg)
            if head_end < 0:
                return start
            head = bytes(buffer[start : head_end + 4])
            self._total = len(head) + self._body_size(head)
        end = start + self._total
        return end if end <= len(buffer) else start

    def _line_end(self, start: int, frames: list[bytes | Keepalive]) -> int:
        line_end = self._buffer[start : start + 2]
        if len(line_end) == 1:
            return start
        if line_end != b"\r\n":
            msg = "A carriage return without line feed between messages"
            raise FramingError(msg)
        if self._crlf:
            frames.append(Keepalive.PING)
        elif self._pongs:
            frames.append(Keepalive.PONG)
        self._crlf = not self._crlf
        return start + 2

    def _body_size(self, head: bytes) -> int:
        lines = head.count(b"\r\n")
        found = _length.findall(head)
        size = number(found[0].decode("latin-1").strip(" \t"), 10**_MAX_DIGITS) if len(found) == 1 else None
        if head.count(b"\n") != lines or head.count(b"\r") != lines:
            reason = "A line end that is not CRLF in the header section"
        elif len(_lengths.findall(head)) > 1:
            reason = "Content-Length appears more than once"
        elif not found:
            reason = "Missing Content-Length"
        elif size is None:
            reason = "Content-Length is not a number"
        elif size > self._max_body:
            raise _fault(head, f"Body above {self._max_body} bytes", 513)
        else:
            return size
        raise _fault(head, reason, 400)


def _fault(head: bytes, reason: str, status: int) -> FramingError:
    """Name the fault, with the request that can be answered before the connection closes."""
    try:
        message = parse(head)
    except AnswerableError as error:
        return FramingError(reason, status, error.request)
    except MessageError:
        return FramingError(reason)
    if isinstance(message, Request) and message.answerable:
        return FramingError(reason, status, message)
    return FramingError(reason)
