"""A server transaction as its user sees it: the owner of a session of ``transaction/server`` or ``invite_server``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from calltable.adapters.sip.transaction.keys import names

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from calltable.adapters.sip.message import Request
    from calltable.adapters.sip.transaction.account import Account
    from calltable.adapters.sip.transaction.keys import Names
    from calltable.adapters.sip.transaction.outgoing import Outgoing
    from calltable.adapters.sip.transport import Address, Flow
    from calltable.engine.run import Queue, Session


class ServerUser(Protocol):
    """Who answers an INVITE: told about the ACK to its 2xx."""

    def acknowledged(self, transaction: ServerTransaction, message: Request | None) -> None:
        """The ACK came; None where it did not within 64*T1."""

    def unreachable(self, transaction: ServerTransaction, reason: str) -> None:
        """A response could not be delivered, and no final one will be (§17.2.4)."""


class ServerKeeper(Protocol):
    """Who finds server transactions by their keys."""

    counters: Counter[str]

    def forget(self, transaction: ServerTransaction) -> None:
        """The transaction is over: no message belongs to it any more."""


class ServerTransaction:
    """A request we received; the owner of its session and the handle that tables pass around."""

    __slots__ = (
        "account", "ack_key", "early", "flow", "keeper", "key", "last", "local", "merged", "method", "names", "request", "session", "source", "tag", "to", "user",
    )  # fmt: skip

    def __init__(self, keeper: ServerKeeper, request: Request, key: str, to: Address, local: Address, flow: Flow,
                 source: Address | None = None) -> None:
        self.keeper = keeper
        self.request: Request | None = request
        self.method = request.method
        self.names: Names | None = names(request) if request.method == "INVITE" else None
        """What a CANCEL must have in common with it (RFC 3261 §9.1)."""
        self.key = key
        self.merged = ""
        self.ack_key = ""
        self.tag = ""
        """Ours in To, once a response carries it."""
        self.account: Account | None = None
        """Whom it counts for, where sources are counted."""
        self.early = False
        """It counts as an unanswered call."""
        self.to = to
        """Where responses go when the flow is gone."""
        self.source = source or to
        """Where the request came from, exactly: what is routed by and logged."""
        self.local = local
        self.flow: Flow | None = flow
        self.last: Outgoing | None = None
        self.user: ServerUser | None = None
        self.session: Session | None = None

    @property
    def open(self) -> bool:
        """Whether a final response is still owed."""
        return self.request is not None

    def charge(self, account: Account) -> None:
        """Count for a source from now on, until the transaction is over."""
        self.account = account
        self.early = self.method == "INVITE" and self.request is not None and self.request.to_tag is None
        account.begun(call=self.early)

    def settle(self) -> None:
        """The request has had its final response, or will get none."""
        if self.early and self.account is not None:
            self.early = False
            self.account.answered()

    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Pass on to whoever answers the request what its transaction says."""
        if name == "acknowledged":
            self.last = None  # the 2xx is never sent again
            if self.user is not None:
                self.user.acknowledged(self, fields["message"])
        elif name == "unacknowledged" and self.user is not None:
            self.user.acknowledged(self, None)
        elif name == "transport_error":
            self.keeper.counters["responses undeliverable"] += 1
            if self.user is not None and self.open:
                self.user.unreachable(self, fields["reason"])

    def child_ended(self, executor: Queue[Session], child: Session) -> None:  # noqa: ARG002
        """Forget the transaction."""
        self.keeper.forget(self)
        self.settle()
        if self.account is not None:
            self.account.over()
        self.request = self.last = self.user = self.session = None
