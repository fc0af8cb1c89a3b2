"""Many random calls from one seed: they find the cases that nobody thinks of.

``crowd`` places calls in batches. A batch is one ``Simulation`` with a B2BUA between a caller and a callee (both run our leg
tables, as different elements); its calls overlap in it. For each call a random *plan* says what the callee does, when either
side hangs up, holds, cancels, sends an INFO, refuses a request or goes silent. At the end of a batch everything must have come
to rest, nothing may be left over, and both ends of each call must tell the same story: both up or both over, over at the same
time, with the same session descriptions, and up until somebody hung up.

A batch that fails is run again, the same to the byte, with a trace: so the many calls that do not fail cost no trace.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calltable.assembly import Refused
from calltable.simulation.world import Simulation, SimulationError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from calltable.engine.run import Store
    from calltable.loading import Tables
    from calltable.observe import Entry
    from calltable.simulation.agents import AgentCall

SETTLED = 120.0
"""Seconds after which a call in which nobody acts has nothing under way any more: some times 64*T1."""

GENTLE = 0.15
"""Up to this share of loss a request that is repeated as it should be gets through, for all that matters."""

LIFETIME = 5.0
"""T4, seconds: SIP forgets a transaction so long after its end, and takes what comes later for something new."""

QUIET = frozenset({"active", "calling", "early", "incoming", "terminated", "over"})
"""States in which a leg may be while nobody acts."""


@dataclass(frozen=True)
class Mix:
    """How the network behaves and what callers and callees do; shares from 0 to 1, times in seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: tuple[float, float] = (0.001, 0.050)
    answered: float = 0.7
    """Share of calls whose callee answers; the others are refused, ring for ever, or are never looked at."""
    late_offer: float = 0.2
    actions: int = 4
    """At most so many things happen within a call."""
    span: float = 12.0
    """Actions fall into so many seconds."""
    operator: float = 0.05
    """Share of calls that the operator of the B2BUA ends."""
    tcp: float = 0.0
    """Share of batches over TCP."""


