"""``calltable explore``: the compiled tables against each other, in every order that is possible within bounds.

A violation is drawn as a ladder, the shortest that shows it, with the rows behind each message. ``--mutate`` turns the
question round: it breaks the tables in one place at a time, and tells which breaks the static checks and the explorer catch.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TextIO

from calltable.observe import Entry
from calltable.tools import OK, PROBLEMS, UsageError
from calltable.tools.arguments import Overlay
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calltable.engine.explore import Assertion, Explored
    from calltable.engine.language import Library

EXAMPLES = """\
examples:
  calltable explore                                      the shipped tables, in seconds
  calltable explore --profile full                       wide bounds: minutes
  calltable explore --overlay mine.yaml --only call      one composition, with an overlay
  calltable explore my-tables/ --properties mine.yaml    with properties of one's own
  calltable explore -o call.html                         the ladder of a violation as a page (.mmd: Mermaid)
  calltable explore --write-test test_late_answer.py     the violation as a test that replays it over real SIP
  calltable explore --mutate --sample 100                break the tables in 100 places; what is noticed?
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explore", help="search every order of events within bounds", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run the tables against each other in every order of events within bounds, and draw what goes wrong.",
    )  # fmt: skip
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE|DIR", help="tables; without any: the shipped ones")
    parser.add_argument("--overlay", action=Overlay, nargs="+", type=Path, default=[], metavar="FILE", dest="overlays",
                        help="overlays to apply to the tables; may be repeated")  # fmt: skip
    parser.set_defaults(more=[])
    parser.add_argument("--profile", choices=("quick", "full"), default="quick", help="how wide the bounds are (default: quick)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this composition; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the compositions with their bounds")
    parser.add_argument("--properties", action="append", type=Path, default=[], metavar="FILE",
                        help="a YAML file of properties that must hold; may be repeated")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FILE",
                        help="write the ladder of a violation: .html, .mmd (Mermaid) or text")  # fmt: skip
    parser.add_argument("--write-test", type=Path, metavar="FILE", help="write the violation as a pytest file")
    parser.add_argument("--mutate", action="store_true", help="mutation testing: break the tables one place at a time, and count what is caught")
    parser.add_argument("--table", action="append", default=[], metavar="NAME", help="with --mutate: only this table")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="with --mutate: only N of the mutants")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="with --sample: which (default: 1)")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress, no summary")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explore, print, and return 0 or 1. Raises UsageError for what cannot be read or is not known."""
    from calltable.adapters.sip.explore import COMPOSITIONS  # noqa: PLC0415 - `--help` needs none of it

    names = [one.name for one in COMPOSITIONS]
    for name in options.only:
        if name not in names:
            raise UsageError(f"there is no composition {name}; there are {', '.join(names)}")
    if options.list:
        for one in COMPOSITIONS:
            print(f"{one.name:<24} {one.doc}")
            for profile, bounds in (("quick", one.quick), ("full", one.full)):
                if bounds is not None:
                    print(f"{'':<24} {profile}: {_bounds(bounds)}")
        return OK
    options.paths = [*options.paths, *options.more]
    library = _load(options)
    if options.mutate:
        from calltable.tools.commands.mutants import report  # noqa: PLC0415

        return report(library, options)
    stated = [one for path in options.properties for one in _properties(path, names)]
    begin = perf_counter()
    total = wrong = 0
    from calltable.adapters.sip.explore import COMPOSITIONS  # noqa: PLC0415
    from calltable.engine.explore import concerned, explore  # noqa: PLC0415
    from calltable.loading import machines_in  # noqa: PLC0415

    names = [machine.name for machine in machines_in(library, options.paths)]
    concerning, alone = concerned(names, library.machines, COMPOSITIONS)
    progress = progress_on(sys.stderr) if not options.quiet else None
    started = perf_counter()
    try:
        for found in explore(
            library.machines, library.catalogue, COMPOSITIONS, profile=options.profile, only=options.only, stated=stated,
            progress=progress, concerning=None if options.only else concerning,
        ):  # fmt: skip
            total += found.result.states
            if progress is not None:
                wipe(sys.stderr)
            if not options.quiet:
                print(_summary(found, perf_counter() - started))
            started = perf_counter()
            if not found.result.ok:
                wrong += 1
                tell(found, options)
    except LookupError as error:
        raise UsageError(str(error.args[0])) from error
    if not options.quiet:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for name in alone if not options.only else ():
            print(unexplored(name))
        if not total:
            return OK
        verdict = "nothing found" if not wrong else f"{wrong} not clean"
        print(f"\n{total:,} states, {verdict}, in {perf_counter() - begin:.1f} s and {memory:.0f} MB; exhaustive within these bounds")
    return PROBLEMS if wrong else OK


