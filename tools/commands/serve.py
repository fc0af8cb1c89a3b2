"""``calltable serve``: run the B2BUA until it is told to stop.

SIGTERM or SIGINT ends gently: no new calls, the running ones get their time (``limits: drain``), what is left is hung up. A
second one ends at once. SIGUSR1 prints what is alive as one line of JSON; ``calltable status`` asks the same over the
control socket. SIGHUP reads configuration and tables again, as ``calltable reload`` does.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.transport import TransportError
from calltable.b2bua import Route, RouteError
from calltable.control import ControlError
from calltable.engine.model import TableError
from calltable.engine.observe import CoverageError, recording
from calltable.observe import FORMATS, LEVELS, set_up
from calltable.server import Config, ConfigError, Server, every_problem, read_config
from calltable.tools import OK, PROBLEMS, USAGE, UsageError, folder_of, why
from calltable.tools.screen import address, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("calltable.serve")

EXAMPLES: Final = """\
examples:
  calltable serve --listen udp:127.0.0.1:5060 --next-hop sip:127.0.0.1:5070
  calltable serve --config calltable.yaml
  calltable serve --config calltable.yaml --check      look for mistakes, in the tables too, and end
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "serve", help="run the B2BUA", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run the B2BUA. Command-line options override the file.",
    )  # fmt: skip
    parser.add_argument("--config", metavar="FILE", type=Path, help="calltable.yaml; tables/schema/config.schema.json describes it")
    parser.add_argument("--check", action="store_true", help="check the configuration and the tables, then exit")
    parser.add_argument("--no-explore", action="store_false", dest="explore",
                        help="with --check: leave out the explorer, which looks for races in tables that are not the shipped ones")  # fmt: skip
    parser.add_argument("--listen", metavar="ADDRESS", type=address, action="append", default=[],
                        help="transport:host:port, such as udp:127.0.0.1:5060 or 'udp:[::1]:5060'; may be repeated")  # fmt: skip
    parser.add_argument("--next-hop", metavar="URI", help="send every call there; replaces the routes of the file")
    parser.add_argument("--tables", metavar="PATH", action="append", type=Path, default=[],
                        help="a table, or a folder of them, that replaces the shipped tables of the same names")  # fmt: skip
    parser.add_argument("--overlay", metavar="FILE", action="append", type=Path, default=[], help="an overlay, on top of those in the file; may be repeated")
    parser.add_argument("--drain", metavar="TIME", type=seconds, help="how long calls may continue after SIGTERM; default: 30s")
    parser.add_argument("--log-level", choices=LEVELS, help="default: info")
    parser.add_argument("--log-format", choices=FORMATS, help="default: text")
    parser.add_argument("--trace", metavar="FILE", type=Path, help="write every message and step there, for calltable ladder")
    parser.add_argument("--coverage", metavar="FILE", type=Path, help="add which rows were reached there, for calltable coverage")
    parser.add_argument("--shadow", metavar="PATH", type=Path, help="candidate tables, or an overlay: see calltable shadow")
    parser.add_argument("--control", metavar="SOCKET", type=Path, help="a Unix socket for calltable status, calls, hangup, reload and shadow")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the B2BUA; 0 after a gentle end. Where configuration or tables have problems: 1 with ``--check``, else 2."""
    try:
        config = configure(options)
        server = Server(config, reread=lambda: configure(options))
    except TableError as error:
        problems = every_problem(error) if isinstance(error, ConfigError) else error.problems
        print("\n".join(map(str, problems)), file=sys.stderr)
        count = len(problems)
        print(f"{count} problem{'s' if count > 1 else ''}; not started", file=sys.stderr)
        return PROBLEMS if options.check else USAGE
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {why(error)}") from None
    for path, what in (
        (config.trace, f"cannot open {config.trace}"), (config.control, f"cannot open the control socket {config.control}"),
        (options.coverage, f"--coverage {options.coverage}"),
    ):  # fmt: skip
        if path is not None:
            folder_of(path, what)
    if options.check:
        if options.explore and (found := _races(server, config)) != OK:
            return found
        routes = len(config.routes)
        print(f"no problems: {routes} route{'s' if routes > 1 else ''}, {len(server.tables.machines)} tables")
        if not options.explore:
            print("races were not checked (--no-explore)")
        return OK
    if options.shadow is not None and not options.shadow.exists():
        raise UsageError(f"--shadow {options.shadow}: no such file or folder")
    set_up(config.log_level, config.log_format, queued=True)
    try:
        with recording(options.coverage):
            return asyncio.run(serve(server, options.shadow))
    except CoverageError as error:
        raise UsageError(f"--coverage {options.coverage}: {error}") from error


def _races(server: Server, config: Config) -> int:
    """Explore the tables that are not as they are shipped, print what is found, and return 0 or 1."""
    from calltable.examination import races  # noqa: PLC0415 - only with --check
    from calltable.loading import machines_in  # noqa: PLC0415
    from calltable.tools.commands.explore import drawn, progress_on, wipe  # noqa: PLC0415

    library = server.tables.library
    given = [one.name for one in machines_in(library, config.tables)] if config.tables else []
    problems, states, _ = races(library, given, draw=drawn, progress=progress_on(sys.stderr))
    wipe(sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    if states and not problems:
        print(f"no races: {states:,} states explored")
    return PROBLEMS if problems else OK


def configure(options: argparse.Namespace) -> Config:
    """The file's configuration, changed as the command line says. Raises ConfigError, UsageError, OSError."""
    config = Config() if options.config is None else read_config(options.config)
    changes = {
        "listen": tuple(options.listen), "tables": tuple(options.tables), "drain": options.drain,
        "log_level": options.log_level, "log_format": options.log_format, "trace": options.trace,
        "control": options.control,
    }  # fmt: skip
    changes = {name: value for name, value in changes.items() if value not in (None, ())}
    if options.overlay:
        changes["overlays"] = (*config.overlays, *options.overlay)
    if options.next_hop is not None:
        try:
            changes["routes"] = (Route(target=options.next_hop, name="--next-hop"),)
        except RouteError as error:
            raise UsageError("; ".join(filter(None, (str(error).removeprefix("route "), error.hint)))) from None
    config = dataclasses.replace(config, **changes)
    if not config.routes:
        place = config.places.get("routes", config.places.get("", options.config))
        where = f"{place}: the file has no routes" if options.config is not None else "there is no --config"
        raise UsageError(f"no destination for calls: {where}; give --next-hop sip:host:port, or routes in a file")
    return config


