"""``calltable render``: tables as Mermaid, DOT, SVG, PNG or one HTML page.

The format follows the file's suffix. The HTML page holds any number of tables; the others hold one, so for several
tables ``-o`` names a folder, in which each gets a file of its own.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.loading import machines_in
from calltable.tools import OK, PROBLEMS, UsageError, why
from calltable.tools.draw import DETAILS, FOLDED, Options, fragment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from calltable.engine.model import Machine
    from calltable.engine.observe import Measure

SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg",
            ".png": "png", ".html": "html", ".htm": "html"}  # fmt: skip
FORMATS = {"mermaid": ".mmd", "dot": ".dot", "svg": ".svg", "png": ".png", "html": ".html"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "render",
        help="draw tables as Mermaid, DOT, SVG, PNG or a page",
        description="Draw tables. Without TABLE: the shipped ones.",
        epilog="Example: calltable render --all -o tables.html",
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="a machine or fragment (leg/uas), a file or a folder of tables")
    parser.add_argument("--all", action="store_true", help="all shipped tables (or all of the files given)")
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write, or folder for many; default: standard output")
    parser.add_argument("--format", choices=sorted(FORMATS), help="default: by the suffix of FILE, else mermaid")
    parser.add_argument(
        "--events",
        default="",
        metavar="KINDS",
        help=f"also draw rows that do nothing: {', '.join(FOLDED)} (comma-separated)",
    )
    parser.add_argument("--detail", choices=DETAILS, default="rows",
                        help="what is written: all rows, the names of events alone, or a map of the states (default: rows)")  # fmt: skip
    parser.add_argument("--fold-final", action=argparse.BooleanOptionalAction,
                        help="write rows that end the session into the state they leave, without an arrow; default: in crowded diagrams")  # fmt: skip
    parser.add_argument("--overlay", action="append", default=[], metavar="FILE",
                        help="apply an overlay before drawing; its rows are marked ◆")  # fmt: skip
    parser.add_argument("--coverage", action="append", default=[], metavar="FILE",
                        help="colour the rows that a coverage file says were reached; may be repeated")  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out. Raises ``UsageError`` for what cannot be done as asked."""
    from calltable.engine.model import TableError  # noqa: PLC0415 — keeps the start of other commands fast
    from calltable.tools.draw import LayoutUnavailableError  # noqa: PLC0415

    kind = _format(arguments.format, arguments.output)
    options = Options(_kinds(arguments.events), arguments.fold_final, arguments.detail)
    try:
        machines = _machines(arguments.tables, arguments.overlay)
        measures = _measures(machines, arguments.coverage)
        files = _files(machines, kind, options, arguments.output, measures)
    except TableError as error:
        print(error, file=sys.stderr)
        return PROBLEMS
    except LayoutUnavailableError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
    _write(files)
    return OK


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(filter(None, (part.strip() for part in text.split(","))))
    for kind in kinds:
        if kind not in FOLDED:
            raise UsageError(f"--events {kind}: there are {', '.join(FOLDED)}{_near(kind, FOLDED)}")
    return kinds


def _format(asked: str | None, output: str | None) -> str:
    if asked:
        return asked
    suffix = Path(output).suffix.lower() if output else ""
    if suffix and suffix not in SUFFIXES:
        raise UsageError(f"what {output} should hold is unclear: end it in .mmd, .dot, .svg, .png or .html, or give --format")
    return SUFFIXES.get(suffix, "mermaid")


def _machines(tables: Sequence[str], overlays: Sequence[str]) -> list[Machine]:
    from calltable.engine.language import load_tables  # noqa: PLC0415

    for name in overlays:
        if not Path(name).exists():
            raise UsageError(f"--overlay {name}: there is no such file")
    paths = [Path(name) for name in tables if Path(name).exists()]
    names = [name for name in tables if not Path(name).exists()]
    found: dict[str, Machine] = {}
    layers = [Path(name) for name in overlays]
    if paths:
        library = load_tables(paths, overlays=layers if not names else [])
        # what they only mention, a child's table for example, is not drawn
        found.update({machine.name: machine for machine in machines_in(library, paths)})
    if names or not paths:
        library = load_tables(overlays=layers)
        shipped = dict(library.machines)
        for name in names:
            if name not in shipped and (drawn := fragment(library, name)) is not None:
                shipped[name] = drawn
            if name not in shipped:
                raise UsageError(f"there is no table {name!r}, nor such a file{_near(name, shipped)}")
        found.update({name: shipped[name] for name in names} if names else shipped)
    return [found[name] for name in sorted(found)]


def _near(name: str, known: Collection[str] | Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _measures(machines: Sequence[Machine], coverage: Sequence[str]) -> dict[str, Measure]:
    """By table, what the coverage files say was reached; empty without any."""
    if not coverage:
        return {}
    from calltable.engine.observe import measure  # noqa: PLC0415
    from calltable.tools.commands.coverage import read  # noqa: PLC0415

    hits = read([Path(name) for name in coverage])
    return {machine.name: measure(machine, hits) for machine in machines}


def _files(
    machines: list[Machine], kind: str, options: Options, output: str | None, measures: Mapping[str, Measure]
) -> dict[str | None, bytes]:
    """What to write where; None is standard output."""
    if not machines:
        raise UsageError("the files given hold no machine (fragments and overlays are not drawn by themselves)")
    if kind == "html":
        from calltable.tools.draw import page  # noqa: PLC0415

        return {output: page(machines, options, measures=list(measures.values())).encode()}
    if len(machines) == 1 and not (output and Path(output).is_dir()):
        return {output: _drawn(machines[0], kind, options, measures)}
    if output is None or Path(output).suffix.lower() in SUFFIXES:
        names = ", ".join(machine.name for machine in machines[:4])
        raise UsageError(
            f"{kind} holds one table a file, and there are {len(machines)} ({names} …): "
            f"name one, give a folder with -o and --format {kind}, or write HTML, which holds them all"
        )
    return {
        str(Path(output) / (machine.name.replace("/", ".") + FORMATS[kind])): _drawn(machine, kind, options, measures)
        for machine in machines
    }


def _drawn(machine: Machine, kind: str, options: Options, measures: Mapping[str, Measure]) -> bytes:
    from calltable.tools.draw import graphviz, mermaid, picture  # noqa: PLC0415

    measured = measures.get(machine.name)
    match kind:
        case "png":
            return graphviz.png(machine, options, measured=measured)
        case "svg":
            return picture.svg(machine, options, measured=measured).encode()
        case "dot":
            return graphviz.dot(machine, options, measured=measured).encode()
        case _:
            return mermaid.mermaid(machine, options, measured=measured).encode()


def _write(files: Mapping[str | None, bytes]) -> None:
    for name, content in files.items():
        if name is None:
            if content.startswith(b"\x89PNG") and sys.stdout.isatty():
                raise UsageError("a PNG is not for a terminal: name a file with -o, or send the output into one")
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            continue
        path = Path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {why(error)}") from error
        print(path)
