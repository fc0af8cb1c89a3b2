"""``calltable hangup``: end calls of a running server, by number or by condition.

The calls end by the rows of their own tables, with a Reason for both sides (RFC 3326). Before that they are shown, and the command asks.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from calltable.tools import OK, PROBLEMS, UsageError
from calltable.tools.asking import asked, conditions, control, listed, selected

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "hangup", help="end calls of a running server",
        description="End calls of a running server, by number or by condition. Shows them and asks first.",
    )  # fmt: skip
    conditions(parser)
    parser.add_argument("--all", action="store_true", help="all calls")
    parser.add_argument("--reason", metavar="TEXT", help="what both sides are told; default: ended by the operator")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    control(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show, ask, hang up; 1 where no call is meant or the answer is no. Raises UsageError."""
    wanted = selected(options)
    if not wanted and not options.all:
        raise UsageError("no calls selected: give a number, a condition such as --older 2h, or --all")
    if not options.yes:
        meant = asked(options, "calls", **wanted)
        if not meant["count"]:
            print("no matching calls")
            return PROBLEMS
        print("\n".join(listed(meant)), flush=True)
        if not _agreed():
            print("nothing was hung up")
            return PROBLEMS
    reason = {} if options.reason is None else {"reason": options.reason}
    found = asked(options, "hangup", all=options.all, **wanted, **reason)
    count = found["count"]
    print(json.dumps(found) if options.json else f"hung up {count} call{'' if count == 1 else 's'}")
    return OK if count else PROBLEMS


def _agreed() -> bool:
    """Whether the person at the terminal says yes. Raises UsageError where there is none."""
    if not sys.stdin.isatty():
        raise UsageError("no terminal to confirm on; use --yes")
    print("Hang up? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
