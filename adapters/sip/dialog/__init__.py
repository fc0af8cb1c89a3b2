"""Dialogs as data: who the two ends are, where requests go, which number comes next (RFC 3261 §12)."""

from calltable.adapters.sip.dialog.dialog import MAX_FORWARDS, Dialog, request_target
from calltable.adapters.sip.dialog.dialogs import Dialogs, Way
from calltable.adapters.sip.dialog.identity import identity

__all__ = [
    "MAX_FORWARDS",
    "Dialog",
    "Dialogs",
    "Way",
    "identity",
    "request_target",
]
