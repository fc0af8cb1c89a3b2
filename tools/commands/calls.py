"""``calltable calls``: the calls of a running server, by condition; or one with its legs, their states, and the last rows they took."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import visible
from calltable.tools import OK
from calltable.tools.asking import asked, conditions, control, duration, listed, selected

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "calls", help="list the calls of a running server",
        description="List the calls of a running server, the oldest first. With CALL: one call with its legs, states and last rows.",
    )  # fmt: skip
    conditions(parser)
    control(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask and print. Raises UsageError where nobody answers, or the call is not up."""
    found = asked(options, "calls", whole=options.call is not None, **selected(options))
    if options.json:
        print(json.dumps(found))
    elif options.call is not None:
        for call in found["calls"]:
            print("\n".join(told(call)))
    else:
        print("\n".join(listed(found)))
    return OK


def told(call: dict[str, Any]) -> Iterator[str]:
    """One call, line by line."""
    connected = "not connected" if call["connected"] is None else f"connected for {duration(call['connected'])}"
    yield f"call {call['call']}: {call['state']}, up for {duration(call['age'])}, {connected}"
    for name, key in (("from", "from"), ("to", "to"), ("source", "source"), ("route", "route"), ("target", "target"), ("Call-ID", "call_id")):
        if call[key]:
            yield f"  {name:<8} {visible(call[key])}"
    for session in call["sessions"]:
        about = f"  Call-ID {visible(session['call_id'])}" if "call_id" in session else ""
        yield f"  {session['session']:<8} {session['machine']}: {session['state']}{about}"
        for row in session["rows"]:
            moved = f"{row['before']} → {row['after']}" if row["before"] != row["after"] else row["before"]
            yield f"    {duration(row['ago']):>8} ago  {row['event']:<26} {row['row']:<34} {moved}"
