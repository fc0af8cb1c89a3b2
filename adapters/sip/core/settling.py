"""What a peer is owed although something failed here: a final response, an ACK, a BYE.

A leg's own ``engine.failed`` row settles its call (``sip.hangup_all``). What it cannot reach is settled here, without asking any table:

- an event that reached no row (``executor.on_lost``): the request it brought is answered, the 2xx acknowledged and hung up;
- a session that was ended by force (``executor.on_failure``): everything its leg, or its transaction, has open;
- an error in this adapter itself, after a request has its transaction: 400 where the message is at fault, else 500.

So a server transaction always ends with a final response (RFC 3261 §8.2.7, §17.2), and an INVITE of ours is acknowledged or cancelled.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.message import MessageError
from calltable.adapters.sip.transaction import ClientTransaction, ServerTransaction
from calltable.engine.observe import Folding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.legs import Legs
    from calltable.adapters.sip.transaction import Transactions
    from calltable.engine.run import Executor, Session

_log = logging.getLogger("calltable.sip")


class Settling:
    """Settles what a failure leaves open."""

    def __init__(self, executor: Executor, transactions: Transactions, legs: Legs) -> None:
        self._transactions = transactions
        self._legs = legs
        self._counters = executor.counters
        self._log = Folding(_log, executor.scheduler)
        executor.on_lost.append(self._lost)
        executor.on_failure.append(self._failed)

    def broken(self, transaction: ServerTransaction, error: Exception) -> None:
        """Something raised between a request's transaction and its session."""
        if isinstance(error, MessageError):
            self._log.info("refused %s: %s", transaction.key, error.reason)
            self._counters["malformed"] += 1
            self._legs.refuse(transaction, error.status or 400, error.reason)
        else:
            _log.error("%s failed", transaction.key, exc_info=error)
            self._counters["requests failed"] += 1
            self._legs.refuse(transaction, 500)

    def _lost(self, session: Session, event: str, payload: Mapping[str, Any], reason: str) -> None:
        transaction = self._transactions.servers.get(payload.get("transaction") or "")
        if transaction is not None:
            # of a BYE or CANCEL the peer wants to hear only that it need not wait (RFC 3261 §9.2, §15.1.2)
            self._legs.refuse(transaction, 200 if transaction.method in ("BYE", "CANCEL") else 481 if session.ended else 500)
        leg = session.context
        if event == "sip.invite.success" and isinstance(leg, Leg) and leg.unacknowledged is not None:
            self._log.warning("%s: its 2xx is acknowledged and hung up: %s", session.path, reason)
            self._legs.hang_up(leg)

    def _failed(self, session: Session, reason: str, settled: bool) -> None:
        context = session.context
        if isinstance(context, Leg):
            if not settled:
                self._legs.hang_up(context)
        elif isinstance(context, ServerTransaction):
            self._transactions.fail(context)
        elif isinstance(context, ClientTransaction) and context.outgoing is not None:
            self._log.warning("%s failed: %s", context.key, reason)
            context.user.responded(context, "failure", 503, None)
