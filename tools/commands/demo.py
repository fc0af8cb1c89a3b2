"""``calltable demo``: one call through a B2BUA here and now, drawn with the row behind every message.

Then it keeps serving, and draws each further call when it ends. ``--once`` ends after the first call, with 0 only if it was
answered and hung up on both sides.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calltable import tables as shipped
from calltable.adapters.sip.transport import TransportError
from calltable.observe import LEVELS, set_up
from calltable.phone import CallFailed
from calltable.server import PORT, Demo
from calltable.tools import OK, PROBLEMS, UsageError
from calltable.tools.ladder import ladder_text
from calltable.tools.screen import address, load
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    import argparse

    from calltable.observe import Entry


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo", help="one call through a B2BUA here and now, drawn with its rows",
        description="Start a B2BUA and two user agents on this machine, place a call, and draw it; then keep serving.",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="stop after the call; exit code 0 if it went as it should")
    parser.add_argument("--listen", metavar="ADDRESS", type=address, action="append", default=[],
                        help="where the B2BUA listens; default: 127.0.0.1 and ::1, port 5060 or the next free one")  # fmt: skip
    parser.add_argument("--tables", metavar="PATH", action="append", type=Path, default=[],
                        help="a table, or a folder of them, that replaces the shipped tables of the same names")  # fmt: skip
    parser.add_argument("--overlay", metavar="FILE", action="append", type=Path, default=[], help="an overlay of the tables")
    parser.add_argument("--log-level", choices=LEVELS, default="error", help="default: error")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show it."""
    set_up(options.log_level)
    tables = load(options)
    if tables is None:
        return PROBLEMS
    return asyncio.run(show(options, Demo(tables, options.listen)))


async def show(options: argparse.Namespace, demo: Demo) -> int:
    """Start, call, draw, and serve on."""
    try:
        await demo.start()
    except TransportError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(error.strerror) from None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    drawn: list[bool] = []
    demo.on_ended = lambda entries: drawn.append(draw(demo, entries))
    taken = "" if options.listen or demo.address.port == PORT else f" (port {PORT} is taken)"
    print(f"a B2BUA listens on {', '.join(map(str, demo.server.listeners))}{taken}", flush=True)
    print(f"alice ({demo.alice.address}) calls bob ({demo.bob.address}) through it\n", flush=True)
    try:
        try:
            await demo.call()
        except (CallFailed, TimeoutError) as failed:
            print(f"the call did not go as it should: {str(failed) or 'it did not end'}", file=sys.stderr)
            return PROBLEMS
        alive = demo.server.snapshot()
        good = drawn == [True] and not alive["calls"] and not alive["dialogs"]
        print("the call was answered, and hung up on both sides" if good else "the call did not go as it should", flush=True)
        if not options.once:
            print(advice(demo), flush=True)
            await stop.wait()
    finally:
        await demo.close()
    return OK if good else PROBLEMS


def draw(demo: Demo, entries: list[Entry]) -> bool:
    """Draw a call; True if it was answered, and its BYE was answered too on both sides."""
    color = colours(sys.stdout)
    width = max(shutil.get_terminal_size((140, 40)).columns, 100)
    print(ladder_text(entries, width=width, color=color, names=demo.names), flush=True)
    answers = [one.cseq.partition(" ")[2] for one in entries if one.kind == "message" and one.summary.startswith("200")]
    return answers.count("INVITE") == answers.count("BYE") == 2


def advice(demo: Demo) -> str:
    """What to try next."""
    folder, command = _near(shipped.files()), "calltable"
    if not shutil.which(command):
        command = str(_near(Path(sys.executable).parent / command))
    return f"""
bob goes on answering, and each call is drawn when it ends. Try, in another terminal:
  {command} call {demo.uri} --duration 3s
  {command} call {demo.uri} --hold 2s --duration 5s
or call {demo.uri} from any SIP phone on this machine.

The rows are in {folder}{os.sep}: edit one, start this again, and calls behave differently.
  b2bua/bridge.yaml       how the two legs are joined
  leg/uas.yaml, uac.yaml  an incoming and an outgoing leg; established.yaml what both do once answered
  transaction/*.yaml      the transactions of RFC 3261
`{command} check` looks for mistakes, `{command} render leg/uas -o uas.html` draws a table.

Ctrl-C ends."""


def _near(path: Path) -> Path:
    """The path as seen from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
