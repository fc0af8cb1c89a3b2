"""A call's trace: every message, the rows that took or sent it, and every step, as records in order.

``Tracer`` watches one engine and hands ``Entry`` records to a sink: a list, a file, a ladder. Two things make it
worth reading. A message that came in carries *all* rows that were taken before the stack had done with it (its
transaction, the leg, the coordinator, the other leg), so that cause and effect stand side by side; therefore
what happens while a message is being taken is held back until its end. And every record names the call it belongs
to, whichever leg's Call-ID its message carries.

As JSON lines, one record each (``dump``, ``load``):

``{"kind": "message", "time": 12.003, "direction": "in", "source": "127.0.0.1:5071",
"destination": "127.0.0.1:5060", "summary": "INVITE sip:bob@127.0.0.1", "cseq": "1 INVITE",
"call_id": "a84b4c76", "call": "17", "leg": "a", "rows": ["invite_server.start", "uas.start"], "text": "INVITE sip:…"}``

``{"kind": "step", "time": 12.003, "call": "17", "session": "17.a", "machine": "leg/uas", "row": "uas.start",
"event": "engine.started", "before": "idle", "after": "incoming", "publications": ["incoming"]}``
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.transaction.client import ClientTransaction
from calltable.adapters.sip.transaction.server import ServerTransaction
from calltable.observe.entry import Entry, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.adapters.sip.transaction.sender import Traced
    from calltable.adapters.sip.transport.address import Address
    from calltable.adapters.sip.transport.interface import Flow, Receiver
    from calltable.assembly import Engine
    from calltable.engine.run.executor import Step
    from calltable.engine.run.session import Session

_REMEMBERED: Final = 20_000
"""Call-IDs whose call is known; the oldest are forgotten first."""


@dataclass(slots=True)
class _Record:
    """An entry that is not finished: the fields known so far, and what its call is found by.

    ``cause`` is the message that was being taken; ``over``: the step is the session's last.
    """

    fields: dict[str, Any]
    session: Session | None = None
    cause: _Record | None = None
    over: bool = False


@dataclass(slots=True, eq=False)
class Tracer:
    """Watches ``engine`` and gives every record to ``sink``, from the moment it is made until ``close``.

    ``epoch`` is added to the engine's time. ``texts``: whether messages are kept whole.
    """

    engine: Engine
    sink: Callable[[Entry], None]
    epoch: float = 0.0
    texts: bool = True
    _held: list[_Record] = field(default_factory=list, init=False)
    _taking: _Record | None = field(default=None, init=False)
    _met: list[Session] = field(default_factory=list, init=False)
    _calls: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)
    """The call and the leg that a Call-ID belongs to."""
    _placed: dict[int, tuple[str, str]] = field(default_factory=dict, init=False)
    """The same for running transactions that have no user to ask."""
    _inner: Receiver = field(init=False)

    def __post_init__(self) -> None:
        """Stand between the transport and the stack, and look over the engine's shoulder."""
        stack = self.engine.stack
        self._inner = stack
        stack.transport.start(self)
        stack.tracers.append(self._traced)
        self.engine.executor.observers.append(self._stepped)

    def close(self) -> None:
        """Stop watching."""
        stack = self.engine.stack
        stack.transport.start(self._inner)
        stack.tracers.remove(self._traced)
        self.engine.executor.observers.remove(self._stepped)

    # -- between the transport and the stack
    def received(self, data: bytes, source: Address, local: Address, flow: Flow) -> None:
        """Hold back what one message leads to until all its rows are known."""
        try:
            self._inner.received(data, source, local, flow)
        finally:
            taking, self._taking = self._taking, None
            if taking is not None:
                taking.fields["rows"] = tuple(dict.fromkeys(taking.fields["rows"]))
            self._flush()

    def transport_failed(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """Pass it on."""
        self._inner.transport_failed(remote, flow, reason, data)

    def connection_closed(self, flow: Flow) -> None:
        """Pass it on."""
        self._inner.connection_closed(flow)

    # -- what there is to see
    def _traced(self, traced: Traced) -> None:
        message = traced.message
        incoming = traced.direction == "in"
        local, remote = traced.local.hostport, traced.remote.hostport
        try:
            cseq, call_id = f"{message.cseq.number} {message.cseq.method}", message.call_id
        except ValueError:  # too broken to have them; it is shown all the same
            cseq = call_id = ""
        if isinstance(message, Request):
            summary = f"{message.method} {message.uri}"
        else:
            summary = f"{message.status} {message.reason}"
        fields = {
            "time": traced.time + self.epoch, "kind": "message", "direction": traced.direction,
            "source": remote if incoming else local, "destination": local if incoming else remote,
            "summary": readable(summary), "cseq": cseq, "call_id": call_id,
            "rows": [] if incoming else tuple(filter(None, traced.row.split(", "))),
            "text": bytes(message).decode("utf-8", "replace") if self.texts else "",
        }  # fmt: skip
        record = _Record(fields)
        self._held.append(record)
        if incoming:
            self._taking = record
        elif self._taking is None:
            self._flush()

    def _stepped(self, step: Step) -> None:
        session, receipt, row = step.session, step.receipt, step.row
        name = "" if row is None else row.id
        fields: dict[str, Any] = {
            "time": self.engine.executor.now + self.epoch, "kind": "step",
            "machine": session.machine.name, "row": name, "event": step.event,
            "before": session.state if receipt is None else receipt.before,
            "after": session.state if receipt is None else receipt.after,
            "publications": tuple(name for name, _ in step.publications),
            "outcome": "" if step.outcome.kind == "taken" else step.outcome.kind,
        }  # fmt: skip
        self._held.append(_Record(fields, session, self._taking, row is not None and row.final))
        self._met.append(session)
        if self._taking is not None:
            if name:
                self._taking.fields["rows"].append(name)
        else:
            self._flush()

    # -- whose it is
    def _flush(self) -> None:
        for session in self._met:
            self._learn(session)
        self._met.clear()
        held, self._held = self._held, []
        for record in held:
            fields = record.fields
            if record.session is not None:
                call, leg, path = self._place(record)
                fields.update(call=call, leg=leg, session=path)
            else:
                fields["call"], fields["leg"] = self._calls.get(fields["call_id"], ("", ""))
                fields["call_id"] = readable(fields["call_id"])
            fields["rows"] = tuple(fields.get("rows", ()))
            self.sink(Entry(**fields))

    def _place(self, record: _Record) -> tuple[str, str, str]:
        """The call, the leg and the path of a step's session; a transaction is named after its leg and method."""
        session = record.session
        if session is None:
            return "", "", ""
        context, leg = session.context, leg_of(session)
        if isinstance(context, ClientTransaction | ServerTransaction):
            words = context.key.split("|")
            method = words[0] if isinstance(context, ServerTransaction) else words[-1]
            if leg is not None:
                return leg.session.root.path, leg.session.name, f"{leg.session.path}.{method}"
            # a request that the leg was given and that has no user: the message says whose it is
            known = self._placed.get(session.id, ("", ""))
            sent = context.outgoing if isinstance(context, ClientTransaction) else None
            if not known[0] and sent is not None and isinstance(sent.message, Request):
                known = self._calls.get(sent.message.call_id, known)
            if not known[0] and record.cause is not None:
                known = self._calls.get(record.cause.fields["call_id"], known)
            if record.over:
                self._placed.pop(session.id, None)
            elif known[0]:
                self._placed[session.id] = known
            return *known, ".".join(filter(None, (*known, method)))
        root = session.root
        return root.path, "" if root is session else session.name, session.path

    def _learn(self, session: Session) -> None:
        leg = leg_of(session)
        if leg is not None and leg.dialog.call_id not in self._calls:
            if len(self._calls) >= _REMEMBERED:
                del self._calls[next(iter(self._calls))]
            self._calls[leg.dialog.call_id] = leg.session.root.path, leg.session.name


def leg_of(session: Session) -> Leg | None:
    """The leg that a session is, or that a transaction's session works for."""
    context = session.context
    if isinstance(context, Leg):
        return context
    if isinstance(context, ClientTransaction | ServerTransaction):
        user = context.user
        user = getattr(user, "leg", user)
        return user if isinstance(user, Leg) else None
    return None


