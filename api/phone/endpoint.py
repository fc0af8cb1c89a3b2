"""A softphone on real sockets: what ``calltable call``, ``answer`` and ``demo`` run, and the shortest way to embed one.

endpoint = await Endpoint.open(Tables(), ["udp:127.0.0.1:5070"])
call = await endpoint.phone.call("sip:bob@127.0.0.1:5060")
…
await endpoint.close()
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core.screening import Screening
from calltable.adapters.sip.locate.lookup import Lookup
from calltable.adapters.sip.transport.address import Address
from calltable.adapters.sip.transport.interface import TransportError
from calltable.adapters.sip.transport.sockets import SocketTransport
from calltable.assembly import Engine
from calltable.phone.softphone import Softphone, sip_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calltable.loading import Tables

ANYWHERE: Final = ("udp:0.0.0.0:0", "tcp:0.0.0.0:0", "udp:[::]:0", "tcp:[::]:0")
"""Free ports on every address; those that the machine cannot have are left out."""

NAMELESS: Final = "calltable.invalid"
"""What stands in Call-IDs where no name was given: 64 random bits before it make them unique, and an address of ours is
nobody's business (RFC 2606 keeps the name free)."""


class Endpoint:
    """One user agent with sockets of its own. Made by ``open``."""

    def __init__(self, engine: Engine, transport: SocketTransport, lookup: Lookup, phone: Softphone) -> None:
        self.engine = engine
        self.transport = transport
        self.lookup = lookup
        self.phone = phone

    @classmethod
    async def open(cls, tables: Tables, listen: Sequence[Address | str] = (), *, via: str = "",
                   identity: str = "", **options: Any) -> Endpoint:
        """Open the listeners and make the phone; ``options`` are those of ``Softphone``.

        Without ``listen`` any free ports are taken. ``via`` (a SIP URI) is where every request goes, whatever its own
        URI. Raises TransportError for a listener that cannot be opened, ValueError for a malformed address or URI,
        TypeError where ``listen`` is one address and no list of them.
        """
        if isinstance(listen, str | Address):
            msg = f"Endpoint.open takes a list of addresses: write [{str(listen)!r}]"
            raise TypeError(msg)
        if via:
            sip_uri(via, "cannot be an outbound proxy")
        transport = SocketTransport()
        lookup = Lookup(via=via)
        engine = Engine(
            tables, asyncio.get_running_loop(), transport, lookup, screening=Screening((), any_content=False),
            host=NAMELESS,
        )  # fmt: skip
        try:
            phone = Softphone(engine, identity, **options)
            for address in listen or ANYWHERE:
                with contextlib.nullcontext() if listen else contextlib.suppress(TransportError):
                    await transport.listen(address)
        except BaseException:
            await transport.close()
            raise
        if not transport.listeners:
            raise TransportError("not one port could be opened; say which with --listen udp:host:port")
        lookup.serve(transport.listeners)
        return cls(engine, transport, lookup, phone)

    @property
    def address(self) -> Address:
        """The first listener, as bound."""
        return self.transport.listeners[0]

    async def close(self, *, patience: float = 0.0) -> bool:
        """Hang up what is up, wait at most ``patience`` seconds for it, and close the sockets.

        True where no call was left behind.
        """
        self.phone.hangup()
        calls = list(self.phone.calls.values())
        if calls and patience > 0:
            waits = [asyncio.ensure_future(call.wait("ended")) for call in calls]
            _, late = await asyncio.wait(waits, timeout=patience)
            for wait in late:
                wait.cancel()
        left = len(self.phone.calls)
        for task in self.phone.deciding:
            task.cancel()
        self.lookup.close()
        await self.transport.close()
        return not left
