"""A captured call walked through tables: the real engine and stack on a virtual clock, fed what our side heard then.

Every message that came in is given to the stack at its captured time; what the tables send is caught, never sent. The
captured element made its own tags, branches and Call-IDs, the tables make others: what is sent is paired with what was
captured, their names are learnt from each pair, and what comes in is rewritten by them, so that the peer's answers find
our transactions and dialogs. Routes and commands are not in a capture but show in it: the target of the outgoing
INVITE is where the call was routed to; an end that nobody asked for is an operator's hang-up; and where a single leg is replayed (``leg/uas``, ``leg/uac``), what its
owner must have said follows from what was sent (180: ``user.progress``, 200: ``user.answer``, BYE: ``user.hangup``).

``replay`` answers with the path (every row, with its cause) and with the first *divergence*: the earliest message that
was captured and that the tables do not send, or that they send and that was not captured. Repetitions and
100 are no divergence; nor is the order between legs. Where the capture is a trace of ours, its rows are compared too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from calltable.adapters.simulated import SimulatedListener, VirtualClock
from calltable.adapters.sip.message import Request, Response, parse
from calltable.assembly import Engine
from calltable.b2bua import B2BUA, BRIDGE
from calltable.engine.observe import Memory
from calltable.loading import Tables
from calltable.observe import Tracer
from calltable.phone import CALLEE, CALLER
from calltable.replay.calls import hangup
from calltable.replay.divergence import LATE, Divergence, find_divergence
from calltable.replay.names import Names
from calltable.replay.owner import CapturedOwner
from calltable.replay.steps import Cause, Sent, Walked
from calltable.replay.surroundings import Lookup, Routes, Wire

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from calltable.adapters.sip.transaction import Traced
    from calltable.adapters.sip.transport import Address
    from calltable.engine.run import Step
    from calltable.observe import Entry
    from calltable.replay.calls import Call, Spoken

REST: Final = 40.0
"""Seconds that go on after the last captured message: transactions come to their end (64*T1 and a little)."""


@dataclass(slots=True)
class Replayed:
    """What came of a replay."""

    call: Call
    tables: Tables
    machine: str
    steps: list[Walked]
    sent: list[Sent]
    entries: list[Entry]
    divergence: Divergence | None
    counters: Counter[str]

    @property
    def rows(self) -> list[str]:
        """The path: the ids of the rows and explicit no-ops, in order."""
        return [step.row for step in self.steps if step.row]


@dataclass(eq=False)
class Replay:
    """One replay under way; ``replay`` is the way to have one."""

    call: Call
    tables: Tables
    machine: str
    sent: list[Sent] = field(default_factory=list)
    steps: list[Walked] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Assemble the engine at the captured addresses, one clock tick before the first message."""
        call = self.call
        self.clock = VirtualClock(call.start)
        self.names = Names()
        self.unsent = _distinct(one for one in call.messages if one.out)
        self._repeated: set[bytes] = set()
        self._memory = Memory()
        self._causes = 0
        self.cause = Cause(0, call.start, "the start")
        locals_ = list(dict.fromkeys(one.local for one in call.messages))
        self.wire = Wire(locals_, self._caught)
        self.engine = Engine(
            self.tables, self.clock, self.wire, Lookup(call), rng=random.Random(call.name),
        )  # fmt: skip
        self.owner: CapturedOwner | None = None
        if self.machine in ("leg/uac", "leg/uas"):
            self.engine.run()
            self.owner = CapturedOwner(self.engine)
        else:
            b2bua = B2BUA(self.engine, Routes(call), machine=self.machine)
            if call.number.isdecimal():
                b2bua.numbered = int(call.number) - 1  # so that sessions are named as in the logs
        if self.machine not in self.engine.executor.machines:
            known = ", ".join(sorted(self.engine.executor.machines))
            msg = f"no machine {self.machine} to replay with; there are {known}"
            raise LookupError(msg)
        self._tracer = Tracer(self.engine, self.entries.append)
        self._rows = ""
        self.engine.stack.tracers.append(self._traced)
        self.engine.executor.observers.append(self._stepped)

    # -- running
    def run(self) -> None:
        """Everything that was captured, at its time, and what follows from it."""
        clock, call = self.clock, self.call
        for one in call.messages:
            if not one.out:
                clock.call_at(one.time, self._hear, one)
        if self.owner is None and call.commands is not None:
            for when, event in call.commands:
                clock.call_at(when, self._command, event)
        elif self.owner is None and (first := hangup(call)) is not None:
            # a moment later, so that a timer of the tables that is the reason comes first
            clock.call_at(first.time + 1e-6, self._hang_up, first)
        if self.owner is not None:
            for one in _distinct(one for one in call.messages if one.out):
                clock.call_at(one.time, self._say, one)
        last = call.messages[-1].time
        if call.steps:
            last = max(last, call.steps[-1].time)
        clock.run(last)
        self._because("time")
        # timers of the captured element may have been a little behind
        clock.run(last + (LATE if call.steps else REST))
        # the tracer waits until transactions know their leg, and names them after it
        named = [entry.session for entry in self.entries if entry.kind == "step"]
        self.steps = [replace(step, session=name) for step, name in zip(self.steps, named, strict=True)]

    def _because(self, text: str, message: Spoken | None = None) -> None:
        self._causes += 1
        self.cause = Cause(self._causes, self.clock.time(), text, message)

    def _hear(self, one: Spoken) -> None:
        self._because(f"{one.label} from {one.remote.hostport}", one)
        if self.wire.receiver is not None:
            self.wire.receiver.received(self.names.rewritten(one.data), one.remote, one.local, SimulatedListener(one.local))
        self.cause = Cause(self._causes, self.clock.time(), "time")

    def _command(self, event: str) -> None:
        self._because(f"the command {event}")
        for session in list(self.engine.executor.sessions.values()):
            if session.machine.name == self.machine and session.root is session:
                self.engine.executor.dispatch(session, event)

    def _hang_up(self, first: Spoken) -> None:
        """An operator must have hung up, unless the tables have ended the call by themselves."""
        if first in self.unsent:
            self._command("user.hangup")

    def _say(self, one: Spoken) -> None:
        """What the owner of the leg must have said, unless the tables have sent this message by themselves."""
        if one in self.unsent and self.owner is not None:
            self._because(f"the owner, who wants {one.label}", None)
            self.owner.wants(one)

    # -- watching
    def _stepped(self, step: Step) -> None:
        session, receipt = step.session, step.receipt
        state = session.state if receipt is None else receipt.before
        machine = session.machine
        counts: dict[tuple[str, str | None], int] = {}
        for name in machine.model.children:
            if name.endswith("*"):
                counts[name, None] = session.count(name)
                counts.update({(name, of): session.count(name, of) for of in self.tables.machines[machine.model.children[name].machine].model.states})
        self.steps.append(Walked(
            self.cause, self.clock.time() - self.call.start, session.path, machine.name, step.event,
            step.outcome.kind, "" if step.row is None else step.row.id, state, session.state,
            step.payload, dict(self._memory.before(session)), counts, tuple(name for name, _ in step.publications),
        ))  # fmt: skip
        self._memory.learn(step)

    def _traced(self, traced: Traced) -> None:
        self._rows = traced.row

    def _caught(self, data: bytes, to: Address) -> None:
        if data in self._repeated:
            return
        self._repeated.add(data)
        message = parse(data)
        pair = self._pair_of(message)
        if pair is not None:
            self.unsent.remove(pair)
            self.names.learn(pair.message, message)
        self.sent.append(Sent(self.clock.time() - self.call.start, message, to, self._rows, pair))

    def _pair_of(self, message: Request | Response) -> Spoken | None:
        """The captured message that this one stands for: the first of its kind in its dialog that has none yet."""
        call_id = self.names.theirs.get(message.call_id, message.call_id)
        known = {one.message.call_id for one in self.call.messages}
        for one in self.unsent:
            other = one.message
            if type(other) is not type(message) or other.cseq.method != message.cseq.method:
                continue
            if isinstance(message, Response) and isinstance(other, Response) and message.status != other.status:
                continue
            if isinstance(message, Request) and isinstance(other, Request) and message.method != other.method:
                continue
            if other.call_id == call_id or (call_id not in known and one.opens and other.call_id not in self.names.theirs.values()):
                return one
        return None


