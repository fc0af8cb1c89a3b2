"""A B2BUA on real sockets, from start to the end of its last call: what ``calltable serve`` runs.

``Server`` assembles what the configuration names (tables, listeners, routes, logs, trace, control socket) and takes it down again. Ending is
gentle: ``drain`` turns new calls away with 503, lets the running ones end by themselves for a while, then hangs
them up through their own rows, and waits a bounded time for that. ``reload`` reads configuration and tables again while
calls go on; what is heard meanwhile is answered, since the reading is done beside the loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core import Trust
from calltable.adapters.sip.locate import Lookup
from calltable.adapters.sip.transport import SocketTransport
from calltable.assembly import Engine
from calltable.b2bua import B2BUA, Router
from calltable.control import Control, ControlError, hang_up, list_calls
from calltable.engine.model import TableError
from calltable.limits import Overload, SourceAdmission, source_key
from calltable.loading import Recipe
from calltable.observe import CallLog, Shadow, TraceFile, Tracer, last_number
from calltable.phone import NAMELESS
from calltable.server.circle import leading_back
from calltable.server.memory import give_back, settle
from calltable.server.reload import Generations, is_overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.adapters.sip.transport import Address
    from calltable.engine.run import Session
    from calltable.loading import Tables
    from calltable.server.config import Config

log = logging.getLogger("calltable.serve")

_BEYOND: Final = 2.0
"""Seconds that hung-up calls may take beyond Timer F, when a BYE that nobody answers is given up (RFC 3261 §17.1.2.2)."""

SERVED: Final = MappingProxyType({"liveness_check": True, "max_duration": 43_200.0})
"""Settings of tables that a server has on where its configuration says nothing: it runs for months, and a call whose peers are gone must
not stay as long. Seconds."""

_TIDY: Final = 20.0
"""Seconds between two looks whether the memory of past calls can be given back."""


class Server:
    """One B2BUA. ``await start()``, ``await drain()``, ``await close()``."""

    def __init__(self, config: Config, tables: Tables | None = None, *, reread: Callable[[], Config] | None = None) -> None:
        """Raises TableError where the tables do not load.

        ``tables`` are the program's own; what the configuration names (tables, overlays, settings) comes on top of them.
        ``reread`` gives the configuration anew for ``reload``; without it only the tables are read again.
        """
        self.config = config
        self._reread = reread
        self._reloading = asyncio.Lock()
        self._shadow: Shadow | None = None
        self._own = tables
        self.tables = self._load(config) if tables is None or config.names_tables else tables
        self._over: asyncio.Event = asyncio.Event()
        self._trace: TraceFile | None = None
        self._control: Control | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self._tidied = 0

    async def start(self) -> None:
        """Open everything. Raises TransportError, ControlError or OSError; nothing is left open then."""
        config = self.config
        loop = asyncio.get_running_loop()
        self.transport = SocketTransport(limits=config.transport)
        self.lookup = Lookup()
        self.trust = Trust(config.trusted)
        self.overload = Overload(loop, config.sources.shed, self.transport.behind)
        self.admission = SourceAdmission(
            config.sources, loop.time, capacity=config.max_calls, retry_after=round(config.retry_after), overload=self.overload, own=self._own_hosts,
        )  # fmt: skip
        self.engine = Engine(self.tables, loop, self.transport, self.lookup, admission=self.admission, trust=self.trust, host=config.host or NAMELESS)
        self.b2bua = B2BUA(
            self.engine, Router(config.routes), max_calls=config.max_calls, retry_after=round(config.retry_after)
        )
        self.b2bua.ended.append(self._ended)
        self.generations = Generations(self.engine, [self.b2bua.machine])
        CallLog(self.b2bua)
        try:
            if config.trace is not None:
                if config.trace.is_file():
                    self.b2bua.numbered = last_number(config.trace)
                self._trace = TraceFile(config.trace)
                Tracer(self.engine, self._trace, epoch=time.time() - loop.time())
            for address in config.listen:
                await self.transport.listen(address)
            if config.control is not None:
                control = Control(config.control, {
                    "status": lambda _: self.snapshot(), "reload": lambda _: self.reload(), "shadow": self._command_shadow,
                    "calls": partial(list_calls, self.b2bua), "hangup": partial(hang_up, self.b2bua),
                })  # fmt: skip
                await control.start()
                self._control = control
        except BaseException:
            await self.close()
            raise
        self.lookup.serve(self.transport.listeners)
        self._warn(config)

    def _warn(self, config: Config) -> None:
        """Say what will not go well, though it can be started."""
        for route, listener in leading_back(config.routes, self.transport.listeners):
            log.warning("route %s leads to %s, where this server listens itself: its calls go round until their hops are used up (483)",
                        route.name or route.target, listener)

    @property
    def listeners(self) -> tuple[Address, ...]:
        """The bound addresses."""
        return tuple(self.transport.listeners)

    def _own_hosts(self) -> tuple[str, ...]:
        """The addresses of this machine that listeners are bound to; those of the loopback for a listener on every address."""
        listeners = self.listeners
        found = {one.host for one in listeners if not one.wildcard}
        if len(found) < len(listeners):
            found |= {"127.0.0.1", "::1"}
        return tuple(source_key(host) for host in found)

    def settle(self) -> None:
        """Use memory as a process may that does nothing else; see ``memory.py``."""
        settle()
        self._tidy()

    def _tidy(self) -> None:
        """Give back the memory of past calls once nothing of them is alive."""
        executor = self.engine.executor
        taken = executor.counters["calls"]
        if taken != self._tidied and not executor.sessions:
            self._tidied = taken
            self.engine.stack.compact()
            give_back()
        self._tidying = asyncio.get_running_loop().call_later(_TIDY, self._tidy)

    def snapshot(self) -> dict[str, Any]:
        """How much is alive, and what was counted since the start."""
        traced = {} if self._trace is None else {"trace_lost": self._trace.failed}
        return {
            "calls": len(self.b2bua.calls), "draining": self.b2bua.draining, **self.engine.snapshot(),
            "transport": dict(self.transport.stats), "limits": {"most calls": self.b2bua.max_calls, **self.admission.snapshot()}, "tables": self.generations.running(), **traced,
        }  # fmt: skip

    # -- other tables
    async def reload(self) -> dict[str, Any]:
        """Read configuration and tables again. New calls take them; running ones keep theirs. Routes and limits change at once,
        listeners, logs and files stay.

        Answers ``{"generation", "digest", "tables", "calls"}``, or ``{"problems": [text, …]}`` where they are refused: then
        nothing has changed.
        """
        counters = self.engine.executor.counters
        async with self._reloading:
            try:
                config, tables = await asyncio.to_thread(self._read_again)
                renewal = self.generations.renew(tables)
            except (TableError, OSError, ValueError) as error:
                counters["reloads refused"] += 1
                refused = _problems(error)
                log.warning("reload refused, nothing changed: %s", "; ".join(refused))
                return {"problems": refused}
            self.config, self.tables = config, tables
            self.b2bua.router = Router(config.routes)
            self.b2bua.max_calls, self.b2bua.retry_after = config.max_calls, round(config.retry_after)
            self.trust.renew(config.trusted)
            self._warn(config)
            self.admission.renew(config.sources, capacity=config.max_calls, retry_after=round(config.retry_after))
            counters["reloads"] += 1
            changes = "; ".join(f"{name}: {what}" for name, what in renewal.tables.items())
            log.info("reloaded, generation %d: %s", renewal.generation, changes or "no table changed")
            return renewal.as_json()

    def _read_again(self) -> tuple[Config, Tables]:
        config = self.config if self._reread is None else self._reread()
        return config, self._load(config)

    def _load(self, config: Config) -> Tables:
        """What the program gave, with what the configuration names; read from the files."""
        return config.load_tables(self._own.recipe if self._own is not None else Recipe(defaults=SERVED))

    async def shadow(self, path: Path) -> dict[str, Any]:
        """Let a candidate (a table, a folder, or an overlay over what runs) see what happens from now on.

        Answers the report, empty yet, or ``{"problems": [text, …]}`` where the candidate does not load.
        """
        try:
            candidate = await asyncio.to_thread(self._candidate, path)
        except (TableError, OSError, ValueError) as error:
            return {"problems": _problems(error)}
        if self._shadow is not None:
            self._shadow.stop()
        self._shadow = Shadow(self.engine, candidate)
        return self._shadow.report()

    def _candidate(self, path: Path) -> Tables:
        config = self.config
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}")
        if is_overlay(path):
            return self._load(dataclasses.replace(config, overlays=(*config.overlays, path)))
        own = self._own.recipe if self._own is not None else Recipe(defaults=SERVED)
        return dataclasses.replace(config, tables=(path,)).load_tables(own._replace(paths=()))

    async def _command_shadow(self, request: Mapping[str, Any]) -> dict[str, Any]:
        do = request.get("do", "report")
        if do == "start":
            return await self.shadow(Path(str(request.get("tables"))))
        if self._shadow is None:
            raise ControlError("no candidate is shadowed; start one with calltable shadow start, or serve --shadow")
        report = self._shadow.report()
        if do == "stop":
            self._shadow.stop()
            self._shadow = None
        return report

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
        self.b2bua.hangup("the server shuts down")
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
        if self._tidying is not None:
            self._tidying.cancel()
        if self._control is not None:
            await self._control.close()
        self.lookup.close()
        await self.transport.close()
        if self._trace is not None:
            self._trace.close()


def _problems(error: Exception) -> list[str]:
    """Why tables or configuration were refused, a text each."""
    return [str(one) for one in error.problems] if isinstance(error, TableError) else [str(error)]
