"""``calltable explore --mutate``: how much of what one can break in the tables is noticed, and by whom."""

from __future__ import annotations

import random
import sys
from time import perf_counter
from typing import TYPE_CHECKING

from calltable.tools import OK, PROBLEMS, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from calltable.engine.explore import Verdict
    from calltable.engine.language import Library

TARGET = 0.95
"""The share of mutants that change behaviour which has to be caught."""


def report(library: Library, options: argparse.Namespace) -> int:
    """Judge mutants, print who caught how many and each that was not caught; 0 where the target is met.

    Raises UsageError for tables that do not exist or are not clean to begin with.
    """
    from calltable.adapters.sip.explore import COMPOSITIONS, EXTRA  # noqa: PLC0415
    from calltable.engine.check import check  # noqa: PLC0415 - `--help` needs none of it
    from calltable.engine.explore import judged, mutants  # noqa: PLC0415

    for name in options.table:
        if name not in library.machines:
            raise UsageError(f"no table {name}; there are {', '.join(sorted(library.machines))}")
    if check(library):
        raise UsageError("the tables have problems as they are: see `calltable check`")
    chosen = list(mutants(library, options.table, EXTRA))
    total = len(chosen)
    if options.sample and options.sample < total:
        picked = set(random.Random(options.seed).sample(range(total), options.sample))
        chosen = [mutant for number, mutant in enumerate(chosen) if number in picked]
    begin = perf_counter()

    def progress(done: int, verdict: Verdict) -> None:
        if sys.stderr.isatty() and not options.quiet:
            print(f"\r\x1b[K{done}/{len(chosen)} {verdict.mutant.machine}", end="", file=sys.stderr, flush=True)

    verdicts = judged(library, COMPOSITIONS, chosen, progress)
    if sys.stderr.isatty() and not options.quiet:
        print("\r\x1b[K", end="", file=sys.stderr)
    for line in summary(verdicts):
        print(line)
    print(f"\n{len(chosen)} of {total} mutants in {perf_counter() - begin:.0f} s"
          + (f" (seed {options.seed})" if len(chosen) < total else ""))  # fmt: skip
    return OK if share(verdicts) >= TARGET else PROBLEMS


def share(verdicts: Sequence[Verdict]) -> float:
    """The share caught of those that change behaviour, from 0 to 1."""
    counted = [one for one in verdicts if one.counts]
    return sum(bool(one.caught) for one in counted) / len(counted) if counted else 1.0


def summary(verdicts: Sequence[Verdict]) -> list[str]:
    """The report: who caught how many, by kind of mistake, and the rest with its reasons."""
    from calltable.engine.explore import tally  # noqa: PLC0415

    lines = ["caught by"]
    counts = tally(verdicts)
    quiet = ("missed", "unchanged", "unreached")
    lines += [f"  {name:<24} {count:>5}" for name, count in sorted(counts.items()) if name not in quiet]
    lines.append("not caught")
    lines += [f"  {name:<24} {counts.get(name, 0):>5}" for name in quiet]
    kinds: dict[str, list[Verdict]] = {}
    for one in verdicts:
        if one.counts:
            kinds.setdefault(one.mutant.kind, []).append(one)
    lines.append("by kind of mistake")
    for kind, of in sorted(kinds.items()):
        caught = sum(bool(one.caught) for one in of)
        lines.append(f"  {kind:<24} {caught:>5} of {len(of)}")
    lines.append(f"\n{share(verdicts):.1%} of the mutants that change behaviour are caught")
    for why in dict.fromkeys(one.why for one in verdicts if one.why):
        lines.append(f"\n{why}:")
        lines += [f"  {one.mutant}" for one in verdicts if one.why == why]
    return lines
