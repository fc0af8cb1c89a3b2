"""calltable: call coordination whose behaviour is data."""

from __future__ import annotations

from calltable.assembly import Engine, Refused, Tables
from calltable.b2bua import B2BUA
from calltable.engine.model import TableError
from calltable.routes import Route, Router

__all__ = ["B2BUA", "Engine", "Refused", "Route", "Router", "TableError", "Tables"]
