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
from typing import TYPE_CHECKING, Any

from calltable.engine.model import suggestion
from calltable.tools import CLOSED, INTERRUPTED, OK, USAGE, UsageError, why

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
    "calls": "list the calls of a running server, or show one with its legs",
    "hangup": "end calls of a running server, by number or by condition",
    "call": "place a call without media and show its states as they change",
    "answer": "wait for calls and answer them, without media",
    "ladder": "draw a traced call: every message, and the row behind it",
    "replay": "run calls from a trace or a packet capture through the tables",
    "why": "which row handled a message, and what stopped the others",
    "render": "draw tables as Mermaid, DOT, SVG, PNG or a page",
    "simulate": "run random calls over a network that drops, duplicates and reorders",
    "completion": "write completion for bash, zsh or fish",
}
"""What there is, with the line that ``--help`` shows; the module has the command's name."""


_OPTIONS = ("--help", "--version", "-h")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; ``argv`` without the program's name. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    wanted = next((one for one in arguments if not one.startswith("-")), "")
    if sys.stdout is None:  # started with it closed (`>&-`): what is printed has nowhere to go
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for as long as the process lives
    if not arguments:
        parser().print_help()
        return OK
    if wanted and wanted not in COMMANDS:
        print(f"calltable: unknown command {wanted!r}: {suggestion(wanted, COMMANDS, 'command')}", file=sys.stderr)
        return USAGE
    if not wanted and not any(known.startswith(arguments[0]) for known in _OPTIONS):
        print(f"calltable: unknown option {arguments[0]}: {suggestion(arguments[0], _OPTIONS, 'option')}", file=sys.stderr)
        return USAGE
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
    top = Parser(
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


class Parser(argparse.ArgumentParser):
    """A parser that suggests the option that was meant; its subparsers are of the same kind."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As its base does, but what nobody knows is an error in the parser that has the options."""
        found, unknown = super().parse_known_args(args, namespace)
        options = [one.partition("=")[0] for one in unknown if one.startswith("-")]
        known = [name for name in self._option_string_actions if name.startswith("--")]
        if options and self._subparsers is None:
            self.error(f"unknown option {options[0]}: {suggestion(options[0], known, 'option')}")
        return found, unknown


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import calltable  # noqa: PLC0415 - slow to import, and rarely asked for

        print(f"calltable {calltable.__version__}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
