"""``calltable render``: tables as Mermaid, DOT, SVG or one HTML page.

The format follows the file's suffix. The HTML page holds any number of tables; the others hold one, so for several
tables ``-o`` names a folder, in which each gets a file of its own.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.tools import OK, PROBLEMS, UsageError, why, write
from calltable.tools.draw.diagram import FOLDED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Mapping, Sequence

    from calltable.engine.model.machine import Machine

SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".html": "html", ".htm": "html"}
FORMATS = {"mermaid": ".mmd", "dot": ".dot", "svg": ".svg", "html": ".html"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "render",
        help="draw tables as Mermaid, DOT, SVG or HTML",
        description="RandomDelay tables. Without TABLE: the shipped ones.",
        epilog="Example: calltable render --all -o tables.html",
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="a machine (leg/uas), a file or a folder of tables")
    parser.add_argument("--all", action="store_true", help="all shipped tables (or all of the files given)")
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write, or folder for many; default: standard output")
    parser.add_argument("--format", choices=sorted(FORMATS), help="default: by the suffix of FILE, else mermaid")
    parser.add_argument(
        "--events",
        default="",
        metavar="KINDS",
        help=f"also draw rows that do nothing: {', '.join(FOLDED)} (comma-separated)",
    )
    parser.add_argument("--overlay", action="append", default=[], metavar="FILE", help="apply an overlay before drawing")
    parser.add_argument("--coverage", action="append", default=[], metavar="FILE",
                        help="colour what was reached, as a coverage file has it; may be repeated")  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out. Raises ``UsageError`` for what cannot be done as asked."""
    from calltable.engine.model.problems import TableError  # noqa: PLC0415 — keeps the start of other commands fast
    from calltable.tools.draw.layout import LayoutUnavailableError  # noqa: PLC0415

    kind = _format(arguments.format, arguments.output)
    show = _kinds(arguments.events)
    try:
        machines = _machines(arguments.tables, arguments.overlay)
        files = _files(machines, kind, show, arguments.output)
        if arguments.coverage:
            files = _shaded(files, machines, kind, show, arguments.coverage)
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
        raise UsageError(f"what {output} should hold is unclear: end it in .mmd, .dot, .svg or .html, or give --format")
    return SUFFIXES.get(suffix, "mermaid")


def _machines(tables: Sequence[str], overlays: Sequence[str]) -> list[Machine]:
    from calltable.engine.language.load import load_tables  # noqa: PLC0415

    for name in overlays:
        if not Path(name).exists():
            raise UsageError(f"--overlay {name}: there is no such file")
    paths = [Path(name) for name in tables if Path(name).exists()]
    names = [name for name in tables if not Path(name).exists()]
    found: dict[str, Machine] = {}
    layers = [Path(name) for name in overlays]
    if paths:
        found.update(load_tables(paths, overlays=layers if not names else []).machines)
    if names or not paths:
        shipped = load_tables(overlays=layers).machines
        for name in names:
            if name not in shipped:
                raise UsageError(f"there is no table {name!r}, nor such a file{_near(name, shipped)}")
        found.update({name: shipped[name] for name in names} if names else shipped)
    return [found[name] for name in sorted(found)]


def _near(name: str, known: Collection[str] | Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _files(machines: list[Machine], kind: str, show: tuple[str, ...], output: str | None) -> dict[str | None, str]:
    """What to write where; None is standard output."""
    if not machines:
        raise UsageError("the files given hold no machine (fragments and overlays are not drawn by themselves)")
    if kind == "html":
        from calltable.tools.draw.page import page  # noqa: PLC0415

        return {output: page(machines, show=show)}
    draw = _drawer(kind)
    if len(machines) == 1 and not (output and Path(output).is_dir()):
        return {output: draw(machines[0], show)}
    if output is None or Path(output).suffix.lower() in SUFFIXES:
        names = ", ".join(machine.name for machine in machines[:4])
        raise UsageError(
            f"{kind} holds one table a file, and there are {len(machines)} ({names} …): "
            f"name one, give a folder with -o and --format {kind}, or write HTML, which holds them all"
        )
    return {
        str(Path(output) / (machine.name.replace("/", ".") + FORMATS[kind])): draw(machine, show) for machine in machines
    }


def _drawer(kind: str) -> Callable[[Machine, tuple[str, ...]], str]:
    from calltable.tools.draw import notation, picture  # noqa: PLC0415

    drawers = {"mermaid": notation.mermaid, "dot": notation.dot, "svg": picture.svg}
    chosen = drawers[kind]
    return lambda machine, show: chosen(machine, show=show)


def _shaded(
    files: Mapping[str | None, str], machines: Sequence[Machine], kind: str, show: tuple[str, ...], coverage: Sequence[str]
) -> dict[str | None, str]:
    """The same files, coloured by what was reached."""
    from calltable.engine.observe.measure import measure  # noqa: PLC0415
    from calltable.tools.commands.coverage import read  # noqa: PLC0415
    from calltable.tools.draw.shading import shade  # noqa: PLC0415

    hits = read([Path(name) for name in coverage])
    measures = [measure(machine, hits) for machine in machines]
    if len(files) == 1:
        return {name: shade(text, kind, measures, show) for name, text in files.items()}
    return {
        name: shade(text, kind, [one], show) for (name, text), one in zip(files.items(), measures, strict=True)
    }  # fmt: skip


def _write(files: Mapping[str | None, str]) -> None:
    for name, text in files.items():
        if name is None:
            sys.stdout.write(text)
            continue
        path = Path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {why(error)}") from error
        write(path, text)
        print(path)
