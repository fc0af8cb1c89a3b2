"""calltable: call coordination whose behaviour is data.

``Tables`` loads and checks tables, ``Engine`` runs them on a transport, ``B2BUA`` and ``Softphone`` are applications of an
engine; ``Server`` and ``Endpoint`` put each on real sockets. Names are imported when they are first used, so that a
command that needs none of them starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.assembly import Engine, Refused, Tables
    from calltable.b2bua import B2BUA
    from calltable.config import Config, ConfigError, read_config
    from calltable.endpoint import Endpoint
    from calltable.engine.model import TableError
    from calltable.routes import Route, RouteError, Router
    from calltable.server import Server
    from calltable.softphone import Call, CallEvent, CallFailed, Softphone
    from calltable.trace import Entry, TraceFile, Tracer

__all__ = [
    "B2BUA", "Call", "CallEvent", "CallFailed", "Config", "ConfigError", "Endpoint", "Engine", "Entry", "Refused", "Route",
    "RouteError", "Router", "Server", "Softphone", "TableError", "Tables", "TraceFile", "Tracer", "read_config",
]  # fmt: skip

_HOMES = {
    "assembly": ("Engine", "Refused", "Tables"),
    "b2bua": ("B2BUA",),
    "config": ("Config", "ConfigError", "read_config"),
    "endpoint": ("Endpoint",),
    "engine.model": ("TableError",),
    "routes": ("Route", "RouteError", "Router"),
    "server": ("Server",),
    "softphone": ("Call", "CallEvent", "CallFailed", "Softphone"),
    "trace": ("Entry", "TraceFile", "Tracer"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            found: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
