"""Transactions as seen from Python: matching, and the few things that their tables ask for.

What a transaction *does* stands in ``tables/transaction``. Here are the two kinds of owner of such a session
(``ClientTransaction``, ``ServerTransaction``), which pass what it publishes on to the transaction user, and the layer
that finds the transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3) and carries the actions out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from calltable.adapters.sip.message.body import reasons
from calltable.adapters.sip.message.build import build_ack, build_cancel, build_response
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.headers import BRANCH_COOKIE, parse_via
from calltable.adapters.sip.message.message import Request, Response, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.adapters.sip.transport.interface import Address, Flow
    from calltable.engine.run.executor import Executor
    from calltable.engine.run.session import Session

PROVISIONAL, SUCCESS, FAILURE = 200, 300, 700


class Sent:
    """A message that is kept only to be sent again: its bytes, a fifth of what the message takes."""

    __slots__ = ("data",)

    def __init__(self, message: Request | Response | Sent) -> None:
        self.data = bytes(message)

    def __bytes__(self) -> bytes:
        return self.data


class Outgoing(NamedTuple):
    """A message on its way: where to, from which listener, on which flow, and the row that wanted it."""

    message: Request | Response | Sent
    to: Address
    source: Address | None
    flow: Flow | None
    cause: str = ""

    def kept(self) -> Outgoing:
        """The same to send again, for no other reason than its transaction's."""
        return Outgoing(Sent(self.message), self.to, self.source, self.flow)


class ClientUser(Protocol):
    """Who sent a request: told what comes of it."""

    def responded(self, transaction: ClientTransaction, kind: str, code: int, message: Response | None) -> None:
        """``kind`` is provisional, success, failure, forked. Without a message: 408 timeout, 487, 503."""


class ServerUser(Protocol):
    """Who answers an INVITE: told about the ACK to its 2xx."""

    def acknowledged(self, transaction: ServerTransaction, message: Request | None) -> None:
        """The ACK came; None where it did not within 64*T1."""

    def unreachable(self, transaction: ServerTransaction, reason: str) -> None:
        """A response could not be delivered, and no final one will be (§17.2.4)."""


