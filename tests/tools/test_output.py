"""What commands write: files that cannot be made, a full disk, and a reader that has seen enough."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from calltable.engine.observe.hits import Hits
from calltable.tools.main import joined, main
from tests.tools.programs import COMMAND

TRACE = str(Path(__file__).parent / "traces" / "basic_call.jsonl")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ladder", TRACE, "-o", "/nowhere/x.html"], "cannot write /nowhere/x.html: No such file or directory"),
        (["ladder", TRACE, "-o", "x.pdf"], "what x.pdf should hold is unclear: end it in .html or .txt"),
        (["ladder", "/dev/null"], "/dev/null: nothing was traced"),
        (["replay", "/dev/null"], "/dev/null: the file is empty"),
        (["render", "leg/uas", "-o", "/dev/null/x.svg", "--format", "mermaid"], "cannot write /dev/null/x.svg: "),
        (["simulate", "--calls", "1", "--ladder", "x.pdf"], "what x.pdf should hold is unclear: end it in .html, .jsonl or .txt"),
        (["simulate", "--calls", "1", "--ladder", "nosuch/x.html"], "--ladder nosuch/x.html: there is no folder nosuch"),
        (["simulate", "--calls", "1", "--coverage", "nosuch/x"], "--coverage nosuch/x: there is no folder nosuch"),
    ],
)
def test_a_file_that_cannot_be_made_is_told_in_one_line(capsys, arguments, told):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"calltable {arguments[0]}: {told}")
    assert error.count("\n") == 1


def test_coverage_that_cannot_be_written_is_told(capsys, tmp_path):
    (tmp_path / "c.json").write_text(Hits().dump(), encoding="utf-8")
    assert main(["coverage", str(tmp_path / "c.json"), "-o", "/nowhere/x"]) == 2
    assert capsys.readouterr().err == "calltable coverage: cannot write /nowhere/x: No such file or directory\n"


def test_a_file_that_a_command_did_not_look_at_is_no_traceback(capsys, monkeypatch):
    def run(_):
        Path("/nowhere/x").write_text("", encoding="utf-8")

    monkeypatch.setattr("calltable.tools.commands.ladder.run", run)
    assert main(["ladder", TRACE]) == 2
    assert capsys.readouterr().err == "calltable ladder: /nowhere/x: No such file or directory\n"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["ladder", TRACE], ["render", "--all", "--format", "html"], ["coverage"]], ids=lambda one: one[0])
def test_a_full_disk_behind_the_output_is_told(tmp_path, arguments):
    if arguments == ["coverage"]:
        (tmp_path / "c.json").write_text(Hits().dump(), encoding="utf-8")
        arguments = ["coverage", str(tmp_path / "c.json")]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, f"calltable {arguments[0]}: cannot write the output: No space left on device\n")


@pytest.mark.slow
def test_a_closed_pipe_is_nobodys_fault():
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*COMMAND, "ladder", TRACE], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_value_that_begins_with_a_minus_is_no_option():
    assert joined(["serve", "--drain", "-5s", "--json", "-x", "--", "-1"]) == ["serve", "--drain=-5s", "--json", "-x", "--", "-1"]
