"""Legs: turns what the leg tables ask for into messages, and finds the leg that a message is for.

A ``Leg`` is the SIP side of one leg session: its dialogs and the transactions it has open. It decides nothing about the call; which
request or response is sent and when stands in ``tables/leg``. ``answering.py`` sends what a leg says as a server, ``asking.py`` what it says as
a client, ``requests.py`` names the events that its table waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core.answering import Answering
from calltable.adapters.sip.core.asking import Asking
from calltable.adapters.sip.core.drawing import Drawing
from calltable.adapters.sip.core.index import Index
from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.dialog import Dialogs
from calltable.adapters.sip.message import build_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.bounds import Bounds
    from calltable.adapters.sip.message import Response
    from calltable.adapters.sip.transaction import ClientTransaction, Failover, Sender, ServerTransaction, Transactions
    from calltable.engine.run import Executor, Session

_NOTHING: Final[Mapping[str, Any]] = {}


class Legs:
    """Carries out the actions of leg tables, and knows all legs."""

    def __init__(self, executor: Executor, sender: Sender, transactions: Transactions, failover: Failover, bounds: Bounds) -> None:
        self.executor = executor
        self.counters = executor.counters
        self.bounds = bounds
        self.sender = sender
        self.transactions = transactions
        self.post = executor.post
        self.index = Index()
        self.find = self.index.find
        self.drawing = drawing = Drawing(executor, sender, transactions, self.index, bounds)
        self.answering = Answering(self, executor, transactions, self.index, drawing, bounds)
        self.asking = Asking(self, executor, sender, transactions, failover, self.index, drawing, bounds)
        executor.on_end.append(self._ended)
        executor.handlers.update({
            "sip.attach": self.answering.attach,
            "sip.respond": self.answering.respond,
            "sip.accept": self.answering.accept,
            "sip.invite": self.asking.invite,
            "sip.acknowledge": self.asking.acknowledge,
            "sip.cancel": self.asking.cancel,
            "sip.abandon": self.asking.abandon,
            "sip.bye": self.asking.bye,
            "sip.request": self.asking.request,
            "sip.probe": self.asking.probe,
            "sip.hangup_all": self._hangup_all,
        })

    @property
    def dialogs(self) -> Mapping[str, Leg]:
        """The legs by Call-ID and tags."""
        return self.index.legs

    def _hangup_all(self, session: Session, p: Mapping[str, Any]) -> None:
        if isinstance(session.context, Leg):
            self.hang_up(session.context, p)

    def refuse(self, transaction: ServerTransaction, code: int, reason: str | None = None,
               headers: tuple[tuple[str, str], ...] = (), tag: str = "", body: bytes = b"") -> None:
        """Answer a request that no leg takes, if it has had no final response; with our ``tag`` in To, a new one where there is none."""
        if transaction.request is not None:
            tag = tag or transaction.tag or self.sender.token()
            response = build_response(transaction.request, code, reason, to_tag=tag, headers=headers, body=body)
            self.transactions.respond(transaction, response, tag)

    def hang_up(self, leg: Leg, p: Mapping[str, Any] = _NOTHING) -> None:
        """Settle whatever a leg has open, whatever its state: answers, ACK, CANCEL, BYE. ``p`` holds what its row has drawn for the BYE."""
        session = leg.session
        drawn = self.asking.drawn(self.drawing.hangup_all, session, p)
        for transaction in (leg.invite_server, leg.bye_server, leg.cancel_server, *(leg.open or ())):
            if transaction is not None and transaction.open:
                self.answering.answer(leg, transaction, 200 if transaction.method in ("BYE", "CANCEL") else 500)
        if leg.unacknowledged is not None:
            self.asking.acknowledge(session, _NOTHING)
        if leg.invite_client is not None:
            self.asking.cancel(session, _NOTHING)  # a re-INVITE too: nobody else would bound its transaction
        if drawn is not None:
            self.asking.bye(session, {"drawn": drawn})

    def _ended(self, session: Session) -> None:
        leg = session.context
        if not isinstance(leg, Leg):
            return
        for transaction in tuple(leg.open or ()):
            # what the owner was asked and never answered: the dialog is gone (RFC 3261 §12.2.2)
            self.answering.answer(leg, transaction, 481)
        if leg.invite_server is not None and leg.invite_server.open:
            self.answering.answer(leg, leg.invite_server, 487)
        self.index.leave(leg)  # behind the answers, which may show a dialog
        session.context = leg.invite_server = leg.bye_server = leg.cancel_server = leg.open = None

    def stray(self, leg: Leg, transaction: ClientTransaction, message: Response) -> None:
        """A 2xx that no leg waits for: a session of its own acknowledges it and hangs up (RFC 6026 §8.4)."""
        self.counters["stray answers"] += 1
        session = self.executor.create("leg/stray", value=Dialogs(leg.dialogs.at(leg.way).fork(message)))
        other = session.context = Leg(self, session)
        other.unacknowledged = (transaction, message)
        self.index.enter(other, late=True)
        self.post(session, "engine.started", {"message": message})
