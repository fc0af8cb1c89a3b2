"""How much one call may make grow: what a peer chooses the number or size of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.adapters.sip.message import Request


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one call. What is above them costs the peer its message, never the call."""

    forks: int = 16
    """Dialogs that one INVITE of ours may make, by To tags of its answers (RFC 3261 §12.1.2). An 18x of a further fork is dropped; so is
    a further 2xx of another fork than the one that was taken."""
    open_requests: int = 32
    """Requests of the peer that wait for an answer in one leg; a further one gets 500 with Retry-After."""
    header_fields: int = 200
    """Header fields that a message lends to the other leg; a request with more gets 513, of a response the rest stays behind."""
    body: int = 65_536
    """Bytes of a body that a message lends to the other leg; a request with more gets 513, a response passes on without it."""
    referred: int = 16
    """REFERs of one dialog whose numbers are kept, so that ``Event: refer;id=`` can be translated (RFC 3515 §2.4.6)."""

    def exceeded(self, request: Request) -> bool:
        """Whether a request has more than may pass on to another leg (RFC 3261 §21.5.7)."""
        return len(request.headers) > self.header_fields or len(request.body) > self.body
