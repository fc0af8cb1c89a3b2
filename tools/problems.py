"""Problems as people and programs read them: text, JSON, SARIF, GitHub annotations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.engine.model import Problem
    from calltable.examination import Examination


@dataclass(frozen=True)
class Paint:
    """Colours for a terminal, or none."""

    on: bool

    def __call__(self, text: str, code: str) -> str:
        """``text`` between the escape sequence ``code`` and a reset."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text


RED, GREEN, BOLD, DIM = "31;1", "32", "1", "2"


def text(report: Examination, paint: Paint, *, quiet: bool = False, counted: bool = False) -> Iterator[str]:
    """The report line by line. ``counted``: the machines have been printed already."""
    if not quiet and not counted:
        yield from machines(report, paint)
    files: dict[str, list[str]] = {}
    shown = report.problems
    for problem in shown:
        yield from _problem(problem, files, paint)
        yield ""
    if not quiet:
        yield from (f"no composition contains {name}: its table was checked by itself, not explored" for name in report.alone)
        if report.needed:
            names = ", ".join(report.needed)
            yield f"guards call {names}: a program brings such functions; `calltable serve` has no place for them and refuses the tables"
    if shown:
        yield paint(f"{len(shown)} problem{_s(len(shown))}", RED) + f"{_several(shown)} in {report.seconds:.2f} s"
    elif not quiet:
        names = f"{len(report.machines)} table{_s(len(report.machines))}"
        seen = f", {report.states:,} states explored" if report.states else ""
        yield paint(f"{names}, no problems", GREEN) + f"{seen} in {report.seconds:.2f} s"


def machines(report: Examination, paint: Paint) -> Iterator[str]:
    """A line for each machine: its size, and how many problems it has."""
    if report.library is None:
        return
    blamed = Counter(table for problem in report.problems for table in problem.table.split(", "))
    width = max((len(machine.name) for machine in report.machines), default=0)
    for machine in report.machines:
        count = blamed[machine.name]
        verdict = paint(f"{count} problem{_s(count)}", RED) if count else paint("ok", GREEN)
        cells = len({(state, event) for row in machine.rows.values() for state in row.states for event in row.events})
        yield f"{machine.name:<{width}}  {len(machine.states):>3} states {len(machine.rows):>4} rows {cells:>5} cells  {verdict}"
    yield ""


def _several(shown: Sequence[Problem]) -> str:
    """In how many states or events the one problem is."""
    for what in ("state", "event") if len(shown) == 1 else ():
        count = getattr(shown[0], what).count(", ") + 1
        if count > 1:
            return f" in {count} {what}s"
    return ""


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _problem(problem: Problem, files: dict[str, list[str]], paint: Paint) -> Iterator[str]:
    at = problem.position
    where = paint(f"{_relative(at.file)}:{at.line}:{at.column}:", BOLD)
    facts = (("table", problem.table), ("row", problem.row), ("state", problem.state), ("event", problem.event))
    told = ", ".join(f"{name} {value}" for name, value in facts if value)
    yield f"{where} {paint(problem.message, RED)} {paint(f'[{problem.code}]', DIM)}"
    if told:
        yield f"    in {told}"
    file, number = problem.position.file, problem.position.line
    if file not in files:
        files[file] = Path(file).read_text("utf-8", "replace").splitlines() if Path(file).is_file() else []
    if number <= len(files[file]):
        source = files[file][number - 1].replace("\t", " ")
        gutter = f"{number:>5} | "
        yield paint(gutter, DIM) + source
        yield " " * (len(gutter) + problem.position.column - 1) + paint("^", RED)
    for i, line in enumerate(problem.hint.splitlines()):
        yield f"    {paint('help:', BOLD)} {line}" if i == 0 else f"    {line}"


def as_json(report: Examination) -> dict[str, object]:
    """The report as plain data: ``tables`` and ``problems``."""
    return {
        "seconds": round(report.seconds, 3),
        "tables": [
            {"name": machine.name, "file": machine.position.file, "states": len(machine.states),
             "rows": len(machine.rows), "events": len(machine.events)}
            for machine in report.machines
        ],
        "problems": [
            {"file": one.position.file, "line": one.position.line, "column": one.position.column,
             "message": one.message, "code": one.code, "gate": one.gate, "table": one.table, "row": one.row,
             "state": one.state, "event": one.event, "hint": one.hint}
            for one in report.problems
        ],
    }  # fmt: skip


def sarif(report: Examination) -> dict[str, object]:
    """The report as SARIF 2.1.0, which code-scanning services read."""
    codes = sorted({problem.code for problem in report.problems})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "calltable", "rules": [{"id": code} for code in codes]}},
            "results": [
                {
                    "ruleId": one.code,
                    "level": "error",
                    "message": {"text": f"{one.message}\n{one.hint}".strip()},
                    "locations": [{"physicalLocation": {
                        "artifactLocation": {"uri": Path(_relative(one.position.file)).as_posix()},
                        "region": {"startLine": one.position.line, "startColumn": one.position.column},
                    }}],
                }
                for one in report.problems
            ],
        }],
    }  # fmt: skip


def github(problem: Problem) -> str:
    """The problem as a workflow command, which GitHub shows beside the line."""
    def escaped(text: str, more: str = "") -> str:
        for sign in "%\r\n" + more:
            text = text.replace(sign, f"%{ord(sign):02X}")
        return text

    place = f"line={problem.position.line},col={problem.position.column}"
    title = escaped(f"{problem.table}: {problem.code}" if problem.table else problem.code, ":,")
    body = escaped(f"{problem.message}\n{problem.hint}".strip())
    return f"::error file={escaped(_relative(problem.position.file), ':,')},{place},title={title}::{body}"


def _relative(file: str) -> str:
    """The path as seen from here, where it is below."""
    path = Path(file).resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
