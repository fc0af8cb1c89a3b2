"""A B2BUA on real sockets, from start to the end of its last call: what ``calltable serve`` runs.

``Server`` assembles what the configuration names (tables, listeners, routes, logs, trace, control socket) and takes it down again. Ending is
gentle: ``drain`` turns new calls away with 503, lets the running ones end by themselves for a while, then hangs
them up through their own rows, and waits a bounded time for that.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.sockets import SocketTransport
from calltable.assembly import Engine
from calltable.b2bua import B2BUA
from calltable.control import Control
from calltable.endpoint import NAMELESS
from calltable.logs import CallLog
from calltable.lookup import Lookup
from calltable.routes import Router
from calltable.trace import TraceFile, Tracer

if TYPE_CHECKING:
    from calltable.adapters.sip.transport import Address
    from calltable.assembly import Tables
    from calltable.config import Config
    from calltable.engine.session import Session

_BEYOND: Final = 2.0
"""Seconds that hung-up calls may take beyond Timer F, when a BYE that nobody answers is given up (RFC 3261 §17.1.2.2)."""


class Server:
    """One B2BUA. ``await start()``, ``await drain()``, ``await close()``."""

    def __init__(self, config: Config, tables: Tables | None = None) -> None:
        """Raises TableError where the tables do not load; ``tables`` spares loading them again."""
        self.config = config
        self.tables = tables or config.load_tables()
        self._over: asyncio.Event = asyncio.Event()
        self._trace: TraceFile | None = None
        self._control: Control | None = None

    async def start(self) -> None:
        """Open everything. Raises TransportError, ControlError or OSError; nothing is left open then."""
        config = self.config
        loop = asyncio.get_running_loop()
        self.transport = SocketTransport(limits=config.transport)
        self.lookup = Lookup()
        self.engine = Engine(self.tables, loop, self.transport, self.lookup, host=config.host or NAMELESS)
        self.b2bua = B2BUA(
            self.engine, Router(config.routes), max_calls=config.max_calls, retry_after=round(config.retry_after)
        )
        self.b2bua.ended.append(self._ended)
        CallLog(self.engine, self.b2bua.machine)
        try:
            if config.trace is not None:
                self._trace = TraceFile(config.trace)
                Tracer(self.engine, self._trace, epoch=time.time() - loop.time())
            for address in config.listen:
                await self.transport.listen(address)
            if config.control is not None:
                control = Control(config.control, {"status": lambda _: self.snapshot()})
                await control.start()
                self._control = control
        except BaseException:
            await self.close()
            raise
        self.lookup.serve(self.transport.listeners)

    @property
    def listeners(self) -> tuple[Address, ...]:
        """The bound addresses."""
        return tuple(self.transport.listeners)

    def settle(self) -> None:
        """Take everything that was loaded out of the garbage collector's sight, and let it look rarely.

        Calls leave no reference circles behind, so counting frees them; a collector that runs every 700 new objects
        would walk all live calls again and again, for a quarter of the time a call costs. Only for a process that
        does nothing else.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)

    def snapshot(self) -> dict[str, Any]:
        """How much is alive, and what was counted since the start."""
        traced = {} if self._trace is None else {"trace_lost": self._trace.failed}
        return {
            "calls": len(self.b2bua.calls), "draining": self.b2bua.draining, **self.engine.snapshot(),
            "transport": dict(self.transport.stats), **traced,
        }  # fmt: skip

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
        await self._empty(float(self.tables.config.get("timer_f", 32.0)) + _BEYOND)
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
        """Close all listeners, connections and files. May be called again."""
        if self._control is not None:
            await self._control.close()
        self.lookup.close()
        await self.transport.close()
        if self._trace is not None:
            self._trace.close()
