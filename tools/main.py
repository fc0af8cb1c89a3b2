"""``calltable``: finds the command, loads its module, and runs it.

A command is a module of this package with ``register(subparsers)``, which adds its parser and sets ``run`` (a
function from the parsed arguments to an exit code). Only the module of the command that was asked for is
imported, so that ``calltable --help`` needs nothing but this file. A new command is one line in ``COMMANDS``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from typing import TYPE_CHECKING

from calltable.tools import CLOSED, INTERRUPTED, USAGE, UsageError, why

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "check": "check tables: holes, overlaps, dead rows, endless waits, races",
    "coverage": "which rows have been reached by tests, a simulation or a day of traffic",
    "explore": "search every order of events within bounds, and draw what goes wrong",
    "schema": "write a JSON Schema that completes your own tables in an editor",
    "diff": "what a change to tables changes: rows, and the calls that go differently",
    "demo": "one call through a B2BUA here and now, drawn with its rows",
    "serve": "run the B2BUA",
    "reload": "make a running server read its tables again; active calls keep theirs",
    "shadow": "give candidate tables a running server's events, and compare",
    "status": "the calls, sessions and counters of a running server",
    "call": "place a call without media and show its states as they change",
    "answer": "wait for calls and answer them, without media",
    "ladder": "draw a traced call: every message, and the row behind it",
    "replay": "run calls from a trace or a packet capture through the tables",
    "why": "which row handled a message, and what stopped the others",
    "render": "draw tables as Mermaid, DOT, SVG, PNG or a page",
    "simulate": "run random calls over a network that drops, duplicates and reorders",
}
"""What there is, with the line that ``--help`` shows; the module has the command's name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; ``argv`` without the program's name. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    wanted = next((one for one in arguments if not one.startswith("-")), "")
    if sys.stdout is None:  # started with it closed (`>&-`): what is printed has nowhere to go
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for as long as the process lives
    options = parser(wanted).parse_args(joined(arguments))
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except UsageError as error:
        print(f"calltable {wanted}: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # whoever read our output has seen enough (`| head`)
        _drop_output()
        return CLOSED
    except OSError as error:
        if error.filename is None:  # of our own output: a full disk behind `>`
            _drop_output()
        what = "cannot write the output" if error.filename is None else error.filename
        print(f"calltable {wanted}: {what}: {why(error)}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``--drain -5s`` as ``--drain=-5s``: argparse takes the value for an option else, and says so."""
    found: list[str] = []
    for one in arguments:
        if re.match(r"-\d", one) and found and re.fullmatch(r"--[a-z-]+", found[-1]):
            found[-1] += f"={one}"
        else:
            found.append(one)
    return found


def _drop_output() -> None:
    """What is still buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser(wanted: str = "") -> argparse.ArgumentParser:
    """The command line; only the command ``wanted`` has its options."""
    top = argparse.ArgumentParser(
        prog="calltable",
        description="Call behaviour as data: YAML tables, checked, drawn and run.",
        epilog="Exit codes: 0 success, 1 problems were found, 2 an error in the command line or a file.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    for name, summary in COMMANDS.items():
        if name == wanted:
            importlib.import_module(f"calltable.tools.commands.{name}").register(commands)
        else:
            commands.add_parser(name, help=summary)
    return top


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata  # noqa: PLC0415 - slow to import, and rarely asked for

        try:
            version = metadata.version("calltable")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        print(f"calltable {version}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
