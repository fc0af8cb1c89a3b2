"""SIP as the explorer sees it: what messages mean to a table, properties that must hold, and who is joined to whom."""

from calltable.adapters.sip.explore.compositions import COMPOSITIONS, EXTRA
from calltable.adapters.sip.explore.trace import lines

__all__ = [
    "COMPOSITIONS",
    "EXTRA",
    "lines",
]
