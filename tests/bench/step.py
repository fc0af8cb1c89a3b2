"""What one event costs: calltable beside ``transitions``, ``python-statemachine`` and a hand-written if/elif.

Two steps are measured, each written for all four in the way its documentation shows:

*declarative*: a guard on two variables, one assignment, a new state. Two such rows lead to and fro, so every
event takes one.
*full*: three Python actions with parameters, the new state and variables kept in a store under a version that is
checked, a receipt in a history of 50, one publication to an owner. The store is one of the benchmark's own
(``Versions``), so that all four do the same: without a store calltable records nothing.

All run in one process, turn by turn, in short rounds with the garbage collector off, so that a slow moment of the
machine meets all of them; the median round counts. What is given is the CPU time from the call that delivers the event
until it returns, in microseconds: what else runs on the machine is not counted.

    python -m tests.bench.step [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.adapters.simulated.clock import VirtualClock
from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import Executor
from calltable.engine.run.records import HISTORY
from calltable.engine.run.store import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from calltable.engine.run.records import Record
    from calltable.engine.run.store import Commit

CATALOGUE = """\
calltable: 1
catalogue: bench
doc: A leg so small that only the step itself is measured.
interfaces:
  user.bench:
    commands: true
    doc: What drives it.
    events:
      user.hold: {doc: to and fro}
      user.hangup: {doc: the end, must_take: true}
actions:
  media.hold: {doc: one action, parameters: {direction: string}}
  sip.send: {doc: another, parameters: {method: string, code: int}}
  log.write: {doc: a third, parameters: {text: string}}
"""

DECLARATIVE = """\
calltable: 1
machine: declarative
doc: Guard on two variables, one assignment, a new state.
initial: active
receives: [user.bench]
variables: {ready: {type: bool, default: true}, held: bool, turns: int}
states:
  active: {lasts: until it is hung up}
  held: {lasts: until it is hung up}
  over: {final: true}
rows:
  - {id: start, state: active, event: engine.started, doc: it begins in the middle of a call}
  - {id: hold, state: active, event: user.hold, guards: [ready, not held], set: {held: true}, next_state: held}
  - {id: hold.not, state: active, event: user.hold, guards: [otherwise], refuse: not now}
  - {id: resume, state: held, event: user.hold, guards: [ready, held], set: {held: false}, next_state: active}
  - {id: resume.not, state: held, event: user.hold, guards: [otherwise], refuse: not now}
  - {id: hangup, state: any, event: [user.hangup, engine.failed], next_state: over}
"""

FULL = """\
calltable: 1
machine: full
durable: true
doc: Three actions, a commit, a receipt, a publication.
initial: active
receives: [user.bench]
variables: {ready: {type: bool, default: true}, held: bool, code: {type: int, default: 200}}
publishes: {hold: {on: bool, code: int}}
states:
  active: {lasts: until it is hung up}
  held: {lasts: until it is hung up}
  over: {final: true}
rows:
  - {id: start, state: active, event: engine.started, doc: it begins in the middle of a call}
  - id: hold
    state: active
    event: user.hold
    guards: [ready, not held]
    actions: [media.hold: {direction: sendonly}, sip.send: {method: INVITE, code: $code}, log.write: {text: held}]
    set: {held: true}
    publish: [hold: {on: true, code: $code}]
    next_state: held
  - {id: hold.not, state: active, event: user.hold, guards: [otherwise], refuse: not now}
  - id: resume
    state: held
    event: user.hold
    guards: [ready, held]
    actions: [media.hold: {direction: sendrecv}, sip.send: {method: INVITE, code: $code}, log.write: {text: resumed}]
    set: {held: false}
    publish: [hold: {on: false, code: $code}]
    next_state: active
  - {id: resume.not, state: held, event: user.hold, guards: [otherwise], refuse: not now}
  - {id: hangup, state: any, event: [user.hangup, engine.failed], next_state: over}
