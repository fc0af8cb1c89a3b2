"""The table of all bounds in docs/operating.md says what the code says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from calltable.adapters.sip.core.bounds import Bounds
from calltable.adapters.sip.transport.limits import Limits
from calltable.limits import Figures, Plan
from calltable.server.config import Config

PAGE = (Path(__file__).parents[3] / "docs" / "operating.md").read_text(encoding="utf-8")
ROWS = {
    match[1]: match[2]
    for match in re.finditer(r"^\| `(\w+)`(?: \(`[^`]+`\))? \| ([0-9.]+)(?: s)? \|", PAGE.partition("### All bounds")[2], re.MULTILINE)
}
BOUNDS = [
    pytest.param(field.name, getattr(kind(), field.name), id=f"{kind.__name__}.{field.name}")
    for kind in (Figures, Plan, Bounds, Limits)
    for field in dataclasses.fields(kind)
    if isinstance(getattr(kind(), field.name), int | float) and not isinstance(getattr(kind(), field.name), bool)
]


@pytest.mark.parametrize(("name", "value"), BOUNDS)
def test_every_bound_stands_in_the_table_with_its_default(name: str, value: float):
    assert name in ROWS
    assert float(ROWS[name]) == value


def test_the_table_names_no_bound_that_is_not_there():
    assert sorted(ROWS) == sorted({str(one.values[0]) for one in BOUNDS})


def test_the_limit_on_calls_is_that_of_a_server():
    assert f"| `limits: calls` | {Config().max_calls} |" in PAGE
