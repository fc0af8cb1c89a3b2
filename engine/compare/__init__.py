"""Two versions of a table side by side: which rows differ, and which calls go differently."""

from calltable.engine.compare.diff import LibraryDiff, MachineDiff, RowChange, diff_libraries, diff_machines
from calltable.engine.compare.lockstep import Comparison, Divergence, compare
from calltable.engine.compare.version import Reaction

__all__ = [
    "Comparison",
    "Divergence",
    "LibraryDiff",
    "MachineDiff",
    "Reaction",
    "RowChange",
    "compare",
    "diff_libraries",
    "diff_machines",
]
