"""The command line: ``calltable check``, ``render``, ``serve`` and the others.

``main.py`` finds the command, one module each carries it out. Exit codes are the same everywhere: 0 for a
clean run, 1 where problems were found, 2 where the command line or the configuration is at fault.
"""

from __future__ import annotations

OK = 0
PROBLEMS = 1
USAGE = 2


class UsageError(Exception):
    """The command line, a file or the configuration is at fault: printed as it stands, exit code 2."""
