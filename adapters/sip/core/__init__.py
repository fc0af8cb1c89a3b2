"""The SIP stack: datagrams in and out, screening, legs and what passes between them.

The top of the SIP rooms: it joins messages, transports, transactions and dialogs, and is what the engine's tables act through.
"""

from calltable.adapters.sip.core.admission import Admission
from calltable.adapters.sip.core.bounds import Bounds
from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.core.screening import Screening
from calltable.adapters.sip.core.stack import Application, Stack
from calltable.adapters.sip.core.trust import Trust

__all__ = [
    "Admission",
    "Application",
    "Bounds",
    "Leg",
    "Screening",
    "Stack",
    "Trust",
]
