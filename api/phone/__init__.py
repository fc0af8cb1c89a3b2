"""A user agent: places and takes calls, and hands each out as a ``Call``."""

from calltable.phone.call import Call, CallFailed
from calltable.phone.endpoint import NAMELESS, Endpoint
from calltable.phone.media import Done, Media, MediaActions
from calltable.phone.owner import ENDED, CallEvent, LegOwner
from calltable.phone.softphone import CALLEE, CALLER, Softphone

__all__ = [
    "CALLEE",
    "CALLER",
    "ENDED",
    "NAMELESS",
    "Call",
    "CallEvent",
    "CallFailed",
    "Done",
    "Endpoint",
    "LegOwner",
    "Media",
    "MediaActions",
    "Softphone",
]
