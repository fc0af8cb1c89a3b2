"""One call of a softphone: commands for it, what it says, and waiting for either.

A ``Call`` owns a session of ``phone/caller`` or ``phone/callee``. What a phone does by itself (answering re-INVITEs and requests,
the answer that an ACK carries) stands in those tables. A ``Call`` is how a program gives commands and learns what happened:

    async with phone.call("sip:bob@example.com") as call:      # answered, or CallFailed
        async for event in call:                               # until the call has ended
            ...

Leaving the block hangs up. A task that is cancelled while it waits leaves no call half-done: where the call was only just placed
(``await call``, ``async with``), it is hung up; where something in a call was waited for (``wait``, ``async for``), the call goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from calltable.adapters.sip.core import Leg
from calltable.adapters.sip.message import Content
from calltable.assembly import Refused
from calltable.engine.model import suggestion
from calltable.phone.fields import description, header_fields
from calltable.phone.owner import ENDED, CallEvent, LegOwner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator
    from types import TracebackType

    from calltable.adapters.sip.message import Request
    from calltable.assembly import Engine
    from calltable.phone.fields import Headers
    from calltable.phone.media import Media

__all__ = ["ALLOWED", "ENDED", "Call", "CallEvent", "CallFailed", "Phone"]

ALLOWED: Final = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "MESSAGE", "NOTIFY")
"""What a softphone takes inside a call (the rows ``call.request.*`` of ``phone/call``); it says so in every INVITE and answer."""


class CallFailed(Exception):  # noqa: N818 - an outcome of a call, not an accident
    """A call ended before what was waited for; ``code`` is the SIP status, 0 where there was none."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip() if code else reason)
        self.code = code
        self.reason = reason


class Phone(Protocol):
    """What a call needs of the phone that it belongs to."""

    engine: Engine

    @property
    def host(self) -> str:
        """The address that stands in descriptions until the call has one of its own."""

    def find_host(self, uri: str, done: Callable[[str], None]) -> None:
        """Call ``done`` with the local address that ``uri`` is called from."""

    def content(self, headers: Headers = ..., body: bytes = ..., content_type: str | None = ...) -> Content:
        """Header fields and a body, with the header fields of the phone. Raises ValueError for fields that cannot be given."""

    def forget(self, call: Call) -> None:
        """The call is over."""


