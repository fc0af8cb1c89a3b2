"""``calltable why CALL [MESSAGE]``: which row took a message, what its guards met, and what stopped the others.

The call is replayed from its trace or capture (``api/replay.py``), because a trace does not hold what the variables were.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.adapters.sip.message import mask, visible
from calltable.tools import OK, PROBLEMS, UsageError
from calltable.tools.commands.coverage import place
from calltable.tools.commands.replay import load, one_of, read, shared
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calltable.engine.model import Row
    from calltable.replay import Replayed, Walked

EXAMPLES = """\
examples:
  calltable why 1 --trace calls.jsonl                   every step of the first call
  calltable why a84b4c76@pc33 BYE --trace calls.jsonl   what the BYE led to
  calltable why 2 '200 (INVITE)' --trace monday.pcap
  calltable why 1 BYE --row bridge.b.hung_up --trace calls.jsonl    why this row was not taken
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "why", help="why a call went as it went", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Show for each step of a call which row handled it, which values its guards met, and what stopped other rows.",
    )  # fmt: skip
    parser.add_argument("call", metavar="CALL", help="the call's number, as in the server's logs, or a Call-ID")
    parser.add_argument("message", nargs="?", metavar="MESSAGE",
                        help="a received message, by its number or its name (BYE, '200 (INVITE)', 180)")  # fmt: skip
    parser.add_argument("--trace", type=Path, required=True, metavar="FILE", help="a trace, a packet capture, or HEP3 packets")
    parser.add_argument("--row", metavar="ROW", help="explain this row only: why it handled an event, or why not")
    shared(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Replay and explain. Raises UsageError for a call, message or row that is not there."""
    from calltable.replay import replay  # noqa: PLC0415

    _, found = read(options.trace, options.local)
    call = one_of(found, options.call)
    tables, machine, _ = load(options.tables, options.overlays)
    try:
        result = replay(call, tables, machine=machine)
    except LookupError as error:
        raise UsageError(str(error)) from error
    steps = _steps(result, options.message)
    colour = colours(sys.stdout)
    if options.row is None:
        lines = list(_told(result, steps, colour=colour))
    else:
        lines = list(_one_row(result, steps, options.row))
    print("\n".join(lines))
    return OK if steps else PROBLEMS


def _steps(result: Replayed, wanted: str | None) -> list[Walked]:
    """The steps that a message led to, or all. Raises UsageError where there is no such message."""
    if wanted is None:
        return result.steps
    heard = [one for one in result.call.messages if not one.out]
    if wanted.isdigit() and len(wanted) < 3:
        chosen = heard[int(wanted) - 1 : int(wanted)] if int(wanted) else []
    else:
        chosen = [one for one in heard if wanted in (one.label, one.label.partition(" ")[0])]
    if not chosen:
        listed = "\n".join(f"  {number}. {one.label} from {one.remote.hostport}" for number, one in enumerate(heard, 1))
        raise UsageError(f"no message {wanted} came in; these did:\n{listed}")
    return [step for step in result.steps if step.cause.message in chosen]


def _told(result: Replayed, steps: list[Walked], *, colour: bool) -> Iterator[str]:
    paint = (lambda text, code: f"\x1b[{code}m{text}\x1b[0m") if colour else (lambda text, _: text)
    last = None
    for step in steps:
        if step.cause is not last:
            yield f"{step.time:.3f} s  {paint(visible(step.cause.text), '36;1')}"
            last = step.cause
        yield from _step(result, step)


def _step(result: Replayed, step: Walked) -> Iterator[str]:
    from calltable.engine.model import show_value  # noqa: PLC0415
    from calltable.engine.observe import explain  # noqa: PLC0415

    machine = result.tables.library.machines[step.machine]
    goes = f" → {step.after}" if step.after != step.before else ""
    yield f"  {step.machine} {step.session}: {step.event} in {step.before}{goes}"
    fields = ", ".join(f"{name} = {show_value(value)}" for name, value in step.payload.items())
    if fields:
        yield f"      event     {visible(mask(fields))}"
    considered = explain(
        machine, step.before, step.event, step.values, step.payload, counts=step.counts, config=result.tables.config
    )
    for one in considered:
        verdict = one.verdict if one.row.id != step.row else ("taken" if one.row.kind == "row" else one.row.kind)
        yield f"      {verdict:<9} {one.row.id}: {visible(str(one))}" + (f"  {_place(one.row)}" if one.row.id == step.row else "")
    if not considered or not step.row:
        yield f"      {step.outcome}: no row handles {step.event} in {step.before}"


def _place(row: Row) -> str:
    return f"[{place(row.position)}]"


def _one_row(result: Replayed, steps: list[Walked], wanted: str) -> Iterator[str]:
    from calltable.engine.observe import explain, why_not  # noqa: PLC0415

    holders = [name for name, machine in result.tables.library.machines.items() if wanted in machine.rows]
    if not holders:
        import difflib  # noqa: PLC0415

        known = {row for machine in result.tables.library.machines.values() for row in machine.rows}
        near = difflib.get_close_matches(wanted, known, 1)
        raise UsageError(f"no row {wanted}" + (f"; did you mean {near[0]}?" if near else ""))
    row = result.tables.library.machines[holders[0]].rows[wanted]
    yield f"{wanted}  {_place(row)}"
    yield f"  for {row.state_text}: " + ("a timer" if row.after is not None else ", ".join(row.events)) + (
        f", where {row.guard_text}" if row.guard is not None else ""
    )
    near_miss = False
    for step in steps:
        if step.machine not in holders:
            continue
        machine = result.tables.library.machines[step.machine]
        where = f"  {step.time:.3f} s, {step.session}, {step.event} in {step.before} ({visible(step.cause.text)}):"
        if not why_not(machine, row, step.before, step.event):
            considered = explain(
                machine, step.before, step.event, step.values, step.payload, counts=step.counts, config=result.tables.config
            )
            told = next(one for one in considered if one.row.id == wanted)
            near_miss = True
            yield f"{where} {'taken; ' if step.row == wanted else ''}{told}" + ("" if step.row == wanted else f"; {step.row} took it")
        elif step.event in row.events or (step.before in row.states and step.cause.message is not None):
            near_miss = True
            yield f"{where} {why_not(machine, row, step.before, step.event)}; {step.row or 'no row'} took it"
    if not near_miss:
        yield f"  no session of {', '.join(holders)} was in {row.state_text} or was given {', '.join(row.events)} here"
