"""Running machines: sessions, compiled cells, the executor, timers, children, stores.

The only room whose speed matters for each event. No clock, no task, no socket: time comes from a scheduler, effects go to handlers.
"""

from calltable.engine.run.children import NOBODY
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import Executor, Step
from calltable.engine.run.given import check_parameters
from calltable.engine.run.interpret import Environment
from calltable.engine.run.ports import Change, Draw, Queue, Scheduler
from calltable.engine.run.program import DEFER, IGNORE, REFUSE, ROW, CompiledMachine, RowCode
from calltable.engine.run.records import Outcome
from calltable.engine.run.session import Owner, Session
from calltable.engine.run.store import MemoryStore, Store

__all__ = [
    "DEFER",
    "IGNORE",
    "NOBODY",
    "REFUSE",
    "ROW",
    "Change",
    "CompiledMachine",
    "Draw",
    "Environment",
    "Executor",
    "MemoryStore",
    "Outcome",
    "Owner",
    "Queue",
    "RowCode",
    "Scheduler",
    "Session",
    "Step",
    "Store",
    "check_parameters",
    "compile_machine",
]
