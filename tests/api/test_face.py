"""What ``import calltable`` gives."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import calltable


@pytest.mark.parametrize("name", calltable.__all__)
def test_every_name_is_there_documented_and_known_to_type_checkers(name):
    value = getattr(calltable, name)
    assert inspect.getdoc(value)
    assert name in dir(calltable)
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(calltable))) if isinstance(node, ast.ImportFrom)]
    (home,) = [node.module for node in imports if name in {alias.name for alias in node.names}]
    assert value.__module__ == home


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="has no attribute 'Softfone'"):
        _ = calltable.Softfone


def test_importing_costs_nothing_that_is_not_used():
    code = "import sys, calltable; print(sum(name.startswith('calltable.') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
