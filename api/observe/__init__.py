"""What a running engine tells: traces, logs, a shadow of candidate tables."""

from calltable.observe.calls import CallLog
from calltable.observe.entry import Entry, TraceError, dump, listed, of_call, read_trace
from calltable.observe.file import TraceFile, last_number
from calltable.observe.logs import FORMATS, LEVELS, set_up
from calltable.observe.shadow import Shadow
from calltable.observe.trace import Tracer

__all__ = [
    "FORMATS",
    "LEVELS",
    "CallLog",
    "Entry",
    "Shadow",
    "TraceError",
    "TraceFile",
    "Tracer",
    "dump",
    "last_number",
    "listed",
    "of_call",
    "read_trace",
    "set_up",
]
