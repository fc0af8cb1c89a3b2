"""A client transaction as its user sees it: the owner of a session of ``transaction/client`` or ``invite_client``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from calltable.adapters.sip.message import SUCCESS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from calltable.adapters.sip.message import Response
    from calltable.adapters.sip.transaction.outgoing import Outgoing
    from calltable.engine.run import Queue, Session


class ClientUser(Protocol):
    """Who sent a request: told what comes of it."""

    def responded(self, transaction: ClientTransaction, kind: str, code: int, message: Response | None) -> None:
        """``kind`` is provisional, success, failure, forked. Without a message: 408 timeout, 487, 503."""


class ClientKeeper(Protocol):
    """Who finds client transactions by their keys."""

    counters: Counter[str]
    clients: dict[str, ClientTransaction]


class ClientTransaction:
    """A request we sent; the owner of its session."""

    __slots__ = ("acks", "branch", "keeper", "key", "last", "outgoing", "session", "tags", "user")

    def __init__(self, keeper: ClientKeeper, user: ClientUser, outgoing: Outgoing, branch: str, method: str) -> None:
        self.keeper = keeper
        self.user = user
        self.outgoing: Outgoing | None = outgoing
        self.branch = branch
        self.key = f"{branch}|{method}"
        self.last: Outgoing | None = None
        self.tags: tuple[str, ...] = ()
        self.acks: dict[str, Outgoing] | None = None
        self.session: Session | None = None

    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Pass on to whoever sent the request what its transaction says."""
        user = self.user
        if name in ("provisional", "success", "failure", "forked"):
            message = fields["message"]
            user.responded(self, name, message.status, message)
        elif name == "final":
            message = fields["message"]
            user.responded(self, "success" if message.status < SUCCESS else "failure", message.status, message)
        elif name == "timeout":
            self.keeper.counters["client timeouts"] += 1
            user.responded(self, "failure", 408, None)
        elif name == "cancelled":
            user.responded(self, "failure", 487, None)
        else:
            user.responded(self, "failure", 503, None)
        if name in ("success", "failure", "final"):
            self.outgoing = None  # nothing is built from the request any more: a held call keeps no INVITE

    def child_ended(self, executor: Queue[Session], child: Session) -> None:  # noqa: ARG002
        """Forget the transaction."""
        self.keeper.clients.pop(self.key, None)
        self.user, self.session = NOBODY, None  # no circles: a call is freed when it ends, not when the collector runs


class Nobody:
    """The user of a CANCEL: its response changes nothing, the INVITE's does (§9.1)."""

    def responded(self, transaction: ClientTransaction, kind: str, code: int, message: Response | None) -> None:
        """Hear it, and do nothing."""


NOBODY = Nobody()
