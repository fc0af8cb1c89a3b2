"""One call of a softphone: what its leg publishes, the commands it takes, and waiting for either."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from calltable.adapters.media.signalling import SignallingMedia
from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.message.body import has_offer
from calltable.adapters.sip.message.message import Response
from calltable.assembly import Refused
from calltable.engine.model.problems import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from calltable.adapters.media.signalling import Direction
    from calltable.adapters.sip.message.body import Content
    from calltable.adapters.sip.message.message import Message, Request
    from calltable.assembly import Engine
    from calltable.engine.run.ports import Queue
    from calltable.engine.run.session import Session


ALLOWED: Final = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "MESSAGE", "NOTIFY")
"""What a softphone takes inside a call; it says so in every INVITE and answer."""
ENDED: Final = "ended"
_HISTORY: Final = 200
"""Publications that a call remembers."""


class CallFailed(Exception):  # noqa: N818 - an outcome of a call, not an accident
    """A call ended before what was waited for; ``code`` is the SIP status, 0 where there was none."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip() if code else reason)
        self.code = code
        self.reason = reason


class CallEvent(NamedTuple):
    """What a call's leg has published; ``time`` in seconds of the engine's clock."""

    time: float
    name: str
    fields: Mapping[str, Any]

    @property
    def code(self) -> int:
        """The SIP status that goes with it, else 0."""
        return int(self.fields.get("code") or 0)

    @property
    def reason(self) -> str:
        """In words, what the peer or the table says about it."""
        message = self.fields.get("message")
        if isinstance(message, Response):
            return str(message.reason)
        if self.name == "failed" and not message:
            return {408: "nobody answered", 487: "cancelled", 503: "cannot be reached"}.get(self.code, "")
        return str(self.fields.get("by") or "")


class Phone(Protocol):
    """What a call needs of the phone that it belongs to."""

    engine: Engine
    direction: Direction
    calls: dict[int, Call]

    @property
    def host(self) -> str:
        """The address that stands in descriptions until the call has one of its own."""

    def number(self) -> int:
        """A number for the ``o=`` line of another call."""

    def content(self, body: bytes = ..., content_type: str | None = ...) -> Content:
        """A body with the header fields of the phone."""


