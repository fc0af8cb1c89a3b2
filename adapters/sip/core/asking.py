"""What a leg says as a client: its requests inside and outside a dialog (RFC 3261 §12.2.1, §13.2, §9.1, §15.1.1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.core.passing import lent
from calltable.adapters.sip.core.requests import Asked
from calltable.adapters.sip.core.translation import Translation
from calltable.adapters.sip.dialog import MAX_FORWARDS, Way, identity
from calltable.adapters.sip.message import Content, MessageError, Request, Response, reasons
from calltable.adapters.sip.transaction import only_here
from calltable.engine.model import FAILED
from calltable.engine.observe import Folding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.bounds import Bounds
    from calltable.adapters.sip.core.drawing import Drawing, Numbered
    from calltable.adapters.sip.core.index import Index
    from calltable.adapters.sip.core.leg import LegPort
    from calltable.adapters.sip.transaction import Destination, Failover, Sender, Transactions
    from calltable.engine.run import Draw, Executor, Session

_log = logging.getLogger("calltable.sip")


class Asking:
    """Carries out ``sip.invite``, ``sip.acknowledge``, ``sip.cancel``, ``sip.abandon``, ``sip.bye`` and ``sip.request``."""

    def __init__(self, port: LegPort, executor: Executor, sender: Sender, transactions: Transactions, failover: Failover,
                 index: Index, drawing: Drawing, bounds: Bounds) -> None:
        self.port = port
        self.executor = executor
        self.sender = sender
        self.transactions = transactions
        self.failover = failover
        self.index = index
        self.drawing = drawing
        self.bounds = bounds
        self._log = Folding(_log, executor.scheduler)

    def invite(self, session: Session, p: Mapping[str, Any]) -> None:
        """Send an INVITE: the first, which makes the leg, or a re-INVITE."""
        leg: Leg | None = session.context
        source = p.get("message")
        if leg is None:
            caller = p.get("from")
            identified = caller or "", ""
            if caller is None and isinstance(source, Request):
                identified = source.from_.uri, source.from_.display
            leg = session.context = Leg(self.port, session, identified)
            self.index.enter(leg)
        leg.asking = object()
        self._send(leg, "INVITE", source, Asked(leg, "INVITE", {}, self.drawn(self.drawing.invite, session, p)))

    def drawn(self, draw: Draw[Session], session: Session, p: Mapping[str, Any]) -> Any:
        """What was drawn for an effect; drawn here for one that no commit preceded, in a session that is given up."""
        if "drawn" in p:
            return p["drawn"]
        session.value, drawn = draw(session, p, session.value)
        return drawn

    def _send(self, leg: Leg, method: str, source: Any, asked: Asked) -> None:
        """Write a request in a dialog and give it to a transaction, as soon as a way is found."""
        asking = leg.asking
        if (drawn := asked.drawn) is None:
            asked.unsent(481)  # that fork is gone; or only a provisional response without a tag came (§12.1)
            return
        dialog = leg.dialogs.known(drawn.local_tag, drawn.remote_tag)
        try:
            hop = dialog.next_hop()
        except MessageError as error:
            self._log.warning("%s %s: %s", leg.session.path, method, error.reason)
            asked.unsent(400)
            return

        def go(ways: list[Destination], reason: str) -> None:
            if method == "INVITE" and (leg.asking is not asking or leg.session.ended):
                return  # withdrawn while the name was looked up
            if ways:
                self._go(leg, method, source, asked, drawn, hop, ways)
            else:
                self._log.warning("%s %s to %s: %s", leg.session.path, method, hop, reason)
                asked.unsent(503)

        self.sender.resolve(hop, dialog.source, go)

    def _go(self, leg: Leg, method: str, source: Any, asked: Asked, drawn: Numbered, hop: str, ways: list[Destination]) -> None:
        dialog = leg.dialogs.known(drawn.local_tag, drawn.remote_tag)
        if dialog.source is None:
            local = ways[0].local
            leg.way = Way(identity(*leg.caller, local), self.sender.contact(local), local)
            dialog = dialog.speaking(*leg.way)
        translation = None
        hops = MAX_FORWARDS
        if isinstance(source, Request):
            if (left := source.max_forwards) is not None:
                hops = min(MAX_FORWARDS, max(0, left - 1))
            translation = Translation(self.index, source, leg)
        headers, body = lent(source, translation, self.bounds)
        request = dialog.request(method, headers, body, drawn.number, max_forwards=hops)
        started = leg.inviting if method == "INVITE" else None
        self.failover.send(request, hop, ways, asked, started, drawn.branch)

    def acknowledge(self, session: Session, p: Mapping[str, Any]) -> None:
        """Send the ACK to the 2xx of our INVITE, in the dialog of the fork that answered (§13.2.2.4)."""
        leg: Leg = session.context
        if leg.unacknowledged is None:
            msg = "there is no 2xx to acknowledge"
            raise ValueError(msg)
        transaction, response = leg.unacknowledged
        leg.unacknowledged = None
        branch = self.drawn(self.drawing.acknowledge, session, p)
        if leg.invite_client is transaction:
            leg.invite_client = None
        dialog = leg.dialogs.current
        headers, body = lent(p.get("message"), None, self.bounds)
        request = dialog.request("ACK", headers, body, response.cseq.number)
        cause = self.transactions.cause()

        def go(ways: list[Destination], reason: str) -> None:
            if not ways or transaction.session is None:
                self._log.warning("%s ACK: %s", session.path, reason)
                self.executor.post(session, FAILED, {"reason": f"the ACK has nowhere to go: {reason}"})
                return
            _, outgoing = self.sender.outgoing(request, *ways[0], cause, branch)
            self.executor.post(transaction.session, "user.acknowledge", {"message": outgoing})

        self.sender.resolve(dialog.next_hop(), dialog.source, go)

    def cancel(self, session: Session, p: Mapping[str, Any]) -> None:
        """Cancel our INVITE; one that was not sent yet is not sent any more (§9.1)."""
        leg: Leg = session.context
        only_here(leg.invite_client)
        if leg.invite_client is not None and leg.invite_client.session is not None:
            self.executor.post(leg.invite_client.session, "user.cancel", {"message": p.get("message")})
        else:
            leg.asking = None
            Asked(leg, "INVITE", {}, None).unsent(487)

    def abandon(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Wait no longer for the answer to our INVITE."""
        leg: Leg = session.context
        if leg.invite_client is not None and leg.invite_client.session is not None:
            self.executor.post(leg.invite_client.session, "user.abandon")
        leg.asking = None

    def bye(self, session: Session, p: Mapping[str, Any]) -> None:
        """Send a BYE; a response says as its Reason why (§15.1.1, RFC 3326)."""
        leg: Leg = session.context
        source = p.get("message")
        if isinstance(source, Response):
            source = Content(headers=reasons(source))
        only_here(leg.invite_client)
        self._send(leg, "BYE", source, Asked(leg, "BYE", {}, self.drawn(self.drawing.within, session, p)))

    def probe(self, session: Session, p: Mapping[str, Any]) -> None:
        """Send an OPTIONS for the leg itself; what comes of it is ``sip.probe.final``, so that nobody takes it for one that is relayed."""
        leg: Leg = session.context
        self._send(leg, "OPTIONS", None, Asked(leg, "probe", {}, self.drawn(self.drawing.within, session, p)))

    def request(self, session: Session, p: Mapping[str, Any]) -> None:
        """Send any other request: in the dialog that stands for the one its source came in by."""
        leg: Leg = session.context
        method = p["method"]
        fields = {"transaction": p.get("transaction"), "purpose": p.get("purpose", "")}
        one_fork = method == "BYE" and not leg.dialog.confirmed
        drawn = self.drawn(self.drawing.request, session, p)
        self._send(leg, method, p.get("message"), Asked(leg, method, fields, drawn, one_fork=one_fork))
