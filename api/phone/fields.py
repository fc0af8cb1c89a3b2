"""Header fields and bodies that a program adds to a call's messages, checked before anything is sent.

A program may send the other end any header field, except those that identify a dialog, a transaction or a hop: the stack sets these. A value
with a line break in it would start another header field (RFC 3261 §7.3.1). Both raise ValueError where they are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from calltable.adapters.sip.message import canonical_names

if TYPE_CHECKING:
    from collections.abc import Iterator

Headers: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"
"""Header fields: a mapping, or pairs where a name comes more than once."""

WRITTEN_BY_THE_STACK: Final = frozenset({
    "via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "record-route", "content-length", "content-type",
    "allow", "supported", "user-agent",
})  # fmt: skip
"""Header fields that a program cannot give: they identify dialogs and hops, or describe the phone."""
_NAME: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def header_fields(given: Headers) -> Iterator[tuple[str, str]]:
    """The pairs of ``given``. Raises ValueError for a name or value that is not allowed in a message."""
    pairs: Iterable[tuple[str, str]] = given.items() if isinstance(given, Mapping) else given
    for name, value in pairs:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"invalid header field name {name!r}")
        if canonical_names[name] in WRITTEN_BY_THE_STACK:
            raise ValueError(f"header field {name} is set by the stack and cannot be given")
        if _VALUE.fullmatch(value) is None:
            raise ValueError(f"header field {name}: the value contains a line break or another control character")
        yield name, value


def description(sdp: bytes | str) -> bytes:
    """A session description as bytes. Raises ValueError where it does not begin as one (RFC 8866 §5.1)."""
    body = sdp.encode() if isinstance(sdp, str) else sdp
    if body and not body.startswith(b"v=0"):
        raise ValueError("a session description begins with v=0 (RFC 8866 §5.1)")
    return body
