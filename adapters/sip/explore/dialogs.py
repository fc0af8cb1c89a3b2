"""One end of a dialog, in the abstract: who it belongs to, and the transactions open on it."""

from __future__ import annotations

from typing import Any

CALLING, WITHDRAWN, PROCEEDING, CANCELLING = "calling", "withdrawn", "proceeding", "cancelling"
"""The phases of an INVITE of ours until its final response."""

ASKED = "asked"
"""The phase of any other request of ours until its final response, with its purpose behind it."""

OPEN, HELD, LEFT, ACCEPTED = "open", "held", "left", "accepted"
"""The phases of a request of the peer: nobody has answered; the owner was asked; the leg that the owner gave it to has been
replaced, so that its sender has to wait in vain; a 2xx waits for its ACK."""


class DialogEnd:
    """One end of a dialog, and the transactions open on it."""

    __slots__ = (
        "abandoned", "clients", "closed", "confirmed", "doomed", "heard", "invite", "known", "learned", "leg", "sent", "servers",
        "unacknowledged",
    )  # fmt: skip

    def __init__(self, leg: str) -> None:
        self.leg = leg
        self.known = True
        """Requests of the peer find the leg."""
        self.learned = False
        """The peer's tag is known."""
        self.confirmed = False
        self.closed = False
        """A BYE was sent or taken."""
        self.doomed = False
        """Its owner has hung up, or was told that the call is over."""
        self.abandoned = False
        """It gave up an INVITE of its own: as good as a fault of the network."""
        self.sent = 0
        self.heard = 0
        self.invite = 0
        """The INVITE of the peer that the leg took last."""
        self.unacknowledged = 0
        self.clients: dict[tuple[int, str], tuple[str, Any]] = {}
        self.servers: dict[tuple[int, str], str] = {}

    def code(self) -> tuple[Any, ...]:
        """The line as a value; of one that is done with, only that it was."""
        if not self.known and not self.clients and not self.servers and not self.unacknowledged:
            return ("", self.doomed, self.abandoned)
        return (
            self.leg, self.known, self.learned, self.confirmed, self.closed, self.doomed, self.abandoned, self.sent, self.heard,
            self.invite, self.unacknowledged, tuple(sorted(self.clients.items())), tuple(sorted(self.servers.items())),
        )  # fmt: skip

    @classmethod
    def of(cls, code: tuple[Any, ...]) -> DialogEnd:
        """The line that ``code`` came from."""
        line = cls(code[0])
        if not code[0]:
            line.known, line.doomed, line.abandoned = False, code[1], code[2]
            line.confirmed = line.closed = True
            return line
        (_, line.known, line.learned, line.confirmed, line.closed, line.doomed, line.abandoned, line.sent, line.heard,
         line.invite, line.unacknowledged, clients, servers) = code  # fmt: skip
        line.clients = dict(clients)
        line.servers = dict(servers)
        return line
