"""A user agent: places and takes calls, and hands each out as a ``Call``.

``Softphone`` is an application of an ``Engine`` like the B2BUA. What a call does stands in ``tables/phone`` and ``tables/leg``; a
``Call`` gives commands to its session and keeps what it says.

    phone = Softphone(engine, "sip:alice@example.com")
    call = await phone.call("sip:bob@example.com")       # answered, or CallFailed
    call.hangup()
    await call.wait("ended")

``phone.call(…)`` without ``await`` gives the call at once, while it is still being placed. Everything but
waiting is synchronous, so a phone runs on a virtual clock as well.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Self
from zlib import crc32

from calltable.adapters.media import SignallingMedia
from calltable.adapters.sip.message import SDP, Content, MessageError, parse_uri
from calltable.assembly import Refused
from calltable.phone.call import ALLOWED, Call, CallFailed, give_up
from calltable.phone.fields import description, header_fields
from calltable.phone.media import MediaActions, Signalling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from calltable.adapters.media import Direction
    from calltable.adapters.sip.core import Stack
    from calltable.adapters.sip.message import Request
    from calltable.adapters.sip.transaction import ServerTransaction
    from calltable.adapters.sip.transport import Address
    from calltable.assembly import Engine
    from calltable.phone.fields import Headers

log = logging.getLogger("calltable.phone")

CALLER, CALLEE = "phone/caller", "phone/callee"
"""The tables of a call that is placed, and of one that is taken."""


class Softphone:
    """A user agent on an engine of its own.

    ``identity`` is the caller's URI; an IP address as its host is replaced by that of the listener.
    ``on_incoming`` is called with each incoming call, which then waits for ``ring``, ``answer`` or ``reject``; without it calls
    get 480. A coroutine function runs as a task. If it raises, the error is logged and the caller gets 500. Calls beyond
    ``max_calls`` get 486. ``direction`` is the media direction to ask for. Re-INVITEs and other requests in ``attended`` calls
    are left to the program.

    Raises ValueError for an identity that is not a SIP URI, LookupError if the engine's tables contain no phone.
    """

    def __init__(
        self,
        engine: Engine,
        identity: str = "",
        *,
        on_incoming: Callable[[Call], object] | None = None,
        max_calls: int = 100,
        direction: Direction = "inactive",
        attended: bool = False,
        agent: str = "calltable",
    ) -> None:
        self.engine = engine
        self.identity = identity
        self.on_incoming = on_incoming
        self.max_calls = max_calls
        self.direction: Direction = direction
        self.attended = attended
        self.calls: dict[int, Call] = {}
        self.deciding: set[asyncio.Task[None]] = set()
        """Coroutines of ``on_incoming`` that run."""
        self._own = [("Allow", ", ".join(ALLOWED)), ("User-Agent", agent)]
        extensions = sorted(engine.stack.screening.extensions)
        if extensions:
            self._own.insert(1, ("Supported", ", ".join(extensions)))
        self._numbers = 0
        if identity:
            sip_uri(identity, "cannot be the caller")
        engine.stack.application = self
        engine.run(handlers=MediaActions(engine.executor).handlers)
        missing = [name for name in (CALLER, CALLEE) if name not in engine.executor.machines]
        if missing:
            raise LookupError(f"no table {missing[0]}: if tables bring their own catalogue, it must include «phone» for phones to run")

    @property
    def host(self) -> str:
        """The first listener's address, without a port."""
        return next((one.host for one in self.engine.stack.transport.listeners), "127.0.0.1")

    def content(self, headers: Headers = (), body: bytes = b"", content_type: str | None = None) -> Content:
        """Header fields and a body, with the header fields that say what this phone is.

        Raises ValueError for a field that the stack writes itself, or that cannot stand in a message.
        """
        return Content(body, content_type or SDP, [*self._own, *header_fields(headers)])

    # -- out
    def call(self, uri: str, *, identity: str = "", headers: Headers = (), sdp: bytes | str | None = None) -> Call:
        """Place a call; ``await`` the result to wait for the answer.

        ``headers`` are added to the INVITE. ``sdp`` replaces the offer of the media; an empty one leaves the offer to the
        other side (RFC 3261 §13.2.1). Raises ValueError for a URI that cannot be called, and for headers or descriptions that cannot be sent.
        """
        sip_uri(uri, "cannot be called")
        if identity:
            sip_uri(identity, "cannot be the caller")
        offer = None if sdp is None else description(sdp)
        message = self.content(headers, offer or b"")
        call = self._make(outgoing=True, remote=uri)
        session = call.begin(CALLER, {
            "target": uri, "message": message, "offer": offer is None or bool(offer), "describe": offer is None,
            "from": identity or self.identity or None, "own": self.content(), "attended": self.attended,
        })  # fmt: skip
        if not session.ended:
            self.calls[session.id] = call
        return call

    def _make(self, *, outgoing: bool, remote: str) -> Call:
        self._numbers += 1
        number = (crc32(self.engine.stack.sender.token().encode()) << 16) + self._numbers
        media = Signalling(SignallingMedia(number, direction=self.direction))
        return Call(self, media, outgoing=outgoing, remote=remote)

    def find_host(self, uri: str, done: Callable[[str], None]) -> None:
        """Call ``done`` with the local address that ``uri`` is called from; the first listener's where that cannot be told."""

        def found(ways: Sequence[Address], reason: str) -> None:  # noqa: ARG001 - the INVITE fails with the reason
            local = self.engine.stack.transport.local_for(ways[0]) if ways else None
            done(local.host if local is not None else self.host)

        self.engine.stack.sender.locator.find(uri, found)

    def forget(self, call: Call) -> None:
        """The call is over."""
        self.calls.pop(call.session.id, None)

    def hangup(self) -> None:
        """End every call."""
        for call in list(self.calls.values()):
            call.hangup()

    async def __aenter__(self) -> Self:
        """The phone itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Hang up every call, and wait for their ends."""
        self.hangup()
        await asyncio.gather(*(call.wait("ended") for call in list(self.calls.values())))

    # -- in, as the stack's application
    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:
        """Offer a call to whoever takes calls."""
        if self.on_incoming is None or len(self.calls) >= self.max_calls:
            stack.refuse(transaction, 480 if self.on_incoming is None else 486)
            return
        call = self._make(outgoing=False, remote=request.from_.uri)
        call.request = request
        session = call.begin(CALLEE, {
            "transaction": transaction.key, "message": request, "offer": offer, "own": self.content(), "attended": self.attended,
        })  # fmt: skip
        if call.ended:
            return
        self.calls[session.id] = call
        try:
            later = self.on_incoming(call)
            if inspect.isawaitable(later):
                self._follow(call, later)
        except Exception as error:  # noqa: BLE001 - whatever the program raises, the caller is answered
            _failed(call, error)

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:  # noqa: ARG002
        """What an INVITE would get now."""
        if self.on_incoming is None:
            return 480, ()
        return 486 if len(self.calls) >= self.max_calls else 200, ()

    def _follow(self, call: Call, later: Awaitable[object]) -> None:
        """Let the coroutine of ``on_incoming`` run."""

        async def follow() -> None:
            try:
                await later
            except asyncio.CancelledError:
                give_up(call)
                raise
            except Exception as error:  # noqa: BLE001 - whatever the program raises, the caller is answered
                _failed(call, error)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if inspect.iscoroutine(later):
                later.close()
            raise TypeError("on_incoming is a coroutine function, and no asyncio loop runs: give a plain function") from None
        task = loop.create_task(follow())
        self.deciding.add(task)
        task.add_done_callback(self.deciding.discard)


def _failed(call: Call, error: Exception) -> None:
    """What is left to do after an ``on_incoming`` that raised: say so, and let the caller go."""
    if call.ended and isinstance(error, CallFailed | Refused):
        log.info("the call from %s ended: %s", call.remote, error)
        return
    log.error("on_incoming failed, the call from %s gets 500", call.remote, exc_info=error)
    give_up(call)


def sip_uri(text: str, why: str) -> None:
    """Raise ValueError where a text is no SIP URI with a host; ``why`` says what it cannot be then."""
    try:
        uri = parse_uri(text)
    except MessageError as error:
        raise ValueError(f"{text!r} {why}: {error.reason}") from None
    if not uri.is_sip or not uri.host:
        raise ValueError(f"{text!r} {why}: write sip:user@host")
