"""A softphone on real sockets: what ``calltable call``, ``answer`` and ``demo`` run, and the shortest way to embed one.

    async with Endpoint.open(Tables(), ["udp:127.0.0.1:5070"]) as endpoint:
        call = await endpoint.phone.call("sip:bob@127.0.0.1:5060")
        ...

Leaving the block hangs up, waits briefly for the calls to end, and closes the sockets. ``endpoint = await Endpoint.open(…)`` with
``await endpoint.close()`` does the same in two steps.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core import Screening
from calltable.adapters.sip.locate import Lookup
from calltable.adapters.sip.transport import Address, SocketTransport, TransportError
from calltable.assembly import Engine
from calltable.phone.owner import ENDED
from calltable.phone.softphone import Softphone, sip_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence
    from types import TracebackType

    from calltable.adapters.media import Direction
    from calltable.loading import Tables
    from calltable.phone.call import Call

ANYWHERE: Final = ("udp:0.0.0.0:0", "tcp:0.0.0.0:0", "udp:[::]:0", "tcp:[::]:0")
"""Free ports on every address; those that the machine cannot have are left out."""

NAMELESS: Final = "calltable.invalid"
"""What stands in Call-IDs where no name was given: 64 random bits before it make them unique, and an address of ours is
nobody's business (RFC 2606 keeps the name free)."""


PATIENCE: Final = 2.0
"""Seconds that leaving an ``async with`` block waits for the ends of calls: four times T1, so that a BYE may be lost twice."""


class Endpoint:
    """One user agent with sockets of its own. Made by ``open``."""

    def __init__(self, engine: Engine, transport: SocketTransport, lookup: Lookup, phone: Softphone) -> None:
        self.engine = engine
        self.transport = transport
        self.lookup = lookup
        self.phone = phone

    @classmethod
    def open(
        cls,
        tables: Tables,
        listen: Sequence[Address | str] = (),
        *,
        via: str = "",
        identity: str = "",
        on_incoming: Callable[[Call], object] | None = None,
        max_calls: int = 100,
        direction: Direction = "inactive",
        attended: bool = False,
        agent: str = "calltable",
    ) -> Opening:
        """Open the listeners and make the phone: ``await`` it, or enter it with ``async with``.

        Without ``listen`` any free ports are taken. ``via`` (a SIP URI) is where every request goes, whatever its own
        URI. The rest is as in ``Softphone``. Raises TransportError for a listener that cannot be opened, ValueError for a malformed
        address or URI, LookupError for tables without phones, TypeError where ``listen`` is one address and no list of them.
        """
        if isinstance(listen, str | Address):
            msg = f"Endpoint.open takes a list of addresses: write [{str(listen)!r}]"
            raise TypeError(msg)

        async def make() -> Endpoint:
            if via:
                sip_uri(via, "cannot be an outbound proxy")
            transport = SocketTransport()
            lookup = Lookup(via=via)
            engine = Engine(
                tables, asyncio.get_running_loop(), transport, lookup, screening=Screening((), any_content=False),
                host=NAMELESS,
            )  # fmt: skip
            try:
                phone = Softphone(
                    engine, identity, on_incoming=on_incoming, max_calls=max_calls, direction=direction, attended=attended,
                    agent=agent,
                )  # fmt: skip
                for address in listen or ANYWHERE:
                    with contextlib.nullcontext() if listen else contextlib.suppress(TransportError):
                        await transport.listen(address)
            except BaseException:
                await transport.close()
                raise
            if not transport.listeners:
                raise TransportError("no port could be opened; name one with --listen udp:host:port")
            lookup.serve(transport.listeners)
            return cls(engine, transport, lookup, phone)

        return Opening(make)

    @property
    def address(self) -> Address:
        """The first listener, as bound."""
        return self.transport.listeners[0]

    async def close(self, *, patience: float = 0.0) -> bool:
        """Hang up what is up, wait at most ``patience`` seconds for it, and close the sockets.

        True where no call was left behind. The sockets are closed also where the waiting task is cancelled.
        """
        self.phone.hangup()
        try:
            waits = [asyncio.ensure_future(call.wait(ENDED)) for call in self.phone.calls.values()]
            if waits and patience > 0:
                await asyncio.wait(waits, timeout=patience)
        finally:
            left = len(self.phone.calls)
            deciding = list(self.phone.deciding)
            for task in (*waits, *deciding):
                task.cancel()
            self.lookup.close()
            await self.transport.close()
        await asyncio.gather(*waits, *deciding, return_exceptions=True)
        return not left


class Opening:
    """An ``Endpoint`` that is about to be opened: ``await`` it, or enter it with ``async with``."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Endpoint]]) -> None:
        self._make = make
        self._made: Endpoint | None = None

    def __await__(self) -> Generator[Any, None, Endpoint]:
        """Open it."""
        return self._make().__await__()

    async def __aenter__(self) -> Endpoint:
        """Open it."""
        self._made = await self._make()
        return self._made

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Hang up, wait a moment for the ends, and close the sockets."""
        if self._made is not None:
            await self._made.close(patience=PATIENCE)
