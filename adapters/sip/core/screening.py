"""What is refused before any session exists: the order of checks of a UAS core, RFC 3261 §8.2.

Pure functions of one request and of what this element supports. They know no call and no state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.core.capabilities import Capabilities
from calltable.adapters.sip.core.passing import BETWEEN_ENDS
from calltable.adapters.sip.message import KNOWN_METHODS, WITHIN, Rejection, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calltable.adapters.sip.message import Request

ACCEPTED: Final = "application/sdp"


class Screening:
    """What this element supports.

    ``extensions`` are the option tags it supports: unless said otherwise, those that a B2BUA can pass on; ``any_content`` says that bodies only pass through, so that
    every Content-Type is welcome (a B2BUA); else only SDP is (a UA).
    """

    def __init__(self, extensions: Iterable[str] = BETWEEN_ENDS, *, any_content: bool = True) -> None:
        self.extensions = frozenset(extensions)
        self.any_content = any_content
        self.capabilities = Capabilities({}, {})
        """What the tables take; the stack that it screens for says so."""

    def outside(self, request: Request) -> Rejection | None:
        """Why a request outside a dialog is refused; None for an INVITE to take, or an OPTIONS to answer as one (§11.2)."""
        method = request.method
        allow = self.capabilities.allow
        taken = method in self.capabilities.accepts
        if method not in ("INVITE", "OPTIONS") and not taken:
            if method not in KNOWN_METHODS:
                return Rejection(501, "Not Implemented", (("Allow", ", ".join(allow)),))
            if method in WITHIN:
                return Rejection(481, "Call/Transaction Does Not Exist")
            return Rejection(405, "Method Not Allowed", (("Allow", ", ".join(one for one in allow if one != method)),))
        scheme = parse_uri(request.uri).scheme
        if scheme not in ("sip", "tel"):
            # without TLS there is nothing that sips could mean (§26.2.2)
            return Rejection(416, "No TLS Here" if scheme == "sips" else "Unsupported URI Scheme")
        refusal = self.in_dialog(request)
        if refusal is not None:
            return refusal
        if method == "OPTIONS":
            return None  # also with Max-Forwards 0: it is answered here, and goes no further
        if taken:
            return None
        if request.max_forwards == 0:
            return Rejection(483, "Too Many Hops")
        contact = request.contact_uri
        if contact is None:
            return Rejection(400, "Missing Contact") if request.from_tag is not None else None
        if contact[:4].lower() != "sip:" and contact[:5].lower() != "sips:":
            return Rejection(400, "Contact Is No SIP URI")  # §8.1.1.8: nothing could be sent to it
        if ("contact" in request.repeated or "," in request.first["contact"]) and len(request.values("contact")) > 1:
            return Rejection(400, "More Than One Contact")
        return None

    def in_dialog(self, request: Request) -> Rejection | None:
        """Why a request is refused whoever it is for: extensions and content (§8.2.2.3, §8.2.3)."""
        if request.method == "PRACK":
            return Rejection(481, "No Such Provisional Response")  # RFC 3262 §3: none is sent reliably
        wanted = [*request.option_tags("require"), *request.option_tags("proxy-require")]
        unknown = [tag for tag in wanted if tag not in self.extensions]
        if unknown:
            return Rejection(420, "Bad Extension", (("Unsupported", ", ".join(dict.fromkeys(unknown))),))
        if request.body and not self.any_content and request.method == "INVITE":
            kind = (request.get("content-type") or "").partition(";")[0].strip().lower()
            if kind != ACCEPTED and not kind.startswith("multipart/"):
                return Rejection(415, "Unsupported Media Type", (("Accept", ACCEPTED),))
        return None

    def described(self) -> tuple[tuple[str, str], ...]:
        """What the answer to an OPTIONS says this element can do (§11.2)."""
        headers = [("Allow", ", ".join(self.capabilities.allow)), ("Accept", ACCEPTED), ("Accept-Encoding", "identity"), ("Accept-Language", "en")]
        if self.extensions:
            headers.append(("Supported", ", ".join(sorted(self.extensions))))
        return tuple(headers)
