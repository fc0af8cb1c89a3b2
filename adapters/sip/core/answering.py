"""What a leg says as a server: the responses to its peer's requests (RFC 3261 §8.2.6, §12.1.1, §13.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.core.passing import lent
from calltable.adapters.sip.core.translation import Translation
from calltable.adapters.sip.dialog.dialog import TARGET_REFRESH
from calltable.adapters.sip.dialog.dialogs import Dialogs
from calltable.adapters.sip.message.build import build_response
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.headers import number, printable
from calltable.adapters.sip.message.message import Message, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.bounds import Bounds
    from calltable.adapters.sip.core.index import Index
    from calltable.adapters.sip.core.leg import LegPort
    from calltable.adapters.sip.message.message import Request
    from calltable.adapters.sip.transaction.layer import Transactions
    from calltable.adapters.sip.transaction.sender import Sender
    from calltable.adapters.sip.transaction.server import ServerTransaction
    from calltable.engine.run.executor import Executor
    from calltable.engine.run.session import Session

_MOST: Final = 2**31 - 1
"""The longest Expires that is taken at its word, seconds; a longer one is as good as none."""


class Answering:
    """Carries out ``sip.attach``, ``sip.respond`` and ``sip.accept``."""

    def __init__(self, port: LegPort, executor: Executor, sender: Sender, transactions: Transactions, index: Index,
                 bounds: Bounds) -> None:
        self.port = port
        self.executor = executor
        self.sender = sender
        self.transactions = transactions
        self.index = index
        self.bounds = bounds

    def attach(self, session: Session, p: Mapping[str, Any]) -> None:
        """Bind a leg to the INVITE that opened it, or to a re-INVITE."""
        transaction: ServerTransaction = p["transaction"]
        leg = session.context
        if leg is None:
            request = transaction.request
            if request is None:
                msg = "the INVITE was answered before a leg took it"
                raise ValueError(msg)
            contact = self.sender.contact(self.sender.transport.local_for(transaction.to, transaction.local))
            try:
                dialogs = Dialogs.of_request(request, self.sender.token(), contact, transaction.local)
            except MessageError as error:  # no leg could answer it any more
                self.port.refuse(transaction, 400, error.reason)
                raise
            leg = Leg(self.port, session, dialogs)
            session.context = leg
            self.index.enter(leg)
        leg.invite_server = transaction
        transaction.user = leg
        expires = transaction.request.get("expires") if transaction.request is not None else None
        if expires is not None and (seconds := number(expires, _MOST)) is not None:
            self.executor.post(session, "sip.expires", {"after": seconds})

    def respond(self, session: Session, p: Mapping[str, Any]) -> None:
        """Answer a request of the peer."""
        leg: Leg = session.context
        to = p["to"]
        transaction: ServerTransaction | None
        if to == "invite":
            transaction = leg.invite_server
        elif to == "bye":
            transaction = leg.bye_server
        elif to == "cancel":
            transaction = leg.cancel_server
        else:
            transaction = to
        if transaction is None:
            msg = f"there is no {to} to respond to"
            raise ValueError(msg)
        self.answer(leg, transaction, p["code"], p.get("message"), p.get("retry_after"))

    def accept(self, session: Session, p: Mapping[str, Any]) -> None:
        """Answer the INVITE that waits with 200: its dialog is confirmed (§13.3.1.4)."""
        leg: Leg = session.context
        transaction = leg.invite_server
        if transaction is None or not self.answer(leg, transaction, 200, p.get("message")):
            # the transaction died under us (§17.2.4): nobody will ever acknowledge
            leg.dialogs = leg.dialogs.placed(leg.dialog._replace(confirmed=True))
            self.executor.post(session, "sip.unacknowledged")

    def answer(self, leg: Leg, transaction: ServerTransaction, code: int, source: Any = None, retry_after: Any = None) -> bool:
        """Send a response; False where the request has had its final one."""
        request = transaction.request
        if request is None:
            return False
        translation = Translation(self.index, source, leg) if isinstance(source, Message) else None
        headers, body = lent(source, translation, self.bounds)
        reason = None
        if isinstance(source, Response):
            if source.status == code:
                reason = printable(source.reason)
            if request.method == "INVITE" and request.to_tag is None and 100 < code < 300 and source.to_tag:
                self._speak_for(leg, source.to_tag)
        dialog = leg.dialogs.current
        if request.to_tag is not None:
            dialog = leg.dialogs.find(request.to_tag, request.from_tag) or dialog
        own: list[tuple[str, str]] = []
        if 100 < code < 300:
            if "record-route" in request.first:
                own = [("Record-Route", value) for value in request.record_routes]
            if request.method in TARGET_REFRESH:
                own.append(("Contact", dialog.contact))
                if code >= 200:
                    self._settle(leg, request)
        elif (300 <= code < 400 or code == 485) and isinstance(source, Response):
            own = [("Contact", printable(value)) for value in source.contacts]
        if retry_after is not None:
            own.append(("Retry-After", str(max(0, round(self.executor.seconds(retry_after))))))
        if leg.open and code >= 200 and transaction in leg.open:
            leg.open.remove(transaction)
        response = build_response(request, code, reason, to_tag=dialog.local_tag, headers=own + headers, body=body)
        return self.transactions.respond(transaction, response, dialog.local_tag)

    def _settle(self, leg: Leg, request: Request) -> None:
        """A 2xx to a target refresh moves the target, not one that is refused (RFC 6141 §4.6); the first to an INVITE confirms."""
        dialogs = leg.dialogs
        if request.to_tag is None:
            if request.method == "INVITE":
                leg.dialogs = dialogs.placed(dialogs.current._replace(confirmed=True))
        elif (dialog := dialogs.find(request.to_tag, request.from_tag)) is not None:
            leg.dialogs = dialogs.placed(dialog.refreshed(request))

    def _speak_for(self, leg: Leg, other: str) -> None:
        """Show the caller an early dialog for each of the callee's.

        A forking callee answers with several tags and several descriptions. Under one tag the caller would take the first
        description for the answer to all of them.
        """
        dialogs = leg.dialogs
        if dialogs.tag_of(other) is None and len(dialogs.shown) >= self.bounds.forks:
            return  # it shares the dialog of the one before
        tag = "" if not dialogs.shown or dialogs.tag_of(other) is not None else self.sender.token()
        leg.dialogs = dialogs.shows(other, tag)
        if tag:
            self.index.show(leg, tag)
