"""The static checks: what a table must hold before it may run.

``check.py`` puts them in order; each other module is one of them, or what several of them ask. A new check is a module here and a line in
``check.py``.
"""

from calltable.engine.check.check import check
from calltable.engine.check.matrix import matrix
from calltable.engine.check.subjects import OTHER, GuardTypes, Subject, is_subject, subjects

__all__ = [
    "OTHER",
    "GuardTypes",
    "Subject",
    "check",
    "is_subject",
    "matrix",
    "subjects",
]
