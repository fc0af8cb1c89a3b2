"""User agents of a simulation: the shipped leg tables with a person's hand on them.

An ``Agent`` runs ``leg/uac`` and ``leg/uas`` as sessions of their own. An ``AgentCall`` is one call at one agent: what can be done
with it (ring, answer, hang up, hold …), what it has heard, and which session descriptions hold at this end. Commands that the
table refuses raise ``Refused``.

What nobody wants to write in each test happens by itself, unless ``call.manual`` is set: a re-INVITE gets an answer, a late
offer is answered in the ACK, other requests get 200.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.adapters.sip.message.body import Content, has_offer
from calltable.assembly import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.adapters.simulated.clock import VirtualClock
    from calltable.adapters.sip.core.stack import Stack
    from calltable.adapters.sip.message.message import Request, Response
    from calltable.adapters.sip.transaction.server import ServerTransaction
    from calltable.adapters.sip.transport.address import Address
    from calltable.assembly import Engine
    from calltable.engine.run.ports import Queue
    from calltable.engine.run.session import Session

SDP = "application/sdp"


def session_description(owner: str, version: int = 1, direction: str = "sendrecv", host: str = "192.0.2.1") -> bytes:
    """A small session description (RFC 8866) that names its owner, so that tests see whose it is."""
    lines = (
        "v=0", f"o={owner} {sum(owner.encode())} {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        "m=audio 40000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", f"a={direction}",
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines).encode()


_ANSWERS = {b"a=sendonly": "recvonly", b"a=recvonly": "sendonly", b"a=inactive": "inactive"}


class Heard(NamedTuple):
    """Something a leg published: when (seconds), what, and its fields."""

    time: float
    name: str
    fields: Mapping[str, Any]


class Agent:
    """A user agent at one address. ``incoming`` is called with each call that comes in, after it was heard."""

    def __init__(self, name: str, engine: Engine, clock: VirtualClock, address: Address) -> None:
        self.name = name
        self.engine = engine
        self.clock = clock
        self.address = address
        self.calls: list[AgentCall] = []
        self.incoming_call: Callable[[AgentCall], None] | None = None
        engine.stack.application = self

    def call(self, target: str, body: bytes | None = None, *, offer: bool = True, headers: Mapping[str, str] | None = None,
             user: str = "", manual: bool = False) -> AgentCall:
        """Place a call. Without ``offer`` the INVITE has no body, and the other side makes the offer."""
        call = AgentCall(self, manual=manual, placed=True)
        self.calls.append(call)
        if offer:
            call.offered = body if body is not None else call.describe()
        content = Content(call.offered or b"", SDP if call.offered else None, (headers or {}).items())
        executor = self.engine.executor
        call.session = executor.create("leg/uac", call, user or self.name)
        executor.dispatch(call.session, "engine.started", {
            "target": target, "message": content, "offer": offer, "relay": False,
            "from": f"sip:{user or self.name}@{self.address.host}",
        })  # fmt: skip
        return call

    @property
    def last(self) -> AgentCall:
        """The latest call. Raises IndexError where there was none."""
        return self.calls[-1]

    def hangup(self) -> None:
        """Hang up every call that has not ended."""
        for call in list(self.calls):
            if not call.ended:
                call.hangup()

    # -- as the stack's application
    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:
        """Take a call."""
        call = AgentCall(self, manual=False, placed=False)
        call.invite = request
        call.proposed = request.body if offer else None
        self.calls.append(call)
        call.session = stack.executor.create("leg/uas", call, self.name)
        stack.executor.dispatch(
            call.session, "engine.started", {"transaction": transaction.key, "message": request, "offer": offer, "relay": False}
        )
        if self.incoming_call is not None:
            self.clock.call_soon(self.incoming_call, call)

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:  # noqa: ARG002
        """What an INVITE would get now."""
        return 200, ()


@dataclass(eq=False)
class AgentCall:
    """One call at one agent."""

    agent: Agent
    manual: bool
    placed: bool

    def __post_init__(self) -> None:
        self.session: Session | None = None
        self.ended = False
        self.end_time: float | None = None
        self.events: list[Heard] = []
        self.invite: Request | None = None
        """The INVITE that opened an incoming call."""
        self.local: bytes | None = None
        """The session description of this end that holds, once an offer was answered."""
        self.remote: bytes | None = None
        self.offered: bytes | None = None
        """The offer of our INVITE that waits for its answer, or for another try after a glare."""
        self.proposed: bytes | None = None
        """An offer of the other end that waits for our answer."""
        self.answers_after = 0.0
        """Seconds that a re-INVITE waits for its answer."""
        self._accepted: bytes | None = None
        self._reinvites = 0
        self._version = 0
        self._handles = 0

    # -- reading
    @property
    def state(self) -> str:
        """The state of the leg; ``terminated`` once it is gone."""
        return self.session.state if self.session is not None else "idle"

    @property
    def heard(self) -> list[str]:
        """The names of what the leg published, in order."""
        return [event.name for event in self.events]

    def last(self, name: str) -> Heard:
        """The latest publication of this name. Raises LookupError where there was none."""
        found = [event for event in self.events if event.name == name]
        if found:
            return found[-1]
        msg = f"{self} has not heard {name}; it heard {', '.join(self.heard) or 'nothing'}"
        raise LookupError(msg)

    @property
    def confirmed(self) -> bool:
        """Whether the call was set up: answered and, where the answer was ours, acknowledged."""
        return ("answered" if self.placed else "confirmed") in self.heard

    def __repr__(self) -> str:
        direction = "call from" if self.placed else "call to"
        return f"<{direction} {self.agent.name} in {self.state}>"

    # -- doing
    def tell(self, event: str, **fields: Any) -> None:
        """Give the leg a command. Raises ``Refused`` where its table does."""
        if self.session is None:
            raise Refused(event, "idle", "the call has not begun")
        before = self.session.state
        outcome = self.agent.engine.executor.dispatch(self.session, event, fields)
        if not outcome.ok:
            raise Refused(event, before, outcome.detail or f"the leg is over ({outcome.kind})")

    def describe(self, direction: str = "sendrecv") -> bytes:
        """A new session description of this end."""
        self._version += 1
        return session_description(self.agent.name, self._version, direction)

    def ring(self, code: int = 180, body: bytes = b"") -> None:
        """Send a provisional response."""
        self.tell("user.progress", code=code, message=Content(body) if body else None)

    def answer(self, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Accept the INVITE that waits, the first or a later one, with an answer or, where it had no offer, with one."""
        described = body if body is not None else self._reply()
        self._accepted = described
        self.tell("user.answer", message=Content(described, SDP, (headers or {}).items()))

    def reject(self, code: int = 486, headers: Mapping[str, str] | None = None) -> None:
        """Refuse the INVITE that waits, the first or a later one."""
        self.proposed = None
        self.tell("user.reject", code=code, message=Content(headers=(headers or {}).items()))

    def hangup(self) -> None:
        """End the call, whatever it is doing."""
        self.tell("user.hangup")

    def reinvite(self, body: bytes | None = None, *, offer: bool = True) -> None:
        """Send a re-INVITE; without ``offer`` the other side makes one."""
        offered = (body if body is not None else self.describe()) if offer else None
        self.tell("user.reinvite", message=Content(offered or b"") if offered else None, offer=offer)
        self.offered = offered

    def hold(self) -> None:
        """Ask the other side to stop sending (RFC 3264 §8.4)."""
        self.reinvite(self.describe("sendonly"))

    def resume(self) -> None:
        """Go on after a hold."""
        self.reinvite(self.describe())

    def cancel(self) -> None:
        """Withdraw the re-INVITE that is under way."""
        self.tell("user.cancel")

    def acknowledge(self, body: bytes | None = None) -> None:
        """Give the answer that the ACK carries."""
        described = body if body is not None else self._reply()
        self.tell("user.acknowledge", message=Content(described))
        self._settle(described, self.proposed)

    def request(self, method: str, body: bytes = b"", content_type: str = "text/plain",
                headers: Mapping[str, str] | None = None) -> str:
        """Send another request in the dialog; gives the name under which its ``response`` is heard."""
        self._handles += 1
        handle = f"{self.agent.name} {self._handles}"
        content = Content(body, content_type if body else None, (headers or {}).items())
        self.tell("user.request", method=method, message=content, transaction=handle)
        return handle

    def respond(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer the latest request that was heard."""
        transaction = self.last("request").fields["transaction"]
        self.tell("user.respond", transaction=transaction, code=code, message=Content(body, None, (headers or {}).items()))

    # -- as the owner of the leg
    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Hear what the leg says, and react a moment later."""
        self.events.append(Heard(self.agent.clock.time(), name, fields))
        message: Request | Response | None = fields.get("message")
        if name in ("answered", "reinvite_answered") and message is not None:
            if fields["acknowledged"]:
                self.local, self.remote, self.offered = self.offered, message.body, None
            else:
                self.proposed = message.body
        elif name == "reinvite" and message is not None:
            self._reinvites += 1
            self.proposed = message.body if fields["offer"] else None
        elif name == "confirmed" and message is not None:
            if self.proposed is not None or has_offer(message):
                self._settle(self._accepted, self.proposed or message.body)
        elif name == "reinvite_failed":
            self.offered = None
        if not self.manual:
            self.agent.clock.call_soon(self._react, name, fields)

    def child_ended(self, executor: Queue[Session], child: Session) -> None:  # noqa: ARG002
        """The leg is over."""
        self.ended = True
        self.end_time = self.agent.clock.time()

    def _react(self, name: str, fields: Mapping[str, Any]) -> None:
        state = self.state
        if name == "reinvite" and state == "reinvited":
            self.agent.clock.call_later(self.answers_after, self._answer, self._reinvites)
        elif name in ("answered", "reinvite_answered") and not fields["acknowledged"] and state == "acknowledging":
            self.acknowledge()
        elif name == "request" and not self.ended and self.agent.engine.stack.transactions.waits(fields["transaction"]):
            self.tell("user.respond", transaction=fields["transaction"], code=200, message=None)

    def _answer(self, which: int) -> None:
        """Answer a re-INVITE, unless it is over or another has come since."""
        if self.state == "reinvited" and which == self._reinvites:
            self.answer()

    def _reply(self) -> bytes:
        """An answer that fits the offer of the other end: hold is answered with its counterpart (RFC 3264 §6.1)."""
        direction = "sendrecv"
        for line in (self.proposed or b"").split(b"\r\n"):
            direction = _ANSWERS.get(line, direction)
        return self.describe(direction)

    def _settle(self, local: bytes | None, remote: bytes | None) -> None:
        self.local, self.remote = local, remote
        self.proposed = self._accepted = None
