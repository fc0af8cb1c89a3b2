"""``calltable replay FILE``: walk the tables with captured calls, and show where they would part.

The file is a trace of ``calltable serve --trace``, a packet capture, or HEP3 packets. For each call: its path (the rows,
with what they follow from), the first divergence, and on request a test that keeps it from coming back.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import visible
from calltable.tools import OK, PROBLEMS, UsageError, write
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calltable.loading import Tables
    from calltable.replay import Call, Capture, Replayed

EXAMPLES = """\
examples:
  calltable replay calls.jsonl                           every call of a trace, one line each
  calltable replay monday.pcap --call 3                  one call of a packet capture, row by row
  calltable replay monday.pcap --overlay fixed.yaml      the same calls with an overlay
  calltable replay calls.jsonl --call 1 --write-test tests/test_incident.py
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay", help="run captured calls through the tables", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run the calls of a trace, a packet capture (pcap, pcapng) or HEP3 packets through the tables.",
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE")
    shared(parser)
    parser.add_argument("--call", metavar="ID", help="one call: its number, as in the server's logs, or a Call-ID")
    parser.add_argument("--ladder", action="store_true", help="draw what the tables do as a ladder")
    parser.add_argument("--write-test", type=Path, metavar="FILE", help="write the call as a pytest file (needs one call)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    parser.set_defaults(run=run)


def shared(parser: argparse.ArgumentParser) -> None:
    """The options that ``replay`` and ``why`` share."""
    parser.add_argument("--table", action="append", default=[], metavar="MACHINE|FILE|DIR", dest="tables",
                        help="the machine at the top (default: as the call shows), or tables instead of the shipped ones")  # fmt: skip
    parser.add_argument("--overlay", action="append", type=Path, default=[], metavar="FILE", dest="overlays",
                        help="an overlay to apply to the tables; may be repeated")  # fmt: skip
    parser.add_argument("--local", action="append", default=[], metavar="ADDRESS",
                        help="our side in a capture, as udp:192.0.2.1:5060 (default: as the capture shows)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Replay and print; 0 where no call parts from the tables, 1 where one does. Raises UsageError."""
    from calltable.replay import replay  # noqa: PLC0415 - `calltable --help` needs none of it

    capture, found = read(options.file, options.local)
    tables, machine, paths = load(options.tables, options.overlays)
    wanted = [one_of(found, options.call)] if options.call or options.write_test or len(found) == 1 else found
    results = []
    for call in wanted:
        try:
            results.append(replay(call, tables, machine=machine))
        except LookupError as error:
            raise UsageError(str(error)) from error
    if options.write_test:
        write(options.write_test, written(results[0], options.file.name, paths, options.overlays))
    if options.format == "json":
        print(json.dumps([as_json(one) for one in results], indent=2, ensure_ascii=False))
    else:
        colour = colours(sys.stdout)
        if capture.cut:
            print(f"{capture.cut} packets or streams of {options.file} are cut short and were left out")
        for line in _report(results, ladder=options.ladder, one=len(wanted) == 1, colour=colour):
            print(line)
        if options.write_test:
            print(f"written: {options.write_test}")
    return PROBLEMS if any(one.divergence for one in results) else OK


# --------------------------------------------------------------------------- what both commands read


def read(path: Path, local: list[str]) -> tuple[Capture, list[Call]]:
    """The capture and its calls. Raises UsageError."""
    from calltable.adapters.sip.transport import Address  # noqa: PLC0415
    from calltable.replay import CallError, CaptureError, calls, read_capture  # noqa: PLC0415  # noqa: PLC0415

    try:
        capture = read_capture(path)
        return capture, calls(capture, [Address.parse(one) for one in local])
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except (CaptureError, CallError, ValueError) as error:
        raise UsageError(str(error)) from error


def one_of(found: list[Call], wanted: str | None) -> Call:
    """The call that is asked for. Raises UsageError that lists what there is."""
    from calltable.replay import CallError, pick  # noqa: PLC0415

    try:
        return pick(found, wanted)
    except CallError as error:
        raise UsageError(str(error)) from error


def load(names: list[str], overlays: list[Path]) -> tuple[Tables, str, list[Path]]:
    """The tables, the machine at the top (empty: as the call shows), and the paths they came from."""
    from calltable.engine.model import TableError  # noqa: PLC0415
    from calltable.loading import Tables  # noqa: PLC0415

    paths = [Path(name) for name in names if Path(name).exists()]
    machines = [name for name in names if not Path(name).exists()]
    if len(machines) > 1:
        raise UsageError(f"--table names {len(machines)} machines; one stands at the top of a call")
    try:
        tables = Tables(paths or None, overlays=overlays)
    except TableError as error:
        raise UsageError(f"the tables do not load; calltable check says more:\n{error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
    machine = machines[0] if machines else ""
    if machine and machine not in tables.machines:
        raise UsageError(f"no table and no file {machine}; there are {', '.join(sorted(tables.machines))}")
    return tables, machine, paths


# --------------------------------------------------------------------------- text


def _report(results: list[Replayed], *, ladder: bool, one: bool, colour: bool) -> Iterator[str]:
    paint = (lambda text, code: f"\x1b[{code}m{text}\x1b[0m") if colour else (lambda text, _: text)
    for result in results:
        parts = result.divergence
        verdict = paint("parts from the tables", "31") if parts else paint("goes as captured", "32")
        yield f"{paint(visible(str(result.call)), '1')}: {len(result.rows)} rows of {result.machine} and below; {verdict}" if one else (
            f"{result.call.number + '.' if result.call.number else '–':>4} {visible(str(result.call))}: {verdict}"
        )
        if one:
            yield from path(result, colour=colour)
            if ladder:
                from calltable.tools.ladder import ladder_text  # noqa: PLC0415

                yield ladder_text(result.entries, color=colour)
        if parts:
            yield f"  {paint('first divergence', '31')} {visible(str(parts))}"
            if one:
                yield from _around(result)
    if not one:
        count = sum(result.divergence is not None for result in results)
        yield f"{len(results)} calls, {count} part from the tables"


def path(result: Replayed, *, colour: bool = False) -> Iterator[str]:
    """The rows of a call, grouped by what they follow from."""
    paint = (lambda text, code: f"\x1b[{code}m{text}\x1b[0m") if colour else (lambda text, _: text)
    last: tuple[int, float] | None = None
    for step in result.steps:
        key = (step.cause.number, round(step.time, 3) if step.cause.message is None else 0.0)
        if key != last:
            yield f"{step.time:9.3f}  {paint(visible(step.cause.text), '36')}"
            last = key
        goes = f" → {step.after}" if step.after != step.before else ""
        what = step.row or paint(step.outcome, "31")
        kind = "" if step.outcome in ("taken", "") or not step.row else f" ({step.outcome})"
        yield f"           {step.session:<14} {step.machine:<26} {step.event:<24} {what}{kind}  {paint(step.before + goes, '2')}"


def _around(result: Replayed) -> Iterator[str]:
    """What was captured and what the tables send, side by side, near the divergence."""
    parts = result.divergence
    if parts is None:
        return
    start = result.call.start
    yield "  our side sent then, and the tables send:"
    then = [(one.time - start, one.label, one.remote.hostport) for one in result.call.messages if one.out]
    now = [(sent.time, sent.label, sent.to.hostport) for sent in result.sent]
    for title, said in (("captured", then), ("tables", now)):
        near = [f"{time:.3f} {label} → {to}" for time, label, to in said if abs(time - parts.time) <= 2.0]
        yield f"    {title:<9} {visible('; '.join(near)) or 'nothing'}"


# --------------------------------------------------------------------------- a test


def written(result: Replayed, source: str, paths: list[Path], overlays: list[Path]) -> str:
    """A pytest file that replays the call: it passes where the tables do what was captured."""
    from calltable.replay import Call, replay  # noqa: PLC0415 - only where it is asked for

    call = result.call
    # a trace's own steps are not written: the test walks on until all transactions are over
    walked = replay(Call(call.name, call.messages, [], call.commands, call.number), result.tables, machine=result.machine)
    commands = [
        (step.cause.time - call.start, step.event) for step in walked.steps
        if step.cause.text == f"the command {step.event}" and step.machine == result.machine
    ]  # fmt: skip
    rows = walked.rows
    lines = [
        f'"""A call captured in {source}, replayed: the tables have to do what was done then."""',
        "",
        "from __future__ import annotations",
        "",
        *(["from pathlib import Path", ""] if paths or overlays else []),
        *(["from calltable import Tables"] if paths or overlays else []),
        "from calltable.replay.calls import recorded",
        "from calltable.replay import replay",
        "",
        "MESSAGES = [",
    ]
    for one in call.messages:
        ends = (one.local, one.remote) if one.out else (one.remote, one.local)
        lines.append(f"    ({one.time - call.start:.6f}, {'out' if one.out else 'in'!r}, {str(ends[0])!r}, {str(ends[1])!r},")
        pieces = one.data.splitlines(keepends=True)
        lines += [f"     {piece!r}" + ("" if at < len(pieces) - 1 else "),") for at, piece in enumerate(pieces)]
    lines += ["]", '"""Seconds since the first, direction as our side saw it, source, destination, the message."""', ""]
    if commands:
        lines += [f"COMMANDS = [{', '.join(f'({time:.6f}, {event!r})' for time, event in commands)}]", ""]
    if not result.divergence:
        lines += ["ROWS = [", *(f"    {row!r}," for row in rows), "]", ""]
    tables = ""
    if paths or overlays:
        lines += [f"TABLES = {[str(one) for one in paths]!r}", f"OVERLAYS = {[str(one) for one in overlays]!r}", ""]
        tables = ", Tables([Path(one) for one in TABLES] or None, overlays=[Path(one) for one in OVERLAYS])"
    at_top = f", machine={result.machine!r}"
    lines += [
        "",
        "def test_the_captured_call_goes_as_it_went():",
        f"    found = replay(recorded({call.name!r}, MESSAGES{', COMMANDS' if commands else ''}){tables}{at_top})",
        "    assert found.divergence is None, str(found.divergence)",
        *(["    assert found.rows == ROWS"] if not result.divergence else []),
    ]
    return "\n".join(lines) + "\n"


def as_json(result: Replayed) -> dict[str, Any]:
    """One replay as plain data."""
    parts = result.divergence
    return {
        "number": result.call.number, "call": result.call.name, "call_ids": result.call.call_ids, "machine": result.machine,
        "path": [
            {"time": round(step.time, 6), "cause": step.cause.text, "session": step.session, "machine": step.machine,
             "event": step.event, "row": step.row, "outcome": step.outcome, "before": step.before, "after": step.after}
            for step in result.steps
        ],
        "divergence": None if parts is None else {
            "time": round(parts.time, 6), "after": parts.after, "captured": parts.captured, "tables": parts.tables, "row": parts.row,
        },
    }  # fmt: skip
