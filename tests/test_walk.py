"""The walk of one call in ``docs/architecture.md`` names files and functions that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WALK = TEXT.partition("## One call, datagram to datagram")[2].partition("\n## ")[0]
STEPS = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", WALK, re.MULTILINE)
FILES = [path for layer in ("api", "adapters", "engine", "tables") for path in (ROOT / layer).rglob("*.*") if path.suffix in (".py", ".yaml")]


def test_the_walk_has_steps():
    assert [int(number) for number, _ in STEPS] == list(range(1, len(STEPS) + 1))
    assert len(STEPS) > 10


@pytest.mark.parametrize(("number", "where"), STEPS, ids=[number for number, _ in STEPS])
def test_what_a_step_names_is_there(number: str, where: str):
    found = re.findall(r"`([\w/]+\.(?:py|yaml))`(?:: ((?:`\w+`(?:, )?)+))?", where)
    assert found
    for name, functions in found:
        files = [path for path in FILES if path.as_posix().endswith(f"/{name}")]
        assert files, f"step {number}: there is no {name}"
        for function in re.findall(r"\w+", functions):
            assert any(f"def {function}(" in path.read_text(encoding="utf-8") for path in files), f"step {number}: no {function} in {name}"