def _load(options: argparse.Namespace) -> Library:
    from calltable.engine.language import load_tables  # noqa: PLC0415
    from calltable.engine.model import TableError  # noqa: PLC0415

    try:
        return load_tables(list(options.paths) or None, overlays=list(options.overlays))
    except TableError as error:
        raise UsageError(f"the tables do not load; see `calltable check`\n{error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(str(error)) from error


def _properties(path: Path, names: Sequence[str]) -> list[Assertion]:
    from calltable.engine.explore import read_properties  # noqa: PLC0415
    from calltable.engine.model import TableError  # noqa: PLC0415

    try:
        return read_properties(path.read_text(encoding="utf-8"), str(path), names)
    except TableError as error:
        raise UsageError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{path}: {what.lower()}: --properties takes a YAML file of properties") from error


def progress_on(stream: TextIO) -> Callable[[str, int, int], None] | None:
    """Something that shows how far the explorer is; None where the stream is no terminal."""
    begin = perf_counter()

    def told(name: str, found: int, left: int) -> None:
        seconds = perf_counter() - begin
        print(f"\r\x1b[K{name}: {found:,} states, {left:,} to go, {seconds:.0f} s", end="", file=stream, flush=True)

    return told if stream.isatty() else None


def wipe(stream: TextIO) -> None:
    """Clear the line that shows progress."""
    if stream.isatty():
        print("\r\x1b[K", end="", file=stream, flush=True)


def _bounds(bounds: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in bounds.items())


def _summary(found: Explored, seconds: float) -> str:
    result = found.result
    verdict = "ok"
    if result.finding is not None:
        verdict = f"violated: {result.finding.code}"
    elif result.missed():
        verdict = f"not explored completely: {'; '.join(result.missed())}"
    return f"{found.composition.name:<24} {result.states:>11,} states {result.moves:>12,} moves {seconds:>7.1f} s  {verdict}"


def tell(found: Explored, options: argparse.Namespace) -> None:
    """Print a violation with its ladder, and write what was asked for."""
    from calltable.tools.ladder import ladder_html, ladder_text  # noqa: PLC0415 - only where it is asked for

    result = found.result
    if result.finding is None:
        return
    drawn = entries(found)
    color = colours(sys.stdout)
    print(f"\n{found.composition.name}: {result.finding.text}\n")
    print(ladder_text(drawn, width=shutil.get_terminal_size((140, 40)).columns, color=color))
    output: Path | None = options.output
    if output is not None:
        title = f"{found.composition.name}: {result.finding.text}"
        if output.suffix in (".html", ".htm"):
            output.write_text(ladder_html(drawn, title=title), encoding="utf-8")
        elif output.suffix in (".mmd", ".mermaid", ".md"):
            output.write_text(mermaid(found), encoding="utf-8")
        else:
            output.write_text(ladder_text(drawn), encoding="utf-8")
    if options.write_test is not None:
        from calltable.tools.commands.written import written  # noqa: PLC0415

        text = written(found, options.paths, options.overlays)
        options.write_test.write_text(text, encoding="utf-8")


def drawn(found: Explored) -> str:
    """The ladder of a violation, as problems show it."""
    from calltable.tools.ladder import ladder_text  # noqa: PLC0415

    return ladder_text(entries(found), width=110)


def unexplored(name: str) -> str:
    """What is said of a table that no composition contains."""
    return f"no composition contains {name}: its table was checked by itself, not explored"


def entries(found: Explored) -> list[Entry]:
    """A trace as the records that ladders are drawn from; every line a millisecond after the one before."""
    from calltable.adapters.sip.explore import lines  # noqa: PLC0415

    made = []
    for number, line in enumerate(lines(found.system, found.result.trace)):
        made.append(Entry(
            time=number / 1000, kind="message", direction="in", source=line.source, destination=line.destination,
            summary=line.text, cseq=f"{line.number} {line.method}" if line.method else "", rows=line.rows, lost=line.lost,
        ))  # fmt: skip
    return made


def mermaid(found: Explored) -> str:
    """A trace as a Mermaid sequence diagram."""
    from calltable.adapters.sip.explore import lines  # noqa: PLC0415

    parties = [element.name for element in found.system.elements]
    text = ["sequenceDiagram", *(f"    participant {name}" for name in parties)]
    for line in lines(found.system, found.result.trace):
        rows = f" ({', '.join(line.rows)})" if line.rows else ""
        what = f"{line.text} ({line.method})" if line.text[:1].isdigit() and line.method else line.text
        if line.source == line.destination:
            text.append(f"    Note over {line.source}: {what}{rows}")
        else:
            text.append(f"    {line.source}{'-x' if line.lost else '->>'}{line.destination}: {what}{rows}")
    finding = found.result.finding
    if finding is not None:
        text.append(f"    Note over {parties[0]},{parties[-1]}: {finding.text}")
    return "\n".join(text) + "\n"