@dataclass
class CrowdReport:
    """What became of the calls. ``failure`` is the first one's text, ``trace`` its messages."""

    calls: int = 0
    confirmed: int = 0
    agreed: int = 0
    """Calls that were quiet while they were up, and whose ends held the same session descriptions."""
    outcomes: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    virtual: float = 0.0
    """Seconds that passed for the calls."""
    failure: str = ""
    failed_call: str = ""
    trace: list[Entry] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows reached, where it was asked for."""


class Crowd:
    """One batch. ``calls`` maps the number of each call to its two ends, as far as they came to be."""

    def __init__(self, seed: str, count: int, mix: Mix, tables: Tables | None, reload: Tables | None, *, trace: bool,
                 stores: Callable[[str], Store] | None = None) -> None:
        self.simulation = sim = Simulation(
            seed, loss=mix.loss, duplicate=mix.duplicate, reorder=mix.reorder, delay=mix.delay, tables=tables, trace=trace,
            stores=stores,
        )
        self.mix = mix
        self.dice = sim.random("plans")
        first = "tcp" if self.dice.random() < mix.tcp else "udp"
        for number, name in enumerate(("b2bua", "caller", "callee"), 1):
            add = sim.b2bua if name == "b2bua" else sim.agent
            add(name, f"{first}:10.0.0.{number}:5060")
        sim.agents["callee"].incoming_call = self._incoming
        self.calls: list[list[AgentCall | None]] = [[None, None] for _ in range(count)]
        self.commands: Counter[str] = Counter()
        self.found: list[str] = []
        self.agreed = 0
        self.hung_up: set[AgentCall] = set()
        self.ended_by_operator: set[AgentCall] = set()
        self.rang: set[AgentCall] = set()
        lifetime = mix.delay[1] * (5 if mix.reorder else 1)
        self.fair = mix.loss <= GENTLE and lifetime <= LIFETIME
        self.gentle = self.fair and mix.delay[1] < 0.2  # far below T1
        if reload is not None:
            sim.clock.call_later(self.dice.uniform(0, mix.span), self._reload, reload)
        for number in range(count):
            sim.clock.call_later(self.dice.uniform(0, mix.span), self._place, number)

    def run(self) -> list[str]:
        """Run to the end, and answer what was found."""
        sim = self.simulation
        sim.clock.run(sim.now + 3 * self.mix.span + SETTLED)
        for number, (caller, callee) in enumerate(self.calls):
            self.found += [f"call {number}: {what}" for what in self._quiet(caller, callee)]
        for call in (*sim.agents["caller"].calls, *sim.agents["callee"].calls):
            if not call.ended:
                sim.clock.call_later(self.dice.uniform(0, self.mix.span), self._do, call, "hangup")
        sim.clock.run(sim.now + 3600)
        for number, (caller, callee) in enumerate(self.calls):
            self.found += [f"call {number}: {what}" for what in self._over(caller, callee)]
        return self.found + sim.findings()

    def _quiet(self, caller: AgentCall | None, callee: AgentCall | None) -> Iterator[str]:
        """What is wrong with a call in which nobody has acted for long."""
        if caller is None:
            return
        for end in (caller, callee):
            if end is not None and end.state not in QUIET:
                yield f"no more commands are pending, but the {end.agent.name} is still in state {end.state}"
        if caller.state == "active" and callee is not None and callee.state == "active":
            self.agreed += 1
            if (caller.local, caller.remote) != (callee.remote, callee.local):
                yield "both ends are up, but with different session descriptions"
        if not self.fair:
            return
        up = [end for end in (caller, callee) if end is not None and end.state == "active"]
        if len(up) == 1:
            other = callee if up[0] is caller else caller
            yield f"the {up[0].agent.name} is up, and its other end is {other.state if other is not None else 'missing'}"
        if not self.gentle:
            return
        if caller in self.ended_by_operator and not (caller.ended and (callee is None or callee.ended)):
            yield "the operator ended it, but one end is still up"
        if callee is None and "failed" in caller.heard and caller.last("failed").fields["code"] == 408:
            yield "the INVITE never reached the callee"
        if caller.ended and caller.confirmed and not self.hung_up & {caller, callee}:
            yield "it ended after it was up, though nobody hung up"
        if self.mix.loss == self.mix.reorder == 0 and callee in self.rang and caller.confirmed and "progress" not in caller.heard:
            yield "the callee sent a ringing response that the caller never got"

    def _over(self, caller: AgentCall | None, callee: AgentCall | None) -> Iterator[str]:
        """What is wrong with a call that has ended."""
        if caller is None or callee is None or caller.end_time is None or callee.end_time is None:
            return
        if self.fair and abs(caller.end_time - callee.end_time) > SETTLED:
            yield f"its ends hung up {abs(caller.end_time - callee.end_time):.0f} s apart"
        for end in (caller, callee):
            answers = [event.fields["code"] for event in end.events if event.name == "response"]
            if self.gentle and 408 in answers:
                yield f"a request of the {end.agent.name} was never answered"

    def _reload(self, tables: Tables) -> None:
        engine = self.simulation.engines["b2bua"]
        engine.tables = tables
        engine.run()

    def _operate(self, number: int) -> None:
        """End a whole call, as the operator may at any moment."""
        caller = self.calls[number][0]
        server = self.simulation.servers["b2bua"]
        leg = caller.leg.context if caller is not None and caller.leg is not None else None
        for session in list(server.calls.values()):
            a = (session.children or {}).get("a")
            if leg is not None and a is not None and a.context.dialog.call_id == leg.dialog.call_id and caller is not None:
                server.engine.executor.dispatch(session, "user.hangup")
                self.hung_up.add(caller)
                self.ended_by_operator.add(caller)

    # -- plans
    def _place(self, number: int) -> None:
        sim, dice, mix = self.simulation, self.dice, self.mix
        call = sim.agents["caller"].call(
            sim.uri("b2bua", f"callee-{number}"), offer=dice.random() >= mix.late_offer, user=f"caller-{number}",
            headers={"X-Call": str(number)},
        )  # fmt: skip
        self.calls[number][0] = call
        if dice.random() < mix.operator:
            sim.clock.call_later(dice.uniform(0, mix.span), self._operate, number)
        self._plan(call, (("hangup", 1), ("hold", 1), ("resume", 1), ("reinvite", 1), ("info", 1), ("withdraw", 2), ("late", 1),
                          ("slow", 1)))  # fmt: skip

    def _incoming(self, call: AgentCall) -> None:
        dice = self.dice
        invite = call.invite
        if invite is not None and (number := invite.get("x-call")) is not None:
            self.calls[int(number)][1] = call
        later = self.simulation.clock.call_later
        way = dice.random()
        if dice.random() < 0.7:
            later(dice.uniform(0, 1), self._do, call, dice.choice(("ring", "ring", "early media")))
        if way < self.mix.answered:
            later(dice.choice((0.0, dice.uniform(0, 3))), self._do, call, "answer")
        elif way < self.mix.answered + (1 - self.mix.answered) / 2:
            later(dice.uniform(0, 3), self._do, call, "reject")
        self._plan(call, (("hangup", 1), ("hold", 2), ("reinvite", 2), ("info", 2), ("withdraw", 1), ("refuse", 1), ("late", 1),
                          ("slow", 2)))  # fmt: skip

    def _plan(self, call: AgentCall, choices: tuple[tuple[str, int], ...]) -> None:
        dice, mix = self.dice, self.mix
        names, weights = zip(*choices, strict=True)
        for _ in range(dice.randint(0, mix.actions)):
            what = dice.choices(names, weights)[0]
            self.simulation.clock.call_later(dice.uniform(0, mix.span), self._do, call, what)

    def _do(self, call: AgentCall, what: str) -> None:
        if call.ended:
            return
        try:
            _DEEDS[what](call, self.dice)
        except Refused:
            self.commands[f"{what} refused"] += 1
        else:
            self.commands[what] += 1
            if what == "hangup":
                self.hung_up.add(call)
            elif call.state == "early" and what in ("ring", "early media"):
                self.rang.add(call)


def _early_media(call: AgentCall, dice: random.Random) -> None:  # noqa: ARG001
    call.ring(183, call.describe() if call.proposed else b"")


def _reject(call: AgentCall, dice: random.Random) -> None:
    call.reject(dice.choice((302, 404, 480, 486, 488, 491, 500, 503, 600, 603)))


def _late(call: AgentCall, dice: random.Random) -> None:  # noqa: ARG001
    call.reinvite(offer=False)


def _withdraw(call: AgentCall, dice: random.Random) -> None:
    """A re-INVITE that is cancelled at once, or so soon that the CANCEL crosses whatever comes."""
    call.reinvite()

    def cancel() -> None:
        if call.state == "reinviting":
            call.cancel()

    call.agent.clock.call_later(dice.choice((0.0, dice.uniform(0, 0.3))), cancel)


def _slow(call: AgentCall, dice: random.Random) -> None:
    """From now on re-INVITEs are answered after a while."""
    call.answers_after = dice.uniform(0, 2)


def _refuse(call: AgentCall, dice: random.Random) -> None:
    """The next re-INVITE is refused instead of answered."""
    call.manual = True
    if call.state == "reinvited":
        call.reject(dice.choice((488, 491, 500)))
    call.manual = False


_DEEDS: dict[str, Callable[[AgentCall, random.Random], Any]] = {
    "ring": lambda call, _: call.ring(),
    "early media": _early_media,
    "answer": lambda call, _: call.answer(),
    "reject": _reject,
    "hangup": lambda call, _: call.hangup(),
    "hold": lambda call, _: call.hold(),
    "resume": lambda call, _: call.resume(),
    "reinvite": lambda call, _: call.reinvite(),
    "late": _late,
    "withdraw": _withdraw,
    "refuse": _refuse,
    "slow": _slow,
    "info": lambda call, dice: call.request(dice.choice(("INFO", "MESSAGE", "OPTIONS", "UPDATE", "BANANA")), b"hello"),
}


def crowd(
    calls: int,
    seed: int | str = 0,
    mix: Mix | None = None,
    *,
    batch: int = 20,
    tables: Tables | None = None,
    reload: Tables | None = None,
    coverage: bool = False,
    progress: Callable[[CrowdReport], None] | None = None,
) -> CrowdReport:
    """Run so many random calls and say what became of them; it ends with the first batch that fails.

    With ``reload`` the B2BUA of each batch begins with ``tables`` and goes on with these for new calls, at a random moment.
    ``coverage`` counts the rows reached, which takes longer.
    """
    mix = mix or Mix()
    report = CrowdReport()
    while report.calls < calls and not report.failure:
        count = min(batch, calls - report.calls)
        name = f"{seed}:{report.calls // batch}"
        one, found = _batch(name, count, mix, tables, reload, trace=coverage)
        if found and not coverage:
            one, found = _batch(name, count, mix, tables, reload, trace=True)
        _add(report, one)
        report.calls += count
        if found:
            _blame(report, one, name, found)
        if progress is not None:
            progress(report)
    return report


def _batch(name: str, count: int, mix: Mix, tables: Tables | None, reload: Tables | None, *,
           trace: bool) -> tuple[Crowd, list[str]]:  # fmt: skip
    one = Crowd(name, count, mix, tables, reload, trace=trace)
    try:
        return one, one.run()
    except SimulationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever comes out of the clock is what we are looking for
        return one, [f"an exception came out: {error!r}"]


def _add(report: CrowdReport, one: Crowd) -> None:
    report.agreed += one.agreed
    report.commands.update(one.commands)
    report.rows.update(one.simulation.reached)
    report.virtual += one.simulation.now
    for caller, callee in one.calls:
        if caller is not None and caller.confirmed:
            report.confirmed += 1
        ends = "never placed" if caller is None else _fate(caller)
        report.outcomes[ends if callee is not None else f"{ends}, callee never heard of it"] += 1


def _fate(call: AgentCall) -> str:
    if call.confirmed:
        return "answered"
    if "failed" in call.heard:
        return f"failed {call.last('failed').fields['code']}"
    return "given up" if call.ended else "open"


def _blame(report: CrowdReport, one: Crowd, name: str, found: list[str]) -> None:
    """Say what was found, and keep the trace of the first call that it names."""
    sim = one.simulation
    report.failure = "\n".join(found)
    report.names = sim.names()
    entries = sim.trace()
    numbers: dict[str, str] = {}
    for entry in entries:
        for user in ("callee-", "caller-"):
            _, hit, rest = entry.text.partition(user)
            if hit:
                numbers.setdefault(entry.call_id, rest.partition("@")[0])
    blamed = next((n for line in found for n in _mentioned(line, numbers)), None)
    report.failed_call = f"batch {name}" if blamed is None else f"call {blamed} of batch {name}"
    ours = {call_id for call_id, number in numbers.items() if blamed is None or number == blamed}
    report.trace = [entry for entry in entries if entry.call_id in ours]


def _mentioned(line: str, numbers: dict[str, str]) -> list[str]:
    if line.startswith("call "):
        return [line[5:].partition(":")[0]]
    return [number for call_id, number in numbers.items() if call_id and call_id in line]
