"""``calltable status``: ask a running server what is alive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import visible
from calltable.tools import OK
from calltable.tools.asking import asked, control

if TYPE_CHECKING:
    import argparse

def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "status", help="the calls, sessions and counters of a running server",
        description="Print the calls, sessions, timers, transactions, dialogs and counters of a running server.",
    )  # fmt: skip
    control(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask and print. Raises UsageError where nobody answers."""
    found = asked(options, "status")
    print(json.dumps(found) if options.json else "\n".join(map(visible, lines(found))))
    return OK


def lines(found: dict[str, Any], indent: str = "") -> list[str]:
    """Names and values below each other, groups last."""
    plain = {name: value for name, value in found.items() if not isinstance(value, dict)}
    width = max((len(name) for name in plain), default=0)
    shown = [f"{indent}{name:<{width}}  {_word(value)}" for name, value in plain.items()]
    for name, value in found.items():
        if isinstance(value, dict) and value:
            shown += [f"{indent}{name}", *lines(value, indent + "  ")]
    return shown


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
