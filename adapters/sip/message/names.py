"""Header field names: one canonical form, compact forms, how to write them, which are lists.

The canonical form is the long name in lower case (``call-id``): that is what code asks for and what tables would say.
"""

from __future__ import annotations

from typing import Final

COMPACT: Final = {
    "a": "accept-contact",  # RFC 3841
    "b": "referred-by",  # RFC 3892
    "c": "content-type",
    "d": "request-disposition",  # RFC 3841
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",  # RFC 3841
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",  # RFC 4474
    "o": "event",  # RFC 6665
    "r": "refer-to",  # RFC 3515
    "s": "subject",
    "t": "to",
    "u": "allow-events",  # RFC 6665
    "v": "via",
    "x": "session-expires",  # RFC 4028
    "y": "identity",  # RFC 8224
}
"""Compact forms (RFC 3261 §7.3.3 where no other RFC is named)."""

LIST_HEADERS: Final = frozenset({
    "accept", "accept-contact", "accept-encoding", "accept-language", "alert-info", "allow", "allow-events",
    "call-info", "contact", "content-encoding", "content-language", "diversion", "error-info", "feature-caps",
    "geolocation", "history-info", "in-reply-to", "p-asserted-identity", "p-associated-uri", "p-preferred-identity",
    "path", "permission-missing", "privacy", "proxy-require", "reason", "record-route", "recv-info", "reject-contact",
    "request-disposition", "require", "resource-priority", "route", "security-client", "security-server",
    "security-verify", "service-route", "supported", "unsupported", "via", "warning",
})  # fmt: skip
"""Headers whose line may hold several values with commas between (RFC 3261 §7.3.1)."""

_ODD: Final = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "mime-version": "MIME-Version",
    "rack": "RAck",
    "rseq": "RSeq",
    "sip-etag": "SIP-ETag",
    "sip-if-match": "SIP-If-Match",
    "www-authenticate": "WWW-Authenticate",
}
_USUAL: Final = (
    "accept", "allow", "authorization", "contact", "content-disposition", "content-length", "content-type", "date",
    "event", "expires", "from", "max-forwards", "min-se", "p-asserted-identity", "privacy", "proxy-authenticate",
    "proxy-authorization", "reason", "record-route", "refer-to", "referred-by", "replaces", "require", "retry-after",
    "route", "server", "session-expires", "subject", "subscription-state", "supported", "timestamp", "to",
    "unsupported", "user-agent", "via", "warning", *_ODD,
)  # fmt: skip


def display_name(name: str) -> str:
    """Write a name as the RFCs do: ``call-id`` as ``Call-ID``; a name with capitals stays as it is."""
    if not name.islower():
        return name
    name = COMPACT.get(name, name)
    return _ODD.get(name) or "-".join(part.capitalize() for part in name.split("-"))


class _Names(dict[str, str]):
    """Spelling to canonical name. Usual spellings are found, others are worked out and not kept: peers choose them."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        return COMPACT.get(lower, lower)


canonical_names: Final = _Names(
    {name: name for name in _USUAL}
    | {display_name(name): name for name in _USUAL}
    | COMPACT
    | {short.upper(): long for short, long in COMPACT.items()}
)
"""A mapping from any spelling of a header name to its canonical name; never raises KeyError."""


def canonical(name: str) -> str:
    """Give the canonical name of a header, however it is spelled."""
    return canonical_names[name]