class Call(LegOwner):
    """One call of a softphone, and no other.

    ``events`` is what has happened, in order. ``on_event`` is called with each event (also with ``ended``, which comes last and
    once), inside the engine's step: a command that is given there is taken when the step is over.
    """

    def __init__(self, phone: Phone, media: Media, *, outgoing: bool, remote: str) -> None:
        super().__init__(phone.engine.executor)
        self.phone = phone
        self.media = media
        self.asked: dict[object, object] = {}
        self.outgoing = outgoing
        self.remote = remote
        """Who is called, or calls: a URI."""
        self.on_event: Callable[[Call, CallEvent], None] | None = None
        self.request: Request | None = None
        """The INVITE of an incoming call."""
        self._waiting: list[tuple[frozenset[str] | None, asyncio.Future[CallEvent]]] = []

    # -- looking
    def event(self, *names: str) -> CallEvent | None:
        """The last event of one of these names."""
        return next((one for one in reversed(self.events) if one.name in names), None)

    def __repr__(self) -> str:
        return f"<call {'to' if self.outgoing else 'from'} {self.remote} in {self.state}>"

    # -- waiting
    async def wait(self, *names: str, again: bool = False) -> CallEvent:
        """Wait for an event of one of ``names``; at once where there was one already, unless ``again``.

        ``ended`` is the end of the call. Raises CallFailed where the call ends first, ValueError for a name
        that the call never publishes. The call goes on where the waiting task is cancelled.
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
        return await self._next(frozenset(names))

    async def _next(self, names: frozenset[str] | None) -> CallEvent:
        """The next event of these names, or of any."""
        future: asyncio.Future[CallEvent] = asyncio.get_running_loop().create_future()
        entry = names, future
        self._waiting.append(entry)
        try:
            return await future
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    async def _answered(self) -> None:
        try:
            await self.wait("answered" if self.outgoing else "confirmed")
        except asyncio.CancelledError:
            self.hangup()
            raise

    def __await__(self) -> Generator[Any, None, Call]:
        """Wait until the call is up. Raises CallFailed. Where the waiting task is cancelled, the call is hung up."""
        yield from self._answered().__await__()
        return self

    async def __aenter__(self) -> Self:
        """As ``await call``."""
        await self._answered()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Hang up, and wait for the end. Where the waiting task is cancelled, the call ends all the same."""
        self.hangup()
        await self.wait(ENDED)

    async def __aiter__(self) -> AsyncIterator[CallEvent]:
        """Every event, those that were included, until ``ended``. Who falls more than 200 events behind misses the oldest."""
        seen = 0
        while True:
            seen = max(seen, self.heard_of - len(self.events))
            while seen < self.heard_of:
                event = self.events[seen - self.heard_of]
                seen += 1
                yield event
                if event.name == ENDED:
                    return
                seen = max(seen, self.heard_of - len(self.events))
            await self._next(None)

    def _failure(self) -> CallFailed:
        why = self.event("failed", "cancelled", "hung_up")
        if why is None:
            return CallFailed(0, "the call was given up")
        return CallFailed(why.code, why.reason or why.name)

    # -- commands
    def hangup(self, *, reason: str = "") -> None:
        """End the call, whatever it is doing; nothing happens where it is over.

        ``reason`` is the value of a Reason header field for the BYE or CANCEL, ``SIP;cause=200;text="elsewhere"`` (RFC 3326).
        """
        message = Content(headers=header_fields({"Reason": reason})) if reason else None
        if not self.ended:
            self.command("user.hangup", {"message": message})

    def ring(self, code: int = 180, *, headers: Headers = (), sdp: bytes | str = b"") -> None:
        """Send a provisional response, with early media where ``sdp`` describes some. RFC 3261 §13.3.1.1."""
        self.command("user.progress", {"code": code, "message": self.phone.content(headers, description(sdp))})

    def answer(self, *, headers: Headers = (), sdp: bytes | str | None = None) -> None:
        """Take an incoming call, or a re-INVITE that waits because the call is attended.

        The media answers the offer (and refuses with 488 what it can take nothing of), unless ``sdp`` is the description to answer with.
        """
        if sdp is None:
            self.command("user.accept", {"message": self.phone.content(headers)})
        else:
            self.command("user.answer", {"message": self.phone.content(headers, description(sdp))})

    def reject(self, code: int = 486, *, headers: Headers = ()) -> None:
        """Refuse an incoming call, or a re-INVITE that waits because the call is attended. RFC 3261 §13.3.1.3."""
        self.command("user.reject", {"code": code, "message": self.phone.content(headers)})

    def hold(self, *, headers: Headers = ()) -> None:
        """Put the peer on hold by a re-INVITE. RFC 3264 §8.4."""
        self.command("user.hold", {"message": self.phone.content(headers)})

    def resume(self, *, headers: Headers = ()) -> None:
        """Take the peer back."""
        self.command("user.resume", {"message": self.phone.content(headers)})

    def attend(self, *, on: bool = True) -> None:
        """From now on the program answers re-INVITEs (``answer``, ``reject``) and other requests (``respond``) itself."""
        self.command("user.attend", {"on": on})

    def send(self, method: str, body: bytes = b"", content_type: str | None = None, *, headers: Headers = ()) -> None:
        """Send a request inside the call (INFO, MESSAGE …); the event ``response`` comes with its end."""
        content = self.phone.content(headers, body, content_type)
        self.command("user.request", {"method": method, "message": content, "transaction": None})

    def respond(self, request: CallEvent, code: int = 200, body: bytes = b"", content_type: str | None = None, *,
                headers: Headers = ()) -> None:
        """Answer a request that came inside an attended call: an event named ``request``."""
        content = self.phone.content(headers, body, content_type)
        self.command("user.respond", {"transaction": request.fields["transaction"], "code": code, "message": content})

    # -- what the media needs
    def find_host(self, target: str | None, done: Callable[[str], None]) -> None:
        """The address that descriptions name: that of the listener the call goes through."""
        leg = self.leg.context if self.leg is not None else None
        source = None
        if isinstance(leg, Leg):
            source = leg.dialog.source
            if source is not None and source.wildcard and leg.invite_server is not None:
                source = self.phone.engine.stack.transport.local_for(leg.invite_server.to, source)
        if source is not None:
            done(source.host)
        elif target is not None:
            self.phone.find_host(target, done)
        else:
            done(self.phone.host)

    # -- as the owner of the session
    def notice(self, event: CallEvent) -> None:
        """Tell whoever waits."""
        if event.name == ENDED:
            self.phone.forget(self)
            self.asked.clear()
        for entry in list(self._waiting):
            names, future = entry
            if names is None or event.name in names:
                self._waiting.remove(entry)
                if not future.done():
                    future.set_result(event)
        if self.on_event is not None:
            self.on_event(self, event)
        if event.name == ENDED:
            waiting, self._waiting = self._waiting, []
            for _, future in waiting:
                if not future.done():
                    future.set_exception(self._failure())


def give_up(call: Call) -> None:
    """Let the caller go, whatever the call is doing."""
    try:
        call.reject(500)
    except Refused:
        with suppress(Refused):
            call.hangup()
