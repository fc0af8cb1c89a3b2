"""The policy of a server: who may ask how much, and what may be sent to whom.

Each source (``figures.source_key``) has an account. There are two tables of them: strangers, and those that have proved themselves.
Both are bounded and forget whoever was not heard for the longest time, so a million forged sources push out each other and nobody
who is known. An account with calls or transactions stays until they are over; how many those can be is bounded elsewhere.

A new request is refused with 503 and Retry-After (RFC 3261 §21.5.4) where its source is beyond its figures, holds more than its share of
all calls, or where the process is late (``overload.py``). An emergency call has tokens of its own and is refused for no other reason.
What was refused is counted, and told once per source and minute.

What leaves goes by ``may_send``. Repetitions go only to addresses that have proved themselves or that we called ourselves; a Contact,
Record-Route or Via that names a third address gets each message once (see ``account.py`` for the source itself).
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message import MessageError, Rejection, Request, parse_uri
from calltable.adapters.sip.transaction import Sent
from calltable.limits.account import CALLS, MINUTE, SourceAccount
from calltable.limits.buckets import Bucket
from calltable.limits.figures import Plan, source_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from calltable.adapters.sip.transaction import Outgoing
    from calltable.adapters.sip.transport import Address
    from calltable.limits.overload import Overload

log = logging.getLogger("calltable.limits")

_LINES: Final = 1.0
_LINES_AT_ONCE: Final = 20
"""Lines a second for all sources together, and at once: a flood of sources must not become one of lines."""
_TRIES: Final = 8
"""Accounts looked at for one that can be forgotten."""
_KEYS: Final = 8192
"""Hosts whose source is remembered."""
_SOS: Final = "urn:service:sos"


def _words(plan: Plan) -> tuple[bytes, ...]:
    """What stands in the first line of every emergency call."""
    return (_SOS.encode(), *(number.lower().encode() for number in plan.emergency)) if plan.emergency else ()


def _nobody() -> tuple[str, ...]:
    return ()


class SourceAdmission:
    """An ``Admission`` with figures by source.

    ``clock`` tells seconds. ``capacity`` is how many calls the server takes in all; ``own`` gives the hosts of this machine, which
    have no limits unless the plan names them. ``retry_after`` in seconds.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float], *, capacity: int, retry_after: int = 5, overload: Overload | None = None,
                 own: Callable[[], Iterable[str]] = _nobody) -> None:
        self.plan = plan
        self._urgent = _words(plan)
        self._clock = clock
        self.capacity = capacity
        self.retry_after = retry_after
        self.overload = overload
        self.counters: Counter[str] = Counter()
        self._own = own
        self._strangers: OrderedDict[str, SourceAccount] = OrderedDict()
        self._known: OrderedDict[str, SourceAccount] = OrderedDict()
        self._keys: dict[str, str] = {}
        self._exempt: set[str] = set()
        """Hosts that this plan gives no limits: their messages cost one look-up."""
        self._lines = Bucket(_LINES_AT_ONCE, clock())

    def now(self) -> float:
        """Seconds, monotonic."""
        return self._clock()

    def renew(self, plan: Plan, *, capacity: int, retry_after: int) -> None:
        """Go by other figures from now on; what was counted stays."""
        self.plan, self.capacity, self.retry_after = plan, capacity, retry_after
        self._exempt.clear()
        self._urgent = _words(plan)
        if self.overload is not None:
            self.overload.shed = plan.shed

    # -- sources
    def source(self, address: Address, size: int) -> SourceAccount | None:
        """The account of whoever sent a message of ``size`` bytes; None where it has no limits."""
        host = address.host
        if host in self._exempt:
            return None
        key = self._keys.get(host) or self._key(host)
        account = self._known.get(key)
        if account is not None:
            self._known.move_to_end(key)
            if account.plan is not self.plan:
                self._update(account)
            if account.figures.exempt:
                self._exempt.add(host)
                return None
            return account
        account = self._strangers.get(key)
        if account is None:
            account = self._open(key)
            if account.figures.exempt:
                return None
        else:
            self._strangers.move_to_end(key)
            if account.plan is not self.plan:
                self._update(account)
        if address.reliable:
            account.proved()  # by the handshake
        else:
            account.heard(size, self.now())
        return account

    def promote(self, account: SourceAccount) -> None:
        """A stranger has proved itself."""
        self._strangers.pop(account.key, None)
        self._keep(self._known, account)

    def snapshot(self) -> dict[str, int]:
        """How many sources are remembered, have something open, and how many calls the busiest of them has; the delay, ms."""
        busy = [account for table in (self._strangers, self._known) for account in table.values() if not account.idle]
        return {
            "sources": len(self), "sources_open": len(busy), "calls_of_one": max((account.calls for account in busy), default=0),
            "delay_ms": 0 if self.overload is None else round(self.overload.delay * 1000),
        }  # fmt: skip

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._strangers) + len(self._known)

    def _update(self, account: SourceAccount) -> None:
        """Go by the present plan; done when a source is next heard, since there may be 40,000 of them."""
        account.plan = self.plan
        account.figures = self.plan.figures(account.key, self._own())

    def _key(self, host: str) -> str:
        key = self._keys.get(host)
        if key is None:
            if len(self._keys) >= _KEYS:
                self._keys.clear()
                self._exempt.clear()
            key = self._keys[host] = source_key(host)
        return key

    def _open(self, key: str) -> SourceAccount:
        account = SourceAccount(self, key, self.plan, self._own(), self.now())
        self._keep(self._known if account.known else self._strangers, account)
        return account

    def _keep(self, table: OrderedDict[str, SourceAccount], account: SourceAccount) -> None:
        table[account.key] = account
        tries = _TRIES
        while len(table) > self.plan.table and tries:
            key, oldest = next(iter(table.items()))
            if oldest.idle and oldest is not account:
                del table[key]
            else:
                table.move_to_end(key)
                tries -= 1

    # -- new requests
    def decide(self, account: SourceAccount, request: Request) -> Rejection | None:
        """Why a new request of a source is refused; None where it is taken."""
        now = self.now()
        why = account.over_limit(request, now, max(1, int(self.plan.share * self.capacity)))
        if not why:
            if request.method not in CALLS or self.overload is None or not self.overload.sheds():
                return None
            why = "overload"
        if self._emergency(request) and account.emergency(now):
            return None
        account.why = why
        self.dropped(account, why)
        return Rejection(503, "Service Unavailable", (("Retry-After", str(self.retry_after)),))

    def _emergency(self, request: Request) -> bool:
        """Whether it is an emergency call: a service URN (RFC 5031), or a number of the plan."""
        uri = request.uri
        if request.method != "INVITE" or not self.plan.emergency:
            return False
        if uri[: len(_SOS)].lower() == _SOS:
            return True
        try:
            parsed = parse_uri(uri)
        except MessageError:
            return False
        return (parsed.user or parsed.opaque) in self.plan.emergency

    def urgent(self, data: bytes) -> bool:
        """Whether a request may be an emergency call, by its first line."""
        line = data[: data.find(b"\r\n")].lower()
        return any(word in line for word in self._urgent)

    def dropped(self, account: SourceAccount, why: str) -> None:
        """Count what is refused or goes unheard, and tell of it once per source and minute."""
        self.counters[f"over limit: {why}"] += 1
        account.refused += 1
        now = self.now()
        if now - account.told >= MINUTE and self._lines.take(_LINES, _LINES_AT_ONCE, now):
            log.warning("source %s is over its limit (%s); refused or dropped since the last line: %d", account.key, why, account.refused)
            account.told, account.refused = now, 0

    # -- what leaves
    def may_send(self, outgoing: Outgoing, data: bytes) -> bool:
        """Whether a message may leave."""
        to = outgoing.to
        host = to.host
        if host in self._exempt:
            return True
        key = self._keys.get(host) or self._key(host)
        if key in self._known or to.reliable:
            return True
        account = self._strangers.get(key)
        message = outgoing.message
        if isinstance(message, Request) and (message.method == "ACK" or message.to_tag is None):
            # we call somebody, or go on with a dialog that we began: its address is ours to choose
            self._vouch(account, key)
            return True
        if account is not None and account.may_send(data, self.now()):
            return True
        if account is None and not isinstance(message, Sent):
            return True
        self.counters["withheld from unproved addresses"] += 1
        return False

    def _vouch(self, account: SourceAccount | None, key: str) -> None:
        if account is None:
            account = SourceAccount(self, key, self.plan, self._own(), self.now())
        account.known = True
        self.promote(account)