"""


class Contender(NamedTuple):
    """One way to take the step: ``run(n)`` delivers n events; ``events`` is how many make a round."""

    name: str
    kind: str
    events: int
    run: Callable[[int], None]
    taken: Callable[[], int]
    """How many steps it has really taken: a benchmark of refused events would be fast and wrong."""


class Work:
    """The Python side of the full row, the same for every contender."""

    def __init__(self) -> None:
        self.done = 0
        self.published_ = 0

    def hold(self, _session: object, parameters: Mapping[str, Any]) -> None:
        self.direction = parameters["direction"]

    def send(self, _session: object, parameters: Mapping[str, Any]) -> None:
        self.sent = parameters["method"], parameters["code"]

    def write(self, _session: object, parameters: Mapping[str, Any]) -> None:
        self.text = parameters["text"]
        self.done += 1

    def published(self, _executor: object, _child: object, _name: str, _fields: Mapping[str, Any]) -> None:
        self.published_ += 1

    def child_ended(self, _executor: object, _child: object) -> None:
        """It never ends here."""


class Kept:
    """What the others need to do the same as a durable session: a checked version, a store, a history."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.version = 0
        self.store: dict[int, tuple[int, str, dict[str, Any]]] = {1: (0, "active", {})}
        self.history: list[tuple[Any, ...]] = []

    def commit(self, row: str, before: str, after: str, changes: dict[str, Any]) -> None:
        version, _, variables = self.store[1]
        if version != self.version:
            raise RuntimeError(version)
        self.version += 1
        variables.update(changes)
        self.store[1] = (self.version, after, variables)
        self.history.append((1, self.version, row, "hold", before, after, time.monotonic()))
        if len(self.history) > HISTORY:
            del self.history[0]

    def effects(self, direction: str, code: int, text: str) -> None:
        self.work.hold(self, {"direction": direction})
        self.work.send(self, {"method": "INVITE", "code": code})
        self.work.write(self, {"text": text})


# --------------------------------------------------------------------------- calltable


class Versions:
    """The same as ``Kept``, as a store of calltable: a version that is checked, the state and the variables."""

    def __init__(self) -> None:
        self.store: dict[int, tuple[int, str, dict[str, Any]]] = {}

    def create(self, record: Record, _done: object) -> bool:
        self.store[record.key] = record.version, record.state, dict(record.variables)
        return True

    def commit(self, commit: Commit, _done: object) -> bool:
        receipt = commit.receipt
        key, version = receipt.session, receipt.version
        held, _, variables = self.store[key]
        if held != version - 1:
            raise Conflict(held)
        variables.update(commit.variables)
        self.store[key] = version, receipt.after, variables
        return True

    def remove(self, key: int) -> None:
        self.store.pop(key, None)

    def load(self) -> Iterator[tuple[int, Record]]:
        raise NotImplementedError("a benchmark loads nothing")


def calltable(kind: str) -> Contender:
    library = load_tables(texts={"bench.yaml": CATALOGUE, f"{kind}.yaml": DECLARATIVE if kind == "declarative" else FULL})
    problems = check(library)
    if problems:
        raise SystemExit("\n".join(map(str, problems)))
    work = Work()
    executor = Executor(
        VirtualClock(), handlers={"media.hold": work.hold, "sip.send": work.send, "log.write": work.write},
        store=Versions() if kind == "full" else None,
    )  # fmt: skip
    executor.add(compile_machine(library.machines[kind], {}))
    session = executor.start(kind, owner=work)
    dispatch = executor.dispatch

    def run(events: int) -> None:
        for _ in range(events):
            dispatch(session, "user.hold")

    return Contender("calltable", kind, 20_000, run, lambda: session.version - 1)


# --------------------------------------------------------------------------- written by hand


class ByHand:
    def __init__(self) -> None:
        self.state = "active"
        self.ready = True
        self.held = False
        self.taken = 0

    def dispatch(self, event: str) -> str:
        if self.state == "active":
            if event == "hold":
                if self.ready and not self.held:
                    self.held = True
                    self.state = "held"
                    self.taken += 1
                    return "hold"
                return "refused"
        elif self.state == "held" and event == "hold":
            if self.ready and self.held:
                self.held = False
                self.state = "active"
                self.taken += 1
                return "resume"
            return "refused"
        return "unhandled"


