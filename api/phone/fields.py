"""Header fields and bodies that a program adds to a call's messages, looked at before anything is sent.

A program may say what it likes to the other end. What names a dialog, a transaction or a hop is written by the stack, and a value
that holds a line end would be another header field (RFC 3261 §7.3.1): both are refused with ValueError where they are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from calltable.adapters.sip.message.names import canonical_names

if TYPE_CHECKING:
    from collections.abc import Iterator

Headers: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"
"""Header fields: a mapping, or pairs where a name comes more than once."""

WRITTEN_BY_THE_STACK: Final = frozenset({
    "via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "record-route", "content-length", "content-type",
    "allow", "supported", "user-agent",
})  # fmt: skip
"""Header fields that a program cannot give: they name dialogs and hops, or say what the phone is."""
_NAME: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def header_fields(given: Headers) -> Iterator[tuple[str, str]]:
    """The pairs of ``given``. Raises ValueError for a name or value that must not stand in a message."""
    pairs: Iterable[tuple[str, str]] = given.items() if isinstance(given, Mapping) else given
    for name, value in pairs:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a header field")
        if canonical_names[name] in WRITTEN_BY_THE_STACK:
            raise ValueError(f"the header field {name} is written by the stack: it cannot be given")
        if _VALUE.fullmatch(value) is None:
            raise ValueError(f"the value of the header field {name} holds a line end or another control character")
        yield name, value


def description(sdp: bytes | str) -> bytes:
    """A session description as bytes. Raises ValueError where it does not begin as one (RFC 8866 §5.1)."""
    body = sdp.encode() if isinstance(sdp, str) else sdp
    if body and not body.startswith(b"v=0"):
        raise ValueError("a session description begins with v=0 (RFC 8866 §5.1)")
    return body
