"""What a leg says as a server: the responses to its peer's requests (RFC 3261 §8.2.6, §12.1.1, §13.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.core.passing import lent
from calltable.adapters.sip.core.translation import Translation
from calltable.adapters.sip.message import TARGET_REFRESH, Message, Response, build_response, number, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.bounds import Bounds
    from calltable.adapters.sip.core.drawing import Drawing
    from calltable.adapters.sip.core.index import Index
    from calltable.adapters.sip.core.leg import LegPort
    from calltable.adapters.sip.transaction import ServerTransaction, Transactions
    from calltable.engine.run import Executor, Session

_MOST: Final = 2**31 - 1
"""The longest Expires that is taken at its word, seconds; a longer one is as good as none."""


class Answering:
    """Carries out ``sip.attach``, ``sip.respond`` and ``sip.accept``."""

    def __init__(self, port: LegPort, executor: Executor, transactions: Transactions, index: Index, drawing: Drawing,
                 bounds: Bounds) -> None:
        self.port = port
        self.executor = executor
        self.transactions = transactions
        self.index = index
        self.drawing = drawing
        self.bounds = bounds

    def attach(self, session: Session, p: Mapping[str, Any]) -> None:
        """Bind a leg to the INVITE that opened it, or to a re-INVITE."""
        transaction = self.transactions.servers.get(p["transaction"])
        leg = session.context
        if leg is None:
            leg = session.context = Leg(self.port, session)
            self.index.enter(leg)
        if transaction is None:
            return  # it is over before anybody could answer it (§17.2.4)
        leg.invite_server = transaction
        transaction.user = leg
        expires = transaction.request.get("expires") if transaction.request is not None else None
        if expires is not None and (seconds := number(expires, _MOST)) is not None:
            self.executor.post(session, "sip.expires", {"after": seconds})

    def respond(self, session: Session, p: Mapping[str, Any]) -> None:
        """Answer a request of the peer: one of a leg, or one outside any dialog that a session was handed (``handed.py``)."""
        leg = session.context
        to = p["to"]
        if not isinstance(leg, Leg):
            self._outside(to, p)
            return
        transaction = self.drawing.server(leg, to)
        if transaction is None:
            if to in ("invite", "bye", "cancel"):
                msg = f"there is no {to} to respond to"
                raise ValueError(msg)
            return  # its transaction is over: nobody waits for the answer any more
        self.answer(leg, transaction, p["code"], p.get("message"), p.get("retry_after"), tags=p.get("drawn"))

    def _outside(self, to: str, p: Mapping[str, Any]) -> None:
        transaction = self.transactions.servers.get(to)
        if transaction is None:
            msg = f"there is no request {to} to respond to"
            raise ValueError(msg)
        headers, body = lent(p.get("message"), None, self.bounds)
        if p.get("retry_after") is not None:
            headers.append(("Retry-After", str(max(0, round(self.executor.seconds(p["retry_after"]))))))
        self.port.refuse(transaction, p["code"], None, tuple(headers), body=body)

    def accept(self, session: Session, p: Mapping[str, Any]) -> None:
        """Answer the INVITE that waits with 200 (§13.3.1.4)."""
        leg: Leg = session.context
        transaction = leg.invite_server
        if transaction is None or not self.answer(leg, transaction, 200, p.get("message"), tags=p.get("drawn")):
            # the transaction died under us (§17.2.4): nobody will ever acknowledge
            self.executor.post(session, "sip.unacknowledged")

    def answer(self, leg: Leg, transaction: ServerTransaction, code: int, source: Any = None, retry_after: Any = None, *,
               tags: tuple[str, str | None] | None = None) -> bool:
        """Send a response, in the dialog with ``tags``; False where the request has had its final one."""
        request = transaction.request
        if request is None:
            return False
        dialogs = leg.dialogs
        if tags is not None:
            dialog = dialogs.known(*tags)
        else:
            dialog = dialogs.find(request.to_tag, request.from_tag) or dialogs.current
        if len(dialogs.shown) > 1:
            self.index.show(leg, dialog.local_tag)
        translation = Translation(self.index, source, leg) if isinstance(source, Message) else None
        headers, body = lent(source, translation, self.bounds)
        reason = printable(source.reason) if isinstance(source, Response) and source.status == code else None
        own: list[tuple[str, str]] = []
        if 100 < code < 300:
            if "record-route" in request.first:
                own = [("Record-Route", value) for value in request.record_routes]
            if request.method in TARGET_REFRESH:
                own.append(("Contact", dialog.contact))
        elif (300 <= code < 400 or code == 485) and isinstance(source, Response):
            own = [("Contact", printable(value)) for value in source.contacts]
        if retry_after is not None:
            own.append(("Retry-After", str(max(0, round(self.executor.seconds(retry_after))))))
        if leg.open and code >= 200 and transaction in leg.open:
            leg.open.remove(transaction)
        response = build_response(request, code, reason, to_tag=dialog.local_tag, headers=own + headers, body=body)
        return self.transactions.respond(transaction, response, dialog.local_tag)
