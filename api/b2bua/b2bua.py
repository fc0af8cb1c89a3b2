"""The B2BUA: gives each incoming call to a coordinator table and tells it where calls go.

What happens in a call stands in ``tables/b2bua``. Here is only the door: limits, draining, routes, and the list of
calls that are up.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import Content, Request, quote_string
from calltable.b2bua.call import CallRecord
from calltable.b2bua.routes import Finder, Routed
from calltable.engine.observe import Folding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from calltable.adapters.sip.core import Stack
    from calltable.adapters.sip.transaction import Account, ServerTransaction
    from calltable.adapters.sip.transport import Address
    from calltable.assembly import Engine
    from calltable.engine.run import Queue, Session

log = logging.getLogger("calltable.routes")

BRIDGE = "b2bua/bridge"


class B2BUA:
    """Runs one session of ``machine`` for each incoming call, and asks ``router`` where it goes: any object with such a ``find``.

    Raises TypeError for a router without one. ``max_calls`` bounds the calls that are up at once; more get 503 with
    Retry-After (RFC 3261 §21.5.4). ``ended`` is called with each call that is over.
    """

    def __init__(self, engine: Engine, router: Finder, *, machine: str = BRIDGE, max_calls: int = 10_000,
                 retry_after: int = 5) -> None:
        if not callable(getattr(router, "find", None)):
            msg = f"B2BUA: {router!r} is not a router: it has no method find(request, source)"
            raise TypeError(msg)
        self.engine = engine
        self.router = router
        self.machine = machine
        self.max_calls = max_calls
        self.retry_after = retry_after
        self.calls: dict[int, Session] = {}
        self.records: dict[int, CallRecord] = {}
        """What is known of each call of ``calls``."""
        self.numbered = 0
        """How many calls were taken: the number of the last one."""
        self._accounts: dict[int, Account] = {}
        """Whom each call counts for, where sources are counted."""
        self._untaken: dict[int, ServerTransaction] = {}
        """INVITEs that their call has given to no leg yet: it must not end and leave them without an answer."""
        self._log = Folding(log, engine.executor.scheduler)
        self.draining = False
        self.ended: list[Callable[[Session], None]] = []
        engine.stack.application = self
        engine.run(handlers={"route.find": self._find})

    # -- as the stack's application
    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:
        """Take a call, or say why not."""
        counters = stack.counters
        if self.draining or len(self.calls) >= self.max_calls:
            counters["calls turned away"] += 1
            stack.refuse(transaction, 503, None, (("Retry-After", str(self.retry_after)),))
            return
        counters["calls"] += 1
        self.numbered += 1
        number = str(self.numbered)
        session = stack.executor.create(self.machine, self, number)
        source = session.context = transaction.source
        self.calls[session.id] = session
        self.records[session.id] = CallRecord(
            number, session, request.from_.uri, request.uri, request.call_id, str(source), stack.executor.now
        )
        account = transaction.account
        if account is not None:
            account.took_call()
            self._accounts[session.id] = account
        stack.executor.dispatch(
            session, "engine.started", {"transaction": transaction.key, "message": request, "offer": offer}
        )
        if transaction.open and transaction.user is None:
            if session.ended:
                stack.refuse(transaction, 500)
            else:
                self._untaken[session.id] = transaction

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:
        """What an INVITE would get now: 503 where no calls are taken, the status of a route that rejects, 404 without a route."""
        if self.draining or len(self.calls) >= self.max_calls:
            return 503, (("Retry-After", str(self.retry_after)),)
        found = self.router.find(request, source)
        if isinstance(found, Routed):
            found = found.target or found.reject
        return found if isinstance(found, int) else 200, ()

    # -- as the owner of calls
    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Count what calls publish; observers of the executor see the rest."""
        executor.counters[f"calls {name}"] += 1
        if name == "connected":
            record = self.records.get(child.id)
            if record is not None and record.connected is None:
                record.connected = self.engine.executor.now

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """Forget a call that is over."""
        self.calls.pop(child.id, None)
        self.records.pop(child.id, None)
        untaken = self._untaken.pop(child.id, None)
        if untaken is not None and untaken.user is None:
            self.engine.stack.refuse(untaken, 500)
        account = self._accounts.pop(child.id, None)
        if account is not None:
            account.lost_call()
        executor.counters["calls ended"] += 1
        for tell in self.ended:
            tell(child)

    def hangup(self, reason: str = "", sessions: Iterable[Session] | None = None, *, cause: str = "SIP;cause=503") -> None:
        """End calls that are up (all without ``sessions``), through their own rows.

        ``reason`` is told to both sides of each, behind ``cause``: a protocol and its cause (RFC 3326 §2).
        """
        why = Content(headers=[("Reason", f"{cause};text={quote_string(reason)}")]) if reason else None
        for session in list(self.calls.values() if sessions is None else sessions):
            self.engine.executor.dispatch(session, "user.hangup", {"message": why})

    def _find(self, session: Session, p: Mapping[str, Any]) -> None:
        message: Request = p["message"]
        found = self.router.find(message, session.context)
        if isinstance(found, int):
            found = Routed(reject=found)
        elif isinstance(found, str):
            found = Routed(found)
        record = self.records.get(session.id)
        if record is not None:
            record.route, record.target = found.route, found.target or ""
        if found.reason:
            self._log.warning("a route could not be used", parts={"call": session.path, "route": found.route, "reason": found.reason})
        if found.target is None:
            self.engine.executor.post(session, "route.rejected", {"code": found.reject})
        else:
            sent = _with(message, found.headers) if found.headers else message
            self.engine.executor.post(session, "route.target", {"target": found.target, "message": sent})


def _with(message: Request, headers: tuple[tuple[str, str], ...]) -> Request:
    """The request with these header fields in place of its own of the same names; the one that came in stays as it is."""
    made = Request(message.method, message.uri, list(message.headers), message.body, version=message.version)
    for name, _ in headers:
        made.remove(name)
    for name, value in headers:
        made.add(name, value)
    return made
