"""``calltable check`` as its users meet it: what it prints, and its exit code."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calltable import tables
from calltable.adapters.sip.explore.compositions import COMPOSITIONS
from calltable.engine.explore.explorer import concerned
from calltable.engine.language.load import load_tables
from calltable.tools.main import main
from tests.engine.small import PHONE, changed, line_of, with_rows, without, write


@pytest.fixture(name="run")
def _run(tmp_path, capsys, monkeypatch):
    """Run the command over tables in ``tmp_path``; gives exit code and output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, table=PHONE):
        write(tmp_path, table)
        code = main(["check", *(arguments or (".",))])
        return code, capsys.readouterr().out

    return run


def test_the_shipped_tables_are_clean(capsys):
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "leg/uas" in out
    assert "no problems" in out


def test_a_clean_table_is_counted(run):
    code, out = run()
    assert code == 0
    assert out.splitlines()[0].split() == ["phone", "5", "states", "16", "rows", "24", "cells", "ok"]
    assert "1 table, no problems in " in out


def test_a_problem_is_told_like_a_compilers_with_its_line_and_a_mend(run):
    text = without("phone.ending.bye")
    code, out = run(table=text)
    number = line_of(text, "  ending: {")
    assert code == 1
    assert f"table0.yaml:{number}:3: no row handles peer.bye in state ending [hole]" in out
    assert f"{number:>5} |   ending: {{doc: saying good-bye}}\n          ^" in out
    assert "    help: add a row, for example\n          - id: phone.ending.bye\n            state: ending\n" in out
    assert out.splitlines()[-1].startswith("1 problem in ")


def test_holes_that_one_row_mends_are_told_as_one(run, tmp_path):
    code, out = run(table=without("phone.info"))
    assert code == 1
    assert "no row handles peer.info in states idle, opening, active, ending [hole]" in out
    assert out.count("[hole]") == 1
    assert out.splitlines()[-1].startswith("1 problem in 4 states in ")
    row = out.partition("for example\n")[2].partition("\n\n")[0]
    code, out = run(table=without("phone.info") + "".join(f"{line[8:]}\n" for line in row.splitlines()))
    assert code == 0


def test_guarded_holes_of_several_states_keep_their_guard(run):
    text = changed(("id: phone.info, state: any, event: peer.info,", "id: phone.info, state: any, event: peer.info, guards: [event.code < 5],"))
    _, out = run(table=text)
    assert "no row handles peer.info in states idle, opening, active, ending where event.code = 5, nor in 1 other case [hole]" in out
    row = out.partition("for example\n")[2].partition("\n\n")[0]
    assert "state: any" in row
    assert "guards:" in row


def test_a_table_that_does_not_load_is_told_the_same_way(run):
    text = changed(("actions: [media.open]", "actions: [media.opn]"))
    code, out = run(table=text)
    assert code == 1
    assert f"table0.yaml:{line_of(text, 'media.opn')}:" in out
    assert "media.open" in out.partition("help:")[2]


def test_quiet_prints_nothing_where_nothing_is_wrong(run):
    assert run("--quiet", ".") == (0, "")


def test_an_overlay_is_checked_with_the_table_it_changes(run, tmp_path):
    overlay = tmp_path.parent / f"{tmp_path.name}-overlay.yaml"
    overlay.write_text("calltable: 1\noverlay: phone\ndoc: opens a hole\nremove: [phone.info]\n")
    code, out = run("--overlay", str(overlay), ".")
    assert code == 1
    assert "no row handles peer.info" in out


