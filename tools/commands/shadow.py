"""``calltable shadow``: let candidate tables see the live events of a running server, and report where they would differ.

``start`` begins (``calltable serve --shadow`` does from the first call on), ``report`` tells, ``stop`` ends. Nothing that the
candidates want is done.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calltable.tools import OK, PROBLEMS, UsageError
from calltable.tools.asking import asked, control

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """\
examples:
  calltable shadow start new-tables/ --control /run/calltable.sock
  calltable shadow report --control /run/calltable.sock
  calltable shadow stop --control /run/calltable.sock
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "shadow", help="compare candidate tables with a running server's", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Let candidate tables see a running server's events, without effects, and compare what they would do.",
    )  # fmt: skip
    parser.add_argument("do", choices=("start", "report", "stop"))
    parser.add_argument("path", nargs="?", type=Path, metavar="DIR|OVERLAY", help="the candidate, for start")
    control(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask and print; 1 where candidates do not load, or where a report has differences. Raises UsageError."""
    if (options.do == "start") != (options.path is not None):
        raise UsageError("no candidate: give a folder of tables, or an overlay" if options.do == "start"
                         else f"{options.do} takes no path")  # fmt: skip
    if options.path is not None and not options.path.exists():
        raise UsageError(f"there is no {options.path}")
    more = {"tables": str(options.path.resolve())} if options.path is not None else {}
    found = asked(options, "shadow", do=options.do, **more)
    if options.json:
        print(json.dumps(found))
    elif "problems" in found:
        print("\n".join(found["problems"]), file=sys.stderr)
        print("the candidate was refused; nothing is shadowed", file=sys.stderr)
    else:
        print("\n".join(lines(found)))
    return PROBLEMS if "problems" in found or (options.do != "start" and found["differences"]) else OK


def lines(found: dict[str, Any]) -> Iterator[str]:
    """A report, line by line."""
    tables = ", ".join(found["tables"])
    yield f"candidate for {tables}" if tables else "the candidate is the same as what runs"
    if found["missing"]:
        yield f"the candidate has no {', '.join(found['missing'])}: not compared"
    yield (
        f"{found['sessions']} sessions and {found['events']} events compared, {found['differing']} sessions differ"
        + (f" ({found['following']} are under way)" if found["following"] else "")
    )
    for one in found["differences"]:
        rows = one["running"] if one["running"] == one["candidate"] else f"{one['running']} → {one['candidate']}"
        yield f"{one['count']:>6} × {one['machine']}: {one['event']} in {one['state']}: {rows}"
        yield from (f"         {what}" for what in one["what"])
        yield f"         for example in {', '.join(one['sessions'])}"
