"""How long the shipped tables take to load, to check and to compile: what a start and a reload cost.

All three are measured several times over in one process, with nothing kept from the run before; the median counts.
The first run pays for cold caches too and is given apart.

    python -m tests.bench.load [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from calltable.engine.run.compile import compile_machine

TARGET = 1.0
"""Seconds that loading, checking and compiling all shipped tables may take together."""


def once() -> tuple[dict[str, float], dict[str, int]]:
    """Seconds by step, and how much was worked through."""
    start = time.perf_counter()
    library = load_tables()
    loaded = time.perf_counter()
    problems = check(library)
    checked = time.perf_counter()
    config = {name: parameter.default for name, parameter in library.catalogue.config.items()}
    machines = [compile_machine(machine, config) for machine in library.machines.values()]
    compiled = time.perf_counter()
    if problems:
        raise SystemExit("\n".join(map(str, problems)))
    size = {
        "machines": len(machines),
        "rows": sum(len(machine.rows) for machine in machines),
        "cells": sum(len(cells) for machine in machines for cells in machine.cells.values()),
    }
    return {"load": loaded - start, "check": checked - loaded, "compile": compiled - checked, "all": compiled - start}, size


def measure(rounds: int) -> dict[str, Any]:
    first, size = once()
    runs = [once()[0] for _ in range(rounds)]
    seconds = {step: round(statistics.median(run[step] for run in runs), 4) for step in first}
    worst = max(first["all"], seconds["all"])
    return {
        "benchmark": "load",
        "python": platform.python_version(),
        "machine": platform.machine(),
        **size,
        "seconds": seconds,
        "first": {step: round(value, 4) for step, value in first.items()},
        "at_most": TARGET,
        "met": worst < TARGET,
    }


def table(result: dict[str, Any]) -> str:
    lines = [f"{result['machines']} machines, {result['rows']} rows, {result['cells']} cells"]
    lines.append(f"{'step':<10} {'s, first':>9} {'s, median':>10}")
    lines += [f"{step:<10} {result['first'][step]:>9.3f} {result['seconds'][step]:>10.3f}" for step in result["seconds"]]
    return "\n".join([*lines, f"target: all < {result['at_most']:g} s  {'met' if result['met'] else 'MISSED'}"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description="Load, check and compile the shipped tables.")
    parser.add_argument("--rounds", type=int, default=5, help="how often it is measured after the first time (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(arguments)
    result = measure(options.rounds)
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
