"""Legs: turns what the leg tables ask for into messages, and messages into the events they wait for.

A ``Leg`` is the SIP side of one leg session: its dialog and the transactions it has open. It decides nothing
about the call; which response is sent and when stands in ``tables/leg``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.core.leg import TARGET_REFRESH, Leg, _Ask
from calltable.adapters.sip.core.passing import lent
from calltable.adapters.sip.dialog.dialog import MAX_FORWARDS, Dialog
from calltable.adapters.sip.dialog.identity import identity
from calltable.adapters.sip.message.body import Content
from calltable.adapters.sip.message.build import build_response, reasons
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.message import Request, Response
from calltable.adapters.sip.transaction.failover import only_here
from calltable.engine.model.machine import FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.transaction.client import ClientTransaction
    from calltable.adapters.sip.transaction.failover import Failover
    from calltable.adapters.sip.transaction.layer import Transactions
    from calltable.adapters.sip.transaction.sender import Destination, Sender
    from calltable.adapters.sip.transaction.server import ServerTransaction
    from calltable.engine.run.executor import Executor
    from calltable.engine.run.session import Session

log = logging.getLogger("calltable.sip")


class Legs:
    """Carries out the actions of leg tables."""

    def __init__(self, executor: Executor, sender: Sender, transactions: Transactions, failover: Failover) -> None:
        self.executor = executor
        self.sender = sender
        self.transactions = transactions
        self.failover = failover
        self.post = executor.post
        self.dialogs: dict[str, Leg] = {}
        """Call-ID and local tag, to the leg; with the remote tag behind for the strays of a forked INVITE."""
        self.executor.on_end.append(self._ended)
        self.executor.handlers.update({
            "sip.attach": self._attach,
            "sip.invite": self._invite,
            "sip.acknowledge": self._acknowledge,
            "sip.cancel": self._cancel,
            "sip.abandon": self._abandon,
            "sip.bye": self._bye,
            "sip.request": self._request,
            "sip.probe": self._probe,
            "sip.respond": self._respond,
            "sip.accept": self._accept,
            "sip.hangup_all": self._hangup_all,
        })

    def find(self, call_id: str, local_tag: str | None, remote_tag: str | None) -> Leg | None:
        """The leg whose dialog a request belongs to (§12.2.2)."""
        key = f"{call_id}|{local_tag}"
        leg = self.dialogs.get(key)
        if leg is None or (leg.dialog.remote_tag or "") != (remote_tag or ""):
            return self.dialogs.get(f"{key}|{remote_tag}")
        return leg

    def _enter(self, leg: Leg) -> None:
        leg.session.context = leg
        self.dialogs[f"{leg.dialog.call_id}|{leg.dialog.local_tag}"] = leg

    def _ended(self, session: Session) -> None:
        leg = session.context
        if not isinstance(leg, Leg):
            return
        key = f"{leg.dialog.call_id}|{leg.dialog.local_tag}"
        forks = [f"{leg.dialog.call_id}|{tag}" for tag in (leg.forks or {}).values()]
        for entry in (key, f"{key}|{leg.dialog.remote_tag}", *forks):
            if self.dialogs.get(entry) is leg:
                del self.dialogs[entry]
        for transaction in leg.open or ():
            # what the owner was asked and never answered: the dialog is gone (RFC 3261 §12.2.2)
            self._answer(leg, transaction, 481)
        if leg.invite_server is not None and leg.invite_server.open:
            self._answer(leg, leg.invite_server, 487)
        session.context = leg.invite_server = leg.bye_server = leg.cancel_server = leg.open = None

    # -- answering
    def _attach(self, session: Session, p: Mapping[str, Any]) -> None:
        transaction: ServerTransaction = p["transaction"]
        leg = session.context
        if leg is None:
            request = transaction.request
            if request is None:
                msg = "the INVITE was answered before a leg took it"
                raise ValueError(msg)
            leg = Leg(self, session, Dialog.of_request(request, self.sender.token()))
            leg.dialog.source = transaction.local
            leg.dialog.contact = self.sender.contact(self.sender.transport.local_for(transaction.to, transaction.local))
            self._enter(leg)
        leg.invite_server = transaction
        transaction.user = leg

    def _respond(self, session: Session, p: Mapping[str, Any]) -> None:
        leg: Leg = session.context
        to = p["to"]
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
        self._answer(leg, transaction, p["code"], p.get("message"), p.get("retry_after"))

    def _answer(self, leg: Leg, transaction: ServerTransaction, code: int, source: Any = None,
                retry_after: Any = None) -> bool:
        request = transaction.request
        if request is None:
            return False
        headers, body = lent(source)
        reason = None
        if isinstance(source, Response):
            if source.status == code:
                reason = source.reason
            if request.to_tag is None and 100 < code < 300 and source.to_tag:
                self._speak_for(leg, source.to_tag)
        own: list[tuple[str, str]] = []
        if 100 < code < 300:
            if "record-route" in request.first:
                own = [("Record-Route", value) for value in request.record_routes]
            if request.method in TARGET_REFRESH:
                own.append(("Contact", leg.dialog.contact))
                if code >= 200:
                    leg.dialog.refresh(request)  # not by a request that is refused: RFC 6141 §4.6
        elif (300 <= code < 400 or code == 485) and isinstance(source, Response):
            own = [("Contact", value) for value in source.contacts]
        if retry_after is not None:
            own.append(("Retry-After", str(max(0, round(self.executor.seconds(retry_after))))))
        if leg.open and code >= 200 and transaction in leg.open:
            leg.open.remove(transaction)
        response = build_response(
            request, code, reason, to_tag=leg.dialog.local_tag, headers=own + headers, body=body
        )
        return self.transactions.respond(transaction, response, leg.dialog.local_tag)

    def _speak_for(self, leg: Leg, other: str) -> None:
        """Give each early dialog of the other side one of ours (RFC 3261 §12.1.1, §13.2.1).

        A forking callee answers with several tags and several descriptions. Under one tag the caller would take the first
        description for the answer to all of them.
        """
        dialog = leg.dialog
        if leg.forks is None:
            leg.forks = {other: dialog.local_tag}
            return
        tag = leg.forks.get(other)
        if tag is None:
            tag = leg.forks[other] = self.sender.token()
            self.dialogs[f"{dialog.call_id}|{tag}"] = leg
        dialog.local_tag = tag

    def _accept(self, session: Session, p: Mapping[str, Any]) -> None:
        leg: Leg = session.context
        leg.dialog.confirmed = True
        transaction = leg.invite_server
        if transaction is None or not self._answer(leg, transaction, 200, p.get("message")):
            # the transaction died under us (§17.2.4): nobody will ever acknowledge
            self.executor.post(session, "sip.unacknowledged")

    # -- asking
    def _invite(self, session: Session, p: Mapping[str, Any]) -> None:
        leg: Leg | None = session.context
        source = p.get("message")
        if leg is None:
            leg = Leg(self, session, self._new_dialog(p["target"], source, p.get("from")))
            self._enter(leg)
        leg.asking = object()
        self._send(leg, "INVITE", source, leg, lambda code: leg.responded(None, "failure", code, None))  # type: ignore[arg-type]

    def _new_dialog(self, target: str, source: Any, caller: str | None) -> Dialog:
        local = caller
        display = ""
        if local is None and isinstance(source, Request):
            local, display = source.from_.uri, source.from_.display
        dialog = Dialog(f"{self.sender.token()}@{self.sender.host}", "", self.sender.token(), f"<{target}>", target)
        dialog.local = local or ""
        dialog.contact = display
        return dialog

    def _send(self, leg: Leg, method: str, source: Any, user: Any, failed: Any) -> None:
        """Write a request in the dialog and give it to a transaction; ``failed(code)`` where that cannot be."""
        dialog = leg.dialog
        asking = leg.asking
        try:
            hop = dialog.next_hop()
        except MessageError as error:
            log.warning("%s %s: %s", leg.session.path, method, error.reason)
            failed(400)
            return

        def go(ways: list[Destination], reason: str) -> None:
            if method == "INVITE" and (leg.asking is not asking or leg.session.ended):
                return  # withdrawn while the name was looked up
            if ways:
                self._go(leg, method, source, user, hop, ways)
            else:
                log.warning("%s %s to %s: %s", leg.session.path, method, hop, reason)
                failed(503)

        self.sender.resolve(hop, dialog.source, go)

    def _go(self, leg: Leg, method: str, source: Any, user: Any, hop: str, ways: list[Destination]) -> None:
        dialog = leg.dialog
        if dialog.source is None:
            local = ways[0].local
            dialog.local = identity(dialog.local, dialog.contact, local)
            dialog.contact = self.sender.contact(local)
            dialog.source = local
        headers, body = lent(source)
        hops = MAX_FORWARDS
        if isinstance(source, Request) and (left := source.max_forwards) is not None:
            hops = max(0, left - 1)
        request = dialog.request(method, headers, body, max_forwards=hops)
        started = leg.inviting if method == "INVITE" else None
        self.failover.send(request, hop, ways, user, started)

    def _acknowledge(self, session: Session, p: Mapping[str, Any]) -> None:
        leg: Leg = session.context
        if leg.unacknowledged is None:
            msg = "there is no 2xx to acknowledge"
            raise ValueError(msg)
        transaction, response = leg.unacknowledged
        leg.unacknowledged = None
        if leg.invite_client is transaction:
            leg.invite_client = None
        headers, body = lent(p.get("message"))
        request = leg.dialog.request("ACK", headers, body, cseq=response.cseq.number)
        cause = self.transactions.cause()

        def go(ways: list[Destination], reason: str) -> None:
            if not ways or transaction.session is None:
                log.warning("%s ACK: %s", session.path, reason)
                self.executor.post(session, FAILED, {"reason": f"the ACK has nowhere to go: {reason}"})
                return
            _, outgoing = self.sender.outgoing(request, *ways[0], cause)
            self.executor.post(transaction.session, "user.acknowledge", {"message": outgoing})

        self.sender.resolve(leg.dialog.next_hop(), leg.dialog.source, go)

    def _cancel(self, session: Session, p: Mapping[str, Any]) -> None:
        leg: Leg = session.context
        only_here(leg.invite_client)
        if leg.invite_client is not None and leg.invite_client.session is not None:
            self.executor.post(leg.invite_client.session, "user.cancel", {"message": p.get("message")})
        else:
            leg.asking = None
            leg.responded(None, "failure", 487, None)  # type: ignore[arg-type]

    def _abandon(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        leg: Leg = session.context
        if leg.invite_client is not None and leg.invite_client.session is not None:
            self.executor.post(leg.invite_client.session, "user.abandon")
        leg.asking = None

    def _bye(self, session: Session, p: Mapping[str, Any]) -> None:
        leg: Leg = session.context
        source = p.get("message")
        if isinstance(source, Response):
            source = Content(headers=reasons(source))
        only_here(leg.invite_client)
        ask = _Ask(leg, "sip.bye.final", {})
        self._send(leg, "BYE", source, ask, lambda code: self.executor.post(session, "sip.bye.final", {"code": code}))

    def _request(self, session: Session, p: Mapping[str, Any]) -> None:
        leg: Leg = session.context
        fields = {"transaction": p.get("transaction"), "message": None}

        def failed(code: int) -> None:
            self.executor.post(session, "sip.request.final", {**fields, "code": code, "message": None})

        if leg.dialog.remote_tag is None:
            failed(481)  # a provisional response without a tag makes no dialog (RFC 3261 §12.1)
        else:
            self._send(leg, p["method"], p.get("message"), _Ask(leg, "sip.request.final", fields), failed)

    def _probe(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        leg: Leg = session.context

        def failed(code: int) -> None:
            self.executor.post(session, "sip.probe.final", {"code": code, "message": None})

        self._send(leg, "OPTIONS", None, _Ask(leg, "sip.probe.final", {"message": None}), failed)

    def _hangup_all(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        leg = session.context
        if not isinstance(leg, Leg):
            return
        for transaction in (leg.invite_server, leg.bye_server, leg.cancel_server, *(leg.open or ())):
            if transaction is not None and transaction.open:
                self._answer(leg, transaction, 200 if transaction.method in ("BYE", "CANCEL") else 500)
        if leg.unacknowledged is not None:
            self._acknowledge(session, {})
        if leg.invite_client is not None:
            self._cancel(session, {})  # a re-INVITE too: nobody else would bound its transaction
        if leg.dialog.confirmed and leg.dialog.remote_tag is not None:
            self._bye(session, {})

    def stray(self, leg: Leg, transaction: ClientTransaction, message: Response | None) -> None:
        """A 2xx that no leg waits for: a session of its own acknowledges it and hangs up (RFC 6026 §8.4)."""
        if message is None:
            return
        old = leg.dialog
        dialog = Dialog(old.call_id, old.local, old.local_tag, old.remote, old.target)
        dialog.local_cseq = max(old.local_cseq, message.cseq.number)  # the early dialog may have seen requests
        dialog.contact, dialog.source = old.contact, old.source
        dialog.learn(message)
        self.executor.counters["stray answers"] += 1
        session = self.executor.create("leg/stray")
        other = session.context = Leg(self, session, dialog)
        other.unacknowledged = (transaction, message)
        self.dialogs[f"{dialog.call_id}|{dialog.local_tag}|{dialog.remote_tag}"] = other
        self.executor.post(session, "engine.started", {"message": message})


