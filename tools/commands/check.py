"""``calltable check``: the static checks of tables, their matrix, and the explorer with its quick bounds.

Gate 1 is loading; its problems end the check, since nothing can be said of a table whose names are wrong.
Tables that pass every gate are run against each other (``calltable explore``), in seconds.
Problems are printed like a compiler's, ``file:line:column: message``, the line itself below. Holes that a single
row would fix are reported as one.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calltable.tools import OK, PROBLEMS, UsageError
from calltable.tools.arguments import Overlay, readable
from calltable.tools.problems import Paint, as_json, github, machines, sarif, text
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calltable.examination import Examination


EXAMPLES = """\
examples:
  calltable check                             the tables that come with calltable
  calltable check my-tables/                  a copied and edited folder
  calltable check --overlay busy.yaml         the shipped tables with an overlay
  calltable check --matrix leg/uas            state x event of one table
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check", help="check tables", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Check tables: names and types, holes and overlaps, dead rows, endless waits, obligations; then every "
        "order of events within bounds.",
    )  # fmt: skip
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE|DIR", help="tables; without any: the shipped ones")
    parser.add_argument("--overlay", action=Overlay, nargs="+", type=Path, default=[], metavar="FILE", dest="overlays",
                        help="overlays to apply to the tables; may be repeated")  # fmt: skip
    parser.set_defaults(more=[])
    parser.add_argument("--matrix", nargs="?", const="", metavar="TABLE",
                        help="draw state x event of the tables, or of one")  # fmt: skip
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text",
                        help="how problems are printed (default: text)")  # fmt: skip
    parser.add_argument("--no-explore", action="store_false", dest="explore",
                        help="run the static checks alone, without the explorer: a fraction of a second")  # fmt: skip
    parser.add_argument("--quiet", "-q", action="store_true", help="print problems only")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, print, and return 0 or 1. Raises UsageError for what cannot be read."""
    from calltable.tools.commands.explore import drawn, progress_on, wipe  # noqa: PLC0415 - `--help` needs none of it

    paths, table = [*options.paths, *options.more], options.matrix
    if table and (table.endswith((".yaml", ".yml")) or Path(table).is_dir()):
        paths, table = [*paths, Path(table)], ""  # `--matrix my-tables/`: every table there
    plain = options.format == "text"
    paint = Paint(on=colours(sys.stdout))
    quiet = options.quiet or table is not None
    counted = False

    def gates(report: Examination) -> None:
        """What the static checks found, while the explorer is still at work."""
        nonlocal counted
        counted = plain and not quiet
        for line in machines(report, paint) if counted else ():
            print(line, flush=True)

    report = examined(paths, options.overlays, search=options.explore and table is None, draw=drawn, told=gates,
                      progress=progress_on(sys.stderr) if plain and not quiet else None)  # fmt: skip
    wipe(sys.stderr)
    if table is not None and report.library is not None:
        print(_matrices(report, table), end="")
    if plain:
        for line in text(report, paint, quiet=quiet, counted=counted):
            print(line)
    elif options.format == "github":
        for problem in report.problems:
            print(github(problem))
    else:
        print(json.dumps((sarif if options.format == "sarif" else as_json)(report), indent=2, ensure_ascii=False))
    return PROBLEMS if report.problems else OK


def examined(paths: Sequence[Path] = (), overlays: Sequence[Path] = (), **how: Any) -> Examination:
    """Examine the tables; without paths the shipped ones. Raises UsageError for files that cannot be read."""
    from calltable.examination import examine  # noqa: PLC0415 - `calltable --help` needs none of it
    from calltable.loading import Recipe  # noqa: PLC0415

    for path in [*paths, *overlays]:
        readable(path)
    try:
        return examine(Recipe(tuple(paths), tuple(overlays)), **how)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(str(error)) from error


def _matrices(report: Examination, table: str) -> str:
    from calltable.engine.check import matrix  # noqa: PLC0415

    library = report.library
    if library is None:
        return ""
    if table and table not in library.machines:
        raise UsageError(f"no table {table}; there are {', '.join(sorted(library.machines))}")
    wanted = [library.machines[table]] if table else report.machines
    return "\n".join(matrix(one, library.catalogue, library.machines) + "\n" for one in wanted)
