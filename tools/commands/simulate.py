"""``calltable simulate``: random calls through a B2BUA, on a virtual clock and a network that drops, duplicates and reorders.

Caller, B2BUA and callee run the tables that are given; nothing real is sent. The same seed gives the same calls, byte for
byte, so what fails once can be looked at: the first call that fails is drawn as a ladder.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from calltable.engine.model import TableError
from calltable.engine.observe import CoverageError, recording
from calltable.loading import Tables
from calltable.observe import dump
from calltable.simulation import Mix, crowd
from calltable.tools import OK, PROBLEMS, UsageError, folder_of, page_or_text, write
from calltable.tools.ladder import ladder_html, ladder_text
from calltable.tools.screen import count
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    from calltable.simulation import CrowdReport

EXAMPLES = """\
examples:
  calltable simulate                                    1000 calls, nothing lost
  calltable simulate --loss 0.2 --duplicate 0.1 --seed 7
  calltable simulate --overlay busy.yaml --rows         an overlay, and the rows that no call reached
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "simulate", help="run random calls over a bad network", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run random calls through a B2BUA on a virtual clock, and look for leftovers and disagreement.",
    )  # fmt: skip
    parser.add_argument("--calls", type=count, default=1000, metavar="N", help="how many calls (default: 1000)")
    parser.add_argument("--seed", default="0", help="any text or number; the same one gives the same calls (default: 0)")
    for name, what in (("loss", "lost"), ("duplicate", "delivered twice"), ("reorder", "held back behind later ones")):
        parser.add_argument(f"--{name}", type=_share, default=0.0, metavar="P",
                            help=f"share of datagrams {what}, 0 to 1 (default: 0)")  # fmt: skip
    parser.add_argument("--delay", type=float, nargs=2, default=(0.001, 0.05), metavar=("LEAST", "MOST"),
                        help="how long a datagram takes, seconds (default: 0.001 0.05)")  # fmt: skip
    parser.add_argument("--tcp", type=_share, default=0.0, metavar="P", help="share of batches over TCP (default: 0)")
    parser.add_argument("--batch", type=count, default=20, metavar="N", help="calls that overlap in time (default: 20)")
    parser.add_argument("--tables", type=Path, action="append", metavar="FILE|DIR", help="instead of the shipped tables")
    parser.add_argument("--overlay", type=Path, action="append", default=[], metavar="FILE", dest="overlays",
                        help="an overlay to apply to the tables; may be repeated")  # fmt: skip
    parser.add_argument("--reload", action="store_true", help="let the B2BUA reload its tables amid the calls of each batch")
    parser.add_argument("--rows", action="store_true", help="say which rows no call reached (slower)")
    parser.add_argument("--coverage", metavar="FILE", help="add what was reached to a file, for `calltable coverage` (slower)")
    parser.add_argument("--ladder", metavar="FILE", help="write the ladder of the first failing call (.html, .txt or .jsonl)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out: 0 where every call ended well, 1 where one did not."""
    try:
        tables = Tables(arguments.tables, overlays=arguments.overlays)
        again = Tables(arguments.tables, overlays=arguments.overlays) if arguments.reload else None
    except TableError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        raise UsageError("the tables do not load; calltable check says more") from error
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
    low, high = arguments.delay
    if not 0 <= low <= high:
        raise UsageError(f"--delay {low} {high}: give the least first, and nothing below 0")
    if arguments.ladder:
        page_or_text(arguments.ladder, ".jsonl")
        folder_of(arguments.ladder, f"--ladder {arguments.ladder}")
    if arguments.coverage:
        folder_of(arguments.coverage, f"--coverage {arguments.coverage}")
    mix = Mix(
        loss=arguments.loss, duplicate=arguments.duplicate, reorder=arguments.reorder, delay=(low, high), tcp=arguments.tcp
    )
    live = sys.stderr.isatty() and not arguments.json
    begun = perf_counter()

    def progress(report: CrowdReport) -> None:
        if live:
            print(f"\r{report.calls} calls", end="", file=sys.stderr, flush=True)

    try:
        with recording(arguments.coverage):
            report = crowd(
                arguments.calls, arguments.seed, mix, batch=arguments.batch, tables=tables, reload=again, coverage=arguments.rows,
                progress=progress,
            )  # fmt: skip
    except (OSError, CoverageError) as error:
        raise UsageError(f"--coverage {arguments.coverage}: {error}") from error
    seconds = perf_counter() - begun
    if live:
        print("\r", end="", file=sys.stderr)
    unreached = _unreached(tables, report) if arguments.rows else []
    if arguments.json:
        print(json.dumps({
            "calls": report.calls, "seconds": round(seconds, 3), "calls_per_second": round(report.calls / seconds, 1),
            "virtual_seconds": round(report.virtual, 1), "answered": report.confirmed, "agreed": report.agreed,
            "outcomes": dict(sorted(report.outcomes.items())), "failure": report.failure, "failed_call": report.failed_call,
            "unreached": unreached,
        }))  # fmt: skip
    else:
        _tell(report, seconds, unreached, rows=arguments.rows)
    if report.failure:
        _draw(report, arguments)
    return PROBLEMS if report.failure else OK


def _tell(report: CrowdReport, seconds: float, unreached: list[str], *, rows: bool) -> None:
    print(
        f"{report.calls} calls ({report.virtual / 3600:.1f} hours of them) in {seconds:.1f} s: {report.calls / seconds:.0f} a second\n"
        f"{report.confirmed} answered; {report.agreed} were looked at in a quiet moment, and both ends agreed"
    )
    outcomes = Counter({name: count for name, count in report.outcomes.items() if name != "answered"})
    print("the others: " + (", ".join(f"{name} {count}" for name, count in outcomes.most_common()) or "none"))
    if rows:
        print(f"rows that no call reached: {len(unreached)}" + "".join(f"\n  {row}" for row in unreached))
    if not report.failure:
        print("every session ended, and nothing was left over")


def _draw(report: CrowdReport, arguments: argparse.Namespace) -> None:
    out = sys.stderr if arguments.json else sys.stdout
    if not arguments.json:
        print(f"FAILED: {report.failed_call}\n{report.failure}\n")
    title = f"{report.failed_call} (seed {arguments.seed})"
    target = arguments.ladder
    if target is None:
        color = colours(out)
        print(ladder_text(report.trace, names=report.names, color=color), end="", file=out)
    elif page_or_text(target, ".jsonl") == "html":
        write(target, ladder_html(report.trace, names=report.names, title=title))
    elif page_or_text(target, ".jsonl") == "jsonl":
        write(target, "".join(f"{dump(entry)}\n" for entry in report.trace))
    else:
        write(target, ladder_text(report.trace, names=report.names))
    if target is not None:
        print(f"its ladder is in {target}", file=out)


def _unreached(tables: Tables, report: CrowdReport) -> list[str]:
    return [
        f"{name}: {row}"
        for name, machine in sorted(tables.machines.items())
        for row in machine.model.rows
        if (name, row) not in report.rows
    ]


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"invalid share {text!r}: give a number from 0 to 1")
    return value
