"""``calltable serve``: a B2BUA on real sockets, from start to the end of its last call.

``Server`` assembles what the configuration names (tables, listeners, routes) and takes it down again. Ending is
gentle: ``drain`` turns new calls away with 503, lets the running ones end by themselves for a while, then hangs
them up through their own rows, and waits a bounded time for that.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.sockets import SocketTransport
from calltable.assembly import Engine, Tables
from calltable.b2bua import B2BUA
from calltable.lookup import Lookup
from calltable.routes import Router

if TYPE_CHECKING:
    from calltable.adapters.sip.transport import Address
    from calltable.config import Config
    from calltable.engine.session import Session

_HANGUP_SECONDS: Final = 34.0
"""How long hung-up calls may take: a BYE that nobody answers is given up after 32 s (RFC 3261 §17.1.2.2)."""


class Server:
    """One B2BUA. ``await start()``, ``await drain()``, ``await close()``."""

    def __init__(self, config: Config, tables: Tables | None = None) -> None:
        """Raises TableError where the tables do not load; ``tables`` spares loading them again."""
        self.config = config
        self.tables = tables or Tables(config.tables, overlays=config.overlays, config=config.timers)
        self._over: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        """Open the listeners. Raises TransportError (nothing is left open then)."""
        config = self.config
        self.transport = SocketTransport()
        self.lookup = Lookup()
        self.engine = Engine(
            self.tables, asyncio.get_running_loop(), self.transport, self.lookup, host=config.host
        )
        self.b2bua = B2BUA(self.engine, Router(config.routes), max_calls=config.max_calls)
        self.b2bua.ended.append(self._ended)
        try:
            for address in config.listen:
                await self.transport.listen(address)
        except OSError:
            await self.close()
            raise
        self.lookup.serve(self.transport.listeners)

    @property
    def listeners(self) -> tuple[Address, ...]:
        """The bound addresses."""
        return tuple(self.transport.listeners)

    def settle(self) -> None:
        """Take everything that was loaded out of the garbage collector's sight: it lives until the end anyway.

        Worth a tenth of the time a call costs. Only for a process that does nothing else.
        """
        gc.collect()
        gc.freeze()

    def snapshot(self) -> dict[str, Any]:
        """How much is alive, and what was counted since the start."""
        return {
            "calls": len(self.b2bua.calls), "draining": self.b2bua.draining, **self.engine.snapshot(),
            "transport": dict(self.transport.stats),
        }

    def _ended(self, session: Session) -> None:  # noqa: ARG002
        if not self.b2bua.calls:
            self._over.set()

    async def drain(self) -> bool:
        """Take no new calls and wait for the running ones; True where all ended by themselves.

        After ``config.drain`` seconds the rest is hung up and has a bounded time to say so.
        """
        self.b2bua.draining = True
        if await self._empty(self.config.drain):
            return True
        self.b2bua.hangup()
        await self._empty(_HANGUP_SECONDS)
        return False

    async def _empty(self, seconds: float) -> bool:
        if not self.b2bua.calls:
            return True
        self._over.clear()
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Close all listeners and connections."""
        self.lookup.close()
        await self.transport.close()
