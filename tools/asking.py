"""What the commands share that ask a running server: which server, which calls, and the answer.

The socket is named by ``--control`` or by the environment; a mistake there, and a server that does not answer, is a ``UsageError``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import visible
from calltable.control import ControlError, ask
from calltable.tools import UsageError
from calltable.tools.screen import seconds
from calltable.tools.terminal import columns

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

VARIABLE = "CALLTABLE_CONTROL"
_COLUMNS = ("call", "state", "age", "connected", "route", "from", "to")


def control(parser: argparse.ArgumentParser) -> None:
    """The option that says which server."""
    parser.add_argument("--control", metavar="SOCKET", type=Path,
                        help=f"the server's control socket; default: the environment variable {VARIABLE}")  # fmt: skip


def conditions(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which calls."""
    parser.add_argument("call", nargs="?", metavar="CALL", help="a call's number, as in the logs, or its Call-ID")
    parser.add_argument("--state", help="calls in this state of their coordinator, such as ringing or connected")
    parser.add_argument("--from", dest="caller", metavar="TEXT", help="calls whose From URI contains this")
    parser.add_argument("--to", dest="called", metavar="TEXT", help="calls whose Request-URI contains this")
    parser.add_argument("--route", metavar="NAME", help="calls that took this route")
    parser.add_argument("--older", metavar="TIME", type=seconds, help="calls that came in at least this long ago, such as 1h")


def selected(options: argparse.Namespace) -> dict[str, Any]:
    """The conditions that were given."""
    names = ("call", "state", "caller", "called", "route", "older")
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def asked(options: argparse.Namespace, command: str, **more: Any) -> dict[str, Any]:
    """What the server answers. Raises UsageError."""
    path = options.control or os.environ.get(VARIABLE)
    if not path:
        raise UsageError(f"no server given: use --control SOCKET, as given to serve, or set {VARIABLE}")
    try:
        answer: dict[str, Any] = ask(Path(path), command, **more)
    except ControlError as error:
        raise UsageError(visible(str(error))) from None
    return answer


def listed(found: dict[str, Any]) -> Iterator[str]:
    """Calls as a table, and how many there are."""
    rows = [_COLUMNS, *(tuple(_cell(name, call[name]) for name in _COLUMNS) for call in found["calls"])]
    if found["calls"]:
        widths = [max(columns(row[at]) for row in rows) for at in range(len(_COLUMNS))]
        for row in rows:
            yield "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
    count, shown = found["count"], len(found["calls"])
    yield f"{count} call{'' if count == 1 else 's'}" + (f", the oldest {shown} are shown" if shown < count else "")


def _cell(name: str, value: object) -> str:
    if value is None or value == "":
        return "-"
    return duration(float(str(value))) if name in ("age", "connected") else visible(str(value))


def duration(value: float) -> str:
    """Seconds for people: ``12.3s``, ``4m05s``, ``2h01m``."""
    if value < 60:
        return f"{value:.1f}s"
    minutes, rest = divmod(int(value), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"
