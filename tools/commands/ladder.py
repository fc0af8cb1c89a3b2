"""``calltable ladder``: a traced call as a ladder, with the parties, every message between them, and the row behind each.

What a trace holds and how it looks as JSON lines stands in ``api/observe/trace.py``. Times are shown relative to the first
record. Where both ends of a message are traced, the two records become one arrow with the rows of both.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.adapters.sip.message import visible
from calltable.observe import TraceError, listed, of_call, read_trace
from calltable.tools import OK, UsageError, page_or_text, write
from calltable.tools.ladder import ladder_html, ladder_text
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    import argparse

def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``calltable ladder TRACE`` to the command line."""
    parser = subparsers.add_parser(
        "ladder",
        help="draw a traced call: every message, and the row behind it",
        description="Draw a traced call as a ladder, in the terminal or (with -o call.html) as a page.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a file of JSON lines; - for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="write a page (.html) or text (.txt) instead of printing")
    parser.add_argument("--call", metavar="ID", help="only this call, by its number (as in the server's logs) or any of its Call-IDs")
    parser.add_argument(
        "--name", action="append", default=[], metavar="ADDRESS=NAME", help="call an address by a name (again for more)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out. Raises ``UsageError`` where the trace cannot be read."""
    path = Path(arguments.trace)
    form = page_or_text(arguments.output) if arguments.output else ""
    try:
        text = sys.stdin.read() if arguments.trace == "-" else path.read_text(encoding="utf-8", errors="surrogateescape")
        entries = read_trace(text.splitlines(), arguments.trace)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except TraceError as error:
        raise UsageError(str(error)) from error
    if not entries:
        raise UsageError(f"{arguments.trace}: nothing was traced")
    if arguments.call:
        found = of_call(entries, arguments.call)
        if not found:
            raise UsageError(f"{arguments.trace} has no call {visible(arguments.call)}; there are\n{listed(entries)}")
        entries = found
    names: dict[str, str] = {}
    for pair in arguments.name:
        address, equals, name = pair.partition("=")
        if not equals:
            raise UsageError(f"--name {pair}: write ADDRESS=NAME, as in 127.0.0.1:5060=calltable")
        names[address] = name
    if form:
        write(arguments.output, ladder_html(entries, names=names, title=path.name) if form == "html" else ladder_text(entries, names=names))
    else:
        width = shutil.get_terminal_size((120, 40)).columns
        print(ladder_text(entries, width=width, color=colours(sys.stdout), names=names), end="")
    return OK
