"""calltable: call coordination whose behaviour is data.

``Tables`` loads and checks tables, ``Engine`` runs them on a transport, ``B2BUA`` and ``Softphone`` are applications of an
engine; ``Server`` and ``Endpoint`` put each on real sockets. Everything that a program needs is here; names are imported when they are
first used, so that a command that needs none of them starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.adapters.sip.locate import Lookup
    from calltable.adapters.sip.message import Content, Request, Response, parse_uri
    from calltable.adapters.sip.transport import Address, SocketTransport, TransportError
    from calltable.assembly import Engine, Refused
    from calltable.b2bua import B2BUA, Finder, Route, Routed, RouteError, Router
    from calltable.engine.model import Problem, TableError
    from calltable.engine.run import Executor, MemoryStore, Outcome, Owner, Queue, Session, Step, Store
    from calltable.limits import Figures, Overload, Plan, SourceAdmission, networks
    from calltable.loading import Tables
    from calltable.observe import Entry, TraceFile, Tracer
    from calltable.phone import Call, CallEvent, CallFailed, Endpoint, Softphone
    from calltable.server import Config, ConfigError, Server, read_config
    from calltable.simulation import Agent, AgentCall, Simulation, SimulationError, session_description

    __version__: str

__all__ = [
    "B2BUA",
    "Address",
    "Agent",
    "AgentCall",
    "Call",
    "CallEvent",
    "CallFailed",
    "Config",
    "ConfigError",
    "Content",
    "Endpoint",
    "Engine",
    "Entry",
    "Executor",
    "Figures",
    "Finder",
    "Lookup",
    "MemoryStore",
    "Outcome",
    "Overload",
    "Owner",
    "Plan",
    "Problem",
    "Queue",
    "Refused",
    "Request",
    "Response",
    "Route",
    "RouteError",
    "Routed",
    "Router",
    "Server",
    "Session",
    "Simulation",
    "SimulationError",
    "SocketTransport",
    "Softphone",
    "SourceAdmission",
    "Step",
    "Store",
    "TableError",
    "Tables",
    "TraceFile",
    "Tracer",
    "TransportError",
    "__version__",
    "networks",
    "parse_uri",
    "read_config",
    "session_description",
]  # fmt: skip

_HOMES = {
    "adapters.sip.locate": ("Lookup",),
    "adapters.sip.message": ("Content", "Request", "Response", "parse_uri"),
    "adapters.sip.transport": ("Address", "SocketTransport", "TransportError"),
    "assembly": ("Engine", "Refused"),
    "b2bua": ("B2BUA", "Finder", "Route", "RouteError", "Routed", "Router"),
    "engine.model": ("Problem", "TableError"),
    "engine.run": ("Executor", "MemoryStore", "Outcome", "Owner", "Queue", "Session", "Step", "Store"),
    "limits": ("Figures", "Overload", "Plan", "SourceAdmission", "networks"),
    "loading": ("Tables",),
    "observe": ("Entry", "TraceFile", "Tracer"),
    "phone": ("Call", "CallEvent", "CallFailed", "Endpoint", "Softphone"),
    "server": ("Config", "ConfigError", "Server", "read_config"),
    "simulation": ("Agent", "AgentCall", "Simulation", "SimulationError", "session_description"),
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - it takes longer than everything else here

        return version("calltable")
    for home, names in _HOMES.items():
        if name in names:
            found: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
