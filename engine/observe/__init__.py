"""What can be told of running machines: which rows were reached, and why a row was taken or not."""

from calltable.engine.observe.coverage import recording, watch
from calltable.engine.observe.explain import explain, why_not
from calltable.engine.observe.folding import Folding
from calltable.engine.observe.hits import CoverageError, Hits, merge
from calltable.engine.observe.measure import Measure, measure
from calltable.engine.observe.memory import Memory

__all__ = [
    "CoverageError",
    "Folding",
    "Hits",
    "Measure",
    "Memory",
    "explain",
    "measure",
    "merge",
    "recording",
    "watch",
    "why_not",
]
