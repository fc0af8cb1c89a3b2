"""What ``import calltable`` gives."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import calltable


@pytest.mark.parametrize("name", [name for name in calltable.__all__ if name != "__version__"])
def test_every_name_is_there_documented_and_known_to_type_checkers(name):
    value = getattr(calltable, name)
    assert inspect.getdoc(value)
    assert name in dir(calltable)
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(calltable))) if isinstance(node, ast.ImportFrom)]
    (home,) = [node.module for node in imports if name in {alias.name for alias in node.names}]
    assert f"{value.__module__}.".startswith(f"{home}."), "it comes from the room that type checkers are told"


def test_the_version_is_that_of_the_package():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert calltable.__version__ == project["version"]


def test_nothing_public_takes_whatever_it_is_given():
    """No ``**options``: a misspelled argument is an error where it is written."""
    for name in calltable.__all__:
        value = getattr(calltable, name)
        for one in (value, *vars(value).values()) if inspect.isclass(value) else ():
            call = getattr(one, "__func__", one)
            if inspect.isfunction(call) and call.__module__.startswith("calltable") and call.__module__ != "calltable.engine.run.executor":
                kinds = {parameter.kind for parameter in inspect.signature(call).parameters.values()}
                assert inspect.Parameter.VAR_KEYWORD not in kinds, f"{name}.{call.__name__}"


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="has no attribute 'Softfone'"):
        _ = calltable.Softfone


def test_importing_costs_nothing_that_is_not_used():
    code = "import sys, calltable; print(sum(name.startswith('calltable.') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
