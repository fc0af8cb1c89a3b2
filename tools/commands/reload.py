"""``calltable reload``: let a running server read its configuration and tables again.

The server does the same on SIGHUP. Calls that are up go on by the tables they began with; tables that do not pass their checks
change nothing, and all their problems are printed here.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from calltable.tools import OK, PROBLEMS
from calltable.tools.asking import asked, control

if TYPE_CHECKING:
    import argparse

def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "reload", help="make a running server read its tables again",
        description="Make a running server read its configuration and tables again. Active calls keep their tables.",
    )  # fmt: skip
    control(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask for it and print what changed; 1 where the tables were refused. Raises UsageError where nobody answers."""
    found = asked(options, "reload")
    if options.json:
        print(json.dumps(found))
    elif "problems" in found:
        print("\n".join(found["problems"]), file=sys.stderr)
        count = len(found["problems"])
        print(f"{count} problem{'s' if count > 1 else ''}: refused; nothing changed", file=sys.stderr)
    elif not found["tables"]:
        print(f"no table changed (generation {found['generation']})")
    else:
        for name, what in found["tables"].items():
            print(f"{name}: {what}")
        calls = found["calls"]
        print(f"new calls use generation {found['generation']}; {calls} active call{' keeps its' if calls == 1 else 's keep their'} tables")
    return PROBLEMS if "problems" in found else OK
