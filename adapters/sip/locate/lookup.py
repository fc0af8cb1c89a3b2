"""Where requests go, for a stack on real sockets: RFC 3263 by the resolver, answered at once where it can be.

The stack asks ``find(uri, done)`` and must not wait. A literal address or a record that is still fresh is
answered before ``find`` returns; only a real DNS question becomes a task.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.locate.resolver import ResolveError, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from calltable.adapters.sip.transport import Address

_QUESTIONS: Final = 1000
"""DNS questions under way at once; more are refused, so that a flood of strange domains cannot pile up tasks."""


class Lookup:
    """Finds the addresses that requests to a URI are sent to.

    ``listeners`` says what can be sent with: addresses of other transports or IP versions are passed over. With
    ``via`` (a SIP URI) every request goes there, whatever its own URI: an outbound proxy.
    """

    def __init__(
        self, listeners: Iterable[Address] = (), *, via: str = "", resolver: Resolver | None = None
    ) -> None:
        self.resolver = resolver or Resolver()
        self.via = via
        self._tasks: set[asyncio.Task[None]] = set()
        self.serve(listeners)

    def serve(self, listeners: Iterable[Address]) -> None:
        """Say anew what can be sent with."""
        listeners = list(listeners)
        if listeners:
            self.resolver.reach(dict.fromkeys(one.transport for one in listeners), dict.fromkeys(6 if one.ipv6 else 4 for one in listeners))

    def find(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        """Call ``done`` with the addresses to try, best first, or with none and the reason."""
        uri = self.via or uri
        try:
            found = self.resolver.resolve_now(uri)
        except ResolveError as error:
            done((), str(error))
            return
        if found is not None:
            done(found, "")
        elif len(self._tasks) >= _QUESTIONS:
            done((), f"cannot resolve {uri}: {_QUESTIONS} DNS questions are under way already")
        else:
            task = asyncio.get_running_loop().create_task(self._ask(uri, done))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        try:
            found = await self.resolver.resolve(uri)
        except ResolveError as error:
            done((), str(error))
        else:
            done(found, "")

    def close(self) -> None:
        """Forget the questions under way; nobody is told any more."""
        for task in self._tasks:
            task.cancel()
