"""``calltable diff``: what it prints, what it takes as a side, and its exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from calltable.tables import files
from calltable.tools.main import main

OVERLAY = """\
calltable: 1
overlay: leg/uac
replace:
  - id: uac.early.no_answer
    state: early
    after: 30s
    actions: [sip.cancel]
    publish: [failed: {code: 480}]
    next_state: cancelling
"""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(str(files())), tmp_path / "tables", ignore=shutil.ignore_patterns("*.py", "__pycache__")))


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    path = tmp_path / "busy.yaml"
    path.write_text(OVERLAY)
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_equal_sides_exit_0(tables, capsys):
    assert main(["diff", "shipped", str(tables)]) == 0
    assert capsys.readouterr().out.strip() == "no difference"


@pytest.mark.slow
def test_an_overlay_shows_its_row_its_delay_and_the_publication_it_changes(overlay, capsys):
    assert main(["diff", "shipped", str(overlay)]) == 1
    out = capsys.readouterr().out
    assert "leg/uac: rows: 1 changed" in out
    assert "after: $config.no_answer → 30s" in out
    assert "publish: ↑ failed(code: 408) → ↑ failed(code: 480)" in out
    assert "2 sequences end differently" in out
    assert "after.uac.early.no_answer in 3m" in out


@pytest.mark.slow
def test_a_forgotten_ack_is_shown_as_the_shortest_call(tables, capsys):
    edit(tables / "leg/uac.yaml", "    actions: [sip.acknowledge, sip.bye]\n    next_state: ending\n", "    actions: [sip.bye]\n    next_state: ending\n")
    assert main(["diff", "shipped", str(tables)]) == 1
    out = capsys.readouterr().out
    assert "user.hangup" in out
    assert "sip.invite.success" in out
    assert "sip.acknowledge; sip.bye" in out


@pytest.mark.slow
def test_a_setting_is_told_with_the_timers_it_moves(tables, capsys):
    edit(tables / "catalogue/sip.yaml", "no_answer: {type: duration, default: 3m", "no_answer: {type: duration, default: 1m")
    assert main(["diff", "shipped", str(tables), "--table", "leg/uac"]) == 1
    out = capsys.readouterr().out
    assert "setting no_answer: 3m → 1m" in out
    assert "after.uac.calling.no_answer in 1m" in out


@pytest.mark.slow
def test_json_says_the_same_for_programs(overlay, capsys):
    assert main(["diff", "shipped", str(overlay), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [table["name"] for table in found["tables"]] == ["leg/uac"]
    assert found["tables"][0]["changed"][0]["row"] == "uac.early.no_answer"
    assert found["sequences"]["leg/uac"]["complete"] is True


@pytest.mark.slow
def test_a_git_revision_is_a_side(tables, capsys):
    git = ["git", "-C", str(tables.parent), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    assert main(["diff", "HEAD", str(tables)]) == 0
    edit(tables / "leg/uac.yaml", "    actions: [sip.acknowledge, sip.bye]\n    next_state: ending\n", "    actions: [sip.bye]\n    next_state: ending\n")
    assert main(["diff", "HEAD", str(tables), "--rows"]) == 1
    assert "uac.cancelling.success" in capsys.readouterr().out


@pytest.mark.slow
def test_what_cannot_be_loaded_exits_2_and_says_where(tables, capsys):
    edit(tables / "leg/uac.yaml", "initial: idle", "initial: idel")
    assert main(["diff", "shipped", str(tables)]) == 2
    assert "did you mean idle" in capsys.readouterr().err
    assert main(["diff", "shipped", "no-such-thing"]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["diff", "shipped", "shipped", "--table", "leg/uca"]) == 2
