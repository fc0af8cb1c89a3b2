"""Transactions as seen from Python: matching, and the few things that their tables ask for.

What a transaction *does* stands in ``tables/transaction``. Here are the two kinds of owner of such a session
(``ClientTransaction``, ``ServerTransaction``), which pass what it publishes on to the transaction user, and the layer
that finds the transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3) and carries the actions out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import (
    PROVISIONAL,
    SUCCESS,
    MessageError,
    Request,
    Response,
    build_ack,
    build_cancel,
    build_response,
    parse_via,
    reasons,
)
from calltable.adapters.sip.transaction.client import NOBODY, ClientTransaction, ClientUser
from calltable.adapters.sip.transaction.keys import ack_key
from calltable.adapters.sip.transaction.outgoing import Outgoing
from calltable.adapters.sip.transaction.server import ServerTransaction
from calltable.engine.model import STARTED
from calltable.engine.run import check_parameters

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from calltable.adapters.sip.transaction.account import Account
    from calltable.adapters.sip.transaction.sender import Sender
    from calltable.adapters.sip.transport import Address, Flow
    from calltable.engine.run import CompiledMachine, Executor, Session


class Transactions:
    """Finds, makes and serves transactions. ``sender`` puts messages on the wire.

    ``forks`` bounds the To tags whose 2xx to one INVITE are taken.
    """

    def __init__(self, executor: Executor, sender: Sender, forks: int = 16) -> None:
        self.executor = executor
        self.transmit = sender.transmit
        self.token = sender.token
        self.forks = forks
        self.counters: Counter[str] = executor.counters
        self._checked: dict[str, CompiledMachine] = {}
        """The machines that are known to take the parameters that transactions are started with."""
        self.clients: dict[str, ClientTransaction] = {}
        self.servers: dict[str, ServerTransaction] = {}
        self.requests: dict[str, str] = {}
        """Call-ID, CSeq and From tag of each request without a To tag, to its key: merged requests (§8.2.2.2)."""
        self.acks: dict[str, ServerTransaction] = {}
        """Call-ID, local tag and CSeq of each INVITE we answered with 2xx: its ACK is a transaction of its own."""
        executor.handlers.update({
            "sip.transmit": self._transmit,
            "sip.retransmit": self._retransmit,
            "sip.trying": self._trying,
            "sip.fail": self._fail,
            "sip.acknowledge_failure": self._acknowledge_failure,
            "sip.acknowledge_success": self._acknowledge_success,
            "sip.acknowledge_again": self._acknowledge_again,
            "sip.send_cancel": self._send_cancel,
        })

    # -- making
    def request(self, user: ClientUser, outgoing: Outgoing, branch: str, method: str) -> ClientTransaction:
        """Send a request in a transaction of its own. Its top Via carries ``branch``."""
        transaction = ClientTransaction(self, user, outgoing, branch, method)
        self.clients[transaction.key] = transaction
        machine = "transaction/invite_client" if method == "INVITE" else "transaction/client"
        self._begin(machine, transaction, {"message": outgoing, "reliable": outgoing.to.reliable})
        return transaction

    def serve(self, request: Request, key: str, to: Address, local: Address, flow: Flow, account: Account | None = None,
              source: Address | None = None) -> ServerTransaction:
        """Begin the transaction of a new request, which came from ``source``; it counts for ``account``."""
        transaction = ServerTransaction(self, request, key, to, local, flow, source)
        self.servers[key] = transaction
        if account is not None:
            transaction.charge(account)
        machine = "transaction/invite_server" if request.method == "INVITE" else "transaction/server"
        self._begin(machine, transaction, {"reliable": to.reliable})
        return transaction

    def _begin(self, name: str, transaction: ClientTransaction | ServerTransaction, parameters: Mapping[str, Any]) -> None:
        """Start the session of a transaction. The parameters always have the same names and types, so each machine is asked once."""
        executor = self.executor
        machine = executor.machines.get(name)
        if machine is not None and machine is not self._checked.get(name):
            check_parameters(machine.model, parameters)
            self._checked[name] = machine
        session = executor.create(name, transaction, transaction.key, context=transaction)
        executor.dispatch(session, STARTED, parameters)
        transaction.session = session

    def respond(self, transaction: ServerTransaction, response: Response, tag: str) -> bool:
        """Send a response, with our ``tag``, to the transaction's request; False where it has had its final one."""
        request, session = transaction.request, transaction.session
        if request is None or session is None or session.ended:
            return False
        status = response.status
        transaction.tag = tag
        if status == 408 and transaction.method != "INVITE":
            transaction.request = None
            self.executor.post(session, "user.silence")  # RFC 4320 §4.2
            return True
        if status >= PROVISIONAL:
            transaction.request = None
            transaction.settle()
            if transaction.method == "INVITE" and status < SUCCESS:
                transaction.ack_key = ack_key(request.call_id, tag, request.cseq.number)
                self.acks[transaction.ack_key] = transaction
        outgoing = Outgoing(response, transaction.to, transaction.local, transaction.flow, self.cause())
        event = "user.provisional" if status < PROVISIONAL else "user.success" if status < SUCCESS else "user.failure"
        self.executor.post(session, event, {"message": outgoing})
        return True

    def forget(self, transaction: ServerTransaction) -> None:
        """A server transaction is over."""
        self.servers.pop(transaction.key, None)
        if transaction.merged:
            self.requests.pop(transaction.merged, None)
        if transaction.ack_key:
            self.acks.pop(transaction.ack_key, None)

    def waits(self, key: str) -> bool:
        """Whether the request with this key still waits for its final response: what tables carry of it is its key."""
        transaction = self.servers.get(key)
        return transaction is not None and transaction.open

    def cause(self) -> str:
        """The row whose effect is being carried out, for the call's ladder."""
        row = self.executor.row
        return row.id if row is not None else ""

    # -- matching
    def response(self, message: Response) -> bool:
        """Give a response to its client transaction; False where there is none (§17.1.3)."""
        cseq = message.cseq
        transaction = self.clients.get(f"{message.via.branch}|{cseq.method}")
        if transaction is None or transaction.session is None:
            return False
        status = message.status
        if status < PROVISIONAL:
            self.executor.dispatch(transaction.session, "sip.provisional", {"message": message, "code": status})
        elif status < SUCCESS:
            tag = message.to_tag or ""
            repeated = tag in transaction.tags
            if not repeated and cseq.method == "INVITE":
                if len(transaction.tags) >= self.forks:
                    self.counters["forks refused"] += 1
                    return True
                transaction.tags += (tag,)
            payload = {"message": message, "code": status, "repeated": repeated}
            self.executor.dispatch(transaction.session, "sip.success", payload)
        else:
            self.executor.dispatch(transaction.session, "sip.failure", {"message": message, "code": status})
        return True

    def failed(self, data: bytes, reason: str) -> None:
        """A message could not be delivered: tell the transaction that sent it (§17.1.4, §17.2.4)."""
        found = _top_via.search(data)
        if found is None:
            return
        try:
            via = parse_via(found["via"].decode("utf-8", "surrogateescape"))
        except MessageError:
            return
        owner: ClientTransaction | ServerTransaction | None = None
        if data.startswith(b"SIP/2.0 "):
            about = _cseq.search(data)
            if about is not None:
                owner = self.servers.get(f"{about['method'].decode('ascii')}|{via.sent_by}|{via.branch}")
        else:
            method = data.partition(b" ")[0].decode("ascii", "replace")
            if method == "ACK":  # to a failure it is the INVITE's own (§17.1.1.3); to a 2xx its branch is nobody's
                method = "INVITE"
            owner = self.clients.get(f"{via.branch}|{method}")
        if owner is not None and owner.session is not None:
            self.executor.dispatch(owner.session, "transport.failed", {"reason": reason})

    # -- what the tables ask for
    def _transmit(self, session: Session, p: Mapping[str, Any]) -> None:
        outgoing: Outgoing = p["message"]
        self.transmit(outgoing, self.cause())
        session.context.last = outgoing.kept()

    def _retransmit(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        last = session.context.last
        if last is not None:
            self.counters["retransmissions"] += 1
            self.transmit(last, self.cause())

    def _trying(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        transaction: ServerTransaction = session.context
        if transaction.request is not None:
            response = build_response(transaction.request, 100)
            outgoing = Outgoing(response, transaction.to, transaction.local, transaction.flow)
            self.transmit(outgoing, self.cause())
            transaction.last = outgoing.kept()

    def _fail(self, session: Session, p: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.fail(session.context)

    def fail(self, transaction: ServerTransaction) -> None:
        """Send a 500 that no session repeats: that of the transaction has failed. A repeated request is a new one to us."""
        if transaction.request is not None:
            response = build_response(transaction.request, 500, to_tag=transaction.tag or self.token())
            transaction.request = None
            self.transmit(Outgoing(response, transaction.to, transaction.local, transaction.flow), self.cause())
            if transaction.user is not None:
                transaction.user.unreachable(transaction, "its transaction has failed")

    def _acknowledge_failure(self, session: Session, p: Mapping[str, Any]) -> None:
        transaction: ClientTransaction = session.context
        sent = transaction.outgoing
        if sent is not None and isinstance(sent.message, Request):
            outgoing = sent._replace(message=build_ack(sent.message, p["message"]), cause="")
            self.transmit(outgoing, self.cause())
            transaction.last = outgoing.kept()

    def _acknowledge_success(self, session: Session, p: Mapping[str, Any]) -> None:
        transaction: ClientTransaction = session.context
        outgoing: Outgoing = p["message"]
        if transaction.acks is None:
            transaction.acks = {}
            transaction.last = None
        self.transmit(outgoing, self.cause())
        tag = outgoing.message.to_tag if isinstance(outgoing.message, Request) else None
        transaction.acks[tag or ""] = outgoing.kept()

    def _acknowledge_again(self, session: Session, p: Mapping[str, Any]) -> None:
        transaction: ClientTransaction = session.context
        ack = (transaction.acks or {}).get(p["message"].to_tag or "")
        if ack is not None:
            self.counters["retransmissions"] += 1
            self.transmit(ack, self.cause())

    def _send_cancel(self, session: Session, p: Mapping[str, Any]) -> None:
        transaction: ClientTransaction = session.context
        sent = transaction.outgoing
        if sent is not None and isinstance(sent.message, Request):
            cancel = sent._replace(message=build_cancel(sent.message, reasons(p.get("message"))), cause=self.cause())
            self.request(NOBODY, cancel, transaction.branch, "CANCEL")


_top_via = re.compile(rb"^(?:via|v)[ \t]*:[ \t]*(?P<via>[^,\r\n]+)", re.IGNORECASE | re.MULTILINE)
_cseq = re.compile(rb"^cseq[ \t]*:[ \t]*[0-9]+[ \t]+(?P<method>[A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\r", re.IGNORECASE | re.MULTILINE)
