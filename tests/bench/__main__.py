"""Run the benchmarks one after the other, as tables and, where asked, as one JSON file.

    python -m tests.bench [step] [load] [check] [sip] [soak] [--json FILE]

Without names: all but ``flood`` and ``soak``, which take two and five minutes. A benchmark that needs something that is not there says so
and is passed over. The exit status is 1 where one missed its target, 0 otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

BENCHMARKS = {
    "step": "what one event costs, beside other state machine libraries",
    "load": "how long the shipped tables take to load, check and compile",
    "check": "how the time to load and check a table grows with its size",
    "sip": "CPU and memory per SIP call, beside other B2BUAs",
    "flood": "what a flood from one address does to everybody else",
    "soak": "whether 100,000 calls leave anything behind",
}
USUAL = ("step", "load", "check", "sip")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Run the benchmarks.", formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:<6} {what}" for name, what in BENCHMARKS.items()),
    )  # fmt: skip
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {', '.join(BENCHMARKS)}; default: {', '.join(USUAL)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    missed, results = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or USUAL:
            if importlib.util.find_spec(f"tests.bench.{name}") is None:
                print(f"{name}: not in this checkout")
                continue
            print(f"== {name}: {BENCHMARKS[name]}", flush=True)
            file = Path(folder, f"{name}.json")
            if importlib.import_module(f"tests.bench.{name}").main(["--json", str(file)]):
                missed.append(name)
            if file.exists():
                results[name] = json.loads(file.read_text(encoding="utf-8"))
            print(flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if missed:
        print(f"missed a target: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
