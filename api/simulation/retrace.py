"""A call replayed step by step over real SIP bytes: what ``calltable explore --write-test`` writes is played here.

A script is text, one step a line, as the explorer found them::

    caller: call
    caller -> callee: INVITE 1
    callee -> caller: 100 INVITE 1
    callee: user.answer
    caller: user.hangup
    callee -> caller: 200 INVITE 1

``A -> B`` delivers a message (with the number of its CSeq) that A has sent before; ``A -x B`` loses it with all its repetitions.
Anything else is done at one party: ``call``, ``call without offer``, a command of its owner, or a timer that fires now. Messages wait
in the network until the script delivers them, so that every crossing happens as written; when the script is over, all go on. A message that
was not sent, or a command that is refused, is passed over: on tables that were fixed since, the call goes another way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from calltable.adapters.simulated import Drop, Held
from calltable.adapters.sip.message import MessageError, Request, parse
from calltable.assembly import Refused
from calltable.loading import Tables
from calltable.simulation.world import TROUBLE, Simulation, SimulationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from calltable.adapters.simulated import (
        Packet,  # noqa: F401 - what Held keeps
        Verdict,
    )
    from calltable.adapters.sip.transport import Address
    from calltable.engine.run import Session, Step

_LINE = re.compile(r"(?P<from>[\w-]+) -(?P<how>[>x]) (?P<to>[\w-]+): (?P<label>.+)|(?P<at>[\w-]+): (?P<what>.+)")
SILENCE = 10.0
"""Seconds after the script in which messages alone must have ended what was hung up: longer than any repetition, shorter
than any timer that clears away."""
MOMENT = 0.001


def retrace(
    script: str, *, paths: Sequence[Path | str] = (), overlays: Sequence[Path | str] = (), over: bool = False,
    heard: dict[str, Sequence[str]] | None = None,
) -> Simulation:  # fmt: skip
    """Play a script on the tables of ``paths`` (or the shipped ones) with ``overlays``; gives the simulation it ran in.

    Raises ``SimulationError`` where something goes wrong that never may: an event without a row, a failure, a 2xx without its ACK, a
    request without an answer, something left over. With ``over``, every call must be over ten seconds after the script by messages
    alone. ``heard`` names parties and publications, one of which their calls must have made.
    """
    tables = Tables(list(paths) or None, overlays=list(overlays))  # type: ignore[arg-type]
    played = Retrace(script, tables)
    played.walk()
    played.settle(over=over, heard=heard or {})
    return played.simulation


class Retrace:
    """One script on one set of tables: ``walk`` plays it, ``settle`` lets the rest happen and looks for what is wrong."""

    def __init__(self, script: str, tables: Tables) -> None:
        self.steps = [self._read(line) for line in script.splitlines() if line.strip()]
        parties = dict.fromkeys(name for step in self.steps for name in (step["from"], step["to"], step["at"]) if name)
        parties = {**dict.fromkeys(("caller", "callee")), **parties}
        self.simulation = Simulation(tables=tables)
        self.held: list[tuple[str, str, str, Held]] = []
        self.seen: set[bytes] = set()
        self.free = False
        self.lost: set[tuple[str, str, str]] = set()
        self.wrong: list[str] = []
        """What went wrong that the engines' counters do not tell apart from what may be."""
        for name in parties:
            if name == "b2bua":
                self.simulation.b2bua(name)
            else:
                agent = self.simulation.agent(name)
                agent.incoming_call = lambda call: setattr(call, "manual", True)
        for name, engine in self.simulation.engines.items():
            engine.executor.observers.append(lambda step, name=name: self._observe(name, step))  # type: ignore[misc]
        self.names = {address.host: name for name, address in self.simulation.addresses.items()}
        self.simulation.network.add_filter(self._filter)

    @staticmethod
    def _read(line: str) -> dict[str, str]:
        found = _LINE.fullmatch(line.strip())
        if found is None:
            msg = f"not a step of a script: {line.strip()!r}"
            raise ValueError(msg)
        return {name: value or "" for name, value in found.groupdict().items()}

    def _observe(self, name: str, step: Step) -> None:
        if step.event == "sip.unacknowledged":
            self.wrong.append(f"{name}: {step.session!r} never had its 2xx acknowledged")
        elif step.outcome.kind == "stale":
            # the counter `stale` also counts what a child says that was replaced, as every fail-over does
            self.wrong.append(f"{name}: {step.session!r} has no row for {step.event}")

    def _filter(self, data: bytes, source: Address, destination: Address) -> Verdict | None:
        """Keep a message for the script; swallow its repetitions as long as the script goes on."""
        label = _label(data)
        ends = self.names[source.host], self.names[destination.host]
        if (*ends, label) in self.lost or (not self.free and data in self.seen):
            return Drop()
        self.seen.add(data)
        if self.free:
            return None
        kept = Held()
        self.held.append((*ends, label, kept))
        return kept

    def walk(self) -> None:
        """Play the script; what it leaves in the network stays there."""
        for step in self.steps:
            if step["at"]:
                self._do(step["at"], step["what"])
            else:
                self._deliver(step["from"], step["to"], step["label"], lost=step["how"] == "x")
            self.simulation.run(MOMENT)

    def settle(self, *, over: bool = False, heard: dict[str, Sequence[str]] | None = None) -> None:
        """Let everything go on, and raise ``SimulationError`` for what ``retrace`` names."""
        simulation = self.simulation
        self.free = True
        for *_, kept in self.held:
            kept.release()
        self.held.clear()
        simulation.run(SILENCE)
        found = self._wrong(over=over, heard=heard or {})
        if found:
            lines = "\n".join(f"  - {line}" for line in found)
            raise SimulationError(f"the call went wrong:\n{lines}\n{simulation.story()}")
        simulation.finish(hangup=True)

    def _wrong(self, *, over: bool, heard: dict[str, Sequence[str]]) -> list[str]:
        found = list(self.wrong)
        for name, engine in self.simulation.engines.items():
            counters = engine.executor.counters
            found += [f"{name}: {what}: {counters[what]}" for what in TROUBLE if counters[what]]
            if counters["client timeouts"] and not self.lost:
                found.append(f"{name}: a request was never answered")
        for agent in self.simulation.agents.values():
            if over:
                found += [f"{agent.name}: {call} is still up, though it was hung up" for call in agent.calls if not call.ended]
            wanted = heard.get(agent.name)
            if wanted and not any(set(wanted) & set(call.heard) for call in agent.calls):
                found.append(f"{agent.name}: its owner was never told ({' or '.join(wanted)})")
        return found

    def _deliver(self, source: str, target: str, label: str, *, lost: bool) -> None:
        for entry in self.held:
            if entry[:3] == (source, target, label):
                self.held.remove(entry)
                if lost:
                    self.lost.add((source, target, label))
                else:
                    entry[3].release()
                return

    def _do(self, party: str, what: str) -> None:
        name, _, rest = what.partition(" ")
        simulation = self.simulation
        if party in simulation.servers:
            if name == "user.hangup":
                simulation.servers[party].hangup()
            else:
                self._give(party, name)
            return
        agent = simulation.agents[party]
        if name == "call":
            target = next(one for one in ("b2bua", *simulation.agents) if one in simulation.addresses and one != party)
            callee = next(one for one in simulation.agents if one != party)
            agent.call(simulation.uri(target, callee), offer="without" not in rest, manual=True)
            return
        if not agent.calls:
            return
        call = agent.last
        number = int(rest) if rest.isdigit() else 0
        try:
            match name:
                case "user.progress":
                    call.ring(number)
                case "user.answer":
                    call.answer()
                case "user.reject":
                    call.reject(number)
                case "user.acknowledge":
                    call.acknowledge()
                case "user.reinvite":
                    call.reinvite(offer="without" not in rest)
                case "user.request":
                    call.request(rest.partition(" ")[0])
                case "user.respond":
                    call.respond(200)
                case "user.cancel":
                    call.cancel()
                case "user.hangup":
                    call.hangup()
                case _:
                    self._give(party, name)
        except (Refused, LookupError):
            return

    def _give(self, party: str, event: str) -> None:
        """A timer that fires now, or a failure: to the session that has a row for it."""
        executor = self.simulation.engines[party].executor
        for session in list(executor.sessions.values()):
            if not session.machine.name.startswith(("transaction/", "phone/")) and _takes(session, event):
                payload = {"reason": "injected"} if event == "engine.failed" else {}
                executor.dispatch(session, event, payload)
                return


def _takes(session: Session, event: str) -> bool:
    if event == "engine.failed":
        return True
    return event in session.cells


def _label(data: bytes) -> str:
    try:
        message = parse(data)
    except MessageError:
        return ""
    number, method = message.cseq.number, message.cseq.method
    return f"{method} {number}" if isinstance(message, Request) else f"{message.status} {method} {number}"
