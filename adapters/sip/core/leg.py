"""One leg: its dialog, the transactions it has open, and what comes of them as events of the leg's session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from calltable.adapters.sip.message.body import has_offer
from calltable.adapters.sip.transaction.failover import only_here
from calltable.engine.model.machine import FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.dialog.dialog import Dialog
    from calltable.adapters.sip.message.message import Request, Response
    from calltable.adapters.sip.transaction.client import ClientTransaction
    from calltable.adapters.sip.transaction.server import ServerTransaction
    from calltable.engine.run.session import Session


TARGET_REFRESH: Final = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Methods whose requests and 2xx responses carry a Contact and may move the remote target (RFC 3261 §12.2, RFC 6665)."""
_GLARE: Final = 491


class LegPort(Protocol):
    """What a leg needs of those who carry its actions out."""

    def post(self, session: Session, event: str, payload: Mapping[str, Any] = ...) -> None:
        """Give the leg's session an event."""

    def stray(self, leg: Leg, transaction: ClientTransaction, message: Response | None) -> None:
        """A 2xx came that the leg does not wait for."""


class Leg:
    """One side of a dialog and what is open in it."""

    __slots__ = ("adapter", "asking", "bye_server", "cancel_server", "dialog", "forks", "invite_client", "invite_server",
                 "open", "session", "unacknowledged")  # fmt: skip

    def __init__(self, adapter: LegPort, session: Session, dialog: Dialog) -> None:
        self.adapter = adapter
        self.session = session
        self.dialog = dialog
        self.invite_server: ServerTransaction | None = None
        self.bye_server: ServerTransaction | None = None
        self.cancel_server: ServerTransaction | None = None
        self.invite_client: ClientTransaction | None = None
        self.asking: object = None
        """Marks the INVITE whose way is being looked up; another mark, or none, and it is not sent any more."""
        self.unacknowledged: tuple[ClientTransaction, Response] | None = None
        """The 2xx to an INVITE of ours whose ACK has not been sent."""
        self.forks: dict[str, str] | None = None
        """Tags of the other side's early dialogs, and the tag by which the caller knows each of them."""
        self.open: list[ServerTransaction] | None = None
        """Requests of the peer that still wait for an answer."""

    # -- as the user of INVITE transactions
    def inviting(self, transaction: ClientTransaction) -> None:
        """Our INVITE is on its way."""
        self.invite_client = transaction

    def responded(self, transaction: ClientTransaction, kind: str, code: int, message: Response | None) -> None:
        """What came of our INVITE becomes an event of the leg."""
        post = self.adapter.post
        session = self.session
        if kind == "forked" or (kind == "success" and session.ended):
            self.adapter.stray(self, transaction, message)
        elif kind == "provisional":
            if message is not None and message.to_tag and not self.dialog.confirmed:
                self.dialog.learn(message)
            post(session, "sip.invite.provisional", {"code": code, "message": message})
        elif kind == "success" and message is not None:
            self.dialog.learn(message)
            self.unacknowledged = (transaction, message)
            post(session, "sip.invite.success", {"code": code, "message": message})
        else:
            self.invite_client = None
            event = "sip.invite.glare" if code == _GLARE else "sip.invite.failure"
            contact = message.contact_uri if message is not None and 300 <= code < 400 else None
            post(session, event, {"code": code, "message": message, "contact": contact})

    def acknowledged(self, transaction: ServerTransaction, message: Request | None) -> None:  # noqa: ARG002
        """The ACK to our 2xx, or that none came, becomes an event of the leg."""
        if message is None:
            self.adapter.post(self.session, "sip.unacknowledged")
        else:
            self.adapter.post(self.session, "sip.ack", {"message": message})

    def unreachable(self, transaction: ServerTransaction, reason: str) -> None:
        """The caller is gone: nobody is left to answer."""
        if transaction is self.invite_server:
            self.adapter.post(self.session, FAILED, {"reason": f"the INVITE cannot be answered: {reason}"})

    # -- requests of the peer
    def requested(self, transaction: ServerTransaction, request: Request) -> None:
        """A request inside the dialog; its order has been checked (§12.2.2)."""
        post = self.adapter.post
        if request.method == "BYE":
            only_here(self.invite_client)
            self.bye_server = transaction
            post(self.session, "sip.bye", {"message": request, "transaction": transaction})
            return
        if self.open is None:
            self.open = []
        self.open.append(transaction)
        payload = {"message": request, "transaction": transaction, "offer": has_offer(request)}
        if request.method == "INVITE":
            post(self.session, "sip.invite", payload)
        else:
            post(self.session, "sip.request", {**payload, "method": request.method})


class _Ask:
    """The user of a non-INVITE request: hands its final response to the leg."""

    __slots__ = ("event", "fields", "leg")

    def __init__(self, leg: Leg, event: str, fields: Mapping[str, Any]) -> None:
        self.leg = leg
        self.event = event
        self.fields = fields

    def responded(self, transaction: ClientTransaction, kind: str, code: int, message: Response | None) -> None:  # noqa: ARG002
        if kind == "provisional":
            return
        leg = self.leg
        fields = {**self.fields, "code": code}
        if "message" in fields:
            fields["message"] = message
            if kind == "success" and message is not None and message.cseq.method in TARGET_REFRESH:
                leg.dialog.learn(message)
        leg.adapter.post(leg.session, self.event, fields)
