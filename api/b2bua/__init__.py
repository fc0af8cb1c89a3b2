"""The two-leg B2BUA and its routes."""

from calltable.b2bua.b2bua import B2BUA, BRIDGE
from calltable.b2bua.call import CallRecord
from calltable.b2bua.routes import Finder, Route, Routed, RouteError, Router, problems
from calltable.b2bua.selection import Selection, SelectionError, brief, select, whole

__all__ = [
    "B2BUA",
    "BRIDGE",
    "CallRecord",
    "Finder",
    "Route",
    "RouteError",
    "Routed",
    "Router",
    "Selection",
    "SelectionError",
    "brief",
    "problems",
    "select",
    "whole",
]