def plan(config: Config) -> Iterator[str]:
    """What a server does by its configuration, in plain words, a line each."""
    for number, route in enumerate(config.routes, 1):
        conditions = [f"{name} matches {pattern}" for name, pattern in (("Request-URI", route.uri), ("source", route.source)) if pattern]
        if route.header is not None:
            conditions.append(f"{route.header[0]} matches {route.header[1]}")
        where = f"goes to {route.target}" if route.target is not None else f"is answered {route.reject}"
        yield f"route {route.name or number}: a call {'whose ' + ' and whose '.join(conditions) + ' ' if conditions else ''}{where}"
    if not any(route.open for route in config.routes):
        yield "a call that no route takes is answered 404"
    yield f"at most {config.max_calls} concurrent calls; more get 503"
    named = [f"{', '.join(map(str, config.tables))} and the rest of the shipped ones"] if config.tables else ["the shipped ones"]
    if config.overlays:
        named.append(f"with the overlays {', '.join(map(str, config.overlays))}")
    yield f"tables: {', '.join(named)}"
    if config.trace is not None:
        yield f"tracing every message and step to {config.trace}"
    if config.control is not None:
        yield f"control socket: {config.control}"


async def serve(server: Server, shadow: Path | None = None) -> int:
    """Serve until a signal; ``shadow`` are candidate tables to compare with."""
    loop = asyncio.get_running_loop()
    try:
        await server.start()
    except (TransportError, ControlError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"cannot open {error.filename}: {why(error)}" if error.filename else why(error)) from None
    stop, again = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (again if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task = loop.create_task(server.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(server.snapshot()), flush=True))
    if shadow is not None and (problems := (await server.shadow(shadow)).get("problems")):
        await server.close()
        raise UsageError(f"--shadow {shadow} does not load:\n" + "\n".join(problems))
    server.settle()
    for line in plan(server.config):
        log.info("%s", line)
    log.info("serving", extra={"parts": {"listen": ",".join(map(str, server.listeners))}})
    await stop.wait()
    log.info("draining", extra={"parts": {"calls": len(server.b2bua.calls), "seconds": server.config.drain}})
    draining = asyncio.ensure_future(server.drain())
    ends = [draining, asyncio.ensure_future(again.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    left = len(server.b2bua.calls)
    await server.close()
    log.info("ended", extra={"parts": {"left": left}})
    return OK


