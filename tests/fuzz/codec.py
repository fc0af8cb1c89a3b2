"""What must hold for the codec, whatever the bytes: it raises MessageError only, loses nothing, and a stream reads the same however it is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.message.build import build_response, note_source
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.parse import AnswerableError, parse
from calltable.adapters.sip.message.validate import check
from calltable.adapters.sip.transport.framing import Framer, FramingError

if TYPE_CHECKING:
    from random import Random

    from calltable.adapters.sip.message.message import Response
    from calltable.adapters.sip.transport.framing import Keepalive


def codec(data: bytes) -> Request | Response | None:
    """Read, check, answer and write one message; the message where it passes the check. Raises whatever is a fault."""
    for stream in (True, False):
        try:
            message = parse(data, stream=stream)
        except MessageError as error:
            if "\n" in error.reason:
                raise AssertionError(f"a line end in a reason phrase: {error.reason!r}") from error
            if isinstance(error, AnswerableError):
                bytes(build_response(error.request, error.status or 400, error.reason, to_tag="t"))
            message = None
    if message is None:
        return None
    stripped = data.lstrip(b"\r\n")
    assert bytes(message) == stripped[: len(stripped) - message.surplus], "a message comes out as it came in"
    rejection = check(message)
    if isinstance(message, Request):
        code, reason = (rejection.status or 400, rejection.reason) if rejection else (200, "OK")
        parse(bytes(build_response(message, code, reason, to_tag="t")))
    if rejection is not None:
        return None
    # After the check, every view can be read.
    _ = message.vias, message.cseq, message.call_id, message.from_tag, message.to_tag, message.contact_uri, message.contacts
    _ = message.record_routes, message.max_forwards, message.option_tags("require"), message.option_tags("supported")
    again = parse(bytes(message))
    if isinstance(again, Request):
        note_source(again, "10.0.0.9", 5060)
    again.set("subject", "x")
    assert parse(bytes(again)).get("subject") == "x"
    assert check(parse(bytes(again))) is None, "what was right stays right when it is written anew"
    return message


def stream(rng: Random, data: bytes) -> list[bytes]:
    """The messages of a stream, read at once and in random pieces; raises where that makes a difference."""
    whole, pieces = Framer(), Framer()
    expected, fault = _feed(whole, [data])
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(8)))
    parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    found, other = _feed(pieces, parts)
    assert (found, other) == (expected, fault), f"cut at {cuts} the stream reads differently"
    if fault is None:
        assert whole.pending == pieces.pending
    return [frame for frame in found if isinstance(frame, bytes)]


def _feed(framer: Framer, parts: list[bytes]) -> tuple[list[bytes | Keepalive], str | None]:
    frames: list[bytes | Keepalive] = []
    for part in parts:
        try:
            frames += framer.feed(part)
        except FramingError as error:
            return [*frames, *error.frames], error.reason
    return frames, None