class FullByHand(ByHand):
    def __init__(self) -> None:
        super().__init__()
        self.code = 200
        self.work = Work()
        self.kept = Kept(self.work)

    def dispatch(self, event: str) -> str:
        if self.state == "active":
            if event == "hold":
                if self.ready and not self.held:
                    self.kept.commit("hold", "active", "held", {"held": True})
                    self.held = True
                    self.state = "held"
                    self.kept.effects("sendonly", self.code, "held")
                    self.work.published(None, self, "hold", {"on": True, "code": self.code})
                    self.taken += 1
                    return "hold"
                return "refused"
        elif self.state == "held" and event == "hold":
            if self.ready and self.held:
                self.kept.commit("resume", "held", "active", {"held": False})
                self.held = False
                self.state = "active"
                self.kept.effects("sendrecv", self.code, "resumed")
                self.work.published(None, self, "hold", {"on": False, "code": self.code})
                self.taken += 1
                return "resume"
            return "refused"
        return "unhandled"


def by_hand(kind: str) -> Contender:
    leg = ByHand() if kind == "declarative" else FullByHand()
    dispatch = leg.dispatch

    def run(events: int) -> None:
        for _ in range(events):
            dispatch("hold")

    return Contender("if/elif by hand", kind, 20_000, run, lambda: leg.taken)


# --------------------------------------------------------------------------- the libraries


class Callbacks:
    """The variables and callbacks of the step, as both libraries want them: methods found by name."""

    def __init__(self) -> None:
        self.ready = True
        self.on = False
        self.code = 200
        self.taken = 0
        self.work = Work()
        self.kept = Kept(self.work)
        super().__init__()

    def is_ready(self) -> bool:
        return self.ready

    def is_on(self) -> bool:
        return self.on

    def set_held(self) -> None:
        self.on = True
        self.taken += 1

    def set_resumed(self) -> None:
        self.on = False
        self.taken += 1

    def commit_hold(self) -> None:
        self.kept.commit("hold", "active", "held", {"held": True})

    def commit_resume(self) -> None:
        self.kept.commit("resume", "held", "active", {"held": False})

    def media_hold(self) -> None:
        self.work.hold(self, {"direction": "sendonly"})

    def media_resume(self) -> None:
        self.work.hold(self, {"direction": "sendrecv"})

    def transmit(self) -> None:
        self.work.send(self, {"method": "INVITE", "code": self.code})

    def write(self) -> None:
        self.work.write(self, {"text": "held"})

    def publish(self) -> None:
        self.work.published(None, self, "hold", {"on": self.on, "code": self.code})


HOLD = ["media_hold", "transmit", "write", "publish"]
RESUME = ["media_resume", "transmit", "write", "publish"]


def with_transitions(kind: str) -> Contender:
    import transitions

    full = kind == "full"
    leg = Callbacks()
    machine = transitions.Machine(leg, states=["active", "held", "over"], initial="active", auto_transitions=False)
    machine.add_transition(
        "hold", "active", "held", conditions=["is_ready"], unless=["is_on"],
        before=["commit_hold", "set_held"] if full else ["set_held"], after=HOLD if full else None,
    )  # fmt: skip
    machine.add_transition(
        "hold", "held", "active", conditions=["is_ready", "is_on"],
        before=["commit_resume", "set_resumed"] if full else ["set_resumed"], after=RESUME if full else None,
    )  # fmt: skip
    return _contender("transitions", kind, 2_000, leg)


