"""How the time to load and check a table grows with its size.

Generated tables of 100 to 1000 states, in the shapes of ``tests/engine/wide.py``; each size is measured once. What counts is the
time for each row, at the largest size beside the smallest: it may grow with the logarithm of the size, not with the size.

    python -m tests.bench.check [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from tests.engine.small import CATALOGUE
from tests.engine.wide import SHAPES

SIZES = (100, 200, 500, 1000)
TARGET = 2.5
"""How much more a row may cost at the largest size than at the smallest: log2(1000) / log2(100) is 1.5, the rest is noise."""


def once(shape: str, size: int) -> tuple[int, float, float]:
    """The rows of a table, the seconds to load it and the seconds to check it."""
    text = SHAPES[shape](size)
    start = time.process_time()
    library = load_tables(texts={"catalogue.yaml": CATALOGUE, "wide.yaml": text})
    loaded = time.process_time()
    check(library)
    return len(library.machines["wide"].rows), loaded - start, time.process_time() - loaded


def measure() -> dict[str, Any]:
    once("sound", 10)  # imports, and the schema
    found = {shape: {size: once(shape, size) for size in SIZES} for shape in SHAPES}
    growth = {shape: _each(of[SIZES[-1]]) / _each(of[SIZES[0]]) for shape, of in found.items()}
    return {
        "benchmark": "check", "python": platform.python_version(), "machine": platform.machine(),
        "seconds": {shape: {size: [round(one, 4) for one in of[size][1:]] for size in SIZES} for shape, of in found.items()},
        "rows": {shape: {size: of[size][0] for size in SIZES} for shape, of in found.items()},
        "growth": {shape: round(one, 2) for shape, one in growth.items()},
        "at_most": TARGET, "met": max(growth.values()) < TARGET,
    }  # fmt: skip


def _each(figures: tuple[int, float, float]) -> float:
    rows, loading, checking = figures
    return (loading + checking) / rows


def table(result: dict[str, Any]) -> str:
    lines = [f"{'s to load + check':<18}" + "".join(f"{size:>7} states" for size in SIZES) + f"{'a row, beside':>15}"]
    for shape, of in result["seconds"].items():
        lines.append(f"{shape:<18}" + "".join(f"{sum(of[size]):>14.2f}" for size in SIZES) + f"{result['growth'][shape]:>14.2f}x")
    return "\n".join([*lines, f"target: a row costs at most {TARGET:g} times as much  {'met' if result['met'] else 'MISSED'}"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.check", description="Load and check generated tables of growing size.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(arguments)
    result = measure()
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
