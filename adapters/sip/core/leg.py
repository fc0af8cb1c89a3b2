"""One leg: its dialogs, and the transactions it has open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from calltable.engine.model import FAILED

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from calltable.adapters.sip.core.bounds import Bounds
    from calltable.adapters.sip.dialog import Dialog, Dialogs, Way
    from calltable.adapters.sip.message import Request, Response
    from calltable.adapters.sip.transaction import ClientTransaction, ServerTransaction
    from calltable.engine.run import Change, Session


class LegPort(Protocol):
    """What a leg needs of those who carry its actions out."""

    bounds: Bounds
    counters: Counter[str]

    def post(self, session: Session, event: str, payload: Mapping[str, Any] = ..., change: Change | None = None) -> None:
        """Give the leg's session an event, and what it makes of the dialogs."""

    def refuse(self, transaction: ServerTransaction, code: int, reason: str | None = None,
               headers: tuple[tuple[str, str], ...] = (), tag: str = "", body: bytes = b"") -> None:
        """Give a request that no leg takes its final response."""

    def stray(self, leg: Leg, transaction: ClientTransaction, message: Response) -> None:
        """A 2xx came that the leg does not wait for."""


class Leg:
    """One side of a call in SIP: its dialogs, and what is open in them."""

    __slots__ = (
        "asking",
        "bye_server",
        "caller",
        "cancel_server",
        "invite_client",
        "invite_server",
        "open",
        "port",
        "session",
        "unacknowledged",
        "way",
    )  # fmt: skip

    def __init__(self, port: LegPort, session: Session, caller: tuple[str, str] = ("", "")) -> None:
        self.port = port
        self.session = session
        self.caller = caller
        """URI and display name of who calls, until the listener is known from which the first INVITE leaves."""
        self.way: Way | None = None
        """What that listener makes of the dialog; the first answer brings it into the session's value."""
        self.invite_server: ServerTransaction | None = None
        self.bye_server: ServerTransaction | None = None
        self.cancel_server: ServerTransaction | None = None
        self.invite_client: ClientTransaction | None = None
        self.asking: object = None
        """Marks the INVITE whose way is being looked up; another mark, or none, and it is not sent any more."""
        self.unacknowledged: tuple[ClientTransaction, Response] | None = None
        """The 2xx to an INVITE of ours whose ACK has not been sent."""
        self.open: list[ServerTransaction] | None = None
        """Requests of the peer that still wait for an answer."""

    @property
    def dialogs(self) -> Dialogs:
        """Its dialogs: the session's value, which moves with what the session commits."""
        dialogs: Dialogs = self.session.value
        return dialogs

    @property
    def dialog(self) -> Dialog:
        """The dialog that is confirmed, or was heard of last."""
        return self.dialogs.current

    # -- as the caller
    def inviting(self, transaction: ClientTransaction) -> None:
        """Our INVITE is on its way."""
        self.invite_client = transaction

    def heard(self, transaction: ClientTransaction | None, kind: str, message: Response | None) -> bool:
        """Note what came of our INVITE; False where the leg itself is not to be told."""
        dialogs = self.dialogs
        if kind in ("forked", "success") and message is not None and transaction is not None:
            if kind == "forked" or self.session.ended:
                self.port.stray(self, transaction, message)
                return False
            if not dialogs.current.confirmed and dialogs.ended(message.to_tag):
                # the fork that answers has said BYE before: whoever forked the INVITE gives up the others for it (RFC 3261 §16.7)
                self.port.stray(self, transaction, message)
                self.invite_client = None
                self.port.post(self.session, "sip.invite.failure", {"code": 480, "message": None, "contact": None})
                return False
            self.unacknowledged = (transaction, message)
            return True
        if kind == "failure":
            self.invite_client = None
            return True
        tag = message.to_tag if message is not None else None
        if not tag or dialogs.current.confirmed:
            return True
        if dialogs.ended(tag):
            return False
        if dialogs.forks >= self.port.bounds.forks and dialogs.current.remote_tag is not None and not dialogs.knows(tag):
            self.port.counters["forks refused"] += 1
            return False
        return True

    def moved(self, kind: str, code: int, message: Response | None) -> Change | None:
        """What an answer to our INVITE makes of the dialogs: only these make and confirm them (RFC 3261 §12.1.2, §13.2.2.4)."""
        if message is None or kind not in ("success", "provisional") or code == 100:
            return None
        if kind == "provisional" and (not message.to_tag or self.dialogs.current.confirmed):
            return None
        way = self.way
        return lambda dialogs: dialogs.at(way).answered(message)

    def spoiled(self, transaction: ClientTransaction, message: Response) -> Change:
        """A 2xx came that cannot be understood: it is acknowledged and hung up all the same, at what is known of the dialog."""
        self.unacknowledged = (transaction, message)
        way, tag = self.way, message.to_tag or ""

        def change(dialogs: Dialogs) -> Dialogs:
            placed = dialogs.at(way)
            try:
                return placed.answered(message)
            except Exception:  # noqa: BLE001 - whatever in it cannot be read: the callee is owed the ACK and the BYE
                return placed._replace(current=placed.current._replace(remote_tag=tag, confirmed=True))

        return change

    # -- as the callee
    def acknowledged(self, transaction: ServerTransaction, message: Request | None) -> None:  # noqa: ARG002
        """The ACK to our 2xx, or that none came, becomes an event of the leg."""
        if message is None:
            self.port.post(self.session, "sip.unacknowledged")
        else:
            self.port.post(self.session, "sip.ack", {"message": message})

    def unreachable(self, transaction: ServerTransaction, reason: str) -> None:
        """The caller is gone: nobody is left to answer."""
        if transaction is self.invite_server:
            self.port.post(self.session, FAILED, {"reason": f"the INVITE cannot be answered: {reason}"})
