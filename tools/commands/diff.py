"""``calltable diff OLD NEW``: which rows changed, and which calls now go differently.

Each side is a table file, a folder, an overlay (applied to the shipped tables), ``shipped``, or a git revision:
``REV:PATH`` as git writes it, or ``REV`` alone for the path that the other side names. The rows are compared by meaning
(``engine/compare/diff.py``); then both versions are run side by side, and the shortest sequences that end differently are
printed step by step (``engine/compare/lockstep.py``).
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calltable.tools import OK, PROBLEMS, UsageError
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from calltable.engine.compare import Comparison, Divergence, LibraryDiff, MachineDiff, Reaction, RowChange
    from calltable.engine.language import Library
    from calltable.engine.model import Row

SHIPPED = "shipped"
EXAMPLES = """\
examples:
  calltable diff shipped my-tables/            what an edited copy of the tables changes
  calltable diff shipped busy.yaml             what an overlay changes
  calltable diff HEAD~1:tables tables/         since the last commit
  calltable diff v1.2 tables/                  since a release
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    import argparse as arguments  # noqa: PLC0415

    parser = subparsers.add_parser(
        "diff", help="what a change to tables changes", epilog=EXAMPLES,
        formatter_class=arguments.RawDescriptionHelpFormatter,
        description="Compare two versions of tables: rows by meaning, and the shortest calls that now go differently.",
    )  # fmt: skip
    parser.add_argument("old", metavar="OLD", help="a file, a folder, an overlay, 'shipped', or a git revision")
    parser.add_argument("new", metavar="NEW", help="the same")
    parser.add_argument("--overlay", action="append", default=[], metavar="FILE", dest="overlays",
                        help="an overlay to apply to both sides; may be repeated")  # fmt: skip
    parser.add_argument("--table", metavar="TABLE", help="compare this table only")
    parser.add_argument("--most", type=int, default=5, metavar="N", help="sequences to show for one table (default: 5)")
    parser.add_argument("--rows", action="store_true", help="compare rows only; do not run the tables")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare and print; 0 where both sides are the same, 1 where they differ. Raises UsageError."""
    from calltable.engine.compare import diff_libraries  # noqa: PLC0415

    with ExitStack() as stack:
        old = load_side(options.old, options.overlays, stack, other=options.new)
        new = load_side(options.new, options.overlays, stack, other=options.old)
        found = diff_libraries(old, new)
    if options.table:
        names = {*old.machines, *new.machines}
        if options.table not in names:
            raise UsageError(f"no table {options.table}; there are {', '.join(sorted(names))}")
        found.machines = [one for one in found.machines if one.name == options.table]
    ways = {} if options.rows else behaviour(found, old, new, options.most, options.table)
    if options.format == "json":
        print(json.dumps(as_json(found, ways), indent=2, ensure_ascii=False))
    else:
        colour = colours(sys.stdout)
        print("\n".join(report(found, ways, colour=colour)))
    return OK if found.same and not any(one.divergences for one in ways.values()) else PROBLEMS


# --------------------------------------------------------------------------- the sides


def load_side(text: str, overlays: Sequence[str], stack: ExitStack, *, other: str = "") -> Library:
    """Load one side. Temporary folders live as long as ``stack``. Raises UsageError for what cannot be loaded."""
    from calltable.engine.language import load_tables  # noqa: PLC0415
    from calltable.engine.model import TableError  # noqa: PLC0415
    from calltable.server import is_overlay  # noqa: PLC0415

    paths: list[Path] | None = None
    above = [Path(one) for one in overlays]
    if text != SHIPPED:
        path = Path(text)
        if not path.exists():
            path = _revision(text, other, stack)
        if path.is_file() and is_overlay(path):
            above.insert(0, path)
        else:
            paths = [path]
    try:
        return load_tables(paths, overlays=above)
    except TableError as error:
        raise UsageError(f"{text} does not load:\n{error}") from error
    except OSError as error:
        raise UsageError(f"{text}: {error.strerror or error}") from error


def _revision(text: str, other: str, stack: ExitStack) -> Path:
    """The folder that a git revision holds, unpacked."""
    revision, colon, inside = text.partition(":")
    where = inside if colon else other.partition(":")[2] or other
    start = Path(where) if Path(where).exists() else Path.cwd()
    base = start if start.is_dir() else start.parent
    top = _git(base, "rev-parse", "--show-toplevel")
    if not where or where == SHIPPED or top is None:
        raise UsageError(
            f"{text}: there is no such file or folder"
            + ("" if top is None else ", and as a git revision it needs a path: write REV:PATH")
        )
    root = Path(top.decode().strip())
    # as git reads REV:PATH: from the top, unless it begins with ./ or is a path that exists here
    path = Path(where).resolve() if (not colon or where.startswith(".")) and Path(where).exists() else root / where
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else where
    data = _git(root, "archive", "--format=tar", revision, "--", name)
    if data is None:
        raise UsageError(f"{text}: there is no such file or folder, and git knows no {name} in {revision}")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calltable-")))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)  # noqa: S603, S607
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def behaviour(found: LibraryDiff, old: Library, new: Library, most: int, only: str | None = None) -> dict[str, Comparison]:
    """Run both versions of every machine that may behave differently, side by side."""
    from calltable.engine.compare import compare  # noqa: PLC0415

    changed = {one.name: one for one in found.machines}
    names = [
        name for name, machine in old.machines.items()
        if name in new.machines and (name in changed or (found.settings and uses(machine, found)))
        and only in (None, name)
    ]  # fmt: skip
    return {
        name: compare(
            old.machines[name], new.machines[name], (old.catalogue, new.catalogue), most=most,
            renamed={a.id: b.id for a, b in changed[name].renamed} if name in changed else None,
        )
        for name in names
    }  # fmt: skip


def uses(machine: Any, found: LibraryDiff) -> bool:
    """Whether a machine reads one of the settings that changed."""
    from calltable.engine.model import expressions as x  # noqa: PLC0415

    names = {name for name, _, _ in found.settings}
    for row in machine.rows.values():
        values = [row.guard, row.after, *row.set.values()]
        values += [value for action in row.actions for value in action.parameters.values()]
        values += [value for one in row.publish for value in one.fields.values()]
        if any(isinstance(node, x.Config) and node.name in names for value in values if value is not None for node in x.walk(value)):
            return True
    return False


# --------------------------------------------------------------------------- text


def report(found: LibraryDiff, ways: dict[str, Comparison], *, colour: bool = False) -> Iterator[str]:
    """The report, line by line."""
    paint = _painter(colour)
    for name, before, after in found.settings:
        yield f"{paint('setting', '1')} {name}: {_setting(before)} → {_setting(after)}"
    machines = {one.name: one for one in found.machines}
    for name in sorted({*machines, *ways}):
        if name in machines:
            yield from _machine(machines[name], paint)
        else:
            yield paint(f"{name}: the same rows, other settings", "1")
        if name in ways:
            yield from _ways(ways[name], paint)
        yield ""
    if found.same:
        yield "no difference"


def _painter(on: bool) -> Any:
    return lambda text, code: f"\x1b[{code}m{text}\x1b[0m" if on else text


def _setting(value: object) -> str:
    from calltable.engine.model import duration_text  # noqa: PLC0415

    return "(none)" if value is None else duration_text(value) if isinstance(value, float) else str(value)


def _machine(one: MachineDiff, paint: Any) -> Iterator[str]:
    from calltable.tools.commands.coverage import place  # noqa: PLC0415

    counts = (("added", one.added), ("removed", one.removed), ("changed", one.changed), ("renamed", one.renamed))
    rows = ", ".join(f"{len(rows)} {what}" for what, rows in counts if rows)
    yield paint(f"{one.name}: {'rows: ' + rows if rows else 'no rows changed'}", "1")
    for line in one.declared:
        yield f"  * {line}"
    for row in one.added:
        yield f"  {paint('+ ' + row.id, '32')}  {_whole(one.new, row)}"
    for row in one.removed:
        yield f"  {paint('- ' + row.id, '31')}  {_whole(one.old, row)}"
    for change in one.changed:
        yield f"  {paint('~ ' + change.old.id, '33')}  {place(change.new.position)}"
        for aspect, before, after in aspects(change):
            yield f"      {aspect}: {before} → {after}"
    for before_row, after_row in one.renamed:
        yield f"  {paint('=', '2')} {before_row.id} is called {after_row.id} now"


def _whole(machine: Any, row: Row) -> str:
    from calltable.tools.draw import line  # noqa: PLC0415

    goes = f" → {row.next_state}" if row.next_state else ""
    return f"{row.state_text}: {line(machine, row).text}{goes}"


def aspects(change: RowChange) -> list[tuple[str, str, str]]:
    """What changed in a row, as text: the part, what it was, what it is."""
    return [(name, _aspect(change.old, name), _aspect(change.new, name)) for name in change.aspects]


def _aspect(row: Row, name: str) -> str:
    from calltable.tools.draw import effects, value  # noqa: PLC0415

    done = list(effects(row)) if row.kind == "row" else []
    texts = {
        "state": row.state_text,
        "event": ", ".join(row.events) if row.after is None else "(a timer)",
        "after": value(row.after) if row.after is not None else "",
        "guards": "otherwise" if row.otherwise else row.guard_text,
        "priority": "" if row.priority is None else str(row.priority),
        "actions": "; ".join(done[: len(row.actions)]),
        "set": "; ".join(f"{key} := {value(item)}" for key, item in row.set.items()),
        "next_state": row.next_state or "(stay)",
        "publish": "; ".join(done[len(row.actions) + len(row.set):]),
        "kind": f"{row.kind} ({row.note})" if row.note else row.kind,
        "locked": "yes" if row.locked else "no",
    }  # fmt: skip
    return texts[name] or "(nothing)"


def _ways(way: Comparison, paint: Any) -> Iterator[str]:
    extent = f"{way.pairs} situations compared" + (", all there are" if way.complete else ", more not looked at")
    if not way.divergences:
        yield f"  {paint('no sequence of events ends differently', '32')} ({extent})"
        return
    count = len(way.divergences)
    yield f"  {paint(str(count) + (' sequence ends' if count == 1 else ' sequences end') + ' differently', '31')} ({extent})"
    for number, divergence in enumerate(way.divergences, 1):
        yield from _divergence(number, divergence, paint)


def _divergence(number: int, divergence: Divergence, paint: Any) -> Iterator[str]:
    turns = divergence.turns
    wide = max(len(turn.says) for turn in turns)
    yield f"  {number}."
    for at, turn in enumerate(turns[:-1], 1):
        same = ", ".join(_short(one) for one in turn.old)
        other = ", ".join(_short(one) for one in turn.new)
        yield f"    {at:>2}  {turn.says:<{wide}}  {same}" + (f"   (now {other})" if other != same else "")
    last = turns[-1]
    yield f"    {len(turns):>2}  {last.says}"
    for label, takings, code in (("before", last.old, "31"), ("now", last.new, "32")):
        for one in takings:
            yield f"        {paint(f'{label:<6}', code)}  {describe(one)}"


def _short(one: Reaction) -> str:
    return f"{one.row or one.outcome}" + (f" → {one.after}" if one.after != one.before else "")


def describe(one: Reaction) -> str:
    """What a version did with an event, on one line."""
    row = f"{_short(one)}" if one.row else ""
    parts = [] if one.outcome == "taken" else [one.outcome]
    parts += [_call(name, values) for name, values in one.effects]
    parts += [f"↑ {_call(name, values)}" for name, values in one.publications]
    parts += [f"{name} in {_setting(delay) if isinstance(delay, float) else delay}" for name, delay in one.timers]
    parts += ["the session is over"] if one.over else []
    return "  ".join(filter(None, (row, "; ".join(parts) or "nothing is done")))


def _call(name: str, values: object) -> str:
    inside = _values(values)
    return f"{name}({inside})" if inside else name


def _values(values: object) -> str:
    if not isinstance(values, tuple):
        return str(values)
    return ", ".join(f"{key}: {_value(value)}" for key, value in values)


def _value(value: object) -> str:
    if isinstance(value, tuple) and value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
        return "{" + _values(value) + "}"
    return _setting(value) if isinstance(value, float) else "null" if value is None else str(value)


# --------------------------------------------------------------------------- for programs


def as_json(found: LibraryDiff, ways: dict[str, Comparison]) -> dict[str, object]:
    """The report as plain data."""
    return {
        "same": found.same and not any(way.divergences for way in ways.values()),
        "settings": [{"name": name, "old": old, "new": new} for name, old, new in found.settings],
        "tables": [
            {
                "name": one.name, "declared": one.declared,
                "added": [row.id for row in one.added], "removed": [row.id for row in one.removed],
                "renamed": [{"old": a.id, "new": b.id} for a, b in one.renamed],
                "changed": [
                    {"row": change.new.id, "file": change.new.position.file, "line": change.new.position.line,
                     "parts": [{"part": part, "old": a, "new": b} for part, a, b in aspects(change)]}
                    for change in one.changed
                ],
            }
            for one in found.machines
        ],
        "sequences": {
            name: {
                "situations": way.pairs, "complete": way.complete,
                "different": [
                    [{"event": turn.says, "old": [describe(one) for one in turn.old], "new": [describe(one) for one in turn.new]}
                     for turn in divergence.turns]
                    for divergence in way.divergences
                ],
            }
            for name, way in ways.items()
        },
    }  # fmt: skip
