"""What ``calltable call`` and ``answer`` share: a phone on sockets, and its calls shown as they happen.

One line for each change of state: the time since the start of the call, the state as the table names it, the event that led
there with its code, and the row behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.message import REASONS, Response, visible
from calltable.adapters.sip.transport import Address, TransportError
from calltable.engine.model import TableError, duration
from calltable.loading import Tables
from calltable.observe import LEVELS, set_up
from calltable.tools import PROBLEMS, UsageError
from calltable.tools.terminal import colours

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from calltable.engine.run import Session, Step
    from calltable.phone import Endpoint

PATIENCE: Final = 5.0
"""Seconds that a hang-up at the end may take before the sockets are closed."""

_COLORS: Final = {"good": "32", "bad": "31", "going": "33", "dim": "2", "bold": "1"}


class Screen:
    """Prints the life of calls; in colours on a terminal that wants them."""

    def __init__(self, *, prefix: bool = False) -> None:
        """``prefix`` puts the number of the call before each line."""
        self.color = colours(sys.stdout)
        self.prefix = prefix
        self._begun: dict[int, float] = {}

    def paint(self, text: str, tone: str) -> str:
        """The text in a tone."""
        return f"\x1b[{_COLORS[tone]}m{text}\x1b[0m" if self.color and text else text

    def watch(self, endpoint: Endpoint, wanted: Callable[[Session], bool]) -> None:
        """Show the steps of the sessions that ``wanted`` says."""

        def step(told: Step) -> None:
            if told.receipt is not None and told.receipt.before != told.receipt.after and wanted(told.session):
                self.show(told, endpoint.engine.executor.now)

        endpoint.engine.executor.observers.append(step)

    def show(self, told: Step, now: float) -> None:
        """One line for one step."""
        session, row = told.session, told.row
        begun = self._begun.setdefault(session.id, now)
        state = session.state
        final = row is not None and row.final
        if final:
            del self._begun[session.id]
        number = f"[{session.root.id}] " if self.prefix else ""
        tone = "dim" if final else "good" if row is not None and self._settled(session) else "going"
        line = f"{number}{now - begun:8.3f}  {self.paint(f'{state:<14}', tone)}{told.event}{detail(told.payload)}"
        width = len(line) - (len(self.paint("x", tone)) - 1 if self.color else 0)
        print(line + " " * max(2, 74 - width) + self.paint(row.id if row is not None else "", "dim"), flush=True)

    @staticmethod
    def _settled(session: Session) -> bool:
        """Whether a call may stay in its state: the table says so."""
        return bool(session.machine.model.states[session.state].lasts)


def detail(payload: Any) -> str:
    """The code and the reason that came with an event, with a blank before."""
    message, code = payload.get("message"), payload.get("code")
    if isinstance(message, Response):
        return f" {message.status} {visible(message.reason)}"
    if code is None:
        return f" {payload['by']}" if isinstance(payload.get("by"), str) else ""
    return f" {code} {REASONS.get(code, '')}".rstrip()


def options(parser: argparse.ArgumentParser, *, listen: str) -> None:
    """The options that all phones have."""
    parser.add_argument("--listen", metavar="ADDRESS", type=address, action="append", default=[], help=listen)
    parser.add_argument("--tables", metavar="PATH", action="append", default=[],
                        help="a table, or a folder of them, to use in place of the shipped ones of the same names")  # fmt: skip
    parser.add_argument("--overlay", metavar="FILE", action="append", default=[], help="an overlay of the tables")
    parser.add_argument("--log-level", choices=LEVELS, default="warning", help="default: warning")


def address(text: str) -> Address:
    """An argument such as ``udp:127.0.0.1:5060``."""
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """An argument such as ``5``, ``2.5s`` or ``500ms``."""
    found = duration(text)
    if found is None:
        try:
            found = float(text)
        except ValueError:
            found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"invalid time {text!r}: write seconds, or 500ms, 2.1s, 3m, 1h")
    return found


def count(text: str) -> int:
    """An argument that says how many calls."""
    if not (text.isascii() and text.isdecimal()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"invalid number of calls {text!r}: give 1 or more")
    return int(text)


def status(text: str) -> int:
    """An argument that is a SIP status of a refusal."""
    if not (text.isascii() and text.isdigit() and 300 <= int(text) <= 699):
        raise argparse.ArgumentTypeError(f"invalid status {text!r} for a rejection: give 300 to 699, such as 486")
    return int(text)


def load(given: argparse.Namespace) -> Tables | None:
    """The tables that ``--tables`` and ``--overlay`` name; None after their problems have been printed."""
    try:
        return Tables(given.tables or None, overlays=given.overlay)
    except TableError as error:
        print(error, file=sys.stderr)
        return None
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from None


def run(given: argparse.Namespace, work: Callable[[Tables], Awaitable[int]]) -> int:
    """Load the tables and do the work on a loop. What cannot be opened or called is a ``UsageError``."""
    set_up(given.log_level)
    tables = load(given)
    if tables is None:
        return PROBLEMS

    async def main() -> int:
        return await work(tables)

    try:
        return asyncio.run(main())
    except (TransportError, ValueError) as error:
        logging.getLogger("calltable").debug("stopped", exc_info=True)
        raise UsageError(str(error)) from None
