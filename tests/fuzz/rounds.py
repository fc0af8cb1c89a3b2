"""One round: strangers send some dozens of messages to a B2BUA, then the clock runs out, and nothing may be left.

What must hold: no exception comes past the adapter (the simulated network lets none be swallowed); no effect and no session
fails; every request that has a readable Via is answered by a final response, unless the rules of RFC 3261 or RFC 4320
absorb it; what the B2BUA sends of its own accord is right and has no control characters; and after an hour there is no
session, timer, transaction or dialog, and no open account of a source.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.message import Request, Response
from calltable.adapters.sip.message.parse import AnswerableError, parse
from calltable.adapters.sip.message.validate import check
from calltable.adapters.sip.transport.address import RELIABLE
from calltable.limits import Plan
from calltable.simulation import Simulation
from tests.fuzz.codec import codec, stream
from tests.fuzz.mutate import mutated
from tests.fuzz.strangers import Stranger

if TYPE_CHECKING:
    from calltable.adapters.simulated.packet import Verdict
    from calltable.adapters.sip.transport.address import Address
    from calltable.adapters.sip.transport.interface import Flow

SERVER = "udp:10.0.0.1:5060 tcp:10.0.0.1:5060"
PEERS = {"alice": "udp:10.0.0.2:5060", "bob": "udp:10.0.0.3:5060", "carol": "tcp:10.0.0.4:5060", "dave": "tcp:10.0.0.5:5060"}
ROUTES = {"bob": "sip:bob@10.0.0.3:5060", "carol": "sip:carol@10.0.0.4:5060;transport=tcp", "dead": "sip:dead@10.0.0.99:5060", "busy": 486}
PAUSES = (0.0, 0.0, 0.0, 0.001, 0.01, 0.02, 0.3, 2.0, 40.0)
TOLERATED = ("unanswerable",)
"""Counters that strangers can move with what nobody could answer."""
CONTROLS = set(range(0x20)) - {9, 10, 13} | {0x7F}


class FuzzError(AssertionError):
    """Something that must hold did not."""


class Round:
    """One round, which depends on its seed and number alone."""

    def __init__(self, seed: str, number: int, count: int, *, keep: bool = False) -> None:
        """``count`` messages of the strangers' own accord; ``keep`` keeps all packets for the story of a failure."""
        self.name = f"{seed}/{number}"
        self.rng = Random(self.name)
        self.count = count
        self.left = count
        self.last = b""
        self.sent: list[tuple[float, str, bytes]] = []
        self.expected: dict[tuple[bytes, str], bytes] = {}
        self.forks: dict[str, set[str | None]] = {}
        """Our tags in the responses to the INVITEs of each call."""
        self.answered: set[tuple[bytes, str]] = set()
        self.limited = self.rng.random() < 0.2
        self.sim = Simulation(self.name, trace=False, loss=0.0)
        if keep:
            self.sim.network.log = deque()
        self.sim.b2bua("b2bua", SERVER, routes=ROUTES, sources=Plan() if self.limited else None)
        self.sim.network.add_filter(self._watch)
        self.strangers = []
        for name, address in PEERS.items():
            transport = self.sim.network.attach(address)
            server = next(one for one in self.sim.listeners("b2bua") if one.transport == transport.listeners[0].transport)
            stranger = Stranger(name, transport, server, Random(f"{self.name}/{name}"), self._send, self._later)
            transport.start(stranger)
            self.strangers.append(stranger)

    def run(self) -> int:
        """Play it; how many messages were sent. Raises whatever is wrong."""
        rng = self.rng
        while self.left > 0:
            stranger = rng.choice(self.strangers)
            what = rng.random()
            if what < 0.35 or not stranger.dialogs:
                stranger.invite()
            elif what < 0.85:
                stranger.within()
            elif what < 0.95:
                stranger.again()
            else:
                self._garbage(stranger)
            self.sim.run(rng.choice(PAUSES))
        self._finish()
        return len(self.sent)

    # -- sending
    def _send(self, stranger: Stranger, data: bytes, flow: Flow | None, source: Address | None) -> None:
        if self.left <= -3 * self.count:
            return  # answers to answers come to an end
        self.left -= 1
        rng = stranger.rng
        if rng.random() < 0.4:
            data = mutated(rng, data, rng.choice((1, 1, 2, 4)))
        stranger.sent.append(data)
        del stranger.sent[:-20]
        codec(data)
        if stranger.address.transport in RELIABLE:
            extra = rng.choice((b"", b"", b"\r\n\r\n", b"\r\n", data))
            for frame in stream(rng, data + extra):
                self._out(stranger, frame, flow, source)
        else:
            self._out(stranger, data, flow, source)

    def _out(self, stranger: Stranger, data: bytes, flow: Flow | None, source: Address | None) -> None:
        self.last = data
        self.sent.append((self.sim.now, stranger.name, data))
        self._expect(data, reliable=stranger.address.transport in RELIABLE)
        stranger.transport.send(data, source or stranger.server, None, flow)

    def _garbage(self, stranger: Stranger) -> None:
        rng = self.rng
        self._send(stranger, rng.choice((rng.randbytes(rng.randrange(300)), b"\r\n\r\n", b"\0", b"\x80\x60" * 50)), None, None)

    def _later(self, delay: float, call: object) -> None:
        self.sim.clock.call_later(delay, call)

    # -- what must hold
    def _expect(self, data: bytes, *, reliable: bool) -> None:
        """Note that a request is to be answered."""
        try:
            request = parse(data, stream=reliable)
        except AnswerableError as error:
            request = error.request
        except MessageError:
            return
        if not isinstance(request, Request) or not request.answerable:
            return
        try:
            branch, cseq, tagged = request.via.branch, request.cseq, request.to_tag
        except MessageError:
            return
        relayed = tagged is not None and request.method not in ("INVITE", "BYE", "CANCEL")
        # A BYE in one of several early dialogs goes to that fork, as any other request does.
        relayed = relayed or (request.method == "BYE" and len(self.forks.get(request.get("call-id") or "", ())) > 1)
        # RFC 4320 §4.2: a request that is passed on and never answered there gets no 408 here.
        if branch and cseq.method == request.method and not relayed:
            self.expected.setdefault((branch.encode("utf-8", "surrogateescape"), request.method), data)

    def _watch(self, data: bytes, source: Address, destination: Address) -> Verdict | None:
        if source.host != "10.0.0.1":
            return None
        message = parse(data)
        if isinstance(message, Request):
            rejection = check(message)
            if rejection is not None:
                raise FuzzError(f"the B2BUA sent a request that it would refuse itself ({rejection.reason}):\n{data!r}")
            # From and To of a dialog are as its peer wrote them.
            head = [line for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n") if message.to_tag is None or line[:3] not in (b"Fro", b"To:")]
            if any(CONTROLS & set(line) for line in head):
                raise FuzzError(f"the B2BUA passed control characters on:\n{data!r}")
        if isinstance(message, Response) and 100 < message.status < 300 and message.cseq.method == "INVITE":
            self.forks.setdefault(message.call_id, set()).add(message.to_tag)
        if isinstance(message, Response) and (message.status >= 200 or destination not in self.sim.network.nodes):  # §17.2.4: nobody is there to hear a final one
            with suppress(MessageError):  # the answer to what was too broken to have them
                self.answered.add(((message.via.branch or "").encode("utf-8", "surrogateescape"), message.cseq.method))
        return None

    def _finish(self) -> None:
        sim = self.sim
        engine = sim.engines["b2bua"]
        sim.run(300)
        for name in TOLERATED:
            engine.executor.counters[name] = 0
        sim.finish(hangup=True)
        if engine.executor.counters["receiver_errors"]:
            raise FuzzError("the transport's receiver raised")
        legs = engine.stack.legs
        kept = {"dialogs by Call-ID": legs.index.calls, "legs": legs.index.legs}
        for what, table in kept.items():
            if table:
                raise FuzzError(f"{what} are left: {list(table)[:3]}")
        policy = engine.stack.gate.policy if engine.stack.gate is not None else None
        if policy is not None:
            for accounts in (policy._strangers, policy._known):
                for account in accounts.values():
                    if not account.idle or account.early:
                        raise FuzzError(f"the account of {account.key} has {account.transactions} transactions, {account.early} unanswered and {account.calls} calls open")
        elif missing := [data for key, data in self.expected.items() if key not in self.answered]:
            self.last = missing[0]
            raise FuzzError(f"{len(missing)} requests were never answered; the first:\n{missing[0].decode('utf-8', 'backslashreplace')}")
