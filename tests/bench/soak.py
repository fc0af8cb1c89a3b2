"""Whether a hundred thousand calls leave anything behind.

    python -m tests.bench.soak [--calls N] [--rate N] [--json FILE]

The B2BUA is warmed up at the rate of the test until the first calls' last timers (32 s, RFC 3261) have run out. Then
it gets time to be quiet, and says what is alive and how much memory it has. Then come the calls, and the same wait.
Memory and live sessions must be back where they were.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.driver import CannotRunError, Figure, finish, load_driver, options, server

WARM_UP_SECONDS = 40
"""Longer than the longest timer of a call that is over: then memory is as full as the rate makes it."""
QUIET_SECONDS = 60.0
TIDY_SECONDS = 22.0
"""An idle server looks every 20 s whether it can give memory back."""
GROWTH_MB = 2.0
"""What an allocator may keep in pieces; a leak of 100 bytes a call would already be 10 MB."""
ALIVE = ("calls", "sessions", "timers", "transactions", "dialogs")


def snapshot(bench: Any) -> dict[str, Any]:
    """What is alive in the server, as it says itself."""
    log = bench.work / "server.log"
    before = log.stat().st_size
    bench.proc.send_signal(signal.SIGUSR1)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for line in log.read_bytes()[before:].splitlines():
            with contextlib.suppress(ValueError):
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.05)
    raise CannotRunError("the server does not answer SIGUSR1")


def settled(driver: Any, bench: Any) -> tuple[dict[str, Any], float]:
    """Wait until nothing is alive, or too long; what is alive, and the memory in MB."""
    end = time.monotonic() + QUIET_SECONDS
    while any((alive := snapshot(bench))[name] for name in ALIVE) and time.monotonic() < end:
        time.sleep(1)
    time.sleep(TIDY_SECONDS)
    return alive, driver.usage(bench.proc.pid, pss=True).pss / 2**20


def main(arguments: list[str] | None = None) -> int:
    """Run it; 1 where something was left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description="Whether calls leave anything behind.")
    parser.add_argument("--calls", type=int, default=100_000, help="default: 100000")
    parser.add_argument("--rate", type=int, default=600, help="calls/s (default: 600)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    asked = parser.parse_args(arguments)
    try:
        driver = load_driver()
        wanted = options(driver, warmup=0, max_wall=asked.calls / asked.rate * 1.5 + 60, sample=1.0)
        with driver.Bench(server(driver, "calltable"), wanted) as bench:
            fresh = driver.usage(bench.proc.pid, pss=True).pss / 2**20
            warm = bench.load(asked.rate, asked.rate * WARM_UP_SECONDS, warm=True)
            _, before = settled(driver, bench)
            print(f"   {warm['calls']:,} calls to warm up: {before:.1f} MB, {warm['failed']} failed", file=sys.stderr, flush=True)
            run = bench.load(asked.rate, asked.calls)
            print(f"   {asked.calls:,} calls in {run['wall_s']:.0f} s", file=sys.stderr, flush=True)
            alive, after = settled(driver, bench)
    except CannotRunError as reason:
        print(f"skipped: {reason}")
        return 0
    left = sum(alive[name] for name in ALIVE)
    figures = [
        Figure(f"failed calls of {asked.calls:,}", run["failed"], "", 0),
        Figure("sessions, timers, transactions and dialogs left", left, "", 0),
        Figure("memory of the fresh server", fresh, "MB"),
        Figure("memory at the most", run["rss_max_mb"], "MB"),
        Figure("memory before, after warming up", before, "MB"),
        Figure("memory after", after, "MB"),
        Figure("memory grew by", after - before, "MB", GROWTH_MB),
        Figure("CPU per call", run["cpu_ms_per_call"] or math.nan, "ms"),
        Figure("calls a second", run["achieved_cps"], ""),
    ]
    return finish("soak", figures, {"warm-up": warm, "run": run, "alive": alive}, asked.json)


if __name__ == "__main__":
    sys.exit(main())