def with_statemachine(kind: str) -> Contender:
    from statemachine import State, StateMachine

    class Declarative(Callbacks, StateMachine):  # type: ignore[misc]
        active = State(initial=True)
        held = State()
        over = State(final=True)
        hold = active.to(held, cond="ready and not on", on="set_held") | held.to(
            active, cond="ready and on", on="set_resumed"
        )
        hangup = active.to(over) | held.to(over)

    class Full(Callbacks, StateMachine):  # type: ignore[misc]
        active = State(initial=True)
        held = State()
        over = State(final=True)
        hold = active.to(held, cond="ready and not on", on=["commit_hold", "set_held"], after=HOLD) | held.to(
            active, cond="ready and on", on=["commit_resume", "set_resumed"], after=RESUME
        )
        hangup = active.to(over) | held.to(over)

    return _contender("python-statemachine", kind, 200, Declarative() if kind == "declarative" else Full())


def _contender(name: str, kind: str, events: int, leg: Any) -> Contender:
    hold = leg.hold

    def run(events: int) -> None:
        for _ in range(events):
            hold()

    return Contender(name, kind, events, run, lambda: leg.taken)


# --------------------------------------------------------------------------- measuring

TARGETS = {"declarative": 0.7, "full": 2.5}
"""Microseconds that a step of calltable may cost."""

RATIOS = {"transitions": 8.0, "python-statemachine": 80.0}
"""How many times dearer the declarative step of the others has to be."""


def contenders() -> list[Contender]:
    found: list[Contender] = []
    for kind in TARGETS:
        for make in (calltable, by_hand, with_transitions, with_statemachine):
            try:
                found.append(make(kind))
            except ImportError as missing:
                print(f"left out: {missing}", file=sys.stderr)
    return found


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """The median microseconds of a step, by kind and contender."""
    running = contenders()
    samples: dict[tuple[str, str], list[float]] = {(one.kind, one.name): [] for one in running}
    for one in running:
        one.run(one.events)
    before = [one.taken() for one in running]
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for one in running:
                start = time.thread_time()
                one.run(one.events)
                samples[one.kind, one.name].append((time.thread_time() - start) / one.events * 1e6)
    finally:
        gc.enable()
    for one, then in zip(running, before, strict=True):
        if one.taken() - then != rounds * one.events:
            raise SystemExit(f"{one.name} took {one.taken() - then} of {rounds * one.events} {one.kind} steps")
    found: dict[str, dict[str, float]] = {kind: {} for kind in TARGETS}
    for (kind, name), all_of_them in samples.items():
        found[kind][name] = statistics.median(all_of_them)
    return found


def report(found: dict[str, dict[str, float]]) -> dict[str, Any]:
    """What goes into the JSON file: figures, ratios, what was asked for, and on what it was measured."""
    versions = {}
    for name in ("transitions", "python-statemachine"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    figures = []
    for kind, by_name in found.items():
        own = by_name["calltable"]
        for name, cost in by_name.items():
            asked: dict[str, Any] = {}
            if name == "calltable":
                asked = {"at_most_us": TARGETS[kind], "met": cost <= TARGETS[kind]}
            elif name in RATIOS and kind == "declarative":
                asked = {"at_least_ratio": RATIOS[name], "met": cost / own >= RATIOS[name]}
            figures.append({"step": kind, "by": name, "us": round(cost, 3), "ratio": round(cost / own, 2), **asked})
    return {
        "benchmark": "step",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": versions,
        "figures": figures,
    }


def table(result: dict[str, Any]) -> str:
    lines = [f"{'step':<12} {'by':<20} {'µs/event':>9} {'× calltable':>12}  target"]
    for one in result["figures"]:
        target = ""
        if "met" in one:
            limit = f"≤ {one['at_most_us']} µs" if "at_most_us" in one else f"≥ {one['at_least_ratio']:g} ×"
            target = f"{limit}  {'met' if one['met'] else 'MISSED'}"
        lines.append(f"{one['step']:<12} {one['by']:<20} {one['us']:>9.2f} {one['ratio']:>12.1f}  {target}".rstrip())
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.step", description="What one event costs.")
    parser.add_argument("--rounds", type=int, default=40, help="how often each is measured (default: 40)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(arguments)
    result = report(measure(options.rounds))
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(one.get("met", True) for one in result["figures"]) else 1


if __name__ == "__main__":
    sys.exit(main())
