"""What a SIP call through the B2BUA costs, beside a floor and beside another B2BUA in Python.

    python -m tests.bench.sip [compare] [core] [memory] [idle] [logged] [--rate 60,300] [--rounds N] [--also NAMES] [--json FILE]

*compare*: CPU milliseconds of the server's process tree per call, at equal rates, servers in turn over several
rounds, the median round counts. The floor is a B2BUA without transactions, timers or checks: what plain asyncio
cannot go below. Sippy, a full B2BUA in Python, is compared at 60 calls/s (it ends at about 150). ``--also`` adds
floor-uvloop (the floor on uvloop) and kamailio (a stateful proxy in C), to know where those stand.
*core*: 600 calls/s with the server held to one core: no failed call, under 1 % retransmissions.
*memory*: 5,000 calls up at once; what the process grew by, for each.
*idle*: CPU without calls.
*logged*: CPU of a call at level info and with a trace, beside one at level warning, in turn; threads that write are counted in.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.driver import CannotRunError, Figure, finish, load_driver, options, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PARTS = ("compare", "core", "memory", "idle", "logged")
HOLD_MS = 100
FLOOR_RATIO = 2.5
SIPPY_RATIO = 0.2
SIPPY_LIMIT = 100
HELD, HELD_RATE = 5_000, 300
CORE_RATE = 600
LOG_RATIO, TRACE_RATIO = 1.1, 1.5


class Bench:
    """The parts of the benchmark, on one driver."""

    def __init__(self, driver: ModuleType, *, rounds: int, rates: list[int], seconds: float, also: list[str]) -> None:
        self.driver = driver
        self.rounds = rounds
        self.rates = rates
        self.seconds = seconds
        self.also = also
        self.raw: dict[str, Any] = {}
        self.told: list[str] = []

    def compare(self) -> Iterator[Figure]:
        """CPU per call beside the others."""
        wanted = options(self.driver, hold_ms=HOLD_MS)
        for rate in self.rates:
            names = ["floor", "calltable", *(["sippy"] if rate <= SIPPY_LIMIT else []), *self.also]
            servers = []
            for name in names:
                try:
                    servers.append(server(self.driver, name))
                except CannotRunError as reason:
                    self.told.append(f"left out: {reason}")
            runs: dict[str, list[dict[str, Any]]] = {one.name: [] for one in servers}
            for turn in range(self.rounds):
                for one in servers[turn % len(servers):] + servers[:turn % len(servers)]:
                    with self.driver.Bench(one, wanted) as bench:
                        run = bench.load(rate, max(60, round(rate * self.seconds)))
                    runs[one.name].append(run)
                    print(f"   {one.name:<14} {rate:>4} calls/s  {run['cpu_ms_per_call']} ms/call  {run['failed']} failed", file=sys.stderr, flush=True)
            self.raw[f"compare {rate}"] = runs
            cost = {name: statistics.median(run["cpu_ms_per_call"] or 0 for run in all_of_them) for name, all_of_them in runs.items()}
            for name, value in cost.items():
                yield Figure(f"CPU per call at {rate} calls/s, {name}", value, "ms")
            yield Figure(f"calltable / floor-asyncio at {rate} calls/s", cost["calltable"] / cost["floor-asyncio"], "×", FLOOR_RATIO)
            if "sippy" in cost:
                yield Figure(f"calltable / Sippy at {rate} calls/s", cost["calltable"] / cost["sippy"], "×", SIPPY_RATIO)
            yield Figure(f"failed calls of calltable at {rate} calls/s", sum(run["failed"] for run in runs["calltable"]), "", 0)

    def core(self) -> Iterator[Figure]:
        """A rate that one core has to carry."""
        cpus = sorted(os.sched_getaffinity(0))
        tools = set(cpus[1:]) or None
        wanted = options(self.driver, hold_ms=HOLD_MS, server_cpus={cpus[0]}, tool_cpus=tools)
        with self.driver.Bench(server(self.driver, "calltable"), wanted) as bench:
            run = bench.load(CORE_RATE, round(CORE_RATE * 10))
        self.raw["core"] = run
        yield Figure(f"failed calls at {CORE_RATE} calls/s on one core", run["failed"], "", 0)
        yield Figure(f"retransmissions at {CORE_RATE} calls/s on one core", run["retrans_pct"], "%", 1.0, "<")
        yield Figure(f"of the core used at {CORE_RATE} calls/s", run["cpu_pct_of_core"], "%")
        yield Figure(f"INVITE to 200, 99 % of calls, at {CORE_RATE} calls/s", run["rtt_ms"]["p99"] or 0, "ms")

    def memory(self) -> Iterator[Figure]:
        """What a call that is up takes."""
        wanted = options(self.driver)
        with self.driver.Bench(server(self.driver, "calltable"), wanted) as bench:
            run = bench.load(HELD_RATE, HELD, hold_ms=round(1000 * (HELD / HELD_RATE + 5)))
        self.raw["memory"] = run
        yield Figure(f"memory of a held call, of {HELD:,}", run["kb_per_call_pss"], "kB", 15)
        yield Figure(f"failed calls of {HELD:,}", run["failed"], "", 0)

    def idle(self) -> Iterator[Figure]:
        """CPU with nothing to do."""
        with self.driver.Bench(server(self.driver, "calltable"), options(self.driver)) as bench:
            time.sleep(2)
            before = self.driver.usage(bench.proc.pid)
            time.sleep(self.seconds * 2)
            used, source = self.driver.cpu_between(before, self.driver.usage(bench.proc.pid))
        self.raw["idle"] = {"cpu_s": used, "seconds": self.seconds * 2, "source": source}
        yield Figure("CPU of an idle server", 100 * used / (self.seconds * 2), "%", 0.5, "<")

    def logged(self) -> Iterator[Figure]:
        """What logs and traces add to a call."""
        with tempfile.TemporaryDirectory() as folder:
            ways = {"warning": "warning", "info": "info", "trace": f"warning --trace {folder}/calls.jsonl"}
            runs: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(self.rounds):
                for name, way in ways.items():
                    one = server(self.driver, "calltable")
                    one.name, one.cmd = name, one.cmd.replace("--log-level error", f"--log-level {way}")
                    with self.driver.Bench(one, options(self.driver, hold_ms=HOLD_MS)) as bench:
                        runs[name].append(bench.load(60, round(60 * self.seconds))["cpu_ms_per_call"] or 0.0)
        self.raw["logged"] = runs
        cost = {name: min(values) for name, values in runs.items()}
        yield Figure("CPU per call at level warning", cost["warning"], "ms")
        yield Figure("a call at level info / at warning", cost["info"] / cost["warning"], "×", LOG_RATIO)
        yield Figure("a traced call / one that is not", cost["trace"] / cost["warning"], "×", TRACE_RATIO)


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that are asked for; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sip", description="What a SIP call costs.")
    parser.add_argument("parts", metavar="PART", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rate", default="60,300", help="calls/s to compare at (default: 60,300)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured (default: 3)")
    parser.add_argument("--also", default="", metavar="NAMES", help="compare with floor-uvloop, kamailio too")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement (default: 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    asked = parser.parse_args(arguments)
    unknown = [part for part in asked.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    try:
        driver = load_driver()
        rates = [int(rate) for rate in asked.rate.split(",")]
        also = [name for name in asked.also.split(",") if name]
        bench = Bench(driver, rounds=asked.rounds, rates=rates, seconds=asked.seconds, also=also)
        figures: list[Figure] = []
        for part in asked.parts or PARTS:
            with contextlib.suppress(KeyboardInterrupt):
                figures += getattr(bench, part)()
    except CannotRunError as reason:
        print(f"skipped: {reason}")
        return 0
    return finish("sip", figures, bench.raw, asked.json, bench.told)


if __name__ == "__main__":
    sys.exit(main())
