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
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from calltable.adapters.sip.core import Leg
from calltable.adapters.sip.message import Request
from calltable.adapters.sip.transaction import ClientTransaction, ServerTransaction
from calltable.observe.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.adapters.sip.transaction import Traced
    from calltable.adapters.sip.transport import Address, Flow, Receiver
    from calltable.assembly import Engine
    from calltable.engine.run import Session, Step

_REMEMBERED: Final = 20_000
"""Call-IDs whose call is known; the oldest are forgotten first."""


@dataclass(slots=True, eq=False)
class _Message:
    """A message that is not placed yet; ``rows`` grows while it is being taken."""

    time: float
    incoming: bool
    local: str
    remote: str
    summary: str
    cseq: str
    call_id: str
    rows: list[str]
    text: str


class _Step(NamedTuple):
    """A step that is not placed yet. ``cause`` is the message that was being taken."""

    time: float
    session: Session
    cause: _Message | None
    row: str
    event: str
    before: str
    after: str
    publications: tuple[str, ...]
    outcome: str
    over: bool


_Place: TypeAlias = "tuple[str, str, str]"
"""The call, the leg and the path of a session."""
_NOWHERE: Final = ("", "")


@dataclass(slots=True, eq=False)
class Tracer:
    """Watches ``engine`` and gives every record to ``sink``, from the moment it is made until ``close``.

    ``epoch`` is added to the engine's time. ``texts``: whether messages are kept whole.
    """

    engine: Engine
    sink: Callable[[Entry], None]
    epoch: float = 0.0
    texts: bool = True
    _held: list[_Message | _Step] = field(default_factory=list, init=False)
    _taking: _Message | None = field(default=None, init=False)
    _calls: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)
    """The call and the leg that a Call-ID belongs to."""
    _placed: dict[int, _Place] = field(default_factory=dict, init=False)
    """The place of each running session that was met: it never changes."""
    _inner: Receiver = field(init=False)

    def __post_init__(self) -> None:
        """Stand between the transport and the stack, and look over the engine's shoulder."""
        stack = self.engine.stack
        self._inner = stack
        stack.transport.start(self)
        stack.tracers.append(self._traced)
        self.engine.executor.observers.append(self._stepped)
        self.engine.executor.on_end.append(self._gone)

    def close(self) -> None:
        """Stop watching."""
        stack = self.engine.stack
        stack.transport.start(self._inner)
        stack.tracers.remove(self._traced)
        self.engine.executor.observers.remove(self._stepped)
        self.engine.executor.on_end.remove(self._gone)

    # -- between the transport and the stack
    def received(self, data: bytes, source: Address, local: Address, flow: Flow) -> None:
        """Hold back what one message leads to until all its rows are known."""
        try:
            self._inner.received(data, source, local, flow)
        finally:
            self._taking = None
            self._flush()

    def transport_failed(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """Pass it on."""
        self._inner.transport_failed(remote, flow, reason, data)

    def connection_closed(self, flow: Flow) -> None:
        """Pass it on."""
        self._inner.connection_closed(flow)

    # -- what there is to see
    def _traced(self, traced: Traced) -> None:
        time, direction, message, local, remote, row = traced
        incoming = direction == "in"
        try:
            number, method = message.cseq
            cseq, call_id = f"{number} {method}", message.call_id
        except ValueError:  # too broken to have them; it is shown all the same
            cseq = call_id = ""
        summary = f"{message.method} {message.uri}" if isinstance(message, Request) else f"{message.status} {message.reason}"
        rows = [] if incoming else [one for one in row.split(", ") if one]
        text = bytes(message).decode("utf-8", "surrogateescape") if self.texts else ""
        record = _Message(time + self.epoch, incoming, local.hostport, remote.hostport, summary, cseq, call_id, rows, text)
        self._held.append(record)
        if incoming:
            self._taking = record
        elif self._taking is None:
            self._flush()

    def _stepped(self, step: Step) -> None:
        session, event, _, outcome, row, receipt, publications = step
        name = "" if row is None else row.id
        before, after = (session.state, session.state) if receipt is None else (receipt.before, receipt.after)
        published = tuple([name for name, _ in publications]) if publications else ()
        kind = outcome.kind
        taking = self._taking
        self._held.append(_Step(
            self.engine.executor.now + self.epoch, session, taking, name, event, before, after, published,
            "" if kind == "taken" else kind, row is not None and row.final,
        ))  # fmt: skip
        if taking is None:
            self._flush()
        elif name:
            taking.rows.append(name)

    # -- whose it is
    def _flush(self) -> None:
        held = self._held
        if not held:
            return
        self._held = []
        placed = self._placed
        for record in held:
            if isinstance(record, _Step) and record.session.id not in placed:
                self._learn(record.session)
        sink = self.sink
        for record in held:
            if isinstance(record, _Step):
                time, session, cause, row, event, before, after, publications, outcome, over = record
                call, leg, path = placed.get(session.id) or self._place(session, cause)
                sink(_entry(Entry, (
                    time, "step", "in", "", "", "", "", "", leg, (), "", False, path, session.machine.name, row, event, before, after,
                    publications, call, outcome,
                )))  # fmt: skip
                if over or session.ended:
                    placed.pop(session.id, None)
            else:
                call, leg = self._calls.get(record.call_id, _NOWHERE)
                if record.incoming:
                    direction, source, destination = "in", record.remote, record.local
                else:
                    direction, source, destination = "out", record.local, record.remote
                sink(_entry(Entry, (
                    record.time, "message", direction, source, destination, record.summary, record.cseq, record.call_id, leg,
                    tuple(dict.fromkeys(record.rows)), record.text, False, "", "", "", "", "", "", (), call, "",
                )))  # fmt: skip

    def _place(self, session: Session, cause: _Message | None) -> _Place:
        """The call, the leg and the path of a session; a transaction is named after its leg and method."""
        context, leg = session.context, leg_of(session)
        if isinstance(context, ClientTransaction | ServerTransaction):
            words = context.key.split("|")
            method = words[0] if isinstance(context, ServerTransaction) else words[-1]
            if leg is not None:
                found = leg.session.root.path, leg.session.name, f"{leg.session.path}.{method}"
            else:
                # a request that the leg was given and that has no user: the message says whose it is
                known = _NOWHERE
                sent = context.outgoing if isinstance(context, ClientTransaction) else None
                if sent is not None and isinstance(sent.message, Request):
                    known = self._calls.get(sent.message.call_id, known)
                if not known[0] and cause is not None:
                    known = self._calls.get(cause.call_id, known)
                found = *known, ".".join(filter(None, (*known, method)))
                if not known[0]:
                    return found  # it may be known later
        else:
            root = session.root
            found = root.path, "" if root is session else session.name, session.path
        self._placed[session.id] = found
        return found

    def _gone(self, session: Session) -> None:
        self._placed.pop(session.id, None)

    def _learn(self, session: Session) -> None:
        leg = leg_of(session)
        if leg is not None and leg.dialog.call_id not in self._calls:
            if len(self._calls) >= _REMEMBERED:
                del self._calls[next(iter(self._calls))]
            self._calls[leg.dialog.call_id] = leg.session.root.path, leg.session.name


_entry = tuple.__new__
"""Makes a named tuple without its own constructor: the same object in a third of the time, for every message and step."""


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