@pytest.mark.slow
def test_a_copied_and_edited_folder_of_the_shipped_tables_is_checked_in_place(tmp_path, capsys):
    copy = tmp_path / "tables"
    shutil.copytree(tables.files(), copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    assert main(["check", str(copy)]) == 0
    file = copy / "transaction" / "client.yaml"
    text = file.read_text()
    broken = "".join(line for line in text.splitlines(keepends=True) if "event: engine.failed" not in line)
    assert broken != text
    file.write_text(broken)
    capsys.readouterr()
    assert main(["check", str(copy)]) == 1
    out = capsys.readouterr().out
    assert "tables/transaction/client.yaml:" in out
    assert "no row handles engine.failed" in out


@pytest.mark.parametrize("missing", ["nowhere.yaml", "nowhere/"])
def test_a_file_that_cannot_be_read_is_exit_code_2(tmp_path, capsys, missing):
    assert main(["check", str(tmp_path / missing)]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_folder_without_tables_is_exit_code_2(tmp_path, capsys):
    assert main(["check", str(tmp_path)]) == 2
    assert "no .yaml file" in capsys.readouterr().err


def test_an_unknown_option_is_exit_code_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["check", "--fast"])
    assert stopped.value.code == 2


def test_json_has_every_fact_of_a_problem(run):
    text = without("phone.ending.bye")
    code, out = run("--format", "json", ".", table=text)
    report = json.loads(out)
    [problem] = report["problems"]
    assert code == 1
    assert (problem["line"], problem["code"], problem["gate"]) == (line_of(text, "  ending: {"), "hole", 2)
    assert (problem["table"], problem["state"], problem["event"]) == ("phone", "ending", "peer.bye")
    assert [table["name"] for table in report["tables"]] == ["phone"]


def test_sarif_points_at_the_line(run):
    text = without("phone.ending.bye")
    _, out = run("--format", "sarif", ".", table=text)
    [result] = json.loads(out)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert result["ruleId"] == "hole"
    assert place == {
        "artifactLocation": {"uri": "table0.yaml"},
        "region": {"startLine": line_of(text, "  ending: {"), "startColumn": 3},
    }


def test_github_gets_one_annotation_a_problem_on_one_line(run):
    text = without("phone.info")
    _, out = run("--format", "github", ".", table=text)
    lines = out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"::error file=table0.yaml,line={line_of(text, '  idle: {')},col=3,title=phone%3A hole::no row handles")
    assert "%0A" in lines[0]


def test_the_matrix_shows_what_happens_in_each_cell(run):
    code, out = run("--matrix", "phone", ".")
    cells = {line.split()[0]: line.split()[1:] for line in out.splitlines() if "." in line.split(" ")[0]}
    assert code == 0
    assert cells["user.hold"][0] == "×"
    assert cells["user.hold"][1] == "⏸"
    assert cells["user.hold"][3] == "×"
    assert cells["peer.info"] == ["·"] * 4
    assert len(cells["media.ready"]) == 1
    assert "phone.opening.ready" in out
    assert max(map(len, out.splitlines())) <= 120


def test_the_matrix_marks_holes_and_what_stands_beside_them(run):
    code, out = run("--matrix", ".", table=without("phone.active.resume", without("phone.info")))
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert code == 1
    assert lines["peer.info"].split()[1:] == ["HOLE"] * 4
    assert "+HOLE" in lines["user.hold"]


def test_many_states_are_drawn_in_blocks_within_the_width(run):
    names = [f"long_name_of_state_{i}" for i in range(30)]
    rows = [
        f"{{id: phone.to{i}, state: {'active' if i == 0 else names[i - 1]}, event: timer.patience, next_state: {name}}}"
        for i, name in enumerate(names)
    ]
    text = with_rows(*rows, text=changed(("  over: {final", "".join(f"  {name}: {{}}\n" for name in names) + "  over: {final")))
    _, out = run("--matrix", "phone", ".", table=text)
    matrix = out.partition("\n\n  1 ")[0]
    assert max(map(len, matrix.splitlines())) <= 120
    assert matrix.count("event ") >= 2


def test_a_matrix_of_no_such_table_says_which_there_are(run, capsys):
    assert run("--matrix", "fone", ".")[0] == 2


def calltable(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "import sys; from calltable.tools.main import main; sys.exit(main())", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )  # fmt: skip


def test_help_lists_the_commands_and_loads_none_of_them():
    script = "import sys; from calltable.tools.main import parser; parser().print_help(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    *help_text, modules = done.stdout.splitlines()
    assert any(line.split()[:1] == ["check"] for line in help_text)
    assert "'calltable.tools.main'" in modules
    assert "'calltable.tools.commands.check'" not in modules
    assert "'calltable.tools.commands.render'" not in modules