def _distinct(messages: Iterator[Spoken]) -> list[Spoken]:
    """The messages without repetitions."""
    found: dict[bytes, Spoken] = {}
    for one in messages:
        found.setdefault(one.data, one)
    return list(found.values())


def replay(call: Call, tables: Tables | None = None, *, machine: str = "") -> Replayed:
    """Walk the tables (the shipped ones by default) with a captured call.

    ``machine`` is the table of the session at the top; left out, ``b2bua/bridge`` where our side took an INVITE and sent one on
    (or refused it), else the leg that shows. Raises LookupError for a machine that is not there or cannot run.
    """
    loaded = tables if tables is not None else Tables()
    machine = machine or root_of(call)
    if machine not in loaded.machines:
        msg = f"no table {machine}; there are {', '.join(sorted(loaded.machines))}"
        raise LookupError(msg)
    running = Replay(call, loaded, machine)
    running.run()
    return Replayed(
        call, loaded, machine, running.steps, running.sent, running.entries,
        find_divergence(call, running.unsent, running.sent, running.steps),
        running.engine.executor.counters,
    )


def root_of(call: Call) -> str:
    """The table at the top: as the trace says, else as the messages show. Of a phone's call, its leg."""
    for step in call.steps:
        if step.session == step.call:
            return {CALLER: "leg/uac", CALLEE: "leg/uas"}.get(step.machine, step.machine)
    if not call.came_in:
        return "leg/uac"
    answered = any(
        one.out and isinstance(one.message, Response) and one.message.cseq.method == "INVITE" and one.message.status < 300
        and one.message.status > 100 for one in call.messages
    )  # fmt: skip
    return BRIDGE if call.placed or not answered else "leg/uas"
