"""A user agent: places and takes calls, and hands each out as a ``Call``.

``Softphone`` is an application of an ``Engine`` like the B2BUA. What a call does stands in ``tables/leg``; a ``Call`` is
the owner of one leg session. It keeps what the leg publishes, gives commands to the leg, and never lets a refused command look
like success: ``Refused`` says what the row says. It also does the one thing that a person would not be asked: it answers
offers inside a running call, by its media.

    phone = Softphone(engine, "sip:alice@example.com")
    call = await phone.call("sip:bob@example.com")       # answered, or CallFailed
    call.hangup()
    await call.wait("ended")

``phone.call(…)`` without ``await`` gives the call at once, while it is still being placed. Everything but
waiting is synchronous, so a phone runs on a virtual clock as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from typing import TYPE_CHECKING, Any
from zlib import crc32

from calltable.adapters.sip.message.body import Content
from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.uri import parse_uri
from calltable.assembly import Refused
from calltable.phone.call import ALLOWED, Call, CallFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from calltable.adapters.media.signalling import Direction
    from calltable.adapters.sip.core.stack import Stack
    from calltable.adapters.sip.message.message import Request
    from calltable.adapters.sip.transaction.server import ServerTransaction
    from calltable.adapters.sip.transport.address import Address
    from calltable.assembly import Engine

log = logging.getLogger("calltable.phone")


class Softphone:
    """A user agent on an engine of its own.

    ``identity`` is the URI it calls from; its host may be an IP address, which is then replaced by that of the listener.
    ``on_incoming`` is called with each incoming call, which waits (``ring``, ``answer``, ``reject``); without it calls
    get 480. It may be a coroutine function: then it runs as a task. Where it raises, that is logged and the call gets 500. More than ``max_calls`` at once get 486. ``direction`` is what its descriptions ask for.
    """

    def __init__(
        self,
        engine: Engine,
        identity: str = "",
        *,
        on_incoming: Callable[[Call], Any] | None = None,
        max_calls: int = 100,
        direction: Direction = "inactive",
        agent: str = "calltable",
    ) -> None:
        self.engine = engine
        self.identity = identity
        self.on_incoming = on_incoming
        self.max_calls = max_calls
        self.direction: Direction = direction
        self.calls: dict[int, Call] = {}
        self.deciding: set[asyncio.Task[None]] = set()
        """Coroutines of ``on_incoming`` that run."""
        self._headers = [("Allow", ", ".join(ALLOWED)), ("User-Agent", agent)]
        extensions = sorted(engine.stack.screening.extensions)
        if extensions:
            self._headers.insert(1, ("Supported", ", ".join(extensions)))
        self._numbers = 0
        if identity:
            sip_uri(identity, "cannot be the caller")
        engine.stack.application = self
        engine.run()

    @property
    def host(self) -> str:
        """The first listener's address, without a port."""
        return next((one.host for one in self.engine.stack.transport.listeners), "127.0.0.1")

    def number(self) -> int:
        """A number for the ``o=`` line of another call."""
        self._numbers += 1
        return (crc32(self.engine.stack.sender.token().encode()) << 16) + self._numbers

    def content(self, body: bytes = b"", content_type: str | None = None) -> Content:
        """A body with the header fields that say what this phone is."""
        return Content(body, content_type, self._headers)

    # -- out
    def call(self, uri: str, *, identity: str = "") -> Call:
        """Place a call; ``await`` the answer for it to be answered. Raises ValueError for a URI one cannot call."""
        sip_uri(uri, "cannot be called")
        if identity:
            sip_uri(identity, "cannot be the caller")
        executor = self.engine.executor
        call = Call(self, outgoing=True, remote=uri)
        call.session = executor.create("leg/uac", call)
        self.calls[call.session.id] = call
        to, _ = self._reached(uri)
        executor.post(call.session, "engine.started", {
            "target": uri, "message": self.content(call.media.offer(to)), "offer": True, "relay": False,
            "from": identity or self.identity or None,
        })  # fmt: skip
        return call

    def _reached(self, uri: str) -> tuple[str, str]:
        """The local address that ``uri`` will be called from, where that can be told at once."""
        found: list[tuple[str, str]] = []

        def done(ways: Sequence[Any], reason: str) -> None:
            local = self.engine.stack.transport.local_for(ways[0]) if ways else None
            found.append((local.host if local is not None else self.host, reason))

        # a name that has to be asked for is answered when the description is written already
        self.engine.stack.sender.locator.find(uri, done)
        return found[0] if found else (self.host, "")

    def hangup(self) -> None:
        """End every call."""
        for call in list(self.calls.values()):
            call.hangup()

    # -- in, as the stack's application
    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:
        """Offer a call to whoever takes calls."""
        if self.on_incoming is None or len(self.calls) >= self.max_calls:
            stack.refuse(transaction, 480 if self.on_incoming is None else 486)
            return
        call = Call(self, outgoing=False, remote=request.from_.uri)
        call.request = request
        call.session = stack.executor.create("leg/uas", call)
        self.calls[call.session.id] = call
        payload = {"transaction": transaction.key, "message": request, "offer": offer, "relay": False}
        stack.executor.dispatch(call.session, "engine.started", payload)
        if call.ended:
            return
        try:
            later = self.on_incoming(call)
            if inspect.isawaitable(later):
                self._follow(call, later)
        except Exception as error:  # noqa: BLE001 - whatever the program raises, the caller is answered
            _give_up(call, error)

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:  # noqa: ARG002
        """What an INVITE would get now."""
        if self.on_incoming is None:
            return 480, ()
        return 486 if len(self.calls) >= self.max_calls else 200, ()

    def _follow(self, call: Call, later: Awaitable[Any]) -> None:
        """Let the coroutine of ``on_incoming`` run."""

        async def follow() -> None:
            try:
                await later
            except Exception as error:  # noqa: BLE001 - whatever the program raises, the caller is answered
                _give_up(call, error)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if inspect.iscoroutine(later):
                later.close()
            raise TypeError("on_incoming is a coroutine function, and no asyncio loop runs: give a plain function") from None
        task = loop.create_task(follow())
        self.deciding.add(task)
        task.add_done_callback(self.deciding.discard)


def _give_up(call: Call, error: Exception) -> None:
    """What is left to do after an ``on_incoming`` that raised: say so, and let the caller go."""
    if call.ended and isinstance(error, CallFailed | Refused):
        log.info("the call from %s ended: %s", call.remote, error)
        return
    log.error("on_incoming failed, the call from %s gets 500", call.remote, exc_info=error)
    try:
        call.reject(500)
    except Refused:
        with contextlib.suppress(Refused):
            call.hangup()


def sip_uri(text: str, why: str) -> None:
    """Raise ValueError where a text is no SIP URI with a host; ``why`` says what it cannot be then."""
    try:
        uri = parse_uri(text)
    except MessageError as error:
        raise ValueError(f"{text!r} {why}: {error.reason}") from None
    if not uri.is_sip or not uri.host:
        raise ValueError(f"{text!r} {why}: write sip:user@host")
