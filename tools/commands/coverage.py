"""``calltable coverage``: which rows, guards and explicit no-ops have been reached, and which have not.

The files are what ``calltable serve --coverage``, ``calltable simulate --coverage`` and tests have counted
(``engine/coverage.py``); several are added up.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.tools import OK, PROBLEMS, UsageError, write
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from calltable.engine.language import Library
    from calltable.engine.model import Position, Row
    from calltable.engine.observe import Hits, Measure

NOT_ROWS = ("ignore", "refuse", "defer")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "coverage", help="which rows were reached",
        description="Add up coverage files and show which rows, guards and explicit no-ops were reached.",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="written by --coverage of serve or simulate")
    parser.add_argument("--table", action="append", default=[], metavar="TABLE", help="this table only; may be repeated")
    parser.add_argument("--tables", action="append", type=Path, default=[], metavar="FILE|DIR",
                        help="the tables to compare it with (default: the shipped ones)")  # fmt: skip
    parser.add_argument("--overlay", action="append", type=Path, default=[], metavar="FILE", dest="overlays")
    parser.add_argument("--all", action="store_true", help="list the rows that were reached too, with their counts")
    parser.add_argument("--cases", action="store_true", help="list the values that guards met")
    parser.add_argument("--under", type=float, metavar="PERCENT", help="exit with 1 if fewer rows were reached")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the sum to a file")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Add up, print, and return 0 (1 where fewer rows than ``--under`` were reached). Raises UsageError."""
    from calltable.engine.observe import measure  # noqa: PLC0415

    hits = read(options.files)
    library = _library(options.tables, options.overlays)
    unknown = [name for name in options.table if name not in library.machines]
    if unknown:
        raise UsageError(f"no table {unknown[0]}; there are {', '.join(sorted(library.machines))}")
    names = options.table or sorted(library.machines)
    measures = [measure(library.machines[name], hits) for name in names]
    if options.output:
        write(options.output, hits.dump())
    if options.format == "json":
        print(json.dumps([as_json(one) for one in measures], indent=2, ensure_ascii=False))
    else:
        colour = colours(sys.stdout)
        for line in report(measures, reached=options.all, cases=options.cases, colour=colour):
            print(line)
    return PROBLEMS if options.under is not None and percent(measures) < options.under else OK


def read(files: Sequence[Path]) -> Hits:
    """All files, added up. Raises UsageError."""
    from calltable.engine.observe import CoverageError, Hits, merge  # noqa: PLC0415

    found = []
    for path in files:
        try:
            found.append(Hits.load(path.read_text(encoding="utf-8"), str(path)))
        except OSError as error:
            raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from error
        except (CoverageError, UnicodeDecodeError) as error:
            raise UsageError(str(error)) from error
    return merge(found)


def _library(tables: Sequence[Path], overlays: Sequence[Path]) -> Library:
    from calltable.engine.language import load_tables  # noqa: PLC0415
    from calltable.engine.model import TableError  # noqa: PLC0415

    try:
        return load_tables(list(tables) or None, overlays=list(overlays))
    except (TableError, OSError) as error:
        raise UsageError(str(error)) from error


def percent(measures: Sequence[Measure]) -> float:
    """How many of all rows were reached, in percent."""
    total = sum(len(one.rows()) for one in measures)
    return 100.0 * sum(len(one.reached) for one in measures) / total if total else 100.0


def report(measures: Sequence[Measure], *, reached: bool = False, cases: bool = False, colour: bool = False) -> Iterator[str]:
    """The report, line by line."""
    paint: Callable[[str, str], str] = (lambda text, code: f"\x1b[{code}m{text}\x1b[0m") if colour else lambda text, _: text
    width = max(len(one.machine.name) for one in measures)
    for one in measures:
        guards = one.guards
        both = sum(row.id in one.held and row.id in one.failed for row in guards)
        parts = [
            _share("rows", len(one.rows("row")) - len(one.missing("row")), len(one.rows("row"))),
            _share("no-ops", len(one.rows(*NOT_ROWS)) - len(one.missing(*NOT_ROWS)), len(one.rows(*NOT_ROWS))),
            _share("guards both ways", both, len(guards)),
            _share("states", len(one.states), len(one.machine.states)),
        ]
        whole = not one.missing() and both == len(guards)
        yield paint(f"{one.machine.name:<{width}}", "1") + "  " + paint("  ".join(parts), "32" if whole else "33")
    yield f"{'all':<{width}}  {percent(measures):.1f} % of {sum(len(one.rows()) for one in measures)} rows"
    for one in measures:
        lines = list(_details(one, reached=reached, cases=cases))
        if lines:
            yield ""
            yield paint(one.machine.name, "1")
            yield from lines


def _share(what: str, some: int, of: int) -> str:
    return f"{what} {some:>3}/{of:<3}"


def _details(one: Measure, *, reached: bool, cases: bool) -> Iterator[str]:
    if one.foreign:
        yield f"  ! {one.foreign} events were counted under another version of this table; rows are matched by their ids"
    for (state, event), count in one.surprises.items():
        yield f"  ! no row took {event} in state {state}, {count} times"
    for row in one.missing():
        yield f"  - {row.id}  {_what(row)}  {place(row.position)}"
    for row, way in one.one_sided:
        yield f"  ½ {row.id}  guard «{row.guard_text}» {way}  {place(row.position)}"
    if reached:
        for row_id, count in one.reached.items():
            yield f"  + {row_id}  {_what(one.machine.rows[row_id])}  {count} times"
    if cases:
        for (state, event), met in one.cases.items():
            yield f"  ? {event} in {state}"
            yield from (f"      {count:>8} × {case}" for case, count in met.items())


def place(position: Position) -> str:
    """``file:line``, the file as seen from here where it is below."""
    path = Path(position.file).resolve()
    file = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else position.file
    return f"{file}:{position.line}"


def _what(row: Row) -> str:
    events = "after a time" if row.after is not None else ", ".join(row.events)
    kind = "" if row.kind == "row" else f", {row.kind}"
    return f"({row.state_text}: {events}{kind})"


def as_json(one: Measure) -> dict[str, object]:
    """One table's measure as plain data."""
    return {
        "table": one.machine.name, "rows": len(one.rows()), "reached": one.reached,
        "missing": [row.id for row in one.missing()],
        "one_sided": [{"row": row.id, "guard": row.guard_text, "way": way} for row, way in one.one_sided],
        "states": sorted(one.states),
        "cases": [{"state": state, "event": event, "met": met} for (state, event), met in one.cases.items()],
        "unhandled": [{"state": s, "event": e, "times": count} for (s, e), count in one.surprises.items()],
        "foreign": one.foreign,
    }  # fmt: skip
