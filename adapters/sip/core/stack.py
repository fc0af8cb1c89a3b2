"""The SIP stack: between a transport's bytes and the sessions of transactions and legs.

One datagram's way in: parse, check, find its transaction or begin one, and from there it is an event. One message's
way out: a row's effect writes it in a dialog, a transaction session sends it, the transport carries it. What is
refused before any session exists (RFC 3261 §8.2) is refused here, by ``screening.py``.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Protocol

from calltable.adapters.sip.core.admission import Gate
from calltable.adapters.sip.core.bounds import Bounds
from calltable.adapters.sip.core.capabilities import Capabilities
from calltable.adapters.sip.core.handed import Handed
from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.core.legs import Legs
from calltable.adapters.sip.core.requests import deliver
from calltable.adapters.sip.core.screening import Screening
from calltable.adapters.sip.core.settling import Settling
from calltable.adapters.sip.message import (
    AnswerableError,
    MessageError,
    Request,
    Response,
    build_response,
    check,
    has_offer,
    note_source,
    parse,
)
from calltable.adapters.sip.transaction import (
    Failover,
    Locator,
    Sender,
    Transactions,
    ack_key,
    merge_key,
    names,
    seeded_tokens,
    server_key,
    unguessable_tokens,
)
from calltable.adapters.sip.transport import RELIABLE, Address, reply_to
from calltable.engine.observe import Folding

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from calltable.adapters.sip.core.admission import Admission, Source
    from calltable.adapters.sip.core.trust import Trust
    from calltable.adapters.sip.transaction import ServerTransaction
    from calltable.adapters.sip.transport import Flow, Transport
    from calltable.engine.run import Executor

_log = logging.getLogger("calltable.sip")

_KEEP_ALIVE = 16
"""Bytes; what is longer is no keep-alive."""


class Application(Protocol):
    """Who is offered calls from outside."""

    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:
        """An INVITE that opens a dialog: start a machine with it, or ``stack.refuse`` it."""

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:
        """What an INVITE in place of this OPTIONS would get now, with header fields: 200 where it would be taken (RFC 3261 §11.2)."""


class Stack:
    """One SIP element on one transport.

    ``rng`` makes tags, branches and Call-IDs; inject a seeded one for simulations, the default cannot be guessed.
    ``admission`` says who may ask how much; without it nobody is refused anything for that. ``trust`` says whose statements of identity pass;
    without it all do.
    """

    def __init__(
        self,
        executor: Executor,
        transport: Transport,
        locator: Locator,
        *,
        application: Application | None = None,
        screening: Screening | None = None,
        admission: Admission | None = None,
        trust: Trust | None = None,
        rng: random.Random | None = None,
        host: str = "",
        bounds: Bounds | None = None,
        accepts: Mapping[str, str] | None = None,
    ) -> None:
        self.executor = executor
        self.transport = transport
        self.application = application
        self.screening = screening or Screening()
        self.screening.capabilities = Capabilities(executor.machines, dict(accepts or {}))
        self.counters = executor.counters
        self.log = Folding(_log, executor.scheduler)
        tokens = seeded_tokens(rng) if rng is not None else unguessable_tokens()
        self.sender = Sender(transport, locator, executor.scheduler, self.counters, tokens, host)
        self.tracers = self.sender.tracers
        self.bounds = bounds or Bounds()
        self.transactions = Transactions(executor, self.sender, self.bounds.forks)
        self.legs = Legs(executor, self.sender, self.transactions, Failover(self.sender, self.transactions), self.bounds)
        self.gate = None if admission is None else Gate(admission, self.transactions, self.legs)
        self.sender.meter = admission
        self.trust = self.sender.trust = trust
        if admission is not None:
            admission.counters = self.counters
        self.settling = Settling(executor, self.transactions, self.legs)
        self._salt = self.sender.token()
        transport.start(self)

    # -- out
    def refuse(self, transaction: ServerTransaction, code: int, reason: str | None = None,
               headers: tuple[tuple[str, str], ...] = (), tag: str = "") -> None:
        """Answer a request that no leg takes; with our ``tag`` in To, a new one where there is none yet."""
        self.legs.refuse(transaction, code, reason, headers, tag)

    # -- in
    def received(self, data: bytes, source: Address, local: Address, flow: Flow) -> None:
        """Take one message from the transport. Never raises for anything it holds."""
        if len(data) <= _KEEP_ALIVE and not data.strip(b"\r\n\0"):
            return  # what keeps a NAT open (RFC 5626 §3.5)
        counted = None if self.gate is None else self.gate.policy.source(source, len(data))
        most = 0 if counted is None else len(data)  # who is counted gets no refusal that is larger than what it sent
        if counted is not None and self.gate is not None and self.gate.dismisses(data, counted):
            return
        try:
            message = parse(data, stream=source.transport in RELIABLE)
        except MessageError as error:
            self.counters["malformed"] += 1
            if counted is not None and not counted.stray():
                return
            self.log.info("malformed message from %s: %s", source, error.reason)
            if isinstance(error, AnswerableError) and error.status is not None:
                self._refuse_statelessly(error.request, error.status, error.reason, (), source, local, flow, most)
            return
        if counted is not None and not self._admitted(message, counted, most, source, local, flow):
            return
        rejection = check(message)
        if rejection is not None:
            self.counters["malformed"] += 1
            self.log.info("refused message from %s: %s", source, rejection.reason)
            if rejection.status is not None and isinstance(message, Request):
                self._refuse_statelessly(
                    message, rejection.status, rejection.reason, rejection.headers, source, local, flow, most
                )
            return
        if self.tracers:
            self.sender.trace("in", message, local, source, "")
        if self.trust is not None:
            self.trust.came(message, source)
        if isinstance(message, Response):
            if not self.sender.wrote(message.via.sent_by) or not self.transactions.response(message):  # §18.1.2
                self.counters["stray responses"] += 1
            return
        note_source(message, source.host, source.port)
        self._request(message, source, local, flow, counted)

    def _admitted(self, message: Request | Response, counted: Source, size: int, source: Address, local: Address, flow: Flow) -> bool:
        """Whether a message passes the gate; one that is refused is answered here."""
        rejection = None if self.gate is None else self.gate.judge(message, counted)
        if rejection is None:
            return True
        if rejection.status is not None and isinstance(message, Request):
            if self.tracers:
                self.sender.trace("in", message, local, source, "")
            self._refuse_statelessly(message, rejection.status, rejection.reason, rejection.headers, source, local, flow, size)
        return False

    def _request(self, request: Request, source: Address, local: Address, flow: Flow, counted: Source | None) -> None:
        method = request.method
        transactions = self.transactions
        if method == "ACK":
            self._ack(request)
            return
        key = server_key(request, method)
        known = transactions.servers.get(key)
        if known is not None and known.session is not None:
            self.executor.dispatch(known.session, "sip.repeated")
            return
        to = reply_to(request.via, source)
        merged = ""
        if method != "CANCEL" and request.to_tag is None:
            merged = merge_key(request)
            if merged in transactions.requests:
                self.refuse(transactions.serve(request, key, to, local, flow, counted, source), 482)
                return
        transaction = transactions.serve(request, key, to, local, flow, counted, source)
        if not transaction.open:
            return  # its own session has failed, and has said so
        if merged:
            transaction.merged = merged
            transactions.requests[merged] = key
        try:
            if method == "CANCEL":
                self._cancel(request, transaction)
            elif request.to_tag is not None:
                self._in_dialog(request, transaction)
            else:
                self._outside(request, transaction)
        except Exception as error:  # noqa: BLE001 - a request that has a transaction gets a final response, whatever happens
            self.settling.broken(transaction, error)

    def _ack(self, request: Request) -> None:
        transaction = self.transactions.servers.get(server_key(request, "INVITE"))
        if transaction is None or transaction.ack_key:
            # to a 2xx: a transaction of its own, found by dialog and CSeq (§13.2.2.4)
            found = self.transactions.acks.get(ack_key(request.call_id, request.to_tag, request.cseq.number))
            transaction = found or transaction
        if transaction is None or transaction.session is None:
            self.counters["stray ACKs"] += 1
            return
        self.executor.dispatch(transaction.session, "sip.ack", {"message": request})

    def _cancel(self, request: Request, transaction: ServerTransaction) -> None:
        invite = self.transactions.servers.get(server_key(request, "INVITE"))
        if invite is None or invite.names != names(request):
            self.refuse(transaction, 481)
        elif isinstance(invite.user, Leg) and invite is invite.user.invite_server and not invite.user.session.ended:
            invite.user.cancel_server = transaction
            payload = {"message": request, "transaction": transaction.key}
            self.executor.dispatch(invite.user.session, "sip.cancel", payload)
        else:
            self.refuse(transaction, 200, tag=invite.tag)  # §9.2: the INVITE has had its final response, with this tag

    def _in_dialog(self, request: Request, transaction: ServerTransaction) -> None:
        found = self.legs.find(request.call_id, request.to_tag, request.from_tag)
        if found is None:
            self.refuse(transaction, 481)
            return
        leg, dialog = found
        refusal = self.screening.in_dialog(request)
        if refusal is not None:
            self.refuse(transaction, refusal.status or 500, refusal.reason, refusal.headers)
            return
        number = request.cseq.number
        last = dialog.remote_cseq
        if last is not None and number <= last:
            self.counters["out of order"] += 1
            self.refuse(transaction, 500, "CSeq Out Of Order", (("Retry-After", "1"),))  # §12.2.2
        elif request.method != "BYE" and self.bounds.exceeded(request):
            self.refuse(transaction, 513)
        elif request.method != "BYE" and len(leg.open or ()) >= self.bounds.open_requests:
            self.counters["requests above the bound"] += 1
            self.refuse(transaction, 500, "Too Many Requests Wait", (("Retry-After", "1"),))
        elif not deliver(leg, transaction, request, dialog):
            self.refuse(transaction, 405, headers=(("Allow", ", ".join(self.screening.capabilities.allow)),))

    def _outside(self, request: Request, transaction: ServerTransaction) -> None:
        refusal = self.screening.outside(request)
        if refusal is not None:
            self.refuse(transaction, refusal.status or 500, refusal.reason, refusal.headers)
        elif self.bounds.exceeded(request):
            self.refuse(transaction, 513)
        elif (machine := self.screening.capabilities.accepts.get(request.method)) is not None:
            Handed(self.legs, transaction).start(self.executor, machine, request)
        elif self.application is None:
            self.refuse(transaction, 480, headers=self.screening.described() if request.method == "OPTIONS" else ())
        elif request.method == "OPTIONS":
            status, headers = self.application.availability(request, transaction.source)
            self.refuse(transaction, status, headers=(*self.screening.described(), *headers))
        else:
            self.application.incoming(self, transaction, request, offer=has_offer(request))

    def _refuse_statelessly(self, request: Request, status: int, reason: str, headers: tuple[tuple[str, str], ...],
                            source: Address, local: Address, flow: Flow, most: int = 0) -> None:
        """Answer without a transaction (§8.2.7): repetitions get the same answer again. Above ``most`` bytes (0: any size), nothing."""
        try:
            note_source(request, source.host, source.port)
            to = reply_to(request.via, source)
        except MessageError:
            to = source
        tag = hashlib.blake2s(f"{self._salt}{request.all('via')}".encode(errors="surrogateescape"), digest_size=8)
        try:
            response = build_response(request, status, reason, to_tag=tag.hexdigest(), headers=headers)
            self.sender.respond_statelessly(response, to, local, flow, most)
        except ValueError:
            self.counters["unanswerable"] += 1

    # -- what the transport tells
    def transport_failed(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:  # noqa: ARG002
        """A message could not be delivered."""
        self.counters["undeliverable"] += 1
        self.log.info("undeliverable to %s: %s", remote, reason)
        self.transactions.failed(data, reason)

    def connection_closed(self, flow: Flow) -> None:
        """A connection is gone. What was lost with it goes on a new one, or comes back by ``transport_failed``."""

    def compact(self) -> None:
        """Give back the room that dictionaries keep of their largest day; those that are empty now."""
        transactions = self.transactions
        for one in (
            self.executor.sessions, transactions.clients, transactions.servers, transactions.requests, transactions.acks,
            self.legs.index.legs, self.legs.index.calls,
        ):  # fmt: skip
            if not one:
                one.clear()

    def snapshot(self) -> dict[str, Any]:
        """How much is alive: sessions, timers, transactions, dialogs."""
        return {
            "sessions": len(self.executor.sessions),
            "timers": len(self.executor.timers),
            "transactions": len(self.transactions.clients) + len(self.transactions.servers),
            "dialogs": len(self.legs.dialogs),
        }
