"""The tour of README.md, pasted whole into a shell on a bare machine: a checkout, Python and make, and nothing installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, blocks, shows

TOUR = "## Five minutes"
SECONDS = 900.0
"""For all of it; the downloads take most."""
LEFT_OUT = {".git", ".venv", "build", "dist", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"}
KEPT = ("HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy")


def tour() -> list[tuple[str, str, str]]:
    """The scripts of the tour: how each is marked, its text, and what it prints (empty where the page does not say)."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = text[: text.index(TOUR)].count("\n")
    last = text[: text.index("\n## ", text.index(TOUR) + 1)].count("\n")
    inside = [block for block in blocks(ROOT / "README.md") if first < block.line <= last]
    found = []
    for place, block in enumerate(inside):
        if block.kind == "sh":
            after = inside[place + 1] if place + 1 < len(inside) else None
            output = after.text if after is not None and after.kind == "text" and "output" in after.info else ""
            found.append((block.info, block.text, output))
    return found


def test_the_tour_is_made_of_scripts_that_can_be_pasted():
    scripts = tour()
    assert "install" in scripts[0][0]
    assert len(scripts) > 5
    for _, text, _ in scripts:
        assert not re.search(r"^\s*(?:\$ |#)", text, re.MULTILINE), "no prompt, and no comment, which zsh would not take"


@pytest.mark.slow
def test_the_tour_runs_on_a_bare_machine(tmp_path: Path):
    checkout = tmp_path / "calltable"
    shutil.copytree(ROOT, checkout, ignore=lambda _, names: LEFT_OUT & set(names) | {name for name in names if name == "__pycache__"})
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    environment = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PIP_")}
    environment |= {"PATH": f"{programs}:/usr/bin:/bin", "COLUMNS": "118"}
    ready = subprocess.run(["make", "install"], cwd=checkout, env=environment, check=False, capture_output=True, text=True, timeout=SECONDS)
    if ready.returncode and re.search(r"Could not find a version|NewConnectionError|Temporary failure|ProxyError|timed out", ready.stderr):
        pytest.skip(f"no package index can be reached: {ready.stderr.strip().splitlines()[-1]}")
    assert ready.returncode == 0, ready.stderr
    pasted = "".join(f"{text}status=$?; echo; echo END-OF-SCRIPT $status\n" for _, text, _ in tour())
    done = subprocess.run(
        ["bash"], input=pasted, cwd=checkout, env=environment, check=False, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS
    )
    ends = re.split(r"\n?END-OF-SCRIPT (\d+)\n", done.stdout)
    printed, codes = ends[:-1:2], ends[1::2]
    assert len(codes) == len(tour()), done.stdout + done.stderr
    for (info, text, output), actual, code in zip(tour(), printed, codes, strict=True):
        assert (code != "0") == ("fails" in info), f"{text}\nends with {code}:\n{actual}\n{done.stderr}"
        if output:
            assert shows(output, actual), f"{text}\nprints\n{actual}"
