"""The gate before the stack: which messages of a source are worth any work, decided before work is done.

The gate sorts what has been parsed, and not yet checked, by looking into the tables that the stack has anyway. A response to a
request of ours, a request in a dialog that is up, a CANCEL or an ACK of a transaction that is known always pass: nobody's running
call is refused anything. What belongs to nothing (a stray response, a stray ACK, a request in no dialog, a repetition) passes as
long as the source has not sent too much of it, and is dropped in silence beyond that. A new request is put to the policy.

A refusal has no state (RFC 3261 §8.2.7): the next copy of the request is looked at anew. It is never larger than the request,
and each source gets only a few of them a second; what goes beyond is dropped.

The policy is an ``Admission``; ``calltable.limits`` has the one that ``calltable serve`` runs. Without one there is no gate, and
nothing is spent on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from calltable.adapters.sip.message import MessageError, Rejection, Response
from calltable.adapters.sip.transaction import Account, ack_key, server_key

if TYPE_CHECKING:
    from collections import Counter

    from calltable.adapters.sip.core.legs import Legs
    from calltable.adapters.sip.message import Request
    from calltable.adapters.sip.transaction import Outgoing, Transactions
    from calltable.adapters.sip.transport import Address


class Source(Account, Protocol):
    """What a policy keeps of one source of messages."""

    shut: bool
    """Something of it goes unheard now, or did a moment ago: a look at the bytes may save reading them."""
    known: bool
    """It has proved that it is there."""

    def proved(self) -> None:
        """It has sent what only a receiver of our messages can know: it is where it says it is."""

    def stray(self) -> bool:
        """It has sent a message that belongs to nothing; False where that goes unheard."""

    def deaf(self) -> bool:
        """Whether a message of it that belongs to nothing goes unheard now."""

    def admits(self, request: Request) -> Rejection | None:
        """Why a new request is refused; None where it is taken."""

    def replies(self) -> bool:
        """Whether a refusal may be sent to it now."""

    def spent(self, data: bytes) -> bool:
        """Whether a new request of it would be dropped in silence, so that it need not be read."""


class Admission(Protocol):
    """A policy: who may ask how much, and what may be sent to whom."""

    counters: Counter[str]
    """Where it counts what it refuses; the stack gives it its own."""

    def source(self, address: Address, size: int) -> Source | None:
        """The source that a message of ``size`` bytes came from; None for one without limits."""

    def may_send(self, outgoing: Outgoing, data: bytes) -> bool:
        """Whether a message, written as ``data``, may leave now."""


_READ: Final = (b"ACK ", b"CANCEL ")
_branch: Final = re.compile(rb";branch=([A-Za-z0-9]+)[;,\r]")
_cseq: Final = re.compile(rb"\r\nCSeq: [0-9]+ ([A-Z]+)\r\n", re.IGNORECASE)
_to: Final = re.compile(rb"\r\n(?:to|t)[ \t]*:[^\r\n]*\r\n(?![ \t])", re.IGNORECASE)
DROPPED: Final = Rejection(None, "more than its source may send")
"""What goes unanswered."""


class Gate:
    """Sorts messages for one policy."""

    __slots__ = ("_legs", "_transactions", "policy")

    def __init__(self, policy: Admission, transactions: Transactions, legs: Legs) -> None:
        self.policy = policy
        self._transactions = transactions
        self._legs = legs

    def dismisses(self, data: bytes, source: Source) -> bool:
        """Whether a message is dropped unread.

        By its bytes it is a new request, of a source that is not even refused any more; or a response to nothing, of one that has sent
        too many of those. What is not plainly one (no To, or one with a tag; an ACK, a CANCEL) is read.
        """
        if not source.shut:
            return False
        if data.startswith(b"SIP/2.0 "):
            branch, cseq = _branch.search(data), _cseq.search(data)
            if branch is None or cseq is None:
                return False
            return f"{branch[1].decode('latin-1')}|{cseq[1].decode('latin-1')}" not in self._transactions.clients and source.deaf()
        if data.startswith(_READ):
            return False
        to = _to.search(data)
        return to is not None and b"tag" not in to[0].lower() and source.spent(data)

    def judge(self, message: Request | Response, source: Source) -> Rejection | None:
        """Why a parsed message goes no further; None where it passes. Without a status it is dropped."""
        try:
            return self._response(message, source) if isinstance(message, Response) else self._request(message, source)
        except MessageError:
            return self.stray(source)  # where it passes, the check says what is wrong with it

    @staticmethod
    def stray(source: Source) -> Rejection | None:
        """What becomes of a message that belongs to nothing."""
        return None if source.stray() else DROPPED

    def _response(self, response: Response, source: Source) -> Rejection | None:
        if f"{response.via.branch}|{response.cseq.method}" not in self._transactions.clients:
            return self.stray(source)
        if not source.known:
            source.proved()
        return None

    def _request(self, request: Request, source: Source) -> Rejection | None:
        method = request.method
        servers = self._transactions.servers
        tag = request.to_tag
        if method == "ACK":
            return self._ack(request, tag, source)
        if server_key(request, method) in servers:
            return self.stray(source)
        if method == "CANCEL":
            return None if server_key(request, "INVITE") in servers else self.stray(source)
        if tag is not None:
            if self._legs.find(request.call_id, tag, request.from_tag) is None:
                return self.stray(source)
            if not source.known:
                source.proved()
            return None
        rejection = source.admits(request)
        return rejection if rejection is None or source.replies() else DROPPED

    def _ack(self, request: Request, tag: str | None, source: Source) -> Rejection | None:
        if tag is not None and ack_key(request.call_id, tag, request.cseq.number) in self._transactions.acks:
            source.proved()  # the tag is ours, and random
            return None
        known = self._transactions.servers.get(server_key(request, "INVITE"))
        if known is None:
            return self.stray(source)
        if tag is not None and known.tag == tag:
            source.proved()
        return None
