"""``calltable call sip:…``: place a call without media and show its states live.

Ctrl-C hangs up, by CANCEL or BYE as the state asks, and waits for the end; a second one does not wait. Exit code 0 where
the call was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from calltable.assembly import Refused
from calltable.phone import CallFailed, Endpoint
from calltable.tools import OK, PROBLEMS
from calltable.tools.screen import PATIENCE, Screen, options, seconds
from calltable.tools.screen import run as run_phone

if TYPE_CHECKING:
    from calltable.loading import Tables
    from calltable.phone import Call

EXAMPLES = """\
examples:
  calltable call sip:bob@127.0.0.1:5060                    until Ctrl-C, or bob hangs up
  calltable call sip:bob@example.com --duration 5s         hang up 5 s after the answer
  calltable call sip:bob@example.com --via sip:10.0.0.1    through an outbound proxy
  calltable call sip:bob@127.0.0.1:5060 --hold 2s          hold for 2 s, then go on
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "call", help="place a call without media", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Place a call without media and show its states live. Ctrl-C hangs up. "
        "The exit code is 0 if the call was answered, 1 if not.",
    )  # fmt: skip
    parser.add_argument("uri", help="the callee: sip:user@host")
    parser.add_argument("--from", metavar="URI", default="", dest="identity", help="the caller")
    parser.add_argument("--via", metavar="URI", default="", help="send everything there: an outbound proxy")
    parser.add_argument("--duration", metavar="TIME", type=seconds, help="hang up this long after the answer")
    parser.add_argument("--hold", metavar="TIME", type=seconds, help="after the answer, hold for this long, then resume")
    parser.add_argument("--cancel-after", metavar="TIME", type=seconds, help="give up if nobody has answered by then")
    options(parser, listen="where to listen, such as udp:127.0.0.1:5070; default: any free port")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Place the call; 0 where it was answered."""
    return run_phone(given, lambda tables: place(given, tables))


async def place(given: argparse.Namespace, tables: Tables) -> int:
    """Open a phone, call, and wait for the end."""
    endpoint = await Endpoint.open(
        tables, given.listen, via=given.via, identity=given.identity,
        # a hold of what never flows would be none
        direction="inactive" if given.hold is None else "sendrecv",
    )  # fmt: skip
    screen = Screen()
    screen.watch(endpoint, lambda session: session.machine.name == "leg/uac")
    loop = asyncio.get_running_loop()
    patience = PATIENCE
    try:
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if stopped:
                following.cancel()
            else:
                print("hanging up (Ctrl-C once more does not wait)", flush=True)
                stopped = True
                call.hangup()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)  # before the first line is shown; it runs once there is a call
        call = endpoint.phone.call(given.uri)
        following = asyncio.ensure_future(follow(given, call))
        try:
            await following
        except asyncio.CancelledError:
            patience = 0.0
        return tell(call, screen)
    finally:
        await endpoint.close(patience=patience)


async def follow(given: argparse.Namespace, call: Call) -> None:
    """Do in the call what the options say, until it is over."""
    with contextlib.suppress(CallFailed):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(call.wait("answered"), given.cancel_after)
        if call.event("answered") is None:
            call.hangup()
        else:
            doing = asyncio.create_task(within(given, call))
            await call.wait("ended")
            doing.cancel()
    await call.wait("ended")


async def within(given: argparse.Namespace, call: Call) -> None:
    """What happens in an answered call."""
    loop = asyncio.get_running_loop()
    if given.duration is not None:
        loop.call_later(given.duration, call.hangup)
    if given.hold is None:
        return
    try:
        for change, pause in ((call.hold, given.hold), (call.resume, 0.0)):
            change()
            event = await call.wait("reinvite_answered", "reinvite_failed", again=True)
            if event.name == "reinvite_failed":
                print(f"the re-INVITE was refused: {event.code} {event.reason}", flush=True)
                return
            await asyncio.sleep(pause)
    except Refused as refused:
        print(refused, flush=True)
    except CallFailed:
        return


def tell(call: Call, screen: Screen) -> int:
    """Say in one line how it went."""
    answered = call.event("answered")
    if answered is None:
        why = call.event("failed")
        text = f"not answered: {why.code} {why.reason}".rstrip() if why is not None else "not answered: cancelled"
        print(screen.paint(text, "bad"))
        return PROBLEMS
    hung_up = call.event("hung_up")
    by = "this side" if hung_up is None else "the other side" if hung_up.reason == "remote" else hung_up.reason
    print(screen.paint(f"answered, {call.events[-1].time - answered.time:.3f} s, ended by {by}", "good"))
    return OK
