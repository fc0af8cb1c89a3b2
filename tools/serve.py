"""``calltable serve``: run the B2BUA until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import signal
import sys

from calltable.adapters.sip.transport import Address, TransportError
from calltable.config import Config
from calltable.engine.model import TableError
from calltable.routes import Route, RouteError
from calltable.server import Server
from calltable.tools import OK, PROBLEMS, UsageError

LEVELS = ("debug", "info", "warning", "error")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``calltable serve`` to the command line."""
    parser = subparsers.add_parser("serve", help="run the B2BUA", description="Run the B2BUA.")
    parser.add_argument("--listen", metavar="ADDRESS", type=_address, action="append", default=[],
                        help="transport:host:port, such as udp:127.0.0.1:5060 or 'udp:[::1]:5060'; may be repeated")
    parser.add_argument("--next-hop", metavar="URI", help="send every call there")
    parser.add_argument("--log-level", choices=LEVELS, help="default: info")
    parser.set_defaults(run=run)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: argparse.Namespace) -> int:
    """Run the B2BUA."""
    config = Config()
    if options.listen:
        config = dataclasses.replace(config, listen=tuple(options.listen))
    if options.log_level:
        config = dataclasses.replace(config, log_level=options.log_level)
    if not options.next_hop:
        raise UsageError("where do calls go? Give --next-hop sip:host:port")
    try:
        config = dataclasses.replace(config, routes=(Route(target=options.next_hop, name="--next-hop"),))
        server = Server(config)
    except RouteError as error:
        raise UsageError(str(error)) from None
    except TableError as error:
        print(error, file=sys.stderr)
        return PROBLEMS
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(_serve(server))


async def _serve(server: Server) -> int:
    loop = asyncio.get_running_loop()
    try:
        await server.start()
    except TransportError as error:
        raise UsageError(str(error)) from None
    stop, again = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (again if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(server.snapshot()), flush=True))
    server.settle()
    await stop.wait()
    ends = [asyncio.ensure_future(server.drain()), asyncio.ensure_future(again.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    await server.close()
    return OK
