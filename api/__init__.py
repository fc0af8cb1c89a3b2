"""calltable: call coordination whose behaviour is data.

``Tables`` loads and checks tables, ``Engine`` runs them on a transport, ``B2BUA`` and ``Softphone`` are applications of an
engine; ``Server`` and ``Endpoint`` put each on real sockets. Names are imported when they are first used, so that a
command that needs none of them starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.assembly import Engine, Refused
    from calltable.b2bua.b2bua import B2BUA
    from calltable.b2bua.routes import Route, Routed, RouteError, Router
    from calltable.engine.model.problems import TableError
    from calltable.loading import Tables
    from calltable.observe.entry import Entry
    from calltable.observe.file import TraceFile
    from calltable.observe.trace import Tracer
    from calltable.phone.call import Call, CallEvent, CallFailed
    from calltable.phone.endpoint import Endpoint
    from calltable.phone.softphone import Softphone
    from calltable.server.config import Config, ConfigError, read_config
    from calltable.server.server import Server

__all__ = [
    "B2BUA", "Call", "CallEvent", "CallFailed", "Config", "ConfigError", "Endpoint", "Engine", "Entry", "Refused", "Route",
    "RouteError", "Routed", "Router", "Server", "Softphone", "TableError", "Tables", "TraceFile", "Tracer", "read_config",
]  # fmt: skip

_HOMES = {
    "assembly": ("Engine", "Refused"),
    "b2bua.b2bua": ("B2BUA",),
    "b2bua.routes": ("Route", "RouteError", "Routed", "Router"),
    "engine.model.problems": ("TableError",),
    "loading": ("Tables",),
    "observe.entry": ("Entry",),
    "observe.file": ("TraceFile",),
    "observe.trace": ("Tracer",),
    "phone.call": ("Call", "CallEvent", "CallFailed"),
    "phone.endpoint": ("Endpoint",),
    "phone.softphone": ("Softphone",),
    "server.config": ("Config", "ConfigError", "read_config"),
    "server.server": ("Server",),
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
