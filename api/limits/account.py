"""The account of one source: its rates, its open work, and what has been sent to it.

Two things are kept apart. *What it asks*: tokens for new requests, for messages that belong to nothing and for refusals, and counts of
its transactions, unanswered calls and calls. *Whether it is there*: the source address of a datagram can be forged, and then what is
sent back hits somebody else. A source has proved itself once it sent what only a receiver of our messages can know (an ACK or a
request with our tag, a response with our branch), or by a connection. Until then, per minute, it gets three bytes for each that came
in its name, and one call beside that has the whole schedule of repetitions of RFC 3261 (§13.3.1.4, §17.1.2.2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from calltable.limits.buckets import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calltable.adapters.sip.message import Rejection, Request
    from calltable.limits.figures import Plan

MINUTE: Final = 60.0
PAUSE: Final = 0.05
"""Seconds for which new requests of a source are dropped unread once it was not even refused one."""
RATIO: Final = 3
"""Bytes that a source which has not proved itself gets for each byte that came from it."""

CALLS: Final = frozenset({"INVITE", "OPTIONS"})
"""What begins a call, or asks what would become of one (RFC 3261 §11.2)."""

_call_id: Final = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


class Keeper(Protocol):
    """Who keeps the accounts."""

    def now(self) -> float:
        """Seconds, monotonic."""

    def decide(self, account: SourceAccount, request: Request) -> Rejection | None:
        """Why a new request of a source is refused; None where it is taken."""

    def urgent(self, data: bytes) -> bool:
        """Whether a request may be an emergency call, by its first line."""

    def dropped(self, account: SourceAccount, why: str) -> None:
        """Something of it was refused or goes unheard."""

    def promote(self, account: SourceAccount) -> None:
        """It has proved itself."""


class SourceAccount:
    """What is known of one source. See ``core/admission.py`` for what its methods are told."""

    __slots__ = (
        "_bytes_in", "_bytes_out", "_closed", "_deaf", "_emergencies", "_grace", "_graced", "_keeper", "_minute", "_replies", "_requests", "_strays", "calls",
        "early", "figures", "key", "known", "plan", "refused", "shut", "told", "transactions", "why",
    )  # fmt: skip

    def __init__(self, keeper: Keeper, key: str, plan: Plan, own: Iterable[str], now: float) -> None:
        """``own`` are the sources that are this machine."""
        self._keeper = keeper
        self.key = key
        self.plan = plan
        self.figures = figures = plan.figures(key, own)
        self.known = figures.exempt
        """It has proved itself."""
        self.transactions = self.early = self.calls = 0
        self.refused = 0
        """Requests refused and not told of yet."""
        self.told = -MINUTE
        """When a line was logged for it last, seconds."""
        self.why = ""
        """Which limit its last refused request went beyond."""
        self._requests = Bucket(figures.burst, now)
        self._emergencies: Bucket | None = None
        self._strays: Bucket | None = None
        self._replies: Bucket | None = None
        self._bytes_in = self._bytes_out = 0
        self._closed = self._deaf = 0.0
        self.shut = False
        self._minute = now
        self._grace = b""
        self._graced = -MINUTE

    @property
    def idle(self) -> bool:
        """Whether nothing of it is open."""
        return not (self.transactions or self.calls)

    # -- what it asks
    def admits(self, request: Request) -> Rejection | None:
        """Why a new request is refused; None where it is taken."""
        return self._keeper.decide(self, request)

    def over_limit(self, request: Request, now: float, most_calls: int) -> str:
        """Which limit a new request goes beyond; empty where none. Takes a token where it goes beyond none."""
        figures = self.figures
        if self.transactions >= figures.transactions:
            return "transactions"
        if request.method in CALLS:
            if self.early >= figures.early:
                return "unanswered calls"
            if self.calls >= min(figures.calls, most_calls):
                return "calls"
        return "" if self._requests.take(figures.rate, figures.burst, now) else "rate"

    def emergency(self, now: float) -> bool:
        """Take a token of those that are kept for emergency calls."""
        figures = self.figures
        if self._emergencies is None:
            self._emergencies = Bucket(figures.burst, now)
        return self._emergencies.take(figures.rate, figures.burst, now)

    def stray(self) -> bool:
        """It has sent a message that belongs to nothing; False where that goes unheard."""
        figures, now = self.figures, self._keeper.now()
        if self._strays is None:
            self._strays = Bucket(2 * figures.strays, now)
        if self._strays.take(figures.strays, 2 * figures.strays, now):
            return True
        self._deaf = now + PAUSE
        self.shut = True
        self._keeper.dropped(self, "strays")
        return False

    def replies(self) -> bool:
        """Whether a refusal may be sent to it now."""
        figures, now = self.figures, self._keeper.now()
        if self._replies is None:
            self._replies = Bucket(figures.replies, now)
        if self._replies.take(figures.replies, figures.replies, now):
            return True
        self._closed = now + PAUSE
        self.shut = True
        return False

    def spent(self, data: bytes) -> bool:
        """Whether a new request of it would be dropped in silence; counts it then."""
        if self._open(self._closed) or self._keeper.urgent(data):
            return False
        self._keeper.dropped(self, self.why)
        return True

    def deaf(self) -> bool:
        """Whether a message of it that belongs to nothing goes unheard now; counts it then."""
        if self._open(self._deaf):
            return False
        self._keeper.dropped(self, "strays")
        return True

    def _open(self, until: float) -> bool:
        """Whether a pause is over."""
        now = self._keeper.now()
        if now >= self._closed and now >= self._deaf:
            self.shut = False
        return now >= until

    # -- its open work
    def begun(self, *, call: bool) -> None:
        """A server transaction has begun."""
        self.transactions += 1
        self.early += call

    def answered(self) -> None:
        """One of its calls has had its final response."""
        self.early -= 1

    def over(self) -> None:
        """A server transaction has ended."""
        self.transactions -= 1

    def took_call(self) -> None:
        """An application has taken a call of it."""
        self.calls += 1

    def lost_call(self) -> None:
        """A call of it is over."""
        self.calls -= 1

    # -- whether it is there
    def proved(self) -> None:
        """It is where it says it is."""
        if not self.known:
            self.known = True
            self._keeper.promote(self)

    def heard(self, size: int, now: float) -> None:
        """So many bytes came from it."""
        if now - self._minute >= MINUTE:
            self._minute, self._bytes_in, self._bytes_out = now, 0, 0
        self._bytes_in += size

    def may_send(self, data: bytes, now: float) -> bool:
        """Whether a message may go to it, though it has not proved itself."""
        if now - self._minute >= MINUTE:
            self._minute, self._bytes_in, self._bytes_out = now, 0, 0
        if self._bytes_out + len(data) <= RATIO * self._bytes_in:
            self._bytes_out += len(data)
            return True
        found = _call_id.search(data)
        call = found[1].strip() if found is not None else b""
        if call and call == self._grace:
            return True
        if call and now - self._graced >= MINUTE:
            self._grace, self._graced = call, now
            return True
        return False
