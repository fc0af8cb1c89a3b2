"""calltable: call coordination whose behaviour is data.

``Tables`` loads and checks tables, ``Engine`` runs them on a transport, ``B2BUA`` and ``Softphone`` are applications of an
engine; ``Server`` and ``Endpoint`` put each on real sockets. Everything that a program needs is here; names are imported when they are
first used, so that a command that needs none of them starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.adapters.sip.locate.lookup import Lookup
    from calltable.adapters.sip.message.body import Content
    from calltable.adapters.sip.message.message import Request, Response
    from calltable.adapters.sip.message.uri import parse_uri
    from calltable.adapters.sip.transport.address import Address
    from calltable.adapters.sip.transport.interface import TransportError
    from calltable.adapters.sip.transport.sockets import SocketTransport
    from calltable.assembly import Engine, Refused
    from calltable.b2bua.b2bua import B2BUA
    from calltable.b2bua.routes import Finder, Route, Routed, RouteError, Router
    from calltable.engine.model.problems import Problem, TableError
    from calltable.engine.run.executor import Executor, Step
    from calltable.engine.run.ports import Queue
    from calltable.engine.run.records import Outcome
    from calltable.engine.run.session import Owner, Session
    from calltable.engine.run.store import MemoryStore, Store
    from calltable.limits.admission import SourceAdmission
    from calltable.limits.figures import Figures, Plan, networks
    from calltable.limits.overload import Overload
    from calltable.loading import Tables
    from calltable.observe.entry import Entry
    from calltable.observe.file import TraceFile
    from calltable.observe.trace import Tracer
    from calltable.phone.call import Call, CallFailed
    from calltable.phone.endpoint import Endpoint
    from calltable.phone.owner import CallEvent
    from calltable.phone.softphone import Softphone
    from calltable.server.config import Config, ConfigError, read_config
    from calltable.server.server import Server
    from calltable.simulation.agents import Agent, AgentCall, session_description
    from calltable.simulation.world import Simulation, SimulationError

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
    "adapters.sip.locate.lookup": ("Lookup",),
    "adapters.sip.message.body": ("Content",),
    "adapters.sip.message.message": ("Request", "Response"),
    "adapters.sip.message.uri": ("parse_uri",),
    "adapters.sip.transport.address": ("Address",),
    "adapters.sip.transport.interface": ("TransportError",),
    "adapters.sip.transport.sockets": ("SocketTransport",),
    "assembly": ("Engine", "Refused"),
    "b2bua.b2bua": ("B2BUA",),
    "b2bua.routes": ("Finder", "Route", "RouteError", "Routed", "Router"),
    "engine.model.problems": ("Problem", "TableError"),
    "engine.run.executor": ("Executor", "Step"),
    "engine.run.ports": ("Queue",),
    "engine.run.records": ("Outcome",),
    "engine.run.session": ("Owner", "Session"),
    "engine.run.store": ("MemoryStore", "Store"),
    "limits.admission": ("SourceAdmission",),
    "limits.figures": ("Figures", "Plan", "networks"),
    "limits.overload": ("Overload",),
    "loading": ("Tables",),
    "observe.entry": ("Entry",),
    "observe.file": ("TraceFile",),
    "observe.trace": ("Tracer",),
    "phone.call": ("Call", "CallFailed"),
    "phone.endpoint": ("Endpoint",),
    "phone.owner": ("CallEvent",),
    "phone.softphone": ("Softphone",),
    "server.config": ("Config", "ConfigError", "read_config"),
    "server.server": ("Server",),
    "simulation.agents": ("Agent", "AgentCall", "session_description"),
    "simulation.world": ("Simulation", "SimulationError"),
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