class ClientTransaction:
    """A request we sent; the owner of its session."""

    __slots__ = ("acks", "branch", "key", "last", "layer", "outgoing", "session", "tags", "user")

    def __init__(self, layer: Transactions, user: ClientUser, outgoing: Outgoing, branch: str, method: str) -> None:
        self.layer = layer
        self.user = user
        self.outgoing: Outgoing | None = outgoing
        self.branch = branch
        self.key = f"{branch}|{method}"
        self.last: Outgoing | None = None
        self.tags: tuple[str, ...] = ()
        self.acks: dict[str, Outgoing] | None = None
        self.session: Session | None = None

    def published(self, executor: Executor, child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Pass on to whoever sent the request what its transaction says."""
        user = self.user
        if name in ("provisional", "success", "failure", "forked"):
            message = fields["message"]
            user.responded(self, name, message.status, message)
        elif name == "final":
            message = fields["message"]
            user.responded(self, "success" if message.status < SUCCESS else "failure", message.status, message)
        elif name == "timeout":
            self.layer.counters["client timeouts"] += 1
            user.responded(self, "failure", 408, None)
        elif name == "cancelled":
            user.responded(self, "failure", 487, None)
        else:
            user.responded(self, "failure", 503, None)
        if name in ("success", "failure", "final"):
            self.outgoing = None  # nothing is built from the request any more: a held call keeps no INVITE

    def child_ended(self, executor: Executor, child: Session) -> None:  # noqa: ARG002
        """Forget the transaction."""
        self.layer.clients.pop(self.key, None)
        self.user, self.session = _NOBODY, None  # no circles: a call is freed when it ends, not when the collector runs


class ServerTransaction:
    """A request we received; the owner of its session and the handle that tables pass around."""

    __slots__ = ("ack_key", "flow", "key", "last", "layer", "local", "merged", "method", "request", "session", "to", "user")

    def __init__(self, layer: Transactions, request: Request, key: str, to: Address, local: Address, flow: Flow) -> None:
        self.layer = layer
        self.request: Request | None = request
        self.method = request.method
        self.key = key
        self.merged = ""
        self.ack_key = ""
        self.to = to
        self.local = local
        self.flow: Flow | None = flow
        self.last: Outgoing | None = None
        self.user: ServerUser | None = None
        self.session: Session | None = None

    @property
    def open(self) -> bool:
        """Whether a final response is still owed."""
        return self.request is not None

    def published(self, executor: Executor, child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Pass on to whoever answers the request what its transaction says."""
        if name == "acknowledged":
            self.last = None  # the 2xx is never sent again
            if self.user is not None:
                self.user.acknowledged(self, fields["message"])
        elif name == "unacknowledged" and self.user is not None:
            self.user.acknowledged(self, None)
        elif name == "transport_error":
            self.layer.counters["responses undeliverable"] += 1
            if self.user is not None and self.open:
                self.user.unreachable(self, fields["reason"])

    def child_ended(self, executor: Executor, child: Session) -> None:  # noqa: ARG002
        """Forget the transaction."""
        layer = self.layer
        layer.servers.pop(self.key, None)
        if self.merged:
            layer.requests.pop(self.merged, None)
        if self.ack_key:
            layer.acks.pop(self.ack_key, None)
        self.request = self.last = self.user = self.session = None


class Transactions:
    """Finds, makes and serves transactions. ``transmit`` puts a message on the wire."""

    def __init__(self, executor: Executor, transmit: Callable[[Outgoing, str], None]) -> None:
        self.executor = executor
        self.transmit = transmit
        self.counters = executor.counters
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
        transaction.session = self.executor.start(
            machine, transaction, name=transaction.key, context=transaction,
            message=outgoing, reliable=outgoing.to.reliable,
        )  # fmt: skip
        return transaction

    def serve(self, request: Request, key: str, to: Address, local: Address, flow: Flow) -> ServerTransaction:
        """Begin the transaction of a new request."""
        transaction = ServerTransaction(self, request, key, to, local, flow)
        self.servers[key] = transaction
        machine = "transaction/invite_server" if request.method == "INVITE" else "transaction/server"
        transaction.session = self.executor.start(
            machine, transaction, name=key, context=transaction, reliable=to.reliable
        )
        return transaction

    def respond(self, transaction: ServerTransaction, response: Response, tag: str) -> bool:
        """Send a response, with our ``tag``, to the transaction's request; False where it has had its final one."""
        request, session = transaction.request, transaction.session
        if request is None or session is None or session.ended:
            return False
        status = response.status
        if status == 408 and transaction.method != "INVITE":
            transaction.request = None
            self.executor.post(session, "user.silence")  # RFC 4320 §4.2
            return True
        if status >= PROVISIONAL:
            transaction.request = None
            if transaction.method == "INVITE" and status < SUCCESS:
                transaction.ack_key = ack_key(request.call_id, tag, request.cseq.number)
                self.acks[transaction.ack_key] = transaction
        outgoing = Outgoing(response, transaction.to, transaction.local, transaction.flow, self.cause())
        event = "user.provisional" if status < PROVISIONAL else "user.success" if status < SUCCESS else "user.failure"
        self.executor.post(session, event, {"message": outgoing})
        return True

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
        tags = transaction.tags
        tag = tags[0] if len(tags) == 1 else parse(bytes(outgoing.message)).to_tag or ""
        transaction.acks[tag] = outgoing.kept()

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
            self.request(_NOBODY, cancel, transaction.branch, "CANCEL")


class _Nobody:
    """The user of a CANCEL: its response changes nothing, the INVITE's does (§9.1)."""

    def responded(self, transaction: ClientTransaction, kind: str, code: int, message: Response | None) -> None:
        pass


_NOBODY = _Nobody()
_top_via = re.compile(rb"^(?:via|v)[ \t]*:[ \t]*(?P<via>[^,\r\n]+)", re.IGNORECASE | re.MULTILINE)
_cseq = re.compile(rb"^cseq[ \t]*:[ \t]*[0-9]+[ \t]+(?P<method>[A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\r", re.IGNORECASE | re.MULTILINE)


def server_key(request: Request, method: str) -> str:
    """What identifies the server transaction of a request (§17.2.3); ``method`` is INVITE for its ACK and CANCEL."""
    via = request.via
    branch = via.branch
    if branch is not None and branch.startswith(BRANCH_COOKIE):
        return f"{method}|{via.sent_by}|{branch}"
    # RFC 2543: no branch to go by
    return f"{method}|{via.sent_by}|{request.call_id}|{request.cseq.number}|{request.from_tag}"


def merge_key(request: Request) -> str:
    """What merged copies of one request share (§8.2.2.2)."""
    cseq = request.cseq
    return f"{request.call_id}|{cseq.number}|{cseq.method}|{request.from_tag}"


def ack_key(call_id: str, tag: str | None, number: int) -> str:
    """What ties the ACK to a 2xx (§13.2.2.4): Call-ID, the answerer's tag and the INVITE's CSeq number."""
    return f"{call_id}|{tag}|{number}"
