"""One request, several addresses: what a name or a size leaves to try when the first way fails.

RFC 3263 §4.3: where a server answers 503, cannot be reached, or lets the transaction time out without a word, the same request goes to
the next address, in a transaction of its own. RFC 3261 §18.1.1: a request too large for a datagram goes over TCP first, and over
UDP where nobody takes the connection; who did not is remembered for a while.

Nothing here looks at a call: whoever sent the request learns of the last attempt only, and may say ``only_here`` to
make the one under way the last (a CANCEL, a BYE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message import Request, parse_uri
from calltable.adapters.sip.transaction.sender import Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.adapters.sip.message import Response
    from calltable.adapters.sip.transaction.client import ClientTransaction, ClientUser
    from calltable.adapters.sip.transaction.layer import Transactions
    from calltable.adapters.sip.transaction.sender import Sender
    from calltable.adapters.sip.transport import Address

LARGE: Final = 1300
"""Bytes above which a request does not go by UDP where TCP can be had (RFC 3261 §18.1.1)."""
_VIA: Final = 100
"""About what the Via and the words of the start line take, which are not counted."""
_REMEMBERED: Final = 600.0
"""Seconds for which an address without TCP gets large requests by UDP at once."""
_MOST: Final = 10_000


class Failover:
    """Sends requests of one SIP element, to the first address that takes them."""

    def __init__(self, sender: Sender, transactions: Transactions) -> None:
        self._sender = sender
        self._transactions = transactions
        self._without_tcp: dict[Address, float] = {}

    def send(self, request: Request, hop: str, ways: Sequence[Destination], user: ClientUser,
             started: Callable[[ClientTransaction], None] | None = None, branch: str = "") -> None:
        """Send ``request``, which has no Via yet, to the first of ``ways``; later to the others, as far as need be.

        ``hop`` is the URI that leads to ``ways``: one that names its transport is taken at its word, whatever the size.
        ``started`` is told of each transaction; ``branch`` is that of the first, where one was drawn before.
        """
        if self._streams() and parse_uri(hop).transport is None:
            ways = self._by_size(request, ways)
        self.attempt(request, ways, user, started, branch)

    def attempt(self, request: Request, ways: Sequence[Destination], user: ClientUser,
                started: Callable[[ClientTransaction], None] | None, branch: str = "") -> None:
        """Send to the first of ``ways`` as they are."""
        transactions = self._transactions
        if len(ways) > 1:
            kept = Request(request.method, request.uri, list(request.headers), request.body)
            user = Attempt(self, kept, ways, user, started)
        to, local = ways[0]
        branch, outgoing = self._sender.outgoing(request, to, local, transactions.cause(), branch)
        transaction = transactions.request(user, outgoing, branch, request.method)
        if started is not None:
            started(transaction)

    def _streams(self) -> bool:
        """Whether large requests have another way at all."""
        for listener in self._sender.transport.listeners:  # noqa: SIM110 - asked for each request; a generator costs more
            if listener.transport == "tcp":
                return True
        return False

    def _by_size(self, request: Request, ways: Sequence[Destination]) -> Sequence[Destination]:
        """Put TCP before UDP for a large request, where there is a listener to send it from."""
        size = _VIA + len(request.uri) + len(request.body)
        for name, value in request.headers:
            size += len(name) + len(value) + 4
        if size <= LARGE:
            return ways
        sized: list[Destination] = []
        now = self._sender.clock.time()
        for way in ways:
            to, local = way
            if to.transport == "udp" and self._without_tcp.get(to, now) <= now:
                stream = to._replace(transport="tcp")
                listener = self._sender.transport.local_for(stream, local)
                if listener is not None:
                    sized.append(Destination(stream, listener))
            sized.append(way)
        return list(dict.fromkeys(sized))

    def failed(self, tried: Address, following: Address) -> None:
        """Note that an address took no connection, where its UDP is tried next."""
        self._sender.counters["next addresses tried"] += 1
        if tried.transport == "tcp" and following == tried._replace(transport="udp"):
            if len(self._without_tcp) >= _MOST:
                self._without_tcp.clear()
            self._without_tcp[following] = self._sender.clock.time() + _REMEMBERED


class Attempt:
    """The user of a transaction whose request has other addresses to go to."""

    __slots__ = ("_attempts", "_request", "_started", "_ways", "user")

    def __init__(self, attempts: Failover, request: Request, ways: Sequence[Destination], user: ClientUser,
                 started: Callable[[ClientTransaction], None] | None) -> None:
        self._attempts = attempts
        self._request = request
        self._ways = ways
        self._started = started
        self.user = user
        """Who sent the request."""

    def responded(self, transaction: ClientTransaction, kind: str, code: int, message: Response | None) -> None:
        """Try the next address where this one failed (RFC 3263 §4.3); pass on everything else."""
        if kind == "failure" and (code == 503 or (code == 408 and message is None)):
            tried = self._ways[0].to
            others = self._ways[1:]
            if message is not None or code == 408:  # the server fails, not the way to it
                others = [way for way in others if (way.to.host, way.to.port) != (tried.host, tried.port)]
            if others:
                self._attempts.failed(tried, others[0].to)
                self._attempts.attempt(self._request, others, self.user, self._started)
                return
        self.user.responded(transaction, kind, code, message)


def only_here(transaction: ClientTransaction | None) -> None:
    """Let the attempt that is under way be the last."""
    if transaction is not None and isinstance(transaction.user, Attempt):
        transaction.user = transaction.user.user