class Call:
    """One call of a softphone, and no other: it holds on to its own session, whose commands it gives.

    ``events`` is what the leg has published, in order. ``on_event`` is called with each (also with ``ended``, which
    comes last and once).
    """

    def __init__(self, phone: Phone, *, outgoing: bool, remote: str) -> None:
        self.phone = phone
        self.outgoing = outgoing
        self.remote = remote
        """Who is called, or calls: a URI."""
        self.media = SignallingMedia(phone.number(), direction=phone.direction)
        self.events: list[CallEvent] = []
        self.on_event: Callable[[Call, CallEvent], None] | None = None
        self.request: Request | None = None
        """The INVITE of an incoming call."""
        self.session: Session
        self._waiting: list[tuple[frozenset[str], asyncio.Future[CallEvent]]] = []

    # -- looking
    @property
    def state(self) -> str:
        """The state of the leg, by the name its table gives it."""
        return self.session.state

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self.session.ended

    def event(self, *names: str) -> CallEvent | None:
        """The last event of one of these names."""
        return next((one for one in reversed(self.events) if one.name in names), None)

    def __repr__(self) -> str:
        return f"<call {'to' if self.outgoing else 'from'} {self.remote} in {self.state}>"

    # -- waiting
    async def wait(self, *names: str, again: bool = False) -> CallEvent:
        """Wait until the leg has published one of ``names``; at once where it has already, unless ``again``.

        ``ended`` is the end of the call. Raises CallFailed where the call ends first, ValueError for a name
        that the leg never publishes.
        """
        known = {*self.session.machine.model.publishes, ENDED}
        for name in names:
            if name not in known:
                raise ValueError(f"a {self.session.machine.name} publishes no {name!r}: {suggestion(name, known)}")
        found = next((one for one in self.events if one.name in names), None)
        if found is not None and not (again and not self.ended):
            return found
        if self.ended:
            raise self._failure()
        future: asyncio.Future[CallEvent] = asyncio.get_running_loop().create_future()
        self._waiting.append((frozenset(names), future))
        return await future

    def __await__(self) -> Generator[Any, None, Call]:
        """Wait until the call is answered. Raises CallFailed."""
        yield from self.wait("answered" if self.outgoing else "confirmed").__await__()
        return self

    def _failure(self) -> CallFailed:
        why = self.event("failed", "cancelled", "hungup")
        if why is None:
            return CallFailed(0, "the call was given up")
        return CallFailed(why.code, why.reason or why.name)

    # -- commands
    def command(self, event: str, **fields: Any) -> None:
        """Give the leg a command of ``user.leg``. Raises Refused with what the row says, or where the call is over."""
        outcome = self.phone.engine.executor.dispatch(self.session, event, fields)
        if not outcome.ok:
            reason = "the call is over" if outcome.kind == ENDED else outcome.detail or "no row takes it"
            raise Refused(event, self.session.state, reason)

    def hangup(self) -> None:
        """End the call, whatever it is doing; nothing happens where it is over."""
        if not self.ended:
            self.command("user.hangup")

    def ring(self, code: int = 180) -> None:
        """Tell the caller that the phone rings. RFC 3261 §13.3.1.1."""
        self.command("user.progress", code=code, message=self.phone.content())

    def answer(self) -> None:
        """Take an incoming call, or a re-INVITE that was left undecided. Rejects with 488 what offers no audio."""
        leg = self.session.context
        server = leg.invite_server if isinstance(leg, Leg) else None
        self._answer(self.request if server is None else server.request or self.request)

    def reject(self, code: int = 486) -> None:
        """Refuse an incoming call. RFC 3261 §13.3.1.3."""
        self.command("user.reject", code=code, message=self.phone.content())

    def hold(self) -> None:
        """Put the peer on hold by a re-INVITE. RFC 3264 §8.4."""
        self._reinvite(held=True)

    def resume(self) -> None:
        """Take the peer back."""
        self._reinvite(held=False)

    def send(self, method: str, body: bytes = b"", content_type: str | None = None) -> None:
        """Send a request inside the call (INFO, MESSAGE …); ``response`` is published with its end."""
        self.command("user.request", method=method, message=self.phone.content(body, content_type), transaction=None)

    def _reinvite(self, *, held: bool) -> None:
        before, self.media.held = self.media.held, held
        try:
            self.command("user.reinvite", message=self.phone.content(self.media.offer(self.host)), offer=True)
        except Refused:
            self.media.held = before
            raise

    @property
    def host(self) -> str:
        """The address that descriptions name: that of the listener the call goes through."""
        leg = self.session.context
        source = leg.dialog.source if isinstance(leg, Leg) else None
        if source is not None and source.wildcard and leg.invite_server is not None:
            source = self.phone.engine.stack.transport.local_for(leg.invite_server.to, source)
        return source.host if source is not None else self.phone.host

    # -- offers and answers
    def _answer(self, message: Message | None) -> None:
        try:
            if message is not None and has_offer(message):
                body = self.media.answer(message.body, self.host)
            else:
                body = self.media.offer(self.host)
        except ValueError:
            body = None
        if body is None:
            self.command("user.reject", code=488, message=self.phone.content())
        else:
            self.command("user.answer", message=self.phone.content(body))

    def _note_answer(self, message: Message | None) -> None:
        if message is not None and message.body:
            with contextlib.suppress(ValueError):  # an answer that cannot be read changes nothing we send
                self.media.answered(message.body)

    def _respond(self, fields: Mapping[str, Any]) -> None:
        """Answer a request inside the call as a phone does that shows nothing of it."""
        method, message = fields["method"], fields["message"]
        content, code = self.phone.content(), 200
        if method not in ALLOWED:
            code = 405
        elif method == "UPDATE" and has_offer(message):
            try:
                body = self.media.answer(message.body, self.host)
            except ValueError:
                body = None
            code = 200 if body else 488
            content = self.phone.content(body or b"")
        self.command("user.respond", transaction=fields["transaction"], code=code, message=content)

    # -- as the owner of the leg
    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Keep what the leg says, do what a phone does by itself, tell whoever waits."""
        if name in ("answered", "confirmed", "reinvite_answered"):
            self._note_answer(fields.get("message"))
        elif name == "reinvite":
            self._answer(fields["message"])
        elif name == "request":
            self._respond(fields)
        self._tell(CallEvent(executor.now, name, fields))

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """The call is over."""
        self.phone.calls.pop(child.id, None)
        self._tell(CallEvent(executor.now, ENDED, {}))
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(self._failure())

    def _tell(self, event: CallEvent) -> None:
        self.events.append(event)
        if len(self.events) > _HISTORY:
            del self.events[0]
        for entry in list(self._waiting):
            names, future = entry
            if event.name in names:
                self._waiting.remove(entry)
                if not future.done():
                    future.set_result(event)
        if self.on_event is not None:
            self.on_event(self, event)
