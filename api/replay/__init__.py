"""Captured calls, walked through tables.

``capture.py`` reads SIP messages out of files, ``calls.py`` tells which belong to one call and which side is ours, ``owner.py``
infers what a leg's owner must have told it, and ``walk.py`` plays it all to the real engine and stack.
"""

from calltable.replay.calls import Call, CallError, calls, pick
from calltable.replay.capture import Capture, CaptureError, read_capture
from calltable.replay.steps import Walked
from calltable.replay.walk import Replayed, replay, root_of

__all__ = [
    "Call",
    "CallError",
    "Capture",
    "CaptureError",
    "Replayed",
    "Walked",
    "calls",
    "pick",
    "read_capture",
    "replay",
    "root_of",
]