def test_output_to_a_pipe_has_no_colours(tmp_path):
    write(tmp_path, without("phone.info"))
    done = calltable("check", str(tmp_path))
    assert done.returncode == 1
    assert "\x1b" not in done.stdout


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("calltable ")


def test_colours_are_for_terminals_unless_no_color_says_otherwise(run, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32mok" in run()[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run()[1]


def test_a_table_that_no_composition_contains_is_not_said_to_be_explored(tmp_path, capsys):
    wakeup = Path(__file__).parents[2] / "docs" / "examples" / "wakeup.yaml"
    assert main(["check", str(wakeup)]) == 0
    out = capsys.readouterr().out
    assert "no composition contains example/wakeup: its table was checked by itself, not explored\n" in out
    assert "states explored" not in out
    assert main(["explore", str(wakeup)]) == 0
    assert "no composition contains example/wakeup" in capsys.readouterr().out


def test_what_is_not_shipped_is_explored_wherever_it_takes_part():
    given = load_tables([Path(__file__).parents[2] / "docs" / "examples" / "wakeup.yaml"])
    assert concerned(["example/wakeup"], given.machines, COMPOSITIONS) == ({"example/wakeup"}, ["example/wakeup"])
    uac = given.machines["leg/uac"]
    changed = {**given.machines, "leg/uac": dataclasses.replace(uac, digest="another")}
    assert concerned(["example/wakeup"], changed, COMPOSITIONS)[0] == {"example/wakeup", "leg/uac"}


def test_what_is_counted_is_what_is_shown(tmp_path, capsys):
    hole = tmp_path / "hole.yaml"
    hole.write_text("calltable: 1\noverlay: b2bua/bridge\nremove: [bridge.a.request_early]\n")
    assert main(["check", "--overlay", str(hole)]) == 1
    out = capsys.readouterr().out
    assert out.count("[hole]") == 1
    assert "cells  1 problem\n" in out
    assert "1 problem in 3 states in " in out


OVERLAY = """\
calltable: 1
overlay: leg/uas
variables: {NAME: bool}
add:
  - {id: NAME.x, state: incoming, after: 3h, guards: [NAME], next_state: terminated}
"""


def test_files_after_an_overlay_are_overlays_or_tables_as_they_say(tmp_path, capsys):
    """A shell expands `--overlay mine/*.yaml`, and `--overlay a.yaml tables/` was always possible."""
    names = []
    for name in ("a", "b"):
        text = OVERLAY.replace("NAME", name)
        (tmp_path / f"{name}.yaml").write_text(text)
        names.append(str(tmp_path / f"{name}.yaml"))
    folder = str(Path(tables.__file__).parent)
    main(["check", "--no-explore", "--format", "json", folder])
    plain = next(one["rows"] for one in json.loads(capsys.readouterr().out)["tables"] if one["name"] == "leg/uas")
    for given in ([folder, "--overlay", *names], ["--overlay", *names, folder], ["--overlay", names[0], folder, "--overlay", names[1]]):
        main(["check", "--no-explore", "--format", "json", *given])
        found = json.loads(capsys.readouterr().out)
        assert len(found["tables"]) == len(load_tables().machines)
        rows = {one["name"]: one["rows"] for one in found["tables"]}
        assert rows["leg/uas"] == plain + 2


@pytest.mark.parametrize("command", ["check --no-explore", "explore --list", "check --no-explore --format json"])
def test_output_that_nobody_takes_is_no_accident(command):
    program = [sys.executable, "-P", "-m", "calltable.tools.main", *command.split()]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("cannot write the output: No space left on device\n")
    assert "Traceback" not in done.stderr
    for redirection in (">&-", "| true"):
        done = subprocess.run(f"{' '.join(program)} {redirection}", shell=True, stderr=subprocess.PIPE, text=True, check=False)
        assert not done.stderr
