"""``calltable answer``: a phone without media that takes every call, and shows their states live."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from calltable.assembly import Refused
from calltable.phone import Endpoint
from calltable.tools import OK
from calltable.tools.screen import PATIENCE, Screen, count, options, seconds, status
from calltable.tools.screen import run as run_phone

if TYPE_CHECKING:
    import argparse

    from calltable.loading import Tables
    from calltable.phone import Call, CallEvent


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "answer", help="wait for calls and answer them, without media",
        description="Wait for calls, ring, and answer (or reject) them, without media. Ctrl-C hangs up and ends.",
    )  # fmt: skip
    parser.add_argument("--after", metavar="TIME", type=seconds, default=1.0, help="how long to ring; default: 1s")
    parser.add_argument("--reject", metavar="STATUS", type=status, help="reject with this status instead, such as 486")
    parser.add_argument("--hangup-after", metavar="TIME", type=seconds, help="hang up this long after the answer")
    parser.add_argument("--calls", metavar="N", type=count, help="stop after this many calls; default: never")
    options(parser, listen="where to listen; default: udp:0.0.0.0:5060 and tcp:0.0.0.0:5060")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Take calls until Ctrl-C."""
    return run_phone(given, lambda tables: take(given, tables))


async def take(given: argparse.Namespace, tables: Tables) -> int:
    """Open a phone and take what comes."""
    endpoint = await Endpoint.open(tables, given.listen or ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"])
    screen = Screen(prefix=True)
    screen.watch(endpoint, lambda session: session.machine.name == "leg/uas")
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    over = 0

    def told(call: Call, event: CallEvent) -> None:
        nonlocal over
        if event.name == "confirmed" and given.hangup_after is not None:
            loop.call_later(given.hangup_after, call.hangup)
        if event.name == "ended":
            over += 1
            if over == given.calls:
                stop.set()

    def decide(call: Call) -> None:
        with contextlib.suppress(Refused):  # the caller was faster
            if given.reject is None:
                call.answer()
            else:
                call.reject(given.reject)

    def incoming(call: Call) -> None:
        print(f"[{call.session.id}] a call from {call.remote}", flush=True)
        call.on_event = told
        if given.after > 0:
            call.ring()
            loop.call_later(given.after, decide, call)
        else:
            decide(call)

    endpoint.phone.on_incoming = incoming
    print("waiting for calls on " + ", ".join(map(str, endpoint.transport.listeners)), flush=True)
    try:
        await stop.wait()
    finally:
        await endpoint.close(patience=PATIENCE)
    return OK
