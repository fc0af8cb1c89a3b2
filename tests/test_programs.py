"""Every Python program in the documentation passes ``mypy --strict``: what a reader copies is typed as the product is.

The untitled blocks of a page share their names and are checked as one module; a block with a title is a module of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import PAGES, blocks, name


@pytest.mark.slow
def test_the_programs_of_the_documentation_are_typed(tmp_path: Path):
    programs: dict[Path, str] = {}
    for page in PAGES:
        stem = page.stem.lower()
        whole = ""
        for block in blocks(page):
            if block.kind != "python":
                continue
            title = block.option("title")
            if title:
                programs[tmp_path / f"{stem}_{Path(title).stem}.py"] = block.text
            else:
                # as far down as on the page, so that an error names the line there
                whole += "\n" * (block.line - whole.count("\n")) + block.text
        if whole:
            programs[tmp_path / f"{stem}.py"] = whole
    assert {path.stem for path in programs} >= {"readme", "embedding"}
    for path, text in programs.items():
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file=", *map(str, programs)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, f"{', '.join(name(page) for page in PAGES)}:\n{done.stdout}{done.stderr}"
