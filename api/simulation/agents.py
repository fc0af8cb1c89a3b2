"""User agents of a simulation: the shipped phone tables, operated by a test.

An ``Agent`` runs ``phone/caller`` and ``phone/callee``. An ``AgentCall`` is one call at one agent: what can be done
with it (ring, answer, hang up, hold …), what it has heard, and which session descriptions hold at this end. Commands that the
table refuses raise ``Refused``.

What no test should have to spell out happens by itself, as in any phone (``tables/phone/call.yaml``), unless
``call.manual`` is set: re-INVITEs are accepted, a late offer is answered in the ACK, other requests get 200 or 405.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.message import SDP, Content, has_offer
from calltable.phone import CALLEE, CALLER, ENDED, CallEvent, LegOwner, MediaActions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.adapters.simulated import VirtualClock
    from calltable.adapters.sip.core import Stack
    from calltable.adapters.sip.message import Request, Response
    from calltable.adapters.sip.transaction import ServerTransaction
    from calltable.adapters.sip.transport import Address
    from calltable.assembly import Engine
    from calltable.phone import Done, Media

def session_description(owner: str, version: int = 1, direction: str = "sendrecv", host: str = "192.0.2.1") -> bytes:
    """A small session description (RFC 8866) that names its owner, so that tests see whose it is."""
    lines = (
        "v=0", f"o={owner} {sum(owner.encode())} {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        "m=audio 40000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", f"a={direction}",
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines).encode()


_ANSWERS = {b"a=sendonly": "recvonly", b"a=recvonly": "sendonly", b"a=inactive": "inactive"}


class Agent:
    """A user agent at one address. ``incoming_call`` is called with each call that comes in, after it was heard."""

    def __init__(self, name: str, engine: Engine, clock: VirtualClock, address: Address) -> None:
        self.name = name
        self.engine = engine
        self.clock = clock
        self.address = address
        self.calls: list[AgentCall] = []
        self.incoming_call: Callable[[AgentCall], None] | None = None
        engine.stack.application = self
        engine.run(handlers=MediaActions(engine.executor).handlers)

    def call(self, target: str, body: bytes | None = None, *, offer: bool = True, headers: Mapping[str, str] | None = None,
             user: str = "", manual: bool = False) -> AgentCall:
        """Place a call. Without ``offer`` the INVITE has no body, and the other side makes the offer."""
        call = AgentCall(self, manual=manual, placed=True)
        self.calls.append(call)
        if offer:
            call.offered = body if body is not None else call.describe()
        call.begin(CALLER, {
            "target": target, "message": Content(call.offered or b"", SDP if call.offered else None, (headers or {}).items()),
            "offer": offer, "describe": False, "from": f"sip:{user or self.name}@{self.address.host}", "own": None, "attended": manual,
        }, user or self.name)  # fmt: skip
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
    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:  # noqa: ARG002
        """Take a call."""
        call = AgentCall(self, manual=False, placed=False)
        call.invite = request
        call.proposed = request.body if offer else None
        self.calls.append(call)
        call.begin(CALLEE, {"transaction": transaction.key, "message": request, "offer": offer, "own": None, "attended": False}, self.name)
        if self.incoming_call is not None:
            self.clock.call_soon(self.incoming_call, call)

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:  # noqa: ARG002
        """What an INVITE would get now."""
        return 200, ()


class AgentCall(LegOwner):
    """One call at one agent."""

    def __init__(self, agent: Agent, *, manual: bool, placed: bool) -> None:
        super().__init__(agent.engine.executor)
        self.agent = agent
        self.placed = placed
        self.end_time: float | None = None
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
        self.media: Media = AgentMedia(self)
        self.asked: dict[object, object] = {}
        self._manual = manual
        self._accepted: bytes | None = None
        self._owes_ack = False
        self._version = 0
        self._handles = 0

    # -- reading
    @property
    def heard(self) -> list[str]:
        """The names of what was published, in order."""
        return [event.name for event in self.events if event.name != ENDED]

    def last(self, name: str) -> CallEvent:
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
    @property
    def manual(self) -> bool:
        """Whether re-INVITEs, late offers and other requests wait for what the test does."""
        return self._manual

    @manual.setter
    def manual(self, on: bool) -> None:
        self._manual = on
        self.command("user.attend", {"on": on})

    def describe(self, direction: str = "sendrecv") -> bytes:
        """A new session description of this end."""
        self._version += 1
        return session_description(self.agent.name, self._version, direction)

    def ring(self, code: int = 180, body: bytes = b"") -> None:
        """Send a provisional response."""
        self.command("user.progress", {"code": code, "message": Content(body) if body else None})

    def answer(self, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Accept the INVITE that waits, the first or a later one, with an answer or, where it had no offer, with one."""
        described = body if body is not None else self.reply()
        self._accepted = described
        self.command("user.answer", {"message": Content(described, SDP, (headers or {}).items())})

    def reject(self, code: int = 486, headers: Mapping[str, str] | None = None) -> None:
        """Refuse the INVITE that waits, the first or a later one."""
        self.proposed = None
        self.command("user.reject", {"code": code, "message": Content(headers=(headers or {}).items())})

    def hangup(self) -> None:
        """End the call, whatever it is doing."""
        self.command("user.hangup", {"message": None})

    def reinvite(self, body: bytes | None = None, *, offer: bool = True) -> None:
        """Send a re-INVITE; without ``offer`` the other side makes one."""
        offered = (body if body is not None else self.describe()) if offer else None
        self.command("user.reinvite", {"message": Content(offered or b"") if offered else None, "offer": offer})
        self.offered = offered

    def hold(self) -> None:
        """Ask the other side to stop sending (RFC 3264 §8.4)."""
        self.reinvite(self.describe("sendonly"))

    def resume(self) -> None:
        """Go on after a hold."""
        self.reinvite(self.describe())

    def cancel(self) -> None:
        """Withdraw the re-INVITE that is under way."""
        self.command("user.cancel")

    def acknowledge(self, body: bytes | None = None) -> None:
        """Give the answer that the ACK carries."""
        described = body if body is not None else self.reply()
        self.command("user.acknowledge", {"message": Content(described)})
        self._settle(described, self.proposed)

    def request(self, method: str, body: bytes = b"", content_type: str = "text/plain",
                headers: Mapping[str, str] | None = None) -> str:
        """Send another request in the dialog; gives the name under which its ``response`` is heard."""
        self._handles += 1
        handle = f"{self.agent.name} {self._handles}"
        content = Content(body, content_type if body else None, (headers or {}).items())
        self.command("user.request", {"method": method, "message": content, "transaction": handle})
        return handle

    def respond(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer the latest request that was heard."""
        transaction = self.last("request").fields["transaction"]
        content = Content(body, None, (headers or {}).items())
        self.command("user.respond", {"transaction": transaction, "code": code, "message": content})

    def reply(self, offer: bytes | None = None) -> bytes:
        """An answer that fits an offer, by default that of the other end: hold is answered with its counterpart (RFC 3264 §6.1)."""
        direction = "sendrecv"
        for line in (offer or self.proposed or b"").split(b"\r\n"):
            direction = _ANSWERS.get(line, direction)
        return self.describe(direction)

    # -- what the media needs, and does
    def find_host(self, target: str | None, done: Callable[[str], None]) -> None:  # noqa: ARG002
        """The address that descriptions name. Nobody ever sends anything there."""
        done(self.agent.address.host)

    def answered_by_media(self, described: bytes, offer: bytes | None) -> None:
        """Keep the answer that goes out now: in the ACK, in the 2xx to the INVITE that waits, or in the one to an UPDATE."""
        if self._owes_ack:
            self._settle(described, offer)
        elif offer == self.proposed:
            self._accepted = described
        else:
            self.local, self.remote = described, offer

    @property
    def thinks(self) -> float:
        """Seconds that the media takes now: re-INVITEs alone may have to wait."""
        return 0.0 if self._owes_ack or self.state != "reinvited" else self.answers_after

    # -- as the owner of the session
    def notice(self, event: CallEvent) -> None:
        """Keep which session descriptions hold."""
        fields = event.fields
        message: Request | Response | None = fields.get("message")
        if event.name in ("answered", "reinvite_answered") and message is not None:
            if fields["acknowledged"]:
                self.local, self.remote, self.offered = self.offered, message.body, None
            else:
                self.proposed, self._owes_ack = message.body, True
        elif event.name == "reinvite" and message is not None:
            self.proposed = message.body if fields["offer"] else None
        elif event.name == "confirmed" and message is not None:
            if self.proposed is not None or has_offer(message):
                self._settle(self._accepted, self.proposed or message.body)
        elif event.name == "reinvite_failed":
            self.offered = None
        elif event.name == ENDED:
            self.end_time = event.time

    def _settle(self, local: bytes | None, remote: bytes | None) -> None:
        self.local, self.remote = local, remote
        self.proposed = self._accepted = None
        self._owes_ack = False


class AgentMedia:
    """The descriptions of an agent's call, named after their owner; each is made a moment after it was asked for."""

    def __init__(self, call: AgentCall) -> None:
        self._call = call

    def offer(self, host: str, done: Done, *, held: bool) -> None:  # noqa: ARG002 - a test gives its holds itself
        """See ``Media``."""
        self._later(done, None)

    def answer(self, offer: bytes, host: str, done: Done, *, held: bool) -> None:  # noqa: ARG002
        """See ``Media``."""
        self._later(done, offer)

    def take(self, answer: bytes) -> None:
        """Nothing to do: the call keeps the bodies of the messages."""

    def _later(self, done: Done, offer: bytes | None) -> None:
        call, clock = self._call, self._call.agent.clock

        def describe() -> None:
            if call.ended:
                return
            described = call.reply(offer) if offer is not None else call.describe()
            if done(described, ""):
                call.answered_by_media(described, offer)

        # the request is published after this step; only then is it known which of them this answers
        clock.call_soon(lambda: clock.call_later(call.thinks, describe))
