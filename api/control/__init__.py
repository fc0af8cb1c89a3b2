"""Talking to a running server over its control socket."""

from calltable.control.calls import hang_up, list_calls
from calltable.control.unix import Control, ControlError, ask

__all__ = [
    "Control",
    "ControlError",
    "ask",
    "hang_up",
    "list_calls",
]
